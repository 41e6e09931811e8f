//! The ABI hash: tells apart code compiled against another layout.
//!
//! in   offsets of the frame, rows of the builtin table, sizes
//! out  one hash, part of every key of compiled code

use crate::{
    builtins::BuiltinTable,
    frame::{FRAME_FIELDS, NativeFrame},
};
use alloc::{format, string::String};
use alloy_primitives::{B256, U256, keccak256};
use core::fmt::Write as _;

/// Raised when the meaning of the contract changes while its layout does not.
const ABI_VERSION: u32 = 2;

/// Hash over everything that generated code takes for granted of its host.
pub fn abi_hash() -> B256 {
    let mut text = String::new();
    let _ = writeln!(text, "version {ABI_VERSION} frame {} word {}", size_of::<NativeFrame>(), size_of::<U256>());
    for (name, offset) in FRAME_FIELDS {
        let _ = writeln!(text, "{name} {offset}");
    }
    for row in BuiltinTable::ROWS {
        let _ = writeln!(text, "{} {:?} {:?} {}", row.name, row.kind, row.opcode, row.offset);
    }
    keccak256(format!("hotevm {text}"))
}
