//! Bringing a signed entry to its blog: to the primary, past it when it is silent or refuses, and
//! what the answers mean (SPEC http 2.5).

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use spokes_log::{
    chain::Chain,
    name::{BlogId, BlogName, EntryId, Hash},
    seal::SealedEntry,
    text::Value as _,
};
use spokes_rules::{
    node::{Label, NodeKey, Signed},
    receipt::Receipt,
};
use tokio::time::sleep;

use crate::{
    author::{
        network::{Network, To, Trouble},
        state::Shelf,
        stop::Stop,
    },
    wire::{BlogWire, EntryWire, ReceiptsWire, SignedWire, StandingWire},
};

/// An entry is staged once for its media; a second time when one of them expired meanwhile.
const STAGED_MAX: usize = 3;
/// How often a busy node is asked again, and how long it may make us wait each time.
const BUSY_MAX: usize = 3;
/// A person waits at the other end.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);

/// The replicas whose receipts count.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    network: Hash,
    pub(crate) blog: BlogId,
    pub(crate) epoch: u64,
    pub(crate) primary: String,
    /// With the key that the roster lists, where we know it; otherwise any one key counts.
    labels: Vec<(Label, Option<NodeKey>)>,
}

/// How safe an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) held: usize,
    pub(crate) needed: usize,
    pub(crate) members: usize,
}

impl Count {
    pub(crate) fn is_safe(self) -> bool {
        self.held >= self.needed
    }

    /// How many hold it, for people.
    pub(crate) fn sentence(self) -> String {
        let Self {
            held,
            needed,
            members,
        } = self;
        match (self.is_safe(), members) {
            (true, 1) => "on one server, the only one of this blog".to_owned(),
            (true, _) => format!("safe on {held} of {members} spokes"),
            (false, _) => format!(
                "accepted, not yet safe: held by {held} of {members}, {needed} needed; it stays in \
                 your outbox, the same command resumes it"
            ),
        }
    }
}

impl Members {
    pub(crate) fn read(network: Hash, wire: &BlogWire) -> Result<Self, Stop> {
        let strange = |why: &str| Stop::Refused(format!("what the network says of the blog {why}"));
        let labels = wire
            .members
            .iter()
            .map(|member| {
                // An older node gives no key; then any one key counts for a label.
                let key = NodeKey::parse(&member.key).ok();
                Label::parse(&member.label).map(|label| (label, key))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(strange)?;
        if labels.is_empty() {
            return Err(strange("names no spoke that holds it"));
        }
        Ok(Self {
            network,
            blog: Hash::parse(&wire.blog).map_err(strange)?,
            epoch: wire.epoch,
            primary: wire.primary.clone(),
            labels,
        })
    }

    /// The labels, the primary's first.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|(label, _)| label.as_str())
    }

    /// Counts the members whose receipts cover an entry: each label once, and each key once,
    /// because one machine that calls itself by two names is one machine.
    pub(crate) fn count(
        &self,
        chain: &Chain,
        entry: EntryId,
        receipts: &[Signed],
    ) -> (Count, Vec<Signed>) {
        let (mut labels, mut keys, mut good) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for signed in receipts {
            let Ok(receipt) = Receipt::check(signed.clone()) else {
                continue;
            };
            let held = &receipt.held;
            let member = self.labels.iter().find(|(label, _)| *label == held.spoke);
            let is_theirs = member.is_some_and(|(_, key)| key.is_none_or(|key| key == signed.key));
            let is_ours = held.network == self.network && held.blog == self.blog;
            let covers = held.tip.id == entry || chain.reaches(held.tip.id, entry);
            let counts = is_theirs && is_ours && covers && held.epoch == self.epoch;
            if counts && !labels.contains(&held.spoke) && keys.insert(signed.key) {
                labels.insert(held.spoke.clone());
                good.push(signed.clone());
            }
        }
        let members = self.labels.len();
        let count = Count {
            held: labels.len(),
            needed: members / 2 + 1,
            members,
        };
        (count, good)
    }
}

/// What became of an entry.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A majority holds it; with the receipts.
    Safe(Count, Vec<Signed>),
    /// The blog has it, too few hold it yet.
    Accepted(Count),
    /// The log has gone on since it was signed.
    Stale,
    /// Nobody takes it as it is.
    Refused(String),
    /// Its words were taken back meanwhile.
    Erased(String),
    /// Not now: it waits, and whatever comes after it too.
    Later(String),
}

/// Carries entries of one blog.
pub(crate) struct Courier<'a> {
    pub(crate) network: &'a Network,
    pub(crate) name: &'a BlogName,
    /// Which door took the last entry, so that the next one does not wait at a closed one again.
    door: &'a Cell<usize>,
}

