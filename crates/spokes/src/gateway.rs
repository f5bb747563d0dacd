//! The demo's gateway: does for any browser what its resolver would do.
//!
//! A reverse proxy for HTTP/1.1. For each request it asks the council's DNS servers who serves
//! the host, connects to the first address answered, and when that one refuses, breaks off or is
//! silent, to the next. It adds nothing about the reader, keeps no page, and repeats a request
//! only where nothing can be done twice.
//!
//! On its way a request meets `host`, `names` (with [`lookup`]), `fetch`, and, when no spoke
//! answers, `notice`; `passage` is the way itself.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::gateway::fetch::{Patience, Upstreams};
use crate::gateway::names::Names;
pub use crate::gateway::names::{Holders, Resolver};
use crate::gateway::passage::Passage;

#[cfg(test)]
mod fakes;
mod fetch;
mod host;
pub mod lookup;
mod names;
mod notice;
mod passage;
#[cfg(test)]
mod tests;

/// Readers at a time. Each may need a second connection, to a spoke, and with those kept at rest
/// both stay below the usual 1,024 open files; who comes later waits in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 400;

/// The head of a request. Servers commonly take 8 KiB; twice that, because cookies of every blog
/// on `*.localhost` can come together.
pub const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// Header fields of a request: browsers send about twenty.
pub const HEADERS_MAX: usize = 100;

/// A connection at rest, or a reader who dictates a head letter by letter, gives its place to
/// others after this: browsers open a new one unasked.
const QUIET_SPAN: Duration = Duration::from_secs(30);

/// Read at a time from a reader: a head, or a piece of a body on its way.
const BUFFER_BYTES_MAX: usize = 64 * 1_024;

/// The demo ends within five seconds; a page on its way ends in less than this, a long poll is
/// cut off and asked again.
const SHUTDOWN_SPAN: Duration = Duration::from_secs(2);

/// Where the machine has no more open files to give, trying again at once would only heat it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a gateway finds its network.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The network's apex.
    pub domain: String,
    /// The council's DNS servers, asked in turn.
    pub dns: Vec<SocketAddr>,
    /// The one port on which all spokes serve HTTP.
    pub upstream_port: u16,
}

/// A gateway, ready to run.
pub struct Gateway {
    passage: Arc<Passage>,
    limits: Limits,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway that asks the council's DNS.
    pub fn new(settings: Settings) -> Self {
        let Settings {
            domain,
            dns,
            upstream_port,
        } = settings;
        Self::with_resolver(
            &domain,
            Resolver::Dns {
                servers: dns,
                upstream_port,
            },
        )
    }

    /// A gateway that finds the spokes of a host by other means, for the network at `domain`.
    pub fn with_resolver(domain: &str, resolver: Resolver) -> Self {
        Self::limited(domain, resolver, Limits::default())
    }

    fn limited(domain: &str, resolver: Resolver, limits: Limits) -> Self {
        let upstreams = Upstreams::new(limits.patience);
        let passage = Arc::new(Passage::new(domain, Names::new(resolver), upstreams));
        Self { passage, limits }
    }

    /// Serves readers until `shutdown`; then lets answers on their way end, for two seconds.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(());
        let mut readers = JoinSet::new();
        tokio::pin!(shutdown);
        let passage = Arc::clone(&self.passage);
        let learning = async move { passage.learn_servers().await };
        tokio::pin!(learning);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                () = &mut learning => {}
                Some(_) = readers.join_next() => {}
                accepted = listener.accept(), if readers.len() < self.limits.connections_max => {
                    match accepted {
                        Ok((stream, _)) => {
                            let passage = Arc::clone(&self.passage);
                            let quiet = self.limits.quiet;
                            readers.spawn(serve(stream, passage, quiet, stopping.clone()));
                        }
                        Err(error) => {
                            tracing::warn!(%error, "a reader's connection was not accepted");
                            sleep(ACCEPT_PAUSE).await;
                        }
                    }
                }
            }
        }
        // Closed first, so that who comes now is refused at once and not left waiting.
        drop(listener);
        drop(stop);
        let all_ended = async { while readers.join_next().await.is_some() {} };
        if timeout(SHUTDOWN_SPAN, all_ended).await.is_err() {
            tracing::debug!(cut = readers.len(), "readers were still waiting at the end");
        }
    }
}

/// What a test shortens, so as not to wait.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connections_max: usize,
    quiet: Duration,
    patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            quiet: QUIET_SPAN,
            patience: Patience::default(),
        }
    }
}

/// Serves one connection until the reader leaves or the gateway stops.
async fn serve(
    stream: TcpStream,
    passage: Arc<Passage>,
    quiet: Duration,
    mut stopping: watch::Receiver<()>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a reader left at once");
        return;
    }
    let service = service_fn(move |request| {
        let passage = Arc::clone(&passage);
        async move { Ok::<_, Infallible>(passage.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(quiet)
        .max_header_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // The gateway's end of the channel is gone.
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a reader's connection broke");
    }
}
