//! What a node says to others of the council, and to whoever asks, when it does not do what was asked.

use http::StatusCode;

use crate::{
    council::{Unsequenced, anew::Anew, part::Mute, problem_of},
    http as web,
};

/// The word by which a node says that another leads.
pub(super) const NOT_LEADER: &str = "not-leader";

pub(super) fn not_leader() -> web::Response {
    web::refuse(
        StatusCode::CONFLICT,
        NOT_LEADER,
        "Another council node leads. Nothing was changed.",
    )
}

/// The word by which a node says that it led when it was asked, and does not any more.
pub(super) const LEADS_NO_MORE: &str = "leads-no-more";

pub(super) fn leads_no_more() -> web::Response {
    web::refuse(
        StatusCode::CONFLICT,
        LEADS_NO_MORE,
        "This council node led and does not any more; it is not known whether the request was taken.",
    )
}

pub(super) fn empty() -> web::Response {
    web::refuse(
        StatusCode::CONFLICT,
        "empty",
        "This council node holds nothing yet, or not all, and votes for nobody.",
    )
}

pub(super) fn stands_down(anew: &Anew) -> web::Response {
    let why = anew.why().unwrap_or_default();
    web::refuse(StatusCode::CONFLICT, "founded-anew", why)
}

pub(super) fn not_its_own() -> web::Response {
    web::refuse(
        StatusCode::CONFLICT,
        "refused",
        "A council node speaks for itself alone.",
    )
}

pub(super) fn mute(why: Mute) -> web::Response {
    match why {
        Mute::Empty => empty(),
        Mute::Broken(outage) => {
            let why = format!("This council node cannot go on: {outage}");
            web::refuse(StatusCode::SERVICE_UNAVAILABLE, "broken", why)
        }
    }
}

pub(in crate::council) fn nobody_leads() -> Unsequenced {
    let why = "Fewer than a majority of the council's nodes can be reached, so nothing can be registered or \
               changed now. What was registered is safe, and blogs go on. Try again later.";
    Unsequenced::Problem(Box::new(problem_of(503, "no-majority", why)))
}

/// Why a request got no answer in time.
pub(super) fn fate(may_be_taken: bool) -> Unsequenced {
    if may_be_taken {
        unknown_fate()
    } else {
        nobody_leads()
    }
}

pub(super) fn unknown_fate() -> Unsequenced {
    let why = "The council took too long, and it is not known whether the request was taken. What was \
               registered before is safe. Send the same request again: it gets the answer of the first.";
    Unsequenced::Problem(Box::new(problem_of(503, "busy", why)))
}
