//! The simulator's command line.

use std::{
    io::{self, Write as _},
    ops::Range,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use clap::Parser;
use spokes_sim::{
    crowd::{Crowd, Weather},
    hub::Told,
    hunt,
    plant::{Plant, TRIES},
    world,
};

/// Plays a network of spokes through bad weather, seed by seed.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Plays this seed and tells its story.
    #[arg(long, conflicts_with = "seeds", required_unless_present_any = ["seeds", "plants", "crowd"])]
    seed: Option<u64>,
    /// Tells every message and receipt, too.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Plays all seeds from A to before B, and names those that fail.
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    seeds: Option<(u64, u64)>,
    /// How many seeds are played at once; as many as there are cores, if it is not said.
    #[arg(long, default_value_t = hunt::cores())]
    jobs: usize,
    /// Plants a bug, which must be found.
    #[arg(long)]
    plant: Option<Plant>,
    /// Plants each bug in turn, and names the first seed below 1000 that shows it by the promise that it breaks.
    #[arg(long)]
    plants: bool,
    /// Counts what so many spokes' health costs the council.
    #[arg(long, value_name = "SPOKES")]
    crowd: Option<usize>,
    /// Stops at the first seed that fails.
    #[arg(long)]
    first: bool,
}

fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let parsed = text
        .split_once("..")
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parsed
        .filter(|(a, b)| a < b)
        .ok_or_else(|| "write a range such as 0..1000".into())
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    match (arguments.seed, arguments.seeds) {
        (Some(seed), _) => one(seed, &arguments),
        (None, Some((first, end))) => many(first..end, &arguments),
        (None, None) => match arguments.crowd {
            Some(spokes) => crowd(spokes),
            None => plants(arguments.jobs),
        },
    }
}

fn crowd(spokes: usize) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut crowd = Crowd::new(spokes);
    for weather in [Weather::Rest, Weather::Churn, Weather::Loss] {
        let count = crowd.play(weather);
        let (all, most) = count.reports;
        let (took, longest) = count.took;
        writeln!(
            out,
            "{spokes} spokes, {weather:?}: {} looks/s between spokes; to the council {all} reports, at most \
             {most} in a second; {} records; leader {:.3} s in 120 s, at most {:.3} s for a second; {} s until \
             the registry knew, at worst",
            count.looks,
            count.records,
            took.as_secs_f64(),
            longest.as_secs_f64(),
            count.slowest,
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn plants(jobs: usize) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut all = true;
    for plant in Plant::all() {
        match hunt::first(jobs, 0..TRIES, |seed| plant.found_by(seed)) {
            Some((seed, broken)) => writeln!(out, "{plant}: seed {seed}: {broken}")?,
            None => {
                all = false;
                let promise = plant.breaks().trim_end_matches(':');
                writeln!(out, "{plant} breaks {promise} in none of {TRIES} seeds")?;
            }
        }
    }
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn one(seed: u64, arguments: &Arguments) -> io::Result<ExitCode> {
    let told = if arguments.trace {
        Told::All
    } else {
        Told::Story
    };
    let outcome = world::run(seed, arguments.plant, told);
    let mut out = io::stdout().lock();
    for line in &outcome.trace {
        writeln!(out, "{line}")?;
    }
    let seconds = outcome.lasted / 1_000;
    writeln!(
        out,
        "seed {seed}: {} texts safe, {} records, {seconds} virtual seconds, trace {:016x}",
        outcome.safe, outcome.records, outcome.hash
    )?;
    match outcome.broken {
        None => Ok(ExitCode::SUCCESS),
        Some(broken) => {
            writeln!(out, "seed {seed}: {broken}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn many(seeds: Range<u64>, arguments: &Arguments) -> io::Result<ExitCode> {
    let (began, safe) = (Instant::now(), AtomicU64::new(0));
    let play = |seed| {
        let outcome = world::run(seed, arguments.plant, Told::Nothing);
        safe.fetch_add(outcome.safe as u64, Ordering::Relaxed);
        outcome.broken
    };
    let failed = match arguments.first {
        true => Vec::from_iter(hunt::first(arguments.jobs, seeds.clone(), play)),
        false => hunt::all(arguments.jobs, seeds.clone(), play),
    };
    let mut out = io::stdout().lock();
    for (seed, broken) in &failed {
        writeln!(out, "seed {seed}: {broken}")?;
    }
    let (safe, took) = (safe.into_inner(), began.elapsed().as_secs_f64());
    let (many, Range { start, end }) = (failed.len(), seeds);
    writeln!(
        out,
        "seeds {start}..{end}: {many} failed, {safe} texts safe, {took:.1} s"
    )?;
    Ok(if many == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
