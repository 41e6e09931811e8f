//! The rules that are checked along the tree of blocks on each root: what is visible, covered, and how high the stack stands.
//!
//! in   a function of which the other rules hold
//! out  nothing, or the first broken rule
//!
//! The walk goes depth first and takes back what a block added when it leaves it, so that it is linear.

use super::{Checked, STACK_LIMIT, broken, hold, is_slot, is_top};
use crate::{
    function::{Edge, Function, HostCall, Inst, LeaveId, Root, Terminator, Type, Value, Via},
    opcodes,
};
use std::collections::HashSet;

/// What is known on the way from a root, apart from visible values.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// Bytes that memory has at least.
    memory: u64,
    /// Least stack height at the root.
    height_min: i32,
    /// Greatest stack height at the root.
    height_max: i32,
    /// Gas charged on the way and not given back.
    charged: u64,
}

/// One step of the walk.
enum Step {
    /// Checks a block.
    Enter(usize, Facts),
    /// Takes back what a block added; its checks are those noted from this place on.
    Leave(usize, usize),
}

/// The walk over all trees.
pub struct Walk<'a> {
    function: &'a Function,
    visible: Vec<bool>,
    /// Per number: bytes behind it that are checked.
    covered: Vec<u64>,
    /// What was covered before each check on the way.
    before: Vec<(Value, u64)>,
    /// What defines each value; nothing for parameters.
    defined_by: Vec<Option<&'a Inst>>,
    met: Vec<bool>,
}

impl<'a> Walk<'a> {
    /// Prepares the walk; all values defined in the function must stand in its table.
    pub fn new(function: &'a Function) -> Self {
        let count = function.values.len();
        Self {
            function,
            visible: vec![false; count],
            covered: vec![0; count],
            before: vec![],
            defined_by: function.by_value(Some),
            met: vec![false; function.blocks.len()],
        }
    }

    /// Walks.
    pub fn run(mut self) -> Checked {
        for (number, block) in self.function.blocks.iter().enumerate() {
            let Some(root) = &block.root else { continue };
            let facts = Facts {
                memory: root.memory_min.into(),
                height_min: root.height_min.into(),
                height_max: root.height_max.into(),
                charged: 0,
            };
            let mut work = vec![Step::Enter(number, facts)];
            while let Some(step) = work.pop() {
                match step {
                    Step::Enter(block, facts) => self.enter(block, facts, &mut work)?,
                    Step::Leave(block, checks) => self.take_back(block, checks),
                }
            }
        }
        let missed = self.met.iter().position(|met| !met);
        missed.map_or(Ok(()), |block| Err(broken(3, block, "hangs on no root")))
    }

    fn enter(&mut self, number: usize, mut facts: Facts, work: &mut Vec<Step>) -> Checked {
        let block = &self.function.blocks[number];
        self.met[number] = true;
        work.push(Step::Leave(number, self.before.len()));
        for (_, value) in block.root.iter().flat_map(|root| &root.params) {
            self.visible[value.index()] = true;
        }
        for (value, inst) in &block.insts {
            self.inst(inst, number, &mut facts)?;
            if let Some(value) = value {
                self.visible[value.index()] = true;
            }
        }
        let Some(end) = &block.end else { return Ok(()) };
        self.terminator(end, number, &facts)?;
        for edge in end.edges() {
            match &self.function.blocks[edge.block.index()].root {
                Some(root) => self.arrive(edge, root, end, number, facts)?,
                None => work.push(Step::Enter(edge.block.index(), facts)),
            }
        }
        Ok(())
    }

    fn take_back(&mut self, number: usize, checks: usize) {
        for (address, length) in self.before.drain(checks..).rev() {
            self.covered[address.index()] = length;
        }
        let block = &self.function.blocks[number];
        let params = block.root.iter().flat_map(|root| &root.params).map(|(_, value)| value);
        for value in params.chain(block.insts.iter().filter_map(|(value, _)| value.as_ref())) {
            self.visible[value.index()] = false;
        }
    }

