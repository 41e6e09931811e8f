//! The human output of test runs.
//!
//! in   a report, the first difference between modes
//! out  lines on standard output

use hotevm_statetest::{
    report::{TestMode, TestReport},
    trace::Sink,
};
use std::{
    io::{self, Write},
    sync::Arc,
};

/// Failures listed per mode; all are in the JSON report.
const FAILURES_SHOWN_MAX: usize = 20;

/// Prints what came of a test run.
pub(crate) fn print(report: &TestReport, explanation: Option<&str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for mode in &report.modes {
        print_mode(&mut out, mode)?;
    }
    for row in &report.needless_rows {
        writeln!(out, "skip.toml: every test passed under the row with {row}")?;
    }
    if let Some(explanation) = explanation {
        writeln!(out, "first difference between modes: {explanation}")?;
    }
    if report.modes.len() > 1 {
        writeln!(out, "mismatches {}", report.mismatches)?;
    }
    out.flush()
}

fn print_mode(out: &mut impl Write, mode: &TestMode) -> io::Result<()> {
    for failure in mode.failures.iter().take(FAILURES_SHOWN_MAX) {
        writeln!(out, "{} FAILED {}: {}", mode.mode, failure.name, failure.reason)?;
    }
    if mode.failures.len() > FAILURES_SHOWN_MAX {
        writeln!(out, "{} … and {} more", mode.mode, mode.failures.len() - FAILURES_SHOWN_MAX)?;
    }
    write!(out, "{}: {} passed, {} failed, {} skipped", mode.mode, mode.passed, mode.failed, mode.skipped)?;
    if mode.skipped > 0 {
        write!(out, " (of which {} would pass)", mode.skipped_would_pass)?;
    }
    write!(out, "; {:.1} s", mode.wall_s)?;
    if mode.eligible_frames > 0 {
        let entered = mode.native_frames as f64 / mode.eligible_frames as f64;
        write!(out, "; {:.2} % of {} eligible frames native", entered * 100.0, mode.eligible_frames)?;
    }
    if let Some(share) = mode.native_gas_share {
        write!(out, ", native gas share {share:.4}")?;
    }
    if mode.compiled > 0 {
        write!(out, "; {} codes compiled in {:.1} s of CPU", mode.compiled, mode.compile_cpu_ms / 1e3)?;
    }
    writeln!(out)
}

/// Prints the lines of traces as they come.
pub(crate) fn trace_sink() -> Sink {
    Arc::new(|line| {
        // A closed pipe must not end the run: the reader has seen what it wanted.
        let _written = writeln!(io::stdout(), "{line}");
    })
}
