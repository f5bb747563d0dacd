//! What a hostile author would write, in the spirit of the public cheat sheets.

/// Bodies in Markdown and raw HTML; the renderer's own tests know them, too.
pub(crate) fn bodies() -> Vec<&'static str> {
    let all = include_str!("../../src/render/vectors.txt");
    all.trim_end().split("\n---\n").collect()
}

/// Single lines for whatever has room for one: titles, tags, descriptions, fields of a form.
pub(crate) fn fields() -> Vec<&'static str> {
    include_str!("vectors.txt").lines().collect()
}
