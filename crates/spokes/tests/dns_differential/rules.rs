//! What may differ by right between two servers that have the same zone. Each rule is a name, a reason, and the change
//! to both answers after which they have to be equal. Nothing else may differ.

use crate::{
    question::{AXFR, CLASS_ANY, IXFR, MAILA, MAILB, OPT, Oddity, Question, RRSIG, TKEY, TSIG},
    told::{Section, Told},
};

/// Who said the other answer, to what.
pub(crate) struct Case<'a> {
    pub(crate) question: &'a Question,
    /// `knot` or `nsd`.
    pub(crate) other: &'static str,
}

pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// With its source.
    pub(crate) why: &'static str,
    mend: fn(&Case<'_>, &mut Told, &mut Told),
}

const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const NOTAUTH: u16 = 9;
const NOTIFY: u8 = 4;
const UPDATE: u8 = 5;

/// A rule that is not below: its name and why. Others are asked for the type that we chose.
pub(crate) const ANY_RULE: (&str, &str) = (
    "ANY",
    "one of the sets is enough (RFC 8482 section 4.1), and each server chooses its own",
);

/// The first ones say what the same answer may look like, the others where an answer may be another one: there `mend`
/// sees to it that each of both is one that may be, and makes them equal.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "options",
        why: "what a server says beside its answer is its choice: NSID, cookies, errors in words (RFC 8914)",
        mend: |_, ours, theirs| {
            ours.options.clear();
            theirs.options.clear();
        },
    },
    Rule {
        name: "additional",
        why: "addresses of the servers that an NS record names help who has none of ours, and nobody who has asked us \
              (RFC 9471 wants them in referrals only)",
        mend: |_, ours, theirs| {
            if holds(&theirs.additional, &ours.additional) {
                ours.additional.clear();
                theirs.additional.clear();
            }
        },
    },
    Rule {
        name: "errors",
        why: "who hears an error looks at its code; whether flags, question and DO come back is not said anywhere",
        mend: |_, ours, theirs| {
            if ours.rcode == theirs.rcode && [&*ours, &*theirs].into_iter().all(is_error) {
                make_equal(ours, theirs);
            }
        },
    },
    Rule {
        name: "broken messages",
        why: "bytes behind the end, two OPT records, one of another name: FORMERR (RFC 6891 section 6.1.1), though some \
              answer",
        mend: |case, ours, theirs| {
            let broken = [Oddity::BytesBehind, Oddity::TwoOpts, Oddity::OptOfAName];
            let is_broken = case
                .question
                .oddity
                .is_some_and(|oddity| broken.contains(&oddity));
            if is_broken && is_one_of(ours, &[FORMERR]) {
                make_equal(ours, theirs);
            }
        },
    },
    Rule {
        name: "records in a question",
        why: "nobody says what a record in a question means; NSD says FORMERR, Knot and we answer",
        mend: |case, ours, theirs| {
            let odd = [Oddity::AnswerInIt, Oddity::RecordBehind];
            let is_odd = case
                .question
                .oddity
                .is_some_and(|oddity| odd.contains(&oddity));
            if is_odd && case.other == "nsd" && is_one_of(theirs, &[FORMERR]) {
                make_equal(ours, theirs);
            }
        },
    },
    Rule {
        name: "NOTIFY and UPDATE",
        why: "refused, in words that differ: nobody may send them to us, and others look at the zone first",
        mend: |case, ours, theirs| {
            let is_one = matches!(case.question.oddity, Some(Oddity::Opcode(NOTIFY | UPDATE)));
            let theirs_may = [FORMERR, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH];
            if is_one && is_one_of(ours, &[REFUSED]) && is_one_of(theirs, &theirs_may) {
                make_equal(ours, theirs);
            }
        },
    },
    Rule {
        name: "transfers",
        why: "AXFR and IXFR that no mirror signed: we refuse; others say that the zone is not theirs or not by datagram",
        mend: |case, ours, theirs| {
            let is_one = [AXFR, IXFR].contains(&case.question.rtype);
            let theirs_may = [FORMERR, NOTIMP, REFUSED, NOTAUTH];
            if is_one && is_one_of(ours, &[REFUSED]) && is_one_of(theirs, &theirs_may) {
                make_equal(ours, theirs);
            }
        },
    },
    Rule {
        name: "wholesale types",
        why: "TKEY, TSIG, MAILA and MAILB are no types of records: we refuse, others look for them and find none",
        mend: |case, ours, theirs| {
            let is_one = [TKEY, TSIG, MAILA, MAILB].contains(&case.question.rtype);
            if is_one && is_one_of(ours, &[REFUSED]) && finds_nothing(theirs) {
                make_equal(ours, theirs);
            }
        },
    },
    Rule {
        name: "OPT as a question",
        why: "it cannot be asked for (RFC 6891 section 6.1.1): FORMERR, others look for it and find none",
        mend: |case, ours, theirs| {
            let is_one = case.question.rtype == OPT;
            if is_one && is_one_of(ours, &[FORMERR]) && finds_nothing(theirs) {
                make_equal(ours, theirs);
            }
        },
    },
    Rule {
        name: "type 0",
        why: "it is reserved (RFC 6895 section 3.1); Knot says NOTIMP, NSD and we find none",
        mend: |case, ours, theirs| {
            if case.question.rtype == 0 && case.other == "knot" && is_one_of(theirs, &[NOTIMP]) {
                make_equal(ours, theirs);
            }
        },
    },
    Rule {
        name: "RRSIG as a question",
        why: "signatures alone serve nobody (RFC 8482 section 7 has the same of ANY): Knot gives one, NSD and we all",
        mend: |case, ours, theirs| {
            let is_one = case.question.rtype == RRSIG && case.other == "knot";
            if is_one && !theirs.answer.is_empty() && holds_some(&ours.answer, &theirs.answer) {
                theirs.answer.clone_from(&ours.answer);
            }
        },
    },
    Rule {
        name: "class ANY",
        why: "such an answer could have no authority (RFC 1034 section 4.3.2): we refuse, others answer as for IN",
        mend: |case, ours, theirs| {
            if case.question.class == CLASS_ANY && is_one_of(ours, &[REFUSED]) {
                make_equal(ours, theirs);
            }
        },
    },
];

