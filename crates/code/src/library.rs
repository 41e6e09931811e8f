//! Shared objects in memory: the only file of this crate that asks the system's loader for anything.
//!
//! in   a [`SharedObject`], which was checked when it was made
//! out  a [`Library`]: the image as the loader mapped it, to be copied; unmapped when this is dropped
//!
//! B1  The loader sees a sealed in-memory file that holds exactly the checked bytes: nobody can write to it, and it cannot be cut short
//!     under a mapping. No file is made that has a name.
//! B2  No path is given to the loader twice in a process. glibc looks for a loaded library of the same spelling before it opens anything,
//!     and finds those that are just being closed as well: the path of a descriptor number that comes again would bring back older code.
//!     So a count is written into each path, in steps that do not change where it leads.
//! B3  What came back is looked at before it is used: the loader must name this very path, and the mapped image must equal the checked one.
//! B4  Loading and closing run nothing: the object has no initialisers and needs no library (`shared_object`, S1).
//! B5  glibc before 2.35 writes to the dynamic section, which is read-only here: it is not asked.

use std::{
    ffi::{CStr, CString},
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    ptr::NonNull,
    slice,
};

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::Errno,
};

use crate::{
    memory::MemoryError,
    shared_object::{ENTRY_NAME, SharedObject},
    sync::{AtomicU64, Ordering},
};

/// Counts the paths given to the loader. Whoever loads takes a number; relaxed, since only uniqueness matters.
static PATHS: AtomicU64 = AtomicU64::new(0);

/// The first glibc that leaves a read-only dynamic section alone (B5).
const GLIBC_MIN: (u32, u32) = (2, 35);

/// A loaded shared object; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Library {
    image: NonNull<u8>,
    len: usize,
    /// Keeps the image mapped.
    _handle: Handle,
}

impl Library {
    /// Loads a shared object.
    pub(crate) fn load(object: &SharedObject) -> Result<Library, MemoryError> {
        check_loader()?;
        let file = sealed(object).map_err(MemoryError::FileRefused)?;
        let path = path(file.as_fd().as_raw_fd());
        // SAFETY: nothing runs when the object is loaded or closed (B4), and its headers are those that `shared_object` writes.
        let handle = unsafe { Handle::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
        let handle = handle.map_err(|error| MemoryError::LoaderRefused(error.to_string()))?;
        // SAFETY: the symbol is only looked at as an address here; its type is the caller's to know.
        let symbol = unsafe { handle.get::<unsafe extern "C" fn()>(ENTRY_NAME) };
        let entry = symbol.map_err(|error| MemoryError::LoaderRefused(error.to_string()))?.into_raw();
        let code = &object.artifact().code;
        let image = NonNull::new(entry.cast::<u8>().wrapping_sub(code.entry_offset as usize));
        let image = image.filter(|image| is_mapped_from(&path, *image, object)).ok_or(MemoryError::LoaderMistaken)?;
        let library = Library { image, len: code.bytes.len(), _handle: handle };
        // The file's descriptor may go now: the mapping holds the file.
        if library.image() == code.bytes { Ok(library) } else { Err(MemoryError::LoaderMistaken) }
    }

    /// The mapped image.
    pub(crate) fn image(&self) -> &[u8] {
        // SAFETY: the loader mapped the object that it named as this path's (B3), whose second segment starts here and is `len` bytes
        // long; it is readable, never written (B1), and mapped while the handle lives.
        unsafe { slice::from_raw_parts(self.image.as_ptr(), self.len) }
    }
}

/// An in-memory file with the object's bytes that nobody can change (B1).
fn sealed(object: &SharedObject) -> io::Result<OwnedFd> {
    let name = format!("hotevm:{}", object.artifact().key.code_hash);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Newer kernels want to be told that the file will be executed; older ones do not know the word.
    let file = match memfd_create(name.as_str(), flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name.as_str(), flags)?,
        other => other?,
    };
    let mut file = std::fs::File::from(file);
    file.write_all(object.bytes())?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file.into())
}

/// A path to the descriptor that was never spelled before (B2): the digits of the count are `/` and `./`.
fn path(descriptor: i32) -> String {
    let mut path = String::from("/proc/self/fd/");
    let mut count = PATHS.fetch_add(1, Ordering::Relaxed);
    while count > 0 {
        path.push_str(if count & 1 == 0 { "/" } else { "./" });
        count >>= 1;
    }
    path.push_str(&descriptor.to_string());
    path
}

/// Whether the loader mapped the image from an object of this name, at the place where that has its image (B3).
fn is_mapped_from(path: &str, image: NonNull<u8>, object: &SharedObject) -> bool {
    let mut found = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: any address may be asked about; `found` is written during the call.
    let is_found = unsafe { libc::dladdr(image.as_ptr().cast(), &raw mut found) } != 0;
    if !is_found || found.dli_fname.is_null() {
        return false;
    }
    // SAFETY: the loader's own string, alive while the object is loaded, and the caller holds its handle.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    let is_at = found.dli_fbase.cast::<u8>().wrapping_add(object.image_at()) == image.as_ptr();
    is_at && CString::new(path).is_ok_and(|path| *path == *name)
}

/// Whether the system's loader can be asked at all (B5).
#[cfg(target_env = "gnu")]
fn check_loader() -> Result<(), MemoryError> {
    // SAFETY: takes nothing, returns a static string.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) }.to_string_lossy();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let found = numbers.next().zip(numbers.next());
    if found >= Some(GLIBC_MIN) { Ok(()) } else { Err(MemoryError::LoaderTooOld(version.into_owned())) }
}

/// Other loaders leave the dynamic section alone.
#[cfg(not(target_env = "gnu"))]
fn check_loader() -> Result<(), MemoryError> {
    Ok(())
}
