//! Artifacts as ELF64 shared objects, written here and read here.
//!
//! in   an [`Artifact`]; or bytes that claim to hold one
//! out  a [`SharedObject`]: the artifact, and the bytes of its file
//!
//! ```text
//! ELF header, program headers, hash table, symbols, dynamic section, names, section headers     at fixed offsets (`layout`)
//! note "hotevm", type 1: manifest header, manifest body                                         (crate `abi`)
//! zeros up to a page
//! image: text, then read-only data                                                              up to the end of the file
//! ```
//!
//! The first segment (everything before the image) is mapped read-only, the second (the image) readable and executable. The one
//! dynamic symbol is the entry function. Nothing is undefined, nothing is relocated, no library is needed, nothing is initialised.
//!
//! S1  Every file has one spelling: whatever is read is written again from its parts, and refused unless the bytes are the same. So no
//!     field of a header is ever believed, and the loader of the system sees only files that this module would write.
//! S2  The digest covers every byte of the file. It finds damage; it does not tell who wrote the file.
//! S3  Nothing is mapped here. What is mapped (`library`) is a [`SharedObject`], so it was checked first: whole, not cut short.

mod layout;

use std::fmt;

use alloy_primitives::Keccak256;
use hotevm_abi::{Artifact, DIGEST_OFFSET, DecodeError, FORMAT_VERSION, HEADER_LEN, ManifestHeader, Refusal, peek_key};
use thiserror::Error;

use crate::image::{Image, ImageError, Machine};
pub(crate) use layout::ENTRY_NAME;
use layout::{Layout, MANIFEST_AT, NOTE_AT, NOTE_NAME};

/// The longest file that is written or read, in bytes.
pub const SHARED_OBJECT_LEN_MAX: usize = 1 << 27;

/// Bytes of a file that are enough to read its key from, unless its texts are absurdly long.
pub const KEY_WITHIN_BYTES: usize = 4096;

/// Why an artifact cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The code's own figures do not fit together.
    #[error("not an image: {0}")]
    Image(#[from] ImageError),
    /// Neither x86-64 nor aarch64.
    #[error("unknown machine {0}")]
    Machine(u16),
    /// A part has no encoding: a text that is too long, entries or features out of order.
    #[error("not to be encoded: manifest {0}")]
    Manifest(DecodeError),
    /// It would be refused when it is read.
    #[error("would be refused: {0}")]
    Refused(Refusal),
    /// More than [`SHARED_OBJECT_LEN_MAX`] bytes.
    #[error("artifact of {len} bytes, more than {SHARED_OBJECT_LEN_MAX}")]
    TooLarge {
        /// Bytes that the file would have.
        len: usize,
    },
}

/// An artifact and its file, checked against each other.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedObject {
    artifact: Artifact,
    bytes: Vec<u8>,
    machine: Machine,
    image_at: usize,
}

