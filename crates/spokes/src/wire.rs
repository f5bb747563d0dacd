//! What nodes and tools say to one another over HTTP (SPEC http 1): plain structs at the edge,
//! converted by hand to and from what has been checked.

pub mod anew;
pub mod places;
pub mod search;
pub mod zone_keys;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, SeqAccess, Visitor},
};
use spokes_log::{
    name::Hash,
    seal::{SealFault, SealedEntry},
    text::Value as _,
    time::Time,
};
use spokes_rules::{
    node::{NodeKey, NodeSignature, Signed},
    receipt::Tip,
    registry::Record,
    request::{PROOF_ENTRIES_MAX, Request, Word},
};

/// Signatures that are read of one entry: more than its authors, for a tool may send several.
const SIGNATURES_MAX: usize = 64;
/// Statements that are read of one message: those of all members for a thousand blogs.
const STATEMENTS_MAX: usize = 20_000;

/// Reads JSON from a stranger.
///
/// # Errors
/// A sentence about the JSON; nothing in it is a name of ours.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Eof => "the JSON ends too early".to_owned(),
            serde_json::error::Category::Data => plain(&error.to_string()),
            _ => format!("this is not JSON, from line {line}, column {column} on"),
        }
    })
}

/// The library's sentence, its words for numbers and lists replaced by everybody's.
fn plain(said: &str) -> String {
    let words = said.split(' ').map(|word| match word {
        "u64" | "usize" | "u16" => "a number from 0 on",
        "sequence" | "sequence," => "list,",
        "map" | "map," => "object,",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Reads a list that is refused as soon as it is too long: each item in memory is larger than in JSON.
fn at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {MAX}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == MAX {
                    let why = format!("a list is longer than {MAX}, its limit");
                    return Err(A::Error::custom(why));
                }
                list.push(item);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_seq(Bounded::<T, MAX>(std::marker::PhantomData))
}

/// An entry with its signatures (SPEC http 1.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(expecting = "an entry with \"text\" and \"signatures\"")]
pub struct EntryWire {
    /// The canonical text.
    pub text: String,
    /// One packet for each author, in base64.
    #[serde(deserialize_with = "at_most::<_, _, SIGNATURES_MAX>")]
    pub signatures: Vec<String>,
}

impl From<&SealedEntry> for EntryWire {
    fn from(sealed: &SealedEntry) -> Self {
        let packets: Vec<&[u8]> = sealed.signatures().iter().map(|s| s.packet()).collect();
        Self::new(sealed.entry().text().to_owned(), &packets)
    }
}

impl EntryWire {
    /// A text and its packets.
    pub fn new<P: AsRef<[u8]>>(text: String, packets: &[P]) -> Self {
        let signatures = packets.iter().map(|p| BASE64.encode(p)).collect();
        Self { text, signatures }
    }

    /// The packets.
    ///
    /// # Errors
    /// When one is not base64.
    pub fn packets(&self) -> Result<Vec<Vec<u8>>, SealFault> {
        let decode = |s: &String| {
            BASE64
                .decode(s)
                .map_err(|e| SealFault::NotASignature(format!("not base64: {e}")))
        };
        self.signatures.iter().map(decode).collect()
    }

    /// Reads an entry in its kept form.
    ///
    /// # Errors
    /// When text or packets are not in that form.
    pub fn sealed(&self) -> Result<SealedEntry, SealFault> {
        SealedEntry::parse(self.text.as_bytes(), &self.packets()?)
    }
}

/// A text signed by a node (SPEC http 1.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(expecting = "a signed text with \"text\", \"key\" and \"signature\"")]
pub struct SignedWire {
    /// The canonical text.
    pub text: String,
    /// Whose signature.
    pub key: String,
    /// The signature.
    pub signature: String,
}

impl From<&Signed> for SignedWire {
    fn from(signed: &Signed) -> Self {
        Self {
            text: signed.text.clone(),
            key: signed.key.to_string(),
            signature: signed.signature.to_string(),
        }
    }
}

impl SignedWire {
    /// Reads key and signature; whether it is good is not known yet.
    ///
    /// # Errors
    /// Says what is not spelled right.
    pub fn signed(&self) -> Result<Signed, &'static str> {
        Ok(Signed {
            text: self.text.clone(),
            key: NodeKey::parse(&self.key)?,
            signature: NodeSignature::parse(&self.signature)?,
        })
    }
}

/// A signed text in one line of a head: text, key and signature, the text in base64 (SPEC http 1.2).
pub fn signed_in_a_header(signed: &Signed) -> String {
    let text = BASE64.encode(&signed.text);
    format!("{text} {} {}", signed.key, signed.signature)
}

/// Reads such a line; whether the signature is good is not known yet. None where it is spelled otherwise.
pub fn signed_of_a_header(line: &str) -> Option<Signed> {
    let mut parts = line.split(' ');
    let text = BASE64.decode(parts.next()?).ok()?;
    let signed = Signed {
        text: String::from_utf8(text).ok()?,
        key: NodeKey::parse(parts.next()?).ok()?,
        signature: NodeSignature::parse(parts.next()?).ok()?,
    };
    (signed_in_a_header(&signed) == line).then_some(signed)
}

/// An entry and its place (SPEC http 1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TipWire {
    /// Its sequence.
    pub sequence: u64,
    /// Its id.
    pub id: String,
}

