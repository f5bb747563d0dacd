//! Our name server beside Knot and NSD: one zone, the same questions at random, and answers that are equal but for what
//! may differ by right ([`rules`]).
//!
//! `SPOKES_DIFFERENTIAL_QUERIES=1000000` asks more, `SPOKES_DIFFERENTIAL_SEED` other ones.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

#[path = "../common/mod.rs"]
mod common;
mod made_up;
mod question;
mod rules;
mod servers;
mod told;

use std::{
    collections::BTreeMap,
    ops::Range,
    time::{Duration, Instant},
};

use common::{Random, setting};
use made_up::MadeUp;
use question::{ANY, Question, RRSIG, Transport};
use rules::{ANY_RULE, Case, RULES, compare};
use servers::{LABELS, Servers};
use told::{Section, Told};

/// Questions that are on their way at once: their answers fit the buffer of a socket.
const AT_ONCE: usize = 64;
/// As many as take some ten seconds beside other work.
const QUESTIONS: usize = 20_000;
const BLOGS: usize = 200;
/// Differences that are shown before the test gives up.
const SHOWN: usize = 5;
/// Questions whose answers are made wrong.
const PLANTED: usize = 20 * AT_ONCE;
const TELL_EVERY: Duration = Duration::from_secs(2);

/// How often each rule was needed, against whom.
type Needed = BTreeMap<(&'static str, &'static str), usize>;

/// What was said to one question; none is silence.
type Said = [Option<Vec<u8>>; 3];

/// All that a comparison needs, and what it has found.
struct Comparison {
    seed: usize,
    servers: Servers,
    zone: MadeUp,
    dice: Random,
    needed: Needed,
    found: Vec<String>,
    _home: tempfile::TempDir,
}

#[test]
fn three_servers_say_the_same() {
    compared(false);
}

#[test]
fn three_servers_say_the_same_of_a_signed_zone() {
    compared(true);
}

fn compared(is_signed: bool) {
    let questions = setting("SPOKES_DIFFERENTIAL_QUERIES", QUESTIONS);
    let mut comparison = Comparison::begin(setting("SPOKES_DIFFERENTIAL_SEED", 7), is_signed);
    let (began, mut told) = (Instant::now(), Instant::now());
    for first in (0..questions).step_by(AT_ONCE) {
        for (question, said) in comparison.ask(first..questions.min(first + AT_ONCE)) {
            comparison.look_at(&question, &said);
        }
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            let took = began.elapsed().as_secs_f64();
            eprintln!("{first} of {questions} questions, {took:.0} s");
        }
        if comparison.found.len() >= SHOWN {
            break;
        }
    }
    comparison.tell_rules();
    let found = comparison.found;
    let count = found.len();
    assert!(
        found.is_empty(),
        "{count} unexplained differences\n{}",
        found.join("\n")
    );
}

impl Comparison {
    fn begin(seed: usize, is_signed: bool) -> Self {
        let mut dice = Random::new(u64::try_from(seed).unwrap());
        let zone = MadeUp::new(&mut dice, BLOGS);
        let home = tempfile::tempdir().unwrap();
        Self {
            seed,
            servers: Servers::begin(&zone, is_signed, home.path()),
            zone,
            dice,
            needed: Needed::new(),
            found: Vec::new(),
            _home: home,
        }
    }

    /// Questions with these numbers, and what all said to them.
    fn ask(&mut self, numbers: Range<usize>) -> Vec<(Question, Said)> {
        let owners = self.zone.owners();
        let asked: Vec<_> = numbers
            .map(|number| Question::new(number, &mut self.dice, &self.zone, &owners))
            .collect();
        let [ours, knot, nsd] = self.servers.ask(&asked);
        let said = ours.into_iter().zip(knot).zip(nsd);
        let said = said.map(|((ours, knot), nsd)| [ours, knot, nsd]);
        asked.into_iter().zip(said).collect()
    }

    fn look_at(&mut self, question: &Question, said: &Said) {
        // To the byte, and not cut: there is nothing to be judged.
        let is_whole = |answer: &Vec<u8>| answer.len() > 2 && answer[2] & 0x02 == 0;
        if said[0].as_ref().is_some_and(is_whole) && said[1..].iter().all(|other| *other == said[0])
        {
            return;
        }
        let Err(what) = judge(question, said, &mut self.servers, &mut self.needed) else {
            return;
        };
        let told = LABELS
            .iter()
            .zip(said)
            .map(|(label, said)| format!("  {label}: {}", shown(said)));
        let told: String = told.collect();
        self.found
            .push(format!("seed {}, {question}\n  {what}\n{told}", self.seed));
    }

