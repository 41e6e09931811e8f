//! Databases that run other EVMs on the same thread, in the middle of a frame.
//!
//! in   a contract that loads storage in a loop; each load runs the contract again two levels down, and some of these panic
//! out  the results of revm's EVMs nested in the same way, in every preset

use crate::{CONTRACT, STEP, environment, repeated, transaction};
use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use hotevm::{Config, HotEvmFactory, Preset, Runtime, Tuning};
use revm::{
    Database,
    bytecode::opcode as op,
    context_interface::result::{HaltReason, ResultAndState},
    database::InMemoryDB,
    primitives::{Address, B256, U256},
    state::{AccountInfo, Bytecode},
};
use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// A database whose storage is what nested EVMs say.
#[derive(Debug, Clone)]
struct Nested {
    inner: InMemoryDB,
    /// With it nested EVMs are hotevm's, without it revm's.
    runtime: Option<Runtime>,
    /// Levels below.
    depth: u32,
    loads: u64,
    /// What nested EVMs returned.
    seen: Vec<String>,
}

impl Nested {
    fn transact(self) -> ResultAndState<HaltReason> {
        let transaction = transaction(300_000);
        let result = match self.runtime.clone() {
            Some(runtime) => HotEvmFactory::new(runtime).create_evm(self, environment()).transact_raw(transaction),
            None => EthEvmFactory::default().create_evm(self, environment()).transact_raw(transaction),
        };
        result.expect("a valid transaction")
    }
}

impl Database for Nested {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        self.inner.basic(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Infallible> {
        self.inner.code_by_hash(code_hash)
    }

    fn storage(&mut self, _: Address, _: U256) -> Result<U256, Infallible> {
        self.loads += 1;
        let Some(depth) = self.depth.checked_sub(1) else {
            // Caught one level up, with the frames of that EVM under way.
            assert!(self.loads % 5 != 4, "the disk is gone");
            return Ok(U256::from(self.loads));
        };
        let below = Self { depth, seen: Vec::new(), ..self.clone() };
        let result = catch_unwind(AssertUnwindSafe(|| below.transact().result));
        self.seen.push(format!("{:?}", result.ok()));
        Ok(U256::from(self.seen.iter().map(String::len).sum::<usize>()))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        self.inner.block_hash(number)
    }
}

#[test]
fn evms_may_run_within_each_other() {
    let code = repeated(&[&STEP[..], &[op::DUP1, op::SLOAD, op::ADD]].concat());
    let mut inner = InMemoryDB::default();
    inner.insert_account_info(CONTRACT, AccountInfo::from_bytecode(Bytecode::new_raw(code.into())));
    for preset in [Preset::Test, Preset::Stress, Preset::Development] {
        // Warm at once, and compiled while it runs.
        let tuning = Tuning { warm_gas: 1, eagerness: 0.0, grow_leaves: 1, ..Tuning::preset(preset) };
        let runtime = Runtime::new(Config { tuning, ..Config::preset(preset) }).expect("a runtime");
        for loads in 0..6 {
            let database = |runtime| Nested { inner: inner.clone(), runtime, depth: 2, loads, seen: Vec::new() };
            let (plain, hot) = (database(None).transact(), database(Some(runtime.clone())).transact());
            assert!(plain.result.is_success());
            assert!(plain == hot, "{preset}, {loads}: {:?} became {:?}", plain.result, hot.result);
        }
        assert!(runtime.shutdown(Duration::from_secs(60)));
    }
}
