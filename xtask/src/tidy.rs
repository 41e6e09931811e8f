//! Tidy: the laws of the source tree that no other tool checks.
//!
//! in   every file that git tracks or would track, and `cargo metadata`
//! out  one line per finding: `path:line: rule: what is wrong`
//!
//! T1  A rule is a function over text; it reads no files, so that its test can hold a bad example.
//! T2  Rules about code look at code with comments and strings blanked out (`mask`), rules about prose at the text as it stands.
//! T3  An exception is a row of a table with its reason, never a silent condition.

mod edges;
mod mask;
mod prose;
mod size;
mod source;

use eyre::{WrapErr, ensure};
use std::{fmt, path::Path, process::Command};

/// A text file of the tree.
#[derive(Debug)]
pub(crate) struct File {
    /// Path from the root of the checkout, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// A broken rule.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Counted from 1; 0 where the finding is about the whole file.
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what)
    }
}

type FileRule = fn(&File) -> Vec<Finding>;
type TreeRule = fn(&[File]) -> Vec<Finding>;

/// Rules that look at one Rust file.
const RUST_RULES: [FileRule; 8] = [
    source::opens_with_header,
    source::unsafe_only_where_listed,
    source::no_ignored_tests,
    source::nothing_unfinished,
    source::sync_only_in_sync,
    source::pure_crates_stay_pure,
    source::forbids_unsafe,
    size::file_is_short,
];

/// Rules that look at one text file of any kind.
const TEXT_RULES: [FileRule; 3] = [source::module_has_a_name, prose::no_machine_paths, prose::no_issue_numbers];

/// Rules that need all files.
const TREE_RULES: [TreeRule; 5] = [
    source::unsafe_rows_are_needed,
    size::exceptions_are_needed,
    prose::named_documents_exist,
    prose::readme_shows_the_data_flow,
    prose::architecture_is_a_map,
];

/// Runs every rule over the checkout at `root` and prints the findings; true if there are none.
///
/// # Errors
/// If git or cargo cannot be asked, or a file cannot be read.
pub(crate) fn run(root: &Path) -> eyre::Result<bool> {
    let files = files(root)?;
    let mut findings = Vec::new();
    for file in &files {
        if file.is_rust() {
            findings.extend(RUST_RULES.iter().flat_map(|rule| rule(file)));
        }
        findings.extend(TEXT_RULES.iter().flat_map(|rule| rule(file)));
    }
    findings.extend(TREE_RULES.iter().flat_map(|rule| rule(&files)));
    let metadata = output(root, "cargo", &["metadata", "--format-version", "1", "--no-deps"])?;
    findings.extend(edges::check(&serde_json::from_str(&metadata)?));
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    Ok(findings.is_empty())
}

/// The text files that git tracks, and those it would add.
fn files(root: &Path) -> eyre::Result<Vec<File>> {
    let listed = output(root, "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let full = root.join(path);
        if !full.is_file() {
            continue; // tracked, and deleted in the work tree
        }
        let bytes = std::fs::read(&full).wrap_err_with(|| path.to_owned())?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

/// Standard output of a command run in `root`.
fn output(root: &Path, program: &str, arguments: &[&str]) -> eyre::Result<String> {
    let done = Command::new(program).args(arguments).current_dir(root).output().wrap_err_with(|| program.to_owned())?;
    ensure!(done.status.success(), "{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    Ok(String::from_utf8(done.stdout)?)
}

/// Asserts that `rule` finds fault with `bad` and with nothing in `good`.
#[cfg(test)]
pub(crate) fn check_rule(rule: FileRule, path: &str, bad: &str, good: &str) {
    assert!(!rule(&File::new(path, bad)).is_empty(), "not found in {path}: {bad}");
    let findings = rule(&File::new(path, good));
    assert!(findings.is_empty(), "{}", findings[0]);
}