    fn tell_rules(&self) {
        let rules = RULES.iter().map(|rule| (rule.name, rule.why));
        for (name, why) in rules.chain([ANY_RULE]) {
            let times = |other| self.needed.get(&(name, other)).copied().unwrap_or(0);
            let (knot, nsd) = (times("knot"), times("nsd"));
            eprintln!("{name}, for knot {knot} times, for nsd {nsd}: {why}");
        }
    }
}

fn shown(answer: &Option<Vec<u8>>) -> String {
    match answer {
        None => "silence\n".to_owned(),
        Some(bytes) => match Told::read(bytes) {
            Ok(told) => format!("{} bytes: {told}", bytes.len()),
            Err(why) => format!("{why}: {bytes:02x?}\n"),
        },
    }
}

/// Compares our answer with both others.
fn judge(
    question: &Question,
    said: &Said,
    servers: &mut Servers,
    needed: &mut Needed,
) -> Result<(), String> {
    let told = read(said)?;
    if question.transport == Transport::Udp && told.iter().any(|told| told.is_set("tc")) {
        return judge_cut(question, said, &told, servers, needed);
    }
    if question.rtype == ANY && told.iter().all(|told| !told.answer.is_empty()) {
        return judge_any(question, &told[0], servers, needed);
    }
    for (other, theirs) in LABELS.into_iter().zip(&told).skip(1) {
        let case = Case { question, other };
        match compare(&case, told[0].clone(), theirs.clone()) {
            Ok(used) => {
                let used = used.into_iter();
                used.for_each(|rule| *needed.entry((rule, other)).or_default() += 1);
            }
            Err(left) => {
                let (ours, theirs) = *left;
                return Err(format!("what is left beside {other}:\n  {ours}  {theirs}"));
            }
        }
    }
    Ok(())
}

fn read(said: &Said) -> Result<Vec<Told>, String> {
    let said = LABELS.iter().zip(said);
    let told = said.map(|(label, answer)| {
        let bytes = answer.as_ref().ok_or(format!("{label} says nothing"))?;
        Told::read(bytes).map_err(|why| format!("{label} cannot be read: {why}"))
    });
    told.collect()
}

/// All have an answer to ANY, each perhaps another one: ours has to be what others say to a question for that type.
fn judge_any(
    question: &Question,
    ours: &Told,
    servers: &mut Servers,
    needed: &mut Needed,
) -> Result<(), String> {
    let mut types = ours
        .answer
        .keys()
        .map(|(_, _, rtype)| *rtype)
        .filter(|rtype| *rtype != RRSIG);
    let (Some(rtype), None) = (types.next(), types.next()) else {
        return Err("ours has not one set".to_owned());
    };
    let again = question.for_type(rtype);
    for (other, line) in LABELS.into_iter().zip(&mut servers.lines).skip(1) {
        let theirs = line.ask(&again).and_then(|bytes| Told::read(&bytes).ok());
        let mut theirs = theirs.ok_or(format!("{other} says nothing"))?;
        // The question is another one, and comes back.
        theirs.question.clone_from(&ours.question);
        let case = Case { question, other };
        if compare(&case, ours.clone(), theirs).is_err() {
            return Err(format!("{other} has another set of type {rtype}"));
        }
        *needed.entry((ANY_RULE.0, other)).or_default() += 1;
    }
    Ok(())
}

