//! What is remembered of a code: for whom, how long, and what comes of a defect of the compiler.
//!
//! in   the same bytes under other rules; code compiled late, rejected, too long; a compiler that panics
//! out  the interpreter's results, and counters that say what was done how often

use crate::{assembly::assemble, case, check_in, input, runtime};
use alloy_evm::{EthEvm, EthEvmFactory, Evm, EvmFactory};
use hotevm::{Config, HotEthEvm, HotEvm, HotEvmFactory, Instructions, Optimisation, Preset, Runtime, native_available};
use hotevm_testing::{
    execute::{
        database::RecordingDatabase,
        run::{environment, transaction},
    },
    generate::case::{Case, GasLimit},
};
use revm::{
    bytecode::opcode::{ADD, SLOAD},
    context_interface::cfg::gas_params::GasId,
    interpreter::{Instruction, instructions::arithmetic},
    primitives::hardfork::SpecId,
};

/// Forks on which the code below costs or does something else.
const FORKS: [SpecId; 9] = [
    SpecId::FRONTIER,
    SpecId::TANGERINE,
    SpecId::BYZANTIUM,
    SpecId::ISTANBUL,
    SpecId::BERLIN,
    SpecId::LONDON,
    SpecId::SHANGHAI,
    SpecId::OSAKA,
    SpecId::AMSTERDAM,
];

/// Costs that changed with forks, and, last, opcodes that came with them.
const OF_ITS_TIME: &str = "
    0 SLOAD 1 SLOAD ADD 300 7 EXP ADD CALLER BALANCE ADD 0x81 EXTCODESIZE ADD GAS ADD 0 MSTORE
    CALLDATASIZE 1 SSTORE 0 1 SSTORE
    0 CALLDATALOAD @newer JUMPI 0x20 0 RETURN
    :newer 3 1 SHL BASEFEE ADD 0 MSTORE PUSH0 CLZ 0x20 MSTORE 0x40 0 RETURN";

fn of_its_time(fork: SpecId) -> Case {
    let inputs = [0, 1].map(|newer| input([[0; 31].as_slice(), &[newer]].concat(), GasLimit::Ample));
    case(fork, &[assemble(OF_ITS_TIME)], inputs.to_vec())
}

#[test]
fn pitfall_36_forks_do_not_share_code() {
    let runtime = runtime(Optimisation::Fast, false);
    for round in 0..2 {
        for fork in FORKS {
            let case = of_its_time(fork);
            check_in(&case, &environment(&case), &runtime);
        }
        assert_eq!(runtime.statistics().compiled, if native_available() { FORKS.len() as u64 } else { 0 }, "round {round}");
    }
}

#[test]
fn pitfall_36_gas_costs_and_instructions_do_not_share_code() {
    let runtime = runtime(Optimisation::Fast, false);
    let case = of_its_time(SpecId::OSAKA);
    let transaction = || transaction(&case, &case.inputs[0], 1_000_000);
    let mut gas_used = Vec::new();
    for change in [0, 1, 2, 3, 0, 1, 2, 3] {
        let create = || {
            let mut env = environment(&case);
            if change == 1 {
                let mut params = env.cfg_env.gas_params.clone();
                params.override_gas([(GasId::exp_byte_gas(), 77)]);
                env.cfg_env.set_gas_params(params);
            }
            let mut inner = EthEvmFactory::default().create_evm(RecordingDatabase::new(&case), env).into_inner();
            match change {
                2 => inner.instruction.insert_gas(SLOAD, 55),
                3 => inner.instruction.insert_instruction(ADD, Instruction::new(arithmetic::sub), 4),
                _ => {}
            }
            inner
        };
        let declared = if change == 3 { Instructions::custom([ADD]) } else { Instructions::Stock };
        let mut hot = HotEthEvm::new(HotEvm::new(create(), runtime.clone(), declared), false);
        let expected = EthEvm::new(create(), false).transact_raw(transaction()).expect("valid");
        assert_eq!(hot.transact_raw(transaction()).expect("valid"), expected, "change {change}");
        gas_used.push(expected.result.tx_gas_used());
    }
    assert_eq!(gas_used[..4], gas_used[4..]);
    gas_used.sort_unstable();
    gas_used.dedup();
    assert_eq!((gas_used.len(), runtime.statistics().compiled), (4, if native_available() { 4 } else { 0 }));
}

const LOOP: &str = "0 :loop 1 ADD DUP1 100 GT @loop JUMPI 0 MSTORE 0x20 0 RETURN";

#[cfg(feature = "llvm")]
fn interpreted(runtime: &Runtime, reason: &str) -> u64 {
    runtime.statistics().interpreted.iter().find(|(name, _)| *name == reason).map_or(0, |(_, count)| *count)
}

