//! One sitting of an author with one blog: the log read, the outbox emptied, new entries signed,
//! kept and brought.

use std::{cell::Cell, collections::BTreeSet};

use spokes_log::{
    draft::{Draft, Says},
    entry::Entry,
    name::{BlogName, EntryId, Hash, Salt},
    seal::SealedEntry,
};

use crate::{
    author::{
        Desk,
        console::Console,
        copy::{BlogCopy, Unread},
        deliver::{Count, Courier, Members, Outcome, receipts, receipts_of},
        network::{Network, To, Trouble},
        now,
        report::Row,
        signer::Signer,
        state::{Home, Shelf, Waiting},
        stop::Stop,
    },
    wire::BlogWire,
};

/// How often one entry is signed again in one run: somebody else writes at the same moment.
const AGAIN_MAX: usize = 5;
/// How far the last entry may be ahead of this machine's clock (SPEC entry 5.5).
const AHEAD_SECONDS_MAX: i64 = 5 * 60;

/// An author at work on one blog. Other processes are kept out as long as it lives.
pub(crate) struct Session<'a> {
    pub(crate) console: &'a Console,
    pub(crate) network: Network,
    pub(crate) name: BlogName,
    pub(crate) wire: BlogWire,
    pub(crate) members: Members,
    pub(crate) shelf: Shelf,
    /// The log as the network has it, with what waits in the outbox.
    pub(crate) copy: BlogCopy,
    /// Whether questions are answered yes.
    pub(crate) yes: bool,
    door: Cell<usize>,
}

impl<'a> Session<'a> {
    /// Finds the blog, waits for its lock, reads its log and puts the outbox behind it.
    pub(crate) async fn open(desk: &Desk<'a>, name: &str) -> Result<Self, Stop> {
        let Desk {
            common,
            surroundings,
            console,
        } = *desk;
        let name = blog_name(name)?;
        let network = Network::open(common.network()?).await?;
        let wire = find(&network, &name).await?;
        let members = Members::read(network.id(), &wire)?;
        let home = Home::open(&surroundings.state_home, network.id())?;
        let shelf = home.shelf(members.blog, console).await?;
        let copy = BlogCopy::recall(members.blog, &shelf.copy());
        let mut session = Self {
            console,
            network,
            name,
            wire,
            members,
            shelf,
            copy,
            yes: common.yes,
            door: Cell::new(0),
        };
        session.read().await.map_err(Unread::into_stop)?;
        for waiting in session.shelf.outbox()? {
            // One whose parent was signed again is signed again itself when its turn comes.
            session.copy.take(waiting.sealed).ok();
        }
        session.remember()?;
        Ok(session)
    }

    /// Reads what is new, from the primary where it answers. What does not fit to what was read
    /// before is read from its beginning: the spoke's store may be another one.
    async fn read(&mut self) -> Result<(), Unread> {
        let resumed = self.copy.is_resumed();
        match self.read_on().await {
            Err(Unread::Bad(_)) if resumed => {
                self.copy = BlogCopy::new(self.members.blog);
                self.read_on().await
            }
            read => read,
        }
    }

    async fn read_on(&mut self) -> Result<(), Unread> {
        let (network, name, console) = (&self.network, &self.name, self.console);
        let read = self.copy.read(network, To::Edit(name), name, console).await;
        match read {
            Err(Unread::Trouble(trouble @ Trouble::Silent(_))) => {
                console.say(&format!(
                    "{}; nothing is lost: the blog is read from where its readers read it",
                    trouble.sentence()
                ));
                // What is sent goes to another one first, too.
                self.door.set(1);
                self.copy.read(network, To::Blog(name), name, console).await
            }
            read => read,
        }
    }

    /// Writes down what is known of the log, without what no server has confirmed.
    pub(crate) fn remember(&self) -> Result<(), Stop> {
        let waiting: Vec<EntryId> = self.shelf.outbox()?.iter().map(Waiting::id).collect();
        self.shelf.keep_copy(&self.copy.to_file(&waiting))?;
        self.shelf.sweep()
    }

