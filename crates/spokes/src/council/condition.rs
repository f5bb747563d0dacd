//! Whether this node is fit to answer for the network.

use std::{net::SocketAddr, time::Duration};

use http::StatusCode;

use super::Council;
use crate::{
    dns::probe,
    http::{self as web, Response},
};

/// How often a node that has left out a version looks whether others have gone on: longer than a version takes.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is to be done with a node that would publish something else than the others.
const PARTED: &str = "this council node would publish another zone than a majority of the others, and answers no DNS: \
                      its program may be another one than theirs, or its index damaged. It holds the registry and \
                      votes; nothing is lost. Bring its program up to date, stop it, put registry.db of its directory \
                      aside, and start it: it makes its index again from its journal";

impl Council {
    /// Stops answering in DNS where this node has left out a version with which a majority of the others went on: it
    /// would answer of the past, and its names would not fit what the others sign. A leader alone, whose version nobody
    /// takes, stops nobody.
    pub(super) async fn look_after_parting(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let publication = self.book.publication();
            if publication.is_hidden() || !publication.left_out() || !self.others_went_on().await {
                continue;
            }
            tracing::error!("{PARTED}");
            if let Err(outage) = publication.part() {
                tracing::error!(%outage, "the zone cannot be taken back");
            }
        }
    }

    /// Whether more than half of the council, this node counted, publish a newer version.
    async fn others_went_on(&self) -> bool {
        let Some(mine) = *self.book.publication().editions().serial().borrow() else {
            return false;
        };
        let asked = self.book.ask(|registry| {
            let sitting = registry.seats().sitting();
            let servers: Vec<SocketAddr> = sitting.map(|(node, ..)| node.dns.0).collect();
            (registry.founding().domain.to_string(), servers)
        });
        let Some((domain, servers)) = asked else {
            return false;
        };
        let mut newer = 0;
        for server in &servers {
            let theirs = probe::serial(*server, &domain).await;
            // RFC 1982 section 3.2.
            newer += usize::from(theirs.is_some_and(|theirs| is_newer(theirs, mine)));
        }
        // What came meanwhile may have been the very version.
        newer * 2 > servers.len() && self.book.publication().left_out()
    }

    /// Whether this node answers for the network, in a word for programs that watch it.
    pub(super) fn health(&self) -> Response {
        if let Some(why) = self.order.anew().why() {
            let why = format!("stands down: {why}.\n");
            return web::answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", why);
        }
        if !self.book.publication().is_hidden() {
            return web::answer(StatusCode::OK, "text/plain", "ok\n");
        }
        if self.book.publication().is_parted() {
            let why = format!("parted: {PARTED}.\n");
            return web::answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", why);
        }
        let records = *self.book.grown().borrow();
        if !self.order.has_no_vote() {
            let why = format!(
                "reading: this council node makes its index again from its journal and has {records} records so \
                 far; it answers no DNS until it has all. Nothing is lost, and nothing needs to be done.\n"
            );
            return web::answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", why);
        }
        let why = format!(
            "empty: this council node has {records} records and not yet all; it votes for nobody and answers no \
             DNS. An organizer has it filled with \"spokes council seat {0}\", or with \"spokes council refill \
             {0}\" if it held something before.\n",
            self.config.label
        );
        web::answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", why)
    }
}

fn is_newer(theirs: u32, mine: u32) -> bool {
    (1..=u32::MAX / 2).contains(&theirs.wrapping_sub(mine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_go_around() {
        assert!(is_newer(1, u32::MAX) && is_newer(8, 7));
        assert!(!is_newer(7, 7) && !is_newer(7, 8) && !is_newer(u32::MAX, 1));
    }
}
