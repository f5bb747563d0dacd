//! The command line: what is asked, and who does it.

mod certificates;
mod council;
mod delegation;
mod dnssec;
mod mirrors;
mod places;

use std::{net::SocketAddr, os::unix::process::CommandExt as _, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use spokes_rules::{
    node::Label,
    request::{Domain, Operator, Policy},
};
use tokio::{io::AsyncReadExt as _, sync::watch};

use crate::{
    author::{self, Author, Console},
    config::{self, Ceiling, Floor},
    demo::{self, Plan},
    join::{self, Invite},
    outage::Outage,
    spoke::Spoke,
};

/// Blogs on donated servers that need not be trusted.
#[derive(Debug, Parser)]
#[command(name = "spokes", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a whole network on this machine.
    ///
    /// Example: spokes demo --spokes 5 --port 8080
    Demo(DemoArgs),
    /// Writes, keeps and takes along your blog: for authors.
    Blog(Author),
    /// Founds, serves and looks after a network: for organizers.
    #[command(subcommand)]
    Council(council::CouncilCommand),
    /// Asks to become a spoke of the network that sent the invitation.
    ///
    /// Example: spokes join "$INVITE" --dir /var/lib/spokes --label garden --operator "Group B"
    Join(JoinArgs),
    /// Serves one spoke.
    ///
    /// Example: spokes serve --dir /var/lib/spokes
    Serve(ServeArgs),
    /// Hands over everything that this spoke holds, to go then.
    ///
    /// Example: spokes leave --dir /var/lib/spokes
    Leave(places::Leave),
}

impl Command {
    /// Whether it runs for long.
    fn serves(&self) -> bool {
        matches!(
            self,
            Self::Serve(_) | Self::Council(council::CouncilCommand::Serve(_))
        )
    }
}

#[derive(Debug, Args)]
struct DemoArgs {
    #[command(subcommand)]
    order: Option<DemoOrder>,
    /// Where the network is kept.
    #[arg(long, default_value = "spokes-demo", global = true)]
    dir: PathBuf,
    /// How many council nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    council: u8,
    /// How many spokes.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=200))]
    spokes: u8,
    /// How many servers hold each blog.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=9))]
    replicas: u64,
    /// The network's domain; browsers take names below localhost to this machine by themselves.
    #[arg(long, default_value = "blogs.localhost", value_parser = Domain::parse)]
    domain: Domain,
    /// The HTTP port of all nodes.
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The DNS port of the council.
    #[arg(long, default_value_t = 5300, value_parser = clap::value_parser!(u16).range(1..))]
    dns_port: u16,
    /// Leaves out the sample blogs.
    #[arg(long)]
    empty: bool,
    /// Readers' requests a second for which a blog has one replica more; for trying it out.
    #[arg(long, default_value_t = Policy::default().readers_per_second, value_parser = clap::value_parser!(u64).range(1..))]
    readers_per_second: u64,
    /// Seconds between two changes for readers; for trying it out.
    #[arg(long, default_value_t = Policy::default().demand_seconds, value_parser = clap::value_parser!(u64).range(1..))]
    demand_seconds: u64,
    /// How many nodes make a circle at most; a small number gives many levels.
    #[arg(long, default_value_t = Policy::default().circle, value_parser = clap::value_parser!(u64).range(3..=50))]
    circle: u64,
}

#[derive(Debug, Subcommand)]
enum DemoOrder {
    /// Starts one node of the running demo again.
    ///
    /// Example: spokes demo restart a --dir spokes-demo
    Restart {
        /// Which.
        label: String,
    },
}

