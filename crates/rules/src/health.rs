//! Who is well: what observers see of a spoke, and what the registry makes of it (SPEC registry 3.17 to 3.19).
//!
//! A spoke is well while it serves a page with a receipt that it signed just now. Observers ask often and
//! speak seldom: they report only what has changed, and the registry takes only what a majority of them says.

use alloc::{string::String, vec::Vec};
use core::fmt;

use spokes_log::{
    name::{Hash, Salt},
    text::{self, Headers, Malformed, Value},
    time::Time,
};

use crate::{
    node::{Label, NodeKey, Signed},
    receipt::{end, version},
};

/// Who watches one spoke: enough that two of them may be dead or lie.
pub const OBSERVERS: usize = 5;
/// How often an observer asks. With the misses below a dead spoke is known within 12 seconds.
pub const PROBE_SECONDS: u64 = 3;
/// How long it waits for an answer: what takes longer helps no reader.
pub const ANSWER_SECONDS: u64 = 2;
/// Misses in a row after which a spoke counts as silent: longer than a restart takes.
pub const MISSES: u32 = 3;
/// Answers in a row after which it counts as well again.
pub const ANSWERS: u32 = 3;
/// How old a report may be when the registry reads it.
pub const REPORT_SECONDS_MAX: i64 = 120;
/// How long a spoke stays out of DNS at least when it has fallen once; twice as long with each fall.
pub const REST_SECONDS: i64 = 60;
/// The longest that it must stay out.
pub const REST_SECONDS_MAX: i64 = 600;
/// For how long a fall is remembered.
pub const FALLS_SECONDS: i64 = 3_600;
/// How often a spoke may say how much it has to do.
pub const LOAD_SECONDS: i64 = 60;

/// What an observer says of a spoke.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Says {
    /// It serves no page with a fresh receipt.
    Silent,
    /// It does.
    Answers,
}

/// What an observer signs (SPEC registry 3.17).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The network.
    pub network: Hash,
    /// Who says so: a spoke, or a node of the council.
    pub observer: Label,
    /// Of which spoke.
    pub of: Label,
    /// What.
    pub says: Says,
    /// When.
    pub time: Time,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Spokes-Request: 1\nKind: report\nNetwork: {}",
            self.network
        )?;
        write!(f, "\nObserver: {}\nSpoke: {}", self.observer, self.of)?;
        write!(f, "\nSays: {}\nTime: {}", self.says, self.time)
    }
}

impl Report {
    /// Reads a report's text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC registry 3.17 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Request")?;
        let line = headers.line();
        if headers.required::<String>("Kind")? != "report" {
            return Err(Malformed::rule(line, "this request is not a report"));
        }
        let report = Self {
            network: headers.required("Network")?,
            observer: headers.required("Observer")?,
            of: headers.required("Spoke")?,
            says: headers.required("Says")?,
            time: headers.required("Time")?,
        };
        end(&mut headers)?;
        Ok(report)
    }
}

impl Value for Says {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "silent" => Ok(Self::Silent),
            "answers" => Ok(Self::Answers),
            _ => Err("is neither \"silent\" nor \"answers\""),
        }
    }
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "silent",
            Self::Answers => "answers",
        })
    }
}

/// What a spoke still takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// New blogs, and entries of those it holds.
    New,
    /// Only entries of the blogs that it holds.
    Held,
    /// Nothing: its disk is full or fails. It only gives what it has.
    Nothing,
}

impl Value for Takes {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "new" => Ok(Self::New),
            "held" => Ok(Self::Held),
            "nothing" => Ok(Self::Nothing),
            _ => Err("is none of \"new\", \"held\" and \"nothing\""),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Held => "held",
            Self::Nothing => "nothing",
        })
    }
}

/// How much of what it can do a spoke does: 1 (little) to 4 (all of it).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Load(u8);

impl Load {
    /// Little.
    pub const LOW: Self = Self(1);
    /// All it can.
    pub const FULL: Self = Self(4);

