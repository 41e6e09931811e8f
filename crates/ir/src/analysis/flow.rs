//! Flow: which block follows which, and how high the stack stands.
//!
//! in   blocks, decoded code, budgets
//! out  [`Flow`]: per block the stack heights it is reached with, its successors, and the entries from outside
//!
//! W1  Where the ways from every block can be summed up within the budgets (S2), each call of an internal function returns to its own
//!     caller, and heights follow the callers. Beyond them the precise analysis is given up as a whole.
//! W2  The coarse analysis knows only what stands in one block: stacks of any height, targets pushed in front of their jump.
//!     Every other jump is dispatched to guarded roots (A1).
//! W3  Heights are right for every compiled edge; entries from outside are guarded by them.
//! W4  Where nothing is known of the stack (behind an opcode declared custom, or where only a dispatched jump arrives) any height is
//!     possible, and a return may go anywhere.

use crate::{
    analysis::{
        blocks::{Blocks, Exit},
        frames::{self, Entry, Local},
        region::outside,
        summaries::{self, Summaries, Ways},
    },
    bytecode::Code,
    compile::Config,
    opcodes::{self, Class},
};
use std::collections::BTreeSet;

/// Greatest stack height.
pub const STACK_LIMIT: u16 = 1024;

/// How often the heights of a block may widen before any height is taken for possible, so that recursion ends the work.
const WIDENINGS_MAX: u8 = 16;

/// What is known of one block.
#[derive(Debug, Clone, Default)]
pub struct BlockFlow {
    /// Whether any compiled edge or entry reaches it.
    pub reached: bool,
    /// Least stack height at its start.
    pub height_min: u16,
    /// Greatest stack height at its start.
    pub height_max: u16,
    /// Blocks that its jump goes to (a JUMPI's fall-through aside).
    pub targets: BTreeSet<usize>,
    /// Whether its jump may have further targets.
    pub dynamic: bool,
    /// Whether computed jumps may arrive here through the dispatch.
    pub dispatched: bool,
    /// Whether it lies outside of the region; then nothing reaches it that is compiled.
    pub outside: bool,
}

/// The result of the analysis.
#[derive(Debug, Clone)]
pub struct Flow {
    /// One row per block.
    pub blocks: Vec<BlockFlow>,
    /// Whether any jump is dispatched.
    pub any_dynamic: bool,
    /// Abstract steps that were taken: instructions run, and stack entries carried from block to block.
    pub steps: u64,
}

/// A jump whose target was pushed just before it, and is no destination, always fails: it is no dynamic jump.
pub fn is_constant_jump(code: &Code, blocks: &Blocks, number: usize) -> bool {
    let block = &blocks.list[number];
    block.end - block.first >= 2 && code.instructions[block.end - 2].opcode.is_some_and(|opcode| opcode.class == Class::Push)
}

/// Runs the analysis.
pub fn flow(code: &Code, blocks: &Blocks, config: &Config) -> Flow {
    let outside = outside(blocks, config);
    let locals = frames::locals(code, blocks, config);
    let everywhere = vec![false; blocks.list.len()];
    let mut steps = code.instructions.len() as u64;
    // Where a part of the region is reached through other blocks alone, these are followed, too (R3).
    for (unfollowed, is_precise) in [(&outside, true), (&everywhere, true), (&everywhere, false)] {
        let summaries = is_precise.then(|| summaries::summaries(code, blocks, &locals, config, unfollowed));
        let summaries = match summaries {
            Some(Err(wasted)) => {
                steps += wasted;
                continue;
            }
            Some(Ok(summaries)) => Some(summaries),
            None => None,
        };
        let mut run = Run::new(code, blocks, &locals, summaries, &outside, unfollowed);
        run.run();
        steps += run.summaries.as_ref().map_or(0, |summaries| summaries.steps);
        let has_orphans = run.flow.iter().any(|row| !row.outside && !row.reached);
        if run.overflowed || is_precise && has_orphans && unfollowed.contains(&true) {
            continue;
        }
        let any_dynamic = run.flow.iter().any(|block| block.reached && block.dynamic);
        return Flow { blocks: run.flow, any_dynamic, steps };
    }
    // The last round neither overflows nor goes on.
    Flow { blocks: vec![BlockFlow::default(); blocks.list.len()], any_dynamic: false, steps }
}

