//! Statements: code that changes locals, memory, storage or logs, and leaves the frame valid.
//!
//! in   the frame (`builder`, B1 to B3)
//! out  code after which the frame's height may have changed, but never below its floor

use alloy_primitives::U256;
use revm::{bytecode::opcode as op, primitives::hardfork::SpecId};

use super::builder::{Builder, HEIGHT_MAX};

/// The kinds of statement, drawn by weight.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Local,
    Assign,
    Shuffle,
    Operate,
    Store,
    Storage,
    Transient,
    Log,
    Copy,
    Condition,
    Loop,
    GrowingLoop,
    Function,
    PointerCall,
    Select,
    Call,
    Create,
    Leave,
    Guarded,
    DataIsland,
}

const WEIGHTS: [(u32, Kind); 20] = [
    (10, Kind::Local),
    (10, Kind::Assign),
    (7, Kind::Shuffle),
    (8, Kind::Operate),
    (9, Kind::Store),
    (4, Kind::Storage),
    (1, Kind::Transient),
    (2, Kind::Log),
    (4, Kind::Copy),
    (8, Kind::Condition),
    (8, Kind::Loop),
    (2, Kind::GrowingLoop),
    (7, Kind::Function),
    (1, Kind::PointerCall),
    (2, Kind::Select),
    (5, Kind::Call),
    (1, Kind::Create),
    (2, Kind::Leave),
    (2, Kind::Guarded),
    (1, Kind::DataIsland),
];

impl Builder<'_, '_> {
    /// Up to `count` statements, as the budget allows.
    pub(crate) fn statements(&mut self, count: usize) {
        for _ in 0..count {
            if !self.spend() {
                return;
            }
            self.statement();
        }
    }

    fn statement(&mut self) {
        let kind = self.choices.weighted(&WEIGHTS).unwrap_or(Kind::Local);
        let inside = self.nesting < 4 && self.room() > 6;
        match kind {
            Kind::Assign if self.assign() => {}
            Kind::Shuffle => self.shuffle(),
            Kind::Operate => self.operate(),
            Kind::Store => self.store(),
            Kind::Storage => self.storage(),
            Kind::Transient if self.knows(SpecId::CANCUN) => {
                self.expression(2);
                self.storage_key(1);
                self.apply(op::TSTORE, 2, 0);
            }
            Kind::Log => self.log(),
            Kind::Copy => self.copy(),
            Kind::Condition if inside => self.if_else(),
            Kind::Loop if inside && self.loops < 3 => self.counted_loop(),
            Kind::GrowingLoop if inside && self.loops == 0 => self.growing_loop(),
            Kind::Function if inside => self.call_function(),
            Kind::PointerCall if inside => self.call_pointer(),
            Kind::Select if inside => self.select_jump(),
            Kind::Call if self.loops < 2 && self.room() > 8 => self.external_call(),
            Kind::Create if self.loops == 0 && self.room() > 8 => self.create(),
            Kind::Leave => self.guarded_end(),
            Kind::Guarded => self.guarded_fault(),
            Kind::DataIsland => self.data_island(),
            _ => self.local(),
        }
    }

    /// A new local, or one less.
    fn local(&mut self) {
        if self.frame.height > self.frame.floor && (self.room() < 8 || self.choices.chance(1, 3)) {
            self.apply(op::POP, 1, 0);
        } else {
            self.expression(3);
        }
    }

    /// Writes an expression to an entry further down; false if there is none to write.
    fn assign(&mut self) -> bool {
        let entries: Vec<usize> =
            (self.frame.assign_floor..self.frame.height).filter(|index| !self.frame.locked.contains(index)).collect();
        let Some(index) = self.choices.pick(&entries).copied() else { return false };
        let depth = self.frame.height - index;
        if depth > 16 {
            return false;
        }
        self.expression(3);
        self.swap(depth);
        self.apply(op::POP, 1, 0);
        true
    }

    /// A burst of DUP and SWAP over the whole reach.
    fn shuffle(&mut self) {
        for _ in 0..self.choices.within(2..12) {
            let reach = self.swap_reach();
            if reach > 0 && self.choices.chance(1, 2) {
                let depth = self.choices.within(1..reach + 1);
                self.swap(depth);
            } else if self.room() > 2 && self.frame.height > 0 {
                let depth = if self.choices.chance(1, 3) {
                    self.frame.height.min(16) - 1
                } else {
                    self.choices.below(self.frame.height.min(16))
                };
                self.duplicate(depth);
            }
        }
        self.extended_shuffle();
    }