impl From<Tip> for TipWire {
    fn from(tip: Tip) -> Self {
        Self {
            sequence: tip.sequence,
            id: tip.id.to_string(),
        }
    }
}

impl TipWire {
    /// Reads it.
    ///
    /// # Errors
    /// When the id is no hash.
    pub fn tip(&self) -> Result<Tip, &'static str> {
        Ok(Tip {
            sequence: self.sequence,
            id: Hash::parse(&self.id)?,
        })
    }
}

/// A request to the registry (SPEC http 3.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(expecting = "a request with \"signed\", \"proof\" and \"statements\"")]
pub struct RequestWire {
    /// The signed text.
    pub signed: SignedWire,
    /// Entries that prove an author's right.
    #[serde(default, deserialize_with = "at_most::<_, _, PROOF_ENTRIES_MAX>")]
    pub proof: Vec<EntryWire>,
    /// Receipts and seals.
    #[serde(default, deserialize_with = "at_most::<_, _, STATEMENTS_MAX>")]
    pub statements: Vec<SignedWire>,
    /// What the author herself says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<WordWire>,
}

/// A text that an author signed (SPEC registry 3.23).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(expecting = "a word with \"text\" and \"signature\"")]
pub struct WordWire {
    /// The text.
    pub text: String,
    /// Her OpenPGP signature in base64.
    pub signature: String,
}

impl WordWire {
    /// Reads it; nothing is judged yet.
    ///
    /// # Errors
    /// Says what is not in its form.
    pub fn word(&self) -> Result<Word, String> {
        let signature = BASE64.decode(&self.signature);
        Ok(Word {
            text: self.text.clone(),
            signature: signature.map_err(|e| e.to_string())?,
        })
    }
}

impl From<&Word> for WordWire {
    fn from(word: &Word) -> Self {
        Self {
            text: word.text.clone(),
            signature: BASE64.encode(&word.signature),
        }
    }
}

impl From<&Request> for RequestWire {
    fn from(request: &Request) -> Self {
        Self {
            signed: (&request.signed).into(),
            proof: request.proof.iter().map(EntryWire::from).collect(),
            statements: request.statements.iter().map(SignedWire::from).collect(),
            word: request.word.as_ref().map(WordWire::from),
        }
    }
}

impl RequestWire {
    /// Reads it; nothing is judged yet.
    ///
    /// # Errors
    /// Says what is not in its form.
    pub fn request(&self) -> Result<Request, String> {
        let proof: Result<_, _> = self.proof.iter().map(EntryWire::sealed).collect();
        let statements: Result<_, _> = self.statements.iter().map(SignedWire::signed).collect();
        Ok(Request {
            signed: self.signed.signed()?,
            proof: proof.map_err(|e| e.to_string())?,
            statements: statements?,
            word: self.word.as_ref().map(WordWire::word).transpose()?,
        })
    }
}

/// One item of the registry's log (SPEC http 3.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordWire {
    /// Its place.
    pub index: u64,
    /// The hash of the one before.
    pub previous: String,
    /// When it was taken.
    pub time: String,
    /// What was asked.
    pub request: RequestWire,
}

