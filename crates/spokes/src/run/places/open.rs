//! `spokes council open`: a blog most of whose servers do not come back goes on with those that are left
//! (SPEC receipt 3.7).

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use spokes_log::name::BlogName;
use spokes_rules::{
    node::{Label, Signed},
    receipt::{Held, Seal, Tip, seals_needed},
    request::Wish,
};

use super::{Tell, Watch, id_of, joined, listed, place_behind, place_of, say};
use crate::{
    author::Console,
    council::Door,
    outage::Outage,
    wire::{
        StatementsWire,
        places::{BlogPlaceWire, SpokeWire, SpokesWire},
    },
};

#[derive(Debug, Args)]
pub(in crate::run) struct Open {
    /// The blog's name.
    #[arg(value_parser = BlogName::parse)]
    blog: BlogName,
    /// Says that you know: posts that only the missing servers hold are missing until one of them or the author
    /// brings them back, and may then stand beside newer ones. Without it, this says what would be done.
    #[arg(long)]
    may_fork: bool,
    #[command(flatten)]
    tell: Tell,
}

/// A blog's servers, and which of them are there.
struct Servers<'a> {
    name: &'a BlogName,
    place: &'a BlogPlaceWire,
    spokes: &'a [SpokeWire],
}

impl Servers<'_> {
    fn members(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.place.primary).chain(&self.place.secondaries)
    }

    fn spoke(&self, label: &str) -> Option<&SpokeWire> {
        self.spokes.iter().find(|spoke| spoke.label == label)
    }

    fn serves(&self, label: &str) -> bool {
        self.spoke(label).is_some_and(|spoke| {
            matches!(spoke.standing.as_str(), "admitted" | "leaving") && spoke.down_since.is_none()
        })
    }

    /// Those that are there; who holds all of it first.
    fn serving(&self) -> Vec<String> {
        let members = self.members().filter(|label| self.serves(label));
        let mut serving: Vec<String> = members.cloned().collect();
        serving.sort_by_key(|label| !self.place.held_by.contains(label));
        serving
    }

    fn silent(&self) -> Vec<String> {
        let silent = self.members().filter(|label| !self.serves(label));
        silent.cloned().collect()
    }

    /// How many have to say what they hold, so that nothing that is safe is passed over (SPEC receipt 3.5).
    fn needed(&self) -> usize {
        seals_needed(self.members().count())
    }

    /// With whom the blog can go on. Nobody new is among them: who has to take in the blog first would keep its
    /// author waiting, and comes by itself as soon as the set is open.
    fn next(&self) -> Result<Vec<String>, Outage> {
        let (name, serving) = (self.name, self.serving());
        if serving.is_empty() {
            let beginner = self.beginner().ok_or_else(|| {
                Outage::new(format!(
                    "none of the servers of \"{name}\" answers: {}. Nothing was changed: no other one takes new blogs. \
                     Start one of them again; it is enough if its disk is there",
                    self.told(&self.silent())
                ))
            })?;
            return Ok(vec![beginner]);
        }
        match &self.place.next {
            _ if serving.len() < self.needed() => Ok(serving),
            // It stands still, though enough answer.
            Some(next) => Ok(next.clone()),
            None => Err(Outage::new(format!(
                "enough of the servers of \"{name}\" answer ({}): nothing has to be given up, and nothing was \
                 changed. Whom it needs beside them the council gives it by itself",
                listed(&serving)
            ))),
        }
    }

    /// Where the blog begins anew: the one that was chosen before, else the one with the fewest blogs.
    fn beginner(&self) -> Option<String> {
        let is_member = |label: &str| self.members().any(|member| member == label);
        let is_chosen = |label: &String| self.place.next.iter().flatten().any(|next| next == label);
        let free = self.spokes.iter();
        let free = free.filter(|s| s.standing == "admitted" && s.takes == "new");
        let free = free.filter(|s| self.serves(&s.label) && !is_member(&s.label));
        let first = free.min_by_key(|s| (!is_chosen(&s.label), s.blogs, s.label.clone()));
        first.map(|spoke| spoke.label.clone())
    }

    /// "a (silent since …) and b (evicted)".
    fn told(&self, labels: &[String]) -> String {
        let told = labels.iter().map(|label| {
            let spoke = self.spoke(label);
            match spoke.and_then(|spoke| spoke.down_since.as_ref()) {
                Some(since) => format!("{label} (silent since {since})"),
                None => format!("{label} ({})", spoke.map_or("unknown", |s| &s.standing)),
            }
        });
        listed(&told.collect::<Vec<_>>())
    }

    /// What will be lost for now, and what not.
    fn warning(&self, next: &[String]) -> String {
        let (name, silent) = (self.name, self.silent());
        let goes_on = listed(next);
        if self.serving().is_empty() {
            return format!(
                "None of the servers of \"{name}\" answers: {}. If one of them can be started again, do that: it is \
                 enough if its disk is there. Else the blog can begin anew on {goes_on} with what its author brings \
                 (\"spokes blog restore FOLDER --as {name}\"). What she does not have will be missing: its pages say \
                 so.",
                self.told(&silent)
            );
        }
        if silent.is_empty() {
            return format!(
                "All servers of \"{name}\" answer. It goes on with {goes_on}, without what those have who do not \
                 say what they hold."
            );
        }
        format!(
            "\"{name}\" has lost {}. It can go on with {goes_on}, and all that is there stays. What only {} may have \
             will be missing: its pages say so, until enough of them come back or the author brings it. Then it is \
             taken in, or offered to the author where she has written on meanwhile.",
            self.told(&silent),
            one_of(&silent)
        )
    }
}

