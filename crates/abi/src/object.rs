//! Compiled code as data: what a compiler hands over and an artifact holds.
//!
//! in   made by a compiler or read from a store
//! out  mapped by `code`, entered by `hotevm`

use alloc::vec::Vec;
use alloy_primitives::U256;

/// A place at which compiled code can be entered, and what must hold there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPoint {
    /// Program counter.
    pub pc: u32,
    /// Number to hand to the function.
    pub number: u32,
    /// Least stack height.
    pub height_min: u16,
    /// Greatest stack height.
    pub height_max: u16,
    /// Bytes that memory has at least.
    pub memory_min: u32,
}

/// What the host does when native code leaves at a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaveRow {
    /// The instruction to continue at.
    pub pc: u32,
    /// Gas to give back.
    pub gas: u32,
    /// Stack height, counted from the frame's `top`.
    pub top: i32,
    /// Number of the reason.
    pub reason: u8,
    /// Constants to be written to stack slots, counted from the frame's `top`.
    pub constants: Vec<(i32, U256)>,
}

/// Position-independent machine code with its tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeObject {
    /// The instruction set, by ELF's number for it (`e_machine`).
    pub machine: u16,
    /// What the address of `bytes` must be a multiple of.
    pub alignment: u32,
    /// Bytes of machine code at the start of `bytes`.
    pub text_len: u32,
    /// Offset of the function.
    pub entry_offset: u32,
    /// Machine code, then constants, with nothing left to relocate.
    pub bytes: Vec<u8>,
    /// Entry points, by pc; the first is the start.
    pub entries: Vec<EntryPoint>,
    /// Leave rows, by site.
    pub leaves: Vec<LeaveRow>,
}
