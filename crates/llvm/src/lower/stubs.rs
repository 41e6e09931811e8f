//! Lowering of what parts share: the entry, and the stubs in front of builtins.
//!
//! in   the builtin table in the frame
//! out  small functions, so that a call in a part is short
//!
//! Y3  Parts leave the upper halves of vector registers as they are; whatever calls the host, and the way back to it, clears them,
//!     since mixing both kinds of instructions is slow otherwise.
//! Y4  On x86-64, what rarely ends a frame returns from the entry itself then, as C's `longjmp` does: parts need not look at its status.
//!     What ends frames as a rule returns by way of its part, so that the processor's own stack of return addresses stays right.

use super::{
    Lower, Result,
    host::{GROWTH_GAS_MAX, GROWTH_SITE_SHIFT},
    symbols,
};
use crate::compile::CompileError;
use hotevm_abi::{BuiltinRow, NativeFrame, Status};
use inkwell::{
    IntPredicate,
    builder::Builder,
    module::Linkage,
    types::BasicTypeEnum,
    values::{BasicMetadataValueEnum, BasicValueEnum, FunctionValue, IntValue, PointerValue},
};
use std::mem::offset_of;

impl<'ctx> Lower<'ctx, '_> {
    /// The stub of a host builtin; with `exits`, one that only comes back to go on (Y4).
    pub(super) fn host_stub(&mut self, row: &'static BuiltinRow, exits: bool) -> Result<FunctionValue<'ctx>> {
        if let Some(stub) = self.stubs.get(&(row.offset, exits)) {
            return Ok(*stub);
        }
        let builtin = self.symbols.builtin_type(self.context, row.kind);
        let (name, ty) = if exits {
            (format!("go_{}", row.name), self.context.void_type().fn_type(&builtin.get_param_types(), false))
        } else {
            (format!("host_{}", row.name), builtin)
        };
        let stub = self.module.add_function(&name, ty, Some(Linkage::Internal));
        symbols::stub_attributes(self.context, stub);
        if exits {
            self.define_exiting_stub(stub, row)?;
        } else {
            self.define_stub(stub, row)?;
        }
        self.stubs.insert((row.offset, exits), stub);
        Ok(stub)
    }

    /// A stub that comes back where its builtin says `Continue`, and returns any other status from the entry (Y4).
    fn define_exiting_stub(&mut self, stub: FunctionValue<'ctx>, row: &'static BuiltinRow) -> Result<()> {
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(stub, "stub"));
        let status = self.call_builtin(&builder, stub, row)?.ok_or_else(|| self.defect("no status"))?.into_int_value();
        self.return_if_continue(&builder, stub, status)?;
        self.exit_with(&builder, stub, status)
    }

    /// Returns from a stub where the status is `Continue`; the builder stands where it is another.
    fn return_if_continue(&self, builder: &Builder<'ctx>, stub: FunctionValue<'ctx>, status: IntValue<'ctx>) -> Result<()> {
        let [ended, goes_on] = ["ended", "on"].map(|name| self.context.append_basic_block(stub, name));
        let ends = builder.build_int_compare(IntPredicate::NE, status, self.symbols.i32.const_zero(), "ends")?;
        let branch = builder.build_conditional_branch(ends, ended, goes_on)?;
        self.symbols.mark_unlikely(branch);
        builder.position_at_end(goes_on);
        builder.build_return(None)?;
        builder.position_at_end(ended);
        Ok(())
    }

    /// Returns a status from the entry (Y4), by a function that all stubs share.
    fn exit_with(&mut self, builder: &Builder<'ctx>, stub: FunctionValue<'ctx>, status: IntValue<'ctx>) -> Result<()> {
        let frame = stub.get_nth_param(0).ok_or_else(|| self.defect("no frame"))?;
        let exit = match self.exit {
            Some(exit) => exit,
            None => self.define_exit()?,
        };
        builder.build_call(exit, &[frame.into(), status.into()], "")?;
        builder.build_unreachable()?;
        Ok(())
    }

    fn define_exit(&mut self) -> Result<FunctionValue<'ctx>> {
        let ty = self.context.void_type().fn_type(&[self.symbols.pointer.into(), self.symbols.i32.into()], false);
        let exit = self.module.add_function("exit", ty, Some(Linkage::Internal));
        symbols::stub_attributes(self.context, exit);
        ["cold", "noreturn"].iter().for_each(|name| symbols::add_attribute(self.context, exit, name));
        let [frame, status] = exit.get_params()[..] else { return Err(self.defect("exit without parameters")) };
        let frame = frame.into_pointer_value();
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(exit, "exit"));
        builder.build_store(self.symbols.offset(&builder, frame, offset_of!(NativeFrame, ended) as i64)?, status)?;
        let buffer = self.symbols.offset(&builder, frame, offset_of!(NativeFrame, exit) as i64)?;
        self.call_intrinsic(&builder, "llvm.eh.sjlj.longjmp", &[], &[buffer.into()])?;
        builder.build_unreachable()?;
        self.exit = Some(exit);
        Ok(exit)
    }

    /// Grows memory to an end; leaves at a site where that is refused (Y4).
    pub(super) fn grow_or_leave(
        &mut self,
        end: IntValue<'ctx>,
        rest_and_site: IntValue<'ctx>,
        top: PointerValue<'ctx>,
    ) -> Result<()> {
        let row = symbols::row("grow")?;
        let stub = match self.stubs.get(&(row.offset, true)) {
            Some(stub) => *stub,
            None => self.define_growth_stub(row)?,
        };
        let args = [self.frame()?.into(), end.into(), rest_and_site.into(), top.into()];
        self.builder.build_call(stub, &args, "")?.set_call_convention(self.symbols.stub_convention());
        Ok(())
    }

    fn define_growth_stub(&mut self, row: &'static BuiltinRow) -> Result<FunctionValue<'ctx>> {
        let (pointer, number) = (self.symbols.pointer, self.symbols.i64);
        let ty = self.context.void_type().fn_type(&[pointer.into(), number.into(), number.into(), pointer.into()], false);
        let stub = self.module.add_function("grow_or_leave", ty, Some(Linkage::Internal));
        self.symbols.cold_stub(self.context, stub);
        self.stubs.insert((row.offset, true), stub);
        let [frame, end, rest_and_site, top] = stub.get_params()[..] else { return Err(self.defect("stub without parameters")) };
        let frame = frame.into_pointer_value();

        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(stub, "stub"));
        let rest =
            builder.build_and(rest_and_site.into_int_value(), number.const_int(u64::from(GROWTH_GAS_MAX), false), "rest")?;
        let target = self.symbols.builtin(&builder, frame, row)?;
        self.clear_upper_halves(&builder)?;
        let ty = self.symbols.builtin_type(self.context, row.kind);
        let call = builder.build_indirect_call(ty, target, &[frame.into(), end.into(), rest.into()], "status")?;
        let status = call.try_as_basic_value().basic().ok_or_else(|| self.defect("no status"))?.into_int_value();
        self.return_if_continue(&builder, stub, status)?;
        let shift = number.const_int(u64::from(GROWTH_SITE_SHIFT), false);
        let site = builder.build_right_shift(rest_and_site.into_int_value(), shift, false, "site")?;
        let site = builder.build_int_truncate(site, self.symbols.i32, "site")?;
        builder.build_store(self.symbols.offset(&builder, frame, offset_of!(NativeFrame, site) as i64)?, site)?;
        builder.build_store(self.symbols.offset(&builder, frame, offset_of!(NativeFrame, top) as i64)?, top)?;
        self.exit_with(&builder, stub, self.status(Status::Leave))?;
        Ok(stub)
    }

    /// Hands the parameters of a stub to its builtin; the status, if it has one.
    fn call_builtin(
        &self,
        builder: &Builder<'ctx>,
        stub: FunctionValue<'ctx>,
        row: &'static BuiltinRow,
    ) -> Result<Option<BasicValueEnum<'ctx>>> {
        let frame = stub.get_nth_param(0).ok_or_else(|| self.defect("no frame"))?;
        let target = self.symbols.builtin(builder, frame.into_pointer_value(), row)?;
        self.clear_upper_halves(builder)?;
        let args: Vec<_> = stub.get_params().into_iter().map(Into::into).collect();
        let call = builder.build_indirect_call(self.symbols.builtin_type(self.context, row.kind), target, &args, "")?;
        call.set_tail_call(true);
        Ok(call.try_as_basic_value().basic())
    }

    /// A stub hands its parameters to its builtin.
    pub(super) fn define_stub(&self, stub: FunctionValue<'ctx>, row: &'static BuiltinRow) -> Result<()> {
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(stub, "stub"));
        match self.call_builtin(&builder, stub, row)? {
            Some(status) => builder.build_return(Some(&status))?,
            None => builder.build_return(None)?,
        };
        Ok(())
    }

    /// What the host calls: part 0, behind the host's calling convention.
    pub(super) fn define_entry(&self) -> Result<()> {
        let builder = self.context.create_builder();
        let entry = self.symbols.entry;
        builder.position_at_end(self.context.append_basic_block(entry, "entry"));
        if self.abilities.exits {
            self.wait_for_exits(&builder)?;
        }
        let [frame, top, number] = entry.get_params()[..] else { return Err(self.defect("entry without parameters")) };
        let args = self.symbols.part_args(frame.into_pointer_value(), top.into_pointer_value(), number.into_int_value());
        let call = builder.build_call(self.symbols.parts[0], &args, "status")?;
        call.set_call_convention(self.symbols.part_convention());
        let status = call.try_as_basic_value().basic().ok_or_else(|| self.defect("no status"))?;
        self.clear_upper_halves(&builder)?;
        builder.build_return(Some(&status))?;
        Ok(())
    }

    /// Lets stubs return from the entry (Y4); the builder goes on behind.
    fn wait_for_exits(&self, builder: &Builder<'ctx>) -> Result<()> {
        let entry = self.symbols.entry;
        let frame = entry.get_nth_param(0).ok_or_else(|| self.defect("no frame"))?.into_pointer_value();
        let exit = offset_of!(NativeFrame, exit) as i64;
        let store = |index: i64, value: Option<BasicValueEnum<'ctx>>| {
            let slot = self.symbols.offset(builder, frame, exit + index * size_of::<usize>() as i64)?;
            builder.build_store(slot, value.ok_or_else(|| self.defect("no pointer"))?)?;
            Ok::<_, CompileError>(slot)
        };
        let pointers = [self.symbols.pointer.into()];
        let here = self.symbols.i32.const_zero().into();
        let buffer = store(0, self.call_intrinsic(builder, "llvm.frameaddress", &pointers, &[here])?)?;
        store(2, self.call_intrinsic(builder, "llvm.stacksave", &pointers, &[])?)?;
        let came_back = self.call_intrinsic(builder, "llvm.eh.sjlj.setjmp", &[], &[buffer.into()])?;
        let came_back = came_back.ok_or_else(|| self.defect("no answer"))?.into_int_value();

        let [ended, goes_on] = ["ended", "on"].map(|name| self.context.append_basic_block(entry, name));
        let is_first = builder.build_int_compare(IntPredicate::EQ, came_back, self.symbols.i32.const_zero(), "first")?;
        builder.build_conditional_branch(is_first, goes_on, ended)?;
        builder.position_at_end(ended);
        let slot = self.symbols.offset(builder, frame, offset_of!(NativeFrame, ended) as i64)?;
        let status = builder.build_load(self.symbols.i32, slot, "status")?;
        builder.build_return(Some(&status))?;
        builder.position_at_end(goes_on);
        Ok(())
    }

    /// Clears the upper halves where there are any (Y3).
    pub(super) fn clear_upper_halves(&self, builder: &Builder<'ctx>) -> Result<()> {
        if self.abilities.has_upper_halves {
            self.call_intrinsic(builder, "llvm.x86.avx.vzeroupper", &[], &[])?;
        }
        Ok(())
    }

    /// Calls an intrinsic; its result, if it has one.
    pub(super) fn call_intrinsic(
        &self,
        builder: &Builder<'ctx>,
        name: &str,
        types: &[BasicTypeEnum<'ctx>],
        args: &[BasicMetadataValueEnum<'ctx>],
    ) -> Result<Option<BasicValueEnum<'ctx>>> {
        let intrinsic = inkwell::intrinsics::Intrinsic::find(name).ok_or_else(|| self.defect(name))?;
        let declaration = intrinsic.get_declaration(self.module, types).ok_or_else(|| self.defect(name))?;
        Ok(builder.build_call(declaration, args, "")?.try_as_basic_value().basic())
    }
}
