//! The plan: which blocks are compiled, which of them are roots, entries and dispatch targets.
//!
//! in   blocks, flow, cold blocks
//! out  [`Plan`]
//!
//! P1  A block is a root when it has several ways in, or a way in from outside.
//! P2  Entry 0 is the start; further entries stand behind calls and custom opcodes, at loop heads and at dispatch targets.
//! P3  At most `dispatched_blocks_max` blocks are dispatched to; a computed jump to any other leaves.
//! P4  At most `tree_instructions_max` instructions hang on one root: the block that would be one too many is a root. No function of the
//!     back end, whose passes recurse over blocks and expressions, is then much larger than what it may hold.

use crate::{
    analysis::{
        blocks::{Blocks, Exit},
        flow::Flow,
        loops::{Loops, loops, predecessors},
    },
    bytecode::Code,
    compile::Config,
};

/// How the blocks of a code are compiled.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Per block: is a root.
    pub root: Vec<bool>,
    /// Per block: can be entered from outside.
    pub entry: Vec<bool>,
    /// Per block: computed jumps may arrive.
    pub dispatch: Vec<bool>,
    /// Per block: its jump is compared with its targets; otherwise it is dispatched.
    pub compared: Vec<bool>,
    /// Whether there is a block that computed jumps may arrive at.
    pub any_dispatch: bool,
    /// Loops over the compiled edges.
    pub loops: Loops,
}

/// Makes the plan.
pub fn plan(code: &Code, blocks: &Blocks, flow: &Flow, cold: &[bool], config: &Config) -> Plan {
    let count = blocks.list.len();
    let cases_max = config.limits.switch_cases_max as usize;
    let compared: Vec<bool> = flow.blocks.iter().map(|row| !row.dynamic && row.targets.len() <= cases_max).collect();
    let dispatch = dispatch(flow, cold, &compared, config.limits.dispatched_blocks_max as usize);
    let any_dispatch = (0..count).any(|block| dispatch[block] && flow.blocks[block].reached);
    let successors: Vec<Vec<usize>> = (0..count).map(|block| successors(block, blocks, flow, cold, &compared)).collect();
    let predecessors = predecessors(&successors);
    let after_host: Vec<bool> =
        (0..count).map(|block| block > 0 && matches!(blocks.list[block - 1].exit, Exit::Suspend | Exit::Custom)).collect();
    let closed: Vec<bool> = (0..count).map(|block| block != 0 && !after_host[block] && !dispatch[block]).collect();
    let slots_max = config.limits.loop_params_max as usize;
    let mut loops = loops(code, blocks, &successors, &closed, slots_max);
    // Behind a host instruction the stack is at home and its values are not known before it.
    loops.slots.retain(|block, _| !after_host[*block]);
    let mut root: Vec<bool> =
        (0..count).map(|block| !closed[block] || predecessors[block].len() != 1 || loops.head[block]).collect();
    for block in cut(blocks, &successors, &mut root, config.limits.tree_instructions_max as usize) {
        // Parameters would tie both pieces together again.
        loops.slots.remove(&block);
    }
    let is_destination = |block: usize| code.jump_destinations.get(blocks.list[block].pc as usize) == Some(&true);
    let entry = (0..count)
        .map(|block| {
            block == 0
                || after_host[block]
                || dispatch[block]
                || (root[block] && is_destination(block) && (loops.head[block] || config.force_leaves))
                // A frame that left its region comes back where ways meet.
                || (config.region.is_some() && root[block] && is_destination(block) && !loops.in_loop[block])
        })
        .collect();
    Plan { root, entry, dispatch, compared, any_dispatch, loops }
}

/// Makes roots of blocks until no tree is larger than it may be (P4); the new ones.
fn cut(blocks: &Blocks, successors: &[Vec<usize>], root: &mut [bool], instructions_max: usize) -> Vec<usize> {
    let mut new = vec![];
    let mut roots: Vec<usize> = (0..root.len()).filter(|block| root[*block]).collect();
    while let Some(head) = roots.pop() {
        let (mut filled, mut work) = (0, vec![head]);
        while let Some(block) = work.pop() {
            let len = blocks.list[block].end - blocks.list[block].first;
            if block != head && filled + len > instructions_max {
                root[block] = true;
                new.push(block);
                roots.push(block);
                continue;
            }
            filled += len;
            work.extend(successors[block].iter().copied().filter(|next| !root[*next]));
        }
    }
    new
}

/// The blocks that computed jumps may arrive at, known targets first (P3).
fn dispatch(flow: &Flow, cold: &[bool], compared: &[bool], blocks_max: usize) -> Vec<bool> {
    let mut dispatch = vec![false; cold.len()];
    let uncompared = flow.blocks.iter().zip(compared).filter(|(row, compared)| !**compared && row.reached);
    let known = uncompared.flat_map(|(row, _)| row.targets.iter().copied());
    let possible = (0..cold.len()).filter(|block| flow.blocks[*block].dispatched);
    let mut left = blocks_max;
    for block in known.chain(possible).filter(|block| !cold[*block]) {
        if left != 0 && !std::mem::replace(&mut dispatch[block], true) {
            left -= 1;
        }
    }
    dispatch
}

/// The compiled edges out of a block.
fn successors(block: usize, blocks: &Blocks, flow: &Flow, cold: &[bool], compared: &[bool]) -> Vec<usize> {
    let row = &flow.blocks[block];
    let next = (block + 1 < blocks.list.len()).then_some(block + 1);
    if !row.reached || row.outside {
        return vec![];
    }
    let targets = || row.targets.iter().copied().filter(|_| compared[block]);
    match blocks.list[block].exit {
        Exit::Leave | Exit::Finish => vec![],
        Exit::FallThrough | Exit::Suspend | Exit::Custom => next.into_iter().collect(),
        Exit::Jump => targets().collect(),
        Exit::JumpIf => targets().chain(next).filter(|to| !cold[*to]).collect(),
    }
}
