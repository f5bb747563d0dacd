//! `spokes council dnssec …`: the keys of the zone (SPEC dns 6).

mod status;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use spokes_log::time::Time;
use spokes_rules::{
    dnssec::{Signs, ZoneKey, wire},
    keyset::{KEYS_TTL, KEYS_TTL_MAX, KEYS_TTL_MIN, KeySet, NodeZoneKey, Signer, TopKey},
    node::Label,
    request::Wish,
    zone_keys::ZoneKeys,
};

pub(super) use self::status::{summary, time_to_sign};
use super::{
    delegation::{self, COUNTED_BEFORE},
    places::{Look, Tell},
};
use crate::{
    clock, config, council::Door, dns::signer::ZoneSecret, outage::Outage,
    wire::zone_keys::ZoneKeysWire,
};

/// For how long a DS record may be remembered: one that was taken away is believed for as long.
const PARENT_REMEMBERED: i64 = 24 * 60 * 60;
/// For how many weeks keys are signed ahead, at most: as many windows as a set has room for.
const WEEKS_MAX: i64 = 104;

#[derive(Debug, Subcommand)]
pub(super) enum DnssecCommand {
    /// Begins to sign the zone. The key stays with an organizer, offline; the council's nodes sign with their own.
    ///
    /// The key is made if there is no such file. Nothing changes for anybody until the registrar has the DS record that
    /// "status" prints.
    ///
    /// Example: spokes council dnssec begin --key /media/stick/zone.key --dir /var/lib/council
    Begin(Begin),
    /// Signs the keys again: for further weeks, and for nodes that came, went, or have another key. A change takes
    /// several steps, and what is printed says when the next may be taken. A key that is not in the zone comes in with
    /// --with alone, so that a stolen one that was taken away does not come back.
    ///
    /// Example: spokes council dnssec sign --key /media/stick/zone.key --dir /var/lib/council
    Sign(Sign),
    /// Shows another organizer's key beside the one that there is: for another organizer, or in its place.
    ///
    /// Example: spokes council dnssec roll --key old.key --to new.key --dir /var/lib/council
    Roll(Roll),
    /// Takes away organizers' keys but this one, when the registrar has had its DS record, and none of the others, for
    /// a day. Refused as long as that cannot be so.
    ///
    /// Example: spokes council dnssec finish --key new.key --dir /var/lib/council
    Finish(Finish),
    /// Shows the keys, until when they are signed, and what the registrar is to be told.
    ///
    /// Example: spokes council dnssec status --dir /var/lib/council
    Status(Look),
}

#[derive(Debug, Args)]
pub(super) struct Ahead {
    /// An organizer's zone key, as "begin" or "roll" made it: the file has to be there.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For how many weeks ahead: by then it has to be said again.
    #[arg(long, default_value_t = 13, value_parser = clap::value_parser!(i64).range(1..=WEEKS_MAX))]
    weeks: i64,
}

#[derive(Debug, Args)]
pub(super) struct Begin {
    /// The organizer's zone key; it is made if there is no such file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For how many weeks ahead: by then the keys have to be signed again.
    #[arg(long, default_value_t = 13, value_parser = clap::value_parser!(i64).range(1..=WEEKS_MAX))]
    weeks: i64,
    /// Seconds for which resolvers remember the keys: each step of a change waits for twice as long.
    #[arg(long, default_value_t = KEYS_TTL,
          value_parser = clap::value_parser!(u32).range(i64::from(KEYS_TTL_MIN)..=i64::from(KEYS_TTL_MAX)))]
    ttl: u32,
    #[command(flatten)]
    tell: Tell,
}

#[derive(Debug, Args)]
pub(super) struct Sign {
    #[command(flatten)]
    ahead: Ahead,
    /// Another organizer's zone key of the set, which signs as well.
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// A node whose key is to sign no more, perhaps because it was stolen.
    #[arg(long, value_name = "NODE", value_parser = Label::parse)]
    without: Vec<Label>,
    /// A node whose key is to come into the zone: a new node, or one that was given another key. Never one whose key
    /// was stolen and is the same as before.
    #[arg(long, value_name = "NODE", value_parser = Label::parse)]
    with: Vec<Label>,
    #[command(flatten)]
    tell: Tell,
}

#[derive(Debug, Args)]
pub(super) struct Roll {
    #[command(flatten)]
    ahead: Ahead,
    /// The other zone key; it is made if there is no such file.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    tell: Tell,
}

#[derive(Debug, Args)]
pub(super) struct Finish {
    #[command(flatten)]
    ahead: Ahead,
    /// At once, without a look at the time: only where no DS record of the others stands at the domain above, nor has
    /// for a day. Else every name of the network is unreachable for who validates.
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    tell: Tell,
}

