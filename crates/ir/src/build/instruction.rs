//! Building: the instructions that do not end a block.
//!
//! in   one instruction, the path before it
//! out  SSA instructions, the path behind it
//!
//! N1  What may leave makes its leave row before it changes the path.

use super::{Builder, path::Slot};
use crate::{
    bytecode::{Code, Instruction},
    function::{Field, Given, HostCall, Inst, PureOp, Type, Value, Via},
    leave::LeaveReason,
    opcodes::{Class, Opcode},
};
use alloy_primitives::U256;

/// Where Solidity keeps the address at which free memory begins.
const FREE_MEMORY: U256 = U256::from_limbs([0x40, 0, 0, 0]);

/// What Solidity stores there first, the latter before version 0.4.22.
const FIRST_FREE: [U256; 2] = [U256::from_limbs([0x80, 0, 0, 0]), U256::from_limbs([0x60, 0, 0, 0])];

/// Whether code begins as Solidity's does, and so keeps an address at [`FREE_MEMORY`]: it is checked to be small where it is read then, so that
/// what is computed from it needs one limb.
pub(super) fn counts_free_memory(code: &Code) -> bool {
    let is_push = |instruction: &Instruction| matches!(instruction.opcode.map(|opcode| opcode.class), Some(Class::Push));
    let pushed =
        |place: usize| code.instructions.get(place).filter(|instruction| is_push(instruction)).map(|push| push.immediate);
    let first = pushed(0).is_some_and(|first| FIRST_FREE.contains(&first));
    first && [1, 2].into_iter().any(|place| pushed(place) == Some(FREE_MEMORY))
}

