//! Her blog's home is the author's to choose: a spoke brings her word to the registry (SPEC registry 3.23).

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use spokes_log::name::{BlogName, Hash};
use spokes_rules::request::{Home, Wish};

use super::{
    Spoke,
    keys::way_to_keys,
    submit::{invalid, no_such_blog, not_here},
};
use crate::{
    client::Reply,
    council::unavailable,
    http::{self as web, Response},
    wire::{self, WordWire},
};

/// Bytes of a word: a short text and a signature, with room for one by a large key.
const WORD_BYTES_MAX: usize = 32 * 1024;

impl Spoke {
    /// `POST blogs/NAME/home` (SPEC http 2.13).
    pub(super) async fn post_home(
        self: Arc<Self>,
        name: &BlogName,
        request: Request<Incoming>,
    ) -> Response {
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
        self.ready(blog).await;
        let way = self.with(blog, |replica| {
            let head = replica.durable_tips().last()?.id;
            way_to_keys(replica.chain(), head)
        });
        let way = way.flatten().unwrap_or_else(|| vec![blog]);
        let Some(proof) = self.proof_of(blog, &way).await else {
            return web::refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "This server cannot read who may sign for the blog now. Nothing was changed; ask again, or ask \
                 another of its servers.",
            );
        };
        let wish = Wish::Home {
            blog,
            word: Hash::of(word.text.as_bytes()),
        };
        // Her own time, so that a repeat is the same request and gets the first answer.
        let brought = self.bring_to_council(wish, home.time, proof, Some(word));
        match brought.await {
            Ok(Reply::Good(taken, _)) => web::json(StatusCode::OK, &taken),
            Ok(Reply::Refused(problem)) => web::problem(&problem),
            Err(outage) => unavailable(&outage),
        }
    }
}
