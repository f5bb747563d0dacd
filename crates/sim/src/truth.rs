//! The truth: what an all-knowing observer remembers, and the promises that it checks.

use std::collections::{BTreeMap, BTreeSet};

use spokes_log::{
    chain::Chain,
    name::{BlogId, BlogName, EntryId},
};
use spokes_rules::{
    node::Label,
    receipt::Receipt,
    registry::{Registry, Set},
};

use crate::{
    disk::Disk,
    hub::{MINUTE, Millis, SECOND},
    spoke::Spoke,
};

/// A text by its device and number.
pub type TextId = (usize, usize);

/// What an author counts as safe.
#[derive(Clone, Debug)]
pub struct SafeText {
    /// The blog.
    pub blog: BlogId,
    /// The entry whose receipts she counted.
    pub entry: EntryId,
    /// In which epoch.
    pub epoch: u64,
}

/// Since when, and until when, faults kept a spoke from others.
#[derive(Clone, Copy, Debug, Default)]
struct Ailment {
    /// Those that last.
    faults: u32,
    began: Millis,
    ended: Millis,
}

/// Faults nearer than this to one another are one.
const SAME: Millis = 20 * SECOND;

/// The most beginnings of one change of a set in ten minutes: three members that fall and rise in turn make
/// thirteen, and a set that is sent to and fro at each look of the leader three hundred.
const CHANGES_OF_SET_MAX: usize = 40;

/// What is remembered over crashes and old disks.
#[derive(Debug, Default)]
pub struct Truth {
    /// The first broken promise; the run ends with it.
    pub broken: Option<String>,
    /// Texts that their authors count as safe.
    pub safe: BTreeMap<TextId, SafeText>,
    /// Every form in which a text was signed.
    pub forms: BTreeMap<EntryId, TextId>,
    /// Every set that was ever open.
    opened: BTreeMap<(BlogId, u64), Set>,
    /// The highest epoch of which a spoke has sent a seal.
    sealed: BTreeMap<(Label, BlogId), u64>,
    names: BTreeMap<BlogName, BlogId>,
    granted: BTreeSet<BlogId>,
    records: u64,
    /// Blogs whose set was opened since [`Truth::check_safe`] looked last.
    fresh: BTreeSet<BlogId>,
    /// How many faults keep each spoke from others, and when the last ended.
    ailing: BTreeMap<usize, Ailment>,
    changes: BTreeMap<Label, Vec<Millis>>,
    /// When the change of a blog's set was begun or begun anew, and of which epoch.
    begun: BTreeMap<BlogId, (u64, Vec<Millis>)>,
    /// The last epoch of each blog that was opened without enough seals.
    forced: BTreeMap<BlogId, u64>,
    /// Whether copies may have been lost since [`Truth::check_safe`] looked last.
    pub shaken: bool,
}

impl Truth {
    /// Remembers the first broken promise.
    pub fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// A fault begins that keeps a spoke from others.
    pub fn ails(&mut self, spoke: usize, now: Millis) {
        let ailment = self.ailing.entry(spoke).or_default();
        // One that follows soon is the same to those who look now and then.
        if ailment.faults == 0 && now > ailment.ended + SAME {
            ailment.began = now;
        }
        ailment.faults += 1;
    }

    /// Such a fault has ended.
    pub fn recovers(&mut self, spoke: usize, now: Millis) {
        if let Some(ailment) = self.ailing.get_mut(&spoke) {
            (ailment.faults, ailment.ended) = (ailment.faults.saturating_sub(1), now);
        }
    }

    /// Whether something has kept this spoke from others for so long, and did since then.
    pub fn was_away(&self, spoke: usize, now: Millis, since: Millis, shortest: Millis) -> bool {
        self.ailing.get(&spoke).is_some_and(|ailment| {
            let end = if ailment.faults > 0 {
                now
            } else {
                ailment.ended
            };
            end >= since && end - ailment.began.min(end) >= shortest
        })
    }

    /// A spoke's health changes in the registry: how often it did in ten minutes.
    pub fn changes_of_health(&mut self, label: &Label, now: Millis) -> usize {
        let changes = self.changes.entry(label.clone()).or_default();
        changes.retain(|at| now < at + 10 * MINUTE);
        changes.push(now);
        changes.len()
    }

    /// Promise 9, of sets: a change that has begun is begun anew when somebody else falls, not again and again.
    pub fn begins_change(&mut self, blog: BlogId, epoch: u64, now: Millis) {
        let (of, begun) = self.begun.entry(blog).or_default();
        if *of != epoch {
            (*of, *begun) = (epoch, Vec::new());
        }
        begun.retain(|at| now < at + 10 * MINUTE);
        begun.push(now);
        let times = begun.len();
        if times > CHANGES_OF_SET_MAX {
            self.breaks(format!(
                "promise 9: the change of epoch {epoch} of {blog} is begun {times} times in ten minutes"
            ));
        }
    }

