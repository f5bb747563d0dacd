//! Pictures and the like that go along with a text: found, read, rid of what they tell about their
//! maker, and named in the body by their hash (SPEC entry 3.13).

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use pulldown_cmark::{Event, LinkType, Parser, Tag, TagEnd};
use spokes_log::{
    draft::{Article, MEDIUM_BYTES_MAX, Medium},
    name::{Hash, MediaType},
};

use crate::author::{body, import::Found, matter, strip};

/// How far above a file the folder `media` of an export is looked for: a slug has 8 segments.
const EXPORT_DEPTH: usize = 9;

/// A body with its media.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered {
    /// The body, media written as `/media/sha256-HEX`.
    pub(crate) body: String,
    /// What it lists, in the order of its first use.
    pub(crate) media: Vec<Medium>,
    /// The bytes of those that lie here.
    pub(crate) blobs: Vec<(Hash, Vec<u8>)>,
    /// What could not be taken along.
    pub(crate) notes: Vec<String>,
    /// How many pictures on other servers could not be had.
    pub(crate) far_lost: usize,
    /// How many beside the text are not there.
    pub(crate) missed: usize,
}

/// Where a body may take media from.
pub(crate) struct Around<'a> {
    /// The Markdown file.
    pub(crate) file: &'a Path,
    /// The tree that the author gave: nothing outside it is read.
    pub(crate) tree: &'a Path,
    /// Media that the blog lists already, by hash.
    pub(crate) known: &'a dyn Fn(Hash) -> Option<Medium>,
    /// Whether a picture that is not there is only noted.
    pub(crate) lenient: bool,
    /// Media that the text names by address, as far as they were looked for.
    pub(crate) far: &'a Found,
}

/// One place in a body that names something.
pub(crate) struct Mention {
    /// Where the name stands.
    pub(crate) at: Range<usize>,
    /// The name, unescaped.
    pub(crate) name: String,
    alt: Option<String>,
    /// A plain link, which may well lead somewhere else.
    pub(crate) is_link: bool,
}

/// Takes a body's local media along.
///
/// # Errors
/// Names a medium that is not there, not readable, or over a limit.
pub(crate) fn gather(text: &str, around: &Around<'_>) -> Result<Gathered, String> {
    let mut gathered = Gathered::default();
    let mut end = 0;
    for mention in mentions(text) {
        let Some(medium) = gathered.take(&mention, around)? else {
            continue;
        };
        gathered.body.push_str(&text[end..mention.at.start]);
        gathered.body.push_str(&format!("/media/{}", medium.path()));
        end = mention.at.end;
    }
    gathered.body.push_str(&text[end..]);
    gathered.note_far(around);
    Ok(gathered)
}

impl Gathered {
    /// Whether an article has pictures that could not be had again: the old site may be gone by now,
    /// and what was brought from it in time stays.
    pub(crate) fn lacks_of(&self, article: &Article) -> bool {
        self.far_lost > 0 && self.media.len() < article.media.len()
    }

    /// Lists the medium that a mention leads to; none when it leads elsewhere.
    fn take(&mut self, mention: &Mention, around: &Around<'_>) -> Result<Option<Hash>, String> {
        let alt = mention
            .alt
            .as_deref()
            .map(matter::one_line)
            .filter(|alt| !alt.is_empty());
        let (medium, bytes) = match mention.name.strip_prefix("/media/") {
            Some(name) => match Hash::parse_path(name) {
                Some(hash) => match published(hash, around) {
                    Some(found) => found,
                    None => return self.miss(mention, around),
                },
                None => return Ok(None),
            },
            None if around.far.contains_key(&mention.name) => match &around.far[&mention.name] {
                Ok(found) => found.clone(),
                Err(_) => return Ok(None),
            },
            None if !is_relative(&mention.name) => return Ok(None),
            None => match local(&mention.name, around) {
                Some(path) => match read(&path, &mention.name) {
                    Ok((medium, bytes)) => (medium, Some(bytes)),
                    Err(_) if mention.is_link => return Ok(None),
                    Err(why) => return Err(why),
                },
                None => return self.miss(mention, around),
            },
        };
        let hash = medium.hash;
        if !self.media.contains(&medium) {
            let alt = alt.or(medium.alt.clone());
            let left = bytes
                .as_deref()
                .and_then(|bytes| strip::left_in(medium.kind.as_str(), bytes));
            self.notes.extend(left.map(|left| {
                format!(
                    "{} {left}: nothing takes that out yet; look through it yourself",
                    mention.name
                )
            }));
            self.media.push(Medium { alt, ..medium });
            self.blobs.extend(bytes.map(|bytes| (hash, bytes)));
        }
        Ok(Some(hash))
    }

