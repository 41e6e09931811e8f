//! Memory facts: checks of memory that is known to be there fall away.
//!
//! in   a function
//! out  the same function; every root says how long memory is at least where it is entered
//!
//! M1  Memory of a frame never shrinks.
//! M2  What a root may rely on is the least of what its edges bring; entries from outside are guarded by it, entry 0 by nothing.
//! M3  A check may cover later accesses of its block that count from the same number, where nothing between leaves or sees gas or
//!     the size of memory: either all of them run, or the gas is missing, and then nothing has grown.

use crate::function::{Block, Field, Function, Inst, Terminator, Value};

/// Facts above this many bytes are not kept: no guard should fail where memory is used in odd ways.
const FACT_BYTES_MAX: u64 = 1 << 16;

/// Computed addresses remembered on one way, so that the work stays linear.
const CHECKED_MAX: usize = 16;

/// Bytes that one check covers at most.
const JOINED_BYTES_MAX: u64 = 1 << 12;

/// How often the fact of a root may shrink before it is given up, so that the work stays linear.
const CHANGES_MAX: u8 = 8;

/// Removes checks that always pass.
pub fn run(function: &mut Function) {
    let addresses = Addresses::new(function);
    join(function, &addresses);
    let facts = facts(function, &addresses);
    let mut removed = vec![];
    for (block, fact) in facts.iter().enumerate().filter(|(block, _)| function.blocks[*block].root.is_some()) {
        let check = &mut |block, index, covered| {
            if covered {
                removed.push((block, index));
            }
            covered
        };
        walk(function, (block, *fact), &addresses, check, &mut |_, _| {});
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
fn facts(function: &Function, addresses: &Addresses) -> Vec<u64> {
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
    let mut blocks = 0..function.blocks.len();
    loop {
        while let Some(block) = work.pop() {
            let fact = facts[block].unwrap_or(0);
            walk(function, (block, fact), addresses, &mut |_, _, _| false, &mut |target, reach| {
                let target = target.index();
                if facts[target].is_some_and(|fact| fact <= reach) {
                    return;
                }
                changes[target] += 1;
                facts[target] = Some(if changes[target] > CHANGES_MAX { 0 } else { reach });
                work.push(target);
            });
        }
        // What nothing reached so far is entered from outside alone, and its own edges count all the same.
        let unreached = blocks.find(|block| facts[*block].is_none() && function.blocks[*block].root.is_some());
        let Some(block) = unreached else { break };
        facts[block] = Some(0);
        work.push(block);
    }
    facts.into_iter().map(|fact| fact.unwrap_or(0)).collect()
}

/// What is known of addresses.
struct Addresses {
    /// Constant numbers by value.
    numbers: Vec<Option<u64>>,
    /// The number that a number stands behind, and how far.
    bases: Vec<Option<(Value, u32)>>,
}

impl Addresses {
    fn new(function: &Function) -> Self {
        Self { numbers: function.by_value(Inst::as_number), bases: function.by_value(Inst::as_offset) }
    }

    /// The end of an access that does not begin at a constant, counted from a number.
    fn end(&self, address: Value, length: u32) -> Option<(Value, u64)> {
        if self.numbers[address.index()].is_some() {
            return None;
        }
        let (base, bytes) = self.bases[address.index()].unwrap_or((address, 0));
        Some((base, u64::from(bytes) + u64::from(length)))
    }
}

/// Lets a check cover the accesses behind it that count from the same number and certainly follow (M3).
fn join(function: &mut Function, addresses: &Addresses) {
    for block in &mut function.blocks {
        // Per number: the check that covers it, and how far it could reach.
        let mut open: Vec<(Value, usize, u64)> = vec![];
        for index in 0..block.insts.len() {
            let inst = &block.insts[index].1;
            if let Inst::Reach { address, length, .. } = inst {
                let Some((base, end)) = addresses.end(*address, *length) else { continue };
                match open.iter().position(|(other, ..)| *other == base) {
                    Some(known) => {
                        let (_, first, reach) = open[known];
                        if end > reach && end < JOINED_BYTES_MAX {
                            open[known].2 = end;
                            lengthen(&mut block.insts[first].1, addresses, end);
                        }
                    }
                    None if open.len() < CHECKED_MAX => open.push((base, index, end)),
                    None => {}
                }
            } else if !is_passed(inst) {
                open.clear();
            }
        }
    }
}

/// Makes a check reach to an end counted from its base.
fn lengthen(inst: &mut Inst, addresses: &Addresses, end: u64) {
    if let Inst::Reach { address, length, .. } = inst {
        let (_, bytes) = addresses.bases[address.index()].unwrap_or((*address, 0));
        *length = (end - u64::from(bytes)) as u32;
    }
}

/// Whether an instruction neither leaves nor sees gas or the size of memory.
const fn is_passed(inst: &Inst) -> bool {
    match inst {
        Inst::Field(field) => !matches!(field, Field::Gas | Field::MemorySize),
        Inst::Const(_)
        | Inst::Number(_)
        | Inst::Pure(..)
        | Inst::Offset(..)
        | Inst::Load(_)
        | Inst::Store(..)
        | Inst::MLoad(_)
        | Inst::MStore(..)
        | Inst::MStore8(..)
        | Inst::CallDataLoad(_) => true,
        _ => false,
    }
}

/// Walks from a root with its fact; tells each check whether it is covered, and each root what its edges bring.
fn walk(
    function: &Function,
    (root, fact): (usize, u64),
    addresses: &Addresses,
    check: &mut dyn FnMut(usize, usize, bool) -> bool,
    arrive: &mut dyn FnMut(Block, u64),
) {
    // Block, bytes of memory, and what is checked: a number, and how far behind it.
    let mut work = vec![(root, fact, Vec::<(Value, u64)>::new())];
    while let Some((block, mut reach, mut checked)) = work.pop() {
        for (index, (_, inst)) in function.blocks[block].insts.iter().enumerate() {
            let Inst::Reach { address, length, .. } = inst else { continue };
            let Some((base, end)) = addresses.end(*address, *length) else {
                let number = addresses.numbers[address.index()].unwrap_or(u64::MAX);
                check(block, index, number.saturating_add(u64::from(*length)) <= reach);
                reach = reach.max(number.saturating_add(u64::from(*length)));
                continue;
            };
            let known = checked.iter().position(|(other, _)| *other == base);
            let covered = known.is_some_and(|known| end <= checked[known].1);
            if !check(block, index, covered) {
                match known {
                    Some(known) => checked[known].1 = checked[known].1.max(end),
                    None if checked.len() < CHECKED_MAX => checked.push((base, end)),
                    None => {}
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
