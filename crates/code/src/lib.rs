//! From a relocatable object to memory that can be executed.
//!
//! in   the ELF object that LLVM emitted (x86-64 or aarch64), the name of its entry function; or the file of an artifact
//! out  an [`Executable`]: read-only, executable pages, unmapped when the last holder drops it; or the file of an artifact
//!
//! ```text
//! object bytes --elf::parse--> sections, symbols, relocations: checked
//!              --link--------> Image: flat, position-independent bytes
//!              --CodeMemory--> Writable (rw-) --into_executable--> Executable (r-x)
//! Artifact     --write-------> SharedObject: an ELF file that the system can load
//! file bytes   --check-------> SharedObject --CodeMemory--> Executable (r-x)
//! ```
//!
//! K1  An object that is not understood completely is refused: unknown sections, symbols from outside, absolute relocations.
//! K2  An image runs at every address that is a multiple of its alignment; nothing in it names an address of the process.
//! K3  No page is ever writable and executable at once, and no page has a second mapping.
//! K4  Bytes of codes are counted before they are mapped and given back after they are unmapped; the count never passes the limit
//!     (`memory`, C1; what is left between them: C3).
//! K5  No input makes this crate panic.

mod cpu;
mod elf;
mod image;
mod layout;
mod library;
mod link;
mod memory;
mod merge;
mod pages;
mod perf_map;
mod relocate;
mod shared_object;
mod sync;

pub use cpu::host_features;
pub use image::{Image, ImageError, Machine, Placed};
pub use layout::layout_text;
pub use link::{IMAGE_LEN_MAX, LinkError, link};
pub use memory::{CodeMemory, Executable, MemoryError, Writable, may_execute};
pub use perf_map::PerfMap;
pub use shared_object::{KEY_WITHIN_BYTES, SHARED_OBJECT_LEN_MAX, SharedObject, WriteError, claimed_key};
