//! Building: basic blocks to SSA.
//!
//! in   code, blocks, flow, cold blocks
//! out  a [`Function`] whose values live within the tree of blocks that hangs on one root, and round promoted loops
//!
//! G1  Gas sections: static gas is charged at a section's start, for the instructions up to the first that can see gas or
//!     charge it dynamically, that one included. A memory access does not end a section: `Reach` is told what is charged for
//!     behind it. A section goes on into the block that most likely follows, where that has no other way in; any other way out
//!     gives the rest back.
//! G2  Before an opcode declared custom everything is charged and at home; behind it nothing is known.
//! G3  An edge leads to a block without a check only where the flow analysis has that edge.
//! G4  Heights are believed as far as the root's facts and the checks on the way tell. What the flow analysis knows better,
//!     since it tells the callers of an internal function apart, does not hold for a frame that entered inside that function:
//!     where a root relies on it, the edge checks it.
//! G5  A block that is no root is built once: it has one way in (`plan`, P1). What lies outside of the region is not built, nor what the flow
//!     analysis did not reach, whoever leads there: the plan does not know its ways out, and whoever followed them could go in circles.

mod exit;
mod exponents;
mod instruction;
mod path;
mod plan;

use crate::{
    analysis::{
        blocks::{Blocks, Exit, is_left},
        flow::{Flow, STACK_LIMIT, is_constant_jump},
        region,
    },
    bytecode::Code,
    compile::Config,
    function::{Block, BlockData, Function, Inst, Leave, LeaveId, Root, Terminator, Value},
    leave::LeaveReason,
    opcodes::Class,
    opt::simplify::{self, Definitions, Simplified},
};
use alloy_primitives::U256;
pub use exponents::GAS_MAX as EXPONENT_GAS_MAX;
use path::{Path, Slot};
use plan::Plan;
use std::collections::HashMap;

/// Builds the SSA form; also tells how many EVM instructions it holds.
pub fn build(code: &Code, blocks: &Blocks, flow: &Flow, cold: &[bool], config: &Config) -> (Function, usize) {
    let plan = plan::plan(code, blocks, flow, cold, config);
    let unlikely = region::unlikely(blocks, config);
    let mut builder = Builder {
        code,
        blocks,
        flow,
        cold,
        unlikely,
        config,
        plan,
        function: Function::default(),
        definitions: Definitions::default(),
        roots: HashMap::new(),
        queue: vec![],
        dispatch_queued: false,
        entries: 1,
        block: Block(0),
        path: Path::default(),
        continuing: None,
        exponents: exponents::exponents(code, blocks, config),
        counts_free_memory: instruction::counts_free_memory(code),
        built: vec![false; blocks.list.len()],
        instructions: 0,
    };
    builder.root_block(0);
    builder.drain();
    if config.region.is_some() {
        // Entries that no compiled edge leads to: frames come to them through the interpreter.
        for source in 0..blocks.list.len() {
            if builder.plan.entry[source] && flow.blocks[source].reached && !flow.blocks[source].outside {
                builder.root_block(source);
                builder.drain();
            }
        }
    }
    (builder.function, builder.instructions)
}

struct Builder<'a> {
    code: &'a Code,
    blocks: &'a Blocks,
    flow: &'a Flow,
    cold: &'a [bool],
    /// Per basic block, whether others were seen to run and it was not.
    unlikely: Vec<bool>,
    config: &'a Config,
    plan: Plan,
    function: Function,
    definitions: Definitions,
    /// SSA blocks of the roots met so far.
    roots: HashMap<usize, Block>,
    /// Basic blocks to be built: source, place, what is known there.
    queue: Vec<(usize, Block, Path)>,
    dispatch_queued: bool,
    entries: u32,
    /// The block being built.
    block: Block,
    path: Path,
    /// The block that goes on with the section of the block being built.
    continuing: Option<usize>,
    /// Base and exponent of the EXP instructions, by index, whose operands are constants of their block.
    exponents: HashMap<usize, (U256, U256)>,
    counts_free_memory: bool,
    /// Per basic block, whether it was built (G5).
    built: Vec<bool>,
    instructions: usize,
}

