//! Why a store did not do what it was asked.
//!
//! in   failures of the file system, refusals
//! out  [`StoreError`]: none is fatal to whoever executes

use hotevm_abi::Refusal;
use std::{io, path::PathBuf};
use thiserror::Error;

/// Why a store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The artifact is there and is not used.
    #[error("artifact refused: {0}")]
    Refused(Refusal),
    /// Others may change what lies there.
    #[error("{path}: {why}", path = path.display())]
    Untrusted {
        /// Folder or file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file system refused.
    #[error("{path}: {cause}", path = path.display())]
    Files {
        /// Folder or file.
        path: PathBuf,
        /// Its reason.
        cause: io::Error,
    },
    /// Larger than the whole budget.
    #[error("artifact of {len} bytes in a store of at most {budget_bytes}")]
    Budget {
        /// Bytes of the artifact.
        len: u64,
        /// Bytes that the store may take.
        budget_bytes: u64,
    },
}
