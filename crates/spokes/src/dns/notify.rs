//! Tells mirrors that there is a new version (NOTIFY, RFC 1996), and again until they have heard it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use domain::base::iana::{Class, Opcode, Rtype};
use domain::base::record::ComposeRecord;
use domain::base::wire::Composer;
use domain::base::{Message, MessageBuilder, Name};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config::random_bytes;
use crate::dns::edition::Editions;
use crate::dns::signed::{MirrorKey, is_answered};

/// The shortest time between two words to one mirror: it fetches all there is by then.
const WORD_EVERY: Duration = Duration::from_millis(250);
/// How long a mirror has to answer the first time; twice as long each time after.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
/// The longest: about as long as a mirror waits before it asks by itself.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// Tells one mirror of each version, for ever, from the address where it asks: some take NOTIFY from nowhere else.
pub async fn notify(from: IpAddr, mirror: SocketAddr, key: MirrorKey, editions: Editions) {
    let mut serials = editions.serial();
    serials.mark_changed();
    while serials.changed().await.is_ok() {
        let mut wait = ANSWER_WAIT;
        loop {
            let serial = *serials.borrow_and_update();
            if serial.is_none() {
                break;
            }
            if tell(from, mirror, &key, &editions, wait).await {
                sleep(WORD_EVERY).await;
                break;
            }
            tracing::debug!(%mirror, ?wait, "a mirror did not answer to NOTIFY");
            // A newer version is said at once, an old one again after a while.
            if timeout(wait, serials.changed()).await.is_ok() {
                wait = ANSWER_WAIT;
            } else {
                wait = (wait * 2).min(ANSWER_WAIT_MAX);
            }
        }
    }
}

/// A record as it travels.
struct Raw(Vec<u8>);

impl ComposeRecord for Raw {
    fn compose_record<T: Composer + ?Sized>(&self, target: &mut T) -> Result<(), T::AppendError> {
        target.append_slice(&self.0)
    }
}

/// Says once which version there is; whether the mirror has heard it.
async fn tell(
    from: IpAddr,
    mirror: SocketAddr,
    key: &MirrorKey,
    editions: &Editions,
    wait: Duration,
) -> bool {
    let Some((apex, soa)) = editions.soa() else {
        return false;
    };
    let told = async {
        let mut builder = MessageBuilder::new_vec();
        let id = u16::from_be_bytes(random_bytes().ok()?);
        builder.header_mut().set_id(id);
        builder.header_mut().set_opcode(Opcode::NOTIFY);
        builder.header_mut().set_aa(true);
        let mut builder = builder.question();
        let name = Name::from_octets(apex.as_slice()).ok()?;
        builder.push((name, Rtype::SOA, Class::IN)).ok()?;
        let mut builder = builder.answer();
        builder.push(Raw([apex.as_slice(), &soa].concat())).ok()?;
        let mut builder = builder.additional();
        let asked = key.ask(&mut builder)?;
        let from = match mirror {
            SocketAddr::V4(_) if from.is_ipv6() => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) if from.is_ipv4() => Ipv6Addr::UNSPECIFIED.into(),
            _ => from,
        };
        let socket = UdpSocket::bind((from, 0)).await.ok()?;
        socket.connect(mirror).await.ok()?;
        socket.send(&builder.finish()).await.ok()?;
        let (until, mut reply) = (Instant::now() + wait, [0; 1232]);
        loop {
            let length = timeout_at(until, socket.recv(&mut reply))
                .await
                .ok()?
                .ok()?;
            let message = Message::from_octets(&reply[..length]).ok();
            let header = message.map(|message| message.header());
            // Whoever answers at all has heard it; that it does not like it is for its operator to mend.
            if header.is_some_and(|header| header.qr() && header.id() == id) {
                return Some((is_answered(&reply[..length], asked), header?.rcode()));
            }
        }
    };
    match told.await {
        Some((true, _)) => true,
        Some((false, rcode)) => {
            tracing::warn!(
                %mirror, %rcode,
                "a mirror does not take NOTIFY with its key; compare the secrets that \"spokes council mirror keys\" \
                 prints with those in its configuration"
            );
            false
        }
        None => false,
    }
}
