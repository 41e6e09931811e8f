//! Objects made by hand for the tests of this crate.
//!
//! in   machine code, relocations, and what is to be wrong
//! out  the bytes of a relocatable ELF object

pub mod artifact;
pub mod run;

use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    elf,
    write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection},
};

/// The entry function's name in every object of these tests.
pub const ENTRY: &str = "entry";

/// `entry(i)`: `table[i & 3] + 1`, the addition done by a function in a section of its own.
pub const TABLE_CODE: [u8; 20] = [
    0x48, 0x8d, 0x05, 0, 0, 0, 0, // lea rax, [rip + table]
    0x83, 0xe7, 0x03, // and edi, 3
    0x48, 0x8b, 0x04, 0xf8, // mov rax, [rax + rdi * 8]
    0xe8, 0, 0, 0, 0,    // call helper
    0xc3, // ret
];

/// `rax += 1`.
pub const HELPER_CODE: [u8; 5] = [0x48, 0x83, 0xc0, 0x01, 0xc3];

/// The numbers that `TABLE_CODE` looks up.
pub const TABLE: [u64; 4] = [4, 0xffff_ffff, 1 << 40, 77];

/// `entry(i)` for i in 0..2: 17 or 33, by a jump table of distances.
pub const JUMP_CODE: [u8; 28] = [
    0x48, 0x8d, 0x05, 0, 0, 0, 0, // lea rax, [rip + jumps]
    0x48, 0x63, 0x0c, 0xb8, // movsxd rcx, dword [rax + rdi * 4]
    0x48, 0x01, 0xc1, // add rcx, rax
    0xff, 0xe1, // jmp rcx
    0xb8, 17, 0, 0, 0, 0xc3, // mov eax, 17; ret
    0xb8, 33, 0, 0, 0, 0xc3, // mov eax, 33; ret
];

/// An object under construction.
pub struct Made {
    pub object: Object<'static>,
    pub text: SectionId,
}

impl Made {
    pub fn new(architecture: Architecture, code: &[u8]) -> Made {
        let mut object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
        let text = object.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
        object.append_section_data(text, code, 16);
        let mut made = Made { object, text };
        made.function(ENTRY, text, 0);
        made
    }

    pub fn section(&mut self, name: &str, kind: SectionKind, bytes: &[u8], alignment: u64) -> SectionId {
        let section = self.object.add_section(Vec::new(), name.as_bytes().to_vec(), kind);
        self.object.append_section_data(section, bytes, alignment);
        section
    }

    pub fn flags(&mut self, section: SectionId, sh_type: elf::SectionType, sh_flags: elf::SectionFlags) {
        *self.object.section_flags_mut(section) = SectionFlags::Elf { sh_type, sh_flags };
    }

    pub fn function(&mut self, name: &str, section: SectionId, value: u64) -> SymbolId {
        self.symbol(name, SymbolSection::Section(section), SymbolKind::Text, value)
    }

    pub fn symbol(&mut self, name: &str, section: SymbolSection, kind: SymbolKind, value: u64) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size: 0,
            kind,
            scope: SymbolScope::Linkage,
            weak: false,
            section,
            flags: SymbolFlags::None,
        })
    }

    pub fn relocate(&mut self, section: SectionId, offset: u64, r_type: elf::RelocationType, symbol: SymbolId, addend: i64) {
        let flags = RelocationFlags::Elf { r_type };
        self.object.add_relocation(section, Relocation { offset, symbol, addend, flags }).expect("a relocation of a known kind");
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.object.write().expect("an object that can be written")
    }
}

