//! The zone: which names exist and what they answer, ready to be copied into replies.
//!
//! One lock is meant to stand around a whole [`Zone`], so that a batch of changes and its new
//! serial appear at once. The names lie in many small maps instead of one: a map that grows moves
//! all its names under the lock, and with 256 of them that is thousands of names at two million,
//! about a millisecond, instead of all. An answer holds the lock for reading for microseconds.

use std::borrow::Borrow;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use domain::base::iana::Rtype;
use parking_lot::RwLock;

use crate::dns::encode::{
    BadNode, WireName, WireSet, WireSets, bytes_before, encode, encode_denial,
};
use crate::dns::filling::Made;
use crate::dns::order::{Key, Order};
use crate::dns::seal::Whole;
use crate::dns::signing;
use spokes_rules::zone::Node;

/// See the module: small enough that a growing map does not delay answers, few enough to be cheap
/// when the zone is empty.
pub(crate) const SHARDS: usize = 256;

/// A zone that one writer changes while servers answer from it.
///
/// Fill it before a server has it; later batches of some hundred names keep answers waiting for
/// less than a millisecond. The lock can be handed on to whoever waits ([`RwLockWriteGuard::bump`]), and a writer that
/// panicked leaves it open: it did so before it changed anything, or between two whole names, and to go on answering
/// beats silence.
///
/// [`RwLockWriteGuard::bump`]: parking_lot::RwLockWriteGuard::bump
pub type SharedZone = Arc<RwLock<Zone>>;

/// The names of one zone, with their records encoded.
#[derive(Debug)]
pub struct Zone {
    apex: WireName,
    /// What exists, and how many names directly below each do.
    shards: Box<[Shard]>,
    /// Seeded, as those of the maps are: strangers choose names and could aim at one shard.
    hasher: RandomState,
    /// Names that hold records.
    names: usize,
    /// The SOA record for negative answers; none until the apex has one.
    denial: Option<Vec<u8>>,
    /// Names that hold records, in their order; none as long as the zone is not signed.
    order: Option<Order>,
}

/// One part of the names, and how many lie directly below each.
pub(crate) type Shard = HashMap<Piece, u32>;

/// A name that exists: it holds records, or a name below it does (RFC 8020 section 2).
///
/// Itself and its sets are one piece of memory: how many bytes its labels before the apex are, these, and the sets.
#[derive(Debug)]
pub(crate) struct Piece(Box<[u8]>);

impl Piece {
    /// A name, and its sets, which may be given in parts.
    pub(crate) fn new(name: &[u8], sets: &[&[u8]]) -> Self {
        let length = u8::try_from(name.len()).expect("a name has 255 bytes at most");
        let bytes: usize = sets.iter().map(|part| part.len()).sum();
        let mut piece = Vec::with_capacity(1 + name.len() + bytes);
        piece.push(length);
        piece.extend_from_slice(name);
        sets.iter().for_each(|part| piece.extend_from_slice(part));
        Self(piece.into())
    }

    fn split(&self) -> (&[u8], &[u8]) {
        self.0[1..].split_at(self.0[0].into())
    }

    fn sets(&self) -> WireSets<'_> {
        WireSets::of(self.split().1)
    }
}

/// It is found by its name.
impl Borrow<[u8]> for Piece {
    fn borrow(&self) -> &[u8] {
        self.split().0
    }
}

impl Hash for Piece {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.split().0.hash(hasher);
    }
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        self.split().0 == other.split().0
    }
}

impl Eq for Piece {}

/// What a name answered, and what it answers from now on: sets as [`encode`] gives them, none where there are none.
#[derive(Debug)]
pub(crate) struct Change {
    /// The labels before the apex.
    pub(crate) name: Box<[u8]>,
    pub(crate) before: Box<[u8]>,
    pub(crate) after: Box<[u8]>,
}

