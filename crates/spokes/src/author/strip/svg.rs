//! SVG: the drawing without comments, and without what drawing programs note for themselves: who
//! drew it, and in which folder of which person it lay.

use std::collections::BTreeMap;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

/// What a browser draws; SVG may hold text of the other two.
const DRAWN: [&str; 3] = [
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1999/xhtml",
    "http://www.w3.org/1998/Math/MathML",
];
const XLINK: &str = "http://www.w3.org/1999/xlink";

/// The same drawing; none when it cannot be read.
pub(super) fn svg(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    let mut drawing = Drawing::default();
    let mut at = 0;
    loop {
        let event = reader.read_event().ok()?;
        let end = usize::try_from(reader.buffer_position()).ok()?;
        let raw = text.get(at..end)?;
        at = end;
        match event {
            Event::Start(tag) => drawing.start(&tag, raw)?,
            Event::Empty(tag) => {
                drawing.start(&tag, raw)?;
                drawing.end("")?;
            }
            Event::End(_) => drawing.end(raw)?,
            Event::Decl(_) if drawing.kept.is_empty() => drawing.kept.push_str(raw),
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => drawing.push(raw),
            // Words of its own would be meant where they are used.
            Event::DocType(_) if raw.contains('[') => return None,
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) | Event::Decl(_) => {}
            Event::Eof => {
                let is_whole = drawing.is_closed && drawing.depth == 0;
                return is_whole.then_some(drawing.kept.into_bytes());
            }
        }
    }
}

#[derive(Default)]
struct Drawing {
    kept: String,
    /// How many elements are open.
    depth: usize,
    /// The depth of the element that is being left out.
    dropped: Option<usize>,
    /// Whether the outermost element has ended.
    is_closed: bool,
    /// What short names stand for. Programs do not give one name two meanings in one file.
    names: BTreeMap<String, String>,
}

impl Drawing {
    fn start(&mut self, tag: &BytesStart<'_>, raw: &str) -> Option<()> {
        if self.is_closed {
            return None;
        }
        self.depth += 1;
        if self.dropped.is_some() {
            return Some(());
        }
        let mut attributes = Vec::new();
        let mut of_itself = None;
        // The check for two of one name takes time by the square; a browser makes it anyway.
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.ok()?;
            let key = attribute.key.as_ref();
            if let Some(name) = key.strip_prefix("xmlns:") {
                self.names
                    .insert(name.to_owned(), attribute.value.clone().into_owned());
            }
            if key == "xmlns" {
                of_itself = Some(attribute.value.clone());
            }
            attributes.push(attribute);
        }
        let is_drawn = match tag.name().as_ref().split_once(':') {
            Some((name, _)) => self.means(name, &DRAWN),
            None => of_itself.is_none_or(|meaning| DRAWN.contains(&&*meaning)),
        };
        if !is_drawn || tag.name().local_name().as_ref() == "metadata" {
            self.dropped = Some(self.depth);
            return Some(());
        }
        let all = attributes.len();
        attributes.retain(|attribute| match attribute.key.as_ref().split_once(':') {
            None | Some(("xml", _)) => true,
            Some(("xmlns", name)) => self.means(name, &DRAWN) || self.means(name, &[XLINK]),
            Some((name, _)) => self.means(name, &[XLINK]),
        });
        if attributes.len() == all {
            self.kept.push_str(raw);
            return Some(());
        }
        self.kept.push('<');
        self.kept.push_str(tag.name().as_ref());
        for attribute in attributes {
            let quote = if attribute.value.contains('"') {
                '\''
            } else {
                '"'
            };
            let (key, value) = (attribute.key.as_ref(), &attribute.value);
            self.kept.push_str(&format!(" {key}={quote}{value}{quote}"));
        }
        self.kept
            .push_str(if raw.ends_with("/>") { "/>" } else { ">" });
        Some(())
    }

    fn end(&mut self, raw: &str) -> Option<()> {
        if self.dropped.is_none() {
            self.kept.push_str(raw);
        }
        if self.dropped == Some(self.depth) {
            self.dropped = None;
        }
        self.depth = self.depth.checked_sub(1)?;
        self.is_closed = self.depth == 0;
        Some(())
    }

    fn push(&mut self, raw: &str) {
        if self.dropped.is_none() && self.depth > 0 {
            self.kept.push_str(raw);
        }
    }

    /// Whether a short name stands for one of these.
    fn means(&self, name: &str, meanings: &[&str]) -> bool {
        match self.names.get(name) {
            Some(meaning) => meanings.contains(&meaning.as_str()),
            // Undeclared, it is what everybody calls it.
            None => matches!(name, "svg" | "xlink"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(drawing: &str, expected: Option<&str>) {
        let kept = svg(drawing.as_bytes()).map(|kept| String::from_utf8(kept).expect("a text"));
        assert_eq!(kept.as_deref(), expected, "{drawing}");
        if let Some(kept) = kept {
            assert_eq!(svg(kept.as_bytes()), Some(kept.clone().into_bytes()));
        }
    }

    #[test]
    fn a_drawing_loses_what_programs_noted() {
        check(
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- secret -->\n<?app secret?><!DOCTYPE svg PUBLIC \"secret\" \"x\">\
             <svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:l=\"http://www.w3.org/1999/xlink\"\
             \n xmlns:ink=\"http://www.inkscape.org/namespaces/inkscape\" ink:export-filename='/home/secret/a.png' a='\"'>\
             <metadata><rdf:RDF>secret</rdf:RDF></metadata><ink:view a=\"secret\"/>\
             <RDF xmlns=\"secret\"><g/></RDF><!--secret-->\
             <use l:href='#a'/><text  x='1'>a &amp; b<![CDATA[<c>]]></text></svg><!-- secret -->secret",
            Some(
                "<?xml version=\"1.0\"?>\
                 <svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:l=\"http://www.w3.org/1999/xlink\" a='\"'>\
                 <use l:href='#a'/><text  x='1'>a &amp; b<![CDATA[<c>]]></text></svg>",
            ),
        );
        let plain = "<svg>\n <svg:g xlink:href=\"#a\" xml:space='preserve'/>\n</svg>";
        check(plain, Some(plain));
    }

    #[test]
    fn a_drawing_that_no_browser_reads_is_refused() {
        for broken in [
            "<svg>",
            "<svg></g>",
            "<svg a></svg>",
            "<svg>&",
            "<svg/><svg/>",
            "</svg>",
            "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>",
            "",
        ] {
            check(broken, None);
        }
    }
}
