//! Random trees of entries: in whatever order they come, they add up to the same (SPEC entry 7).

mod common;

use std::collections::BTreeMap;

use common::{Author, article, draft, same_key};
use proptest::{collection::vec, prelude::*, sample::Index};
use spokes_log::{
    blog::{Blog, Clash, Found, Post},
    chain::Chain,
    draft::{Draft, Grant, Medium, Role, Says},
    entry::Entry,
    fault::Fault,
    name::{EntryId, Hash, MediaType, Slug},
    seal::SealedEntry,
    secret::SecretKey,
};

const SLUGS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What somebody tries to say behind some entry.
#[derive(Clone, Debug)]
struct Attempt {
    by: usize,
    behind: Index,
    says: What,
    instead: Option<Index>,
}

#[derive(Clone, Debug)]
enum What {
    Article {
        slug: usize,
        alias: usize,
        replaces: Option<Index>,
        page: bool,
    },
    Settings(bool),
    Erase(Vec<Index>),
    Bring(usize, Role),
    End(usize),
}

fn what() -> impl Strategy<Value = What> {
    let role = prop_oneof![Just(Role::Own), Just(Role::Write)];
    let page = prop::bool::weighted(0.2);
    let article = (
        0..5_usize,
        0..9_usize,
        prop::option::of(any::<Index>()),
        page,
    )
        .prop_map(|(slug, alias, replaces, page)| What::Article {
            slug,
            alias,
            replaces,
            page,
        });
    prop_oneof![
        8 => article,
        1 => any::<bool>().prop_map(What::Settings),
        3 => vec(any::<Index>(), 1..3).prop_map(What::Erase),
        1 => (1..4_usize, role).prop_map(|(whose, role)| What::Bring(whose, role)),
        1 => (1..4_usize).prop_map(What::End),
    ]
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let by = prop_oneof![4 => Just(0_usize), 1 => Just(1), 3 => Just(2), 1 => Just(3)];
    let instead = prop::option::weighted(0.2, any::<Index>());
    // Mostly behind one of the last entries, so that branches are long.
    let one =
        (by, any::<Index>(), what(), instead).prop_map(|(by, behind, says, instead)| Attempt {
            by,
            behind,
            says,
            instead,
        });
    vec(one, 4..28)
}

/// A blog that four keys write: two own ones, one that writes, and one that is brought some time.
struct Tree {
    keys: Vec<SecretKey>,
    chain: Chain,
    entries: Vec<SealedEntry>,
}

impl Tree {
    fn grow(attempts: &[Attempt]) -> Self {
        let mut maria = Author::with(same_key("maria"));
        let others: Vec<SecretKey> = ["rosa", "wanda", "late"].map(same_key).into();
        maria.add_key(&others[0], Role::Own).expect("valid");
        maria.add_key(&others[1], Role::Write).expect("valid");
        let mut keys = vec![maria.key];
        keys.extend(others);
        let mut tree = Self {
            keys,
            chain: maria.chain,
            entries: maria.entries,
        };
        for (number, attempt) in attempts.iter().enumerate() {
            tree.attempt(u8::try_from(number).expect("few"), attempt);
        }
        tree
    }

    fn pick(&self, index: &Index) -> EntryId {
        index.get(&self.entries).entry().id()
    }

