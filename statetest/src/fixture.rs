//! Fixture files: finding and reading them.
//!
//! in   files and folders, as given on the command line
//! out  a sorted list of `.json` and `.json.gz` files; their content, decompressed and parsed
//!
//! A file given by name is taken whatever it is called; whether it is compressed is seen from its first bytes.

use crate::error::Error;
use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// One fixture file and its size on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Size on disk, in bytes: an estimate of the work in it.
    pub bytes: u64,
}

/// Lists the fixtures under the given paths, each once, sorted by path.
///
/// # Errors
/// When a path does not exist or cannot be read, or a folder holds no fixture.
pub fn find(paths: &[PathBuf]) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    for path in paths {
        let found_before = files.len();
        visit(path, true, &mut files)?;
        if files.len() == found_before {
            return Err(Error::Empty { path: path.clone() });
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files.dedup();
    Ok(files)
}

/// Adds `path`, or what lies below it. `named` says that the user named this very path.
fn visit(path: &Path, named: bool, files: &mut Vec<File>) -> Result<(), Error> {
    let read_error = |cause| Error::Read { path: path.to_owned(), cause };
    let metadata = fs::metadata(path).map_err(read_error)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(read_error)? {
            visit(&entry.map_err(read_error)?.path(), false, files)?;
        }
    } else if named || is_fixture(path) {
        files.push(File { path: path.to_owned(), bytes: metadata.len() });
    }
    Ok(())
}

fn is_fixture(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".json") || name.ends_with(".json.gz")
}

/// The file's name without `.json` and `.gz`.
pub fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.strip_suffix(".json").unwrap_or(name).to_owned()
}

/// Reads a file, decompressed where it is compressed.
///
/// # Errors
/// When the file cannot be read or its compressed data is cut off or corrupt.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let read_error = |cause| Error::Read { path: path.to_owned(), cause };
    let bytes = fs::read(path).map_err(read_error)?;
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(bytes);
    }
    let mut content = Vec::with_capacity(bytes.len().saturating_mul(4));
    MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut content).map_err(read_error)?;
    Ok(content)
}

/// Reads and parses a file; `expected` names what it should hold.
///
/// # Errors
/// When the file cannot be read, or does not hold that.
pub fn parse<T: DeserializeOwned>(path: &Path, expected: &'static str) -> Result<T, Error> {
    serde_json::from_slice(&read(path)?).map_err(|cause| Error::Parse { path: path.to_owned(), expected, cause })
}
