//! Lowering of what the host executes, and of leaves.
//!
//! in   host calls, leave rows
//! out  calls through the builtin table; one exit per part that leaves share, but for those of stubs (`stubs`, Y4)

use super::{
    Lower, Result,
    stubs::{Handed, SECOND_WORD},
    symbols,
};
use hotevm_abi::{LeaveRow, NativeFrame, PLACE_GAS_MAX, PLACE_PC_MAX, Status};
use hotevm_ir::{
    function::{Edge, Given, HostCall, Inst, Leave, LeaveId, Value, Via},
    opcodes::byte,
};
use inkwell::{
    IntPredicate,
    basic_block::BasicBlock,
    values::{BasicMetadataValueEnum, BasicValueEnum, FunctionValue, InstructionValue, IntValue, PhiValue, PointerValue},
};
use std::mem::offset_of;

/// What the stub is told that grows memory or leaves: gas in the lower half of 32 bits, the site in the upper.
pub(super) const GROWTH_SITE_SHIFT: u32 = 16;
pub(super) const GROWTH_GAS_MAX: u32 = (1 << GROWTH_SITE_SHIFT) - 1;
const GROWTH_SITE_MAX: usize = (1 << (32 - GROWTH_SITE_SHIFT)) - 1;
/// Sites that one exit of a root tells apart.
const EXIT_SITES_MAX: u32 = 256;

/// Where the leaves of a root come together.
#[derive(Debug, Clone, Copy)]
pub(super) struct RootExit<'ctx> {
    block: BasicBlock<'ctx>,
    /// The site, counted from `first_site`.
    phi: PhiValue<'ctx>,
    first_site: u32,
}

