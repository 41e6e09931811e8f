//! Cold blocks: those from which nothing but a revert or an error can follow, soon and without a side effect.
//!
//! in   blocks, flow
//! out  one flag per block
//!
//! C1  A branch into a cold block leaves instead; a cold block is compiled only where it is reached otherwise.
//! C2  A cold block touches memory and stack alone: it holds no instruction that the host executes but REVERT and copies.

use crate::{
    analysis::{
        blocks::{Blocks, Exit},
        flow::Flow,
    },
    bytecode::Code,
    compile::Config,
    opcodes::{Class, byte},
};

const UNVISITED: u32 = u32::MAX;
const NOT_COLD: u32 = u32::MAX - 1;

/// Finds the cold blocks.
pub fn cold(code: &Code, blocks: &Blocks, flow: &Flow, config: &Config) -> Vec<bool> {
    // Instructions until the end for cold blocks; successors in front of a block are looked at again until nothing changes,
    // at most as often as a chain may be long.
    let mut lengths = vec![UNVISITED; blocks.list.len()];
    let limit = config.limits.cold_instructions_max;
    loop {
        let mut changed = false;
        for number in (0..blocks.list.len()).rev() {
            if lengths[number] != UNVISITED {
                continue;
            }
            let length = chain_len(number, code, blocks, flow, &lengths);
            if length == UNVISITED {
                continue;
            }
            lengths[number] = if length <= limit { length } else { NOT_COLD };
            changed = true;
        }
        if !changed {
            break;
        }
    }
    lengths.into_iter().map(|length| length < NOT_COLD).collect()
}

/// Instructions from the block's start to the end of its chain; [`NOT_COLD`], or [`UNVISITED`] while a successor is unknown.
fn chain_len(number: usize, code: &Code, blocks: &Blocks, flow: &Flow, lengths: &[u32]) -> u32 {
    let block = &blocks.list[number];
    let instructions = &code.instructions[block.first..block.end];
    let own = instructions.len() as u32;
    let harmless = instructions.iter().all(|instruction| {
        instruction.opcode.is_none_or(|opcode| match opcode.class {
            Class::Finish => instruction.byte == byte::REVERT,
            Class::Builtin => matches!(instruction.byte, byte::RETURNDATACOPY | byte::CODECOPY | byte::CALLDATACOPY),
            Class::Table | Class::Suspend | Class::FinishTable | Class::Exp => false,
            _ => true,
        })
    });
    if !harmless {
        return NOT_COLD;
    }
    let after = |successor: usize| match lengths.get(successor) {
        Some(length) if *length < NOT_COLD => length + own,
        Some(length) => *length,
        None => NOT_COLD,
    };
    let row = &flow.blocks[number];
    match block.exit {
        Exit::Leave => own,
        Exit::Finish => own,
        Exit::Custom | Exit::Suspend => NOT_COLD,
        Exit::FallThrough => after(number + 1),
        Exit::Jump | Exit::JumpIf if row.dynamic => NOT_COLD,
        Exit::Jump => row.targets.iter().map(|target| after(*target)).max().unwrap_or(own),
        Exit::JumpIf => row.targets.iter().map(|target| after(*target)).chain([after(number + 1)]).max().unwrap_or(NOT_COLD),
    }
}
