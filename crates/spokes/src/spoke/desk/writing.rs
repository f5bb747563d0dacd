//! Writing: drafts, pictures, previews.

use std::sync::Arc;

use http::StatusCode;
use spokes_log::{
    blog::{Found, Post},
    draft::{BODY_BYTES_MAX, Draft, MEDIUM_BYTES_MAX, Medium},
    entry::Entry,
    name::{BlogId, EntryId, Hash, Language, MediaType, Salt},
    time::Time,
};

use super::{Author, Spoke, attachment, page, see_other};
use crate::{
    author::media,
    config::random_bytes,
    desk::{
        Fields, Picture,
        compose::{self, Known, Trouble},
        form::Form,
    },
    render,
    web::{
        desk::{self, DESK, PICTURE_KINDS, WriteView, file_name},
        message::Message,
    },
};

/// Pictures of one draft: as many media as an article may list.
const PICTURES_MAX: usize = 200;
/// Characters of a description: three times what reading programs like to read out.
const ALT_CHARS_MAX: usize = 500;

/// What was typed into the form in which one writes.
pub(super) fn typed(form: &Form) -> Fields {
    let mut pictures = Vec::new();
    for at in 0..PICTURES_MAX {
        let hash = form.word(&format!("picture-{at}"));
        if hash.is_empty() {
            break;
        }
        pictures.push(Picture {
            hash,
            alt: alt(&form.text(&format!("alt-{at}"))),
            ..Picture::default()
        });
    }
    Fields {
        blog: form.word("blog"),
        is_page: form.word("page") == "yes",
        title: form.text("title"),
        slug: form.word("slug"),
        tags: form.text("tags"),
        language: form.word("language"),
        date: form.word("date"),
        body: form.text("body"),
        pictures,
        alt: alt(&form.text("alt")),
        replaces: form.word("replaces"),
        ..Fields::default()
    }
}

impl Spoke {
    /// The form in which one writes: a draft, a published article, or nothing yet.
    pub(super) async fn write_page(self: &Arc<Self>, author: &Author<'_>) -> super::Response {
        let visit = author.visit;
        let id = visit.ask("draft");
        let (id, fields) = match (id, visit.ask("edit")) {
            ("", "") => (None, self.new_fields(author)),
            ("", article) => match self.fields_of(author, article).await {
                Some(fields) => (None, fields),
                None => {
                    let message = visit.message(404, |s| &s.no_such_article, &[]);
                    return self.notice(visit, message, None);
                }
            },
            (id, _) => match self.draft(author, id) {
                Ok(fields) => (Some(id.to_owned()), fields),
                Err(message) => return self.notice(visit, message, None),
            },
        };
        let mut frame = self.frame(visit);
        let words = frame.words();
        frame.done = match visit.ask("said") {
            "kept" => Some(words.kept),
            "picture" => Some(words.kept_picture),
            _ => None,
        };
        let preview = match visit.ask("preview") {
            "1" => Some(self.preview(author, &fields).await),
            _ => None,
        };
        let view = WriteView {
            preview,
            ..self.write_view(author, id, &fields)
        };
        page(StatusCode::OK, desk::write(&frame, &view))
    }

    fn new_fields(&self, author: &Author<'_>) -> Fields {
        let first = author
            .blogs
            .iter()
            .find(|(_, record)| record.set.has(&self.me));
        let asked = author.visit.ask("blog");
        let blog = author.blog(asked).or(first);
        Fields {
            blog: blog
                .map(|(_, record)| record.name.to_string())
                .unwrap_or_default(),
            ..Fields::default()
        }
    }

    /// The fields of a published article, to be edited.
    async fn fields_of(self: &Arc<Self>, author: &Author<'_>, article: &str) -> Option<Fields> {
        let (blog, record) = author.blog(author.visit.ask("blog"))?;
        let id = Hash::parse_path(article)?;
        let post = self
            .with(*blog, |r| r.fold().article_of(id).cloned())
            .flatten()?;
        let sealed = self.sound_entry(*blog, post.current()).await?;
        let article = &post.article;
        let tags: Vec<String> = article.tags.0.iter().map(ToString::to_string).collect();
        let picture = |medium: &Medium| Picture {
            hash: medium.hash.to_string(),
            bytes: medium.bytes,
            kind: medium.kind.to_string(),
            alt: medium.alt.clone().unwrap_or_default(),
        };
        Some(Fields {
            blog: record.name.to_string(),
            is_page: post.is_page,
            title: article.title.clone().unwrap_or_default(),
            slug: article.slug.to_string(),
            tags: tags.join(", "),
            language: article
                .language
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            date: article
                .date
                .to_string()
                .get(..10)
                .unwrap_or_default()
                .to_owned(),
            body: sealed.entry().draft()?.body.clone(),
            pictures: article.media.iter().map(picture).collect(),
            replaces: post.current().to_string(),
            ..Fields::default()
        })
    }

