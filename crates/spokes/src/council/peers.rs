//! How the council's nodes speak with one another: TLS 1.3, each side known by the key that the registry
//! names (raw public keys, RFC 7250), and HTTP inside it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1::SendRequest, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::{
        AlwaysResolvesClientRawPublicKeys,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        AlwaysResolvesServerRawPublicKeys,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};
use serde::{Serialize, de::DeserializeOwned};
use spokes_rules::node::{NodeKey, NodeSecret};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{
    http::{self as web, Guest},
    outage::Outage,
    wire::Problem,
};

/// What stands before an Ed25519 public key as DER (RFC 8410 section 4).
const PUBLIC_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// What stands before a seed as DER (RFC 8410 section 7).
const SECRET_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// How long a connection and its handshake may take: three times around the world and more.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// Connections from other nodes: seven nodes open a few each.
const CONNECTIONS_MAX: usize = 64;
/// Connections that have not shown yet whose they are, from where no node has ever come.
const STRANGERS_MAX: usize = 32;
/// Those of one address: a node that begins opens a few, and comes again where there was no room. Eight addresses
/// are needed to fill all places.
const STRANGERS_OF_ONE_MAX: usize = 4;
/// Those from an address from where a node has come: twice what it keeps open to one other, for two that share it.
/// They take no places of strangers.
const COMING_OF_NODE_MAX: usize = 2 * KEPT_MAX;
/// Addresses from where nodes have come that are remembered: seven nodes, and as many that moved.
const NODES_FROM_MAX: usize = 14;
/// Connections kept open to one node: what orders, and requests that are passed on.
const KEPT_MAX: usize = 8;
/// Bytes of one message: as many entries as are sent at once, and one request of any length on top.
pub(super) const MESSAGE_BYTES_MAX: usize = 128 * 1024 * 1024;

fn spki(key: NodeKey) -> Vec<u8> {
    [&PUBLIC_HEAD[..], &key.bytes()].concat()
}

fn key_of(der: &[u8]) -> Option<NodeKey> {
    let bytes = der.strip_prefix(&PUBLIC_HEAD)?;
    Some(NodeKey::from_bytes(bytes.try_into().ok()?))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn identity(secret: &NodeSecret) -> Result<Arc<CertifiedKey>, Outage> {
    let der = [&SECRET_HEAD[..], &secret.seed()].concat();
    let der = PrivateKeyDer::Pkcs8(der.into());
    let signer = ring::sign::any_supported_type(&der).map_err(|e| failed(&e))?;
    let public = CertificateDer::from(spki(secret.key()));
    Ok(Arc::new(CertifiedKey::new(vec![public], signer)))
}

fn failed(error: &Error) -> Outage {
    Outage::new(format!(
        "TLS between council nodes cannot be set up: {error}"
    ))
}

/// Whose key may be at the other end.
type Known = Arc<dyn Fn(NodeKey) -> bool + Send + Sync>;

/// Judges the other end by its key alone.
struct Pinned {
    known: Known,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}

impl Pinned {
    fn judge(&self, der: &CertificateDer<'_>) -> Result<(), Error> {
        let known = key_of(der).is_some_and(|key| (self.known)(key));
        let refused = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        known.then_some(()).ok_or(refused)
    }

    fn signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, algorithms)
    }
}

