//! The `hotevm` command.
//!
//! in   arguments
//! out  a report on standard output; exit status 0 if everything asked for held, 1 if something did not, and 2, with one line
//!      on standard error, if the program could not do what was asked
//!
//! One file per subcommand, `suites` for both kinds of tests; `options` holds what they share.

#![forbid(unsafe_code)]

mod aot;
mod compile;
mod limits;
mod options;
mod outcome;
mod pin;
mod progress;
mod replay;
mod run;
mod suites;

use clap::{Parser, Subcommand};
use hotevm_statetest::{block_test, state_test};
use std::process::ExitCode;

/// Everything held.
const HELD: u8 = 0;
/// Something asked for did not hold.
const NOT_HELD: u8 = 1;
/// The program could not do what was asked.
const PROGRAM_ERROR: u8 = 2;

/// Runs hot contracts of revm as native code.
#[derive(Debug, Parser)]
#[command(name = "hotevm", version, about, max_term_width = 120)]
struct Command {
    #[command(subcommand)]
    subcommand: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Execute and time mainnet blocks and contracts; without a path, the embedded sample chain.
    Replay(replay::Arguments),
    /// Run state tests.
    Statetest(suites::Arguments),
    /// Run blockchain tests.
    Blocktest(suites::Arguments),
    /// Compile in advance; list, check and collect artifacts.
    #[command(subcommand)]
    Aot(aot::Command),
    /// Run one bytecode or the contracts of a fixture once in every mode, and compare.
    Run(run::Arguments),
    /// Compile bytecode and tell what came of it.
    Compile(compile::Arguments),
    /// Print what bounds the compiler's work.
    Limits,
}

impl Subcommands {
    /// Runs the subcommand; true if everything asked for held.
    fn run(&self) -> eyre::Result<bool> {
        match self {
            Self::Replay(arguments) => replay::run(arguments),
            Self::Statetest(arguments) => suites::run(arguments, state_test::run),
            Self::Blocktest(arguments) => suites::run(arguments, block_test::run),
            Self::Aot(command) => aot::run(command),
            Self::Run(arguments) => run::run(arguments),
            Self::Compile(arguments) => compile::run(arguments),
            Self::Limits => limits::run(),
        }
    }
}

fn main() -> ExitCode {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => return usage(&error),
    };
    match command.subcommand.run() {
        Ok(true) => ExitCode::from(HELD),
        Ok(false) => ExitCode::from(NOT_HELD),
        Err(error) => {
            eprintln!("hotevm: {}", one_line(&format!("{error:#}")));
            ExitCode::from(PROGRAM_ERROR)
        }
    }
}

/// Help and version go to standard output in full; errors are cut to one line.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let text = error.to_string();
        let text = text.split("\n\n").next().unwrap_or_default();
        eprintln!("hotevm: {}", one_line(text.trim_start_matches("error: ")));
        ExitCode::from(PROGRAM_ERROR)
    } else {
        print!("{error}");
        ExitCode::from(HELD)
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn errors_become_one_line() {
        assert_eq!(one_line("a\n  b\tc\n"), "a b c");
    }
}
