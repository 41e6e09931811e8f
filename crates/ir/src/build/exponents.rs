//! Exponentiations of constants, found before anything is built, since a gas section needs to know what they cost.
//!
//! in   code, blocks
//! out  base and exponent of the EXP instructions whose operands are constants of their own block

use crate::{analysis::blocks::Blocks, bytecode::Code, compile::Config, opcodes::Class};
use alloy_primitives::U256;
use std::collections::HashMap;

/// What an exponentiation may cost to be part of a section.
pub const GAS_MAX: u32 = 1 << 13;

/// Base and exponent by instruction. What costs more than a section can hold is left out.
pub fn exponents(code: &Code, blocks: &Blocks, config: &Config) -> HashMap<usize, (U256, U256)> {
    let mut known = HashMap::new();
    let is_exp = |index: &usize| code.instructions[*index].opcode.is_some_and(|opcode| opcode.class == Class::Exp);
    for block in &blocks.list {
        let Some(last) = (block.first..block.end).rev().find(is_exp) else { continue };
        // What lies on the stack at the block's start is not known: below the bottom of this one there is nothing but that.
        let mut stack: Vec<Option<U256>> = vec![];
        for index in block.first..=last {
            let instruction = &code.instructions[index];
            let Some(opcode) = instruction.opcode.filter(|_| !config.is_custom(instruction.byte)) else { break };
            match opcode.class {
                Class::Push => stack.push(Some(instruction.immediate)),
                Class::Dup(depth) => stack.push(entry(&stack, usize::from(depth) - 1)),
                Class::Swap(depth) => swap(&mut stack, usize::from(depth)),
                _ => {
                    let operands = entry(&stack, 0).zip(entry(&stack, 1));
                    if let Some((base, exponent)) = operands.filter(|_| opcode.class == Class::Exp)
                        && config.exp_gas[exponent.byte_len()] <= GAS_MAX
                    {
                        known.insert(index, (base, exponent));
                    }
                    let rest = stack.len().saturating_sub(usize::from(opcode.inputs));
                    stack.truncate(rest);
                    stack.extend((0..opcode.outputs).map(|_| None));
                }
            }
        }
    }
    known
}

/// The entry `depth` below the top, if it is known.
fn entry(stack: &[Option<U256>], depth: usize) -> Option<U256> {
    stack.len().checked_sub(depth + 1).and_then(|index| stack[index])
}

fn swap(stack: &mut Vec<Option<U256>>, depth: usize) {
    let missing = (depth + 1).saturating_sub(stack.len());
    stack.splice(0..0, (0..missing).map(|_| None));
    let top = stack.len() - 1;
    stack.swap(top, top - depth);
}
