//! The health of this spoke and of those that it watches: receipts for pages (SPEC receipt 8), and reports.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use spokes_log::{
    name::{Hash, Salt},
    text::Value as _,
};
use spokes_rules::{health::Served, node::Signed, registry::Registry};

use super::Spoke;
use crate::{
    client::{Ask, NONCE, Relayed, Reply, SERVED},
    clock,
    council::CLOCK,
    http::{Guest, Response},
    observe::{Station, observe},
    outage::Outage,
    wire::{StatementsWire, signed_in_a_header},
};

/// Receipts for pages that are signed in a second, for strangers and again for observers: each costs 20 µs, so
/// these take a fiftieth of one core. Strangers who ask for more get their pages, and take no receipt from an observer.
const PER_SECOND: u32 = 1_000;
/// Bytes of a page with a receipt: to hash more would cost more than to sign. Front pages have a hundredth.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// How long a node of the council may take to hear a report before the next one is told.
const REPORT_WAIT: Duration = Duration::from_secs(3);

/// How many receipts may still be signed.
#[derive(Debug, Default)]
pub(super) struct Receipts(Mutex<Left>);

#[derive(Debug, Default)]
struct Left {
    since: Option<Instant>,
    for_strangers: u32,
    for_observers: u32,
    observers: BTreeSet<IpAddr>,
}

impl Receipts {
    /// Whether one more may be signed for whoever asks from there.
    fn take(&self, from: IpAddr, now: Instant) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let second = Duration::from_secs(1);
        if left
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= second)
        {
            left.since = Some(now);
            (left.for_strangers, left.for_observers) = (PER_SECOND, PER_SECOND);
        }
        let counts = if left.observers.contains(&from) {
            &mut left.for_observers
        } else {
            &mut left.for_strangers
        };
        let is_left = *counts > 0;
        *counts = counts.saturating_sub(1);
        is_left
    }
}

impl Spoke {
    /// Watches the spokes that the registry names.
    pub(super) async fn observe(self: Arc<Self>) {
        let (me, secret) = (self.me.clone(), Arc::clone(&self.secret));
        if let Err(outage) = observe(self, me, secret).await {
            tracing::error!(%outage, "this spoke watches nobody");
        }
    }

    /// The nonce that a page is asked for with, if a receipt may be signed for it now.
    pub(super) fn nonce_of<B>(&self, request: &Request<B>) -> Option<Salt> {
        let mut asked = request.headers().get_all(NONCE).iter();
        let (Some(nonce), None) = (asked.next(), asked.next()) else {
            return None;
        };
        let nonce = Salt::parse(nonce.to_str().ok()?).ok()?;
        let from = Guest::of(request).address();
        let is_get = *request.method() == Method::GET;
        (is_get && self.receipts_left.take(from, Instant::now())).then_some(nonce)
    }

    /// A page with a receipt for its bytes. What another spoke made and this one passes on has none.
    pub(super) async fn with_receipt(&self, nonce: Salt, response: Response) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if !is_page || response.extensions().get::<Relayed>().is_some() {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        let Ok(body) = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        if body.len() <= PAGE_BYTES_MAX {
            let served = Served {
                network: self.network,
                spoke: self.me.clone(),
                nonce,
                body: Hash::of(&body),
                time: clock::now(),
            };
            let line = signed_in_a_header(&Signed::new(&self.secret, &served));
            if let Ok(line) = HeaderValue::from_str(&line) {
                parts.headers.insert(SERVED, line);
            }
        }
        Response::from_parts(parts, Full::new(body))
    }
}

impl Station for Spoke {
    fn ask<T>(&self, question: impl FnOnce(&Registry) -> T) -> Option<T> {
        Self::ask(self, question)
    }

    fn council(&self) -> Vec<SocketAddr> {
        Self::council(self)
    }

    fn is_watched_from(&self, addresses: BTreeSet<IpAddr>) {
        let left = self.receipts_left.0.lock();
        left.unwrap_or_else(PoisonError::into_inner).observers = addresses;
    }

    async fn report(self: Arc<Self>, reports: StatementsWire) -> Result<(), Outage> {
        let mut last = Outage::new("no council is known");
        self.tell_beside(&reports);
        for node in Self::council(&self) {
            let ask = Ask::new(node, "/api/v1/registry/statements");
            let told = self.client.post::<_, serde_json::Value>(ask, &reports);
            match tokio::time::timeout(REPORT_WAIT, told).await {
                Ok(Ok(Reply::Refused(problem))) if problem.kind == CLOCK => {
                    tracing::warn!(council = %node, problem.detail, "nothing that this spoke reports counts");
                    last = Outage::new(problem.detail);
                }
                Ok(told) => match told.and_then(Reply::good) {
                    Ok(_) => return Ok(()),
                    Err(outage) => last = outage,
                },
                Err(_) => last = Outage::new(format!("{node} took too long")),
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_strangers_takes_no_receipt_from_an_observer() {
        let receipts = Receipts::default();
        let [stranger, observer] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        receipts.0.lock().unwrap().observers.insert(observer);
        let now = Instant::now();
        let taken = |from, at| (0..5_000).take_while(|_| receipts.take(from, at)).count();
        assert_eq!(taken(stranger, now), 1_000);
        assert_eq!(taken(stranger, now), 0);
        assert_eq!(taken(observer, now), 1_000);
        let later = now + Duration::from_secs(1);
        assert_eq!(taken(stranger, later), 1_000);
    }
}
