//! What became of each thing that a command was asked to bring.

use std::collections::BTreeMap;

use serde::Serialize;
use spokes_log::{
    entry::Entry,
    name::{EntryId, Hash, Slug},
};

use crate::author::{
    console::Console,
    deliver::{Count, Outcome},
    state::Waiting,
    stop::{Stop, plain},
    tally::{Tally, Totals},
};

/// What became of one file or one entry.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Row {
    /// The file that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// One word: safe, accepted, unchanged, waiting, refused, untried; of what was left out: draft,
    /// scheduled, private, protected, trash, medium, skipped.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether it stands in an older version's place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replaced: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip)]
    tally: Tally,
    /// The address of a medium that an export lists.
    #[serde(skip)]
    medium: Option<String>,
}

impl Row {
    pub(crate) fn of_entry(
        file: Option<String>,
        entry: &Entry,
        url: Option<String>,
        outcome: Outcome,
    ) -> Self {
        let mut row = Self {
            file,
            sequence: Some(entry.skeleton().sequence),
            id: Some(entry.id().to_string()),
            kind: Some(entry.skeleton().kind.to_string()),
            url,
            ..Self::default()
        };
        match outcome {
            Outcome::Safe(count, _) | Outcome::Accepted(count) => row.count(count),
            Outcome::Refused(why) | Outcome::Erased(why) => row.end("refused", why),
            Outcome::Later(why) => row.end("waiting", why),
            Outcome::Stale => row.end("waiting", "the blog has gone on".to_owned()),
        }
        row
    }

    /// What waits in the outbox.
    pub(crate) fn of_waiting(waiting: &Waiting, count: Count) -> Self {
        let entry = waiting.sealed.entry();
        let outcome = Outcome::Accepted(count);
        let mut row = Self::of_entry(waiting.source.clone(), entry, None, outcome);
        if !waiting.sent {
            row.end("waiting", "not sent yet".to_owned());
        }
        row
    }

    /// A file that nothing was made of.
    pub(crate) fn of_file(file: String, outcome: &'static str, reason: Option<String>) -> Self {
        Self {
            file: Some(file),
            outcome,
            reason: reason.map(|why| plain(&why).to_owned()),
            ..Self::default()
        }
    }

    /// A file that says what its article says already.
    pub(crate) fn unchanged(file: String, sequence: u64, id: EntryId, slug: &Slug) -> Self {
        Self {
            sequence: Some(sequence),
            id: Some(id.to_string()),
            reason: Some(format!("\"{slug}\" says this already")),
            ..Self::of_file(file, "unchanged", None)
        }
    }

    fn end(&mut self, outcome: &'static str, why: String) {
        self.outcome = outcome;
        self.reason = Some(why);
    }

    pub(crate) fn count(&mut self, count: Count) {
        self.outcome = if count.is_safe() { "safe" } else { "accepted" };
        self.held = Some(count.held);
        self.needed = Some(count.needed);
        self.members = Some(count.members);
        self.reason = Some(count.sentence());
    }

    pub(crate) fn became_safe(&mut self) {
        if let (Some(needed), Some(members)) = (self.needed, self.members) {
            self.count(Count {
                held: self.held.unwrap_or(needed).max(needed),
                needed,
                members,
            });
        }
    }

    pub(crate) fn note(&mut self, notes: &[String]) {
        self.notes.extend_from_slice(notes);
    }

    /// The entry that was made, unless it was refused.
    pub(crate) fn made(&self) -> Option<EntryId> {
        let id = self.id.as_deref().filter(|_| self.outcome != "refused")?;
        Hash::parse(id).ok()
    }

    pub(crate) fn replaces(&mut self, replaces: bool) {
        self.replaced = replaces;
    }

    pub(crate) fn weigh(&mut self, tally: Tally) {
        self.tally = tally;
    }

    pub(crate) fn is_medium(&mut self, address: &str) {
        self.medium = Some(address.to_owned());
    }

    /// Says of a medium that it went along, if it did.
    pub(crate) fn tell_medium(&mut self, has_come: impl Fn(&str) -> bool) {
        if let Some(address) = self.medium.as_deref().filter(|address| has_come(address)) {
            self.reason = Some(format!("{address}: went along with a text that shows it"));
        }
    }