    /// A set is opened without enough seals: what was safe before may be lost with those who held it, and
    /// nobody may sign in an older epoch any more.
    pub fn forces(&mut self, registry: &Registry, id: BlogId) {
        let forced = registry.blog(id).filter(|blog| {
            let at = blog.forced.as_ref().map(|forced| forced.since);
            at == Some(registry.head().time)
        });
        if let Some(blog) = forced {
            self.forced.insert(id, blog.set.epoch);
        }
    }

    /// A spoke sends a seal; whether of an epoch of which it has sent none.
    pub fn seals(&mut self, spoke: &Label, blog: BlogId, epoch: u64) -> bool {
        let sealed = self.sealed.entry((spoke.clone(), blog)).or_default();
        let new = *sealed < epoch;
        *sealed = epoch.max(*sealed);
        new
    }

    /// Promise 4: a receipt is signed only for what is durable at that spoke at that moment with
    /// all its ancestors, and never of an epoch at or below one that it sealed.
    pub fn check_receipt(&mut self, receipt: &Receipt, disk: &Disk, chain: &Chain) {
        let held = &receipt.held;
        let mut at = Some(held.tip.id);
        while let Some(id) = at {
            if !disk.holds(id) {
                let (spoke, tip) = (&held.spoke, held.tip.sequence);
                self.breaks(format!(
                    "promise 4: {spoke} signs for {tip} and {id} is not durable"
                ));
            }
            at = chain.link(id).and_then(|link| link.previous);
        }
        if let Some(forced) = self.forced.get(&held.blog).filter(|f| held.epoch < **f) {
            let (spoke, epoch) = (&held.spoke, held.epoch);
            self.breaks(format!(
                "promise 4: {spoke} signs in epoch {epoch}, and {forced} was opened without it"
            ));
        }
        let sealed = self.sealed.get(&(held.spoke.clone(), held.blog));
        if let Some(sealed) = sealed.filter(|sealed| held.epoch <= **sealed) {
            let (spoke, epoch) = (&held.spoke, held.epoch);
            self.breaks(format!(
                "promise 4: {spoke} signs in epoch {epoch}, having sealed {sealed}"
            ));
        }
    }

    /// An author counts a text as safe: the set by which she counts must be or have been open.
    pub fn told_safe(&mut self, text: TextId, safe: SafeText, set: &Set) {
        if self.opened.get(&(safe.blog, safe.epoch)) != Some(set) {
            let epoch = safe.epoch;
            self.breaks(format!(
                "promise 1: {text:?} is counted safe in epoch {epoch}, never open"
            ));
        }
        self.safe.entry(text).or_insert(safe);
        self.shaken = true;
    }

    /// Promises 5 and 6, at each record: a name has one owner for ever, a blog gets a name once,
    /// epochs grow by one, and the log only grows.
    pub fn check_registry(&mut self, registry: &Registry) {
        if registry.head().records <= self.records {
            self.breaks("promise 5: the registry's log has lost a record".into());
        }
        self.records = registry.head().records;
        for (id, blog) in registry.blogs() {
            let owner = *self.names.entry(blog.name.clone()).or_insert(id);
            if owner != id {
                self.breaks(format!(
                    "promise 5: {} was given to another blog",
                    blog.name
                ));
            }
            if self.opened.get(&(id, blog.set.epoch)) == Some(&blog.set) {
                continue;
            }
            let first = blog.set.epoch == 1 && self.granted.insert(id);
            let next = blog.set.epoch > 1 && self.opened.contains_key(&(id, blog.set.epoch - 1));
            let again = self
                .opened
                .insert((id, blog.set.epoch), blog.set.clone())
                .is_some();
            if !(first || next) || again {
                self.breaks(format!(
                    "promise 6: epoch {} of {id} does not follow",
                    blog.set.epoch
                ));
            }
            self.fresh.insert(id);
            self.shaken = true;
        }
    }

    /// Promise 10: who becomes primary holds what was safe before it came, if another member does.
    fn check_primaries(&mut self, registry: &Registry, spokes: &[Spoke]) {
        for id in std::mem::take(&mut self.fresh) {
            let Some(blog) = registry.blog(id) else {
                continue;
            };
            let primary = blog.set.primary();
            let mut came = blog.set.epoch;
            let was_in = |epoch| {
                self.opened
                    .get(&(id, epoch))
                    .is_some_and(|set| set.has(primary))
            };
            while came > 1 && was_in(came - 1) {
                came -= 1;
            }
            let forced = self.forced.get(&id).copied().unwrap_or(0);
            let safe = self.safe.values().filter(|safe| safe.blog == id);
            let base: Vec<EntryId> = safe
                .filter(|safe| safe.epoch < came && safe.epoch >= forced)
                .map(|safe| safe.entry)
                .collect();
            let holds = |label: &Label| {
                let mut spokes = spokes.iter().filter(|spoke| spoke.label() == label);
                spokes.any(|spoke| base.iter().all(|entry| spoke.holds_or_owes(id, *entry)))
            };
            let others = blog.set.members.iter().filter(|label| *label != primary);
            let is_well = |label: &Label| registry.spoke(label).is_some_and(|s| s.is_well());
            let better = others
                .filter(|label| is_well(label))
                .find(|label| holds(label));
            if let Some(better) = better.filter(|_| !holds(primary)) {
                let epoch = blog.set.epoch;
                self.breaks(format!(
                    "promise 10: {primary} is primary of epoch {epoch} of {id} and lacks what was \
                     safe before it came; {better} has it"
                ));
            }
        }
    }