impl From<&Record> for RecordWire {
    fn from(record: &Record) -> Self {
        Self {
            index: record.index,
            previous: record.previous.to_string(),
            time: record.time.to_string(),
            request: (&record.request).into(),
        }
    }
}

impl RecordWire {
    /// Reads it; nothing is judged yet.
    ///
    /// # Errors
    /// Says what is not in its form.
    pub fn record(&self) -> Result<Record, String> {
        Ok(Record {
            index: self.index,
            previous: Hash::parse(&self.previous)?,
            time: Time::parse(&self.time)?,
            request: self.request.request()?,
        })
    }
}

/// `GET network` (SPEC http 2.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkWire {
    /// The domain.
    pub domain: String,
    /// The network's id.
    pub network: String,
    /// Where people reach the apex, without a final slash.
    pub base_url: String,
    /// The node's clock.
    pub time: String,
    /// The label of the node that answers.
    pub node: String,
    /// The council.
    pub council: Vec<CouncilWire>,
    /// The network's limits by name.
    pub policy: BTreeMap<String, u64>,
    /// What a council node signs for whoever brings a nonce (SPEC registry 3.10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedWire>,
}

/// One council node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CouncilWire {
    /// Its label.
    pub label: String,
    /// Its key.
    pub key: String,
    /// Where its registry answers.
    pub api: String,
    /// Where its DNS answers.
    pub dns: String,
}

/// `GET blogs/NAME` (SPEC http 2.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlogWire {
    /// Its name.
    pub name: String,
    /// Its id.
    pub blog: String,
    /// The fingerprint that claimed the name.
    pub author: String,
    /// The open epoch.
    pub epoch: u64,
    /// The label of its primary.
    pub primary: String,
    /// Its replicas, the primary first.
    pub members: Vec<MemberWire>,
    /// What placement could not reach, as a sentence.
    pub shortfall: Option<String>,
    /// Whether its set was opened without knowing all that was safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<ForcedWire>,
    /// The members that it waits for: silent ones, without whom the others are too few to go on by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<String>,
    /// The `keys` entry that the registry took last, or entry 0.
    pub keys_at: String,
    /// When it got its name.
    pub since: String,
}

/// A set that was opened by force (SPEC receipt 3.7).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForcedWire {
    /// Since when.
    pub since: String,
    /// Entries behind this sequence may be missing.
    pub after: u64,
    /// Whose copies may have them.
    pub missing: Vec<String>,
}

/// One replica of a blog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberWire {
    /// Its label.
    pub label: String,
    /// Who runs it.
    pub operator: String,
    /// Where its HTTP answers.
    pub address: String,
    /// The key that signs its receipts.
    #[serde(default)]
    pub key: String,
    /// Since when it is silent, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_since: Option<String>,
}

/// `GET blogs/NAME/head` (SPEC http 2.3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadWire {
    /// The blog.
    pub blog: String,
    /// Behind which an author goes on.
    pub head: HeadTipWire,
    /// All heads.
    pub heads: Vec<TipWire>,
    /// How many entries there are.
    pub entries: usize,
}

/// A head and when it was signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadTipWire {
    /// Its sequence.
    pub sequence: u64,
    /// Its id.
    pub id: String,
    /// When it was signed: the next entry must not be earlier.
    pub signed: String,
}

/// What a submitted entry gets (SPEC http 2.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StandingWire {
    /// `safe`, `accepted`, `staged` or `unknown`.
    pub status: String,
    /// The entry.
    pub id: String,
    /// One receipt of each member that holds it.
    pub receipts: Vec<SignedWire>,
    /// How many make it safe.
    pub needed: usize,
    /// How many members there are.
    pub members: usize,
    /// Media to send first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_media: Vec<String>,
}

/// A page of a feed (SPEC http 3.1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeedWire {
    /// Where to go on.
    pub cursor: String,
    /// Whether there is more at once.
    pub more: bool,
    /// The entries.
    pub entries: Vec<EntryWire>,
    /// By blog, the epoch in which the copy that they are from has settled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub epochs: BTreeMap<String, u64>,
}

