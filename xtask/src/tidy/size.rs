//! How long a file may be. (Functions are clippy's: `too_many_lines`, with the limit in clippy.toml.)

use super::{File, Finding};

/// Lines a source file may have.
const LINES_MAX: usize = 600;

/// Files that are clearer in one piece, and why.
const LONG_FILES: [(&str, &str); 0] = [];

/// A file of logic is one idea and at most [`LINES_MAX`] lines.
pub(super) fn file_is_short(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX || LONG_FILES.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    vec![Finding {
        path: file.path.clone(),
        line: lines,
        rule: "file length",
        what: format!("{lines} lines, at most {LINES_MAX}"),
    }]
}

/// A row of [`LONG_FILES`] that is needed no longer goes.
pub(super) fn exceptions_are_needed(files: &[File]) -> Vec<Finding> {
    let is_long = |path: &str| files.iter().any(|file| file.path == path && file.text.lines().count() > LINES_MAX);
    let idle = LONG_FILES.iter().filter(|(path, _)| !is_long(path));
    idle.map(|(path, _)| Finding {
        path: (*path).to_owned(),
        line: 0,
        rule: "file length",
        what: "is short or gone: remove its row from LONG_FILES".to_owned(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_rule;

    #[test]
    fn a_long_file_is_found() {
        check_rule(file_is_short, "crates/ir/src/long.rs", &"\n".repeat(LINES_MAX + 1), &"\n".repeat(LINES_MAX));
    }

    #[test]
    fn every_exception_has_a_reason() {
        assert!(LONG_FILES.iter().all(|(_, reason)| reason.len() > 10));
    }
}
