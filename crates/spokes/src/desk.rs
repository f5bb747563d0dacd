//! What a spoke keeps for authors who write in their browsers: sessions, drafts, pictures, names that
//! were asked for. Nothing of it is signed, nothing of it is copied to other spokes.
//!
//! `DIR/desk.db` is a database of its own: what is here is nobody's but the author's, and goes when she
//! says so, or after a time. What was answered is durable.

pub mod compose;
pub mod form;

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use spokes_log::{
    key::Certificate,
    name::{Fingerprint, Hash},
    time::Time,
};

use crate::{
    config::{random_bytes, sync_database},
    outage::Outage,
    store,
};

/// How long a session lasts after its last use: who writes every fortnight stays signed in.
const SESSION_SECONDS: i64 = 14 * 24 * 60 * 60;
/// How long what was typed stays after its last change.
pub const KEPT_DAYS: i64 = 90;
/// Sessions in all; beyond it the oldest end. A thousand authors with ten devices.
const SESSIONS_MAX: u64 = 10_000;
/// Certificates in all; beyond it those go that were not seen for the longest time.
const AUTHORS_MAX: u64 = 10_000;
/// Nonces that are remembered: more sign-ins than that in ten minutes are no people's.
const NONCES_MAX: u64 = 100_000;
/// Drafts of one author who has a blog here.
pub const DRAFTS_MAX: u64 = 100;
/// Drafts of somebody without a blog: anybody can make a key.
const DRAFTS_OF_GUEST_MAX: u64 = 3;
/// Bytes of drafts and pictures of one author who has a blog here: one post with many photos.
const AUTHOR_BYTES_MAX: u64 = 128 << 20;
/// The same for somebody without a blog: one long text.
const GUEST_BYTES_MAX: u64 = 2 << 20;
/// Bytes of all who have no blog together: keys cost nothing. The oldest drafts make room.
const GUESTS_BYTES_MAX: u64 = 128 << 20;
/// Bytes of all of it: it must not eat the disk that holds blogs.
const DESK_BYTES_MAX: u64 = 2 << 30;
/// Sessions of one key: nobody signs others out by signing in.
const SESSIONS_OF_KEY_MAX: u64 = 10;
/// Sign-ins of one key within the time that a challenge is good.
const SIGN_INS_MAX: u64 = 30;
/// Bytes of a certificate as it is kept; of a larger one only what others need to check signatures.
const SHOWN_KEY_BYTES_MAX: usize = 16 << 10;
/// Names that are asked for in all; beyond it the oldest are forgotten.
const CLAIMS_IN_ALL_MAX: u64 = 10_000;
/// Names that one key asks for at a time, granted and refused ones included, until they are forgotten.
const CLAIMS_MAX: u64 = 20;
/// The outcome of a claim whose text nobody has signed yet.
pub const UNSIGNED: &str = "unsigned";
/// The schema that this program writes.
const SCHEMA: i64 = 1;

const CREATE: &str = "
CREATE TABLE secret (bytes BLOB NOT NULL) STRICT;         -- one row, by which challenges are known
CREATE TABLE nonce (nonce TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, until INTEGER NOT NULL) STRICT;
CREATE TABLE author (                                     -- certificates of those who signed in
    fingerprint TEXT PRIMARY KEY,
    seen        INTEGER NOT NULL,                         -- seconds since 1970, as all times here
    armor       TEXT NOT NULL
) STRICT;
CREATE TABLE signer (                                     -- the keys in them that sign
    signer      TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL
) STRICT;
CREATE TABLE session (
    token       TEXT PRIMARY KEY,                         -- the hash of what the browser shows
    fingerprint TEXT NOT NULL,
    blog        TEXT NOT NULL,                            -- the name she signed in for; may be empty
    until       INTEGER NOT NULL
) STRICT;
CREATE INDEX session_of ON session (fingerprint, until);
CREATE TABLE draft (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    changed     INTEGER NOT NULL,
    guest       INTEGER NOT NULL,                         -- 1: of somebody without a blog
    bytes       INTEGER NOT NULL,
    title       TEXT NOT NULL,
    fields      TEXT NOT NULL                             -- JSON
) STRICT;
CREATE INDEX draft_of_guests ON draft (guest, changed);
CREATE INDEX draft_of ON draft (fingerprint, changed);
CREATE TABLE picture (
    fingerprint TEXT NOT NULL,
    hash        TEXT NOT NULL,
    since       INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    bytes       BLOB NOT NULL,
    PRIMARY KEY (fingerprint, hash)
) STRICT;
CREATE TABLE claim (                                      -- names that were asked for
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    name        TEXT NOT NULL,
    outcome     TEXT NOT NULL,                            -- empty while it is pending
    since       INTEGER NOT NULL,
    block       TEXT NOT NULL                             -- the signed entry, or the text to sign
) STRICT;
CREATE INDEX claim_of ON claim (fingerprint);
CREATE INDEX claim_since ON claim (since);
";

