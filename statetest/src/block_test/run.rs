//! Blockchain tests of many files, in several modes.
//!
//! in   files, engines, settings
//! out  a report, and the first difference between modes in words

use super::{
    execute::{BlockRecord, verdict},
    fixture::{Case, Suite},
};
use crate::{
    difference::{self, Difference},
    error::Error,
    fixture::{self, File},
    mode::{Engine, Outcome},
    parallel::Progress,
    report::TestReport,
    skip::{Skip, Subject},
    suite::{self, FileResult, Mismatch, Settings, TestResult},
    trace::Window,
};
use std::path::Path;

const EXPECTED: &str = "blockchain test";

/// Runs all blockchain tests of the files.
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

fn run_file(path: &Path, engines: &[Box<dyn Engine>], settings: &Settings<'_>, skip: &Skip) -> Result<FileResult, Error> {
    let suite: Suite = fixture::parse(path, EXPECTED)?;
    let mut result = FileResult::new(engines);
    let file = path.to_string_lossy();
    for (name, json) in &suite {
        let case = Case::new(name, json).map_err(|reason| Error::content(path, reason))?;
        if !settings.wants(&file, &case.name, &case.network) {
            continue;
        }
        if let (Some(sink), Some(engine)) = (settings.trace, engines.first()) {
            sink(&format!("trace of {}", case.name));
            engine.trace_block_test(&case, None, &Window::stream(sink));
        }
        let records = result.timed(engines, |engine| engine.block_test(&case));
        let exceptions = case.exceptions();
        let subject = Subject { file: &file, name, fork: &case.network, exceptions: &exceptions };
        result.tests.push(TestResult {
            name: case.name.clone(),
            row: skip.row_of(&subject),
            verdicts: records.iter().map(|records| verdict(&case, records)).collect(),
            mismatch: mismatch(path, &case.name, &records),
        });
    }
    Ok(result)
}

fn mismatch(path: &Path, name: &str, records: &[Vec<BlockRecord>]) -> Option<Mismatch> {
    let (first, others) = records.split_first()?;
    others.iter().enumerate().find_map(|(index, other)| {
        let (place, difference) =
            first.iter().zip(other).enumerate().find_map(|(block, (left, right))| difference_of(block, left, right))?;
        Some(Mismatch { path: path.to_owned(), name: name.to_owned(), mode: index + 1, place: Some(place), difference })
    })
}

/// The first difference between two records of a block, with block and transaction.
fn difference_of(block: usize, left: &BlockRecord, right: &BlockRecord) -> Option<((usize, usize), Difference)> {
    let transactions = left.transactions.len().max(right.transactions.len());
    let outcome = |record: &BlockRecord, index: usize| -> Outcome {
        let refused = || format!("{:?}", record.verdict);
        record.transactions.get(index).cloned().ok_or_else(refused)
    };
    let by_transaction = (0..transactions).find_map(|index| {
        if left.transactions.get(index) == right.transactions.get(index) {
            return None;
        }
        difference::outcomes(&outcome(left, index), &outcome(right, index)).map(|found| ((block, index), found))
    });
    by_transaction.or_else(|| {
        let found = if left.verdict != right.verdict {
            Difference::new("verdict", format!("{:?}", left.verdict), format!("{:?}", right.verdict))
        } else if left.state_root != right.state_root {
            Difference::new("state root", format!("{:?}", left.state_root), format!("{:?}", right.state_root))
        } else {
            return None;
        };
        Some(((block, transactions.saturating_sub(1)), found))
    })
}

fn explain(mismatch: &Mismatch, engines: &[Box<dyn Engine>]) -> Result<String, Error> {
    let (left, right) = (&engines[0], &engines[mismatch.mode]);
    let windows = [Window::new(mismatch.difference.focus), Window::new(mismatch.difference.focus)];
    let suite: Suite = fixture::parse(&mismatch.path, EXPECTED)?;
    if let Some(json) = suite.get(&mismatch.name) {
        let case = Case::new(&mismatch.name, json).map_err(|reason| Error::content(&mismatch.path, reason))?;
        left.trace_block_test(&case, mismatch.place, &windows[0]);
        right.trace_block_test(&case, mismatch.place, &windows[1]);
    }
    let (block, transaction) = mismatch.place.unwrap_or_default();
    let title = format!("{}: {}, block {block}, transaction {transaction}", mismatch.path.display(), mismatch.name);
    let names = [left.mode().name(), right.mode().name()];
    Ok(suite::explain(&title, names, &mismatch.difference, [&windows[0], &windows[1]]))
}
