//! The contract between native code and its host: frame layout, exits, builtin table, tables of compiled code, and the hash
//! over all of it.
//!
//! in   nothing
//! out  types and tables that `llvm` compiles against and `hotevm` fills in; nothing here acts

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod artifact;
mod builtins;
mod cpu;
mod frame;
mod hash;
mod object;

pub use artifact::{
    Acceptance, Artifact, ArtifactKey, CompilerFingerprint, DIGEST_OFFSET, DecodeError, FORMAT_VERSION, HEADER_LEN,
    ManifestHeader, Refusal, Tier, peek_key,
};
pub use builtins::{
    BuiltinKind, BuiltinRow, BuiltinTable, GrowFn, HostFn, PLACE_GAS_MAX, PLACE_PC_MAX, ScratchFn, place, place_parts,
};
pub use cpu::{AARCH64_BASE_FEATURES, AARCH64_FEATURES, X86_64_BASE_FEATURES, X86_64_FEATURES};
pub use frame::{FRAME_FIELDS, NativeFn, NativeFrame, Status};
pub use hash::abi_hash;
pub use object::{CodeObject, EntryPoint, LeaveRow};
