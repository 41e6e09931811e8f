//! The meaning of the pure operations on constants.
//!
//! in   an operation, its operands
//! out  its result; the rules are those of the Yellow Paper, appendix H, and of the EIPs named at [`PureOp`]

use crate::function::PureOp;
use alloy_primitives::U256;

/// Evaluates an operation on constants; truth values are 0 and 1.
///
/// # Panics
/// When there are fewer operands than the operation has.
pub fn evaluate(op: PureOp, args: &[U256]) -> U256 {
    let a = args[0];
    let b = args.get(1).copied().unwrap_or_default();
    let truth = |value: bool| U256::from(u8::from(value));
    match op {
        PureOp::Add => a.wrapping_add(b),
        PureOp::Sub => a.wrapping_sub(b),
        PureOp::Mul => a.wrapping_mul(b),
        PureOp::Div => a.checked_div(b).unwrap_or_default(),
        PureOp::SDiv => signed_quotient(a, b),
        PureOp::Mod => a.checked_rem(b).unwrap_or_default(),
        PureOp::SMod => signed_remainder(a, b),
        PureOp::AddMod => a.add_mod(b, args[2]),
        PureOp::MulMod => a.mul_mod(b, args[2]),
        PureOp::SignExtend => sign_extend(a, b),
        PureOp::And => a & b,
        PureOp::Or => a | b,
        PureOp::Xor => a ^ b,
        PureOp::Not => !a,
        PureOp::Byte => small(a, 32).map_or(U256::ZERO, |index| U256::from(b.byte(31 - index))),
        PureOp::Shl => small(a, 256).map_or(U256::ZERO, |bits| b << bits),
        PureOp::Shr => small(a, 256).map_or(U256::ZERO, |bits| b >> bits),
        PureOp::Sar => b.arithmetic_shr(small(a, 256).unwrap_or(256)),
        PureOp::Clz => U256::from(a.leading_zeros()),
        PureOp::Lt => truth(a < b),
        PureOp::Gt => truth(a > b),
        PureOp::Slt => truth(flipped(a) < flipped(b)),
        PureOp::Sgt => truth(flipped(a) > flipped(b)),
        PureOp::Eq => truth(a == b),
        PureOp::IsZero | PureOp::BoolNot => truth(a.is_zero()),
        PureOp::FromBool | PureOp::FromNum => a,
    }
}

/// The word as a number below the bound.
fn small(word: U256, bound: usize) -> Option<usize> {
    usize::try_from(word).ok().filter(|number| *number < bound)
}

fn is_negative(word: U256) -> bool {
    word.bit(255)
}

/// Maps signed order to unsigned order.
fn flipped(word: U256) -> U256 {
    word ^ (U256::ONE << 255)
}

fn magnitude(word: U256) -> U256 {
    if is_negative(word) { word.wrapping_neg() } else { word }
}

fn signed_quotient(a: U256, b: U256) -> U256 {
    let quotient = magnitude(a).checked_div(magnitude(b)).unwrap_or_default();
    if is_negative(a) != is_negative(b) { quotient.wrapping_neg() } else { quotient }
}

fn signed_remainder(a: U256, b: U256) -> U256 {
    let remainder = magnitude(a).checked_rem(magnitude(b)).unwrap_or_default();
    if is_negative(a) { remainder.wrapping_neg() } else { remainder }
}

fn sign_extend(index: U256, word: U256) -> U256 {
    let Some(index) = small(index, 31) else { return word };
    let shift = 248 - 8 * index;
    (word << shift).arithmetic_shr(shift)
}