    /// How far down the top may be exchanged without touching a locked entry.
    fn swap_reach(&self) -> usize {
        let above_locked = self.frame.locked.iter().map(|&index| index + 1).max().unwrap_or_default();
        let lowest = above_locked.max(self.frame.assign_floor);
        self.frame.height.saturating_sub(lowest + 1).min(16)
    }

    /// DUPN, SWAPN and EXCHANGE on entries pushed for them. Their immediates name entries from the 17th on, and pairs.
    fn extended_shuffle(&mut self) {
        const PUSHED: usize = 21;
        if !self.setting.fork.is_enabled_in(SpecId::AMSTERDAM) || !self.choices.chance(1, 4) {
            return;
        }
        let height = self.frame.height;
        (0..PUSHED).for_each(|number| self.push_number(number));
        let single = 128 + self.choices.below(3) as u8;
        let (opcode, immediate) = match self.choices.below(3) {
            0 => (op::DUPN, single),
            1 => (op::SWAPN, single),
            _ => {
                let (first, second) = (self.choices.below(6), self.choices.within(6..16));
                (op::EXCHANGE, (16 * first + second) as u8 ^ 143)
            }
        };
        let immediate = if self.choices.chance(1, 16) { self.choices.byte() } else { immediate };
        self.apply(opcode, 0, usize::from(opcode == op::DUPN));
        self.assembler.raw(&[immediate]);
        // Each entry is looked at, or an exchange would not show.
        for position in 1..PUSHED {
            self.push_number(position);
            self.apply(op::MUL, 2, 1);
            self.apply(op::XOR, 2, 1);
        }
        self.settle(height);
    }

    /// Combines the top entries in place.
    fn operate(&mut self) {
        let own = self.frame.height.saturating_sub(self.frame.floor);
        if own < 2 {
            return self.expression(2);
        }
        let opcode = self.choices.pick(&[op::ADD, op::MUL, op::SUB, op::XOR, op::AND, op::DIV, op::SLT, op::SMOD]).copied();
        for _ in 0..self.choices.within(1..own) {
            let depth = self.choices.below(self.frame.height.min(16));
            self.duplicate(depth);
            self.apply(opcode.unwrap_or(op::ADD), 2, 1);
            if self.choices.chance(1, 3) {
                self.apply(op::ADD, 2, 1);
                return;
            }
        }
    }

    fn store(&mut self) {
        self.expression(3);
        self.memory_offset();
        let opcode = if self.choices.chance(1, 5) { op::MSTORE8 } else { op::MSTORE };
        self.apply(opcode, 2, 0);
    }

    fn storage(&mut self) {
        self.expression(2);
        self.storage_key(1);
        self.apply(op::SSTORE, 2, 0);
    }

    fn log(&mut self) {
        let topics = self.choices.below(5);
        for _ in 0..topics {
            self.expression(1);
        }
        self.memory_len();
        self.memory_offset();
        self.apply(op::LOG0 + topics as u8, topics + 2, 0);
    }

    /// The copying opcodes, of which RETURNDATACOPY alone fails beyond the end.
    fn copy(&mut self) {
        match self.choices.below(8) {
            0..=2 => self.copy_from(op::CALLDATACOPY, 200),
            3 => self.copy_from(op::CODECOPY, 600),
            4 if self.knows(SpecId::CANCUN) => {
                self.memory_len();
                self.memory_offset();
                self.memory_offset();
                self.apply(op::MCOPY, 3, 0);
            }
            5 => {
                self.memory_len();
                let offset = self.choices.below(100);
                self.push_number(offset);
                self.memory_offset();
                self.address();
                self.apply(op::EXTCODECOPY, 4, 0);
            }
            _ if self.knows(SpecId::BYZANTIUM) => self.copy_return_data(),
            _ => self.copy_from(op::CALLDATACOPY, 200),
        }
    }

    fn copy_from(&mut self, opcode: u8, len_max: usize) {
        self.memory_len();
        if self.choices.chance(1, 12) {
            let word = self.choices.word();
            self.push(word);
        } else {
            let offset = self.choices.below(len_max);
            self.push_number(offset);
        }
        self.memory_offset();
        self.apply(opcode, 3, 0);
    }

