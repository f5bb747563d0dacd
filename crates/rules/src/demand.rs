//! Demand: how many more replicas a blog's readers need (SPEC registry 3.25).
//!
//! Readers are at the secondaries, the primary decides. Each member counts what it serves of a blog, no more
//! than that, and tells the primary its rate in a signed text when it is high.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use spokes_log::{
    name::{BlogId, Hash},
    text::{self, Headers, Malformed, Value},
    time::Time,
};

use crate::{
    node::{Label, Signed},
    receipt::{end, version},
    record::{BlogRecord, DEMAND_MAX},
    registry::Registry,
    request::Policy,
};

/// Blogs of one text: more than ever are in demand at once on one spoke.
pub const RATES_MAX: usize = 1_000;
/// How long a rate counts: members say theirs again within it as long as it is high.
pub const RATE_SECONDS: i64 = 60;
/// How far clocks of members may differ.
const CLOCK_SECONDS: i64 = 5 * 60;
/// One measurement counts for a quarter: with one each five seconds a rush is seen within half a minute.
const SMOOTHED_OVER: u64 = 4;

/// What one spoke serves of one blog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// The blog.
    pub blog: BlogId,
    /// Requests a minute.
    pub per_minute: u64,
}

impl Value for Rate {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "is not a blog's id and how many requests a minute";
        let (blog, per_minute) = text.split_once(' ').ok_or(SHAPE)?;
        Ok(Self {
            blog: Hash::parse(blog).map_err(|_| SHAPE)?,
            per_minute: <u64 as Value>::parse(per_minute)?,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.blog, self.per_minute)
    }
}

/// What a member signs for the primary (SPEC receipt 7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rates {
    /// The network.
    pub network: Hash,
    /// Who serves.
    pub spoke: Label,
    /// When.
    pub time: Time,
    /// What.
    pub rates: Vec<Rate>,
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spokes-Rates: 1\nNetwork: {}", self.network)?;
        write!(f, "\nSpoke: {}\nTime: {}", self.spoke, self.time)?;
        let mut rates = self.rates.iter();
        rates.try_for_each(|rate| write!(f, "\nRate: {rate}"))
    }
}

impl Rates {
    /// Reads the text.
    ///
    /// # Errors
    /// Names the first line that is not as SPEC receipt 7 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut headers = Headers::new(text::check(bytes)?, 1)?;
        version(&mut headers, "Spokes-Rates")?;
        let rates = Self {
            network: headers.required("Network")?,
            spoke: headers.required("Spoke")?,
            time: headers.required("Time")?,
            rates: headers.repeated("Rate", RATES_MAX)?,
        };
        end(&mut headers)?;
        Ok(rates)
    }

    /// What a text says, if a spoke of this network signed it just now.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn check(now: Time, registry: &Registry, signed: &Signed) -> Result<Self, String> {
        let rates = Self::parse(signed.text.as_bytes()).map_err(|e| alloc::format!("{e}"))?;
        let spoke = registry.spoke(&rates.spoke).filter(|s| s.is_admitted());
        let is_its = spoke.is_some_and(|spoke| spoke.key == signed.key) && signed.is_good();
        let age = now.since(rates.time);
        if rates.network != registry.network() || !is_its {
            return Err("no spoke of this network signed these rates".into());
        }
        if !(-CLOCK_SECONDS..=CLOCK_SECONDS).contains(&age) {
            return Err("these rates are old".into());
        }
        Ok(rates)
    }
}

/// The rate behind another one, after so many requests in so many milliseconds.
pub fn smoothed(before: u64, served: u64, millis: u64) -> u64 {
    let now = served.saturating_mul(60_000) / millis.max(1);
    if now >= before {
        before + (now - before).div_ceil(SMOOTHED_OVER)
    } else {
        before - (before - now).div_ceil(SMOOTHED_OVER)
    }
}

