//! Lowering of what the host executes, and of leaves.
//!
//! in   host calls, leave rows
//! out  calls through the builtin table; one exit per part that all leaves share

use super::{Lower, Result, symbols};
use hotevm_abi::{LeaveRow, NativeFrame, Status};
use hotevm_ir::function::{Edge, HostCall, Leave, LeaveId, Value, Via};
use inkwell::{
    IntPredicate,
    basic_block::BasicBlock,
    values::{FunctionValue, IntValue, PhiValue, PointerValue},
};
use std::mem::offset_of;

impl<'ctx> Lower<'ctx, '_> {
    /// Calls the builtin for an opcode; its status.
    pub(super) fn host_call(&self, call: &HostCall, top: PointerValue<'ctx>) -> Result<IntValue<'ctx>> {
        let row = match call.via {
            Via::Builtin => symbols::row_of_opcode(call.opcode)?,
            Via::Table => symbols::row("table_call")?,
            Via::Step => symbols::row("step")?,
        };
        let frame = self.frame()?;
        let place = self.symbols.i64.const_int(u64::from(call.pc) << 8 | u64::from(call.opcode), false);
        let height = self.moved_top(top, call.top)?;
        let target = self.symbols.builtin(&self.builder, frame, row)?;
        let ty = self.symbols.builtin_type(self.context, row.kind);
        let result = self.builder.build_indirect_call(ty, target, &[frame.into(), height.into(), place.into()], "status")?;
        Ok(result.try_as_basic_value().basic().ok_or_else(|| self.defect("no status"))?.into_int_value())
    }

    /// Returns to the host with any status but `Continue`.
    pub(super) fn return_unless_zero(&mut self, status: IntValue<'ctx>) -> Result<()> {
        let function = self.part_state()?.function;
        let (ended, goes_on) =
            (self.context.append_basic_block(function, "ended"), self.context.append_basic_block(function, "on"));
        let ends = self.builder.build_int_compare(IntPredicate::NE, status, self.symbols.i32.const_zero(), "ends")?;
        let branch = self.builder.build_conditional_branch(ends, ended, goes_on)?;
        self.symbols.mark_unlikely(branch);
        self.builder.position_at_end(ended);
        self.builder.build_return(Some(&status))?;
        self.builder.position_at_end(goes_on);
        Ok(())
    }

    /// A call or create: the entry behind it is noted, since it is entered from outside when the frame suspends.
    pub(super) fn suspend(&mut self, call: &HostCall, next: &Edge, top: PointerValue<'ctx>) -> Result<()> {
        let resume = self.symbols.i32.const_int(next.block.index() as u64, false);
        self.store_frame(resume.into(), offset_of!(NativeFrame, resume))?;
        let status = self.host_call(call, top)?;
        if call.via == Via::Step {
            self.builder.build_return(Some(&status))?;
            return Ok(());
        }
        let function = self.part_state()?.function;
        let (ended, goes_on) =
            (self.context.append_basic_block(function, "suspended"), self.context.append_basic_block(function, "on"));
        let ends = self.builder.build_int_compare(IntPredicate::NE, status, self.symbols.i32.const_zero(), "ends")?;
        self.builder.build_conditional_branch(ends, ended, goes_on)?;
        self.builder.position_at_end(ended);
        self.builder.build_return(Some(&status))?;
        self.builder.position_at_end(goes_on);
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
        let site = self.site(self.row(leave, extra_gas));
        let computed: Vec<(i32, Value)> =
            leave.stores.iter().copied().filter(|(_, value)| self.constants[value.index()].is_none()).collect();
        if let Some(block) = self.part_state()?.plain_leaves.get(&(root, site)).filter(|_| computed.is_empty()) {
            return Ok(*block);
        }
        let back = self.builder.get_insert_block();
        let (exit, site_phi) = self.root_exit(root, top)?;
        let block = self.context.append_basic_block(self.part_state()?.function, "leave");
        self.builder.position_at_end(block);
        for (slot, value) in &computed {
            self.store_home(top, *slot, *value)?;
        }
        self.builder.build_unconditional_branch(exit)?;
        site_phi.add_incoming(&[(&self.symbols.i32.const_int(u64::from(site), false), block)]);
        if computed.is_empty() {
            self.part_mut()?.plain_leaves.insert((root, site), block);
        }
        if let Some(back) = back {
            self.builder.position_at_end(back);
        }
        Ok(block)
    }

    /// The exit of the leaves of one root. Exits stand in two levels, since LLVM's work on a block grows with the square of the
    /// ways into it.
    fn root_exit(&mut self, root: usize, top: PointerValue<'ctx>) -> Result<(BasicBlock<'ctx>, PhiValue<'ctx>)> {
        if let Some(exit) = self.part_state()?.root_exits.get(&root) {
            return Ok(*exit);
        }
        let (exit, top_phi, site_phi) = self.exit_block()?;
        let block = self.context.append_basic_block(self.part_state()?.function, "exits");
        self.builder.position_at_end(block);
        let site = self.builder.build_phi(self.symbols.i32, "site")?;
        self.builder.build_unconditional_branch(exit)?;
        top_phi.add_incoming(&[(&top, block)]);
        site_phi.add_incoming(&[(&site.as_basic_value(), block)]);
        self.part_mut()?.root_exits.insert(root, (block, site));
        Ok((block, site))
    }

    /// The number of a leave row; equal rows share one.
    pub(super) fn site(&mut self, row: LeaveRow) -> u32 {
        let next = self.leaves.len() as u32;
        let site = *self.sites.entry(row.clone()).or_insert(next);
        if site == next {
            self.leaves.push(row);
        }
        site
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
        let call = self.builder.build_call(part, &[self.current_frame()?.into(), top.into(), number.into()], "")?;
        call.set_tail_call_kind(inkwell::values::LLVMTailCallKind::LLVMTailCallKindMustTail);
        let status = call.try_as_basic_value().basic().ok_or_else(|| self.defect("no status"))?;
        self.builder.build_return(Some(&status))?;
        Ok(())
    }

    /// The frame pointer of the function that the builder stands in.
    fn current_frame(&self) -> Result<PointerValue<'ctx>> {
        let function = self.builder.get_insert_block().and_then(BasicBlock::get_parent);
        let frame = function.and_then(|function| function.get_nth_param(0));
        Ok(frame.ok_or_else(|| self.defect("no frame"))?.into_pointer_value())
    }
}
