//! The author's command line: `spokes blog …` (SPEC http 2, SPEC entry).
//!
//! A post's way: `matter`, `body`, `media` and `strip` read the file, `session` signs it behind the
//! head with `signer`, `state` keeps it on disk, `deliver` brings it to the blog, `report` says what
//! became of it. Every other command is a short walk along the same way.

pub(crate) mod body;
mod console;
mod copy;
mod create;
mod deliver;
mod erase;
pub(crate) mod export;
#[cfg(test)]
mod fakes;
mod home;
mod import;
mod keys;
pub(crate) mod matter;
pub(crate) mod media;
mod network;
mod offers;
mod publish;
mod report;
mod restore;
mod session;
mod settle;
mod signer;
mod site;
mod state;
mod status;
mod stop;
mod strip;
mod tally;
#[cfg(test)]
mod tests;
mod verify;

use std::{env, path::PathBuf, process::ExitCode};

use spokes_log::time::Time;

pub use crate::author::console::{Captured, Console};
use crate::author::{signer::Surroundings, stop::Stop};

/// `spokes blog …`: write, keep and take along your blog.
#[derive(clap::Args, Clone, Debug)]
pub struct Author {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What all commands take.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Common {
    /// The network: its address, a gateway, or one spoke
    #[arg(long, env = "SPOKES_NETWORK", value_name = "URL", global = true)]
    network: Option<String>,
    /// Print facts as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Answer every question with yes; where nobody can be asked the answer is no otherwise
    #[arg(long, global = true)]
    yes: bool,
}

impl Common {
    fn network(&self) -> Result<&str, Stop> {
        self.network.as_deref().ok_or_else(|| {
            Stop::Usage(
                "say which network: --network http://blogs.example.org or SPOKES_NETWORK"
                    .to_owned(),
            )
        })
    }
}

/// What every command works with.
#[derive(Clone, Copy)]
pub(crate) struct Desk<'a> {
    common: &'a Common,
    surroundings: &'a Surroundings,
    console: &'a Console,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Command {
    /// Ask for a name and begin a blog there
    #[command(
        after_help = "Example:\n  spokes blog create maria --title \"Maria writes\" \
                            --language pt --key maria@example.org"
    )]
    Create(create::Create),
    /// Publish Markdown files; the same command again resumes what waits
    #[command(after_help = "Example:\n  spokes blog publish hello.md --blog maria --key 8E06…")]
    Publish(publish::Publish),
    /// Publish new versions of articles that are there
    #[command(after_help = "Example:\n  spokes blog edit hello.md --blog maria --key 8E06…")]
    Edit(publish::Publish),
    /// Take articles back, in all their versions
    #[command(after_help = "Example:\n  spokes blog erase maria 2026/11/a-mistake --key 8E06…")]
    Erase(erase::Erase),
    /// Bring a blog that stands elsewhere: Markdown, WordPress, Ghost
    #[command(
        after_help = "Examples:\n  spokes blog import ~/site/content --blog maria --key 8E06…\n  \
                            spokes blog import maria.wordpress.xml --media ~/wp-content/uploads --blog maria --key 8E06…\n  \
                            spokes blog import maria.ghost.json --site https://maria.example --fetch-media \
                            --blog maria --key 8E06…\n\n\
                            Every part gets a line in the report. Drafts and what only some could read stay \
                            out. The same command again resumes what was cut off, and changes nothing else."
    )]
    Import(import::Import),
    /// Write the signed log, Markdown, media and a site that opens from disk to a folder
    #[command(after_help = "Example:\n  spokes blog export maria --to ~/maria-backup")]
    Export(export::Export),
    /// Bring an export to life on any network
    #[command(after_help = "Example:\n  spokes blog restore ~/maria-backup --as maria --key 8E06…")]
    Restore(restore::Restore),
    /// Check every signature of a blog, and that nothing is missing
    #[command(after_help = "Examples:\n  spokes blog verify maria\n  \
                            spokes blog verify http://maria.blogs.example.org/\n  \
                            spokes blog verify http://192.0.2.7/maria   (as this one spoke has it)\n  \
                            spokes blog verify ~/maria-backup   (an export, without any network)")]
    Verify(verify::Verify),
    /// Where a blog is, how many hold it, and what waits in the outbox
    #[command(after_help = "Example:\n  spokes blog status maria --json")]
    Status(status::Status),
    /// Move a blog to a spoke of your choice; once a day
    ///
    /// Readers and you yourself notice nothing: the new spoke takes the blog in first, seconds for a small one, and
    /// nothing is lost if you break off. The old ones keep copies as long as they are needed.
    #[command(after_help = "Example:\n  spokes blog home maria --to garden --key 8E06…")]
    Home(home::MoveHome),
    /// Show what two branches say at one address, and choose
    #[command(after_help = "Examples:\n  spokes blog settle maria\n  \
                            spokes blog settle maria --keep sha256:… --key 8E06…")]
    Settle(settle::Settle),
    /// Show what servers accepted and the blog does not have, and say what shall become of it
    #[command(after_help = "Examples:\n  spokes blog offers maria\n  \
                            spokes blog offers maria --repeat sha256:… --key 8E06…\n  \
                            spokes blog offers maria --dismiss sha256:… --key 8E06…")]
    Offers(offers::Offers),
    /// List, add and end keys that may sign
    #[command(after_help = "Examples:\n  spokes blog keys maria\n  \
                            spokes blog keys maria add joan.asc --role write --key 8E06…\n  \
                            spokes blog keys maria end 4C1D… --key 8E06…")]
    Keys(keys::Keys),
}

