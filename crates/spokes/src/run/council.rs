//! `spokes council …`: what organizers say.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use spokes_rules::{
    node::Label,
    registry::Registry,
    request::{Address, Domain, Policy, Wish},
};

use super::{
    ServeArgs, certificates,
    delegation::{self, Parent, Server},
    dnssec, mirrors, places, seconds, until_told,
};
use crate::{
    clock,
    council::{self, Beginning, Council, Recovery, Stand},
    demo,
    join::Invite,
    outage::Outage,
    wire::places::CouncilStatusWire,
};

#[derive(Debug, Subcommand)]
pub(super) enum CouncilCommand {
    /// Founds a network in a new directory.
    ///
    /// Example: spokes council init blogs.example.org --dir /var/lib/council --api 192.0.2.1:80 --dns 192.0.2.1:53
    Init(Founded),
    /// Serves one council node: the registry and authoritative DNS.
    ///
    /// Example: spokes council serve --dir /var/lib/council
    Serve(ServeArgs),
    /// Prints the one line that lets a donor's server, or a node of the council, ask to join.
    ///
    /// Example: spokes council invite --dir /var/lib/council --expires 7d
    Invite {
        /// The council's directory.
        #[arg(long)]
        dir: PathBuf,
        /// For how long: 7d, 12h, 30m.
        #[arg(long, default_value = "7d", value_parser = seconds)]
        expires: i64,
    },
    /// Lets a spoke in that asked.
    ///
    /// Example: spokes council admit garden --dir /var/lib/council
    Admit(Organized),
    /// Bars a spoke, for good: its label and its key are used up.
    ///
    /// It leaves DNS at once, and other spokes take its places within seconds to minutes; what it alone has is kept
    /// on its disk. Where two of a blog's three servers are gone or barred the blog waits: "spokes council open". To
    /// empty a server that may come back, use "spokes council drain".
    ///
    /// Example: spokes council evict garden --dir /var/lib/council
    Evict(Organized),
    /// Asks for a seat on the council of the network that sent the invitation.
    ///
    /// Example: spokes council join "$INVITE" --dir /var/lib/council --label council2 --api 192.0.2.2:80 --dns 192.0.2.2:53
    Join(Standing),
    /// Gives a node that asked its seat on the council.
    ///
    /// It is filled from the others first, and votes once it holds all there is: "spokes council status" shows how
    /// far it is. Uneven numbers of nodes are best: three go on without one, five without two.
    ///
    /// Example: spokes council seat council2 --dir /var/lib/council
    Seat(Organized),
    /// Takes a node's seat away, for good: it votes no more, and leaves DNS.
    ///
    /// Keep it running until "spokes council status" names it no more. Its label is used up; the machine can ask
    /// again under another one.
    ///
    /// Example: spokes council unseat council2 --dir /var/lib/council
    Unseat(Organized),
    /// Has a node filled again that lost what it had, but for its node.key and config.toml.
    ///
    /// Such a node votes for nobody until an organizer says this, so that empty nodes never outvote one that holds
    /// the registry. Start it first. A majority of the nodes must hold the registry: where most of them are gone,
    /// it is "spokes council recover" that helps.
    ///
    /// Example: spokes council refill council2 --dir /var/lib/council
    Refill(Organized),
    /// Copies the registry of a node, which may be running, and checks the copy; or checks a copy that there is.
    ///
    /// Example: spokes council backup --dir /var/lib/council --to /media/stick/registry.journal
    ///
    /// Example: spokes council backup --check /media/stick/registry.journal
    Backup(Backup),
    /// Founds the council anew on what one node or a backup holds, when most of the others are gone for good.
    ///
    /// What only the others held is lost, unless spokes bring it again; no other node that still runs may go on beside
    /// it, and each that hears of it stands down. So it is not done while a majority of the nodes is well: whether a backup
    /// is good is seen with "spokes council backup --check". It takes seconds, with a million names some minutes. The
    /// organizer's key is the file organizer.key that
    /// "spokes council init" made. DNS names this node alone then, until others are filled.
    ///
    /// Example: spokes council recover --dir /var/lib/council --organizer /media/stick/organizer.key
    Recover(Recovered),
    /// Name servers elsewhere that copy the zone, and go on when every node of the council is down.
    #[command(subcommand)]
    Mirror(mirrors::MirrorCommand),
    /// The keys with which the zone is signed, so that resolvers can tell its answers from forged ones.
    #[command(subcommand)]
    Dnssec(dnssec::DnssecCommand),
    /// Who may issue certificates for the network's names: CAA records in DNS, which authorities ask for.
    #[command(subcommand)]
    Caa(certificates::CaaCommand),
    #[command(flatten)]
    Places(places::PlacesCommand),
}

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = true)]
pub(super) struct Backup {
    /// The directory of a council node.
    #[arg(long, requires = "to")]
    dir: Option<PathBuf>,
    /// The file to write.
    #[arg(long, requires = "dir")]
    to: Option<PathBuf>,
    /// A file that may be a backup. It stays as it is, and no node hears of it.
    #[arg(long, conflicts_with_all = ["dir", "to"])]
    check: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Recovered {
    /// The directory of the node, which must not be running.
    #[arg(long)]
    dir: PathBuf,
    /// Where an organizer's key is; DIR/organizer.key if it is left out.
    #[arg(long)]
    organizer: Option<PathBuf>,
    /// A backup, if the node holds nothing.
    #[arg(long)]
    from: Option<PathBuf>,
    /// What the node is called, if its whole directory was lost.
    #[arg(long, requires = "api", requires = "dns", value_parser = Label::parse)]
    label: Option<Label>,
    /// Where its registry answers over HTTP then.
    #[arg(long, requires = "label")]
    api: Option<SocketAddr>,
    /// Where its DNS answers then.
    #[arg(long, requires = "label")]
    dns: Option<SocketAddr>,
    /// Where the council's other nodes reach it then; one port behind --api if it is left out.
    #[arg(long, requires = "label")]
    peer: Option<SocketAddr>,
    /// Also where a majority of the council is well and goes on: it stands down as soon as it hears of this.
    #[arg(long)]
    although_it_is_led: bool,
}

#[derive(Debug, Args)]
pub(super) struct Founded {
    /// The network's domain.
    #[arg(value_parser = Domain::parse)]
    domain: Domain,
    /// Where keys, registry and settings are kept.
    #[arg(long)]
    dir: PathBuf,
    /// Where the registry answers over HTTP.
    #[arg(long, default_value = "127.0.1.1:8080")]
    api: SocketAddr,
    /// Where DNS answers.
    #[arg(long, default_value = "127.0.1.1:5300")]
    dns: SocketAddr,
    /// Where the council's other nodes will reach this one; one port behind --api if it is left out.
    #[arg(long)]
    peer: Option<SocketAddr>,
    /// Where people reach the front page; http:// and the domain if it is left out.
    #[arg(long)]
    base_url: Option<String>,
    /// How many servers hold each blog.
    #[arg(long, default_value_t = 3)]
    replicas: u64,
}

#[derive(Debug, Args)]
pub(super) struct Standing {
    /// The line that an organizer gave you.
    invite: String,
    /// Where the node keeps its data.
    #[arg(long)]
    dir: PathBuf,
    /// What the node is called.
    #[arg(long)]
    #[arg(value_parser = Label::parse)]
    label: Label,
    /// Where its registry answers over HTTP.
    #[arg(long)]
    api: SocketAddr,
    /// Where its DNS answers.
    #[arg(long)]
    dns: SocketAddr,
    /// Where the council's other nodes reach it; one port behind --api if it is left out.
    #[arg(long)]
    peer: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(super) struct Organized {
    /// The label of the spoke or node.
    #[arg(value_parser = Label::parse)]
    label: Label,
    #[command(flatten)]
    tell: places::Tell,
}

pub(super) async fn run(command: CouncilCommand) -> Result<(), Outage> {
    match command {
        CouncilCommand::Places(command) => places::run(command).await,
        CouncilCommand::Mirror(command) => mirrors::run(command).await,
        CouncilCommand::Dnssec(command) => dnssec::run(command).await,
        CouncilCommand::Caa(command) => certificates::run(command).await,
        CouncilCommand::Init(founded) => init(founded),
        CouncilCommand::Serve(args) => {
            let ended = until_told(args.until_stdin_closes);
            Council::open(&args.dir).await?.serve(ended).await
        }
        CouncilCommand::Invite { dir, expires } => {
            let expires = clock::now() + expires;
            let invite = council::invite(&dir, expires).await;
            let invite = council::ask_elsewhere(&dir, invite).await?;
            demo::speak(&invite.to_string());
            Ok(())
        }
        CouncilCommand::Admit(told) => places::admit(told.label, &told.tell).await,
        CouncilCommand::Evict(told) => places::evict(told.label, &told.tell).await,
        CouncilCommand::Join(wanted) => join(wanted).await,
        CouncilCommand::Seat(told) => seat(told, true).await,
        CouncilCommand::Unseat(told) => seat(told, false).await,
        CouncilCommand::Refill(told) => {
            let Organized { label, tell } = told;
            let said = format!(
                "{label} is filled again from the others as soon as it answers with the key of its seat, and then votes \
                 again. \"spokes council status\" shows how far it is."
            );
            tell.order(Wish::Refill { label }, &said).await.map(drop)
        }
        CouncilCommand::Backup(Backup { dir, to, check }) => {
            if let (Some(dir), Some(to)) = (dir, to) {
                let registry = council::backup(&dir, &to)?;
                demo::speak(&held(&to, &registry));
            }
            if let Some(file) = check {
                let copied = council::check(&file)?;
                demo::speak(&held(&file, &copied.registry));
                torn(copied.torn).iter().for_each(|line| demo::speak(line));
            }
            Ok(())
        }
        CouncilCommand::Recover(wanted) => recover(wanted).await,
    }
}

fn init(founded: Founded) -> Result<(), Outage> {
    let Founded {
        domain,
        dir,
        api,
        dns,
        peer,
        base_url,
        replicas,
    } = founded;
    let base_url = base_url.unwrap_or_else(|| format!("http://{domain}"));
    let policy = Policy {
        replicas,
        ..Policy::default()
    };
    let beginning = Beginning {
        domain: domain.clone(),
        api,
        dns,
        peer: peer.unwrap_or(Address(api).next_port().0),
        base_url,
        policy,
    };
    let registry = council::init(&dir, beginning)?;
    say_founded(&domain, dns, &registry, &dir);
    Ok(())
}

async fn join(wanted: Standing) -> Result<(), Outage> {
    let Standing {
        invite,
        dir,
        label,
        api,
        dns,
        peer,
    } = wanted;
    let peer = peer.unwrap_or(Address(api).next_port().0);
    let wanted = Stand {
        label: label.clone(),
        api,
        dns,
        peer,
    };
    council::stand(&dir, &Invite::parse(&invite)?, &wanted).await?;
    demo::speak(&format!(
        "{label} asks for a seat on the council. Start it with \"spokes council serve --dir {}\"; an \
         organizer says \"spokes council seat {label}\" then.",
        dir.display()
    ));
    Ok(())
}

/// What a backup is good for.
fn held(file: &Path, registry: &Registry) -> String {
    let head = registry.head();
    format!(
        "{} holds all {} records of {} up to {}, checked. Keep it with an organizer's key: \"spokes council recover\" \
         founds the council anew from both.",
        file.display(),
        head.records,
        registry.network(),
        head.time
    )
}

/// What is said of a file that ends too early; none where it does not.
fn torn(bytes: u64) -> Option<String> {
    (bytes > 0).then(|| {
        format!(
            "The file ends in the middle of an entry: its last {bytes} bytes were left out, and what came behind them is \
             not in it. If there is another copy, see which one goes further."
        )
    })
}

async fn recover(wanted: Recovered) -> Result<(), Outage> {
    let Recovered {
        dir,
        organizer,
        from,
        label,
        api,
        dns,
        peer,
        although_it_is_led,
    } = wanted;
    let node = match (label, api, dns) {
        (Some(label), Some(api), Some(dns)) => Some(Stand {
            label,
            api,
            dns,
            peer: peer.unwrap_or(Address(api).next_port().0),
        }),
        _ => None,
    };
    let ready = council::Ready::read(Recovery {
        organizer: organizer.unwrap_or_else(|| dir.join("organizer.key")),
        dir: dir.clone(),
        from,
        node,
    })?;
    if !although_it_is_led && let Some(status) = ready.is_led_without().await {
        return Err(needs_no_founding(&status, ready.records()));
    }
    let recovered = ready.found_anew()?;
    for line in after_recovery(&recovered, &dir) {
        demo::speak(&line);
    }
    Ok(())
}

/// Why a council that is well is not founded anew.
fn needs_no_founding(status: &CouncilStatusWire, records: u64) -> Outage {
    Outage::new(format!(
        "the council goes on: {} says so, a majority stands behind it, and it has {} records, where {records} are here. \
         Nothing was changed. Founded anew, its nodes would stand down as soon as they hear of it, with all that is not \
         here. Whether a backup is good is seen with \"spokes council backup --check FILE\"; a node that lost what it had \
         is filled with \"spokes council refill\". If the council is to be founded anew all the same, stop its nodes \
         first; where others run them and you cannot, say --although-it-is-led",
        status.node, status.records
    ))
}

/// What to do when a council was founded anew, in its order.
fn after_recovery(recovered: &council::Recovered, dir: &Path) -> Vec<String> {
    let council::Recovered {
        records,
        node,
        others,
        is_known,
        domain,
        server,
        last,
        torn: left_out,
    } = recovered;
    let mut lines = vec![format!(
        "The council is founded anew on {records} records of this node, the last of {last}."
    )];
    lines.extend(torn(*left_out));
    lines.extend([
        "Go on in this order:".to_owned(),
        format!(
            "1. Start this node: spokes council serve --dir {}",
            dir.display()
        ),
    ]);
    if !others.is_empty() {
        let places = others.iter().map(|o| format!("{} at {}", o.label, o.api));
        let places = places.collect::<Vec<_>>().join(", ");
        lines.push(format!(
            "2. Each of the others ({places}): as long as it is stopped, put the files registry.* of its directory \
             aside. Then start it: it is filled by itself. Empty none that was started as it was and takes part: it \
             held nothing else, and its vote is needed from then on. One that holds more stands down, and says so; \
             stop that one, and empty it. \"spokes council status --dir {}\" shows who takes part.",
            dir.display()
        ));
    }
    if !is_known {
        lines.push(format!(
            "No node of the council answered at {0} before, so spokes do not know it. They follow by themselves when \
             one of the others is filled again where it was. If none will be: add \"{0}\" to council = [...] in \
             config.toml of each spoke, and restart it.",
            node.api
        ));
    }
    lines.push(
        "Of the council's nodes this one alone should stand at the registrar now, and no other one:".to_owned(),
    );
    let server = Server::of_council(domain.as_str(), *server, node.dns.0.ip());
    lines.extend(delegation::lines(domain.as_str(), &[server]));
    lines.push(format!(
        "Mirrors stay there, and so do DS records: once this node runs, \"spokes council dnssec status --dir {}\" prints all \
         that should stand there. It also says whether the zone is signed: then say \"spokes council dnssec sign\" at once, \
         with --with {} if this is a new machine, and again when it says so. Mirrors get the secrets of this node: \"spokes \
         council mirror keys\", where \"spokes council mirror list\" shows any.",
        dir.display(),
        node.label
    ));
    if !others.is_empty() {
        lines.push(
            "Another node belongs there again once \"spokes council status\" says that it is up to date; take the seat \
             of each that does not come back with \"spokes council unseat\", which says what should stand there then."
                .to_owned(),
        );
    }
    lines
}

/// Gives or takes a seat, and says what should stand at the registrar then.
async fn seat(told: Organized, is_given: bool) -> Result<(), Outage> {
    let Organized { label, tell } = told;
    let (named, wished) = (label.clone(), label.clone());
    let (wish, said) = match is_given {
        true => (
            Wish::Seat { label: wished },
            format!("{label} has its seat: it is filled now, then it votes and DNS names it."),
        ),
        false => (
            Wish::Unseat { label: wished },
            format!(
                "{label} has no seat any more. Stop it, once the others have gone on without it."
            ),
        ),
    };
    let (door, records) = tell.order(wish, &said).await?;
    if tell.is_json() {
        return Ok(());
    }
    let at = tell.at();
    let Some((parent, _)) = Parent::behind(&door, records).await else {
        demo::speak(&format!(
            "No node has said so far what should stand at the registrar now: \"spokes council dnssec status {at}\" does."
        ));
        return Ok(());
    };
    let lines = after_seat(&parent, &named, is_given, &tell);
    lines.iter().for_each(|line| demo::speak(line));
    Ok(())
}

/// What an organizer reads who has just given or taken a seat.
fn after_seat(parent: &Parent, label: &Label, is_given: bool, tell: &places::Tell) -> Vec<String> {
    let domain = &parent.domain;
    let mut said = vec![if is_given {
        format!(
            "Once \"spokes council status\" says that {label} is up to date, this should stand at the registrar, and \
             nothing else of {domain}:"
        )
    } else {
        format!(
            "This should stand at the registrar now, and nothing else of {domain}; as long as {label} stands there, some \
             readers ask a server that does not answer, and wait:"
        )
    }];
    said.extend(parent.lines());
    if !parent.keys.is_empty() {
        said.push(dnssec::time_to_sign(label, is_given));
    }
    let mirrors: Vec<_> = parent.mirrors.iter().chain(&parent.unwell).collect();
    if !mirrors.is_empty() {
        said.push(
            "Mirrors have to be given the secrets of the nodes that there are now, each its own:"
                .to_owned(),
        );
    }
    let end = format!(".ns.{domain}");
    let commands = mirrors.iter().map(|mirror| {
        let mirror = mirror.name.strip_suffix(&end).unwrap_or(&mirror.name);
        format!("  {}", tell.mirror_keys(mirror))
    });
    said.extend(commands);
    said
}

fn say_founded(domain: &Domain, dns: SocketAddr, registry: &Registry, dir: &Path) {
    for line in [
        format!("The network {domain} is founded: {}", registry.network()),
        String::new(),
        format!(
            "At the registrar of the domain above it this should stand, and nothing else of {domain}:"
        ),
    ] {
        demo::speak(&line);
    }
    let parent = Parent {
        domain: domain.to_string(),
        servers: vec![Server::of_council(domain.as_str(), 1, dns.ip())],
        mirrors: Vec::new(),
        unwell: Vec::new(),
        keys: Vec::new(),
    };
    parent.lines().iter().for_each(|line| demo::speak(line));
    for line in [
        "With each seat on the council that is given or taken, with mirrors and with signatures this changes; the commands \
         say how."
            .to_owned(),
        String::new(),
        format!(
            "Keep {}/organizer.key offline once spokes are admitted; it admits and",
            dir.display()
        ),
        "evicts. Over 1,000 blogs the domain belongs on the Public Suffix List.".to_owned(),
        format!("Next: spokes council serve --dir {}", dir.display()),
    ] {
        demo::speak(&line);
    }
}
