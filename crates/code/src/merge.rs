//! Equal constants of an object, stored once, where anything points to them: LLVM leaves constants behind for which it found a shorter form.
//!
//! in   a checked object (`elf`)
//! out  the same object; sections of constants hold each of them once, and relocations point there
//!
//! G1  Only read-only data that is marked for it is touched: constants of one length, a multiple of their alignment, side by side, that hold no
//!     relocation themselves.
//! G2  Every constant is named by a symbol of its own, and addends only count from the end of an instruction; a section to which a
//!     relocation points in any other way stays as it is. So it is for x86-64; for aarch64 LLVM names the section, and nothing is merged.
//! G3  Of these sections, constants that nothing points to are not kept.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    elf::{Content, Object, Relocation},
    link::TARGET_SLACK,
};

/// Merges the constants of every section where that is possible.
pub(crate) fn merge(object: &mut Object<'_>) {
    for section in 0..object.sections.len() {
        if let Some(len) = mergeable(object, section) {
            merge_section(object, section, len);
        }
    }
}

/// The length of the constants of a section that can be merged (G1, G2).
fn mergeable(object: &Object<'_>, index: usize) -> Option<usize> {
    let section = object.sections.get(index)?;
    let len = section.constant_len.filter(|_| section.content == Content::ReadOnly)?;
    // Each keeps its alignment wherever it is moved to.
    if !section.bytes.len().is_multiple_of(len) || !len.is_multiple_of(section.alignment) {
        return None;
    }
    let is_plain = |relocation: &Relocation| {
        relocation.symbol.section != index
            || relocation.symbol.offset.is_multiple_of(len)
                && relocation.symbol.offset < section.bytes.len()
                && (-TARGET_SLACK..=0).contains(&relocation.addend)
    };
    let all_are_plain = object.sections.iter().flat_map(|section| &section.relocations).all(is_plain);
    (section.relocations.is_empty() && all_are_plain).then_some(len)
}

fn merge_section(object: &mut Object<'_>, index: usize, len: usize) {
    let mut bytes = Vec::new();
    let (sections, mut moved) = (&object.sections, HashMap::new());
    let (constants, mut known) = (&sections[index].bytes, HashMap::new());
    for relocation in
        sections.iter().flat_map(|section| &section.relocations).filter(|relocation| relocation.symbol.section == index)
    {
        let start = relocation.symbol.offset;
        moved.entry(start).or_insert_with(|| {
            let constant = &constants[start..start + len];
            *known.entry(constant).or_insert_with(|| {
                bytes.extend_from_slice(constant);
                bytes.len() - len
            })
        });
    }
    for relocation in object.sections.iter_mut().flat_map(|section| &mut section.relocations) {
        if relocation.symbol.section == index {
            relocation.symbol.offset = moved[&relocation.symbol.offset];
        }
    }
    object.sections[index].bytes = Cow::Owned(bytes);
}
