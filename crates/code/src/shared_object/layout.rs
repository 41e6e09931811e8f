//! The headers of a shared object, at offsets that never vary.
//!
//! in   machine, lengths of manifest and image, offset of the entry
//! out  every byte before the manifest
//!
//! Offsets in the file are addresses in memory as well. Section headers are there for people: `objdump` finds text by them.
//!
//! Source: Tool Interface Standard, Executable and Linking Format 1.2; System V ABI, chapter 5 (dynamic section, hash table).

use hotevm_abi::CodeObject;
use object::elf;

use crate::image::Machine;

/// The entry function's name in the dynamic symbols.
pub(crate) const ENTRY_NAME: &str = "hotevm_entry";

/// The note's name, filled up to a multiple of four.
pub(super) const NOTE_NAME: &[u8; 8] = b"hotevm\0\0";
/// Length of the note's name, one zero included.
const NOTE_NAME_LEN: u32 = 7;
/// The note's type: a manifest.
const NOTE_TYPE: u32 = 1;

const SEGMENTS_AT: usize = 64;
const SEGMENTS: u16 = 5;
const HASH_AT: usize = SEGMENTS_AT + SEGMENTS as usize * 56;
const HASH_LEN: usize = 20;
const SYMBOLS_AT: usize = (HASH_AT + HASH_LEN).next_multiple_of(8);
const SYMBOLS_LEN: usize = 2 * 24;
const DYNAMIC_AT: usize = SYMBOLS_AT + SYMBOLS_LEN;
const DYNAMIC_LEN: usize = 6 * 16;
const STRINGS_AT: usize = DYNAMIC_AT + DYNAMIC_LEN;
const STRINGS: &[u8] = b"\0hotevm_entry\0";
const NAMES_AT: usize = STRINGS_AT + STRINGS.len();
const NAMES: &[u8] = b"\0.note.hotevm\0.hash\0.dynsym\0.dynstr\0.dynamic\0.text\0.rodata\0.shstrtab\0";
const SECTIONS_AT: usize = (NAMES_AT + NAMES.len()).next_multiple_of(8);
const SECTIONS: u16 = 9;
/// Where the note starts.
pub(super) const NOTE_AT: usize = SECTIONS_AT + SECTIONS as usize * 64;
/// Where the manifest starts.
pub(super) const MANIFEST_AT: usize = NOTE_AT + 12 + NOTE_NAME.len();

/// Number of the section of text: symbols refer to it.
const TEXT_SECTION: u16 = 6;
const SYMBOLS_SECTION: u32 = 3;
const STRINGS_SECTION: u32 = 4;

/// Where everything of one file lies.
#[derive(Debug)]
pub(super) struct Layout {
    machine: Machine,
    manifest_len: usize,
    /// Where the image starts: on a page.
    pub(super) image_at: usize,
    text_len: usize,
    entry_offset: usize,
    /// Where the image, and the file, ends.
    pub(super) file_len: usize,
}

impl Layout {
    /// Where the image starts in a file with so long a manifest.
    pub(super) fn image_at(machine: Machine, manifest_len: usize) -> Option<usize> {
        MANIFEST_AT.checked_add(manifest_len)?.checked_next_multiple_of(machine.segment_alignment())
    }

    /// The layout of a file; none if its length is no number.
    pub(super) fn new(machine: Machine, manifest_len: usize, code: &CodeObject) -> Option<Layout> {
        let image_at = Self::image_at(machine, manifest_len)?;
        Some(Layout {
            machine,
            manifest_len,
            image_at,
            text_len: usize::try_from(code.text_len).ok()?,
            entry_offset: usize::try_from(code.entry_offset).ok()?,
            file_len: image_at.checked_add(code.bytes.len())?,
        })
    }

    /// Everything before the manifest.
    pub(super) fn write_headers(&self, bytes: &mut Vec<u8>) {
        self.file_header(bytes);
        self.segments(bytes);
        for word in [1_u32, 2, 1, 0, 0] {
            // One bucket, which holds the second of two symbols; no chain goes on.
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(SYMBOLS_AT, 0);
        self.symbols(bytes);
        dynamic(bytes);
        bytes.extend_from_slice(STRINGS);
        bytes.extend_from_slice(NAMES);
        bytes.resize(SECTIONS_AT, 0);
        self.sections(bytes);
        for word in [NOTE_NAME_LEN, self.manifest_len as u32, NOTE_TYPE] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(NOTE_NAME);
    }

    fn file_header(&self, bytes: &mut Vec<u8>) {
        // 64-bit, little endian, version 1, System V.
        bytes.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        half_words(bytes, [elf::ET_DYN.0, self.machine.elf()]);
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        words(bytes, [0, SEGMENTS_AT as u64, SECTIONS_AT as u64]);
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        half_words(bytes, [64, 56, SEGMENTS, 64, SECTIONS, SECTIONS - 1]);
    }

    fn segments(&self, bytes: &mut Vec<u8>) {
        let mut segment = |kind: u32, flags: u32, at: usize, len: usize, alignment: usize| {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&flags.to_le_bytes());
            words(bytes, [at, at, at, len, len, alignment].map(|number| number as u64));
        };
        let (read, write, execute) = (elf::PF_R.0, elf::PF_W.0, elf::PF_X.0);
        let page = self.machine.segment_alignment();
        segment(elf::PT_LOAD.0, read, 0, MANIFEST_AT + self.manifest_len, page);
        segment(elf::PT_LOAD.0, read | execute, self.image_at, self.file_len - self.image_at, page);
        segment(elf::PT_DYNAMIC.0, read, DYNAMIC_AT, DYNAMIC_LEN, 8);
        segment(elf::PT_NOTE.0, read, NOTE_AT, 20 + self.manifest_len, 4);
        // Without this row the system's loader would make stacks executable.
        segment(elf::PT_GNU_STACK.0, read | write, 0, 0, 16);
    }