/// What is known about a name.
#[derive(Debug)]
pub(crate) enum Found<'z> {
    /// It is not of this zone.
    Outside,
    /// It would be of this zone, but neither it nor anything below it holds records.
    Missing,
    /// It exists, perhaps only because of a name below it: then there are no sets.
    Name(Whole<'z>),
}

impl Zone {
    /// An empty zone at `apex`: absolute, lower case, without the last dot.
    ///
    /// It answers SERVFAIL until the apex has an SOA record.
    ///
    /// # Errors
    /// [`BadNode::Name`] when `apex` is no such name.
    pub fn new(apex: &str) -> Result<Self, BadNode> {
        let apex = WireName::parse(apex)?;
        let mut zone = Self {
            shards: (0..SHARDS).map(|_| HashMap::new()).collect(),
            hasher: RandomState::new(),
            names: 0,
            denial: None,
            order: None,
            apex,
        };
        // The apex always exists, even without records.
        zone.shard_mut(&[]).insert(Piece::new(&[], &[]), 0);
        Ok(zone)
    }

    /// This zone, which is empty, filled with parts that were made for it.
    pub(crate) fn filled(mut self, parts: Vec<Made>) -> Self {
        let mut between = Vec::new();
        let filled = parts.into_iter().map(|made| {
            between.extend(made.between);
            made.shard
        });
        self.shards = filled.collect();
        self.shard_mut(&[]).entry(Piece::new(&[], &[])).or_insert(0);
        self.names = (0..SHARDS).map(|part| self.part(part).count()).sum();
        for name in between.iter().filter(|name| !name.is_empty()) {
            self.tell_parent(name);
        }
        self.note_denial();
        self
    }

    /// Says all that `owner` answers from now on; an empty node removes it.
    ///
    /// `owner` is absolute, lower case and without the last dot. Records that stand twice in a set
    /// are served once.
    ///
    /// # Errors
    /// A [`BadNode`] that names what is wrong; the zone is then as it was.
    pub fn set(&mut self, owner: &str, node: Node) -> Result<(), BadNode> {
        self.change(owner, &node).map(drop)
    }