/// The desk's database.
#[derive(Debug)]
pub struct Desk {
    connection: Mutex<Connection>,
    secret: [u8; 32],
    limits: Limits,
}

/// Bytes of drafts and pictures: of an author, of somebody without a blog, of all together.
#[derive(Clone, Copy, Debug)]
struct Limits {
    author: u64,
    guest: u64,
    guests: u64,
    all: u64,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The hash of the browser's token.
    pub token: Hash,
    /// The author's key.
    pub fingerprint: Fingerprint,
    /// The blog that she named when she signed in; may be empty.
    pub blog: String,
}

impl Session {
    /// What every form of this session must bring, so that no other page can send one.
    pub fn form_key(&self) -> String {
        Hash::of_parts([b"form", self.token.as_bytes()]).path()[7..39].to_owned()
    }
}

/// What an author has typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// The blog's name.
    pub blog: String,
    /// Whether it is a page, outside the stream of posts.
    pub is_page: bool,
    /// Its title.
    pub title: String,
    /// Its address below the blog; empty: made from the title.
    pub slug: String,
    /// Tags, with commas between them.
    pub tags: String,
    /// BCP 47; empty: the blog's.
    pub language: String,
    /// The date shown; empty: when it is signed.
    pub date: String,
    /// The words.
    pub body: String,
    /// Her pictures.
    pub pictures: Vec<Picture>,
    /// What a picture shows that is still to be chosen.
    pub alt: String,
    /// The version that she edits; empty for a new post.
    pub replaces: String,
    /// Texts that were signed before in place of this one and that servers refused.
    pub refused: Vec<String>,
    /// The text to sign, once it was made; empty after every change.
    pub text: String,
}

impl Fields {
    /// Whether nobody has typed anything: the choice of a blog or a language is no text.
    pub fn is_blank(&self) -> bool {
        let typed = [
            &self.title,
            &self.slug,
            &self.tags,
            &self.date,
            &self.body,
            &self.alt,
            &self.replaces,
        ];
        self.pictures.is_empty() && typed.iter().all(|text| text.trim().is_empty())
    }
}

/// A picture of a draft.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Its hash.
    pub hash: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its media type.
    pub kind: String,
    /// What it shows.
    pub alt: String,
}

/// A draft with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is called in addresses.
    pub id: String,
    /// When it was changed last.
    pub changed: Time,
    /// What was typed.
    pub fields: Fields,
}

/// A name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it is called in addresses.
    pub id: String,
    /// The name.
    pub name: String,
    /// The signed entry, as it was pasted.
    pub block: String,
    /// What came of it; empty while it is pending.
    pub outcome: String,
}

/// Why something is not kept.
#[derive(Debug)]
pub enum NotKept {
    /// The author has as much here as one may.
    TooMuch,
    /// All authors together have.
    Full,
    /// The disk fails.
    Outage(Outage),
}

impl<E: Into<Outage>> From<E> for NotKept {
    fn from(error: E) -> Self {
        Self::Outage(error.into())
    }
}

impl Limits {
    fn of(self, is_guest: bool) -> u64 {
        if is_guest { self.guest } else { self.author }
    }
}

impl Desk {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// When the file is damaged, of a newer program, or the disk fails.
    pub fn open(path: &Path) -> Result<Self, Outage> {
        sync_database(path)?;
        let connection = store::connect(path, SCHEMA, CREATE)?;
        let kept: Option<Vec<u8>> = connection
            .query_row("SELECT bytes FROM secret", [], |row| row.get(0))
            .optional()?;
        let kept = kept.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let secret = match kept {
            Some(secret) => secret,
            None => {
                let secret = random_bytes::<32>()?;
                let sql = "INSERT INTO secret (bytes) VALUES (?1)";
                connection.execute(sql, [secret.as_slice()])?;
                secret
            }
        };
        Ok(Self {
            connection: Mutex::new(connection),
            secret,
            limits: Limits {
                author: AUTHOR_BYTES_MAX,
                guest: GUEST_BYTES_MAX,
                guests: GUESTS_BYTES_MAX,
                all: DESK_BYTES_MAX,
            },
        })
    }

