//! WordPress' export file (WXR, an extended RSS): read from front to back, one element at a time.

use std::io::{self, BufRead, Read};

use quick_xml::{Reader, events::Event};

/// Bytes of one value. The longest column of WordPress holds four GiB; a post that can be published
/// has one MiB, and what stands around it in a page builder's some more.
const VALUE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Elements in each other: rss, channel, item, comment, commentmeta, and its value.
const DEPTH_MAX: usize = 32;
/// Items of one file: a newspaper of thirty years.
const ITEMS_MAX: usize = 500_000;

/// A site as its file says it.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub(super) language: String,
    /// Where the blog stood.
    pub(super) address: String,
    pub(super) posts: Vec<Post>,
}

/// One item: a post, a page, a picture, a menu's line.
#[derive(Clone, Debug, Default)]
pub(super) struct Post {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) link: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) date: String,
    pub(super) date_gmt: String,
    pub(super) password: String,
    pub(super) parent: String,
    pub(super) order: i64,
    pub(super) content: String,
    pub(super) excerpt: String,
    /// Of a picture: where its file lies.
    pub(super) file: String,
    pub(super) tags: Vec<String>,
    pub(super) comments: usize,
    /// Who wrote it, by the name that they log in with.
    pub(super) author: String,
    /// The id of the picture above the post.
    pub(super) picture: String,
    /// Of a picture: what it shows.
    pub(super) alt: String,
}

/// Whether the beginning of a file is that of a WordPress export.
pub(super) fn is_one(beginning: &str) -> bool {
    beginning.contains("<rss") && beginning.contains("wordpress.org/export/")
}

