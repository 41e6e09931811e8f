//! What is linked and what is refused.
//!
//! in   objects made by hand, cut, changed, or random bytes
//! out  an image that keeps the laws, or the error that names what is wrong; never a panic

#[allow(dead_code, reason = "each test program uses a part of it")]
mod made;

use hotevm_code::{Image, ImageError, LinkError, Machine, layout_text, link};
use made::{
    ENTRY, Made, TABLE, TABLE_CODE, constants_object, jump_object, set_constant_len, set_constants_alignment, table_object,
};
use object::{
    Architecture, SectionKind, SymbolKind, elf,
    write::{SymbolId, SymbolSection},
};
use proptest::prelude::*;

fn check_refused(made: &Made, expected: LinkError) {
    assert_eq!(link(&made.bytes(), ENTRY), Err(expected));
}

fn check_laws(image: &Image) {
    assert!(image.text_len <= image.bytes.len() && image.entry_offset < image.text_len);
    assert!(image.alignment.is_power_of_two());
    for section in &image.sections {
        assert!(section.offset + section.len <= image.bytes.len());
    }
}

#[test]
fn text_comes_first_and_padding_traps() {
    let image = link(&table_object().bytes(), ENTRY).unwrap();
    check_laws(&image);
    assert_eq!((image.machine, image.entry_offset, image.alignment), (Machine::X86_64, 16, 64));
    assert_eq!(image.text_len, 16 + 20);
    assert_eq!(&image.bytes[5..16], [0xcc; 11]);
    // Distances by hand: the constants lie at 64, since they are aligned to 32 bytes, and the helper at 0, before the entry (L4).
    assert_eq!(image.bytes[16 + 3..16 + 7], (64 - 23i32).to_le_bytes());
    assert_eq!(image.bytes[16 + 15..16 + 19], (-35i32).to_le_bytes());
    assert_eq!(image.bytes[64..72], TABLE[0].to_le_bytes());
}

#[test]
fn jump_tables_hold_distances_from_themselves() {
    let image = link(&jump_object().bytes(), ENTRY).unwrap();
    // The table follows the text, whose length is a multiple of four.
    assert_eq!(image.text_len, 28);
    assert_eq!(image.bytes[28..32], (16 - 28i32).to_le_bytes());
    assert_eq!(image.bytes[32..36], (22 - 28i32).to_le_bytes());
}

#[test]
fn layout_names_every_section() {
    let image = link(&table_object().bytes(), ENTRY).unwrap();
    let text = layout_text(&image, None);
    let expected = "\
machine    X86_64
image      102 bytes, alignment 64
text       36 bytes
read-only  66 bytes with padding
entry      0x000010

offset       bytes  relocations  section
0x000000         5            0  .text.helper
0x000010        20            2  .text
0x000040        32            0  .rodata.cst32
0x000060         6            0  .rodata
";
    assert_eq!(text, expected);
}

#[test]
fn l4_text_that_rarely_runs_lies_behind_the_entry_and_that_behind_other_text() {
    let mut made = table_object();
    for name in [".text.unlikely", ".text.split.entry", ".text.part1"] {
        made.section(name, SectionKind::Text, &[0xc3; 3], 16);
    }
    let image = link(&made.bytes(), ENTRY).unwrap();
    check_laws(&image);
    let text: Vec<_> =
        image.sections.iter().map(|section| section.name.as_str()).take_while(|name| name.starts_with(".text")).collect();
    assert_eq!(text, [".text.helper", ".text.part1", ".text", ".text.split.entry", ".text.unlikely"]);
}

fn constants_len(object: &[u8]) -> usize {
    let image = link(object, ENTRY).unwrap();
    check_laws(&image);
    image.sections.iter().find(|section| section.name == ".rodata.cst8").unwrap().len
}

#[test]
fn g1_equal_constants_are_stored_once() {
    assert_eq!(constants_len(&constants_object([7, 9, 7], 8, -4)), 16);
    assert_eq!(constants_len(&constants_object([7, 7, 7], 8, -4)), 8);
    assert_eq!(constants_len(&constants_object([7, 8, 9], 8, -4)), 24);
    assert_eq!(constants_len(&constants_object([7, 9, 7], 0, -4)), 24, "no length, nothing to merge");
}

