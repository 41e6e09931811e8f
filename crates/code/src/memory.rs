//! Code memory: counted, bounded, writable or executable but never both.
//!
//! in   an [`Image`], or a length and whoever fills the bytes; or a [`SharedObject`]
//! out  [`Executable`], to be shared in an `Arc`; its last drop unmaps it
//!
//! Concepts. A [`CodeMemory`] is a cheap handle to one count and one limit; all its clones share them. A [`Writable`] becomes an
//! [`Executable`] by value, so that nobody is left who could write. Bytes are counted in whole pages. A shared object is mapped by the
//! system's loader from a sealed file, compared, copied to pages beside other code, and closed: code on pages of the loader, here one and
//! there one, runs slower, and the loader walks over all that is open whenever it opens one more.
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

use hotevm_abi::CodeObject;
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

/// Whether the system lets memory become executable: hardened ones do not. Maps a page, and gives it back.
///
/// # Errors
/// [`MemoryError::MapRefused`] or [`MemoryError::ProtectRefused`].
pub fn may_execute() -> Result<(), MemoryError> {
    let mut page = Pages::map(page_len()).map_err(MemoryError::MapRefused)?;
    page.protect().map_err(MemoryError::ProtectRefused)
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
        Ok(Writable { code: Code { pages, reservation }, len })
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

    /// Has the system's loader map a shared object, and copies the code from there (C3).
    pub fn load_shared_object(&self, object: &SharedObject) -> Result<Executable, MemoryError> {
        let code = &object.artifact().code;
        let machine = Machine::from_elf(code.machine).ok_or(MemoryError::Image(ImageError::Machine(code.machine)))?;
        if Machine::host() != Some(machine) {
            return Err(MemoryError::Machine { machine });
        }
        let library = Library::load(object)?;
        self.copy(library.image(), Figures::of(code, machine))
    }

    /// Copies an image to fresh pages and makes them executable.
    pub fn load(&self, image: &Image) -> Result<Executable, MemoryError> {
        image.check()?;
        if Machine::host() != Some(image.machine) {
            return Err(MemoryError::Machine { machine: image.machine });
        }
        let Image { text_len, entry_offset, alignment, machine, .. } = *image;
        self.copy(&image.bytes, Figures { text_len, entry_offset, alignment, machine })
    }

    /// Code on pages of this memory. An image asks for at most a page's alignment (its law M2), and these start on pages.
    fn copy(&self, bytes: &[u8], figures: Figures) -> Result<Executable, MemoryError> {
        let mut writable = self.writable(bytes.len())?;
        writable.bytes_mut().copy_from_slice(bytes);
        let executable = writable.into_executable(figures.entry_offset)?;
        Ok(Executable { figures: Some(figures), ..executable })
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

/// Code together with its place in the count.
#[derive(Debug)]
struct Code {
    pages: Pages,
    reservation: Reservation,
}

impl Drop for Code {
    fn drop(&mut self) {
        if !self.pages.unmap() {
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
        self.code.pages.bytes_mut().get_mut(..self.len).unwrap_or_default()
    }

    /// Gives up writing for executing. On failure the memory is gone.
    pub fn into_executable(mut self, entry_offset: usize) -> Result<Executable, MemoryError> {
        if entry_offset >= self.len {
            return Err(MemoryError::Entry { entry_offset, len: self.len });
        }
        self.code.pages.protect().map_err(MemoryError::ProtectRefused)?;
        Ok(Executable { code: self.code, len: self.len, entry_offset, figures: None })
    }
}

/// What an image says of itself besides its bytes.
#[derive(Clone, Copy, Debug)]
struct Figures {
    text_len: usize,
    entry_offset: usize,
    alignment: usize,
    machine: Machine,
}

impl Figures {
    fn of(code: &CodeObject, machine: Machine) -> Figures {
        let [text_len, entry_offset, alignment] =
            [code.text_len, code.entry_offset, code.alignment].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        Figures { text_len, entry_offset, alignment, machine }
    }
}

/// Text is fetched ahead up to this length; read-only data up to the other.
const PREFETCHED_TEXT_MAX: usize = 64 << 10;
const PREFETCHED_DATA_MAX: usize = 4 << 10;
/// Bytes of the entry, and of the stubs behind it, that are fetched with what lies before it.
const PREFETCHED_ENTRY_BYTES: usize = 1 << 10;

/// Memory that can be read and executed, and never written again.
#[derive(Debug)]
pub struct Executable {
    code: Code,
    len: usize,
    entry_offset: usize,
    /// None for bytes that came from no image.
    figures: Option<Figures>,
}

impl Executable {
    /// The entry function. Valid while this value lives (C2).
    pub fn entry_pointer(&self) -> NonNull<u8> {
        let address = self.code.pages.base().addr().saturating_add(self.entry_offset);
        self.code.pages.base().with_addr(address)
    }

    /// Where the code lies in this process.
    pub fn addresses(&self) -> Range<usize> {
        let start = self.code.pages.base().addr().get();
        start..start + self.len
    }

    /// The code's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.code.pages.bytes().get(..self.len).unwrap_or_default()
    }

    /// Has the processor fetch the front of the text, up to the entry (`link`, L4), and of the data into its caches meanwhile. Otherwise they
    /// are fetched where they are met, a line at a time, and each line that comes from memory stops the run. On x86-64 alone.
    pub fn prefetch(&self) {
        let text_len = self.figures.map_or(self.len, |figures| figures.text_len);
        prefetched(self.len, text_len, self.entry_offset).into_iter().for_each(|range| self.code.pages.prefetch(range));
    }

    /// The image it was loaded from, again; none for bytes that came from no image.
    pub fn image(&self) -> Option<Image> {
        let Figures { text_len, entry_offset, alignment, machine } = self.figures?;
        Some(Image { bytes: self.bytes().to_vec(), text_len, entry_offset, alignment, machine, sections: Vec::new() })
    }

    /// Bytes that this code takes, in whole pages.
    pub fn mapped_bytes(&self) -> usize {
        self.code.reservation.bytes
    }
}

/// The text and the data that are fetched ahead of a code of `len` bytes.
fn prefetched(len: usize, text_len: usize, entry_offset: usize) -> [Range<usize>; 2] {
    let text_end = entry_offset.saturating_add(PREFETCHED_ENTRY_BYTES).min(PREFETCHED_TEXT_MAX).min(text_len);
    [0..text_end, text_len..len.min(text_len.saturating_add(PREFETCHED_DATA_MAX))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetched_ahead_are_text_up_to_the_entry_and_the_front_of_the_data() {
        // (code, text, offset of the entry), text and data that are fetched.
        for ((len, text_len, entry_offset), expected) in [
            ((100_000, 90_000, 5000), [0..6024, 90_000..94_096]),
            ((100_000, 99_000, 70_000), [0..65_536, 99_000..100_000]),
            ((300, 200, 0), [0..200, 200..300]),
            ((300, 300, 100), [0..300, 300..300]),
            ((300, 300, usize::MAX), [0..300, 300..300]),
        ] {
            assert_eq!(
                prefetched(len, text_len, entry_offset),
                expected,
                "{len} bytes, {text_len} of text, entry at {entry_offset}"
            );
        }
    }
}
