//! What WordPress keeps of a post, as HTML that says the same without WordPress.

use std::collections::{BTreeMap, BTreeSet};

use super::{html, wxr::Post};

/// Shortcodes that are read; each may hold something up to its closing form.
const READ: [&str; 10] = [
    "caption",
    "wp_caption",
    "gallery",
    "embed",
    "audio",
    "video",
    "code",
    "sourcecode",
    "highlight",
    "playlist",
];
/// Pictures of one gallery; an entry lists 200 media (SPEC entry 3.6).
const GALLERY_MAX: usize = 200;

/// The pictures of a site, by id and by the post that they were put to.
#[derive(Default)]
pub(super) struct Shelf {
    by_id: BTreeMap<String, Picture>,
    by_post: BTreeMap<String, Vec<String>>,
}

#[derive(Clone)]
pub(super) struct Picture {
    pub(super) address: String,
    pub(super) alt: String,
    caption: String,
}

/// A post's text, ready to be written as Markdown.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) html: String,
    /// Whether its line ends count.
    pub(super) lines: bool,
    pub(super) notes: Vec<String>,
}

impl Shelf {
    pub(super) fn of(posts: &[Post]) -> Self {
        let mut shelf = Self::default();
        let mut pictures: Vec<&Post> = posts.iter().filter(|p| p.kind == "attachment").collect();
        pictures.sort_by_key(|post| post.order);
        for post in pictures
            .into_iter()
            .filter(|post| !post.file.trim().is_empty())
        {
            let title = html::plain(&post.title);
            let alt = Some(post.alt.trim())
                .filter(|alt| !alt.is_empty())
                .unwrap_or(&title);
            let picture = Picture {
                address: post.file.trim().to_owned(),
                alt: alt.to_owned(),
                caption: post.excerpt.trim().to_owned(),
            };
            shelf.by_id.insert(post.id.clone(), picture);
            shelf
                .by_post
                .entry(post.parent.clone())
                .or_default()
                .push(post.id.clone());
        }
        shelf
    }

    pub(super) fn picture(&self, id: &str) -> Option<&Picture> {
        self.by_id.get(id.trim())
    }

    fn figure(&self, id: &str) -> Option<String> {
        let picture = self.picture(id)?;
        let caption = match picture.caption.as_str() {
            "" => String::new(),
            caption => format!("<figcaption>{caption}</figcaption>"),
        };
        let (src, alt) = (quoted(&picture.address), quoted(&picture.alt));
        Some(format!(
            "<figure><img src=\"{src}\" alt=\"{alt}\">{caption}</figure>"
        ))
    }
}

/// Reads a post's text: shortcodes become what they show, blocks lose their marks.
pub(super) fn content(post: &Post, shelf: &Shelf) -> Content {
    let text = if post.content.trim().is_empty() {
        &post.excerpt
    } else {
        &post.content
    };
    let mut content = Content {
        html: String::with_capacity(text.len()),
        lines: !text.contains("<!-- wp:"),
        notes: Vec::new(),
    };
    let mut unread = BTreeSet::new();
    let mut rest = text.as_str();
    // Shortcodes without their end are not looked for again: each look goes to the end of the text.
    let mut endless: BTreeSet<String> = BTreeSet::new();
    while let Some(at) = rest.find(['[', '<']) {
        content.html.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(length) = code_length(rest, &mut endless) {
            content.html.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        let Some(code) = Shortcode::read(rest, &mut endless) else {
            content.html.push_str(&rest[..1]);
            rest = &rest[1..];
            continue;
        };
        if READ.contains(&code.name) {
            content.html.push_str(&code.shown(post, shelf));
        } else {
            if code.is_sure {
                unread.insert(code.name.to_owned());
            }
            content.html.push_str(&rest[..code.length]);
        }
        rest = &rest[code.length..];
    }
    content.html.push_str(rest);
    for name in unread {
        content.notes.push(format!(
            "[{name} …] means something to a plugin alone; it stays as it stands"
        ));
    }
    content.notes.extend(made_by_wordpress(text));
    content
}

/// Blocks that WordPress fills when somebody reads: lists of posts, forms to search.
fn made_by_wordpress(text: &str) -> Option<String> {
    let mut names = BTreeSet::new();
    for block in text.split("<!-- wp:").skip(1) {
        let Some((block, _)) = block.split_once("-->") else {
            continue;
        };
        let name = block.split([' ', '/']).next().unwrap_or_default();
        if block.trim_end().ends_with('/') && !matches!(name, "more" | "spacer" | "separator") {
            names.insert(name.to_owned());
        }
    }
    let names: Vec<String> = names.into_iter().collect();
    (!names.is_empty()).then(|| {
        format!(
            "what WordPress makes anew for each reader was left out: {}",
            names.join(", ")
        )
    })
}

/// How long an element of code at the start is: what looks like a shortcode in it is none.
fn code_length(text: &str, endless: &mut BTreeSet<String>) -> Option<usize> {
    let name = ["<pre", "<code", "<script", "<style"]
        .into_iter()
        .find(|n| text.starts_with(n))?;
    let close = format!("</{}>", &name[1..]);
    if endless.contains(&close) {
        return None;
    }
    let end = text.find(&close);
    if end.is_none() {
        endless.insert(close.clone());
    }
    end.map(|end| end + close.len())
}

/// `[name key="value"]inner[/name]`.
struct Shortcode<'a> {
    name: &'a str,
    attributes: Vec<(String, String)>,
    inner: Option<&'a str>,
    length: usize,
    /// Whether it is spelled as nothing but a shortcode is.
    is_sure: bool,
}

