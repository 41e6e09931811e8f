//! Placing the sections of an object and filling in the distances between them.
//!
//! in   a checked object (`elf`)
//! out  an [`Image`]: all text, then all read-only data, in the object's order but for L4 and alignment, each section at its own alignment
//!
//! L1  Every relocation is relative: its target is a symbol of the image, and the value does not depend on where the image lies.
//! L2  A relocation that aarch64 resolves by page makes the image need page alignment (`image`, M2).
//! L3  A target lies in the image, or just before it: x86-64 counts from the end of the instruction and folds that into the addend.
//! L4  Text that rarely runs lies behind all other text, blocks that were cut off functions (`.text.split`) before whole functions
//!     (`.text.unlikely`): what runs shares cache lines and pages with what runs. The entry's section lies last of what runs, so that the
//!     entry's offset says how much that is, but for the stubs behind it.

use thiserror::Error;

use crate::{
    elf::{self, Content, Object, Section},
    image::{Image, PAGE_ALIGNMENT, Placed},
    merge, relocate,
};

/// The largest image that is linked, in bytes.
pub const IMAGE_LEN_MAX: usize = 64 << 20;

/// An image starts on a cache line of its own.
const IMAGE_ALIGNMENT: usize = 64;

/// How far before the image a target may seem to lie (L3): a 32-bit distance followed by at most an 8-byte immediate.
pub(crate) const TARGET_SLACK: i64 = 16;

/// Why an object was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// Not an ELF object that can be read, or cut short.
    #[error("malformed object: {0}")]
    Malformed(String),
    /// An executable, a shared object or a core file.
    #[error("not a relocatable object (type {kind})")]
    NotRelocatable {
        /// `e_type`.
        kind: u16,
    },
    /// Neither x86-64 nor aarch64.
    #[error("unknown machine {machine}")]
    UnknownMachine {
        /// `e_machine`.
        machine: u16,
    },
    /// A section that has no place in an image.
    #[error("unknown section `{name}`")]
    UnknownSection {
        /// Its name.
        name: String,
    },
    /// A section whose flags or type do not fit its name (writable text, say).
    #[error("section `{name}` has flags {flags:#x} and type {kind:#x}")]
    SectionFlags {
        /// Its name.
        name: String,
        /// `sh_flags`.
        flags: u64,
        /// `sh_type`.
        kind: u32,
    },
    /// An alignment that is no power of two, or more than a page.
    #[error("section `{name}` has alignment {alignment}")]
    SectionAlignment {
        /// Its name.
        name: String,
        /// `sh_addralign`.
        alignment: usize,
    },
    /// The object needs something from outside.
    #[error("undefined symbol `{name}`")]
    UndefinedSymbol {
        /// Its name.
        name: String,
    },
    /// A common, thread-local or indirect symbol.
    #[error("symbol `{name}` is common, thread-local or indirect")]
    SymbolKind {
        /// Its name.
        name: String,
    },
    /// A relocation uses a symbol that lies in no kept section, or outside of its section.
    #[error("symbol {index} lies in no section of the image")]
    SymbolMisplaced {
        /// Its index in the symbol table.
        index: usize,
    },
    /// There is no function of the entry's name.
    #[error("no function `{name}`")]
    EntryMissing {
        /// The name asked for.
        name: String,
    },
    /// There are two functions of the entry's name.
    #[error("function `{name}` defined twice")]
    EntryTwice {
        /// The name asked for.
        name: String,
    },
    /// The entry does not point at an instruction.
    #[error("function `{name}` is not in the text")]
    EntryMisplaced {
        /// The name asked for.
        name: String,
    },
    /// Relocations for a section that is not kept, or against an unknown symbol table.
    #[error("relocations for no known section")]
    RelocationsMisplaced,
    /// An absolute, GOT or unknown relocation.
    #[error("relocation of kind {kind} in `{section}`")]
    RelocationKind {
        /// The section it is applied to.
        section: String,
        /// `r_type`.
        kind: u32,
    },
    /// The field lies outside of its section or is not aligned.
    #[error("relocation at {offset:#x} outside of `{section}`")]
    RelocationPlace {
        /// The section it is applied to.
        section: String,
        /// `r_offset`.
        offset: u64,
    },
    /// The target lies outside of the image.
    #[error("relocation at {offset:#x} of `{section}` points outside of the image")]
    RelocationTarget {
        /// The section it is applied to.
        section: String,
        /// `r_offset`.
        offset: u64,
    },
    /// The distance does not fit its field, or is not aligned as the field needs.
    #[error("relocation at {offset:#x} of `{section}` does not fit its field")]
    RelocationRange {
        /// The section it is applied to.
        section: String,
        /// `r_offset`.
        offset: u64,
    },
    /// More than [`IMAGE_LEN_MAX`] bytes.
    #[error("image of more than {IMAGE_LEN_MAX} bytes")]
    TooLarge,
}

impl From<object::read::Error> for LinkError {
    fn from(error: object::read::Error) -> Self {
        LinkError::Malformed(error.to_string())
    }
}

