//! State tests of many files, in several modes.
//!
//! in   files, engines, settings
//! out  a report, and the first difference between modes in words

use super::{
    execute::{Record, verdict},
    fixture::{Subtest, Suite},
};
use crate::{
    difference::{self, Difference},
    error::Error,
    fixture::{self, File},
    mode::Engine,
    parallel::Progress,
    report::TestReport,
    skip::{Skip, Subject},
    suite::{self, FileResult, Mismatch, Settings, TestResult},
    trace::Window,
};
use std::path::Path;

const EXPECTED: &str = "state test";

/// Runs all state tests of the files.
///
/// # Errors
/// When a file cannot be read or is malformed, or no test is left to run.
pub fn run(
    files: &[File],
    engines: &[Box<dyn Engine>],
    settings: &Settings<'_>,
    skip: &Skip,
    progress: Progress<'_>,
) -> Result<(TestReport, Option<String>), Error> {
    let run_file = |path: &Path| run_file(path, engines, settings, skip);
    suite::run(files, engines, settings, skip, progress, run_file, |mismatch| explain(mismatch, engines))
}

/// Calls `visit` with each subtest of a file.
fn each_subtest(path: &Path, mut visit: impl FnMut(&str, &Subtest<'_>)) -> Result<(), Error> {
    let suite: Suite = fixture::parse(path, EXPECTED)?;
    for (name, unit) in &suite {
        let pre = unit.pre_state();
        for subtest in unit.subtests(name, &pre).map_err(|reason| Error::content(path, reason))? {
            visit(name, &subtest);
        }
    }
    Ok(())
}

fn run_file(path: &Path, engines: &[Box<dyn Engine>], settings: &Settings<'_>, skip: &Skip) -> Result<FileResult, Error> {
    let mut result = FileResult::new(engines);
    let file = path.to_string_lossy();
    each_subtest(path, |unit, subtest| {
        if !settings.wants(&file, &subtest.name, subtest.fork) {
            return;
        }
        if let (Some(sink), Some(engine)) = (settings.trace, engines.first()) {
            sink(&format!("trace of {}", subtest.name));
            engine.trace_state_test(subtest, &Window::stream(sink));
        }
        let records = result.timed(engines, |engine| engine.state_test(subtest));
        let exceptions: Vec<_> =
            subtest.expected_exception.into_iter().flat_map(|text| text.split('|')).map(str::to_owned).collect();
        let subject = Subject { file: &file, name: unit, fork: subtest.fork, exceptions: &exceptions };
        result.tests.push(TestResult {
            name: subtest.name.clone(),
            row: skip.row_of(&subject),
            verdicts: records.iter().map(|record| verdict(subtest, record)).collect(),
            mismatch: mismatch(path, &subtest.name, &records),
        });
    })?;
    Ok(result)
}

fn mismatch(path: &Path, name: &str, records: &[Record]) -> Option<Mismatch> {
    let (first, others) = records.split_first()?;
    others.iter().enumerate().find_map(|(index, other)| {
        let difference = difference::outcomes(&first.outcome, &other.outcome).or_else(|| {
            (first.state_root != other.state_root).then(|| Difference::new("state root", first.state_root, other.state_root))
        })?;
        Some(Mismatch { path: path.to_owned(), name: name.to_owned(), mode: index + 1, place: None, difference })
    })
}

fn explain(mismatch: &Mismatch, engines: &[Box<dyn Engine>]) -> Result<String, Error> {
    let (left, right) = (&engines[0], &engines[mismatch.mode]);
    let windows = [Window::new(mismatch.difference.focus), Window::new(mismatch.difference.focus)];
    each_subtest(&mismatch.path, |_, subtest| {
        if subtest.name == mismatch.name {
            left.trace_state_test(subtest, &windows[0]);
            right.trace_state_test(subtest, &windows[1]);
        }
    })?;
    let title = format!("{}: {}", mismatch.path.display(), mismatch.name);
    let names = [left.mode().name(), right.mode().name()];
    Ok(suite::explain(&title, names, &mismatch.difference, [&windows[0], &windows[1]]))
}
