//! The contract between native code and its host: frame layout, exits, builtin table, tables of compiled code, and the hash
//! over all of it.
//!
//! in   nothing
//! out  types and tables that `llvm` compiles against and `hotevm` fills in; nothing here acts

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod builtins;
mod frame;
mod hash;
mod object;

pub use builtins::{BuiltinKind, BuiltinRow, BuiltinTable, GrowFn, HostFn, PLACE_PC_MAX, ScratchFn, place, place_parts};
pub use frame::{FRAME_FIELDS, NativeFn, NativeFrame, Status};
pub use hash::abi_hash;
pub use object::{CodeObject, EntryPoint, LeaveRow};