/// What one door said.
enum Said {
    Taken(StandingWire),
    Final(Outcome),
    /// Another door may say otherwise.
    Refused(String),
    /// Another door, or this one later.
    Later(String),
}

impl<'a> Courier<'a> {
    pub(crate) fn new(network: &'a Network, name: &'a BlogName, door: &'a Cell<usize>) -> Self {
        Self {
            network,
            name,
            door,
        }
    }

    /// Brings an entry, its media and what the blog lacks before it.
    pub(crate) async fn bring(
        &self,
        sealed: &SealedEntry,
        members: &Members,
        shelf: &Shelf,
        known: &dyn Fn(EntryId) -> Option<SealedEntry>,
    ) -> Result<(StandingWire, usize), Outcome> {
        let primary = members.primary.as_str();
        let mut doors = vec![(To::Edit(self.name), None)];
        let others = members.labels().filter(|label| *label != primary);
        doors.extend(others.map(|label| (To::Spoke(label), Some(primary))));
        // A resolver may remember for a while who was the primary before.
        doors.push((To::Spoke(primary), None));
        let mut refusals = Vec::new();
        let mut silences = Vec::new();
        for turn in 0..doors.len() {
            let door = (self.door.get() + turn) % doors.len();
            let (to, refused_by) = doors[door];
            match self.offer(to, refused_by, sealed, shelf, known).await {
                Said::Taken(standing) => {
                    self.door.set(door);
                    return Ok((standing, door));
                }
                Said::Final(outcome) => return Err(outcome),
                Said::Refused(why) => refusals.push(why),
                Said::Later(why) => silences.push(why),
            }
        }
        Err(
            match (silences.into_iter().next(), refusals.into_iter().next()) {
                (Some(why), _) => Outcome::Later(why),
                (None, Some(why)) => Outcome::Refused(why),
                (None, None) => Outcome::Later("the blog has no spoke".to_owned()),
            },
        )
    }

    async fn offer(
        &self,
        to: To<'_>,
        refused_by: Option<&str>,
        sealed: &SealedEntry,
        shelf: &Shelf,
        known: &dyn Fn(EntryId) -> Option<SealedEntry>,
    ) -> Said {
        // What goes first is at the end.
        let mut due = vec![sealed.clone()];
        let (mut staged, mut busy) = (0, 0);
        while let Some(next) = due.last() {
            let trouble = match self.post(to, refused_by, next).await {
                Ok(standing) if standing.status == "staged" => {
                    staged += 1;
                    if staged > STAGED_MAX * due.len() {
                        return Said::Later("the spoke asks for the same media again".to_owned());
                    }
                    if let Err(said) = self.put_media(to, refused_by, &standing, shelf).await {
                        return said;
                    }
                    continue;
                }
                Ok(standing) if due.len() == 1 => return Said::Taken(standing),
                Ok(_) => {
                    due.pop();
                    continue;
                }
                Err(trouble) => trouble,
            };
            if let Trouble::No(refusal) = &trouble {
                let missing = refusal
                    .problem
                    .missing
                    .as_deref()
                    .and_then(|id| Hash::parse(id).ok());
                let at_hand = missing
                    .filter(|id| due.iter().all(|d| d.entry().id() != *id))
                    .and_then(known);
                if let Some(first) = at_hand {
                    due.push(first);
                    continue;
                }
                if refusal.problem.kind == "busy" && busy < BUSY_MAX {
                    busy += 1;
                    let wait = Duration::from_secs(refusal.retry_after.unwrap_or(1));
                    sleep(wait.min(BUSY_WAIT_MAX)).await;
                    continue;
                }
            }
            return judged(&trouble);
        }
        Said::Later("nothing was left to send".to_owned())
    }

    async fn post(
        &self,
        to: To<'_>,
        refused_by: Option<&str>,
        sealed: &SealedEntry,
    ) -> Result<StandingWire, Trouble> {
        let path = format!("/api/v1/blogs/{}/entries", self.name);
        let wire = EntryWire::from(sealed);
        self.network.post(to, &path, &wire, refused_by).await
    }

    async fn put_media(
        &self,
        to: To<'_>,
        refused_by: Option<&str>,
        standing: &StandingWire,
        shelf: &Shelf,
    ) -> Result<(), Said> {
        for missing in &standing.missing_media {
            let hash = Hash::parse(missing)
                .map_err(|why| Said::Later(format!("the spoke asks for a medium that {why}")))?;
            let bytes = shelf.medium(hash).ok_or_else(|| {
                Said::Later(format!(
                    "the spoke asks for the medium {hash}, which is not at hand"
                ))
            })?;
            let path = format!("/api/v1/blogs/{}/media/{}", self.name, hash.path());
            let put = self.network.put(to, &path, bytes, refused_by).await;
            put.map_err(|trouble| judged(&trouble))?;
        }
        Ok(())
    }
}

