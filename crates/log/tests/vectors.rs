//! The vectors that stock tools made: what gpg 2.2 and openpgp.js signed is judged as they say.

use std::{fs, path::Path};

use spokes_log::{
    chain::Chain,
    entry::Entry,
    name::BlogId,
    seal::{Pasted, RawSignature, SealedEntry},
};

/// The fields of `case.json` that matter, read without a JSON library.
struct Case {
    file: String,
    text: String,
    valid: bool,
    reason: String,
}

fn field(object: &str, name: &str) -> String {
    let Some((_, rest)) = object.split_once(&format!("\"{name}\":")) else {
        return String::new();
    };
    let rest = rest.trim_start().trim_start_matches('"');
    rest.split('"').next().unwrap_or_default().to_owned()
}

fn cases(dir: &Path) -> Vec<Case> {
    let json = fs::read_to_string(dir.join("case.json")).expect("a case");
    let (_, entries) = json.split_once("\"entries\":").expect("entries");
    let objects = entries.split('{').skip(1);
    objects
        .map(|object| Case {
            file: field(object, "file"),
            text: field(object, "text"),
            valid: field(object, "verdict") == "valid",
            reason: field(object, "reason"),
        })
        .collect()
}

/// Judges one entry as a node does that gets it from a stranger.
fn judge(chain: &mut Option<Chain>, dir: &Path, case: &Case) -> Result<(), String> {
    let bytes = fs::read(dir.join("entries").join(&case.file)).expect("a file");
    let (text, signatures) = if case.file.contains(".sig.") {
        let text = fs::read(dir.join("entries").join(&case.text)).expect("a text");
        (
            text,
            RawSignature::parse_all(&bytes).map_err(|e| e.to_string())?,
        )
    } else {
        let pasted = Pasted::parse(&bytes).map_err(|e| e.to_string())?;
        (pasted.text.into_bytes(), pasted.signatures)
    };
    let entry = Entry::parse(&text).map_err(|e| e.to_string())?;
    let blog: BlogId = entry.blog();
    let mut behind = chain.clone().unwrap_or_else(|| Chain::new(blog));
    let place = behind.place(&entry).map_err(|e| e.to_string())?;
    let verified = place.seal(entry, &signatures).map_err(|e| e.to_string())?;
    // What is kept is judged alike when it comes back.
    let sealed = verified.sealed();
    let packets: Vec<_> = sealed.signatures().iter().map(|s| s.packet()).collect();
    let again = SealedEntry::parse(sealed.entry().text().as_bytes(), &packets);
    let again = again.map_err(|e| format!("kept form: {e}"))?;
    let verified = place.verify(again).map_err(|e| format!("kept form: {e}"))?;
    behind.append(&verified).map_err(|e| e.to_string())?;
    *chain = Some(behind);
    Ok(())
}

#[test]
fn every_vector_is_judged_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut dirs: Vec<_> = fs::read_dir(&folder)
        .expect("vectors")
        .filter_map(|dir| dir.ok().map(|dir| dir.path()))
        .filter(|dir| dir.join("case.json").exists())
        .collect();
    dirs.sort();
    assert!(dirs.len() > 60, "the vectors are there");
    let (mut wrong, mut valid, mut refused) = (Vec::new(), 0, 0);
    for dir in dirs {
        let name = dir
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let mut chain = None;
        for case in cases(&dir) {
            let verdict = judge(&mut chain, &dir, &case);
            match (case.valid, &verdict) {
                (true, Ok(())) => valid += 1,
                (false, Err(_)) => refused += 1,
                (true, Err(why)) => wrong.push(format!("{name}/{}: refused: {why}", case.file)),
                (false, Ok(())) => {
                    wrong.push(format!("{name}/{}: accepted ({})", case.file, case.reason));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        valid > 200 && refused > 300,
        "{valid} valid, {refused} refused"
    );
}
