//! Expressions: code that pushes one word.
//!
//! in   a depth
//! out  code whose leaves are constants, entries of the stack, inputs and state, and whose nodes are pure opcodes

use alloy_primitives::U256;
use revm::{bytecode::opcode as op, primitives::hardfork::SpecId};

use super::builder::Builder;

/// Opcodes that push one word and take none, with the fork that brought them.
const VALUES: [(u8, SpecId); 22] = [
    (op::CALLDATASIZE, SpecId::FRONTIER),
    (op::ADDRESS, SpecId::FRONTIER),
    (op::ORIGIN, SpecId::FRONTIER),
    (op::CALLER, SpecId::FRONTIER),
    (op::CALLVALUE, SpecId::FRONTIER),
    (op::CODESIZE, SpecId::FRONTIER),
    (op::GASPRICE, SpecId::FRONTIER),
    (op::COINBASE, SpecId::FRONTIER),
    (op::TIMESTAMP, SpecId::FRONTIER),
    (op::NUMBER, SpecId::FRONTIER),
    (op::DIFFICULTY, SpecId::FRONTIER),
    (op::GASLIMIT, SpecId::FRONTIER),
    (op::PC, SpecId::FRONTIER),
    (op::MSIZE, SpecId::FRONTIER),
    (op::MSIZE, SpecId::FRONTIER),
    (op::GAS, SpecId::FRONTIER),
    (op::RETURNDATASIZE, SpecId::BYZANTIUM),
    (op::CHAINID, SpecId::ISTANBUL),
    (op::SELFBALANCE, SpecId::ISTANBUL),
    (op::BASEFEE, SpecId::LONDON),
    (op::BLOBBASEFEE, SpecId::CANCUN),
    (op::SLOTNUM, SpecId::AMSTERDAM),
];

/// Opcodes of two words that take any operands.
const BINARY: [u8; 16] = [
    op::ADD,
    op::SUB,
    op::MUL,
    op::DIV,
    op::SDIV,
    op::MOD,
    op::SMOD,
    op::LT,
    op::GT,
    op::SLT,
    op::SGT,
    op::EQ,
    op::AND,
    op::OR,
    op::XOR,
    op::SIGNEXTEND,
];

/// Opcodes whose top operand is an index or a count, with the fork that brought them.
const INDEXED: [(u8, SpecId); 5] = [
    (op::BYTE, SpecId::FRONTIER),
    (op::SIGNEXTEND, SpecId::FRONTIER),
    (op::SHL, SpecId::PETERSBURG),
    (op::SHR, SpecId::PETERSBURG),
    (op::SAR, SpecId::PETERSBURG),
];

impl Builder<'_, '_> {
    /// Pushes a word.
    pub(crate) fn expression(&mut self, depth: u32) {
        if depth == 0 || self.room() < 4 || self.choices.chance(1, 3) {
            return self.leaf();
        }
        match self.choices.below(16) {
            0..=6 => {
                let opcode = self.choices.pick(&BINARY).copied().unwrap_or(op::ADD);
                self.expression(depth - 1);
                self.expression(depth - 1);
                self.apply(opcode, 2, 1);
            }
            7..=9 => self.indexed(depth - 1),
            10 | 11 => {
                self.expression(depth - 1);
                let opcode = match self.choices.below(6) {
                    0..=2 => op::ISZERO,
                    3 | 4 => op::NOT,
                    _ if self.knows(SpecId::OSAKA) => op::CLZ,
                    _ => op::NOT,
                };
                self.apply(opcode, 1, 1);
            }
            12 => {
                for _ in 0..3 {
                    self.expression(depth - 1);
                }
                let opcode = if self.choices.chance(1, 2) { op::ADDMOD } else { op::MULMOD };
                self.apply(opcode, 3, 1);
            }
            13 => self.power(depth - 1),
            14 => {
                self.memory_offset();
                self.apply(op::MLOAD, 1, 1);
            }
            _ => self.state_value(depth - 1),
        }
    }

