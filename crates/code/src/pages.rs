//! Anonymous pages: the only file of this crate that talks to the system about memory.
//!
//! in   a length in whole pages; the order to make the pages executable
//! out  [`Pages`]: owned, private, unmapped on drop; [`Arena`], from which they are carved next to each other
//!
//! A processor keeps few translations of addresses at a time. Code on a page of its own here and there costs one for each page; once an
//! arena is full, the system is asked to put all of it on one huge page.
//!
//! P1  A `Pages` owns its mapping alone: nothing else was given its address, there is no second mapping of it.
//! P2  The pages are writable from `map` or `carve` until `protect`, and readable and executable from then on, for good. `&mut self`
//!     access to the bytes is given out only before `protect`, which `writable` remembers.
//! P3  Instruction and data caches agree when `protect` returns: x86-64 keeps them so, and on aarch64 Linux does it for pages that become
//!     executable and were never so before, which P2 makes sure of.
//! P4  What an arena has carved is given away: it keeps only what lies behind.

use std::{io, ops::Range, ptr::NonNull, slice};

/// Private pages with fixed bounds.
#[derive(Debug)]
pub(crate) struct Pages {
    base: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping belongs to this value alone (P1); its address is not tied to a thread.
unsafe impl Send for Pages {}
// SAFETY: through `&Pages` the bytes can only be read, and nothing writes while a shared reference exists (P2).
unsafe impl Sync for Pages {}

/// Address space of the size and alignment of a huge page.
#[derive(Debug)]
pub(crate) struct Arena {
    base: NonNull<u8>,
    /// Bytes given away (P4).
    carved: usize,
}

// SAFETY: what is left of the reservation belongs to this value alone (P4); its address is not tied to a thread.
unsafe impl Send for Arena {}

impl Arena {
    /// Bytes of an arena, which is a huge page of x86-64 and of most other machines.
    pub(crate) const LEN: usize = 2 << 20;

    /// Reserves the addresses; they can be neither read nor written nor executed.
    pub(crate) fn reserve() -> io::Result<Arena> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the system's choice overlaps nothing.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), 2 * Self::LEN, libc::PROT_NONE, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = address.cast::<u8>();
        let skipped = first.align_offset(Self::LEN).min(Self::LEN);
        let base = first.wrapping_add(skipped);
        // SAFETY: both ranges lie in the mapping made above, outside of the aligned part that is kept. What the system does not take
        // back stays reserved, which does no harm.
        unsafe {
            if skipped != 0 {
                libc::munmap(address, skipped);
            }
            libc::munmap(base.wrapping_add(Self::LEN).cast(), Self::LEN - skipped);
        }
        let base = NonNull::new(base).ok_or_else(|| io::Error::other("mapped at address zero"))?;
        Ok(Arena { base, carved: 0 })
    }

    /// Whether so many bytes are left.
    pub(crate) const fn has_room(&self, len: usize) -> bool {
        len <= Self::LEN - self.carved
    }

    /// The next `len` bytes, writable. `len` is a multiple of the page size, and there is room for it.
    pub(crate) fn carve(&mut self, len: usize) -> io::Result<Pages> {
        self.take(len, libc::PROT_READ | libc::PROT_WRITE).map(|base| Pages { base, len, writable: true })
    }

    /// Makes what is left executable as well, so that the whole is alike, and asks for a huge page. What is left comes back.
    pub(crate) fn close(mut self) -> io::Result<Pages> {
        let whole = self.base;
        let len = Self::LEN - self.carved;
        let rest = self.take(len, libc::PROT_READ | libc::PROT_EXEC)?;
        // SAFETY: advice moves the content of pages and changes nothing that a program can see; where it cannot be followed (an
        // older system, a code that is being written) everything stays as it was.
        let _ = unsafe { libc::madvise(whole.as_ptr().cast(), Self::LEN, MADV_COLLAPSE) };
        Ok(Pages { base: rest, len, writable: false })
    }

    /// Gives away the next `len` bytes with a protection (P4).
    fn take(&mut self, len: usize, protection: i32) -> io::Result<NonNull<u8>> {
        let start = self.base.as_ptr().wrapping_add(self.carved);
        // SAFETY: the range is part of this value's own reservation, not given away so far (P4).
        if len != 0 && unsafe { libc::mprotect(start.cast(), len, protection) } != 0 {
            return Err(io::Error::last_os_error());
        }
        self.carved += len;
        NonNull::new(start).ok_or_else(|| io::Error::other("mapped at address zero"))
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let left = Self::LEN - self.carved;
        if left != 0 {
            // SAFETY: the range is part of this value's own reservation, not given away (P4).
            let _ = unsafe { libc::munmap(self.base.as_ptr().wrapping_add(self.carved).cast(), left) };
        }
    }
}

/// A cache line.
const LINE_BYTES: usize = 64;
/// Linux: put the range on huge pages now (since 6.1).
const MADV_COLLAPSE: i32 = 25;

/// Has the processor fetch a line into the second cache of the core: text is read from there, and would push data out of the first.
fn prefetch_line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is a hint, which neither faults nor changes what a program can see; SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// The system's page size in bytes.
pub(crate) fn page_len() -> usize {
    // SAFETY: `sysconf` takes a number and touches no memory of ours.
    let len = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(len).ok().filter(|len| len.is_power_of_two()).unwrap_or(4096)
}

impl Pages {
    /// Maps `len` zeroed, writable bytes. `len` is a multiple of the page size and not zero.
    pub(crate) fn map(len: usize) -> io::Result<Pages> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // Populating saves one fault for each page that is about to be written.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a new anonymous mapping at an address of the system's choice overlaps nothing.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(address.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at address zero"))?;
        Ok(Pages { base, len, writable: true })
    }

    /// Takes the right to write and gives the right to execute, in one step (P2).
    pub(crate) fn protect(&mut self) -> io::Result<()> {
        self.writable = false;
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: the range is this value's own mapping (P1); `&mut self` says that no reference to its bytes is alive.
        let status = unsafe { libc::mprotect(self.base.as_ptr().cast(), self.len, protection) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The bytes, to be written; empty once the pages are executable.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let len = if self.writable { self.len } else { 0 };
        // SAFETY: the mapping holds `len` initialised (zeroed) bytes, is writable (P2), and is borrowed through `&mut self`.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), len) }
    }

    /// The bytes, to be read.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping holds `len` initialised bytes, is readable at all times (P2), and lives as long as `self`.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }

    /// Has the processor fetch some of the bytes into its caches.
    pub(crate) fn prefetch(&self, range: Range<usize>) {
        let (lines, rest) = self.bytes().get(range).unwrap_or_default().as_chunks::<LINE_BYTES>();
        lines.iter().for_each(|line| prefetch_line(line.as_ptr()));
        if !rest.is_empty() {
            prefetch_line(rest.as_ptr());
        }
    }

    /// The first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Unmaps the pages; false if the system refused, in which case they stay mapped.
    pub(crate) fn unmap(&mut self) -> bool {
        if self.len == 0 {
            return true;
        }
        // SAFETY: the range is this value's own mapping (P1); `len` becomes zero, so that no reference to it can be made again.
        let status = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        self.len = 0;
        self.writable = false;
        status == 0
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.unmap();
    }
}