#[test]
fn g3_constants_that_nothing_points_to_are_not_stored() {
    assert_eq!(constants_len(&constants_object([7, 8, 9, 10], 8, -4)), 24);
    assert_eq!(constants_len(&constants_object([7, 8, 7, 10], 8, -4)), 16);
    assert_eq!(constants_len(&constants_object([7, 8, 9, 10], 0, -4)), 32, "no length, nothing to tell apart");
}

#[test]
fn g3_an_object_in_which_nothing_points_to_any_constant_is_linked() {
    let mut made = Made::new(Architecture::X86_64, &[0xc3]);
    let constants = made.section(".rodata.cst8", SectionKind::ReadOnlyData, &[7; 16], 8);
    made.flags(constants, elf::SHT_PROGBITS, elf::SHF_ALLOC | elf::SHF_MERGE);
    let mut object = made.bytes();
    set_constant_len(&mut object, 8);
    let image = link(&object, ENTRY).unwrap();
    check_laws(&image);
    assert_eq!((image.bytes.as_slice(), image.text_len), ([0xc3].as_slice(), 1));
}

#[test]
fn g2_constants_that_are_not_named_one_by_one_stay() {
    assert_eq!(constants_len(&constants_object([7, 9, 7], 16, -4)), 24, "no whole number of them");
    assert_eq!(constants_len(&constants_object([7, 7, 7], 24, -4)), 24, "a symbol inside of one");
    assert_eq!(constants_len(&constants_object([7, 9, 7], 8, 4)), 24, "a relocation that points behind its symbol");
    let mut aligned = constants_object([7, 9, 7], 8, -4);
    set_constants_alignment(&mut aligned, 16);
    assert_eq!(constants_len(&aligned), 24, "constants that might lose their alignment");
}

#[test]
fn a_truncated_object_is_refused_at_every_length() {
    let bytes = table_object().bytes();
    for len in 0..bytes.len() {
        assert!(link(&bytes[..len], ENTRY).is_err(), "cut to {len} of {}", bytes.len());
    }
}

#[test]
fn undefined_symbols_are_refused_even_if_unused() {
    let mut made = table_object();
    made.symbol("memcpy", SymbolSection::Undefined, SymbolKind::Text, 0);
    check_refused(&made, LinkError::UndefinedSymbol { name: "memcpy".into() });
}

#[test]
fn common_and_thread_local_symbols_are_refused() {
    let mut made = table_object();
    made.symbol("shared", SymbolSection::Common, SymbolKind::Data, 8);
    check_refused(&made, LinkError::SymbolKind { name: "shared".into() });
    let mut made = table_object();
    let text = made.text;
    made.symbol("local", SymbolSection::Section(text), SymbolKind::Tls, 0);
    check_refused(&made, LinkError::SymbolKind { name: "local".into() });
}

#[test]
fn sections_that_have_no_place_are_refused() {
    let data = elf::SHF_ALLOC | elf::SHF_WRITE;
    for (name, kind, flags) in [
        (".data", SectionKind::Data, data),
        (".bss", SectionKind::UninitializedData, data),
        (".eh_frame", SectionKind::ReadOnlyData, elf::SHF_ALLOC),
        (".data.rel.ro", SectionKind::ReadOnlyDataWithRel, data),
        (".init_array", SectionKind::Data, data),
        (".surprise", SectionKind::ReadOnlyData, elf::SHF_ALLOC),
        (".debug_info", SectionKind::Debug, elf::SectionFlags(0)),
    ] {
        let mut made = table_object();
        let section = if kind == SectionKind::UninitializedData {
            let section = made.object.add_section(Vec::new(), name.into(), kind);
            made.object.append_section_bss(section, 8, 8);
            section
        } else {
            made.section(name, kind, &[0; 8], 8)
        };
        let sh_type = if kind == SectionKind::UninitializedData { elf::SHT_NOBITS } else { elf::SHT_PROGBITS };
        made.flags(section, sh_type, flags);
        check_refused(&made, LinkError::UnknownSection { name: name.into() });
    }
}

