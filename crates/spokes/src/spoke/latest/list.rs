//! A list of the latest posts as others read it: they hear what is new in it, and what it has left.

use std::{collections::BTreeMap, sync::Arc};

use spokes_log::{name::EntryId, time::Time};
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

    /// Whether it shows this.
    pub(super) fn has(&self, entry: EntryId) -> bool {
        self.shown.values().any(|told| told.source.entry == entry)
    }

    /// What is new behind a cursor; all of it, where that is of another list.
    pub(super) fn news(&self, cursor: &str) -> News {
        let after = cursor.split_once('-');
        let after = after.filter(|(instance, _)| *instance == self.instance);
        let after: Option<u64> = after.and_then(|(_, version)| version.parse().ok());
        let after = after.filter(|after| *after <= self.version);
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

#[cfg(test)]
mod tests {
    use spokes_log::name::{BlogName, Hash, Language, Slug};
    use spokes_rules::front::{Headline, LATEST};

    use super::*;

    fn told(number: u64) -> Arc<Told> {
        let id = Hash::of(&number.to_be_bytes());
        // One blog each, so that none is left out for another of its blog.
        let headline = Headline {
            blog: id,
            name: BlogName::parse("maria").unwrap(),
            blog_title: String::new(),
            article: id,
            place: (1, id),
            date: Time::from_unix(i64::try_from(number).unwrap()),
            title: None,
            slug: Slug::parse("x").unwrap(),
            language: Language::parse("en").unwrap(),
            excerpt: String::new(),
        };
        Arc::new(Told::for_tests(headline))
    }

    fn all(numbers: impl IntoIterator<Item = u64>) -> Vec<Arc<Told>> {
        numbers.into_iter().map(told).collect()
    }

    /// What a follower of a list has, who hears all of it in answers of at most so many posts.
    #[derive(Default)]
    struct Follower {
        cursor: String,
        has: BTreeMap<u64, Arc<Told>>,
    }

    impl Follower {
        fn hears(&mut self, list: &List, most: usize) {
            loop {
                let news = list.news(&self.cursor);
                let cut = news.added.len() > most;
                let added = news.added.into_iter().take(most);
                self.has.extend(added);
                self.has.retain(|number, _| news.shown.contains(number));
                let last = self.has.keys().next_back().copied();
                self.cursor = list.cursor(last.filter(|_| cut));
                if !cut {
                    return;
                }
            }
        }

        fn dates(&self) -> Vec<i64> {
            let mut dates: Vec<i64> = self
                .has
                .values()
                .map(|t| t.headline.date.as_unix())
                .collect();
            dates.sort_unstable();
            dates
        }
    }

    #[test]
    fn whoever_follows_has_what_the_list_has_in_however_many_answers() {
        let now = Time::from_unix(1_000_000);
        for most in [1, 3, LATEST] {
            let mut list = List::new("a");
            let mut follower = Follower::default();
            let steps: [Vec<u64>; 6] = [
                (0..30).collect(),
                (0..30).chain([100]).collect(),
                // One in the middle goes, and an older one comes back.
                (0..25).chain([100]).collect(),
                vec![],
                vec![7],
                (5..9).collect(),
            ];
            for step in steps {
                let mut wanted: Vec<i64> =
                    step.iter().map(|n| i64::try_from(*n).unwrap()).collect();
                wanted.sort_unstable();
                let wanted = wanted.split_off(wanted.len().saturating_sub(LATEST));
                list.set(now, all(step), 0);
                assert!(list.news(&follower.cursor).is_new);
                follower.hears(&list, most);
                assert_eq!(follower.dates(), wanted);
                assert!(!list.news(&follower.cursor).is_new);
            }
        }
    }

    #[test]
    fn a_cursor_of_another_start_brings_all() {
        let now = Time::from_unix(1_000_000);
        let (mut before, mut after) = (List::new("a"), List::new("b"));
        before.set(now, all([1, 2, 3]), 0);
        after.set(now, all([1, 2, 3]), 0);
        for cursor in [
            format!("b-{}", u64::MAX),
            before.cursor(None),
            "b-x".to_owned(),
            "-".to_owned(),
            String::new(),
        ] {
            assert_eq!(after.news(&cursor).added.len(), 3, "{cursor}");
        }
    }
}
