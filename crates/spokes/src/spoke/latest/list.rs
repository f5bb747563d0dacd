//! A list of the latest posts as others read it: they hear what is new in it, and what it has left.

use std::{collections::BTreeMap, sync::Arc};

use spokes_log::time::Time;
use spokes_rules::front;

use super::super::headlines::Told;

/// A list that others follow.
#[derive(Debug)]
pub(super) struct List {
    /// New with every start, so that nobody takes the numbers of an earlier one for these.
    instance: String,
    /// Grows with each change.
    version: u64,
    /// What it has, each by the version with which it came.
    shown: BTreeMap<u64, Arc<Told>>,
    /// What it is made of, which a reader of pages may narrow down to more than it shows.
    pub(super) all: Arc<Vec<Arc<Told>>>,
    /// How old its oldest part is.
    pub(super) age_seconds: u64,
}

/// What is new in a list.
#[derive(Debug)]
pub(super) struct News {
    /// Whether there is any.
    pub(super) is_new: bool,
    /// The numbers of all that it has.
    pub(super) shown: Vec<u64>,
    /// What is new, oldest first.
    pub(super) added: Vec<(u64, Arc<Told>)>,
}

impl List {
    pub(super) fn new(instance: &str) -> Self {
        Self {
            instance: instance.to_owned(),
            version: 0,
            shown: BTreeMap::new(),
            all: Arc::default(),
            age_seconds: 0,
        }
    }

    /// Makes it of these; whether it is another one by that.
    pub(super) fn set(&mut self, now: Time, all: Vec<Arc<Told>>, age_seconds: u64) -> bool {
        self.age_seconds = age_seconds;
        let latest = front::latest(now, all.iter().cloned(), |told| &told.headline);
        let before = self.shown.len();
        self.shown
            .retain(|_, kept| latest.iter().any(|told| told.is(kept)));
        let mut is_other = self.shown.len() != before;
        for told in latest.into_iter().rev() {
            if !self.shown.values().any(|kept| kept.is(&told)) {
                self.version += 1;
                self.shown.insert(self.version, told);
                is_other = true;
            }
        }
        if self.shown.len() < before {
            // Whoever has the last number is to hear that something is gone.
            self.version += 1;
        }
        let same = self.all.len() == all.len()
            && self.all.iter().zip(&all).all(|(one, other)| one.is(other));
        if !same {
            self.all = Arc::new(all);
        }
        is_other || !same
    }

    /// Leaves one out that cannot be proven now. It comes in again with the next change.
    pub(super) fn leave_out(&mut self, number: u64) {
        self.shown.remove(&number);
    }

    /// What is new behind a cursor; all of it, where that is of another list.
    pub(super) fn news(&self, cursor: &str) -> News {
        let after = cursor.split_once('-');
        let after = after.filter(|(instance, _)| *instance == self.instance);
        let after: Option<u64> = after.and_then(|(_, version)| version.parse().ok());
        let newer = after.unwrap_or(0).saturating_add(1);
        let added = self.shown.range(newer..);
        News {
            is_new: after != Some(self.version),
            shown: self.shown.keys().copied().collect(),
            added: added
                .map(|(number, told)| (*number, Arc::clone(told)))
                .collect(),
        }
    }

    /// The cursor of whoever has all of it, or all up to this number.
    pub(super) fn cursor(&self, up_to: Option<u64>) -> String {
        format!("{}-{}", self.instance, up_to.unwrap_or(self.version))
    }
}
