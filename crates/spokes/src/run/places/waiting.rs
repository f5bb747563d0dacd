//! Blogs for which only an organizer can do something: so many of their servers are gone that the others do not go on
//! by themselves (SPEC receipt 3.5).

use super::listed;
use crate::wire::places::BlogPlaceWire;

/// Names that are listed in one sentence; the rest are counted.
const NAMED_MAX: usize = 5;

/// Whom a blog waits for, and what to do; none where it waits for nobody.
pub(super) fn waiting(place: &BlogPlaceWire) -> Option<String> {
    let (name, waits) = (&place.name, &place.waits);
    let are = match waits.as_slice() {
        [] => return None,
        [_] => "is",
        _ => "are",
    };
    let gone = listed(waits);
    // Then there is nobody who could go on by himself.
    let all = place.secondaries.len() + 1 == waits.len();
    let hour = if all { "" } else { " before an hour is over" };
    Some(format!(
        "\"{name}\" waits: {gone} {are} gone, and nobody goes on by himself{hour}. Start what can be started, or see \
         what can be done: \"spokes council open {name}\""
    ))
}

/// "maria, nadia and 7 more".
pub(super) fn named<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let all = names.len();
    let mut some: Vec<String> = names.take(NAMED_MAX).cloned().collect();
    if all > some.len() {
        some.push(format!("{} more", all - some.len()));
    }
    listed(&some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted() {
        let said = |count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("b{n}")).collect();
            named(names.iter())
        };
        assert_eq!(said(1), "b0");
        assert_eq!(said(5), "b0, b1, b2, b3 and b4");
        assert_eq!(said(7), "b0, b1, b2, b3, b4 and 2 more");
    }
}
