//! Pictures, films and sounds of the author's own.

use spokes_log::name::Hash;

use super::Writer;
use crate::render::Medium;

impl Writer<'_> {
    /// Shows a medium, or leads to it.
    ///
    /// A picture that nobody knows anything of is still one; it may be here later.
    pub(super) fn medium(
        &mut self,
        escape: fn(&str, &mut String),
        hash: Hash,
        alt: &str,
        title: &str,
    ) {
        let src = format!("{}/media/{}", self.links.media_prefix(), hash.path());
        let medium = (self.media)(hash).unwrap_or(Medium::Picture(None));
        let element = match medium {
            Medium::Picture(size) => {
                self.out
                    .html
                    .push_str(&format!("<img src=\"{src}\" alt=\""));
                escape(alt, &mut self.out.html);
                self.out.html.push('"');
                if let Some(size) = size {
                    let (width, height) = (size.width, size.height);
                    let size = format!(" width=\"{width}\" height=\"{height}\"");
                    self.out.html.push_str(&size);
                }
                // The first one is what a reader sees first; waiting for it would be seen.
                let lazy = if self.has_picture {
                    " loading=\"lazy\""
                } else {
                    ""
                };
                self.has_picture = true;
                self.out.html.push_str(lazy);
                self.out.html.push_str(" decoding=\"async\"");
                self.title(escape, title);
                return self.out.html.push('>');
            }
            Medium::Film if !self.within_link() => "video",
            Medium::Sound if !self.within_link() => "audio",
            Medium::Film | Medium::Sound | Medium::File => return self.leads_to(escape, &src, alt),
        };
        // Nothing is loaded before somebody wants to see it.
        let open = format!("<{element} src=\"{src}\" controls=\"\" preload=\"none\"");
        self.out.html.push_str(&open);
        if !alt.is_empty() {
            self.out.html.push_str(" aria-label=\"");
            escape(alt, &mut self.out.html);
            self.out.html.push('"');
        }
        self.out.html.push('>');
        self.leads_to(escape, &src, alt);
        self.close_tag(element);
    }

    fn leads_to(&mut self, escape: fn(&str, &mut String), src: &str, words: &str) {
        let words = if words.is_empty() { src } else { words };
        let link = !self.within_link();
        if link {
            self.out.html.push_str(&format!("<a href=\"{src}\">"));
        }
        escape(words, &mut self.out.html);
        self.out.html.push_str(if link { "</a>" } else { "" });
    }
}
