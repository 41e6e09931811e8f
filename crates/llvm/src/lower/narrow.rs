//! Lowering of pure operations on words that are known to be small.
//!
//! in   an operation, its operands
//! out  64-bit code where result and operands are known to fit, none otherwise
//!
//! U3  A narrow value is a word that its lowest limb tells: below 2^63, or, if signed, from -2^63 on in two's complement. The
//!     order of unsigned words is that of the limbs as unsigned numbers, the order of signed words that of signed limbs.

use super::{Lower, Result};
use alloy_primitives::U256;
use hotevm_ir::function::{Field, PureOp, Value};
use inkwell::{IntPredicate, values::IntValue};

/// A word in 64 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrow<'ctx> {
    /// The lowest limb.
    pub(super) limb: IntValue<'ctx>,
    /// Bits of the magnitude at most.
    pub(super) bits: u32,
    /// Whether the word may be negative.
    pub(super) signed: bool,
}

/// Bits of a narrow value at most (U3).
const BITS_MAX: u32 = 63;
/// Bits of an address at most: its end must not overflow, however it was made.
pub(super) const ADDRESS_BITS_MAX: u32 = 62;
/// Bits of the length of a buffer that is mapped.
const LENGTH_BITS: u32 = 48;

/// Whether a constant is narrow.
pub(super) fn is_narrow(word: U256) -> bool {
    word.bit_len() as u32 <= BITS_MAX
}

impl<'ctx> Narrow<'ctx> {
    /// A number that is not negative.
    pub(super) const fn number(limb: IntValue<'ctx>, bits: u32) -> Self {
        Self { limb, bits, signed: false }
    }
}