    /// Sends what waits, oldest first; stops at the first that must go on waiting.
    pub(crate) async fn flush(&mut self, signer: &mut Signer) -> Result<Vec<Row>, Stop> {
        let mut rows = Vec::new();
        let mut done = BTreeSet::new();
        loop {
            let outbox = self.shelf.outbox()?;
            let Some(next) = outbox.into_iter().find(|w| !done.contains(&w.id())) else {
                return Ok(rows);
            };
            let source = next.source.clone();
            let (waiting, outcome) = self.deliver(next, signer).await?;
            done.insert(waiting.id());
            let row = self.row(source, &waiting.sealed, outcome);
            let halted = row.is_halted();
            rows.push(row);
            if halted {
                return Ok(rows);
            }
        }
    }

    /// Signs something new behind the head, keeps it, and brings it.
    pub(crate) async fn utter(
        &mut self,
        draft: Draft,
        blobs: &[(Hash, Vec<u8>)],
        source: Option<String>,
        signer: &mut Signer,
    ) -> Result<Row, Stop> {
        for (hash, bytes) in blobs {
            self.shelf.keep_medium(*hash, bytes)?;
        }
        let sealed = self.sign(&draft, signer).await?;
        let waiting = Waiting::new(sealed.clone(), source.clone());
        self.shelf.keep(&waiting)?;
        self.take(&sealed)?;
        let (waiting, outcome) = self.deliver(waiting, signer).await?;
        Ok(self.row(source, &waiting.sealed, outcome))
    }

    /// As [`Self::utter`], behind a head of the author's choice.
    pub(crate) async fn utter_behind(
        &mut self,
        draft: Draft,
        parent: EntryId,
        signer: &mut Signer,
    ) -> Result<Row, Stop> {
        let sealed = self.sign_behind(&draft, parent, signer).await?;
        let waiting = Waiting::new(sealed.clone(), None);
        self.shelf.keep(&waiting)?;
        self.take(&sealed)?;
        let (waiting, outcome) = self.deliver(waiting, signer).await?;
        Ok(self.row(None, &waiting.sealed, outcome))
    }

    /// Gives a draft its place behind the head and has it signed.
    async fn sign(&self, draft: &Draft, signer: &mut Signer) -> Result<SealedEntry, Stop> {
        let head = self.copy.head().map(|(_, id)| id).ok_or_else(|| {
            Stop::Refused(format!(
                "nothing of the blog {} can be read; try again",
                self.name
            ))
        })?;
        self.sign_behind(draft, head, signer).await
    }

    /// Has a draft signed behind a given entry, and checks what the signer made.
    pub(crate) async fn sign_behind(
        &self,
        draft: &Draft,
        parent: EntryId,
        signer: &mut Signer,
    ) -> Result<SealedEntry, Stop> {
        let no = |why: String| Stop::Refused(format!("{why}; nothing was sent"));
        let behind = self
            .copy
            .entry(parent)
            .map(|sealed| sealed.entry().skeleton());
        let behind = behind.ok_or_else(|| no(format!("{parent} is not here")))?;
        let (at, before) = (now(), behind.signed);
        if before.since(at) > AHEAD_SECONDS_MAX {
            return Err(no(format!(
                "this machine's clock says {at}, but the last entry was signed at {before}; set \
                 the clock"
            )));
        }
        let signed = at.max(before);
        let authors = vec![signer.fingerprint().clone()];
        let entry = Entry::new(draft, Some((behind, parent)), authors, signed)
            .map_err(|why| no(format!("the text cannot become an entry: {why}")))?;
        let place = self
            .copy
            .chain
            .place(&entry)
            .map_err(|why| no(why.to_string()))?;
        let signature = signer.sign(entry.text(), signed).await?;
        let verified = place
            .seal(entry, &[signature])
            .map_err(|why| no(why.to_string()))?;
        Ok(verified.sealed().clone())
    }