    /// Promise 1: what an author counts as safe is durable on a majority of each later open set.
    ///
    /// A disk that came back old owes what it lost until it has compared its tips.
    pub fn check_safe(&mut self, registry: &Registry, spokes: &[Spoke]) {
        self.shaken = false;
        self.check_primaries(registry, spokes);
        let mut broken = None;
        for (text, safe) in &self.safe {
            let Some(blog) = registry.blog(safe.blog) else {
                continue;
            };
            let forced = self.forced.get(&safe.blog).copied().unwrap_or(0);
            if blog.set.epoch < safe.epoch || safe.epoch < forced {
                continue;
            }
            let members = spokes.iter().filter(|spoke| blog.set.has(spoke.label()));
            let holders = members.filter(|spoke| spoke.holds_or_owes(safe.blog, safe.entry));
            let (holders, needed) = (holders.count(), blog.set.majority());
            if holders < needed {
                let (entry, epoch) = (safe.entry, blog.set.epoch);
                broken = Some(format!(
                    "promise 1: {entry} of {text:?}, safe since epoch {}, is durable on {holders} \
                     members of epoch {epoch}, {needed} are a majority",
                    safe.epoch
                ));
            }
        }
        if let Some(broken) = broken {
            self.breaks(broken);
        }
    }

    /// Promises 1, 2, 3 and 7, in the end: all live members of a set hold the same entries and
    /// show the same blog; every safe text is there and every text stands once at most; and a
    /// blog of one device has no clash.
    pub fn check_end(
        &mut self,
        registry: &Registry,
        spokes: &[Spoke],
        devices: &[(BlogId, usize)],
    ) {
        for (id, blog) in registry.blogs() {
            let live: Vec<&Spoke> = spokes
                .iter()
                .filter(|spoke| blog.set.has(spoke.label()) && !spoke.is_dead())
                .collect();
            let mut first: Option<(Vec<EntryId>, String)> = None;
            for spoke in live {
                let Some(replica) = spoke.replica(id) else {
                    return self.breaks(format!("promise 3: {} has no {id}", spoke.label()));
                };
                let all: Vec<EntryId> = replica.chain().links().map(|(id, _)| id).collect();
                if let Some(lacking) = all.iter().find(|id| !spoke.disk().holds(**id)) {
                    self.breaks(format!(
                        "promise 3: {lacking} is not durable at {}",
                        spoke.label()
                    ));
                }
                let seen = format!(
                    "{:?} {:?} {:?} {}",
                    replica.fold().posts(),
                    replica.fold().pages(),
                    replica.fold().clashes(),
                    replica.fold().title()
                );
                if first.as_ref().is_some_and(|(a, s)| *a != all || *s != seen) {
                    self.breaks(format!("promise 3: {} shows another {id}", spoke.label()));
                }
                let forced = self.forced.get(&id).copied().unwrap_or(0);
                let safe = self.safe.values();
                let safe = safe.filter(|safe| safe.blog == id && safe.epoch >= forced);
                let lacking = safe.map(|s| s.entry).find(|e| !spoke.disk().holds(*e));
                if let Some(lacking) = lacking {
                    self.breaks(format!(
                        "promise 1: {} lacks {lacking} in the end",
                        spoke.label()
                    ));
                }
                let count = devices.iter().filter(|(blog, _)| *blog == id).count();
                self.check_texts(id, replica.fold(), count);
                first = Some((all, seen));
            }
        }
    }

    fn check_texts(&mut self, id: BlogId, fold: &spokes_log::blog::Blog, devices: usize) {
        let forced = self.forced.get(&id).copied().unwrap_or(0);
        let mut seen: BTreeMap<TextId, usize> = BTreeMap::new();
        for post in fold.posts() {
            for (_, version) in &post.versions {
                if let Some(text) = self.forms.get(version) {
                    *seen.entry(*text).or_default() += 1;
                }
            }
        }
        let lost = self.safe.iter().find(|(text, safe)| {
            safe.blog == id && safe.epoch >= forced && !seen.contains_key(text)
        });
        if let Some((text, safe)) = lost {
            self.breaks(format!("promise 2: {text:?} ({}) is lost", safe.entry));
        }
        if let Some((text, _)) = seen.iter().find(|(_, times)| **times > 1) {
            self.breaks(format!("promise 2: {text:?} stands twice"));
        }
        if devices == 1 && !fold.clashes().is_empty() {
            self.breaks(format!("promise 7: {id} has a clash: {:?}", fold.clashes()));
        }
    }
}
