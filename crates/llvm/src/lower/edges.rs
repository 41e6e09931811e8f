//! Lowering of edges: jumps, switches, the dispatch of computed jumps.
//!
//! in   edges between blocks of the SSA form
//! out  branches within a part, tail calls between parts

use super::{
    Lower, Result,
    symbols::{PART_FRAME, PART_NUMBER, PART_TOP},
};
use alloy_primitives::U256;
use hotevm_abi::{NativeFrame, Status};
use hotevm_ir::function::{Edge, LeaveId, Value};
use inkwell::{
    IntPredicate,
    basic_block::BasicBlock,
    values::{BasicValueEnum, IntValue, PointerValue},
};
use std::mem::offset_of;

impl<'ctx> Lower<'ctx, '_> {
    /// Takes an edge from the builder's position.
    pub(super) fn jump(&mut self, edge: &Edge, top: PointerValue<'ctx>) -> Result<()> {
        if self.function.blocks[edge.block.index()].root.is_none() {
            self.builder.build_unconditional_branch(self.part_state()?.blocks[&edge.block.index()])?;
            return Ok(());
        }
        let top = self.moved_top(top, edge.top)?;
        if !self.is_here(edge.block)? {
            let number = self.symbols.i32.const_int(edge.block.index() as u64, false);
            return self.tail_call(self.symbols.parts[self.parts[edge.block.index()]], top, number);
        }
        let args = edge.args.iter().map(|arg| self.value(*arg)).collect::<Result<Vec<_>>>()?;
        self.arrive(edge.block.index(), top, &args)
    }

    /// Branches to a root of this part with its stack top and parameters.
    fn arrive(&mut self, root: usize, top: PointerValue<'ctx>, args: &[BasicValueEnum<'ctx>]) -> Result<()> {
        let from = self.builder.get_insert_block().ok_or_else(|| self.defect("no block"))?;
        let part = self.part_state()?;
        self.builder.build_unconditional_branch(part.blocks[&root])?;
        let phis = &part.roots[&root];
        phis.top.add_incoming(&[(&top, from)]);
        for (phi, arg) in phis.params.iter().zip(args) {
            phi.add_incoming(&[(arg, from)]);
        }
        Ok(())
    }

    /// Enters a root from outside: its parameters are read from home.
    pub(super) fn enter_root(&mut self, root: usize, top: PointerValue<'ctx>) -> Result<()> {
        let slots: Vec<i32> =
            self.function.blocks[root].root.iter().flat_map(|root| &root.params).map(|(slot, _)| *slot).collect();
        let args = slots.into_iter().map(|slot| Ok(self.load_home(top, slot)?.into())).collect::<Result<Vec<_>>>()?;
        self.arrive(root, top, &args)
    }

    /// The block to branch to for an edge: the target itself, or one that does the work of the edge.
    pub(super) fn edge_block(&mut self, edge: &Edge) -> Result<BasicBlock<'ctx>> {
        if self.function.blocks[edge.block.index()].root.is_none() {
            return Ok(self.part_state()?.blocks[&edge.block.index()]);
        }
        Ok(self.context.append_basic_block(self.part_state()?.function, "edge"))
    }

    /// Fills the block of [`Lower::edge_block`].
    pub(super) fn fill_edge(&mut self, edge: &Edge, block: BasicBlock<'ctx>, top: PointerValue<'ctx>) -> Result<()> {
        if self.function.blocks[edge.block.index()].root.is_none() {
            return Ok(());
        }
        self.builder.position_at_end(block);
        self.jump(edge, top)
    }

    /// Compares a word with destinations.
    pub(super) fn switch(
        &mut self,
        target: Value,
        cases: &[(u32, Edge)],
        leave: LeaveId,
        root: usize,
        top: PointerValue<'ctx>,
    ) -> Result<()> {
        let leave = self.leave_block(leave, 0, root, top)?;
        if let [(pc, edge)] = cases {
            let elsewhere = self.is_other(target, U256::from(*pc))?;
            let block = self.edge_block(edge)?;
            let branch = self.builder.build_conditional_branch(elsewhere, leave, block)?;
            self.symbols.mark_unlikely(branch);
            return self.fill_edge(edge, block, top);
        }
        let number = self.jump_number(target, leave)?;
        let blocks = cases.iter().map(|(_, edge)| self.edge_block(edge)).collect::<Result<Vec<_>>>()?;
        let arms: Vec<_> = cases
            .iter()
            .zip(&blocks)
            .map(|((pc, _), block)| (self.symbols.i32.const_int(u64::from(*pc), false), *block))
            .collect();
        let switch = self.builder.build_switch(number, leave, &arms)?;
        let rare = cases.iter().map(|(_, edge)| self.function.blocks[edge.block.index()].unlikely);
        self.symbols.mark_ways(self.context, switch, &std::iter::once(true).chain(rare).collect::<Vec<_>>());
        for ((_, edge), block) in cases.iter().zip(blocks) {
            self.fill_edge(edge, block, top)?;
        }
        Ok(())
    }

    /// The jump target as a number below 2^32; goes to `elsewhere` with any other.
    fn jump_number(&mut self, target: Value, elsewhere: BasicBlock<'ctx>) -> Result<IntValue<'ctx>> {
        let (beyond, number) = if self.moved[target.index()] {
            self.narrow_vector(target)?
        } else {
            let (word, limit) = (self.word(target)?, self.constant(U256::from(u32::MAX)));
            (self.builder.build_int_compare(IntPredicate::UGT, word, limit, "beyond")?, word)
        };
        let goes_on = self.context.append_basic_block(self.part_state()?.function, "on");
        let branch = self.builder.build_conditional_branch(beyond, elsewhere, goes_on)?;
        self.symbols.mark_unlikely(branch);
        self.builder.position_at_end(goes_on);
        Ok(self.builder.build_int_truncate(number, self.symbols.i32, "pc")?)
    }

    /// Whether a word is another than this one.
    fn is_other(&self, word: Value, known: U256) -> Result<IntValue<'ctx>> {
        if self.moved[word.index()] {
            return self.differs(word, known);
        }
        Ok(self.builder.build_int_compare(IntPredicate::NE, self.word(word)?, self.constant(known), "elsewhere")?)
    }

    /// Hands a computed jump to the dispatch. The leave is prepared first, for when no guarded root takes it.
    pub(super) fn dispatch_jump(
        &mut self,
        target: Value,
        after: i32,
        leave: LeaveId,
        root: usize,
        top: PointerValue<'ctx>,
    ) -> Result<()> {
        let site = self.site(self.row(&self.function.leaves[leave.index()], 0));
        let elsewhere = self.leave_block(leave, 0, root, top)?;
        let pc = self.jump_number(target, elsewhere)?;
        self.store_frame(top.into(), offset_of!(NativeFrame, top))?;
        self.store_frame(self.symbols.i32.const_int(u64::from(site), false).into(), offset_of!(NativeFrame, site))?;
        let top = self.moved_top(top, after)?;
        self.tail_call(self.symbols.dispatch, top, pc)
    }

    /// Defines the dispatch: a switch over jump destinations, each guarded by the stack height its root relies on.
    pub(super) fn dispatch(&mut self) -> Result<()> {
        let dispatch = self.symbols.dispatch;
        let frame = dispatch.get_nth_param(PART_FRAME).ok_or_else(|| self.defect("no frame"))?.into_pointer_value();
        let top = dispatch.get_nth_param(PART_TOP).ok_or_else(|| self.defect("no top"))?.into_pointer_value();
        let pc = dispatch.get_nth_param(PART_NUMBER).ok_or_else(|| self.defect("no pc"))?.into_int_value();
        if let Some(part) = &mut self.part {
            part.frame = frame;
        }
        let entry = self.context.append_basic_block(dispatch, "dispatch");
        let nowhere = self.context.append_basic_block(dispatch, "nowhere");
        self.builder.position_at_end(entry);
        let base = self.load_frame(self.symbols.pointer.into(), offset_of!(NativeFrame, stack_base))?.into_pointer_value();
        let (high, low) = (
            self.builder.build_ptr_to_int(top, self.symbols.i64, "high")?,
            self.builder.build_ptr_to_int(base, self.symbols.i64, "low")?,
        );
        let bytes = self.builder.build_int_sub(high, low, "bytes")?;
        let mut cases = vec![];
        for (number, block) in self.function.blocks.iter().enumerate() {
            let Some(root) = block.root.as_ref().filter(|root| root.dispatch) else { continue };
            let case = self.context.append_basic_block(dispatch, "case");
            let guarded = self.context.append_basic_block(dispatch, "guarded");
            self.builder.position_at_end(case);
            let least = self.symbols.i64.const_int(u64::from(root.height_min) * 32, false);
            let span = self.symbols.i64.const_int(u64::from(root.height_max - root.height_min) * 32, false);
            let above = self.builder.build_int_sub(bytes, least, "above")?;
            let outside = self.builder.build_int_compare(IntPredicate::UGT, above, span, "outside")?;
            let branch = self.builder.build_conditional_branch(outside, nowhere, guarded)?;
            self.symbols.mark_unlikely(branch);
            self.builder.position_at_end(guarded);
            let entry = self.symbols.i32.const_int(number as u64, false);
            self.tail_call(self.symbols.parts[self.parts[number]], top, entry)?;
            cases.push((self.symbols.i32.const_int(u64::from(block.pc), false), case));
        }
        self.builder.position_at_end(entry);
        self.builder.build_switch(pc, nowhere, &cases)?;
        self.builder.position_at_end(nowhere);
        self.builder.build_return(Some(&self.status(Status::Leave)))?;
        Ok(())
    }
}