    fn take(&mut self, sealed: &SealedEntry) -> Result<(), Stop> {
        let taken = self.copy.take(sealed.clone());
        taken
            .map(|_| ())
            .map_err(|why| Stop::Refused(why.to_string()))
    }

    /// Brings one entry of the outbox; what is left of it there follows from the outcome.
    async fn deliver(
        &mut self,
        mut waiting: Waiting,
        signer: &mut Signer,
    ) -> Result<(Waiting, Outcome), Stop> {
        for _ in 0..AGAIN_MAX {
            let outcome = if self.copy.chain.contains(waiting.id()) {
                self.shelf.sent(&mut waiting)?;
                self.bring(&waiting.sealed).await?
            } else {
                Outcome::Stale
            };
            match outcome {
                Outcome::Stale => match self.sign_again(&waiting, signer).await? {
                    Some(again) => waiting = again,
                    None => {
                        let why = "the blog has gone on; it stays in your outbox, unsent behind \
                                   the new entries";
                        return Ok((waiting, Outcome::Later(why.to_owned())));
                    }
                },
                outcome => {
                    self.settle(&waiting, &outcome)?;
                    return Ok((waiting, outcome));
                }
            }
        }
        let why = "the blog goes on faster than it can be signed behind; it stays in your outbox, \
                   try again";
        Ok((waiting, Outcome::Later(why.to_owned())))
    }

    async fn bring(&mut self, sealed: &SealedEntry) -> Result<Outcome, Stop> {
        let courier = Courier::new(&self.network, &self.name, &self.door);
        let known = |id| self.copy.entry(id).cloned();
        let brought = courier
            .bring(sealed, &self.members, &self.shelf, &known)
            .await;
        let standing = match brought {
            Ok((standing, _)) => standing,
            Err(outcome) => return Ok(outcome),
        };
        let receipts = receipts_of(&standing.receipts);
        let id = sealed.entry().id();
        let (mut count, mut good) = self.members.count(&self.copy.chain, id, &receipts);
        if !count.is_safe() && standing.status == "safe" {
            // The set may have changed since it was read.
            self.wire = find(&self.network, &self.name).await?;
            self.members = Members::read(self.network.id(), &self.wire)?;
            (count, good) = self.members.count(&self.copy.chain, id, &receipts);
        }
        Ok(if count.is_safe() {
            Outcome::Safe(count, good)
        } else {
            Outcome::Accepted(count)
        })
    }

    fn settle(&mut self, waiting: &Waiting, outcome: &Outcome) -> Result<(), Stop> {
        match outcome {
            Outcome::Safe(_, receipts) => {
                // A receipt covers all ancestors (SPEC receipt 1).
                for earlier in self.shelf.outbox()? {
                    if self.copy.chain.reaches(waiting.id(), earlier.id()) {
                        self.shelf.safe(&earlier, receipts)?;
                    }
                }
            }
            Outcome::Refused(_) => {
                self.shelf.refuse(waiting)?;
                self.copy = self.copy.without(&[waiting.id()]);
            }
            Outcome::Erased(_) => {
                self.shelf.forget(waiting)?;
                self.copy = self.copy.without(&[waiting.id()]);
            }
            Outcome::Accepted(_) | Outcome::Stale | Outcome::Later(_) => {}
        }
        Ok(())
    }

