//! Flow: which block follows which, and how high the stack stands, by running abstract stacks through the code.
//!
//! in   blocks, decoded code, budgets
//! out  [`Flow`]: per block the stack heights it is reached with, its successors, and the entries from outside
//!
//! An abstract stack keeps, for every entry, the jump destination that it holds (a return address), and forgets everything else.
//! A block is run once for every different abstract stack it is reached with, so that each call of an internal function returns
//! to its own caller.
//!
//! W1  Per block at most `contexts_per_block_max` stacks are kept apart, and the work is at most
//!     `flow_steps_per_instruction_max`. Beyond either bound the precise analysis is given up as a whole.
//! W2  The coarse analysis knows only what stands in one block: stacks of any height, targets pushed in front of their jump.
//!     Every other jump is dispatched to guarded roots (A1).
//! W3  Heights are right for every compiled edge; entries from outside are guarded by them.

use crate::{
    analysis::{
        blocks::{Blocks, Exit},
        region::outside,
    },
    bytecode::Code,
    compile::Config,
    function::PureOp,
    opcodes::{self, Class},
};
use alloy_primitives::U256;
use std::collections::{BTreeSet, HashSet};

/// Greatest stack height.
pub const STACK_LIMIT: u16 = 1024;
/// An entry that holds no known jump destination.
const UNKNOWN: u32 = u32::MAX;

/// An abstract stack: its height lies between the two bounds, and `tops` are the topmost entries, the top last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    height_min: u16,
    height_max: u16,
    /// Entries below are unknown.
    tops: Vec<u32>,
}

impl State {
    fn unknown(height_min: u16, height_max: u16) -> Self {
        Self { height_min, height_max, tops: vec![] }
    }

    fn pop(&mut self) -> u32 {
        self.height_min = self.height_min.saturating_sub(1);
        self.height_max = self.height_max.saturating_sub(1);
        self.tops.pop().unwrap_or(UNKNOWN)
    }

    fn push(&mut self, value: u32) {
        self.height_min = (self.height_min + 1).min(STACK_LIMIT);
        self.height_max = (self.height_max + 1).min(STACK_LIMIT);
        self.tops.push(value);
    }

    fn peek(&self, depth: usize) -> u32 {
        self.tops.len().checked_sub(depth + 1).map_or(UNKNOWN, |index| self.tops[index])
    }

    fn swap(&mut self, depth: usize) {
        if self.tops.len() <= depth {
            let missing = depth + 1 - self.tops.len();
            self.tops.splice(0..0, std::iter::repeat_n(UNKNOWN, missing));
        }
        let top = self.tops.len() - 1;
        self.tops.swap(top, top - depth);
    }

    /// Drops unknown entries below the lowest known one, so that equal stacks compare equal.
    fn normalise(&mut self) {
        let known = self.tops.iter().position(|entry| *entry != UNKNOWN).unwrap_or(self.tops.len());
        self.tops.drain(..known);
    }
}

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
    /// Whether it lies outside of the region; then nothing reaches it.
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

struct Run<'a> {
    code: &'a Code,
    blocks: &'a Blocks,
    config: &'a Config,
    flow: Vec<BlockFlow>,
    contexts: Vec<HashSet<State>>,
    pending: Vec<(usize, State)>,
    steps_left: u64,
    steps: u64,
    /// Whether stacks are told apart; otherwise nothing is known of them.
    precise: bool,
    /// Whether blocks outside of the region are followed.
    through: bool,
    overflowed: bool,
}

/// Runs the analysis.
pub fn flow(code: &Code, blocks: &Blocks, config: &Config) -> Flow {
    let (mut precise, mut overflowed) = run(code, blocks, config, true, false);
    if !overflowed && config.region.is_some() && has_orphans(&precise) {
        let steps = precise.steps;
        (precise, overflowed) = run(code, blocks, config, true, true);
        precise.steps += steps;
    }
    if !overflowed {
        return precise;
    }
    let (coarse, _) = run(code, blocks, config, false, true);
    Flow { steps: coarse.steps + precise.steps, ..coarse }
}

/// Whether a part of the region is reached through other blocks alone: then these need to be followed, too (R3).
fn has_orphans(flow: &Flow) -> bool {
    flow.blocks.iter().any(|row| !row.outside && !row.reached)
}