    /// One note for all that lies elsewhere: a text may name hundreds of pictures.
    fn note_far(&mut self, around: &Around<'_>) {
        let lost: Vec<_> = around
            .far
            .iter()
            .filter_map(|(name, got)| Some((name, got.as_ref().err()?)))
            .collect();
        self.far_lost = lost.len();
        if let Some((first, why)) = lost.first() {
            let more = match lost.len() {
                1 => String::new(),
                count => format!(", and so for {} more", count - 1),
            };
            self.notes
                .push(format!("its picture {first} stays a link: {why}{more}"));
        }
    }

    fn miss(&mut self, mention: &Mention, around: &Around<'_>) -> Result<Option<Hash>, String> {
        if mention.is_link {
            return Ok(None);
        }
        let why = format!(
            "its picture \"{}\" is not there, or not below {}",
            mention.name,
            around.tree.display()
        );
        if !around.lenient {
            return Err(format!("{why}; nothing of this file was sent"));
        }
        self.notes.push(why);
        self.missed += 1;
        Ok(None)
    }
}

/// A medium that an export, or the blog itself, knows by its hash.
fn published(hash: Hash, around: &Around<'_>) -> Option<(Medium, Option<Vec<u8>>)> {
    let known = (around.known)(hash);
    let folders = around.file.ancestors().skip(1).take(EXPORT_DEPTH);
    for folder in folders {
        let Ok(files) = fs::read_dir(folder.join("media")) else {
            continue;
        };
        let mut files = files.flatten().map(|file| file.path());
        let stem = hash.path();
        let Some(path) = files.find(|p| p.file_stem().is_some_and(|s| s == stem.as_str())) else {
            continue;
        };
        // Nobody else's file has this hash, so it may lie outside the tree.
        let bytes = fs::read(path).ok().filter(|bytes| Hash::of(bytes) == hash);
        if let Some((kind, bytes)) = bytes.and_then(|bytes| Some((sniff(&bytes)?, bytes))) {
            let medium = known.unwrap_or(Medium {
                hash,
                bytes: bytes.len() as u64,
                kind,
                alt: None,
            });
            return Some((medium, Some(bytes)));
        }
    }
    known.map(|medium| (medium, None))
}

/// Whether a name is a path beside the file, not an address.
fn is_relative(name: &str) -> bool {
    let scheme = name.split_once(':').is_some_and(|(scheme, _)| {
        scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+')
    });
    !(name.is_empty() || scheme || name.starts_with(['/', '#', '?', '\\']))
}

/// The file that a relative name leads to, inside the tree whatever links and dots it takes.
fn local(name: &str, around: &Around<'_>) -> Option<PathBuf> {
    let folder = around.file.parent().unwrap_or(Path::new("."));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let tree = fs::canonicalize(around.tree).ok()?;
    let bare = name.split(['?', '#']).next().unwrap_or_default();
    let spellings = [name.to_owned(), decoded(name), decoded(bare)];
    spellings
        .iter()
        .filter_map(|name| fs::canonicalize(folder.join(name)).ok())
        .find(|path| path.starts_with(&tree) && path.is_file())
}

/// Reads a medium, without what it tells about its making.
pub(crate) fn read(path: &Path, name: &str) -> Result<(Medium, Vec<u8>), String> {
    let size = fs::metadata(path)
        .map_err(|why| format!("{name}: {why}"))?
        .len();
    if size > MEDIUM_BYTES_MAX {
        return Err(format!(
            "{name} has {size} bytes, the limit is {MEDIUM_BYTES_MAX}; make it smaller"
        ));
    }
    prepared(
        fs::read(path).map_err(|why| format!("{name}: {why}"))?,
        name,
    )
}