pub(super) async fn run(command: DnssecCommand) -> Result<(), Outage> {
    match command {
        DnssecCommand::Begin(args) => begin(args).await,
        DnssecCommand::Sign(args) => sign(args).await,
        DnssecCommand::Roll(args) => roll(args).await,
        DnssecCommand::Finish(args) => finish(args).await,
        DnssecCommand::Status(look) => status::status(look).await,
    }
}

/// The keys as the council has them.
struct Here {
    wire: ZoneKeysWire,
    keys: ZoneKeys,
    sitting: Vec<Label>,
    domain: String,
}

async fn here(door: &Door) -> Result<Here, Outage> {
    let wire: ZoneKeysWire = door.get("/api/v1/registry/zone-keys").await?;
    let strange = |why| Outage::new(format!("the council's keys do not add up: {why}"));
    Ok(Here {
        keys: wire.keys().map_err(strange)?,
        sitting: wire.sitting().map_err(strange)?,
        domain: door.domain().to_owned(),
        wire,
    })
}

impl Here {
    /// The last set; who has none is told how to get one.
    fn set(&self) -> Result<&KeySet, Outage> {
        self.keys.signed.as_deref().ok_or_else(|| {
            Outage::new("the zone is not signed so far; \"spokes council dnssec begin\" begins it. Nothing was changed")
        })
    }

