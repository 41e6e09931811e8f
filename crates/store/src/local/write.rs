//! Writing: whole or not at all, also when the process dies in the middle.
//!
//! in   an artifact, or hints
//! out  the file, synced; or an error, and nothing has changed
//!
//! W1  Locked temporary file → bytes → sync → rename, which replaces nothing but hints → sync of the folder. Until the rename, nobody reads
//!     the file; from the rename on, it is whole.
//! W2  A temporary file counts only once it is locked and still there: between making and locking it, another process may take it for
//!     the file of a dead writer (D3).

use super::{LocalStore, folder, name};
use crate::{
    StoreError, Stored,
    sync::{AtomicU64, Ordering},
};
use hotevm_code::SharedObject;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

/// Tells this process's temporary files apart. Whoever writes takes a number; relaxed, since only uniqueness matters.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// How often a temporary file may be lost to another process's sweep, or its name be taken.
const TRIES_MAX: u32 = 16;

/// What differs between the kinds of files.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    rename: fn(&Path, &Path) -> io::Result<Stored>,
    /// Who may read it.
    mode: u32,
}

/// Another process may be given artifacts.
pub(super) const ARTIFACT: Kind = Kind { rename: rename_new, mode: 0o644 };
/// Hints tell which accounts were looked at; they are this user's own.
pub(super) const HINTS: Kind = Kind { rename: replace, mode: 0o600 };

impl LocalStore {
    /// Stores an artifact, and keeps the budget.
    pub(super) fn store_object(&self, object: &SharedObject) -> Result<Stored, StoreError> {
        let len = object.bytes().len() as u64;
        if len > self.budget_bytes {
            return Err(StoreError::Budget { len, budget_bytes: self.budget_bytes });
        }
        let key = &object.artifact().key;
        let name = name::of_key(key);
        // What is there is read: a damaged file is moved aside, and its place is free.
        if let Some(Ok(_)) = self.read(&name, Some(key), None)? {
            return Ok(Stored::Present);
        }
        let stored = self.publish(&name, object.bytes(), ARTIFACT)?;
        if stored == Stored::New && self.known_bytes.fetch_add(len, Ordering::Relaxed) + len > self.budget_bytes {
            self.collect_to(self.budget_bytes)?;
        }
        Ok(stored)
    }

    /// W1.
    pub(super) fn publish(&self, name: &str, bytes: &[u8], kind: Kind) -> Result<Stored, StoreError> {
        self.folder.check()?;
        let (temporary, mut file) = self.temporary(kind.mode)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let target = self.folder.file(name);
        let stored = written.and_then(|()| (kind.rename)(&temporary, &target));
        if !matches!(stored, Ok(Stored::New)) {
            // Best effort: without its lock it is swept later.
            let _removed = fs::remove_file(&temporary);
        }
        let stored = stored.map_err(folder::at(&target))?;
        File::open(self.folder.path()).and_then(|folder| folder.sync_all()).map_err(folder::at(self.folder.path()))?;
        Ok(stored)
    }

    /// A locked temporary file (W2).
    fn temporary(&self, mode: u32) -> Result<(PathBuf, File), StoreError> {
        let mut tries = 0;
        loop {
            let number = WRITES.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.file(&name::temporary(process::id(), number));
            let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).and_then(|file| {
                let is_mine = file.try_lock().is_ok() && file.metadata()?.nlink() > 0;
                if is_mine { Ok(file) } else { Err(ErrorKind::AlreadyExists.into()) }
            });
            tries += 1;
            match made {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tries < TRIES_MAX => {}
                Err(error) => return Err(folder::at(&path)(error)),
            }
        }
    }
}

/// Gives a file its name, whoever had it.
fn replace(from: &Path, to: &Path) -> io::Result<Stored> {
    fs::rename(from, to).map(|()| Stored::New)
}

/// Gives a file its name, unless the name is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<Stored> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(Stored::New),
        Err(Errno::EXIST) => Ok(Stored::Present),
        // File systems that know no such rename. Replacing is harmless: whatever stands under the name has the same key.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(from, to).map(|()| Stored::New),
        Err(error) => Err(error.into()),
    }
}