/// The receipts that a blog's spokes have given, as its primary knows them (SPEC http 2.9).
pub(crate) async fn receipts(network: &Network, name: &BlogName) -> Result<Vec<Signed>, Trouble> {
    let path = format!("/api/v1/blogs/{name}/receipts");
    let wire: ReceiptsWire = network.get(To::Edit(name), &path).await?;
    Ok(receipts_of(&wire.receipts))
}

/// The receipts of an answer that are spelled right.
pub(crate) fn receipts_of(wires: &[SignedWire]) -> Vec<Signed> {
    wires.iter().filter_map(|wire| wire.signed().ok()).collect()
}

fn judged(trouble: &Trouble) -> Said {
    let why = trouble.sentence().to_owned();
    let Trouble::No(refusal) = trouble else {
        return Said::Later(why);
    };
    match refusal.problem.kind.as_str() {
        "stale" => Said::Final(Outcome::Stale),
        "slug-taken" => Said::Final(Outcome::Refused(format!(
            "{why} (to edit that article, publish again with --replace; to keep both, give this \
             one another slug)"
        ))),
        "erased" => Said::Final(Outcome::Erased(why)),
        "too-large" => Said::Final(Outcome::Refused(why)),
        "quota" => Said::Final(Outcome::Later(why)),
        "refused" | "invalid" => Said::Refused(why),
        _ => Said::Later(why),
    }
}

#[cfg(test)]
mod tests {
    use spokes_log::{secret::SecretKey, time::Time};
    use spokes_rules::{
        node::NodeSecret,
        receipt::{Held, Tip},
    };

    use super::*;
    use crate::author::{chain_for_tests, copy::BlogCopy, now};

    /// Who signs: `LABEL` with the key of that number, for an epoch and an entry.
    #[track_caller]
    fn check(signed: &[(&str, u8, u64, usize)], held: usize) {
        let mut key = SecretKey::generate("Maria", now() - 60).expect("a key");
        let entries = chain_for_tests(&mut key, &["one", "two"]);
        let blog = entries[0].entry().id();
        let mut copy = BlogCopy::new(blog);
        for sealed in &entries {
            copy.take(sealed.clone()).expect("valid");
        }
        let network = Hash::of(b"network");
        let label = |text: &str| Label::parse(text).expect("a label");
        let members = Members {
            network,
            blog,
            epoch: 2,
            primary: "alpha".to_owned(),
            labels: vec![
                (label("alpha"), None),
                (label("beta"), None),
                (label("gamma"), Some(NodeSecret::from_seed(&[3; 32]).key())),
            ],
        };
        let receipts: Vec<Signed> = signed
            .iter()
            .map(|(spoke, seed, epoch, entry)| {
                let tip = Tip {
                    sequence: entries[*entry].entry().skeleton().sequence,
                    id: entries[*entry].entry().id(),
                };
                let time = Time::from_unix(0);
                let (spoke, epoch) = (label(spoke), *epoch);
                let held = Held {
                    network,
                    spoke,
                    blog,
                    epoch,
                    tip,
                    time,
                };
                Signed::new(&NodeSecret::from_seed(&[*seed; 32]), &held)
            })
            .collect();
        let (count, good) = members.count(&copy.chain, entries[1].entry().id(), &receipts);
        assert_eq!((count.held, good.len()), (held, held), "{signed:?}");
        assert_eq!(count.is_safe(), held >= 2);
        let mut forged = receipts;
        forged
            .iter_mut()
            .for_each(|s| s.text = s.text.replace("Epoch: 2", "Epoch: 02"));
        assert_eq!(members.count(&copy.chain, blog, &forged).0.held, 0);
    }

    #[test]
    fn only_receipts_that_count_are_counted() {
        check(&[], 0);
        check(
            &[("alpha", 1, 2, 1), ("beta", 2, 2, 1), ("gamma", 3, 2, 1)],
            3,
        );
        // A descendant's receipt covers, an ancestor's does not.
        check(&[("alpha", 1, 2, 2), ("beta", 2, 2, 0)], 1);
        check(&[("alpha", 1, 2, 1), ("alpha", 4, 2, 1)], 1);
        // One machine under two names.
        check(&[("alpha", 1, 2, 1), ("beta", 1, 2, 1)], 1);
        // Of another epoch, by a stranger, with another key than the roster's.
        check(
            &[("alpha", 1, 1, 1), ("delta", 4, 2, 1), ("gamma", 4, 2, 1)],
            0,
        );
    }
}