/// Reads a whole file.
///
/// # Errors
/// Says what is wrong with it, and where.
pub(super) fn read(file: impl BufRead) -> Result<Site, String> {
    let mut reader = Reader::from_reader(Metered::new(file));
    // "</br>" in a value that nobody wrapped must not cost all the rest.
    reader.config_mut().check_end_names = false;
    let mut reading = Reading::default();
    let mut buffer = Vec::new();
    loop {
        reader.get_mut().left = VALUE_BYTES_MAX;
        buffer.clear();
        let at = reader.buffer_position();
        let event = reader.read_event_into(&mut buffer);
        match event.map_err(|why| format!("at byte {at} it is no WordPress export: {why}"))? {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                let attribute = tag.try_get_attribute("domain").ok().flatten();
                let domain = attribute.map(|a| a.value.into_owned());
                reading.start(name, domain.unwrap_or_default())?;
            }
            Event::Text(text) => reading.push(&text.into_inner())?,
            Event::CData(text) => reading.push(&text.into_inner())?,
            Event::GeneralRef(entity) => {
                let letter = entity.resolve_char_ref().ok().flatten();
                let name = entity.into_inner().into_owned();
                match (letter, named(&name)) {
                    (Some(letter), _) => reading.push(letter.encode_utf8(&mut [0; 4]))?,
                    (None, Some(letter)) => reading.push(letter)?,
                    // What the file itself defines is never looked up: definitions may nest.
                    (None, None) => reading.push(&format!("&{name};"))?,
                }
            }
            Event::End(_) => reading.end()?,
            Event::Eof => return reading.finish(),
            Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

/// The entities that XML itself has.
fn named(name: &str) -> Option<&'static str> {
    Some(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

/// Where the reading stands.
#[derive(Default)]
struct Reading {
    site: Site,
    /// Names of the open elements.
    open: Vec<String>,
    value: String,
    /// What a category belongs to.
    domain: String,
    key: String,
    comment: Comment,
    post: Option<Post>,
    is_export: bool,
}

#[derive(Default)]
struct Comment {
    approved: String,
}

impl Reading {
    fn start(&mut self, name: String, domain: String) -> Result<(), String> {
        if self.open.len() >= DEPTH_MAX {
            return Err(format!(
                "it has more than {DEPTH_MAX} elements in each other, as no WordPress export has"
            ));
        }
        match name.as_str() {
            "channel" => self.is_export = true,
            "item" if self.site.posts.len() >= ITEMS_MAX => {
                return Err(format!(
                    "it has more than {ITEMS_MAX} items; export it in parts"
                ));
            }
            "item" => self.post = Some(Post::default()),
            "category" => self.domain = domain,
            _ => {}
        }
        self.value.clear();
        self.open.push(name);
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        if (self.value.len() + text.len()) as u64 > VALUE_BYTES_MAX {
            return Err(format!(
                "<{}> holds more than {VALUE_BYTES_MAX} bytes",
                self.open.last().map_or("", String::as_str)
            ));
        }
        self.value.push_str(text);
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(name) = self.open.pop() else {
            return Err("it ends an element that it never began".to_owned());
        };
        let value = std::mem::take(&mut self.value);
        let inside = self.open.last().map_or("", String::as_str);
        match (inside, name.as_str()) {
            ("channel", "item") => {
                if let Some(post) = self.post.take() {
                    self.site.posts.push(post);
                }
            }
            ("channel", "language") => self.site.language = value.trim().to_owned(),
            ("channel", "link") if self.site.address.is_empty() => self.site.address = value,
            ("channel", "wp:base_blog_url") => self.site.address = value,
            ("item", "wp:comment") => {
                let approved = std::mem::take(&mut self.comment).approved == "1";
                if let Some(post) = &mut self.post {
                    post.comments += usize::from(approved);
                }
            }
            ("wp:comment", "wp:comment_approved") => self.comment.approved = value,
            ("wp:postmeta", "wp:meta_key") => self.key = value,
            ("wp:postmeta", "wp:meta_value") => self.meta(value),
            ("item", name) => self.of_item(name, value),
            _ => {}
        }
        Ok(())
    }

    fn meta(&mut self, value: String) {
        let Some(post) = &mut self.post else {
            return;
        };
        match self.key.as_str() {
            "_thumbnail_id" => post.picture = value,
            "_wp_attachment_image_alt" => post.alt = value,
            _ => {}
        }
    }

    fn of_item(&mut self, name: &str, value: String) {
        let Some(post) = &mut self.post else {
            return;
        };
        let field = match name {
            "title" => &mut post.title,
            "link" => &mut post.link,
            "content:encoded" => &mut post.content,
            "excerpt:encoded" => &mut post.excerpt,
            "dc:creator" => &mut post.author,
            "wp:post_id" => &mut post.id,
            "wp:post_date" => &mut post.date,
            "wp:post_date_gmt" => &mut post.date_gmt,
            "wp:post_name" => &mut post.name,
            "wp:status" => &mut post.status,
            "wp:post_parent" => &mut post.parent,
            "wp:post_type" => &mut post.kind,
            "wp:post_password" => &mut post.password,
            "wp:attachment_url" => &mut post.file,
            "wp:menu_order" => {
                post.order = value.trim().parse().unwrap_or(0);
                return;
            }
            "category" => {
                // Formats and menus are no words that an author chose.
                let is_tag = matches!(self.domain.as_str(), "post_tag" | "category");
                let value = value.trim().to_owned();
                if is_tag && value != "Uncategorized" && !post.tags.contains(&value) {
                    post.tags.push(value);
                }
                return;
            }
            _ => return,
        };
        *field = value;
    }

    fn finish(self) -> Result<Site, String> {
        if !self.is_export {
            return Err("it is no WordPress export".to_owned());
        }
        if let Some(open) = self.open.last() {
            return Err(format!(
                "it ends within <{open}>; it was cut off, export it again"
            ));
        }
        Ok(self.site)
    }
}

/// A reader that gives no more than what one value may have.
struct Metered<R> {
    inner: R,
    left: u64,
}

impl<R> Metered<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            left: VALUE_BYTES_MAX,
        }
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(to.len());
        to[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            let why = format!("a value has more than {VALUE_BYTES_MAX} bytes");
            return Err(io::Error::other(why));
        }
        let from = self.inner.fill_buf()?;
        let count = from
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(&from[..count])
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(items: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY a \"&b;&b;\"><!ENTITY b \"boom\">]>\n\
             <rss xmlns:wp=\"https://wordpress.org/export/1.2/\"><channel><title>T</title>\
             <link>https://old.example</link><language>pt-BR</language>{items}</channel></rss>"
        )
    }

    #[test]
    fn an_item_is_read_with_what_belongs_to_it() {
        let text = file(
            "<item><title>A &amp; B &#8212; &a;</title><link>https://old.example/2015/a/</link>\
             <content:encoded><![CDATA[<p>x</p>]]> tail</content:encoded>\
             <category domain=\"post_tag\"><![CDATA[one]]></category>\
             <category domain=\"category\">Uncategorized</category>\
             <category domain=\"post_format\">Image</category><wp:post_id>7</wp:post_id><dc:creator><![CDATA[maria]]></dc:creator>\
             <wp:postmeta><wp:meta_key>_thumbnail_id</wp:meta_key><wp:meta_value>9</wp:meta_value></wp:postmeta>\
             <wp:comment><wp:comment_approved>1</wp:comment_approved></wp:comment>\
             <wp:comment><wp:comment_approved>spam</wp:comment_approved></wp:comment></item>",
        );
        assert!(is_one(&text));
        let site = read(text.as_bytes()).expect("sound");
        let post = &site.posts[0];
        assert_eq!(
            (site.language.as_str(), site.address.as_str()),
            ("pt-BR", "https://old.example")
        );
        assert_eq!(
            post.title, "A & B — &a;",
            "what the file defines is not looked up"
        );
        assert_eq!(
            (post.content.as_str(), post.id.as_str()),
            ("<p>x</p> tail", "7")
        );
        assert_eq!(
            (post.tags.as_slice(), post.picture.as_str()),
            (&["one".to_owned()][..], "9")
        );
        assert_eq!(post.author, "maria");
        assert_eq!(post.comments, 1, "spam is nobody's");
    }

    #[test]
    fn what_is_no_export_is_told() {
        for (text, word) in [
            ("", "no WordPress export"),
            ("<rss></rss>", "no WordPress export"),
            ("<rss><channel><item><title>x", "cut off"),
            ("</rss>", "no WordPress export"),
            ("<rss><channel><a <b></channel></rss>", ""),
            (&"<a>".repeat(40), "in each other"),
        ] {
            let why = read(text.as_bytes())
                .map(|_| String::new())
                .unwrap_or_else(|why| why);
            assert!(why.contains(word), "{text:.40}: {why}");
        }
        let long = "x".repeat(usize::try_from(VALUE_BYTES_MAX).expect("fits") + 10);
        let why = read(file(&format!("<item><title>{long}")).as_bytes()).expect_err("too long");
        assert!(why.contains("bytes"), "{why}");
        let halves = format!(
            "<item><title>{}&amp;{}",
            &long[..9_000_000],
            &long[..9_000_000]
        );
        assert!(read(file(&halves).as_bytes()).is_err_and(|why| why.contains("<title> holds")));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(bytes.as_slice()).ok();
        }

        #[test]
        fn no_markup_panics(
            text in "(</?(rss|channel|item|title|wp:comment|category|wp:postmeta|wp:meta_key)>|<!\\[CDATA\\[|\\]\\]>|&(a|amp|#0|#x1F600);|<!--|-->|<\\?x|[a-z\"'= ]){0,40}"
        ) {
            read(text.as_bytes()).ok();
            read(file(&text).as_bytes()).ok();
        }
    }
}
