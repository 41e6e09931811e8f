//! Lowering of what parts share: the entry, and the stubs in front of builtins.
//!
//! in   the builtin table in the frame
//! out  small functions, so that a call in a part is short
//!
//! Y3  Parts leave the upper halves of vector registers as they are; whatever calls the host, and the way back to it, clears them,
//!     since mixing both kinds of instructions is slow otherwise.
//! Y4  On x86-64, what rarely ends a frame returns to the entry itself then, as C's `longjmp` does: parts need not look at its status.
//!     The entry's stack pointer does not change in its body, and parts take no argument on the stack and are never inlined: so the address to
//!     return to lies one word below it. The entry saves what parts would restore for it, which is rbp.
//!     What ends frames as a rule returns by way of its part, so that the processor's own stack of return addresses stays right.
//! Y5  Stubs take the frame last, in the register that LLVM keeps for Swift's `self`, which no call changes: on x86-64 it is where parts have it,
//!     so that they need not move it for a call. The stub that grows memory has the stack top in that of Swift's async context. What else stubs hand to
//!     their builtins stands where those want it: nothing is passed where builtins take the frame.

use super::{
    Lower, Result,
    host::{GROWTH_GAS_MAX, GROWTH_SITE_SHIFT},
    inst::{HOME_ALIGN, WORD_BYTES},
    symbols::{self, Region},
};
use crate::compile::CompileError;
use hotevm_abi::{BuiltinRow, NativeFrame, Status};
use hotevm_ir::function::Given;
use inkwell::{
    IntPredicate,
    builder::Builder,
    module::Linkage,
    types::{BasicMetadataTypeEnum, BasicType, BasicTypeEnum},
    values::{BasicMetadataValueEnum, BasicValueEnum, FunctionValue, IntValue, PointerValue},
};
use std::mem::offset_of;

/// What tells stubs of builtins apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StubKey {
    /// Offset in the builtin table.
    builtin: usize,
    /// Whether it only comes back to go on (Y4).
    exits: bool,
    /// What it is handed.
    handed: &'static str,
}

/// What a stub is handed besides the place of its instruction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Handed {
    /// Operands.
    Given(Given),
    /// The second of two words at the start of memory that are hashed, as Solidity does for mappings: it is not in memory yet.
    Second(u32),
}

/// Where the second word of memory begins, and ends.
pub(super) const SECOND_WORD: (u16, u16) = (0x20, 0x40);

impl Handed {
    /// All of it, in one number.
    pub(super) fn packed(self) -> Option<u32> {
        match self {
            Self::Given(Given::Nothing) => None,
            Self::Given(Given::One(first)) => Some(first),
            Self::Given(Given::Two(first, second)) => Some(u32::from(second) << u16::BITS | u32::from(first)),
            Self::Second(word) => Some(word),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Given(Given::Nothing) => "",
            Self::Given(Given::One(_)) => "_one",
            Self::Given(Given::Two(..)) => "_two",
            Self::Second(_) => "_second",
        }
    }
}