    pub(super) fn draft(&self, author: &Author<'_>, id: &str) -> Result<Fields, Message> {
        let key = &author.session.fingerprint;
        match tokio::task::block_in_place(|| self.desk.draft(key, id)) {
            Ok(Some(draft)) => Ok(draft.fields),
            Ok(None) => Err(author.visit.message(404, |s| &s.no_such_draft, &[])),
            Err(outage) => Err(author.visit.failed(&outage)),
        }
    }

    pub(super) fn write_view<'a>(
        self: &Arc<Self>,
        author: &Author<'_>,
        id: Option<String>,
        fields: &'a Fields,
    ) -> WriteView<'a> {
        let blogs = author.blogs.iter().map(|(blog, record)| {
            let title = self.with(*blog, |r| r.fold().title().to_owned());
            let name = record.name.to_string();
            (
                name.clone(),
                title.filter(|title| !title.is_empty()).unwrap_or(name),
            )
        });
        WriteView {
            id,
            fields,
            blogs: blogs.collect(),
            preview: None,
            to_sign: None,
            answer: String::new(),
        }
    }

    async fn preview(self: &Arc<Self>, author: &Author<'_>, fields: &Fields) -> (String, String) {
        let body = fields.body.clone();
        let rendered = self
            .renders
            .apart(move || render::article(&body, &render::Links::here()));
        let html = rendered.await.unwrap_or_default();
        let of_blog = author
            .blog(&fields.blog)
            .and_then(|(blog, _)| self.with(*blog, |r| r.fold().language().to_string()));
        let typed = Language::parse(&fields.language)
            .ok()
            .map(|l| l.to_string());
        (html, typed.or(of_blog).unwrap_or_default())
    }

    /// The form again, as it was typed, with what is wrong.
    pub(super) fn write_again(
        self: &Arc<Self>,
        author: &Author<'_>,
        form: &Form,
        fields: &Fields,
        message: Message,
    ) -> super::Response {
        let id = form.word("draft");
        let id = (!id.is_empty()).then_some(id);
        let (frame, status) = self.refusing(author.visit, message);
        page(
            status,
            desk::write(&frame, &self.write_view(author, id, fields)),
        )
    }

    /// Keeps what was typed, and then does what was asked for.
    pub(super) async fn keep_writing(
        self: &Arc<Self>,
        author: &Author<'_>,
        form: &Form,
    ) -> super::Response {
        let visit = author.visit;
        let mut fields = typed(form);
        let action = form.text("do");
        let brings_picture = form.file("picture").is_some();
        // Or each press of a button would leave a draft without a word.
        if form.word("draft").is_empty() && !brings_picture && fields.is_blank() {
            if action == "leave" {
                return self.sign_out(author);
            }
            let message = visit.message(422, |s| &s.nothing_typed, &[]);
            return self.write_again(author, form, &fields, message);
        }
        let id = match self.keep_typed(author, form, &mut fields) {
            Ok((id, None)) => id,
            Ok((id, Some(message))) => return self.write_refused(author, id, &fields, message),
            Err(message) => {
                // Its id may lead nowhere: then it would again.
                let is_gone = message.status == 404;
                let nowhere = Form::default();
                let form = if is_gone { &nowhere } else { form };
                return self.write_again(author, form, &fields, message);
            }
        };
        let said = if brings_picture { "picture" } else { "kept" };
        match action.as_str() {
            "preview" => see_other(&format!("{DESK}/write?draft={id}&said={said}&preview=1")),
            "sign" => self.make_text(author, &id, fields),
            "leave" => self.sign_out(author),
            _ => see_other(&format!("{DESK}/write?draft={id}&said={said}")),
        }
    }

    /// Keeps what was typed, with the picture that was chosen, whichever button was pressed: no browser
    /// shows a file that was chosen once more. Beside the draft's id it says why a picture was not taken.
    fn keep_typed(
        self: &Arc<Self>,
        author: &Author<'_>,
        form: &Form,
        fields: &mut Fields,
    ) -> Result<(String, Option<Message>), Message> {
        let (visit, key) = (author.visit, &author.session.fingerprint);
        if fields.body.len() > BODY_BYTES_MAX {
            let bytes = fields.body.len().to_string();
            let max = BODY_BYTES_MAX.to_string();
            let texts = [("bytes", &*bytes), ("max", &*max)];
            return Err(visit.message(413, |s| &s.too_long, &texts));
        }
        let id = form.word("draft");
        let id = (!id.is_empty()).then_some(id);
        let before = match &id {
            Some(id) => self.draft(author, id)?,
            None => Fields::default(),
        };
        fields.refused.clone_from(&before.refused);
        self.complete_pictures(author, fields, &before);
        let without = fields.clone();
        let refused = form.file("picture").and_then(|bytes| {
            let alt = std::mem::take(&mut fields.alt);
            let added = self.add_picture(author, fields, bytes.to_vec(), alt);
            added.err()
        });
        if refused.is_some() {
            fields.clone_from(&without);
        }
        let keep = || {
            let is_guest = author.is_guest();
            self.has_room_for_drafts()?;
            self.desk
                .keep(visit.now, key, is_guest, id.as_deref(), fields)
        };
        let kept = tokio::task::block_in_place(keep);
        kept.map(|id| (id, refused)).map_err(|why| {
            *fields = without;
            visit.not_kept(&why)
        })
    }

    /// The form of a draft that is kept, with what is wrong.
    fn write_refused(
        self: &Arc<Self>,
        author: &Author<'_>,
        id: String,
        fields: &Fields,
        message: Message,
    ) -> super::Response {
        let (mut frame, status) = self.refusing(author.visit, message);
        frame.path = Some(format!("{DESK}/write?draft={id}"));
        let view = self.write_view(author, Some(id), fields);
        page(status, desk::write(&frame, &view))
    }

    /// What is known of pictures that the form only names: nothing of it is the form's to say.
    fn complete_pictures(
        self: &Arc<Self>,
        author: &Author<'_>,
        fields: &mut Fields,
        before: &Fields,
    ) {
        let of_blog = author.blog(&fields.blog).map(|(blog, _)| *blog);
        let mut known = Vec::new();
        for picture in &fields.pictures {
            let kept = before.pictures.iter().find(|p| p.hash == picture.hash);
            let listed = || {
                let hash = Hash::parse(&picture.hash).ok()?;
                let medium = self
                    .with(of_blog?, |r| r.fold().medium(hash).cloned())
                    .flatten()?;
                Some(Picture {
                    hash: picture.hash.clone(),
                    bytes: medium.bytes,
                    kind: medium.kind.to_string(),
                    alt: medium.alt.unwrap_or_default(),
                })
            };
            let Some(kept) = kept.cloned().or_else(listed) else {
                continue;
            };
            if kept.alt != picture.alt {
                fields.body = described_anew(&fields.body, &kept, &picture.alt);
            }
            known.push(Picture {
                alt: picture.alt.clone(),
                ..kept
            });
        }
        fields.pictures = known;
    }

    fn add_picture(
        &self,
        author: &Author<'_>,
        fields: &mut Fields,
        bytes: Vec<u8>,
        alt: String,
    ) -> Result<(), Message> {
        let visit = author.visit;
        let bad = |why: &str| visit.message(422, |s| &s.bad_picture, &[("why", why)]);
        if author.is_guest() {
            return Err(visit.message(403, |s| &s.guest_picture, &[]));
        }
        if bytes.len() as u64 > MEDIUM_BYTES_MAX || fields.pictures.len() >= PICTURES_MAX {
            return Err(bad(&format!(
                "a picture has at most {} MiB, a post at most {PICTURES_MAX} of them",
                MEDIUM_BYTES_MAX >> 20
            )));
        }
        let kind = media::sniff(&bytes).map(|kind| kind.to_string());
        if !kind.is_some_and(|kind| PICTURE_KINDS.contains(&kind.as_str())) {
            return Err(bad("it is none of these kinds of pictures"));
        }
        // Before it is signed, so that what the camera noted is in nobody's log.
        let cleaned = tokio::task::block_in_place(|| media::prepared(bytes, "it"));
        let (medium, bytes) = cleaned.map_err(|why| bad(&why))?;
        let keep = || {
            self.has_room_for_drafts()?;
            self.desk
                .keep_picture(visit.now, &author.session.fingerprint, false, &bytes)
        };
        tokio::task::block_in_place(keep).map_err(|why| visit.not_kept(&why))?;
        let hash = medium.hash.to_string();
        if let Some(known) = fields
            .pictures
            .iter_mut()
            .find(|picture| picture.hash == hash)
        {
            if !alt.is_empty() {
                fields.body = described_anew(&fields.body, known, &alt);
                known.alt = alt;
            }
        } else {
            let line = mention(&alt, &hash);
            let gap = if fields.body.trim().is_empty() {
                ""
            } else {
                "\n\n"
            };
            fields.body = format!("{}{gap}{line}\n", fields.body.trim_end());
            fields.pictures.push(Picture {
                hash,
                bytes: medium.bytes,
                kind: medium.kind.to_string(),
                alt,
            });
        }
        Ok(())
    }

    pub(super) fn delete_draft(&self, author: &Author<'_>, form: &Form) -> super::Response {
        let key = &author.session.fingerprint;
        let forget = || self.desk.forget(key, &form.word("draft"));
        match tokio::task::block_in_place(forget) {
            Ok(()) => see_other(&format!("{DESK}?said=deleted")),
            Err(outage) => self.notice(author.visit, author.visit.failed(&outage), None),
        }
    }

    /// Makes the text to sign of a draft that is kept, and shows it.
    pub(super) fn make_text(
        self: &Arc<Self>,
        author: &Author<'_>,
        id: &str,
        mut fields: Fields,
    ) -> super::Response {
        let (visit, key) = (author.visit, &author.session.fingerprint);
        let kept = self.text_of(author, &fields).and_then(|text| {
            fields.text = text;
            let keep = || {
                self.desk
                    .keep(visit.now, key, author.is_guest(), Some(id), &fields)
            };
            tokio::task::block_in_place(keep).map_err(|why| visit.not_kept(&why))
        });
        match kept {
            Ok(_) => see_other(&format!("{DESK}/sign?draft={id}")),
            Err(message) => self.write_refused(author, id.to_owned(), &fields, message),
        }
    }

    /// The canonical text of a draft, behind the head of its blog.
    pub(super) fn text_of(
        self: &Arc<Self>,
        author: &Author<'_>,
        fields: &Fields,
    ) -> Result<String, Message> {
        let visit = author.visit;
        let Some((blog, record)) = author.blog(&fields.blog) else {
            return Err(visit.message(422, |s| &s.no_blog_chosen, &[]));
        };
        if !record.set.has(&self.me) {
            return Err(visit.message(421, |s| &s.not_held, &[("name", &fields.blog)]));
        }
        let replaced = Hash::parse(&fields.replaces).ok();
        let post = replaced.and_then(|id| self.article_with(*blog, id));
        if !fields.replaces.is_empty() && post.is_none() {
            return Err(visit.message(404, |s| &s.no_such_article, &[]));
        }
        let language = self.with(*blog, |r| r.fold().language());
        let language = language.ok_or_else(|| {
            visit.failed(&crate::outage::Outage::new(
                "this blog's copy cannot be read here",
            ))
        })?;
        let medium = |hash: Hash| self.own_medium(*blog, fields, hash);
        let known = Known {
            now: visit.now,
            post: post.as_ref(),
            language: &language,
            medium: &medium,
        };
        let (says, body) = compose::says(fields, &known).map_err(|why| trouble(author, &why))?;
        let draft = Draft {
            salt: Salt::from_bytes(random_bytes::<16>().map_err(|outage| visit.failed(&outage))?),
            says,
            instead_of: fields
                .refused
                .iter()
                .filter_map(|id| Hash::parse(id).ok())
                .collect(),
            extensions: Vec::new(),
            body,
        };
        self.slug_is_free(author, *blog, &draft, post.as_ref())?;
        self.placed(author, *blog, &draft)
    }

    fn article_with(self: &Arc<Self>, blog: BlogId, version: EntryId) -> Option<Post> {
        self.with(blog, |r| r.fold().article_of(version).cloned())
            .flatten()
    }

    fn own_medium(self: &Arc<Self>, blog: BlogId, fields: &Fields, hash: Hash) -> Option<Medium> {
        let name = hash.to_string();
        let picture = fields.pictures.iter().find(|picture| picture.hash == name);
        match picture {
            Some(picture) => Some(Medium {
                hash,
                bytes: picture.bytes,
                kind: MediaType::parse(&picture.kind).ok()?,
                alt: (!picture.alt.is_empty()).then(|| picture.alt.clone()),
            }),
            None => self
                .with(blog, |r| r.fold().medium(hash).cloned())
                .flatten(),
        }
    }

    fn slug_is_free(
        self: &Arc<Self>,
        author: &Author<'_>,
        blog: BlogId,
        draft: &Draft,
        post: Option<&Post>,
    ) -> Result<(), Message> {
        let Some(article) = draft.article() else {
            return Ok(());
        };
        let holder = self.with(blog, |r| match r.fold().find(&article.slug) {
            Some(Found::Post(other)) => Some(other.first),
            _ => None,
        });
        match holder.flatten() {
            Some(holder) if post.is_none_or(|post| post.first != holder) => {
                let slug = [("slug", article.slug.as_str())];
                Err(author.visit.message(409, |s| &s.slug_taken, &slug))
            }
            _ => Ok(()),
        }
    }

    /// The text of an entry behind the blog's head.
    pub(super) fn placed(
        self: &Arc<Self>,
        author: &Author<'_>,
        blog: BlogId,
        draft: &Draft,
    ) -> Result<String, Message> {
        let visit = author.visit;
        let head = self
            .with(blog, |r| r.durable_tips().last().map(|tip| tip.id))
            .flatten();
        let row = head.and_then(|id| self.store.entry(id).ok().flatten());
        let parent = row.and_then(|row| row.entry());
        let Some(parent) = parent else {
            let why = crate::outage::Outage::new("this blog's copy cannot be read here");
            return Err(visit.failed(&why));
        };
        let after = parent.skeleton().signed;
        let signed: Time = visit.now.max(after);
        let authors = vec![author.session.fingerprint.clone()];
        let placed = Entry::new(
            draft,
            Some((parent.skeleton(), parent.id())),
            authors,
            signed,
        );
        let placed = placed
            .map_err(|fault| visit.message(422, |s| &s.bad_body, &[("why", &fault.to_string())]))?;
        Ok(placed.text().to_owned())
    }

    /// The text to sign as a file.
    pub(super) fn text_file(&self, author: &Author<'_>, name: &str) -> super::Response {
        match self.draft(author, name.trim_end_matches(".txt")) {
            Ok(fields) if !fields.text.is_empty() => attachment(&file_of(&fields), fields.text),
            Ok(_) => see_other(DESK),
            Err(message) => self.notice(author.visit, message, None),
        }
    }
}