    /// A step.
    ///
    /// # Errors
    /// When it is not from 1 to 4.
    pub fn new(step: u8) -> Result<Self, &'static str> {
        if (1..=4).contains(&step) {
            Ok(Self(step))
        } else {
            Err("is not a step from 1 to 4")
        }
    }

    /// Its number.
    pub fn step(self) -> u8 {
        self.0
    }
}

impl Value for Load {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let step = <u64 as Value>::parse(text)?;
        Self::new(u8::try_from(step).unwrap_or_default())
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a spoke signs for whoever asks with a nonce: that it serves these bytes now (SPEC receipt 8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Served {
    /// The network.
    pub network: Hash,
    /// Who serves.
    pub spoke: Label,
    /// What the asker wants to see in it.
    pub nonce: Salt,
    /// The hash of the page's bytes, as they were sent.
    pub body: Hash,
    /// When.
    pub time: Time,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spokes-Served: 1\nNetwork: {}", self.network)?;
        write!(f, "\nSpoke: {}\nNonce: {}", self.spoke, self.nonce)?;
        write!(f, "\nBody: {}\nTime: {}", self.body, self.time)
    }
}

impl Served {
    /// Reads the text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC receipt 8 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Served")?;
        let served = Self {
            network: headers.required("Network")?,
            spoke: headers.required("Spoke")?,
            nonce: headers.required("Nonce")?,
            body: headers.required("Body")?,
            time: headers.required("Time")?,
        };
        end(&mut headers)?;
        Ok(served)
    }

    /// Whether a signed text says that this spoke has just served these bytes to whoever made the nonce. Its
    /// clock does not matter: the nonce is fresh.
    pub fn is_fresh(
        signed: &Signed,
        key: NodeKey,
        network: Hash,
        of: &Label,
        nonce: Salt,
        body: Hash,
    ) -> bool {
        let Ok(served) = Self::parse(signed.text.as_bytes()) else {
            return false;
        };
        let fits = served.network == network
            && served.spoke == *of
            && served.nonce == nonce
            && served.body == body;
        fits && signed.key == key && signed.is_good()
    }
}

/// How one observer sees one spoke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    opinion: Says,
    /// Looks in a row that spoke against it.
    against: u32,
}

impl Watch {
    /// Who begins to watch thinks what the registry says, until it has seen otherwise: else a new observer of a
    /// dead spoke would say at once that it answers.
    pub fn new(opinion: Says) -> Self {
        Self {
            opinion,
            against: 0,
        }
    }

    /// What the last look saw; gives the new opinion where it has changed.
    pub fn look(&mut self, saw: Says) -> Option<Says> {
        if saw == self.opinion {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let enough = match saw {
            Says::Silent => MISSES,
            Says::Answers => ANSWERS,
        };
        if self.against < enough {
            return None;
        }
        *self = Self {
            opinion: saw,
            against: 0,
        };
        Some(saw)
    }

    /// The observer itself stood still, or cannot reach anybody: what it saw lately says nothing.
    pub fn was_away(&mut self) {
        self.against = 0;
    }

    /// What it thinks.
    pub fn opinion(&self) -> Says {
        self.opinion
    }
}

/// What the registry knows of a spoke's health.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// Since when it is silent.
    pub down: Option<Time>,
    /// When it last changed.
    pub changed: Time,
    /// When it fell, within [`FALLS_SECONDS`].
    pub(crate) falls: Vec<Time>,
}

impl Health {
    /// Well since then.
    pub(crate) fn new(since: Time) -> Self {
        Self {
            down: None,
            changed: since,
            falls: Vec::new(),
        }
    }

    /// It is silent from now on.
    pub(crate) fn fall(&mut self, now: Time) {
        self.falls.retain(|fall| now.since(*fall) < FALLS_SECONDS);
        self.falls.push(now);
        self.down = Some(now);
        self.changed = now;
    }

    /// It answers again.
    pub(crate) fn rise(&mut self, now: Time) {
        self.down = None;
        self.changed = now;
    }

    /// How long it stays out of DNS, from its last fall: who falls often stays out longer, so that readers
    /// are not sent back and forth.
    pub fn rest_seconds(&self) -> i64 {
        let falls = u32::try_from(self.falls.len()).unwrap_or(u32::MAX);
        let times = 1_i64
            .checked_shl(falls.saturating_sub(1))
            .unwrap_or(i64::MAX);
        REST_SECONDS
            .saturating_mul(times.max(1))
            .min(REST_SECONDS_MAX)
    }

