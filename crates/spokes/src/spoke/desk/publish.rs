//! Publishing what was signed, and what is published: where it stands, editing, erasing, taking it all along.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use spokes_log::{
    blog::Post,
    draft::{Draft, Kind, Says},
    entry::Entry,
    name::{BlogId, BlogName, EntryId, Hash, Salt},
    seal::Pasted,
};
use spokes_rules::{registry::BlogRecord, replica::Standing};

use super::{Author, Spoke, attachment, page, refreshed, said, see_other, writing::file_of};
use crate::{
    config::random_bytes,
    desk::{Fields, form::Form},
    web::{
        desk::{self, ArticleLine, ArticlesView, DESK, EraseView, PublishedView, WriteView},
        message::Message,
        page::path,
    },
    wire::{Problem, StandingWire},
};

/// Articles of one page of the list.
const ARTICLES_SHOWN: usize = 50;
/// Seconds after which a page looks again whether a post is safe.
const LOOK_AGAIN: &str = "3";

/// What came of bringing an entry to its blog.
enum Brought {
    /// It is taken in; how far it has come its page says.
    Taken,
    /// Something else was published meanwhile.
    Stale,
    /// It was refused.
    Refused(String),
    /// Nobody could take it in.
    Unreachable(String),
}

impl Spoke {
    /// The text to sign of a draft.
    pub(super) fn sign_page(self: &Arc<Self>, author: &Author<'_>) -> super::Response {
        let id = author.visit.ask("draft").to_owned();
        match self.draft(author, &id) {
            Ok(fields) if fields.text.is_empty() => see_other(&format!("{DESK}/write?draft={id}")),
            Ok(fields) => {
                let view = self.sign_view(author, &id, &fields, String::new());
                page(
                    StatusCode::OK,
                    desk::write(&self.frame(author.visit), &view),
                )
            }
            Err(message) => self.notice(author.visit, message, None),
        }
    }