    /// Signs this set with these keys, and says it, and until when the keys are signed then.
    async fn say(
        &self,
        tell: &Tell,
        mut set: KeySet,
        weeks: i64,
        secrets: &[ZoneSecret],
        said: &str,
    ) -> Result<(), Outage> {
        let apex = wire(&self.domain);
        let from = clock::now() + -COUNTED_BEFORE;
        let mut each: Vec<_> = secrets
            .iter()
            .map(|secret| (secret.key(), |bytes: &[u8]| secret.sign(bytes)))
            .collect();
        let mut signers: Vec<(ZoneKey, Signer<'_>)> = each
            .iter_mut()
            .map(|(key, sign)| (*key, sign as Signer<'_>))
            .collect();
        let signed = set.sign(from, weeks, &apex, &mut signers);
        signed.ok_or_else(|| {
            Outage::new("the system gives no random numbers; nothing was changed")
        })?;
        let until = set.covered_from(clock::now());
        let until = until.map(|until| format!("The keys are signed until {until}."));
        let said = [said, &until.unwrap_or_default()].join("\n");
        tell.order(Wish::KeySet(Box::new(set)), said.trim()).await?;
        Ok(())
    }
}

fn secret(file: &Path) -> Result<ZoneSecret, Outage> {
    let seed = config::secret_key(file)?.seed();
    ZoneSecret::from_seed(&seed).ok_or_else(|| {
        Outage::new(format!(
            "{} holds no key that can sign a zone; remove it, and another one is made",
            file.display()
        ))
    })
}

/// An organizer's key that has to be there.
fn known_secret(file: &Path, set: &KeySet) -> Result<ZoneSecret, Outage> {
    if !file.exists() {
        return Err(Outage::new(format!(
            "{} is not there; nothing was changed. Name the file of an organizer's zone key, perhaps on a stick that is \
             not plugged in",
            file.display()
        )));
    }
    let secret = secret(file)?;
    if !set.top.iter().any(|top| top.key == secret.key()) {
        return Err(Outage::new(format!(
            "{} is none of the zone's keys; nothing was changed. \"spokes council dnssec status\" lists them, \
             \"spokes council dnssec roll\" brings another one in",
            file.display()
        )));
    }
    Ok(secret)
}

async fn begin(
    Begin {
        key,
        weeks,
        ttl,
        tell,
    }: Begin,
) -> Result<(), Outage> {
    let here = here(&tell.door().await?).await?;
    if here.keys.signed.is_some() {
        return Err(Outage::new(
            "the zone is signed already; \"spokes council dnssec sign\" signs its keys again. Nothing was changed",
        ));
    }
    let (nodes, _) = here.keys.next(clock::now(), &here.sitting, &[]);
    if nodes.len() < here.sitting.len() {
        return Err(Outage::new(
            "not every council node has said its key so far. Nothing was changed; try again in a moment, and look at \
             \"spokes council status\"",
        ));
    }
    let secret = secret(&key)?;
    let top = vec![TopKey {
        key: secret.key(),
        stays: true,
    }];
    let set = KeySet {
        ttl,
        top,
        nodes,
        windows: Vec::new(),
    };
    let said = format!(
        "The council signs the zone now. Keep {} offline: it is needed again within {weeks} weeks. \"spokes council dnssec \
         status {}\" says when the registrar may be told.",
        key.display(),
        tell.at()
    );
    here.say(&tell, set, weeks, &[secret], &said).await
}

async fn sign(
    Sign {
        ahead,
        beside,
        without,
        with,
        tell,
    }: Sign,
) -> Result<(), Outage> {
    let here = here(&tell.door().await?).await?;
    let last = here.set()?;
    let secrets = signing_secrets(&ahead, beside.as_deref(), last)?;
    here.may_name(last, &with, &without)?;
    let (keys, left_out) = here.without_strangers(last, &with);
    let (nodes, later) = keys.next(clock::now(), &here.sitting, &without);
    here.may_go_on(last, &nodes, &without)?;
    let mut lines = changes(&last.nodes, &nodes);
    let at = tell.at();
    lines.extend(left_out.iter().map(|label| {
        format!(
            "{label} has a key that is not in the zone now ({}), and it stays out. If the node is new, or was given another \
             key, say the same with --with {label}. If its key was stolen, do not: see that it gets another one first, by \
             removing its zone.key while it is stopped.",
            here.said_tag(label)
        )
    }));
    let stays = |label: &Label| nodes.iter().any(|node| node.node == *label);
    lines.extend(without.iter().filter(|label| !stays(label)).map(|label| {
        format!(
            "The thief of that key can deceive nobody any more whom he cannot cut off from the network. Now say \"spokes \
             council unseat {label} {at}\", or remove its zone.key before it comes back. \"spokes council dnssec status\" \
             says when it has another one than {}; --with {label} brings it in then, and not before.",
            here.said_tag(label)
        )
    }));
    if let Some(later) = later {
        lines.push(format!(
            "Say the same again after {later}: there is another step to take then."
        ));
    }
    let set = KeySet {
        ttl: last.ttl,
        top: last.top.clone(),
        nodes,
        windows: Vec::new(),
    };
    here.say(&tell, set, ahead.weeks, &secrets, &lines.join("\n"))
        .await
}

/// The organizers' keys that sign: all that the registrar may know.
fn signing_secrets(
    ahead: &Ahead,
    beside: Option<&Path>,
    last: &KeySet,
) -> Result<Vec<ZoneSecret>, Outage> {
    let mut secrets = vec![known_secret(&ahead.key, last)?];
    if let Some(beside) = beside {
        secrets.push(known_secret(beside, last)?);
    }
    let signs = |key: ZoneKey| secrets.iter().any(|secret| secret.key() == key);
    let mut stay = last.top.iter().filter(|top| top.stays);
    if stay.any(|top| !signs(top.key)) {
        return Err(Outage::new(
            "another organizer's key stands beside this one, and the registrar may know that one alone; nothing was \
             changed. Name its file with --beside, or take it away first with \"spokes council dnssec finish\"",
        ));
    }
    Ok(secrets)
}

impl Here {
    /// By which number the key is called that a node has said last.
    fn said_tag(&self, label: &Label) -> String {
        let said = self.keys.said.get(label);
        said.map_or("no key".to_owned(), |key| {
            format!("key tag {}", key.tag(Signs::Zone))
        })
    }

    /// Nodes that sit and whose key is not in the zone.
    fn strangers(&self, last: &KeySet) -> Vec<Label> {
        let is_shown = |key: &ZoneKey| last.nodes.iter().any(|node| node.key == *key);
        let said = self.keys.said.iter();
        let strange = said.filter(|(label, key)| self.sitting.contains(label) && !is_shown(key));
        strange.map(|(label, _)| label.clone()).collect()
    }

    /// The keys without those that are not in the zone and that nobody named, and whose these are: one that was taken
    /// away because it was stolen leaves no trace, and its node says it still.
    fn without_strangers(&self, last: &KeySet, with: &[Label]) -> (ZoneKeys, Vec<Label>) {
        let mut left_out = self.strangers(last);
        left_out.retain(|label| !with.contains(label));
        let mut keys = self.keys.clone();
        keys.said.retain(|label, _| !left_out.contains(label));
        (keys, left_out)
    }

    fn may_name(&self, last: &KeySet, with: &[Label], without: &[Label]) -> Result<(), Outage> {
        for label in without {
            if with.contains(label) {
                return Err(Outage::new(format!(
                    "{label} is named with --with and --without; nothing was changed. Take its old key away first, and \
                     bring another one in then"
                )));
            }
            if !last.nodes.iter().any(|node| node.node == *label) {
                return Err(Outage::new(format!(
                    "{label} has no key in the zone; nothing was changed"
                )));
            }
        }
        let comes =
            |label: &Label| self.sitting.contains(label) && self.keys.said.contains_key(label);
        if let Some(label) = with.iter().find(|label| !comes(label)) {
            return Err(Outage::new(format!(
                "{label} does not sit on the council, or has not said its key so far; nothing was changed. \"spokes \
                 council status\" lists the nodes: once it is up to date, try again in a moment"
            )));
        }
        Ok(())
    }

    /// Whether the next step can be taken already.
    fn may_go_on(
        &self,
        last: &KeySet,
        nodes: &[NodeZoneKey],
        without: &[Label],
    ) -> Result<(), Outage> {
        if let Some(node) = nodes
            .iter()
            .find(|node| node.signs && without.contains(&node.node))
        {
            return Err(Outage::new(format!(
                "no other key may sign in place of that of {} so far; nothing was changed. Say \"spokes council dnssec \
                 sign --with NODE\" of another node, so that its key is shown, and this again when it says so",
                node.node
            )));
        }
        let goes = |node: &&NodeZoneKey| !nodes.iter().any(|next| next.key == node.key);
        let gone = last.nodes.iter().find(goes);
        if let Some(gone) = gone.filter(|_| self.wire.unsigned != Some(0)) {
            return Err(Outage::new(format!(
                "a key of {} could go, but some names are still signed by it, or are being looked at; nothing was \
                 changed. Say the same again when \"spokes council dnssec status\" says that every name is signed",
                gone.node
            )));
        }
        Ok(())
    }
}

/// What becomes of each node's key, in sentences.
fn changes(last: &[NodeZoneKey], next: &[NodeZoneKey]) -> Vec<String> {
    let of =
        |nodes: &[NodeZoneKey], key: ZoneKey| nodes.iter().find(|node| node.key == key).cloned();
    let gone = last.iter().filter(|node| of(next, node.key).is_none());
    let gone = gone.map(|node| format!("A key of {} is gone from the zone.", node.node));
    let changed = next.iter().filter_map(|node| match of(last, node.key) {
        None => Some(format!(
            "A key of {} is shown (key tag {}), and signs when all resolvers know it.",
            node.node,
            node.key.tag(Signs::Zone)
        )),
        Some(before) if before.signs && !node.signs => {
            Some(format!("A key of {} rests: it signs no more.", node.node))
        }
        Some(_) => None,
    });
    gone.chain(changed).collect()
}

async fn roll(Roll { ahead, to, tell }: Roll) -> Result<(), Outage> {
    let here = here(&tell.door().await?).await?;
    let last = here.set()?;
    let old = known_secret(&ahead.key, last)?;
    let new = secret(&to)?;
    if new.key() == old.key() {
        return Err(Outage::new(
            "--key and --to name the same key; nothing was changed. Name another file with --to: a key is made if there \
             is none in it",
        ));
    }
    let mut set = KeySet {
        windows: Vec::new(),
        ..last.clone()
    };
    if !set.top.iter().any(|top| top.key == new.key()) {
        set.top.push(TopKey {
            key: new.key(),
            stays: true,
        });
    }
    let (now, at) = (clock::now(), tell.at());
    let known = delegation::known(&set, now);
    let said = format!(
        "{} is shown beside {}, and both sign the keys. Not before {known}, when all resolvers know the key, its DS record \
         may be added at the registrar beside the other one:\n{}\nTake the other one away there as soon as this one stands \
         there, and not before. A day after that, and not before {}, \"spokes council dnssec finish --key {0} {at}\" takes \
         the other key out of the zone. \"spokes council dnssec status {at}\" says all this again.",
        to.display(),
        ahead.key.display(),
        delegation::ds_lines(&here.domain, new.key()).join("\n"),
        known + PARENT_REMEMBERED
    );
    here.say(&tell, set, ahead.weeks, &[old, new], &said).await
}

async fn finish(Finish { ahead, now, tell }: Finish) -> Result<(), Outage> {
    let here = here(&tell.door().await?).await?;
    let last = here.set()?;
    let secret = known_secret(&ahead.key, last)?;
    if last.top.len() == 1 {
        return Err(Outage::new(format!(
            "{} is the only organizer's key of the zone already; nothing was changed",
            ahead.key.display()
        )));
    }
    if !now {
        is_time_to_finish(last, secret.key(), clock::now()).map_err(|why| {
            let (file, domain) = (ahead.key.display(), &here.domain);
            let tag = secret.key().tag(Signs::Keys);
            Outage::new(format!(
                "{file} may not be the only key so far, and nothing was changed: {why}. Look with \"dig +short DS \
                 {domain}\": key tag {tag} is to stand there alone, and to have stood there alone for a day. If the other \
                 key goes earlier, no name is found by who validates. --now does it all the same"
            ))
        })?;
    }
    let mut set = KeySet {
        windows: Vec::new(),
        ..last.clone()
    };
    set.top.retain(|top| top.key == secret.key());
    let said = format!(
        "{} is the only organizer's key of the zone now. Its DS record alone belongs at the registrar.",
        ahead.key.display()
    );
    here.say(&tell, set, ahead.weeks, &[secret], &said).await
}

/// Whether nobody can believe an organizer's other keys alone any more, if the registrar was told as soon as it could be.
fn is_time_to_finish(set: &KeySet, key: ZoneKey, now: Time) -> Result<(), String> {
    let Some(shown) = delegation::signed_at(set, key) else {
        return Err(
            "it has not signed the keys so far, so nobody knows since when it is shown".to_owned(),
        );
    };
    let earliest = delegation::known(set, shown) + PARENT_REMEMBERED;
    if now < earliest {
        return Err(format!(
            "the keys were signed last at {shown}, so the registrar can have been told at {} at the earliest, and \
             resolvers remember for a day what stood there before. Say the same again after {earliest}",
            delegation::known(set, shown)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use spokes_rules::{dnssec::ZoneSignature, keyset::Window};

    use super::*;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn key(seed: u8) -> ZoneKey {
        ZoneSecret::from_seed(&[seed; 32]).unwrap().key()
    }

    fn label(text: &str) -> Label {
        Label::parse(text).unwrap()
    }

    /// A set that organizers' first key signed at a time, with the keys of two nodes.
    fn set(shown: Time) -> KeySet {
        let top = [1, 2].map(|seed| TopKey {
            key: key(seed),
            stays: true,
        });
        let node = |(node, seed)| NodeZoneKey {
            node: label(node),
            key: key(seed),
            signs: true,
        };
        let window = Window {
            from: shown - COUNTED_BEFORE,
            until: shown + 60,
            tag: key(1).tag(Signs::Keys),
            signatures: [ZoneSignature::from_bytes([0; 64]); 3],
        };
        KeySet {
            ttl: 3_600,
            top: top.to_vec(),
            nodes: [("council1", 11), ("council2", 12)].map(node).to_vec(),
            windows: vec![window],
        }
    }

    #[test]
    fn the_other_key_goes_when_nobody_can_need_it_any_more() {
        let earliest = NOW + 2 * 3_600 + 24 * 3_600;
        let early = is_time_to_finish(&set(NOW), key(1), earliest - 1).unwrap_err();
        assert!(early.contains(&format!("after {earliest}")), "{early}");
        assert_eq!(is_time_to_finish(&set(NOW), key(1), earliest), Ok(()));
        let unknown = is_time_to_finish(&set(NOW), key(2), earliest).unwrap_err();
        assert!(unknown.contains("has not signed"), "{unknown}");
    }

    #[test]
    fn a_key_that_is_not_in_the_zone_comes_in_by_name_alone() {
        let said = [("council1", 11), ("council2", 12), ("council3", 13)];
        let keys = ZoneKeys {
            said: said.map(|(node, seed)| (label(node), key(seed))).into(),
            signed: Some(Box::new(set(NOW))),
            steps: BTreeMap::new(),
        };
        let here = Here {
            wire: ZoneKeysWire {
                records: 1,
                sitting: Vec::new(),
                said: BTreeMap::new(),
                set: None,
                steps: Vec::new(),
                unsigned: Some(0),
            },
            keys,
            sitting: said.map(|(node, _)| label(node)).to_vec(),
            domain: "blogs.example".to_owned(),
        };
        let last = set(NOW);
        let (keys, left_out) = here.without_strangers(&last, &[]);
        assert_eq!(left_out, [label("council3")]);
        let (nodes, _) = keys.next(NOW, &here.sitting, &[]);
        assert_eq!(nodes.len(), 2, "a stolen key does not come back by itself");
        let (keys, left_out) = here.without_strangers(&last, &[label("council3")]);
        assert_eq!(left_out, []);
        let (nodes, _) = keys.next(NOW, &here.sitting, &[]);
        assert_eq!(nodes.len(), 3);
        let both = here.may_name(&last, &[label("council1")], &[label("council1")]);
        assert!(both.is_err());
        assert!(here.may_name(&last, &[label("council9")], &[]).is_err());
        assert!(here.may_name(&last, &[], &[label("council3")]).is_err());
    }
}
