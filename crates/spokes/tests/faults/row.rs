//! What one story, or many runs of it, came to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The promises (seconds).
pub(crate) const OUT_OF_NAMES_MAX: f64 = 20.0;
pub(crate) const NEW_PRIMARY_MAX: f64 = 30.0;
/// For how long a resolver may name a server that has left DNS (SPEC dns 1.1).
const TTL: f64 = 30.0;
/// How much later a reader notices who is just then waiting, and how slow a page may be on a busy machine.
const GRACE: f64 = 5.0;
/// How long a post may wait on a blog whose servers are all well: a disk of a busy machine takes a second or two.
const UNTOUCHED_MAX: f64 = 4.0;

/// One run of one story. Times are seconds after the blow; none is "not as long as it was watched".
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) story: String,
    /// Pages wanted after the blow.
    pub(crate) reads: usize,
    /// Errors that were shown.
    pub(crate) failed: usize,
    /// Pages that took a second or longer.
    pub(crate) slow: usize,
    /// The longest that a reader saw nothing.
    pub(crate) longest: f64,
    /// When the last reader began to wait for a page that failed or was slow, before the end of the blow.
    pub(crate) last_trouble: f64,
    /// The longest that a post waited to be safe on a blog none of whose servers was met.
    pub(crate) untouched: f64,
    /// Until the victims were out of the names for readers, and those for authors.
    pub(crate) out_of_names: Option<f64>,
    pub(crate) out_of_edit: Option<f64>,
    /// When the registry said of a victim that it is down.
    pub(crate) falls: Vec<f64>,
    /// For each blog whose primary was met: until a post was safe again, and until one was by a new set.
    pub(crate) safe_again: Vec<Option<f64>>,
    pub(crate) new_primary: Vec<Option<f64>>,
    /// The longest time without a safe post on some blog.
    pub(crate) silence: f64,
    /// Commands that an author gave at her own tool, and those after which her post was not safe yet.
    pub(crate) commands: usize,
    pub(crate) commands_refused: usize,
    /// The longest that she waited for a post to be safe.
    pub(crate) commands_longest: f64,
    /// Posts that were said to be safe.
    pub(crate) safe: usize,
    /// Those that no living member had, or not all had, while the blow lasted, and in the end.
    pub(crate) meanwhile: Vec<String>,
    pub(crate) meanwhile_thin: Vec<String>,
    pub(crate) lost: Vec<String>,
    pub(crate) thin: Vec<String>,
    /// Where the author's tool does not find a blog good.
    pub(crate) unsound: Vec<String>,
    pub(crate) false_failovers: Vec<String>,
    pub(crate) majority_gone: bool,
    /// From the end of the blow until the last victim was in DNS again.
    pub(crate) back: Option<f64>,
}

impl Row {
    pub(crate) fn json(&self) -> Value {
        serde_json::to_value(self).unwrap()
    }

    /// Every promise that was not kept.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let falls = !self.falls.is_empty() || !self.new_primary.is_empty();
        if falls && !self.restarts() {
            let out = self.out_of_names.unwrap_or(f64::INFINITY);
            if out > OUT_OF_NAMES_MAX {
                broken.push(format!("out of DNS after {out:.1} s"));
            }
        }
        if !self.majority_gone && !self.restarts() {
            for after in &self.new_primary {
                let after = after.unwrap_or(f64::INFINITY);
                if after > NEW_PRIMARY_MAX {
                    broken.push(format!("safe by a new primary after {after:.1} s"));
                }
            }
            if self.commands_longest > NEW_PRIMARY_MAX {
                let longest = self.commands_longest;
                broken.push(format!("an author's own tool took {longest:.1} s"));
            }
            broken.extend(self.meanwhile.iter().map(|it| format!("meanwhile: {it}")));
        }
        let names = self.out_of_names.filter(|_| !self.falls.is_empty());
        if let Some(out) = names.filter(|out| self.last_trouble > out + TTL + GRACE) {
            let after = self.last_trouble - out;
            broken.push(format!(
                "a reader met with a victim {after:.1} s after it had left DNS"
            ));
        }
        if self.untouched > UNTOUCHED_MAX {
            let longest = self.untouched;
            broken.push(format!(
                "a post on a blog that was not met waited {longest:.1} s"
            ));
        }
        let parts = [&self.lost, &self.thin, &self.unsound, &self.false_failovers];
        broken.extend(parts.into_iter().flatten().cloned());
        if self.safe == 0 || self.reads == 0 {
            broken.push("nobody wrote, or nobody read".to_owned());
        }
        broken
    }

    fn restarts(&self) -> bool {
        self.story.contains("restarted")
    }
}

/// The rows of one story, in one line of the table.
pub(crate) fn line(rows: &[Row]) -> String {
    let sum = |of: fn(&Row) -> usize| rows.iter().map(of).sum::<usize>();
    let longest = rows.iter().map(|row| row.longest).fold(0.0, f64::max);
    // Where nobody was to fall, nobody is awaited.
    let may_fall = || rows.iter().filter(|row| !row.restarts());
    let out: Vec<Option<f64>> = may_fall().map(|row| row.out_of_names).collect();
    let again = rows.iter().flat_map(|row| row.safe_again.iter().copied());
    let led = may_fall().flat_map(|row| row.new_primary.iter().copied());
    let tool = rows
        .iter()
        .map(|row| row.commands_longest)
        .fold(0.0, f64::max);
    format!(
        "| {} | {} | {} of {}, {} slow; {longest:.1} s | {} | {} | {} | {tool:.1} s | {} of {} | {} |",
        rows[0].story,
        rows.len(),
        sum(|row| row.failed),
        sum(|row| row.reads),
        sum(|row| row.slow),
        spread(out),
        spread(again.collect()),
        spread(led.collect()),
        sum(|row| row.lost.len()),
        sum(|row| row.safe),
        sum(|row| row.false_failovers.len()),
    )
}

/// The head of the table.
pub(crate) const HEAD: &str = "| fault | runs | failed reads of all; longest without a page | \
     s until out of DNS, half / p99 | s until a post was safe | s until safe by a new primary | longest wait at the author's tool | \
     safe posts lost | false failovers |\n|---|---|---|---|---|---|---|---|---|";

/// Half of all are below the first number, 99 % below the second.
fn spread(values: Vec<Option<f64>>) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    let mut values: Vec<f64> = values
        .into_iter()
        .map(|v| v.unwrap_or(f64::INFINITY))
        .collect();
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values[(values.len() * part).div_ceil(100).max(1) - 1];
    let word = |value: f64| {
        if value.is_finite() {
            format!("{value:.1}")
        } else {
            "never".to_owned()
        }
    };
    format!("{} / {}", word(at(50)), word(at(99)))
}
