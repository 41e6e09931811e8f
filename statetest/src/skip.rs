//! The table of skipped tests, `skip.toml`.
//!
//! in   rows: a rule over path, fork or expected exception, with the reason; the verdicts of all tests that ran
//! out  which row a test falls under; rows that are no longer needed
//!
//! S1  A row never names a single test: it has no field for a test's name.
//! S2  Skipped tests run as all others, in all modes, and their results are compared between modes.
//! S3  A row under which every test passed, in every mode, makes the run fail. Runs cut down by a filter do not judge rows.

use crate::error::Error;
use serde::Deserialize;

/// The table that is built in.
const TABLE: &str = include_str!("../skip.toml");

/// One row: a test falls under it if all that the row gives fits the test.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// A part of the test's path: of its file, or of the source that its name gives before `::`.
    pub path: Option<String>,
    /// The network, as the fixture names it.
    pub fork: Option<String>,
    /// One of the exceptions that the test expects.
    pub exception: Option<String>,
    /// Which header or RLP field decides these tests, or what revm leaves undecided.
    pub reason: String,
}

/// The parsed table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// All rows; a test falls under the first that fits.
    #[serde(default)]
    pub row: Vec<Row>,
}

/// What rows are asked about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The fixture's path.
    pub file: &'a str,
    /// The test's name: a source path, `::`, a function and parameters.
    pub name: &'a str,
    /// The network.
    pub fork: &'a str,
    /// All exceptions that its blocks expect.
    pub exceptions: &'a [String],
}

impl Row {
    fn fits(&self, subject: &Subject<'_>) -> bool {
        let source = subject.name.split("::").next().unwrap_or_default();
        self.path.as_ref().is_none_or(|path| subject.file.contains(path.as_str()) || source.contains(path.as_str()))
            && self.fork.as_ref().is_none_or(|fork| subject.fork == fork)
            && self.exception.as_ref().is_none_or(|exception| subject.exceptions.iter().any(|given| given == exception))
    }
}

impl Skip {
    /// The table that is built in.
    ///
    /// # Errors
    /// When the table is malformed.
    pub fn table() -> Result<Self, Error> {
        Self::parse(TABLE)
    }

    /// Parses a table.
    ///
    /// # Errors
    /// When the text is malformed, or a row has no rule or no reason.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let skip: Self = toml::from_str(text).map_err(|error| Error::Skip { reason: error.message().to_owned() })?;
        for (index, row) in skip.row.iter().enumerate() {
            let rules = [&row.path, &row.fork, &row.exception];
            if rules.iter().all(|rule| rule.is_none()) || rules.iter().any(|rule| rule.as_deref() == Some("")) {
                return Err(Error::Skip { reason: format!("row {index} has no rule") });
            }
            if row.reason.trim().is_empty() {
                return Err(Error::Skip { reason: format!("row {index} gives no reason") });
            }
        }
        Ok(skip)
    }

    /// The row that a test falls under.
    pub fn row_of(&self, subject: &Subject<'_>) -> Option<usize> {
        self.row.iter().position(|row| row.fits(subject))
    }

    /// The row as text: its rules and its reason.
    pub fn describe(&self, index: usize) -> String {
        let Some(row) = self.row.get(index) else { return format!("row {index}") };
        let rules = [("path", &row.path), ("fork", &row.fork), ("exception", &row.exception)];
        let rules: Vec<_> = rules.iter().filter_map(|(name, rule)| rule.as_ref().map(|rule| format!("{name} {rule}"))).collect();
        format!("{}: {}", rules.join(", "), row.reason)
    }
}

/// How a run used the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Use {
    tests: Vec<u64>,
    failed: Vec<u64>,
}

impl Use {
    /// Counts one verdict on a test under a row.
    pub fn add(&mut self, row: usize, passed: bool) {
        let length = self.tests.len().max(row + 1);
        self.tests.resize(length, 0);
        self.failed.resize(length, 0);
        self.tests[row] += 1;
        self.failed[row] += u64::from(!passed);
    }

    /// Adds the counts of another part of the run.
    pub fn merge(&mut self, other: &Self) {
        for (row, (tests, failed)) in other.tests.iter().zip(&other.failed).enumerate() {
            let length = self.tests.len().max(row + 1);
            self.tests.resize(length, 0);
            self.failed.resize(length, 0);
            self.tests[row] += tests;
            self.failed[row] += failed;
        }
    }

    /// Rows that had tests, all of which passed.
    pub fn needless(&self) -> Vec<usize> {
        let rows = self.tests.iter().zip(&self.failed).enumerate();
        rows.filter(|(_, (tests, failed))| **tests > 0 && **failed == 0).map(|(row, _)| row).collect()
    }

    /// Number of verdicts that would have been "passed".
    pub fn would_pass(&self) -> u64 {
        self.tests.iter().sum::<u64>() - self.failed.iter().sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> = Subject {
        file: "/f/prague/eip1/x.json.gz",
        name: "tests/prague/eip1/test_x.py::test_x[fork_Prague]",
        fork: "Prague",
        exceptions: &[],
    };

    fn check_fits(table: &str, expected: bool) {
        let skip = Skip::parse(&format!("[[row]]\nreason = \"r\"\n{table}")).unwrap();
        assert_eq!(skip.row_of(&SUBJECT).is_some(), expected, "{table}");
    }

    #[test]
    fn a_row_fits_by_all_that_it_gives() {
        check_fits("path = \"prague/eip1\"", true);
        check_fits("path = \"eip1/test_x.py\"", true);
        check_fits("path = \"eip2\"", false);
        check_fits("path = \"eip1\"\nfork = \"Prague\"", true);
        check_fits("path = \"eip1\"\nfork = \"Osaka\"", false);
        check_fits("exception = \"BlockException.X\"", false);
    }

    #[test]
    fn a_row_cannot_name_a_test() {
        check_fits("path = \"test_x[fork_Prague]\"", false);
        assert!(Skip::parse("[[row]]\nreason = \"r\"\nname = \"test_x\"").is_err());
    }

    #[test]
    fn rows_without_rule_or_reason_are_refused() {
        for table in ["reason = \"r\"", "path = \"\"\nreason = \"r\"", "path = \"a\"\nreason = \" \"", "path = \"a\""] {
            assert!(Skip::parse(&format!("[[row]]\n{table}")).is_err(), "{table}");
        }
    }

    #[test]
    fn a_row_of_passes_alone_is_needless() {
        let mut left = Use::default();
        left.add(2, true);
        left.add(0, true);
        let mut right = Use::default();
        right.add(0, false);
        right.add(2, true);
        left.merge(&right);
        assert_eq!(left.needless(), [2]);
        assert_eq!(left.would_pass(), 3);
    }

    #[test]
    fn the_built_in_table_is_well_formed() {
        let skip = Skip::table().unwrap();
        assert!((0..skip.row.len()).all(|row| !skip.describe(row).is_empty()));
    }
}
