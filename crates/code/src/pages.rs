//! Anonymous pages: the only file of this crate that talks to the system about memory.
//!
//! in   a length in whole pages; the order to make the pages executable
//! out  [`Pages`]: owned, private, unmapped on drop
//!
//! P1  A `Pages` owns its mapping alone: nothing else was given its address, there is no second mapping of it.
//! P2  The pages are writable from `map` until `protect`, and readable and executable from then on, for good. `&mut self` access to the
//!     bytes is given out only before `protect`, which `writable` remembers.
//! P3  Instruction and data caches agree when `protect` returns: x86-64 keeps them so, and on aarch64 Linux does it for pages that become
//!     executable and were never so before, which P2 makes sure of.

use std::{io, ptr::NonNull, slice};

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
