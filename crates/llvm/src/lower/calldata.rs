//! Lowering of reads of call data.
//!
//! in   an offset
//! out  the word there, zeros beyond the end
//!
//! U2  An offset of 2^32 or more reads zeros: no call data is that long.

use super::{
    Lower, Result,
    inst::WORD_BYTES,
    symbols::{self, Region},
};
use hotevm_abi::NativeFrame;
use hotevm_ir::function::Value;
use inkwell::{
    IntPredicate,
    module::Linkage,
    values::{BasicValueEnum, FunctionValue, IntValue, PointerValue},
};
use std::mem::offset_of;

impl<'ctx> Lower<'ctx, '_> {
    /// In loops that keep stack entries in values a plain read inside of the call data, and a stub beyond its end; else a stub alone, which is
    /// much less code. The word is a vector where it is only moved (M1).
    pub(super) fn call_data_load(&mut self, offset: Value, is_moved: bool, root: usize) -> Result<BasicValueEnum<'ctx>> {
        let word = self.word(offset)?;
        if self.function.blocks[root].root.as_ref().is_none_or(|root| root.params.is_empty()) {
            return self.call_data_by_stub(word, is_moved);
        }
        let function = self.part_state()?.function;
        let inside = self.context.append_basic_block(function, "inside");
        let outside = self.context.append_basic_block(function, "outside");
        let joined = self.context.append_basic_block(function, "joined");
        let len = self.load_number(offset_of!(NativeFrame, calldata_len))?;
        let low = self.builder.build_int_truncate(word, self.symbols.i64, "low")?;
        let end = self.builder.build_int_add(low, self.symbols.i64.const_int(WORD_BYTES as u64, false), "end")?;
        let past = self.builder.build_int_compare(IntPredicate::UGT, end, len, "past")?;
        // An offset below 2^32 has an end that does not wrap (U2).
        let past = self.builder.build_or(self.is_wide(word)?, past, "past")?;
        let branch = self.builder.build_conditional_branch(past, outside, inside)?;
        self.symbols.mark_unlikely(branch);

        self.builder.position_at_end(inside);
        let base = self.load_pointer(offset_of!(NativeFrame, calldata_base))?;
        // SAFETY: only an address is computed here; the branch above vouches for the access.
        let pointer = unsafe { self.builder.build_gep(self.symbols.i8, base, &[low], "data")? };
        let read: BasicValueEnum<'ctx> = if is_moved {
            self.reversed(self.load_vector(pointer, 1, Region::CallData)?)?.into()
        } else {
            self.load_big_endian(pointer, Region::CallData)?.into()
        };
        self.builder.build_unconditional_branch(joined)?;

        self.builder.position_at_end(outside);
        let padded = self.call_data_beyond(word, is_moved)?;
        self.builder.build_unconditional_branch(joined)?;

        self.builder.position_at_end(joined);
        let phi = self.builder.build_phi(read.get_type(), "calldata")?;
        phi.add_incoming(&[(&read, inside), (&padded, outside)]);
        Ok(phi.as_basic_value())
    }

    /// Reads call data wherever the offset points to.
    fn call_data_by_stub(&mut self, offset: IntValue<'ctx>, is_moved: bool) -> Result<BasicValueEnum<'ctx>> {
        let number = self.call_data_offset(offset)?;
        let stub = match self.call_data {
            Some(stub) => stub,
            None => self.define_call_data_stub()?,
        };
        let call = self.builder.build_call(stub, &[number.into(), self.frame()?.into()], "calldata")?;
        let word = call.try_as_basic_value().basic().ok_or_else(|| self.defect("no call data"))?;
        if is_moved { Ok(word) } else { Ok(self.builder.build_bit_cast(word, self.symbols.word, "calldata")?) }
    }

    /// Reads beyond the end of call data; registers are kept as Y1 says, and the result comes back in the frame.
    fn call_data_beyond(&mut self, offset: IntValue<'ctx>, is_moved: bool) -> Result<BasicValueEnum<'ctx>> {
        let number = self.call_data_offset(offset)?;
        let stub = match self.call_data_beyond {
            Some(stub) => stub,
            None => self.define_beyond_stub()?,
        };
        let call = self.builder.build_call(stub, &[number.into(), self.frame()?.into()], "")?;
        call.set_call_convention(self.symbols.stub_convention());
        let result = offset_of!(NativeFrame, scratch);
        if is_moved { Ok(self.frame_vector(result)?.into()) } else { self.load_frame(self.symbols.word.into(), result) }
    }

    fn call_data_offset(&self, offset: IntValue<'ctx>) -> Result<IntValue<'ctx>> {
        let low = self.builder.build_int_truncate(offset, self.symbols.i64, "offset")?;
        let beyond = self.symbols.i64.const_all_ones();
        Ok(self.builder.build_select(self.is_wide(offset)?, beyond, low, "offset")?.into_int_value())
    }

    /// Defines the stub that reads: inside of the call data itself, else by the builtin.
    fn define_call_data_stub(&mut self) -> Result<FunctionValue<'ctx>> {
        let limbs = self.symbols.i64.vec_type(4);
        let ty = limbs.fn_type(&[self.symbols.i64.into(), self.symbols.pointer.into()], false);
        let stub = self.module.add_function("call_data_load", ty, Some(Linkage::Internal));
        symbols::stub_attributes(self.context, stub);
        self.call_data = Some(stub);
        let [offset, frame] = stub.get_params()[..] else { return Err(self.defect("stub without parameters")) };
        let offset = offset.into_int_value();
        let blocks = ["stub", "unwrapped", "inside", "outside"].map(|name| self.context.append_basic_block(stub, name));
        let [entry, unwrapped, inside, outside] = blocks;
        self.in_stub(frame.into_pointer_value(), |lower| {
            let word_bytes = lower.symbols.i64.const_int(WORD_BYTES as u64, false);
            lower.builder.position_at_end(entry);
            let end = lower.builder.build_int_add(offset, word_bytes, "end")?;
            let wraps = lower.builder.build_int_compare(IntPredicate::ULT, end, offset, "wraps")?;
            lower.builder.build_conditional_branch(wraps, outside, unwrapped)?;

            lower.builder.position_at_end(unwrapped);
            let len = lower.load_number(offset_of!(NativeFrame, calldata_len))?;
            let past = lower.builder.build_int_compare(IntPredicate::UGT, end, len, "past")?;
            lower.builder.build_conditional_branch(past, outside, inside)?;

            lower.builder.position_at_end(inside);
            let base = lower.load_pointer(offset_of!(NativeFrame, calldata_base))?;
            // SAFETY: only an address is computed here; the branch above vouches for the access.
            let pointer = unsafe { lower.builder.build_gep(lower.symbols.i8, base, &[offset], "data")? };
            let word = lower.reversed(lower.load_vector(pointer, 1, Region::CallData)?)?;
            lower.builder.build_return(Some(&word))?;

            lower.builder.position_at_end(outside);
            lower.read_by_builtin(offset)?;
            let word = lower.frame_vector(offset_of!(NativeFrame, scratch))?;
            lower.builder.build_return(Some(&word))?;
            Ok(())
        })?;
        Ok(stub)
    }

    fn define_beyond_stub(&mut self) -> Result<FunctionValue<'ctx>> {
        let ty = self.context.void_type().fn_type(&[self.symbols.i64.into(), self.symbols.pointer.into()], false);
        let stub = self.module.add_function("call_data_beyond", ty, Some(Linkage::Internal));
        self.symbols.cold_stub(self.context, stub);
        self.call_data_beyond = Some(stub);
        let [offset, frame] = stub.get_params()[..] else { return Err(self.defect("stub without parameters")) };
        let block = self.context.append_basic_block(stub, "stub");
        self.in_stub(frame.into_pointer_value(), |lower| {
            lower.builder.position_at_end(block);
            lower.read_by_builtin(offset.into_int_value())?;
            lower.builder.build_return(None)?;
            Ok(())
        })?;
        Ok(stub)
    }

    /// Fills a stub; part and builder are then where they were.
    fn in_stub(&mut self, frame: PointerValue<'ctx>, fill: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let back = self.builder.get_insert_block().ok_or_else(|| self.defect("no block"))?;
        let outer = std::mem::replace(&mut self.part_mut()?.frame, frame);
        fill(self)?;
        self.part_mut()?.frame = outer;
        self.builder.position_at_end(back);
        Ok(())
    }

    /// Lets the builtin read call data; the word is then in the frame.
    fn read_by_builtin(&self, offset: IntValue<'ctx>) -> Result<()> {
        let (row, frame) = (symbols::row("call_data_load")?, self.frame()?);
        let offset = self.limbs_of(&self.builder, offset)?;
        self.store_frame(offset.into(), offset_of!(NativeFrame, scratch))?;
        let target = self.symbols.builtin(&self.builder, frame, row)?;
        self.clear_upper_halves(&self.builder)?;
        self.builder.build_indirect_call(self.symbols.builtin_type(self.context, row.kind), target, &[frame.into()], "")?;
        Ok(())
    }
}
