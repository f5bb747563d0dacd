//! `status`: where a blog is, how many hold it, what waits.

use serde_json::{Value, json};
use spokes_log::name::EntryId;

use crate::author::{
    Desk,
    console::Console,
    deliver::{self, Count},
    offers::{self, Offer},
    report::Row,
    session::{Session, waits},
    state::Waiting,
    stop::Stop,
};

/// `spokes blog status`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Status {
    /// The blog's name
    name: String,
}

/// Runs `status`.
pub(crate) async fn status(args: &Status, desk: &Desk<'_>) -> Result<(), Stop> {
    let session = Session::open(desk, &args.name).await?;
    // What was safe a moment ago is so, whether the spoke that answers now has heard of it or not.
    let mut receipts = session.shelf.receipts()?;
    match deliver::receipts(&session.network, &session.name).await {
        Ok(heard) => receipts.extend(heard),
        Err(trouble) => {
            let why = trouble.sentence();
            desk.console
                .say(&format!("{why}; counting the receipts that are kept here"));
        }
    }
    let waiting = session.shelf.outbox()?;
    let ids: Vec<_> = waiting.iter().map(Waiting::id).collect();
    let published = session.copy.without(&ids);
    let count = |id| session.members.count(&session.copy.chain, id, &receipts).0;
    let heads = published.chain.heads().into_iter();
    let found = Found {
        heads: heads
            .map(|(sequence, id)| (sequence, id, count(id)))
            .collect(),
        entries: published.chain.len(),
        clashes: published.blog.clashes().len(),
        offers: offers::of(&session).await?,
        waiting,
        session: &session,
    };
    if desk.common.json {
        desk.console.json(&found.facts());
        return Ok(());
    }
    found.print(desk.console)
}

/// How a blog stands.
struct Found<'a> {
    session: &'a Session<'a>,
    /// Sequence, id and how many hold it.
    heads: Vec<(u64, EntryId, Count)>,
    entries: usize,
    clashes: usize,
    offers: Vec<Offer>,
    waiting: Vec<Waiting>,
}

impl Found<'_> {
    fn facts(&self) -> Value {
        let head = |(sequence, id, count): &(u64, EntryId, Count)| {
            json!({
                "sequence": sequence, "id": id.to_string(), "held": count.held,
                "needed": count.needed, "members": count.members, "safe": count.is_safe(),
            })
        };
        let waits = |w: &Waiting| {
            json!({
                "sequence": w.sequence(), "id": w.id().to_string(), "sent": w.sent,
                "file": w.source,
            })
        };
        let (name, wire) = (&self.session.name, &self.session.wire);
        json!({
            "name": name.as_str(), "blog": wire.blog, "author": wire.author,
            "url": self.session.network.address_of(name), "epoch": wire.epoch,
            "primary": wire.primary, "spokes": wire.members, "shortfall": wire.shortfall,
            "forced": wire.forced, "waits": wire.waits,
            "entries": self.entries, "clashes": self.clashes,
            "heads": self.heads.iter().map(head).collect::<Vec<_>>(),
            "offers": self.offers.iter().map(Offer::facts).collect::<Vec<_>>(),
            "outbox": self.waiting.iter().map(waits).collect::<Vec<_>>(),
        })
    }

    fn print(&self, console: &Console) -> Result<(), Stop> {
        let (name, wire) = (&self.session.name, &self.session.wire);
        console.fact(&format!(
            "{name}  {}",
            self.session.network.address_of(name)
        ));
        let (blog, entries, epoch) = (&wire.blog, self.entries, wire.epoch);
        console.fact(&format!(
            "blog      {blog}, {entries} entries, epoch {epoch}"
        ));
        console.fact(&format!("author    {}", wire.author));
        for member in &wire.members {
            let is_primary = member.label == wire.primary;
            let role = if is_primary { "primary" } else { "secondary" };
            let (label, operator, address) = (&member.label, &member.operator, &member.address);
            let silent = member.down_since.as_ref();
            let silent = silent.map_or_else(String::new, |since| format!(", silent since {since}"));
            console.fact(&format!(
                "{role:10}{label} of {operator}, {address}{silent}"
            ));
        }
        for (sequence, id, count) in &self.heads {
            let held = format!("held by {} of {}", count.held, count.members);
            let safe = match count.is_safe() {
                // A set of one has no majority that outlives it.
                true if count.members == 1 => "on one server",
                true => "safe",
                false => "not yet safe",
            };
            console.fact(&format!("head      entry {sequence}, {safe}, {held}, {id}"));
        }
        if self.heads.len() > 1 {
            let what = match self.clashes {
                0 => "they are read as one blog, and nothing clashes".to_owned(),
                1 => format!("1 clash; \"spokes blog settle {name}\" shows it"),
                n => format!("{n} clashes; \"spokes blog settle {name}\" shows them"),
            };
            console.fact(&format!("branches  {}: {what}", self.heads.len()));
        }
        if let Some(waits) = waits(wire, self.session.network.domain()) {
            console.fact(&format!("note      {waits}"));
        }
        if let Some(shortfall) = &wire.shortfall {
            console.fact(&format!("note      {shortfall}"));
        }
        if let Some(forced) = &wire.forced {
            let (after, missing) = (forced.after, forced.missing.join(", "));
            console.fact(&format!(
                "note      servers of this blog were lost: it may lack entries after {after}, which {missing} \
                 may have. They come back with the first of these that does; \"spokes blog restore\" \
                 brings what an export of yours holds"
            ));
        }
        for offer in &self.offers {
            console.fact(&format!("offer     {}", offer.sentence()));
        }
        if !self.offers.is_empty() {
            console.fact(&format!(
                "          \"spokes blog offers {name}\" shows them; repeat or dismiss each"
            ));
        }
        for waiting in &self.waiting {
            let row = Row::of_waiting(waiting, self.session.known_count(waiting.id())?);
            console.fact(&format!("outbox    {}", row.sentence()));
        }
        if self.waiting.is_empty() {
            console.fact("outbox    empty");
        }
        Ok(())
    }
}