#[test]
fn an_empty_data_section_is_passed_over() {
    let mut made = table_object();
    made.section(".data", SectionKind::Data, &[], 8);
    assert!(link(&made.bytes(), ENTRY).is_ok());
}

#[test]
fn text_must_not_be_writable_nor_constants_executable() {
    let mut made = table_object();
    let flags = elf::SHF_ALLOC | elf::SHF_EXECINSTR | elf::SHF_WRITE;
    let text = made.text;
    made.flags(text, elf::SHT_PROGBITS, flags);
    let kind = elf::SHT_PROGBITS.0;
    check_refused(&made, LinkError::SectionFlags { name: ".text".into(), flags: flags.0, kind });

    let mut made = table_object();
    let section = made.section(".rodata.code", SectionKind::ReadOnlyData, &[0xc3], 1);
    let flags = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
    made.flags(section, elf::SHT_PROGBITS, flags);
    check_refused(&made, LinkError::SectionFlags { name: ".rodata.code".into(), flags: flags.0, kind });
}

#[test]
fn alignment_beyond_a_page_is_refused() {
    let mut made = table_object();
    made.section(".rodata.wide", SectionKind::ReadOnlyData, &[0; 8], 8192);
    check_refused(&made, LinkError::SectionAlignment { name: ".rodata.wide".into(), alignment: 8192 });
}

#[test]
fn the_entry_must_be_one_function_in_the_text() {
    let made = table_object();
    assert_eq!(link(&made.bytes(), "other"), Err(LinkError::EntryMissing { name: "other".into() }));

    let mut made = table_object();
    let text = made.text;
    made.function("at_end", text, TABLE_CODE.len() as u64);
    assert_eq!(link(&made.bytes(), "at_end"), Err(LinkError::EntryMisplaced { name: "at_end".into() }));

    let mut made = table_object();
    let section = made.section(".rodata.code", SectionKind::ReadOnlyData, &[0xc3], 1);
    made.function("in_data", section, 0);
    assert_eq!(link(&made.bytes(), "in_data"), Err(LinkError::EntryMisplaced { name: "in_data".into() }));

    let mut made = table_object();
    let text = made.text;
    made.function("beyond", text, 1 << 20);
    assert!(matches!(link(&made.bytes(), "beyond"), Err(LinkError::SymbolMisplaced { .. })));

    let mut made = table_object();
    let text = made.text;
    made.function(ENTRY, text, 1);
    check_refused(&made, LinkError::EntryTwice { name: ENTRY.into() });
}

fn with_relocation(offset: u64, kind: elf::RelocationType, addend: i64, symbol: impl FnOnce(&mut Made) -> SymbolId) -> Made {
    let mut made = table_object();
    let text = made.text;
    let symbol = symbol(&mut made);
    made.relocate(text, offset, kind, symbol, addend);
    made
}

fn to_text(made: &mut Made) -> SymbolId {
    made.object.section_symbol(made.text)
}

#[test]
fn absolute_and_indirect_relocations_are_refused() {
    for kind in [
        elf::R_X86_64_64,
        elf::R_X86_64_32,
        elf::R_X86_64_32S,
        elf::R_X86_64_GOTPCREL,
        elf::R_X86_64_GOTPCRELX,
        elf::R_X86_64_REX_GOTPCRELX,
        elf::R_X86_64_TPOFF32,
        elf::RelocationType(250),
    ] {
        check_refused(&with_relocation(8, kind, 0, to_text), LinkError::RelocationKind { section: ".text".into(), kind: kind.0 });
    }
}

#[test]
fn a_relocation_outside_of_its_section_is_refused() {
    for offset in [17, 20, 1 << 20, u64::MAX - 3, u64::MAX] {
        let made = with_relocation(offset, elf::R_X86_64_PC32, 0, to_text);
        check_refused(&made, LinkError::RelocationPlace { section: ".text".into(), offset });
    }
}