impl Builder<'_> {
    fn drain(&mut self) {
        while let Some((source, block, path)) = self.queue.pop() {
            self.basic_block(source, block, path);
        }
    }

    /// The SSA block of a root; queues it when it is met first.
    fn root_block(&mut self, source: usize) -> Block {
        if let Some(block) = self.roots.get(&source) {
            return *block;
        }
        let row = &self.flow.blocks[source];
        let pc = self.blocks.list[source].pc;
        let mut path = Path::default();
        let mut params = vec![];
        for slot in self.plan.loops.slots.get(&source).cloned().unwrap_or_default() {
            if -slot > i32::from(row.height_min) {
                continue;
            }
            let value = self.function.value(crate::function::Type::Word);
            params.push((slot, value));
            path.slots.insert(slot, Slot { value, dirty: true });
        }
        let entry = self.plan.entry[source].then_some(if source == 0 { 0 } else { self.entries });
        self.entries += u32::from(entry.is_some_and(|entry| entry != 0));
        path.heights = (row.height_min.into(), row.height_max.into());
        path.keeps_values = !params.is_empty();
        path.synced_at(pc);
        path.sync.valid = params.is_empty();
        let root = Root {
            params,
            entry,
            height_min: row.height_min,
            height_max: row.height_max,
            memory_min: 0,
            dispatch: self.plan.dispatch[source],
        };
        let block = self.new_block(pc, Some(root), self.unlikely[source]);
        self.roots.insert(source, block);
        self.queue.push((source, block, path));
        block
    }

    fn new_block(&mut self, pc: u32, root: Option<Root>, unlikely: bool) -> Block {
        self.function.blocks.push(BlockData { pc, root, unlikely, insts: vec![], end: None });
        Block(self.function.blocks.len() as u32 - 1)
    }

    /// Appends an instruction; the value it defines, simplified where that is possible.
    fn emit(&mut self, inst: Inst) -> Option<Value> {
        match simplify::simplify(&self.definitions, inst) {
            Simplified::Value(value) => Some(value),
            Simplified::Inst(inst) => self.append(inst),
            Simplified::Operand { op, constant, other, constant_first } => {
                let constant = self.append(Inst::Const(constant))?;
                let args = if constant_first { vec![constant, other] } else { vec![other, constant] };
                self.append(Inst::Pure(op, args))
            }
        }
    }

    fn append(&mut self, inst: Inst) -> Option<Value> {
        let value = inst.result().map(|ty| self.function.value(ty));
        if let Some(value) = value {
            self.definitions.set(value, &inst);
        }
        self.function.blocks[self.block.index()].insts.push((value, inst));
        value
    }

    /// The constant that a value is known to be.
    fn constant(&self, value: Value) -> Option<U256> {
        self.definitions.constant(value)
    }

    /// Appends an instruction that defines a value.
    fn define(&mut self, inst: Inst) -> Value {
        self.emit(inst).unwrap_or(Value(u32::MAX))
    }

    /// The value of the entry `depth` below the top, read from home when it is not known.
    fn peek(&mut self, depth: i32) -> Value {
        let index = self.path.top - 1 - depth;
        self.slot(index)
    }

    fn slot(&mut self, index: i32) -> Value {
        if let Some(slot) = self.path.slots.get(&index) {
            return slot.value;
        }
        let value = self.define(Inst::Load(index));
        self.path.slots.insert(index, Slot { value, dirty: false });
        value
    }

    fn pop(&mut self) -> Value {
        let value = self.peek(0);
        self.path.drop_top(1);
        value
    }

    /// Stores every stale slot, except those listed.
    fn store_dirty(&mut self, except: &[i32]) {
        for (index, value) in self.path.dirty() {
            if except.contains(&index) {
                continue;
            }
            self.emit(Inst::Store(index, value));
            if let Some(slot) = self.path.slots.get_mut(&index) {
                slot.dirty = false;
            }
        }
    }

    /// A leave to the state before the instruction at `pc`, at present or at the sync point.
    fn leave(&mut self, reason: LeaveReason, pc: u32) -> LeaveId {
        let sync = &self.path.sync;
        // Tests want both ways to leave.
        let back = sync.valid && !(self.config.force_leaves && pc % 2 == 1);
        self.function.leaves.push(if back {
            Leave { reason, pc: sync.pc, gas: sync.charged, top: sync.top, stores: sync.constants.clone() }
        } else {
            Leave { reason, pc, gas: self.path.rest, top: self.path.top, stores: self.path.dirty() }
        });
        LeaveId(self.function.leaves.len() as u32 - 1)
    }

    /// Charges gas at the instruction `pc`.
    fn charge(&mut self, gas: u32, pc: u32) {
        if gas == 0 {
            return;
        }
        let leave = self.leave(LeaveReason::Gas, pc);
        self.emit(Inst::Charge { gas, leave });
        match self.path.sync.charged.checked_add(gas) {
            Some(charged) => self.path.sync.charged = charged,
            None => self.path.sync.valid = false,
        }
    }

    /// Charges for the section that begins at the instruction `pc`. What was charged for instructions that do not follow after
    /// all counts towards it.
    fn charge_section(&mut self, gas: u32, pc: u32) {
        let rest = self.path.rest;
        if gas >= rest {
            self.charge(gas - rest, pc);
        } else {
            self.path.rest = rest - gas;
            self.give_back();
        }
        self.path.rest = gas;
    }

    fn basic_block(&mut self, source: usize, block: Block, path: Path) {
        self.block = block;
        self.path = path;
        let mut in_section = std::mem::take(&mut self.path.is_open);
        let row = &self.blocks.list[source];
        let is_left_out = self.is_left_out(source);
        let is_again = !is_left_out && std::mem::replace(&mut self.built[source], true);
        debug_assert!(!is_again, "the block at {} is built twice (G5)", row.pc);
        if is_left_out || is_again {
            let reason = if self.flow.blocks[source].outside { LeaveReason::Outside } else { LeaveReason::Uncompiled };
            let leave = self.leave(reason, row.pc);
            self.function.blocks[block.index()].end = Some(Terminator::Leave(leave));
            return;
        }
        if let Some(leave) = self.check_block_height(source) {
            self.function.blocks[block.index()].end = Some(Terminator::Leave(leave));
            return;
        }
        for index in row.first..row.end {
            let instruction = &self.code.instructions[index];
            let byte = instruction.byte;
            self.bound_slots(instruction.pc);
            if !in_section {
                // G1; an instruction left to the interpreter, or declared custom, charges for itself.
                let gas = self.section_gas(source, index);
                self.charge_section(gas, instruction.pc);
            }
            self.forced(instruction.pc);
            if is_left(instruction, self.config) || self.config.is_custom(byte) {
                break;
            }
            self.instructions += 1;
            if index + 1 == row.end && row.exit != Exit::FallThrough {
                self.path.rest = self.path.rest.saturating_sub(u32::from(self.config.gas[usize::from(byte)]));
                break;
            }
            self.instruction(index);
            in_section = !self.ends_section(index);
        }
        self.continuing = self.section_successor(source).filter(|_| in_section);
        self.exit(source);
    }

    /// Brings every entry home when many are known: each leave would repeat the stores, each block the path.
    fn bound_slots(&mut self, pc: u32) {
        let known_max = self.config.limits.path_slots_max as usize;
        if self.path.slots.len() > known_max {
            self.store_dirty(&[]);
            self.path.forget_below(known_max / 2);
            self.path.synced_at(pc);
        }
    }

    /// Static gas from this instruction to the end of its section, which may lie blocks further.
    fn section_gas(&self, source: usize, first: usize) -> u32 {
        let (mut gas, mut block, mut first) = (0, source, first);
        loop {
            for index in first..self.blocks.list[block].end {
                let instruction = &self.code.instructions[index];
                if is_left(instruction, self.config) || self.config.is_custom(instruction.byte) {
                    return gas;
                }
                gas += u32::from(self.config.gas[usize::from(instruction.byte)]) + self.known_exp_gas(index);
                if self.ends_section(index) {
                    return gas;
                }
            }
            match self.section_successor(block) {
                Some(next) => (block, first) = (next, self.blocks.list[next].first),
                None => return gas,
            }
        }
    }

    /// The block that a section goes on in: one that hangs on this block and is reached most likely. It has no other way in, so
    /// that sections do not run in circles.
    fn section_successor(&self, source: usize) -> Option<usize> {
        let next = (source + 1 < self.blocks.list.len()).then_some(source + 1);
        let target = || {
            let targets = &self.flow.blocks[source].targets;
            let is_constant = self.plan.compared[source] && is_constant_jump(self.code, self.blocks, source);
            targets.first().copied().filter(|_| is_constant && targets.len() == 1)
        };
        let fits = |block: &usize| !self.plan.root[*block] && !self.is_left_out(*block);
        let is_warm = |block: &usize| !self.cold[*block];
        match self.blocks.list[source].exit {
            Exit::FallThrough => next.filter(fits),
            Exit::Jump => target().filter(fits),
            Exit::JumpIf => match (next.filter(is_warm), target().filter(is_warm)) {
                (Some(next), Some(target)) if self.unlikely[next] && !self.unlikely[target] => Some(target),
                (None, target) => target,
                (next, _) => next,
            }
            .filter(fits),
            Exit::Suspend | Exit::Custom | Exit::Finish | Exit::Leave => None,
        }
    }

    /// Whether the plan knows no ways out of a block (G5).
    fn is_left_out(&self, block: usize) -> bool {
        let row = &self.flow.blocks[block];
        row.outside || !row.reached
    }

    /// Gives back what was charged for instructions that do not follow after all.
    fn give_back(&mut self) {
        let rest = std::mem::take(&mut self.path.rest);
        if rest != 0 {
            self.emit(Inst::GiveBack(rest));
            self.path.sync.charged = self.path.sync.charged.saturating_sub(rest);
        }
    }

    /// Stores every stale slot but constants below the slot `operands`.
    fn store_computed(&mut self, operands: i32) {
        let lazy: Vec<i32> = self
            .path
            .dirty()
            .into_iter()
            .filter(|(slot, value)| *slot < operands && self.constant(*value).is_some())
            .map(|(slot, _)| slot)
            .collect();
        self.store_dirty(&lazy);
    }

    /// The dynamic gas of an EXP of constants, which is charged with its section.
    fn known_exp_gas(&self, index: usize) -> u32 {
        self.exponents.get(&index).map_or(0, |(_, exponent)| self.config.exp_gas[exponent.byte_len()])
    }

    fn ends_section(&self, index: usize) -> bool {
        if self.exponents.contains_key(&index) {
            return false;
        }
        self.code.instructions[index].opcode.is_none_or(|opcode| {
            matches!(
                opcode.class,
                Class::Gas | Class::Exp | Class::Builtin | Class::Table | Class::Suspend | Class::Finish | Class::FinishTable
            )
        })
    }

    /// Checks the entries that the block needs and the room it takes; the way out when it certainly cannot run.
    fn check_block_height(&mut self, source: usize) -> Option<LeaveId> {
        let block = &self.blocks.list[source];
        let room = i32::from(STACK_LIMIT) - i32::from(block.grows);
        self.check_height(LeaveReason::Stack, block.pc, self.path.top, (block.needs.into(), room))
    }

    /// Checks that the stack, whose top is slot `top`, is between two heights, where that is not known (G4); the way out when it
    /// certainly is not.
    fn check_height(&mut self, reason: LeaveReason, pc: u32, top: i32, (min, max): (i32, i32)) -> Option<LeaveId> {
        let (low, high) = self.path.heights;
        let needs = if low + top < min { min as u16 } else { 0 };
        let grows = if high + top > max { (i32::from(STACK_LIMIT) - max) as u16 } else { 0 };
        if needs == 0 && grows == 0 {
            return None;
        }
        let leave = self.leave(reason, pc);
        self.emit(Inst::Height { top, needs, grows, leave });
        self.path.heights = (low.max(min - top), high.min(max - top));
        (self.path.heights.0 > self.path.heights.1).then_some(leave)
    }

    /// Checks what a root wants of the stack, whose top will be slot `top`, before it is entered.
    fn check_root_height(&mut self, target: usize, pc: u32, top: i32) {
        let row = &self.flow.blocks[target];
        // Where it certainly does not fit the edge is never taken, so nothing more is to be known of it.
        let _ = self.check_height(LeaveReason::Guard, pc, top, (row.height_min.into(), row.height_max.into()));
    }

    fn forced(&mut self, pc: u32) {
        if self.config.force_leaves {
            let leave = self.leave(LeaveReason::Forced, pc);
            self.emit(Inst::Forced { bit: forced_bit(pc), leave });
        }
    }
}

/// The bit of the leave mask that belongs to an instruction boundary.
pub const fn forced_bit(pc: u32) -> u8 {
    (pc.wrapping_mul(0x9e37_79b1) >> 26) as u8
}
