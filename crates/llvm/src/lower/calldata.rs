//! Lowering of reads of call data.
//!
//! in   an offset
//! out  the word there, zeros beyond the end
//!
//! U2  An offset of 2^32 or more reads zeros: no call data is that long.

use super::{Lower, Result, symbols, symbols::Region};
use hotevm_abi::NativeFrame;
use hotevm_ir::function::Value;
use inkwell::{
    IntPredicate,
    values::{BasicValueEnum, IntValue},
};
use std::mem::offset_of;

/// Bytes of a word.
const WORD_BYTES: u64 = 32;

impl<'ctx> Lower<'ctx, '_> {
    /// In loops a plain read inside of the call data; else, and beyond the end, a stub, which is much less code. The word is a vector where
    /// it is only moved (M1).
    pub(super) fn call_data_load(&mut self, offset: Value, is_moved: bool, root: usize) -> Result<BasicValueEnum<'ctx>> {
        let word = self.word(offset)?;
        if !self.function.blocks[root].root.as_ref().is_some_and(|root| root.in_loop) {
            return self.call_data_by_stub(word, is_moved);
        }
        let function = self.part_state()?.function;
        let inside = self.context.append_basic_block(function, "inside");
        let outside = self.context.append_basic_block(function, "outside");
        let joined = self.context.append_basic_block(function, "joined");
        let len = self.load_number(offset_of!(NativeFrame, calldata_len))?;
        let len = self.builder.build_int_z_extend(len, self.symbols.word, "len")?;
        // 2^256 - 32 + 32 wraps to 0, which no word below the length reaches: the sum is compared in both parts.
        let end = self.builder.build_int_add(word, self.symbols.word.const_int(32, false), "end")?;
        let past = self.builder.build_int_compare(IntPredicate::UGT, end, len, "past")?;
        let wrapped = self.builder.build_int_compare(IntPredicate::UGT, word, len, "wrapped")?;
        let past = self.builder.build_or(past, wrapped, "past")?;
        let branch = self.builder.build_conditional_branch(past, outside, inside)?;
        self.symbols.mark_unlikely(branch);

        self.builder.position_at_end(inside);
        let base = self.load_pointer(offset_of!(NativeFrame, calldata_base))?;
        let index = self.builder.build_int_truncate(word, self.symbols.i64, "index")?;
        // SAFETY: only an address is computed here; the branch above vouches for the access.
        let pointer = unsafe { self.builder.build_gep(self.symbols.i8, base, &[index], "data")? };
        let read: BasicValueEnum<'ctx> = if is_moved {
            self.reversed(self.load_vector(pointer, 1, Region::CallData)?)?.into()
        } else {
            self.load_big_endian(pointer, Region::CallData)?.into()
        };
        self.builder.build_unconditional_branch(joined)?;

        self.builder.position_at_end(outside);
        let padded = self.call_data_by_stub(word, is_moved)?;
        self.builder.build_unconditional_branch(joined)?;

        self.builder.position_at_end(joined);
        let phi = self.builder.build_phi(read.get_type(), "calldata")?;
        phi.add_incoming(&[(&read, inside), (&padded, outside)]);
        Ok(phi.as_basic_value())
    }

    /// Reads call data wherever the offset points to; the result comes back in the frame.
    fn call_data_by_stub(&self, offset: IntValue<'ctx>, is_moved: bool) -> Result<BasicValueEnum<'ctx>> {
        let low = self.builder.build_int_truncate(offset, self.symbols.i64, "offset")?;
        let beyond = self.symbols.i64.const_all_ones();
        let number = self.builder.build_select(self.is_wide(offset)?, beyond, low, "offset")?.into_int_value();
        let call = self.builder.build_call(self.symbols.call_data_load, &[self.frame()?.into(), number.into()], "")?;
        call.set_call_convention(self.symbols.stub_convention());
        let result = offset_of!(NativeFrame, scratch);
        if is_moved { Ok(self.frame_vector(result)?.into()) } else { self.load_frame(self.symbols.word.into(), result) }
    }

    /// Defines the stub: a plain read inside of the call data, else the builtin.
    pub(super) fn define_call_data_stub(&mut self) -> Result<()> {
        let stub = self.symbols.call_data_load;
        let frame = stub.get_nth_param(0).ok_or_else(|| self.defect("no frame"))?.into_pointer_value();
        let offset = stub.get_nth_param(1).ok_or_else(|| self.defect("no offset"))?.into_int_value();
        self.part_mut()?.frame = frame;
        let blocks = ["enough", "long", "inside", "outside"].map(|name| self.context.append_basic_block(stub, name));
        let [enough, long, inside, outside] = blocks;
        let word_bytes = self.symbols.i64.const_int(WORD_BYTES, false);
        self.builder.position_at_end(enough);
        let len = self.load_number(offset_of!(NativeFrame, calldata_len))?;
        let is_long = self.builder.build_int_compare(IntPredicate::UGE, len, word_bytes, "long")?;
        self.builder.build_conditional_branch(is_long, long, outside)?;

        self.builder.position_at_end(long);
        let last = self.builder.build_int_sub(len, word_bytes, "last")?;
        let is_inside = self.builder.build_int_compare(IntPredicate::ULE, offset, last, "inside")?;
        self.builder.build_conditional_branch(is_inside, inside, outside)?;

        self.builder.position_at_end(inside);
        let base = self.load_pointer(offset_of!(NativeFrame, calldata_base))?;
        // SAFETY: only an address is computed here; the branch above vouches for the access.
        let pointer = unsafe { self.builder.build_gep(self.symbols.i8, base, &[offset], "data")? };
        let word = self.load_big_endian(pointer, Region::CallData)?;
        self.store_frame(word.into(), offset_of!(NativeFrame, scratch))?;
        self.builder.build_return(None)?;

        self.builder.position_at_end(outside);
        let offset = self.builder.build_int_z_extend(offset, self.symbols.word, "offset")?;
        self.store_frame(offset.into(), offset_of!(NativeFrame, scratch))?;
        let row = symbols::row("call_data_load")?;
        let target = self.symbols.builtin(&self.builder, frame, row)?;
        self.clear_upper_halves(&self.builder)?;
        self.builder.build_indirect_call(self.symbols.builtin_type(self.context, row.kind), target, &[frame.into()], "")?;
        self.builder.build_return(None)?;
        Ok(())
    }
}
