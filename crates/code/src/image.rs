//! The linked form of an object: flat bytes that run at any suitably aligned address.
//!
//! in   what `link` placed and relocated, or flat bytes that were kept somewhere (an artifact)
//! out  [`Image`]: text first, then read-only data at a fixed distance
//!
//! M1  `text_len <= bytes.len()` and `entry_offset < text_len`.
//! M2  `alignment` is a power of two. It is at least [`PAGE_ALIGNMENT`] where the code addresses data by page (aarch64 `ADRP`): such
//!     code is right only if the image starts on a page.

use hotevm_abi::{CodeObject, EntryPoint, LeaveRow};
use thiserror::Error;

/// What page-relative addressing of aarch64 (`ADRP`) calls a page, whatever the page size of the system is.
pub(crate) const PAGE_ALIGNMENT: usize = 4096;

/// The instruction set that an image is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// 64-bit Arm, little endian.
    Aarch64,
}

impl Machine {
    /// The machine that this process runs on; `None` where hotevm has no native code.
    pub const fn host() -> Option<Machine> {
        if cfg!(target_arch = "x86_64") {
            Some(Machine::X86_64)
        } else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
            Some(Machine::Aarch64)
        } else {
            None
        }
    }

    /// The shortest sequence that traps: what lies between functions must not be run into.
    pub(crate) const fn trap(self) -> &'static [u8] {
        match self {
            Machine::X86_64 => &[0xcc],
            Machine::Aarch64 => &[0x00, 0x00, 0x20, 0xd4],
        }
    }

    /// ELF's number for the machine (`e_machine`).
    pub const fn elf(self) -> u16 {
        match self {
            Machine::X86_64 => object::elf::EM_X86_64.0,
            Machine::Aarch64 => object::elf::EM_AARCH64.0,
        }
    }

    /// The machine with this number in an ELF header.
    pub fn from_elf(number: u16) -> Option<Machine> {
        [Machine::X86_64, Machine::Aarch64].into_iter().find(|machine| machine.elf() == number)
    }

    /// The largest page that systems on this machine have: segments of a file start on one.
    pub(crate) const fn segment_alignment(self) -> usize {
        match self {
            Machine::X86_64 => 4096,
            Machine::Aarch64 => 65_536,
        }
    }

    /// The alignment of an instruction.
    pub(crate) const fn instruction_alignment(self) -> usize {
        self.trap().len()
    }
}

/// A section of the object and its place in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The section's name.
    pub name: String,
    /// Where it starts, from the start of the image.
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
    /// How many relocations were applied inside it.
    pub relocations: usize,
}

/// Position-independent code: text, then read-only data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Text and read-only data, relocated against each other.
    pub bytes: Vec<u8>,
    /// Length of the text at the start of `bytes`.
    pub text_len: usize,
    /// Where the entry function starts.
    pub entry_offset: usize,
    /// What the address of `bytes` must be a multiple of when the code runs.
    pub alignment: usize,
    /// The instruction set.
    pub machine: Machine,
    /// What lies where, for people; empty for an image made by [`Image::from_flat`].
    pub sections: Vec<Placed>,
}

/// Why flat bytes are not an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImageError {
    /// The text would end behind the bytes.
    #[error("text of {text_len} bytes in an image of {len} bytes")]
    Text {
        /// Claimed length of the text.
        text_len: usize,
        /// Length of the image.
        len: usize,
    },
    /// The entry does not point at an instruction of the text.
    #[error("entry at {entry_offset} of {text_len} bytes of text")]
    Entry {
        /// Claimed offset of the entry.
        entry_offset: usize,
        /// Length of the text.
        text_len: usize,
    },
    /// Not a power of two, or more than a page.
    #[error("alignment {0}")]
    Alignment(usize),
    /// The file is for one machine and the code for another.
    #[error("code for machine {0} in a file for another")]
    Machine(u16),
    /// A figure is larger than a file can say.
    #[error("image of more than 4 GiB")]
    Length,
}

impl Image {
    /// An image from parts that were kept elsewhere; the laws of this module are checked, the code itself cannot be.
    pub fn from_flat(
        bytes: Vec<u8>,
        text_len: usize,
        entry_offset: usize,
        alignment: usize,
        machine: Machine,
    ) -> Result<Image, ImageError> {
        let image = Image { bytes, text_len, entry_offset, alignment, machine, sections: Vec::new() };
        image.check()?;
        Ok(image)
    }

    /// Checks M1 and M2; the fields are public, so code memory asks again before it maps.
    pub(crate) fn check(&self) -> Result<(), ImageError> {
        Self::check_figures(self.bytes.len(), self.text_len, self.entry_offset, self.alignment, self.machine)
    }

    /// Checks M1 and M2 for bytes that are kept elsewhere.
    pub(crate) fn check_figures(
        len: usize,
        text_len: usize,
        entry_offset: usize,
        alignment: usize,
        machine: Machine,
    ) -> Result<(), ImageError> {
        if text_len > len {
            return Err(ImageError::Text { text_len, len });
        }
        let misplaced = !entry_offset.is_multiple_of(machine.instruction_alignment());
        if entry_offset >= text_len || misplaced {
            return Err(ImageError::Entry { entry_offset, text_len });
        }
        if !alignment.is_power_of_two() || alignment > PAGE_ALIGNMENT {
            return Err(ImageError::Alignment(alignment));
        }
        Ok(())
    }

    /// The image with its tables, as compilers and artifacts hand it around.
    ///
    /// # Errors
    /// When a length does not fit 32 bits.
    pub fn into_object(self, entries: Vec<EntryPoint>, leaves: Vec<LeaveRow>) -> Result<CodeObject, ImageError> {
        let figures = [self.alignment, self.text_len, self.entry_offset, self.bytes.len()].map(u32::try_from);
        let [Ok(alignment), Ok(text_len), Ok(entry_offset), Ok(_)] = figures else { return Err(ImageError::Length) };
        let machine = self.machine.elf();
        Ok(CodeObject { machine, alignment, text_len, entry_offset, bytes: self.bytes, entries, leaves })
    }
}
