//! Tasks of the house: `cargo xtask ci`, `cargo xtask tidy`, `cargo xtask bench`.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

mod tidy;

const USAGE: &str = "\
cargo xtask ci [STEP…]    runs ./test
cargo xtask tidy          checks lengths of files, words that must not stay, and citations of spec/
cargo xtask bench [NAME]  runs the benches; what is measured stands in docs/benchmarks.md";

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

/// Runs the benches where there are any.
fn bench(names: &[String]) -> ExitCode {
    let root = root();
    let has_benches = |package: std::fs::DirEntry| package.path().join("benches").is_dir();
    let packages = std::fs::read_dir(root.join("crates"));
    if !packages.is_ok_and(|packages| packages.flatten().any(has_benches)) {
        eprintln!("No package has benches yet; docs/benchmarks.md says what will be measured.");
        return ExitCode::FAILURE;
    }
    let mut cargo = Command::new("cargo");
    let cargo = cargo.args(["bench", "--locked", "--workspace"]).args(names);
    ended(cargo.current_dir(root))
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
