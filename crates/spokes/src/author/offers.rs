//! `offers`: what servers had accepted and the blog does not have, and what shall become of it
//! (SPEC receipt 6).

use serde_json::{Value, json};
use spokes_log::{
    draft::{Draft, Kind, MEDIUM_BYTES_MAX, Medium, Says},
    name::{EntryId, Hash},
    seal::SealedEntry,
};

use crate::{
    author::{
        Desk,
        console::Console,
        network::To,
        report,
        session::{Session, draft},
        signer::{Signer, SigningKey, UserId},
        state::Waiting,
        stop::Stop,
    },
    wire::OffersWire,
};

/// `spokes blog offers`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Offers {
    /// The blog's name
    name: String,
    /// Publish this one again, as it was, behind what the blog has now
    #[arg(long, value_name = "ID", conflicts_with = "dismiss")]
    repeat: Option<String>,
    /// Say that this one shall not be in the blog
    #[arg(long, value_name = "ID")]
    dismiss: Option<String>,
    #[command(flatten)]
    signing: SigningKey,
}

/// One of them, as its author signed it.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) sealed: SealedEntry,
    giver: String,
    /// Whether it waits in the outbox as well: then it is sent again by itself.
    waits: bool,
}

impl Offer {
    fn id(&self) -> EntryId {
        self.sealed.entry().id()
    }

    fn sequence(&self) -> u64 {
        self.sealed.entry().skeleton().sequence
    }

    /// What it says, in a few words.
    fn called(&self) -> String {
        let entry = self.sealed.entry();
        let article = entry.draft().and_then(|draft| draft.article());
        let kind = &entry.skeleton().kind;
        match article {
            Some(article) => match &article.title {
                Some(title) => format!("{kind} \"{}\", \"{title}\"", article.slug),
                None => format!("{kind} \"{}\"", article.slug),
            },
            None => kind.to_string(),
        }
    }

    /// For people: what it is, and what happens if nothing is done.
    pub(crate) fn sentence(&self) -> String {
        let (sequence, called, giver) = (self.sequence(), self.called(), &self.giver);
        let said =
            format!("entry {sequence}, {called}, was accepted by {giver} and is not in the blog");
        let entry = self.sealed.entry();
        match (&entry.skeleton().kind, self.waits) {
            (Kind::Keys, false) => format!(
                "{said}: KEYS THAT IT ENDS CAN STILL SIGN, and keys that it brings cannot, until you \
                 repeat it"
            ),
            (Kind::Erase, false) => {
                format!("{said}: the words that it takes back are still there until you repeat it")
            }
            (_, true) => {
                format!("{said}; it waits in your outbox and is sent with the next command")
            }
            (_, false) => said,
        }
    }

    pub(crate) fn facts(&self) -> Value {
        json!({
            "id": self.id().to_string(), "sequence": self.sequence(), "giver": self.giver,
            "kind": self.sealed.entry().skeleton().kind.to_string(), "called": self.called(),
            "in_outbox": self.waits, "text": self.sealed.entry().text(),
        })
    }
}

/// What is offered, judged here; nothing where nobody can be asked.
pub(crate) async fn of(session: &Session<'_>) -> Result<Vec<Offer>, Stop> {
    let path = format!("/api/v1/blogs/{}/offers", session.name);
    let wire: Result<OffersWire, _> = session.network.get(To::Edit(&session.name), &path).await;
    let outbox = session.shelf.outbox()?;
    let mut trial = session.copy.chain.clone();
    let mut offers = Vec::new();
    let wire = wire.unwrap_or_default();
    for answered in wire.answered.iter().filter_map(|entry| entry.sealed().ok()) {
        // One that fits nowhere carries nothing.
        trial.accept(answered).ok();
    }
    for offer in wire.offers {
        // Servers do not say what she has signed; her signature does.
        let Ok(sealed) = offer.entry.sealed() else {
            continue;
        };
        let id = sealed.entry().id();
        let is_here = trial.contains(id) && !outbox.iter().any(|waiting| waiting.id() == id);
        if is_here || !trial.contains(id) && trial.accept(sealed.clone()).is_err() {
            continue;
        }
        offers.push(Offer {
            waits: outbox.iter().any(|waiting| waiting.id() == id),
            sealed,
            giver: offer.giver,
        });
    }
    Ok(offers)
}

