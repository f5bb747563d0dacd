//! Requests and replies that carry a signature by a secret shared with one mirror (TSIG, RFC 8945).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::base::iana::{Rcode, TsigRcode};
use domain::base::message_builder::AdditionalBuilder;
use domain::base::record::ComposeRecord;
use domain::base::wire::{Composer, ParseError};
use domain::base::{
    HeaderSection, Message, MessageBuilder, ParsedName, ParsedRecord, Question, ToName,
};
use domain::dep::octseq::Parser;
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientTransaction, Key, KeyName, KeyStore, ServerSequence};

use crate::clock;

/// A secret that this node shares with one mirror.
#[derive(Clone, Debug)]
pub struct MirrorKey(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    mirror: String,
    key: Key,
}

impl AsRef<Key> for MirrorKey {
    fn as_ref(&self) -> &Key {
        &self.0.key
    }
}

impl MirrorKey {
    /// The key of that name, for HMAC-SHA256.
    ///
    /// # Errors
    /// When that is no name.
    pub fn new(mirror: &str, name: &str, secret: &[u8]) -> Result<Self, String> {
        let name: KeyName = name
            .parse()
            .map_err(|_| format!("\"{name}\" is no name of a key"))?;
        let key = Key::new(Algorithm::Sha256, secret, name, None, None);
        let key = key.map_err(|error| error.to_string())?;
        let mirror = mirror.to_owned();
        Ok(Self(Arc::new(Inner { mirror, key })))
    }

    /// Signs a request of ours.
    ///
    /// # Errors
    /// When it has no room for a signature.
    pub(crate) fn ask(
        &self,
        request: &mut AdditionalBuilder<Vec<u8>>,
    ) -> Option<ClientTransaction<Self>> {
        ClientTransaction::request(self.clone(), request, now()).ok()
    }
}

/// Whether a reply to a request of ours is signed as it must be.
pub(crate) fn is_answered(reply: &[u8], asked: ClientTransaction<MirrorKey>) -> bool {
    let message = Message::from_octets(reply.to_vec());
    message.is_ok_and(|mut message| asked.answer(&mut message, now()).is_ok())
}

/// The secrets that this node shares with mirrors.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<RwLock<HashMap<KeyName, MirrorKey>>>);

impl Keys {
    /// Knows these from now on, and no others.
    pub fn set(&self, keys: impl IntoIterator<Item = MirrorKey>) {
        let keys = keys.into_iter().map(|key| (key.0.key.name().clone(), key));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys.collect();
    }
}

impl KeyStore for Keys {
    type Key = MirrorKey;

    fn get_key<N: ToName>(&self, name: &N, algorithm: Algorithm) -> Option<MirrorKey> {
        let name: KeyName = name.try_to_name().ok()?;
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(&name)
            .filter(|key| key.0.key.algorithm() == algorithm)
            .cloned()
    }
}

/// Signs what answers one request.
#[derive(Debug)]
pub(crate) struct Signer(Box<ServerSequence<MirrorKey>>);

/// What a signed request is.
#[derive(Debug)]
pub(crate) enum Checked {
    /// It comes from a mirror; the request without its signature.
    Good(Vec<u8>, Signer),
    /// It does not; the reply that says so.
    Bad(Vec<u8>),
}

fn now() -> Time48 {
    let now = clock::now().as_unix();
    Time48::from_u64(u64::try_from(now).unwrap_or(0))
}