impl Builder<'_> {
    /// Builds the instruction with this index.
    pub(super) fn instruction(&mut self, index: usize) {
        let instruction = &self.code.instructions[index];
        let Some(opcode) = instruction.opcode else { return };
        let gas = u32::from(self.config.gas[usize::from(instruction.byte)]);
        match opcode.class {
            Class::MLoad | Class::MStore | Class::MStore8 => return self.memory_access(instruction, opcode.class, gas),
            Class::Exp => return self.exp(index, opcode, gas),
            _ => {}
        }
        self.path.rest = self.path.rest.saturating_sub(gas);
        match opcode.class {
            Class::Push => self.push_constant(instruction.immediate),
            Class::Pc => self.push_constant(U256::from(instruction.pc)),
            Class::Pop => self.path.drop_top(1),
            Class::Dup(depth) => {
                let value = self.peek(i32::from(depth) - 1);
                self.path.push(value);
            }
            Class::Swap(depth) => self.swap(i32::from(depth)),
            Class::Pure(op) => self.pure(op),
            Class::Field(field) => self.field(field),
            Class::Gas => self.observe(Field::Gas, instruction.pc),
            Class::Msize => self.observe(Field::MemorySize, instruction.pc),
            Class::CallDataLoad => {
                let offset = self.pop();
                let value = self.define(Inst::CallDataLoad(offset));
                self.path.push(value);
            }
            Class::Builtin => self.host(instruction, opcode, Via::Builtin),
            Class::Table => self.host(instruction, opcode, Via::Table),
            Class::JumpDest
            | Class::MLoad
            | Class::MStore
            | Class::MStore8
            | Class::Exp
            | Class::Jump
            | Class::JumpIf
            | Class::Suspend
            | Class::Finish
            | Class::FinishTable
            | Class::Invalid => {}
        }
    }

    fn push_constant(&mut self, value: U256) {
        let value = self.define(Inst::Const(value));
        self.path.push(value);
    }

    fn swap(&mut self, depth: i32) {
        let (top, other) = (self.peek(0), self.peek(depth));
        let index = self.path.top - 1;
        self.path.slots.insert(index, Slot { value: other, dirty: true });
        self.path.slots.insert(index - depth, Slot { value: top, dirty: true });
    }

    fn pure(&mut self, op: PureOp) {
        let args: Vec<Value> = op.operands().iter().map(|_| self.pop()).collect();
        let mut value = self.define(Inst::Pure(op, args));
        if op.result() == Type::Bool {
            value = self.define(Inst::Pure(PureOp::FromBool, vec![value]));
        }
        self.path.push(value);
    }

    fn field(&mut self, field: Field) {
        let mut value = self.define(Inst::Field(field));
        if field.result() == Type::Num {
            value = self.define(Inst::Pure(PureOp::FromNum, vec![value]));
        }
        self.path.push(value);
    }

    /// Reads what a second execution could see differently (Q3).
    fn observe(&mut self, field: Field, pc: u32) {
        self.field(field);
        self.path.sync.valid = false;
        self.sync_behind(pc);
    }

    /// Makes a sync point behind the instruction at `pc`, except where values are to be kept.
    fn sync_behind(&mut self, pc: u32) {
        if !self.path.keeps_values {
            self.store_computed(self.path.top);
            self.path.synced_at(pc + 1);
        }
    }

    fn memory_access(&mut self, instruction: &Instruction, class: Class, gas: u32) {
        let leave = self.leave(LeaveReason::Memory, instruction.pc);
        self.path.rest = self.path.rest.saturating_sub(gas);
        let offset = self.pop();
        let address = self.narrow(offset, leave);
        let length = if class == Class::MStore8 { 1 } else { 32 };
        let rest = self.path.rest;
        self.emit(Inst::Reach { address, length, rest, leave });
        if class == Class::MLoad {
            let mut value = self.define(Inst::MLoad(address));
            if self.counts_free_memory && self.constant(offset) == Some(FREE_MEMORY) {
                let number = self.narrow(value, leave);
                value = self.define(Inst::Pure(PureOp::FromNum, vec![number]));
                self.path.narrow.insert(value, number);
            }
            self.path.push(value);
            self.path.has_read_memory = true;
            return;
        }
        let value = self.pop();
        self.emit(if class == Class::MStore { Inst::MStore(address, value) } else { Inst::MStore8(address, value) });
        if self.path.has_read_memory {
            self.path.sync.valid = false;
            self.sync_behind(instruction.pc);
        }
    }

    fn narrow(&mut self, word: Value, leave: crate::function::LeaveId) -> Value {
        if let Some(number) = self.path.narrow.get(&word) {
            return *number;
        }
        if let Some((base, bytes)) = self.definitions.address(word) {
            let number = if bytes == 0 { base } else { self.define(Inst::Offset(base, bytes)) };
            return self.note_number(word, number);
        }
        if self.path.narrow.len() >= self.config.limits.path_addresses_max as usize {
            self.path.narrow.clear();
        }
        // A sum is below 2^32 where the word is that it counts from, but for sums that wrap.
        let (base, bytes) = self.definitions.sum(word);
        let number = self.define(Inst::Narrow(base, leave));
        let number = self.note_number(base, number);
        if bytes == 0 {
            return number;
        }
        let number = self.define(Inst::Offset(number, bytes));
        self.note_number(word, number)
    }

    fn note_number(&mut self, word: Value, number: Value) -> Value {
        self.path.narrow.insert(word, number);
        self.replace_by_number(word, number);
        number
    }

    /// A word that was checked to be small is that number wherever it stands: what is computed from it needs fewer bits.
    fn replace_by_number(&mut self, word: Value, number: Value) {
        let slots: Vec<i32> = self.path.slots.iter().filter(|(_, slot)| slot.value == word).map(|(index, _)| *index).collect();
        if slots.is_empty() || self.constant(word).is_some() {
            return;
        }
        let narrowed = self.define(Inst::Pure(PureOp::FromNum, vec![number]));
        self.path.narrow.insert(narrowed, number);
        for index in slots {
            if let Some(slot) = self.path.slots.get_mut(&index) {
                slot.value = narrowed;
            }
        }
    }

    /// EXP of constants is folded; its dynamic cost was charged with the section. Otherwise it is the host's.
    fn exp(&mut self, index: usize, opcode: &Opcode, gas: u32) {
        self.path.rest = self.path.rest.saturating_sub(gas + self.known_exp_gas(index));
        let Some((base, exponent)) = self.exponents.get(&index).copied() else {
            return self.host(&self.code.instructions[index], opcode, Via::Builtin);
        };
        self.path.drop_top(2);
        self.push_constant(base.pow(exponent));
    }

    fn host(&mut self, instruction: &Instruction, opcode: &Opcode, via: Via) {
        let given = if via == Via::Builtin { self.give(opcode.inputs) } else { Given::Nothing };
        self.store_computed(self.path.top - i32::from(opcode.inputs));
        let call = HostCall { opcode: instruction.byte, pc: instruction.pc, top: self.path.top, via, given };
        self.emit(Inst::Host(call));
        self.path.drop_top(i32::from(opcode.inputs));
        self.path.top += i32::from(opcode.outputs);
        self.forget();
        self.path.synced_at(instruction.pc + 1);
    }

    /// Operands from the top that are small constants, and not at home: they need not be brought there.
    fn give(&mut self, inputs: u8) -> Given {
        let top = self.path.top;
        let small = |depth: u8| {
            let slot = self.path.slots.get(&(top - i32::from(depth))).filter(|slot| depth <= inputs && slot.dirty)?;
            self.constant(slot.value).and_then(|word| u32::try_from(word).ok())
        };
        let half = |depth: u8| small(depth).and_then(|word| u16::try_from(word).ok());
        let given = match (half(1), half(2)) {
            (Some(first), Some(second)) => Given::Two(first, second),
            _ => small(1).map_or(Given::Nothing, Given::One),
        };
        for slot in (top - given.operands().count() as i32)..top {
            self.path.slots.remove(&slot);
        }
        given
    }

    /// Values are read from home again rather than kept over a call, but for constants and checked addresses, which take one register.
    fn forget(&mut self) {
        let (definitions, narrow) = (&self.definitions, &self.path.narrow);
        self.path.slots.retain(|_, slot| definitions.constant(slot.value).is_some() || narrow.contains_key(&slot.value));
    }
}
