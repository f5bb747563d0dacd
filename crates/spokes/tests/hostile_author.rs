//! An author with a good key writes whatever might run in a reader's browser. In a real browser, with
//! scripts allowed, nothing runs, nothing is blocked by the policy because nothing is there, and no
//! other host is asked.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the story")]

mod common;

use common::{
    author::{Author, article, draft, put, random_key},
    browser::{Browser, Options},
    demo::Demo,
    vectors::{bodies, fields},
};
use serde_json::{Value, json};
use spokes_log::{
    draft::{Article, Medium, Says},
    name::{Hash, MediaType, Slug, Tag, Tags},
};

/// Vectors that share a post. Those that swallow what follows them get one of their own.
const BODIES_PER_POST: usize = 6;

/// Whatever runs says so here. It is there before the page is.
const WATCH: &str = "window.ran = []; \
    for (const name of ['alert', 'confirm', 'prompt', 'print', 'open']) \
        window[name] = (...words) => { window.ran.push(name + '(' + words + ')') };";

/// Touches everything as a reader might, and tells what should not be there.
const LOOK: &str = r#"
const found = [...window.ran];
// Of other kinds the browser makes a page of its own.
if (document.contentType !== 'text/html') return found;
const kinds = ['mouseover', 'mouseenter', 'click', 'focus', 'blur', 'toggle', 'error', 'load', 'scroll',
    'pointerover', 'keydown', 'animationstart', 'beforetoggle', 'input', 'submit', 'copy', 'wheel'];
const safe = ['http:', 'https:', 'mailto:'];
for (const element of document.querySelectorAll('*')) {
    const name = element.localName;
    for (const attribute of element.attributes) {
        if (/^on|^style$|^srcdoc$|^formaction$|^ping$|^srcset$|^background$|^xlink/i.test(attribute.name))
            found.push(name + ' has ' + attribute.name);
        if (['src', 'data', 'poster', 'action'].includes(attribute.name)
            && new URL(attribute.value, document.baseURI).origin !== location.origin)
            found.push(name + ' asks ' + attribute.value);
    }
    if (name === 'script' && element.type !== 'application/ld+json') found.push('a script');
    if (name === 'script') try { JSON.parse(element.textContent) } catch (e) { found.push('data: ' + e) }
    if (['a', 'area'].includes(name) && element.hasAttribute('href') && !safe.includes(element.protocol))
        found.push('a link to ' + element.protocol);
    if (['iframe', 'frame', 'object', 'embed', 'svg', 'math', 'base', 'style', 'template', 'noscript', 'portal']
        .includes(name) || element.namespaceURI !== 'http://www.w3.org/1999/xhtml')
        found.push('a ' + name);
    if (name === 'meta' && element.httpEquiv) found.push('meta ' + element.httpEquiv);
    if (name === 'link' && ['stylesheet', 'icon'].some(rel => element.relList.contains(rel))
        && new URL(element.href).origin !== location.origin) found.push('link ' + element.href);
    if (element.closest('article, .article') && ['input', 'button', 'select', 'textarea', 'form'].includes(name))
        found.push('a ' + name + ' in an article');
}
const ids = [...document.querySelectorAll('article [id]')].map(element => element.id);
for (const id of ids) if (!id.startsWith('body-')) found.push('the id ' + id);
for (const element of document.querySelectorAll('body *'))
    for (const kind of kinds) element.dispatchEvent(new Event(kind, { bubbles: false }));
return [...new Set([...found, ...window.ran])];
"#;

/// A picture that would run, ask and lead away if it were part of a page.
const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
    width=\"40\" height=\"30\" onload=\"alert(1)\"><script>alert(1)</script>\
    <image href=\"http://elsewhere.example/x.png\" width=\"9\" height=\"9\"/>\
    <style>@import url(http://elsewhere.example/x.css);</style>\
    <foreignObject><iframe xmlns=\"http://www.w3.org/1999/xhtml\" srcdoc=\"&lt;script&gt;alert(1)&lt;/script&gt;\"/>\
    </foreignObject><a xlink:href=\"javascript:alert(1)\"><rect width=\"40\" height=\"30\"/></a></svg>";

/// A page that calls itself a picture's neighbor.
const HTML: &str = "<!doctype html><script>alert(1)</script><img src=x onerror=alert(1)>";

