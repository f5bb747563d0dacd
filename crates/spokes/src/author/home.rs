//! `home`: the author moves her blog to a spoke of her choice, whatever spokes and organizers think of it.

use std::time::Duration;

use spokes_log::name::Hash;
use spokes_rules::{node::Label, request::Home};
use tokio::time::{Instant, sleep};

use crate::{
    author::{
        Desk,
        network::{Network, To},
        now,
        session::{blog_name, find},
        signer::{Signer, SigningKey, UserId},
        stop::Stop,
    },
    wire::{TakenWire, WordWire},
};

/// How often one looks whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How long one watches: a blog of the largest size on a slow line. It goes on by itself.
const WATCH: Duration = Duration::from_secs(600);
/// How often the network may be silent meanwhile.
const SILENCES_MAX: u32 = 20;

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
    let (began, mut silences) = (Instant::now(), 0);
    let wire = loop {
        match find(&network, &name).await {
            Ok(wire) if wire.primary == to => break wire,
            Ok(_) => silences = 0,
            Err(stop) if silences == SILENCES_MAX => return Err(stop),
            Err(_) => silences += 1,
        }
        if began.elapsed() >= WATCH {
            return Err(Stop::Unreached(format!(
                "\"{name}\" is not on {to} yet: that takes in the blog first. It goes on by itself, and the same \
                 command shows it again; meanwhile you write and are read as ever"
            )));
        }
        console.progress(&format!(
            "\"{name}\" goes to {to}: it takes in the blog, then takes over"
        ));
        sleep(LOOK_EVERY).await;
    };
    if common.json {
        console.json(&wire);
    } else {
        console.fact(&format!("\"{name}\" is on {to} now."));
    }
    Ok(())
}
