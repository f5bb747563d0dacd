//! Taking a blog along: the same files that `spokes blog export` writes, packed.

use std::{
    io::{Cursor, Write as _},
    sync::Arc,
};

use http::StatusCode;
use spokes_log::{
    blog::Post,
    draft::Medium,
    name::{BlogId, BlogName, Hash},
};
use spokes_rules::registry::BlogRecord;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{Author, Spoke, file, page};
use crate::{
    author::{export, media},
    http::Response,
    outage::Outage,
    web::desk::{self, DownloadView},
};

/// Bytes of the texts of one file, and of the media of one: they are packed in memory.
const PACK_BYTES_MAX: u64 = 32 << 20;
/// Rows that are read at once.
const ROWS: usize = 500;

/// Files as they are packed.
struct Pack {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    bytes: u64,
}

impl Pack {
    fn new() -> Self {
        Self {
            zip: ZipWriter::new(Cursor::new(Vec::new())),
            bytes: 0,
        }
    }

    /// Adds a file as it is: what is large in a blog is compressed already.
    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Outage> {
        self.bytes += bytes.len() as u64;
        if self.bytes > PACK_BYTES_MAX {
            return Err(too_large());
        }
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let failed = |why: &dyn std::fmt::Display| Outage::new(format!("packing failed: {why}"));
        self.zip.start_file(name, options).map_err(|e| failed(&e))?;
        self.zip.write_all(bytes).map_err(|e| failed(&e))
    }

    fn finish(self) -> Result<Vec<u8>, Outage> {
        let done = self.zip.finish();
        done.map(Cursor::into_inner)
            .map_err(|e| Outage::new(format!("packing failed: {e}")))
    }
}

fn too_large() -> Outage {
    Outage::new("the texts are more than a page can pack")
}

impl Spoke {
    /// The files in which a blog can be taken along.
    pub(super) fn download_page(self: &Arc<Self>, author: &Author<'_>) -> Response {
        let visit = author.visit;
        let (blog, record) = match self.held(author, visit.ask("blog")) {
            Ok(found) => found,
            Err(message) => return self.notice(visit, message, None),
        };
        let texts = self.with(*blog, |r| r.chain().content_bytes()).unwrap_or(0);
        let name = record.name.as_str();
        let mut files = vec![(file_name(name, None), texts)];
        for (at, part) in self.parts(*blog).iter().enumerate() {
            let bytes = part.iter().map(|medium| medium.bytes).sum();
            files.push((file_name(name, Some(at + 1)), bytes));
        }
        let view = DownloadView {
            blog: name.to_owned(),
            files,
        };
        page(StatusCode::OK, desk::download(&self.frame(visit), &view))
    }

    /// A blog's media in parts that can be packed.
    fn parts(self: &Arc<Self>, blog: BlogId) -> Vec<Vec<Medium>> {
        let listed: Vec<Medium> = self
            .with(blog, |replica| {
                let fold = replica.fold();
                let media = fold.media().into_iter();
                media
                    .filter_map(|hash| fold.medium(hash).cloned())
                    .collect()
            })
            .unwrap_or_default();
        let mut parts: Vec<Vec<Medium>> = Vec::new();
        let mut room = 0;
        for medium in listed {
            if medium.bytes > room || parts.is_empty() {
                parts.push(Vec::new());
                room = PACK_BYTES_MAX;
            }
            room = room.saturating_sub(medium.bytes);
            if let Some(part) = parts.last_mut() {
                part.push(medium);
            }
        }
        parts
    }

    /// One of these files.
    pub(super) async fn download(self: &Arc<Self>, author: &Author<'_>, asked: &str) -> Response {
        let visit = author.visit;
        let stem = asked.trim_end_matches(".zip");
        let (name, part) = match stem.rsplit_once("-media-") {
            Some((name, part)) if self.held(author, name).is_ok() => (name, part.parse().ok()),
            _ => (stem, None),
        };
        let (blog, record) = match self.held(author, name) {
            Ok(found) => found,
            Err(message) => return self.notice(visit, message, None),
        };
        let _turn = self.media_relays.acquire().await;
        let packed = match part {
            Some(part) => self.packed_media(*blog, part).await,
            None => self.packed_texts(*blog, record).await,
        };
        match packed {
            Ok(bytes) => file(
                &file_name(record.name.as_str(), part),
                "application/zip",
                bytes,
            ),
            Err(outage) if outage.to_string() == too_large().to_string() => {
                self.notice(visit, visit.message(413, |s| &s.too_large, &[]), None)
            }
            Err(outage) => self.notice(visit, visit.failed(&outage), None),
        }
    }