    fn draft(&self, salt: u8, attempt: &Attempt) -> Draft {
        let (mut body, grant) = (String::new(), |whose: usize, role| Grant {
            fingerprint: self.keys[whose].certificate().fingerprint().clone(),
            role,
        });
        let says = match &attempt.says {
            What::Article {
                slug,
                alias,
                replaces,
                page,
            } => {
                let mut said = article(SLUGS[*slug]);
                said.aliases = SLUGS
                    .get(*alias)
                    .filter(|alias| **alias != SLUGS[*slug])
                    .map(|alias| Slug::parse(alias).expect("a slug"))
                    .into_iter()
                    .collect();
                said.replaces = replaces.as_ref().map(|index| self.pick(index));
                said.media = vec![Medium {
                    hash: Hash::of(&[salt]),
                    bytes: 1,
                    kind: MediaType::parse("a/b").expect("a type"),
                    alt: None,
                }];
                if *page {
                    Says::Page(said)
                } else {
                    Says::Post(said)
                }
            }
            What::Settings(title) => Says::Settings {
                title: title.then(|| format!("Title {salt}")),
                language: None,
                description: Some(format!("About {salt}")),
            },
            What::Erase(named) => {
                let mut erases: Vec<EntryId> = named.iter().map(|n| self.pick(n)).collect();
                erases.dedup();
                Says::Erase { erases }
            }
            What::Bring(whose, role) => {
                body = self.keys[*whose].certificate().armored();
                Says::Keys {
                    certificates: vec![grant(*whose, *role)],
                    ends: vec![],
                    recovery: None,
                }
            }
            What::End(whose) => Says::Keys {
                certificates: vec![],
                ends: vec![grant(*whose, Role::Own).fingerprint],
                recovery: None,
            },
        };
        let mut draft = draft(salt, says, &body);
        draft.instead_of = attempt
            .instead
            .iter()
            .map(|index| self.pick(index))
            .collect();
        draft
    }

    /// What is not valid there does not come about.
    fn attempt(&mut self, salt: u8, attempt: &Attempt) {
        let count = self.entries.len();
        let from = count.saturating_sub(6).max(2);
        let parent = self.entries[from + attempt.behind.index(count - from)]
            .entry()
            .clone();
        let draft = self.draft(salt, attempt);
        let author = self.keys[attempt.by].certificate().fingerprint().clone();
        let signed = parent.skeleton().signed + 1;
        let behind = Some((parent.skeleton(), parent.id()));
        let Ok(entry) = Entry::new(&draft, behind, vec![author], signed) else {
            return;
        };
        let signature = self.keys[attempt.by]
            .sign(entry.text(), signed)
            .expect("signed");
        let verified = self
            .chain
            .place(&entry)
            .and_then(|p| p.seal(entry, &[signature]));
        let Ok(verified) = verified else { return };
        let appended = self.chain.append(&verified).expect("its parent is here");
        if appended.new {
            self.entries.push(verified.sealed().clone());
        }
    }

    /// The entries in another order with every parent before its children.
    fn reordered(&self, priorities: &[Index]) -> Vec<SealedEntry> {
        let mut left = self.entries.clone();
        let mut order: Vec<SealedEntry> = Vec::new();
        for step in 0..left.len() {
            let ready: Vec<usize> = (0..left.len())
                .filter(|n| match left[*n].entry().skeleton().previous {
                    None => true,
                    Some(parent) => order.iter().any(|e| e.entry().id() == parent),
                })
                .collect();
            let chosen = *priorities[step % priorities.len()].get(&ready);
            order.push(left.remove(chosen));
        }
        order
    }

    fn sorted(&self) -> Vec<SealedEntry> {
        let mut sorted = self.entries.clone();
        sorted.sort_by_key(|e| (e.entry().skeleton().sequence, e.entry().id()));
        sorted
    }
}

/// Everything that a reader can ask a chain.
#[derive(PartialEq, Debug)]
struct ChainView {
    heads: Vec<(u64, EntryId)>,
    unvouched: Vec<EntryId>,
    entries: Vec<(EntryId, usize, bool, Option<EntryId>)>,
}

fn view_chain(chain: &Chain) -> ChainView {
    let view = |(id, link): (EntryId, &spokes_log::chain::Link)| {
        (id, link.children, link.owned, chain.eraser(id))
    };
    ChainView {
        heads: chain.heads(),
        unvouched: chain.unvouched().iter().copied().collect(),
        entries: chain.links().map(view).collect(),
    }
}

