//! The local store: one file per artifact in one folder, and one of hints.
//!
//! in   a folder, a budget
//! out  an [`ArtifactStore`] that several processes may use at once
//!
//! D1  Nobody but this process's user and root may write to the folder, or to a file that is read from it, unless that was allowed
//!     (`folder`). It is asked anew at each operation: folders change.
//! D2  A file is written under a temporary name, synced, given its name by a rename that replaces nothing, and the folder is synced
//!     (`write`). Whoever comes second finds the name taken and is told that the artifact is there.
//! D3  A writer holds a lock on its temporary file. Temporary files without one were left by writers that died, and go.
//! D4  A file is read whole before anything in it is looked at; nothing is ever mapped from the folder.
//! D5  Only files whose names look like artifacts are touched, and that of the hints: what else lies in the folder stays.
//! D6  The artifacts take at most the budget once a store has returned, other processes' writes since the last look aside; the least
//!     recently used go first. Of what was refused, a bounded number of files is kept.

mod collect;
mod folder;
mod name;
mod write;

use crate::{
    ArtifactStore, HINTS_LEN_MAX, Listed, StoreError, Stored,
    counts::{Count, Counters, StoreCounts},
    sync::{AtomicU64, Ordering},
};
use folder::{Folder, FoundFile};
use hotevm_abi::{Acceptance, ArtifactKey, Refusal};
use hotevm_code::{KEY_WITHIN_BYTES, SHARED_OBJECT_LEN_MAX, SharedObject, claimed_key};
use std::{ops::ControlFlow, path::PathBuf};

/// The folder of a store that was not told another.
pub const DEFAULT_DIRECTORY: &str = "artifacts";

/// Bytes that the artifacts of a store may take unless told otherwise.
pub const DEFAULT_BUDGET_BYTES: u64 = 4 << 30;

/// Settings of a [`LocalStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalConfig {
    /// The folder; made if it is not there, for this user alone.
    pub directory: PathBuf,
    /// Bytes that all artifacts together may take.
    pub budget_bytes: u64,
    /// Take a folder and files that other users may write to. Whoever can write there can run code in this process.
    pub allow_others: bool,
}

impl LocalConfig {
    /// The settings for a folder.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), budget_bytes: DEFAULT_BUDGET_BYTES, allow_others: false }
    }
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self::new(DEFAULT_DIRECTORY)
    }
}

/// A folder of artifacts.
#[derive(Debug)]
pub struct LocalStore {
    folder: Folder,
    budget_bytes: u64,
    counters: Counters,
    /// Bytes of artifacts at the last look, and what this process has stored since. Written and read by whoever stores; relaxed, since it
    /// only says when to look again.
    known_bytes: AtomicU64,
}

impl LocalStore {
    /// Opens a store, makes its folder if need be, and takes away what dead writers left.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or others may write to it.
    pub fn open(config: LocalConfig) -> Result<Self, StoreError> {
        let folder = Folder::open(config.directory, config.allow_others)?;
        let store =
            Self { folder, budget_bytes: config.budget_bytes, counters: Counters::default(), known_bytes: AtomicU64::new(0) };
        store.sweep();
        let known_bytes = store.folder.artifacts()?.iter().map(|file| file.len).sum();
        store.known_bytes.store(known_bytes, Ordering::Relaxed);
        Ok(store)
    }