    /// Signs an entry, and all that wait behind it, again behind the head that the network has now;
    /// none when the author does not want to.
    async fn sign_again(
        &mut self,
        first: &Waiting,
        signer: &mut Signer,
    ) -> Result<Option<Waiting>, Stop> {
        let outbox = self.shelf.outbox()?;
        let follows =
            |w: &&Waiting| w.id() == first.id() || self.copy.chain.reaches(w.id(), first.id());
        let affected: Vec<Waiting> = outbox.iter().filter(follows).cloned().collect();
        let ids: Vec<EntryId> = affected.iter().map(Waiting::id).collect();
        self.copy = self.copy.without(&ids);
        self.read().await.map_err(Unread::into_stop)?;
        let head = self
            .copy
            .head()
            .map(|(skeleton, id)| (skeleton.sequence, id));
        if head.map(|(_, id)| id) == first.sealed.entry().skeleton().previous {
            return Err(Stop::Unreached(
                "the primary says that the blog has gone on, but does not show how; what you \
                 signed stays in your outbox, try again later"
                    .to_owned(),
            ));
        }
        let sequence = head.map_or(0, |(sequence, _)| sequence);
        let edited = self.edited_elsewhere(&affected);
        for (slug, sequence) in &edited {
            self.console.say(&format!(
                "\"{slug}\" was edited on another device meanwhile: entry {sequence} is a newer version \
                 than the one that you changed. Yours would replace it; both stay in the log."
            ));
        }
        let question = format!(
            "{} has gone on: its last entry is now {sequence}. Sign yours again behind it?",
            self.name
        );
        if !self.yes && !self.console.ask(&question, edited.is_empty()) {
            return Ok(None);
        }
        let mut again = Vec::new();
        for old in &affected {
            let draft = self.redrafted(old)?;
            let sealed = self.sign(&draft, signer).await?;
            let mut new = Waiting::new(sealed.clone(), old.source.clone());
            new.stands_for = vec![old.id()];
            self.shelf.keep(&new)?;
            self.take(&sealed)?;
            again.push(new);
        }
        affected.iter().try_for_each(|old| self.shelf.forget(old))?;
        Ok(again.into_iter().next())
    }

    /// Articles that these entries would replace although a version is there that their author has not
    /// seen: slug, and sequence of that version.
    fn edited_elsewhere(&self, affected: &[Waiting]) -> Vec<(String, u64)> {
        let edited = affected.iter().filter_map(|waiting| {
            let article = waiting.sealed.entry().draft()?.article()?;
            let seen = article.replaces?;
            let post = self.copy.blog.article_of(seen)?;
            let (sequence, current) = post.order();
            (current != seen).then(|| (article.slug.to_string(), sequence))
        });
        edited.collect()
    }

    /// The same words for another place: they stand instead of those that some server may have
    /// seen, and name the new forms of what they named.
    pub(crate) fn redrafted(&self, old: &Waiting) -> Result<Draft, Stop> {
        let mut draft = old.sealed.entry().draft().cloned().ok_or_else(|| {
            Stop::Refused(format!(
                "the words of entry {} are gone from the outbox",
                old.sequence()
            ))
        })?;
        if old.sent && !draft.instead_of.contains(&old.id()) {
            draft.instead_of.push(old.id());
        }
        let renamed = |id: EntryId| self.successor(id).unwrap_or(id);
        match &mut draft.says {
            Says::Post(article) | Says::Page(article) => {
                article.replaces = article.replaces.map(renamed);
            }
            Says::Erase { erases } => erases.iter_mut().for_each(|id| *id = renamed(*id)),
            _ => {}
        }
        Ok(draft)
    }

    /// Whether something in the log stands instead of an entry already.
    pub(crate) fn is_succeeded(&self, id: EntryId) -> bool {
        self.copy.chain.contains(id) || self.successor(id).is_some()
    }

    /// What stands instead of an entry that is not in the log.
    fn successor(&self, id: EntryId) -> Option<EntryId> {
        if self.copy.chain.contains(id) {
            return None;
        }
        let outbox = self.shelf.outbox().unwrap_or_default();
        let signed = outbox
            .iter()
            .find(|w| w.stands_for.contains(&id))
            .map(Waiting::id);
        signed.or_else(|| {
            let entries = self.copy.in_order();
            let instead = entries.into_iter().rfind(|sealed| {
                let draft = sealed.entry().draft();
                draft.is_some_and(|draft| draft.instead_of.contains(&id))
            });
            instead.map(|sealed| sealed.entry().id())
        })
    }