    /// Pushes a word that is zero about as often as not.
    pub(crate) fn condition(&mut self) {
        match self.choices.below(4) {
            0 => {
                self.calldata_word();
                let bit = self.choices.below(8);
                self.push_number(1 << bit);
                self.apply(op::AND, 2, 1);
            }
            1 => {
                self.expression(1);
                self.expression(1);
                let opcode = self.choices.pick(&[op::LT, op::GT, op::SLT, op::SGT, op::EQ]).copied().unwrap_or(op::LT);
                self.apply(opcode, 2, 1);
            }
            2 => {
                self.expression(2);
                self.apply(op::ISZERO, 1, 1);
            }
            _ => self.expression(2),
        }
    }

    /// Pushes a word of the call data, from a place that inputs fill.
    pub(crate) fn calldata_word(&mut self) {
        match self.choices.below(16) {
            15 => {
                let offset = self.choices.below(300);
                self.push_number(offset);
            }
            14 if self.frame.height > 0 => {
                let depth = self.choices.below(self.frame.height.min(16));
                self.duplicate(depth);
                self.push_number(0xff);
                self.apply(op::AND, 2, 1);
            }
            13 if self.choices.chance(1, 4) => {
                let word = self.choices.word();
                self.push(word);
            }
            _ => {
                let offset = 32 * self.choices.below(6);
                self.push_number(offset);
            }
        }
        self.apply(op::CALLDATALOAD, 1, 1);
    }

    /// Pushes something without operands of its own.
    fn leaf(&mut self) {
        match self.choices.below(16) {
            0..=3 => {
                let word = self.choices.word();
                self.push(word);
            }
            4 => {
                let len = self.choices.within(1..33);
                let bytes = self.data(len);
                self.assembler.push_bytes(&bytes);
                self.frame.height += 1;
            }
            5..=8 if self.frame.height > 0 => {
                let depth = self.choices.below(self.frame.height.min(16));
                self.duplicate(depth);
            }
            9..=12 => self.calldata_word(),
            // In a function, the entry below the arguments is the return address.
            13 if self.callable_from > 0 && self.frame.height < 16 && self.choices.chance(1, 4) => {
                self.duplicate(self.frame.height)
            }
            _ => {
                let (opcode, fork) = self.choices.pick(&VALUES).copied().unwrap_or((op::CALLDATASIZE, SpecId::FRONTIER));
                let opcode = if self.knows(fork) { opcode } else { op::CALLDATASIZE };
                self.apply(opcode, 0, 1);
            }
        }
    }

    /// Bytes that may look like code: JUMPDEST and PUSH bytes are frequent.
    pub(crate) fn data(&mut self, len: usize) -> Vec<u8> {
        (0..len)
            .map(|_| match self.choices.below(4) {
                0 => op::JUMPDEST,
                1 => op::PUSH1 + self.choices.below(32) as u8,
                _ => self.choices.byte(),
            })
            .collect()
    }

    /// BYTE, SIGNEXTEND and shifts: an operand, and an index that is mostly in range or just outside.
    fn indexed(&mut self, depth: u32) {
        let (opcode, fork) = self.choices.pick(&INDEXED).copied().unwrap_or((op::BYTE, SpecId::FRONTIER));
        let opcode = if self.knows(fork) { opcode } else { op::BYTE };
        self.expression(depth);
        let shift = opcode == op::SHL || opcode == op::SHR || opcode == op::SAR;
        match self.choices.below(4) {
            0 | 1 => {
                let index = if shift { self.choices.below(260) } else { self.choices.below(34) };
                self.push_number(index);
            }
            2 => {
                self.expression(depth);
                self.push_number(if shift { 0x1ff } else { 0x3f });
                self.apply(op::AND, 2, 1);
            }
            _ => self.expression(depth),
        }
        self.apply(opcode, 2, 1);
    }