fn only_tls13() -> Error {
    Error::General("council nodes speak TLS 1.3".into())
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(key).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(key).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Answers other council nodes until `shutdown`; who is not `known` hears nothing.
///
/// # Errors
/// When TLS cannot be set up.
pub(super) async fn serve<H, F>(
    listener: TcpListener,
    secret: &NodeSecret,
    (known, hosts): (Known, Vec<IpAddr>),
    handler: H,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Outage>
where
    H: Fn(NodeKey, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = web::Response> + Send + 'static,
{
    let provider = provider();
    let pinned = Pinned {
        known,
        provider: Arc::clone(&provider),
    };
    let resolver = AlwaysResolvesServerRawPublicKeys::new(identity(secret)?);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| failed(&e))?
        .with_client_cert_verifier(Arc::new(pinned))
        .with_cert_resolver(Arc::new(resolver));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let entrance = Arc::new(Mutex::new(Entrance::of(hosts)));
    tokio::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, from)) = stream else {
            // Out of files: those that are open will close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Without room the connection ends at once; a node of the council tries again.
        let Some(coming) = Coming::from(&entrance, from.ip()) else {
            continue;
        };
        let (acceptor, seats, handler) = (acceptor.clone(), Arc::clone(&seats), handler.clone());
        tokio::spawn(async move {
            let _not_a_loss = stream.set_nodelay(true);
            let Ok(Ok(stream)) = timeout(CONNECT_WAIT, acceptor.accept(stream)).await else {
                return;
            };
            coming.enter();
            let shown = stream.get_ref().1.peer_certificates();
            let peer = shown.and_then(|shown| key_of(shown.first()?));
            if let (Some(peer), Ok(_seat)) = (peer, seats.try_acquire()) {
                attend(TokioIo::new(stream), peer, handler).await;
            }
        });
    }
}

/// Where connections wait until they have shown whose they are.
#[derive(Debug, Default)]
struct Entrance {
    /// How many, by address.
    coming: BTreeMap<IpAddr, usize>,
    /// Addresses from where nodes have come, the last one behind.
    nodes_from: VecDeque<IpAddr>,
}

impl Entrance {
    /// Nobody is there; nodes will come from these hosts. A node that has just begun has seen none come yet, and a crowd
    /// of strangers would keep them out.
    fn of(hosts: Vec<IpAddr>) -> Self {
        let mut entrance = Self::default();
        let hosts = hosts.into_iter().map(Guest::known_as);
        hosts.for_each(|host| entrance.note_node(host));
        entrance
    }

    /// Whether there is room for one more from an address; it has taken it then.
    fn takes(&mut self, from: IpAddr) -> bool {
        let is_stranger = |address: &IpAddr| !self.nodes_from.contains(address);
        let of_it = self.coming.get(&from).copied().unwrap_or_default();
        let has_room = if is_stranger(&from) {
            let strangers = self
                .coming
                .iter()
                .filter(|(address, _)| is_stranger(address));
            let strangers: usize = strangers.map(|(_, many)| many).sum();
            of_it < STRANGERS_OF_ONE_MAX && strangers < STRANGERS_MAX
        } else {
            of_it < COMING_OF_NODE_MAX
        };
        if has_room {
            self.coming.insert(from, of_it + 1);
        }
        has_room
    }

    fn gives_back(&mut self, from: IpAddr) {
        let Some(of_it) = self.coming.get_mut(&from) else {
            return;
        };
        *of_it -= 1;
        if *of_it == 0 {
            self.coming.remove(&from);
        }
    }

    /// Remembers that a node has come from there.
    fn note_node(&mut self, from: IpAddr) {
        self.nodes_from.retain(|other| *other != from);
        if self.nodes_from.len() == NODES_FROM_MAX {
            self.nodes_from.pop_front();
        }
        self.nodes_from.push_back(from);
    }
}

/// A place at the entrance; dropped, it is given back.
#[derive(Debug)]
struct Coming {
    entrance: Arc<Mutex<Entrance>>,
    from: IpAddr,
}

impl Coming {
    fn from(entrance: &Arc<Mutex<Entrance>>, from: IpAddr) -> Option<Self> {
        let from = Guest::known_as(from);
        let mut open = entrance.lock().unwrap_or_else(PoisonError::into_inner);
        open.takes(from).then(|| Self {
            entrance: Arc::clone(entrance),
            from,
        })
    }

    /// It has shown a node's key.
    fn enter(self) {
        self.with(|entrance| entrance.note_node(self.from));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Entrance) -> T) -> T {
        change(&mut self.entrance.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.with(|entrance| entrance.gives_back(self.from));
    }
}