    /// Asks once more how what was accepted stands, and what waits no longer.
    pub(crate) async fn look_again(&mut self, rows: &mut [Row]) -> Result<(), Stop> {
        if !rows.iter().any(Row::is_accepted) {
            return Ok(());
        }
        // When they cannot be read, what is known stands. The set may have changed on the way.
        if let Ok(wire) = find(&self.network, &self.name).await
            && let Ok(members) = Members::read(self.network.id(), &wire)
        {
            (self.wire, self.members) = (wire, members);
        }
        let receipts = receipts(&self.network, &self.name)
            .await
            .unwrap_or_default();
        for waiting in self.shelf.outbox()? {
            let (count, good) = self
                .members
                .count(&self.copy.chain, waiting.id(), &receipts);
            if count.is_safe() {
                self.shelf.safe(&waiting, &good)?;
            }
        }
        let outbox = self.shelf.outbox()?;
        for row in rows.iter_mut().filter(|row| row.is_accepted()) {
            if !outbox.iter().any(|waiting| row.is(waiting.id())) {
                row.became_safe();
            }
        }
        Ok(())
    }

    pub(crate) fn row(&self, file: Option<String>, sealed: &SealedEntry, outcome: Outcome) -> Row {
        let entry = sealed.entry();
        let slug = entry
            .draft()
            .and_then(|draft| draft.article())
            .map(|a| a.slug.clone());
        let url = slug.map(|slug| format!("{}{slug}", self.network.address_of(&self.name)));
        Row::of_entry(file, entry, url, outcome)
    }

    /// How safe an entry is by the receipts that are kept.
    pub(crate) fn known_count(&self, entry: EntryId) -> Result<Count, Stop> {
        let receipts = self.shelf.receipts()?;
        Ok(self.members.count(&self.copy.chain, entry, &receipts).0)
    }
}

/// Reads a blog's name.
pub(crate) fn blog_name(name: &str) -> Result<BlogName, Stop> {
    BlogName::parse(name).map_err(|why| Stop::Usage(format!("the blog name \"{name}\" {why}")))
}

/// Asks the network for a blog.
pub(crate) async fn find(network: &Network, name: &BlogName) -> Result<BlogWire, Stop> {
    let found = network
        .get(To::Apex, &format!("/api/v1/blogs/{name}"))
        .await;
    found.map_err(|trouble: Trouble| {
        if trouble.is("no-such-blog") {
            return Stop::Refused(format!(
                "{} has no blog \"{name}\"; \"spokes blog create {name}\" asks for it",
                network.domain()
            ));
        }
        trouble.into_stop("nothing was changed")
    })
}

/// Whom a blog waits for, what of it is safe and what to do; none where it waits for nobody.
pub(crate) fn waits(wire: &BlogWire, domain: &str) -> Option<String> {
    let (silent, name) = (listed(&wire.waits)?, &wire.name);
    Some(format!(
        "\"{name}\" waits for {silent}: too many of its servers are silent for the others to go on by themselves before \
         an hour is over. What was safe is on their disks; what you publish meanwhile is kept on this computer, and the \
         same command brings it later. If they do not come back, ask an organizer of {domain}, who can let it go on at \
         once"
    ))
}

/// "a, b and c"; none of nobody.
fn listed(labels: &[String]) -> Option<String> {
    Some(match labels {
        [] => return None,
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    })
}

/// What is said, with new salt.
pub(crate) fn draft(says: Says, body: String) -> Result<Draft, Stop> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|why| Stop::Refused(format!("this machine gives no random bytes: {why}")))?;
    Ok(Draft {
        salt: Salt::from_bytes(salt),
        says,
        instead_of: Vec::new(),
        extensions: Vec::new(),
        body,
    })
}
