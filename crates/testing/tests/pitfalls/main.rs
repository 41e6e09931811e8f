//! Known errors of other EVM compilers, each against the interpreter: named for the numbers of the table in ARCHITECTURE.md.
//!
//! in   small contracts written for one error each
//! out  the interpreter's result, gas, refund, output, logs, state and database reads, at several levels of optimisation

mod assembly;
mod frames;
mod gas;
mod handed;
mod input;
mod memory;
mod reuse;
mod rows;

use alloy_evm::{EthEvmFactory, EvmEnv};
use alloy_primitives::{Address, Bytes, U256};
use hotevm::{Config, HotEvmFactory, Optimisation, Preset, Runtime, native_available};
use hotevm_testing::{
    cpus::older_cpus,
    execute::{
        compare::{Agreement, compare_in},
        run::environment,
    },
    generate::case::{Case, Contract, GasLimit, Input},
};
use revm::primitives::hardfork::SpecId;

/// Levels of optimisation, and whether boundaries can leave.
pub const WAYS: [(Optimisation, bool); 3] =
    [(Optimisation::None, false), (Optimisation::Full, false), (Optimisation::Fast, true)];

/// A runtime that compiles at the first call.
pub fn runtime(optimisation: Optimisation, force_leaves: bool) -> Runtime {
    runtime_for(optimisation, force_leaves, None)
}

fn runtime_for(optimisation: Optimisation, force_leaves: bool, cpu: Option<&str>) -> Runtime {
    let target_cpu = cpu.map(str::to_owned);
    let config = Config { optimisation, force_leaves, target_cpu, ..Config::preset(Preset::Test) };
    Runtime::new(config).expect("a runtime for this machine")
}

/// A case of contracts by number, each with a word in its first slot and a balance.
pub fn case(fork: SpecId, codes: &[Vec<u8>], inputs: Vec<Input>) -> Case {
    let contract = |(number, code): (u8, &Vec<u8>)| Contract {
        address: Address::with_last_byte(0x80 + number),
        code: code.clone().into(),
        storage: vec![(U256::ZERO, U256::from(7))],
        balance: U256::from(1000),
    };
    let contracts = (0..).zip(codes).map(contract).collect();
    Case { fork, contracts, delegating: None, code_inline: true, commits: false, inputs }
}

/// A transaction to the first contract.
pub fn input(data: impl Into<Bytes>, gas_limit: GasLimit) -> Input {
    Input {
        target: 0,
        data: data.into(),
        value: U256::ZERO,
        gas_limit,
        leave_mask: 0,
        failing_read: None,
        access_list: false,
        blobs: false,
    }
}

/// Words as call data.
pub fn words(words: &[U256]) -> Vec<u8> {
    words.iter().flat_map(U256::to_be_bytes::<32>).collect()
}

/// Runs a case against the interpreter in an environment; the counts are those of the runtime.
pub fn check_in(case: &Case, env: &EvmEnv, runtime: &Runtime) -> Agreement {
    let hot = HotEvmFactory::new(runtime.clone());
    let before = |input: &Input| runtime.set_leave_mask(input.leave_mask);
    match compare_in(case, env, &EthEvmFactory::default(), &hot, before) {
        Ok(agreement) => agreement,
        Err(difference) => panic!("with {:?}:\n{difference}\n{case}", runtime.config()),
    }
}

/// Runs a case in every way to compile, and for other CPUs, whose code this one runs; where boundaries can leave, with one mask after the other. Native
/// code must have run.
pub fn check(case: &Case) -> Agreement {
    let mut total = Agreement::default();
    let ways = WAYS.map(|(optimisation, force_leaves)| (optimisation, force_leaves, None));
    let others = older_cpus().into_iter().map(|cpu| (Optimisation::Full, false, Some(cpu)));
    for (optimisation, force_leaves, cpu) in ways.into_iter().chain(others) {
        let masks = if force_leaves { &[1, 0x8888_8888_8888_8888, 0x5555_5555_5555_5555, u64::MAX][..] } else { &[0] };
        let runtime = runtime_for(optimisation, force_leaves, cpu);
        for mask in masks {
            let mut case = case.clone();
            case.inputs.iter_mut().for_each(|input| input.leave_mask = *mask);
            total.add(&check_in(&case, &environment(&case), &runtime));
        }
        assert_eq!(runtime.statistics().native_frames > 0, native_available(), "{:?}", runtime.statistics());
    }
    total
}
