//! `spokes council mirror …`: name servers elsewhere that copy the zone.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use spokes_rules::{
    node::Label,
    request::{Address, Wish},
};

use super::{
    delegation::{self, Server},
    places::{Look, Tell},
};
use crate::{
    author::Console,
    council::{self, Door, SharedKey, Whose},
    demo,
    dns::probe,
    outage::Outage,
    wire::places::{CouncilStatusWire, NodeWire},
};

#[derive(Debug, Subcommand)]
pub(super) enum MirrorCommand {
    /// Lets a name server copy the zone: BIND, Knot, NSD or another one, run by anybody. Said again, it gets other
    /// secrets, and the old ones end.
    ///
    /// Resolvers are sent to it as soon as it answers with what was published, and no more when it does not. Tell the
    /// registrar of it as well: then names go on when every node of the council is down.
    ///
    /// Example: spokes council mirror add mirror1 --at 192.0.2.53:53 --dir /var/lib/council
    Add {
        /// What it is called; no node may be called so.
        #[arg(value_parser = Label::parse)]
        label: Label,
        /// Where its DNS answers.
        #[arg(long, value_name = "ADDRESS", value_parser = place)]
        at: SocketAddr,
        #[command(flatten)]
        tell: Tell,
    },
    /// Lists the mirrors: where each is, which version of the zone it answers with, and whether resolvers are sent to it.
    ///
    /// Example: spokes council mirror list --dir /var/lib/council
    List(Look),
    /// Prints what goes into the mirror's configuration: where the council's nodes are, and the secrets that they share
    /// with it. For nobody but who runs it.
    ///
    /// Where a node does not say its secret a comment names it, and the exit code is 1: say it again when it is there.
    ///
    /// Example: spokes council mirror keys mirror1 --for bind --dir /var/lib/council
    Keys(Keys),
    /// Ends it: the mirror is told nothing any more, gets nothing, and resolvers are not sent to it.
    ///
    /// Take it away at the registrar first.
    ///
    /// Example: spokes council mirror remove mirror1 --dir /var/lib/council
    Remove {
        /// Which.
        #[arg(value_parser = Label::parse)]
        label: Label,
        #[command(flatten)]
        tell: Tell,
    },
}

#[derive(Debug, Args)]
pub(super) struct Keys {
    /// Which mirror.
    #[arg(value_parser = Label::parse)]
    label: Label,
    /// What it runs.
    #[arg(long = "for", value_enum, default_value_t = Program::Bind)]
    program: Program,
    /// The directory of a council node, which must be running.
    #[arg(long)]
    dir: PathBuf,
}

/// Programs whose configuration is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Program {
    /// ISC BIND 9.18 or newer.
    Bind,
    /// Knot DNS 3.
    Knot,
    /// NSD 4.
    Nsd,
}

pub(super) async fn run(command: MirrorCommand) -> Result<(), Outage> {
    match command {
        MirrorCommand::Add { label, at, tell } => add(label, at, &tell).await,
        MirrorCommand::Remove { label, tell } => {
            let said = format!(
                "{label} gets nothing any more. Its lines do not belong at the registrar any more: \"spokes council dnssec \
                 status {}\" prints all that should stand there.",
                tell.at()
            );
            tell.order(Wish::Unmirror { label }, &said).await?;
            Ok(())
        }
        MirrorCommand::Keys(keys) => print_keys(keys).await,
        MirrorCommand::List(look) => list(look).await,
    }
}

fn place(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "say an IP address and a port, as 192.0.2.53:53".to_owned())
}