pub(super) async fn open(args: Open, console: &Console) -> Result<(), Outage> {
    let door = args.tell.door().await?;
    let name = &args.blog;
    let before = place_of(&door, name).await?;
    let spokes: SpokesWire = door.get("/api/v1/registry/spokes").await?;
    let servers = Servers {
        name,
        place: &before,
        spokes: &spokes.spokes,
    };
    let next = servers.next()?;
    console.say(&servers.warning(&next));
    if !args.may_fork {
        return Err(Outage::new(
            "nothing was changed. If they may come back soon, wait: then nothing is missing. If not, say the same \
             with --may-fork",
        ));
    }
    // Prepared already or not: an organizer's word tells those who stay that they need wait for nobody else.
    let labels = next.iter().map(|label| Label::parse(label));
    let wish = Wish::Close {
        blogs: vec![id_of(&before)?],
        epoch: before.epoch,
        members: labels.collect::<Result<_, _>>().map_err(Outage::new)?,
    };
    say(&door, wish, Vec::new()).await?;
    let (place, after) = open_when_said(&door, name, &before, &next, console).await?;
    if args.tell.look.json {
        console.json(&place);
    } else {
        console.fact(&opened(name, &place, after));
    }
    Ok(())
}

/// Waits until those that go on have said what they hold, and opens the set; gives back where the blog is then, and
/// its last entry as far as that was said.
async fn open_when_said(
    door: &Door,
    name: &BlogName,
    before: &BlogPlaceWire,
    next: &[String],
    console: &Console,
) -> Result<(BlogPlaceWire, Option<u64>), Outage> {
    let anew = !next
        .iter()
        .any(|l| *l == before.primary || before.secondaries.contains(l));
    let path = format!("/api/v1/registry/statements?blog={}", before.blog);
    let (mut watch, who) = (
        Watch::new(console, format!("The opening of \"{name}\"")),
        listed(next),
    );
    let (mut asked, mut last) = (0, None);
    loop {
        let read = place_behind(door, name, asked).await;
        let Some(place) = watch.bear(read).await? else {
            continue;
        };
        // Be it by itself: somebody has come back just now.
        if place.epoch > before.epoch {
            return Ok((place, last));
        }
        let read = door.get::<StatementsWire>(&path).await;
        let Some(kept) = watch.bear(read).await? else {
            continue;
        };
        let kept: Vec<Signed> = kept
            .statements
            .iter()
            .filter_map(|w| w.signed().ok())
            .collect();
        let said = Said::of(&kept, before.epoch);
        last = said.last().or(last);
        if asked == 0 && said.suffices(next, anew) {
            let wish = Wish::Open {
                blog: id_of(before)?,
                epoch: before.epoch + 1,
                forced: true,
            };
            asked = say(door, wish, kept).await?;
            continue;
        }
        let line = match anew {
            true => format!("\"{name}\": {who} waits for what the author brings"),
            false => format!(
                "\"{name}\": {who} to say what is held, {} so far",
                said.held.len()
            ),
        };
        console.progress(&line);
        if watch.stands_still(line.clone()).await {
            console.say(&format!(
                "{line}. Nothing has moved for a minute: {who} must say what is held before the blog can go on. \"spokes \
                 council spokes\" shows who is well. If you break off here nothing is lost: the same command goes \
                 on, and the council opens the set by itself an hour after the change began."
            ));
        }
    }
}

