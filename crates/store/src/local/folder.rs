//! The folder: who may write to it, what lies in it.
//!
//! in   a path, names of files
//! out  lists, bytes; typed errors that name the path
//!
//! F1  Nothing is read from, or written to, a folder that others may write to (D1). Checked are the folder and its ancestors: an ancestor
//!     that anybody may write to, and that is not sticky, lets anybody put another folder in the place.
//! F2  Links are not followed, and only regular files are read: a pipe would block for ever.

use super::name;
use crate::StoreError;
use hotevm_abi::Refusal;
use rustix::{fs::OFlags, process::geteuid};
use std::{
    fs::{self, DirBuilder, File, FileTimes, Metadata, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Where refused artifacts go, inside the folder.
const REFUSED: &str = "refused";
/// How many of them are kept.
pub(super) const REFUSED_FILES_MAX: usize = 256;

/// Bits that let the group or anybody write.
const OTHERS_WRITE: u32 = 0o022;
const ANYBODY_WRITES: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A file that has an artifact's name.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) name: String,
    pub(super) len: u64,
    /// When it was written or used last.
    pub(super) used: SystemTime,
}

impl FoundFile {
    pub(super) fn used_unix_s(&self) -> u64 {
        self.used.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// A folder of artifacts.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    allow_others: bool,
}

/// Names the path in an error of the file system.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |cause| StoreError::Files { path, cause }
}

/// Turns "not there" into none.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Folder {
    /// Opens a folder; makes it for this user alone if it is not there.
    pub(super) fn open(path: PathBuf, allow_others: bool) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(at(&path))?;
        // An absolute path, so that the process may change its folder.
        let path = path.canonicalize().map_err(at(&path))?;
        let folder = Self { path, allow_others };
        folder.check()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// F1.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.allow_others {
            return Ok(());
        }
        let metadata = fs::metadata(&self.path).map_err(at(&self.path))?;
        check_owner(&self.path, &metadata)?;
        for ancestor in self.path.ancestors().skip(1) {
            let mode = fs::metadata(ancestor).map_err(at(ancestor))?.mode();
            if mode & ANYBODY_WRITES != 0 && mode & STICKY == 0 {
                let why = "anybody may put another folder in its place";
                return Err(StoreError::Untrusted { path: ancestor.to_owned(), why });
            }
        }
        Ok(())
    }

    /// The artifacts, by name.
    pub(super) fn artifacts(&self) -> Result<Vec<FoundFile>, StoreError> {
        self.check()?;
        self.files(&self.path, |name| name::code_hash(name).is_some())
    }

    /// Temporary files, of writers alive and dead.
    pub(super) fn temporaries(&self) -> Result<Vec<FoundFile>, StoreError> {
        self.check()?;
        self.files(&self.path, name::is_temporary)
    }

    fn files(&self, path: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<FoundFile>, StoreError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(at(path))? {
            let entry = entry.map_err(at(path))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !is_wanted(&name) {
                continue;
            }
            // Gone since it was listed: another process took it.
            let Some(metadata) = if_there(entry.metadata()).map_err(at(path))? else { continue };
            if metadata.is_file() {
                files.push(FoundFile { name, len: metadata.len(), used: metadata.modified().unwrap_or(UNIX_EPOCH) });
            }
        }
        Ok(files)
    }

    /// Opens a file to read it (F1, F2); none if it is not there.
    fn open_file(&self, name: &str) -> Result<Option<(File, u64)>, StoreError> {
        self.check()?;
        let path = self.file(name);
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let Some(file) = if_there(opened).map_err(at(&path))? else { return Ok(None) };
        let metadata = file.metadata().map_err(at(&path))?;
        if !metadata.is_file() {
            return Err(StoreError::Untrusted { path, why: "not a file" });
        }
        if !self.allow_others {
            check_owner(&path, &metadata)?;
        }
        Ok(Some((file, metadata.len())))
    }

    /// A whole file, or one byte more than `len_max` of it; none if it is not there.
    pub(super) fn read(&self, name: &str, len_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((file, len)) = self.open_file(name)? else { return Ok(None) };
        let len_max = len_max as u64 + 1;
        let mut bytes = Vec::with_capacity(usize::try_from(len.min(len_max)).unwrap_or_default());
        file.take(len_max).read_to_end(&mut bytes).map_err(at(&self.file(name)))?;
        Ok(Some(bytes))
    }

    /// The first bytes of a file.
    pub(super) fn read_start(&self, name: &str, len: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::with_capacity(len);
        if let Some((file, _)) = self.open_file(name)? {
            file.take(len as u64).read_to_end(&mut bytes).map_err(at(&self.file(name)))?;
        }
        Ok(bytes)
    }

    /// Says that a file is used now.
    pub(super) fn touch(&self, name: &str) -> Result<(), StoreError> {
        let Some((file, _)) = self.open_file(name)? else { return Ok(()) };
        file.set_times(FileTimes::new().set_modified(SystemTime::now())).map_err(at(&self.file(name)))
    }

    /// Takes a file away; true if it was there.
    pub(super) fn remove(&self, name: &str) -> Result<bool, StoreError> {
        self.check()?;
        let path = self.file(name);
        if_there(fs::remove_file(&path)).map(|gone| gone.is_some()).map_err(at(&path))
    }

    /// Moves a refused file to where no store looks; the newest of each name and reason is kept, and the newest of all.
    pub(super) fn set_aside(&self, name: &str, refusal: Refusal) -> Result<(), StoreError> {
        let refused = self.path.join(REFUSED);
        DirBuilder::new().recursive(true).mode(0o700).create(&refused).map_err(at(&refused))?;
        self.check_refused(&refused)?;
        let to = refused.join(name::refused(name, refusal));
        fs::rename(self.file(name), &to).map_err(at(&to))?;
        let mut files = self.files(&refused, name::is_refused)?;
        if files.len() > REFUSED_FILES_MAX {
            files.sort_by_key(|file| file.used);
            for file in files.iter().take(files.len() - REFUSED_FILES_MAX) {
                let path = refused.join(&file.name);
                if_there(fs::remove_file(&path)).map_err(at(&path))?;
            }
        }
        Ok(())
    }

    /// Takes away what was moved aside, and the folder if that was all.
    pub(super) fn clear_refused(&self) -> Result<(), StoreError> {
        let refused = self.path.join(REFUSED);
        if if_there(fs::symlink_metadata(&refused)).map_err(at(&refused))?.is_none() {
            return Ok(());
        }
        self.check_refused(&refused)?;
        for file in self.files(&refused, name::is_refused)? {
            let path = refused.join(&file.name);
            if_there(fs::remove_file(&path)).map_err(at(&path))?;
        }
        match fs::remove_dir(&refused) {
            Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(at(&refused)(error)),
            _ => Ok(()),
        }
    }

    /// F2, for the folder of what was refused.
    fn check_refused(&self, refused: &Path) -> Result<(), StoreError> {
        let is_folder = fs::symlink_metadata(refused).map_err(at(refused))?.is_dir();
        if is_folder { Ok(()) } else { Err(StoreError::Untrusted { path: refused.to_owned(), why: "not a folder" }) }
    }
}

/// Whether only this user and root may write (D1).
fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    let untrusted = |why| Err(StoreError::Untrusted { path: path.to_owned(), why });
    if metadata.uid() != 0 && metadata.uid() != geteuid().as_raw() {
        return untrusted("belongs to another user");
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return untrusted("other users may write to it");
    }
    Ok(())
}
