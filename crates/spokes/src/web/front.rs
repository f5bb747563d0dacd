//! The network's own pages: its front, and what a server knows of it.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::web::{
    data,
    page::{Headline, day, feed_links, headline_item, with_query},
    search::search_form,
    shell::{Head, Network, Share, dir, name, network_bottom, network_top, shell},
    words::{Tongue, Voice, autonym, fill, fill_markup},
};

/// The network's front page.
#[derive(Clone, Debug)]
pub struct FrontView {
    /// The network.
    pub network: Network,
    /// Its latest posts, newest first.
    pub latest: Vec<Headline>,
    /// The languages that the list could be narrowed to: primary subtags.
    pub languages: Vec<String>,
    /// The one that it is narrowed to, which need not be among them.
    pub only: Option<String>,
    /// How many blogs it has.
    pub blogs: u64,
    /// How many spokes serve it.
    pub spokes: u64,
    /// How many groups run them.
    pub groups: u64,
    /// How old the list is, roughly: nothing is said of an age of 0.
    pub age_seconds: u64,
    /// Whether the server has not asked all others yet.
    pub is_gathering: bool,
    /// The command with which one starts a blog here.
    pub start_command: String,
    /// The language of its words.
    pub tongue: Tongue,
    /// Whether the address asked for that.
    pub says_tongue: bool,
}

/// What a server knows of the network.
#[derive(Clone, Debug)]
pub struct StatusView {
    /// The network.
    pub network: Network,
    /// Its id.
    pub id: String,
    /// All spokes that ever asked to come in.
    pub spokes: Vec<SpokeLine>,
    /// How many blogs it has.
    pub blogs: u64,
    /// How many records its registry has, as far as this server read it.
    pub records: u64,
    /// How many entries this server holds.
    pub entries: u64,
    /// How many it mended.
    pub mended: u64,
    /// When it started.
    pub started: Timestamp,
    /// How old its list of latest posts is.
    pub age_seconds: u64,
    /// Where it stands among the circles.
    pub circles: CircleLines,
    /// What it noticed about others, newest first.
    pub noticed: Vec<NoticeLine>,
    /// The language of its words.
    pub tongue: Tongue,
    /// Whether the address asked for that.
    pub says_tongue: bool,
}

/// Where a server stands among the circles: labels of spokes.
#[derive(Clone, Debug, Default)]
pub struct CircleLines {
    /// How many levels there are below the inner circle.
    pub levels: u64,
    /// Who is in its circle.
    pub circle: Vec<String>,
    /// Who gathers for it.
    pub aggregators: Vec<String>,
    /// Who is of the inner circle.
    pub inner: Vec<String>,
}

/// Something that a server noticed about another one.
#[derive(Clone, Debug)]
pub struct NoticeLine {
    /// About which.
    pub spoke: String,
    /// What.
    pub what: Noticed,
    /// Of which blog, if of one.
    pub blog: String,
    /// When last.
    pub last: Timestamp,
}

/// What one server can notice about another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Noticed {
    /// It shows what no author signed.
    Invents,
    /// It leaves out a post.
    LeavesOut,
    /// It shows a post that its author has replaced or taken back.
    BringsBack,
}

/// One spoke.
#[derive(Clone, Debug)]
pub struct SpokeLine {
    /// Its label.
    pub label: String,
    /// The group that runs it; may be empty.
    pub operator: String,
    /// What it is.
    pub state: SpokeState,
    /// How many blogs it holds.
    pub blogs: u64,
}

/// How a spoke stands, and since when.
#[derive(Clone, Copy, Debug)]
pub enum SpokeState {
    /// It has asked.
    Applied(Timestamp),
    /// It is in, and well.
    Admitted(Timestamp),
    /// It is in, and those who watch it get no page.
    Silent(Timestamp),
    /// It is in, and is being emptied.
    Leaving(Timestamp),
    /// It is out.
    Evicted(Timestamp),
}

