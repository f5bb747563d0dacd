//! `home`: the author moves her blog to a spoke of her choice, whatever spokes and organizers think of it.

use std::time::Duration;

use spokes_log::name::Hash;
use spokes_rules::{node::Label, request::Home};
use tokio::time::{Instant, sleep};

use crate::{
    author::{
        Desk,
        console::Console,
        network::{Network, To},
        now,
        session::{blog_name, find, waits},
        signer::{Signer, SigningKey, UserId},
        stop::Stop,
    },
    wire::{BlogWire, TakenWire, WordWire},
};

/// How often one looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How long one watches: a blog of the largest size on a slow line. It goes on by itself.
const WATCH: Duration = Duration::from_secs(600);
/// How often the network may be silent meanwhile.
const SILENCES_MAX: u32 = 20;

/// After how long one who watches is told why it may take long.
const STILL: Duration = Duration::from_secs(60);

/// `spokes blog home`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct MoveHome {
    /// The blog's name
    name: String,
    /// The spoke that is to accept its entries; "spokes blog status NAME" shows where it is
    #[arg(long, value_name = "LABEL", value_parser = Label::parse)]
    to: Label,
    #[command(flatten)]
    signing: SigningKey,
}

/// Runs `home`.
pub(crate) async fn home(args: &MoveHome, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common,
        surroundings,
        console,
    } = *desk;
    let name = blog_name(&args.name)?;
    let to = args.to.as_str();
    let network = Network::open(common.network()?).await?;
    let before = find(&network, &name).await?;
    if let Some(waits) = waits(&before, network.domain()) {
        return Err(Stop::Unreached(format!("{waits}. Nothing was moved")));
    }
    if before.primary != to {
        let mut signer = Signer::open(&args.signing, UserId::Any, surroundings, console).await?;
        let at = now();
        let strange = |why: &str| Stop::Refused(format!("what the network says of the blog {why}"));
        let text = Home {
            network: network.id(),
            time: at,
            blog: Hash::parse(&before.blog).map_err(strange)?,
            spoke: args.to.clone(),
        }
        .to_string();
        let signature = signer.sign(&text, at).await?;
        let signature = signature.to_base64();
        let signature = signature.map_err(|why| Stop::Refused(why.to_string()))?;
        let word = WordWire { text, signature };
        let path = format!("/api/v1/blogs/{name}/home");
        let told = network
            .post::<TakenWire>(To::Apex, &path, &word, None)
            .await;
        told.map_err(|trouble| trouble.into_stop("nothing was moved"))?;
    }
    let (began, mut silences, mut said) = (Instant::now(), 0, Said::Nothing);
    let wire = loop {
        match find(&network, &name).await {
            Ok(wire) if wire.primary == to => break wire,
            Ok(wire) => {
                silences = 0;
                said = said.next(&wire, to, began.elapsed(), network.domain(), console);
            }
            Err(stop) if silences == SILENCES_MAX => return Err(stop),
            Err(_) => silences += 1,
        }
        if began.elapsed() >= WATCH {
            return Err(Stop::Unreached(format!(
                "\"{name}\" is not on {to} yet: that takes in the blog first. It goes on by itself, and the same \
                 command shows it again; meanwhile you write and are read as ever"
            )));
        }
        sleep(LOOK_EVERY).await;
    };
    if common.json {
        console.json(&wire);
    } else {
        console.fact(&format!("\"{name}\" is on {to} now."));
    }
    Ok(())
}

/// What one who watches was told so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Begun,
    Still,
}

impl Said {
    fn next(
        self,
        wire: &BlogWire,
        to: &str,
        waited: Duration,
        domain: &str,
        console: &Console,
    ) -> Self {
        let name = &wire.name;
        match self {
            Self::Nothing => {
                console.say(&format!(
                    "\"{name}\" goes to {to}: it takes in the blog, then takes over. You write and are read meanwhile; \
                     if you break off here, it goes on."
                ));
                Self::Begun
            }
            Self::Begun if waited >= STILL => {
                let holds = wire.members.iter().any(|member| member.label == to);
                let why = waits(wire, domain).unwrap_or_else(|| match holds {
                    true => format!("{to} is one of its servers and takes in what it lacks"),
                    false => format!(
                        "{to} is none of its servers yet. It may be silent or full: http://{domain}/status shows it"
                    ),
                });
                console.say(&format!("Not there after a minute. {why}."));
                Self::Still
            }
            said => said,
        }
    }
}
