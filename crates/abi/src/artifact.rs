//! Artifacts: compiled code together with all that says when it may be used.
//!
//! in   a [`CodeObject`] and where it comes from; or the bytes of a manifest that claim to be one
//! out  the bytes of the manifest; or an [`Artifact`] whose parts have been checked against each other
//!
//! The manifest is everything of an artifact but the machine code itself. Numbers are little endian. It starts with a header of
//! [`HEADER_LEN`] bytes, whose place and meaning no later format changes:
//!
//! ```text
//!  0  u32  format version                     16  [32]  digest of the whole file, these 32 bytes taken as zeros (keccak256)
//!  4  u32  zero                               48  body, as the version says
//!  8  u64  length of the whole file
//! ```
//!
//! Body of version 1 (`bytes`: u32 length, then so many bytes; `text`: u16 length, then UTF-8; `list`: u32 count, then its items):
//!
//! ```text
//! key         code hash [32], gas digest [32], custom opcodes [32], ABI hash [32], compiler text, LLVM text, options text,
//!             target text, features list of text, tier u8, region digest [32]
//! code        machine u16, alignment u32, text length u32, image length u32, entry offset u32
//! entries     list of: pc u32, number u32, height_min u16, height_max u16, memory_min u32
//! leaves      list of: pc u32, gas u32, top i32, reason u8, constants list of: slot i32, word [32] (big endian)
//! origin      bytecode bytes, profile bytes, created u64 (seconds since 1970), compile CPU time u64 (ns)
//! ```
//!
//! M1  Decoding survives any bytes, and allocates no more than a small multiple of their number.
//! M2  Every manifest has one encoding: what decodes encodes to the same bytes again, and nothing may follow the body.
//! M3  Entries are sorted by pc, and each number occurs once; the start (pc 0, number 0) is the first.

mod encoding;
mod key;
mod refusal;

pub use encoding::DecodeError;
pub use key::{Acceptance, ArtifactKey, CompilerFingerprint, Tier};
pub use refusal::Refusal;

use crate::object::{CodeObject, EntryPoint, LeaveRow};
use alloc::vec::Vec;
use alloy_primitives::U256;
use encoding::{Reader, Writer};

/// The version of the format that this crate writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of the header in front of the body.
pub const HEADER_LEN: usize = 48;

/// Where the digest lies in the manifest.
pub const DIGEST_OFFSET: usize = 16;

/// The longest list or run of bytes in a manifest; longer ones are refused before they are read.
const ITEMS_MAX: usize = 1 << 24;

/// What every format's manifest begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestHeader {
    /// Version of the body's format.
    pub format_version: u32,
    /// Bytes of the file that the manifest lies in.
    pub file_len: u64,
    /// Digest of that file, with this field taken as zeros.
    pub digest: [u8; 32],
}

impl ManifestHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&self.format_version.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.file_len.to_le_bytes());
        bytes[DIGEST_OFFSET..].copy_from_slice(&self.digest);
        bytes
    }

    /// Reads a header, whatever the version of what follows.
    ///
    /// # Errors
    /// When there are too few bytes, or the reserved field is not zero.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let format_version = reader.u32()?;
        if reader.u32()? != 0 {
            return Err(DecodeError::Value { what: "reserved field" });
        }
        Ok(Self { format_version, file_len: reader.u64()?, digest: reader.array()? })
    }
}

/// Compiled code with its key and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What the code is for, and what it stands on.
    pub key: ArtifactKey,
    /// The code.
    pub code: CodeObject,
    /// The bytecode it was made from; its hash is the key's code hash.
    pub bytecode: Vec<u8>,
    /// What was known of its execution, in the runtime's own form; empty where nothing was.
    pub profile: Vec<u8>,
    /// When it was compiled, in seconds since 1970.
    pub created_unix_s: u64,
    /// CPU time that compiling took, in nanoseconds.
    pub compile_cpu_ns: u64,
}

