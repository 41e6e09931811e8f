//! Gas that is state gas, that is nearly 2^64, or that costs nearly as much.
//!
//! in   contracts that store, create, call and grow memory
//! out  every gas figure is the interpreter's

use crate::{assembly::assemble, case, check, check_in, input, runtime};
use alloy_evm::{EthEvm, EthEvmFactory, Evm, EvmFactory};
use hotevm::{HotEthEvm, HotEvm, Instructions, Optimisation, native_available};
use hotevm_testing::{
    execute::{database::RecordingDatabase, run::environment, run::transaction},
    generate::case::{Case, GasLimit, Input},
};
use revm::{bytecode::opcode::JUMPDEST, context_interface::cfg::gas_params::GasId, primitives::hardfork::SpecId};

/// Stores, creates an account with code, calls one that stores and reverts and one that stores, sends value to nobody, clears.
const STATE: &str = "
    CALLER 1 SSTORE  CALLER 2 SSTORE
    0x605f6000536001601ff3 0 MSTORE  10 22 0 CREATE
    0 0 0 0 0 0x81 GAS CALL
    0 0 0 0 0 0x82 GAS CALL
    0 0 0 0 3 0xdead GAS CALL
    0 1 SSTORE  0 0 SSTORE
    GAS 3 SSTORE
    MSIZE 0 MSTORE 0 0x20 LOG0
    GAS 0 MSTORE 0x20 0 RETURN";
const STORES_AND_REVERTS: &str = "CALLER 5 SSTORE CALLER 6 SSTORE 0 0 REVERT";
const STORES: &str = "CALLER 7 SSTORE 0 7 SSTORE CALLER 8 SSTORE STOP";

fn state_case(inputs: Vec<Input>) -> Case {
    case(SpecId::AMSTERDAM, &[STATE, STORES_AND_REVERTS, STORES].map(assemble), inputs)
}

#[test]
fn pitfall_19_state_gas_is_the_interpreters() {
    // From too little to more than one transaction may spend on anything but state: the rest is the reservoir.
    let limits = (0..60).map(|step| 40_000 + step * 23_456).chain([15_000_000, (1 << 24) + 50_000, 20_000_000, 40_000_000]);
    let agreement = check(&state_case(limits.map(|limit| input([], GasLimit::Exact(limit))).collect()));
    assert!(agreement.successes > 0 && agreement.halts > 0, "{agreement:?}");
    // The case does spend state gas, inside of the reservoir and beyond it.
    let ample = state_case(vec![input([], GasLimit::Ample)]);
    for gas_limit in [8_000_000, 40_000_000] {
        let mut evm = EthEvmFactory::default().create_evm(RecordingDatabase::new(&ample), environment(&ample));
        let result = evm.transact_raw(transaction(&ample, &ample.inputs[0], gas_limit)).expect("valid").result;
        assert!(result.is_success() && result.gas().state_gas_spent_final() > 0, "{result:?}");
    }
}

/// Loops, grows memory, calls with all gas and with more than there is, and asks for memory that no gas pays for.
const PLENTY: &str = "
    0 :loop 1 ADD DUP1 20 MUL MLOAD POP DUP1 50 GT @loop JUMPI
    GAS 0 MSTORE  0x20 0 0 0 0 0x81 GAS CALL  0x20 0 0 0 0 0x81 0xffffffffffffffff CALL
    0x40 0x20 0 0 0 0x81 0 NOT CALL
    0 CALLDATALOAD @far JUMPI
    GAS 0x80 MSTORE 0xa0 0 RETURN
    :far 0 CALLDATALOAD MLOAD 0 MSTORE 0x20 0 RETURN";
const TELLS_GAS: &str = "GAS 0 MSTORE 0x40 0 KECCAK256 GAS 0x20 MSTORE 0x40 0 RETURN";

