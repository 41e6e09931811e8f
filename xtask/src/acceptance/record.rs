//! Records of lines, kept between runs.
//!
//! in   what a line found
//! out  `acceptance/NAME.json`, and rows of a table

use super::figures::Figures;
use eyre::{WrapErr, ensure};
use serde_json::{Map, Value, json};
use std::{fmt, fs, path::Path, process::Command};

/// What marks the commit of a work tree that has changes.
const CHANGED: &str = "+changes";

/// What a line found, and of which commit.
#[derive(Debug, Clone)]
pub(super) struct Record {
    line: String,
    command: String,
    commit: String,
    figures: Figures,
}

impl Record {
    pub(super) fn new(line: &str, command: String, commit: String, figures: Figures) -> Self {
        Self { line: line.to_owned(), command, commit, figures }
    }

    /// The record of `line`, if there is one.
    pub(super) fn load(folder: &Path, line: &str) -> Option<Self> {
        Self::from_json(&serde_json::from_str(&fs::read_to_string(folder.join(format!("{line}.json"))).ok()?).ok()?)
    }

    /// Writes the record.
    pub(super) fn store(&self, folder: &Path) -> eyre::Result<()> {
        let path = folder.join(format!("{}.json", self.line));
        let text = serde_json::to_string_pretty(&self.to_json())?;
        fs::write(&path, text + "\n").wrap_err_with(|| path.display().to_string())
    }

    pub(super) fn holds(&self) -> bool {
        self.figures.failures.is_empty()
    }

    /// Whether the line holds for `commit` by what is written here.
    pub(super) fn still_holds(&self, commit: &str) -> bool {
        self.holds() && self.commit == commit && !commit.ends_with(CHANGED)
    }

    fn to_json(&self) -> Value {
        json!({
            "line": self.line,
            "command": self.command,
            "commit": self.commit,
            "holds": self.holds(),
            "figures": self.figures.values,
            "failures": self.figures.failures,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let failures = value["failures"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let values: Map<String, Value> = value["figures"].as_object()?.clone();
        Some(Self {
            line: text("line")?,
            command: text("command")?,
            commit: text("commit")?,
            figures: Figures { values, failures },
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} ({})", self.line, if self.holds() { "holds" } else { "DOES NOT HOLD" }, self.commit)?;
        writeln!(f, "  command: {}", self.command)?;
        for (name, value) in &self.figures.values {
            writeln!(f, "  {name}: {value}")?;
        }
        for failure in &self.figures.failures {
            writeln!(f, "  fails: {failure}")?;
        }
        Ok(())
    }
}

/// One row per record.
pub(super) fn table(records: &[Record]) -> String {
    let mut text = "| line | holds | commit | fails |\n|---|---|---|---|\n".to_owned();
    for record in records {
        let holds = if record.holds() { "yes" } else { "no" };
        text += &format!("| {} | {holds} | {} | {} |\n", record.line, record.commit, record.figures.failures.join("; "));
    }
    text
}

/// The commit of the work tree, marked if there are changes on top.
///
/// # Errors
/// If git cannot be asked.
pub(super) fn commit(root: &Path) -> eyre::Result<String> {
    let git = |arguments: &[&str]| -> eyre::Result<String> {
        let done = Command::new("git").args(arguments).current_dir(root).output().wrap_err("git")?;
        ensure!(done.status.success(), "git {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
        Ok(String::from_utf8(done.stdout)?.trim().to_owned())
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(&["status", "--porcelain"])?;
    Ok(if changes.is_empty() { head } else { head + CHANGED })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(commit: &str, failures: &[&str]) -> Record {
        let mut figures = Figures::default();
        figures.figure("share", 0.5);
        figures.failures = failures.iter().map(|failure| (*failure).to_owned()).collect();
        Record::new("line", "command".to_owned(), commit.to_owned(), figures)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let written = record("abc", &["too slow"]);
        let read = Record::from_json(&written.to_json()).expect("what was written can be read");
        assert_eq!(read.to_json(), written.to_json());
        assert_eq!(Record::from_json(&json!({"line": "line"})).map(|record| record.line), None);
    }

    #[test]
    fn only_a_clean_commit_that_held_still_holds() {
        assert!(record("abc", &[]).still_holds("abc"));
        assert!(!record("abc", &[]).still_holds("def"));
        assert!(!record("abc", &["too slow"]).still_holds("abc"));
        assert!(!record("abc+changes", &[]).still_holds("abc+changes"));
    }
}
