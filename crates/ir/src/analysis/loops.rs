//! Loops: which blocks run again and again, and which stack entries are worth a register there.
//!
//! in   blocks, flow, the successor lists that will be compiled
//! out  [`Loops`]: per block whether it lies in a loop, whether it heads one, and for blocks of an innermost loop its members' slots
//!
//! L1  A loop is a strongly connected set of blocks; taking away the edges into its head leaves the loops inside it.
//! L2  Slots are promoted only in innermost loops with one head that is the only way in, without host instructions, and with stack heights
//!     that are the same on every way through.

use crate::{
    analysis::blocks::Blocks,
    bytecode::Code,
    opcodes::{Class, Opcode},
};
use std::collections::{BTreeMap, HashMap};

/// Nested loops are looked into this deep, so that the work stays linear.
const DEPTH_MAX: u32 = 8;

/// What the loops of a code are.
#[derive(Debug, Clone, Default)]
pub struct Loops {
    /// Per block: lies in a loop.
    pub in_loop: Vec<bool>,
    /// Per block: heads a loop.
    pub head: Vec<bool>,
    /// Per block of a promoted loop: the slots kept in values, counted from the stack top at the block's start.
    pub slots: HashMap<usize, Vec<i32>>,
}

/// Finds loops. `successors` are the compiled edges; `closed` tells blocks that nothing but these edges enters.
pub fn loops(code: &Code, blocks: &Blocks, successors: &[Vec<usize>], closed: &[bool], slots_max: usize) -> Loops {
    let count = blocks.list.len();
    let mut result = Loops { in_loop: vec![false; count], head: vec![false; count], slots: HashMap::new() };
    let predecessors = predecessors(successors);
    // Sets of blocks still to be split, each with the heads whose incoming edges are taken away.
    let mut work: Vec<(Vec<usize>, Option<usize>, u32)> = vec![((0..count).collect(), None, 0)];
    while let Some((members, without, depth)) = work.pop() {
        for component in components(&members, successors, without) {
            let inside = |block: usize| component.binary_search(&block).is_ok();
            let is_loop = component.len() > 1 || successors[component[0]].contains(&component[0]);
            if !is_loop || Some(component[0]) == without && component.len() == 1 {
                continue;
            }
            let entered: Vec<usize> = component
                .iter()
                .copied()
                .filter(|block| !closed[*block] || predecessors[*block].iter().any(|from| !inside(*from)))
                .collect();
            let head = entered.first().copied().unwrap_or(component[0]);
            for block in &component {
                result.in_loop[*block] = true;
            }
            result.head[head] = true;
            let innermost = components(&component, successors, Some(head))
                .iter()
                .all(|inner| inner.len() == 1 && (inner[0] == head || !successors[inner[0]].contains(&inner[0])));
            let single_entry = entered.iter().all(|block| *block == head);
            if innermost && single_entry {
                promote(code, blocks, successors, &component, head, slots_max, &mut result.slots);
            } else if !innermost && depth < DEPTH_MAX {
                work.push((component, Some(head), depth + 1));
            }
        }
    }
    result
}

/// The blocks that lead to each block.
pub fn predecessors(successors: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut predecessors = vec![vec![]; successors.len()];
    for (from, list) in successors.iter().enumerate() {
        for to in list {
            predecessors[*to].push(from);
        }
    }
    predecessors
}

/// Chooses the slots of a loop that are kept in values: those used most often.
fn promote(
    code: &Code,
    blocks: &Blocks,
    successors: &[Vec<usize>],
    component: &[usize],
    head: usize,
    slots_max: usize,
    slots: &mut HashMap<usize, Vec<i32>>,
) {
    if component.iter().any(|block| calls_host(code, blocks, *block)) {
        return;
    }
    let Some(offsets) = offsets(blocks, successors, component, head) else { return };
    let mut uses: BTreeMap<i32, u32> = BTreeMap::new();
    for block in component {
        count_uses(code, blocks, *block, offsets[block], &mut uses);
    }
    let mut ranked: Vec<(i32, u32)> = uses.into_iter().collect();
    ranked.sort_by_key(|(slot, count)| (std::cmp::Reverse(*count), *slot));
    let chosen: Vec<i32> = ranked.into_iter().take(slots_max).map(|(slot, _)| slot).collect();
    for block in component {
        let offset = offsets[block];
        let mut own: Vec<i32> = chosen.iter().map(|slot| slot - offset).filter(|slot| *slot < 0).collect();
        own.sort_unstable();
        slots.insert(*block, own);
    }
}

