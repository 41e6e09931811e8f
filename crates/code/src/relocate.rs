//! The encodings of relative distances, x86-64 and aarch64.
//!
//! in   a relocation's kind; place and target as offsets in the image
//! out  the field at the place, filled in
//!
//! R1  Only kinds that depend on the distance between place and target are known. `ADR_PREL_PG_HI21` and the `LO12` kinds depend on
//!     it only if the image starts on a page, which the image then asks for.
//! R2  A value that its field cannot hold is refused, never cut off. (The `LO12` kinds hold the low twelve bits by definition.)
//!
//! Sources: System V ABI AMD64 supplement, table 4.10; ELF for the Arm 64-bit architecture, section "Relocation types".

use object::elf::{self, RelocationType};

use crate::image::{Machine, PAGE_ALIGNMENT};

/// How a distance is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// A signed number of so many bytes.
    Number { len: usize },
    /// An instruction's signed immediate: `bits` wide from bit `low`, in units of `unit` bytes.
    Branch { bits: u32, low: u32, unit: i64 },
    /// The split immediate of `ADR`.
    Address,
    /// The split immediate of `ADRP`, in pages.
    Page,
    /// The low twelve bits of the target in an `ADD` or a load or store that scales by `unit`.
    InPage { unit: i64 },
}

/// The table of relocations that can stand in an object; anything else is refused.
pub(crate) fn field(machine: Machine, kind: RelocationType) -> Option<Field> {
    let word_branch = |bits, low| Field::Branch { bits, low, unit: 4 };
    let field = match (machine, kind) {
        (Machine::X86_64, elf::R_X86_64_PC32 | elf::R_X86_64_PLT32) => Field::Number { len: 4 },
        (Machine::X86_64, elf::R_X86_64_PC64) => Field::Number { len: 8 },
        (Machine::Aarch64, elf::R_AARCH64_PREL32) => Field::Number { len: 4 },
        (Machine::Aarch64, elf::R_AARCH64_PREL64) => Field::Number { len: 8 },
        (Machine::Aarch64, elf::R_AARCH64_CALL26 | elf::R_AARCH64_JUMP26) => word_branch(26, 0),
        (Machine::Aarch64, elf::R_AARCH64_CONDBR19 | elf::R_AARCH64_LD_PREL_LO19) => word_branch(19, 5),
        (Machine::Aarch64, elf::R_AARCH64_TSTBR14) => word_branch(14, 5),
        (Machine::Aarch64, elf::R_AARCH64_ADR_PREL_LO21) => Field::Address,
        (Machine::Aarch64, elf::R_AARCH64_ADR_PREL_PG_HI21) => Field::Page,
        (Machine::Aarch64, elf::R_AARCH64_ADD_ABS_LO12_NC | elf::R_AARCH64_LDST8_ABS_LO12_NC) => Field::InPage { unit: 1 },
        (Machine::Aarch64, elf::R_AARCH64_LDST16_ABS_LO12_NC) => Field::InPage { unit: 2 },
        (Machine::Aarch64, elf::R_AARCH64_LDST32_ABS_LO12_NC) => Field::InPage { unit: 4 },
        (Machine::Aarch64, elf::R_AARCH64_LDST64_ABS_LO12_NC) => Field::InPage { unit: 8 },
        (Machine::Aarch64, elf::R_AARCH64_LDST128_ABS_LO12_NC) => Field::InPage { unit: 16 },
        _ => return None,
    };
    Some(field)
}

impl Field {
    /// Bytes that are rewritten.
    pub(crate) fn len(self) -> usize {
        match self {
            Field::Number { len } => len,
            _ => 4,
        }
    }

    /// Numbers may lie anywhere, instructions of aarch64 may not.
    pub(crate) fn place_alignment(self) -> usize {
        match self {
            Field::Number { .. } => 1,
            _ => 4,
        }
    }

    /// Whether the value is right only in an image that starts on a page.
    pub(crate) fn by_page(self) -> bool {
        matches!(self, Field::Page | Field::InPage { .. })
    }

    /// Fills in the field at `place`; `None` if the value does not fit or the field is not inside the image.
    pub(crate) fn apply(self, image: &mut [u8], place: usize, target: i64) -> Option<()> {
        let distance = target.checked_sub(i64::try_from(place).ok()?)?;
        match self {
            Field::Number { len: 8 } => write(image, place, distance.to_le_bytes()),
            Field::Number { .. } => write(image, place, i32::try_from(distance).ok()?.to_le_bytes()),
            Field::Branch { bits, low, unit } => {
                let value = exact(distance, unit)?;
                insert(image, place, &[(signed(value, bits)?, bits, low)])
            }
            Field::Address => insert_split(image, place, distance),
            Field::Page => {
                let page = PAGE_ALIGNMENT as i64;
                insert_split(image, place, target.div_euclid(page) - (place as i64).div_euclid(page))
            }
            Field::InPage { unit } => {
                let value = exact(target.rem_euclid(PAGE_ALIGNMENT as i64), unit)?;
                insert(image, place, &[(u32::try_from(value).ok()?, 12, 10)])
            }
        }
    }
}

/// `value / unit` if nothing is left over.
fn exact(value: i64, unit: i64) -> Option<i64> {
    (value % unit == 0).then_some(value / unit)
}

/// The low `bits` of a value that fits them as a signed number.
fn signed(value: i64, bits: u32) -> Option<u32> {
    let limit = 1i64 << (bits - 1);
    (-limit..limit).contains(&value).then_some((value & ((1i64 << bits) - 1)) as u32)
}

/// `ADR` and `ADRP`: two low bits at 29, nineteen high bits at 5.
fn insert_split(image: &mut [u8], place: usize, value: i64) -> Option<()> {
    let value = signed(value, 21)?;
    insert(image, place, &[(value & 3, 2, 29), (value >> 2, 19, 5)])
}

/// Replaces the parts (value, bits, lowest bit) of the instruction at `place`.
fn insert(image: &mut [u8], place: usize, parts: &[(u32, u32, u32)]) -> Option<()> {
    let old = image.get(place..)?.first_chunk::<4>()?;
    let mut instruction = u32::from_le_bytes(*old);
    for &(value, bits, low) in parts {
        let mask = ((1u32 << bits) - 1) << low;
        instruction = instruction & !mask | (value << low) & mask;
    }
    write(image, place, instruction.to_le_bytes())
}

fn write<const LEN: usize>(image: &mut [u8], place: usize, bytes: [u8; LEN]) -> Option<()> {
    *image.get_mut(place..)?.first_chunk_mut::<LEN>()? = bytes;
    Some(())
}
