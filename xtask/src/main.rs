//! Tasks of the house: `cargo xtask ci`, `cargo xtask tidy`, `cargo xtask bench`.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

mod tidy;

const USAGE: &str = "\
cargo xtask ci [STEP…]     runs ./test
cargo xtask tidy           checks lengths of files, words that must not stay, and citations of spec/
cargo xtask bench [NAME…]  measures a network on this machine; docs/benchmarks.md says what";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let task = arguments.next().unwrap_or_default();
    match task.as_str() {
        "ci" => ci(&arguments.collect::<Vec<_>>()),
        "tidy" => tidied(),
        "bench" => bench(&arguments.collect::<Vec<_>>()),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The root of the repository: the folder above this package.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn ci(steps: &[String]) -> ExitCode {
    ended(Command::new(root().join("test")).args(steps))
}

fn tidied() -> ExitCode {
    match tidy::breaches(&root()) {
        Ok(breaches) if breaches.is_empty() => ExitCode::SUCCESS,
        Ok(breaches) => {
            breaches.iter().for_each(|breach| eprintln!("{breach}"));
            eprintln!("{} to mend", breaches.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the repository cannot be read: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures a network on this machine; its figures belong into `docs/benchmarks.md`.
fn bench(names: &[String]) -> ExitCode {
    let mut cargo = Command::new("cargo");
    let cargo = cargo.args([
        "bench",
        "--locked",
        "--package",
        "spokes",
        "--bench",
        "network",
    ]);
    ended(cargo.arg("--").args(names).current_dir(root()))
}

fn ended(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{command:?} cannot be started: {error}");
            ExitCode::FAILURE
        }
    }
}
