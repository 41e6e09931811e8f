//! Code memory: counted, bounded, writable or executable but never both.
//!
//! in   an [`Image`], or a length and whoever fills the bytes; or a [`SharedObject`]
//! out  [`Executable`], to be shared in an `Arc`; its last drop unmaps it
//!
//! Concepts. A [`CodeMemory`] is a cheap handle to one count and one limit; all its clones share them. A [`Writable`] becomes an
//! [`Executable`] by value, so that nobody is left who could write. Bytes are counted in whole pages. A shared object is never writable:
//! the system maps it from a sealed file. All of that file counts, since all of it is kept in memory.
//!
//! C1  `mapped_bytes` grows by compare-and-swap before the system is asked, and never above `limit_bytes`; whoever is refused has mapped
//!     nothing. It shrinks after the pages are gone. (If the system refuses to unmap, the bytes stay counted: they are still there.)
//!     It counts what codes were given, and not what is left of arenas (C3).
//! C2  An entry pointer is valid while its `Executable` lives, and not longer: keep the `Arc` beside it.
//! C3  Codes of at most half an arena lie side by side in arenas. What a code leaves behind when it is dropped is unmapped, and not used
//!     again. What no code was given yet are addresses without memory. An arena is full when the next code does not fit: its tail,
//!     shorter than that code, becomes executable zeros, and stays until the last handle and the last code are gone. So beyond the
//!     count there are at most as many half arenas as there were full ones.

use std::{io, ops::Range, ptr::NonNull};

use thiserror::Error;

use crate::{
    image::{Image, ImageError, Machine},
    library::Library,
    pages::{Arena, Pages, page_len},
    shared_object::SharedObject,
    sync::{Arc, AtomicUsize, Mutex, Ordering},
};