fn run(code: &Code, blocks: &Blocks, config: &Config, precise: bool, through: bool) -> (Flow, bool) {
    let budget = u64::from(config.limits.flow_steps_per_instruction_max) * code.instructions.len() as u64 + 4096;
    let mut run = Run {
        code,
        blocks,
        config,
        flow: outside(blocks, config).into_iter().map(|outside| BlockFlow { outside, ..BlockFlow::default() }).collect(),
        contexts: vec![HashSet::new(); blocks.list.len()],
        pending: vec![],
        steps_left: budget,
        steps: 0,
        precise,
        through,
        overflowed: false,
    };
    run.arrive(0, State::unknown(0, 0));
    run.drain();
    if run.flow.iter().any(|block| block.dynamic) {
        run.seed_dispatch();
        run.drain();
    }
    let any_dynamic = run.flow.iter().any(|block| block.reached && block.dynamic);
    (Flow { blocks: run.flow, any_dynamic, steps: run.steps }, run.overflowed)
}

impl Run<'_> {
    /// Notes that a block is reached with a stack, and queues it when that is news.
    fn arrive(&mut self, block: usize, mut state: State) {
        if self.flow[block].outside && !self.through {
            return;
        }
        if !self.precise && block != 0 {
            state = State::unknown(0, STACK_LIMIT);
        }
        state.normalise();
        let row = &mut self.flow[block];
        if row.reached {
            row.height_min = row.height_min.min(state.height_min);
            row.height_max = row.height_max.max(state.height_max);
        } else {
            (row.reached, row.height_min, row.height_max) = (true, state.height_min, state.height_max);
        }
        let contexts = &mut self.contexts[block];
        if contexts.contains(&state) {
            return;
        }
        if self.precise {
            let room = contexts.len() < self.config.limits.contexts_per_block_max as usize;
            self.overflowed |= !room || self.steps_left == 0;
        }
        contexts.insert(state.clone());
        self.pending.push((block, state));
    }

    fn drain(&mut self) {
        while let Some((block, state)) = self.pending.pop() {
            if self.overflowed {
                return;
            }
            self.run_block(block, state);
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
                self.arrive(block, State::unknown(0, STACK_LIMIT));
            }
        }
    }

    fn run_block(&mut self, number: usize, mut state: State) {
        let block = &self.blocks.list[number];
        let steps = (block.end - block.first + state.tops.len()) as u64;
        self.steps += steps;
        self.steps_left = self.steps_left.saturating_sub(steps);
        // Below what the block needs it leaves, so behind the check the height is at least that; likewise above.
        state.height_min = state.height_min.max(block.needs);
        let room = STACK_LIMIT.saturating_sub(block.grows);
        state.height_max = state.height_max.min(room);
        if state.height_min > state.height_max || block.needs > STACK_LIMIT {
            return;
        }
        let instructions = &self.code.instructions[block.first..block.end];
        let exit = block.exit;
        for instruction in instructions {
            let Some(opcode) = instruction.opcode else { break };
            if self.config.is_custom(instruction.byte) || opcode.since > self.config.fork {
                break;
            }
            match opcode.class {
                Class::Push => {
                    let entry = self.destination(instruction.immediate);
                    state.push(entry);
                }
                Class::Dup(depth) => state.push(state.peek(usize::from(depth) - 1)),
                Class::Swap(depth) => state.swap(usize::from(depth)),
                Class::Jump | Class::JumpIf => break,
                // Compilers cut internal function pointers to 32 bits; a jump compares its target, so a guess does no harm.
                Class::Pure(PureOp::And) => {
                    let (a, b) = (state.pop(), state.pop());
                    state.push(if a == UNKNOWN { b } else { a });
                }
                _ => {
                    for _ in 0..opcode.inputs {
                        state.pop();
                    }
                    for _ in 0..opcode.outputs {
                        state.push(UNKNOWN);
                    }
                }
            }
        }
        self.leave_block(number, exit, state);
    }

    fn leave_block(&mut self, number: usize, exit: Exit, mut state: State) {
        match exit {
            Exit::Leave | Exit::Finish => {}
            Exit::FallThrough | Exit::Suspend => self.fall_through(number, state),
            Exit::Custom => self.fall_through(number, State::unknown(0, STACK_LIMIT)),
            Exit::Jump | Exit::JumpIf => {
                let target = state.pop();
                if exit == Exit::JumpIf {
                    state.pop();
                }
                if let Some(block) = self.blocks.at(target).filter(|_| target != UNKNOWN) {
                    if !self.flow[block].outside {
                        self.flow[number].targets.insert(block);
                    }
                    self.arrive(block, state.clone());
                } else if !is_constant_jump(self.code, self.blocks, number) {
                    self.flow[number].dynamic = !self.flow[number].outside;
                }
                if exit == Exit::JumpIf {
                    self.fall_through(number, state);
                }
            }
        }
    }

    fn fall_through(&mut self, number: usize, state: State) {
        if number + 1 < self.blocks.list.len() {
            self.arrive(number + 1, state);
        }
    }

    fn destination(&self, immediate: U256) -> u32 {
        if self.code.is_jump_destination(immediate) { immediate.to::<u32>() } else { UNKNOWN }
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