/// `ui=` for links to other pages of the network, where a reader chose the language.
pub(crate) fn chosen(tongue: Tongue, says_tongue: bool) -> &'static str {
    if says_tongue { tongue.tag() } else { "" }
}

/// The tongue that a link to the other one asks for.
pub(crate) fn other(tongue: Tongue) -> &'static str {
    let mut others = Tongue::ALL.into_iter().filter(|other| *other != tongue);
    others.next().unwrap_or_default().tag()
}

/// The network's front page.
#[must_use]
pub fn front(view: &FrontView) -> String {
    let (network, tongue) = (&view.network, view.tongue);
    let voice = Voice::around(tongue.tag());
    let words = voice.words;
    let only = view.only.as_deref().unwrap_or_default();
    let description = fill(words.latest_of, &[("network", network.domain.as_str())]);
    let head = Head {
        title: network.domain.clone(),
        description,
        language: tongue.tag(),
        canonical: Some(format!(
            "{}{}",
            network.origin,
            with_query("/", &[("lang", only)])
        )),
        feeds: Some("/feed".to_owned()),
        share: Some(Share {
            title: network.domain.clone(),
            site: network.domain.clone(),
            ..Share::default()
        }),
        data: Some(data::of_network(network)),
        class: Some("h-feed"),
        // A language in which nobody has written lately is nobody's destination.
        noindex: view.only.is_some() && view.latest.is_empty(),
        ..Head::default()
    };
    let main = html! {
        main #content tabindex="-1" {
            (hero(view, voice))
            section aria-labelledby="latest" {
                h2 #latest { (words.latest) }
                (language_links(view, voice))
                (latest(view, voice))
            }
            (start(view, voice))
            (who(view, voice))
        }
    };
    let switch = with_query("/", &[("lang", only), ("ui", other(tongue))]);
    let bottom = network_bottom(network, tongue, Some(&switch));
    shell(&head, &network_top(network, tongue), &main, &bottom)
}

fn hero(view: &FrontView, voice: Voice) -> Markup {
    let (words, tongue) = (voice.words, view.tongue);
    let blogs = voice.count(|noun| noun.blogs, view.blogs);
    let servers = voice.count(|noun| noun.keeping, view.spokes);
    let kept = [("blogs", blogs.as_str()), ("servers", servers.as_str())];
    let kept_by = if view.spokes > 1 {
        words.kept_by_many
    } else {
        words.kept_by
    };
    html! {
        div.hero {
            h1 { (words.claim) }
            p.lead { (words.lead) }
            p.quiet { (fill(kept_by, &kept)) }
            div.doors {
                (search_form("", &[("ui", chosen(tongue, view.says_tongue))], voice))
                a.button href=(view.network.desk()) { (words.start) }
            }
        }
    }
}

fn language_links(view: &FrontView, voice: Voice) -> Markup {
    let ui = chosen(view.tongue, view.says_tongue);
    let link = |language: &str| with_query("/", &[("lang", language), ("ui", ui)]);
    let unlisted = view
        .only
        .iter()
        .filter(|only| !view.languages.contains(only));
    html! {
        @if view.languages.len() > 1 || view.only.is_some() {
            nav.chips aria-label=(voice.words.languages) {
                a href=(link("")) aria-current=[view.only.is_none().then_some("page")] {
                    (voice.words.all_languages)
                }
                @for language in view.languages.iter().chain(unlisted) {
                    @let current = view.only.as_ref() == Some(language);
                    a href=(link(language)) aria-current=[current.then_some("page")]
                        lang=(language) dir=[dir(language)] { (autonym(language)) }
                }
            }
        }
    }
}

fn latest(view: &FrontView, voice: Voice) -> Markup {
    let words = voice.words;
    let age = voice.count(|noun| noun.seconds, view.age_seconds);
    let ui = chosen(view.tongue, view.says_tongue);
    html! {
        @if !view.latest.is_empty() {
            @if view.only.is_some() { p.quiet { (words.latest_in_language) } }
            ol.posts { @for headline in &view.latest { (headline_item(headline, voice, true)) } }
        } @else if view.is_gathering {
            p { (words.gathering) }
        } @else if view.only.is_some() {
            p { (words.nobody_in_language) }
            p { a href=(with_query("/", &[("ui", ui)])) { (words.back_to_all) } }
        } @else {
            p { (words.nobody_yet) }
        }
        p.quiet {
            @if view.age_seconds > 0 { (fill(words.as_of, &[("seconds", age.as_str())])) " " }
            (feed_links("/feed", voice))
        }
    }
}