    /// EXP; the exponent is short, as gas grows with its length.
    fn power(&mut self, depth: u32) {
        if self.choices.chance(1, 4) {
            self.expression(depth);
        } else {
            let exponent = self.choices.below(1 << 10);
            self.push_number(exponent);
        }
        if self.choices.chance(1, 2) {
            let base = self.choices.pick(&[2usize, 10, 256, 3, 0, 1]).copied().unwrap_or(2);
            self.push_number(base);
        } else {
            self.expression(depth);
        }
        self.apply(op::EXP, 2, 1);
    }

    /// Pushes something that state, memory or other accounts hold.
    fn state_value(&mut self, depth: u32) {
        match self.choices.below(10) {
            0..=2 => {
                self.storage_key(depth);
                self.apply(op::SLOAD, 1, 1);
            }
            3 if self.knows(SpecId::CANCUN) => {
                self.storage_key(depth);
                self.apply(op::TLOAD, 1, 1);
            }
            4 | 5 => {
                let len = self.choices.below(100);
                self.push_number(len);
                self.memory_offset();
                self.apply(op::KECCAK256, 2, 1);
            }
            6 => {
                self.address();
                let opcode = match self.choices.below(3) {
                    0 => op::BALANCE,
                    1 if self.knows(SpecId::PETERSBURG) => op::EXTCODEHASH,
                    _ => op::EXTCODESIZE,
                };
                self.apply(opcode, 1, 1);
            }
            7 => {
                self.push_number(1);
                self.apply(op::NUMBER, 0, 1);
                self.apply(op::SUB, 2, 1);
                self.apply(op::BLOCKHASH, 1, 1);
            }
            8 if self.knows(SpecId::CANCUN) => {
                let index = self.choices.below(4);
                self.push_number(index);
                self.apply(op::BLOBHASH, 1, 1);
            }
            _ => self.calldata_word(),
        }
    }

    /// Pushes a storage key out of few: a number, a masked word, or a hash as Solidity's mappings take it.
    pub(crate) fn storage_key(&mut self, depth: u32) {
        if self.choices.chance(1, 6) {
            self.leaf();
            self.push_number(3);
            self.apply(op::AND, 2, 1);
            self.push_number(0);
            self.apply(op::MSTORE, 2, 0);
            let slot = self.choices.below(3);
            self.push_number(slot);
            self.push_number(32);
            self.apply(op::MSTORE, 2, 0);
            self.push_number(64);
            self.push_number(0);
            self.apply(op::KECCAK256, 2, 1);
        } else if self.choices.chance(1, 3) {
            self.expression(depth.min(1));
            self.push_number(7);
            self.apply(op::AND, 2, 1);
        } else {
            let key = self.choices.below(6);
            self.push_number(key);
        }
    }

    /// Pushes a memory offset: mostly small, sometimes beyond what the shared buffer held, computed now and then, seldom out of reach.
    pub(crate) fn memory_offset(&mut self) {
        match self.choices.below(32) {
            0..=19 => {
                let offset = 32 * self.choices.below(12);
                self.push_number(offset);
            }
            20..=23 => {
                let offset = self.choices.below(0x400);
                self.push_number(offset);
            }
            24 | 25 => {
                let offset = self.choices.below(0x2800);
                self.push_number(offset);
            }
            26 | 27 => {
                self.leaf();
                self.push_number(0x1f);
                self.apply(op::AND, 2, 1);
                self.push_number(32);
                self.apply(op::MUL, 2, 1);
            }
            31 if self.choices.chance(1, 24) => {
                let word = self.choices.word();
                self.push(word);
            }
            _ => {
                self.leaf();
                self.push(U256::from(0x3ff));
                self.apply(op::AND, 2, 1);
            }
        }
    }

    /// Pushes the length of a range of memory: mostly short, zero sometimes.
    pub(crate) fn memory_len(&mut self) {
        match self.choices.below(8) {
            0..=4 => {
                let len = self.choices.below(160);
                self.push_number(len);
            }
            5 => self.push_number(0),
            _ => {
                self.leaf();
                self.push_number(0x7f);
                self.apply(op::AND, 2, 1);
            }
        }
    }
}