impl<'a> Shortcode<'a> {
    fn read(text: &'a str, endless: &mut BTreeSet<String>) -> Option<Self> {
        let rest = text.strip_prefix('[')?;
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
        let name = &rest[..length];
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let head = rest[length..]
            .split(['[', ']', '<'])
            .next()
            .unwrap_or_default();
        // An attribute may hold HTML: the caption of old captions does.
        let is_read = READ.contains(&name);
        let head = if !is_read || endless.contains("]") {
            head
        } else if let Some(end) = rest[length..].find(']') {
            &rest[length..length + end]
        } else {
            endless.insert("]".to_owned());
            return None;
        };
        if !rest[length + head.len()..].starts_with(']') {
            return None;
        }
        let attributes = attributes(head);
        let behind = 1 + length + head.len() + 1;
        let close = format!("[/{name}]");
        let is_alone = !is_read || head.trim_end().ends_with('/') || endless.contains(&close);
        let end = if is_alone {
            None
        } else {
            text[behind..].find(&close)
        };
        if end.is_none() && !is_alone {
            endless.insert(close.clone());
        }
        Some(Self {
            name,
            inner: end.map(|end| &text[behind..behind + end]),
            length: match end {
                Some(end) => behind + end + close.len(),
                None => behind,
            },
            is_sure: !attributes.is_empty(),
            attributes,
        })
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What it shows, as HTML.
    fn shown(&self, post: &Post, shelf: &Shelf) -> String {
        let inner = self.inner.unwrap_or_default();
        match self.name {
            "caption" | "wp_caption" => {
                let end = picture_end(inner);
                let words = self.attribute("caption").unwrap_or(&inner[end..]).trim();
                let caption = match words {
                    "" => String::new(),
                    words => format!("<figcaption>{words}</figcaption>"),
                };
                format!("<figure>{}{caption}</figure>", &inner[..end])
            }
            "gallery" | "playlist" => self.gallery(post, shelf),
            "embed" => address_alone(inner),
            "code" | "sourcecode" | "highlight" => {
                let language = self.attribute("language").or(self.attribute("lang"));
                let class = language.map(|name| format!(" class=\"language-{}\"", quoted(name)));
                format!("<pre{}>{inner}</pre>", class.unwrap_or_default())
            }
            _ => {
                let kinds = [
                    "src", "mp4", "webm", "ogv", "m4v", "mp3", "m4a", "ogg", "wav",
                ];
                let address = kinds.iter().find_map(|kind| self.attribute(kind));
                format!("{}{inner}", address.map(address_alone).unwrap_or_default())
            }
        }
    }

    fn gallery(&self, post: &Post, shelf: &Shelf) -> String {
        let asked = self.attribute("ids").or(self.attribute("include"));
        let of = self.attribute("id").unwrap_or(&post.id);
        let asked: Vec<String> = match asked {
            Some(ids) => ids.split(',').map(|id| id.trim().to_owned()).collect(),
            None => shelf.by_post.get(of).cloned().unwrap_or_default(),
        };
        let figures = asked
            .iter()
            .take(GALLERY_MAX)
            .filter_map(|id| shelf.figure(id));
        let figures: Vec<String> = figures.collect();
        if figures.is_empty() {
            return "<p>[The pictures of this gallery are not in the export.]</p>".to_owned();
        }
        figures.concat()
    }
}

/// Where the picture of a caption ends: behind the link around it, if there is one.
fn picture_end(inner: &str) -> usize {
    let Some(picture) = inner.find("<img") else {
        return 0;
    };
    let Some(end) = inner[picture..].find('>') else {
        return 0;
    };
    let end = picture + end + 1;
    let rest = inner[end..].trim_start();
    let link = rest
        .strip_prefix("</a>")
        .map(|behind| inner.len() - behind.len());
    link.unwrap_or(end)
}

fn address_alone(address: &str) -> String {
    let address = quoted(address.trim());
    format!("<p><a href=\"{address}\">{address}</a></p>")
}

/// `key="value" key='value' key=value`.
fn attributes(head: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = head;
    while let Some(at) = rest.find('=') {
        let key = rest[..at].split_whitespace().last().unwrap_or_default();
        let value = rest[at + 1..].trim_start();
        let quote = value.chars().next().filter(|c| "\"'".contains(*c));
        let (value, behind) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => value.split_once(' ').unwrap_or((value, "")),
        };
        if !key.is_empty() {
            found.push((key.to_ascii_lowercase(), value.to_owned()));
        }
        rest = behind;
    }
    found
}

