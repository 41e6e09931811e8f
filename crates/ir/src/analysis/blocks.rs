//! Basic blocks: runs of instructions entered at the first and left at the last.
//!
//! in   decoded code, the fork, opcodes declared custom
//! out  [`Blocks`]: blocks in order of their place; every instruction lies in exactly one
//!
//! B1  A block starts at 0, at every jump destination, and behind every instruction that ends a block.
//! B2  An opcode that is unknown or not active in the fork ends its block; so does one declared custom, behind which nothing is
//!     known of the stack.
//! B3  No block is longer than `tree_instructions_max`, so that whatever recurses over a block is bounded.

use crate::{
    bytecode::{Code, Instruction},
    compile::Config,
    opcodes::Class,
};

/// How a block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Runs into the next block.
    FallThrough,
    /// JUMP.
    Jump,
    /// JUMPI.
    JumpIf,
    /// A call or create: a table call with an entry point behind it.
    Suspend,
    /// An opcode declared custom: executed by the host, with an entry point behind it.
    Custom,
    /// STOP, RETURN, REVERT, SELFDESTRUCT.
    Finish,
    /// An instruction left to the interpreter: INVALID, unknown, or not active.
    Leave,
}

/// A basic block.
#[derive(Debug, Clone)]
pub struct BasicBlock {
    /// Pc of the first instruction.
    pub pc: u32,
    /// Index of the first instruction.
    pub first: usize,
    /// Index one behind the last instruction.
    pub end: usize,
    /// How it ends.
    pub exit: Exit,
    /// Entries that it needs on the stack.
    pub needs: u16,
    /// How far the stack grows above its height at the start.
    pub grows: u16,
    /// Change of the stack height from start to end (before the edge is taken, operands of the jump popped).
    pub delta: i32,
}

/// The basic blocks of a code.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// In order of their place.
    pub list: Vec<BasicBlock>,
    /// For every byte of the code, the block that starts there.
    starts: Vec<u32>,
}

const NO_BLOCK: u32 = u32::MAX;

impl Blocks {
    /// Splits code into blocks.
    pub fn split(code: &Code, config: &Config) -> Self {
        let mut list = Vec::new();
        let mut first = 0;
        for index in 0..code.instructions.len() {
            let exit = exit_of(&code.instructions[index], config);
            let next = code.instructions.get(index + 1);
            let next_is_leader = next.is_some_and(|next| code.jump_destinations.get(next.pc as usize) == Some(&true));
            let has_room = index + 1 - first < config.limits.tree_instructions_max as usize;
            if exit == Exit::FallThrough && !next_is_leader && next.is_some() && has_room {
                continue;
            }
            list.push(block(code, config, first, index + 1, exit));
            first = index + 1;
        }
        let mut starts = vec![NO_BLOCK; code.len + 1];
        for (number, block) in list.iter().enumerate() {
            if let Some(start) = starts.get_mut(block.pc as usize) {
                *start = number as u32;
            }
        }
        Self { list, starts }
    }

    /// The block that starts at this place.
    pub fn at(&self, pc: u32) -> Option<usize> {
        self.starts.get(pc as usize).filter(|block| **block != NO_BLOCK).map(|block| *block as usize)
    }
}

/// Whether the instruction is left to the interpreter.
pub fn is_left(instruction: &Instruction, config: &Config) -> bool {
    !config.is_custom(instruction.byte)
        && instruction.opcode.is_none_or(|opcode| opcode.since > config.fork || opcode.class == Class::Invalid)
}

fn exit_of(instruction: &Instruction, config: &Config) -> Exit {
    if config.is_custom(instruction.byte) {
        return Exit::Custom;
    }
    match instruction.opcode.filter(|opcode| opcode.since <= config.fork).map(|opcode| opcode.class) {
        None | Some(Class::Invalid) => Exit::Leave,
        Some(Class::Jump) => Exit::Jump,
        Some(Class::JumpIf) => Exit::JumpIf,
        Some(Class::Suspend) => Exit::Suspend,
        Some(Class::Finish | Class::FinishTable) => Exit::Finish,
        Some(_) => Exit::FallThrough,
    }
}

fn block(code: &Code, config: &Config, first: usize, end: usize, exit: Exit) -> BasicBlock {
    let (mut height, mut needs, mut grows) = (0_i32, 0_i32, 0_i32);
    for instruction in &code.instructions[first..end] {
        if is_left(instruction, config) || config.is_custom(instruction.byte) {
            break;
        }
        let Some(opcode) = instruction.opcode else { break };
        needs = needs.max(i32::from(opcode.inputs) - height);
        height += i32::from(opcode.outputs) - i32::from(opcode.inputs);
        grows = grows.max(height);
    }
    BasicBlock {
        pc: code.instructions[first].pc,
        first,
        end,
        exit,
        needs: needs.clamp(0, i32::from(u16::MAX)) as u16,
        grows: grows.clamp(0, i32::from(u16::MAX)) as u16,
        delta: height,
    }
}
