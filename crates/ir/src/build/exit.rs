//! Building: the ends of blocks.
//!
//! in   the last instruction of a block, the path before it
//! out  a terminator; blocks that go on from here are queued with their path, roots get what is not at home stored

use super::{Builder, path::Path};
use crate::{
    analysis::blocks::Exit,
    function::{Block, Edge, Given, HostCall, Inst, PureOp, Terminator, Type, Value, Via},
    leave::LeaveReason,
    opcodes::Class,
};

impl Builder<'_> {
    /// Ends the basic block.
    pub(super) fn exit(&mut self, source: usize) {
        let row = &self.blocks.list[source];
        let last = &self.code.instructions[row.end - 1];
        let end = match row.exit {
            Exit::FallThrough => {
                if source + 1 < self.blocks.list.len() {
                    let edge = self.edge(source + 1);
                    Terminator::Jump(edge)
                } else {
                    Terminator::Leave(self.leave(LeaveReason::Uncompiled, last.pc))
                }
            }
            Exit::Leave => Terminator::Leave(self.leave(LeaveReason::Invalid, last.pc)),
            Exit::Finish => {
                let table = last.opcode.is_some_and(|opcode| opcode.class == Class::FinishTable);
                // Nobody sees the stack afterwards, operands aside.
                let inputs = last.opcode.map_or(0, |opcode| i32::from(opcode.inputs));
                let top = self.path.top;
                self.path.slots.retain(|slot, _| *slot >= top - inputs);
                Terminator::Finish(self.host_call(last.byte, last.pc, if table { Via::Table } else { Via::Builtin }))
            }
            Exit::Suspend => self.suspend(source, Via::Table),
            Exit::Custom => self.suspend(source, Via::Step),
            Exit::Jump => self.jump(source, last.pc),
            Exit::JumpIf => self.jump_if(source, last.pc),
        };
        self.function.blocks[self.block.index()].end = Some(end);
    }

    fn host_call(&mut self, opcode: u8, pc: u32, via: Via) -> HostCall {
        self.store_dirty(&[]);
        HostCall { opcode, pc, top: self.path.top, via, given: Given::Nothing }
    }

    fn suspend(&mut self, source: usize, via: Via) -> Terminator {
        let last = &self.code.instructions[self.blocks.list[source].end - 1];
        let (inputs, outputs) = last.opcode.map_or((0, 0), |opcode| (i32::from(opcode.inputs), i32::from(opcode.outputs)));
        let charged = if via == Via::Table { u32::from(self.config.gas[usize::from(last.byte)]) } else { 0 };
        self.path.rest += charged;
        if source + 1 == self.blocks.list.len() {
            return Terminator::Leave(self.leave(LeaveReason::Uncompiled, last.pc));
        }
        if via == Via::Table {
            self.check_root_height(source + 1, last.pc, self.path.top - inputs + outputs);
        }
        self.path.rest -= charged;
        let call = self.host_call(last.byte, last.pc, via);
        if via == Via::Table {
            self.path.drop_top(inputs);
            self.path.top += outputs;
        }
        self.path.slots.clear();
        let block = self.root_block(source + 1);
        Terminator::Suspend { call, next: Edge { block, top: self.path.top, args: vec![] } }
    }

    /// An edge to a block: a root is given what it wants, any other block goes on with the path.
    fn edge(&mut self, target: usize) -> Edge {
        if !self.plan.root[target] {
            let block = self.new_block(self.blocks.list[target].pc, None, self.unlikely[target]);
            let is_open = self.continuing == Some(target);
            self.queue.push((target, block, Path { is_open, ..self.path.clone() }));
            return Edge { block, top: 0, args: vec![] };
        }
        let block = self.root_block(target);
        self.give_back();
        self.check_root_height(target, self.blocks.list[target].pc, self.path.top);
        let params = self.params(block);
        self.store_dirty(&params);
        let args = params.iter().map(|slot| self.slot(*slot)).collect();
        Edge { block, top: self.path.top, args }
    }

    /// The slots that a root wants in values, counted as the present path counts.
    fn params(&self, root: Block) -> Vec<i32> {
        let facts = self.function.blocks[root.index()].root.as_ref();
        facts.map_or_else(Vec::new, |root| root.params.iter().map(|(slot, _)| slot + self.path.top).collect())
    }

    /// An edge that does its stores in a block of its own when there are any, since the other way may not need them.
    fn side_edge(&mut self, target: usize) -> Edge {
        if !self.plan.root[target] {
            return self.edge(target);
        }
        let block = self.new_block(self.blocks.list[target].pc, None, self.unlikely[target]);
        let (outer, path) = (self.block, self.path.clone());
        self.block = block;
        let edge = self.edge(target);
        self.path = path;
        self.block = outer;
        let is_plain = self.function.blocks[block.index()].insts.is_empty() && edge.args.is_empty();
        if is_plain && block.index() + 1 == self.function.blocks.len() {
            self.function.blocks.pop();
            return edge;
        }
        self.function.blocks[block.index()].end = Some(Terminator::Jump(edge));
        Edge { block, top: 0, args: vec![] }
    }

    /// A block that gives the frame back at `pc`.
    fn leave_block(&mut self, reason: LeaveReason, pc: u32) -> Edge {
        let leave = self.leave(reason, pc);
        let block = self.new_block(pc, None, true);
        self.function.blocks[block.index()].end = Some(Terminator::Leave(leave));
        Edge { block, top: 0, args: vec![] }
    }

    /// Leaves instead of going on to a cold block, or to one outside of the region.
    fn skip(&mut self, block: usize) -> Edge {
        self.leave_block(self.reason_to_skip(block), self.blocks.list[block].pc)
    }

    fn reason_to_skip(&self, block: usize) -> LeaveReason {
        if self.flow.blocks[block].outside { LeaveReason::Outside } else { LeaveReason::Revert }
    }

    /// The same where there is no other way.
    fn skip_certainly(&mut self, block: usize) -> Terminator {
        let reason = self.reason_to_skip(block);
        Terminator::Leave(self.leave(reason, self.blocks.list[block].pc))
    }

    fn jump(&mut self, source: usize, pc: u32) -> Terminator {
        let back = self.path.clone();
        let target = self.pop();
        self.jump_to(source, pc, target, back, 1)
    }

    /// Jumps to a word. `before` is the path before the instruction, which pops `popped` entries.
    fn jump_to(&mut self, source: usize, pc: u32, target: Value, before: Path, popped: i32) -> Terminator {
        let gas = u32::from(self.config.gas[usize::from(self.code.instructions[self.blocks.list[source].end - 1].byte)]);
        let row = &self.flow.blocks[source];
        let known = self.known_target(target);
        if let Some(block) = known.filter(|block| self.has_way(source, *block)) {
            return Terminator::Jump(self.edge(block));
        }
        let after = std::mem::replace(&mut self.path, before);
        self.path.rest += gas;
        if !self.plan.compared[source] && !self.plan.any_dispatch {
            return Terminator::Leave(self.leave(LeaveReason::Jump, pc));
        }
        if !self.plan.compared[source] {
            self.store_dirty(&[]);
            self.path.rest -= gas;
            self.give_back();
            self.path.rest = gas;
            self.path.sync.valid = false;
            let leave = self.leave(LeaveReason::Jump, pc);
            self.queue_dispatch();
            return Terminator::Dispatch { target, top: self.path.top - popped, leave };
        }
        let is_outside = known.is_some_and(|block| self.flow.blocks[block].outside);
        let leave = self.leave(if is_outside { LeaveReason::Outside } else { LeaveReason::Jump }, pc);
        self.path = after;
        let targets: Vec<usize> = row.targets.iter().copied().filter(|target| !self.cold[*target]).collect();
        if targets.is_empty() {
            return Terminator::Leave(leave);
        }
        let cases = targets.iter().map(|target| (self.blocks.list[*target].pc, self.side_edge(*target))).collect();
        Terminator::Switch { target, cases, leave }
    }

    /// The block that a word is known to jump to.
    fn known_target(&self, target: Value) -> Option<usize> {
        let word = self.constant(target).filter(|word| self.code.is_jump_destination(*word))?;
        self.blocks.at(word.to::<u32>())
    }

    /// Whether a jump has an edge to a block (G3) that the plan knows (G5): it does where the jump is compared with its targets, and a root
    /// may have any number of ways in.
    fn has_way(&self, source: usize, target: usize) -> bool {
        let row = &self.flow.blocks[source];
        let is_planned = self.plan.compared[source] || self.plan.root[target];
        row.targets.contains(&target) && is_planned && !self.flow.blocks[target].outside
    }

    fn queue_dispatch(&mut self) {
        if self.dispatch_queued {
            return;
        }
        self.dispatch_queued = true;
        for block in 0..self.blocks.list.len() {
            if self.plan.dispatch[block] && self.flow.blocks[block].reached {
                self.root_block(block);
            }
        }
    }

    fn jump_if(&mut self, source: usize, pc: u32) -> Terminator {
        let before = self.path.clone();
        let target = self.pop();
        let word = self.pop();
        if let Some(constant) = self.constant(word) {
            if constant.is_zero() {
                return self.not_taken(source, pc);
            }
            if let Some(block) = self.known_target(target).filter(|block| self.cold[*block] && self.has_way(source, *block)) {
                return self.skip_certainly(block);
            }
            return self.jump_to(source, pc, target, before, 2);
        }
        let zero = self.define(Inst::Pure(PureOp::IsZero, vec![word]));
        let condition = self.define(Inst::Pure(PureOp::BoolNot, vec![zero]));
        debug_assert_eq!(self.function.type_of(condition), Type::Bool);
        let taken = self.taken(source, pc, target, before);
        let other = if source + 1 == self.blocks.list.len() {
            self.leave_block(LeaveReason::Uncompiled, pc + 1)
        } else if self.cold[source + 1] {
            self.skip(source + 1)
        } else {
            self.side_edge(source + 1)
        };
        Terminator::Branch(condition, taken, other)
    }

    /// A JUMPI whose condition is constant and false.
    fn not_taken(&mut self, source: usize, pc: u32) -> Terminator {
        if source + 1 == self.blocks.list.len() {
            return Terminator::Leave(self.leave(LeaveReason::Uncompiled, pc + 1));
        }
        // The plan knows no way from a JUMPI to a cold block (G5).
        if self.cold[source + 1] {
            return self.skip_certainly(source + 1);
        }
        Terminator::Jump(self.edge(source + 1))
    }

    /// The edge of a JUMPI that jumps.
    fn taken(&mut self, source: usize, pc: u32, target: Value, before: Path) -> Edge {
        let known = self.known_target(target);
        if let Some(block) = known.filter(|block| self.has_way(source, *block) || self.flow.blocks[*block].outside) {
            if self.cold[block] {
                return self.skip(block);
            }
            return self.side_edge(block);
        }
        let block = self.new_block(pc, None, false);
        let (outer, path) = (self.block, self.path.clone());
        self.block = block;
        let end = self.jump_to(source, pc, target, before, 2);
        self.function.blocks[block.index()].end = Some(end);
        self.block = outer;
        self.path = path;
        Edge { block, top: 0, args: vec![] }
    }
}