/// An x86-64 object with text in two sections, two sections of constants and one relocation of each common kind.
pub fn table_object() -> Made {
    let mut made = Made::new(Architecture::X86_64, &TABLE_CODE);
    let text = made.text;
    let helper = made.section(".text.helper", SectionKind::Text, &HELPER_CODE, 32);
    made.section(".rodata", SectionKind::ReadOnlyData, b"unused", 1);
    let table: Vec<u8> = TABLE.iter().flat_map(|number| number.to_le_bytes()).collect();
    let constants = made.section(".rodata.cst32", SectionKind::ReadOnlyData, &table, 32);
    made.flags(constants, elf::SHT_PROGBITS, elf::SHF_ALLOC | elf::SHF_MERGE);
    made.section(".note.GNU-stack", SectionKind::Other, &[], 1);
    let constants = made.object.section_symbol(constants);
    let helper = made.function("helper", helper, 0);
    made.relocate(text, 3, elf::R_X86_64_PC32, constants, -4);
    made.relocate(text, 15, elf::R_X86_64_PLT32, helper, -4);
    made
}

/// An x86-64 object with a jump table in `.rodata`, as LLVM makes them.
pub fn jump_object() -> Made {
    let mut made = Made::new(Architecture::X86_64, &JUMP_CODE);
    let text = made.text;
    let jumps = made.section(".rodata", SectionKind::ReadOnlyData, &[0; 8], 4);
    let (text_symbol, jumps_symbol) = (made.object.section_symbol(text), made.object.section_symbol(jumps));
    made.relocate(text, 3, elf::R_X86_64_PC32, jumps_symbol, -4);
    made.relocate(jumps, 0, elf::R_X86_64_PC32, text_symbol, 16);
    made.relocate(jumps, 4, elf::R_X86_64_PC32, text_symbol, 22 + 4);
    made
}

/// `entry()`: the sum of three constants of eight bytes, each named by a symbol of its own; `addend` is that of the last relocation.
pub fn constants_object<const N: usize>(constants: [u64; N], constant_len: u64, addend: i64) -> Vec<u8> {
    let code = [0x48, 0x8b, 0x05, 0, 0, 0, 0, 0x48, 0x03, 0x05, 0, 0, 0, 0, 0x48, 0x03, 0x05, 0, 0, 0, 0, 0xc3];
    let mut made = Made::new(Architecture::X86_64, &code);
    let text = made.text;
    let bytes: Vec<u8> = constants.iter().flat_map(|constant| constant.to_le_bytes()).collect();
    let section = made.section(".rodata.cst8", SectionKind::ReadOnlyData, &bytes, 8);
    made.flags(section, elf::SHT_PROGBITS, elf::SHF_ALLOC | elf::SHF_MERGE);
    for (index, addend) in [-4, -4, addend].into_iter().enumerate() {
        let name = format!(".LCPI0_{index}");
        let symbol = made.symbol(&name, SymbolSection::Section(section), SymbolKind::Data, 8 * index as u64);
        made.relocate(text, 3 + 7 * index as u64, elf::R_X86_64_PC32, symbol, addend);
    }
    let mut object = made.bytes();
    set_constant_len(&mut object, constant_len);
    object
}

/// Says how long the constants of the sections are that may be merged, which the writer of objects cannot.
pub fn set_constant_len(object: &mut [u8], len: u64) {
    set_in_mergeable(object, 0x38, len);
}

/// Says how the sections that may be merged are aligned.
pub fn set_constants_alignment(object: &mut [u8], alignment: u64) {
    set_in_mergeable(object, 0x30, alignment);
}

/// Sets a field of eight bytes in the headers of sections that may be merged.
fn set_in_mergeable(object: &mut [u8], field: usize, value: u64) {
    let number = |object: &[u8], at: usize, bytes: usize| {
        object[at..at + bytes].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let (table, count) = (number(object, 0x28, 8), number(object, 0x3c, 2));
    for header in (0..count).map(|index| table + 64 * index) {
        if number(object, header + 8, 8) as u64 & elf::SHF_MERGE.0 != 0 {
            object[header + field..header + field + 8].copy_from_slice(&value.to_le_bytes());
        }
    }
}