/// Checks the signature of a request; none where it cannot be read at all.
pub(crate) fn check(keys: &Keys, request: &[u8]) -> Option<Checked> {
    let signature_at = last_record(request).ok()?;
    let mut message = Message::from_octets(request.to_vec()).ok()?;
    match ServerSequence::request(keys, &mut message, now()) {
        Ok(Some(sequence)) => {
            let mut request = message.into_octets();
            request.truncate(signature_at);
            Some(Checked::Good(request, Signer(Box::new(sequence))))
        }
        Ok(None) => None,
        Err(error) => {
            let is_bad = error.error() == TsigRcode::FORMERR;
            let message = Message::from_octets(request).ok()?;
            let builder = MessageBuilder::new_vec();
            let mut reply = error.build_message(&message, builder).ok()?.finish();
            let header = HeaderSection::for_message_slice(&reply).header();
            if is_bad && header.rcode() == Rcode::NOTAUTH {
                // A signature that is not the key's is BADSIG (RFC 8945 section 5.2.2); the library says FORMERR. The
                // error stands before the length of what else there is, which is nothing.
                let at = reply.len() - 4;
                reply[at..at + 2].copy_from_slice(&TsigRcode::BADSIG.to_int().to_be_bytes());
            }
            Some(Checked::Bad(reply))
        }
    }
}

/// Where the last record of a message begins.
fn last_record(message: &[u8]) -> Result<usize, ParseError> {
    let mut parser = Parser::from_ref(message);
    let counts = read_questions(&mut parser, |_| Ok(()))?;
    let mut at = parser.pos();
    for _ in 0..counts.iter().map(|count| u32::from(*count)).sum::<u32>() {
        at = parser.pos();
        ParsedRecord::parse(&mut parser)?;
    }
    Ok(at)
}

/// Reads up to the first record; how many there are in each section.
fn read_questions<'a>(
    parser: &mut Parser<'a, [u8]>,
    mut each: impl FnMut(Question<ParsedName<&'a [u8]>>) -> Result<(), ParseError>,
) -> Result<[u16; 3], ParseError> {
    if parser.remaining() < size_of::<HeaderSection>() {
        return Err(ParseError::ShortInput);
    }
    let counts = *HeaderSection::for_message_slice(parser.as_slice()).counts();
    parser.advance(size_of::<HeaderSection>())?;
    for _ in 0..counts.qdcount() {
        each(Question::parse(parser)?)?;
    }
    Ok([counts.ancount(), counts.nscount(), counts.arcount()])
}

/// A record as it stands in a message.
struct Raw<'a>(&'a [u8]);

impl ComposeRecord for Raw<'_> {
    fn compose_record<T: Composer + ?Sized>(&self, target: &mut T) -> Result<(), T::AppendError> {
        target.append_slice(self.0)
    }
}

impl Signer {
    /// Which mirror asks.
    pub(crate) fn mirror(&self) -> &str {
        &self.0.wrapped_key().0.mirror
    }

    /// A reply with its signature; none where there is no room for it.
    pub(crate) fn sign(&mut self, reply: &[u8]) -> Option<Vec<u8>> {
        let mut builder = again(reply).ok()?;
        self.0.answer(&mut builder, now()).ok()?;
        Some(builder.finish())
    }
}

/// A message as one that can be added to. Everything stays in its place, and with it where pointers lead.
fn again(message: &[u8]) -> Result<AdditionalBuilder<Vec<u8>>, ParseError> {
    let full = |_| ParseError::form_error("a message is too long");
    let mut builder = MessageBuilder::new_vec();
    let mut parser = Parser::from_ref(message);
    *builder.header_mut() = *HeaderSection::for_message_slice(message).header();
    let mut builder = builder.question();
    let [answers, authorities, additionals] =
        read_questions(&mut parser, |question| builder.push(question).map_err(full))?;
    let mut raw = || {
        let at = parser.pos();
        ParsedRecord::parse(&mut parser)?;
        Ok::<_, ParseError>(Raw(&message[at..parser.pos()]))
    };
    let mut builder = builder.answer();
    for _ in 0..answers {
        builder.push(raw()?).map_err(full)?;
    }
    let mut builder = builder.authority();
    for _ in 0..authorities {
        builder.push(raw()?).map_err(full)?;
    }
    let mut builder = builder.additional();
    for _ in 0..additionals {
        builder.push(raw()?).map_err(full)?;
    }
    Ok(builder)
}
