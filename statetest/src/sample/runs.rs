//! The sample chain as runs of a replay.
//!
//! in   the chain
//! out  one run per block, each with the database that the blocks before it leave behind

use super::{SampleBlock, SampleError, chain};
use crate::{
    account::cache_database,
    replay::{Run, Transaction},
    report::Kind,
};
use alloy_consensus::TxType;
use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use revm::{
    DatabaseCommit,
    database::{CacheDB, EmptyDB},
};
use std::collections::BTreeMap;

/// The blocks of the chain, in order.
///
/// # Errors
/// As [`chain`]; and if revm refuses a transaction.
pub fn runs() -> Result<Vec<Run>, SampleError> {
    let chain = chain()?;
    let mut database = cache_database(&chain.pre_state, &BTreeMap::new());
    let mut runs = Vec::new();
    for block in &chain.blocks {
        runs.push(run(block, database.clone()));
        execute(block, &mut database)?;
    }
    Ok(runs)
}

fn run(block: &SampleBlock, database: CacheDB<EmptyDB>) -> Run {
    let transactions = block.transactions.iter().cloned();
    Run {
        name: block.name.to_owned(),
        kind: Kind::Sample,
        env: block.evm_env(),
        database,
        system_calls: None,
        transactions: transactions.map(|env| Transaction { env, tx_type: TxType::Legacy }).collect(),
        gas_used: Some(block.gas_used),
        receipts_root: None,
    }
}

/// Executes a block on `database` with revm as it is; gives successes, reverts and halts, and the gas used.
pub(super) fn execute(block: &SampleBlock, database: &mut CacheDB<EmptyDB>) -> Result<([u64; 3], u64), SampleError> {
    let mut evm = EthEvmFactory::default().create_evm(database, block.evm_env());
    let (mut outcomes, mut gas_used) = ([0; 3], 0);
    for (index, transaction) in block.transactions.iter().enumerate() {
        let refused =
            |error: &dyn std::fmt::Display| SampleError::Refused { block: block.name, index, reason: error.to_string() };
        let executed = evm.transact_raw(transaction.clone()).map_err(|error| refused(&error))?;
        let outcome = usize::from(!executed.result.is_success()) + usize::from(executed.result.is_halt());
        outcomes[outcome] += 1;
        gas_used += executed.result.tx_gas_used();
        evm.db_mut().commit(executed.state);
    }
    Ok((outcomes, gas_used))
}
