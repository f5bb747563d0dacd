//! What a record that was taken changes.

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};

use spokes_log::{
    name::{BlogId, EntryId, Fingerprint},
    time::Time,
};

use super::{Change, DAY, Registry, Touched};
use crate::{
    health::{Health, Says},
    mirror::Mirror,
    node::Label,
    receipt::Tip,
    record::{BlogRecord, Closing, Demand, Forced, Record, Set, Spoke, Standing, Wanted},
    seat::Sits,
};

impl Registry {
    pub(super) fn make(&mut self, now: Time, record: &Record, change: Change) -> Touched {
        match change {
            Change::Invite(token, invite) => {
                self.invites.retain(|_, invite| invite.expires >= now);
                self.invites.insert(token, invite);
                Touched::Nothing
            }
            Change::Join(token, label, spoke) => {
                if let Some(invite) = self.invites.get_mut(&token) {
                    invite.used = true;
                }
                self.spokes.insert(label.clone(), spoke);
                Touched::Spokes(label)
            }
            Change::Standing(label, standing) => {
                self.stands(now, record, &label, standing);
                Touched::Spokes(label)
            }
            Change::Stand(token, node) => {
                if let Some(invite) = self.invites.get_mut(&token) {
                    invite.used = true;
                }
                self.seats.add(node, Sits::Asks { since: now });
                Touched::Nothing
            }
            Change::Sits(label, to) => {
                self.seats.set(&label, to);
                Touched::Council
            }
            Change::Recover(council) => {
                let filled = self.head.records - 1;
                self.seats.recover(council, filled, now);
                Touched::Council
            }
            Change::Mirror(label, address) => {
                let (since, health) = (self.head.records - 1, Health::new(now));
                let mirror = Mirror {
                    address,
                    since,
                    health,
                };
                self.mirrors.insert(label.clone(), mirror);
                Touched::Mirror(label)
            }
            Change::Unmirror(label) => {
                self.mirrors.remove(&label);
                Touched::Mirror(label)
            }
            Change::ZoneKey(label, key) => {
                self.zone_keys.said.insert(label, key);
                Touched::Nothing
            }
            Change::KeySet(set) => {
                self.zone_keys.take(now, set);
                Touched::Council
            }
            Change::Caa(rules) => {
                self.caa = rules;
                Touched::Council
            }
            Change::Close(ids, next) => {
                let by_organizer = self.organizer(record.request.signed.key).is_ok();
                for id in &ids {
                    self.prepare(now, *id, next.clone(), by_organizer);
                }
                Touched::Blogs(ids)
            }
            change => self.make_of_blogs(now, record.index, change),
        }
    }

    fn make_of_blogs(&mut self, now: Time, index: u64, change: Change) -> Touched {
        match change {
            Change::Blog {
                id,
                blog,
                brought,
                shown,
            } => {
                self.show(id, shown);
                self.name(now, id, blog, brought)
            }
            Change::Keys {
                id,
                entry,
                ended,
                shown,
            } => {
                self.show(id, shown);
                self.note_keys(now, id, entry, ended);
                Touched::Keys(id)
            }
            Change::Open {
                id,
                covered,
                holders,
                forced,
            } => self.begin_epoch(index, id, covered, holders, forced),
            Change::Health(label, says) => {
                if let Some(mirror) = self.mirrors.get_mut(&label) {
                    match says {
                        Says::Silent => mirror.health.fall(now),
                        Says::Answers => mirror.health.rise(now),
                    }
                    return Touched::Mirror(label);
                }
                if let Some(spoke) = self.spokes.get_mut(&label) {
                    match says {
                        Says::Silent => {
                            spoke.health.fall(now);
                            spoke.fell = index;
                        }
                        Says::Answers => spoke.health.rise(now),
                    }
                }
                Touched::Spoke(label)
            }
            Change::Load(label, load, takes) => {
                let Some(spoke) = self.spokes.get_mut(&label) else {
                    return Touched::Nothing;
                };
                let took = spoke.takes;
                (spoke.load, spoke.takes, spoke.told) = (load, takes, Some(now));
                if took == takes {
                    Touched::Load(label)
                } else {
                    Touched::Spoke(label)
                }
            }
            Change::Holds(label, ids) => {
                for id in &ids {
                    if let Some(blog) = self.blogs.get_mut(id) {
                        blog.holders.insert(label.clone(), index);
                    }
                }
                Touched::Blogs(ids)
            }
            change => self.make_wish(now, change),
        }
    }

    /// What somebody wants of a blog: it shows when its set has changed.
    fn make_wish(&mut self, now: Time, change: Change) -> Touched {
        let (Change::Home { id, .. }
        | Change::Replicas(id, _)
        | Change::Demand(id, _)
        | Change::Whole(id)) = &change
        else {
            return Touched::Nothing;
        };
        let id = *id;
        let Some(blog) = self.blogs.get_mut(&id) else {
            return Touched::Nothing;
        };
        match change {
            Change::Home {
                to, since, hers, ..
            } => {
                blog.home = Some(Box::new(Wanted { to, since }));
                if let Some(said) = hers {
                    blog.homed = Some((said, now));
                }
            }
            Change::Replicas(_, replicas) => blog.replicas = Some(replicas),
            Change::Demand(_, more) => {
                let since = Some(now);
                blog.demand = Demand { more, since };
            }
            _ => blog.forced = None,
        }
        Touched::Blog(id)
    }