/// Whether these sets are among those, whole.
fn holds(all: &Section, some: &Section) -> bool {
    some.iter().all(|(key, set)| all.get(key) == Some(set))
}

/// Whether each of these records is among those.
fn holds_some(all: &Section, some: &Section) -> bool {
    some.iter().all(|(key, set)| {
        let all = all.get(key);
        all.is_some_and(|all| {
            set.iter()
                .all(|(record, times)| all.get(record) == Some(times))
        })
    })
}

fn has_records(told: &Told) -> bool {
    let sections = [&told.answer, &told.authority, &told.additional];
    sections.iter().any(|section| !section.is_empty())
}

fn is_error(told: &Told) -> bool {
    told.rcode != NOERROR && told.rcode != NXDOMAIN && !has_records(told)
}

/// Whether it is an answer without authority and records that has one of these codes.
fn is_one_of(told: &Told, rcodes: &[u16]) -> bool {
    rcodes.contains(&told.rcode) && !has_records(told)
}

/// No such name, no such type, or not of this zone.
fn finds_nothing(told: &Told) -> bool {
    told.answer.is_empty() && [NOERROR, NXDOMAIN, REFUSED].contains(&told.rcode)
}

fn make_equal(ours: &mut Told, theirs: &mut Told) {
    theirs.clone_from(ours);
}

/// The rules that it took to make both equal.
///
/// # Errors
/// When they are not equal under all rules; what is left of both.
pub(crate) fn compare(
    case: &Case<'_>,
    mut ours: Told,
    mut theirs: Told,
) -> Result<Vec<&'static str>, Box<(Told, Told)>> {
    let mut used = Vec::new();
    for rule in RULES {
        if ours == theirs {
            break;
        }
        let before = (ours.clone(), theirs.clone());
        (rule.mend)(case, &mut ours, &mut theirs);
        if before != (ours.clone(), theirs.clone()) {
            used.push(rule.name);
        }
    }
    if ours == theirs {
        Ok(used)
    } else {
        Err(Box::new((ours, theirs)))
    }
}