    pub(crate) fn is(&self, id: EntryId) -> bool {
        self.id.as_deref() == Some(&id.to_string())
    }

    pub(crate) fn is_good(&self) -> bool {
        let left_out = matches!(
            self.outcome,
            "draft" | "skipped" | "scheduled" | "private" | "protected" | "trash" | "medium"
        );
        left_out || matches!(self.outcome, "safe" | "unchanged")
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.outcome == "accepted"
    }

    /// Whether nothing else can go either.
    pub(crate) fn is_halted(&self) -> bool {
        self.outcome == "waiting"
    }

    fn called(&self) -> String {
        match (&self.file, &self.kind, self.sequence) {
            (Some(file), ..) => file.clone(),
            (None, Some(kind), Some(sequence)) => format!("entry {sequence} ({kind})"),
            _ => "entry".to_owned(),
        }
    }

    /// The row for people.
    pub(crate) fn sentence(&self) -> String {
        let what = self.called();
        let reason = self.reason.as_deref().unwrap_or(self.outcome);
        let reason = match self.outcome {
            "safe" | "accepted" => reason.to_owned(),
            "waiting" => format!("not sent, waiting in your outbox: {reason}"),
            outcome => format!("{outcome}: {reason}"),
        };
        let entry = match (&self.file, self.sequence) {
            (Some(_), Some(sequence)) => format!(", entry {sequence}"),
            _ => String::new(),
        };
        let url = self
            .url
            .as_ref()
            .filter(|_| matches!(self.outcome, "safe" | "accepted"));
        let url = url.map(|url| format!(", {url}")).unwrap_or_default();
        format!("{what}: {reason}{entry}{url}")
    }
}

/// How many rows have which outcome.
pub(crate) fn counts(rows: &[Row]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row.outcome).or_insert(0) += 1;
    }
    counts
}

/// Rows from which on their numbers are worth a line.
const COUNTED_MIN: usize = 5;

/// Why rows were skipped, where they are many.
fn skipped(rows: &[Row]) -> Option<String> {
    let mut whys: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.outcome == "skipped") {
        *whys.entry(row.reason.as_deref()?).or_insert(0) += 1;
    }
    let count: usize = whys.values().sum();
    let whys: Vec<String> = whys
        .iter()
        .map(|(why, count)| format!("{why}: {count}"))
        .collect();
    (count >= COUNTED_MIN).then(|| format!("skipped, by what it was: {}", whys.join("; ")))
}

/// Prints rows; the command is done when all of them are good.
pub(crate) fn print(console: &Console, json: bool, rows: &[Row]) -> Result<(), Stop> {
    let totals = Totals::of(rows.iter().map(|row| &row.tally));
    if json {
        let mut facts = serde_json::json!({ "entries": rows, "counts": counts(rows) });
        if totals != Totals::default() {
            facts["totals"] = serde_json::json!(totals);
        }
        console.json(&facts);
    } else {
        for row in rows {
            console.fact(&row.sentence());
            row.notes
                .iter()
                .for_each(|note| console.say(&format!("{}: note: {note}", row.called())));
        }
    }
    if !json && rows.len() >= COUNTED_MIN {
        let counts = counts(rows).into_iter();
        let counts: Vec<String> = counts
            .map(|(outcome, n)| format!("{n} {outcome}"))
            .collect();
        let replaced = match rows.iter().filter(|row| row.replaced).count() {
            0 => String::new(),
            1 => "; 1 of them replaced an older version".to_owned(),
            count => format!("; {count} of them replaced an older version"),
        };
        console.fact(&format!(
            "{} in all: {}{replaced}",
            rows.len(),
            counts.join(", ")
        ));
    }
    if !json {
        let sentences = skipped(rows).into_iter().chain(totals.sentences());
        sentences.for_each(|line| console.fact(&line));
    }
    let bad = rows.iter().filter(|row| !row.is_good()).count();
    if bad == 0 {
        return Ok(());
    }
    let all = rows.len();
    Err(Stop::Refused(if all == 1 {
        "not done; the reason stands above".to_owned()
    } else {
        format!("{bad} of {all} are not done; the reasons stand above")
    }))
}