#[test]
fn pitfall_20_gas_limits_near_2_to_the_64() {
    for fork in [SpecId::TANGERINE, SpecId::BERLIN, SpecId::OSAKA] {
        let mut inputs = Vec::new();
        // Addresses from 2^64 on: below, so much gas would pay for the memory.
        for address in [0_u128, 1 << 64, (1 << 64) + 1, 1 << 96, u128::MAX] {
            let data = [vec![0; 16], address.to_be_bytes().to_vec()].concat();
            let limits = [u64::MAX, u64::MAX - 1, u64::MAX - 21_000, 1 << 63, (1 << 63) - 1, i64::MAX as u64 - 100];
            inputs.extend(limits.map(|limit| input(data.clone(), GasLimit::Exact(limit))));
        }
        let case = case(fork, &[PLENTY, TELLS_GAS].map(assemble), inputs);
        let mut env = environment(&case);
        env.block_env.gas_limit = u64::MAX;
        env.cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        for optimisation in [Optimisation::None, Optimisation::Full] {
            let runtime = runtime(optimisation, false);
            let agreement = check_in(&case, &env, &runtime);
            assert!(agreement.successes > 0 && agreement.halts > 0 && agreement.errors == 0, "{agreement:?}");
            assert_eq!(runtime.statistics().native_frames > 0, native_available());
        }
    }
}

#[test]
fn pitfall_20_costs_near_2_to_the_64() {
    let body = "CALLDATASIZE 2 EXP 0x100 3 EXP ADD 0 MSTORE 0x40 0 KECCAK256 0x20 MSTORE 0x60 0 LOG0 GAS 0 MSTORE 0x40 0 RETURN";
    let ids = [GasId::exp_byte_gas(), GasId::keccak256_per_word(), GasId::memory_linear_cost(), GasId::logdata()];
    for id in ids {
        for cost in [u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 32, u64::from(u32::MAX)] {
            let case = case(SpecId::OSAKA, &[assemble(body)], vec![input([1; 40], GasLimit::Ample)]);
            let mut env = environment(&case);
            let mut params = env.cfg_env.gas_params.clone();
            params.override_gas([(id, cost)]);
            env.cfg_env.set_gas_params(params);
            let runtime = runtime(Optimisation::Fast, false);
            let agreement = check_in(&case, &env, &runtime);
            assert_eq!(agreement.executions, 1);
            assert_eq!(runtime.statistics().native_frames > 0, native_available());
        }
    }
}

#[cfg(feature = "llvm")]
#[test]
fn pitfall_20_static_gas_that_no_sum_holds_is_not_compiled() {
    // 40,000 instructions of 2^16 - 1 gas each: their sum needs more than the 31 bits of a leave row.
    let code = [assemble(&"JUMPDEST ".repeat(40_000)), assemble("GAS 0 MSTORE 0x20 0 RETURN")].concat();
    let case = case(SpecId::OSAKA, &[code], vec![input([], GasLimit::Ample)]);
    let runtime = runtime(Optimisation::Fast, false);
    for (cost, succeeds, rejected) in [(1, true, 0), (u16::MAX, false, 1)] {
        let create = || EthEvmFactory::default().create_evm(RecordingDatabase::new(&case), environment(&case)).into_inner();
        let (mut plain, mut changed) = (create(), create());
        plain.instruction.insert_gas(JUMPDEST, cost);
        changed.instruction.insert_gas(JUMPDEST, cost);
        let mut plain = EthEvm::new(plain, false);
        let mut hot = HotEthEvm::new(HotEvm::new(changed, runtime.clone(), Instructions::Stock), false);
        let transaction = transaction(&case, &case.inputs[0], 2_000_000);
        let expected = plain.transact_raw(transaction.clone()).expect("valid").result;
        assert_eq!(hot.transact_raw(transaction).expect("valid").result, expected);
        drop(hot);
        assert_eq!((expected.is_success(), runtime.statistics().rejected), (succeeds, rejected));
    }
}
