//! `spokes council dnssec …`: the keys of the zone (SPEC dns 6).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use spokes_log::time::Time;
use spokes_rules::{
    dnssec::{Signs, ZoneKey, wire},
    keyset::{KEYS_TTL, KEYS_TTL_MAX, KEYS_TTL_MIN, KeySet, NodeZoneKey, Signer, TopKey},
    node::Label,
    request::Wish,
    zone_keys::ZoneKeys,
};

use super::places::{Look, Tell};
use crate::{
    author::Console,
    clock, config,
    council::{Door, Whose},
    demo,
    dns::signer::ZoneSecret,
    outage::Outage,
    wire::zone_keys::ZoneKeysWire,
};

/// Signatures count from so long before now on: clocks of resolvers differ.
const COUNTED_BEFORE: i64 = 60 * 60;
/// Seconds before the last signature ends from which on it is said that it is time for new ones.
const TIME_TO_SIGN: i64 = 28 * 24 * 60 * 60;
/// For how many weeks keys are signed ahead, at most: as many windows as a set has room for.
const WEEKS_MAX: i64 = 104;

#[derive(Debug, Subcommand)]
pub(super) enum DnssecCommand {
    /// Begins to sign the zone. The key stays with an organizer, offline; the council's nodes sign with their own.
    ///
    /// Nothing changes for anybody until the registrar has the DS record that "status" prints.
    ///
    /// Example: spokes council dnssec begin --key /media/stick/zone.key --dir /var/lib/council
    Begin(Begin),
    /// Signs the keys again: for further weeks, and for nodes that came, went, or have another key. A change takes
    /// several steps, and what is printed says when the next may be taken.
    ///
    /// Example: spokes council dnssec sign --key /media/stick/zone.key --dir /var/lib/council
    Sign(Sign),
    /// Shows another organizer's key beside the one that there is: for another organizer, or in its place.
    ///
    /// Example: spokes council dnssec roll --key old.key --to new.key --dir /var/lib/council
    Roll(Roll),
    /// Takes away organizers' keys but this one, when the registrar has its DS record, and none of the others, for a day.
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
    /// The organizer's key; it is made if there is no such file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For how many weeks ahead: by then it has to be said again.
    #[arg(long, default_value_t = 13, value_parser = clap::value_parser!(i64).range(1..=WEEKS_MAX))]
    weeks: i64,
}

#[derive(Debug, Args)]
pub(super) struct Begin {
    #[command(flatten)]
    ahead: Ahead,
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
    /// Another organizer's key of the set, which signs as well.
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// A node whose key is to sign no more, perhaps because it was stolen.
    #[arg(long, value_name = "NODE", value_parser = Label::parse)]
    without: Vec<Label>,
    #[command(flatten)]
    tell: Tell,
}

#[derive(Debug, Args)]
pub(super) struct Roll {
    #[command(flatten)]
    ahead: Ahead,
    /// The other key; it is made if there is no such file.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    tell: Tell,
}

#[derive(Debug, Args)]
pub(super) struct Finish {
    #[command(flatten)]
    ahead: Ahead,
    #[command(flatten)]
    tell: Tell,
}

pub(super) async fn run(command: DnssecCommand) -> Result<(), Outage> {
    match command {
        DnssecCommand::Begin(args) => begin(args).await,
        DnssecCommand::Sign(args) => sign(args).await,
        DnssecCommand::Roll(args) => roll(args).await,
        DnssecCommand::Finish(args) => finish(args).await,
        DnssecCommand::Status(look) => status(look).await,
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

    /// Signs this set with these keys, and says it.
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
        tell.order(Wish::KeySet(Box::new(set)), said).await?;
        Ok(())
    }
}

fn secret(file: &std::path::Path) -> Result<ZoneSecret, Outage> {
    let seed = config::secret_key(file)?.seed();
    ZoneSecret::from_seed(&seed).ok_or_else(|| {
        Outage::new(format!(
            "{} holds no key that can sign a zone; remove it, and another one is made",
            file.display()
        ))
    })
}