/// What the text to sign of a draft is called as a file.
pub(super) fn file_of(fields: &Fields) -> String {
    let entry = Entry::parse(fields.text.as_bytes()).ok();
    let draft = entry.as_ref().and_then(Entry::draft);
    let slug = draft.and_then(|draft| Some(draft.article()?.slug.as_str()));
    file_name(&[&fields.blog, slug.unwrap_or_default()], &fields.text)
}

/// What a picture shows, in one line that is no flood.
fn alt(typed: &str) -> String {
    let line = crate::author::matter::one_line(typed);
    line.chars().take(ALT_CHARS_MAX).collect()
}

/// The words with another description of a picture, as long as they stay within their limit.
fn described_anew(body: &str, picture: &Picture, alt: &str) -> String {
    let (old, new) = (
        mention(&picture.alt, &picture.hash),
        mention(alt, &picture.hash),
    );
    let mentions = body.matches(&old).count();
    let grown = mentions.saturating_mul(new.len().saturating_sub(old.len()));
    if body.len().saturating_add(grown) > BODY_BYTES_MAX {
        return body.to_owned();
    }
    body.replace(&old, &new)
}

/// How a picture stands in the words.
fn mention(alt: &str, hash: &str) -> String {
    let mut plain = String::new();
    for letter in alt.chars() {
        if matches!(letter, '[' | ']' | '\\' | '*' | '_' | '`' | '<' | '&') {
            plain.push('\\');
        }
        plain.push(letter);
    }
    format!("![{plain}](/media/{})", hash.replacen(':', "-", 1))
}

fn trouble(author: &Author<'_>, trouble: &Trouble) -> Message {
    let visit = author.visit;
    match trouble {
        Trouble::NoTitle => visit.message(422, |s| &s.no_title, &[]),
        Trouble::NoBody => visit.message(422, |s| &s.no_body, &[]),
        Trouble::Slug(why) => visit.message(422, |s| &s.bad_slug, &[("why", why)]),
        Trouble::Tag(tag, why) => visit.message(422, |s| &s.bad_tag, &[("tag", tag), ("why", why)]),
        Trouble::Language(why) => visit.message(422, |s| &s.bad_language, &[("why", why)]),
        Trouble::Date => visit.message(422, |s| &s.bad_date, &[]),
        Trouble::Body(why) => visit.message(422, |s| &s.bad_body, &[("why", why)]),
    }
}
