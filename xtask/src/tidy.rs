//! What clippy does not see: long files, words that must not stay, citations that lead nowhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Lines of one Rust file. Longer ones hide a second subject.
const LINES_MAX: usize = 800;
/// Files over the limit that wait to be split. A file that is short again has to leave this list.
const LONG: &[&str] = &[];
/// What somebody meant to come back for: it belongs into ROADMAP.md or is done at once.
const FORBIDDEN: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("HA", "CK"),
];
/// Folders that are not ours, or are made.
const ELSEWHERE: &[&str] = &["target", "node_modules", "vectors", "corpus", "seeds"];
/// Files that are read.
const READ: &[&str] = &["rs", "md", "toml", "yaml", "mjs", "sh"];

/// Something to mend.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// All breaches below `root`, in the order of files and lines.
pub(crate) fn breaches(root: &Path) -> io::Result<Vec<Breach>> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort();
    let spec = Spec::read(&root.join("spec"))?;
    let mut breaches = Vec::new();
    for file in files {
        let text = fs::read_to_string(root.join(&file))?;
        let found = length(&file, &text)
            .into_iter()
            .chain(words(&file, &text))
            .chain(citations(&file, &text, &spec));
        breaches.extend(found);
    }
    Ok(breaches)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let path = item?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !ELSEWHERE.contains(&&*name) {
                collect(root, &path, files)?;
            }
            continue;
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if READ.contains(&&*extension) {
            files.push(relative(root, &path));
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    let below: PathBuf = path.strip_prefix(root).unwrap_or(path).to_owned();
    below.to_string_lossy().replace('\\', "/")
}

fn length(file: &str, text: &str) -> Option<Breach> {
    if !file.ends_with(".rs") {
        return None;
    }
    let lines = text.lines().count();
    let what = match (lines > LINES_MAX, LONG.contains(&file)) {
        (true, false) => format!("{lines} lines; at most {LINES_MAX}: split it by subject"),
        (false, true) => "is short again: take it off the list in xtask/src/tidy.rs".to_owned(),
        _ => return None,
    };
    let file = file.to_owned();
    Some(Breach {
        file,
        line: lines,
        what,
    })
}

fn words(file: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // In code the words may be names; `todo!` is clippy's.
        let said = match line.split_once("//") {
            Some((_, comment)) => comment,
            None if file.ends_with(".rs") => "",
            None => line,
        };
        let found = said
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .find(|word| FORBIDDEN.contains(word));
        if let Some(word) = found {
            breaches.push(Breach {
                file: file.to_owned(),
                line: number + 1,
                what: format!("\"{word}\" must not stay: do it, or write it into ROADMAP.md"),
            });
        }
    }
    breaches
}

/// The numbers that stand in each file of `spec/`: `2` of a heading, `2.3` of a paragraph.
struct Spec(BTreeMap<String, BTreeSet<String>>);

impl Spec {
    fn read(folder: &Path) -> io::Result<Self> {
        let mut specs = BTreeMap::new();
        for item in fs::read_dir(folder)? {
            let path = item?.path();
            if path.extension().is_some_and(|e| e == "md") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let numbers = numbers(&fs::read_to_string(&path)?);
                specs.insert(name.into_owned(), numbers);
            }
        }
        Ok(Self(specs))
    }

    fn misses(&self, cited: &Cited) -> Option<String> {
        let Some(numbers) = self.0.get(&cited.spec) else {
            return Some(format!("there is no spec/{}.md", cited.spec));
        };
        let missing = cited.numbers.iter().find(|n| !numbers.contains(*n))?;
        Some(format!("spec/{}.md has no {missing}", cited.spec))
    }
}

fn numbers(spec: &str) -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    for line in spec.lines() {
        let start = line.strip_prefix("## ").unwrap_or(line);
        let Some((number, _)) = number(start) else {
            continue;
        };
        let is_heading = line.starts_with("## ");
        if is_heading != number.contains('.') {
            numbers.insert(number.to_owned());
        }
    }
    numbers
}