async fn attend<S, H, F>(stream: S, peer: NodeKey, handler: H)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin,
    H: Fn(NodeKey, Request<Incoming>) -> F,
    F: Future<Output = web::Response>,
{
    let service = service_fn(|request| {
        let answer = handler(peer, request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(stream, service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection of the council ended early");
    }
}

/// Reads a message of another council node.
///
/// # Errors
/// The answer to give instead.
pub(super) async fn read<T: DeserializeOwned>(
    request: Request<Incoming>,
) -> Result<T, web::Response> {
    let refuse = |why: String| web::refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why);
    let body = Limited::new(request.into_body(), MESSAGE_BYTES_MAX).collect();
    let body = body.await.map_err(|e| refuse(e.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|e| refuse(e.to_string()))
}

/// Why a message got no answer.
#[derive(Debug)]
pub(super) struct Silence {
    pub(super) outage: Outage,
    /// Whether the message may have arrived all the same.
    pub(super) sent: bool,
}

impl Silence {
    /// Nothing was sent.
    pub(super) fn before(outage: Outage) -> Self {
        Self {
            outage,
            sent: false,
        }
    }
}

/// The way to one other node.
#[derive(Clone)]
pub(super) struct Line {
    connector: TlsConnector,
    kept: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl Line {
    /// A way to the node with this key; nothing is sent yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(secret: &NodeSecret, to: NodeKey) -> Result<Self, Outage> {
        let provider = provider();
        let pinned = Pinned {
            known: Arc::new(move |key| key == to),
            provider: Arc::clone(&provider),
        };
        let resolver = AlwaysResolvesClientRawPublicKeys::new(identity(secret)?);
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|e| failed(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_client_cert_resolver(Arc::new(resolver));
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            kept: Arc::default(),
        })
    }

    async fn connect(&self, to: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Outage> {
        let silent = |why: String| Outage::new(format!("the council node at {to} {why}"));
        let connected = async {
            let stream = TcpStream::connect(to).await?;
            let _not_a_loss = stream.set_nodelay(true);
            let name = ServerName::IpAddress(to.ip().into());
            self.connector.connect(name, stream).await
        };
        let stream = match timeout(CONNECT_WAIT, connected).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(silent(format!("does not answer ({error})"))),
            Err(_) => return Err(silent("took too long".into())),
        };
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| silent(format!("broke off ({e})")))?;
        // Its end is seen by whoever sends next.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    /// Sends a message and reads the answer. From when on it may have arrived is noted, for whoever does not wait for
    /// the answer.
    ///
    /// # Errors
    /// When the node is silent; what it refuses is its [`Problem`].
    pub(super) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        to: SocketAddr,
        path: &str,
        message: &B,
        wait: Duration,
        sent: &AtomicBool,
    ) -> Result<Result<T, Problem>, Silence> {
        let silent = |why: String| Silence {
            outage: Outage::new(format!("the council node at {to} {why}")),
            sent: sent.load(Ordering::Relaxed),
        };
        let unsaid = |why: String| Silence::before(Outage::new(why));
        let body = serde_json::to_vec(message).map_err(|e| unsaid(e.to_string()))?;
        let request = Request::post(path)
            .header(http::header::HOST, to.to_string())
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| unsaid(e.to_string()))?;
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let exchange = async {
            let next = kept().pop().filter(|sender| !sender.is_closed());
            let mut sender = match next {
                Some(sender) => sender,
                None => self.connect(to).await.map_err(Silence::before)?,
            };
            let ready = sender.ready().await;
            ready.map_err(|e| Silence::before(Outage::new(e.to_string())))?;
            sent.store(true, Ordering::Relaxed);
            let answer = sender.send_request(request).await;
            let answer = answer.map_err(|e| silent(format!("broke off ({e})")))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MESSAGE_BYTES_MAX).collect();
            let body = body.await.map_err(|e| silent(format!("broke off ({e})")))?;
            let mut kept = kept();
            if kept.len() < KEPT_MAX {
                kept.push(sender);
            }
            Ok::<_, Silence>((status, body.to_bytes()))
        };
        let (status, body) = timeout(wait, exchange)
            .await
            .unwrap_or_else(|_| Err(silent("took too long".into())))?;
        let garbled = |e: serde_json::Error| silent(format!("speaks otherwise ({e})"));
        if status.is_success() {
            serde_json::from_slice(&body).map(Ok).map_err(garbled)
        } else {
            serde_json::from_slice(&body).map(Err).map_err(garbled)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::net::TcpSocket;

    use super::*;

    /// Well below [`CONNECT_WAIT`], when those who show nothing leave.
    const SOON: Duration = Duration::from_secs(1);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn of_one_address_few_strangers_are_at_the_entrance_and_of_all_so_many() {
        let mut entrance = Entrance::default();
        let mut taken = |from| usize::from(entrance.takes(from));
        let of_one: usize = (0..=STRANGERS_OF_ONE_MAX).map(|_| taken(address(1))).sum();
        assert_eq!(of_one, STRANGERS_OF_ONE_MAX);
        let others = (2..200).map(|n| taken(address(n)));
        assert_eq!(of_one + others.sum::<usize>(), STRANGERS_MAX);
        // Where one leaves, another one may come.
        entrance.gives_back(address(1));
        assert!(entrance.takes(address(200)) && !entrance.takes(address(201)));
    }

    #[test]
    fn where_nodes_have_come_from_is_remembered_and_has_places_of_its_own() {
        let mut entrance = Entrance::default();
        (1..=u8::try_from(NODES_FROM_MAX).unwrap()).for_each(|n| entrance.note_node(address(n)));
        let strangers = (100..200).filter(|n| entrance.takes(address(*n)));
        assert_eq!(strangers.count(), STRANGERS_MAX);
        let of_node = (0..=COMING_OF_NODE_MAX).map(|_| usize::from(entrance.takes(address(1))));
        assert_eq!(of_node.sum::<usize>(), COMING_OF_NODE_MAX);
        // The one that has not come for longest is forgotten.
        entrance.note_node(address(1));
        entrance.note_node(address(50));
        assert!(!entrance.takes(address(2)) && entrance.takes(address(50)));
    }

    #[test]
    fn a_node_that_has_just_begun_expects_the_others_where_they_are() {
        let mut entrance = Entrance::of(vec![address(1)]);
        let strangers = (100..200).filter(|n| entrance.takes(address(*n)));
        assert_eq!(strangers.count(), STRANGERS_MAX);
        assert!(entrance.takes(address(1)) && !entrance.takes(address(2)));
    }

    /// Opens connections and shows nothing.
    async fn stand(to: SocketAddr, from: impl Iterator<Item = IpAddr>) -> Vec<TcpStream> {
        let mut standing = Vec::new();
        for from in from {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(from, 0)).unwrap();
            standing.push(socket.connect(to).await.unwrap());
        }
        standing
    }

    #[tokio::test]
    async fn what_was_never_sent_is_not_of_unknown_fate() {
        let [here, there] = [[1; 32], [2; 32]].map(|seed| NodeSecret::from_seed(&seed));
        // It takes calls and never greets, as a host that died a moment ago.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let line = Line::new(&there, here.key()).unwrap();
        let (to, sent) = (listener.local_addr().unwrap(), AtomicBool::default());
        let wait = Duration::from_millis(100);
        let said = line
            .post::<_, Value>(to, "/", &json!({}), wait, &sent)
            .await;
        let silence = said.unwrap_err();
        assert!(
            !silence.sent && !sent.load(Ordering::Relaxed),
            "{silence:?}"
        );
    }

    #[tokio::test]
    async fn a_crowd_at_the_entrance_does_not_keep_a_node_out() {
        let [here, there] = [[1; 32], [2; 32]].map(|seed| NodeSecret::from_seed(&seed));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (to, key, node) = (listener.local_addr().unwrap(), here.key(), there.key());
        let known: Known = Arc::new(move |key| key == node);
        let answer = |_, _| async { web::json(StatusCode::OK, &json!({})) };
        tokio::spawn(async move {
            let never = std::future::pending::<()>();
            serve(listener, &here, (known, Vec::new()), answer, never).await
        });
        // Each time as a process that has just begun: it has no connection.
        let comes = || async {
            let line = Line::new(&there, key).unwrap();
            let answer = line
                .post::<_, Value>(to, "/", &json!({}), SOON, &AtomicBool::default())
                .await;
            answer.is_ok()
        };
        let one = std::iter::repeat_n(address(9), 2 * STRANGERS_MAX);
        let _one = stand(to, one).await;
        assert!(comes().await, "one stranger takes a few places");
        let _many = stand(to, (20..120).map(address)).await;
        assert!(comes().await, "no stranger takes a node's");
    }
}
