//! Where compiled code survives a restart: the artifact store.
//!
//! in   code compiled by this process, with all that it depends on
//! out  the same code in a later process, or a reason to refuse it
//!
//! ```text
//! Artifact --SharedObject::write--> store --> artifacts/CODEHASH-KEYDIGEST.so
//!                                              |  load: read whole, check whole, ask what this process can run
//!                                              v
//!                          SharedObject --CodeMemory--> Executable         or artifacts/refused/REASON.CODEHASH-KEYDIGEST.so
//! ```
//!
//! A1  What is loaded was checked: digest, manifest, one spelling (crate `code`), the name it stands under, and what the caller accepts.
//! A2  Every artifact that is refused is counted under its own reason, and moved to where no store looks again.
//! A3  A file appears under its name whole or not at all, whenever the process or the machine stops.
//! A4  A store may be slow, full, read-only or gone. Its methods block and fail; they are called from background threads alone.
//! A5  The digest finds damage. Whether whoever wrote an artifact may be trusted is a question of who can write to the store (`local`,
//!     D1); a store that signs, or one beyond this machine, is another implementation of [`ArtifactStore`].
//!
//! What a runtime has to call, and from where:
//!
//! - *Preload*: one background thread at start calls [`ArtifactStore::load_all`] with what the process accepts. Each object is mapped and
//!   published as the code of its entry, like code that was just compiled; execution goes on meanwhile and interprets or compiles what is
//!   not there yet. The most recently used come first. Where an entry has code of a higher tier or of more blocks already, the artifact is
//!   dropped.
//! - *Writer*: one background thread takes finished code from a bounded queue (a full queue drops and counts) and calls
//!   [`ArtifactStore::store`], for a region with the profile beside the code; then [`ArtifactStore::delete`] for the smaller region that it
//!   takes the place of. A failure is counted; the writer tries again after a time that doubles up to a limit, and keeps no more than its
//!   queue meanwhile.
//! - *Use*: from time to time and at shutdown the writer tells which artifacts ran, by [`ArtifactStore::used`], so that collection spares
//!   them.
//! - *Hints*: what was hashed lately is left by the writer at the same times ([`ArtifactStore::keep_hints`]), and read behind a preload.
//! - *Prepare* (by hand, for one code or a batch): [`ArtifactStore::list`], then [`ArtifactStore::load`] of what fits, else compile and store.
//! - *Delete and clear* take files away; what is mapped stays mapped until its entry lets go.

#![forbid(unsafe_code)]

mod counts;
mod error;
mod local;
mod sync;
mod text;

pub use counts::{Count, StoreCounts};
pub use error::StoreError;
// What the signatures of the trait name, so that a store of one's own needs no other crate.
pub use hotevm_abi::{Acceptance, ArtifactKey, Refusal};
pub use hotevm_code::SharedObject;
pub use local::{DEFAULT_BUDGET_BYTES, DEFAULT_DIRECTORY, LocalConfig, LocalStore};
pub use text::manifest_text;

use std::{fmt::Debug, ops::ControlFlow};

/// The most bytes that hints may have.
pub const HINTS_LEN_MAX: usize = 8 << 20;

/// An artifact that a store says it has; nothing of it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: ArtifactKey,
    /// Bytes it takes in the store.
    pub len: u64,
    /// When it was last stored or used, in seconds since 1970.
    pub used_unix_s: u64,
}

/// What came of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It was not there and is now.
    New,
    /// An artifact of the same key was there, and is whole.
    Present,
}

/// A place for artifacts, by key. Methods may block for long and fail at any time (A4).
pub trait ArtifactStore: Debug + Send + Sync {
    /// The artifacts that are there, by claim, in no order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self) -> Result<Vec<Listed>, StoreError>;

    /// The artifact of a key, if it is there. Without an acceptance, only the artifact itself is checked.
    ///
    /// # Errors
    /// When it is refused (and moved aside), or the store cannot be read.
    fn load(&self, key: &ArtifactKey, acceptance: Option<&Acceptance>) -> Result<Option<SharedObject>, StoreError>;

    /// Hands out every artifact that is not refused, the most recently used first, until `each` breaks. Artifacts that cannot be read
    /// are counted and passed over.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    fn load_all(
        &self,
        acceptance: Option<&Acceptance>,
        each: &mut dyn FnMut(SharedObject) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Keeps an artifact. When this returns, it survives a crash of the machine.
    ///
    /// # Errors
    /// When it could not be written; whatever was there before is still there.
    fn store(&self, object: &SharedObject) -> Result<Stored, StoreError>;

    /// Says that an artifact is in use, so that collection spares it.
    ///
    /// # Errors
    /// When the store cannot be written to.
    fn used(&self, key: &ArtifactKey) -> Result<(), StoreError>;

    /// Takes an artifact away; true if it was there.
    ///
    /// # Errors
    /// When it could not be taken away.
    fn delete(&self, key: &ArtifactKey) -> Result<bool, StoreError>;

    /// Takes every artifact away, and the hints; tells how many artifacts there were.
    ///
    /// # Errors
    /// When one could not be taken away.
    fn clear(&self) -> Result<usize, StoreError>;

    /// What a process left here for the next one: bytes of its own form, that save work, and that nothing depends on. None where nothing
    /// was left, or the store does not keep such bytes.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn hints(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    /// Leaves hints, in place of those before. At most [`HINTS_LEN_MAX`] bytes; what is longer need not be kept.
    ///
    /// # Errors
    /// When they could not be written; those before, or these, are there.
    fn keep_hints(&self, hints: &[u8]) -> Result<(), StoreError> {
        let _ = hints;
        Ok(())
    }

    /// What happened since the store was opened by this process.
    fn counts(&self) -> StoreCounts;
}