    /// V5, V6 for one operand.
    fn operand(&self, value: Value, ty: Type, block: usize) -> Checked {
        let visible = self.visible.get(value.index()) == Some(&true);
        hold(visible, 5, block, || format!("{value} is not defined here"))?;
        let own = self.function.type_of(value);
        hold(own == ty, 6, block, || format!("{value} is {own:?}, wanted {ty:?}"))
    }

    /// V5, V16.
    fn address(&self, value: Value, block: usize) -> Checked {
        match self.operand(value, Type::Num, block) {
            Err(error) if error.rule == 6 => Err(broken(16, block, error.message)),
            other => other,
        }
    }

    /// The number that an address stands behind, and how far.
    fn base(&self, address: Value) -> (Value, u32) {
        self.defined_by[address.index()].and_then(Inst::as_offset).unwrap_or((address, 0))
    }

    /// The address, if it is a constant one.
    fn number(&self, address: Value) -> Option<u64> {
        self.defined_by[address.index()].and_then(Inst::as_number)
    }

    /// V17 for an access.
    fn access(&self, address: Value, length: u32, block: usize, facts: &Facts) -> Checked {
        self.address(address, block)?;
        let is_covered = match self.number(address) {
            Some(number) => number.saturating_add(length.into()) <= facts.memory,
            None => {
                let (base, offset) = self.base(address);
                self.covered[base.index()] >= u64::from(offset) + u64::from(length)
            }
        };
        hold(is_covered, 17, block, || format!("{length} bytes at {address} are not checked"))
    }

    fn inst(&mut self, inst: &Inst, block: usize, facts: &mut Facts) -> Checked {
        if let Some(leave) = inst.leave() {
            self.leave_row(leave, block, facts)?;
        }
        match inst {
            Inst::Const(_) | Inst::Number(_) | Inst::Field(_) => Ok(()),
            Inst::Charge { gas, .. } => {
                facts.charged += u64::from(*gas);
                Ok(())
            }
            Inst::GiveBack(gas) => {
                let left = facts.charged.checked_sub(u64::from(*gas));
                facts.charged = left.ok_or_else(|| broken(20, block, format!("{gas} back of {}", facts.charged)))?;
                Ok(())
            }
            Inst::Pure(op, args) => {
                let (given, wanted) = (args.len(), op.operands().len());
                hold(given == wanted, 6, block, || format!("{given} operands of {}, wanted {wanted}", op.name()))?;
                args.iter().zip(op.operands()).try_for_each(|(arg, ty)| self.operand(*arg, *ty, block))
            }
            Inst::Load(slot) => is_slot(*slot, block),
            Inst::Store(slot, value) => {
                is_slot(*slot, block)?;
                self.operand(*value, Type::Word, block)
            }
            Inst::Height { top, needs, grows, .. } => {
                is_top(*top, block)?;
                if *needs != 0 {
                    facts.height_min = facts.height_min.max(i32::from(*needs) - top);
                }
                if *grows != 0 {
                    facts.height_max = facts.height_max.min(STACK_LIMIT - i32::from(*grows) - top);
                }
                Ok(())
            }
            Inst::Narrow(value, _) | Inst::CallDataLoad(value) => self.operand(*value, Type::Word, block),
            Inst::Reach { address, length, .. } => {
                self.address(*address, block)?;
                match self.number(*address) {
                    Some(number) => facts.memory = facts.memory.max(number.saturating_add(u64::from(*length))),
                    None => {
                        let (base, offset) = self.base(*address);
                        let covered = &mut self.covered[base.index()];
                        self.before.push((base, *covered));
                        *covered = (*covered).max(u64::from(offset) + u64::from(*length));
                    }
                }
                Ok(())
            }
            Inst::Offset(base, bytes) => {
                self.address(*base, block)?;
                let is_narrowed = matches!(self.defined_by[base.index()], Some(Inst::Narrow(..))) && *bytes < 1 << 31;
                hold(is_narrowed, 21, block, || format!("{bytes} bytes behind {base}"))
            }
            Inst::MLoad(address) => self.access(*address, 32, block, facts),
            Inst::MStore(address, value) => {
                self.access(*address, 32, block, facts)?;
                self.operand(*value, Type::Word, block)
            }
            Inst::MStore8(address, value) => {
                self.access(*address, 1, block, facts)?;
                self.operand(*value, Type::Word, block)
            }
            Inst::Host(call) => host_call(call, block),
            Inst::Forced { bit, .. } => hold(*bit < 64, 19, block, || format!("bit {bit}")),
        }
    }

