//! `hotevm replay`: blocks and contracts, timed in several modes.
//!
//! in   files and folders, or nothing for the embedded sample chain
//! out  a line per block or contract, totals, growth round by round, differences between modes; a page, if one is wanted

mod html;

use crate::{
    options::{self, Execution, Selection},
    outcome,
    progress::Progress,
};
use clap::Args;
use hotevm_statetest::{
    Error, Mode, fixture, fork,
    mode::Engine,
    replay::{self, Plan, Run},
    report::{ReplayMode, ReplayReport, ReplayRound, ReplayRun},
    sample,
    trace::Window,
};
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Fixtures: .json or .json.gz files, or folders of them; none means the embedded sample chain.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    execution: Execution,
    #[command(flatten)]
    selection: Selection,
    /// Timed rounds; a round is one pass over all paths. From the second round on, a contract that takes less than a millisecond is
    /// passed until a millisecond has been timed, and counts with the mean.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Sweep a buffer of 128 MiB before every timed pass over a path.
    #[arg(long)]
    cold_caches: bool,
    /// Wait between rounds until nothing is compiled in the background.
    #[arg(long)]
    settle: bool,
    /// Write a page with the growth round by round and the speed of each contract to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Threads; replay measures on one, so any other number is refused.
    #[arg(short = 'j', long = "jobs", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1))]
    jobs: Option<u32>,
}

/// Replays; true if everything held.
pub(crate) fn run(arguments: &Arguments) -> eyre::Result<bool> {
    let engines = arguments.execution.engines(&[Mode::Interpreter, Mode::Jit])?;
    let selection = &arguments.selection;
    let mut runs = if arguments.paths.is_empty() { sample::runs()? } else { replay::load(&fixture::find(&arguments.paths)?)? };
    runs.retain(|run| wants(selection, run));
    if runs.is_empty() {
        return Err(Error::NothingLeft.into());
    }
    if let Some(engine) = engines.first().filter(|_| selection.trace) {
        trace(&runs, engine.as_ref());
    }
    let progress = Progress::new("passes");
    let plan = Plan {
        rounds: arguments.rounds as usize,
        cold_caches: arguments.cold_caches,
        settle: arguments.settle,
        contracts: arguments.html.is_some(),
        progress: &|done, total| progress.done(done, total),
    };
    let measured = replay::measure(&runs, &engines, &plan)?;
    drop(progress);
    options::finish(&engines);
    print(&measured.report, measured.explanation.as_deref())?;
    options::write_json(selection.json.as_deref(), &measured.report)?;
    if let Some(path) = &arguments.html {
        fs::write(path, html::page(&measured.report)).map_err(|error| eyre::eyre!("{}: {error}", path.display()))?;
    }
    Ok(measured.report.held())
}

fn wants(selection: &Selection, run: &Run) -> bool {
    selection.filter.as_ref().is_none_or(|text| run.name.contains(text.as_str()))
        && selection.fork.as_ref().is_none_or(|name| fork::spec_id(name) == Some(run.env.cfg_env.spec))
}

fn trace(runs: &[Run], engine: &dyn Engine) {
    let sink = outcome::trace_sink();
    for run in runs {
        sink(&format!("trace of {}", run.name));
        engine.trace_replay(run, None, &Window::stream(&sink));
    }
}

/// Prints a line per run and the totals.
fn print(report: &ReplayReport, explanation: Option<&str>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let modes: Vec<_> = report.runs.first().into_iter().flat_map(|run| &run.modes).map(|mode| &mode.mode).collect();
    write!(out, "{:<24} {:>5} {:>11}", "run", "txs", "gas")?;
    for mode in &modes {
        write!(out, " | {:>10} {:>10} {:>10}", format!("{mode}: first"), "median ms", "min")?;
        if mode.as_str() != Mode::Interpreter.name() {
            write!(out, " {:>7} {:>7} {:>7} {:>8}", "speedup", "native", "tables", "compiled")?;
        }
    }
    writeln!(out)?;
    for run in &report.runs {
        print_run(&mut out, run)?;
    }
    for mode in modes {
        let Some(total) = report.total.get(mode) else { continue };
        write!(out, "total {mode}: first {:.3} ms, median {:.3} ms", total.first_ms, total.median_ms)?;
        if mode != Mode::Interpreter.name() {
            write!(out, ", speedup {}", optional(total.speedup_geomean, 2))?;
            write!(out, ", compiling {:.1} ms of CPU, {} bytes of code", total.compile_cpu_ms, total.code_bytes)?;
            write!(out, ", mismatches {}", total.mismatches)?;
        }
        writeln!(out)?;
    }
    if let Some(total) = report.total.get(Mode::Tiered.name()) {
        print_growth(&mut out, &total.rounds)?;
    }
    if let Some(explanation) = explanation {
        writeln!(out, "first difference between modes: {explanation}")?;
    }
    out.flush()
}

/// Prints what mode `tiered` had done by the end of each round.
fn print_growth(out: &mut impl Write, rounds: &[ReplayRound]) -> io::Result<()> {
    writeln!(
        out,
        "{:<12} {:>10} {:>8} {:>8} {:>9} {:>14} {:>11}",
        "tiered round", "ms", "speedup", "native", "compiled", "compile cpu ms", "code bytes"
    )?;
    for (index, round) in rounds.iter().enumerate() {
        let (speedup, native) = (optional(round.speedup, 2), optional(round.native_gas_share, 4));
        write!(out, "{:<12} {:>10.3} {speedup:>8} {native:>8}", index + 1, round.ms)?;
        writeln!(out, " {:>9} {:>14.1} {:>11}", round.compiled, round.compile_cpu_ms, round.code_bytes)?;
    }
    Ok(())
}

fn print_run(out: &mut impl Write, run: &ReplayRun) -> io::Result<()> {
    write!(out, "{:<24} {:>5} {:>11}", run.name, run.transactions, run.gas_used)?;
    for mode in &run.modes {
        write!(out, " | {:>10.3} {:>10.3} {:>10.3}", mode.first_ms, mode.median_ms, mode.min_ms)?;
        if mode.mode != Mode::Interpreter.name() {
            let (speedup, native) = (optional(mode.speedup, 2), optional(mode.native_gas_share, 4));
            let tables = optional(mode.table_call_gas_share, 4);
            write!(out, " {speedup:>7} {native:>7} {tables:>7} {:>8}", mode.compiled)?;
        }
    }
    let complaints: Vec<_> = run.modes.iter().filter_map(complaint).collect();
    writeln!(out, "  {}", if complaints.is_empty() { "ok".to_owned() } else { complaints.join(", ") })
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// What did not hold in a mode.
fn complaint(mode: &ReplayMode) -> Option<String> {
    let mut parts = Vec::new();
    if mode.gas_used_ok == Some(false) {
        parts.push("GAS USED".to_owned());
    }
    if mode.receipts_root_ok == Some(false) {
        parts.push("RECEIPTS ROOT".to_owned());
    }
    if mode.mismatches > 0 {
        parts.push(format!("{} MISMATCHES", mode.mismatches));
    }
    (!parts.is_empty()).then(|| format!("{}: {}", mode.mode, parts.join(" ")))
}
