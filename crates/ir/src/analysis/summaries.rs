//! Summaries: where the ways that begin at a block end up, in terms of the stack at its start.
//!
//! in   what each block does by itself
//! out  [`Summaries`]: per block its exits, the jumps to an address that lay on the stack at its start; and the ways on from it
//!
//! A block is the beginning of whatever is called there. Its exits are what it returns through, and whoever calls it with a return
//! address that is known goes on there. So each block is worked on once, not once for each of its callers, and every call returns to
//! its own caller all the same.
//!
//! S1  Two exits through the same entry of the stack, which leave it equally high, are one; of other entries that is kept which
//!     both agree on. Summaries only ever tell less, so the work ends.
//! S2  A block has at most `exits_per_block_max` exits, and the work is at most `flow_steps_per_instruction_max`; beyond either
//!     bound there are no summaries.

use crate::{
    analysis::{
        blocks::{Blocks, Exit as BlockExit},
        flow::is_constant_jump,
        frames::{Entry, Frame, Local},
    },
    bytecode::Code,
    compile::Config,
};
use std::collections::{BTreeSet, HashSet};

/// A jump to an address that lay on the stack at a block's start.
#[derive(Debug, Clone)]
struct Exit {
    /// How deep the address lay.
    param: u16,
    /// The stack at the jump.
    frame: Frame,
    /// The blocks that end with the jump.
    sources: BTreeSet<usize>,
}

/// The ways on from a block.
#[derive(Debug, Clone, Default)]
pub struct Ways {
    /// Blocks that are reached on the way, calls that return included, and how much higher the stack stands there.
    pub arrivals: Vec<(usize, i32)>,
    /// Jumps to known addresses: the block that ends with it, the block it goes to.
    pub jumps: Vec<(usize, usize)>,
    /// Blocks whose jump may go anywhere.
    pub dynamic: BTreeSet<usize>,
    /// Blocks whose jump goes to an address that lay on the stack at the start.
    pub returns: BTreeSet<usize>,
    exits: Vec<Exit>,
    /// Blocks whose summaries were used.
    used: BTreeSet<usize>,
}

/// Everything known of all blocks.
#[derive(Debug)]
pub struct Summaries<'a> {
    code: &'a Code,
    blocks: &'a Blocks,
    locals: &'a [Local],
    /// Blocks that are not followed.
    unfollowed: &'a [bool],
    exits_max: usize,
    exits: Vec<Vec<Exit>>,
    steps_left: u64,
    /// Abstract steps that were taken: blocks and stack entries looked at.
    pub steps: u64,
}

/// Works out the summaries; none beyond the bounds (S2).
///
/// # Errors
/// The work that was done in vain.
pub fn summaries<'a>(
    code: &'a Code,
    blocks: &'a Blocks,
    locals: &'a [Local],
    config: &Config,
    unfollowed: &'a [bool],
) -> Result<Summaries<'a>, u64> {
    let count = blocks.list.len();
    let mut summaries = Summaries {
        code,
        blocks,
        locals,
        unfollowed,
        exits_max: config.limits.exits_per_block_max as usize,
        exits: vec![vec![]; count],
        steps_left: u64::from(config.limits.flow_steps_per_instruction_max) * code.instructions.len() as u64,
        steps: 0,
    };
    let mut users: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
    let mut is_queued: Vec<bool> = unfollowed.iter().map(|unfollowed| !unfollowed).collect();
    // What is called mostly stands behind its callers.
    let mut queue: Vec<usize> = (0..count).filter(|block| is_queued[*block]).collect();
    while let Some(block) = queue.pop() {
        is_queued[block] = false;
        let ways = summaries.ways(block).ok_or(summaries.steps)?;
        for used in &ways.used {
            users[*used].insert(block);
        }
        if summaries.merge(block, ways.exits).ok_or(summaries.steps)? {
            let waiting = users[block].iter().copied().filter(|user| !std::mem::replace(&mut is_queued[*user], true));
            queue.extend(waiting);
        }
    }
    Ok(summaries)
}

impl Summaries<'_> {
    /// Counts work; none when there was too much of it.
    fn step(&mut self, steps: usize) -> Option<()> {
        self.steps += steps as u64;
        self.steps_left = self.steps_left.checked_sub(steps as u64)?;
        Some(())
    }

    /// Adds exits to a block's summary (S1); whether that says anything new.
    fn merge(&mut self, block: usize, new: Vec<Exit>) -> Option<bool> {
        let exits = &mut self.exits[block];
        let mut changed = false;
        for exit in new {
            let same = exits.iter_mut().find(|own| own.param == exit.param && own.frame.delta() == exit.frame.delta());
            match same {
                Some(own) => {
                    changed |= own.frame.join(&exit.frame);
                    let before = own.sources.len();
                    own.sources.extend(exit.sources);
                    changed |= own.sources.len() != before;
                }
                None => {
                    exits.push(exit);
                    changed = true;
                }
            }
        }
        (exits.len() <= self.exits_max).then_some(changed)
    }

    /// Follows all ways from a block as far as its own stack tells where they go; none when that is too much work.
    pub fn ways(&mut self, block: usize) -> Option<Ways> {
        let mut ways = Ways::default();
        let mut met: HashSet<(usize, Frame)> = HashSet::new();
        let mut work: Vec<(usize, Frame)> = vec![];
        let local = &self.locals[block];
        let (target, frame) = (local.target, local.frame.clone());
        let own = BTreeSet::from([block]);
        if let Some(target) = target {
            if target == Entry::Unknown && is_constant_jump(self.code, self.blocks, block) {
                // A constant that is no destination: the jump always fails.
            } else {
                self.jump(target, &frame, &own, &mut ways, &mut work);
            }
        }
        let falls = matches!(self.blocks.list[block].exit, BlockExit::FallThrough | BlockExit::Suspend | BlockExit::JumpIf);
        if falls && block + 1 < self.blocks.list.len() {
            work.push((block + 1, frame));
        }
        while let Some((next, frame)) = work.pop() {
            self.step(1 + frame.told())?;
            if met.len() > self.exits_max * 4 {
                return None;
            }
            if self.unfollowed[next] || !met.insert((next, frame.clone())) {
                continue;
            }
            ways.arrivals.push((next, frame.delta()));
            ways.used.insert(next);
            for exit in self.exits[next].clone() {
                self.step(1 + exit.frame.told() + exit.sources.len())?;
                let after = frame.then(&exit.frame);
                self.jump(frame.peek(usize::from(exit.param)), &after, &exit.sources, &mut ways, &mut work);
            }
        }
        Some(ways)
    }

    /// Notes a jump, with the stack behind it, of the blocks `sources`.
    fn jump(&self, target: Entry, frame: &Frame, sources: &BTreeSet<usize>, ways: &mut Ways, work: &mut Vec<(usize, Frame)>) {
        match target {
            Entry::Destination(target) => {
                ways.jumps.extend(sources.iter().map(|source| (*source, target as usize)));
                work.push((target as usize, frame.clone()));
            }
            Entry::Param(param) => {
                ways.returns.extend(sources);
                ways.exits.push(Exit { param, frame: frame.clone(), sources: sources.clone() });
            }
            Entry::Unknown => ways.dynamic.extend(sources),
        }
    }
}
