//! Cold blocks: those from which nothing but a revert or an error can follow, soon and without a side effect.
//!
//! in   blocks, flow
//! out  one flag per block, also set for those outside of the region
//!
//! C1  A branch into a cold block leaves instead; a cold block is compiled only where it is reached otherwise.
//! C2  A cold block touches memory and stack alone: it holds no instruction that the host executes but REVERT and copies.

use crate::{
    analysis::{
        blocks::{Blocks, Exit},
        flow::Flow,
        loops::predecessors,
    },
    bytecode::Code,
    compile::Config,
    opcodes::{Class, byte},
};

/// Finds the cold blocks.
pub fn cold(code: &Code, blocks: &Blocks, flow: &Flow, config: &Config) -> Vec<bool> {
    let count = blocks.list.len();
    let successors: Vec<Vec<usize>> = (0..count).map(|number| successors(number, code, blocks, flow)).collect();
    let predecessors = predecessors(&successors);
    // A block is decided when all its successors are; those that lead into a cycle never are, and not cold.
    let mut undecided: Vec<usize> = successors.iter().map(Vec::len).collect();
    let mut lengths: Vec<Option<u32>> = vec![None; count];
    let mut work: Vec<usize> = (0..count).filter(|number| undecided[*number] == 0).collect();
    while let Some(number) = work.pop() {
        let length = chain_len(number, code, blocks, flow, (&successors[number], &lengths));
        lengths[number] = length.filter(|length| *length <= config.limits.cold_instructions_max);
        for before in &predecessors[number] {
            undecided[*before] -= 1;
            if undecided[*before] == 0 {
                work.push(*before);
            }
        }
    }
    lengths.into_iter().zip(&flow.blocks).map(|(length, row)| length.is_some() || row.outside).collect()
}

/// The blocks on which it depends whether this one is cold.
fn successors(number: usize, code: &Code, blocks: &Blocks, flow: &Flow) -> Vec<usize> {
    let next = (number + 1 < blocks.list.len()).then_some(number + 1);
    let targets = || flow.blocks[number].targets.iter().copied();
    match blocks.list[number].exit {
        _ if !is_harmless(number, code, blocks) => vec![],
        Exit::FallThrough => next.into_iter().collect(),
        Exit::Jump => targets().collect(),
        Exit::JumpIf => targets().chain(next).collect(),
        Exit::Leave | Exit::Finish | Exit::Custom | Exit::Suspend => vec![],
    }
}

/// C2.
fn is_harmless(number: usize, code: &Code, blocks: &Blocks) -> bool {
    let block = &blocks.list[number];
    code.instructions[block.first..block.end].iter().all(|instruction| {
        instruction.opcode.is_none_or(|opcode| match opcode.class {
            Class::Finish => instruction.byte == byte::REVERT,
            Class::Builtin => matches!(instruction.byte, byte::RETURNDATACOPY | byte::CODECOPY | byte::CALLDATACOPY),
            Class::Table | Class::Suspend | Class::FinishTable | Class::Exp => false,
            _ => true,
        })
    })
}

/// Instructions from the block's start to the end of its chain; none when it is not cold.
fn chain_len(
    number: usize,
    code: &Code,
    blocks: &Blocks,
    flow: &Flow,
    (successors, lengths): (&[usize], &[Option<u32>]),
) -> Option<u32> {
    let block = &blocks.list[number];
    let own = (block.end - block.first) as u32;
    let is_open = match block.exit {
        Exit::Custom | Exit::Suspend => true,
        Exit::Jump | Exit::JumpIf => flow.blocks[number].dynamic,
        Exit::FallThrough => successors.is_empty(),
        Exit::Leave | Exit::Finish => false,
    };
    if is_open || !is_harmless(number, code, blocks) {
        return None;
    }
    let longest = successors.iter().try_fold(0, |longest: u32, next| Some(longest.max(lengths[*next]?)))?;
    Some(own + longest)
}
