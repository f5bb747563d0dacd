//! Whether this node is fit to answer for the network.

use http::StatusCode;

use super::Council;
use crate::http::{self as web, Response};

impl Council {
    /// Whether this node answers for the network, in a word for programs that watch it.
    pub(super) fn health(&self) -> Response {
        if let Some(why) = self.order.anew().why() {
            let why = format!("stands down: {why}.\n");
            return web::answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", why);
        }
        if !self.book.publication().is_hidden() {
            return web::answer(StatusCode::OK, "text/plain", "ok\n");
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