/// Several entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(expecting = "an object with \"entries\"")]
pub struct EntriesWire {
    /// The entries, parents first.
    #[serde(deserialize_with = "at_most::<_, _, PROOF_ENTRIES_MAX>")]
    pub entries: Vec<EntryWire>,
}

/// A claim to a name (SPEC http 2.7).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(expecting = "a claim with \"entries\" and \"entry\"")]
pub struct ClaimWire {
    /// The proof.
    #[serde(deserialize_with = "at_most::<_, _, PROOF_ENTRIES_MAX>")]
    pub entries: Vec<EntryWire>,
    /// The claiming entry.
    pub entry: String,
}

/// `POST blogs/NAME/restore` answers (SPEC http 2.8).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RestoredWire {
    /// Entries that were new.
    pub taken: usize,
    /// Entries that were here.
    pub known: usize,
    /// Media to send first; then the same batch again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_media: Vec<String>,
}

/// `GET heads` (SPEC http 3.2).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HeadsWire {
    /// By blog, its durable tips.
    pub blogs: BTreeMap<String, Vec<TipWire>>,
    /// By blog, the epoch in which its copy here has settled.
    #[serde(default)]
    pub epochs: BTreeMap<String, u64>,
    /// The receipts that this node has signed for them.
    #[serde(default)]
    pub receipts: Vec<SignedWire>,
}

/// An entry that was accepted and stands outside the log until its author decides (SPEC http 2.12).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfferWire {
    /// Its id.
    pub id: String,
    /// Its sequence.
    pub sequence: u64,
    /// Its kind.
    pub kind: String,
    /// The spoke that had accepted it, or gave it on.
    pub giver: String,
    /// Media that nobody has brought with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_media: Vec<String>,
    /// As its author signed it.
    pub entry: EntryWire,
}

/// `GET blogs/NAME/offers` (SPEC http 2.12).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OffersWire {
    /// Parents first.
    pub offers: Vec<OfferWire>,
    /// Those that the author has answered and others follow: without them nobody could judge these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<EntryWire>,
}

/// Entries in one message of those that give offers back: some times what a primary keeps for others.
pub const GIVEN_MAX: usize = 256;

/// `POST blogs/NAME/offers` (SPEC http 3.8).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(expecting = "an object with \"entries\"")]
pub struct GivingWire {
    /// Parents first.
    #[serde(deserialize_with = "at_most::<_, _, GIVEN_MAX>")]
    pub entries: Vec<EntryWire>,
}

/// What a spoke has of a blog that its primary may lack (SPEC http 3.9).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeftWire {
    /// Whether its copy was compared with the epoch that was asked for.
    pub settled: bool,
    /// Whether it has a copy at all.
    pub holds: bool,
    /// What it keeps apart.
    #[serde(deserialize_with = "at_most::<_, _, PROOF_ENTRIES_MAX>")]
    pub entries: Vec<EntryWire>,
}

/// What became of what was given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GivenWire {
    /// What is in the log, or answered by its author: it need not be kept any more.
    pub done: Vec<String>,
}

/// Several receipts (SPEC http 2.9, 3.3).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(expecting = "an object with \"receipts\"")]
pub struct ReceiptsWire {
    /// The open epoch, where a blog was asked for.
    #[serde(default)]
    pub epoch: u64,
    /// The set, where a blog was asked for.
    #[serde(default)]
    pub members: Vec<String>,
    /// The receipts.
    #[serde(deserialize_with = "at_most::<_, _, STATEMENTS_MAX>")]
    pub receipts: Vec<SignedWire>,
    /// What a member serves to readers (SPEC receipt 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<SignedWire>,
}

/// Seals and receipts of sets that are changing (SPEC http 3.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatementsWire {
    /// The statements.
    #[serde(deserialize_with = "at_most::<_, _, STATEMENTS_MAX>")]
    pub statements: Vec<SignedWire>,
}

/// The registry's log from one place on (SPEC http 3.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogWire {
    /// The records.
    pub records: Vec<RecordWire>,
    /// How many there are in all.
    pub records_in_all: u64,
    /// Whether a majority of the council stood behind that when it was asked.
    #[serde(default)]
    pub confirmed: bool,
    /// The hash of the last record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

