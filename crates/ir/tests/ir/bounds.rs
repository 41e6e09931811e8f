//! Bounds of the work: whatever the code is, analysis and SSA grow at most linearly with its size. Counted, not timed.

use crate::{assembler::assemble, machine::config};
use hotevm_ir::{
    Fork, Function, Limits, Reject,
    analysis::{blocks::Blocks, flow},
    bytecode::Code,
    compile,
};

/// What a function takes: blocks, instructions, edges, arguments, leave rows and their stores.
fn weight(function: &Function) -> usize {
    let blocks = function.blocks.iter().map(|block| {
        let edges: usize = block.end.iter().flat_map(|end| end.edges()).map(|edge| 1 + edge.args.len()).sum();
        1 + block.insts.len() + edges + block.root.as_ref().map_or(0, |root| root.params.len())
    });
    let leaves = function.leaves.iter().map(|leave| 1 + leave.stores.len());
    blocks.sum::<usize>() + leaves.sum::<usize>()
}

/// A line for every number.
fn each(numbers: impl Iterator<Item = usize>, line: impl Fn(usize) -> String) -> String {
    numbers.map(line).collect()
}

/// A stack of many different words.
fn deep() -> String {
    "CALLER\n".repeat(900)
}

type Shape = (&'static str, fn(usize) -> String);

/// Shapes of code that have been too much for compilers, or could be; each takes how often it repeats itself.
const SHAPES: &[Shape] = &[
    ("jump destinations", |n| "JUMPDEST\n".repeat(8 * n)),
    ("branches to one place", |n| "CALLER\nPUSH2 @end\nJUMPI\n".repeat(n) + "end:\nJUMPDEST\nSTOP\n"),
    ("branches over an end", |n| each(0..n, |i| format!("CALLER\nPUSH2 @l{i}\nJUMPI\nSTOP\nl{i}:\nJUMPDEST\n"))),
    ("branches to places of their own", |n| {
        each(0..n, |i| format!("CALLER\nPUSH2 @l{i}\nJUMPI\n")) + &each(0..n, |i| format!("STOP\nl{i}:\nJUMPDEST\n"))
    }),
    ("computed jumps", |n| "JUMPDEST\nPUSH0\nCALLDATALOAD\nJUMP\n".repeat(n)),
    ("computed branches", |n| "CALLER\nPUSH0\nCALLDATALOAD\nJUMPI\nJUMPDEST\n".repeat(n)),
    ("branches above a deep stack", |n| deep() + &"CALLER\nPUSH2 @end\nJUMPI\n".repeat(n) + "end:\nJUMPDEST\nSTOP\n"),
    ("memory above a deep stack", |n| deep() + &"CALLER\nDUP1\nMSTORE\n".repeat(n)),
    ("gas read above a deep stack", |n| deep() + &"GAS\nPOP\n".repeat(2 * n)),
    ("addresses on one way", |n| {
        let ways = each(0..n, |i| format!("PUSH2 {i:#06x}\nCALLDATALOAD\nMLOAD\nPUSH2 @l{i}\nJUMPI\n"));
        ways + &each(0..n, |i| format!("STOP\nl{i}:\nJUMPDEST\n"))
    }),
    ("a chain of jumps backwards", |n| {
        let chain = each(1..n, |i| format!("l{i}:\nJUMPDEST\nPUSH2 @l{}\nJUMP\n", i - 1));
        format!("PUSH2 @l{}\nJUMP\nl0:\nJUMPDEST\nINVALID\n{chain}", n - 1)
    }),
    ("calls of one internal function", |n| {
        each(0..n, |i| format!("PUSH2 @r{i}\nPUSH2 @f\nJUMP\nr{i}:\nJUMPDEST\n")) + "STOP\nf:\nJUMPDEST\nJUMP\n"
    }),
    ("known entries on a deep stack", |n| {
        let ways = each(0..24, |i| format!("CALLER\nPUSH2 @v{i}\nJUMPI\n"));
        let entries = each(0..24, |i| format!("v{i}:\nJUMPDEST\nPUSH2 @v{i}\nPUSH2 @end\nJUMP\n"));
        "PUSH2 @end\n".repeat(990) + &ways + "STOP\n" + &entries + "end:\n" + &"JUMPDEST\n".repeat(8 * n)
    }),
    ("a stack that grows in a loop", |n| "l:\nJUMPDEST\n".to_owned() + &"CALLER\nJUMPDEST\n".repeat(n) + "PUSH2 @l\nJUMP\n"),
    ("host instructions", |n| deep() + &"DUP16\nSLOAD\nPOP\n".repeat(n)),
    ("one long block", |n| "CALLER\n".to_owned() + &"DUP1\nADD\n".repeat(2 * n)),
    ("loops", |n| "CALLER\n".to_owned() + &each(0..n, |i| format!("l{i}:\nJUMPDEST\nDUP1\nPUSH2 @l{i}\nJUMPI\n"))),
    ("nested loops", |n| {
        each(0..n, |i| format!("l{i}:\nJUMPDEST\n")) + &each((0..n).rev(), |i| format!("CALLER\nPUSH2 @l{i}\nJUMPI\n"))
    }),
    ("branches forwards and backwards", |n| {
        let way = |i: usize, to: usize| format!("CALLER\nPUSH2 @l{}\nJUMPI\n", (i * 7 + to) % n);
        each(0..n, |i| format!("l{i}:\nJUMPDEST\n{}{}", way(i, 1), way(i, 5)))
    }),
];

/// Abstract steps and the weight of the function.
fn work(code: &[u8]) -> (usize, usize) {
    let config = config(Fork::Osaka);
    let decoded = Code::decode(code);
    let blocks = Blocks::split(&decoded, &config);
    let steps = flow::flow(&decoded, &blocks, &config).steps as usize;
    let compiled = compile(code, &config, false).unwrap_or_else(|reject| panic!("{reject}"));
    (steps, weight(&compiled.function))
}

/// Instructions of the largest tree.
fn largest_tree(function: &Function) -> usize {
    let mut sizes = vec![0; function.blocks.len()];
    for root in (0..sizes.len()).filter(|block| function.blocks[*block].root.is_some()) {
        let mut work = vec![root];
        while let Some(block) = work.pop() {
            let block = &function.blocks[block];
            sizes[root] += block.insts.len() + 1;
            let next = block.end.iter().flat_map(|end| end.edges()).map(|edge| edge.block.index());
            work.extend(next.filter(|next| function.blocks[*next].root.is_none()));
        }
    }
    sizes.into_iter().max().unwrap_or(0)
}

#[test]
fn trees_are_bounded_however_long_the_code_is() {
    let config = config(Fork::Osaka);
    for (name, shape) in SHAPES {
        let compiled = compile(&assemble(&shape(3000)), &config, false).unwrap_or_else(|reject| panic!("{name}: {reject}"));
        let largest = largest_tree(&compiled.function);
        println!("{name}: {largest}");
        // An EVM instruction becomes a few of the SSA form.
        assert!(largest <= 6 * config.limits.tree_instructions_max as usize, "{name}: {largest} instructions in a tree");
    }
}

#[test]
fn code_that_the_back_end_would_work_on_for_long_is_rejected() {
    let mut config = config(Fork::Osaka);
    config.limits = Limits::default();
    let products = |n: usize| assemble(&("PUSH0\nCALLDATALOAD\n".to_owned() + &"DUP1\nMUL\n".repeat(n) + "PUSH0\nSSTORE\n"));
    assert!(compile(&products(1500), &config, false).is_ok());
    let rejected = compile(&products(6000), &config, false).map(|compiled| compiled.instructions);
    assert!(matches!(rejected, Err(Reject::Work(work_us)) if work_us > config.limits.work_us_max.into()), "{rejected:?}");
}

#[test]
fn pitfall_08_the_work_is_linear_in_the_size_of_the_code() {
    for (name, shape) in SHAPES {
        let sizes = [750, 1500, 3000].map(|count| {
            let code = assemble(&shape(count));
            let (steps, weight) = work(&code);
            println!("{name}: {} bytes, {steps} steps, weight {weight}", code.len());
            (code.len(), steps, weight)
        });
        for pair in sizes.windows(2) {
            let ((len, steps, weight), (len_2, steps_2, weight_2)) = (pair[0], pair[1]);
            // Twice the code, and a little more for what only begins to count.
            let grown = 2.2 * len_2 as f64 / (2 * len) as f64;
            assert!(steps_2 as f64 <= 2.0 * grown * steps as f64 + 4096.0, "{name}: {steps} to {steps_2} steps");
            assert!(weight_2 as f64 <= 2.0 * grown * weight as f64 + 4096.0, "{name}: weight {weight} to {weight_2}");
        }
        let (len, _, weight) = sizes[2];
        assert!(weight <= 48 * len, "{name}: weight {weight} for {len} bytes");
    }
}
