//! A digest of the compiler's sources, as part of its fingerprint: code in a store is not taken for the work of another compiler that
//! happens to have the same version number.
//!
//! in   the sources of the crates that decide what code is generated
//! out  the environment variable `HOTEVM_COMPILER_DIGEST` for this crate

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
};

/// Sources that decide what code is generated.
const SOURCES: [&str; 5] = ["../ir/src", "../llvm/src", "../abi/src", "../code/src/link.rs", "../code/src/merge.rs"];

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        collect(Path::new(source), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        (file.to_string_lossy(), fs::read(&file)?).hash(&mut hasher);
    }
    println!("cargo::rustc-env=HOTEVM_COMPILER_DIGEST={:016x}", hasher.finish());
    Ok(())
}

/// All files at or below a path; none where the path is not there (a crate taken out of the workspace).
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    }
    Ok(())
}