    /// The folder.
    pub fn directory(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Takes away what dead writers left, and the least recently used artifacts beyond the budget; tells how many artifacts went.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn collect(&self, budget_bytes: u64) -> Result<usize, StoreError> {
        self.sweep();
        self.collect_to(budget_bytes)
    }

    /// Reads and checks every artifact, those used last first; `each` is told of every file what came of it. What is refused is moved aside.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn verify(
        &self,
        acceptance: Option<&Acceptance>,
        mut each: impl FnMut(&str, Result<SharedObject, StoreError>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut files = self.counted(self.folder.artifacts())?;
        files.sort_by(|left, right| right.used.cmp(&left.used).then_with(|| left.name.cmp(&right.name)));
        for FoundFile { name, .. } in files {
            let object = match self.counted(self.read(&name, None, acceptance)) {
                Ok(None) => continue,
                Ok(Some(checked)) => checked.map_err(StoreError::Refused),
                Err(error) => Err(error),
            };
            if object.is_ok() {
                self.counters.add(Count::Loaded);
            }
            if each(&name, object).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Reads an artifact and checks it against its name and against what the caller accepts; what is refused is moved aside (A2).
    fn read(&self, name: &str, wanted: Option<&ArtifactKey>, acceptance: Option<&Acceptance>) -> Result<Read, StoreError> {
        let Some(bytes) = self.folder.read(name, SHARED_OBJECT_LEN_MAX)? else { return Ok(None) };
        let checked = check(bytes, name, wanted, acceptance);
        if let Err(refusal) = checked {
            self.counters.refuse(refusal);
            if self.folder.set_aside(name, refusal).is_err() {
                self.counters.add(Count::NotMoved);
            }
        }
        Ok(Some(checked))
    }

    fn counted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.counters.add(Count::Failed);
        }
        result
    }
}

/// What came of reading a file; none if there is no such file.
type Read = Option<Result<SharedObject, Refusal>>;

/// All checks of an artifact, in order: itself, its key, who asks.
fn check(
    bytes: Vec<u8>,
    name: &str,
    wanted: Option<&ArtifactKey>,
    acceptance: Option<&Acceptance>,
) -> Result<SharedObject, Refusal> {
    let object = SharedObject::check(bytes)?;
    let key = &object.artifact().key;
    if let Some(refusal) = wanted.and_then(|wanted| key.mismatch(wanted)) {
        return Err(refusal);
    }
    if name::of_key(key) != name {
        return Err(if name::code_hash(name) == Some(key.code_hash) { Refusal::Altered } else { Refusal::CodeHash });
    }
    acceptance.map_or(Ok(()), |acceptance| acceptance.check(key))?;
    Ok(object)
}

impl ArtifactStore for LocalStore {
    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let files = self.counted(self.folder.artifacts())?;
        let listed = files.into_iter().filter_map(|file| {
            let start = self.folder.read_start(&file.name, KEY_WITHIN_BYTES).ok()?;
            let key = claimed_key(&start).ok().filter(|key| name::of_key(key) == file.name)?;
            Some(Listed { key, len: file.len, used_unix_s: file.used_unix_s() })
        });
        Ok(listed.collect())
    }

    fn load(&self, key: &ArtifactKey, acceptance: Option<&Acceptance>) -> Result<Option<SharedObject>, StoreError> {
        match self.counted(self.read(&name::of_key(key), Some(key), acceptance))? {
            None => Ok(None),
            Some(Err(refusal)) => Err(StoreError::Refused(refusal)),
            Some(Ok(object)) => {
                self.counters.add(Count::Loaded);
                Ok(Some(object))
            }
        }
    }

    fn load_all(
        &self,
        acceptance: Option<&Acceptance>,
        each: &mut dyn FnMut(SharedObject) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.verify(acceptance, |_, object| object.map_or(ControlFlow::Continue(()), &mut *each))
    }

    fn store(&self, object: &SharedObject) -> Result<Stored, StoreError> {
        let stored = self.counted(self.store_object(object))?;
        self.counters.add(if stored == Stored::New { Count::Stored } else { Count::Present });
        Ok(stored)
    }

    fn used(&self, key: &ArtifactKey) -> Result<(), StoreError> {
        self.counted(self.folder.touch(&name::of_key(key)))
    }

    fn delete(&self, key: &ArtifactKey) -> Result<bool, StoreError> {
        let was_there = self.counted(self.folder.remove(&name::of_key(key)))?;
        if was_there {
            self.counters.add(Count::Deleted);
        }
        Ok(was_there)
    }

    fn clear(&self) -> Result<usize, StoreError> {
        self.sweep();
        let mut removed = 0;
        for file in self.counted(self.folder.artifacts())? {
            if self.counted(self.folder.remove(&file.name))? {
                self.counters.add(Count::Deleted);
                removed += 1;
            }
        }
        self.counted(self.folder.clear_refused())?;
        self.counted(self.folder.remove(name::HINTS))?;
        Ok(removed)
    }

    fn hints(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let hints = self.counted(self.folder.read(name::HINTS, HINTS_LEN_MAX))?;
        Ok(hints.filter(|hints| hints.len() <= HINTS_LEN_MAX))
    }

    fn keep_hints(&self, hints: &[u8]) -> Result<(), StoreError> {
        if hints.len() > HINTS_LEN_MAX {
            return Ok(());
        }
        self.counted(self.publish(name::HINTS, hints, write::HINTS)).map(|_| ())
    }

    fn counts(&self) -> StoreCounts {
        self.counters.snapshot()
    }
}
