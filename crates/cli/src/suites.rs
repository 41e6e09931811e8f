//! `hotevm statetest` and `hotevm blocktest`: Ethereum's tests in one or more modes.
//!
//! in   files and folders
//! out  verdicts per mode and differences between modes

use crate::{
    options::{self, Execution, Selection},
    outcome,
    progress::Progress,
};
use clap::Args;
use hotevm_statetest::{
    Error, Mode,
    fixture::{self, File},
    mode::Engine,
    parallel,
    report::TestReport,
    skip::Skip,
    suite::Settings,
};
use std::path::PathBuf;

/// What runs one kind of tests.
type Suite =
    fn(&[File], &[Box<dyn Engine>], &Settings<'_>, &Skip, parallel::Progress<'_>) -> Result<(TestReport, Option<String>), Error>;

/// Arguments of `statetest` and of `blocktest`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Fixtures: .json or .json.gz files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    execution: Execution,
    #[command(flatten)]
    selection: Selection,
    /// Threads; all CPUs unless told otherwise.
    #[arg(short = 'j', long = "jobs", value_name = "N")]
    jobs: Option<usize>,
}

/// Runs the tests; true if all held.
pub(crate) fn run(arguments: &Arguments, suite: Suite) -> eyre::Result<bool> {
    let engines = arguments.execution.engines(&[Mode::Jit])?;
    let files = fixture::find(&arguments.paths)?;
    let selection = &arguments.selection;
    let sink = selection.trace.then(outcome::trace_sink);
    // Traces of several threads would mix.
    let threads = if sink.is_some() { 1 } else { arguments.jobs.unwrap_or_else(parallel::default_threads) };
    let settings =
        Settings { threads, filter: selection.filter.as_deref(), fork: selection.fork.as_deref(), trace: sink.as_ref() };
    let progress = Progress::new("files");
    let done = |done, total| progress.done(done, total);
    let (report, explanation) = suite(&files, &engines, &settings, &Skip::table()?, &done)?;
    drop(progress);
    options::finish(&engines);
    outcome::print(&report, explanation.as_deref())?;
    options::write_json(selection.json.as_deref(), &report)?;
    Ok(report.held())
}