/// From which rate on a member tells the primary: several of them may make a rush of little each.
pub fn worth_telling(policy: &Policy) -> u64 {
    (policy.readers_per_second.saturating_mul(60) / 4).max(1)
}

/// What the primary of a blog knows of its readers.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Readers {
    /// What each member serves a minute, and when it said so.
    rates: BTreeMap<Label, (Time, u64)>,
    quiet: Option<Quiet>,
}

/// A time in which fewer replicas would do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Quiet {
    since: Time,
    /// How many there are more than usual.
    has: u64,
    /// The most that were needed since.
    most: u64,
}

impl Readers {
    /// A member of the set says what it serves.
    pub fn hear(&mut self, now: Time, from: Label, per_minute: u64) {
        self.rates.insert(from, (now, per_minute));
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.quiet.is_none()
    }

    /// How many more replicas the primary should ask for now; none when it is well so, or may not ask yet.
    ///
    /// Up at once: readers wait. Down only when it was quiet for long. However many requests a member
    /// says it has, they bring no more than [`DEMAND_MAX`].
    pub fn wants(&mut self, now: Time, blog: &BlogRecord, policy: &Policy) -> Option<u64> {
        self.rates
            .retain(|label, (said, _)| blog.set.has(label) && now.since(*said) <= RATE_SECONDS);
        let rates = self.rates.values().map(|(_, rate)| *rate);
        let total = rates.fold(0_u64, u64::saturating_add);
        let has = blog.demand.more;
        let (needed, with_band) = (
            more_for(total, blog, policy),
            // Fewer would do only when half as many readers again would still be served.
            more_for(total.saturating_add(total / 2), blog, policy),
        );
        let seconds = i64::try_from(policy.demand_seconds).unwrap_or(i64::MAX);
        let since = blog.demand.since;
        let may = since.is_none_or(|since| now.since(since) >= seconds);
        if needed > has {
            self.quiet = None;
            return may.then_some(needed);
        }
        if with_band >= has {
            self.quiet = None;
            return None;
        }
        // When some have gone, it must be quiet again for as long before others go.
        let quiet = self.quiet.filter(|quiet| quiet.has == has);
        let (since, most) = quiet.map_or((now, 0), |quiet| (quiet.since, quiet.most));
        let most = most.max(with_band);
        self.quiet = Some(Quiet { since, has, most });
        (may && now.since(since) >= seconds).then_some(most)
    }
}

