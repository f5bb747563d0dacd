//! A council node with a million names: its start, with what it kept and without, and what it holds in
//! memory.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use spokes::{
    client::{Ask, Client, Reply},
    clock, config,
    wire::{LogWire, RequestWire, TakenWire},
};
use spokes_log::{
    chain::Chain,
    draft::{Claim, Draft, Says},
    entry::Entry,
    name::{BlogName, Hash, Language, Salt},
    secret::SecretKey,
    time::Time,
};
use spokes_rules::{
    address::{Address, Operator},
    node::{Label, NodeSecret, Signed},
    registry::Record,
    request::{Request, Wish},
};

use crate::{
    Failed,
    council::{Node, asks, beginning, port, write_alone},
    print,
};

/// The longest that anything may take to come about: judging a million records takes minutes.
const PATIENCE: Duration = Duration::from_secs(3_000);

/// Claims that are signed before they are written.
const BATCH: usize = 1_000;

/// As many names as `SPOKES_BENCH_NAMES` says.
pub(crate) fn names(otherwise: u64) -> Result<u64, Failed> {
    let names = std::env::var("SPOKES_BENCH_NAMES").ok();
    Ok(names.map_or(Ok(otherwise), |names| names.parse())?)
}

/// A registry of so many names.
pub(crate) async fn million() -> Result<(), Failed> {
    let names = names(1_000_000)?;
    let temp = tempfile::tempdir()?;
    let dir = temp.path().join("council1");
    fs::create_dir(&dir)?;
    let organizer = config::secret_key(&dir.join("organizer.key"))?;
    let organizers = [organizer.clone()];
    let (api, peer) = (port()?, port()?);
    let (mut node, founding) = beginning(&dir, api, peer, peer, &organizers)?;
    let began = Instant::now();
    let network = write(&dir, &organizer, founding, names)?;
    print(
        &format!("{names} names signed by their authors"),
        &format!("{:.0} s", began.elapsed().as_secs_f64()),
    );
    let records = names + 8;
    for how in [
        "first start, every record judged and its journal made",
        "start with what was kept",
        "the same",
        "start without what was kept, every record judged",
        "start with what was kept",
    ] {
        if how.contains("without") {
            fs::remove_file(dir.join("registry.kept"))?;
        }
        let began = Instant::now();
        node.start()?;
        let answers = until(&mut node, records).await?;
        let memory = node.memory()?;
        let fresh = asks(
            &organizer,
            Some(network),
            Wish::Invite {
                token: Hash::of(how.as_bytes()),
                expires: clock::now() + 3_600,
            },
        );
        until_taken(&node, &RequestWire::from(&fresh)).await?;
        let taken = began.elapsed().as_secs_f64();
        let stopping = Instant::now();
        node.stop()?;
        print(
            &format!("{names} names: {how}"),
            &format!(
                "{answers:.1} s to answer, {taken:.1} s until a write is taken, {memory} MB; \
                 ended in {:.1} s",
                stopping.elapsed().as_secs_f64()
            ),
        );
    }
    for file in ["registry.journal", "registry.db", "registry.kept"] {
        let megabytes = fs::metadata(dir.join(file))?.len() / 1_000_000;
        print(
            &format!("{names} names: {file}"),
            &format!("{megabytes} MB"),
        );
    }
    Ok(())
}

/// Seconds until the node has so many records.
async fn until(node: &mut Node, records: u64) -> Result<f64, Failed> {
    let (client, began) = (Client::new()?, Instant::now());
    loop {
        let path = format!("/api/v1/registry/log?after={}", records - 1);
        let log = client.get::<LogWire>(Ask::new(node.api, &path)).await;
        if matches!(log, Ok(Reply::Good(log, _)) if log.records_in_all >= records) {
            return Ok(began.elapsed().as_secs_f64());
        }
        if let Some(last) = node.ended() {
            return Err(format!("the node has ended: {last}").into());
        }
        if began.elapsed() > PATIENCE {
            return Err("the node does not come back".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_taken(node: &Node, request: &RequestWire) -> Result<(), Failed> {
    let (client, began) = (Client::new()?, Instant::now());
    let path = "/api/v1/registry/requests";
    while began.elapsed() < PATIENCE {
        let ask = Ask::new(node.api, path).waiting(Duration::from_secs(10));
        let sent = client.post::<_, TakenWire>(ask, request).await;
        if matches!(sent, Ok(Reply::Good(..))) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("no write is taken".into())
}

/// Writes the registry: three spokes of three operators, and a name for each number.
pub(crate) fn write(
    dir: &Path,
    organizer: &NodeSecret,
    founding: Request,
    names: u64,
) -> Result<Hash, Failed> {
    let now = clock::now();
    let record = Record {
        index: 0,
        previous: Hash::of(b""),
        time: now,
        request: founding.clone(),
    };
    let network = record.hash();
    let mut requests = vec![founding];
    let mut spokes = Vec::new();
    let token = "let-them-in";
    for number in 1..=3_u8 {
        let label = Label::parse(&format!("spoke{number}"))?;
        let spoke = NodeSecret::from_seed(&[100 + number; 32]);
        let invite = Wish::Invite {
            token: Hash::of(format!("{token}{number}").as_bytes()),
            expires: clock::now() + 86_400,
        };
        requests.push(asks(organizer, Some(network), invite));
        let join = Wish::Join {
            label: label.clone(),
            operator: Operator::parse(&format!("group {number}"))?,
            address: Address(format!("127.0.2.{number}:80").parse()?),
            token: format!("{token}{number}"),
        };
        requests.push(asks(&spoke, Some(network), join));
        requests.push(asks(organizer, Some(network), Wish::Admit { label }));
        spokes.push(spoke);
    }
    let batches = (0..names).step_by(BATCH).flat_map(|begin| {
        let batch = begin..names.min(begin + BATCH as u64);
        let claims = batch.into_par_iter().map(|number| {
            let spoke = &spokes[(number % 3) as usize];
            // All of one time, as the records: to sign them takes longer than clocks may differ.
            claim(spoke, network, number, now).map_err(|why| why.to_string())
        });
        claims.collect::<Vec<_>>()
    });
    let claims = batches.map(|claim| Ok(claim?));
    let all = requests.into_iter().map(Ok).chain(claims);
    write_alone(dir, now, all)
}

/// A name's claim by an author of its own, as most names have.
fn claim(spoke: &NodeSecret, network: Hash, number: u64, now: Time) -> Result<Request, Failed> {
    let mut key = SecretKey::generate("Bench <bench@example.org>", now - 60)?;
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&number.to_le_bytes());
    let draft = Draft {
        salt: Salt::from_bytes(salt),
        says: Says::Blog {
            title: "A blog".into(),
            language: Language::parse("en")?,
            certificate: key.certificate().fingerprint().clone(),
            claim: Some(Claim {
                name: BlogName::parse(&format!("name{number}"))?,
                network,
                not_after: now + 3_600,
            }),
        },
        instead_of: vec![],
        extensions: vec![],
        body: key.certificate().armored(),
    };
    let authors = vec![key.certificate().fingerprint().clone()];
    let entry = Entry::new(&draft, None, authors, now)?;
    let id = entry.id();
    let signature = key.sign(entry.text(), now)?;
    let verified = Chain::new(id).place(&entry)?.seal(entry, &[signature])?;
    let ask = spokes_rules::request::Ask {
        network: Some(network),
        time: now,
        what: Wish::Claim {
            blog: id,
            entry: id,
            spoke: None,
        },
    };
    Ok(Request {
        proof: vec![verified.sealed().clone()],
        ..Request::plain(Signed::new(spoke, &ask))
    })
}