/// Runs a command: 0 done, 1 refused or not yet reached, 2 wrong usage.
pub async fn run(command: Author, console: &Console) -> ExitCode {
    match surroundings() {
        Ok(surroundings) => ExitCode::from(run_in(&command, &surroundings, console).await),
        Err(stop) => ExitCode::from(ended(&stop, console)),
    }
}

/// What the process was started in; asked once, then handed down.
fn surroundings() -> Result<Surroundings, Stop> {
    // XDG base directories: a relative path is to be ignored.
    let state = env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    let home = || env::home_dir().map(|home| home.join(".local/state"));
    let state_home = state.or_else(home).ok_or_else(|| {
        Stop::Refused(
            "there is no home folder to keep the outbox in; set XDG_STATE_HOME".to_owned(),
        )
    })?;
    Ok(Surroundings {
        state_home,
        key_password: env::var("SPOKES_KEY_PASSWORD").ok(),
        gnupg_home: None,
    })
}

pub(crate) async fn run_in(author: &Author, surroundings: &Surroundings, console: &Console) -> u8 {
    let desk = &Desk {
        common: &author.common,
        surroundings,
        console,
    };
    let done = match &author.command {
        Command::Create(args) => create::create(args, desk).await,
        Command::Publish(args) => publish::publish(args, false, desk).await,
        Command::Edit(args) => publish::publish(args, true, desk).await,
        Command::Erase(args) => erase::erase(args, desk).await,
        Command::Import(args) => import::import(args, desk).await,
        Command::Export(args) => export::export(args, desk).await,
        Command::Restore(args) => restore::restore(args, desk).await,
        Command::Verify(args) => verify::verify(args, desk).await,
        Command::Status(args) => status::status(args, desk).await,
        Command::Home(args) => home::home(args, desk).await,
        Command::Settle(args) => settle::settle(args, desk).await,
        Command::Offers(args) => offers::offers(args, desk).await,
        Command::Keys(args) => keys::keys(args, desk).await,
    };
    match done {
        Ok(()) => 0,
        Err(stop) => ended(&stop, console),
    }
}

fn ended(stop: &Stop, console: &Console) -> u8 {
    console.say(&stop.to_string());
    match stop {
        Stop::Usage(_) => 2,
        Stop::Refused(_) | Stop::Unreached(_) => 1,
    }
}

/// The clock, asked at the edge and nowhere else.
pub(crate) fn now() -> Time {
    Time::from_unix(jiff::Timestamp::now().as_second())
}

/// A log of posts with these slugs, behind an entry 0.
#[cfg(test)]
pub(crate) fn chain_for_tests(
    key: &mut spokes_log::secret::SecretKey,
    slugs: &[&str],
) -> Vec<spokes_log::seal::SealedEntry> {
    use spokes_log::{
        chain::Chain,
        draft::{Article, Says},
        entry::Entry,
        name::{Language, Slug, Tags},
    };
    let certificate = key.certificate().clone();
    let first = Says::Blog {
        title: "Maria".to_owned(),
        language: Language::parse("en").expect("a language"),
        certificate: certificate.fingerprint().clone(),
        claim: None,
    };
    let mut drafts = vec![(first, certificate.armored())];
    for slug in slugs {
        let article = Article {
            date: now(),
            slug: Slug::parse(slug).expect("a slug"),
            title: None,
            language: None,
            tags: Tags::default(),
            aliases: Vec::new(),
            replaces: None,
            media: Vec::new(),
        };
        drafts.push((Says::Post(article), format!("The words of {slug}.")));
    }
    let mut sealed: Vec<spokes_log::seal::SealedEntry> = Vec::new();
    let mut chain: Option<Chain> = None;
    for (says, body) in drafts {
        let draft = session::draft(says, body).expect("a draft");
        let parent = sealed
            .last()
            .map(|s| (s.entry().skeleton(), s.entry().id()));
        let authors = vec![certificate.fingerprint().clone()];
        let entry = Entry::new(&draft, parent, authors, now()).expect("sound");
        let chain = chain.get_or_insert_with(|| Chain::new(entry.id()));
        let signature = key.sign(entry.text(), now()).expect("signed");
        let verified = chain
            .place(&entry)
            .and_then(|p| p.seal(entry, &[signature]));
        let verified = verified.expect("valid");
        chain.append(&verified).expect("appended");
        sealed.push(verified.sealed().clone());
    }
    sealed
}
