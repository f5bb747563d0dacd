//! Ghost's two own formats as HTML: lexical, a tree of nodes, and the older mobiledoc, lists of lists.

use serde_json::Value;

use crate::author::import::html::quoted;

/// Bits of a lexical text's `format`, outermost first.
const FORMATS: [(u64, &str); 7] = [
    (1, "strong"),
    (2, "em"),
    (4, "s"),
    (8, "u"),
    (16, "code"),
    (32, "sub"),
    (64, "sup"),
];

/// A lexical document; none when it is none. Its depth has the limit of the JSON parser, 128.
pub(super) fn of_lexical(text: &str) -> Option<String> {
    let document: Value = serde_json::from_str(text).ok()?;
    let root = document.get("root")?;
    let mut html = String::new();
    node(root, &mut html);
    Some(html)
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn children(value: &Value, html: &mut String) {
    let children = value.get("children").and_then(Value::as_array);
    children
        .into_iter()
        .flatten()
        .for_each(|child| node(child, html));
}

fn within(tag: &str, attributes: &str, value: &Value, html: &mut String) {
    html.push_str(&format!("<{tag}{attributes}>"));
    children(value, html);
    html.push_str(&format!("</{tag}>"));
}

fn node(value: &Value, html: &mut String) {
    match word(value, "type") {
        "paragraph" => within("p", "", value, html),
        "heading" | "extended-heading" => {
            let tag = Some(word(value, "tag")).filter(|tag| tag.len() == 2 && tag.starts_with('h'));
            within(tag.unwrap_or("h2"), "", value, html);
        }
        "quote" | "extended-quote" | "aside" => within("blockquote", "", value, html),
        "list" if word(value, "listType") == "number" => within("ol", "", value, html),
        "list" => within("ul", "", value, html),
        "listitem" => within("li", "", value, html),
        "link" => {
            let href = format!(" href=\"{}\"", quoted(word(value, "url")));
            within("a", &href, value, html);
        }
        "linebreak" => html.push_str("<br>"),
        "text" | "extended-text" | "code-highlight" | "tab" => words(value, html),
        _ => {
            card(word(value, "type"), value, html);
            children(value, html);
        }
    }
}

fn words(value: &Value, html: &mut String) {
    let format = value.get("format").and_then(Value::as_u64).unwrap_or(0);
    let tags: Vec<&str> = FORMATS
        .iter()
        .filter(|(bit, _)| format & bit != 0)
        .map(|(_, tag)| *tag)
        .collect();
    tags.iter()
        .for_each(|tag| html.push_str(&format!("<{tag}>")));
    html.push_str(&quoted(word(value, "text")));
    tags.iter()
        .rev()
        .for_each(|tag| html.push_str(&format!("</{tag}>")));
}

/// What is no text: both formats name its parts alike.
fn card(kind: &str, value: &Value, html: &mut String) {
    let link = |address: &str, title: &str| {
        let shown = if title.is_empty() { address } else { title };
        format!(
            "<p><a href=\"{}\">{}</a></p>",
            quoted(address),
            quoted(shown)
        )
    };
    match kind {
        "image" => html.push_str(&figure(value)),
        "gallery" => {
            let images = value.get("images").and_then(Value::as_array);
            images
                .into_iter()
                .flatten()
                .for_each(|image| html.push_str(&figure(image)));
        }
        "codeblock" | "code" => {
            let language = quoted(word(value, "language"));
            let code = quoted(word(value, "code"));
            html.push_str(&format!("<pre class=\"language-{language}\">{code}</pre>"));
        }
        "horizontalrule" | "hr" => html.push_str("<hr>"),
        "html" => html.push_str(word(value, "html")),
        "markdown" | "card-markdown" => {
            let parser = pulldown_cmark::Parser::new_ext(
                word(value, "markdown"),
                crate::author::body::options(),
            );
            pulldown_cmark::html::push_html(html, parser);
        }
        "bookmark" | "embed" => {
            let title = value
                .get("metadata")
                .map(|data| word(data, "title"))
                .unwrap_or_default();
            html.push_str(&link(word(value, "url"), title));
        }
        "video" | "audio" | "file" => {
            let title = [word(value, "title"), word(value, "fileTitle")]
                .into_iter()
                .find(|t| !t.is_empty());
            html.push_str(&link(word(value, "src"), title.unwrap_or_default()));
        }
        "button" => html.push_str(&link(word(value, "buttonUrl"), word(value, "buttonText"))),
        "callout" => {
            let words = word(value, "calloutText");
            html.push_str(&format!(
                "<blockquote>{} {words}</blockquote>",
                quoted(word(value, "calloutEmoji"))
            ));
        }
        "toggle" => {
            let (heading, content) = (word(value, "heading"), word(value, "content"));
            html.push_str(&format!(
                "<details><summary>{heading}</summary>{content}</details>"
            ));
        }
        "header" | "product" | "signup" | "email" | "email-cta" | "paywall" => {
            let words = ["header", "subheader", "productTitle", "productDescription"];
            words
                .iter()
                .map(|name| word(value, name))
                .filter(|words| !words.is_empty())
                .for_each(|words| {
                    html.push_str(&format!("<p>{words}</p>"));
                });
        }
        _ => {}
    }
}

fn figure(value: &Value) -> String {
    let (src, alt) = (quoted(word(value, "src")), quoted(word(value, "alt")));
    let caption = match word(value, "caption") {
        "" => String::new(),
        caption => format!("<figcaption>{caption}</figcaption>"),
    };
    format!("<figure><img src=\"{src}\" alt=\"{alt}\">{caption}</figure>")
}

/// A mobiledoc document; none when it is none.
pub(super) fn of_mobiledoc(text: &str) -> Option<String> {
    let document: Value = serde_json::from_str(text).ok()?;
    let sections = document.get("sections")?.as_array()?;
    let mut html = String::new();
    for section in sections {
        let at = |index: usize| section.get(index).unwrap_or(&Value::Null);
        let tag = Some(at(1))
            .and_then(Value::as_str)
            .filter(|tag| tag.len() <= 10 && tag.bytes().all(|b| b.is_ascii_alphanumeric()));
        match (at(0).as_u64(), tag) {
            (Some(1), Some(tag)) => {
                let tag = if tag == "aside" { "blockquote" } else { tag };
                html.push_str(&format!("<{tag}>"));
                markers(at(2), &document, &mut html);
                html.push_str(&format!("</{tag}>"));
            }
            (Some(2), _) => {
                let src = quoted(at(1).as_str().unwrap_or_default());
                html.push_str(&format!("<img src=\"{src}\">"));
            }
            (Some(3), Some(tag)) => {
                html.push_str(&format!("<{tag}>"));
                for item in at(2).as_array().into_iter().flatten() {
                    html.push_str("<li>");
                    markers(item, &document, &mut html);
                    html.push_str("</li>");
                }
                html.push_str(&format!("</{tag}>"));
            }
            (Some(10), _) => {
                let index = at(1).as_u64().and_then(|index| usize::try_from(index).ok());
                let found = index.and_then(|index| document.get("cards")?.get(index));
                let named = found.and_then(|card| Some((card.get(0)?.as_str()?, card.get(1)?)));
                if let Some((kind, value)) = named {
                    card(kind, value, &mut html);
                }
            }
            _ => {}
        }
    }
    Some(html)
}

/// `[[0, [markups that begin], markups that end, "words"], …]`.
fn markers(value: &Value, document: &Value, html: &mut String) {
    let mut open: Vec<String> = Vec::new();
    for marker in value.as_array().into_iter().flatten() {
        let at = |index: usize| marker.get(index).unwrap_or(&Value::Null);
        for begins in at(1).as_array().into_iter().flatten() {
            let index = begins
                .as_u64()
                .and_then(|index| usize::try_from(index).ok());
            let markup = index.and_then(|index| document.get("markups")?.get(index));
            let tag = markup
                .and_then(|markup| markup.get(0)?.as_str())
                .unwrap_or("span");
            let tag: String = tag.chars().filter(char::is_ascii_alphanumeric).collect();
            let href = markup.and_then(|markup| markup.get(1)?.get(1)?.as_str());
            let href = href.map(|href| format!(" href=\"{}\"", quoted(href)));
            html.push_str(&format!("<{tag}{}>", href.unwrap_or_default()));
            open.push(tag);
        }
        match (at(0).as_u64(), at(3).as_str()) {
            (Some(0), Some(words)) => html.push_str(&quoted(words)),
            // An atom: of those there are, a line break alone says something.
            _ => html.push_str("<br>"),
        }
        for _ in 0..at(2).as_u64().unwrap_or(0).min(open.len() as u64) {
            if let Some(tag) = open.pop() {
                html.push_str(&format!("</{tag}>"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::author::import::html::{Manner, to_markdown};

    #[track_caller]
    fn check(html: Option<String>, markdown: &str) {
        let html = html.expect("a document");
        let written = to_markdown(&html, Manner::default()).expect("short");
        assert_eq!(written.markdown, markdown, "{html}");
    }

    #[test]
    fn lexical_documents_are_drawn() {
        let text = |words: &str, format: u64| json!({"type": "extended-text", "text": words, "format": format});
        let root = json!({"root": {"type": "root", "children": [
            {"type": "heading", "tag": "h3", "children": [text("H", 0)]},
            {"type": "paragraph", "children": [text("a < ", 0), text("b", 2),
                {"type": "link", "url": "https://x.org", "children": [text("c", 0)]}, {"type": "linebreak"}, text("d", 16)]},
            {"type": "list", "listType": "number", "children": [{"type": "listitem", "children": [text("e", 0)]}]},
            {"type": "image", "src": "a.png", "alt": "A", "caption": "<i>f</i>"},
            {"type": "codeblock", "language": "rust", "code": "fn\n"},
            {"type": "horizontalrule"},
            {"type": "markdown", "markdown": "*g*"},
            {"type": "bookmark", "url": "https://y.org", "metadata": {"title": "Y"}},
            {"type": "future", "children": [text("kept", 0)]},
        ]}});
        check(
            of_lexical(&root.to_string()),
            "### H\n\na \\< *b*[c](https://x.org)\\\n`d`\n\n1. e\n\n<figure>\n\n![A](a.png)\n\n\
             <figcaption><i>f</i></figcaption>\n</figure>\n\n```rust\nfn\n```\n\n---\n\n*g*\n\n[Y](https://y.org)\n\nkept",
        );
        assert_eq!(of_lexical("[]"), None);
    }

    #[test]
    fn mobiledoc_documents_are_drawn() {
        let document = json!({
            "markups": [["em"], ["a", ["href", "https://x.org"]]],
            "cards": [["image", {"src": "a.png"}], ["html", {"html": "<b>h</b>"}]],
            "sections": [
                [1, "h2", [[0, [], 0, "H"]]],
                [1, "p", [[0, [], 0, "a "], [0, [0, 1], 1, "b"], [0, [], 1, "c"], [1, [], 0, 0], [0, [], 0, "d"]]],
                [3, "ul", [[[0, [], 0, "e"]]]],
                [10, 0], [10, 1], [10, 9],
            ],
        });
        check(
            of_mobiledoc(&document.to_string()),
            "## H\n\na <em>[b](https://x.org)c</em>\\\nd\n\n- e\n\n![](a.png)\n\n**h**",
        );
    }

    proptest! {
        #[test]
        fn no_document_panics(text in "([{}\\[\\],:]|\"(root|type|children|sections|cards|markups|p|image)\"|[0-9]|null){0,60}") {
            of_lexical(&text);
            of_mobiledoc(&text);
        }
    }
}
