//! The one binary.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    spokes::run::run(spokes::run::Cli::parse())
}