    fn sign_view<'a>(
        self: &Arc<Self>,
        author: &Author<'_>,
        id: &str,
        fields: &'a Fields,
        answer: String,
    ) -> WriteView<'a> {
        WriteView {
            to_sign: Some(file_of(fields)),
            answer,
            ..self.write_view(author, Some(id.to_owned()), fields)
        }
    }

    /// Takes a signed text and brings it to its blog.
    pub(super) async fn publish(
        self: &Arc<Self>,
        author: &Author<'_>,
        form: &Form,
    ) -> super::Response {
        let visit = author.visit;
        let (id, answer) = (form.word("draft"), form.text("answer"));
        let mut fields = match self.draft(author, &id) {
            Ok(fields) => fields,
            Err(message) => {
                let typed = Fields {
                    body: answer,
                    ..Fields::default()
                };
                return self.notice(visit, message, Some(&typed));
            }
        };
        if fields.text.is_empty() {
            let message = visit.message(409, |s| &s.draft_changed, &[]);
            return self.write_again(author, form, &fields, message);
        }
        let read = match form.held_secret() {
            true => Err(visit.message(422, |s| &s.secret_key, &[])),
            false => self.judge_article(author, &fields, &answer),
        };
        let (name, entry, block) = match read {
            Ok(read) => read,
            Err(message) => return self.sign_again(author, &id, &fields, answer, message),
        };
        let entry_id = entry.id();
        let refusal = match self.bring(author, &name, &entry, block).await {
            Brought::Taken => {
                let key = &author.session.fingerprint;
                let forget = || self.desk.forget_published(key, &id, entry.text());
                if let Err(outage) = tokio::task::block_in_place(forget) {
                    tracing::warn!(%outage, "a draft stays though it is published");
                }
                let path = entry_id.path();
                return see_other(&format!("{DESK}/published?blog={name}&entry={path}"));
            }
            Brought::Refused(why) => visit.message(422, |s| &s.refused, &[("why", &why)]),
            Brought::Unreachable(why) => visit.message(503, |s| &s.unreachable, &[("why", &why)]),
            Brought::Stale => return self.sign_anew(author, &id, &mut fields, entry_id),
        };
        self.sign_again(author, &id, &fields, answer, refusal)
    }

    fn sign_again(
        self: &Arc<Self>,
        author: &Author<'_>,
        id: &str,
        fields: &Fields,
        answer: String,
        message: Message,
    ) -> super::Response {
        let (mut frame, status) = self.refusing(author.visit, message);
        frame.path = Some(format!("{DESK}/sign?draft={id}"));
        let view = self.sign_view(author, id, fields, answer);
        page(status, desk::write(&frame, &view))
    }

    /// Makes the text anew behind the new head. A server has seen the old one: it says that it stands
    /// instead of it (SPEC entry 7.4).
    fn sign_anew(
        self: &Arc<Self>,
        author: &Author<'_>,
        id: &str,
        fields: &mut Fields,
        seen: EntryId,
    ) -> super::Response {
        let visit = author.visit;
        let seen = seen.to_string();
        if !fields.refused.contains(&seen) {
            fields.refused.push(seen);
        }
        let made = self.text_of(author, fields).and_then(|text| {
            fields.text = text;
            let key = &author.session.fingerprint;
            let keep = || {
                self.desk
                    .keep(visit.now, key, author.is_guest(), Some(id), fields)
            };
            tokio::task::block_in_place(keep).map_err(|why| visit.not_kept(&why))
        });
        match made {
            Ok(_) => {
                let message = visit.message(409, |s| &s.stale, &[]);
                self.sign_again(author, id, fields, String::new(), message)
            }
            Err(message) => {
                let (frame, status) = self.refusing(visit, message);
                let view = self.write_view(author, Some(id.to_owned()), fields);
                page(status, desk::write(&frame, &view))
            }
        }
    }

    /// What is published by a pasted block: only posts and pages, and only hers.
    fn judge_article(
        self: &Arc<Self>,
        author: &Author<'_>,
        fields: &Fields,
        answer: &str,
    ) -> Result<(BlogName, Entry, Bytes), Message> {
        let visit = author.visit;
        let why = |why: &str| visit.message(422, |s| &s.not_signed_text, &[("why", why)]);
        let pasted = Pasted::parse(answer.as_bytes()).map_err(|fault| why(&fault.to_string()))?;
        let entry = Entry::parse(pasted.text.as_bytes()).map_err(|fault| {
            visit.message(422, |s| &s.changed_text, &[("why", &fault.to_string())])
        })?;
        let kind = &entry.skeleton().kind;
        if !matches!(kind, Kind::Post | Kind::Page) {
            let kind = kind.to_string();
            return Err(visit.message(422, |s| &s.other_kind, &[("kind", &kind)]));
        }
        let hers = author.blogs.iter().find(|(blog, _)| *blog == entry.blog());
        let Some((blog, record)) = hers.filter(|(_, record)| record.name.as_str() == fields.blog)
        else {
            return Err(visit.message(422, |s| &s.other_author, &[]));
        };
        if entry.skeleton().authors != [author.session.fingerprint.clone()] {
            return Err(visit.message(422, |s| &s.other_author, &[]));
        }
        // Here, so that she hears of a bad signature in her own language and at once.
        let place = self.with(*blog, |r| r.chain().place(&entry));
        if let Some(Ok(place)) = place {
            let sealed = place.seal(entry.clone(), &pasted.signatures);
            sealed.map_err(|fault| {
                visit.message(
                    422,
                    |s| &s.bad_signature_entry,
                    &[("why", &fault.to_string())],
                )
            })?;
        }
        // Or an older file that is signed by mistake would pass for this draft, whose words then are lost.
        if entry.text() != fields.text {
            let article = entry.draft().and_then(|draft| draft.article());
            let title = article.map(|a| a.title.as_deref().unwrap_or(a.slug.as_str()));
            let file = file_of(fields);
            let texts = [("title", title.unwrap_or_default()), ("file", &file)];
            return Err(visit.message(409, |s| &s.other_article, &texts));
        }
        Ok((record.name.clone(), entry, Bytes::from(answer.to_owned())))
    }

    /// Brings an entry and its pictures to its blog, through the same door as every program.
    async fn bring(
        self: &Arc<Self>,
        author: &Author<'_>,
        name: &BlogName,
        entry: &Entry,
        block: Bytes,
    ) -> Brought {
        let article = entry.draft().and_then(|draft| draft.article());
        let media: Vec<Hash> = article
            .into_iter()
            .flat_map(|a| &a.media)
            .map(|m| m.hash)
            .collect();
        let mut refused_by = None;
        // Once as it is, once behind its pictures, once past a silent primary.
        for _ in 0..3 {
            let spoke = Arc::clone(self);
            let response = spoke
                .take_entry(name, block.clone(), false, refused_by.clone())
                .await;
            let (status, standing, body) = said::<StandingWire>(response).await;
            let staged = standing.filter(|standing| standing.status == "staged");
            let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
            match (status, staged, problem.kind.as_str()) {
                (_, Some(_), _) => {
                    if let Err(why) = self.bring_media(author, name, &media).await {
                        return Brought::Unreachable(why);
                    }
                }
                (status, None, _) if status.is_success() => return Brought::Taken,
                (_, _, "stale") => return Brought::Stale,
                (_, _, "primary-silent") if refused_by.is_none() => {
                    let primary = self.named(name).map(|(_, r)| r.set.primary().to_string());
                    refused_by = primary;
                }
                (status, ..)
                    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS =>
                {
                    return Brought::Unreachable(problem.detail);
                }
                _ => return Brought::Refused(problem.detail),
            }
        }
        Brought::Unreachable(String::new())
    }

    async fn bring_media(
        self: &Arc<Self>,
        author: &Author<'_>,
        name: &BlogName,
        media: &[Hash],
    ) -> Result<(), String> {
        for hash in media {
            let find = || self.desk.picture(&author.session.fingerprint, *hash);
            let kept = tokio::task::block_in_place(find).map_err(|outage| outage.to_string())?;
            let Some(bytes) = kept else { continue };
            let spoke = Arc::clone(self);
            let response = spoke.take_medium(name, *hash, bytes.into(), false).await;
            let (status, problem, _) = said::<Problem>(response).await;
            if !status.is_success() {
                return Err(problem.unwrap_or_default().detail);
            }
        }
        Ok(())
    }

    /// What was published, and on how many servers it is.
    pub(super) fn published_page(self: &Arc<Self>, author: &Author<'_>) -> super::Response {
        let visit = author.visit;
        let found = author
            .blog(visit.ask("blog"))
            .zip(Hash::parse_path(visit.ask("entry")));
        let Some(((blog, record), id)) = found else {
            return self.notice(visit, visit.message(404, |s| &s.no_such_article, &[]), None);
        };
        let facts = self.with(*blog, |replica| {
            let receipts = match replica.standing(id) {
                Standing::Safe(receipts) => (true, receipts),
                Standing::Accepted { receipts, .. } => (false, receipts),
                Standing::Storing | Standing::Unknown => (false, Vec::new()),
            };
            let post = replica.fold().article_of(id);
            let slug = post.map(|post| post.article.slug.to_string());
            (receipts, slug, post.map(|post| post.first.path()))
        });
        let ((is_safe, receipts), slug, article) = facts.unwrap_or_default();
        let origin = self.origin(record.name.as_str());
        let view = PublishedView {
            address: format!(
                "{origin}{}",
                slug.as_deref().map(path).unwrap_or_else(|| "/".to_owned())
            ),
            shown: format!("{origin}/{}", slug.as_deref().unwrap_or_default()),
            blog: record.name.to_string(),
            held_by: receipts
                .iter()
                .map(|receipt| receipt.held.spoke.to_string())
                .collect(),
            members: record.set.members.len(),
            is_safe,
            article,
        };
        let response = page(StatusCode::OK, desk::published(&self.frame(visit), &view));
        if is_safe {
            response
        } else {
            refreshed(response, LOOK_AGAIN)
        }
    }

    /// Her blog of the name in the query, if it is held here.
    pub(super) fn held<'a>(
        &self,
        author: &'a Author<'_>,
        name: &str,
    ) -> Result<&'a (BlogId, BlogRecord), Message> {
        let visit = author.visit;
        match author.blog(name) {
            Some(found) if found.1.set.has(&self.me) => Ok(found),
            Some(_) => Err(visit.message(421, |s| &s.not_held, &[("name", name)])),
            None => Err(visit.message(404, |s| &s.no_such_article, &[])),
        }
    }

    /// Everything that a blog has published.
    pub(super) fn articles_page(self: &Arc<Self>, author: &Author<'_>) -> super::Response {
        let visit = author.visit;
        let (blog, record) = match self.held(author, visit.ask("blog")) {
            Ok(found) => found,
            Err(message) => return self.notice(visit, message, None),
        };
        let number: usize = visit.ask("page").parse().unwrap_or(1).max(1);
        let origin = self.origin(record.name.as_str());
        let line = |post: &&Post| ArticleLine {
            id: post.first.path(),
            title: post
                .article
                .title
                .clone()
                .unwrap_or_else(|| post.article.slug.to_string()),
            date: post
                .article
                .date
                .to_string()
                .get(..10)
                .unwrap_or_default()
                .to_owned(),
            address: format!("{origin}{}", path(post.article.slug.as_str())),
        };
        let listed = self.with(*blog, |replica| {
            let fold = replica.fold();
            let all: Vec<&Post> = fold.pages().into_iter().chain(fold.posts()).collect();
            let from = (number - 1).saturating_mul(ARTICLES_SHOWN).min(all.len());
            let to = (from + ARTICLES_SHOWN).min(all.len());
            (all[from..to].iter().map(line).collect(), to < all.len())
        });
        let (articles, more) = listed.unwrap_or_default();
        let view = ArticlesView {
            blog: record.name.to_string(),
            articles,
            next: more.then_some(number + 1),
        };
        page(StatusCode::OK, desk::articles(&self.frame(visit), &view))
    }

    fn erasable(
        self: &Arc<Self>,
        author: &Author<'_>,
    ) -> Result<(BlogId, BlogRecord, Post), Message> {
        let visit = author.visit;
        let (blog, record) = self.held(author, visit.ask("blog"))?;
        let id = Hash::parse_path(visit.ask("article"));
        let post = id.and_then(|id| {
            self.with(*blog, |r| r.fold().article_of(id).cloned())
                .flatten()
        });
        let post = post.ok_or_else(|| visit.message(404, |s| &s.no_such_article, &[]))?;
        Ok((*blog, record.clone(), post))
    }

    /// How a post is erased: not here.
    pub(super) fn erase_page(self: &Arc<Self>, author: &Author<'_>) -> super::Response {
        let (_, record, post) = match self.erasable(author) {
            Ok(found) => found,
            Err(message) => return self.notice(author.visit, message, None),
        };
        let slug = post.article.slug.to_string();
        let view = EraseView {
            blog: record.name.to_string(),
            title: post.article.title.clone().unwrap_or_else(|| slug.clone()),
            slug,
            ids: post.versions.iter().map(|(_, id)| id.to_string()).collect(),
            id: post.first.path(),
            fingerprint: author.session.fingerprint.to_string(),
            origin: self.config.base_url.clone(),
            edit: self.origin(&format!("edit.{}", record.name)),
        };
        page(
            StatusCode::OK,
            desk::erase(&self.frame(author.visit), &view),
        )
    }

    /// The text that erases a post, for those who sign and send it by hand.
    pub(super) fn erase_text(self: &Arc<Self>, author: &Author<'_>) -> super::Response {
        let made = self.erasable(author).and_then(|(blog, record, post)| {
            let (name, slug) = (record.name.as_str(), post.article.slug.as_str());
            let file = desk::file_name(&[name, "erase", slug], &post.first.path());
            let salt = random_bytes::<16>().map_err(|outage| author.visit.failed(&outage))?;
            let draft = Draft {
                salt: Salt::from_bytes(salt),
                says: Says::Erase {
                    erases: post.versions.iter().map(|(_, id)| *id).collect(),
                },
                instead_of: Vec::new(),
                extensions: Vec::new(),
                body: String::new(),
            };
            Ok((file, self.placed(author, blog, &draft)?))
        });
        match made {
            Ok((file, text)) => attachment(&file, text),
            Err(message) => self.notice(author.visit, message, None),
        }
    }
}