/// Whether a block holds an instruction before which values are brought home: keeping them round the loop would only add moves.
fn calls_host(code: &Code, blocks: &Blocks, block: usize) -> bool {
    let row = &blocks.list[block];
    let is_host = |opcode: &Opcode| matches!(opcode.class, Class::Builtin | Class::Table | Class::Exp);
    code.instructions[row.first..row.end].iter().any(|instruction| instruction.opcode.is_some_and(is_host))
}

/// The stack top at each member's start, relative to the head's; none where two ways disagree.
fn offsets(blocks: &Blocks, successors: &[Vec<usize>], component: &[usize], head: usize) -> Option<HashMap<usize, i32>> {
    let mut offsets = HashMap::from([(head, 0)]);
    let mut work = vec![head];
    while let Some(block) = work.pop() {
        let row = &blocks.list[block];
        if matches!(row.exit, super::blocks::Exit::Suspend | super::blocks::Exit::Custom) {
            return None;
        }
        let after = offsets[&block] + row.delta;
        for successor in &successors[block] {
            if component.binary_search(successor).is_err() {
                continue;
            }
            match offsets.get(successor) {
                Some(known) if *known == after => {}
                Some(_) => return None,
                None => {
                    offsets.insert(*successor, after);
                    work.push(*successor);
                }
            }
        }
    }
    Some(offsets)
}

/// Counts how often each slot, relative to the head's stack top, is read or replaced by a block.
fn count_uses(code: &Code, blocks: &Blocks, block: usize, offset: i32, uses: &mut BTreeMap<i32, u32>) {
    let row = &blocks.list[block];
    let mut top = offset;
    for instruction in &code.instructions[row.first..row.end] {
        let Some(opcode) = instruction.opcode else { break };
        let (inputs, outputs) = (i32::from(opcode.inputs), i32::from(opcode.outputs));
        let mut touch = |slot: i32| *uses.entry(slot).or_default() += 1;
        match opcode.class {
            Class::Dup(depth) => touch(top - i32::from(depth)),
            Class::Swap(depth) => {
                touch(top - 1);
                touch(top - 1 - i32::from(depth));
            }
            _ => (0..inputs).for_each(|operand| touch(top - 1 - operand)),
        }
        top += outputs - inputs;
    }
}

/// Strongly connected components among the members, each sorted; edges into `without` do not count.
fn components(members: &[usize], successors: &[Vec<usize>], without: Option<usize>) -> Vec<Vec<usize>> {
    // Tarjan's algorithm with its own stack of (block, next successor), so that deep graphs do not overflow the host's stack.
    let position: HashMap<usize, usize> = members.iter().enumerate().map(|(index, block)| (*block, index)).collect();
    let mut order = vec![usize::MAX; members.len()];
    let mut low = vec![0; members.len()];
    let mut on_stack = vec![false; members.len()];
    let (mut stack, mut found, mut counter) = (vec![], vec![], 0);
    for start in 0..members.len() {
        if order[start] != usize::MAX {
            continue;
        }
        let mut calls = vec![(start, 0)];
        while let Some((node, next)) = calls.pop() {
            if next == 0 {
                (order[node], low[node]) = (counter, counter);
                counter += 1;
                stack.push(node);
                on_stack[node] = true;
            }
            let edges = &successors[members[node]];
            if let Some(to) = edges.get(next) {
                calls.push((node, next + 1));
                if Some(*to) == without {
                    continue;
                }
                let Some(to) = position.get(to) else { continue };
                if order[*to] == usize::MAX {
                    calls.push((*to, 0));
                } else if on_stack[*to] {
                    low[node] = low[node].min(order[*to]);
                }
                continue;
            }
            if let Some((caller, _)) = calls.last() {
                low[*caller] = low[*caller].min(low[node]);
            }
            if low[node] == order[node] {
                let mut component = vec![];
                while let Some(member) = stack.pop() {
                    on_stack[member] = false;
                    component.push(members[member]);
                    if member == node {
                        break;
                    }
                }
                component.sort_unstable();
                found.push(component);
            }
        }
    }
    found
}
