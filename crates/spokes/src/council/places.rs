//! What there is, for organizers: nodes of the council, spokes, and where each blog is (SPEC http 3.10).

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    name::{BlogName, Salt},
    text::Value as _,
};
use spokes_rules::{
    node::{Label, Signed},
    registry::{BlogRecord, Registry, Spoke, Standing},
    seat::Presence,
};

use super::{Council, holds_nothing, network_wire};
use crate::{
    http::{self as web, Response},
    wire::{
        NetworkWire, SignedWire,
        places::{
            BlogPlaceWire, BlogsWire, CouncilStatusWire, MirrorWire, NodeWire, SpokeWire,
            SpokesWire,
        },
        zone_keys::ZoneKeysWire,
    },
};

/// What a node is said to do that has a seat.
pub(super) const SITS: &str = "sits";
/// One that has a seat and not yet all there is.
pub(super) const FILLS: &str = "fills";
/// Blogs of one answer.
const BLOGS_MAX: usize = 1_000;

impl Council {
    /// `GET network`; to whoever brings a nonce this node shows who it is (SPEC registry 3.10).
    pub(super) fn network(&self, request: &Request<Incoming>) -> Response {
        let nonce = web::query(request).remove("nonce");
        let nonce = nonce.and_then(|nonce| Salt::parse(&nonce).ok());
        let wire = |registry: &Registry| {
            let shown = nonce.map(|nonce| {
                let sitting = registry.seats().sitting();
                let presence = Presence {
                    network: registry.network(),
                    nonce,
                    council: sitting.map(|(node, ..)| node.clone()).collect(),
                };
                SignedWire::from(&Signed::new(&self.secret, &presence))
            });
            NetworkWire {
                signed: shown,
                ..network_wire(registry, &self.config.base_url, &self.config.label)
            }
        };
        match self
            .book
            .ask(wire)
            .filter(|_| !self.book.publication().is_hidden())
        {
            Some(network) => web::json(StatusCode::OK, &network),
            None => holds_nothing(),
        }
    }

    /// `GET registry/spokes`.
    pub(super) fn spokes(&self) -> Response {
        let spokes = self.book.ask(|registry| SpokesWire {
            records: registry.head().records,
            spokes: registry
                .spokes()
                .map(|(label, spoke)| spoke_wire(registry, label, spoke))
                .collect(),
        });
        match spokes {
            Some(spokes) => web::json(StatusCode::OK, &spokes),
            None => holds_nothing(),
        }
    }

    /// `GET registry/blogs`: of one name, of one spoke, or all from one name on.
    pub(super) fn blogs(&self, request: &Request<Incoming>) -> Response {
        let query = web::query(request);
        let limit = query.get("limit").and_then(|limit| limit.parse().ok());
        let limit = limit.unwrap_or(BLOGS_MAX).clamp(1, BLOGS_MAX);
        let name = |key: &str| query.get(key).and_then(|name| BlogName::parse(name).ok());
        let spoke = query
            .get("spoke")
            .and_then(|label| Label::parse(label).ok());
        let (one, after) = (name("name"), name("after"));
        let blogs = self.book.ask(|registry| {
            let mut blogs: Vec<_> = match (&one, &spoke) {
                (Some(name), _) => registry.named(name).into_iter().collect(),
                (None, Some(spoke)) => {
                    let placed = registry.placed_on(spoke);
                    placed
                        .filter_map(|id| Some((id, registry.blog(id)?)))
                        .collect()
                }
                (None, None) => registry.blogs().collect(),
            };
            blogs.retain(|(_, blog)| after.as_ref().is_none_or(|after| blog.name > *after));
            blogs.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
            let more = blogs.len() > limit;
            blogs.truncate(limit);
            BlogsWire {
                records: registry.head().records,
                more,
                blogs: blogs
                    .into_iter()
                    .map(|(id, blog)| blog_wire(registry, id, blog))
                    .collect(),
            }
        });
        match blogs {
            Some(blogs) => web::json(StatusCode::OK, &blogs),
            None => holds_nothing(),
        }
    }

    /// `GET registry/zone-keys`: the keys of the zone.
    pub(super) fn zone_keys(&self) -> Response {
        let unsigned = self.book.publication().unsigned();
        let keys = self
            .book
            .ask(|registry| ZoneKeysWire::new(registry, unsigned));
        match keys {
            Some(keys) => web::json(StatusCode::OK, &keys),
            None => holds_nothing(),
        }
    }