/// Runs `offers`.
pub(crate) async fn offers(args: &Offers, desk: &Desk<'_>) -> Result<(), Stop> {
    let Desk {
        common,
        surroundings,
        console,
    } = *desk;
    let mut session = Session::open(desk, &args.name).await?;
    let (Some(id), repeats) = (
        args.repeat.as_ref().or(args.dismiss.as_ref()),
        args.repeat.is_some(),
    ) else {
        let offers = of(&session).await?;
        print(&session, &offers, console, common.json);
        return session.remember();
    };
    let id = Hash::parse(id).map_err(|why| Stop::Usage(format!("the id {id} {why}")))?;
    let mut signer = Signer::open(&args.signing, UserId::Any, surroundings, console).await?;
    // What waits is sent first: perhaps that is it.
    let mut rows = session.flush(&mut signer).await?;
    if !rows.iter().any(report::Row::is_halted) && !session.is_succeeded(id) {
        let offers = of(&session).await?;
        let Some(offer) = offers.iter().find(|offer| offer.id() == id) else {
            return Err(Stop::Refused(format!(
                "{id} is not among the offers; \"spokes blog offers {}\" lists them, nothing was changed",
                session.name
            )));
        };
        let (draft, blobs) = if repeats {
            repeated(&session, offer).await?
        } else {
            (dismissal(&session, id)?, Vec::new())
        };
        rows.push(session.utter(draft, &blobs, None, &mut signer).await?);
        session.look_again(&mut rows).await?;
    }
    session.remember()?;
    report::print(console, common.json, &rows)
}

fn print(session: &Session<'_>, offers: &[Offer], console: &Console, json: bool) {
    if json {
        let offers: Vec<Value> = offers.iter().map(Offer::facts).collect();
        return console.json(&json!({ "offers": offers }));
    }
    let name = &session.name;
    if offers.is_empty() {
        return console.fact("nothing is offered; the blog has all that its servers accepted");
    }
    for offer in offers {
        console.fact(&format!("{}\n  {}", offer.sentence(), offer.id()));
        let body = offer.sealed.entry().draft().map_or("", |draft| &draft.body);
        body.lines()
            .for_each(|line| console.fact(&format!("  | {line}")));
    }
    console.fact(&format!(
        "\nchoose for each: spokes blog offers {name} --repeat ID publishes it again, --dismiss ID lets it \
         go; until then servers keep it, outside the blog"
    ));
}

/// The same words behind what the blog has now, with the media that they need.
async fn repeated(
    session: &Session<'_>,
    offer: &Offer,
) -> Result<(Draft, Vec<(Hash, Vec<u8>)>), Stop> {
    let entry = offer.sealed.entry();
    if matches!(entry.skeleton().kind, Kind::Claim | Kind::Blog) {
        return Err(Stop::Refused(
            "a claim to a name counts for a day only; ask for the name again, and dismiss this one"
                .to_owned(),
        ));
    }
    let waiting = Waiting {
        sent: true,
        ..Waiting::new(offer.sealed.clone(), None)
    };
    let draft = session.redrafted(&waiting)?;
    let mut blobs = Vec::new();
    let article = draft.article();
    for medium in article.into_iter().flat_map(|article| &article.media) {
        let kept = session.shelf.medium(medium.hash);
        let bytes = match kept {
            Some(bytes) => bytes,
            None => fetched(session, medium).await?,
        };
        blobs.push((medium.hash, bytes));
    }
    Ok((draft, blobs))
}

async fn fetched(session: &Session<'_>, medium: &Medium) -> Result<Vec<u8>, Stop> {
    let path = format!("/media/{}", medium.hash.path());
    let max = usize::try_from(MEDIUM_BYTES_MAX).unwrap_or(usize::MAX);
    let bytes = session
        .network
        .get_bytes(To::Edit(&session.name), &path, max)
        .await;
    let bytes = bytes.ok().filter(|bytes| Hash::of(bytes) == medium.hash);
    bytes.ok_or_else(|| {
        Stop::Refused(format!(
            "the picture {} that it lists is nowhere to be had; nothing was sent. Publish the file again \
             with the picture, then dismiss this one",
            medium.hash
        ))
    })
}

/// An entry that changes nothing but that this one shall not be in the blog: the title said once more.
fn dismissal(session: &Session<'_>, id: EntryId) -> Result<Draft, Stop> {
    let says = Says::Settings {
        title: Some(session.copy.blog.title().to_owned()),
        language: None,
        description: None,
    };
    Ok(Draft {
        instead_of: vec![id],
        ..draft(says, String::new())?
    })
}