#[derive(Debug, Args)]
struct JoinArgs {
    /// The line that the organizer gave you.
    #[arg(value_parser = invitation)]
    invite: Invite,
    /// Where the spoke keeps its data.
    #[arg(long)]
    dir: PathBuf,
    /// What the spoke is called.
    #[arg(long, value_parser = Label::parse)]
    label: Label,
    /// The group that runs it; the label if it is left out.
    #[arg(long, value_parser = Operator::parse)]
    operator: Option<Operator>,
    /// Where its HTTP listens.
    #[arg(long, default_value = "0.0.0.0:80")]
    listen: SocketAddr,
    /// Where others reach it, if that is another address.
    #[arg(long)]
    address: Option<SocketAddr>,
    /// Free space below which it takes no new blogs, such as 2GiB; auto: a twentieth of the disk, at least
    /// 1 GiB, at most 10 GiB and a tenth of it. Below an eighth of this it takes nothing at all.
    #[arg(long, default_value = "auto", value_parser = Floor::parse)]
    disk_floor: Floor,
    /// Space that it may use in all, such as 100GiB.
    #[arg(long, default_value = "none", value_parser = Ceiling::parse)]
    disk_ceiling: Ceiling,
}

impl JoinArgs {
    /// Where others are told to reach it.
    fn reached_at(&self) -> SocketAddr {
        self.address.unwrap_or(self.listen)
    }
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Where its data are.
    #[arg(long)]
    dir: PathBuf,
    /// Ends when its standard input does: whoever started it has gone.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

/// What is logged where the environment asks for nothing else. The council says itself what its people need
/// of the order of requests; the library that makes it repeats every failed message.
const LOGGED: &str = "info,openraft=off";

/// Does what was asked; the exit code is 0 for done, 1 for refused with a reason, 2 for wrong usage: for
/// what the command line alone shows to be wrong. What the world says of it, such as a file that is not
/// there, is a refusal.
pub fn run(cli: Cli) -> ExitCode {
    if cli.command.serves() {
        give_back_memory();
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(LOGGED)),
        )
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Outage::new(format!("no threads can be started: {error}"))),
    };
    let outcome = runtime.block_on(command(cli.command));
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match outcome {
        Ok(code) => code,
        Err(outage) => fail(&outage),
    }
}

/// What glibc is told: give back what is free from 128 KiB on, at once, instead of keeping ever more of it,
/// and divide memory among no more threads than there are cores.
fn tunables(cores: usize) -> String {
    format!(
        "glibc.malloc.mmap_threshold=131072:glibc.malloc.trim_threshold=131072:\
         glibc.malloc.arena_max={cores}"
    )
}

/// Starts this program once more in its place, with glibc told to give back memory (WHY.md): it listens at
/// its start alone. Elsewhere the variable means nothing.
fn give_back_memory() {
    const VARIABLE: &str = "GLIBC_TUNABLES";
    if !cfg!(target_env = "gnu") || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if let Ok(program) = std::env::current_exe() {
        let mut again = std::process::Command::new(program);
        again.args(std::env::args_os().skip(1));
        // It comes back only where that fails, and then goes on as it is.
        let _failed = again.env(VARIABLE, tunables(cores)).exec();
    }
}

fn fail(outage: &Outage) -> ExitCode {
    tracing::debug!(%outage, "refused");
    complain(&outage.to_string());
    ExitCode::from(1)
}

fn complain(why: &str) {
    let mut error = std::io::stderr().lock();
    // Nobody listens: the exit code says it all the same.
    drop(std::io::Write::write_all(
        &mut error,
        format!("{}\n", crate::shown::shown(why)).as_bytes(),
    ));
}

