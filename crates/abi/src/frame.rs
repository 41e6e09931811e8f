//! The native frame: what generated code and host share while native code runs.
//!
//! in   filled by the host at entry
//! out  read back by the host at every exit
//!
//! R1  The frame lives on the host's stack for one native run and never moves while it lasts.
//! R2  `gas` is exact at every exit and at every builtin call, but for what the leave row gives back.
//! R3  `memory_base` and `memory_len` are refreshed by every builtin that may grow memory ([`crate::BuiltinRow::moves_memory`]) and goes on.
//! R4  What the entry keeps in `exit` holds while the entry waits for its parts, which is until the native run ends.
//! R5  Offsets are taken from this type alone ([`FRAME_FIELDS`]); they are part of the ABI hash.

use crate::builtins::BuiltinTable;
use alloy_primitives::U256;
use core::{ffi::c_void, mem::offset_of};

/// A compiled function: frame, stack top (one above the last entry), entry number; returns a [`Status`].
///
/// Stack top and entry number are handed over in registers, as the parts of a split contract hand them to each other.
pub type NativeFn = unsafe extern "C" fn(frame: *mut NativeFrame, top: *mut U256, entry: u32) -> u32;

/// How a native run or a builtin ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// Builtins only: go on.
    Continue = 0,
    /// revm's next action is set.
    Action = 1,
    /// Continue in the interpreter as the leave row `site` says.
    Leave = 2,
    /// A host panic was caught and is kept by the host.
    Panic = 3,
    /// A whole step was executed by the interpreter: enter again at the interpreter's pc if an entry's guards hold there.
    Reenter = 4,
}

impl Status {
    /// The status with this number; none for numbers that no builtin and no compiled function returns.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Continue),
            1 => Some(Self::Action),
            2 => Some(Self::Leave),
            3 => Some(Self::Panic),
            4 => Some(Self::Reenter),
            _ => None,
        }
    }
}

macro_rules! native_frame {
    ($($(#[$meta:meta])* $name:ident: $type:ty,)*) => {
        /// What native code reads and writes directly.
        #[derive(Debug)]
        #[repr(C)]
        pub struct NativeFrame { $($(#[$meta])* pub $name: $type,)* }

        /// Name and offset of every field, in order.
        pub const FRAME_FIELDS: &[(&str, usize)] = &[$((stringify!($name), offset_of!(NativeFrame, $name)),)*];
    };
}

native_frame! {
    /// Gas remaining.
    gas: u64,
    /// First byte of the frame's memory.
    memory_base: *mut u8,
    /// Bytes of memory.
    memory_len: u64,
    /// Home of the lowest stack entry.
    stack_base: *mut U256,
    /// One behind the home of the highest possible stack entry.
    stack_limit: *mut U256,
    /// The builtins.
    builtins: *const BuiltinTable,
    /// First byte of the call data.
    calldata_base: *const u8,
    /// Bytes of call data.
    calldata_len: u64,
    /// Bytes of return data.
    returndata_len: u64,
    /// Bytes of code.
    code_len: u64,
    /// Mask of forced leaves (tests).
    leave_mask: u64,
    /// At a leave: the stack top of the root the row counts from.
    top: *mut U256,
    /// At a leave: the row.
    site: u32,
    /// The place on the stack that holds where the first part returns to, for stubs that return there (x86-64).
    exit: usize,
    /// The host's own state; opaque here.
    host: *mut c_void,
    /// Operands and result of builtins that do not work on the stack.
    scratch: [U256; 3],
    /// ADDRESS.
    address: U256,
    /// CALLER.
    caller: U256,
    /// CALLVALUE.
    value: U256,
}