    /// All return data, or a part that may reach beyond its end.
    pub(crate) fn copy_return_data(&mut self) {
        if self.choices.chance(1, 16) {
            let len = self.choices.below(40);
            self.push_number(len);
            let offset = self.choices.below(8);
            self.push_number(offset);
        } else {
            self.apply(op::RETURNDATASIZE, 0, 1);
            self.push_number(0);
        }
        self.memory_offset();
        self.apply(op::RETURNDATACOPY, 3, 0);
    }

    /// Code that fails, behind a condition that seldom holds: too few entries, too many, a jump to nowhere, random bytes.
    fn guarded_fault(&mut self) {
        let (skip, frame) = (self.assembler.label(), self.frame.clone());
        self.mostly_true();
        self.jump_if(skip);
        match self.choices.below(6) {
            0 => (0..self.choices.within(1..30)).for_each(|_| self.assembler.op(op::POP)),
            1 => {
                self.push(U256::ZERO);
                let count = self.choices.within(900..1030);
                (0..count).for_each(|_| self.assembler.op(op::DUP1));
            }
            2 => {
                let target = self.choices.below(self.assembler.len() + 8);
                self.push_number(target);
                self.assembler.op(op::JUMP);
            }
            3 => {
                let word = self.choices.word();
                self.push(word);
                self.assembler.op(op::JUMP);
            }
            4 => {
                let depth = self.choices.below(32) as u8;
                self.assembler.op(op::DUP1 + depth);
            }
            _ => {
                let len = self.choices.within(1..12);
                let bytes = self.choices.bytes(len);
                self.assembler.raw(&bytes);
            }
        }
        // Whatever pushed data was begun ends within the island.
        self.assembler.op(op::STOP);
        self.assembler.raw(&[op::STOP; 32]);
        self.frame = frame;
        self.assembler.place(skip);
    }

    /// Pushes a word that is not zero where the call data is zero, and seldom zero elsewhere.
    fn mostly_true(&mut self) {
        let mask = if self.choices.chance(1, 2) { 0xf } else { 0x7 };
        let different = self.choices.within(1..mask + 1);
        self.calldata_word();
        self.push_number(different);
        self.apply(op::XOR, 2, 1);
        self.push_number(mask);
        self.apply(op::AND, 2, 1);
    }

    /// Bytes that are never run, jumped over; among them may be JUMPDESTs.
    fn data_island(&mut self) {
        let skip = self.assembler.label();
        self.jump(skip);
        let len = self.choices.below(40);
        let bytes = self.data(len);
        self.assembler.raw(&bytes);
        self.assembler.raw(&[op::STOP; 32]);
        self.assembler.place(skip);
    }

    /// Ends the program behind a condition that seldom holds.
    fn guarded_end(&mut self) {
        let (skip, frame) = (self.assembler.label(), self.frame.clone());
        self.mostly_true();
        self.jump_if(skip);
        self.end();
        self.frame = frame;
        self.assembler.place(skip);
    }

    /// Ends the program: mostly by returning what it knows.
    pub(crate) fn end(&mut self) {
        match self.choices.below(24) {
            0..=16 => self.return_everything(op::RETURN),
            17..=19 => {
                let opcode = if self.setting.fork.is_enabled_in(SpecId::BYZANTIUM) { op::REVERT } else { op::RETURN };
                self.return_everything(opcode);
            }
            20 => self.assembler.op(op::STOP),
            21 => self.assembler.op(op::INVALID),
            22 => {
                self.address();
                self.apply(op::SELFDESTRUCT, 1, 0);
            }
            _ => {
                self.memory_len();
                self.memory_offset();
                self.apply(op::RETURN, 2, 0);
            }
        }
    }

    /// Writes the frame's entries and the remaining gas to memory and returns them, so that every wrong word shows.
    fn return_everything(&mut self, opcode: u8) {
        let count = self.frame.height.min(HEIGHT_MAX);
        for index in 0..count {
            self.push_number(32 * index);
            self.apply(op::MSTORE, 2, 0);
        }
        self.apply(op::GAS, 0, 1);
        self.push_number(32 * count);
        self.apply(op::MSTORE, 2, 0);
        self.push_number(32 * (count + 1));
        self.push_number(0);
        self.apply(opcode, 2, 0);
    }
}
