//! Signing in to a spoke: a text that the author signs, for one spoke, once, and soon (SPEC http 5).

use alloc::string::String;
use core::fmt;

use spokes_log::{
    name::{Hash, Salt},
    text::{self, Headers, Malformed},
    time::Time,
};

use crate::{
    node::Label,
    receipt::{end, version},
};

/// How long an answer may take: to find a terminal and a passphrase, not to be found later.
pub const ANSWER_SECONDS: i64 = 600;
/// How far a challenge's time may lie ahead: it is of the clock that reads it, unless that was set back.
const AHEAD_SECONDS: i64 = 60;

/// What an author signs to sign in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// The network.
    pub network: Hash,
    /// The spoke.
    pub spoke: Label,
    /// What must stand in the address line of the author's browser.
    pub address: String,
    /// When the spoke wrote it.
    pub issued: Time,
    /// What makes it the only one of its kind.
    pub nonce: Salt,
    /// What only that spoke can make from the lines above.
    pub proof: Hash,
}

/// Why an answer signs nobody in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is for another network.
    OtherNetwork,
    /// It is for another spoke.
    OtherSpoke(Label),
    /// This spoke did not write it.
    NotOurs,
    /// It came too late.
    Expired,
    /// Its time lies ahead.
    Early,
}

impl Challenge {
    /// A new challenge; `secret` never leaves the spoke.
    pub fn new(
        network: Hash,
        spoke: Label,
        address: String,
        issued: Time,
        nonce: Salt,
        secret: &[u8; 32],
    ) -> Self {
        let mut challenge = Self {
            network,
            spoke,
            address,
            issued,
            nonce,
            proof: Hash::of(&[]),
        };
        challenge.proof = challenge.proof_by(secret);
        challenge
    }

    /// Reads a challenge.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC http 5.1 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Sign-In")?;
        let challenge = Self {
            network: headers.required("Network")?,
            spoke: headers.required("Spoke")?,
            address: headers.required("Address")?,
            issued: headers.required("Issued")?,
            nonce: headers.required("Nonce")?,
            proof: headers.required("Proof")?,
        };
        end(&mut headers)?;
        Ok(challenge)
    }

    /// Judges a challenge that was signed; that it was not used before is the caller's to know.
    ///
    /// # Errors
    /// The first thing that is wrong, what a person can see first.
    pub fn judge(
        &self,
        now: Time,
        network: Hash,
        me: &Label,
        secret: &[u8; 32],
    ) -> Result<(), Refusal> {
        if self.network != network {
            return Err(Refusal::OtherNetwork);
        }
        if self.spoke != *me {
            return Err(Refusal::OtherSpoke(self.spoke.clone()));
        }
        if self.proof != self.proof_by(secret) {
            return Err(Refusal::NotOurs);
        }
        match now.since(self.issued) {
            ..=ANSWER_SECONDS if now.since(self.issued) < -AHEAD_SECONDS => Err(Refusal::Early),
            ..=ANSWER_SECONDS => Ok(()),
            _ => Err(Refusal::Expired),
        }
    }

    /// The hash of a hash, so that nobody can go on from the one that is shown.
    fn proof_by(&self, secret: &[u8; 32]) -> Hash {
        let lines = alloc::format!("{}", Lines(self));
        let inner = Hash::of_parts([secret, lines.as_bytes()]);
        Hash::of_parts([secret, inner.as_bytes()])
    }
}

/// The lines that the proof is over.
struct Lines<'a>(&'a Challenge);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.0;
        write!(f, "Spokes-Sign-In: 1\nNetwork: {}", c.network)?;
        write!(f, "\nSpoke: {}\nAddress: {}", c.spoke, c.address)?;
        write!(f, "\nIssued: {}\nNonce: {}", c.issued, c.nonce)
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nProof: {}", Lines(self), self.proof)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    const SECRET: [u8; 32] = [7; 32];
    const START: i64 = 1_795_442_700;

    fn challenge() -> Challenge {
        Challenge::new(
            Hash::of(b"network"),
            Label::parse("oak").expect("a label"),
            "https://oak.spoke.blogs.example.org".into(),
            Time::from_unix(START),
            Salt::from_bytes([1; 16]),
            &SECRET,
        )
    }

    fn judged(challenge: &Challenge, after: i64) -> Result<(), Refusal> {
        let me = Label::parse("oak").expect("a label");
        challenge.judge(
            Time::from_unix(START + after),
            Hash::of(b"network"),
            &me,
            &SECRET,
        )
    }

    #[test]
    fn what_is_printed_is_read_and_good_for_ten_minutes() {
        let challenge = challenge();
        assert_eq!(
            Challenge::parse(challenge.to_string().as_bytes()),
            Ok(challenge.clone())
        );
        assert_eq!(judged(&challenge, 0), Ok(()));
        assert_eq!(judged(&challenge, ANSWER_SECONDS), Ok(()));
        assert_eq!(
            judged(&challenge, ANSWER_SECONDS + 1),
            Err(Refusal::Expired)
        );
        assert_eq!(judged(&challenge, -AHEAD_SECONDS - 1), Err(Refusal::Early));
    }

    #[test]
    fn whoever_changes_a_line_breaks_the_proof() {
        let ours = challenge();
        for (from, to) in [
            ("Issued: 2026", "Issued: 2027"),
            ("Nonce: 01", "Nonce: 02"),
            ("Address: https", "Address: http"),
        ] {
            let text = ours.to_string().replace(from, to);
            let changed = Challenge::parse(text.as_bytes()).expect("still a challenge");
            assert_ne!(changed, ours);
            assert_eq!(judged(&changed, 0), Err(Refusal::NotOurs), "{to}");
        }
        let other = Challenge {
            spoke: Label::parse("ash").expect("a label"),
            ..ours.clone()
        };
        let said = Refusal::OtherSpoke(other.spoke.clone());
        assert_eq!(judged(&other, 0), Err(said));
        let other = Challenge {
            network: Hash::of(b"other"),
            ..ours
        };
        assert_eq!(judged(&other, 0), Err(Refusal::OtherNetwork));
    }
}