impl<'ctx> Lower<'ctx, '_> {
    /// The stub of a host builtin; with `exits`, one that only comes back to go on (Y4).
    pub(super) fn host_stub(&mut self, row: &'static BuiltinRow, exits: bool, handed: Handed) -> Result<FunctionValue<'ctx>> {
        let key = StubKey { builtin: row.offset, exits, handed: handed.name() };
        if let Some(stub) = self.stubs.get(&key) {
            return Ok(*stub);
        }
        let builtin = self.symbols.builtin_type(self.context, row.kind);
        let mut params = builtin.get_param_types();
        params.extend(handed.packed().map(|_| BasicMetadataTypeEnum::from(self.symbols.i32)));
        params.push(self.symbols.pointer.into());
        let name = if exits { "go" } else { "host" };
        let ty = match builtin.get_return_type().filter(|_| !exits) {
            Some(status) => status.fn_type(&params, false),
            None => self.context.void_type().fn_type(&params, false),
        };
        let stub = self.module.add_function(&format!("{name}_{}{}", row.name, key.handed), ty, Some(Linkage::Internal));
        symbols::stub_attributes(self.context, stub);
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(stub, "stub"));
        if handed.packed().is_some() {
            self.bring_home(&builder, stub, handed)?;
            self.hand_on(&builder, stub, row, exits)?;
        } else if exits {
            self.define_exiting_stub(&builder, stub, row)?;
        } else {
            self.define_stub(&builder, stub, row)?;
        }
        self.stubs.insert(key, stub);
        Ok(stub)
    }

    /// Goes on in the stub that is handed nothing.
    fn hand_on(
        &mut self,
        builder: &Builder<'ctx>,
        stub: FunctionValue<'ctx>,
        row: &'static BuiltinRow,
        exits: bool,
    ) -> Result<()> {
        let plain = self.host_stub(row, exits, Handed::Given(Given::Nothing))?;
        let [unused, top, place, _, frame] = stub.get_params()[..] else { return Err(self.defect("stub without parameters")) };
        let args = [unused, top, place, frame].map(Into::into);
        let call = builder.build_call(plain, &args, "")?;
        call.set_tail_call(true);
        match call.try_as_basic_value().basic() {
            Some(status) => builder.build_return(Some(&status))?,
            None => builder.build_return(None)?,
        };
        Ok(())
    }

    /// Brings what a stub is handed to where the interpreter has it.
    fn bring_home(&self, builder: &Builder<'ctx>, stub: FunctionValue<'ctx>, handed: Handed) -> Result<()> {
        let [_, top, _, packed, frame] = stub.get_params()[..] else { return Err(self.defect("stub without parameters")) };
        let (top, packed) = (top.into_pointer_value(), packed.into_int_value());
        let half = |shift: u64| {
            let shifted = builder.build_right_shift(packed, self.symbols.i32.const_int(shift, false), false, "operand")?;
            Ok::<_, CompileError>(builder.build_and(shifted, self.symbols.i32.const_int(u16::MAX.into(), false), "operand")?)
        };
        let operands = match handed {
            Handed::Given(Given::Nothing) => vec![],
            Handed::Given(Given::One(_)) => vec![packed],
            Handed::Given(Given::Two(..)) => vec![half(0)?, half(u64::from(u16::BITS))?],
            Handed::Second(_) => {
                self.store_second(builder, frame.into_pointer_value(), packed)?;
                [0, SECOND_WORD.1].map(|operand| self.symbols.i32.const_int(operand.into(), false)).to_vec()
            }
        };
        for (slot, operand) in (i64::MIN..0).rev().zip(operands) {
            let word = self.limbs_of(builder, operand)?;
            let home = self.symbols.offset(builder, top, slot * WORD_BYTES)?;
            let access = builder.build_store(home, word)?;
            let _ = access.set_alignment(HOME_ALIGN);
            self.symbols.tag(Some(access), Region::Stack);
        }
        Ok(())
    }

    /// Stores the second word of memory.
    fn store_second(&self, builder: &Builder<'ctx>, frame: PointerValue<'ctx>, word: IntValue<'ctx>) -> Result<()> {
        let slot = self.symbols.offset(builder, frame, offset_of!(NativeFrame, memory_base) as i64)?;
        let base = builder.build_load(self.symbols.pointer, slot, "memory")?.into_pointer_value();
        self.symbols.tag(base.as_instruction(), Region::Frame);
        let word = builder.build_int_z_extend(word, self.symbols.word, "word")?;
        let bytes = self.call_intrinsic(builder, "llvm.bswap", &[self.symbols.word.into()], &[word.into()])?;
        let bytes = bytes.ok_or_else(|| self.defect("no bytes"))?;
        let access = builder.build_store(self.symbols.offset(builder, base, SECOND_WORD.0.into())?, bytes)?;
        let _ = access.set_alignment(1);
        self.symbols.tag(Some(access), Region::Memory);
        Ok(())
    }

    /// A stub that comes back where its builtin says `Continue`, and returns any other status from the entry (Y4).
    fn define_exiting_stub(
        &mut self,
        builder: &Builder<'ctx>,
        stub: FunctionValue<'ctx>,
        row: &'static BuiltinRow,
    ) -> Result<()> {
        let status = self.call_builtin(builder, stub, row)?.ok_or_else(|| self.defect("no status"))?.into_int_value();
        self.return_if_continue(builder, stub, status)?;
        self.exit_with(builder, stub, status)
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
        let frame = stub.get_last_param().ok_or_else(|| self.defect("no frame"))?;
        let exit = match self.exit {
            Some(exit) => exit,
            None => self.define_exit()?,
        };
        builder.build_call(exit, &[status.into(), frame.into()], "")?;
        builder.build_unreachable()?;
        Ok(())
    }

    /// Returns where the first part returns to, as if it did.
    fn define_exit(&mut self) -> Result<FunctionValue<'ctx>> {
        let params = [self.symbols.i32.into(), self.symbols.pointer.into()];
        let exit = self.module.add_function("exit", self.context.void_type().fn_type(&params, false), Some(Linkage::Internal));
        symbols::stub_attributes(self.context, exit);
        ["cold", "noreturn"].iter().for_each(|name| symbols::add_attribute(self.context, exit, name));
        let [status, frame] = exit.get_params()[..] else { return Err(self.defect("exit without parameters")) };
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(exit, "exit"));
        let slot = self.symbols.offset(&builder, frame.into_pointer_value(), offset_of!(NativeFrame, exit) as i64)?;
        let place = builder.build_load(self.symbols.i64, slot, "place")?;
        let place = place.into_int_value();
        self.assembly(&builder, "movq $0, %rsp\n\tmovl $1, %eax\n\tretq", "r,r,~{memory}", &[place, status.into_int_value()])?;
        builder.build_unreachable()?;
        self.exit = Some(exit);
        Ok(exit)
    }

    /// Defines the stub that tells whether memory grew.
    pub(super) fn define_refusable_growth(&self) -> Result<()> {
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(self.symbols.grow, "stub"));
        self.define_stub(&builder, self.symbols.grow, symbols::row("grow")?)
    }

    /// Grows memory to an end; leaves at a site where that is refused (Y4).
    pub(super) fn grow_or_leave(
        &mut self,
        end: IntValue<'ctx>,
        rest_and_site: IntValue<'ctx>,
        top: PointerValue<'ctx>,
    ) -> Result<()> {
        let stub = match self.growth {
            Some(stub) => stub,
            None => self.define_growth_stub()?,
        };
        let unused = self.symbols.pointer.get_poison();
        let args = [unused.into(), end.into(), rest_and_site.into(), top.into(), self.frame()?.into()];
        self.builder.build_call(stub, &args, "")?.set_call_convention(self.symbols.stub_convention());
        Ok(())
    }

    fn define_growth_stub(&mut self) -> Result<FunctionValue<'ctx>> {
        let row = symbols::row("grow")?;
        let (pointer, number) = (self.symbols.pointer, self.symbols.i64);
        let params = [pointer.into(), number.into(), number.into(), pointer.into(), pointer.into()];
        let ty = self.context.void_type().fn_type(&params, false);
        let stub = self.module.add_function("grow_or_leave", ty, Some(Linkage::Internal));
        self.symbols.cold_stub(self.context, stub);
        symbols::add_param_attribute(self.context, stub, 3, "swiftasync");
        self.growth = Some(stub);
        let [_, end, rest_and_site, top, frame] = stub.get_params()[..] else {
            return Err(self.defect("stub without parameters"));
        };
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

    /// The stub that adds a number to a vector (M2): as a rule nothing is carried, and then it takes few registers.
    pub(super) fn define_sum_stub(&mut self) -> Result<FunctionValue<'ctx>> {
        let (limbs, number) = (self.symbols.i64.vec_type(4), self.symbols.i64);
        let [stub, carrying] = ["sum", "sum_carrying"].map(|name| {
            let ty = limbs.fn_type(&[limbs.into(), number.into()], false);
            let stub = self.module.add_function(name, ty, Some(Linkage::Internal));
            symbols::small(self.context, stub);
            symbols::add_attribute(self.context, stub, "memory"); // None is read or written.
            stub
        });
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(carrying, "stub"));
        let [word, addend] = carrying.get_params()[..] else { return Err(self.defect("sum without parameters")) };
        let wide = builder.build_bit_cast(word, self.symbols.word, "word")?.into_int_value();
        let addend = builder.build_int_z_extend(addend.into_int_value(), self.symbols.word, "addend")?;
        let sum = builder.build_int_add(wide, addend, "sum")?;
        builder.build_return(Some(&builder.build_bit_cast(sum, limbs, "sum")?))?;

        let [word, addend] = stub.get_params()[..] else { return Err(self.defect("sum without parameters")) };
        let (word, addend) = (word.into_vector_value(), addend.into_int_value());
        let [whole, carried, plain] = ["stub", "carried", "plain"].map(|name| self.context.append_basic_block(stub, name));
        builder.position_at_end(whole);
        let lowest = number.const_zero();
        let low = builder.build_extract_element(word, lowest, "low")?.into_int_value();
        let sum = builder.build_int_add(low, addend, "sum")?;
        let carries = builder.build_int_compare(IntPredicate::ULT, sum, addend, "carries")?;
        let branch = builder.build_conditional_branch(carries, carried, plain)?;
        self.symbols.mark_unlikely(branch);
        builder.position_at_end(plain);
        builder.build_return(Some(&builder.build_insert_element(word, sum, lowest, "sum")?))?;

        builder.position_at_end(carried);
        let call = builder.build_call(carrying, &[word.into(), addend.into()], "sum")?;
        call.set_tail_call(true);
        builder.build_return(Some(&call.try_as_basic_value().basic().ok_or_else(|| self.defect("no sum"))?))?;
        self.sum = Some(stub);
        Ok(stub)
    }

    /// Hands the parameters of a stub to its builtin; the status, if it has one.
    fn call_builtin(
        &self,
        builder: &Builder<'ctx>,
        stub: FunctionValue<'ctx>,
        row: &'static BuiltinRow,
    ) -> Result<Option<BasicValueEnum<'ctx>>> {
        let frame = stub.get_last_param().ok_or_else(|| self.defect("no frame"))?;
        let target = self.symbols.builtin(builder, frame.into_pointer_value(), row)?;
        self.clear_upper_halves(builder)?;
        let ty = self.symbols.builtin_type(self.context, row.kind);
        let mut args: Vec<_> = stub.get_params().into_iter().take(ty.count_param_types() as usize).map(Into::into).collect();
        args[0] = frame.into();
        let call = builder.build_indirect_call(ty, target, &args, "")?;
        call.set_tail_call(true);
        Ok(call.try_as_basic_value().basic())
    }

    /// A stub hands its parameters to its builtin.
    fn define_stub(&self, builder: &Builder<'ctx>, stub: FunctionValue<'ctx>, row: &'static BuiltinRow) -> Result<()> {
        match self.call_builtin(builder, stub, row)? {
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
            self.note_exit(&builder)?;
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

    /// Notes where stubs return from the entry (Y4): the call of the first part puts the address to return to there.
    fn note_exit(&self, builder: &Builder<'ctx>) -> Result<()> {
        let frame = self.symbols.entry.get_nth_param(0).ok_or_else(|| self.defect("no frame"))?.into_pointer_value();
        let register = self.context.metadata_node(&[self.context.metadata_string("rsp").into()]);
        let place = self.call_intrinsic(builder, "llvm.read_register", &[self.symbols.i64.into()], &[register.into()])?;
        let place = place.ok_or_else(|| self.defect("no stack pointer"))?.into_int_value();
        let place = builder.build_int_sub(place, self.symbols.i64.const_int(size_of::<usize>() as u64, false), "place")?;
        builder.build_store(self.symbols.offset(builder, frame, offset_of!(NativeFrame, exit) as i64)?, place)?;
        // Parts keep rbp for their callers when they return, which they then do not.
        self.assembly(builder, "", "~{rbp}", &[])
    }

    /// Instructions of the target.
    fn assembly(&self, builder: &Builder<'ctx>, text: &str, constraints: &str, args: &[IntValue<'ctx>]) -> Result<()> {
        let types: Vec<_> = args.iter().map(|arg| arg.get_type().into()).collect();
        let ty = self.context.void_type().fn_type(&types, false);
        let code = self.context.create_inline_asm(ty, text.to_owned(), constraints.to_owned(), true, false, None, false);
        let args: Vec<_> = args.iter().map(|arg| (*arg).into()).collect();
        builder.build_indirect_call(ty, code, &args, "")?;
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
