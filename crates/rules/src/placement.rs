//! Placement: which spokes hold a blog. A pure function, so that anybody can recompute it.

use alloc::vec::Vec;
use core::fmt;

use spokes_log::name::{BlogId, Hash};

use crate::{node::Label, request::Operator};

/// A spoke that may be given blogs.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its label.
    pub label: &'a Label,
    /// Who runs it.
    pub operator: &'a Operator,
    /// How many blogs it holds.
    pub blogs: usize,
    /// Whether it does all it can already.
    pub is_full: bool,
}

/// Where a blog is placed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    /// The primary first, then the secondaries.
    pub members: Vec<Label>,
    /// What could not be reached, for the author to see.
    pub shortfall: Option<Shortfall>,
}

/// Fewer replicas than the network wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortfall {
    /// Replicas wanted.
    pub wanted: usize,
    /// Different operators there are.
    pub operators: usize,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, operators } = self;
        match operators {
            1 => write!(
                f,
                "{wanted} servers of different operators are wanted and there is one operator: \
                 the blog is on one server and in your own copy"
            ),
            _ => write!(
                f,
                "{wanted} servers of different operators are wanted and there are {operators} \
                 operators: the blog is on {operators} servers"
            ),
        }
    }
}

/// Chooses the replicas of a blog: the asked spoke as primary if it is a candidate, then the least
/// loaded ones of other operators; equals in an order that only the blog decides.
///
/// None when there is no candidate at all.
pub fn place(
    blog: BlogId,
    asked: Option<&Label>,
    candidates: &[Candidate<'_>],
    replicas: usize,
) -> Option<Placement> {
    let mut order: Vec<_> = candidates.iter().collect();
    order.sort_by_key(|c| {
        let lot = [blog.as_bytes().as_slice(), c.label.as_str().as_bytes()].concat();
        (
            Some(c.label) != asked,
            c.is_full,
            c.blogs,
            *Hash::of(&lot).as_bytes(),
        )
    });
    let mut operators: Vec<&Operator> = Vec::new();
    let mut members = Vec::with_capacity(replicas.min(candidates.len()));
    for candidate in order {
        if operators.contains(&candidate.operator) {
            continue;
        }
        operators.push(candidate.operator);
        if members.len() < replicas {
            members.push(candidate.label.clone());
        }
    }
    if members.is_empty() {
        return None;
    }
    let shortfall = (members.len() < replicas).then_some(Shortfall {
        wanted: replicas,
        operators: operators.len(),
    });
    Some(Placement { members, shortfall })
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::String};

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    /// "a/x:3" is spoke `a` of operator `x` with three blogs; "!a" asks for `a`.
    #[track_caller]
    fn check(story: &str, expected: &Expect) {
        let mut asked = None;
        let mut spokes = Vec::new();
        for word in story.split(' ') {
            if let Some(label) = word.strip_prefix('!') {
                asked = Label::parse(label).ok();
                continue;
            }
            let (spoke, blogs) = word.split_once(':').unwrap_or((word, "0"));
            let (label, operator) = spoke.split_once('/').expect("label/operator");
            let label = Label::parse(label).expect("a label");
            let operator = Operator::parse(operator).expect("an operator");
            spokes.push((label, operator, blogs.parse().expect("a number")));
        }
        let candidates: Vec<_> = spokes
            .iter()
            .map(|(label, operator, blogs)| Candidate {
                label,
                operator,
                blogs: *blogs,
                is_full: false,
            })
            .collect();
        let said = match place(Hash::of(b"maria"), asked.as_ref(), &candidates, 3) {
            None => String::from("nobody"),
            Some(placement) => {
                let members: Vec<_> = placement.members.iter().map(Label::as_str).collect();
                match placement.shortfall {
                    None => members.join(" "),
                    Some(shortfall) => format!("{}: {shortfall}", members.join(" ")),
                }
            }
        };
        expected.assert_eq(&said);
    }

    #[test]
    fn operators_differ_and_the_author_is_heard() {
        check("a/x:5 b/x b/y:1 c/z:2 d/w:9", &expect!["b b c"]);
        check("!d a/x:5 b/y:1 c/z:2 d/w:9", &expect!["d b c"]);
        check("!nowhere a/x:5 b/y:1 c/z:2 d/w:9", &expect!["b c a"]);
    }

    #[test]
    fn what_cannot_be_reached_is_said() {
        check(
            "a/x b/y c/x",
            &expect![
                "c b: 3 servers of different operators are wanted and there are 2 operators: the blog is on 2 servers"
            ],
        );
        check(
            "a/x c/x",
            &expect![
                "c: 3 servers of different operators are wanted and there is one operator: the blog is on one server and in your own copy"
            ],
        );
    }

    proptest! {
        #[test]
        fn no_operator_twice_and_never_fewer_than_possible(
            spokes in proptest::collection::vec((0u8..6, 0usize..9), 0..20), replicas in 1usize..6
        ) {
            let spokes: Vec<_> = spokes.iter().enumerate().map(|(n, (operator, blogs))| {
                let label = Label::parse(&format!("s{n}")).expect("a label");
                (label, Operator::parse(&format!("o{operator}")).expect("operator"), *blogs)
            }).collect();
            let candidates: Vec<_> = spokes
                .iter()
                .map(|(label, operator, blogs)| Candidate { label, operator, blogs: *blogs, is_full: false })
                .collect();
            let mut all: Vec<_> = spokes.iter().map(|s| &s.1).collect();
            all.sort();
            all.dedup();
            let placed = place(Hash::of(b"blog"), None, &candidates, replicas);
            let members = placed.map(|p| p.members).unwrap_or_default();
            prop_assert_eq!(members.len(), replicas.min(all.len()));
            let mut held: Vec<_> = members
                .iter()
                .map(|m| &spokes.iter().find(|s| s.0 == *m).expect("a candidate").1)
                .collect();
            held.sort();
            held.dedup();
            prop_assert_eq!(held.len(), members.len());
        }
    }
}