async fn command(command: Command) -> Result<ExitCode, Outage> {
    match command {
        Command::Demo(args) => run_demo(args).await?,
        Command::Blog(command) => {
            return Ok(author::run(command, &Console::standard()).await);
        }
        Command::Council(command) => council::run(command).await?,
        Command::Join(args) if args.reached_at().ip().is_unspecified() => {
            complain(
                "others must know where to reach this spoke: give its public address with --address",
            );
            return Ok(ExitCode::from(2));
        }
        Command::Join(args) => run_join(args).await?,
        Command::Leave(args) => places::leave(args).await?,
        Command::Serve(args) => {
            let ended = until_told(args.until_stdin_closes);
            let (spoke, courier) = Spoke::open(&args.dir)?;
            spoke.serve(courier, ended).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_demo(args: DemoArgs) -> Result<(), Outage> {
    if let Some(DemoOrder::Restart { label }) = args.order {
        return demo::restart(&args.dir, &label).await;
    }
    let plan = Plan {
        dir: args.dir,
        council: args.council,
        spokes: args.spokes,
        policy: Policy {
            replicas: args.replicas,
            readers_per_second: args.readers_per_second,
            demand_seconds: args.demand_seconds,
            circle: args.circle,
            ..Policy::default()
        },
        domain: args.domain,
        port: args.port,
        dns_port: args.dns_port,
        empty: args.empty,
    };
    demo::run(plan, &mut |line| demo::speak(line)).await
}

async fn run_join(args: JoinArgs) -> Result<(), Outage> {
    let address = args.reached_at();
    let label = args.label;
    let operator = match args.operator {
        Some(operator) => operator,
        None => Operator::parse(label.as_str())
            .map_err(|why| Outage::new(format!("--operator {why}")))?,
    };
    let wanted = join::Wanted {
        label: label.clone(),
        operator,
        listen: args.listen,
        address,
        floor: args.disk_floor,
        ceiling: args.disk_ceiling,
    };
    join::join(&args.dir, &args.invite, &wanted).await?;
    demo::speak(&format!(
        "{label} asked to join and waits for an organizer: \"spokes council admit {label}\"."
    ));
    demo::speak(&format!(
        "Serve it meanwhile: spokes serve --dir {}",
        args.dir.display()
    ));
    Ok(())
}

fn invitation(line: &str) -> Result<Invite, String> {
    Invite::parse(line).map_err(|outage| outage.to_string())
}

fn seconds(span: &str) -> Result<i64, String> {
    config::span(span).map_err(|why| format!("it {why}"))
}

/// Becomes true when the node is to end: a signal, or the end of whoever started it.
fn until_told(until_stdin_closes: bool) -> watch::Receiver<bool> {
    let (end, ended) = watch::channel(false);
    tokio::spawn(async move {
        let kind = tokio::signal::unix::SignalKind::terminate();
        let terminate = async {
            match tokio::signal::unix::signal(kind) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending::<()>().await,
            }
        };
        let closed = async {
            if until_stdin_closes {
                let mut input = Vec::new();
                drop(tokio::io::stdin().read_to_end(&mut input).await);
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminate => {}
            () = closed => {}
        }
        end.send_replace(true);
    });
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a command line comes to before anything is asked or written, as an exit code.
    #[track_caller]
    fn check(line: &str, code: i32, words: &str) {
        let read = Cli::try_parse_from(line.split(' '));
        let (found, said) = match &read {
            Ok(_) => (0, String::new()),
            Err(error) => (error.exit_code(), error.to_string()),
        };
        assert_eq!(found, code, "{line}: {said}");
        assert!(said.contains(words), "{line}: {said}");
    }

    #[test]
    fn what_a_line_alone_shows_to_be_wrong_is_wrong_usage() {
        let network = spokes_log::name::Hash::of(b"network");
        let invite = format!("spokes-invite,192.0.2.1:80,{network},key,token,2026-12-01T00:00:00Z");
        let join = |invite: &str, more: &str| format!("spokes join {invite} --dir d {more}");
        check(&join(&invite, "--label oak"), 0, "");
        check(
            &join("spokes-invite,x", "--label oak"),
            2,
            "ask an organizer for it",
        );
        check(&join(&invite, "--label Oak!"), 2, "--label");
        check("spokes council admit Oak! --dir d", 2, "Oak!");
        check(
            "spokes council init nowhere..example --dir d",
            2,
            "nowhere..example",
        );
        check("spokes demo --domain -x", 2, "-x");
        let council = |line: &str| format!("spokes council {line} --dir d");
        check(&council("move maria --to oak"), 0, "");
        check(&council("move maria"), 2, "--to");
        check(&council("move Maria! --to oak"), 2, "Maria!");
        check("spokes council drain oak", 2, "--dir");
        check(
            "spokes council drain oak --network http://192.0.2.1",
            2,
            "--organizer",
        );
        check(&council("replicas maria 10"), 2, "1..=9");
        check(&council("open maria"), 0, "");
        check("spokes council open maria", 2, "--dir");
        check(
            "spokes council invite --dir d --expires soon",
            2,
            "7d, 12h or 30m",
        );
    }
}