/// At least one answer was cut to fit a datagram: whether each had to be, and whether all are the same through a stream.
fn judge_cut(
    question: &Question,
    said: &Said,
    told: &[Told],
    servers: &mut Servers,
    needed: &mut Needed,
) -> Result<(), String> {
    let again = question.by_stream();
    let whole = servers.lines.each_mut().map(|line| line.ask(&again));
    let most = question.bytes_max();
    for ((label, told), (cut, whole)) in LABELS.iter().zip(told).zip(said.iter().zip(&whole)) {
        let length = |answer: &Option<Vec<u8>>| answer.as_ref().map_or(0, Vec::len);
        if told.is_set("tc") && length(whole) <= most {
            return Err(format!(
                "{label} cut {} bytes where {most} fit",
                length(whole)
            ));
        }
        if length(cut) > most {
            return Err(format!(
                "{label} sent {} bytes where {most} fit",
                length(cut)
            ));
        }
    }
    // SPEC dns 4.3: what does not fit is left out whole.
    let is_cut = told[0].is_set("tc");
    let ours = whole[0].as_ref().and_then(|bytes| Told::read(bytes).ok());
    if is_cut && !(told[0].answer.is_empty() && told[0].authority.is_empty()) {
        return Err("ours is cut and holds records".to_owned());
    }
    if !is_cut && ours.is_none_or(|ours| ours != told[0]) {
        return Err("ours is another one through a stream".to_owned());
    }
    judge(&again, &whole, servers, needed)
}

/// A way in which an answer is wrong; false where it cannot be made wrong so.
type Wrong = (&'static str, fn(&mut Told) -> bool);

const WRONG: [Wrong; 12] = [
    ("a name that is there is not", |told| {
        let is_none = told.rcode == 0 && told.answer.is_empty();
        told.rcode = if is_none { 3 } else { told.rcode };
        is_none
    }),
    ("a name that is not there is", |told| {
        let is_missing = told.rcode == 3;
        told.rcode = if is_missing { 0 } else { told.rcode };
        is_missing
    }),
    ("no authority", |told| {
        let count = told.flags.len();
        told.flags.retain(|flag| *flag != "aa");
        told.flags.len() < count
    }),
    ("recursion is offered", |told| {
        told.flags.push("ra");
        told.is_set("aa")
    }),
    ("a record is missing", |told| {
        let set = told.answer.values_mut().next();
        set.is_some_and(|set| set.pop_first().is_some())
    }),
    ("a record stands twice", |told| {
        let set = told.answer.values_mut().next();
        let first = set.and_then(|set| set.first_entry());
        first.is_some_and(|mut first| first.insert(2) == 1)
    }),
    ("another time to live", |told| {
        change_first(&mut told.answer, |(ttl, _)| *ttl += 1)
    }),
    ("other data", |told| {
        change_first(&mut told.answer, |(_, data)| data.push('1'))
    }),
    ("no SOA", |told| told.authority.pop_first().is_some()),
    ("another SOA", |told| {
        change_first(&mut told.authority, |(ttl, _)| *ttl = 3_600)
    }),
    ("the case of letters is lost", |told| {
        let before = told.question.clone();
        told.question.make_ascii_lowercase();
        told.question != before && told.is_set("aa")
    }),
    ("DO is lost", |told| {
        let edns = told.edns.replace((0, 0));
        edns == Some((0, 0x8000)) && told.is_set("aa")
    }),
];

fn change_first(section: &mut Section, change: fn(&mut (u32, String))) -> bool {
    let Some(set) = section.values_mut().next() else {
        return false;
    };
    let Some((mut record, times)) = set.pop_first() else {
        return false;
    };
    change(&mut record);
    set.insert(record, times);
    true
}

/// So that no rule forgives what it is not meant for.
#[test]
fn answers_that_are_wrong_are_found() {
    let mut comparison = Comparison::begin(3, false);
    let mut found = [0; WRONG.len()];
    for first in (0..PLANTED).step_by(AT_ONCE) {
        for (question, said) in comparison.ask(first..first + AT_ONCE) {
            let Ok(told) = read(&said) else { continue };
            if !question.is_usual() || told.iter().any(|told| told.is_set("tc")) {
                continue;
            }
            for ((name, spoil), found) in WRONG.iter().zip(&mut found) {
                let mut ours = told[0].clone();
                if !spoil(&mut ours) {
                    continue;
                }
                for (other, theirs) in LABELS.into_iter().zip(&told).skip(1) {
                    let question = &question;
                    let case = Case { question, other };
                    let judged = compare(&case, ours.clone(), theirs.clone());
                    assert!(
                        judged.is_err(),
                        "{name}, beside {other}: {question}\n{ours}{theirs}"
                    );
                }
                *found += 1;
            }
        }
    }
    for ((name, _), found) in WRONG.iter().zip(found) {
        eprintln!("{name:<28} {found} times");
        assert!(found > 0, "{name}: never tried");
    }
}