/// Why memory for code was not given. Each is a reason to interpret, none is fatal.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// The count of mapped bytes would pass its limit.
    #[error("{requested_bytes} bytes more than the limit of {limit_bytes} bytes allows, {mapped_bytes} are mapped")]
    LimitReached {
        /// What was asked for, in whole pages.
        requested_bytes: usize,
        /// What was mapped at that moment.
        mapped_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// Nothing to map, or more than the address space holds.
    #[error("cannot map {len} bytes")]
    Length {
        /// What was asked for.
        len: usize,
    },
    /// The system gave no pages.
    #[error("mapping memory refused: {0}")]
    MapRefused(io::Error),
    /// The system does not let memory become executable (hardened systems).
    #[error("executable memory refused: {0}")]
    ProtectRefused(io::Error),
    /// The system gave no in-memory file, or did not seal it.
    #[error("in-memory file refused: {0}")]
    FileRefused(io::Error),
    /// The system's loader did not load a shared object.
    #[error("loader refused: {0}")]
    LoaderRefused(String),
    /// The system's loader returned something else than it was given.
    #[error("the loader returned other code than it was given")]
    LoaderMistaken,
    /// A loader that would write to read-only memory.
    #[error("glibc {0} cannot load artifacts, 2.35 can")]
    LoaderTooOld(String),
    /// The image's own figures do not fit together.
    #[error("not an image: {0}")]
    Image(#[from] ImageError),
    /// The image is for another instruction set.
    #[error("code for {machine:?} on another machine")]
    Machine {
        /// What the image is for.
        machine: Machine,
    },
    /// The entry lies outside of the code.
    #[error("entry at {entry_offset} of {len} bytes of code")]
    Entry {
        /// Offset of the entry.
        entry_offset: usize,
        /// Length of the code.
        len: usize,
    },
}

#[derive(Debug)]
struct Account {
    /// Written and read by whoever maps or drops code, on any thread. A count only: it publishes nothing, so all accesses are relaxed.
    mapped_bytes: AtomicUsize,
    limit_bytes: usize,
    page_len: usize,
    arenas: Mutex<Arenas>,
}

/// Where the next codes come to lie, and what was left of arenas that are full.
#[derive(Debug, Default)]
struct Arenas {
    open: Option<Arena>,
    /// Tails of arenas, kept so that an arena stays alike from end to end.
    left_over: Vec<Pages>,
}

impl Arenas {
    /// Pages next to those before.
    fn pages(&mut self, len: usize) -> io::Result<Pages> {
        if let Some(full) = self.open.take_if(|arena| !arena.has_room(len)) {
            self.left_over.push(full.close()?);
        }
        let arena = match &mut self.open {
            Some(arena) => arena,
            none => none.insert(Arena::reserve()?),
        };
        arena.carve(len)
    }
}

/// The handle through which code memory is had: one count, one limit.
#[derive(Clone, Debug)]
pub struct CodeMemory {
    account: Arc<Account>,
}

impl CodeMemory {
    /// Code memory of at most `limit_bytes`; zero means that no code is ever mapped.
    pub fn new(limit_bytes: usize) -> CodeMemory {
        CodeMemory {
            account: Arc::new(Account {
                mapped_bytes: AtomicUsize::new(0),
                limit_bytes,
                page_len: page_len(),
                arenas: Mutex::default(),
            }),
        }
    }

    /// Bytes mapped now, in whole pages.
    pub fn mapped_bytes(&self) -> usize {
        self.account.mapped_bytes.load(Ordering::Relaxed)
    }

    /// What `mapped_bytes` never passes.
    pub fn limit_bytes(&self) -> usize {
        self.account.limit_bytes
    }

    /// Maps `len` zeroed bytes to be filled with code.
    pub fn writable(&self, len: usize) -> Result<Writable, MemoryError> {
        let reservation = self.reserve(len)?;
        let pages = self.pages(reservation.bytes).map_err(MemoryError::MapRefused)?;
        Ok(Writable { code: Code { home: Home::Pages(pages), reservation }, len })
    }

    /// Pages beside other code (C3); by themselves where that cannot be had.
    fn pages(&self, len: usize) -> io::Result<Pages> {
        if len <= Arena::LEN / 2
            && let Ok(mut arenas) = self.account.arenas.lock()
            && let Ok(pages) = arenas.pages(len)
        {
            return Ok(pages);
        }
        Pages::map(len)
    }

    /// Counts `len` bytes in whole pages, if the limit allows.
    fn reserve(&self, len: usize) -> Result<Reservation, MemoryError> {
        let account = &self.account;
        let map_len =
            len.checked_next_multiple_of(account.page_len).filter(|&map_len| map_len > 0 && map_len <= isize::MAX as usize);
        Reservation::new(account, map_len.ok_or(MemoryError::Length { len })?)
    }

    /// Has the system map a shared object.
    pub fn load_shared_object(&self, object: &SharedObject) -> Result<Executable, MemoryError> {
        let code = &object.artifact().code;
        let machine = Machine::from_elf(code.machine).ok_or(MemoryError::Image(ImageError::Machine(code.machine)))?;
        if Machine::host() != Some(machine) {
            return Err(MemoryError::Machine { machine });
        }
        let reservation = self.reserve(object.bytes().len())?;
        let (len, entry_offset) = (code.bytes.len(), code.entry_offset as usize);
        let library = Library::load(object)?;
        Ok(Executable { code: Code { home: Home::Library(library), reservation }, len, entry_offset })
    }

    /// Copies an image to fresh pages and makes them executable.
    pub fn load(&self, image: &Image) -> Result<Executable, MemoryError> {
        image.check()?;
        if Machine::host() != Some(image.machine) {
            return Err(MemoryError::Machine { machine: image.machine });
        }
        let mut writable = self.writable(image.bytes.len())?;
        // An image asks for at most a page's alignment (checked above), and mappings start on pages.
        writable.bytes_mut().copy_from_slice(&image.bytes);
        writable.into_executable(image.entry_offset)
    }
}

/// Bytes that are counted; they are given back when this is dropped.
#[derive(Debug)]
struct Reservation {
    account: Arc<Account>,
    bytes: usize,
}

impl Reservation {
    fn new(account: &Arc<Account>, bytes: usize) -> Result<Reservation, MemoryError> {
        let grow = |mapped: usize| mapped.checked_add(bytes).filter(|&sum| sum <= account.limit_bytes);
        match account.mapped_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow) {
            Ok(_) => Ok(Reservation { account: account.clone(), bytes }),
            Err(mapped_bytes) => {
                Err(MemoryError::LimitReached { requested_bytes: bytes, mapped_bytes, limit_bytes: account.limit_bytes })
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.mapped_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Where code lies.
#[derive(Debug)]
enum Home {
    /// Pages of its own.
    Pages(Pages),
    /// A shared object that the system mapped.
    Library(Library),
}

/// Code together with its place in the count.
#[derive(Debug)]
struct Code {
    home: Home,
    reservation: Reservation,
}

impl Code {
    fn base(&self) -> NonNull<u8> {
        match &self.home {
            Home::Pages(pages) => pages.base(),
            Home::Library(library) => library.base(),
        }
    }

    fn bytes(&self) -> &[u8] {
        match &self.home {
            Home::Pages(pages) => pages.bytes(),
            Home::Library(library) => library.image(),
        }
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        let is_gone = match &mut self.home {
            Home::Pages(pages) => pages.unmap(),
            Home::Library(library) => library.close(),
        };
        if !is_gone {
            self.reservation.bytes = 0;
        }
    }
}

/// Memory that can be written and not yet executed.
#[derive(Debug)]
pub struct Writable {
    code: Code,
    len: usize,
}

impl Writable {
    /// The bytes to fill, zero at first.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let Home::Pages(pages) = &mut self.code.home else { return &mut [] };
        pages.bytes_mut().get_mut(..self.len).unwrap_or_default()
    }

    /// Gives up writing for executing. On failure the memory is gone.
    pub fn into_executable(mut self, entry_offset: usize) -> Result<Executable, MemoryError> {
        if entry_offset >= self.len {
            return Err(MemoryError::Entry { entry_offset, len: self.len });
        }
        if let Home::Pages(pages) = &mut self.code.home {
            pages.protect().map_err(MemoryError::ProtectRefused)?;
        }
        Ok(Executable { code: self.code, len: self.len, entry_offset })
    }
}

/// Memory that can be read and executed, and never written again.
#[derive(Debug)]
pub struct Executable {
    code: Code,
    len: usize,
    entry_offset: usize,
}

impl Executable {
    /// The entry function. Valid while this value lives (C2).
    pub fn entry_pointer(&self) -> NonNull<u8> {
        let address = self.code.base().addr().saturating_add(self.entry_offset);
        self.code.base().with_addr(address)
    }

    /// Where the code lies in this process.
    pub fn addresses(&self) -> Range<usize> {
        let start = self.code.base().addr().get();
        start..start + self.len
    }

    /// The code's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.code.bytes().get(..self.len).unwrap_or_default()
    }

    /// Bytes that this code takes, in whole pages.
    pub fn mapped_bytes(&self) -> usize {
        self.code.reservation.bytes
    }
}