    /// As [`Self::set`], and says what has changed by it; none where it answered just that.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn change(&mut self, owner: &str, node: &Node) -> Result<Option<Change>, BadNode> {
        let (name, sets) = self.encoded(owner, node)?;
        Ok(self.write(&name, &sets))
    }

    /// A name without the apex, and its sets as [`Self::write`] takes them.
    ///
    /// # Errors
    /// As for [`Self::set`].
    pub(crate) fn encoded(
        &self,
        owner: &str,
        node: &Node,
    ) -> Result<(Box<[u8]>, Vec<u8>), BadNode> {
        let name = WireName::parse(owner)?;
        let Some(before) = bytes_before(name.as_slice(), self.apex.as_slice()) else {
            return Err(BadNode::Outside(owner.to_owned()));
        };
        let sets = encode(owner, before == 0, &self.apex, node)?;
        Ok((name.as_slice()[..before].into(), sets))
    }

    /// Says in encoded sets all that a name answers from now on; what has changed by it.
    pub(crate) fn write(&mut self, name: &[u8], sets: &[u8]) -> Option<Change> {
        let answered = self.at(name).unwrap_or_default();
        if answered == sets {
            return None;
        }
        let change = Change {
            name: name.into(),
            before: answered.into(),
            after: sets.into(),
        };
        if sets.is_empty() {
            self.clear(name);
        } else {
            self.put(name, sets);
        }
        if name.is_empty() {
            self.note_denial();
        }
        Some(change)
    }

    /// The sets of a name without the apex, encoded; none where it does not exist.
    pub(crate) fn at(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.shards[self.shard(name)].get_key_value(name);
        found.map(|(piece, _)| piece.split().1)
    }

    /// Whether `owner` would answer something else then, signatures aside. What cannot be served would change nothing.
    pub(crate) fn would_change(&self, owner: &str, node: &Node) -> bool {
        self.encoded(owner, node).is_ok_and(|(name, sets)| {
            let answered = WireSets::of(self.at(&name).unwrap_or_default());
            !signing::is_same(answered, WireSets::of(&sets))
        })
    }

    /// Keeps the order of names from now on, which a signed zone needs.
    pub fn secure(&mut self) {
        if self.order.is_none() {
            self.order = Some(self.ordered());
        }
    }

    /// The order of names as they are.
    pub(crate) fn ordered(&self) -> Order {
        let names = (0..SHARDS).flat_map(|part| self.part(part));
        Order::of(names.map(|(name, _)| name))
    }

    /// As [`Self::secure`], with their order as it is now.
    pub(crate) fn secure_in(&mut self, order: Order) {
        self.order = Some(order);
    }

    /// Answers with what was drafted from it.
    pub(crate) fn take(&mut self, signing::Written(names): signing::Written) {
        for (name, sets) in names {
            self.write(&name, &sets);
        }
    }

    /// Whether something of a name without the apex is to be signed again; see [`signing::is_worn`].
    pub(crate) fn is_worn(&self, name: &[u8], tags: &BTreeSet<u16>, times: (u32, u32)) -> bool {
        let sets = self.at(name).unwrap_or_default();
        !sets.is_empty() && signing::is_worn(WireSets::of(sets), tags, times)
    }

    /// The order of names, where the zone is signed.
    pub(crate) fn order(&self) -> Option<&Order> {
        self.order.as_ref()
    }

    /// Up to so many names that hold records behind one, without the apex, in the order of a signed zone; from the apex
    /// on where there is none. None where the zone is not signed.
    #[must_use]
    pub fn names_behind(&self, name: Option<&[u8]>, count: usize) -> Vec<Box<[u8]>> {
        let (order, key) = (self.order.as_ref(), name.map(Key::of));
        let names = order
            .into_iter()
            .flat_map(|order| order.behind(key.as_ref()));
        names.take(count).map(|key| key.name().into()).collect()
    }

    /// How many names hold records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names
    }

    /// Whether no name holds records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names == 0
    }

    /// What is known about `name`: wire format, lower case, with the root's zero.
    pub(crate) fn find(&self, name: &[u8]) -> Found<'_> {
        let Some(before) = bytes_before(name, self.apex.as_slice()) else {
            return Found::Outside;
        };
        self.whole(&name[..before])
            .map_or(Found::Missing, Found::Name)
    }

    /// All that a name without the apex has; none where it does not exist.
    pub(crate) fn whole(&self, name: &[u8]) -> Option<Whole<'_>> {
        let sets = WireSets::of(self.at(name)?);
        Some(Whole::new(name, sets, &self.apex))
    }

    /// The SOA record that negative answers carry; none while the zone is not filled.
    pub(crate) fn denial(&self) -> Option<WireSet<'_>> {
        WireSets::of(self.denial.as_deref()?).iter().next()
    }

    /// How many bytes the apex takes at the end of a question's name.
    pub(crate) fn apex_bytes(&self) -> usize {
        self.apex.as_slice().len()
    }

    /// The apex, as it travels.
    pub(crate) fn apex(&self) -> &WireName {
        &self.apex
    }

    /// In which of [`SHARDS`] parts a name is, without the apex.
    pub(crate) fn part_of(&self, name: &[u8]) -> usize {
        self.shard(name)
    }

    /// The names of one of [`SHARDS`] parts that hold records, without the apex, in no order.
    pub(crate) fn part(&self, part: usize) -> impl Iterator<Item = (&[u8], WireSets<'_>)> {
        let names = self.shards.get(part).into_iter().flatten();
        let names = names.map(|(piece, _)| (piece.split().0, piece.sets()));
        names.filter(|(_, sets)| !sets.is_empty())
    }

    /// All names that exist, each with its sets, and how many lie directly below it.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&[u8], &[u8], u32)> {
        let pieces = self.shards.iter().flatten();
        pieces.map(|(piece, children)| (piece.split().0, piece.split().1, *children))
    }

    /// The sets of the apex.
    pub(crate) fn of_apex(&self) -> WireSets<'_> {
        WireSets::of(self.at(&[]).unwrap_or_default())
    }

    /// `name` is without the apex, here and below.
    fn put(&mut self, name: &[u8], sets: &[u8]) {
        let shard = self.shard_mut(name);
        let old = shard.remove_entry(name);
        let was_empty = old.as_ref().is_none_or(|(old, _)| old.sets().is_empty());
        let is_new = old.is_none();
        let children = old.map_or(0, |(_, children)| children);
        shard.insert(Piece::new(name, &[sets]), children);
        self.names += usize::from(was_empty);
        if let (true, Some(order)) = (was_empty, &mut self.order) {
            order.insert(name);
        }
        if is_new {
            self.tell_parent(name);
        }
    }

    /// A new name is one child more of its parent, which may be new in turn. The apex exists.
    fn tell_parent(&mut self, name: &[u8]) {
        let (mut name, mut is_new) = (name, true);
        while is_new {
            name = parent(name);
            let shard = self.shard_mut(name);
            is_new = !shard.contains_key(name);
            if is_new {
                shard.insert(Piece::new(name, &[]), 1);
            } else if let Some(children) = shard.get_mut(name) {
                *children += 1;
            }
        }
    }

    fn note_denial(&mut self) {
        let soa = self.of_apex().of_type(Rtype::SOA);
        self.denial = soa.and_then(encode_denial);
    }

    fn clear(&mut self, name: &[u8]) {
        let shard = self.shard_mut(name);
        let Some((old, children)) = shard.remove_entry(name) else {
            return;
        };
        shard.insert(Piece::new(name, &[]), children);
        let had_records = !old.sets().is_empty();
        self.names -= usize::from(had_records);
        if let (true, Some(order)) = (had_records, &mut self.order) {
            order.remove(name);
        }
        // A name without records and children goes, and with it perhaps its parent.
        let mut name = name;
        while !name.is_empty() && self.is_bare(name) {
            self.shard_mut(name).remove(name);
            name = parent(name);
            let children = self.shard_mut(name).get_mut(name);
            *children.expect("the parent of a name that exists does too") -= 1;
        }
    }

    fn is_bare(&self, name: &[u8]) -> bool {
        let found = self.shards[self.shard(name)].get_key_value(name);
        found.is_some_and(|(piece, children)| piece.sets().is_empty() && *children == 0)
    }

    fn shard(&self, name: &[u8]) -> usize {
        (self.hasher.hash_one(name) % SHARDS as u64) as usize
    }

    fn shard_mut(&mut self, name: &[u8]) -> &mut Shard {
        let shard = self.shard(name);
        &mut self.shards[shard]
    }
}

