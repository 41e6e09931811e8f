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

/// How often the fact of a root may shrink before it is given up, so that the work stays linear.
const CHANGES_MAX: u8 = 8;

/// Removes checks that always pass.
pub fn run(function: &mut Function) {
    let numbers = numbers(function);
    let facts = facts(function, &numbers);
    let mut removed = vec![];
    for (block, fact) in facts.iter().enumerate().filter(|(block, _)| function.blocks[*block].root.is_some()) {
        let check = &mut |block, index, covered| {
            if covered {
                removed.push((block, index));
            }
            covered
        };
        walk(function, (block, *fact), &numbers, check, &mut |_, _| {});
    }
    let mut removed: std::collections::HashSet<(usize, usize)> = removed.into_iter().collect();
    for (number, block) in function.blocks.iter_mut().enumerate() {
        let mut index = 0;
        block.insts.retain(|_| {
            index += 1;
            !removed.remove(&(number, index - 1))
        });
    }
    for (block, fact) in facts.into_iter().enumerate() {
        if let Some(root) = &mut function.blocks[block].root {
            root.memory_min = fact as u32;
        }
    }
}

/// The bytes that memory has at least where each root is entered (M2).
fn facts(function: &Function, numbers: &[Option<u64>]) -> Vec<u64> {
    // A root that no way was followed to yet has no fact; each further way can only make it smaller.
    let mut facts: Vec<Option<u64>> = vec![None; function.blocks.len()];
    let mut changes = vec![0_u8; function.blocks.len()];
    let mut work = vec![];
    for (block, data) in function.blocks.iter().enumerate() {
        if data.root.as_ref().is_some_and(|root| root.dispatch || root.entry == Some(0)) {
            facts[block] = Some(0);
            work.push(block);
        }
    }
    while let Some(block) = work.pop() {
        let fact = facts[block].unwrap_or(0);
        walk(function, (block, fact), numbers, &mut |_, _, _| false, &mut |target, reach| {
            let target = target.index();
            if facts[target].is_some_and(|fact| fact <= reach) {
                return;
            }
            changes[target] += 1;
            facts[target] = Some(if changes[target] > CHANGES_MAX { 0 } else { reach });
            work.push(target);
        });
    }
    facts.into_iter().map(|fact| fact.unwrap_or(0)).collect()
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

/// Walks from a root with its fact; tells each check whether it is covered, and each root what its edges bring.
fn walk(
    function: &Function,
    (root, fact): (usize, u64),
    numbers: &[Option<u64>],
    check: &mut dyn FnMut(usize, usize, bool) -> bool,
    arrive: &mut dyn FnMut(Block, u64),
) {
    let mut work: Vec<(usize, u64, Vec<Value>)> = vec![(root, fact, vec![])];
    while let Some((block, mut reach, mut checked)) = work.pop() {
        for (index, (_, inst)) in function.blocks[block].insts.iter().enumerate() {
            let Inst::Reach { address, length, .. } = inst else { continue };
            match numbers[address.index()] {
                Some(number) => {
                    check(block, index, number.saturating_add(u64::from(*length)) <= reach);
                    reach = reach.max(number.saturating_add(u64::from(*length)));
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
