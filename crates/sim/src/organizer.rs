//! What people ask of the council: to let in, to bar, to move, to empty, to want more or fewer copies.

use std::sync::Arc;

use spokes_rules::{
    node::Label,
    request::{Request, Wish},
};

use crate::{council::Council, founding, hub::Hub, message::Node, plant::Plant};

impl Council {
    /// An organizer lets a spoke in; false when there is nobody to ask.
    pub fn let_in(&mut self, hub: &mut Hub, spoke: usize, operator: usize) -> bool {
        if !self.leader {
            return false;
        }
        let (network, now) = (self.registry.network(), hub.clock(0));
        let requests = founding::requests_to_join(network, now, spoke, operator);
        requests
            .iter()
            .all(|request| self.propose(hub, request).is_ok())
    }

    /// An organizer bars a spoke.
    pub fn evict(&mut self, hub: &mut Hub, spoke: usize) {
        let label = founding::label(spoke);
        self.wish(hub, Wish::Evict { label });
    }

    /// An organizer has a spoke emptied.
    pub fn drain(&mut self, hub: &mut Hub, spoke: usize) {
        let label = founding::label(spoke);
        self.wish(hub, Wish::Drain { label });
    }

    /// An organizer wants another primary for a blog.
    pub fn move_blog(&mut self, hub: &mut Hub, number: u64) {
        let registry = Arc::clone(&self.registry);
        let blogs: Vec<_> = registry.blogs().map(|(id, _)| id).collect();
        let blog = pick(&blogs, number);
        let spokes: Vec<&Label> = registry.admitted().map(|(label, _)| label).collect();
        let to = hub.chance.pick(&spokes).copied().cloned();
        if let (Some(blog), Some(to)) = (blog, to) {
            self.wish(hub, Wish::Move { blog, to });
        }
    }

    /// An organizer wants another number of copies.
    pub fn set_replicas(&mut self, hub: &mut Hub, number: u64) {
        let registry = Arc::clone(&self.registry);
        let blogs: Vec<_> = registry.blogs().map(|(id, _)| id).collect();
        let replicas = hub.chance.between(2, 5);
        if let Some(blog) = pick(&blogs, number) {
            self.wish(hub, Wish::Replicas { blog, replicas });
        }
    }

    /// An organizer names a set herself: one member goes, another comes, and anyone is primary.
    pub fn shuffle(&mut self, hub: &mut Hub, number: u64) {
        let registry = Arc::clone(&self.registry);
        let open = registry.blogs().filter(|(_, b)| b.closing.is_none());
        let blogs: Vec<_> = open.collect();
        let Some((id, blog)) = pick(&blogs, number) else {
            return;
        };
        let mut members = blog.set.members.clone();
        let mut spare = registry.candidates();
        spare.retain(|c| {
            let same = |l: &Label| registry.spoke(l).map(|s| &s.operator) == Some(c.operator);
            !members.contains(c.label) && !members.iter().any(same)
        });
        if let Some(spare) = hub.chance.pick(&spare) {
            let goes = hub.chance.index(members.len());
            members[goes] = spare.label.clone();
            if hub.has(Plant::PromotesWithoutBase) {
                members.swap(0, goes);
                let blogs = vec![id];
                let epoch = blog.set.epoch;
                return self.wish(
                    hub,
                    Wish::Close {
                        blogs,
                        epoch,
                        members,
                    },
                );
            }
        }
        // Whoever is to accept entries must hold the blog: the registry would not choose another.
        let holders: Vec<usize> = (0..members.len())
            .filter(|at| registry.holds_blog(blog, &members[*at]))
            .collect();
        let Some(first) = hub.chance.pick(&holders) else {
            return;
        };
        members.rotate_left(*first);
        let wish = Wish::Close {
            blogs: vec![id],
            epoch: blog.set.epoch,
            members,
        };
        self.wish(hub, wish);
    }

    fn wish(&mut self, hub: &mut Hub, what: Wish) {
        if !self.leader {
            return;
        }
        let signed = self.signed(hub, &founding::organizer_secret(), what);
        match self.propose(hub, &Request::plain(signed)) {
            Ok(_) => self.change_sets(hub, None),
            Err(refusal) => hub.story(Node::Council, format_args!("refuses: {refusal}")),
        }
    }
}

fn pick<T: Copy>(all: &[T], number: u64) -> Option<T> {
    let len = all.len().max(1) as u64;
    all.get(usize::try_from(number % len).unwrap_or(0)).copied()
}
