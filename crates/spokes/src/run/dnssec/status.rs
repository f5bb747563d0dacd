//! `spokes council dnssec status`: the keys of the zone, and what is to be done about them.

use spokes_log::time::Time;
use spokes_rules::{
    dnssec::{Signs, ZoneKey},
    keyset::{KeySet, NodeZoneKey},
    node::Label,
    zone_keys::ZoneKeys,
};

use super::{Here, here};
use crate::{
    author::Console,
    clock,
    council::Whose,
    outage::Outage,
    run::{
        delegation::{self, Parent, Phase, ds},
        places::Look,
    },
    wire::zone_keys::ZoneKeysWire,
};

/// Seconds before the last signature ends from which on it is said that it is time for new ones.
const TIME_TO_SIGN: i64 = 28 * 24 * 60 * 60;

pub(super) async fn status(look: Look) -> Result<(), Outage> {
    let (door, console) = (look.door(Whose::Nobodys).await?, Console::standard());
    let here = here(&door).await?;
    let (now, set) = (clock::now(), here.keys.signed.as_deref());
    let parent = Parent::behind(&door, 0).await;
    let parent = parent.map(|(parent, _)| parent);
    match set {
        _ if look.json => console.json(&facts(&here, set, parent.as_ref(), now)),
        None => console.fact("The zone is not signed; \"spokes council dnssec begin\" begins it."),
        Some(set) => say(&here, set, &console, now),
    }
    if let Some(parent) = parent.filter(|_| !look.json) {
        console.fact(&format!(
            "At the registrar of the domain above this should stand, and nothing else of {}:",
            parent.domain
        ));
        parent.lines().iter().for_each(|line| console.fact(line));
    }
    Ok(())
}

fn say(here: &Here, set: &KeySet, console: &Console, now: Time) {
    for top in &set.top {
        let goes = if top.stays { "" } else { ", which is to go" };
        let tag = top.key.tag(Signs::Keys);
        console.fact(&format!("organizer's zone key, key tag {tag}{goes}"));
    }
    for node in &set.nodes {
        console.fact(&format!(
            "{}, key tag {}: {}",
            node.node,
            node.key.tag(Signs::Zone),
            standing(&here.keys, node, now)
        ));
    }
    due(here, set).iter().for_each(|line| console.fact(line));
    console.fact(&match here.wire.unsigned {
        Some(0) => "Every name is signed.".to_owned(),
        Some(1) => "1 name is still to be signed; it goes on by itself.".to_owned(),
        Some(left) => format!("{left} names are still to be signed; it goes on by itself."),
        None => "Looking at what is signed.".to_owned(),
    });
    console.fact(&until(set.covered_from(now), now));
}

fn facts(
    here: &Here,
    set: Option<&KeySet>,
    parent: Option<&Parent>,
    now: Time,
) -> serde_json::Value {
    let registrar = parent.map(Parent::lines);
    let Some(set) = set else {
        return serde_json::json!({"signed": false, "registrar": registrar});
    };
    let domain = &here.domain;
    let stay = set.top.iter().filter(|top| top.stays);
    let records: Vec<String> = stay.map(|top| ds(domain, top.key)).collect();
    let signers: Vec<ZoneKey> = here.keys.signers(now).map(|node| node.key).collect();
    let nodes = set.nodes.iter().map(|node| {
        let (tag, signs) = (node.key.tag(Signs::Zone), signers.contains(&node.key));
        serde_json::json!({"node": node.node.to_string(), "tag": tag, "signs": signs})
    });
    let phases = parent.map_or(&[][..], |parent| &parent.keys);
    let organizers = phases.iter().map(|(key, phase)| {
        let from = match phase {
            Phase::From(from) => Some(from.to_string()),
            Phase::Due | Phase::NamesFirst => None,
        };
        serde_json::json!({
            "tag": key.tag(Signs::Keys), "ds": ds(domain, *key), "dnskey": delegation::dnskey(domain, *key),
            "due": *phase == Phase::Due, "not_before": from,
        })
    });
    let covered = set.covered_from(now).map(|until| until.to_string());
    serde_json::json!({
        "signed": true, "ds": records, "until": covered, "ttl": set.ttl, "unsigned": here.wire.unsigned,
        "nodes": nodes.collect::<Vec<_>>(), "organizers": organizers.collect::<Vec<_>>(),
        "due": due(here, set), "registrar": registrar,
    })
}

/// What is to be done because nodes came, went, or have other keys.
fn due(here: &Here, set: &KeySet) -> Vec<String> {
    let has_one = |label| set.nodes.iter().any(|node| node.node == label);
    let come = here.strangers(set).into_iter().map(|label| {
        let has = match has_one(label.clone()) {
            true => "has another key than the zone shows",
            false => "sits and has no key in the zone",
        };
        format!(
            "{label} {has} ({}): it is time for \"spokes council dnssec sign --with {label}\", unless that key was stolen",
            here.said_tag(&label)
        )
    });
    let silent = here
        .sitting
        .iter()
        .filter(|label| !here.keys.said.contains_key(*label) && !has_one((*label).clone()));
    let silent = silent.map(|label| {
        format!("{label} sits and has not said its key so far; it does so a moment after it is up to date")
    });
    let gone = set
        .nodes
        .iter()
        .filter(|node| !here.sitting.contains(&node.node));
    let gone = gone.map(|node| {
        format!(
            "{} sits no more and has a key in the zone: it is time for \"spokes council dnssec sign\"",
            node.node
        )
    });
    come.chain(silent).chain(gone).collect()
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

/// A line for whoever looks at the whole council.
pub(in crate::run) fn summary(wire: &ZoneKeysWire, now: Time) -> String {
    let set = wire.set.as_deref().and_then(|set| KeySet::read(set).ok());
    match set.map(|set| set.covered_from(now)) {
        None => "DNSSEC: not signed".to_owned(),
        Some(None) => {
            "DNSSEC: NO SIGNATURE COUNTS ANY MORE; say \"spokes council dnssec sign\" now"
                .to_owned()
        }
        Some(Some(until)) => format!("DNSSEC: signed until {until}"),
    }
}

/// What an organizer reads who has just given or taken a seat, where the zone is signed.
pub(in crate::run) fn time_to_sign(label: &Label, is_given: bool) -> String {
    match is_given {
        true => format!(
            "The zone is signed: once {label} is up to date it is time for \"spokes council dnssec sign --with {label}\", \
             so that it can sign as well."
        ),
        false => format!(
            "The zone is signed: it is time for \"spokes council dnssec sign\", which takes the key of {label} away."
        ),
    }
}