/// A number such as `3` or `3.14` at the start of `text`, and what follows it.
fn number(text: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    if whole == 0 {
        return None;
    }
    let part = text[whole..].strip_prefix('.').map_or(0, digits);
    let end = if part > 0 { whole + 1 + part } else { whole };
    Some((&text[..end], &text[end..]))
}

#[derive(Debug, PartialEq, Eq)]
struct Cited {
    line: usize,
    spec: String,
    numbers: Vec<String>,
}

fn citations(file: &str, text: &str, spec: &Spec) -> Vec<Breach> {
    let cited = cited(text).into_iter();
    cited
        .filter_map(|cited| {
            Some(Breach {
                file: file.to_owned(),
                line: cited.line,
                what: spec.misses(&cited)?,
            })
        })
        .collect()
}

/// Every citation: the word, a name, and numbers with `,`, `to` or `and` between.
fn cited(text: &str) -> Vec<Cited> {
    let word = concat!("SP", "EC ");
    let mut found = Vec::new();
    for (number_of_line, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices(word) {
            let rest = &line[at + word.len()..];
            let name = rest.bytes().take_while(u8::is_ascii_lowercase).count();
            let is_word = at == 0 || !line.as_bytes()[at - 1].is_ascii_alphanumeric();
            if name > 0 && is_word {
                found.push(Cited {
                    line: number_of_line + 1,
                    spec: rest[..name].to_owned(),
                    numbers: listed(&rest[name..]),
                });
            }
        }
    }
    found
}

fn listed(mut rest: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    let between = [" ", ", ", " to ", " and "];
    loop {
        let next = between.iter().find_map(|b| number(rest.strip_prefix(b)?));
        let Some((number, behind)) = next else {
            return numbers;
        };
        numbers.push(number.to_owned());
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let breaches = breaches(&crate::root()).unwrap();
        let said: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{}", said.join("\n"));
    }

    #[test]
    fn citations_are_seen_whole() {
        let text = concat!(
            "// SP",
            "EC entry 5.4, 5.5 and 7.3 to 7.5: why.\n(SP",
            "EC http)."
        );
        let seen = cited(text);
        assert_eq!(seen[0].numbers, ["5.4", "5.5", "7.3", "7.5"]);
        assert_eq!((seen[1].spec.as_str(), seen[1].line), ("http", 2));
        assert!(seen[1].numbers.is_empty());
    }

    #[test]
    fn numbers_stand_at_the_start_of_lines() {
        let spec = "# Title 9\n## 2. Heads\n2.10 **Word.** text\n3 apples\n2026-01-01\n";
        let expected = BTreeSet::from(["2".to_owned(), "2.10".to_owned()]);
        assert_eq!(numbers(spec), expected);
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let spec = Spec(BTreeMap::from([(
            "entry".to_owned(),
            numbers("## 1. A\n1.2 b"),
        )]));
        let told = |text: &str| {
            let all = words("a.rs", text).into_iter();
            let all = all.chain(citations("a.rs", text, &spec));
            all.map(|b| b.to_string()).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(concat!("// SP", "EC entry 1.2")), "");
        assert_eq!(
            told(concat!("\n// SP", "EC entry 1.3")),
            "a.rs:2: spec/entry.md has no 1.3"
        );
        assert_eq!(
            told(concat!("// SP", "EC circle 1")),
            "a.rs:1: there is no spec/circle.md"
        );
        assert!(told(concat!("let x = 1; // TO", "DO")).starts_with("a.rs:1: \"TO"));
        assert_eq!(told(concat!("const TO", "DO: u8 = 1;")), "");
        let long = "x\n".repeat(LINES_MAX + 1);
        assert!(length("a.rs", &long).is_some());
        assert!(length("a.md", &long).is_none());
    }
}
