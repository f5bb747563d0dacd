//! The whole council loses its power at once, at instants that all of its nodes tell by one clock.

use super::*;

/// At so many instants the whole council loses its power, and at so many of them it is started again.
const BLACKOUTS: usize = 100;
const COUNCIL_STARTS: usize = 6;

/// At an instant: the disks of all nodes of the council, and the records that anybody was promised by then.
struct Blackout<'a> {
    at: u64,
    images: Vec<Image>,
    promised: BTreeSet<&'a str>,
}

fn blackouts<'a>(
    council: &[&'a Witness],
    first: u64,
    random: &mut Random,
    deaf: Deaf,
) -> Vec<Blackout<'a>> {
    let moment = |witness: &Witness, promise: &Promise| witness.trace.times[promise.at];
    let all: Vec<(u64, &str)> = council
        .iter()
        .flat_map(|witness| {
            let taken = witness
                .promises
                .iter()
                .filter_map(move |promise| match promise.what {
                    What::Record(n) | What::Taken(n) => Some((
                        moment(witness, promise),
                        witness.records[n as usize].as_str(),
                    )),
                    _ => None,
                });
            taken.collect::<Vec<_>>()
        })
        .collect();
    let times = council.iter().flat_map(|witness| &witness.trace.times);
    let last = *times.max().unwrap();
    let late: Vec<u64> = all
        .iter()
        .map(|(time, _)| *time)
        .filter(|time| *time >= first)
        .collect();
    let mut instants: Vec<(u64, usize)> = (0..BLACKOUTS)
        .map(|n| {
            let long = usize::try_from(last - first).unwrap();
            let mut at = first + random.below(long) as u64;
            if n % 2 == 0 {
                at = late[random.below(late.len())];
            }
            (at, n / 2 % FATES)
        })
        .collect();
    instants.sort_unstable();
    let mut disks: Vec<(Disk, usize)> = council
        .iter()
        .map(|witness| (Disk::new(&witness.root, deaf), 0))
        .collect();
    let mut blackouts = Vec::new();
    for (at, fate) in instants {
        let images = council
            .iter()
            .zip(&mut disks)
            .map(|(witness, (disk, done))| {
                while witness
                    .trace
                    .times
                    .get(*done)
                    .is_some_and(|time| *time <= at)
                {
                    disk.take(&witness.trace, witness.trace.steps[*done]);
                    *done += 1;
                }
                let seed = random.below(1 << 40);
                disk.image(&mut Point { at: 0, fate, seed }.fate())
            });
        let images = images.collect();
        let by_then = all.iter().filter(|(time, _)| *time <= at);
        let promised = by_then.map(|(_, text)| *text).collect();
        blackouts.push(Blackout {
            at,
            images,
            promised,
        });
    }
    blackouts
}

/// The promised records that fewer than a majority of the disks hold.
fn forgotten<'a>(blackout: &Blackout<'a>) -> Vec<&'a str> {
    let held: Vec<BTreeSet<String>> = blackout
        .images
        .iter()
        .map(|image| {
            let folder = tempfile::tempdir().unwrap();
            disk::write(image, folder.path());
            journal::requests(&data(folder.path()).join("registry.journal"))
        })
        .collect();
    let few = |text: &&&str| {
        let holders = held.iter().filter(|held| held.contains(**text)).count();
        holders <= held.len() / 2
    };
    blackout.promised.iter().filter(few).copied().collect()
}

/// Starts all nodes on what the power left; together they know all that was promised.
fn council_starts(council: &[&Witness], blackout: &Blackout<'_>) {
    let folders: Vec<_> = council
        .iter()
        .map(|_| tempfile::tempdir().unwrap())
        .collect();
    let mut processes = Vec::new();
    for ((witness, image), folder) in council.iter().zip(&blackout.images).zip(&folders) {
        disk::write(image, folder.path());
        processes.push(begin(
            witness,
            folder.path(),
            &folder.path().join("said.log"),
        ));
    }
    let to = council[0].address;
    let until = Instant::now() + PATIENCE;
    loop {
        let path = "/api/v1/registry/log?after=0&confirm=1";
        let log = http::request(to, "GET", &to.to_string(), path, &[], b"").unwrap_or_default();
        let log: serde_json::Value = serde_json::from_slice(&log.body).unwrap_or_default();
        if log["confirmed"] == true {
            let records = log["records"].as_array().unwrap().iter();
            let text = |record: &'_ serde_json::Value| {
                let text = record["request"]["signed"]["text"].as_str();
                text.unwrap().to_owned()
            };
            let texts: BTreeSet<String> = records.map(text).collect();
            let mut promised = blackout.promised.iter();
            assert!(
                promised.all(|text| texts.contains(*text)),
                "at {}: {log}",
                blackout.at
            );
            break;
        }
        let said = || {
            let said = folders.iter().map(|folder| folder.path().join("said.log"));
            said.map(|path| std::fs::read_to_string(path).unwrap_or_default())
                .collect::<String>()
        };
        assert!(
            Instant::now() < until,
            "at {}: {log} {}",
            blackout.at,
            said()
        );
        std::thread::sleep(common::LOOK_EVERY);
    }
    for process in processes {
        assert!(process.end().success());
    }
}

pub(crate) fn all_lose_power_at_once(witnesses: &[Witness], random: &mut Random) {
    let council: Vec<&Witness> = witnesses
        .iter()
        .filter(|witness| is_council(&witness.label))
        .collect();
    // All nodes had their seats before the first spoke came.
    let spokes = witnesses
        .iter()
        .filter(|witness| !is_council(&witness.label));
    let first = spokes.map(|witness| witness.trace.times[1]).min().unwrap();
    let dark = blackouts(&council, first, random, |_| false);
    for blackout in &dark {
        let lost = forgotten(blackout);
        assert!(lost.is_empty(), "at {}: {lost:?}", blackout.at);
    }
    let promised: usize = dark.iter().map(|blackout| blackout.promised.len()).sum();
    eprintln!("{BLACKOUTS} blackouts, {promised} promises kept");
    let deaf = blackouts(&council, first, random, DEAF[0].1);
    let noticed = deaf
        .iter()
        .filter(|blackout| !forgotten(blackout).is_empty())
        .count();
    eprintln!("{}: noticed in {noticed} blackouts", DEAF[0].0);
    assert!(noticed > 0);
    for blackout in dark
        .iter()
        .rev()
        .step_by(BLACKOUTS / COUNCIL_STARTS)
        .take(COUNCIL_STARTS)
    {
        council_starts(&council, blackout);
    }
}