    async fn packed_texts(
        self: &Arc<Self>,
        blog: BlogId,
        record: &BlogRecord,
    ) -> Result<Vec<u8>, Outage> {
        let mut pack = Pack::new();
        let mut position = 0;
        loop {
            let (rows, read_to, more) = self.store.of_blog(blog, position, ROWS)?;
            for row in rows {
                let Ok(id) = Hash::parse(&row.id) else {
                    continue;
                };
                // As readers get it: checked now, and mended where it was altered.
                let Some(sealed) = self.sound_entry(blog, id).await else {
                    return Err(Outage::new(format!(
                        "{id} was altered here and cannot be mended now"
                    )));
                };
                let (file, text) = export::log_file(&sealed);
                pack.add(&format!("log/{file}"), text.as_bytes())?;
            }
            position = read_to;
            if !more {
                break;
            }
        }
        let (keys, title, posts) = self.facts_to_pack(blog);
        for (fingerprint, armored) in keys {
            pack.add(&format!("keys/{fingerprint}.asc"), armored.as_bytes())?;
        }
        for post in posts {
            let sealed = self.sound_entry(blog, post.current()).await;
            let body = sealed.as_ref().and_then(|sealed| sealed.entry().draft());
            let body = body.map(|draft| draft.body.as_str()).unwrap_or_default();
            let text = export::markdown(&post, body);
            pack.add(
                &format!("markdown/{}.md", post.article.slug),
                text.as_bytes(),
            )?;
        }
        let name: &BlogName = &record.name;
        let media = media_elsewhere(name, self.parts(blog).len());
        let readme = export::readme(name, &title, blog, &media);
        pack.add("README.txt", readme.as_bytes())?;
        pack.finish()
    }

    fn facts_to_pack(self: &Arc<Self>, blog: BlogId) -> (Vec<(String, String)>, String, Vec<Post>) {
        let facts = self.with(blog, |replica| {
            let fold = replica.fold();
            let head = replica.durable_tips().last().map(|tip| tip.id);
            let ring = head.and_then(|head| replica.chain().ring(head));
            let keys = ring.into_iter().flat_map(|ring| ring.keys());
            let keys = keys.map(|(key, _, c)| (key.to_string(), format!("{}\n", c.armored())));
            let posts = fold.posts().into_iter().chain(fold.pages());
            let posts = posts.filter(|post| fold.has_slug(post)).cloned().collect();
            (keys.collect(), fold.title().to_owned(), posts)
        });
        facts.unwrap_or_default()
    }

    async fn packed_media(self: &Arc<Self>, blog: BlogId, part: usize) -> Result<Vec<u8>, Outage> {
        let mut pack = Pack::new();
        let parts = self.parts(blog);
        for medium in part
            .checked_sub(1)
            .and_then(|at| parts.get(at))
            .into_iter()
            .flatten()
        {
            let read = || tokio::task::block_in_place(|| self.blobs.get(medium.hash));
            let bytes = match read() {
                Some(bytes) => Some(bytes),
                None if self.refetch(blog, medium).await => read(),
                None => None,
            };
            let Some(bytes) = bytes else {
                return Err(Outage::new(format!(
                    "{} is nowhere to be had now",
                    medium.hash
                )));
            };
            let ending = media::ending(&medium.kind);
            pack.add(&format!("media/{}.{ending}", medium.hash.path()), &bytes)?;
        }
        pack.finish()
    }
}

/// Where the media are of a blog whose texts are in one file; empty where it has none.
fn media_elsewhere(name: &BlogName, parts: usize) -> String {
    let files: Vec<String> = (1..=parts)
        .map(|part| file_name(name.as_str(), Some(part)))
        .collect();
    match files.len() {
        0 => String::new(),
        _ => format!(
            "pictures and the like, named by the SHA-256 of their bytes; to have them here, unpack\n\
             \u{20}          into this folder: {}",
            files.join(", ")
        ),
    }
}

fn file_name(blog: &str, part: Option<usize>) -> String {
    match part {
        Some(part) => format!("{blog}-media-{part}.zip"),
        None => format!("{blog}.zip"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_says_where_its_media_are() {
        let name = BlogName::parse("maria").expect("a name");
        let readme = |parts| {
            let media = media_elsewhere(&name, parts);
            export::readme(&name, "Maria", Hash::of(b"maria"), &media)
        };
        let texts_alone = readme(0);
        assert!(!texts_alone.contains("media"), "{texts_alone}");
        assert!(texts_alone.contains("markdown/  the articles as they are read now\n\nCheck"));
        let two = readme(2);
        let files = "into this folder: maria-media-1.zip, maria-media-2.zip\n\nCheck";
        assert!(
            two.contains("media/     pictures") && two.contains(files),
            "{two}"
        );
    }
}
