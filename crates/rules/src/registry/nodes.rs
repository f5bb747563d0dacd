//! Requests about nodes: who is let in, who sits on the council, who is well (SPEC registry 3.2 to 3.5, 3.12 to 3.21).

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};

use spokes_log::{name::Hash, time::Time};

use super::{CLOCK_SECONDS, Change, Registry};
use crate::{
    address::{Reach, reach},
    caa::{Caa, contradiction},
    dnssec::{self, ZoneKey},
    health::{Health, LOAD_SECONDS, Load, OBSERVERS, REPORT_SECONDS_MAX, Report, Says, Takes},
    keyset::KeySet,
    mirror::MIRRORS_MAX,
    node::{Label, NodeKey, Signed},
    record::{Spoke, Standing},
    refusal::Refusal,
    request::{Address, CouncilNode, Operator, Request},
    seat::Sits,
};

impl Registry {
    pub(super) fn organizer(&self, key: NodeKey) -> Result<(), Refusal> {
        if self.founding.organizers.contains(&key) {
            Ok(())
        } else {
            Err(Refusal::NotAnOrganizer(key))
        }
    }

    /// The admitted spoke with this key.
    pub(super) fn bringer(&self, key: NodeKey) -> Result<&Label, Refusal> {
        let found = self.spokes.iter().find(|(_, spoke)| spoke.key == key);
        match found {
            Some((label, spoke)) if spoke.is_admitted() => Ok(label),
            Some((label, spoke)) if spoke.is_barred() => Err(Refusal::Barred(label.clone())),
            _ => Err(Refusal::NotAdmitted),
        }
    }

    /// A spoke that is let in; else why it is none.
    pub(super) fn let_in(&self, label: &Label) -> Result<&Spoke, Refusal> {
        let spoke = self.asked(label)?;
        match spoke.standing {
            Standing::Admitted { .. } | Standing::Leaving { .. } => Ok(spoke),
            Standing::Applied { .. } => Err(Refusal::NotIn(label.clone())),
            Standing::Evicted { .. } => Err(Refusal::Barred(label.clone())),
        }
    }

    pub(super) fn join(
        &self,
        now: Time,
        key: NodeKey,
        label: Label,
        operator: Operator,
        address: Address,
        token: &str,
    ) -> Result<Change, Refusal> {
        let token = self.invited(now, token)?;
        if !self.may_serve(address) {
            return Err(Refusal::AddressInside(address));
        }
        self.is_new(&label, key)?;
        let standing = Standing::Applied { since: now };
        Ok(Change::Join(
            token,
            label,
            Spoke {
                key,
                operator,
                address,
                standing,
                lot: Hash::of(&[]),
                health: Health::new(now),
                fell: 0,
                load: Load::LOW,
                takes: Takes::New,
                told: None,
            },
        ))
    }

    /// The hash of a token whose invitation is good.
    fn invited(&self, now: Time, token: &str) -> Result<Hash, Refusal> {
        let token = Hash::of(token.as_bytes());
        let invite = self
            .invites
            .get(&token)
            .filter(|i| !i.used)
            .ok_or(Refusal::NoInvitation)?;
        if invite.expires < now {
            return Err(Refusal::InvitationExpired(invite.expires));
        }
        Ok(token)
    }

    /// Whether no node of any kind has this label or key.
    fn is_new(&self, label: &Label, key: NodeKey) -> Result<(), Refusal> {
        let is_taken = self.seats.labelled(label).is_some()
            || self.spokes.contains_key(label)
            || self.mirrors.contains_key(label);
        if is_taken {
            return Err(Refusal::LabelTaken(label.clone()));
        }
        let spoke = self.spokes.iter().find(|(_, spoke)| spoke.key == key);
        match spoke.map(|(label, _)| label).or(self.seats.with_key(key)) {
            Some(other) => Err(Refusal::KeyTaken(other.clone())),
            None => Ok(()),
        }
    }