    /// By what this spoke knows its own challenges.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses a nonce up; false when it was used before.
    ///
    /// # Errors
    /// When the disk fails, or nonces come faster than people sign in.
    pub fn use_nonce(
        &self,
        now: Time,
        author: &Fingerprint,
        nonce: &str,
        until: Time,
    ) -> Result<bool, Outage> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        change.execute("DELETE FROM nonce WHERE until < ?1", [now.as_unix()])?;
        let whose = author.to_string();
        let hers = "SELECT count(*) FROM nonce WHERE fingerprint = ?1";
        if count(&change, "SELECT count(*) FROM nonce", [])? >= NONCES_MAX
            || count(&change, hers, [&whose])? >= SIGN_INS_MAX
        {
            return Err(Outage::new("too many are signing in at this moment"));
        }
        let sql = "INSERT OR IGNORE INTO nonce (nonce, fingerprint, until) VALUES (?1, ?2, ?3)";
        let fresh = change.execute(sql, params![nonce, whose, until.as_unix()])? == 1;
        change.commit()?;
        Ok(fresh)
    }

    /// Begins a session; gives the token that the browser shows.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin(
        &self,
        now: Time,
        certificate: &Certificate,
        armor: &str,
        blog: &str,
    ) -> Result<String, Outage> {
        let fingerprint = certificate.fingerprint().to_string();
        let token = Hash::of(&random_bytes::<32>()?).path()[7..].to_owned();
        let mut connection = self.lock();
        let change = connection.transaction()?;
        change.execute("DELETE FROM session WHERE until < ?1", [now.as_unix()])?;
        let kept_since = now.as_unix() - KEPT_DAYS * 86_400;
        for sql in [
            "DELETE FROM draft WHERE changed < ?1",
            "DELETE FROM picture WHERE since < ?1",
            "DELETE FROM claim WHERE since < ?1",
            "DELETE FROM author WHERE seen < ?1",
            "DELETE FROM signer WHERE fingerprint NOT IN (SELECT fingerprint FROM author) AND ?1 = ?1",
        ] {
            change.execute(sql, [kept_since])?;
        }
        remember(&change, now, certificate, armor)?;
        change.execute(
            "INSERT INTO session (token, fingerprint, blog, until) VALUES (?1, ?2, ?3, ?4)",
            params![
                hashed(&token).to_string(),
                fingerprint,
                blog,
                now.as_unix() + SESSION_SECONDS
            ],
        )?;
        for (table, order, max) in [
            ("session", "until", SESSIONS_MAX),
            ("author", "seen", AUTHORS_MAX),
        ] {
            change.execute(
                &format!(
                    "DELETE FROM {table} WHERE rowid IN \
                     (SELECT rowid FROM {table} ORDER BY {order} DESC LIMIT -1 OFFSET ?1)"
                ),
                [max],
            )?;
        }
        change.execute(
            "DELETE FROM session WHERE rowid IN (SELECT rowid FROM session WHERE fingerprint = ?1 \
             ORDER BY until DESC LIMIT -1 OFFSET ?2)",
            params![fingerprint, SESSIONS_OF_KEY_MAX],
        )?;
        change.commit()?;
        // What has gone stands in no free page, nor in the log.
        store::truncate_log(&connection);
        Ok(token)
    }

    /// Keeps a certificate that was shown, whether it signed anybody in or not: news of a key count. One
    /// that cannot sign any more ends the sessions of whoever signed in with it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remember(
        &self,
        now: Time,
        certificate: &Certificate,
        armor: &str,
    ) -> Result<(), Outage> {
        let connection = self.lock();
        remember(&connection, now, certificate, armor)?;
        if !certificate.can_sign(now) {
            let sql = "DELETE FROM session WHERE fingerprint = ?1";
            connection.execute(sql, [certificate.fingerprint().to_string()])?;
        }
        Ok(())
    }

    /// Whose session a token is; using it makes it last on.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn session(&self, now: Time, token: &str) -> Result<Option<Session>, Outage> {
        let connection = self.lock();
        let hash = hashed(token);
        let sql = "SELECT fingerprint, blog, until FROM session WHERE token = ?1 AND until >= ?2";
        let found: Option<(String, String, i64)> = connection
            .query_row(sql, params![hash.to_string(), now.as_unix()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((fingerprint, blog, until)) = found else {
            return Ok(None);
        };
        // Not with every page: once a day does.
        if until - now.as_unix() < SESSION_SECONDS - 86_400 {
            let sql = "UPDATE session SET until = ?2 WHERE token = ?1";
            let until = now.as_unix() + SESSION_SECONDS;
            connection.execute(sql, params![hash.to_string(), until])?;
        }
        Ok(Fingerprint::parse(&fingerprint)
            .ok()
            .map(|fingerprint| Session {
                token: hash,
                fingerprint,
                blog,
            }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn end(&self, session: &Session) -> Result<(), Outage> {
        let sql = "DELETE FROM session WHERE token = ?1";
        self.lock().execute(sql, [session.token.to_string()])?;
        Ok(())
    }

    /// The certificate, as it was shown, of somebody who signed in here with this key or with the one
    /// above it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn certificate(&self, key: &Fingerprint) -> Result<Option<String>, Outage> {
        let sql = "SELECT armor FROM author WHERE fingerprint = ?1 OR fingerprint = \
                   (SELECT fingerprint FROM signer WHERE signer = ?1)";
        let connection = self.lock();
        let found = connection.query_row(sql, [key.to_string()], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Keeps a draft under its id, or a new one.
    ///
    /// # Errors
    /// When the author, or all together, have as much here as they may; when the disk fails.
    pub fn keep(
        &self,
        now: Time,
        author: &Fingerprint,
        is_guest: bool,
        id: Option<&str>,
        fields: &Fields,
    ) -> Result<String, NotKept> {
        let json = serde_json::to_string(fields).map_err(|e| Outage::new(e.to_string()))?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => Hash::of(&random_bytes::<16>()?).path()[7..27].to_owned(),
        };
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let whose = author.to_string();
        let known = count(
            &change,
            "SELECT count(*) FROM draft WHERE id = ?1 AND fingerprint = ?2",
            [&id, &whose],
        )?;
        let drafts = count(
            &change,
            "SELECT count(*) FROM draft WHERE fingerprint = ?1",
            [&whose],
        )?;
        let max = if is_guest {
            DRAFTS_OF_GUEST_MAX
        } else {
            DRAFTS_MAX
        };
        if known == 0 && drafts >= max {
            return Err(NotKept::TooMuch);
        }
        let (of_one, bytes) = (self.limits.of(is_guest), json.len() as u64);
        if is_guest {
            make_room(&change, &whose, self.limits.guests, bytes)?;
        }
        room(&change, &whose, of_one, self.limits.all, Some(&id), bytes)?;
        change.execute(
            "INSERT INTO draft (id, fingerprint, changed, guest, bytes, title, fields) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET changed = ?3, guest = ?4, \
             bytes = ?5, title = ?6, fields = ?7 WHERE fingerprint = ?2",
            params![id, whose, now.as_unix(), is_guest, bytes, fields.title, json],
        )?;
        change.commit()?;
        Ok(id)
    }

    /// One draft of an author.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn draft(&self, author: &Fingerprint, id: &str) -> Result<Option<Draft>, Outage> {
        let sql = "SELECT id, changed, fields FROM draft WHERE fingerprint = ?1 AND id = ?2";
        let connection = self.lock();
        let found = connection.query_row(sql, [&author.to_string(), id], draft_of);
        Ok(found.optional()?)
    }

    /// All drafts of an author, the latest first: their names, when they were changed, and their titles.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn drafts(&self, author: &Fingerprint) -> Result<Vec<(String, Time, String)>, Outage> {
        let sql = "SELECT id, changed, title FROM draft WHERE fingerprint = ?1 \
                   ORDER BY changed DESC, id";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(sql)?;
        let line =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Time::from_unix(row.get(1)?), row.get(2)?));
        let rows = statement.query_map([author.to_string()], line)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets a draft, and the pictures that no other draft of its author has.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn forget(&self, author: &Fingerprint, id: &str) -> Result<(), Outage> {
        self.forget_if(author, id, None)
    }

    /// The same of a draft of which this text was published, unless it was changed meanwhile: then its
    /// words stand nowhere else.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn forget_published(
        &self,
        author: &Fingerprint,
        id: &str,
        text: &str,
    ) -> Result<(), Outage> {
        self.forget_if(author, id, Some(text))
    }

    fn forget_if(&self, author: &Fingerprint, id: &str, text: Option<&str>) -> Result<(), Outage> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let whose = author.to_string();
        change.execute(
            "DELETE FROM draft WHERE fingerprint = ?1 AND id = ?2 \
             AND (?3 IS NULL OR json_extract(fields, '$.text') = ?3)",
            params![whose, id, text],
        )?;
        change.execute(
            "DELETE FROM picture WHERE fingerprint = ?1 AND NOT EXISTS \
             (SELECT 1 FROM draft WHERE draft.fingerprint = ?1 AND instr(fields, picture.hash) > 0)",
            [whose.as_str()],
        )?;
        change.commit()?;
        // She meant it: the words stand in no free page, nor in the log.
        store::truncate_log(&connection);
        Ok(())
    }

    /// Keeps a picture of an author until it is published.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub fn keep_picture(
        &self,
        now: Time,
        author: &Fingerprint,
        is_guest: bool,
        bytes: &[u8],
    ) -> Result<Hash, NotKept> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let whose = author.to_string();
        let (of_one, size) = (self.limits.of(is_guest), bytes.len() as u64);
        room(&change, &whose, of_one, self.limits.all, None, size)?;
        let hash = Hash::of(bytes);
        change.execute(
            "INSERT OR REPLACE INTO picture (fingerprint, hash, since, size, bytes) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![whose, hash.to_string(), now.as_unix(), size, bytes],
        )?;
        change.commit()?;
        Ok(hash)
    }

    /// A picture of an author that is not published yet.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn picture(&self, author: &Fingerprint, hash: Hash) -> Result<Option<Vec<u8>>, Outage> {
        let sql = "SELECT bytes FROM picture WHERE fingerprint = ?1 AND hash = ?2";
        let connection = self.lock();
        let found = connection.query_row(sql, [author.to_string(), hash.to_string()], |row| {
            row.get(0)
        });
        Ok(found.optional()?)
    }

    /// Keeps the text with which a name will be asked for, in place of one that was never signed.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn prepare(&self, now: Time, author: &Fingerprint, asked: &Asked) -> Result<(), Outage> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let whose = author.to_string();
        change.execute(
            "DELETE FROM claim WHERE fingerprint = ?1 AND outcome = ?2",
            [whose.as_str(), UNSIGNED],
        )?;
        forget_old_claims(&change)?;
        change.execute(
            "INSERT INTO claim (id, fingerprint, name, block, outcome, since) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                asked.id,
                whose,
                asked.name,
                asked.block,
                UNSIGNED,
                now.as_unix()
            ],
        )?;
        change.commit()?;
        Ok(())
    }

    /// Keeps that a name was asked for.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub fn ask(
        &self,
        now: Time,
        author: &Fingerprint,
        id: &str,
        name: &str,
        block: &str,
    ) -> Result<(), NotKept> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let whose = author.to_string();
        let sql = "SELECT count(*) FROM claim WHERE fingerprint = ?1 AND id <> ?2";
        if count(&change, sql, [whose.as_str(), id])? >= CLAIMS_MAX {
            return Err(NotKept::TooMuch);
        }
        forget_old_claims(&change)?;
        change.execute(
            "INSERT INTO claim (id, fingerprint, name, block, outcome, since) \
             VALUES (?1, ?2, ?3, ?4, '', ?5) \
             ON CONFLICT (id) DO UPDATE SET block = ?4, outcome = '' WHERE fingerprint = ?2",
            params![id, whose, name, block, now.as_unix()],
        )?;
        change.commit()?;
        Ok(())
    }

    /// Keeps what came of it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn decide(&self, id: &str, outcome: &str) -> Result<(), Outage> {
        let sql = "UPDATE claim SET outcome = ?2 WHERE id = ?1";
        self.lock().execute(sql, [id, outcome])?;
        Ok(())
    }

    /// A name that an author asked for.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn asked(&self, author: &Fingerprint, id: &str) -> Result<Option<Asked>, Outage> {
        let sql = "SELECT id, name, block, outcome FROM claim WHERE fingerprint = ?1 AND id = ?2";
        let connection = self.lock();
        let found = connection.query_row(sql, [&author.to_string(), id], |row| {
            Ok(Asked {
                id: row.get(0)?,
                name: row.get(1)?,
                block: row.get(2)?,
                outcome: row.get(3)?,
            })
        });
        Ok(found.optional()?)
    }
}

