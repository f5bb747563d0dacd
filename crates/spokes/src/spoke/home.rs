//! Her blog's home is the author's to choose: a spoke brings her word to the registry (SPEC registry 3.23).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::{
    draft::Role,
    name::{BlogId, BlogName, Fingerprint, Hash},
    ring::{Ring, check_text},
    seal::RawSignature,
};
use spokes_rules::{
    registry::{BlogRecord, Refusal},
    request::{Home, Wish, Word},
};

use super::{
    Spoke,
    keys::way_to_keys,
    submit::{invalid, no_such_blog, not_here},
};
use crate::{
    client::Reply,
    clock,
    council::{refused, unavailable},
    http::{self as web, Guest, Response},
    turns::{Turn, Turns},
    wire::{self, RequestWire, WordWire},
};

/// Bytes of a word: a short text and a signature, with room for one by a large key.
const WORD_BYTES_MAX: usize = 32 * 1024;
/// Words that are judged at once: blogs move seldom, and keys are tried on each.
const HOMES_MAX: usize = 1;
/// How long a word waits for its turn: as long as a person.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// Words of one guest that wait: those of a family behind one address.
const OF_GUEST_MAX: usize = 4;
/// Between two words that go on to the council: anybody may repeat a good one, and these are a fifth of the
/// requests that it hears from a spoke in a second.
const HOMES_PAUSE: Duration = Duration::from_millis(100);

/// The line of those who bring a word.
pub(super) fn turns() -> Arc<Turns> {
    Turns::new(HOMES_MAX, TURN_WAIT, OF_GUEST_MAX)
}

impl Spoke {
    /// `POST blogs/NAME/home` (SPEC http 2.13).
    pub(super) async fn post_home(
        self: Arc<Self>,
        name: &BlogName,
        request: Request<Incoming>,
    ) -> Response {
        let guest = Guest::of(&request).address();
        let hopped = request.headers().contains_key("spokes-hop");
        let body = match web::body(request, WORD_BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let read = wire::read::<WordWire>(&body).and_then(|wire| wire.word());
        let word = match read {
            Ok(word) => word,
            Err(why) => return invalid(&why),
        };
        let home = match Home::parse(word.text.as_bytes()) {
            Ok(home) => home,
            Err(why) => return invalid(&why.to_string()),
        };
        let (blog, record) = match self.look_up(name).await {
            Ok(known) => known,
            Err(unknown) => return no_such_blog(name, unknown),
        };
        if home.blog != blog {
            return invalid("it moves another blog than this one");
        }
        // What proves who she is lies where the blog is.
        if !record.set.has(&self.me) {
            if hopped {
                return not_here(name);
            }
            let path = format!("/api/v1/blogs/{name}/home");
            let primary = record.set.primary();
            let relayed = self.relay(primary, Method::POST, &path, body).await;
            return relayed.unwrap_or_else(|outage| unavailable(&outage));
        }
        // Strangers may send this: each takes a turn before a key is tried.
        let Some(turn) = self.homes.take(guest).await else {
            return busy();
        };
        self.bring_home(blog, &record, &home, word, turn).await
    }

    /// Brings a word that the registry would take, as far as this spoke knows: what strangers make up must
    /// not use up what the council hears from this spoke.
    async fn bring_home(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
        home: &Home,
        word: Word,
        turn: Turn,
    ) -> Response {
        self.ready(blog).await;
        let known = self.with(blog, |replica| {
            let head = replica.durable_tips().last()?.id;
            let way = way_to_keys(replica.chain(), head).unwrap_or_else(|| vec![blog]);
            let ring = replica.chain().ring(*way.last()?)?;
            Some((Arc::clone(ring), way))
        });
        let Some((ring, way)) = known.flatten() else {
            return busy();
        };
        let hers = tokio::task::block_in_place(|| is_hers(&ring, &record.ended, home, &word));
        if let Err(refusal) = hers {
            return refused(&refusal);
        }
        let Some(proof) = self.proof_of(blog, &way).await else {
            return busy();
        };
        let wish = Wish::Home {
            blog,
            word: Hash::of(word.text.as_bytes()),
        };
        // Her own time, so that a repeat is the same request and gets the first answer.
        let asked = self.asked_of_council(wish, home.time, proof, Some(word));
        let judged = tokio::task::block_in_place(|| {
            self.ask(|registry| registry.judge(clock::now(), &asked))
        });
        if let Some(Err(refusal)) = judged {
            return refused(&refusal);
        }
        let brought = self.send_request(&RequestWire::from(&asked)).await;
        tokio::spawn(async move {
            tokio::time::sleep(HOMES_PAUSE).await;
            drop(turn);
        });
        match brought {
            Ok(Reply::Good(taken, _)) => web::json(StatusCode::OK, &taken),
            Ok(Reply::Refused(problem)) => web::problem(&problem),
            Err(outage) => unavailable(&outage),
        }
    }
}

fn busy() -> Response {
    web::refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        "This server cannot read who may sign for the blog now. Nothing was changed; ask again, or ask \
         another of its servers.",
    )
}

/// Whether an own key of the blog that has not ended signed this, as the registry will judge it (SPEC
/// registry 3.23).
fn is_hers(
    ring: &Ring,
    ended: &BTreeSet<Fingerprint>,
    home: &Home,
    word: &Word,
) -> Result<(), Refusal> {
    let signatures = RawSignature::parse_all(&word.signature).map_err(|_| Refusal::BadSignature)?;
    let [signature] = signatures.as_slice() else {
        return Err(Refusal::BadSignature);
    };
    let own = ring.keys().filter(|(key, role, _)| {
        *role == Role::Own && !ring.has_ended(key) && !ended.contains(key)
    });
    let mut judged = Err(Refusal::BadSignature);
    for (_, _, certificate) in own {
        judged = check_text(certificate, &word.text, signature, home.time).map_err(Refusal::Proof);
        if judged.is_ok() {
            break;
        }
    }
    judged
}
