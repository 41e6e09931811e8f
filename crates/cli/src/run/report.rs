//! What `hotevm run` shows: each transaction, mode by mode.
//!
//! in   what every mode did with the transactions of a run
//! out  lines on standard output; a report in JSON, whose form is that of [`SCHEMA`], with fields only ever added

use hotevm_statetest::{
    mode::{Engine, Outcome},
    replay::Single,
    report::SCHEMA,
};
use revm::{
    context::result::ExecutionResult,
    primitives::{Address, B256, Bytes},
};
use serde::Serialize;
use std::io::{self, Write};

/// Bytes of output and of log data shown on a terminal; all are in the JSON report.
const BYTES_SHOWN_MAX: usize = 256;

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    /// One entry per contract or block.
    runs: Vec<ReportedRun>,
    /// Transactions whose modes differ.
    mismatches: u64,
    /// The first difference in words, with the traces of both sides.
    difference: Option<String>,
}

/// The transactions of one contract or block.
#[derive(Debug, Serialize)]
struct ReportedRun {
    name: String,
    transactions: Vec<Transaction>,
}

/// One transaction in every mode.
#[derive(Debug, Serialize)]
struct Transaction {
    modes: Vec<Executed>,
}

/// What a mode did with a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Executed {
    mode: String,
    /// success, revert, halt or refused.
    outcome: &'static str,
    /// How it succeeded or why it halted, in revm's words; why it was refused.
    reason: Option<String>,
    /// Gas of the transaction as its receipt has it, refunds taken off.
    gas_used: u64,
    /// Gas refunded.
    gas_refunded: u64,
    output: Bytes,
    logs: Vec<Log>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

impl Default for Report {
    fn default() -> Self {
        Self { schema: SCHEMA, runs: Vec::new(), mismatches: 0, difference: None }
    }
}

impl Report {
    /// Adds what the modes did with a run.
    pub(super) fn add(&mut self, name: &str, engines: &[Box<dyn Engine>], single: Single) {
        let transactions = single.passes.iter().map(|pass| pass.outcomes.len()).max().unwrap_or(0);
        let transaction = |index: usize| {
            let modes = engines.iter().zip(&single.passes);
            let modes = modes.filter_map(|(engine, pass)| Some(executed(engine.mode().name(), pass.outcomes.get(index)?)));
            Transaction { modes: modes.collect() }
        };
        self.runs.push(ReportedRun { name: name.to_owned(), transactions: (0..transactions).map(transaction).collect() });
        self.mismatches += single.mismatches;
        self.difference = self.difference.take().or(single.explanation);
    }

    /// Whether all modes did the same.
    pub(super) fn held(&self) -> bool {
        self.mismatches == 0
    }

    /// Prints everything.
    pub(super) fn print(&self) -> io::Result<()> {
        self.write(&mut io::stdout().lock())
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for run in &self.runs {
            for (index, transaction) in run.transactions.iter().enumerate() {
                writeln!(out, "{}: transaction {index}", run.name)?;
                transaction.modes.iter().try_for_each(|mode| write_mode(out, mode))?;
            }
        }
        if let Some(difference) = &self.difference {
            writeln!(out, "first difference between modes: {difference}")?;
        }
        writeln!(out, "mismatches {}", self.mismatches)?;
        out.flush()
    }
}

fn executed(mode: &str, outcome: &Outcome) -> Executed {
    let mode = mode.to_owned();
    let result = match outcome {
        Ok(executed) => &executed.result,
        Err(reason) => {
            let (reason, output) = (Some(reason.clone()), Bytes::new());
            return Executed { mode, outcome: "refused", reason, gas_used: 0, gas_refunded: 0, output, logs: Vec::new() };
        }
    };
    let (outcome, reason) = match result {
        ExecutionResult::Success { reason, .. } => ("success", Some(format!("{reason:?}"))),
        ExecutionResult::Revert { .. } => ("revert", None),
        ExecutionResult::Halt { reason, .. } => ("halt", Some(format!("{reason:?}"))),
    };
    let log =
        |log: &revm::primitives::Log| Log { address: log.address, topics: log.topics().to_vec(), data: log.data.data.clone() };
    Executed {
        mode,
        outcome,
        reason,
        gas_used: result.tx_gas_used(),
        gas_refunded: result.gas().inner_refunded(),
        output: result.output().cloned().unwrap_or_default(),
        logs: result.logs().iter().map(log).collect(),
    }
}

fn write_mode(out: &mut impl Write, executed: &Executed) -> io::Result<()> {
    write!(out, "  {}: {}", executed.mode, executed.outcome)?;
    if let Some(reason) = &executed.reason {
        write!(out, " ({reason})")?;
    }
    writeln!(out, ", gas used {}, refund {}", executed.gas_used, executed.gas_refunded)?;
    writeln!(out, "    output {}", shown(&executed.output))?;
    for (index, log) in executed.logs.iter().enumerate() {
        write!(out, "    log {index} of {}", log.address)?;
        log.topics.iter().try_for_each(|topic| write!(out, " {topic}"))?;
        writeln!(out, ": {}", shown(&log.data))?;
    }
    Ok(())
}

/// Bytes in hex, cut where they are many.
fn shown(bytes: &Bytes) -> String {
    if bytes.len() <= BYTES_SHOWN_MAX {
        return bytes.to_string();
    }
    format!("{}… ({} bytes)", bytes.slice(..BYTES_SHOWN_MAX), bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotevm_statetest::{mode, replay};

    /// PUSH1 7, PUSH0, MSTORE, PUSH1 32, PUSH0, LOG0 and REVERT.
    const CODE: [u8; 14] = [0x60, 7, 0x5f, 0x52, 0x60, 32, 0x5f, 0xa0, 0x60, 32, 0x5f, 0xfd, 0, 0];

    fn reported() -> Report {
        let engines = [mode::interpreter(), mode::interpreter()];
        let run = replay::bytecode("code", CODE.into());
        let mut report = Report::default();
        report.add(&run.name, &engines, replay::single(&run, &engines).unwrap());
        report
    }

    #[test]
    fn every_mode_is_shown() {
        let report = reported();
        let mut text = Vec::new();
        report.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(report.held() && text.ends_with("mismatches 0\n"), "{text}");
        assert_eq!(text.matches("interpreter: revert, gas used 2").count(), 2, "{text}");
        let word = format!("0x{:064x}", 7);
        assert_eq!(text.matches(&format!("output {word}")).count(), 2, "{text}");
    }

    #[test]
    fn a_difference_is_shown_and_does_not_hold() {
        let difference = Some("code: transaction 0".to_owned());
        let report = Report { mismatches: 1, difference, ..reported() };
        let mut text = Vec::new();
        report.write(&mut text).unwrap();
        let end = "first difference between modes: code: transaction 0\nmismatches 1\n";
        assert!(!report.held() && String::from_utf8(text).unwrap().ends_with(end));
    }

    #[test]
    fn long_outputs_are_cut() {
        assert_eq!(shown(&Bytes::from(vec![1; 2])), "0x0101");
        let long = shown(&Bytes::from(vec![1; BYTES_SHOWN_MAX + 1]));
        assert!(long.ends_with("01… (257 bytes)"), "{long}");
    }
}