async fn add(label: Label, at: SocketAddr, tell: &Tell) -> Result<(), Outage> {
    let status: CouncilStatusWire = tell.door().await?.get("/api/v1/registry/status").await?;
    if let Some(node) = status.nodes.iter().find(|node| answers_at(node, at)) {
        return Err(Outage::new(format!(
            "{} of the council answers DNS at {} itself, and a mirror there would be gone with it; nothing was changed. \
             Name an address of another machine with --at",
            node.label, node.dns
        )));
    }
    let is_there = status.mirrors.iter().any(|m| m.label == label.as_str());
    let domain = &status.domain;
    let server = Server::of_mirror(domain, label.as_str(), at.ip());
    let lines = delegation::lines(domain, &[server]).join("\n");
    let may = if is_there {
        "may copy the zone already. It has other secrets now, and the old ones end: until it is given the new ones it gets \
         nothing"
    } else {
        "may copy the zone"
    };
    let said = format!(
        "{label} {may}. What it needs for that: {}\nOnce \"spokes council mirror list {}\" says that it has the last \
         version, this belongs at the registrar as well:\n{lines}",
        tell.mirror_keys(label.as_str()),
        tell.look_at()
    );
    let address = Address(at);
    tell.order(Wish::Mirror { label, address }, &said).await?;
    Ok(())
}

/// Whether resolvers that are sent to this address reach a node of the council: they ask at one port only.
fn answers_at(node: &NodeWire, at: SocketAddr) -> bool {
    let dns: Option<SocketAddr> = node.dns.parse().ok();
    let sits = matches!(node.sits.as_str(), "sits" | "fills");
    sits && dns.is_some_and(|dns| dns.ip() == at.ip())
}

/// Asks the council which mirrors there are, and each of them for its version.
async fn list(look: Look) -> Result<(), Outage> {
    let (door, console) = (look.door(Whose::Nobodys).await?, Console::standard());
    let mut status: CouncilStatusWire = door.get("/api/v1/registry/status").await?;
    let mut lines = Vec::new();
    for mirror in &mut status.mirrors {
        let address: Option<SocketAddr> = mirror.address.parse().ok();
        let theirs = match address {
            Some(address) => probe::serial(address, door.domain()).await,
            None => None,
        };
        if look.json {
            lines.push(serde_json::json!({
                "label": mirror.label, "address": mirror.address, "down_since": mirror.down_since,
                "serial": theirs,
            }));
            continue;
        }
        let version = match (theirs, status.serial) {
            (None, _) => "does not answer for the zone".to_owned(),
            (Some(theirs), Some(ours)) => {
                match i64::from(ours.wrapping_sub(theirs).cast_signed()) {
                    ..=0 => format!("has version {theirs}, the last one"),
                    behind => format!("has version {theirs}, {behind} behind"),
                }
            }
            (Some(theirs), None) => format!("has version {theirs}"),
        };
        let sent = match &mirror.down_since {
            Some(since) => format!("resolvers are not sent to it since {since}"),
            None => "resolvers are sent to it".to_owned(),
        };
        console.fact(&format!(
            "{} at {}: {version}; {sent}",
            mirror.label, mirror.address
        ));
        // One that was let in just now counts as well until the council has looked.
        if theirs.is_none() {
            mirror.down_since.get_or_insert_with(|| "now".to_owned());
        }
    }
    if look.json {
        console.json(&serde_json::json!({"serial": status.serial, "mirrors": lines}));
    } else if status.mirrors.is_empty() {
        console.fact("No mirror copies the zone; \"spokes council mirror add\" lets one in.");
    } else {
        for line in at_registrar(&status) {
            console.fact(&line);
        }
    }
    Ok(())
}

/// What belongs at the registrar for mirrors.
fn at_registrar(status: &CouncilStatusWire) -> Vec<String> {
    let domain = &status.domain;
    let (well, unwell) = delegation::mirrors(domain, &status.mirrors);
    let mut lines = Vec::new();
    for (servers, which) in [
        (
            well,
            "For mirrors this belongs at the registrar, beside the council's nodes:",
        ),
        (
            unwell,
            "This belongs there once they have the last version, and may stay where it stands there already:",
        ),
    ] {
        if !servers.is_empty() {
            lines.push(which.to_owned());
            lines.extend(delegation::lines(domain, &servers));
        }
    }
    lines
}