    fn name(&mut self, now: Time, id: BlogId, blog: Box<BlogRecord>, brought: Label) -> Touched {
        let today = now.as_unix().div_euclid(DAY);
        self.brought.retain(|(day, _), _| *day >= today);
        *self.brought.entry((today, brought)).or_default() += 1;
        self.names.insert(blog.name.clone(), id);
        self.by_author.insert((blog.author.clone(), id));
        if blog.ended.contains(&blog.author) {
            self.ended.insert(blog.author.clone());
        }
        let before = self.blogs.insert(id, blog);
        self.place(id);
        match before {
            None => Touched::NewBlog(id),
            Some(_) => Touched::Blog(id),
        }
    }

    fn stands(&mut self, now: Time, record: &Record, label: &Label, standing: Standing) {
        let Some(spoke) = self.spokes.get_mut(label) else {
            return;
        };
        if !spoke.is_admitted() && matches!(standing, Standing::Admitted { .. }) {
            spoke.lot = record.hash();
            spoke.health = Health::new(now);
            self.ring.insert(spoke.lot, label.clone());
        }
        if matches!(standing, Standing::Evicted { .. }) {
            self.ring.remove(&spoke.lot);
        }
        spoke.standing = standing;
    }

    fn prepare(&mut self, now: Time, id: BlogId, next: Set, by_organizer: bool) {
        let lost = self.lost(id, &next, by_organizer);
        let Some(blog) = self.blogs.get_mut(&id) else {
            return;
        };
        let given_up = blog.closing.take();
        // Seals stay good: the time in which others may still come does not begin anew.
        let since = given_up.as_ref().map_or(now, |closing| closing.since);
        blog.closing = Some(Box::new(Closing { next, since, lost }));
        if let Some(given_up) = given_up {
            self.unplace(id, &given_up.next.members);
        }
        self.place(id);
    }

    /// Whom an organizer gives up with this set. With fewer of them the set is sealed by others, and opened without
    /// force: then whoever seals must have compared its copy.
    fn lost(&self, id: BlogId, next: &Set, by_organizer: bool) -> BTreeSet<Label> {
        let Some(blog) = self.blogs.get(&id).filter(|_| by_organizer) else {
            return BTreeSet::new();
        };
        let silent = |label: &&Label| !self.spokes.get(*label).is_some_and(Spoke::is_well);
        let members = blog.set.members.iter().filter(|label| !next.has(label));
        let lost: BTreeSet<Label> = members.filter(silent).cloned().collect();
        let can_seal = blog.set.members.len() - lost.len() >= blog.set.seals_needed();
        if can_seal { BTreeSet::new() } else { lost }
    }

    fn begin_epoch(
        &mut self,
        index: u64,
        id: BlogId,
        covered: BTreeSet<Tip>,
        holders: Vec<Label>,
        forced: Option<Forced>,
    ) -> Touched {
        let Some(blog) = self.blogs.get_mut(&id) else {
            return Touched::Nothing;
        };
        let Some(closing) = blog.closing.take() else {
            return Touched::Nothing;
        };
        let old = core::mem::replace(&mut blog.set, closing.next);
        blog.covered = covered;
        for label in holders {
            blog.holders.insert(label, index);
        }
        let set = &blog.set;
        blog.holders.retain(|label| set.has(label));
        if blog
            .home
            .as_ref()
            .is_some_and(|home| set.primary() == &home.to)
        {
            blog.home = None;
        }
        if let Some(mut forced) = forced {
            match blog.forced.take() {
                None => {
                    let sealed = old.members.len() - forced.missing.len();
                    forced.enough = (old.seals_needed() - sealed) as u64;
                }
                // What was missing before is missing still, and nobody knows of which of both sets one would do.
                Some(before) => {
                    forced.missing.extend(before.missing);
                    forced.enough = forced.missing.len() as u64;
                }
            }
            blog.forced = Some(Box::new(forced));
        }
        self.unplace(id, &old.members);
        self.place(id);
        Touched::Blog(id)
    }

    /// Forgets that a blog is there; where it is all the same is noted again.
    fn unplace(&mut self, id: BlogId, members: &[Label]) {
        for label in members {
            if let Some(placed) = self.placed.get_mut(label) {
                placed.remove(&id);
            }
        }
    }

    /// Notes where a blog is and will be.
    fn place(&mut self, id: BlogId) {
        let Some(blog) = self.blogs.get(&id) else {
            return;
        };
        let next = blog
            .closing
            .iter()
            .flat_map(|closing| &closing.next.members);
        for label in blog.set.members.iter().chain(next) {
            match self.placed.get_mut(label) {
                Some(placed) => {
                    placed.insert(id);
                }
                None => {
                    self.placed.insert(label.clone(), BTreeSet::from([id]));
                }
            }
        }
    }

    /// Notes which certificate DNS has for a blog from now on.
    fn show(&mut self, id: BlogId, shown: Option<Box<[u8]>>) {
        match shown {
            Some(bytes) => drop(self.openpgpkeys.insert(id, bytes)),
            None => drop(self.openpgpkeys.remove(&id)),
        }
    }

    fn note_keys(&mut self, now: Time, id: BlogId, entry: EntryId, ended: BTreeSet<Fingerprint>) {
        let today = now.as_unix().div_euclid(DAY);
        self.keyed.retain(|(day, _), _| *day >= today);
        *self.keyed.entry((today, id)).or_default() += 1;
        if let Some(blog) = self.blogs.get_mut(&id) {
            blog.keys_at = entry;
            blog.ended.extend(ended);
            if blog.ended.contains(&blog.author) {
                self.ended.insert(blog.author.clone());
            }
        }
    }
}