    /// An organizer lets a name server copy the zone, or gives one that does another address and new secrets.
    pub(super) fn let_mirror(
        &self,
        key: NodeKey,
        label: Label,
        address: Address,
    ) -> Result<Change, Refusal> {
        self.organizer(key)?;
        if !self.may_serve(address) {
            return Err(Refusal::AddressInside(address));
        }
        if !self.mirrors.contains_key(&label) {
            if self.mirrors.len() == MIRRORS_MAX {
                return Err(Refusal::TooManyMirrors(MIRRORS_MAX));
            }
            if self.seats.labelled(&label).is_some() || self.spokes.contains_key(&label) {
                return Err(Refusal::LabelTaken(label));
            }
        }
        Ok(Change::Mirror(label, address))
    }

    /// A node that sits says with which key it signs the zone.
    pub(super) fn zone_key(
        &self,
        key: NodeKey,
        label: Label,
        said: ZoneKey,
    ) -> Result<Change, Refusal> {
        let node = self.seats.node(key);
        if node.is_none_or(|node| node.label != label) {
            return Err(Refusal::NotOfTheCouncil(key));
        }
        if self.zone_keys.said.get(&label) == Some(&said) {
            return Err(Refusal::NothingNew);
        }
        Ok(Change::ZoneKey(label, said))
    }

    /// An organizer signs the zone's keys.
    pub(super) fn key_set(
        &self,
        now: Time,
        key: NodeKey,
        set: Box<KeySet>,
    ) -> Result<Change, Refusal> {
        self.organizer(key)?;
        let apex = dnssec::wire(self.founding.domain.as_str());
        self.zone_keys.judge(now, &apex, &set)?;
        Ok(Change::KeySet(set))
    }

    /// An organizer says who may issue certificates: all rules at once, so that none is left by mistake.
    pub(super) fn rule_certificates(
        &self,
        key: NodeKey,
        rules: Vec<Caa>,
    ) -> Result<Change, Refusal> {
        self.organizer(key)?;
        if let Some(tag) = contradiction(&rules) {
            return Err(Refusal::NobodyAndSomebody(tag.as_str()));
        }
        if rules == self.caa {
            return Err(Refusal::NothingNew);
        }
        Ok(Change::Caa(rules))
    }

    pub(super) fn end_mirror(&self, key: NodeKey, label: Label) -> Result<Change, Refusal> {
        self.organizer(key)?;
        if !self.mirrors.contains_key(&label) {
            return Err(Refusal::NoSuchMirror(label));
        }
        Ok(Change::Unmirror(label))
    }

    pub(super) fn stand(
        &self,
        now: Time,
        key: NodeKey,
        node: CouncilNode,
        token: &str,
    ) -> Result<Change, Refusal> {
        if node.key != key {
            return Err(Refusal::BadSignature);
        }
        let token = self.invited(now, token)?;
        for address in [node.api, node.dns, node.peer] {
            if !self.may_serve(address) {
                return Err(Refusal::AddressInside(address));
            }
        }
        self.is_new(&node.label, key)?;
        Ok(Change::Stand(token, node))
    }

    pub(super) fn sit(&self, key: NodeKey, label: Label, to: Sits) -> Result<Change, Refusal> {
        self.organizer(key)?;
        self.seats.judge(&label, to)?;
        Ok(Change::Sits(label, to))
    }

    /// An organizer gives a seat; whoever got it says when it is filled.
    pub(super) fn seat(&self, key: NodeKey, label: Label) -> Result<Change, Refusal> {
        if self.organizer(key).is_err() {
            let sits = self.seats.filled(&label, key)?;
            return Ok(Change::Sits(label, sits));
        }
        let to = Sits::Yes {
            filled: self.head.records,
            whole: false,
        };
        self.sit(key, label, to)
    }

    /// Only who sits can be filled again: a seat is given by another word.
    pub(super) fn refill(&self, key: NodeKey, label: Label) -> Result<Change, Refusal> {
        let seat = self.seats.labelled(&label);
        if !seat.is_some_and(|seat| matches!(seat.sits, Sits::Yes { .. })) {
            return Err(Refusal::NoSuchSeat(label));
        }
        let to = Sits::Yes {
            filled: self.head.records,
            whole: false,
        };
        self.sit(key, label, to)
    }

