//! An estimate of what the back end spends on a function.
//!
//! in   a function as the passes leave it
//! out  microseconds of CPU, as measured with LLVM's full pipeline on a server of 2023; right to a factor of two
//!
//! What bounds the work must not be the clock: the same code is then rejected everywhere.

use crate::function::{Function, Inst, PureOp, Terminator};

/// An instruction that is nothing of the following.
const PLAIN: u64 = 25;
/// A call of the host, with what is brought home for it.
const HOST: u64 = 280;
/// A computed jump to anywhere, with what is known before it.
const DISPATCH: u64 = 900;
/// A product of two words of which none is constant.
const WIDE_PRODUCT: u64 = 900;

/// Estimates the work.
pub fn estimate_us(function: &Function) -> u64 {
    let mut is_constant = vec![false; function.values.len()];
    let mut sum = 0;
    for block in &function.blocks {
        for (value, inst) in &block.insts {
            if let (Some(value), Inst::Const(_)) = (value, inst) {
                is_constant[value.index()] = true;
            }
            sum += match inst {
                Inst::Host(_) => HOST,
                Inst::Pure(PureOp::Mul, args) if args.iter().all(|arg| !is_constant[arg.index()]) => WIDE_PRODUCT,
                _ => PLAIN,
            };
        }
        sum += match block.end {
            Some(Terminator::Dispatch { .. }) => DISPATCH,
            Some(Terminator::Suspend { .. } | Terminator::Finish(_)) => HOST,
            _ => PLAIN,
        };
    }
    sum
}