/// What became of a request (SPEC http 3.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TakenWire {
    /// The record's place.
    pub index: u64,
    /// Its time.
    pub time: String,
}

/// A post of a list of the latest ones, between nodes (SPEC http 3.4).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadlineWire {
    /// By which the list knows it.
    pub number: u64,
    /// The blog.
    pub blog: String,
    /// The article, by its first version.
    pub article: String,
    /// Its current version.
    pub entry: String,
    /// The entry that the blog's title is from.
    pub titled_by: String,
    /// The entry that the blog's language is from.
    pub spoken_by: String,
    /// The `keys` entries of the blog.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// All of these entries, and entry 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proof: Vec<EntryWire>,
}

/// What is new in a list of the latest posts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LatestWire {
    /// Behind which to ask next.
    pub cursor: String,
    /// How old the oldest part of the list is.
    pub age_seconds: u64,
    /// The numbers of all posts that it has.
    pub shown: Vec<u64>,
    /// Those behind the cursor that was asked for.
    pub added: Vec<HeadlineWire>,
}

/// What a member of a blog's set says of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StandingOfPostWire {
    /// `current`, the current version of a post; `erased`; or `other`.
    pub standing: String,
    /// Of a current version, how it is shown, without proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<HeadlineWire>,
}

/// Whether a list of the latest posts has an entry.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct HasWire {
    /// Whether it does.
    pub has: bool,
}

/// A post of the front page, for programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as spokes_rules::front::Headline")]
pub struct PostWire {
    pub blog: String,
    pub name: String,
    pub blog_title: String,
    pub article: String,
    pub entry: String,
    pub date: String,
    pub title: Option<String>,
    pub language: String,
    pub tags: Vec<String>,
    pub excerpt: String,
    /// Where it can be read.
    pub url: String,
}

/// The posts of the front page, for programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FrontWire {
    /// How old the oldest part of this is.
    pub age_seconds: u64,
    /// Newest first.
    pub headlines: Vec<PostWire>,
}

/// An error for programs (RFC 9457).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Problem {
    /// One word for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// A few words for people.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// A sentence: what happened, what is safe, what to do.
    #[serde(default)]
    pub detail: String,
    /// Behind which to sign again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<HeadTipWire>,
    /// What to send first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Whose slug it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Who has room instead.
    #[serde(default, skip_serializing_if = "nobody")]
    pub others: Box<[OtherWire]>,
}

fn nobody(others: &[OtherWire]) -> bool {
    others.is_empty()
}

/// A spoke that does what another one does not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OtherWire {
    /// Its label.
    pub label: String,
    /// Its writing desk.
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned>(json: &str, expected: &str) {
        let said = read::<T>(json.as_bytes()).err().unwrap_or_default();
        assert!(said.contains(expected), "{json}: {said}");
        let ours = ["Wire", "struct", "u64", "usize", "::"];
        assert!(ours.iter().all(|word| !said.contains(word)), "{said}");
    }

    #[test]
    fn who_sends_other_json_hears_of_the_json() {
        check::<EntryWire>("7", "an entry with \"text\"");
        check::<EntryWire>("[]", "an entry with \"text\"");
        check::<EntryWire>("{\"text\":\"\"}", "missing field `signatures`");
        check::<EntriesWire>("{\"entries\":[7]}", "an entry with");
        check::<EntriesWire>("{\"entries\":{}}", "a list of at most 20000");
        check::<RequestWire>("{\"signed\":\"\"}", "a signed text with");
        check::<TipWire>("{\"sequence\":\"x\"}", "a number from 0 on");
        check::<ReceiptsWire>("{\"receipts\":[]", "ends too early");
        check::<ReceiptsWire>("{]", "this is not JSON, from line 1, column 2 on");
    }

    #[test]
    fn lists_are_read_to_their_limit() {
        let entry = |signatures: usize| {
            let list = vec!["\"\""; signatures].join(",");
            format!("{{\"text\":\"\",\"signatures\":[{list}]}}")
        };
        assert!(read::<EntryWire>(entry(SIGNATURES_MAX).as_bytes()).is_ok());
        check::<EntryWire>(&entry(SIGNATURES_MAX + 1), "longer than 64, its limit");
    }
}
