//! Reading a relocatable ELF object, and refusing whatever is not expected in one.
//!
//! in   bytes that claim to be an object, the name of the entry function
//! out  [`Object`]: the sections to keep, each with its relocations; every symbol used is resolved to (section, value)
//!
//! E1  Kept are `.text`, `.text.*` (executable, not writable) and `.rodata`, `.rodata.*` (neither). Any other section that takes
//!     memory is refused unless it is empty; sections that take none are passed over if their names are known.
//! E2  No symbol is undefined, common or thread-local, used or not; a relocation names a symbol of a kept section.
//! E3  A relocation's place and a symbol's value lie inside their sections.

use std::{borrow::Cow, collections::HashMap};

use object::{
    LittleEndian,
    elf::{self, FileHeader64, RelocationType, SectionFlags},
    read::{
        SectionIndex, SymbolIndex,
        elf::{FileHeader, Rela, SectionHeader, SectionTable, Sym, SymbolTable},
    },
};

use crate::{
    image::{Machine, PAGE_ALIGNMENT},
    link::LinkError,
};

type Header = FileHeader64<LittleEndian>;
type Sections<'data> = SectionTable<'data, Header>;
type Symbols<'data> = SymbolTable<'data, Header>;

const ENDIAN: LittleEndian = LittleEndian;

/// Sections without memory of their own that say nothing which linking would need.
const PASSED_OVER: [&str; 7] = ["", ".strtab", ".shstrtab", ".symtab", ".note.GNU-stack", ".comment", ".llvm_addrsig"];

/// Linkers may merge equal constants (`merge`) and strings, which are kept as they are.
const MERGING: SectionFlags = SectionFlags(elf::SHF_MERGE.0 | elf::SHF_STRINGS.0);

/// What a kept section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Instructions.
    Text,
    /// Constants and jump tables.
    ReadOnly,
}

/// Where a symbol is: a kept section and an offset in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Index into [`Object::sections`].
    pub section: usize,
    /// Bytes from the section's start; at most its length.
    pub offset: usize,
}

/// A field to fill in once the distance between place and target is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relocation {
    /// Bytes from the start of the section that holds the field.
    pub offset: usize,
    /// How the field is encoded.
    pub kind: RelocationType,
    /// The symbol.
    pub symbol: Position,
    /// What is added to the symbol's address.
    pub addend: i64,
}

/// A section to keep.
#[derive(Debug)]
pub(crate) struct Section<'data> {
    pub name: String,
    pub content: Content,
    pub bytes: Cow<'data, [u8]>,
    /// Bytes of each of its constants, if equal ones may be stored once.
    pub constant_len: Option<usize>,
    pub alignment: usize,
    pub relocations: Vec<Relocation>,
}

/// A checked object.
#[derive(Debug)]
pub(crate) struct Object<'data> {
    pub machine: Machine,
    pub sections: Vec<Section<'data>>,
    pub entry: Position,
}

/// Reads and checks an object.
pub(crate) fn parse<'data>(data: &'data [u8], entry_symbol: &str) -> Result<Object<'data>, LinkError> {
    let header = Header::parse(data)?;
    let machine = machine(header)?;
    let table = header.sections(ENDIAN, data)?;
    let symbols = table.symbols(ENDIAN, data, elf::SHT_SYMTAB)?;

    let mut sections = Vec::new();
    let mut kept = HashMap::new();
    for (index, section) in table.enumerate() {
        if let Some(section) = keep(&table, section, data)? {
            kept.insert(index, sections.len());
            sections.push(section);
        }
    }
    let entry = check_symbols(&symbols, &kept, &sections, entry_symbol)?;
    for section in table.iter() {
        if section.sh_type(ENDIAN) == elf::SHT_RELA {
            relocations(section, data, &symbols, &kept, &mut sections)?;
        }
    }
    Ok(Object { machine, sections, entry })
}

fn machine(header: &Header) -> Result<Machine, LinkError> {
    header.endian()?;
    let kind = header.e_type(ENDIAN);
    if kind != elf::ET_REL {
        return Err(LinkError::NotRelocatable { kind: kind.0 });
    }
    match header.e_machine(ENDIAN) {
        elf::EM_X86_64 => Ok(Machine::X86_64),
        elf::EM_AARCH64 => Ok(Machine::Aarch64),
        other => Err(LinkError::UnknownMachine { machine: other.0 }),
    }
}

