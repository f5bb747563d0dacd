//! The floors of the house: a module imports only those that `lib.rs` declares before it.

use std::{fs, path::Path};

/// The modules of this crate in the order of `lib.rs`.
fn modules(lib: &str) -> Vec<&str> {
    lib.lines()
        .filter_map(|line| {
            line.trim_start_matches("pub ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        })
        .collect()
}

/// What a module is without comments and its own tests.
fn code(source: &str) -> String {
    let code = source
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules that follow `crate::`, alone or in braces.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    found.push(word(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// What is wrong with one module, given those before it.
fn troubles(name: &str, source: &str, below: &[&str], all: &[&str]) -> Vec<String> {
    let code = code(source);
    let mut troubles: Vec<String> = imports(&code)
        .into_iter()
        .filter(|import| all.contains(&import.as_str()) && !below.contains(&import.as_str()))
        .map(|import| format!("{name} imports {import}, which is not below it"))
        .collect();
    if code.contains("super::") {
        troubles.push(format!("{name} reaches round with super::"));
    }
    troubles
}

#[test]
fn floors_hold() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(src.join("lib.rs")).expect("lib.rs can be read");
    let all = modules(&lib);
    assert!(all.len() > 3, "lib.rs declares modules");
    for (floor, name) in all.iter().enumerate() {
        let source = fs::read_to_string(src.join(format!("{name}.rs"))).expect("a module's file");
        let none: Vec<String> = Vec::new();
        assert_eq!(troubles(name, &source, &all[..floor], &all), none);
    }
}

#[test]
fn a_module_that_looks_up_is_seen() {
    let all = ["cellar", "parlor", "attic"];
    let check = |source: &str, expected: &[&str]| {
        assert_eq!(
            troubles("parlor", source, &all[..1], &all),
            expected,
            "{source}"
        );
    };
    check("use crate::cellar::Wine;", &[]);
    check("use crate::{cellar::{Wine, attic}, x};", &[]);
    check("/// As [`crate::attic`].\nfn f() {}", &[]);
    check("fn f() {}\n#[cfg(test)]\nmod tests { use super::*; }", &[]);
    let looks_up = ["parlor imports attic, which is not below it"];
    check("use crate::attic::Trunk;", &looks_up);
    check(
        "use crate::{\n    cellar::{Wine, Cider},\n    attic,\n};",
        &looks_up,
    );
    check("fn f() -> crate::attic::Trunk {}", &looks_up);
    check(
        "use super::attic::Trunk;",
        &["parlor reaches round with super::"],
    );
}
