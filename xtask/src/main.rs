//! The project's own chores, so that they need nothing but cargo.
//!
//! in   the checkout this program was built in, and the words on the command line
//! out  findings or figures on standard output; status 0 only if everything asked for held; a program error is one line

#![forbid(unsafe_code)]

mod acceptance;
mod tidy;

use std::{path::Path, process::ExitCode};

const USAGE: &str = "usage: cargo run -p xtask -- tidy | acceptance [--line NAME]... [--again]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let done = match words.split_first() {
        Some((chore, [])) if chore == "tidy" => tidy::run(root),
        Some((chore, rest)) if chore == "acceptance" => acceptance::run(root, rest),
        _ => Err(eyre::eyre!("{USAGE}")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