/// Bytes as a medium, without what they tell about their making.
pub(crate) fn prepared(bytes: Vec<u8>, name: &str) -> Result<(Medium, Vec<u8>), String> {
    if bytes.is_empty() {
        return Err(format!("{name} is empty"));
    }
    let kind = sniff(&bytes).ok_or_else(|| {
        format!(
            "{name} is none of the kinds that a blog carries: PNG, JPEG, GIF, WebP, AVIF, SVG, \
             MP3, MP4, Ogg, WebM, PDF"
        )
    })?;
    let way = match kind.as_str() {
        "image/avif" => "save it as JPEG or PNG",
        _ => "save it anew",
    };
    let bytes = strip::stripped(kind.as_str(), bytes).ok_or_else(|| {
        format!("{name} is damaged, so that what the camera noted in it cannot be removed; {way}")
    })?;
    let medium = Medium {
        hash: Hash::of(&bytes),
        bytes: bytes.len() as u64,
        kind,
        alt: None,
    };
    Ok((medium, bytes))
}

/// What bytes are, whatever their file is called.
pub(crate) fn sniff(bytes: &[u8]) -> Option<MediaType> {
    let has = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(magic));
    let early = &bytes[..bytes.len().min(1024)];
    let holds = |word: &[u8]| early.windows(word.len()).any(|window| window == word);
    let kind = if has(0, b"\x89PNG\r\n\x1a\n") {
        "image/png"
    } else if has(0, b"\xFF\xD8\xFF") {
        "image/jpeg"
    } else if has(0, b"GIF87a") || has(0, b"GIF89a") {
        "image/gif"
    } else if has(0, b"RIFF") && has(8, b"WEBP") {
        "image/webp"
    } else if has(4, b"ftyp") {
        match bytes.get(8..12)? {
            b"avif" | b"avis" => "image/avif",
            b"M4A " | b"M4B " => "audio/mp4",
            // What browsers cannot show: pictures of telephones, films of old Macs.
            b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1" | b"qt  " => return None,
            _ => "video/mp4",
        }
    } else if has(0, b"OggS") {
        if holds(b"theora") {
            "video/ogg"
        } else {
            "audio/ogg"
        }
    } else if has(0, b"\x1A\x45\xDF\xA3") && holds(b"webm") {
        "video/webm"
    } else if has(0, b"ID3") || has(0, b"\xFF\xFB") || has(0, b"\xFF\xF3") || has(0, b"\xFF\xF2") {
        "audio/mpeg"
    } else if has(0, b"%PDF-") {
        "application/pdf"
    } else if is_svg(bytes) {
        "image/svg+xml"
    } else {
        return None;
    };
    MediaType::parse(kind).ok()
}

/// The ending that a file of this type gets in an export.
pub(crate) fn ending(kind: &MediaType) -> &'static str {
    match kind.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/avif" => "avif",
        "image/svg+xml" => "svg",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "video/mp4" => "mp4",
        "audio/ogg" => "ogg",
        "video/ogg" => "ogv",
        "video/webm" => "webm",
        "application/pdf" => "pdf",
        _ => "bin",
    }
}

/// Whether the first element of a text is `svg`.
fn is_svg(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    for (begins, ends) in [
        ("<?", "?>"),
        ("<!--", "-->"),
        ("<!DOCTYPE", ">"),
        ("<!--", "-->"),
    ] {
        while rest.starts_with(begins) {
            let Some((_, behind)) = rest.split_once(ends) else {
                return false;
            };
            rest = behind.trim_start();
        }
    }
    rest.strip_prefix("<svg")
        .is_some_and(|rest| rest.starts_with([' ', '>', '\n', '\r', '\t', '/']))
}

