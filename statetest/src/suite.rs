//! What state tests and blockchain tests have in common: running files in several modes, and adding up.
//!
//! in   per test: the verdict of each mode, the row of `skip.toml` it falls under, the first difference between modes
//! out  a [`TestReport`], and the first difference in words
//!
//! T1  The first mode asked for is the one that the others are compared with.
//! T2  A skipped test counts neither as passed nor as failed, but its differences count.

use crate::{
    difference::Difference,
    error::Error,
    fixture::File,
    mode::{Engine, gas_shares},
    parallel::{self, Progress},
    report::{Failure, SCHEMA, TestMode, TestReport, compile_cpu_ms},
    skip::{Skip, Use},
    trace::{Sink, Window},
};
use hotevm::Statistics;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What to run, and how.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// Number of threads.
    pub threads: usize,
    /// Only tests whose name or path contains this.
    pub filter: Option<&'a str>,
    /// Only tests of this fork.
    pub fork: Option<&'a str>,
    /// Trace every test in the first mode, and hand the test's name and the lines over.
    pub trace: Option<&'a Sink>,
}

impl Settings<'_> {
    /// Whether a test is asked for.
    pub fn wants(&self, path: &str, name: &str, fork: &str) -> bool {
        self.filter.is_none_or(|text| name.contains(text) || path.contains(text))
            && self.fork.is_none_or(|wanted| crate::fork::same(wanted, fork))
    }

    /// Whether the whole of the given paths is run, so that rows of the table of skipped tests can be judged.
    const fn is_whole(&self) -> bool {
        self.filter.is_none() && self.fork.is_none()
    }
}

/// What is known about one test after all modes ran it.
#[derive(Debug, Clone)]
pub(crate) struct TestResult {
    /// The test.
    pub(crate) name: String,
    /// The row that it falls under.
    pub(crate) row: Option<usize>,
    /// Per mode: passed, or the reason why not.
    pub(crate) verdicts: Vec<Result<(), String>>,
    /// The first difference between the first mode and another.
    pub(crate) mismatch: Option<Mismatch>,
}

/// Where modes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The file.
    pub(crate) path: PathBuf,
    /// The test.
    pub(crate) name: String,
    /// Index of the other mode.
    pub(crate) mode: usize,
    /// Block and transaction within the test, where there are several.
    pub(crate) place: Option<(usize, usize)>,
    /// What differs.
    pub(crate) difference: Difference,
}

/// The results of one file.
#[derive(Debug)]
pub(crate) struct FileResult {
    /// Its tests.
    pub(crate) tests: Vec<TestResult>,
    /// Time spent per mode.
    busy: Vec<Duration>,
}

impl FileResult {
    /// No tests yet.
    pub(crate) fn new(engines: &[Box<dyn Engine>]) -> Self {
        Self { tests: Vec::new(), busy: vec![Duration::ZERO; engines.len()] }
    }

    /// Executes a test in every mode, and adds up the time.
    pub(crate) fn timed<T>(&mut self, engines: &[Box<dyn Engine>], execute: impl Fn(&dyn Engine) -> T) -> Vec<T> {
        let timed = engines.iter().zip(&mut self.busy).map(|(engine, busy)| {
            let start = Instant::now();
            let record = execute(engine.as_ref());
            *busy += start.elapsed();
            record
        });
        timed.collect()
    }
}

/// Runs the tests of all files, each by `run_file`; the first difference between modes is put into words by `explain`.
///
/// # Errors
/// When a file fails, or no test is left to run.
pub(crate) fn run(
    files: &[File],
    engines: &[Box<dyn Engine>],
    settings: &Settings<'_>,
    skip: &Skip,
    progress: Progress<'_>,
    run_file: impl Fn(&Path) -> Result<FileResult, Error> + Sync,
    explain: impl FnOnce(&Mismatch) -> Result<String, Error>,
) -> Result<(TestReport, Option<String>), Error> {
    let before: Vec<_> = engines.iter().map(|engine| engine.statistics()).collect();
    let start = Instant::now();
    let results = parallel::each_file(files, settings.threads, progress, |file| run_file(&file.path))?;
    if results.iter().all(|file| file.tests.is_empty()) {
        return Err(Error::NothingLeft);
    }
    let report = summarise(engines, &results, skip, settings, &before, start.elapsed());
    let mut mismatches = results.iter().flat_map(|file| &file.tests).filter_map(|test| test.mismatch.as_ref());
    let explanation = mismatches.next().map(explain).transpose()?;
    Ok((report, explanation))
}

