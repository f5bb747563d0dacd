//! `settle`: shows what two branches say at one address, and lets the author choose.

use spokes_log::{
    blog::{Clash, Post},
    draft::{Draft, Says},
    name::{EntryId, Hash},
};

use crate::author::{
    Desk, now, report,
    session::{Session, draft},
    signer::{Signer, SigningKey, UserId},
    stop::Stop,
};

/// `spokes blog settle`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Settle {
    /// The blog's name
    name: String,
    /// The entry whose text stays; the other one leaves the blog
    #[arg(long, value_name = "ID")]
    keep: Option<String>,
    #[command(flatten)]
    signing: SigningKey,
}

/// Runs `settle`.
pub(crate) async fn settle(args: &Settle, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common,
        surroundings,
        console,
    } = *desk;
    let mut session = Session::open(desk, &args.name).await?;
    let Some(keep) = &args.keep else {
        return show(&session, common.json);
    };
    let keep = Hash::parse(keep).map_err(|why| Stop::Usage(format!("--keep {keep} {why}")))?;
    let mut signer = Signer::open(&args.signing, UserId::Any, surroundings, console).await?;
    let mut rows = session.flush(&mut signer).await?;
    if !rows.iter().any(report::Row::is_halted) {
        let (draft, parent) = choice(&session, keep)?;
        rows.push(session.utter_behind(draft, parent, &mut signer).await?);
        session.look_again(&mut rows).await?;
    }
    session.remember()?;
    report::print(console, common.json, &rows)
}

/// The articles of a clash.
fn both<'s>(session: &'s Session<'_>, clash: &Clash) -> Option<[&'s Post; 2]> {
    let blog = &session.copy.blog;
    Some([
        blog.article_of(clash.winner)?,
        blog.article_of(clash.loser)?,
    ])
}

fn show(session: &Session<'_>, json: bool) -> Result<(), Stop> {
    let (console, copy) = (session.console, &session.copy);
    let heads = copy.chain.heads();
    let clashes = copy.blog.clashes();
    if json {
        let heads: Vec<_> = heads
            .iter()
            .map(|(sequence, id)| serde_json::json!({"sequence": sequence, "id": id.to_string()}))
            .collect();
        let clashes: Vec<_> = clashes
            .iter()
            .filter_map(|clash| both(session, clash).map(|posts| (clash, posts)))
            .map(|(clash, posts)| {
                serde_json::json!({
                    "slug": clash.slug.as_str(),
                    "shown": posts[0].current().to_string(), "hidden": posts[1].current().to_string(),
                    "texts": posts.map(|post| copy.body(post.current())),
                })
            })
            .collect();
        console.json(&serde_json::json!({ "heads": heads, "clashes": clashes }));
        return Ok(());
    }
    for (sequence, id) in &heads {
        console.fact(&format!("head: entry {sequence}, {id}"));
    }
    if clashes.is_empty() {
        console.fact("nothing clashes; all branches are read as one blog");
    }
    for clash in clashes {
        for (post, is) in both(session, &clash)
            .into_iter()
            .flatten()
            .zip(["shown", "hidden"])
        {
            let (sequence, id) = post.order();
            console.fact(&format!(
                "\n\"{}\", {is}: entry {sequence}, {id}",
                clash.slug
            ));
            console.fact(&format!(
                "  title: {}",
                post.article.title.as_deref().unwrap_or("-")
            ));
            copy.body(id)
                .lines()
                .for_each(|line| console.fact(&format!("  | {line}")));
        }
        console.fact(&format!(
            "\nchoose: spokes blog settle {} --keep ID; the other leaves the blog (publish it \
             under another slug first, if you want both)",
            session.name
        ));
    }
    Ok(())
}

/// The one entry that settles a clash, and the head that it goes behind: it stands instead of the
/// other article, so it must not follow it.
fn choice(session: &Session<'_>, keep: EntryId) -> Result<(Draft, EntryId), Stop> {
    let copy = &session.copy;
    let clashes = copy.blog.clashes();
    let pairs = clashes.iter().filter_map(|clash| both(session, clash));
    let pair = pairs
        .flat_map(|[a, b]| [(a, b), (b, a)])
        .find(|(kept, _)| kept.current() == keep);
    let Some((kept, other)) = pair else {
        return Err(Stop::Refused(format!(
            "{keep} is in no clash; \"spokes blog settle {}\" shows them",
            session.name
        )));
    };
    let gone: Vec<EntryId> = other.versions.iter().map(|(_, id)| *id).collect();
    let reaches = |head, id| copy.chain.reaches(head, id);
    let heads = copy.chain.heads();
    let parent = heads
        .iter()
        .rev()
        .map(|(_, id)| *id)
        .find(|head| reaches(*head, keep) && !gone.iter().any(|id| reaches(*head, *id)));
    let Some(parent) = parent else {
        return Err(Stop::Refused(format!(
            "both texts are on one branch; erase the other one with \"spokes blog erase {}\"",
            session.name
        )));
    };
    let mut article = spokes_log::draft::Article::clone(&kept.article);
    article.replaces = Some(keep);
    let says = if kept.is_page {
        Says::Page(article)
    } else {
        Says::Post(article)
    };
    let draft = Draft {
        instead_of: gone,
        ..draft(says, copy.body(keep).to_owned())?
    };
    session
        .console
        .say(&format!("signing at {}, behind {parent}", now()));
    Ok((draft, parent))
}