/// Whether there is room for so many bytes more, in place of a draft where one is named.
fn room(
    c: &Connection,
    whose: &str,
    of_one: u64,
    of_all: u64,
    instead_of: Option<&str>,
    bytes: u64,
) -> Result<(), NotKept> {
    let of = |sql: &str, whose: &str| count(c, sql, [whose, instead_of.unwrap_or_default()]);
    let drafts = "SELECT coalesce(sum(bytes), 0) FROM draft \
                  WHERE fingerprint LIKE ?1 AND id <> ?2";
    let pictures = "SELECT coalesce(sum(size), 0) FROM picture \
                    WHERE fingerprint LIKE ?1 AND ?2 = ?2";
    if of(drafts, whose)? + of(pictures, whose)? + bytes > of_one {
        return Err(NotKept::TooMuch);
    }
    if of(drafts, "%")? + of(pictures, "%")? + bytes > of_all {
        return Err(NotKept::Full);
    }
    Ok(())
}

fn forget_old_claims(c: &Connection) -> Result<(), rusqlite::Error> {
    let sql = "DELETE FROM claim WHERE id IN \
               (SELECT id FROM claim ORDER BY since DESC LIMIT -1 OFFSET ?1)";
    c.execute(sql, [CLAIMS_IN_ALL_MAX - 1])?;
    Ok(())
}