impl Artifact {
    /// The body of the manifest: all but the bytes of the machine code.
    pub fn encode_body(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.key.encode(&mut writer);
        let code = &self.code;
        writer.u16(code.machine);
        let image_len = u32::try_from(code.bytes.len()).unwrap_or(u32::MAX);
        for number in [code.alignment, code.text_len, image_len, code.entry_offset] {
            writer.u32(number);
        }
        writer.list(&code.entries, write_entry);
        writer.list(&code.leaves, write_leave);
        writer.bytes(&self.bytecode);
        writer.bytes(&self.profile);
        writer.u64(self.created_unix_s);
        writer.u64(self.compile_cpu_ns);
        writer.into_bytes()
    }

    /// Reads a body of version [`FORMAT_VERSION`]; `image` is the machine code that goes with it.
    ///
    /// # Errors
    /// When the bytes are no such body (M2, M3), or the image has another length than the manifest says.
    pub fn decode_body(body: &[u8], image: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let key = ArtifactKey::decode(&mut reader)?;
        let machine = reader.u16()?;
        let [alignment, text_len, image_len, entry_offset] = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
        if usize::try_from(image_len) != Ok(image.len()) {
            return Err(DecodeError::Value { what: "length of the image" });
        }
        let entries = reader.list(read_entry)?;
        check_entries(&entries)?;
        let leaves = reader.list(read_leave)?;
        let code = CodeObject { machine, alignment, text_len, entry_offset, bytes: image.to_vec(), entries, leaves };
        let artifact = Self {
            key,
            code,
            bytecode: reader.bytes()?.to_vec(),
            profile: reader.bytes()?.to_vec(),
            created_unix_s: reader.u64()?,
            compile_cpu_ns: reader.u64()?,
        };
        reader.end()?;
        Ok(artifact)
    }
}

/// The key in a manifest's body, and nothing of what follows it.
///
/// # Errors
/// When the bytes do not begin with a key.
pub fn peek_key(body: &[u8]) -> Result<ArtifactKey, DecodeError> {
    ArtifactKey::decode(&mut Reader::new(body))
}

fn write_entry(writer: &mut Writer, entry: &EntryPoint) {
    writer.u32(entry.pc);
    writer.u32(entry.number);
    writer.u16(entry.height_min);
    writer.u16(entry.height_max);
    writer.u32(entry.memory_min);
}

fn read_entry(reader: &mut Reader<'_>) -> Result<EntryPoint, DecodeError> {
    Ok(EntryPoint {
        pc: reader.u32()?,
        number: reader.u32()?,
        height_min: reader.u16()?,
        height_max: reader.u16()?,
        memory_min: reader.u32()?,
    })
}

fn write_leave(writer: &mut Writer, row: &LeaveRow) {
    writer.u32(row.pc);
    writer.u32(row.gas);
    writer.i32(row.top);
    writer.u8(row.reason);
    writer.list(&row.constants, |writer, (slot, word)| {
        writer.i32(*slot);
        writer.array(word.to_be_bytes::<32>());
    });
}

fn read_leave(reader: &mut Reader<'_>) -> Result<LeaveRow, DecodeError> {
    Ok(LeaveRow {
        pc: reader.u32()?,
        gas: reader.u32()?,
        top: reader.i32()?,
        reason: reader.u8()?,
        constants: reader.list(|reader| Ok((reader.i32()?, U256::from_be_bytes::<32>(reader.array()?))))?,
    })
}

/// M3. The start may share its pc with an entry for jumps back to 0.
fn check_entries(entries: &[EntryPoint]) -> Result<(), DecodeError> {
    let starts = entries.first().is_some_and(|entry| (entry.pc, entry.number) == (0, 0));
    let sorted = entries.windows(2).all(|pair| matches!(pair, [left, right] if left.pc <= right.pc));
    let mut numbers: Vec<u32> = entries.iter().map(|entry| entry.number).collect();
    numbers.sort_unstable();
    let distinct = numbers.windows(2).all(|pair| matches!(pair, [left, right] if left < right));
    if starts && sorted && distinct { Ok(()) } else { Err(DecodeError::Value { what: "list of entries" }) }
}