    /// `GET registry/status`: how this node sees the council.
    pub(super) async fn status(&self) -> Response {
        let metrics = self.order.metrics();
        let confirmed = self.order.is_confirmed().await;
        let status = self.book.ask(|registry| CouncilStatusWire {
            node: self.config.label.clone(),
            domain: registry.founding().domain.to_string(),
            network: registry.network().to_string(),
            leader: metrics.current_leader.and_then(|leader| {
                let mut seats = registry.seats().sitting();
                let found = seats.find(|(node, ..)| node.key == leader.key());
                found.map(|(node, ..)| node.label.to_string())
            }),
            term: metrics.current_term,
            records: registry.head().records,
            confirmed,
            blogs: registry.blogs().count() as u64,
            nodes: registry
                .seats()
                .all()
                .iter()
                .map(|seat| NodeWire {
                    label: seat.node.label.to_string(),
                    number: seat.number,
                    api: seat.node.api.to_string(),
                    dns: seat.node.dns.to_string(),
                    key: seat.node.key.to_string(),
                    peer: seat.node.peer.to_string(),
                    sits: sits_word(seat.sits).to_owned(),
                })
                .collect(),
            serial: *self.book.publication().editions().serial().borrow(),
            mirrors: registry
                .mirrors()
                .map(|(label, mirror)| MirrorWire {
                    label: label.to_string(),
                    address: mirror.address.to_string(),
                    down_since: mirror.health.down.map(|down| down.to_string()),
                })
                .collect(),
            caa: registry.caa().iter().map(ToString::to_string).collect(),
        });
        match status {
            Some(status) => web::json(StatusCode::OK, &status),
            None => holds_nothing(),
        }
    }
}

fn sits_word(sits: spokes_rules::seat::Sits) -> &'static str {
    use spokes_rules::seat::Sits;
    match sits {
        Sits::Asks { .. } => "asks",
        Sits::Yes { whole: true, .. } => SITS,
        Sits::Yes { whole: false, .. } => FILLS,
        Sits::NoMore { .. } => "gone",
    }
}

fn spoke_wire(registry: &Registry, label: &Label, spoke: &Spoke) -> SpokeWire {
    let (standing, since) = match spoke.standing {
        Standing::Applied { since } => ("applied", since),
        Standing::Admitted { since } => ("admitted", since),
        Standing::Leaving { since } => ("leaving", since),
        Standing::Evicted { since } => ("evicted", since),
    };
    let placed = || registry.placed_on(label).filter_map(|id| registry.blog(id));
    SpokeWire {
        label: label.to_string(),
        operator: spoke.operator.to_string(),
        address: spoke.address.to_string(),
        standing: standing.to_owned(),
        since: since.to_string(),
        down_since: spoke.health.down.map(|down| down.to_string()),
        load: spoke.load.to_string(),
        takes: spoke.takes.to_string(),
        blogs: registry.blogs_on(label),
        primary_of: placed().filter(|blog| blog.set.primary() == label).count(),
        behind: placed()
            .filter(|blog| blog.set.has(label) && !registry.holds_blog(blog, label))
            .count(),
    }
}

fn blog_wire(
    registry: &Registry,
    id: spokes_log::name::BlogId,
    blog: &BlogRecord,
) -> BlogPlaceWire {
    let labels = |labels: &[Label]| labels.iter().map(Label::to_string).collect();
    let members = &blog.set.members;
    let policy = registry.founding().policy.replicas;
    let waits = registry.waits_for(blog);
    BlogPlaceWire {
        name: blog.name.to_string(),
        blog: id.to_string(),
        epoch: blog.set.epoch,
        primary: blog.set.primary().to_string(),
        secondaries: labels(&members[1..]),
        held_by: members
            .iter()
            .filter(|label| registry.holds_blog(blog, label))
            .map(Label::to_string)
            .collect(),
        replicas: blog.replicas.unwrap_or(policy),
        more: blog.demand.more,
        next: blog
            .closing
            .as_ref()
            .map(|closing| labels(&closing.next.members)),
        home: blog.home.as_ref().map(|home| home.to.to_string()),
        missing: blog
            .forced
            .as_ref()
            .map(|forced| forced.missing.iter().map(Label::to_string).collect())
            .unwrap_or_default(),
        waits: waits.into_iter().map(Label::to_string).collect(),
    }
}
