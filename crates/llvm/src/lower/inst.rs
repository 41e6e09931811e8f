//! Lowering of instructions.
//!
//! in   one instruction
//! out  LLVM instructions at the builder's position, which moves on behind the checks

use super::{
    Lower, Result,
    narrow::{ADDRESS_BITS_MAX, Narrow},
    symbols::Region,
};
use hotevm_abi::NativeFrame;
use hotevm_ir::function::{Field, Inst, LeaveId, PureOp, Value};
use inkwell::{
    IntPredicate,
    types::{BasicType, BasicTypeEnum, IntType},
    values::{BasicValue, BasicValueEnum, IntValue, PointerValue},
};
use std::mem::offset_of;

/// Bytes of a word.
pub(super) const WORD_BYTES: i64 = 32;
/// Greatest stack height: `stack_limit` in the frame is that far above `stack_base`.
const STACK_LIMIT: u16 = 1024;
/// Alignment of stack homes and frame words.
pub(super) const HOME_ALIGN: u32 = 8;

impl<'ctx> Lower<'ctx, '_> {
    pub(super) fn inst(
        &mut self,
        value: Option<Value>,
        inst: &Inst,
        root: usize,
        top: PointerValue<'ctx>,
    ) -> Result<Option<BasicValueEnum<'ctx>>> {
        Ok(match inst {
            _ if let Some(value) = value.filter(|value| self.moved[value.index()]) => {
                Some(self.vector_inst(value, inst, root, top)?)
            }
            Inst::Const(word) => Some(self.constant(*word).into()),
            Inst::Number(number) => Some(self.symbols.i64.const_int(*number, false).into()),
            Inst::Pure(op, args) => self.pure_inst(value, *op, args)?,
            Inst::Field(field) => Some(self.field_inst(value, *field)?),
            Inst::Load(slot) => Some(self.load_home(top, *slot)?.into()),
            Inst::Store(slot, value) => {
                self.store_home(top, *slot, *value)?;
                None
            }
            Inst::Charge { gas, leave } => {
                self.charge(*gas, *leave, root, top)?;
                None
            }
            Inst::GiveBack(gas) => {
                let offset = offset_of!(NativeFrame, gas);
                let more = self.symbols.i64.const_int(u64::from(*gas), false);
                let sum = self.builder.build_int_add(self.load_number(offset)?, more, "gas")?;
                self.store_frame(sum.into(), offset)?;
                None
            }
            Inst::Height { top: height, needs, grows, leave } => {
                self.height(*height, *needs, *grows, *leave, (root, top))?;
                None
            }
            Inst::Narrow(word, leave) => {
                let narrow = self.narrow(*word, *leave, root, top)?;
                if let Some(value) = value {
                    self.define(value, narrow);
                }
                Some(narrow.limb.into())
            }
            Inst::Offset(base, bytes) => {
                let number = self.offset(*base, *bytes)?;
                if let Some(value) = value {
                    self.define(value, number);
                }
                Some(number.limb.into())
            }
            Inst::Reach { address, length, rest, leave } => {
                self.reach(*address, *length, *rest, *leave, (root, top))?;
                None
            }
            Inst::MLoad(address) => Some(self.mload(*address)?.into()),
            Inst::MStore(address, value) => {
                let bytes = self.big_endian(*value)?;
                self.store_memory(*address, bytes)?;
                None
            }
            Inst::MStore8(address, value) => {
                let byte = self.builder.build_int_truncate(self.word(*value)?, self.symbols.i8, "byte")?;
                self.store_memory(*address, byte.into())?;
                None
            }
            Inst::CallDataLoad(offset) => Some(self.call_data_load(*offset, false, root)?),
            Inst::Host(call) => {
                self.host(call, 0, top)?;
                None
            }
            Inst::Forced { bit, leave } => {
                let mask = self.load_number(offset_of!(NativeFrame, leave_mask))?;
                let bit = self.builder.build_and(mask, self.symbols.i64.const_int(1 << bit, false), "bit")?;
                let set = self.builder.build_int_compare(IntPredicate::NE, bit, self.symbols.i64.const_zero(), "forced")?;
                self.leave_if(set, *leave, 0, root, top)?;
                None
            }
        })
    }

    fn pure_inst(&mut self, value: Option<Value>, op: PureOp, args: &[Value]) -> Result<Option<BasicValueEnum<'ctx>>> {
        if let (Some(value), Some(number)) = (value, self.pure_narrow(op, args)?) {
            self.define(value, number);
            return Ok(None);
        }
        Ok(Some(self.pure(op, args)?.into()))
    }

    fn field_inst(&mut self, value: Option<Value>, field: Field) -> Result<BasicValueEnum<'ctx>> {
        let read = self.field(field)?;
        if let (Some(value), Some(bits)) = (value, Self::field_bits(field)) {
            self.define(value, Narrow::number(read, bits));
        }
        Ok(read.into())
    }

    pub(super) fn constant(&self, word: alloy_primitives::U256) -> IntValue<'ctx> {
        self.symbols.word.const_int_arbitrary_precision(word.as_limbs())
    }

    /// Reads from the frame.
    pub(super) fn load_frame(&self, ty: BasicTypeEnum<'ctx>, offset: usize) -> Result<BasicValueEnum<'ctx>> {
        let slot = self.symbols.offset(&self.builder, self.frame()?, offset as i64)?;
        let value = self.builder.build_load(ty, slot, "frame")?;
        let access = value.as_instruction_value();
        if let Some(access) = access.filter(|_| ty == self.symbols.word.into()) {
            let _ = access.set_alignment(HOME_ALIGN);
        }
        self.symbols.tag(access, Region::Frame);
        Ok(value)
    }

    pub(super) fn load_number(&self, offset: usize) -> Result<IntValue<'ctx>> {
        Ok(self.load_frame(self.symbols.i64.into(), offset)?.into_int_value())
    }

    pub(super) fn load_pointer(&self, offset: usize) -> Result<PointerValue<'ctx>> {
        Ok(self.load_frame(self.symbols.pointer.into(), offset)?.into_pointer_value())
    }

    /// Writes to the frame.
    pub(super) fn store_frame(&self, value: BasicValueEnum<'ctx>, offset: usize) -> Result<()> {
        let slot = self.symbols.offset(&self.builder, self.frame()?, offset as i64)?;
        let access = self.builder.build_store(slot, value)?;
        if value.get_type() == self.symbols.word.into() || value.is_vector_value() {
            let _ = access.set_alignment(HOME_ALIGN);
        }
        self.symbols.tag(Some(access), Region::Frame);
        Ok(())
    }

    fn field(&self, field: Field) -> Result<IntValue<'ctx>> {
        let word = |offset| Ok(self.load_frame(self.symbols.word.into(), offset)?.into_int_value());
        match field {
            Field::Address => word(offset_of!(NativeFrame, address)),
            Field::Caller => word(offset_of!(NativeFrame, caller)),
            Field::CallValue => word(offset_of!(NativeFrame, value)),
            Field::CallDataSize => self.load_number(offset_of!(NativeFrame, calldata_len)),
            Field::CodeSize => self.load_number(offset_of!(NativeFrame, code_len)),
            Field::ReturnDataSize => self.load_number(offset_of!(NativeFrame, returndata_len)),
            Field::MemorySize => self.load_number(offset_of!(NativeFrame, memory_len)),
            Field::Gas => self.load_number(offset_of!(NativeFrame, gas)),
        }
    }

    pub(super) fn load_home(&self, top: PointerValue<'ctx>, slot: i32) -> Result<IntValue<'ctx>> {
        let home = self.symbols.offset(&self.builder, top, i64::from(slot) * WORD_BYTES)?;
        let value = self.builder.build_load(self.symbols.word, home, "slot")?.into_int_value();
        if let Some(access) = value.as_instruction() {
            let _ = access.set_alignment(HOME_ALIGN);
        }
        self.symbols.tag(value.as_instruction(), Region::Stack);
        Ok(value)
    }

    pub(super) fn store_home(&self, top: PointerValue<'ctx>, slot: i32, value: Value) -> Result<()> {
        let home = self.symbols.offset(&self.builder, top, i64::from(slot) * WORD_BYTES)?;
        let access = self.builder.build_store(home, self.stored(value)?)?;
        let _ = access.set_alignment(HOME_ALIGN);
        self.symbols.tag(Some(access), Region::Stack);
        Ok(())
    }

    /// The stack top some slots further.
    pub(super) fn moved_top(&self, top: PointerValue<'ctx>, slots: i32) -> Result<PointerValue<'ctx>> {
        self.symbols.offset(&self.builder, top, i64::from(slots) * WORD_BYTES)
    }

    /// Subtracts first and looks afterwards: the row of the leave gives the charge back.
    fn charge(&mut self, gas: u32, leave: LeaveId, root: usize, top: PointerValue<'ctx>) -> Result<()> {
        let offset = offset_of!(NativeFrame, gas);
        let left = self.load_number(offset)?;
        let cost = self.symbols.i64.const_int(u64::from(gas), false);
        let rest = self.builder.build_int_sub(left, cost, "gas")?;
        self.store_frame(rest.into(), offset)?;
        let short = self.builder.build_int_compare(IntPredicate::ULT, left, cost, "short")?;
        self.leave_if(short, leave, gas, root, top)
    }

    fn height(&mut self, height: i32, needs: u16, grows: u16, leave: LeaveId, at: (usize, PointerValue<'ctx>)) -> Result<()> {
        let (root, top) = at;
        if needs != 0 && grows != 0 {
            return self.height_between(height, needs, grows, leave, at);
        }
        if needs != 0 {
            let lowest = self.moved_top(top, height - i32::from(needs))?;
            let base = self.load_pointer(offset_of!(NativeFrame, stack_base))?;
            let short = self.builder.build_int_compare(IntPredicate::ULT, lowest, base, "underflow")?;
            self.leave_if(short, leave, 0, root, top)?;
        }
        if grows != 0 {
            let highest = self.moved_top(top, height + i32::from(grows))?;
            let limit = self.load_pointer(offset_of!(NativeFrame, stack_limit))?;
            let beyond = self.builder.build_int_compare(IntPredicate::UGT, highest, limit, "overflow")?;
            self.leave_if(beyond, leave, 0, root, top)?;
        }
        Ok(())
    }

    /// Both bounds by one comparison: what lies above the least height is at most what there is between the two.
    fn height_between(
        &mut self,
        height: i32,
        needs: u16,
        grows: u16,
        leave: LeaveId,
        at: (usize, PointerValue<'ctx>),
    ) -> Result<()> {
        let (root, top) = at;
        let lowest = self.moved_top(top, height - i32::from(needs))?;
        let base = self.load_pointer(offset_of!(NativeFrame, stack_base))?;
        let (high, low) = (
            self.builder.build_ptr_to_int(lowest, self.symbols.i64, "high")?,
            self.builder.build_ptr_to_int(base, self.symbols.i64, "low")?,
        );
        let above = self.builder.build_int_sub(high, low, "above")?;
        let room = (i64::from(STACK_LIMIT) - i64::from(needs) - i64::from(grows)) * WORD_BYTES;
        let Ok(room) = u64::try_from(room) else {
            let never = self.context.bool_type().const_all_ones();
            return self.leave_if(never, leave, 0, root, top);
        };
        let room = self.symbols.i64.const_int(room, false);
        let outside = self.builder.build_int_compare(IntPredicate::UGT, above, room, "outside")?;
        self.leave_if(outside, leave, 0, root, top)
    }

    /// What is known to be narrow needs no check: an address beyond 2^32 cannot be reached.
    fn narrow(&mut self, value: Value, leave: LeaveId, root: usize, top: PointerValue<'ctx>) -> Result<Narrow<'ctx>> {
        if let Some(number) = self.number_of(value).filter(|number| number.bits <= ADDRESS_BITS_MAX) {
            return Ok(number);
        }
        if let Some(Narrow { limb, .. }) = self.narrow_of(value) {
            let last = self.symbols.i64.const_int(u64::from(u32::MAX), false);
            let beyond = self.builder.build_int_compare(IntPredicate::UGT, limb, last, "wide")?;
            self.leave_if(beyond, leave, 0, root, top)?;
            return Ok(Narrow::number(limb, 32));
        }
        if self.moved[value.index()] {
            let (beyond, number) = self.narrow_vector(value)?;
            self.leave_if(beyond, leave, 0, root, top)?;
            return Ok(Narrow::number(number, 32));
        }
        let word = self.word(value)?;
        let beyond = self.is_wide(word)?;
        self.leave_if(beyond, leave, 0, root, top)?;
        Ok(Narrow::number(self.builder.build_int_truncate(word, self.symbols.i64, "number")?, 32))
    }

    fn offset(&self, base: Value, bytes: u32) -> Result<Narrow<'ctx>> {
        let bytes = self.symbols.i64.const_int(u64::from(bytes), false);
        let bits = self.narrow[base.index()].map_or(32, |narrow| narrow.bits);
        Ok(Narrow::number(self.builder.build_int_add(self.word(base)?, bytes, "offset")?, bits.max(32) + 1))
    }

    /// Whether a word is 2^32 or more: limb by limb, which is less code than a comparison of 256 bits.
    pub(super) fn is_wide(&self, word: IntValue<'ctx>) -> Result<IntValue<'ctx>> {
        let limb = |from: u64| -> Result<IntValue<'ctx>> {
            let shifted = self.builder.build_right_shift(word, self.symbols.word.const_int(from, false), false, "limb")?;
            Ok(self.builder.build_int_truncate(shifted, self.symbols.i64, "limb")?)
        };
        let low = self.builder.build_int_truncate(word, self.symbols.i64, "limb")?;
        let mut high = self.builder.build_right_shift(low, self.symbols.i64.const_int(32, false), false, "high")?;
        for from in [64, 128, 192] {
            high = self.builder.build_or(high, limb(from)?, "high")?;
        }
        Ok(self.builder.build_int_compare(IntPredicate::NE, high, self.symbols.i64.const_zero(), "wide")?)
    }

    fn reach(&mut self, address: Value, length: u32, rest: u32, leave: LeaveId, at: (usize, PointerValue<'ctx>)) -> Result<()> {
        let (root, top) = at;
        let address = self.word(address)?;
        let end = self.builder.build_int_add(address, self.symbols.i64.const_int(u64::from(length), false), "end")?;
        let len = self.load_number(offset_of!(NativeFrame, memory_len))?;
        let beyond = self.builder.build_int_compare(IntPredicate::UGT, end, len, "beyond")?;
        let function = self.part_state()?.function;
        let (grow, within) =
            (self.context.append_basic_block(function, "grow"), self.context.append_basic_block(function, "within"));
        let branch = self.builder.build_conditional_branch(beyond, grow, within)?;
        self.symbols.mark_unlikely(branch);
        self.builder.position_at_end(grow);
        self.memory_base = None;
        if let Some(rest_and_site) = self.growth_site(leave, rest)? {
            self.grow_or_leave(end, rest_and_site, top)?;
            self.builder.build_unconditional_branch(within)?;
            self.builder.position_at_end(within);
            return Ok(());
        }
        let rest = self.symbols.i64.const_int(u64::from(rest), false);
        let args = [self.symbols.pointer.get_poison().into(), end.into(), rest.into(), self.frame()?.into()];
        let call = self.builder.build_call(self.symbols.grow, &args, "grown")?;
        call.set_call_convention(self.symbols.stub_convention());
        let status = call.try_as_basic_value().basic().ok_or_else(|| self.defect("no status"))?.into_int_value();
        let refused = self.builder.build_int_compare(IntPredicate::NE, status, self.symbols.i32.const_zero(), "refused")?;
        let leave = self.leave_block(leave, 0, root, top)?;
        let branch = self.builder.build_conditional_branch(refused, leave, within)?;
        self.symbols.mark_unlikely(branch);
        self.builder.position_at_end(within);
        Ok(())
    }

    pub(super) fn memory_at(&mut self, address: Value) -> Result<PointerValue<'ctx>> {
        let base = match self.memory_base {
            Some(base) => base,
            None => self.load_pointer(offset_of!(NativeFrame, memory_base))?,
        };
        self.memory_base = Some(base);
        let address = self.word(address)?;
        // SAFETY: only an address is computed here; a `Reach` before it vouches for the access.
        Ok(unsafe { self.builder.build_gep(self.symbols.i8, base, &[address], "memory")? })
    }

    fn mload(&mut self, address: Value) -> Result<IntValue<'ctx>> {
        let pointer = self.memory_at(address)?;
        self.load_big_endian(pointer, Region::Memory)
    }

    pub(super) fn load_big_endian(&self, pointer: PointerValue<'ctx>, region: Region) -> Result<IntValue<'ctx>> {
        let value = self.builder.build_load(self.symbols.word, pointer, "bytes")?.into_int_value();
        if let Some(access) = value.as_instruction() {
            let _ = access.set_alignment(1);
        }
        self.symbols.tag(value.as_instruction(), region);
        self.swap_bytes(value)
    }

    fn store_memory(&mut self, address: Value, value: BasicValueEnum<'ctx>) -> Result<()> {
        let pointer = self.memory_at(address)?;
        let access = self.builder.build_store(pointer, value)?;
        let _ = access.set_alignment(1);
        self.symbols.tag(Some(access), Region::Memory);
        Ok(())
    }

    pub(super) fn swap_bytes(&self, word: IntValue<'ctx>) -> Result<IntValue<'ctx>> {
        self.intrinsic("llvm.bswap", self.symbols.word, &[word])
    }

    /// Calls an intrinsic that is overloaded in its first parameter.
    pub(super) fn intrinsic(&self, name: &str, ty: IntType<'ctx>, args: &[IntValue<'ctx>]) -> Result<IntValue<'ctx>> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).into()).collect();
        let result = self.call_intrinsic(&self.builder, name, &[ty.as_basic_type_enum()], &args)?;
        Ok(result.ok_or_else(|| self.defect(name))?.into_int_value())
    }
}