/// An organizer's key that has to be there.
fn known_secret(file: &std::path::Path, set: &KeySet) -> Result<ZoneSecret, Outage> {
    if !file.exists() {
        return Err(Outage::new(format!(
            "{} is not there; nothing was changed",
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

async fn begin(Begin { ahead, ttl, tell }: Begin) -> Result<(), Outage> {
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
    let secret = secret(&ahead.key)?;
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
        "The council signs the zone now. Keep {} offline: it is needed again within {} weeks. \"spokes council dnssec \
         status\" says when the registrar may be told.",
        ahead.key.display(),
        ahead.weeks
    );
    here.say(&tell, set, ahead.weeks, &[secret], &said).await
}

async fn sign(
    Sign {
        ahead,
        beside,
        without,
        tell,
    }: Sign,
) -> Result<(), Outage> {
    let here = here(&tell.door().await?).await?;
    let last = here.set()?;
    let mut secrets = vec![known_secret(&ahead.key, last)?];
    if let Some(beside) = beside {
        secrets.push(known_secret(&beside, last)?);
    }
    let stay = last.top.iter().filter(|top| top.stays);
    let signs = |key: ZoneKey| secrets.iter().any(|secret| secret.key() == key);
    if stay.clone().any(|top| !signs(top.key)) {
        return Err(Outage::new(
            "another organizer's key stands beside this one, and the registrar may know that one alone; nothing was \
             changed. Name its file with --beside, or take it away first with \"spokes council dnssec finish\"",
        ));
    }
    for label in &without {
        if !last.nodes.iter().any(|node| node.node == *label) {
            return Err(Outage::new(format!(
                "{label} has no key in the zone; nothing was changed"
            )));
        }
    }
    let (nodes, later) = here.keys.next(clock::now(), &here.sitting, &without);
    if let Some(node) = nodes
        .iter()
        .find(|node| node.signs && without.contains(&node.node))
    {
        return Err(Outage::new(format!(
            "no other key may sign in place of that of {} so far; nothing was changed. Say \"spokes council dnssec sign\" \
             without --without, so that the others' are shown, and this again when it says so",
            node.node
        )));
    }
    let goes = |node: &&NodeZoneKey| !nodes.iter().any(|next| next.key == node.key);
    let gone = last.nodes.iter().find(goes);
    if let Some(gone) = gone.filter(|_| here.wire.unsigned != Some(0)) {
        return Err(Outage::new(format!(
            "a key of {} could go, but some names are still signed by it, or are being looked at; nothing was changed. \
             Say the same again when \"spokes council dnssec status\" says that every name is signed",
            gone.node
        )));
    }
    let mut lines = changes(&last.nodes, &nodes);
    lines.push(match later {
        Some(later) => {
            format!("Say the same again after {later}: there is another step to take then.")
        }
        None => "That was all there is to do.".to_owned(),
    });
    let set = KeySet {
        ttl: last.ttl,
        top: last.top.clone(),
        nodes,
        windows: Vec::new(),
    };
    here.say(&tell, set, ahead.weeks, &secrets, &lines.join("\n"))
        .await
}

/// What becomes of each node's key, in sentences.
fn changes(last: &[NodeZoneKey], next: &[NodeZoneKey]) -> Vec<String> {
    let of =
        |nodes: &[NodeZoneKey], key: ZoneKey| nodes.iter().find(|node| node.key == key).cloned();
    let gone = last.iter().filter(|node| of(next, node.key).is_none());
    let gone = gone.map(|node| format!("A key of {} is gone from the zone.", node.node));
    let changed = next.iter().filter_map(|node| match of(last, node.key) {
        None => Some(format!(
            "A key of {} is shown, and signs when all resolvers know it.",
            node.node
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
    let known = clock::now() + 2 * i64::from(set.ttl);
    let said = format!(
        "{} is shown beside {}, and both sign the keys. Tell the registrar its DS record after {known}, when all \
         resolvers know the key, beside the other one or in its place:\n  {}\n\"spokes council dnssec finish --key {0}\" takes the others away, a day after the registrar \
         has changed.",
        to.display(),
        ahead.key.display(),
        ds(&here.domain, new.key())
    );
    here.say(&tell, set, ahead.weeks, &[old, new], &said).await
}

async fn finish(Finish { ahead, tell }: Finish) -> Result<(), Outage> {
    let here = here(&tell.door().await?).await?;
    let last = here.set()?;
    let secret = known_secret(&ahead.key, last)?;
    let mut set = KeySet {
        windows: Vec::new(),
        ..last.clone()
    };
    set.top.retain(|top| top.key == secret.key());
    let said = format!(
        "{} is the only organizer's key of the zone now.",
        ahead.key.display()
    );
    here.say(&tell, set, ahead.weeks, &[secret], &said).await
}

/// The DS record of a key, as registrars want it (RFC 4034 section 5.3).
fn ds(domain: &str, key: ZoneKey) -> String {
    let data = key.ds(&wire(domain));
    let digest: String = data
        .iter()
        .skip(4)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!("{domain}. IN DS {} 13 2 {digest}", key.tag(Signs::Keys))
}

async fn status(look: Look) -> Result<(), Outage> {
    let (door, console) = (look.door(Whose::Nobodys).await?, Console::standard());
    let here = here(&door).await?;
    let (now, set) = (clock::now(), here.keys.signed.as_deref());
    let Some(set) = set else {
        if look.json {
            console.json(&serde_json::json!({"signed": false}));
        } else {
            console.fact("The zone is not signed; \"spokes council dnssec begin\" begins it.");
        }
        return Ok(());
    };
    let covered = set.covered_from(now);
    let stay = set.top.iter().filter(|top| top.stays);
    let records: Vec<String> = stay.map(|top| ds(&here.domain, top.key)).collect();
    let signers: Vec<ZoneKey> = here.keys.signers(now).map(|node| node.key).collect();
    let is_whole = here.wire.unsigned == Some(0);
    if look.json {
        let nodes = set.nodes.iter().map(|node| {
            let (tag, signs) = (node.key.tag(Signs::Zone), signers.contains(&node.key));
            serde_json::json!({"node": node.node.to_string(), "tag": tag, "signs": signs})
        });
        console.json(&serde_json::json!({
            "signed": true, "ds": records, "until": covered.map(|until| until.to_string()), "ttl": set.ttl,
            "unsigned": here.wire.unsigned, "nodes": nodes.collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    for node in &set.nodes {
        console.fact(&format!(
            "{}, number {}: {}",
            node.node,
            node.key.tag(Signs::Zone),
            standing(&here.keys, node, now)
        ));
    }
    console.fact(&match here.wire.unsigned {
        Some(0) => "Every name is signed.".to_owned(),
        Some(left) => format!("{left} names are still to be signed; it goes on by itself."),
        None => "It is being looked what is signed.".to_owned(),
    });
    console.fact(&until(covered, now));
    if is_whole {
        console.fact("The registrar is to have, and nothing else:");
    } else {
        console.fact("When every name is signed, the registrar is to have:");
    }
    records
        .iter()
        .for_each(|record| demo::speak(&format!("  {record}")));
    Ok(())
}

fn standing(keys: &ZoneKeys, node: &NodeZoneKey, now: Time) -> String {
    let step = keys.steps.get(&node.key);
    match (node.signs, step.map(|step| (step.known, step.over))) {
        (true, Some((known, _))) if known > now => {
            format!("signs from {known} on, when all resolvers know it")
        }
        (true, _) => "signs".to_owned(),
        (false, Some((_, Some(over)))) if over > now => {
            format!("rests, and may go after {over}")
        }
        (false, _) => "rests, and may go: say \"spokes council dnssec sign\"".to_owned(),
    }
}

fn until(covered: Option<Time>, now: Time) -> String {
    match covered {
        None => "NO SIGNATURE OVER THE KEYS COUNTS ANY MORE: who validates finds no name. Say \"spokes council dnssec \
                 sign\" now."
            .to_owned(),
        Some(until) if until < now + TIME_TO_SIGN => {
            format!("The keys are signed until {until}: it is time for \"spokes council dnssec sign\".")
        }
        Some(until) => format!("The keys are signed until {until}."),
    }
}