/// How many replicas beside the usual ones so many requests a minute need.
fn more_for(per_minute: u64, blog: &BlogRecord, policy: &Policy) -> u64 {
    // Readers are sent to the secondaries where there are any.
    let replicas = blog.replicas.unwrap_or(policy.replicas);
    let usual = replicas.saturating_sub(1).max(1);
    let each = policy.readers_per_second.saturating_mul(60).max(1);
    per_minute
        .div_ceil(each)
        .saturating_sub(usual)
        .min(DEMAND_MAX)
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, format, string::ToString as _};

    use spokes_log::name::{BlogName, Fingerprint};

    use super::*;
    use crate::record::{Demand, Holders, Set};

    const NOW: Time = Time::from_unix(1_795_442_700);
    const POLICY: fn() -> Policy = Policy::default;

    fn label(text: &str) -> Label {
        Label::parse(text).expect("a label")
    }

    fn at(seconds: i64) -> Time {
        Time::from_unix(NOW.as_unix() + seconds)
    }

    fn blog(demand: Demand) -> BlogRecord {
        let members = ["a", "b", "c"].map(label).into();
        let id = Hash::of(b"blog");
        BlogRecord {
            name: BlogName::parse("maria").expect("a name"),
            author: Fingerprint::parse(&"A".repeat(40)).expect("a fingerprint"),
            set: Set { epoch: 1, members },
            closing: None,
            covered: BTreeSet::new(),
            shortfall: None,
            keys_at: id,
            ended: BTreeSet::new(),
            since: NOW,
            holders: Holders::default(),
            replicas: None,
            demand,
            home: None,
            homed: None,
            forced: None,
        }
    }

    /// Tells a story: "b:200@5" is b's rate a second at a time; what is wanted is granted.
    #[track_caller]
    fn check(story: &str, expected: &str) {
        let (mut readers, mut demand) = (Readers::default(), Demand::default());
        let mut told = Vec::new();
        for word in story.split(' ') {
            let (says, when) = word.split_once('@').expect("when");
            let now = at(when.parse().expect("a number"));
            if let Some((who, rate)) = says.split_once(':') {
                let rate: u64 = rate.parse().expect("a number");
                readers.hear(now, label(who), rate * 60);
            }
            if let Some(more) = readers.wants(now, &blog(demand), &POLICY()) {
                demand = Demand {
                    more,
                    since: Some(now),
                };
                told.push(format!("{more}@{when}"));
            }
        }
        assert_eq!(told.join(" "), expected, "{story}");
    }

    #[test]
    fn a_rush_brings_copies_at_once_and_they_go_when_it_was_quiet_for_long() {
        check("b:40@0 c:50@0", "");
        check("b:60@0 c:60@0", "1@0");
        check("b:60@0 c:60@0 -@70 -@600 -@669 -@670 -@700", "1@0 0@670");
        // It is not quiet as long as it comes again.
        check(
            "b:120@0 -@70 b:120@500 -@570 -@700 -@1169 -@1170",
            "1@0 0@1170",
        );
    }

    #[test]
    fn copies_go_as_they_are_not_needed_and_not_all_at_once() {
        // With 100 a second and half as many again there is still one needed.
        let story = "b:220@0 b:100@600 b:100@650 b:9@700 -@1199 -@1200 -@1300 -@1799 -@1805 -@1900";
        check(story, "3@0 1@1200 0@1900");
    }

    #[test]
    fn what_is_on_the_edge_stays() {
        // 120 a second need one more, and so do 99, with half as many again.
        check("b:120@0 b:99@650 b:99@1300 b:99@2000", "1@0");
        check(
            "b:120@0 b:66@650 b:66@700 b:66@1249 b:66@1250",
            "1@0 0@1250",
        );
    }

    #[test]
    fn a_liar_brings_no_more_than_the_most_and_a_stranger_nothing() {
        check("b:999999999999@0 c:10@1 b:999999999999@700", "4@0");
        check("d:900@0 d:900@10", "");
    }

    #[test]
    fn between_two_changes_there_is_time() {
        check("b:120@0 b:220@10 b:220@599 b:220@600", "1@0 3@600");
    }

    #[test]
    fn a_rate_follows_what_is_served() {
        let mut rate = 0;
        for _ in 0..5 {
            rate = smoothed(rate, 500, 5_000);
        }
        assert!((4_500..6_000).contains(&rate), "{rate}");
        for _ in 0..40 {
            rate = smoothed(rate, 0, 5_000);
        }
        assert_eq!(rate, 0);
    }

    #[test]
    fn what_is_printed_is_read_up_to_its_limit() {
        let rate = Rate {
            blog: Hash::of(b"blog"),
            per_minute: 7,
        };
        let rates = |count| Rates {
            network: Hash::of(b"network"),
            spoke: label("oak"),
            time: NOW,
            rates: (0..count)
                .map(|n| Rate {
                    blog: Hash::of(&usize::to_le_bytes(n)),
                    ..rate
                })
                .collect(),
        };
        let most = rates(RATES_MAX);
        assert_eq!(Rates::parse(most.to_string().as_bytes()), Ok(most));
        assert!(Rates::parse(rates(RATES_MAX + 1).to_string().as_bytes()).is_err());
        assert!(Rates::parse(format!("{}\nMore: x", rates(1)).as_bytes()).is_err());
        assert!(Rate::parse("sha256:x 7").is_err() && Rate::parse("7").is_err());
    }
}
