//! The verifier: the rules that hold for a function after building and after every pass.
//!
//! in   any function, well formed or not
//! out  nothing, or the first broken rule with its number and place; linear in the size of the function, never panics
//!
//! V1   Every block has an end.
//! V2   Block 0 is a root with entry 0, entered with an empty stack and no memory: `height_min` and `memory_min` are 0, no
//!      parameters.
//! V3   A block that is no root has exactly one edge to it, from a tree that hangs on a root; the edge carries nothing.
//! V4   A value is defined once, by a parameter or an instruction, and stands in the table of values.
//! V5   A value is used only behind its definition, in the same block or further down the tree that hangs on one root.
//! V6   Operands are as many, and of the types, as the instruction or terminator says.
//! V7   An instruction defines a value exactly when it has a result, and the value has the result's type.
//! V8   An edge to a root carries one word for every parameter.
//! V9   Blocks and leave rows that are named exist.
//! V10  A leave row stores words that are visible wherever it is named, into slots below its top, no slot twice.
//! V11  Slots lie between -1024 and 1023, tops between -1024 and 1024.
//! V12  The edge of a suspending instruction leads to a root with an entry and carries no values.
//! V13  A computed jump is dispatched only where some root has `dispatch`.
//! V14  Entry numbers are unique.
//! V15  `height_min <= height_max <= 1024`.
//! V16  Addresses of memory are numbers.
//! V17  A memory access is covered: by a check of the same address, or of constants, on its way from the root, or by what the
//!      root says of memory; an edge brings at least the memory that its root says.
//! V18  An edge brings a stack height within what its root says, as far as the checks on its way tell.
//! V19  A forced leave names a bit below 64.
//! V20  What is given back, on a way or by a leave row, was charged on the way from the root.
//! V21  The base of an offset is the result of a narrowing, and the offset is below 2^31, so that their sum is below 2^33.
//! V22  Operands are given to builtins that execute an instruction of the EVM, and no more than the instruction takes.

mod tree;

use crate::function::{BlockData, Function, Terminator, Type, Value};
use tree::Walk;

/// Greatest stack height.
const STACK_LIMIT: i32 = 1024;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("V{rule}: block {block}: {message}")]
pub struct VerifyError {
    /// Number of the rule in the header of this module.
    pub rule: u32,
    /// The block where it was found.
    pub block: usize,
    /// What was found.
    pub message: String,
}

type Checked = Result<(), VerifyError>;

/// Makes the error for a rule.
fn broken(rule: u32, block: usize, message: impl Into<String>) -> VerifyError {
    VerifyError { rule, block, message: message.into() }
}

/// Fails unless the condition holds.
fn hold(condition: bool, rule: u32, block: usize, message: impl FnOnce() -> String) -> Checked {
    if condition { Ok(()) } else { Err(broken(rule, block, message())) }
}

/// Verifies a function.
///
/// # Errors
/// The first broken rule.
pub fn verify(function: &Function) -> Result<(), VerifyError> {
    start(function)?;
    for (number, block) in function.blocks.iter().enumerate() {
        block_alone(function, number, block)?;
    }
    entries(function)?;
    edges(function)?;
    definitions(function)?;
    Walk::new(function).run()
}

/// V2.
fn start(function: &Function) -> Checked {
    let root = function.blocks.first().and_then(|block| block.root.as_ref());
    let root = root.filter(|root| root.entry == Some(0)).ok_or_else(|| broken(2, 0, "block 0 is no root with entry 0"))?;
    let empty = root.height_min == 0 && root.memory_min == 0 && root.params.is_empty();
    hold(empty, 2, 0, || "entry 0 relies on stack entries or memory".to_owned())
}