/// Everything that a reader can ask a blog.
#[derive(PartialEq, Debug)]
struct BlogView {
    title: String,
    description: Option<String>,
    posts: Vec<Post>,
    pages: Vec<Post>,
    clashes: Vec<Clash>,
    hidden: Vec<EntryId>,
    found: Vec<Option<(bool, EntryId)>>,
    article_of: Vec<Option<EntryId>>,
    media: Vec<Hash>,
}

fn view(blog: &Blog, chain: &Chain) -> BlogView {
    let ids: Vec<EntryId> = chain.links().map(|(id, _)| id).collect();
    let find = |slug: &&str| match blog.find(&Slug::parse(slug).expect("a slug"))? {
        Found::Post(post) => Some((true, post.first)),
        Found::Moved(post) => Some((false, post.first)),
    };
    BlogView {
        title: blog.title().to_string(),
        description: blog.description().map(str::to_string),
        posts: blog.posts().into_iter().cloned().collect(),
        pages: blog.pages().into_iter().cloned().collect(),
        clashes: blog.clashes(),
        hidden: ids
            .iter()
            .copied()
            .filter(|id| blog.is_hidden(*id))
            .collect(),
        found: SLUGS.iter().map(find).collect(),
        article_of: ids
            .iter()
            .map(|id| blog.article_of(*id).map(|p| p.first))
            .collect(),
        media: blog.media().into_iter().collect(),
    }
}

fn fold(chain: &Chain, entries: &[SealedEntry]) -> Blog {
    let mut blog = Blog::default();
    entries
        .iter()
        .for_each(|sealed| blog.add(chain, sealed.entry()));
    blog
}

/// Takes entries one by one, folding as they come.
fn take(entries: &[SealedEntry]) -> (Chain, Blog) {
    let mut chain = Chain::new(entries[0].entry().blog());
    let mut blog = Blog::default();
    for sealed in entries {
        let (verified, appended) = chain.accept(sealed.clone()).expect("valid");
        blog.add(&chain, verified.entry());
        blog.erase(&chain, &appended.erased);
    }
    (chain, blog)
}

/// SPEC entry 7.3, read off the articles themselves: of those that want a slug, the latest has it.
fn check_slugs(blog: &Blog) {
    let mut wanted: BTreeMap<&Slug, Vec<&Post>> = BTreeMap::new();
    for post in blog.posts().into_iter().chain(blog.pages()) {
        wanted.entry(&post.article.slug).or_default().push(post);
    }
    let mut losers = 0;
    for (slug, posts) in wanted {
        let latest = posts.iter().max_by_key(|post| post.order()).expect("one");
        assert_eq!(blog.find(slug), Some(Found::Post(latest)), "{slug}");
        for post in &posts {
            assert_eq!(blog.has_slug(post), post.first == latest.first);
            let clash = |c: &Clash| c.winner == latest.first && c.loser == post.first;
            let clashes = blog
                .clashes()
                .iter()
                .filter(|c| c.slug == *slug && clash(c))
                .count();
            assert_eq!(clashes, usize::from(post.first != latest.first));
        }
        losers += posts.len() - 1;
    }
    assert_eq!(blog.clashes().len(), losers);
}

/// Judges a run in the way of a node that follows a blog.
fn by_runs(chain: &mut Chain, run: &[SealedEntry]) -> (usize, Option<Fault>) {
    let mut done = 0;
    while done < run.len() {
        let (places, fault) = chain.place_run(&run[done..]);
        assert!(
            !places.is_empty() || fault.is_some(),
            "a run goes on or says why not"
        );
        for place in &places {
            let appended = place
                .verify(run[done].clone())
                .and_then(|verified| chain.append(&verified));
            if let Err(fault) = appended {
                return (done, Some(fault));
            }
            done += 1;
        }
        if fault.is_some() {
            return (done, fault);
        }
    }
    (done, None)
}

