//! `erase`: takes words back, in all their versions.

use spokes_log::{
    blog::Found,
    draft::{ERASES_MAX, Says},
    name::{EntryId, Slug},
};

use crate::author::{
    Desk, report,
    session::{Session, draft},
    signer::{Signer, SigningKey, UserId},
    stop::Stop,
};

/// `spokes blog erase`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Erase {
    /// The blog's name
    name: String,
    /// The articles' slugs, as their addresses show them
    #[arg(required = true, value_name = "SLUG")]
    slugs: Vec<String>,
    #[command(flatten)]
    signing: SigningKey,
}

/// Runs `erase`.
pub(crate) async fn erase(args: &Erase, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common,
        surroundings,
        console,
    } = *desk;
    let mut signer = Signer::open(&args.signing, UserId::Any, surroundings, console).await?;
    let mut session = Session::open(desk, &args.name).await?;
    let mut rows = session.flush(&mut signer).await?;
    if rows.iter().any(report::Row::is_halted) {
        session.remember()?;
        return report::print(console, common.json, &rows);
    }
    let mut versions = Vec::new();
    for slug in &args.slugs {
        versions.extend(versions_of(&session, slug)?);
    }
    let question = format!(
        "This takes {} back for ever, from every spoke that obeys; others may have copies. Erase?",
        args.slugs.join(", ")
    );
    if !common.yes && !console.is_attended() {
        return Err(Stop::Usage(
            "what is erased is gone for ever, and nobody is here to be asked; nothing was erased, add \
             --yes to mean it"
                .to_owned(),
        ));
    }
    if !common.yes && !console.ask(&question, false) {
        return Err(Stop::Refused("nothing was erased".to_owned()));
    }
    versions.dedup();
    for part in versions.chunks(ERASES_MAX) {
        let says = Says::Erase {
            erases: part.to_vec(),
        };
        let row = session
            .utter(draft(says, String::new())?, &[], None, &mut signer)
            .await?;
        let halted = row.is_halted();
        rows.push(row);
        if halted {
            break;
        }
    }
    session.look_again(&mut rows).await?;
    session.remember()?;
    report::print(console, common.json, &rows)
}

/// All versions of an article: when only the last went, the one before would come back.
fn versions_of(session: &Session<'_>, slug: &str) -> Result<Vec<EntryId>, Stop> {
    let parsed = Slug::parse(slug.trim_matches('/'))
        .map_err(|why| Stop::Usage(format!("the slug \"{slug}\" {why}")))?;
    match session.copy.blog.find(&parsed) {
        Some(Found::Post(post)) => Ok(post.versions.iter().map(|(_, id)| *id).collect()),
        Some(Found::Moved(post)) => Err(Stop::Refused(format!(
            "\"{slug}\" only leads to \"{}\"; erase that one, nothing was erased",
            post.article.slug
        ))),
        None => Err(Stop::Refused(format!(
            "{} has no article \"{slug}\"; nothing was erased",
            session.name
        ))),
    }
}
