//! `status`: where a blog is, how many hold it, what waits.

use crate::{
    author::{
        Common,
        console::Console,
        deliver::receipts_of,
        network::{To, Trouble},
        report::Row,
        session::Session,
        signer::Surroundings,
        state::Waiting,
        stop::Stop,
    },
    wire::ReceiptsWire,
};

/// `spokes blog status`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Status {
    /// The blog's name
    name: String,
}

/// Runs `status`.
pub(crate) async fn status(
    args: &Status,
    common: &Common,
    surroundings: &Surroundings,
    console: &Console,
) -> Result<(), Stop> {
    let session = Session::open(common, &args.name, surroundings, console).await?;
    let path = format!("/api/v1/blogs/{}/receipts", session.name);
    let read: Result<ReceiptsWire, Trouble> =
        session.network.get(To::Edit(&session.name), &path).await;
    let receipts = match read {
        Ok(wire) => receipts_of(&wire.receipts),
        Err(trouble) => {
            console.say(&format!(
                "receipts could not be read: {}",
                trouble.sentence()
            ));
            session.shelf.receipts()?
        }
    };
    let waiting = session.shelf.outbox()?;
    let ids: Vec<_> = waiting.iter().map(Waiting::id).collect();
    let published = session.copy.without(&ids);
    let heads = published.chain.heads();
    let mut branches = Vec::new();
    for (sequence, id) in &heads {
        let (count, _) = session.members.count(&session.copy.chain, *id, &receipts);
        branches.push((*sequence, *id, count));
    }
    if common.json {
        let members = &session.wire.members;
        let heads: Vec<_> = branches
            .iter()
            .map(|(sequence, id, count)| {
                serde_json::json!({
                    "sequence": sequence, "id": id.to_string(), "held": count.held,
                    "needed": count.needed, "members": count.members, "safe": count.is_safe(),
                })
            })
            .collect();
        let outbox: Vec<_> = waiting
            .iter()
            .map(|w| {
                serde_json::json!({
                    "sequence": w.sequence(), "id": w.id().to_string(), "sent": w.sent,
                    "file": w.source,
                })
            })
            .collect();
        console.json(&serde_json::json!({
            "name": session.name.as_str(), "blog": session.wire.blog,
            "author": session.wire.author, "url": session.network.address_of(&session.name),
            "epoch": session.wire.epoch, "primary": session.wire.primary, "spokes": members,
            "shortfall": session.wire.shortfall, "entries": published.chain.len(),
            "heads": heads, "clashes": published.blog.clashes().len(), "outbox": outbox,
        }));
        return Ok(());
    }
    let entries = published.chain.len();
    let (name, wire) = (&session.name, &session.wire);
    console.fact(&format!("{name}  {}", session.network.address_of(name)));
    console.fact(&format!(
        "blog     {}, {entries} entries, epoch {}",
        wire.blog, wire.epoch
    ));
    console.fact(&format!("author   {}", wire.author));
    for member in &wire.members {
        let role = if member.label == wire.primary {
            "primary"
        } else {
            "secondary"
        };
        let (label, operator, address) = (&member.label, &member.operator, &member.address);
        console.fact(&format!("{role:9}{label} of {operator}, {address}"));
    }
    for (sequence, id, count) in &branches {
        let held = format!("held by {} of {}", count.held, count.members);
        let safe = if count.is_safe() {
            "safe"
        } else {
            "not yet safe"
        };
        console.fact(&format!("head     entry {sequence}, {safe}, {held}, {id}"));
    }
    if branches.len() > 1 {
        let clashes = published.blog.clashes().len();
        console.fact(&format!(
            "branches {}, {clashes} clashes; \"spokes blog settle {name}\" shows them",
            branches.len()
        ));
    }
    if let Some(shortfall) = &wire.shortfall {
        console.fact(&format!("note     {shortfall}"));
    }
    for waiting in &waiting {
        let row = Row::of_waiting(waiting, session.known_count(waiting.id())?);
        console.fact(&format!("outbox   {}", row.sentence()));
    }
    if waiting.is_empty() {
        console.fact("outbox   empty");
    }
    Ok(())
}