/// What spokes have said of a blog whose set changes.
#[derive(Debug, Default)]
struct Said {
    /// The tips of those who sealed.
    sealed: BTreeMap<String, Vec<Tip>>,
    /// What is held for the next epoch.
    held: BTreeMap<String, BTreeSet<Tip>>,
}

impl Said {
    fn of(statements: &[Signed], epoch: u64) -> Self {
        let mut said = Self::default();
        for statement in statements {
            let text = statement.text.as_bytes();
            if let Ok(seal) = Seal::parse(text)
                && seal.epoch == epoch
            {
                said.sealed.insert(seal.spoke.to_string(), seal.tips);
            } else if let Ok(held) = Held::parse(text)
                && held.epoch == epoch + 1
            {
                let tips = said.held.entry(held.spoke.to_string()).or_default();
                tips.insert(held.tip);
            }
        }
        said
    }

    /// Whether a majority of the next set holds what was sealed. Where the council's leader is a new one it may have
    /// heard who holds and not yet who sealed: opened then, the set would begin with nothing. Where it begins `anew`
    /// there is nobody who could seal.
    fn suffices(&self, next: &[String], anew: bool) -> bool {
        let tips: BTreeSet<&Tip> = self.sealed.values().flatten().collect();
        let holds = |label: &&String| {
            let held = self.held.get(*label);
            held.is_some_and(|held| tips.iter().all(|tip| held.contains(tip)))
        };
        (anew || !tips.is_empty()) && next.iter().filter(holds).count() > next.len() / 2
    }

    fn last(&self) -> Option<u64> {
        self.sealed.values().flatten().map(|tip| tip.sequence).max()
    }
}

/// What the organizer is told in the end.
fn opened(name: &BlogName, place: &BlogPlaceWire, after: Option<u64>) -> String {
    let on = &place.primary;
    if place.missing.is_empty() {
        return format!(
            "\"{name}\" is open on {on}, and its author can write. Nothing that was safe is missing."
        );
    }
    let until = after.map_or_else(String::new, |after| format!(" up to entry {after}"));
    format!(
        "\"{name}\" is open on {on}, and its author can write. It is there{until}; what only {} may have is missing, \
         and its pages say so. Start them again when you can: what they have comes back by itself. The author's \
         program brings what she has.",
        one_of(&place.missing)
    )
}

/// "a", "a or b", "a, b or c".
fn one_of(labels: &[String]) -> String {
    joined(labels, "or")
}

#[cfg(test)]
mod tests {
    use spokes_rules::node::NodeSecret;

    use super::*;