/// Links an object into an image whose entry is the function `entry_symbol`.
pub fn link(object_bytes: &[u8], entry_symbol: &str) -> Result<Image, LinkError> {
    let mut object = elf::parse(object_bytes, entry_symbol)?;
    merge::merge(&mut object);
    let plan = place(&object)?;
    let mut bytes = copy(&object, &plan);
    let by_page = relocate_all(&object, &plan, &mut bytes)?;
    let image = Image {
        bytes,
        text_len: plan.text_len,
        entry_offset: plan.offsets.get(object.entry.section).map_or(0, |start| start + object.entry.offset),
        alignment: if by_page { PAGE_ALIGNMENT } else { plan.alignment },
        machine: object.machine,
        sections: placed(&object, &plan),
    };
    image.check().map_err(|_| LinkError::EntryMisplaced { name: entry_symbol.to_owned() })?;
    Ok(image)
}

/// Where each section of the object starts.
struct Plan {
    offsets: Vec<usize>,
    text_len: usize,
    len: usize,
    alignment: usize,
}

/// Sections of text that rarely runs (L4); the names are LLVM's and GNU's.
const RARE_TEXT: [&str; 2] = [".text.split", ".text.unlikely"];

/// How far behind a section lies: text that rarely runs behind the entry and that behind other text (L4), data that is aligned less behind
/// what is aligned more, so that there are no gaps.
fn rank(section: &Section<'_>, is_entry: bool) -> usize {
    match section.content {
        Content::Text if is_entry => 1,
        Content::Text => RARE_TEXT.iter().position(|rare| section.name.starts_with(rare)).map_or(0, |position| position + 2),
        Content::ReadOnly => usize::MAX - section.alignment,
    }
}

fn place(object: &Object<'_>) -> Result<Plan, LinkError> {
    let mut plan = Plan { offsets: vec![0; object.sections.len()], text_len: 0, len: 0, alignment: IMAGE_ALIGNMENT };
    let mut order: Vec<usize> = (0..object.sections.len()).collect();
    order.sort_by_key(|index| rank(&object.sections[*index], *index == object.entry.section));
    for content in [Content::Text, Content::ReadOnly] {
        for &index in &order {
            let section = &object.sections[index];
            if section.content != content || section.bytes.is_empty() {
                continue;
            }
            let offset = plan.len.checked_next_multiple_of(section.alignment).ok_or(LinkError::TooLarge)?;
            plan.offsets[index] = offset;
            plan.len = offset.checked_add(section.bytes.len()).ok_or(LinkError::TooLarge)?;
            plan.alignment = plan.alignment.max(section.alignment);
            if plan.len > IMAGE_LEN_MAX {
                return Err(LinkError::TooLarge);
            }
        }
        if content == Content::Text {
            plan.text_len = plan.len;
        }
    }
    Ok(plan)
}

/// The image before relocation. Gaps in the text trap.
fn copy(object: &Object<'_>, plan: &Plan) -> Vec<u8> {
    let mut bytes: Vec<u8> = object.machine.trap().iter().copied().cycle().take(plan.text_len).collect();
    bytes.resize(plan.len, 0);
    for (section, &offset) in object.sections.iter().zip(&plan.offsets) {
        if let Some(place) = bytes.get_mut(offset..offset + section.bytes.len()) {
            place.copy_from_slice(&section.bytes);
        }
    }
    bytes
}

/// Applies every relocation; true if one of them was by page (L2).
fn relocate_all(object: &Object<'_>, plan: &Plan, bytes: &mut [u8]) -> Result<bool, LinkError> {
    let mut by_page = false;
    for (section, &start) in object.sections.iter().zip(&plan.offsets) {
        for relocation in &section.relocations {
            let name = || section.name.clone();
            let offset = relocation.offset as u64;
            let field = relocate::field(object.machine, relocation.kind)
                .ok_or_else(|| LinkError::RelocationKind { section: name(), kind: relocation.kind.0 })?;
            let end = relocation.offset.checked_add(field.len());
            if end.is_none_or(|end| end > section.bytes.len()) || !relocation.offset.is_multiple_of(field.place_alignment()) {
                return Err(LinkError::RelocationPlace { section: name(), offset });
            }
            let symbol = plan.offsets.get(relocation.symbol.section).map_or(0, |start| start + relocation.symbol.offset);
            let target = i64::try_from(symbol).ok().and_then(|symbol| symbol.checked_add(relocation.addend));
            let target = target
                .filter(|target| (-TARGET_SLACK..=bytes.len() as i64).contains(target))
                .ok_or_else(|| LinkError::RelocationTarget { section: name(), offset })?;
            field
                .apply(bytes, start + relocation.offset, target)
                .ok_or_else(|| LinkError::RelocationRange { section: name(), offset })?;
            by_page |= field.by_page();
        }
    }
    Ok(by_page)
}

fn placed(object: &Object<'_>, plan: &Plan) -> Vec<Placed> {
    let mut placed: Vec<Placed> = object
        .sections
        .iter()
        .zip(&plan.offsets)
        .filter(|(section, _)| !section.bytes.is_empty())
        .map(|(section, &offset)| Placed {
            name: section.name.clone(),
            offset,
            len: section.bytes.len(),
            relocations: section.relocations.len(),
        })
        .collect();
    placed.sort_by_key(|section| section.offset);
    placed
}