/// The name above one that is not the apex, without the apex as well.
pub(crate) fn parent(name: &[u8]) -> &[u8] {
    &name[1 + usize::from(name[0])..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::secured::Answered;
    use crate::dns::testing::{APEX, addresses, set, soa};
    use spokes_rules::zone::{Data, RrSet};

    /// What is known about a name: `outside`, `missing`, or how many sets it has.
    fn known(zone: &Zone, name: &str) -> String {
        match zone.find(WireName::parse(name).unwrap().as_slice()) {
            Found::Outside => "outside".to_owned(),
            Found::Missing => "missing".to_owned(),
            Found::Name(whole) => whole.sets().iter().count().to_string(),
        }
    }

    #[track_caller]
    fn check(zone: &Zone, expected: &[(&str, &str)]) {
        for (name, known_as) in expected {
            let name = name.replace('@', APEX);
            assert_eq!(known(zone, &name), *known_as, "{name}");
        }
    }

    #[test]
    fn names_between_exist_as_long_as_there_is_something_below() {
        let mut zone = Zone::new(APEX).unwrap();
        assert!(zone.is_empty());
        zone.set("edit.maria.blogs.example.org", addresses(&[1]))
            .unwrap();
        zone.set("_blog.maria.blogs.example.org", addresses(&[1]))
            .unwrap();
        check(
            &zone,
            &[
                ("@", "0"),
                ("maria.@", "0"),
                ("edit.maria.@", "2"),
                ("x.maria.@", "missing"),
            ],
        );
        check(
            &zone,
            &[
                ("example.org", "outside"),
                ("xblogs.example.org", "outside"),
            ],
        );
        assert_eq!(zone.len(), 2);

        zone.set("edit.maria.blogs.example.org", vec![]).unwrap();
        check(&zone, &[("maria.@", "0"), ("edit.maria.@", "missing")]);
        zone.set("maria.blogs.example.org", addresses(&[2]))
            .unwrap();
        zone.set("_blog.maria.blogs.example.org", vec![]).unwrap();
        check(&zone, &[("maria.@", "2"), ("_blog.maria.@", "missing")]);
        zone.set("maria.blogs.example.org", vec![]).unwrap();
        check(&zone, &[("maria.@", "missing"), ("@", "0")]);
        assert!(zone.is_empty());
    }

    /// Sets what cannot be served, and sees that it is refused and nothing has changed.
    #[track_caller]
    fn refuse(owner: &str, node: Node, expected: BadNode) {
        let mut zone = Zone::new(APEX).unwrap();
        zone.set("ada.blogs.example.org", addresses(&[1])).unwrap();
        let said = zone.set(&owner.replace('@', APEX), node).unwrap_err();
        assert_eq!(
            format!("{said:?}").replace(APEX, "@"),
            format!("{expected:?}")
        );
        check(&zone, &[("ada.@", "2"), ("@", "0")]);
        assert_eq!((zone.len(), zone.denial().is_none()), (1, true));
    }

    #[test]
    fn owners_are_plain_names_of_the_zone() {
        for bad in [
            "",
            "Ada.@",
            "ada.@.",
            "*.@",
            "a..@",
            ".@",
            "b\\046c.@",
            "blög.@",
        ] {
            refuse(bad, vec![], BadNode::Name(bad.to_owned()));
        }
        let long = format!("{}.@", "a".repeat(64));
        refuse(&long, vec![], BadNode::Name(long.clone()));
        let long = format!("{}@", "a.".repeat(120));
        refuse(&long, vec![], BadNode::Name(long.clone()));
        refuse(
            "ada.example.org",
            vec![],
            BadNode::Outside("ada.example.org".to_owned()),
        );
        refuse("x@", vec![], BadNode::Outside("x@".to_owned()));
        refuse("org", vec![], BadNode::Outside("org".to_owned()));
        assert!(matches!(Zone::new(""), Err(BadNode::Name(_))));
    }

    #[test]
    fn records_stand_where_they_may_and_one_set_for_a_type() {
        let ns = || set(vec![Data::Ns("ns.example.net".to_owned())]);
        let txt = Data::Txt(String::new());
        let soa_of = |primary: &str| {
            let mut soa = soa();
            primary.clone_into(&mut soa.primary);
            Data::Soa(soa)
        };
        let (ada, apex) = ("ada.@".to_owned(), "@".to_owned());
        refuse(&ada, vec![set(vec![])], BadNode::Mixed(ada.clone()));
        refuse(
            &ada,
            vec![set(vec![txt, soa_of("a.net")])],
            BadNode::Mixed(ada.clone()),
        );
        refuse(&ada, vec![ns()], BadNode::Delegation(ada.clone()));
        refuse(&apex, vec![ns(), ns()], BadNode::Twice(apex.clone()));
        refuse(
            &ada,
            vec![set(vec![soa_of("a.net")])],
            BadNode::Soa(ada.clone()),
        );
        let two = vec![set(vec![soa_of("a.net"), soa_of("b.net")])];
        refuse(&apex, two, BadNode::Soa(apex.clone()));
        refuse(
            &apex,
            vec![set(vec![soa_of("A.net")])],
            BadNode::Name("A.net".to_owned()),
        );
    }

    #[test]
    fn tags_and_sets_have_a_size() {
        for bad in ["", "is sue", "abcdefghijklmnop", &"x".repeat(256 + 5)] {
            let (tag, value) = (bad.to_owned(), String::new());
            let caa = vec![set(vec![Data::Caa {
                flags: 0,
                tag,
                value,
            }])];
            refuse("ada.@", caa, BadNode::Tag(bad.to_owned()));
        }
        let txt = |bytes: usize, letter: &str| Data::Txt(letter.repeat(bytes));
        let too_large = |what: &str| BadNode::TooLarge(what.to_owned());
        refuse(
            "ada.@",
            vec![set(vec![txt(70_000, "x")])],
            too_large("TXT data"),
        );
        refuse(
            "ada.@",
            vec![set(vec![txt(40_000, "x"), txt(30_000, "y")])],
            too_large("ada.@"),
        );
    }

    #[test]
    fn a_record_that_stands_twice_is_served_once() {
        let mut zone = Zone::new(APEX).unwrap();
        zone.set("ada.blogs.example.org", addresses(&[1, 2, 1]))
            .unwrap();
        let name = WireName::parse("ada.blogs.example.org").unwrap();
        let Found::Name(whole) = zone.find(name.as_slice()) else {
            panic!("ada exists")
        };
        assert_eq!(whole.sets().of_type(Rtype::A).unwrap().count(), 2);
    }

    #[test]
    fn times_to_live_stay_below_the_sign_bit() {
        let mut zone = Zone::new(APEX).unwrap();
        let soa = RrSet {
            ttl: u32::MAX,
            data: vec![Data::Soa(soa())],
        };
        zone.set(APEX, vec![soa]).unwrap();
        let whole = zone.whole(&[]).expect("the apex exists");
        let mut out = Vec::new();
        let first = Answered::of(whole, Rtype::ANY).unwrap();
        assert_eq!(first.append(&mut out, (12, 12), 0), 1);
        assert_eq!(out[6..10], [0x7F, 0xFF, 0xFF, 0xFF]);
    }

    proptest! {
        /// Whatever is set and removed in whatever order: a name exists when it, or one below it,
        /// holds records.
        #[test]
        fn existence_is_what_the_records_say(
            steps in proptest::collection::vec(
                (proptest::collection::vec(0usize..3, 0..4), any::<bool>()),
                0..40,
            ),
        ) {
            let name = |path: &[usize]| -> String {
                let labels = path.iter().map(|n| ["a", "bb", "c-c"][*n].to_owned() + ".");
                labels.collect::<String>() + APEX
            };
            let mut zone = Zone::new(APEX).unwrap();
            let mut held = BTreeSet::new();
            let mut seen = BTreeSet::from([APEX.to_owned()]);
            for (path, is_set) in steps {
                let owner = name(&path);
                zone.set(&owner, if is_set { addresses(&[1]) } else { vec![] }).unwrap();
                if is_set { held.insert(owner) } else { held.remove(&owner) };
                seen.extend((0..path.len()).map(|from| name(&path[from..])));
                for name in &seen {
                    let below = format!(".{name}");
                    let exists = name == APEX || held.iter().any(|h| h == name || h.ends_with(&below));
                    let sets = if held.contains(name) { "2" } else { "0" };
                    prop_assert_eq!(known(&zone, name), if exists { sets } else { "missing" });
                }
                prop_assert_eq!(zone.len(), held.len());
                let stored: usize = zone.shards.iter().map(HashMap::len).sum();
                prop_assert!(stored <= seen.len());
            }
        }
    }
}
