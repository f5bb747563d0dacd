//! Verifies an exported blog with this crate alone.
//!
//!     cargo run -p spokes-log --example verify -- PATH/TO/EXPORT
//!
//! An export keeps the signed log in `log/`, one file for each entry, in the order of their names.

use std::{error::Error, fs, path::Path, process::ExitCode};

use spokes_log::{
    chain::Chain,
    entry::Entry,
    seal::{Pasted, SealedEntry},
};

fn main() -> ExitCode {
    let Some(export) = std::env::args().nth(1) else {
        eprintln!("usage: verify PATH/TO/EXPORT");
        return ExitCode::from(2);
    };
    match verify(Path::new(&export)) {
        Ok(chain) => {
            eprintln!("good: blog {}, {} entries", chain.blog(), chain.len());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("not good: {why}");
            ExitCode::FAILURE
        }
    }
}

fn verify(export: &Path) -> Result<Chain, Box<dyn Error>> {
    let mut files: Vec<_> = fs::read_dir(export.join("log"))?
        .map(|file| file.map(|file| file.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let mut chain: Option<Chain> = None;
    for file in files {
        let bytes = fs::read(&file)?;
        let named = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
        // A sealed file, or the skeleton that is left of an erased entry.
        let verified = if bytes.starts_with(b"-----") {
            let pasted = Pasted::parse(&bytes).map_err(|why| named(&why))?;
            let entry = Entry::parse(pasted.text.as_bytes()).map_err(|why| named(&why))?;
            let chain = chain.get_or_insert_with(|| Chain::new(entry.blog()));
            chain
                .place(&entry)
                .and_then(|place| place.seal(entry, &pasted.signatures))
        } else {
            let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let sealed = SealedEntry::parse::<&[u8]>(text, &[]).map_err(|why| named(&why))?;
            let chain = chain.get_or_insert_with(|| Chain::new(sealed.entry().blog()));
            chain
                .place(sealed.entry())
                .and_then(|place| place.verify(sealed))
        };
        let verified = verified.map_err(|why| named(&why))?;
        if let Some(chain) = &mut chain {
            chain.append(&verified).map_err(|why| named(&why))?;
        }
    }
    let chain = chain.ok_or("nothing is in it")?;
    match chain.unvouched().first() {
        Some(id) => Err(format!(
            "the words of {id} are missing, and no erase took them back"
        ))?,
        None => Ok(chain),
    }
}