    /// When it may be well again; none where it is.
    pub fn rests_until(&self) -> Option<Time> {
        Some(after(self.down?, self.rest_seconds()))
    }
}

fn after(time: Time, seconds: i64) -> Time {
    Time::from_unix(time.as_unix().saturating_add(seconds))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::node::NodeSecret;

    const NOW: Time = Time::from_unix(1_795_442_700);

    fn label(text: &str) -> Label {
        Label::parse(text).expect("a label")
    }

    #[test]
    fn what_is_printed_is_read() {
        let report = Report {
            network: Hash::of(b"network"),
            observer: label("ash"),
            of: label("oak"),
            says: Says::Silent,
            time: NOW,
        };
        let read = Report::parse(report.to_string().as_bytes());
        assert_eq!(read, Ok(report.clone()));
        assert!(Report::parse(alloc::format!("{report}\nMore: x").as_bytes()).is_err());
        assert!(crate::receipt::Seal::parse(report.to_string().as_bytes()).is_err());
        assert!(Load::parse("0").is_err() && Load::parse("5").is_err());
        assert_eq!(Load::parse("4"), Ok(Load::FULL));
    }

    #[test]
    fn a_receipt_is_fresh_only_for_who_asked() {
        let secret = NodeSecret::from_seed(&[7; 32]);
        let served = Served {
            network: Hash::of(b"network"),
            spoke: label("oak"),
            nonce: Salt::from_bytes([1; 16]),
            body: Hash::of(b"page"),
            time: NOW,
        };
        let signed = Signed::new(&secret, &served);
        let fresh = |key, of: &str, nonce, body: &[u8]| {
            let nonce = Salt::from_bytes([nonce; 16]);
            Served::is_fresh(
                &signed,
                key,
                served.network,
                &label(of),
                nonce,
                Hash::of(body),
            )
        };
        assert!(fresh(secret.key(), "oak", 1, b"page"));
        assert!(!fresh(secret.key(), "ash", 1, b"page"), "another spoke");
        assert!(!fresh(secret.key(), "oak", 2, b"page"), "an old one");
        assert!(!fresh(secret.key(), "oak", 1, b"other"), "another page");
        let other = NodeSecret::from_seed(&[8; 32]).key();
        assert!(!fresh(other, "oak", 1, b"page"), "another key");
    }

    #[test]
    fn one_miss_is_no_death_and_one_answer_no_life() {
        let (miss, hit) = (Says::Silent, Says::Answers);
        assert_eq!(Watch::new(miss).opinion(), miss);
        let mut watch = Watch::new(hit);
        for _ in 0..10 {
            assert_eq!(watch.look(miss), None);
            assert_eq!(watch.look(miss), None);
            assert_eq!(watch.look(hit), None);
        }
        assert_eq!(watch.look(miss), None);
        assert_eq!(watch.look(miss), None);
        watch.was_away();
        assert_eq!(watch.look(miss), None);
        assert_eq!(watch.look(miss), None);
        assert_eq!(watch.look(miss), Some(Says::Silent));
        assert_eq!(watch.look(miss), None, "said once");
        assert_eq!(watch.look(hit), None);
        assert_eq!(watch.look(hit), None);
        assert_eq!(watch.look(hit), Some(Says::Answers));
    }

    #[test]
    fn who_falls_often_stays_out_longer() {
        let mut health = Health::new(NOW);
        assert_eq!(health.rests_until(), None);
        let mut now = NOW;
        let mut rests = Vec::new();
        for _ in 0..7 {
            health.fall(now);
            rests.push(health.rest_seconds());
            now = after(now, health.rest_seconds());
            health.rise(now);
        }
        assert_eq!(rests, [60, 120, 240, 480, 600, 600, 600]);
        health.fall(after(now, FALLS_SECONDS));
        assert_eq!(
            health.rest_seconds(),
            REST_SECONDS,
            "old falls are forgotten"
        );
    }
}