/// Every place of a body outside code that names a picture, a film or a link, in order.
pub(crate) fn mentions(text: &str) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    // By open picture, the mention that its words describe.
    let mut pictures: Vec<Option<usize>> = Vec::new();
    let parser = Parser::new_ext(text, body::options());
    let definitions: Vec<(String, Range<usize>)> = parser
        .reference_definitions()
        .iter()
        .map(|(_, definition)| (definition.dest.to_string(), definition.span.clone()))
        .collect();
    let place = |range: &Range<usize>, link_type: LinkType, name: &str| match link_type {
        LinkType::Inline => inline_at(text, range, name),
        LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut => definitions
            .iter()
            .find(|(dest, _)| dest == name)
            .and_then(|(_, span)| definition_at(text, span, name)),
        _ => None,
    };
    for (event, range) in parser.into_offset_iter() {
        let mut words = None;
        match event {
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                ..
            }) => {
                let at = place(&range, link_type, &dest_url);
                pictures.push(at.is_some().then_some(found.len()));
                found.extend(at.map(|at| Mention::new(at, &dest_url, false)));
            }
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                ..
            }) => {
                let at = place(&range, link_type, &dest_url);
                found.extend(at.map(|at| Mention::new(at, &dest_url, true)));
            }
            Event::End(TagEnd::Image) => {
                pictures.pop();
            }
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                found.extend(html_mentions(text, &range));
            }
            Event::Text(text) | Event::Code(text) => words = Some(text),
            Event::SoftBreak | Event::HardBreak => words = Some(" ".into()),
            _ => {}
        }
        for index in pictures.iter().flatten() {
            found[*index]
                .alt
                .get_or_insert_default()
                .push_str(words.as_deref().unwrap_or(""));
        }
    }
    found.sort_by_key(|mention| (mention.at.start, mention.is_link));
    found.dedup_by(|later, earlier| later.at.start < earlier.at.end);
    found
}

impl Mention {
    fn new(at: Range<usize>, name: &str, is_link: bool) -> Self {
        Self {
            at,
            name: name.to_owned(),
            alt: None,
            is_link,
        }
    }
}

/// Where an inline link or picture names its destination.
fn inline_at(text: &str, range: &Range<usize>, name: &str) -> Option<Range<usize>> {
    let whole = text.get(range.clone())?;
    // From the end: what stands between the brackets may hold others.
    whole
        .rmatch_indices("](")
        .find_map(|(at, _)| destination(text, range.start + at + 2, range.end, name))
}

/// Where a definition such as `[pic]: pic.png` names its destination.
fn definition_at(text: &str, span: &Range<usize>, name: &str) -> Option<Range<usize>> {
    let at = text.get(span.clone())?.find("]:")?;
    destination(text, span.start + at + 2, span.end, name)
}

/// The destination that begins at `from`, if it is this one (`CommonMark` section 6.3).
fn destination(text: &str, from: usize, end: usize, name: &str) -> Option<Range<usize>> {
    let rest = text.get(from..end)?;
    let start = from + (rest.len() - rest.trim_start().len());
    let rest = text.get(start..end)?;
    let (start, raw) = match rest.strip_prefix('<') {
        Some(rest) => (start + 1, rest.split('>').next()?),
        None => (start, bare_destination(rest)),
    };
    let plain = unescaped(raw);
    // Entities other than this one are known to the parser alone; up to the first it must be the same.
    let until = plain.find('&').filter(|_| plain.contains(';'));
    let begins = until.is_some_and(|until| name.starts_with(&plain[..until]) && until > 0);
    let same = plain == name || begins || plain.replace("&amp;", "&") == name;
    same.then_some(start..start + raw.len())
}

fn bare_destination(rest: &str) -> &str {
    let (mut depth, mut escaped) = (0_u32, false);
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' if depth == 0 => return &rest[..at],
            ')' => depth -= 1,
            _ if c.is_whitespace() => return &rest[..at],
            _ => {}
        }
    }
    rest
}

fn unescaped(raw: &str) -> String {
    let mut plain = String::new();
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => {
                plain.extend(chars.next());
            }
            _ => plain.push(c),
        }
    }
    plain
}

/// The sources that tags of raw HTML name.
fn html_mentions(text: &str, range: &Range<usize>) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut at = range.start;
    while let Some(open) = text[at..range.end].find('<') {
        at += open + 1;
        let rest = &text[at..range.end];
        let length = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let named: &[&str] = match rest[..length].to_ascii_lowercase().as_str() {
            "img" | "audio" | "source" => &["src"],
            "video" => &["src", "poster"],
            "a" => &["href"],
            _ => continue,
        };
        let attributes = attributes(text, at + length, range.end);
        let alt = attributes.iter().find(|(name, _)| name == "alt");
        let alt = alt.map(|(_, value)| entities(&text[value.clone()]));
        for (_, value) in attributes
            .iter()
            .filter(|(name, _)| named.contains(&name.as_str()))
        {
            let name = entities(&text[value.clone()]);
            let mut mention = Mention::new(value.clone(), &name, named == ["href"]);
            mention.alt.clone_from(&alt);
            found.push(mention);
        }
    }
    found
}

