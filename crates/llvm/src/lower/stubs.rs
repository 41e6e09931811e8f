//! Lowering of what parts share: the entry, and the stubs in front of builtins.
//!
//! in   the builtin table in the frame
//! out  small functions, so that a call in a part is short
//!
//! Y3  Parts leave the upper halves of vector registers as they are; whatever calls the host, and the way back to it, clears them,
//!     since mixing both kinds of instructions is slow otherwise.

use super::{Lower, Result, symbols};
use hotevm_abi::BuiltinRow;
use inkwell::{builder::Builder, module::Linkage, values::FunctionValue};

impl<'ctx> Lower<'ctx, '_> {
    /// The stub of a host builtin.
    pub(super) fn host_stub(&mut self, row: &'static BuiltinRow) -> Result<FunctionValue<'ctx>> {
        if let Some(stub) = self.stubs.get(&row.offset) {
            return Ok(*stub);
        }
        let ty = self.symbols.builtin_type(self.context, row.kind);
        let stub = self.module.add_function(&format!("host_{}", row.name), ty, Some(Linkage::Internal));
        symbols::attributes(self.context, stub);
        symbols::add_attribute(self.context, stub, "noinline");
        self.define_stub(stub, row)?;
        self.stubs.insert(row.offset, stub);
        Ok(stub)
    }

    /// A stub hands its parameters to its builtin.
    pub(super) fn define_stub(&self, stub: FunctionValue<'ctx>, row: &'static BuiltinRow) -> Result<()> {
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(stub, "stub"));
        let frame = stub.get_nth_param(0).ok_or_else(|| self.defect("no frame"))?;
        let target = self.symbols.builtin(&builder, frame.into_pointer_value(), row)?;
        self.clear_upper_halves(&builder)?;
        let args: Vec<_> = stub.get_params().into_iter().map(Into::into).collect();
        let call = builder.build_indirect_call(self.symbols.builtin_type(self.context, row.kind), target, &args, "")?;
        call.set_tail_call(true);
        match call.try_as_basic_value().basic() {
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
        let args: Vec<_> = entry.get_params().into_iter().map(Into::into).collect();
        let call = builder.build_call(self.symbols.parts[0], &args, "status")?;
        call.set_call_convention(self.symbols.part_convention());
        let status = call.try_as_basic_value().basic().ok_or_else(|| self.defect("no status"))?;
        self.clear_upper_halves(&builder)?;
        builder.build_return(Some(&status))?;
        Ok(())
    }

    /// Clears the upper halves where there are any (Y3).
    pub(super) fn clear_upper_halves(&self, builder: &Builder<'ctx>) -> Result<()> {
        if self.has_upper_halves {
            let name = "llvm.x86.avx.vzeroupper";
            let intrinsic = inkwell::intrinsics::Intrinsic::find(name).ok_or_else(|| self.defect(name))?;
            let declaration = intrinsic.get_declaration(self.module, &[]).ok_or_else(|| self.defect(name))?;
            builder.build_call(declaration, &[], "")?;
        }
        Ok(())
    }
}
