//! What a spoke does for the network beside its blogs: it watches others, says which blogs it holds,
//! what it takes, and that it leaves.

use std::sync::Arc;

use spokes_log::name::BlogId;
use spokes_rules::{
    health::{Load, Says, Takes},
    node::{Label, Signed},
    registry::Registry,
    request::{Ask as Said, HOLDS_MAX, Request, Wish},
};

use crate::{
    hub::{Hub, Millis, SECOND},
    message::{Message, Node},
    spoke::Spoke,
    watch,
};

/// How often a spoke looks whether the registry knows of it what is so.
const TELL: Millis = 5 * SECOND;

impl Spoke {
    /// The spokes that this one watches, as far as it knows.
    pub fn watched(&self) -> Vec<Label> {
        let watching = self.live.watching.as_ref().filter(|_| self.is_up());
        watching.map_or_else(Vec::new, |w| w.by(self.secret.key()).to_vec())
    }

    /// It has looked at the spokes that it watches.
    pub fn looked(&mut self, hub: &mut Hub, saw: &[(Label, Says)]) {
        let Some(registry) = self.live.registry.clone().filter(|_| self.is_up()) else {
            return;
        };
        for (of, says) in self.live.eyes.look(hub, &registry, saw) {
            let (network, now) = (registry.network(), hub.time(self.clock));
            let me = (self.label(), &*self.secret);
            let report = watch::report(network, me, now, of, says);
            hub.send(self.node(), Node::Council, Message::Report(report));
        }
    }

    /// Tells the registry what it does not know yet.
    pub(crate) fn tell_registry(&mut self, hub: &mut Hub) {
        let Some(registry) = self.live.registry.clone() else {
            return;
        };
        if hub.now < self.live.tell_at {
            return;
        }
        self.live.tell_at = hub.now + TELL;
        let Some(known) = registry.spoke(self.label()) else {
            return;
        };
        let takes = match self.disk.full {
            true => Takes::Nothing,
            false => Takes::New,
        };
        if known.takes != takes {
            let load = Load::LOW;
            self.request(
                hub,
                &registry,
                Wish::Load {
                    label: self.label().clone(),
                    load,
                    takes,
                },
            );
        }
        if self.leaving && known.is_admitted() && !known.is_leaving() {
            self.request(
                hub,
                &registry,
                Wish::Leave {
                    label: self.label().clone(),
                },
            );
        }
        let mut blogs: Vec<BlogId> = registry.placed_on(self.label()).collect();
        blogs.retain(|id| self.holds_newly(&registry, *id));
        blogs.truncate(HOLDS_MAX);
        if !blogs.is_empty() {
            self.request(
                hub,
                &registry,
                Wish::Holds {
                    label: self.label().clone(),
                    blogs,
                },
            );
        }
    }

    /// Whether it holds all of a blog and the registry does not know.
    fn holds_newly(&self, registry: &Registry, id: BlogId) -> bool {
        let (Some(blog), Some(copy)) = (registry.blog(id), self.live.copies.get(&id)) else {
            return false;
        };
        let me = self.label();
        if !blog.set.has(me) || registry.holds_blog(blog, me) {
            return false;
        }
        let primary = blog.set.primary();
        let is_there = registry.spoke(primary).is_some_and(|spoke| spoke.is_well());
        let keeps_up = primary == me || copy.keeps_up || !is_there;
        copy.replica.is_compared() && keeps_up
    }

    fn request(&self, hub: &mut Hub, registry: &Registry, what: Wish) {
        let said = Said {
            network: Some(registry.network()),
            time: hub.time(self.clock),
            what,
        };
        let request = Arc::new(Request::plain(Signed::new(&self.secret, &said)));
        let message = Message::Request {
            ask: hub.ask(),
            request,
        };
        hub.send(self.node(), Node::Council, message);
    }
}