struct Walk<'a> {
    browser: Browser,
    demo: &'a Demo,
    wrong: Vec<String>,
}

impl Walk<'_> {
    fn address(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.demo.port)
    }

    /// Opens an address and keeps what is wrong with it.
    fn open(&mut self, host: &str, path: &str) {
        let address = self.address(host, path);
        let before = self.browser.url();
        // What cannot be shown is downloaded, which the browser calls an error.
        let shown = self.browser.try_go(&address);
        let alert = self.browser.alert();
        if let Some(said) = &alert {
            self.wrong.push(format!("{address}: an alert: {said}"));
            self.browser.dismiss_alert();
        }
        // Nor is there a page of what became a download.
        let here = self.browser.url();
        let shown = shown && here != before;
        if shown {
            let found = self.browser.run(LOOK);
            let found: Vec<&str> = found
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let found = found.iter().map(|found| format!("{address}: {found}"));
            self.wrong.extend(found);
        }
        if shown && !here.contains(&format!(":{}/", self.demo.port)) {
            self.wrong.push(format!("{address} led to {here}"));
        }
        self.listen(&address);
    }

    /// What the browser noted meanwhile.
    fn listen(&mut self, address: &str) {
        for line in self.browser.log() {
            // A picture that nobody has is no attack.
            let missing = line.contains("status of 404");
            // The browser's own view of an XML file is under the file's policy.
            let own_view = address.ends_with(".xml") && line.contains("Applying inline style");
            if !missing && !own_view {
                self.wrong.push(format!("{address}: the log says {line}"));
            }
        }
        let port = format!(":{}/", self.demo.port);
        for url in self.browser.requests() {
            if url.starts_with("http") && !url.contains(&port) {
                self.wrong.push(format!("{address}: asked for {url}"));
            }
        }
    }

    fn assert_harmless(&self, what: &str) {
        let all = self.wrong.join("\n");
        assert!(
            self.wrong.is_empty(),
            "{what}, {} times:\n{all}",
            self.wrong.len()
        );
    }
}

/// A post whose every field is hostile.
fn post(number: usize, tags: &[&str], media: Vec<Medium>) -> Article {
    let fields = fields();
    let mut post = article(&format!("alert-1-{number}"));
    // Signs that turn the direction of words are no part of a header (SPEC entry 1).
    let title = fields[number % fields.len()].replace(['\u{202e}', '\u{202c}'], "");
    post.title = Some(title);
    let tags = tags.iter().filter(|tag| !tag.contains('\u{202e}'));
    let tags = tags.filter_map(|tag| Tag::parse(tag).ok());
    post.tags = Tags(tags.collect());
    post.media = media;
    post
}

/// Bodies in groups; what does not end by itself stands alone.
fn groups() -> Vec<String> {
    let (alone, together): (Vec<&str>, Vec<&str>) = bodies().into_iter().partition(|body| {
        [
            "<!--",
            "<textarea",
            "<title",
            "<xmp",
            "<plaintext",
            "<noscript",
            "<!",
            "<?",
            "<style",
        ]
        .iter()
        .any(|open| body.contains(open))
    });
    let mut groups: Vec<String> = together
        .chunks(BODIES_PER_POST)
        .map(|chunk| chunk.join("\n\n"))
        .collect();
    groups.extend(alone.into_iter().map(str::to_owned));
    groups.push(bodies().join("\n\n"));
    // No canonical text holds a byte order mark.
    groups
        .iter()
        .map(|group| group.replace('\u{feff}', "").trim_end().to_owned())
        .collect()
}

fn upload(demo: &Demo, mallory: &mut Author, number: usize) -> Vec<String> {
    let files = [(SVG, "image/svg+xml"), (HTML, "text/html")];
    let medium = |(text, kind): &(&str, &str)| Medium {
        hash: Hash::of(text.as_bytes()),
        bytes: text.len() as u64,
        kind: MediaType::parse(kind).unwrap(),
        alt: Some("\"><script>alert(1)</script>".to_owned()),
    };
    let media: Vec<Medium> = files.iter().map(medium).collect();
    let paths: Vec<String> = media
        .iter()
        .map(|medium| format!("/media/{}", medium.hash.path()))
        .collect();
    let body = paths.iter().map(|path| {
        format!("![\" onload=\"alert(1)]({path} '\"><script>')\n\n<img src={path} alt='\"onerror=alert(1)'>\n\n")
    });
    let draft = draft(
        Says::Post(post(number, &[], media)),
        body.collect::<String>().trim_end(),
    );
    let signed = mallory.sign(&draft);
    mallory.send(demo.address("a"), &signed).unwrap();
    for (text, _) in files {
        put(
            demo.address("a"),
            "mallory",
            Hash::of(text.as_bytes()),
            text.as_bytes(),
        );
    }
    mallory.publish(demo, &["a".to_owned()], draft);
    paths
}

