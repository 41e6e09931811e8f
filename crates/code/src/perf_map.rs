//! The file through which `perf` learns the names of generated code.
//!
//! in   loaded code and its name (`evm:ADDRESS_OR_HASH:pc`)
//! out  lines `START SIZE name` in `DIRECTORY/perf-PID.map`, hexadecimal without prefix, as `perf report` reads them
//!
//! Lines are only added: code that was unmapped keeps its line, and where an address is used again the last line counts.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{
    memory::Executable,
    sync::{Mutex, PoisonError},
};

/// An open perf map of this process.
#[derive(Debug)]
pub struct PerfMap {
    path: PathBuf,
    file: Mutex<File>,
}

impl PerfMap {
    /// Where `perf` looks for the file.
    pub const DEFAULT_DIRECTORY: &'static str = "/tmp";

    /// Opens this process's map in `directory` and adds to what is there. A link is not followed, since others may write to `/tmp`.
    ///
    /// # Errors
    /// When the file cannot be made or written to.
    pub fn open(directory: &Path) -> io::Result<PerfMap> {
        let path = directory.join(format!("perf-{}.map", std::process::id()));
        let file = OpenOptions::new().create(true).append(true).custom_flags(libc::O_NOFOLLOW).open(&path)?;
        Ok(PerfMap { path, file: Mutex::new(file) })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line for `code`. Characters that would break the line become `_`.
    pub fn record(&self, code: &Executable, name: &str) -> io::Result<()> {
        let name: String = name.chars().map(|character| if character.is_control() { '_' } else { character }).collect();
        let addresses = code.addresses();
        let line = format!("{:x} {:x} {name}\n", addresses.start, addresses.len());
        // One write for a line: a poisoned lock can at worst have left a line out.
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
    }
}
