//! Decoding: bytes to instructions and jump destinations.
//!
//! in   the code of a contract
//! out  [`Code`]: instructions in order, the valid jump destinations
//!
//! D1  A byte is a jump destination when it is 0x5b and no immediate of a PUSH: the rule of revm's jump table, applied to the
//!     bytes and never to decoded instructions.
//! D2  A PUSH whose immediate runs over the end of the code reads zeros there.
//! D3  Behind the last byte stands a STOP.

use crate::opcodes::{self, Class, Opcode};
use alloy_primitives::U256;
use std::fmt::Write as _;

/// An instruction.
#[derive(Debug, Clone, Copy)]
pub struct Instruction {
    /// Its place.
    pub pc: u32,
    /// Its byte.
    pub byte: u8,
    /// What the opcode table says; none for unknown bytes.
    pub opcode: Option<&'static Opcode>,
    /// The immediate of a PUSH.
    pub immediate: U256,
}

/// Decoded bytecode.
#[derive(Debug, Clone)]
pub struct Code {
    /// Instructions in order of their place.
    pub instructions: Vec<Instruction>,
    /// For every byte, whether it is a jump destination.
    pub jump_destinations: Vec<bool>,
    /// Length in bytes.
    pub len: usize,
}

impl Code {
    /// Decodes bytecode; every byte string is valid.
    pub fn decode(bytes: &[u8]) -> Self {
        let jump_destinations = jump_destinations(bytes);
        let mut instructions = Vec::with_capacity(bytes.len() / 2 + 1);
        let mut pc = 0;
        while pc < bytes.len() {
            let byte = bytes[pc];
            let opcode = opcodes::info(byte);
            let immediate_len = opcode.map_or(0, |opcode| usize::from(opcode.immediate));
            let immediate = immediate(bytes, pc + 1, immediate_len);
            instructions.push(Instruction { pc: pc as u32, byte, opcode, immediate });
            pc += 1 + immediate_len;
        }
        if instructions.last().is_none_or(|last| last.byte != opcodes::byte::STOP) {
            instructions.push(Instruction {
                pc: pc.max(bytes.len()) as u32,
                byte: opcodes::byte::STOP,
                opcode: opcodes::info(opcodes::byte::STOP),
                immediate: U256::ZERO,
            });
        }
        Self { instructions, jump_destinations, len: bytes.len() }
    }

    /// Whether a jump to this place is valid.
    pub fn is_jump_destination(&self, pc: U256) -> bool {
        usize::try_from(pc).is_ok_and(|pc| self.jump_destinations.get(pc) == Some(&true))
    }

    /// The text dump of this stage.
    pub fn dump(&self) -> String {
        let mut text = String::new();
        for instruction in &self.instructions {
            let name = opcodes::name(instruction.byte);
            let _ = match instruction.opcode.map(|opcode| opcode.class) {
                Some(Class::Push) => writeln!(text, "{:04x}  {name} {:#x}", instruction.pc, instruction.immediate),
                _ => writeln!(text, "{:04x}  {name}", instruction.pc),
            };
        }
        text
    }
}

/// Applies D1.
fn jump_destinations(bytes: &[u8]) -> Vec<bool> {
    let mut destinations = vec![false; bytes.len()];
    let mut pc = 0;
    while let Some(byte) = bytes.get(pc) {
        destinations[pc] = *byte == 0x5b;
        pc += match byte {
            0x60..=0x7f => usize::from(byte - 0x5f) + 1,
            _ => 1,
        };
    }
    destinations
}

/// Applies D2.
fn immediate(bytes: &[u8], start: usize, len: usize) -> U256 {
    let mut word = [0; 32];
    for (offset, slot) in word[32 - len..].iter_mut().enumerate() {
        *slot = bytes.get(start + offset).copied().unwrap_or(0);
    }
    U256::from_be_bytes(word)
}