/// Names in lower case and places of values of the attributes of one tag, from behind its name.
fn attributes(text: &str, mut at: usize, end: usize) -> Vec<(String, Range<usize>)> {
    let mut attributes = Vec::new();
    loop {
        let rest = &text[at..end];
        let Some(begin) = rest.find(|c: char| !c.is_whitespace() && c != '/') else {
            return attributes;
        };
        at += begin;
        let rest = &text[at..end];
        let length = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'))
            .unwrap_or(rest.len());
        if rest.starts_with('>') || length == 0 {
            return attributes;
        }
        let name = rest[..length].to_ascii_lowercase();
        at += length;
        let Some(value) = text[at..end].trim_start().strip_prefix('=') else {
            continue;
        };
        let value = value.trim_start();
        let start = end - value.len();
        let range = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let Some(length) = value[1..].find(quote) else {
                    return attributes;
                };
                at = start + length + 2;
                start + 1..start + 1 + length
            }
            _ => {
                let length = value.find(|c: char| c.is_whitespace() || c == '>');
                at = start + length.unwrap_or(value.len());
                start..at
            }
        };
        attributes.push((name, range));
    }
}

fn entities(value: &str) -> String {
    value
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// `%20` and the like as bytes again (RFC 3986 section 2.1).
pub(crate) fn decoded(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::author::strip::tests::photo;

    const GIF: &[u8] = b"GIF89a a smal;";

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let posts = dir.path().join("posts");
        fs::create_dir(&posts).expect("a folder");
        for (path, bytes) in [
            ("posts/pic.gif", GIF),
            ("posts/my pic.gif", b"GIF89a anothe;"),
            ("posts/a(1).gif", b"GIF89a third.;"),
            ("posts/photo.jpg", &photo(6)),
            ("posts/notes.tiff", b"II*\0"),
            ("up.gif", b"GIF89a above.;"),
        ] {
            fs::write(dir.path().join(path), bytes).expect("written");
        }
        dir
    }

    fn gather_in(dir: &Path, text: &str, tree: &Path) -> Result<Gathered, String> {
        let around = Around {
            file: &dir.join("posts/x.md"),
            tree,
            known: &|_| None,
            lenient: false,
            far: &Found::new(),
        };
        gather(text, &around)
    }

    /// Names of hashes are shown as the beginning of the bytes behind them.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let dir = tree();
        let gathered = gather_in(dir.path(), text, &dir.path().join("posts")).expect(text);
        let mut shown = gathered.body.clone();
        for (hash, bytes) in &gathered.blobs {
            let label = String::from_utf8_lossy(&bytes[7..bytes.len().min(12)]).into_owned();
            shown = shown.replace(&hash.path(), label.trim());
        }
        let alts: Vec<_> = gathered
            .media
            .iter()
            .map(|m| m.alt.as_deref().unwrap_or("-"))
            .collect();
        assert_eq!(format!("{shown} | {}", alts.join(",")), expected, "{text}");
    }

    #[test]
    fn mentions_are_rewritten() {
        check("no media", "no media | ");
        check(
            "![A small one](pic.gif)",
            "![A small one](/media/a sma) | A small one",
        );
        check("![](pic.gif 'title')", "![](/media/a sma 'title') | -");
        check("![x](<my pic.gif>)", "![x](</media/anoth>) | x");
        check("![x](my%20pic.gif)", "![x](/media/anoth) | x");
        check(
            "![x](a(1).gif) ![y](a\\(1\\).gif)",
            "![x](/media/third) ![y](/media/third) | x",
        );
        check(
            "![a *b* `c`](./pic.gif)",
            "![a *b* `c`](/media/a sma) | a b c",
        );
        check(
            "![x][p]\n\n[p]: pic.gif",
            "![x][p]\n\n[p]: /media/a sma | x",
        );
        check(
            "[![t](pic.gif)](my%20pic.gif)",
            "[![t](/media/a sma)](/media/anoth) | t,-",
        );
        check(
            "[text](other.md) [none](none.gif)",
            "[text](other.md) [none](none.gif) | ",
        );
        check(
            "![far](https://x.org/pic.gif) ![root](/pic.gif)",
            "![far](https://x.org/pic.gif) ![root](/pic.gif) | ",
        );
        check(
            "`![x](pic.gif)`\n\n    ![x](pic.gif)",
            "`![x](pic.gif)`\n\n    ![x](pic.gif) | ",
        );
        check(
            "```\n<img src=\"pic.gif\">\n```",
            "```\n<img src=\"pic.gif\">\n``` | ",
        );
        check(
            "<img alt='Say \"hi\" &amp; go' src=\"pic.gif\">",
            "<img alt='Say \"hi\" &amp; go' src=\"/media/a sma\"> | Say \"hi\" & go",
        );
        check(
            "in <img src=pic.gif> line",
            "in <img src=/media/a sma> line | -",
        );
        check(
            "<video poster=\"pic.gif\"\n  src=\"my pic.gif\"></video>",
            "<video poster=\"/media/a sma\"\n  src=\"/media/anoth\"></video> | -,-",
        );
    }

    #[test]
    fn what_cannot_go_along_is_named() {
        let dir = tree();
        let posts = dir.path().join("posts");
        for (text, word) in [
            ("![x](missing.gif)", "missing.gif"),
            ("![x](../up.gif)", "not below"),
            ("![x](../../../../etc/hostname)", "not below"),
            ("![x](notes.tiff)", "none of the kinds"),
        ] {
            let why = gather_in(dir.path(), text, &posts).expect_err(text);
            assert!(why.contains(word), "{why}");
        }
        let above = gather_in(dir.path(), "![x](../up.gif)", dir.path()).expect("in the tree");
        assert_eq!(above.media.len(), 1);
        std::os::unix::fs::symlink("/etc/hostname", posts.join("link.gif")).expect("linked");
        assert!(
            gather_in(dir.path(), "![x](link.gif)", &posts).is_err(),
            "links lead out too"
        );
    }

    #[test]
    fn photos_are_stripped_before_they_are_hashed() {
        let dir = tree();
        let text = "![Us](photo.jpg)";
        let gathered = gather_in(dir.path(), text, dir.path()).expect("gathered");
        let (hash, bytes) = &gathered.blobs[0];
        assert_eq!(*hash, Hash::of(bytes));
        assert!(!bytes.windows(6).any(|w| w == b"secret"));
        assert_eq!(gathered.media[0].bytes, bytes.len() as u64);
    }

    #[test]
    fn an_export_is_read_back() {
        let dir = tree();
        let hash = Hash::of(GIF);
        let text = format!("![x](/media/{})", hash.path());
        assert!(
            gather_in(dir.path(), &text, dir.path()).is_err(),
            "nobody has it"
        );
        fs::create_dir(dir.path().join("media")).expect("a folder");
        let file = dir
            .path()
            .join("media")
            .join(format!("{}.gif", hash.path()));
        fs::write(&file, GIF).expect("written");
        let gathered = gather_in(dir.path(), &text, &dir.path().join("posts")).expect("found");
        assert_eq!((gathered.body, gathered.media.len()), (text, 1));
    }

    #[test]
    fn kinds_are_told_by_their_bytes() {
        for (bytes, kind) in [
            (b"\0\0\0\x20ftypavif".as_slice(), Some("image/avif")),
            (b"\0\0\0\x20ftypisom", Some("video/mp4")),
            (b"\0\0\0\x20ftypheic", None),
            (b"%PDF-1.7", Some("application/pdf")),
            (
                b"<?xml version='1.0'?>\n<!-- c -->\n<svg xmlns='x'>",
                Some("image/svg+xml"),
            ),
            (b"<html><svg>", None),
            (b"<svgx>", None),
            (b"", None),
        ] {
            assert_eq!(sniff(bytes).as_ref().map(MediaType::as_str), kind);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([a-z]|!|\\[|\\]|\\(|\\)|<|>|img src=|\"| |\n|\\\\|é){0,40}") {
            let dir = tempfile::tempdir().expect("a folder");
            gather_in(dir.path(), &text, dir.path()).ok();
        }
    }
}