    /// Whether readers and other spokes may be sent to an address: else a spoke could have them ask
    /// machines behind their own walls.
    fn may_serve(&self, address: Address) -> bool {
        let nodes = self.seats.sitting();
        let walls = nodes.map(|(node, ..)| reach(node.api.0.ip())).min();
        let reach = reach(address.0.ip());
        reach != Reach::Nowhere && address.0.port() != 0 && walls.is_none_or(|walls| reach >= walls)
    }

    pub(super) fn admit(&self, now: Time, key: NodeKey, label: Label) -> Result<Change, Refusal> {
        self.organizer(key)?;
        match self.asked(&label)?.standing {
            Standing::Applied { .. } | Standing::Leaving { .. } => {}
            Standing::Admitted { .. } => return Err(Refusal::NotWaiting(label)),
            Standing::Evicted { .. } => return Err(Refusal::Barred(label)),
        }
        Ok(Change::Standing(label, Standing::Admitted { since: now }))
    }

    /// Bars a spoke.
    pub(super) fn evict(&self, now: Time, key: NodeKey, label: Label) -> Result<Change, Refusal> {
        self.organizer(key)?;
        self.asked(&label)?;
        Ok(Change::Standing(label, Standing::Evicted { since: now }))
    }

    fn asked(&self, label: &Label) -> Result<&Spoke, Refusal> {
        let spoke = self.spokes.get(label);
        spoke.ok_or_else(|| Refusal::NoSuchSpoke(label.clone()))
    }

    /// Whether an admitted spoke speaks for itself.
    pub(super) fn is_own(&self, key: NodeKey, label: &Label) -> Result<(), Refusal> {
        if self.bringer(key)? == label {
            Ok(())
        } else {
            Err(Refusal::BadSignature)
        }
    }

    /// A spoke is to be emptied, as an organizer or its own key says.
    pub(super) fn drain(&self, now: Time, label: Label) -> Result<Change, Refusal> {
        if self.let_in(&label)?.is_leaving() {
            return Err(Refusal::NothingNew);
        }
        Ok(Change::Standing(label, Standing::Leaving { since: now }))
    }

    /// How much a spoke has to do.
    pub(super) fn load(
        &self,
        now: Time,
        label: Label,
        load: Load,
        takes: Takes,
    ) -> Result<Change, Refusal> {
        let spoke = self.asked(&label)?;
        if spoke.load == load && spoke.takes == takes {
            return Err(Refusal::NothingNew);
        }
        // That it takes nothing any more must not wait: its primary's authors do.
        let is_urgent = takes == Takes::Nothing && spoke.takes != Takes::Nothing;
        let soon = spoke
            .told
            .is_some_and(|told| now.since(told) < LOAD_SECONDS);
        if soon && !is_urgent {
            return Err(Refusal::TooSoon(LOAD_SECONDS));
        }
        Ok(Change::Load(label, load, takes))
    }

    /// Whether enough observers say this of a spoke, and whether it may be believed now.
    pub(super) fn health(
        &self,
        now: Time,
        request: &Request,
        label: Label,
        says: Says,
    ) -> Result<Change, Refusal> {
        if self.seats.node(request.signed.key).is_none() {
            return Err(Refusal::NotOfTheCouncil(request.signed.key));
        }
        let Some(health) = self.health_of(&label) else {
            self.asked(&label)?;
            return Err(Refusal::NothingNew);
        };
        if health.down.is_some() == (says == Says::Silent) {
            return Err(Refusal::NothingNew);
        }
        if let Some(until) = health.rests_until().filter(|until| *until > now) {
            return Err(Refusal::Rests { label, until });
        }
        self.agreed(now, &label, says, &request.statements)?;
        Ok(Change::Health(label, says))
    }

    /// How a spoke or a mirror is, if it matters.
    pub fn health_of(&self, label: &Label) -> Option<&Health> {
        let spoke = self.spokes.get(label).filter(|_| self.is_watched(label));
        let mirror = self.mirrors.get(label).map(|mirror| &mirror.health);
        spoke.map(|spoke| &spoke.health).or(mirror)
    }