#[cfg(feature = "llvm")]
#[test]
fn pitfall_37_code_that_was_not_ready_is_entered_when_it_is() {
    let runtime = Runtime::new(Config::preset(Preset::Development)).expect("a runtime for this machine");
    let case = case(SpecId::OSAKA, &[assemble(LOOP)], vec![input([], GasLimit::Ample)]);
    let transaction = || transaction(&case, &case.inputs[0], 1_000_000);
    let expected = EthEvmFactory::default()
        .create_evm(RecordingDatabase::new(&case), environment(&case))
        .transact_raw(transaction())
        .expect("valid");
    let factory = HotEvmFactory::new(runtime.clone());
    // The same EVM all the time: its own cache must not remember that there was nothing.
    let mut hot = factory.create_evm(RecordingDatabase::new(&case), environment(&case));
    assert_eq!(hot.transact_raw(transaction()).expect("valid"), expected);
    assert_eq!(runtime.statistics().native_frames, 0);
    runtime.compile(&case.contracts[0].code, case.fork, Instructions::Stock).expect("compiles");
    assert_eq!(hot.transact_raw(transaction()).expect("valid"), expected);
    assert_eq!(runtime.statistics().native_frames, 1);
}

#[cfg(feature = "llvm")]
#[test]
fn pitfall_37_a_rejection_is_not_tried_again_and_again() {
    let runtime = runtime(Optimisation::Fast, false);
    let case = case(SpecId::OSAKA, &[too_long()], vec![input([], GasLimit::Ample); 5]);
    for _ in 0..3 {
        check_in(&case, &environment(&case), &runtime);
    }
    assert_eq!((runtime.statistics().rejected, runtime.statistics().compiled), (1, 0));
    // Another code is not affected.
    let good = of_its_time(SpecId::OSAKA);
    check_in(&good, &environment(&good), &runtime);
    assert_eq!((runtime.statistics().rejected, runtime.statistics().compiled), (1, 1));
}

/// Longer than the protocol lets a contract be, as a database or a call's state override may hold it.
#[cfg(feature = "llvm")]
fn too_long() -> Vec<u8> {
    let length = hotevm::Limits::default().code_bytes_max as usize + 1;
    let mut code = assemble(LOOP);
    code.resize(length, 0);
    code
}

#[cfg(feature = "llvm")]
#[test]
fn pitfall_40_code_that_is_too_long_is_interpreted() {
    let runtime = runtime(Optimisation::Fast, false);
    let case = case(SpecId::OSAKA, &[too_long()], vec![input([], GasLimit::Ample)]);
    assert_eq!(check_in(&case, &environment(&case), &runtime).successes, 1);
    assert_eq!((runtime.statistics().native_frames, interpreted(&runtime, "rejected")), (0, 1));
    let rejection = runtime.compile(&case.contracts[0].code, case.fork, Instructions::Stock).expect_err("too long");
    assert_eq!(rejection.to_string(), "code longer than 49152 bytes");
    // One byte less compiles.
    let mut code = too_long();
    code.pop();
    runtime.compile(&code.into(), case.fork, Instructions::Stock).expect("within the limit");
}

#[cfg(feature = "llvm")]
#[test]
fn pitfall_40_executable_memory_is_bounded() {
    let room = 64 << 10;
    let config = Config { optimisation: Optimisation::Fast, code_memory_bytes_max: room, ..Config::preset(Preset::Test) };
    let runtime = Runtime::new(config).expect("a runtime for this machine");
    for number in 0..40 {
        let code = assemble(&format!("{number} POP {LOOP}"));
        let case = case(SpecId::OSAKA, &[code], vec![input([], GasLimit::Ample)]);
        assert_eq!(check_in(&case, &environment(&case), &runtime).successes, 1);
        assert!(runtime.mapped_bytes() <= room);
    }
    assert!(runtime.statistics().native_frames > 0);
}

#[cfg(feature = "llvm")]
#[test]
fn pitfall_39_a_panic_of_the_compiler_rejects_the_code_alone() {
    let fault = |function: &mut hotevm_ir::Function| {
        // Only in codes that ask for the chain's number.
        let calls = function.blocks.iter().flat_map(|block| &block.insts);
        let asks = calls.clone().any(|(_, inst)| matches!(inst, hotevm_ir::function::Inst::Host(call) if call.opcode == 0x46));
        assert!(!asks, "a planted panic");
    };
    let config = Config { planted_fault: Some(fault), ..Config::preset(Preset::Test) };
    let runtime = Runtime::new(config).expect("a runtime for this machine");
    let bad = case(SpecId::OSAKA, &[assemble("CHAINID 0 MSTORE 0x20 0 RETURN")], vec![input([], GasLimit::Ample); 3]);
    let good = case(SpecId::OSAKA, &[assemble(LOOP)], vec![input([], GasLimit::Ample)]);
    for case in [&bad, &good, &bad] {
        assert_eq!(check_in(case, &environment(case), &runtime).successes, case.inputs.len() as u64);
    }
    let statistics = runtime.statistics();
    assert_eq!((statistics.rejected, statistics.compiled, statistics.native_frames), (1, 1, 1));
    assert_eq!(interpreted(&runtime, "rejected"), 6);
    let rejection = runtime.compile(&bad.contracts[0].code, bad.fork, Instructions::Stock).expect_err("rejected before");
    assert_eq!(rejection.to_string(), "the compiler panicked");
}