impl<'ctx> Lower<'ctx, '_> {
    /// Calls the builtin for an opcode; its status, unless it only comes back to go on.
    fn host_call_of(
        &mut self,
        call: &HostCall,
        gas_behind: u32,
        exits: bool,
        top: PointerValue<'ctx>,
    ) -> Result<Option<BasicValueEnum<'ctx>>> {
        let row = match call.via {
            Via::Builtin => symbols::row_of_opcode(call.opcode)?,
            Via::Table => symbols::row("table_call")?,
            Via::Step => symbols::row("step")?,
        };
        if call.pc > PLACE_PC_MAX || gas_behind > PLACE_GAS_MAX {
            return Err(self.defect("a host instruction whose place is too great"));
        }
        let opcode = if call.via == Via::Builtin { 0 } else { call.opcode };
        let place = self.symbols.i64.const_int(hotevm_abi::place(opcode, call.pc, gas_behind), false);
        let height = self.moved_top(top, call.top)?;
        let handed = match self.second.take() {
            Some(_) if !hashes_a_pair(call) => return Err(self.defect("a word that no stub stores")),
            Some(word) => Handed::Second(word),
            None => Handed::Given(call.given),
        };
        let stub = self.host_stub(row, exits, handed)?;
        let unused = self.symbols.pointer.get_poison();
        let mut args: Vec<BasicMetadataValueEnum<'_>> = vec![unused.into(), height.into(), place.into()];
        let given = handed.packed().map(|given| self.symbols.i32.const_int(given.into(), false));
        args.extend(given.map(BasicMetadataValueEnum::from));
        args.push(self.frame()?.into());
        let result = self.builder.build_call(stub, &args, "status")?;
        self.memory_base = None;
        Ok(result.try_as_basic_value().basic())
    }

    /// The word that is stored as the second of memory, where it is a small constant, and where the next instruction that sees memory hashes two
    /// words: the stub stores it.
    pub(super) fn second_word<'i>(&self, inst: &Inst, next: impl Iterator<Item = &'i (Option<Value>, Inst)>) -> Option<u32> {
        let Inst::MStore(address, word) = inst else { return None };
        let place = self.values[address.index()]?.into_int_value().get_zero_extended_constant()?;
        let mut ahead = next.map(|(_, inst)| inst);
        let seen = ahead
            .find(|inst| !matches!(inst, Inst::Const(_) | Inst::Number(_) | Inst::Pure(..) | Inst::Load(_) | Inst::Store(..)))?;
        let hashes = matches!(seen, Inst::Host(call) if hashes_a_pair(call));
        let word = self.constants[word.index()].filter(|_| hashes && place == u64::from(SECOND_WORD.0))?;
        u32::try_from(word).ok()
    }

    /// Calls the builtin for an opcode; its status.
    pub(super) fn host_call(&mut self, call: &HostCall, gas_behind: u32, top: PointerValue<'ctx>) -> Result<IntValue<'ctx>> {
        let status = self.host_call_of(call, gas_behind, false, top)?;
        Ok(status.ok_or_else(|| self.defect("no status"))?.into_int_value())
    }

    /// A host instruction that goes on, as a rule.
    pub(super) fn host(&mut self, call: &HostCall, gas_behind: u32, top: PointerValue<'ctx>) -> Result<()> {
        if let Some(status) = self.host_call_of(call, gas_behind, self.abilities.exits, top)? {
            let ends = self.return_unless_zero(status.into_int_value())?;
            self.symbols.mark_unlikely(ends);
        }
        Ok(())
    }

    /// Returns to the host with any status but `Continue`; the branch that does.
    fn return_unless_zero(&mut self, status: IntValue<'ctx>) -> Result<InstructionValue<'ctx>> {
        let function = self.part_state()?.function;
        let (ended, goes_on) =
            (self.context.append_basic_block(function, "ended"), self.context.append_basic_block(function, "on"));
        let ends = self.builder.build_int_compare(IntPredicate::NE, status, self.symbols.i32.const_zero(), "ends")?;
        let branch = self.builder.build_conditional_branch(ends, ended, goes_on)?;
        self.builder.position_at_end(ended);
        self.builder.build_return(Some(&status))?;
        self.builder.position_at_end(goes_on);
        Ok(branch)
    }

    /// The gas that a host instruction charges for the section behind it: where the next instruction charges, and its leave row
    /// says nothing but constants. The row is found by its pc.
    pub(super) fn gas_behind(&mut self, call: &HostCall, next: Option<&(Option<Value>, Inst)>) -> Option<u32> {
        let Some((None, Inst::Charge { gas, leave })) = next else { return None };
        let row = self.row(&self.function.leaves[leave.index()], 0);
        let leave = &self.function.leaves[leave.index()];
        let is_data = leave.stores.iter().all(|(_, value)| self.constants[value.index()].is_some());
        let fits = call.via != Via::Step && row.pc == call.pc + 1 && row.pc <= PLACE_PC_MAX && row.gas == 0 && is_data;
        let fits = fits && *gas <= PLACE_GAS_MAX;
        if !fits {
            return None;
        }
        self.site(row);
        Some(*gas)
    }

    /// Gas behind a check of memory and the site of its leave, where that needs no code and both fit half a word.
    pub(super) fn growth_site(&mut self, leave: LeaveId, rest: u32) -> Result<Option<IntValue<'ctx>>> {
        let leave = &self.function.leaves[leave.index()];
        let is_data = leave.stores.iter().all(|(_, value)| self.constants[value.index()].is_some());
        if !self.abilities.exits || !is_data || rest > GROWTH_GAS_MAX || self.leaves.len() > GROWTH_SITE_MAX {
            return Ok(None);
        }
        let row = self.row(leave, 0);
        let site = match self.growth_sites.get(&row) {
            Some(site) => *site,
            None => {
                let site = self.site(row.clone());
                self.growth_sites.insert(row, site);
                site
            }
        };
        Ok(Some(self.symbols.i64.const_int(u64::from(site << GROWTH_SITE_SHIFT | rest), false)))
    }

    /// A call or create.
    pub(super) fn suspend(&mut self, call: &HostCall, next: &Edge, top: PointerValue<'ctx>) -> Result<()> {
        let status = self.host_call(call, 0, top)?;
        if call.via == Via::Step {
            self.builder.build_return(Some(&status))?;
            return Ok(());
        }
        self.return_unless_zero(status)?;
        self.jump(next, top)
    }

    /// Leaves when the condition holds; goes on otherwise.
    pub(super) fn leave_if(
        &mut self,
        condition: IntValue<'ctx>,
        leave: LeaveId,
        extra_gas: u32,
        root: usize,
        top: PointerValue<'ctx>,
    ) -> Result<()> {
        let target = self.leave_block(leave, extra_gas, root, top)?;
        let goes_on = self.context.append_basic_block(self.part_state()?.function, "on");
        let branch = self.builder.build_conditional_branch(condition, target, goes_on)?;
        self.symbols.mark_unlikely(branch);
        self.builder.position_at_end(goes_on);
        Ok(())
    }

    /// The block that stores what a leave row asks for and goes to the shared exit. `extra_gas` was charged by the instruction
    /// itself. The builder's position is kept.
    pub(super) fn leave_block(
        &mut self,
        leave: LeaveId,
        extra_gas: u32,
        root: usize,
        top: PointerValue<'ctx>,
    ) -> Result<BasicBlock<'ctx>> {
        let function = self.function;
        let leave = &function.leaves[leave.index()];
        let row = self.row(leave, extra_gas);
        let computed: Vec<(i32, Value)> =
            leave.stores.iter().copied().filter(|(_, value)| self.constants[value.index()].is_none()).collect();
        let known = self.part_state()?.plain_leaves.get(&root).and_then(|leaves| leaves.get(&row));
        if let Some(block) = known.filter(|_| computed.is_empty()) {
            return Ok(*block);
        }
        let back = self.builder.get_insert_block();
        let exit = self.root_exit(root, top)?;
        let block = self.context.append_basic_block(self.part_state()?.function, "leave");
        self.builder.position_at_end(block);
        for (slot, value) in &computed {
            self.store_home(top, *slot, *value)?;
        }
        self.builder.build_unconditional_branch(exit.block)?;
        let site = self.site(row.clone());
        let offset = self.symbols.i8.const_int(u64::from(site - exit.first_site), false);
        exit.phi.add_incoming(&[(&offset, block)]);
        if computed.is_empty() {
            self.part_mut()?.plain_leaves.entry(root).or_default().insert(row, block);
        }
        if let Some(back) = back {
            self.builder.position_at_end(back);
        }
        Ok(block)
    }

    /// The exit of the next leaves of a root, and the site that its phi counts from. Exits stand in two levels: LLVM's work on a
    /// block grows with the square of the ways into it, and a site that counts from its root's first fits a byte.
    fn root_exit(&mut self, root: usize, top: PointerValue<'ctx>) -> Result<RootExit<'ctx>> {
        let next = self.leaves.len() as u32;
        let known = self.part_state()?.root_exits.get(&root);
        if let Some(exit) = known.filter(|exit| next - exit.first_site < EXIT_SITES_MAX) {
            return Ok(*exit);
        }
        let (exit, top_phi, site_phi) = self.exit_block()?;
        let block = self.context.append_basic_block(self.part_state()?.function, "exits");
        self.builder.position_at_end(block);
        let phi = self.builder.build_phi(self.symbols.i8, "site")?;
        let offset = self.builder.build_int_z_extend(phi.as_basic_value().into_int_value(), self.symbols.i32, "site")?;
        let first = self.symbols.i32.const_int(u64::from(next), false);
        let site = self.builder.build_int_add(offset, first, "site")?;
        self.builder.build_unconditional_branch(exit)?;
        top_phi.add_incoming(&[(&top, block)]);
        site_phi.add_incoming(&[(&site, block)]);
        let exit = RootExit { block, phi, first_site: next };
        self.part_mut()?.root_exits.insert(root, exit);
        Ok(exit)
    }

    /// The number of a new leave row.
    pub(super) fn site(&mut self, row: LeaveRow) -> u32 {
        self.leaves.push(row);
        self.leaves.len() as u32 - 1
    }

    /// The row of a leave: what is constant in it is data, the rest is stored by code.
    pub(super) fn row(&self, leave: &Leave, extra_gas: u32) -> LeaveRow {
        let constant = |(slot, value): &(i32, Value)| self.constants[value.index()].map(|word| (*slot, word));
        LeaveRow {
            pc: leave.pc,
            gas: leave.gas + extra_gas,
            top: leave.top,
            reason: leave.reason as u8,
            constants: leave.stores.iter().filter_map(constant).collect(),
        }
    }

    fn exit_block(&mut self) -> Result<(BasicBlock<'ctx>, PhiValue<'ctx>, PhiValue<'ctx>)> {
        if let Some(exit) = self.part_state()?.exit {
            return Ok(exit);
        }
        let block = self.context.append_basic_block(self.part_state()?.function, "exit");
        self.builder.position_at_end(block);
        let top = self.builder.build_phi(self.symbols.pointer, "top")?;
        let site = self.builder.build_phi(self.symbols.i32, "site")?;
        self.store_frame(top.as_basic_value(), offset_of!(NativeFrame, top))?;
        self.store_frame(site.as_basic_value(), offset_of!(NativeFrame, site))?;
        self.builder.build_return(Some(&self.status(Status::Leave)))?;
        self.part_mut()?.exit = Some((block, top, site));
        Ok((block, top, site))
    }

    /// Goes on in another part for good.
    pub(super) fn tail_call(&self, part: FunctionValue<'ctx>, top: PointerValue<'ctx>, number: IntValue<'ctx>) -> Result<()> {
        let call = self.builder.build_call(part, &self.symbols.part_args(self.current_frame()?, top, number), "")?;
        call.set_call_convention(self.symbols.part_convention());
        call.set_tail_call_kind(inkwell::values::LLVMTailCallKind::LLVMTailCallKindMustTail);
        let status = call.try_as_basic_value().basic().ok_or_else(|| self.defect("no status"))?;
        self.builder.build_return(Some(&status))?;
        Ok(())
    }

    /// The frame pointer of the part that the builder stands in.
    fn current_frame(&self) -> Result<PointerValue<'ctx>> {
        let function = self.builder.get_insert_block().and_then(BasicBlock::get_parent);
        let frame = function.and_then(|function| function.get_nth_param(symbols::PART_FRAME));
        Ok(frame.ok_or_else(|| self.defect("no frame"))?.into_pointer_value())
    }
}

/// Whether a host instruction hashes the first two words of memory.
fn hashes_a_pair(call: &HostCall) -> bool {
    call.opcode == byte::KECCAK256 && call.given == Given::Two(0, SECOND_WORD.1)
}
