//! The floors of the house hold here as in `log`: one story, told for this crate's own `lib.rs`.

#[path = "../../log/tests/floors.rs"]
mod floors;
