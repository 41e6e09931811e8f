//! Splitting: which LLVM function each block of the SSA form goes into.
//!
//! in   a function of the SSA form, a bound of instructions per part
//! out  a part for every block
//!
//! K1  The tree of blocks that hangs on one root lies in one part, and so do roots whose edges carry arguments.
//! K2  Parts follow the order of the code, trees with a block that is likely to run before those without, so that what lies together
//!     runs together.

use hotevm_ir::Function;

/// The part of every block; parts are numbered from 0.
pub(crate) fn parts(function: &Function, instructions_max: u32) -> Vec<usize> {
    let tree = trees(function);
    let mut group: Vec<usize> = (0..function.blocks.len()).collect();
    for (block, data) in function.blocks.iter().enumerate() {
        let edges = data.end.iter().flat_map(|end| end.edges());
        for edge in edges.filter(|edge| !edge.args.is_empty()) {
            let (a, b) = (find(&mut group, tree[block]), find(&mut group, edge.block.index()));
            group[a.max(b)] = a.min(b);
        }
    }
    let mut size = vec![0_u32; function.blocks.len()];
    let mut is_likely = vec![false; function.blocks.len()];
    let mut order: Vec<usize> = vec![];
    for (block, data) in function.blocks.iter().enumerate() {
        let head = find(&mut group, tree[block]);
        if size[head] == 0 {
            order.push(head);
        }
        size[head] += data.insts.len() as u32 + 1;
        is_likely[head] |= !data.unlikely;
    }
    order.sort_by_key(|head| (!is_likely[*head], function.blocks[*head].pc));
    let mut part_of_group = vec![0; function.blocks.len()];
    let (mut part, mut filled) = (0, 0);
    for head in order {
        if filled != 0 && filled + size[head] > instructions_max {
            (part, filled) = (part + 1, 0);
        }
        part_of_group[head] = part;
        filled += size[head];
    }
    (0..function.blocks.len()).map(|block| part_of_group[find(&mut group, tree[block])]).collect()
}

/// Which parts have a block that is likely to run.
pub(crate) fn likely(function: &Function, parts: &[usize]) -> Vec<bool> {
    let count = parts.iter().max().map_or(1, |last| last + 1);
    let mut likely = vec![false; count];
    for (data, part) in function.blocks.iter().zip(parts) {
        likely[*part] |= !data.unlikely;
    }
    likely
}

/// The root on which every block hangs.
fn trees(function: &Function) -> Vec<usize> {
    let mut tree: Vec<usize> = (0..function.blocks.len()).collect();
    let mut work: Vec<usize> = tree.iter().copied().filter(|block| function.blocks[*block].root.is_some()).collect();
    while let Some(block) = work.pop() {
        for edge in function.blocks[block].end.iter().flat_map(|end| end.edges()) {
            let next = edge.block.index();
            if function.blocks[next].root.is_none() {
                tree[next] = tree[block];
                work.push(next);
            }
        }
    }
    tree
}

fn find(group: &mut [usize], mut member: usize) -> usize {
    while group[member] != member {
        group[member] = group[group[member]];
        member = group[member];
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotevm_ir::function::{Block, BlockData, Edge, Root, Terminator, Value};

    #[test]
    fn k2_trees_that_are_likely_lie_together_before_the_others() {
        let blocks = vec![block(0, false), block(1, true), block(2, false), block(3, true), block(4, false)];
        let function = Function { blocks, ..Function::default() };
        let split = parts(&function, 2);
        assert_eq!(split, [0, 1, 0, 2, 1], "two instructions each, ends included");
        assert_eq!(likely(&function, &split), [true, true, false]);
        assert_eq!(parts(&function, 100), [0; 5]);
    }

    #[test]
    fn k1_roots_tied_by_arguments_share_a_part_and_are_likely_if_one_is() {
        let to = |target| Edge { block: Block(target), top: 0, args: vec![Value(0)] };
        let mut blocks = vec![block(0, false), block(1, true), block(2, true), block(3, false)];
        blocks[1].end = Some(Terminator::Jump(to(3)));
        let function = Function { blocks, ..Function::default() };
        assert_eq!(parts(&function, 2), [0, 1, 2, 1], "blocks 1 and 3 are tied, and 3 is likely");
    }

    fn block(pc: u32, unlikely: bool) -> BlockData {
        BlockData { pc, unlikely, root: Some(Root::default()), ..BlockData::default() }
    }
}