/// V1, V9, V11 (slots of parameters), V15.
fn block_alone(function: &Function, number: usize, block: &BlockData) -> Checked {
    let end = block.end.as_ref().ok_or_else(|| broken(1, number, "no end"))?;
    let leaves = block.insts.iter().filter_map(|(_, inst)| inst.leave()).chain(end.leave());
    for leave in leaves {
        hold(leave.index() < function.leaves.len(), 9, number, || format!("{leave} does not exist"))?;
    }
    for edge in end.edges() {
        hold(edge.block.index() < function.blocks.len(), 9, number, || format!("{} does not exist", edge.block))?;
    }
    let Some(root) = &block.root else { return Ok(()) };
    let (min, max) = (root.height_min, root.height_max);
    hold(min <= max && i32::from(max) <= STACK_LIMIT, 15, number, || format!("height {min}..={max}"))?;
    root.params.iter().try_for_each(|(slot, _)| is_slot(*slot, number))
}

/// V11 for a slot.
fn is_slot(slot: i32, block: usize) -> Checked {
    hold((-STACK_LIMIT..STACK_LIMIT).contains(&slot), 11, block, || format!("slot [{slot}]"))
}

/// V11 for a stack top.
fn is_top(top: i32, block: usize) -> Checked {
    hold((-STACK_LIMIT..=STACK_LIMIT).contains(&top), 11, block, || format!("top [{top}]"))
}

/// V13, V14.
fn entries(function: &Function) -> Checked {
    let mut numbers = std::collections::HashSet::new();
    let mut any_dispatch = false;
    for (number, block) in function.blocks.iter().enumerate() {
        let Some(root) = &block.root else { continue };
        any_dispatch |= root.dispatch;
        if let Some(entry) = root.entry {
            hold(numbers.insert(entry), 14, number, || format!("a second entry {entry}"))?;
        }
    }
    let dispatching = function.blocks.iter().position(|block| matches!(block.end, Some(Terminator::Dispatch { .. })));
    match dispatching {
        Some(number) if !any_dispatch => Err(broken(13, number, "no root has `dispatch`")),
        _ => Ok(()),
    }
}

/// V3 (number of edges), V8 (number of arguments), V12.
fn edges(function: &Function) -> Checked {
    let mut ways_in = vec![0_usize; function.blocks.len()];
    for (number, block) in function.blocks.iter().enumerate() {
        let Some(end) = &block.end else { continue };
        for edge in end.edges() {
            ways_in[edge.block.index()] += 1;
            let Some(root) = &function.blocks[edge.block.index()].root else {
                let empty = edge.args.is_empty() && edge.top == 0;
                hold(empty, 3, number, || format!("the edge to {} carries something", edge.block))?;
                continue;
            };
            is_top(edge.top, number)?;
            let (given, wanted) = (edge.args.len(), root.params.len());
            hold(given == wanted, 8, number, || format!("{given} values for the {wanted} of {}", edge.block))?;
        }
        if let Terminator::Suspend { next, .. } = end {
            let root = function.blocks[next.block.index()].root.as_ref();
            let has_entry = root.is_some_and(|root| root.entry.is_some());
            hold(has_entry && next.args.is_empty(), 12, number, || format!("{} is not behind the instruction", next.block))?;
        }
    }
    for (number, block) in function.blocks.iter().enumerate() {
        let ways = ways_in[number];
        hold(block.root.is_some() || ways == 1, 3, number, || format!("no root, but {ways} edges to it"))?;
    }
    Ok(())
}

/// V4, V7.
fn definitions(function: &Function) -> Checked {
    let mut defined = vec![false; function.values.len()];
    let mut define = |value: Value, block: usize| -> Checked {
        let slot = defined.get_mut(value.index()).ok_or_else(|| broken(4, block, format!("{value} is in no table")))?;
        hold(!std::mem::replace(slot, true), 4, block, || format!("{value} is defined twice"))
    };
    for (number, block) in function.blocks.iter().enumerate() {
        for (_, value) in block.root.iter().flat_map(|root| &root.params) {
            define(*value, number)?;
            let is_word = function.type_of(*value) == Type::Word;
            hold(is_word, 8, number, || format!("parameter {value} is no word"))?;
        }
        for (value, inst) in &block.insts {
            if let Some(value) = value {
                define(*value, number)?;
            }
            let ty = value.map(|value| function.type_of(value));
            hold(ty == inst.result(), 7, number, || format!("{inst:?} defines {ty:?}"))?;
        }
    }
    Ok(())
}