struct Run<'a> {
    code: &'a Code,
    blocks: &'a Blocks,
    locals: &'a [Local],
    /// None for the coarse analysis.
    summaries: Option<Summaries<'a>>,
    flow: Vec<BlockFlow>,
    /// The ways from a block, once they were asked for.
    ways: Vec<Option<Ways>>,
    /// Blocks entered with a stack of which nothing is known.
    unknown: Vec<bool>,
    /// Blocks that are not followed.
    unfollowed: &'a [bool],
    widenings: Vec<u8>,
    work: Vec<usize>,
    overflowed: bool,
}

impl<'a> Run<'a> {
    fn new(
        code: &'a Code,
        blocks: &'a Blocks,
        locals: &'a [Local],
        summaries: Option<Summaries<'a>>,
        outside: &[bool],
        unfollowed: &'a [bool],
    ) -> Self {
        let count = blocks.list.len();
        Self {
            code,
            blocks,
            locals,
            summaries,
            flow: outside.iter().map(|outside| BlockFlow { outside: *outside, ..BlockFlow::default() }).collect(),
            ways: vec![None; count],
            unknown: vec![false; count],
            unfollowed,
            widenings: vec![0; count],
            work: vec![],
            overflowed: false,
        }
    }

    fn run(&mut self) {
        self.arrive(0, 0, 0);
        self.drain();
        if self.flow.iter().any(|block| block.dynamic) {
            self.seed_dispatch();
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(block) = self.work.pop() {
            self.visit(block);
            if self.overflowed {
                return;
            }
        }
    }

    /// Notes that a block is reached with a stack of some heights.
    fn arrive(&mut self, block: usize, height_min: u16, height_max: u16) {
        if self.unfollowed[block] {
            return;
        }
        let row = &mut self.flow[block];
        if !row.reached {
            (row.reached, row.height_min, row.height_max) = (true, height_min, height_max);
            self.work.push(block);
            return;
        }
        if row.height_min <= height_min && height_max <= row.height_max {
            return;
        }
        self.widenings[block] += 1;
        if self.widenings[block] > WIDENINGS_MAX {
            (row.height_min, row.height_max) = (0, STACK_LIMIT);
        } else {
            (row.height_min, row.height_max) = (row.height_min.min(height_min), row.height_max.max(height_max));
        }
        self.work.push(block);
    }

    /// Notes that a block is reached with a stack of which nothing is known (W4).
    fn arrive_unknown(&mut self, block: usize) {
        self.arrive(block, 0, STACK_LIMIT);
        if !self.unfollowed[block] && !std::mem::replace(&mut self.unknown[block], true) {
            self.work.push(block);
        }
    }

    /// Computed jumps may arrive at every jump destination: the reached ones are guarded by what is known of them, the others
    /// are reached by nothing else.
    fn seed_dispatch(&mut self) {
        for block in 0..self.blocks.list.len() {
            let pc = self.blocks.list[block].pc as usize;
            if self.code.jump_destinations.get(pc) != Some(&true) || self.flow[block].outside {
                continue;
            }
            self.flow[block].dispatched = true;
            if !self.flow[block].reached {
                self.arrive_unknown(block);
            }
        }
    }

    fn visit(&mut self, number: usize) {
        let block = &self.blocks.list[number];
        let row = &self.flow[number];
        // Below what the block needs it leaves, so behind the check the height is at least that; likewise above.
        let low = row.height_min.max(block.needs);
        let high = row.height_max.min(STACK_LIMIT.saturating_sub(block.grows));
        if low > high {
            return;
        }
        if block.exit == Exit::Custom && number + 1 < self.blocks.list.len() {
            self.arrive_unknown(number + 1);
        }
        let Some(ways) = self.ways_from(number) else {
            self.overflowed = true;
            return;
        };
        let returns = ways.returns.iter().filter(|_| self.unknown[number]);
        for source in ways.dynamic.iter().chain(returns) {
            self.flow[*source].dynamic = !self.flow[*source].outside;
        }
        for (source, target) in &ways.jumps {
            self.flow[*source].targets.insert(*target);
        }
        let moved = |height: u16, delta: i32| (i32::from(height) + delta).clamp(0, STACK_LIMIT.into()) as u16;
        for (target, delta) in &ways.arrivals {
            match self.summaries {
                Some(_) => self.arrive(*target, moved(low, *delta), moved(high, *delta)),
                None => self.arrive_unknown(*target),
            }
        }
        self.ways[number] = Some(ways);
    }

    /// The ways from a block; none beyond the bounds.
    fn ways_from(&mut self, number: usize) -> Option<Ways> {
        if let Some(ways) = self.ways[number].take() {
            return Some(ways);
        }
        match &mut self.summaries {
            Some(summaries) => summaries.ways(number),
            None => Some(self.coarse_ways(number)),
        }
    }

    /// What one block tells by itself (W2).
    fn coarse_ways(&self, number: usize) -> Ways {
        let mut ways = Ways::default();
        match self.locals[number].target {
            Some(Entry::Destination(target)) => {
                ways.jumps.push((number, target as usize));
                ways.arrivals.push((target as usize, 0));
            }
            Some(_) if !is_constant_jump(self.code, self.blocks, number) => {
                ways.dynamic.insert(number);
            }
            _ => {}
        }
        let falls = matches!(self.blocks.list[number].exit, Exit::FallThrough | Exit::Suspend | Exit::JumpIf);
        if falls && number + 1 < self.blocks.list.len() {
            ways.arrivals.push((number + 1, 0));
        }
        ways
    }
}

/// The text dump of this stage.
pub fn dump(code: &Code, blocks: &Blocks, flow: &Flow) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (number, (block, row)) in blocks.list.iter().zip(&flow.blocks).enumerate() {
        let _ = write!(text, "{:04x}  block {number}", block.pc);
        if row.reached {
            let _ = write!(text, "  height {}..={}", row.height_min, row.height_max);
        } else {
            let _ = write!(text, "  unreached");
        }
        let _ = write!(text, "  {:?}", block.exit);
        for target in &row.targets {
            let _ = write!(text, " {:04x}", blocks.list[*target].pc);
        }
        let _ = writeln!(text, "{}", if row.dynamic { " dynamic" } else { "" });
        for instruction in &code.instructions[block.first..block.end] {
            let _ = writeln!(text, "      {:04x} {}", instruction.pc, opcodes::name(instruction.byte));
        }
    }
    text
}

/// The same as a graph for Graphviz.
pub fn dot(blocks: &Blocks, flow: &Flow) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("digraph cfg {\n  node [shape=box];\n");
    for (number, (block, row)) in blocks.list.iter().zip(&flow.blocks).enumerate() {
        if !row.reached {
            continue;
        }
        let _ = writeln!(text, "  b{number} [label=\"{:04x} {:?}\"];", block.pc, block.exit);
        for target in &row.targets {
            let _ = writeln!(text, "  b{number} -> b{target};");
        }
        if matches!(block.exit, Exit::FallThrough | Exit::JumpIf | Exit::Suspend | Exit::Custom) && number + 1 < blocks.list.len()
        {
            let _ = writeln!(text, "  b{number} -> b{};", number + 1);
        }
    }
    text.push_str("}\n");
    text
}
