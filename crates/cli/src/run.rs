//! `hotevm run`: one bytecode, or the contracts of a fixture, once in every mode.
//!
//! in   hex, a file with hex, or a fixture; what to change in its transactions
//! out  what every transaction did in every mode, and the first difference between modes
//!
//! One argument names the code: a path if there is such a file, else hex. A file that begins with a brace is a fixture.

mod report;

use crate::{
    options::{self, Execution},
    outcome,
};
use eyre::{WrapErr as _, bail};
use hotevm_statetest::{
    Mode, fixture,
    fork::spec_id,
    replay::{self, Changes, Run},
    trace::Window,
};
use report::Report;
use revm::primitives::{Bytes, U256, hex};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Bytecode in hex, a file with bytecode in hex, or a contract or block fixture.
    #[arg(value_name = "CODE")]
    code: String,
    /// Call data in hex.
    #[arg(long, value_name = "HEX", value_parser = bytes)]
    calldata: Option<Bytes>,
    /// Gas limit of the transaction, what it costs to begin with included.
    #[arg(long, value_name = "N")]
    gas: Option<u64>,
    /// Value sent along, in wei.
    #[arg(long, value_name = "N")]
    value: Option<U256>,
    /// Fork; a bytecode runs on Osaka and a fixture on its own unless told otherwise.
    #[arg(long, value_name = "NAME")]
    fork: Option<String>,
    /// Print an EIP-3155 trace, made in the first mode.
    #[arg(long)]
    trace: bool,
    /// Write a report to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    execution: Execution,
}

/// Runs the code; true if all modes did the same.
pub(crate) fn run(arguments: &Arguments) -> eyre::Result<bool> {
    let changes = arguments.changes()?;
    let mut runs = load(&arguments.code)?;
    let engines = arguments.execution.engines(&[Mode::Interpreter, Mode::Jit])?;
    let mut report = Report::default();
    for run in &mut runs {
        run.change(&changes);
        if let Some(engine) = engines.first().filter(|_| arguments.trace) {
            let sink = outcome::trace_sink();
            sink(&format!("trace of {}", run.name));
            engine.trace_replay(run, None, &Window::stream(&sink));
        }
        report.add(&run.name, &engines, replay::single(run, &engines)?);
    }
    report.print()?;
    options::write_json(arguments.json.as_deref(), &report)?;
    Ok(report.held())
}

impl Arguments {
    fn changes(&self) -> eyre::Result<Changes> {
        let spec = match &self.fork {
            None => None,
            Some(name) => match spec_id(name) {
                None => bail!("no fork is called {name:?}"),
                known => known,
            },
        };
        Ok(Changes { spec, data: self.calldata.clone(), gas_limit: self.gas, value: self.value })
    }
}

/// What the argument stands for.
fn load(code: &str) -> eyre::Result<Vec<Run>> {
    let path = Path::new(code);
    if !path.exists() {
        return match bytes(code) {
            Ok(code) => Ok(vec![replay::bytecode("bytecode", code)]),
            Err(_) => bail!("{code}: neither a file nor bytecode in hex"),
        };
    }
    let content = fixture::read(path)?;
    if content.trim_ascii_start().first() == Some(&b'{') {
        return Ok(replay::load(&fixture::find(&[path.to_owned()])?)?);
    }
    drop(content);
    let text = fs::read_to_string(path).wrap_err_with(|| path.display().to_string())?;
    let code = bytes(text.trim()).map_err(|error| eyre::eyre!("{}: {error}", path.display()))?;
    Ok(vec![replay::bytecode(&fixture::stem(path), code)])
}

/// Bytes in hex, with or without 0x.
fn bytes(text: &str) -> Result<Bytes, hex::FromHexError> {
    hex::decode(text).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_taken_with_and_without_its_prefix() {
        assert_eq!(bytes("0x6001").unwrap(), bytes("6001").unwrap());
        assert!(bytes("").unwrap().is_empty() && bytes("0x").unwrap().is_empty());
        assert!(bytes("0x600").is_err() && bytes("STOP").is_err());
    }

    #[test]
    fn code_is_hex_or_a_file() {
        let runs = load("0x00").unwrap();
        assert_eq!((runs.len(), runs[0].name.as_str(), runs[0].transactions.len()), (1, "bytecode", 1));
        let error = load("no/such/file").unwrap_err().to_string();
        assert_eq!(error, "no/such/file: neither a file nor bytecode in hex");
    }
}
