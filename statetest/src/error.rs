//! Errors of the runners.
//!
//! in   unreadable paths, malformed fixtures, settings that cannot be met
//! out  one line of text each, causes included; a test that fails is not an error but data (see `report`)

use std::path::PathBuf;

/// What keeps a runner from doing what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path cannot be read, or a compressed file is cut off.
    #[error("{}: {cause}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A folder holds no fixture.
    #[error("{}: no .json or .json.gz file", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not JSON, or not of the expected form.
    #[error("{}: not a {expected}: {cause}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What it should have held.
        expected: &'static str,
        /// What the parser said.
        cause: serde_json::Error,
    },
    /// A file has the expected form, but its content contradicts itself.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nothing is left to run after `--filter` and `--fork`.
    #[error("nothing to run: no test matches the filter")]
    NothingLeft,
    /// The mode is not part of this build.
    #[error("mode {mode} is not available in this build")]
    ModeUnavailable {
        /// The mode's name.
        mode: crate::mode::Mode,
    },
    /// The runtime cannot be set up.
    #[error("the runtime cannot be set up: {reason}")]
    Runtime {
        /// What hotevm said.
        reason: String,
    },
    /// Compiling in the background did not come to rest.
    #[error("mode {mode} still compiles long after its round")]
    NotSettled {
        /// The mode's name.
        mode: crate::mode::Mode,
    },
    /// The table of skipped tests is malformed.
    #[error("skip.toml: {reason}")]
    Skip {
        /// What is wrong.
        reason: String,
    },
    /// A worker thread could not be started.
    #[error("a worker thread cannot be started: {cause}")]
    Thread {
        /// What the system said.
        cause: std::io::Error,
    },
    /// The embedded sample chain does not fit together.
    #[error(transparent)]
    Sample(#[from] crate::sample::SampleError),
    /// A transaction that must be valid was refused.
    #[error("{run}: transaction {index} was refused in mode {mode}: {reason}")]
    Refused {
        /// Name of the run.
        run: String,
        /// Position of the transaction.
        index: usize,
        /// The mode's name.
        mode: crate::mode::Mode,
        /// What revm said.
        reason: String,
    },
}

impl Error {
    /// An error about the content of a file.
    pub fn content(path: &std::path::Path, reason: impl std::fmt::Display) -> Self {
        Self::Content { path: path.to_owned(), reason: reason.to_string() }
    }
}
