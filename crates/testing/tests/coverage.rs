//! What generated cases reach: every opcode of every kind, high stacks, all outcomes, and mostly useful ends.
//!
//! in   cases from seeds, run by revm's interpreter under an inspector that counts
//! out  counts above the bounds below; they are far below what was measured, so that a change of weights does not fail by chance

use alloy_evm::{
    EthEvmFactory, Evm, EvmFactory,
    revm::{
        Inspector,
        bytecode::opcode::OPCODE_INFO,
        context_interface::result::ExecutionResult,
        interpreter::{Interpreter, interpreter::EthInterpreter, interpreter_types::Jumps},
        primitives::hardfork::SpecId,
    },
};
use hotevm_testing::{
    execute::{
        database::RecordingDatabase,
        run::{ample_gas, environment, transaction},
    },
    generate::case::{Case, GasLimit, Size},
};

const CASES: u64 = 600;

struct Count {
    opcodes: [u64; 256],
    height_max: usize,
}

impl<CTX> Inspector<CTX, EthInterpreter> for Count {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        self.opcodes[usize::from(interpreter.bytecode.opcode())] += 1;
        self.height_max = self.height_max.max(interpreter.stack.len());
    }
}

#[derive(Default)]
struct Outcomes {
    successes: u64,
    reverts: u64,
    halts: u64,
}

fn run(case: &Case, count: &mut Count, outcomes: &mut Outcomes) {
    let database = RecordingDatabase::new(case);
    let mut evm = EthEvmFactory::default().create_evm_with_inspector(database, environment(case), count);
    for input in case.inputs.iter().filter(|input| input.gas_limit == GasLimit::Ample) {
        match evm.transact_raw(transaction(case, input, ample_gas(case))).map(|outcome| outcome.result) {
            Ok(ExecutionResult::Success { .. }) => outcomes.successes += 1,
            Ok(ExecutionResult::Revert { .. }) => outcomes.reverts += 1,
            Ok(ExecutionResult::Halt { .. }) => outcomes.halts += 1,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn cases_reach_every_opcode_and_mostly_succeed() {
    let mut count = Count { opcodes: [0; 256], height_max: 0 };
    let mut outcomes = Outcomes::default();
    for seed in 0..CASES {
        run(&Case::from_seed(seed, Size { inputs: 8, ..Size::default() }), &mut count, &mut outcomes);
    }
    for (opcode, info) in OPCODE_INFO.iter().enumerate() {
        if let Some(info) = info {
            assert!(count.opcodes[opcode] >= 10, "{} runs {} times", info.name(), count.opcodes[opcode]);
        }
    }
    assert_eq!(count.height_max, 1024, "no program fills the stack");
    let Outcomes { successes, reverts, halts } = outcomes;
    let all = successes + reverts + halts;
    assert!(successes * 10 > all * 6, "{successes} successes of {all}");
    assert!(reverts * 50 > all && halts * 50 > all, "{reverts} reverts and {halts} halts of {all}");
}

#[test]
fn cases_cover_every_fork() {
    let mut forks = [0; SpecId::NEXT as usize + 1];
    for seed in 0..CASES {
        forks[Case::from_seed(seed, Size::default()).fork as usize] += 1;
    }
    assert!(forks.iter().all(|&cases| cases >= 5), "{forks:?}");
}