async fn print_keys(wanted: Keys) -> Result<(), Outage> {
    let Keys {
        label,
        program,
        dir,
    } = wanted;
    let door = Door::of_council(&dir, Whose::Nobodys).await?;
    let status: CouncilStatusWire = door.get("/api/v1/registry/status").await?;
    let (keys, silent) = council::mirror_keys(&dir, &status.nodes, &label).await?;
    if keys.is_empty() {
        return Err(Outage::new(format!(
            "no council node said its secret with \"{label}\": {}. \"spokes council mirror add\" lets a mirror in",
            silent.join(", ")
        )));
    }
    // In the file itself: whoever has it later does not see what was said on the way.
    for node in &silent {
        demo::speak(&format!(
            "# Missing, it did not say its secret: {}",
            node.replace('\n', " ")
        ));
    }
    demo::speak(&configured(program, door.domain(), &keys));
    if silent.is_empty() {
        return Ok(());
    }
    Err(Outage::new(format!(
        "these nodes did not say their secret, and are missing above: {}. The mirror works with the others; say the same \
         again when they are there",
        silent.join(", ")
    )))
}

/// What goes into a mirror's configuration.
fn configured(program: Program, domain: &str, keys: &[SharedKey]) -> String {
    let each = |line: &dyn Fn(&SharedKey) -> String| keys.iter().map(line).collect::<String>();
    match program {
        Program::Bind => {
            let secrets = each(&|key| {
                format!(
                    "key \"{}\" {{ algorithm hmac-sha256; secret \"{}\"; }};\n",
                    key.name, key.secret
                )
            });
            let servers = each(&|key| {
                let (ip, port) = (key.dns.ip(), key.dns.port());
                format!("        {ip} port {port} key \"{}\";\n", key.name)
            });
            let notify = each(&|key| format!(" key \"{}\";", key.name));
            format!(
                "{secrets}zone \"{domain}\" {{\n    type secondary;\n    file \"{domain}.zone\";\n    masterfile-format \
                 raw;\n    primaries {{\n{servers}    }};\n    allow-notify {{{notify} }};\n    notify no;\n    \
                 max-refresh-time 60;\n    min-refresh-time 10;\n    min-retry-time 5;\n}};"
            )
        }
        Program::Knot => {
            let secrets = each(&|key| {
                format!(
                    "  - id: {}\n    algorithm: hmac-sha256\n    secret: {}\n",
                    key.name, key.secret
                )
            });
            let remotes = each(&|key| {
                let (ip, port) = (key.dns.ip(), key.dns.port());
                format!(
                    "  - id: {}\n    address: {ip}@{port}\n    key: {}\n",
                    key.node, key.name
                )
            });
            let nodes: Vec<_> = keys.iter().map(|key| key.node.as_str()).collect();
            let nodes = nodes.join(", ");
            let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
            let names = names.join(", ");
            format!(
                "key:\n{secrets}remote:\n{remotes}acl:\n  - id: council\n    key: [{names}]\n    action: notify\n\
                 zone:\n  - domain: {domain}\n    master: [{nodes}]\n    acl: council\n    refresh-max-interval: 60\n    \
                 zonefile-sync: 60\n"
            )
        }
        Program::Nsd => {
            let secrets = each(&|key| {
                format!(
                    "key:\n    name: \"{}\"\n    algorithm: hmac-sha256\n    secret: \"{}\"\n",
                    key.name, key.secret
                )
            });
            let servers = each(&|key| {
                let (ip, port) = (key.dns.ip(), key.dns.port());
                format!(
                    "    allow-notify: {ip} {0}\n    request-xfr: {ip}@{port} {0}\n",
                    key.name
                )
            });
            format!(
                "{secrets}zone:\n    name: \"{domain}\"\n    zonefile: \"{domain}.zone\"\n{servers}    \
                 max-refresh-time: 60\n"
            )
        }
    }
}
