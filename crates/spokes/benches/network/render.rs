//! An article's HTML beside what its two libraries need for the same text.

use std::{hint::black_box, time::Instant};

use spokes::render::{Links, article};

use crate::{Failed, median, print};

/// Rounds of each side, one after the other, so that both meet the same machine.
const ROUNDS: usize = 400;

const LISTING: &str = "```rust\n/// Adds what is new.\nfn add(&mut self, entry: &Entry) -> Result<(), Fault> {\n    \
    let number = self.entries.len() + 1; // from one\n    if entry.text.starts_with(\"spokes\") {\n        \
    return Err(Fault::Reserved(number));\n    }\n    self.entries.push(entry.clone());\n    Ok(())\n}\n```\n\n";

const PARAGRAPH: &str = "The town council met on *Tuesday*, and forty people came to hear what would \
    become of the [old library](https://example.org/library) beside the river. Nobody had expected so \
    many, and the clerk had to bring chairs from the school across the street while the **mayor** \
    waited. She read the plan aloud, line by line, and answered every question that was put to her, \
    also those that were meant for others[^1]. When the lamps were lit it was clear that the house \
    would stay what it is: a place with a roof, a stove and four thousand books.\n\n";

/// Two thousand words with what posts have in them, and listings if asked for.
fn post(listings: bool) -> String {
    let mut text = String::new();
    for part in 0..23 {
        if part % 5 == 0 {
            text.push_str(&format!("## Part {part}\n\n"));
        }
        text.push_str(PARAGRAPH);
        if part % 7 == 3 {
            text.push_str("- one thing\n- another, with `code`\n- a third\n\n| a | b |\n|---|--:|\n| x | 1 |\n\n");
        }
        if listings && part % 3 == 1 {
            text.push_str(LISTING);
        }
    }
    text + "[^1]: As the minutes say.\n"
}

/// pulldown-cmark with the same extensions, and ammonia as it comes.
fn bare(text: &str) -> String {
    use pulldown_cmark::{Options, Parser, html::push_html};
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    let mut html = String::new();
    push_html(&mut html, Parser::new_ext(text, options));
    ammonia::clean(&html)
}

pub(crate) fn render() -> Result<(), Failed> {
    for (what, listings) in [("prose", false), ("prose and listings", true)] {
        let text = post(listings);
        let words = text.split_whitespace().count();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let links = Links::here();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            black_box(bare(black_box(&text)));
            theirs.push(began.elapsed().as_secs_f64() * 1e6);
            let began = Instant::now();
            black_box(article(black_box(&text), &links));
            ours.push(began.elapsed().as_secs_f64() * 1e6);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let ratio = ours / theirs;
        print(
            &format!("render {words} words, {what}: ours, bare, ratio"),
            &format!("{ours:.0} µs, {theirs:.0} µs, {ratio:.2}"),
        );
    }
    Ok(())
}
