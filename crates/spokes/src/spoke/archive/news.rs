//! Saying that there is news: a spoke to the archives, which then read its feed (SPEC circle 6.2).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use spokes_rules::node::Label;
use tokio::task::JoinHandle;

use super::{Spoke, lock};
use crate::{
    client::Ask,
    http::{self as web, Response},
    wire::{self, search::NewsWire},
};

/// How often it is looked who is of the inner circle.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The first pause after one did not hear; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest: one that comes back compares heads anyway.
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// Bytes of the message: it says a label.
const BYTES_MAX: usize = 1_024;

impl Spoke {
    /// Notes that blogs whose primary this spoke is have news.
    pub(in super::super) fn has_news(&self) {
        self.archive.own_news.send_modify(|version| *version += 1);
    }

    /// Tells each of the inner circle that there is news, until it has heard.
    pub(in super::super) async fn tell_archives(self: Arc<Self>) {
        let mut telling: BTreeMap<Label, JoinHandle<()>> = BTreeMap::new();
        loop {
            let circled = self.latest.circled();
            let inner = &circled.circles.inner;
            telling.retain(|label, task| {
                let stays = inner.contains(label);
                if !stays {
                    task.abort();
                }
                stays
            });
            for label in inner {
                telling
                    .entry(label.clone())
                    .or_insert_with(|| tokio::spawn(Arc::clone(&self).tell_archive(label.clone())));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn tell_archive(self: Arc<Self>, label: Label) {
        let mut news = self.archive.own_news.subscribe();
        let mut pause = PAUSE_FIRST;
        loop {
            // What is said just now covers what came before.
            news.mark_unchanged();
            let told = if label == self.me {
                self.hear_news(&label)
            } else {
                let wire = NewsWire {
                    of: self.me.to_string(),
                };
                let address = self.address(&label);
                let ask = address.map(|address| Ask::new(address, "/api/v1/feed"));
                match ask {
                    Some(ask) => {
                        let answer = self.client.post::<_, serde_json::Value>(ask, &wire).await;
                        answer.is_ok_and(|answer| answer.good().is_ok())
                    }
                    None => false,
                }
            };
            if told {
                pause = PAUSE_FIRST;
                if news.changed().await.is_err() {
                    return;
                }
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
        }
    }

    /// Notes that a spoke's feed has news; false where no archive is kept here.
    fn hear_news(&self, of: &Label) -> bool {
        let keeps = self.archive.kept().is_some();
        if keeps {
            lock(&self.archive.told).insert(of.clone());
            self.archive.wake.notify_one();
        }
        keeps
    }

    /// `POST feed` (SPEC http 3.13). It is not signed: whoever says it costs this node one question to the spoke that he
    /// names.
    pub(in super::super) async fn news_told(&self, request: Request<Incoming>) -> Response {
        let body = match web::body(request, BYTES_MAX).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        let label = wire::read::<NewsWire>(&body).map(|wire| Label::parse(&wire.of));
        let Ok(Ok(label)) = label else {
            let why = "This names no spoke. Send {\"of\": LABEL}; nothing was changed.";
            return web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why);
        };
        if self.address(&label).is_none() {
            let why = "No such spoke is let in. Nothing was changed.";
            return web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "no-such-spoke", why);
        }
        if !self.hear_news(&label) {
            let why =
                "This spoke keeps no archive; the registry says who does. Nothing was changed.";
            return web::refuse(StatusCode::MISDIRECTED_REQUEST, "not-inner", why);
        }
        web::json(StatusCode::OK, &serde_json::json!({}))
    }
}