fn one_by_one(chain: &mut Chain, run: &[SealedEntry]) -> (usize, Option<Fault>) {
    for (done, sealed) in run.iter().enumerate() {
        if let Err(fault) = chain.accept(sealed.clone()) {
            return (done, Some(fault));
        }
    }
    (run.len(), None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_order_adds_up_to_the_same(
        attempts in attempts(),
        orders in vec(vec(any::<Index>(), 40), 3),
    ) {
        let tree = Tree::grow(&attempts);
        let (chain, blog) = take(&tree.sorted());
        let (chain_view, blog_view) = (view_chain(&chain), view(&blog, &chain));
        check_slugs(&blog);
        prop_assert_eq!(&view_chain(&tree.chain), &chain_view);
        for order in &orders {
            let reordered = tree.reordered(order);
            let (chain, told) = take(&reordered);
            prop_assert_eq!(&view_chain(&chain), &chain_view);
            prop_assert_eq!(&view(&told, &chain), &blog_view, "folded as they came");
            let mut backwards = reordered;
            backwards.reverse();
            let folded = fold(&chain, &backwards);
            prop_assert_eq!(&view(&folded, &chain), &blog_view, "folded backwards");
        }
    }

    #[test]
    fn erased_words_are_not_missed(
        attempts in attempts(),
        gone in vec(any::<bool>(), 40),
        order in vec(any::<Index>(), 40),
    ) {
        let tree = Tree::grow(&attempts);
        let (whole, blog) = take(&tree.sorted());
        let entries: Vec<SealedEntry> = tree
            .reordered(&order)
            .into_iter()
            .zip(gone.iter().cycle())
            .map(|(sealed, gone)| {
                let erased = whole.eraser(sealed.entry().id()).is_some();
                if erased && *gone { sealed.erased() } else { sealed }
            })
            .collect();
        let (chain, told) = take(&entries);
        prop_assert!(chain.unvouched().is_empty());
        prop_assert_eq!(view_chain(&chain), view_chain(&whole));
        prop_assert_eq!(view(&told, &chain), view(&blog, &whole));
    }

    #[test]
    fn a_run_is_judged_as_one_by_one(
        attempts in attempts(),
        order in vec(any::<Index>(), 40),
        swaps in vec((any::<Index>(), any::<Index>()), 0..3),
        spoiled in prop::option::of((any::<Index>(), any::<Index>())),
    ) {
        let tree = Tree::grow(&attempts);
        let mut run = tree.reordered(&order);
        for (a, b) in &swaps {
            let count = run.len();
            run.swap(a.index(count), b.index(count));
        }
        if let Some((at, from)) = spoiled {
            // The words of one entry under the signature of another.
            let (at, from) = (at.index(run.len()), from.index(run.len()));
            let packets: Vec<_> = run[from].signatures().iter().map(|s| s.packet()).collect();
            let text = run[at].entry().text().as_bytes().to_vec();
            run[at] = SealedEntry::parse(&text, &packets).expect("sound in form");
        }
        let blog = tree.entries[0].entry().blog();
        let (mut a, mut b) = (Chain::new(blog), Chain::new(blog));
        prop_assert_eq!(by_runs(&mut a, &run), one_by_one(&mut b, &run));
        prop_assert_eq!(view_chain(&a), view_chain(&b));
    }
}

#[test]
fn a_tree_has_branches_clashes_and_erasures() {
    // What the properties above are about does happen: counted over one long random tree.
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut heads, mut clashes, mut erased, mut hidden, mut rings) = (0, 0, 0, 0, 0);
    for _ in 0..24 {
        let attempts = attempts().new_tree(&mut runner).expect("some").current();
        let tree = Tree::grow(&attempts);
        let (chain, blog) = take(&tree.entries);
        heads += chain.heads().len() - 1;
        clashes += blog.clashes().len();
        for (id, link) in chain.links() {
            erased += usize::from(chain.eraser(id).is_some());
            hidden += usize::from(blog.is_hidden(id));
            rings += usize::from(link.kind == spokes_log::draft::Kind::Keys);
        }
    }
    let seen = [heads, clashes, erased, hidden, rings];
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}