#[test]
fn a_relocation_to_outside_of_the_image_is_refused() {
    for addend in [-33, 129, 1 << 40, i64::MAX, i64::MIN] {
        let made = with_relocation(8, elf::R_X86_64_PC32, addend, to_text);
        check_refused(&made, LinkError::RelocationTarget { section: ".text".into(), offset: 8 });
    }
}

#[test]
fn a_relocation_to_a_section_that_is_not_kept_is_refused() {
    let made = with_relocation(8, elf::R_X86_64_PC32, 0, |made| {
        let comment = made.section(".comment", SectionKind::Other, b"made by hand", 1);
        made.symbol("comment", SymbolSection::Section(comment), SymbolKind::Data, 0)
    });
    assert!(matches!(link(&made.bytes(), ENTRY), Err(LinkError::SymbolMisplaced { .. })));
}

#[test]
fn other_kinds_of_file_are_refused() {
    let bytes = table_object().bytes();
    let with = |offset: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[offset] = value;
        link(&bytes, ENTRY)
    };
    assert_eq!(with(16, 3), Err(LinkError::NotRelocatable { kind: 3 }));
    assert_eq!(with(18, 3), Err(LinkError::UnknownMachine { machine: 3 }));
    assert!(matches!(with(0, 0), Err(LinkError::Malformed(_))));
    assert!(matches!(with(4, 1), Err(LinkError::Malformed(_))), "32-bit");
    assert!(matches!(with(5, 2), Err(LinkError::Malformed(_))), "big endian");
}

#[test]
fn flat_bytes_must_fit_together() {
    let flat =
        |text_len, entry, alignment, machine| Image::from_flat(vec![0xc3; 64], text_len, entry, alignment, machine).map(|_| ());
    assert_eq!(flat(64, 0, 16, Machine::X86_64), Ok(()));
    assert_eq!(flat(65, 0, 16, Machine::X86_64), Err(ImageError::Text { text_len: 65, len: 64 }));
    assert_eq!(flat(0, 0, 16, Machine::X86_64), Err(ImageError::Entry { entry_offset: 0, text_len: 0 }));
    assert_eq!(flat(32, 32, 16, Machine::X86_64), Err(ImageError::Entry { entry_offset: 32, text_len: 32 }));
    assert_eq!(flat(32, 2, 16, Machine::Aarch64), Err(ImageError::Entry { entry_offset: 2, text_len: 32 }));
    assert_eq!(flat(32, 0, 24, Machine::X86_64), Err(ImageError::Alignment(24)));
    assert_eq!(flat(32, 0, 8192, Machine::X86_64), Err(ImageError::Alignment(8192)));
}

/// One aarch64 instruction per relocation kind, all aimed at offset 16 of the constants.
fn aarch64_object(text_len: usize, instructions: &[(u32, elf::RelocationType)]) -> Made {
    let mut code: Vec<u8> = instructions.iter().flat_map(|(instruction, _)| instruction.to_le_bytes()).collect();
    code.resize(text_len, 0);
    let mut made = Made::new(Architecture::Aarch64, &code);
    let text = made.text;
    let constants = made.section(".rodata.cst16", SectionKind::ReadOnlyData, &[7; 32], 16);
    let constants = made.object.section_symbol(constants);
    for (index, &(_, kind)) in instructions.iter().enumerate() {
        made.relocate(text, index as u64 * 4, kind, constants, 16);
    }
    made
}