fn start(view: &FrontView, voice: Voice) -> Markup {
    let words = voice.words;
    let program = html! { code { "spokes" } };
    let fingerprint = html! { code { "FINGERPRINT" } };
    let list = html! { code dir="ltr" { "gpg --list-secret-keys" } };
    html! {
        section.start aria-labelledby="start" {
            h2 #start { (words.start) }
            p { (words.start_why) }
            p { a.button href=(view.network.desk()) { (words.start) } }
            p { (fill_markup(words.start_command, &[("program", program)])) }
            pre tabindex="0" dir="ltr" { code { (view.start_command) } }
            p { (fill_markup(words.start_key, &[("fingerprint", fingerprint), ("list", list)])) }
        }
    }
}

fn who(view: &FrontView, voice: Voice) -> Markup {
    let (words, network) = (voice.words, &view.network);
    let servers = voice.count(|noun| noun.servers, view.spokes);
    let groups = voice.count(|noun| noun.groups, view.groups);
    let places = [
        ("network", html! { bdi { (network.domain) } }),
        ("servers", html! { (servers) }),
        ("groups", html! { (groups) }),
        ("spoke", html! { bdi { (network.spoke) } }),
        ("operator", html! { bdi { (network.operator) } }),
    ];
    let here = if network.operator.is_empty() {
        words.who_here
    } else {
        words.who_here_operator
    };
    html! {
        section aria-labelledby="who" {
            h2 #who { (words.who) }
            p { (fill_markup(words.who_servers, &places)) " " (fill_markup(here, &places)) }
            p { a href=(with_query("/status", &[("ui", chosen(view.tongue, view.says_tongue))])) { (words.status_more) } }
        }
    }
}

/// What a server knows of the network.
#[must_use]
pub fn status(view: &StatusView) -> String {
    let (network, tongue) = (&view.network, view.tongue);
    let voice = Voice::around(tongue.tag());
    let words = voice.words;
    let title = fill(words.status_title, &[("network", network.domain.as_str())]);
    let heading = fill_markup(words.status_title, &[("network", name(&network.domain))]);
    let head = Head {
        title,
        language: tongue.tag(),
        canonical: Some(format!("{}/status", network.origin)),
        ..Head::default()
    };
    let spoke = html! { bdi { (network.spoke) } };
    let facts = html! { a href="/api/v1/status" { code { "/api/v1/status" } } };
    let main = html! {
        main #content tabindex="-1" {
            h1 { (heading) }
            p { (fill_markup(words.status_lead, &[("spoke", spoke)])) }
            (spoke_table(view, voice))
            (fact_list(view, voice))
            (circle_list(&view.circles, voice))
            (notice_list(view, voice))
            p.quiet { (fill_markup(words.programs, &[("facts", facts)])) }
        }
    };
    let switch = with_query("/status", &[("ui", other(tongue))]);
    let bottom = network_bottom(network, tongue, Some(&switch));
    shell(&head, &network_top(network, tongue), &main, &bottom)
}