/// The section if it is to be kept, nothing if it can be passed over, else why it is refused (E1).
fn keep<'data>(
    table: &Sections<'data>,
    section: &'data <Header as FileHeader>::SectionHeader,
    data: &'data [u8],
) -> Result<Option<Section<'data>>, LinkError> {
    let name = text(table.section_name(ENDIAN, section)?);
    let (kind, flags) = (section.sh_type(ENDIAN), section.sh_flags(ENDIAN));
    if !flags.contains(elf::SHF_ALLOC) {
        let known = PASSED_OVER.contains(&name.as_str()) || kind == elf::SHT_RELA;
        return if known { Ok(None) } else { Err(LinkError::UnknownSection { name }) };
    }
    let content = match name.as_str() {
        ".text" => Content::Text,
        ".rodata" => Content::ReadOnly,
        _ if name.starts_with(".text.") => Content::Text,
        _ if name.starts_with(".rodata.") => Content::ReadOnly,
        _ if section.sh_size(ENDIAN) == 0 => return Ok(None),
        _ => return Err(LinkError::UnknownSection { name }),
    };
    let mut expected = elf::SHF_ALLOC;
    if content == Content::Text {
        expected |= elf::SHF_EXECINSTR;
    }
    if flags.0 & !MERGING.0 != expected.0 || kind != elf::SHT_PROGBITS {
        return Err(LinkError::SectionFlags { name, flags: flags.0, kind: kind.0 });
    }
    let alignment = usize::try_from(section.sh_addralign(ENDIAN)).unwrap_or(usize::MAX).max(1);
    if !alignment.is_power_of_two() || alignment > PAGE_ALIGNMENT {
        return Err(LinkError::SectionAlignment { name, alignment });
    }
    let bytes = Cow::Borrowed(section.data(ENDIAN, data)?);
    let constant_len =
        usize::try_from(section.sh_entsize(ENDIAN)).ok().filter(|len| *len != 0 && flags.0 & MERGING.0 == elf::SHF_MERGE.0);
    Ok(Some(Section { name, content, bytes, constant_len, alignment, relocations: Vec::new() }))
}

/// Checks every symbol (E2) and finds the entry function.
fn check_symbols(
    symbols: &Symbols<'_>,
    kept: &HashMap<SectionIndex, usize>,
    sections: &[Section<'_>],
    entry_symbol: &str,
) -> Result<Position, LinkError> {
    let mut entry = None;
    for (index, symbol) in symbols.enumerate().skip(1) {
        let name = || symbols.symbol_name(ENDIAN, symbol).map(text);
        if symbol.is_undefined(ENDIAN) {
            return Err(LinkError::UndefinedSymbol { name: name()? });
        }
        if symbol.is_common(ENDIAN) || [elf::STT_TLS, elf::STT_GNU_IFUNC, elf::STT_COMMON].contains(&symbol.st_type()) {
            return Err(LinkError::SymbolKind { name: name()? });
        }
        if symbol.st_type() == elf::STT_FUNC && name()? == entry_symbol {
            if entry.is_some() {
                return Err(LinkError::EntryTwice { name: name()? });
            }
            entry = Some(position(symbols, index, kept, sections)?);
        }
    }
    let missing = || LinkError::EntryMissing { name: entry_symbol.to_owned() };
    let entry = entry.ok_or_else(missing)?;
    let section = sections.get(entry.section).ok_or_else(missing)?;
    if section.content != Content::Text || entry.offset >= section.bytes.len() {
        return Err(LinkError::EntryMisplaced { name: entry_symbol.to_owned() });
    }
    Ok(entry)
}

/// Where a symbol is, if it is in a kept section (E2, E3).
fn position(
    symbols: &Symbols<'_>,
    index: SymbolIndex,
    kept: &HashMap<SectionIndex, usize>,
    sections: &[Section<'_>],
) -> Result<Position, LinkError> {
    let symbol = symbols.symbol(index)?;
    let misplaced = || LinkError::SymbolMisplaced { index: index.0 };
    let home = symbols.symbol_section(ENDIAN, symbol, index)?.ok_or_else(misplaced)?;
    let section = *kept.get(&home).ok_or_else(misplaced)?;
    let len = sections.get(section).ok_or_else(misplaced)?.bytes.len();
    let offset = usize::try_from(symbol.st_value(ENDIAN)).map_err(|_| misplaced())?;
    if offset > len {
        return Err(misplaced());
    }
    Ok(Position { section, offset })
}

/// Reads one relocation section into the section it belongs to.
fn relocations<'data>(
    header: &'data <Header as FileHeader>::SectionHeader,
    data: &'data [u8],
    symbols: &Symbols<'data>,
    kept: &HashMap<SectionIndex, usize>,
    sections: &mut [Section<'data>],
) -> Result<(), LinkError> {
    let Some((entries, symbol_table)) = header.rela(ENDIAN, data)? else { return Ok(()) };
    let owner = kept.get(&header.info_link(ENDIAN)).copied();
    let Some(owner) = owner.filter(|_| symbol_table == symbols.section()) else {
        return if entries.is_empty() { Ok(()) } else { Err(LinkError::RelocationsMisplaced) };
    };
    let mut relocations = Vec::with_capacity(entries.len());
    for entry in entries {
        let kind = entry.r_type(ENDIAN, false);
        let name = || sections.get(owner).map(|section| section.name.clone()).unwrap_or_default();
        let index = entry.symbol(ENDIAN, false).ok_or_else(|| LinkError::RelocationKind { section: name(), kind: kind.0 })?;
        let offset = usize::try_from(entry.r_offset(ENDIAN))
            .map_err(|_| LinkError::RelocationPlace { section: name(), offset: entry.r_offset(ENDIAN) })?;
        let symbol = position(symbols, index, kept, sections)?;
        relocations.push(Relocation { offset, kind, symbol, addend: entry.r_addend(ENDIAN) });
    }
    if let Some(section) = sections.get_mut(owner) {
        section.relocations.append(&mut relocations);
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
