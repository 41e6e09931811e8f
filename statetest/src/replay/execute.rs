//! One pass over one run in one mode.
//!
//! in   a run, an EVM factory
//! out  the time of its transactions; counters; what the transactions did, if that is wanted
//!
//! E1  The clock runs during `transact` alone: copying the database, making and dropping the EVM, system calls, committing and
//!     keeping results lie outside.

use super::load::{Run, Transaction};
use crate::{
    mode::{Factory, Outcome},
    trace::Window,
};
use alloy_consensus::{ReceiptEnvelope, proofs::calculate_receipt_root};
use alloy_evm::{
    Evm,
    block::SystemCaller,
    eth::receipt_builder::{AlloyReceiptBuilder, ReceiptBuilder, ReceiptBuilderCtx},
};
use alloy_primitives::B256;
use hotevm::Statistics;
use revm::{
    DatabaseCommit,
    context::{
        TxEnv,
        result::{HaltReason, ResultAndState},
    },
    database::{CacheDB, EmptyDB},
};
use std::time::{Duration, Instant};

/// What a pass gave.
#[derive(Debug, Default)]
pub struct Pass {
    /// Time in `transact`.
    pub elapsed: Duration,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// The receipts root; none unless it was asked for.
    pub receipts_root: Option<B256>,
    /// What each transaction did; empty unless it was asked for.
    pub outcomes: Vec<Outcome>,
    /// The first transaction that was refused, and why.
    pub refused: Option<(usize, String)>,
    /// Counters of the transactions; none where nothing counts.
    pub counted: Option<Statistics>,
}

/// Executes the transactions of a run; `record` says whether to keep what they did, `statistics` reads the mode's counters.
pub fn execute<F: Factory>(factory: &F, run: &Run, record: bool, statistics: impl Fn() -> Option<Statistics>) -> Pass {
    let mut evm = factory.create_evm(run.database.clone(), run.env.clone());
    let mut pass = Pass { refused: open_block(&mut evm, run).err().map(|reason| (0, reason)), ..Pass::default() };
    let before = statistics();
    let mut receipts = Vec::new();
    for (index, transaction) in run.transactions.iter().enumerate() {
        let env = transaction.env.clone();
        let start = Instant::now();
        let outcome = evm.transact(env);
        pass.elapsed += start.elapsed();
        match outcome {
            Ok(executed) => {
                pass.gas_used += executed.result.tx_gas_used();
                if record {
                    receipts.push(receipt(&evm, transaction, &executed, pass.gas_used));
                    pass.outcomes.push(Ok(executed.clone()));
                }
                evm.db_mut().commit(executed.state);
            }
            Err(error) => {
                let reason = error.to_string();
                if record {
                    pass.outcomes.push(Err(reason.clone()));
                }
                pass.refused.get_or_insert((index, reason));
            }
        }
    }
    drop(evm);
    pass.receipts_root = record.then(|| calculate_receipt_root(&receipts));
    pass.counted = statistics().zip(before).map(|(after, before)| after.since(&before));
    pass
}

/// Makes the calls that open a block (EIP-2935, EIP-4788).
fn open_block<E>(evm: &mut E, run: &Run) -> Result<(), String>
where
    E: Evm<DB = CacheDB<EmptyDB>>,
{
    let Some(calls) = &run.system_calls else { return Ok(()) };
    let mut caller = SystemCaller::new(&calls.hardforks);
    caller
        .apply_blockhashes_contract_call(calls.parent_hash, evm)
        .and_then(|()| caller.apply_beacon_root_contract_call(calls.parent_beacon_block_root, evm))
        .map_err(|error| error.to_string())
}

fn receipt<E: Evm<HaltReason = HaltReason>>(
    evm: &E,
    transaction: &Transaction,
    executed: &ResultAndState<HaltReason>,
    cumulative_gas_used: u64,
) -> ReceiptEnvelope {
    AlloyReceiptBuilder::default().build_receipt(ReceiptBuilderCtx {
        tx_type: transaction.tx_type,
        evm,
        result: executed.result.clone(),
        state: &executed.state,
        cumulative_gas_used,
    })
}

/// Executes a run with a tracer on one transaction, or on all.
pub fn trace<F: Factory>(factory: &F, run: &Run, wanted: Option<usize>, window: &Window) {
    let mut evm = factory.create_evm_with_inspector(run.database.clone(), run.env.clone(), window.tracer());
    evm.set_inspector_enabled(false);
    if open_block(&mut evm, run).is_err() {
        return;
    }
    for (index, transaction) in run.transactions.iter().enumerate() {
        evm.set_inspector_enabled(wanted.is_none_or(|wanted| wanted == index));
        let env: TxEnv = transaction.env.clone();
        if let Ok(executed) = evm.transact(env) {
            evm.db_mut().commit(executed.state);
        }
    }
}