fn spoke_table(view: &StatusView, voice: Voice) -> Markup {
    let words = voice.words;
    let state = |state: SpokeState| {
        let (text, since) = match state {
            SpokeState::Applied(since) => (words.state_applied, since),
            SpokeState::Admitted(since) => (words.state_admitted, since),
            SpokeState::Silent(since) => (words.state_silent, since),
            SpokeState::Leaving(since) => (words.state_leaving, since),
            SpokeState::Evicted(since) => (words.state_evicted, since),
        };
        fill_markup(text, &[("day", day(since, voice, "since"))])
    };
    html! {
        div.wide tabindex="0" role="region" aria-label=(words.status) {
            table {
                thead {
                    tr {
                        th scope="col" { (words.about_server) }
                        th scope="col" { (words.about_operator) }
                        th scope="col" { (words.state) }
                        th.number scope="col" { (words.blogs_held) }
                    }
                }
                tbody {
                    @for spoke in &view.spokes {
                        tr {
                            th scope="row" {
                                bdi { (spoke.label) }
                                @if spoke.label == view.network.spoke { " " span.quiet { (words.this_server) } }
                            }
                            td { bdi { (spoke.operator) } }
                            td { (state(spoke.state)) }
                            td.number { (voice.tongue.number(spoke.blogs)) }
                        }
                    }
                }
            }
        }
    }
}

fn fact_list(view: &StatusView, voice: Voice) -> Markup {
    let (words, number) = (voice.words, |n: u64| voice.tongue.number(n));
    let is_in = |spoke: &&SpokeLine| {
        !matches!(spoke.state, SpokeState::Applied(_) | SpokeState::Evicted(_))
    };
    let admitted = view.spokes.iter().filter(is_in).count() as u64;
    let age = voice.count(|noun| noun.seconds, view.age_seconds);
    html! {
        section aria-labelledby="network" {
            h2 #network { (words.network_facts) }
            dl.facts-list {
                dt { (words.fact_blogs) } dd { (number(view.blogs)) }
                dt { (words.fact_servers) } dd { (number(admitted)) }
                dt { (words.fact_records) } dd { (number(view.records)) }
                dt { (words.fact_id) } dd { code.long { (view.id) } }
            }
        }
        section aria-labelledby="here" {
            h2 #here { (words.this_server) }
            dl.facts-list {
                dt { (words.fact_entries) } dd { (number(view.entries)) }
                dt { (words.fact_mended) } dd { (number(view.mended)) }
                dt { (words.fact_age) } dd { (age) }
                dt { (words.fact_started) } dd { (day(view.started, voice, "since")) }
            }
        }
    }
}

fn circle_list(circles: &CircleLines, voice: Voice) -> Markup {
    let words = voice.words;
    let labels = |labels: &[String]| {
        html! {
            @for (at, label) in labels.iter().enumerate() {
                @if at > 0 { (words.list_comma) }
                bdi { (label) }
            }
        }
    };
    html! {
        section aria-labelledby="circles" {
            h2 #circles { (words.circle_facts) }
            p.quiet { (words.circle_how) }
            dl.facts-list {
                dt { (words.fact_levels) } dd { (voice.tongue.number(circles.levels)) }
                @for (term, of) in [
                    (words.fact_circle, &circles.circle),
                    (words.fact_aggregators, &circles.aggregators),
                    (words.fact_inner, &circles.inner),
                ] {
                    @if !of.is_empty() { dt { (term) } dd { (labels(of)) } }
                }
            }
        }
    }
}

fn notice_list(view: &StatusView, voice: Voice) -> Markup {
    let words = voice.words;
    let sentence = |notice: &NoticeLine| {
        let text = match notice.what {
            Noticed::Invents => words.notice_invents,
            Noticed::LeavesOut => words.notice_leaves_out,
            Noticed::BringsBack => words.notice_brings_back,
        };
        let places = [
            ("spoke", html! { bdi { (notice.spoke) } }),
            ("blog", html! { bdi { (notice.blog) } }),
        ];
        fill_markup(text, &places)
    };
    let last = |notice: &NoticeLine| {
        let day = day(notice.last, voice, "seen");
        fill_markup(words.notice_last, &[("day", day)])
    };
    html! {
        section aria-labelledby="noticed" {
            h2 #noticed { (words.noticed) }
            @if view.noticed.is_empty() {
                p { (words.noticed_nothing) }
            } @else {
                ul { @for notice in &view.noticed {
                    li { (sentence(notice)) " " span.quiet { (last(notice)) } }
                } }
            }
        }
    }
}
