//! The front page: the latest posts of the whole network.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use spokes_log::{
    name::{BlogId, BlogName, EntryId, Language, Slug},
    time::Time,
};

/// Posts that the front page shows (the essay's number).
pub const LATEST: usize = 20;
/// Posts of one blog among them, so that no importer fills the page.
pub const LATEST_PER_BLOG_MAX: usize = 5;

/// What the front page needs of a post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headline {
    /// The blog.
    pub blog: BlogId,
    /// Its name.
    pub name: BlogName,
    /// Its title.
    pub blog_title: String,
    /// The article, by its first version.
    pub article: EntryId,
    /// Where its current version stands in the fold of the blog: articles of one second are in this
    /// order wherever they are listed.
    pub place: (u64, EntryId),
    /// The date shown.
    pub date: Time,
    /// Its title.
    pub title: Option<String>,
    /// Where it stands.
    pub slug: Slug,
    /// Its language.
    pub language: Language,
    /// How it begins.
    pub excerpt: String,
}

/// The latest of these posts, newest first, at most a few of each blog.
///
/// A post dated ahead of `now` waits until its date. One article counts once, in its last version.
/// `headline` says what the front page needs of an item.
pub fn latest<T>(
    now: Time,
    items: impl IntoIterator<Item = T>,
    headline: impl Fn(&T) -> &Headline,
) -> Vec<T> {
    // By blog as well: whoever speaks for one blog must not hide the article of another.
    let mut articles: BTreeMap<_, T> = BTreeMap::new();
    for item in items {
        let h = headline(&item);
        let (article, place) = ((h.blog, h.article), h.place);
        let known = articles.get(&article);
        // Whoever has missed an edit, or hides it, does not bring back what it replaced.
        if known.is_none_or(|known| headline(known).place < place) {
            articles.insert(article, item);
        }
    }
    let is_due = |item: &T| headline(item).date <= now;
    let mut all: Vec<T> = articles.into_values().filter(is_due).collect();
    all.sort_by_key(|item| {
        let h = headline(item);
        core::cmp::Reverse((h.date, h.place, h.article, h.blog))
    });
    let mut shown: Vec<T> = Vec::new();
    for item in all {
        let blog = headline(&item).blog;
        let of_blog = shown.iter().filter(|one| headline(one).blog == blog);
        if of_blog.count() < LATEST_PER_BLOG_MAX {
            shown.push(item);
        }
        if shown.len() == LATEST {
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use spokes_log::name::Hash;

    use super::*;

    fn headline(blog: u8, number: u8, date: i64) -> Headline {
        Headline {
            blog: Hash::of(&[blog]),
            name: BlogName::parse(&format!("blog{blog}")).expect("a name"),
            blog_title: String::new(),
            article: Hash::of(&[blog, number]),
            place: (u64::from(number), Hash::of(&[blog, number])),
            date: Time::from_unix(date),
            title: None,
            slug: Slug::parse("x").expect("a slug"),
            language: Language::parse("en").expect("a language"),
            excerpt: String::new(),
        }
    }

    #[test]
    fn newest_first_few_per_blog_none_from_the_future() {
        let now = Time::from_unix(1_000);
        let all = (0..10).flat_map(|b| (0..10).map(move |n| headline(b, n, i64::from(b * 10 + n))));
        let shown = latest(
            now,
            all.chain([headline(99, 0, 1_001), headline(9, 9, 99)]),
            |h| h,
        );
        assert_eq!(shown.len(), LATEST);
        assert_eq!(shown[0], headline(9, 9, 99));
        assert!(shown.is_sorted_by_key(|h| core::cmp::Reverse(h.date)));
        let of_nine = shown.iter().filter(|h| h.blog == Hash::of(&[9])).count();
        assert_eq!(of_nine, LATEST_PER_BLOG_MAX);
    }

    #[test]
    fn one_article_counts_once_and_nobody_hides_that_of_another() {
        let now = Time::from_unix(1_000);
        let hers = headline(1, 1, 500);
        let theirs = Headline {
            article: hers.article,
            ..headline(2, 1, 500)
        };
        let shown = latest(
            now,
            [hers.clone(), theirs.clone(), hers.clone(), theirs],
            |h| h,
        );
        assert_eq!(shown.len(), 2);
        assert!(shown.contains(&hers));
    }

    #[test]
    fn what_an_edit_replaced_does_not_come_back_whatever_its_date() {
        let old = headline(1, 1, 500);
        let edited = |date| Headline {
            place: (2, Hash::of(b"edit")),
            date: Time::from_unix(date),
            ..old.clone()
        };
        for (date, shown) in [(400, vec![edited(400)]), (2_000, vec![])] {
            let all = [old.clone(), edited(date), old.clone()];
            assert_eq!(latest(Time::from_unix(1_000), all, |h| h), shown, "{date}");
        }
    }

    #[test]
    fn posts_of_one_second_stand_as_their_blog_has_them() {
        let now = Time::from_unix(1_000);
        let posts = (0..5).map(|number| headline(1, number, 500));
        let shown = latest(now, posts, |h| h);
        assert!(shown.is_sorted_by_key(|h| core::cmp::Reverse(h.place.0)));
    }
}