#[test]
fn aarch64_fields_are_filled_in() {
    // `llvm-mc` gives these encodings for the same distances: target 0x1250 of an image whose text is 0x1200 bytes long.
    let cases = [
        (0x9000_0000, elf::R_AARCH64_ADR_PREL_PG_HI21, 0xb000_0000), // adrp x0, +1 page
        (0x9100_0000, elf::R_AARCH64_ADD_ABS_LO12_NC, 0x9109_4000),  // add x0, x0, #0x250
        (0x3dc0_0000, elf::R_AARCH64_LDST128_ABS_LO12_NC, 0x3dc0_9400), // ldr q0, [x0, #0x250]
        (0xf940_0000, elf::R_AARCH64_LDST64_ABS_LO12_NC, 0xf941_2800), // ldr x0, [x0, #0x250]
        (0xb940_0000, elf::R_AARCH64_LDST32_ABS_LO12_NC, 0xb942_5000), // ldr w0, [x0, #0x250]
        (0x7940_0000, elf::R_AARCH64_LDST16_ABS_LO12_NC, 0x7944_a000), // ldrh w0, [x0, #0x250]
        (0x3940_0000, elf::R_AARCH64_LDST8_ABS_LO12_NC, 0x3949_4000), // ldrb w0, [x0, #0x250]
        (0x9400_0000, elf::R_AARCH64_CALL26, 0x9400_048d),           // bl +0x1234
        (0x1400_0000, elf::R_AARCH64_JUMP26, 0x1400_048c),           // b +0x1230
        (0x1000_0000, elf::R_AARCH64_ADR_PREL_LO21, 0x1000_9160),    // adr x0, +0x122c
        (0xb400_0000, elf::R_AARCH64_CONDBR19, 0xb400_9140),         // cbz x0, +0x1228
        (0x3600_0000, elf::R_AARCH64_TSTBR14, 0x3600_9120),          // tbz w0, #0, +0x1224
        (0x5800_0000, elf::R_AARCH64_LD_PREL_LO19, 0x5800_9100),     // ldr x0, +0x1220
        (0, elf::R_AARCH64_PREL32, 0x121c),
    ];
    let instructions: Vec<_> = cases.iter().map(|&(before, kind, _)| (before, kind)).collect();
    let image = link(&aarch64_object(0x1200 + 64, &instructions).bytes(), ENTRY).unwrap();
    check_laws(&image);
    assert_eq!((image.machine, image.alignment), (Machine::Aarch64, 4096), "addressing by page needs a page");
    for (index, (_, kind, after)) in cases.into_iter().enumerate() {
        let field = u32::from_le_bytes(*image.bytes[index * 4..].first_chunk().unwrap());
        assert_eq!(field, after, "kind {} at {index}: {field:#x}", kind.0);
    }
}

#[test]
fn aarch64_without_page_relocations_needs_no_page() {
    let image = link(&aarch64_object(64, &[(0x1000_0000, elf::R_AARCH64_ADR_PREL_LO21)]).bytes(), ENTRY).unwrap();
    assert_eq!(image.alignment, 64);
    // The padding of aarch64 is `brk #0`; text ends at 64, so here there is none.
    assert_eq!(image.bytes[60..64], [0; 4]);
}

#[test]
fn aarch64_fields_that_are_too_narrow_are_refused() {
    let far = aarch64_object(0x8000, &[(0x3600_0000, elf::R_AARCH64_TSTBR14)]);
    check_refused(&far, LinkError::RelocationRange { section: ".text".into(), offset: 0 });
    for kind in [elf::R_AARCH64_ABS64, elf::R_AARCH64_ADR_GOT_PAGE, elf::R_AARCH64_LD64_GOT_LO12_NC, elf::R_AARCH64_ABS32] {
        let made = aarch64_object(64, &[(0x9000_0000, kind)]);
        check_refused(&made, LinkError::RelocationKind { section: ".text".into(), kind: kind.0 });
    }
}

#[test]
fn aarch64_unaligned_places_and_targets_are_refused() {
    for (offset, addend, expected) in [
        (2, 0, LinkError::RelocationPlace { section: ".text".into(), offset: 2 }),
        (4, 2, LinkError::RelocationRange { section: ".text".into(), offset: 4 }),
    ] {
        let mut made = aarch64_object(64, &[]);
        let text = made.text;
        let symbol = made.object.section_symbol(text);
        made.relocate(text, offset, elf::R_AARCH64_CALL26, symbol, addend);
        check_refused(&made, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(link(&bytes, ENTRY).is_err());
    }

    #[test]
    fn changed_objects_never_panic_and_never_break_the_laws(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        jumps in any::<bool>(),
    ) {
        let mut bytes = if jumps { jump_object().bytes() } else { table_object().bytes() };
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        if let Ok(image) = link(&bytes, ENTRY) {
            check_laws(&image);
        }
    }
}