    /// Whether enough reports say this of a spoke: more than half of its observers. Where most of the council
    /// finds an observer silent, too, a node of the council stands in for it: else of many that fall together
    /// nobody would be left to say so (SPEC registry 3.17).
    ///
    /// # Errors
    /// When too few say so.
    pub fn agreed(
        &self,
        now: Time,
        of: &Label,
        says: Says,
        statements: &[Signed],
    ) -> Result<(), Refusal> {
        let heard = statements.iter().filter_map(|s| self.heard(now, s));
        let heard: BTreeSet<_> = heard.collect();
        let council = self.council();
        let found = |by: &[(Label, NodeKey)], of: &Label, says: Says| {
            let say = |who: &&(Label, NodeKey)| heard.contains(&(of.clone(), says, (*who).clone()));
            by.iter().filter(say).count()
        };
        let mut judges = self.observers(of);
        judges.retain(|(label, _)| found(&council, label, Says::Silent) <= council.len() / 2);
        let stand_in = council.iter().filter(|node| !judges.contains(node));
        let stand_in: Vec<_> = stand_in.cloned().collect();
        judges.extend(stand_in);
        judges.truncate(OBSERVERS);
        let (needed, found) = (judges.len() / 2 + 1, found(&judges, of, says));
        if found < needed {
            return Err(Refusal::TooFewReports { needed, found });
        }
        Ok(())
    }

    /// What a good and new report says, and who.
    fn heard(&self, now: Time, signed: &Signed) -> Option<(Label, Says, (Label, NodeKey))> {
        let report = Report::parse(signed.text.as_bytes()).ok()?;
        let age = now.since(report.time);
        // One from before the last change would bring an old state back.
        let fits = report.network == self.network
            && report.time > self.health_of(&report.of)?.changed
            && (-CLOCK_SECONDS..=REPORT_SECONDS_MAX).contains(&age);
        (fits && signed.is_good()).then_some((
            report.of,
            report.says,
            (report.observer, signed.key),
        ))
    }

    /// Who watches a spoke, with their keys: the next ones on the ring that are well, each of another operator;
    /// in a small network nodes of the council fill up. A mirror is watched by the council's nodes alone, who know
    /// what it should answer. Places on the ring come from the records that let the
    /// spokes in, so nobody chooses whom to watch (SPEC registry 3.17).
    pub fn observers(&self, of: &Label) -> Vec<(Label, NodeKey)> {
        let Some(watched) = self.spokes.get(of) else {
            return match self.mirrors.contains_key(of) {
                true => self.council(),
                false => Vec::new(),
            };
        };
        let behind = self
            .ring
            .range(watched.lot..)
            .chain(self.ring.range(..watched.lot));
        let mut operators = BTreeSet::from([&watched.operator]);
        let mut observers = Vec::new();
        for label in behind.map(|(_, label)| label) {
            let Some(spoke) = self.spokes.get(label) else {
                continue;
            };
            if spoke.is_well() && operators.insert(&spoke.operator) {
                observers.push((label.clone(), spoke.key));
                if observers.len() == OBSERVERS {
                    return observers;
                }
            }
        }
        observers.extend(self.council());
        observers.truncate(OBSERVERS);
        observers
    }

    /// Whether it matters how a spoke is: it is let in, or has places still that it can seal.
    pub fn is_watched(&self, label: &Label) -> bool {
        let spoke = self.spokes.get(label);
        spoke.is_some_and(|spoke| spoke.is_admitted() || self.blogs_on(label) > 0)
    }

    /// Whether reports of this observer may count for that spoke: it watches it, or may stand in for who does.
    pub fn may_report(&self, observer: &(Label, NodeKey), of: &Label) -> bool {
        self.observers(of).contains(observer) || self.council().contains(observer)
    }

    /// The council's nodes that hold the registry, with their keys, in the order of their numbers.
    fn council(&self) -> Vec<(Label, NodeKey)> {
        let nodes = self.seats.whole();
        nodes
            .map(|(node, _)| (node.label.clone(), node.key))
            .collect()
    }

    /// The spokes that this node watches.
    pub fn watched_by(&self, observer: NodeKey) -> Vec<Label> {
        let watches = |label: &Label| {
            let mut observers = self.observers(label).into_iter();
            observers.any(|(_, key)| key == observer)
        };
        let watched = self.spokes.keys().filter(|label| self.is_watched(label));
        watched.filter(|label| watches(label)).cloned().collect()
    }
}
