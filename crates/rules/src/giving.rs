//! Who gives offers back: what a spoke signs with them for the blog's primary (SPEC receipt 6.7).

use alloc::{format, string::String};
use core::fmt;

use spokes_log::{
    name::{BlogId, Hash},
    text::{self, Headers, Malformed},
    time::Time,
};

use crate::{
    node::{Label, Signed},
    receipt::{end, version},
    record::Standing,
    registry::Registry,
};

/// How far clocks of spokes may differ, and how long what was seen on its way can be sent again.
const CLOCK_SECONDS: i64 = 5 * 60;

/// What a giver signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Giving {
    /// The network.
    pub network: Hash,
    /// Who gives.
    pub spoke: Label,
    /// When.
    pub time: Time,
    /// The blog whose entries they are.
    pub blog: BlogId,
    /// The hash of the message with them.
    pub body: Hash,
}

impl fmt::Display for Giving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spokes-Giving: 1\nNetwork: {}", self.network)?;
        write!(f, "\nSpoke: {}\nTime: {}", self.spoke, self.time)?;
        write!(f, "\nBlog: {}\nBody: {}", self.blog, self.body)
    }
}

impl Giving {
    /// Reads the text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC receipt 6.7 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Giving")?;
        let giving = Self {
            network: headers.required("Network")?,
            spoke: headers.required("Spoke")?,
            time: headers.required("Time")?,
            blog: headers.required("Blog")?,
            body: headers.required("Body")?,
        };
        end(&mut headers)?;
        Ok(giving)
    }

    /// What a text says, if a spoke that is or was of this network signed it just now. One that was barred
    /// still has what authors gave it.
    ///
    /// # Errors
    /// Why nothing is taken.
    pub fn check(now: Time, registry: &Registry, signed: &Signed) -> Result<Self, String> {
        let giving = Self::parse(signed.text.as_bytes()).map_err(|e| format!("{e}"))?;
        let spoke = registry.spoke(&giving.spoke);
        let served = spoke.filter(|spoke| !matches!(spoke.standing, Standing::Applied { .. }));
        let is_its = served.is_some_and(|spoke| spoke.key == signed.key) && signed.is_good();
        if giving.network != registry.network() || !is_its {
            return Err("no spoke of this network signed it".into());
        }
        let age = now.since(giving.time);
        if !(-CLOCK_SECONDS..=CLOCK_SECONDS).contains(&age) {
            return Err(format!(
                "it is from {}, and it is {now} here: more than five minutes",
                giving.time
            ));
        }
        Ok(giving)
    }
}