impl fmt::Debug for SharedObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.artifact.key;
        formatter.debug_struct("SharedObject").field("key", key).field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl SharedObject {
    /// Writes an artifact.
    ///
    /// # Errors
    /// When it is none: whatever is written can be read.
    pub fn write(artifact: &Artifact) -> Result<SharedObject, WriteError> {
        let machine = Machine::from_elf(artifact.code.machine).ok_or(WriteError::Machine(artifact.code.machine))?;
        image_of(artifact, machine)?;
        let body = artifact.encode_body();
        Artifact::decode_body(&body, &artifact.code.bytes).map_err(WriteError::Manifest)?;
        let mut bytes = render(artifact, machine, &body, [0; 32]).ok_or(WriteError::TooLarge { len: body.len() })?;
        if bytes.len() > SHARED_OBJECT_LEN_MAX {
            return Err(WriteError::TooLarge { len: bytes.len() });
        }
        let digest = digest(&bytes);
        put(&mut bytes, MANIFEST_AT + DIGEST_OFFSET, &digest);
        let object = SharedObject::check(bytes).map_err(WriteError::Refused)?;
        // A text that is too long for its count was cut off.
        let is_whole = object.artifact == *artifact;
        if is_whole { Ok(object) } else { Err(WriteError::Manifest(DecodeError::Value { what: "length" })) }
    }

    /// Reads a file and checks everything about it that does not depend on who asks.
    ///
    /// # Errors
    /// Why these bytes are not an artifact.
    pub fn check(bytes: Vec<u8>) -> Result<SharedObject, Refusal> {
        let header = header(&bytes)?;
        if header.format_version != FORMAT_VERSION {
            return Err(Refusal::FormatVersion);
        }
        if header.file_len > bytes.len() as u64 {
            return Err(Refusal::Truncated);
        }
        if header.file_len != bytes.len() as u64 || header.digest != digest(&bytes) {
            return Err(Refusal::Altered);
        }
        let (artifact, machine, image_at) = parts(&bytes, header.digest).ok_or(Refusal::Altered)?;
        let mut hasher = Keccak256::new();
        hasher.update(&artifact.bytecode);
        if hasher.finalize() != artifact.key.code_hash {
            return Err(Refusal::CodeBytes);
        }
        Ok(SharedObject { artifact, bytes, machine, image_at })
    }

    /// What the file holds.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// A copy of the code, for pages of its own.
    pub fn image(&self) -> Image {
        let code = &self.artifact.code;
        let [text_len, entry_offset, alignment] =
            [code.text_len, code.entry_offset, code.alignment].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        Image { bytes: code.bytes.clone(), text_len, entry_offset, alignment, machine: self.machine, sections: Vec::new() }
    }

    /// Gives up the file for what it holds.
    pub fn into_artifact(self) -> Artifact {
        self.artifact
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the image starts, in the file and from the address at which the file is mapped.
    pub(crate) fn image_at(&self) -> usize {
        self.image_at
    }
}

/// The key that a file claims to have, from its first bytes; believe it only for looking it up.
///
/// # Errors
/// When the bytes are not the beginning of an artifact of this format.
pub fn claimed_key(start: &[u8]) -> Result<hotevm_abi::ArtifactKey, Refusal> {
    if header(start)?.format_version != FORMAT_VERSION {
        return Err(Refusal::FormatVersion);
    }
    let body = start.get(MANIFEST_AT + HEADER_LEN..).unwrap_or_default();
    peek_key(body).map_err(|_| Refusal::Altered)
}

/// The manifest's header, if these bytes begin like an artifact of any version.
fn header(bytes: &[u8]) -> Result<ManifestHeader, Refusal> {
    let named = bytes.get(NOTE_AT + 12..).and_then(|rest| rest.first_chunk::<8>()).ok_or(Refusal::Truncated)?;
    if named != NOTE_NAME || !bytes.starts_with(b"\x7fELF") {
        return Err(Refusal::Altered);
    }
    let header = bytes.get(MANIFEST_AT..).and_then(|rest| rest.get(..HEADER_LEN)).ok_or(Refusal::Truncated)?;
    ManifestHeader::decode(header).map_err(|_| Refusal::Altered)
}

/// Takes a file apart and puts it together again (S1); none if that gives other bytes.
fn parts(bytes: &[u8], digest: [u8; 32]) -> Option<(Artifact, Machine, usize)> {
    let field = bytes.get(NOTE_AT + 4..)?.first_chunk::<4>()?;
    let manifest_len = usize::try_from(u32::from_le_bytes(*field)).ok()?;
    let body = bytes.get(MANIFEST_AT + HEADER_LEN..MANIFEST_AT.checked_add(manifest_len)?)?;
    let machine = Machine::from_elf(u16::from_le_bytes(*bytes.get(18..)?.first_chunk::<2>()?))?;
    let image_at = Layout::image_at(machine, manifest_len)?;
    let image = bytes.get(image_at..)?;
    let artifact = Artifact::decode_body(body, image).ok()?;
    image_of(&artifact, machine).ok()?;
    (render(&artifact, machine, body, digest)? == bytes).then_some((artifact, machine, image_at))
}

/// Checks that the code is an image for `machine` (laws M1 and M2 of `image`).
fn image_of(artifact: &Artifact, machine: Machine) -> Result<(), ImageError> {
    let code = &artifact.code;
    if code.machine != machine.elf() {
        return Err(ImageError::Machine(code.machine));
    }
    let [text_len, entry_offset, alignment] =
        [code.text_len, code.entry_offset, code.alignment].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    Image::check_figures(code.bytes.len(), text_len, entry_offset, alignment, machine)
}

/// The file of an artifact; none if it would be longer than an address can say.
fn render(artifact: &Artifact, machine: Machine, body: &[u8], digest: [u8; 32]) -> Option<Vec<u8>> {
    let code = &artifact.code;
    let layout = Layout::new(machine, HEADER_LEN.checked_add(body.len())?, code)?;
    let header = ManifestHeader { format_version: FORMAT_VERSION, file_len: layout.file_len as u64, digest };
    let mut bytes = Vec::with_capacity(layout.file_len);
    layout.write_headers(&mut bytes);
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(body);
    bytes.resize(layout.image_at, 0);
    bytes.extend_from_slice(&code.bytes);
    Some(bytes)
}

/// keccak256 of the file, with the digest's own place taken as zeros (S2).
fn digest(bytes: &[u8]) -> [u8; 32] {
    let (before, rest) = bytes.split_at(bytes.len().min(MANIFEST_AT + DIGEST_OFFSET));
    let mut hasher = Keccak256::new();
    hasher.update(before);
    hasher.update([0_u8; 32]);
    hasher.update(rest.get(32..).unwrap_or_default());
    hasher.finalize().0
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