/// All that an author can say, said by one who means harm; the paths that show it.
fn publish(demo: &Demo) -> Vec<String> {
    let mut mallory = Author::new("mallory");
    mallory.key = random_key("\"><script>alert(1)</script> <x@example.org>");
    let created = mallory.create(demo, "a");
    assert_eq!(created.status, 201, "{}", created.text());
    let mut paths = Vec::new();
    let fields = fields();
    let mut tags = fields.chunks(5).cycle();
    for (number, body) in groups().iter().enumerate() {
        let tags = tags.next().unwrap();
        let post = post(number, tags, vec![]);
        paths.push(format!("/{}", post.slug));
        mallory.say(demo, "a", &draft(Says::Post(post), body));
    }
    // As far as slugs go.
    let mut odd = post(7, &[], vec![]);
    odd.slug = Slug::parse("javascript-alert1/ａｌｅｒｔ.html/constructor").unwrap_or(odd.slug);
    paths.push(format!("/{}", odd.slug));
    mallory.say(demo, "a", &draft(Says::Post(odd), "{{7*7}}"));
    paths.extend(upload(demo, &mut mallory, groups().len()));
    for (title, description) in [(fields[3], fields[5]), (fields[1], fields[0])] {
        let settings = Says::Settings {
            title: Some(title.to_owned()),
            language: None,
            description: Some(description.to_owned()),
        };
        mallory.say(demo, "a", &draft(settings, ""));
    }
    paths
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The pages, files and feeds of a blog beside its posts, and those of the network.
const OF_BLOG: &str =
    "/ /?page=2 /archive /about /feed.atom /feed.rss /feed.json /sitemap.xml /key.asc /none";
const OF_NETWORK: &str = "/ /status /feed.atom /feed.rss /feed.json /sitemap.xml";

fn watching() -> Browser {
    let browser = Browser::start(&Options::default());
    let watch = json!({ "source": WATCH });
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &watch);
    browser.go("about:blank");
    drop((browser.log(), browser.requests()));
    browser
}

#[test]
fn nothing_that_an_author_writes_runs_in_a_browser() {
    let demo = Demo::start_with(1, &["--empty", "--replicas", "1"]);
    let paths = publish(&demo);
    let mut walk = Walk {
        browser: watching(),
        demo: &demo,
        wrong: vec![],
    };
    let (blog, apex) = (demo.host("mallory"), demo.domain.clone());
    let posts = || paths.iter().map(String::as_str);
    OF_BLOG
        .split(' ')
        .chain(posts())
        .for_each(|path| walk.open(&blog, path));
    OF_NETWORK
        .split(' ')
        .for_each(|path| walk.open(&apex, path));
    for field in fields() {
        let field = encoded(field);
        walk.open(&blog, &format!("/tags/{field}"));
        walk.open(&blog, &format!("/{field}"));
        walk.open(&apex, &format!("/search?q={field}&lang={field}"));
    }
    walk.assert_harmless("with the pages' own policy");
    let text = {
        walk.browser
            .go(&walk.address(&blog, "/javascript-alert1/ａｌｅｒｔ.html/constructor"));
        // Without the foot: ports and fingerprints are numbers, too.
        walk.browser.find("main").text()
    };
    assert!(text.contains("{{7*7}}") && !text.contains("49"), "{text}");

    let page = demo.http("a", "mallory", "/");
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("script-src"),
        "{policy}"
    );

    // The policy is the second wall. The first one stands alone as well.
    walk.browser
        .devtools("Page.setBypassCSP", &json!({ "enabled": true }));
    "/ /archive /about /none"
        .split(' ')
        .chain(posts())
        .for_each(|path| walk.open(&blog, path));
    walk.open(&apex, "/");
    walk.assert_harmless("without the pages' policy");
    demo.assert_no_panic();
}
