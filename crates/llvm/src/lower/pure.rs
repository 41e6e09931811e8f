//! Lowering of pure operations.
//!
//! in   an operation, its operands
//! out  inline code where it is small, a builtin on the frame's scratch words otherwise
//!
//! U1  No shift amount reaches the width of its type, no division is emitted: nothing here is undefined for any operand.

use super::{Lower, Result, moved, stubs::Handed, symbols};
use hotevm_abi::NativeFrame;
use hotevm_ir::function::{Given, PureOp, Value};
use inkwell::{IntPredicate, values::IntValue};
use std::mem::offset_of;

impl<'ctx> Lower<'ctx, '_> {
    pub(super) fn pure(&mut self, op: PureOp, args: &[Value]) -> Result<IntValue<'ctx>> {
        if let Some(result) = self.compare_narrow(op, args)? {
            return Ok(result);
        }
        if moved::is_equality(op) && args.iter().any(|arg| self.moved[arg.index()]) {
            return self.are_equal(args);
        }
        let operands = args.iter().map(|arg| self.word(*arg)).collect::<Result<Vec<_>>>()?;
        let compare = |lower: &Self, predicate| lower.builder.build_int_compare(predicate, operands[0], operands[1], "cmp");
        Ok(match op {
            PureOp::Add => self.builder.build_int_add(operands[0], operands[1], "add")?,
            PureOp::Sub => self.builder.build_int_sub(operands[0], operands[1], "sub")?,
            PureOp::And => self.builder.build_and(operands[0], operands[1], "and")?,
            PureOp::Or => self.builder.build_or(operands[0], operands[1], "or")?,
            PureOp::Xor => self.builder.build_xor(operands[0], operands[1], "xor")?,
            PureOp::Not => self.builder.build_not(operands[0], "not")?,
            PureOp::Mul => return self.multiply(&operands),
            PureOp::Div => return self.scratch("div", &operands),
            PureOp::SDiv => return self.scratch("sdiv", &operands),
            PureOp::Mod => return self.scratch("rem", &operands),
            PureOp::SMod => return self.scratch("srem", &operands),
            PureOp::AddMod => return self.scratch("addmod", &operands),
            PureOp::MulMod => return self.scratch("mulmod", &operands),
            PureOp::SignExtend => return self.sign_extend(operands[0], operands[1]),
            PureOp::Byte => return self.byte(operands[0], operands[1]),
            PureOp::Shl | PureOp::Shr | PureOp::Sar => return self.shift(op, operands[0], operands[1]),
            PureOp::Clz => {
                let no_poison = self.context.bool_type().const_zero();
                self.intrinsic("llvm.ctlz", self.symbols.word, &[operands[0], no_poison])?
            }
            PureOp::Lt => compare(self, IntPredicate::ULT)?,
            PureOp::Gt => compare(self, IntPredicate::UGT)?,
            PureOp::Slt => compare(self, IntPredicate::SLT)?,
            PureOp::Sgt => compare(self, IntPredicate::SGT)?,
            PureOp::Eq => compare(self, IntPredicate::EQ)?,
            PureOp::IsZero => return self.is_zero(operands[0]),
            PureOp::BoolNot => self.builder.build_not(operands[0], "not")?,
            PureOp::FromBool | PureOp::FromNum => self.builder.build_int_z_extend(operands[0], self.symbols.word, "word")?,
        })
    }

    /// One limb after the other, the highest first: LLVM would add the limbs up in pairs, which copies two of them.
    fn is_zero(&self, word: IntValue<'ctx>) -> Result<IntValue<'ctx>> {
        let limb = self.context.i64_type();
        let mut any = limb.const_zero();
        for bits in [192, 128, 64, 0] {
            let shifted = self.builder.build_right_shift(word, self.word_number(bits), false, "shifted")?;
            any = self.builder.build_or(any, self.builder.build_int_truncate(shifted, limb, "limb")?, "any")?;
        }
        Ok(self.builder.build_int_compare(IntPredicate::EQ, any, limb.const_zero(), "iszero")?)
    }

    fn multiply(&mut self, operands: &[IntValue<'ctx>]) -> Result<IntValue<'ctx>> {
        let limit = self.limits.wide_multiplications_max;
        let part = self.part_mut()?;
        part.multiplications += 1;
        if part.multiplications > limit {
            return self.scratch("mul", operands);
        }
        Ok(self.builder.build_int_mul(operands[0], operands[1], "mul")?)
    }

    /// A builtin whose operands and result stand in the frame.
    fn scratch(&mut self, name: &str, operands: &[IntValue<'ctx>]) -> Result<IntValue<'ctx>> {
        let row = symbols::row(name)?;
        for (index, operand) in operands.iter().enumerate() {
            self.store_frame((*operand).into(), offset_of!(NativeFrame, scratch) + 32 * index)?;
        }
        let stub = self.host_stub(row, false, Handed::Given(Given::Nothing))?;
        self.builder.build_call(stub, &[self.symbols.pointer.get_poison().into(), self.frame()?.into()], "")?;
        Ok(self.load_frame(self.symbols.word.into(), offset_of!(NativeFrame, scratch))?.into_int_value())
    }

    pub(super) fn word_number(&self, number: u64) -> IntValue<'ctx> {
        self.symbols.word.const_int(number, false)
    }

    fn is_below(&self, word: IntValue<'ctx>, bound: u64) -> Result<IntValue<'ctx>> {
        Ok(self.builder.build_int_compare(IntPredicate::ULT, word, self.word_number(bound), "below")?)
    }

    fn select(&self, condition: IntValue<'ctx>, yes: IntValue<'ctx>, no: IntValue<'ctx>) -> Result<IntValue<'ctx>> {
        Ok(self.builder.build_select(condition, yes, no, "select")?.into_int_value())
    }

    fn shift(&self, op: PureOp, amount: IntValue<'ctx>, word: IntValue<'ctx>) -> Result<IntValue<'ctx>> {
        let fits = self.is_below(amount, 256)?;
        let masked = self.builder.build_and(amount, self.word_number(255), "amount")?;
        Ok(match op {
            PureOp::Shl => {
                let shifted = self.builder.build_left_shift(word, masked, "shl")?;
                self.select(fits, shifted, self.word_number(0))?
            }
            PureOp::Shr => {
                let shifted = self.builder.build_right_shift(word, masked, false, "shr")?;
                self.select(fits, shifted, self.word_number(0))?
            }
            _ => {
                let amount = self.select(fits, masked, self.word_number(255))?;
                self.builder.build_right_shift(word, amount, true, "sar")?
            }
        })
    }

    /// The byte counted from the highest; 0 beyond the lowest.
    fn byte(&self, index: IntValue<'ctx>, word: IntValue<'ctx>) -> Result<IntValue<'ctx>> {
        let fits = self.is_below(index, 32)?;
        let index = self.builder.build_and(index, self.word_number(31), "index")?;
        let from_low = self.builder.build_xor(index, self.word_number(31), "from_low")?;
        let bits = self.builder.build_left_shift(from_low, self.word_number(3), "bits")?;
        let shifted = self.builder.build_right_shift(word, bits, false, "shifted")?;
        let byte = self.builder.build_and(shifted, self.word_number(255), "byte")?;
        self.select(fits, byte, self.word_number(0))
    }

    /// Shifts the sign byte to the top and back; from byte 31 on nothing changes.
    fn sign_extend(&self, index: IntValue<'ctx>, word: IntValue<'ctx>) -> Result<IntValue<'ctx>> {
        let fits = self.is_below(index, 31)?;
        let index = self.select(fits, index, self.word_number(31))?;
        let from_top = self.builder.build_int_sub(self.word_number(31), index, "from_top")?;
        let bits = self.builder.build_left_shift(from_top, self.word_number(3), "bits")?;
        let up = self.builder.build_left_shift(word, bits, "up")?;
        Ok(self.builder.build_right_shift(up, bits, true, "down")?)
    }
}