/// Adds up all files.
fn summarise(
    engines: &[Box<dyn Engine>],
    files: &[FileResult],
    skip: &Skip,
    settings: &Settings<'_>,
    before: &[Option<Statistics>],
    wall: Duration,
) -> TestReport {
    let busy = |index: usize| files.iter().filter_map(|file| file.busy.get(index)).sum::<Duration>().as_secs_f64();
    let busy_all: f64 = (0..engines.len()).map(busy).sum();
    let tests = || files.iter().flat_map(|file| &file.tests);
    let mut rows = Use::default();
    let modes = engines.iter().enumerate().map(|(index, engine)| {
        let mut mode = TestMode {
            wall_s: wall.as_secs_f64() * if busy_all > 0.0 { busy(index) / busy_all } else { 1.0 },
            ..counted(engine.as_ref(), before.get(index).and_then(Option::as_ref))
        };
        let mut used = Use::default();
        for test in tests() {
            let Some(verdict) = test.verdicts.get(index) else { continue };
            match (test.row, verdict) {
                (Some(row), verdict) => {
                    mode.skipped += 1;
                    used.add(row, verdict.is_ok());
                }
                (None, Ok(())) => mode.passed += 1,
                (None, Err(reason)) => {
                    mode.failed += 1;
                    mode.failures.push(Failure { name: test.name.clone(), reason: reason.clone() });
                }
            }
        }
        mode.skipped_would_pass = used.would_pass();
        rows.merge(&used);
        mode
    });
    let modes = modes.collect();
    let needless = if settings.is_whole() { rows.needless() } else { Vec::new() };
    TestReport {
        schema: SCHEMA,
        modes,
        mismatches: tests().filter(|test| test.mismatch.is_some()).count() as u64,
        needless_rows: needless.into_iter().map(|row| skip.describe(row)).collect(),
    }
}

/// The counters of an engine, with no tests yet.
fn counted(engine: &dyn Engine, before: Option<&Statistics>) -> TestMode {
    let statistics = engine.statistics().map(|now| before.map_or_else(|| now.clone(), |before| now.since(before)));
    let [native_gas_share, _, _] = gas_shares(statistics.as_ref());
    let statistics = statistics.unwrap_or_default();
    TestMode {
        mode: engine.mode().to_string(),
        passed: 0,
        failed: 0,
        skipped: 0,
        skipped_would_pass: 0,
        eligible_frames: statistics.eligible_frames,
        native_frames: statistics.native_frames,
        native_gas_share,
        compiled: statistics.compiled,
        compile_cpu_ms: compile_cpu_ms(&statistics),
        wall_s: 0.0,
        failures: Vec::new(),
    }
}

/// A difference in words, with the traces of both sides around it.
///
/// An inspected run is always interpreted, so where both traces are equal the difference lies in native code; only one trace is
/// shown then, with a line that says so.
pub(crate) fn explain(title: &str, names: [&str; 2], difference: &Difference, windows: [&Window; 2]) -> String {
    let [left, right] = names;
    let mut text =
        format!("{title}\n  {}\n    {left}: {}\n    {right}: {}\n", difference.field, difference.left, difference.right);
    let [left_lines, right_lines] = windows.map(Window::lines);
    let mut show = |name: &str, lines: &[String]| {
        text.push_str(&format!("  trace of {name} (EIP-3155):\n"));
        lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    };
    show(left, &left_lines);
    if left_lines == right_lines {
        text.push_str(&format!("  {right} under a tracer, which is interpreted, does the same: native code differs\n"));
    } else {
        show(right, &right_lines);
    }
    text
}