/// Of all who have no blog, whoever has not come for the longest time makes room.
fn make_room(c: &Connection, whose: &str, of_guests: u64, bytes: u64) -> Result<(), NotKept> {
    let kept = "SELECT coalesce(sum(bytes), 0) FROM draft WHERE guest = 1";
    let oldest = "DELETE FROM draft WHERE id = (SELECT id FROM draft WHERE guest = 1 \
                  AND fingerprint <> ?1 ORDER BY changed LIMIT 1)";
    while count(c, kept, [])? + bytes > of_guests {
        if c.execute(oldest, [whose])? == 0 {
            return Err(NotKept::Full);
        }
    }
    Ok(())
}

fn remember(
    c: &Connection,
    now: Time,
    certificate: &Certificate,
    armor: &str,
) -> Result<(), rusqlite::Error> {
    // As it was shown it has all its names; what is large has signatures of others, too.
    let minimal = certificate.armored();
    let armor = if armor.len() <= SHOWN_KEY_BYTES_MAX {
        armor
    } else {
        &minimal
    };
    let fingerprint = certificate.fingerprint().to_string();
    c.execute(
        "INSERT OR REPLACE INTO author (fingerprint, seen, armor) VALUES (?1, ?2, ?3)",
        params![fingerprint, now.as_unix(), armor],
    )?;
    // Or whoever names somebody else's key would be asked for its signatures.
    for signer in certificate.good_signers() {
        let sql = "INSERT OR REPLACE INTO signer (signer, fingerprint) VALUES (?1, ?2)";
        c.execute(sql, params![signer.to_string(), fingerprint])?;
    }
    Ok(())
}

fn count(c: &Connection, sql: &str, with: impl rusqlite::Params) -> Result<u64, rusqlite::Error> {
    c.prepare_cached(sql)?.query_row(with, |row| row.get(0))
}

fn draft_of(row: &rusqlite::Row<'_>) -> Result<Draft, rusqlite::Error> {
    let fields: String = row.get(2)?;
    Ok(Draft {
        id: row.get(0)?,
        changed: Time::from_unix(row.get(1)?),
        fields: serde_json::from_str(&fields).unwrap_or_default(),
    })
}

/// Whoever reads the database gets no session by it.
fn hashed(token: &str) -> Hash {
    Hash::of_parts([b"session", token.as_bytes()])
}

#[cfg(test)]
mod tests;