    fn terminator(&self, end: &Terminator, block: usize, facts: &Facts) -> Checked {
        if let Some(leave) = end.leave() {
            self.leave_row(leave, block, facts)?;
        }
        match end {
            Terminator::Jump(_) | Terminator::Leave(_) => Ok(()),
            Terminator::Branch(condition, ..) => self.operand(*condition, Type::Bool, block),
            Terminator::Switch { target, .. } => self.operand(*target, Type::Word, block),
            Terminator::Dispatch { target, top, .. } => {
                is_top(*top, block)?;
                self.operand(*target, Type::Word, block)
            }
            Terminator::Finish(call) | Terminator::Suspend { call, .. } => host_call(call, block),
        }
    }

    /// V10, V11, V20.
    fn leave_row(&self, leave: LeaveId, block: usize, facts: &Facts) -> Checked {
        let row = &self.function.leaves[leave.index()];
        is_top(row.top, block)?;
        let (back, charged) = (row.gas, facts.charged);
        hold(u64::from(back) <= charged, 20, block, || format!("{leave} gives {back} back of {charged}"))?;
        let mut slots = HashSet::with_capacity(row.stores.len());
        for (slot, value) in &row.stores {
            is_slot(*slot, block)?;
            hold(*slot < row.top, 10, block, || format!("{leave} stores [{slot}] above its top"))?;
            hold(slots.insert(*slot), 10, block, || format!("{leave} stores [{slot}] twice"))?;
            let stored = self.operand(*value, Type::Word, block);
            stored.map_err(|error| broken(10, block, format!("{leave}: {}", error.message)))?;
        }
        Ok(())
    }

    /// V5, V6 of the arguments of an edge to a root, V17 and V18 of what it brings.
    fn arrive(&self, edge: &Edge, root: &Root, end: &Terminator, block: usize, facts: Facts) -> Checked {
        edge.args.iter().try_for_each(|arg| self.operand(*arg, Type::Word, block))?;
        let (wanted, brought) = (root.memory_min, facts.memory);
        hold(brought >= wanted.into(), 17, block, || format!("{} wants {wanted} bytes, not {brought}", edge.block))?;
        if matches!(end, Terminator::Suspend { call, .. } if call.via == Via::Step) {
            let all = root.height_min == 0 && i32::from(root.height_max) == STACK_LIMIT;
            return hold(all, 18, block, || format!("{} relies on a height that nothing tells", edge.block));
        }
        // Checks that contradict each other leave an empty range: the edge is never taken.
        let (min, max) = (facts.height_min + edge.top, facts.height_max + edge.top);
        let within = min > max || min >= root.height_min.into() && max <= root.height_max.into();
        hold(within, 18, block, || {
            format!("{} wants height {}..={}, not {min}..={max}", edge.block, root.height_min, root.height_max)
        })
    }
}

fn host_call(call: &HostCall, block: usize) -> Checked {
    is_top(call.top, block)?;
    let inputs = opcodes::info(call.opcode).filter(|_| call.via == Via::Builtin).map_or(0, |opcode| usize::from(opcode.inputs));
    let given = call.given.operands().count();
    hold(given <= inputs, 22, block, || format!("{given} operands are given"))
}