impl<'ctx> Lower<'ctx, '_> {
    /// What a word is known to be, if it is narrow.
    pub(super) fn narrow_of(&self, value: Value) -> Option<Narrow<'ctx>> {
        match self.constants[value.index()] {
            Some(word) if is_narrow(word) => {
                Some(Narrow::number(self.symbols.i64.const_int(word.as_limbs()[0], false), word.bit_len() as u32))
            }
            Some(_) => None,
            None => self.narrow[value.index()],
        }
    }

    /// The number that a word is known to be.
    pub(super) fn number_of(&self, value: Value) -> Option<Narrow<'ctx>> {
        self.narrow_of(value).filter(|narrow| !narrow.signed)
    }

    /// Bits of a field that is a number; none where it may have 64.
    pub(super) fn field_bits(field: Field) -> Option<u32> {
        match field {
            Field::CallDataSize | Field::CodeSize | Field::ReturnDataSize | Field::MemorySize => Some(LENGTH_BITS),
            Field::Gas | Field::Address | Field::Caller | Field::CallValue => None,
        }
    }

    /// A pure operation whose result is a narrow word.
    pub(super) fn pure_narrow(&mut self, op: PureOp, args: &[Value]) -> Result<Option<Narrow<'ctx>>> {
        match op {
            PureOp::FromBool => {
                let truth = self.word(args[0])?;
                return Ok(Some(Narrow::number(self.builder.build_int_z_extend(truth, self.symbols.i64, "number")?, 1)));
            }
            PureOp::FromNum => {
                let Some(Narrow { bits, .. }) = self.narrow[args[0].index()] else { return Ok(None) };
                return Ok(Some(Narrow::number(self.word(args[0])?, bits)));
            }
            PureOp::And => return self.and(args[0], args[1]),
            PureOp::Shl | PureOp::Shr => return self.narrow_shift(op, args[0], args[1]),
            _ => {}
        }
        let [a, b] = args else { return Ok(None) };
        let (Some(a), Some(b)) = (self.narrow_of(*a), self.narrow_of(*b)) else { return Ok(None) };
        let widest = a.bits.max(b.bits);
        let signed = a.signed || b.signed;
        let wrap = |limb, bits, signed| Ok(Some(Narrow { limb, bits, signed }));
        match op {
            PureOp::Add if widest < BITS_MAX => wrap(self.builder.build_int_add(a.limb, b.limb, "sum")?, widest + 1, signed),
            PureOp::Sub if !signed => wrap(self.builder.build_int_sub(a.limb, b.limb, "difference")?, widest, true),
            PureOp::Sub if widest < BITS_MAX => wrap(self.builder.build_int_sub(a.limb, b.limb, "difference")?, widest + 1, true),
            PureOp::Mul if a.bits + b.bits <= BITS_MAX => {
                wrap(self.builder.build_int_mul(a.limb, b.limb, "product")?, a.bits + b.bits, signed)
            }
            PureOp::Or if !signed => wrap(self.builder.build_or(a.limb, b.limb, "or")?, widest, false),
            PureOp::Xor if !signed => wrap(self.builder.build_xor(a.limb, b.limb, "xor")?, widest, false),
            _ => Ok(None),
        }
    }

    /// A comparison of narrow words.
    pub(super) fn compare_narrow(&self, op: PureOp, args: &[Value]) -> Result<Option<IntValue<'ctx>>> {
        let predicate = match op {
            PureOp::Lt => IntPredicate::ULT,
            PureOp::Gt => IntPredicate::UGT,
            PureOp::Slt => IntPredicate::SLT,
            PureOp::Sgt => IntPredicate::SGT,
            PureOp::Eq | PureOp::IsZero => IntPredicate::EQ,
            _ => return Ok(None),
        };
        let Some(a) = self.narrow_of(args[0]) else { return Ok(None) };
        let b = match args.get(1) {
            Some(b) => self.narrow_of(*b).map(|narrow| narrow.limb),
            None => Some(self.symbols.i64.const_zero()),
        };
        let Some(b) = b else { return Ok(None) };
        Ok(Some(self.builder.build_int_compare(predicate, a.limb, b, "cmp")?))
    }

    /// A mask or a narrow word makes the other operand narrow as well.
    fn and(&self, a: Value, b: Value) -> Result<Option<Narrow<'ctx>>> {
        let bits = match (self.number_of(a), self.number_of(b)) {
            (None, None) => return Ok(None),
            (Some(a), Some(b)) => a.bits.min(b.bits),
            (Some(number), None) | (None, Some(number)) => number.bits,
        };
        Ok(Some(Narrow::number(self.builder.build_and(self.low_limb(a)?, self.low_limb(b)?, "and")?, bits)))
    }

    /// Shifts by a constant.
    fn narrow_shift(&self, op: PureOp, amount: Value, word: Value) -> Result<Option<Narrow<'ctx>>> {
        let Some(amount) = self.constants[amount.index()].and_then(|amount| u32::try_from(amount).ok()) else { return Ok(None) };
        let by = |bits: u32| self.symbols.i64.const_int(u64::from(bits), false);
        Ok(match (op, self.number_of(word)) {
            (PureOp::Shl, Some(Narrow { limb, bits, .. })) if bits.saturating_add(amount) <= BITS_MAX => {
                Some(Narrow::number(self.builder.build_left_shift(limb, by(amount), "shl")?, bits + amount))
            }
            (PureOp::Shr, Some(Narrow { bits, .. })) if amount >= bits => Some(Narrow::number(self.symbols.i64.const_zero(), 0)),
            (PureOp::Shr, Some(Narrow { limb, bits, .. })) => {
                Some(Narrow::number(self.builder.build_right_shift(limb, by(amount), false, "shr")?, bits - amount))
            }
            (PureOp::Shr, None) if (256 - BITS_MAX..256).contains(&amount) => {
                let highest = self.builder.build_right_shift(self.word(word)?, self.word_number(192), false, "limb")?;
                let highest = self.builder.build_int_truncate(highest, self.symbols.i64, "limb")?;
                let limb = self.builder.build_right_shift(highest, by(amount - 192), false, "shr")?;
                Some(Narrow::number(limb, 256 - amount))
            }
            _ => None,
        })
    }

    fn low_limb(&self, word: Value) -> Result<IntValue<'ctx>> {
        match self.narrow_of(word) {
            Some(narrow) => Ok(narrow.limb),
            None => Ok(self.builder.build_int_truncate(self.word(word)?, self.symbols.i64, "limb")?),
        }
    }

    /// A narrow word in 256 bits.
    pub(super) fn extended(&self, narrow: Narrow<'ctx>) -> Result<IntValue<'ctx>> {
        Ok(if narrow.signed {
            self.builder.build_int_s_extend(narrow.limb, self.symbols.word, "word")?
        } else {
            self.builder.build_int_z_extend(narrow.limb, self.symbols.word, "word")?
        })
    }
}
