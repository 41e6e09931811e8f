//! Lowering of words that are moved and masked only: as vectors of four limbs.
//!
//! in   instructions whose results are vectors (M1), values to be stored
//! out  vector loads, shuffles and stores, which take a third of the code of four limbs

use super::{
    Lower, Result,
    inst::{HOME_ALIGN, WORD_BYTES},
    symbols::Region,
};
use crate::target::Shuffle;
use alloy_primitives::U256;
use hotevm_abi::NativeFrame;
use hotevm_ir::function::{Field, Inst, PureOp, Value};
use inkwell::{
    IntPredicate,
    builder::Builder,
    types::{IntType, VectorType},
    values::{BasicValue, BasicValueEnum, IntValue, PointerValue, VectorValue},
};
use std::mem::offset_of;

/// What stood in memory for a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'ctx> {
    /// All of it, as limbs.
    whole: VectorValue<'ctx>,
    /// The number that the last four bytes are.
    low: IntValue<'ctx>,
}

/// Bytes of a word before those that a small number takes.
const HIGH_BYTES: i64 = 28;
/// The bits of a word's lowest limb that a small number does not have.
const HIGH_BITS: u64 = !(u32::MAX as u64);

impl<'ctx> Lower<'ctx, '_> {
    /// An instruction whose result is a vector.
    pub(super) fn vector_inst(
        &mut self,
        value: Value,
        inst: &Inst,
        root: usize,
        top: PointerValue<'ctx>,
    ) -> Result<BasicValueEnum<'ctx>> {
        let vector = match inst {
            Inst::CallDataLoad(offset) => return self.call_data_load(*offset, true, root),
            Inst::Load(slot) => {
                let home = self.symbols.offset(&self.builder, top, i64::from(*slot) * WORD_BYTES)?;
                self.load_vector(home, HOME_ALIGN, Region::Stack)?
            }
            Inst::MLoad(address) => {
                let memory = self.memory_at(*address)?;
                let bytes = self.load_vector(memory, 1, Region::Memory)?;
                if self.checked[value.index()] {
                    let low = self.low_number(memory)?;
                    self.bytes.insert(value.index(), Bytes { whole: bytes, low });
                }
                self.reversed(bytes)?
            }
            Inst::Field(field) => {
                let offset = match field {
                    Field::Address => offset_of!(NativeFrame, address),
                    Field::Caller => offset_of!(NativeFrame, caller),
                    _ => offset_of!(NativeFrame, value),
                };
                self.frame_vector(offset)?
            }
            Inst::Pure(PureOp::Add, args) => self.vector_sum(args)?,
            Inst::Pure(op, args) => {
                let operands = args.iter().map(|arg| self.vector(*arg)).collect::<Result<Vec<_>>>()?;
                match (op, &operands[..]) {
                    (PureOp::And, [a, b]) => self.builder.build_and(*a, *b, "and")?,
                    (PureOp::Or, [a, b]) => self.builder.build_or(*a, *b, "or")?,
                    (PureOp::Xor, [a, b]) => self.builder.build_xor(*a, *b, "xor")?,
                    (PureOp::Not, [a]) => self.builder.build_not(*a, "not")?,
                    _ => return Err(self.defect("no vector operation")),
                }
            }
            _ => return Err(self.defect("no vector instruction")),
        };
        Ok(vector.into())
    }

    /// The sum of a vector and a small constant.
    fn vector_sum(&mut self, args: &[Value]) -> Result<VectorValue<'ctx>> {
        let (constants, words): (Vec<Value>, Vec<Value>) = args.iter().partition(|arg| self.constants[arg.index()].is_some());
        let ([number], [word]) = (&constants[..], &words[..]) else {
            return Err(self.defect("no sum of a vector and a constant"));
        };
        let number = self.constants[number.index()].ok_or_else(|| self.defect("no constant"))?.as_limbs()[0];
        let stub = match self.sum {
            Some(stub) => stub,
            None => self.define_sum_stub()?,
        };
        let args = [self.vector(*word)?.into(), self.symbols.i64.const_int(number, false).into()];
        let call = self.builder.build_call(stub, &args, "sum")?;
        Ok(call.try_as_basic_value().basic().ok_or_else(|| self.defect("no sum"))?.into_vector_value())
    }

    /// The number in the last four bytes of a word in memory.
    fn low_number(&self, memory: PointerValue<'ctx>) -> Result<IntValue<'ctx>> {
        let place = self.symbols.offset(&self.builder, memory, HIGH_BYTES)?;
        let bytes = self.builder.build_load(self.symbols.i32, place, "low")?.into_int_value();
        if let Some(access) = bytes.as_instruction() {
            let _ = access.set_alignment(1);
            self.symbols.tag(Some(access), Region::Memory);
        }
        let low = self.intrinsic("llvm.bswap", self.symbols.i32, &[bytes])?;
        Ok(self.builder.build_int_z_extend(low, self.symbols.i64, "low")?)
    }

    /// Whether a vector is no number below 2^32, and that number.
    pub(super) fn narrow_vector(&self, value: Value) -> Result<(IntValue<'ctx>, IntValue<'ctx>)> {
        let all = |lowest| [lowest, u64::MAX, u64::MAX, u64::MAX];
        if let Some(Bytes { whole, low }) = self.bytes.get(&value.index()) {
            let mut mask = all(HIGH_BITS.swap_bytes());
            mask.reverse();
            return Ok((self.has_bits(*whole, self.limbs(U256::from_limbs(mask)))?, *low));
        }
        let vector = self.vector(value)?;
        let low = self.builder.build_extract_element(vector, self.symbols.i64.const_zero(), "low")?.into_int_value();
        Ok((self.has_bits(vector, self.limbs(U256::from_limbs(all(HIGH_BITS))))?, low))
    }

    /// Whether two words are equal, or one is zero.
    pub(super) fn are_equal(&self, args: &[Value]) -> Result<IntValue<'ctx>> {
        let mut difference = self.vector(args[0])?;
        if let Some(other) = args.get(1) {
            difference = self.builder.build_xor(difference, self.vector(*other)?, "difference")?;
        }
        Ok(self.builder.build_not(self.has_bits(difference, difference)?, "equal")?)
    }

    /// Whether a vector is another word than this one.
    pub(super) fn differs(&self, value: Value, known: U256) -> Result<IntValue<'ctx>> {
        let difference = self.builder.build_xor(self.vector(value)?, self.limbs(known), "difference")?;
        self.has_bits(difference, difference)
    }

    /// Whether a vector has any bit of a mask.
    fn has_bits(&self, vector: VectorValue<'ctx>, mask: VectorValue<'ctx>) -> Result<IntValue<'ctx>> {
        let name = "llvm.x86.avx.ptestz.256";
        let has_none = self.call_intrinsic(&self.builder, name, &[], &[vector.into(), mask.into()])?;
        let has_none = has_none.ok_or_else(|| self.defect(name))?.into_int_value();
        Ok(self.builder.build_int_compare(IntPredicate::EQ, has_none, self.symbols.i32.const_zero(), "bits")?)
    }

    /// A word of the frame.
    pub(super) fn frame_vector(&self, offset: usize) -> Result<VectorValue<'ctx>> {
        let slot = self.symbols.offset(&self.builder, self.frame()?, offset as i64)?;
        self.load_vector(slot, HOME_ALIGN, Region::Frame)
    }

    pub(super) fn load_vector(&self, pointer: PointerValue<'ctx>, align: u32, region: Region) -> Result<VectorValue<'ctx>> {
        let value = self.builder.build_load(self.symbols.i64.vec_type(4), pointer, "moved")?;
        if let Some(access) = value.as_instruction_value() {
            let _ = access.set_alignment(align);
            self.symbols.tag(Some(access), region);
        }
        Ok(value.into_vector_value())
    }

    fn limbs(&self, word: U256) -> VectorValue<'ctx> {
        VectorType::const_vector(&word.as_limbs().map(|limb| self.symbols.i64.const_int(limb, false)))
    }

    /// A number as a vector: stores of it are shorter than those of four limbs.
    pub(super) fn limbs_of(&self, builder: &Builder<'ctx>, number: IntValue<'ctx>) -> Result<VectorValue<'ctx>> {
        let number = builder.build_int_z_extend(number, self.symbols.i64, "number")?;
        let zero = self.symbols.i64.vec_type(4).const_zero();
        Ok(builder.build_insert_element(zero, number, self.symbols.i64.const_zero(), "limbs")?)
    }

    /// A constant or moved word as a vector.
    fn vector(&self, value: Value) -> Result<VectorValue<'ctx>> {
        match self.constants[value.index()] {
            Some(word) => Ok(self.limbs(word)),
            None => Ok(self.value(value)?.into_vector_value()),
        }
    }

    /// The vector whose bytes stand the other way round.
    pub(super) fn reversed(&self, vector: VectorValue<'ctx>) -> Result<VectorValue<'ctx>> {
        let bytes_type = self.symbols.i8.vec_type(WORD_BYTES as u32);
        let bytes = self.builder.build_bit_cast(vector, bytes_type, "bytes")?.into_vector_value();
        let places = |ty: IntType<'ctx>, places: &mut dyn Iterator<Item = i64>| {
            VectorType::const_vector(&places.map(|place| ty.const_int(place as u64, false)).collect::<Vec<IntValue<'ctx>>>())
        };
        // LLVM takes twice as long to find these instructions for a shuffle of bytes.
        let shuffled = match self.abilities.shuffle {
            Shuffle::Bytes => {
                let places = places(self.symbols.i8, &mut (0..WORD_BYTES).rev());
                self.reversed_by("llvm.x86.avx512.permvar.qi.256", bytes, places)?
            }
            Shuffle::BytesOfHalves => {
                let half = WORD_BYTES / 2;
                let places = places(self.symbols.i8, &mut (0..half).rev().chain((0..half).rev()));
                self.reversed_by("llvm.x86.avx2.pshuf.b", bytes, places)?
            }
            Shuffle::Any => {
                let places = places(self.symbols.i32, &mut (0..WORD_BYTES).rev());
                self.builder.build_shuffle_vector(bytes, bytes_type.get_undef(), places, "reversed")?
            }
        };
        let limbs = self.builder.build_bit_cast(shuffled, self.symbols.i64.vec_type(4), "limbs")?.into_vector_value();
        if self.abilities.shuffle != Shuffle::BytesOfHalves {
            return Ok(limbs);
        }
        let halves = places(self.symbols.i32, &mut [2, 3, 0, 1].into_iter());
        Ok(self.builder.build_shuffle_vector(limbs, limbs.get_type().get_undef(), halves, "reversed")?)
    }

    fn reversed_by(&self, name: &str, bytes: VectorValue<'ctx>, places: VectorValue<'ctx>) -> Result<VectorValue<'ctx>> {
        let reversed = self.call_intrinsic(&self.builder, name, &[], &[bytes.into(), places.into()])?;
        Ok(reversed.ok_or_else(|| self.defect(name))?.into_vector_value())
    }

    /// What is stored in a home for a value.
    pub(super) fn stored(&self, value: Value) -> Result<BasicValueEnum<'ctx>> {
        if let Some(word) = self.constants[value.index()] {
            return Ok(self.limbs(word).into());
        }
        match self.number_of(value) {
            Some(number) => Ok(self.limbs_of(&self.builder, number.limb)?.into()),
            None => self.value(value),
        }
    }

    /// What is stored in memory for a value.
    pub(super) fn big_endian(&self, value: Value) -> Result<BasicValueEnum<'ctx>> {
        if let Some(word) = self.constants[value.index()] {
            return Ok(self.limbs(U256::from_le_bytes(word.to_be_bytes::<32>())).into());
        }
        if self.moved[value.index()] {
            return Ok(self.reversed(self.vector(value)?)?.into());
        }
        Ok(self.swap_bytes(self.word(value)?)?.into())
    }
}
