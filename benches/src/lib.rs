//! What the benches run: two small contracts, and the environment around them.
//!
//! in   nothing
//! out  a database with the contracts, transactions that call them

#![forbid(unsafe_code)]

use alloy_evm::EvmEnv;
use revm::{
    bytecode::opcode as op,
    context::{BlockEnv, CfgEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    primitives::{Address, TxKind, hardfork::SpecId},
    state::{AccountInfo, Bytecode},
};

/// A contract that stops at once: what it costs beyond the interpreter is the way into native code and out of it.
pub const STOPPING: Address = Address::with_last_byte(0xc0);

/// A contract that adds up to 100 in a loop.
pub const LOOPING: Address = Address::with_last_byte(0xc1);

/// The database, with both contracts.
pub fn database() -> CacheDB<EmptyDB> {
    let mut database = CacheDB::default();
    let body = [op::JUMPDEST, op::DUP1, op::SWAP2, op::ADD, op::SWAP1, op::PUSH1, 1, op::SWAP1, op::SUB];
    let looping = [&[op::PUSH0, op::PUSH1, 100][..], &body, &[op::DUP1, op::PUSH1, 3, op::JUMPI, op::STOP]].concat();
    for (address, code) in [(STOPPING, vec![op::STOP]), (LOOPING, looping)] {
        let info = AccountInfo::default().with_code(Bytecode::new_legacy(code.into()));
        database.insert_account_info(address, info);
    }
    database
}

/// The block and the rules around them.
pub fn environment() -> EvmEnv {
    let mut cfg_env = CfgEnv::new_with_spec(SpecId::OSAKA);
    cfg_env.disable_nonce_check = true;
    EvmEnv::new(cfg_env, BlockEnv::default())
}

/// A call of a contract.
pub fn call(contract: Address) -> TxEnv {
    TxEnv {
        caller: Address::with_last_byte(1),
        kind: TxKind::Call(contract),
        gas_limit: 1_000_000,
        chain_id: Some(1),
        ..TxEnv::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
    use hotevm::{Config, HotEvmFactory, Preset, Runtime};

    #[test]
    fn both_contracts_run_and_run_natively() {
        let runtime = Runtime::new(Config::preset(Preset::Test)).expect("a runtime for this machine");
        let mut plain = EthEvmFactory::default().create_evm(database(), environment());
        let mut hot = HotEvmFactory::new(runtime.clone()).create_evm(database(), environment());
        for contract in [STOPPING, LOOPING] {
            let expected = plain.transact_raw(call(contract)).expect("a result");
            assert!(expected.result.is_success());
            assert_eq!(expected, hot.transact_raw(call(contract)).expect("a result"));
        }
        assert_eq!(runtime.statistics().native_frames, 2);
    }
}
