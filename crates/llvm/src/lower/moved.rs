//! Which words are only moved and masked, so that they go through vector registers.
//!
//! in   a function
//! out  per value: whether it is kept as a vector of limbs
//!
//! M1  A vector is read by stores, leave rows, and bitwise operations and sums (M2) that are vectors themselves; where the target tests whole vectors, by
//!     checks of addresses, computed jumps, and comparisons with what is a vector or a constant; and by nothing else.
//! M2  The sum of a vector and a small constant, where the target tests whole vectors, is such an operation, but in loops that keep stack entries
//!     in values: a stub adds.

use super::narrow::is_narrow;
use alloy_primitives::U256;
use hotevm_ir::{
    Function,
    function::{Field, Inst, PureOp, Terminator, Value},
};

/// Passes over the function until the answer must have settled; bitwise chains that are longer are computed limb by limb.
const PASSES_MAX: u32 = 8;

/// The values that are kept as vectors.
pub(super) fn moved(function: &Function, has_tests: bool, constants: &[Option<U256>]) -> Vec<bool> {
    let mut moved = vec![false; function.values.len()];
    let is_mask = |value: &Value| constants[value.index()].is_some_and(is_narrow);
    let sums = if has_tests { sums(function, constants) } else { vec![false; function.values.len()] };
    for (value, inst) in function.instructions() {
        let Some(value) = value else { continue };
        moved[value.index()] = match inst {
            _ if sums[value.index()] => true,
            Inst::Load(_) | Inst::MLoad(_) | Inst::CallDataLoad(_) => true,
            Inst::Field(Field::Address | Field::Caller | Field::CallValue) => true,
            // A narrow mask makes a narrow word instead.
            Inst::Pure(op, args) => is_bitwise(*op) && !(*op == PureOp::And && args.iter().any(is_mask)),
            _ => false,
        };
    }
    clear_read_by_ends(function, has_tests, &mut moved);
    for _ in 0..PASSES_MAX {
        if !narrow_down(function, has_tests, constants, &sums, &mut moved) {
            return moved;
        }
    }
    for (value, inst) in function.instructions() {
        if let (Some(value), Inst::Pure(..)) = (value, inst) {
            moved[value.index()] = false;
        }
    }
    clear_read_by_ends(function, false, &mut moved);
    // Without tests what is left depends on nothing but stores, so that one pass settles it.
    narrow_down(function, false, constants, &sums, &mut moved);
    moved
}

/// Takes out what breaks M1 at the ends of blocks.
fn clear_read_by_ends(function: &Function, has_tests: bool, moved: &mut [bool]) {
    for end in function.blocks.iter().filter_map(|block| block.end.as_ref()) {
        // The target comes first; it may be an argument of an edge as well.
        let tested = usize::from(has_tests && matches!(end, Terminator::Switch { .. } | Terminator::Dispatch { .. }));
        end.operands().into_iter().skip(tested).for_each(|operand| moved[operand.index()] = false);
    }
}

/// Takes out what breaks M1 at one instruction or another; whether there was any.
fn narrow_down(function: &Function, has_tests: bool, constants: &[Option<U256>], sums: &[bool], moved: &mut [bool]) -> bool {
    let mut changed = false;
    for (value, inst) in function.instructions() {
        match inst {
            Inst::Store(..) => {}
            Inst::Narrow(..) if has_tests => {}
            Inst::MStore(address, _) => clear(moved, *address, &mut changed),
            Inst::Pure(op, args) => {
                let Some(value) = value else { continue };
                let fits = args.iter().all(|arg| moved[arg.index()] || constants[arg.index()].is_some());
                if !is_bitwise(*op) && !sums[value.index()] || !fits {
                    clear(moved, value, &mut changed);
                }
                let is_test = has_tests && is_equality(*op) && fits;
                if !moved[value.index()] && !is_test {
                    args.iter().for_each(|arg| clear(moved, *arg, &mut changed));
                }
            }
            _ => inst.operands().into_iter().for_each(|operand| clear(moved, operand, &mut changed)),
        }
    }
    changed
}

fn clear(moved: &mut [bool], value: Value, changed: &mut bool) {
    *changed |= std::mem::take(&mut moved[value.index()]);
}

const fn is_bitwise(op: PureOp) -> bool {
    matches!(op, PureOp::And | PureOp::Or | PureOp::Xor | PureOp::Not)
}

/// Whether an operation compares for equality.
pub(super) const fn is_equality(op: PureOp) -> bool {
    matches!(op, PureOp::Eq | PureOp::IsZero)
}

/// The sums of a word and a small constant, where values need not stay in registers (M2).
fn sums(function: &Function, constants: &[Option<U256>]) -> Vec<bool> {
    let mut sums = vec![false; function.values.len()];
    let is_sum = |args: &[Value]| {
        let known: Vec<U256> = args.iter().filter_map(|arg| constants[arg.index()]).collect();
        matches!(known[..], [constant] if u32::try_from(constant).is_ok())
    };
    let roots = function.blocks.iter().enumerate();
    let roots = roots.filter(|(_, block)| block.root.as_ref().is_some_and(|root| root.params.is_empty()));
    let mut work: Vec<usize> = roots.map(|(number, _)| number).collect();
    while let Some(number) = work.pop() {
        let block = &function.blocks[number];
        for (value, inst) in &block.insts {
            if let (Some(value), Inst::Pure(PureOp::Add, args)) = (value, inst) {
                sums[value.index()] = is_sum(args);
            }
        }
        let next = block.end.iter().flat_map(|end| end.edges()).map(|edge| edge.block.index());
        work.extend(next.filter(|next| function.blocks[*next].root.is_none()));
    }
    sums
}