fn quoted(value: &str) -> String {
    value
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::author::import::html::{Manner, to_markdown};

    fn shelf() -> Shelf {
        let picture = |id: &str, parent: &str, order| Post {
            id: id.to_owned(),
            kind: "attachment".to_owned(),
            title: format!("Picture {id}"),
            file: format!("https://old.example/wp-content/uploads/{id}.png"),
            excerpt: if id == "2" {
                "By the <em>sea</em>".to_owned()
            } else {
                String::new()
            },
            parent: parent.to_owned(),
            order,
            ..Post::default()
        };
        Shelf::of(&[
            picture("1", "50", 2),
            picture("2", "50", 1),
            picture("3", "", 0),
        ])
    }

    #[track_caller]
    fn check(text: &str, markdown: &str) {
        let post = Post {
            id: "50".to_owned(),
            content: text.to_owned(),
            ..Post::default()
        };
        let content = content(&post, &shelf());
        let manner = Manner {
            lines: content.lines,
        };
        let mut written = to_markdown(&content.html, manner).expect("short");
        written.notes.splice(0..0, content.notes);
        let notes: Vec<String> = written
            .notes
            .iter()
            .map(|note| format!("\n! {note}"))
            .collect();
        assert_eq!(written.markdown + &notes.concat(), markdown, "from {text}");
    }

    #[test]
    fn shortcodes_show_what_they_showed() {
        check(
            "[caption id=\"a\" width=\"6\"]<a href=\"/x\"><img src=\"a.png\" alt=\"A\" /></a> The <b>sea</b>[/caption]\nnext",
            "<figure>\n\n[![A](a.png)](/x)\n\n<figcaption>The <b>sea</b></figcaption>\n</figure>\n\nnext",
        );
        check(
            "[caption caption=\"Old\"]<img src=\"a.png\">[/caption]",
            "<figure>\n\n![](a.png)\n\n<figcaption>Old</figcaption>\n</figure>",
        );
        let second = "<figure>\n\n![Picture 2](https://old.example/wp-content/uploads/2.png)\n\n\
                      <figcaption>By the <em>sea</em></figcaption>\n</figure>";
        let first = "![Picture 1](https://old.example/wp-content/uploads/1.png)";
        check("[gallery]", &format!("{second}\n\n{first}"));
        check(
            "[gallery ids=\"1,2\" columns=\"4\"]",
            &format!("{first}\n\n{second}"),
        );
        check(
            "[gallery ids=\"77\"]",
            "\\[The pictures of this gallery are not in the export.\\]",
        );
        check(
            "[embed]https://youtu.be/x[/embed]",
            "[https://youtu.be/x](https://youtu.be/x)",
        );
        check(
            "[audio mp3=\"https://a.org/a.mp3\"][/audio]",
            "[https://a.org/a.mp3](https://a.org/a.mp3)",
        );
        check(
            "[code language=\"css\"]\np { a }\n\nb\n[/code]",
            "```css\np { a }\n\nb\n```",
        );
        check(
            "a [1] [contact-form to=\"x\"] b [form][/form]",
            "a \\[1\\] \\[contact-form to=\"x\"\\] b \\[form\\]\\[/form\\]\n\
             ! [contact-form …] means something to a plugin alone; it stays as it stands",
        );
        check("<code>[gallery]</code> [", "`[gallery]` \\[");
    }

    #[test]
    fn blocks_lose_their_marks() {
        check(
            "<!-- wp:paragraph {\"a\":1} -->\n<p>a\nb</p>\n<!-- /wp:paragraph -->\n\n<!-- wp:latest-posts /-->",
            "a b\n! what WordPress makes anew for each reader was left out: latest-posts",
        );
        check("a\n<!--more-->\nb", "a\n\nb");
    }

    proptest! {
        #[test]
        fn no_text_panics(
            text in "(\\[/?(caption|gallery|embed|code|x)( a=\"| ids='1,2'| b=c)?\\]|<img|<a>|</a>|<pre>|</pre>|\\[|\\]|[a-z=\"' é]|\n){0,40}"
        ) {
            let post = Post { content: text, ..Post::default() };
            content(&post, &shelf());
        }
    }
}