    fn symbols(&self, bytes: &mut Vec<u8>) {
        bytes.resize(bytes.len() + 24, 0);
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        // A global function.
        bytes.extend_from_slice(&[0x12, 0]);
        half_words(bytes, [TEXT_SECTION]);
        words(bytes, [(self.image_at + self.entry_offset) as u64, (self.text_len - self.entry_offset) as u64]);
    }

    fn sections(&self, bytes: &mut Vec<u8>) {
        let (allocated, execute) = (elf::SHF_ALLOC.0, elf::SHF_EXECINSTR.0);
        let mut section = |name: &str, kind: u32, flags: u64, place: (usize, usize), links: (u32, u32), sizes: (u64, u64)| {
            bytes.extend_from_slice(&name_offset(name).to_le_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            let address = if flags & allocated == 0 { 0 } else { place.0 as u64 };
            words(bytes, [flags, address, place.0 as u64, place.1 as u64]);
            bytes.extend_from_slice(&links.0.to_le_bytes());
            bytes.extend_from_slice(&links.1.to_le_bytes());
            words(bytes, [sizes.0, sizes.1]);
        };
        let text = (self.image_at, self.text_len);
        let data = (self.image_at + self.text_len, self.file_len - self.image_at - self.text_len);
        section("", 0, 0, (0, 0), (0, 0), (0, 0));
        section(".note.hotevm", elf::SHT_NOTE.0, allocated, (NOTE_AT, 20 + self.manifest_len), (0, 0), (4, 0));
        section(".hash", elf::SHT_HASH.0, allocated, (HASH_AT, HASH_LEN), (SYMBOLS_SECTION, 0), (8, 4));
        section(".dynsym", elf::SHT_DYNSYM.0, allocated, (SYMBOLS_AT, SYMBOLS_LEN), (STRINGS_SECTION, 1), (8, 24));
        section(".dynstr", elf::SHT_STRTAB.0, allocated, (STRINGS_AT, STRINGS.len()), (0, 0), (1, 0));
        section(".dynamic", elf::SHT_DYNAMIC.0, allocated, (DYNAMIC_AT, DYNAMIC_LEN), (STRINGS_SECTION, 0), (8, 16));
        section(".text", elf::SHT_PROGBITS.0, allocated | execute, text, (0, 0), (16, 0));
        section(".rodata", elf::SHT_PROGBITS.0, allocated, data, (0, 0), (1, 0));
        section(".shstrtab", elf::SHT_STRTAB.0, 0, (NAMES_AT, NAMES.len()), (0, 0), (1, 0));
    }
}

/// The dynamic section: where hash table, strings and symbols are.
fn dynamic(bytes: &mut Vec<u8>) {
    let rows = [
        (elf::DT_HASH.0, HASH_AT as u64),
        (elf::DT_STRTAB.0, STRINGS_AT as u64),
        (elf::DT_SYMTAB.0, SYMBOLS_AT as u64),
        (elf::DT_STRSZ.0, STRINGS.len() as u64),
        (elf::DT_SYMENT.0, 24),
        (elf::DT_NULL.0, 0),
    ];
    for (tag, value) in rows {
        words(bytes, [tag as u64, value]);
    }
}

/// Where a section's name starts in the table of names.
fn name_offset(name: &str) -> u32 {
    let found = NAMES.windows(name.len() + 2).position(|window| {
        window.split_first().is_some_and(|(zero, rest)| *zero == 0 && rest.strip_suffix(b"\0") == Some(name.as_bytes()))
    });
    found.map_or(0, |at| if name.is_empty() { 0 } else { at as u32 + 1 })
}

fn half_words<const LEN: usize>(bytes: &mut Vec<u8>, numbers: [u16; LEN]) {
    bytes.extend(numbers.into_iter().flat_map(u16::to_le_bytes));
}

fn words<const LEN: usize>(bytes: &mut Vec<u8>, numbers: [u64; LEN]) {
    bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
}
