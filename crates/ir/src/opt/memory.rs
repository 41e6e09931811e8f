//! Memory facts: checks of memory that is known to be there fall away.
//!
//! in   a function
//! out  the same function; every root says how long memory is at least where it is entered
//!
//! M1  Memory of a frame never shrinks.
//! M2  What a root may rely on is the least of what its edges bring; entries from outside are guarded by it, entry 0 by nothing.

use crate::function::{Block, Function, Inst, Terminator, Value};

/// Facts above this many bytes are not kept: no guard should fail where memory is used in odd ways.
const FACT_BYTES_MAX: u64 = 1 << 16;

/// Computed addresses remembered on one way, so that the work stays linear.
const CHECKED_MAX: usize = 16;

/// Removes checks that always pass.
pub fn run(function: &mut Function) {
    let numbers = numbers(function);
    let mut facts: Vec<u64> = function.blocks.iter().map(|block| if block.root.is_some() { FACT_BYTES_MAX } else { 0 }).collect();
    if let Some(first) = facts.first_mut() {
        *first = 0;
    }
    // Facts start too large and only shrink, to values that stand in the code, so this ends; the bound keeps it linear.
    for round in 0.. {
        let mut incoming = vec![u64::MAX; facts.len()];
        walk(function, &facts, &numbers, &mut |_, _, _| false, &mut |target, reach| {
            incoming[target.index()] = incoming[target.index()].min(reach);
        });
        let mut changed = false;
        for (block, data) in function.blocks.iter().enumerate() {
            let Some(root) = &data.root else { continue };
            let outside = root.dispatch || root.entry == Some(0);
            let fact = if outside || round >= 16 { 0 } else { facts[block].min(incoming[block]) };
            changed |= fact != facts[block];
            facts[block] = fact;
        }
        if !changed {
            break;
        }
    }
    let mut removed = vec![];
    walk(function, &facts, &numbers, &mut |block, index, covered| {
        if covered {
            removed.push((block, index));
        }
        covered
    }, &mut |_, _| {});
    removed.sort_unstable();
    for (block, index) in removed.into_iter().rev() {
        function.blocks[block].insts.remove(index);
    }
    for (block, fact) in facts.into_iter().enumerate() {
        if let Some(root) = &mut function.blocks[block].root {
            root.memory_min = fact as u32;
        }
    }
}

/// Constant numbers by value.
fn numbers(function: &Function) -> Vec<Option<u64>> {
    let mut numbers = vec![None; function.values.len()];
    for (value, inst) in function.blocks.iter().flat_map(|block| &block.insts) {
        if let (Some(value), Inst::Number(number)) = (value, inst) {
            numbers[value.index()] = Some(*number);
        }
    }
    numbers
}

/// Walks from every root with its fact; tells each check whether it is covered, and each root what its edges bring.
fn walk(
    function: &Function,
    facts: &[u64],
    numbers: &[Option<u64>],
    check: &mut dyn FnMut(usize, usize, bool) -> bool,
    arrive: &mut dyn FnMut(Block, u64),
) {
    let mut work: Vec<(usize, u64, Vec<Value>)> = vec![];
    for (block, data) in function.blocks.iter().enumerate() {
        if data.root.is_some() {
            work.push((block, facts[block], vec![]));
        }
    }
    while let Some((block, mut reach, mut checked)) = work.pop() {
        for (index, (_, inst)) in function.blocks[block].insts.iter().enumerate() {
            let Inst::Reach { address, length, .. } = inst else { continue };
            match numbers[address.index()] {
                Some(number) => {
                    check(block, index, number + u64::from(*length) <= reach);
                    reach = reach.max(number + u64::from(*length));
                }
                // Only whole words are remembered, so that a byte's check covers no word.
                None => {
                    if !check(block, index, checked.contains(address)) && *length == 32 && checked.len() < CHECKED_MAX {
                        checked.push(*address);
                    }
                }
            }
        }
        let Some(end) = &function.blocks[block].end else { continue };
        for edge in end.edges() {
            if function.blocks[edge.block.index()].root.is_some() {
                // Behind a host call that suspends, the guard of the entry holds the fact.
                debug_assert!(!matches!(end, Terminator::Finish(_)));
                arrive(edge.block, reach.min(FACT_BYTES_MAX));
            } else {
                work.push((edge.block.index(), reach, checked.clone()));
            }
        }
    }
}
