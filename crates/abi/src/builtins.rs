//! The builtin table: one row per function of the host that generated code calls.
//!
//! in   rows: field, kind, opcode (for host instructions), effects
//! out  the `repr(C)` table of pointers, and rows from which declarations and documents are made
//!
//! Generated code reaches builtins through the pointer in the frame alone, so it has no undefined symbols.

use crate::frame::NativeFrame;
use alloy_primitives::U256;
use core::mem::offset_of;

/// Operands and result in the frame's scratch words; nothing else is read or changed.
pub type ScratchFn = unsafe extern "C" fn(frame: *mut NativeFrame);
/// Memory growth: the byte one behind the access, and the gas charged for what stands behind it in its section.
pub type GrowFn = unsafe extern "C" fn(frame: *mut NativeFrame, end: u64, rest: u64) -> u32;
/// A host instruction on the stack at home: the stack top, and where it stands ([`place`]).
pub type HostFn = unsafe extern "C" fn(frame: *mut NativeFrame, top: *mut U256, place: u64) -> u32;

/// Greatest pc that [`place`] holds.
pub const PLACE_PC_MAX: u32 = 0xffff;

/// Greatest gas that [`place`] holds.
pub const PLACE_GAS_MAX: u32 = 0xffff;

/// What a host instruction is told: its pc, the static gas of the section behind it, which it charges when it goes on, and its opcode, where
/// the builtin is not for one opcode alone. Without an opcode it fits 32 bits, which x86-64 takes half the bytes for.
///
/// # Panics
/// When pc or gas are greater than it holds.
pub const fn place(opcode: u8, pc: u32, gas_behind: u32) -> u64 {
    assert!(pc <= PLACE_PC_MAX && gas_behind <= PLACE_GAS_MAX);
    (opcode as u64) << 32 | (gas_behind as u64) << 16 | pc as u64
}

/// Opcode, pc and gas out of what [`place`] made.
pub const fn place_parts(place: u64) -> (u8, u32, u32) {
    ((place >> 32) as u8, place as u32 & PLACE_PC_MAX, (place >> 16) as u32 & PLACE_GAS_MAX)
}

/// How a builtin is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltinKind {
    /// [`ScratchFn`].
    Scratch,
    /// [`GrowFn`].
    Grow,
    /// [`HostFn`].
    Host,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinRow {
    /// Name.
    pub name: &'static str,
    /// How it is called.
    pub kind: BuiltinKind,
    /// The opcode it executes; none for those that are no opcode of their own.
    pub opcode: Option<u8>,
    /// Whether it may grow memory, which moves it (`frame`, R3).
    pub moves_memory: bool,
    /// What else it reads, changes and may do.
    pub effects: &'static str,
    /// Offset of its pointer in the table.
    pub offset: usize,
}

macro_rules! pointer {
    (Scratch) => {
        ScratchFn
    };
    (Grow) => {
        GrowFn
    };
    (Host) => {
        HostFn
    };
}

macro_rules! moves_memory {
    (moves) => {
        true
    };
    (stays) => {
        false
    };
}

macro_rules! builtins {
    ($($name:ident $kind:ident $opcode:expr, memory $memory:ident, $effects:literal;)*) => {
        /// The pointers, one per row.
        #[derive(Debug, Clone, Copy)]
        #[repr(C)]
        pub struct BuiltinTable { $(#[doc = $effects] pub $name: pointer!($kind),)* }

        impl BuiltinTable {
            /// Every row, in order.
            pub const ROWS: &[BuiltinRow] = &[$(BuiltinRow {
                name: stringify!($name),
                kind: BuiltinKind::$kind,
                opcode: $opcode,
                moves_memory: moves_memory!($memory),
                effects: $effects,
                offset: offset_of!(Self, $name),
            },)*];
        }
    };
}

builtins! {
    grow Grow None, memory moves, "charges for memory and grows it; leaves with nothing changed when it cannot be paid";
    call_data_load Scratch None, memory stays, "reads call data beyond its end as zeros";
    mul Scratch Some(0x02), memory stays, "pure";
    div Scratch Some(0x04), memory stays, "pure";
    sdiv Scratch Some(0x05), memory stays, "pure";
    rem Scratch Some(0x06), memory stays, "pure";
    srem Scratch Some(0x07), memory stays, "pure";
    addmod Scratch Some(0x08), memory stays, "pure";
    mulmod Scratch Some(0x09), memory stays, "pure";
    stop Host Some(0x00), memory stays, "ends the frame";
    exp Host Some(0x0a), memory stays, "charges by the exponent; may halt";
    keccak256 Host Some(0x20), memory moves, "reads memory; charges by length; may halt";
    calldatacopy Host Some(0x37), memory moves, "writes memory; charges by length; may halt";
    codecopy Host Some(0x39), memory moves, "writes memory; charges by length; may halt";
    extcodecopy Host Some(0x3c), memory moves, "loads an account; writes memory; charges; may halt";
    returndatacopy Host Some(0x3e), memory moves, "writes memory; charges by length; may halt";
    sload Host Some(0x54), memory stays, "loads storage; charges when cold; may halt";
    sstore Host Some(0x55), memory stays, "changes storage; charges and refunds; may halt";
    tload Host Some(0x5c), memory stays, "loads transient storage; may halt";
    tstore Host Some(0x5d), memory stays, "changes transient storage; may halt";
    mcopy Host Some(0x5e), memory moves, "writes memory; charges by length; may halt";
    log0 Host Some(0xa0), memory moves, "adds a log; charges by length; may halt";
    log1 Host Some(0xa1), memory moves, "adds a log; charges by length; may halt";
    log2 Host Some(0xa2), memory moves, "adds a log; charges by length; may halt";
    log3 Host Some(0xa3), memory moves, "adds a log; charges by length; may halt";
    log4 Host Some(0xa4), memory moves, "adds a log; charges by length; may halt";
    r#return Host Some(0xf3), memory moves, "ends the frame with output; may halt";
    revert Host Some(0xfd), memory moves, "ends the frame with output; may halt";
    table_call Host None, memory moves, "executes the opcode of the EVM's own instruction table; may do anything that a stock opcode does";
    step Host None, memory moves, "executes one step of the interpreter, static gas included; anything may have changed";
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn places_come_back_as_they_were() {
        for opcode in [0, 1, 0x54, 0xff] {
            for pc in [0, 1, 0xff, 0x100, PLACE_PC_MAX] {
                for gas in [0, 1, 0xff, 0x100, PLACE_GAS_MAX] {
                    assert_eq!(place_parts(place(opcode, pc, gas)), (opcode, pc, gas));
                }
            }
        }
        assert!(u32::try_from(place(0, PLACE_PC_MAX, PLACE_GAS_MAX)).is_ok());
    }

    #[test]
    fn gas_and_pc_are_never_cut_off() {
        assert!(std::panic::catch_unwind(|| place(0, PLACE_PC_MAX, PLACE_GAS_MAX)).is_ok());
        assert!(std::panic::catch_unwind(|| place(0, 0, PLACE_GAS_MAX + 1)).is_err());
        assert!(std::panic::catch_unwind(|| place(0, PLACE_PC_MAX + 1, 0)).is_err());
    }
}