    /// "a? b c-" are the members, the primary first: `?` is silent, `-` has to take in the blog still. `next` is
    /// what is prepared.
    fn servers(members: &str, next: Option<&str>, act: impl FnOnce(Servers<'_>)) {
        let words: Vec<&str> = members.split(' ').collect();
        let bare = |word: &&str| word.trim_end_matches(['?', '-']).to_owned();
        let labels: Vec<String> = words.iter().map(bare).collect();
        let holds = words.iter().filter(|word| !word.ends_with('-'));
        let place = BlogPlaceWire {
            name: "maria".into(),
            blog: String::new(),
            epoch: 1,
            primary: labels[0].clone(),
            secondaries: labels[1..].to_vec(),
            held_by: holds.map(bare).collect(),
            replicas: 3,
            more: 0,
            next: next.map(|next| next.split(' ').map(str::to_owned).collect()),
            home: None,
            missing: Vec::new(),
            waits: Vec::new(),
        };
        let spokes: Vec<SpokeWire> = words
            .iter()
            .map(|word| SpokeWire {
                label: bare(word),
                operator: "Group".into(),
                address: "192.0.2.1:80".into(),
                standing: "admitted".into(),
                since: String::new(),
                down_since: word.contains('?').then(|| "noon".to_owned()),
                load: "1".into(),
                takes: "new".into(),
                blogs: 1,
                primary_of: 0,
                behind: 0,
            })
            .collect();
        let name = BlogName::parse("maria").unwrap();
        act(Servers {
            name: &name,
            place: &place,
            spokes: &spokes,
        });
    }

    #[track_caller]
    fn check(members: &str, next: Option<&str>, expected: &str) {
        servers(members, next, |servers| {
            let said = match servers.next() {
                Ok(next) => next.join(" "),
                Err(outage) => outage.to_string(),
            };
            assert!(said.starts_with(expected), "{members}: {said}");
        });
    }

    #[test]
    fn a_blog_goes_on_with_those_that_are_left() {
        check("a? b? c", None, "c");
        check("a b? c?", None, "a");
        // What the council has prepared cannot open.
        check("a? b? c", Some("c a b"), "c");
        check("a- b? c? d? e", None, "e a");
        // Nothing has to be given up.
        let enough =
            "enough of the servers of \"maria\" answer (b and c): nothing has to be given up";
        check("a? b c", None, enough);
        check("a? b c", Some("b c a"), "b c a");
        let none = "none of the servers of \"maria\" answers: a (silent since noon) and b (silent since noon). \
                    Nothing was changed: no other one takes new blogs";
        check("a? b?", None, none);
    }

    #[test]
    fn an_organizer_reads_what_may_be_lost_and_what_not() {
        servers("a? b? c", None, |servers| {
            let said = servers.warning(&["c".to_owned()]);
            let expected = "\"maria\" has lost a (silent since noon) and b (silent since noon). It can go on with c, \
                            and all that is there stays. What only a or b may have will be missing";
            assert!(said.starts_with(expected), "{said}");
        });
    }

    #[test]
    fn a_set_is_not_opened_before_it_is_known_what_was_sealed() {
        let network = spokes_log::name::Hash::of(b"network");
        let secret = NodeSecret::from_seed(&[3; 32]);
        let spoke = Label::parse("c").unwrap();
        let tip = |sequence| Tip {
            sequence,
            id: spokes_log::name::Hash::of(b"entry"),
        };
        let held = Held {
            network,
            spoke: spoke.clone(),
            blog: network,
            epoch: 2,
            tip: tip(1),
            time: spokes_log::time::Time::from_unix(0),
        };
        let seal = |sequence| Seal {
            network,
            spoke: spoke.clone(),
            blog: network,
            epoch: 1,
            tips: vec![tip(sequence)],
        };
        let next = ["c".to_owned()];
        let held = Signed::new(&secret, &held);
        let said = |statements: &[Signed]| Said::of(statements, 1);
        // A new leader hears of receipts before it hears of seals.
        assert!(!said(std::slice::from_ref(&held)).suffices(&next, false));
        // There is nobody who could seal.
        assert!(
            said(std::slice::from_ref(&held)).suffices(&next, true)
                && !said(&[]).suffices(&next, true)
        );
        let sealed = Signed::new(&secret, &seal(1));
        let both = said(&[held.clone(), sealed.clone()]);
        assert!(both.suffices(&next, false) && both.last() == Some(1));
        assert!(!both.suffices(&["c".to_owned(), "d".to_owned()], false));
        assert!(!said(&[held, Signed::new(&secret, &seal(2))]).suffices(&next, false));
        // Of another epoch.
        assert!(!Said::of(&[sealed], 2).suffices(&next, false));
    }
}
