//! `keys`: who may sign for a blog.

use std::{fs, path::PathBuf};

use spokes_log::{
    draft::{Grant, Role, Says},
    key::Certificate,
    name::Fingerprint,
};

use crate::author::{
    Desk, report,
    session::{Session, draft},
    signer::{Signer, SigningKey, UserId},
    stop::Stop,
};

/// `spokes blog keys`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Keys {
    /// The blog's name
    name: String,
    #[command(subcommand)]
    change: Option<Change>,
}

/// What changes; without it the keys are listed.
#[derive(clap::Subcommand, Clone, Debug)]
enum Change {
    /// Let another key sign, or bring a newer form of one
    #[command(
        after_help = "Example:\n  spokes blog keys maria add joan.asc --role write --key 8E06…"
    )]
    Add {
        /// The certificate, as `gpg --export` writes it
        cert_file: PathBuf,
        /// own: everything; write: everything but keys and names
        #[arg(long, value_enum)]
        role: RoleArg,
        /// Which of its user ids becomes public, where there are several
        #[arg(long)]
        uid: Option<String>,
        #[command(flatten)]
        signing: SigningKey,
    },
    /// Let a key sign no more
    #[command(after_help = "Example:\n  spokes blog keys maria end 4C1D… --key 8E06…")]
    End {
        /// Whose
        fingerprint: String,
        #[command(flatten)]
        signing: SigningKey,
    },
}

/// What a key may sign.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum RoleArg {
    Own,
    Write,
}

/// Runs `keys`.
pub(crate) async fn keys(args: &Keys, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common, console, ..
    } = *desk;
    match &args.change {
        None => {
            let session = Session::open(desk, &args.name).await?;
            list(&session, common.json)
        }
        Some(Change::Add {
            cert_file,
            role,
            uid,
            signing,
        }) => {
            let bytes = fs::read(cert_file).map_err(|why| Stop::disk(cert_file, why))?;
            let certificate = Certificate::minimal(&bytes, uid.as_deref())
                .map_err(|why| Stop::disk(cert_file, why))?;
            let role = match role {
                RoleArg::Own => Role::Own,
                RoleArg::Write => Role::Write,
            };
            let uids: Vec<String> = certificate.user_ids().collect();
            console.say(&format!(
                "This becomes public, for ever: {}, {}",
                certificate.fingerprint(),
                uids.join(", ")
            ));
            let says = Says::Keys {
                certificates: vec![Grant {
                    fingerprint: certificate.fingerprint().clone(),
                    role,
                }],
                ends: Vec::new(),
                recovery: None,
            };
            change(args, says, certificate.armored(), signing, desk).await
        }
        Some(Change::End {
            fingerprint,
            signing,
        }) => {
            let plain = fingerprint.replace(' ', "").to_uppercase();
            let ended = Fingerprint::parse(&plain)
                .map_err(|why| Stop::Usage(format!("\"{fingerprint}\" {why}")))?;
            let says = Says::Keys {
                certificates: Vec::new(),
                ends: vec![ended],
                recovery: None,
            };
            change(args, says, String::new(), signing, desk).await
        }
    }
}

async fn change(
    args: &Keys,
    says: Says,
    body: String,
    signing: &SigningKey,
    desk: &Desk<'_>,
) -> Result<(), Stop> {
    let Desk {
        common,
        surroundings,
        console,
    } = *desk;
    let mut signer = Signer::open(signing, UserId::Any, surroundings, console).await?;
    let mut session = Session::open(desk, &args.name).await?;
    let mut rows = session.flush(&mut signer).await?;
    if !rows.iter().any(report::Row::is_halted) {
        if !common.yes && !console.ask("Sign this change of keys?", true) {
            return Err(Stop::Refused("nothing was changed".to_owned()));
        }
        rows.push(
            session
                .utter(draft(says, body)?, &[], None, &mut signer)
                .await?,
        );
        session.look_again(&mut rows).await?;
    }
    session.remember()?;
    report::print(console, common.json, &rows)
}

fn list(session: &Session<'_>, json: bool) -> Result<(), Stop> {
    let head = session
        .copy
        .head()
        .and_then(|(_, id)| session.copy.chain.ring(id));
    let ring = head.ok_or_else(|| Stop::Refused("nothing of the blog can be read".to_owned()))?;
    let mut keys = Vec::new();
    for (fingerprint, role, certificate) in ring.keys() {
        let role = if role == Role::Own { "own" } else { "write" };
        let uids: Vec<String> = certificate.user_ids().collect();
        keys.push(serde_json::json!({
            "fingerprint": fingerprint.to_string(), "role": role, "user_ids": uids,
        }));
        if !json {
            session
                .console
                .fact(&format!("{fingerprint}  {role:5}  {}", uids.join(", ")));
        }
    }
    let ended: Vec<String> = ring.ended().iter().map(Fingerprint::to_string).collect();
    if json {
        session
            .console
            .json(&serde_json::json!({ "keys": keys, "ended": ended }));
    } else {
        ended
            .iter()
            .for_each(|key| session.console.fact(&format!("{key}  ended")));
    }
    Ok(())
}
