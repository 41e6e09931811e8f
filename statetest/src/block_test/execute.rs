//! The blocks of one blockchain test in one mode.
//!
//! in   a case, an EVM factory
//! out  a record per block: accepted or refused with the reason, the transactions' results, the state root
//!
//! B1  A block is executed even if its header was refused, so that modes are compared on it.
//! B2  The state and the head move on over every block that no exception is expected for and that ran to its end, so that the
//!     blocks behind it are compared too.

use super::{
    fixture::{Case, Decoded},
    header::{self, same},
};
use crate::{fork::Chain, mode::Factory, roots, trace::Window};
use alloy_consensus::{Eip658Value, Header, ReceiptEnvelope, TxReceipt, proofs::calculate_receipt_root};
use alloy_eips::{eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS};
use alloy_evm::{
    Evm, EvmEnv, FromRecoveredTx, FromTxWithEncoded,
    block::{BlockExecutionResult, BlockExecutor, BlockExecutorFactory, TxResult},
    eth::{EthBlockExecutionCtx, EthBlockExecutor, EthBlockExecutorFactory, receipt_builder::AlloyReceiptBuilder},
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, Bloom, keccak256};
use revm::{
    Database as _,
    context::result::{HaltReason, ResultAndState},
    database::{CacheState, EmptyDB, State, states::block_hash_cache::BlockHashCache},
    primitives::hardfork::SpecId,
};
use std::borrow::Cow;

/// The database that tests run on.
type Database = State<EmptyDB>;

/// What one mode did with a block.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockRecord {
    /// Accepted, or why not.
    pub verdict: Result<(), String>,
    /// The transactions that were executed.
    pub transactions: Vec<ResultAndState<HaltReason>>,
    /// The state root after the block; none where it did not run to its end.
    pub state_root: Option<B256>,
}

/// The chain as far as it was imported.
struct Head {
    header: Header,
    hash: B256,
    state: CacheState,
    hashes: BlockHashCache,
}

impl Head {
    fn genesis(case: &Case) -> Self {
        let hash = case.genesis.hash_slow();
        let mut hashes = BlockHashCache::new();
        hashes.insert(case.genesis.number, hash);
        Self { header: case.genesis.clone(), hash, state: case.pre.clone(), hashes }
    }

    fn database(&self, chain: &Chain, header: &Header) -> Database {
        State::builder()
            .with_cached_prestate(self.state.clone())
            .with_block_hashes(self.hashes.clone())
            .with_bundle_update()
            .with_bal_builder_if(chain.is_amsterdam_active_at_timestamp(header.timestamp))
            .build()
    }

    fn advance(&mut self, block: &Decoded, state: CacheState) {
        self.header = block.header.clone();
        self.hash = block.hash;
        self.hashes.insert(block.header.number, block.hash);
        self.state = state;
    }
}

/// What executing a block gave.
struct Executed {
    transactions: Vec<ResultAndState<HaltReason>>,
    end: Result<(Database, BlockExecutionResult<ReceiptEnvelope>), String>,
}

/// Runs all blocks of a case.
pub fn execute<F: Factory>(factory: &F, case: &Case) -> Vec<BlockRecord> {
    let mut head = Head::genesis(case);
    let records = case.blocks.iter().map(|case_block| {
        let block = match &case_block.decoded {
            Ok(block) => block,
            Err(reason) => {
                return BlockRecord { verdict: Err(reason.clone()), transactions: Vec::new(), state_root: None };
            }
        };
        let checked = header::check(&case.chain, &head.header, head.hash, block);
        let executor_factory = executor_factory(factory, case);
        let evm = factory.create_evm(head.database(&case.chain, &block.header), env(case, &block.header));
        let executed = drive(executor_factory.create_executor(evm, context(block)), block, |_, _| {});
        let Executed { transactions, end } = executed;
        match end {
            Err(reason) => BlockRecord { verdict: checked.and(Err(reason)), transactions, state_root: None },
            Ok((mut database, result)) => {
                let state_root = roots::state_root(&database.cache);
                let after = checked.and_then(|()| check_result(&case.chain, block, &result, &mut database));
                let verdict = after.and_then(|()| same("state root", state_root, block.header.state_root));
                if case_block.expected_exception.is_none() {
                    head.advance(block, database.cache);
                }
                BlockRecord { verdict, transactions, state_root: Some(state_root) }
            }
        }
    });
    records.collect()
}

/// Runs a case with a tracer on the transaction `wanted` (block, transaction), or on all.
pub fn trace<F: Factory>(factory: &F, case: &Case, wanted: Option<(usize, usize)>, window: &Window) {
    let mut head = Head::genesis(case);
    for (index, case_block) in case.blocks.iter().enumerate() {
        let Ok(block) = &case_block.decoded else { continue };
        let executor_factory = executor_factory(factory, case);
        let database = head.database(&case.chain, &block.header);
        let mut evm = factory.create_evm_with_inspector(database, env(case, &block.header), window.tracer());
        evm.set_inspector_enabled(false);
        let executed = drive(executor_factory.create_executor(evm, context(block)), block, |evm, transaction| {
            evm.set_inspector_enabled(wanted.is_none_or(|wanted| wanted == (index, transaction)));
        });
        if let (Ok((database, _)), None) = (executed.end, &case_block.expected_exception) {
            head.advance(block, database.cache);
        }
    }
}

fn executor_factory<F: Factory>(factory: &F, case: &Case) -> EthBlockExecutorFactory<AlloyReceiptBuilder, Chain, F> {
    EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), case.chain.clone(), factory.clone())
}

fn env(case: &Case, header: &Header) -> EvmEnv {
    EvmEnv::for_eth_block(header, &case.chain, case.chain_id, case.chain.blob_params(header.timestamp))
}

fn context(block: &Decoded) -> EthBlockExecutionCtx<'_> {
    EthBlockExecutionCtx {
        parent_hash: block.header.parent_hash,
        parent_beacon_block_root: block.header.parent_beacon_block_root,
        ommers: &block.body.ommers,
        withdrawals: block.body.withdrawals.as_deref().map(|withdrawals| Cow::Borrowed(withdrawals.as_slice())),
        extra_data: block.header.extra_data.clone(),
        tx_count_hint: Some(block.body.transactions.len()),
        slot_number: block.header.slot_number,
    }
}

/// Executes a block; `before` is called with the EVM before each transaction.
fn drive<E>(
    mut executor: EthBlockExecutor<'_, E, &Chain, &AlloyReceiptBuilder>,
    block: &Decoded,
    mut before: impl FnMut(&mut E, usize),
) -> Executed
where
    E: Evm<DB = Database, Spec = SpecId, HaltReason = HaltReason>,
    E::Tx: FromRecoveredTx<alloy_consensus::TxEnvelope> + FromTxWithEncoded<alloy_consensus::TxEnvelope>,
{
    let mut transactions = Vec::with_capacity(block.body.transactions.len());
    let mut state_roots = Vec::new();
    let is_byzantium = executor.spec.is_byzantium_active_at_block(block.header.number);
    let mut run = || -> Result<(), String> {
        let recovered = block.transactions.as_ref().map_err(Clone::clone)?;
        executor.apply_pre_execution_changes().map_err(|error| error.to_string())?;
        for (index, transaction) in recovered.iter().enumerate() {
            executor.evm.db_mut().bump_bal_index();
            before(&mut executor.evm, index);
            let executed = executor
                .execute_transaction_without_commit(transaction)
                .map_err(|error| format!("transaction {index}: {error}"))?;
            transactions.push(executed.result().clone());
            executor.commit_transaction(executed);
            if !is_byzantium {
                state_roots.push(roots::state_root(&executor.evm.db().cache));
            }
        }
        executor.evm.db_mut().bump_bal_index();
        Ok(())
    };
    let end = run().and_then(|()| {
        let is_prague = executor.spec.is_prague_active_at_timestamp(block.header.timestamp);
        if is_prague {
            check_predeploys(executor.evm.db_mut())?;
        }
        let (evm, mut result) = executor.finish().map_err(|error| error.to_string())?;
        for (receipt, root) in result.receipts.iter_mut().zip(state_roots) {
            // Until Byzantium receipts carry the state root after the transaction instead of a status (EIP-658).
            if let ReceiptEnvelope::Legacy(legacy) = receipt {
                legacy.receipt.status = Eip658Value::PostState(root);
            }
        }
        Ok((evm.into_db(), result))
    });
    Executed { transactions, end }
}

/// A block is invalid if a contract that takes requests has no code (EIP-7002, EIP-7251); alloy-evm calls it nevertheless.
fn check_predeploys(database: &mut Database) -> Result<(), String> {
    for address in [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS] {
        let account = database.basic(address).map_err(|error| error.to_string())?;
        if account.is_none_or(|account| account.is_empty_code_hash()) {
            return Err(format!("the system contract {address} has no code"));
        }
    }
    Ok(())
}

/// What execution decides, against the header.
fn check_result(
    chain: &Chain,
    block: &Decoded,
    result: &BlockExecutionResult<ReceiptEnvelope>,
    database: &mut Database,
) -> Result<(), String> {
    let header = &block.header;
    same("gas used", result.gas_used, header.gas_used)?;
    same("receipts root", calculate_receipt_root(&result.receipts), header.receipts_root)?;
    let bloom = result.receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
    same("logs bloom", bloom, header.logs_bloom)?;
    if chain.is_cancun_active_at_timestamp(header.timestamp) {
        same("blob gas used", result.blob_gas_used, header.blob_gas_used.unwrap_or_default())?;
    }
    if chain.is_prague_active_at_timestamp(header.timestamp) {
        same("requests hash", result.requests.requests_hash(), header.requests_hash.unwrap_or_default())?;
    }
    if let Some(given) = header.block_access_list_hash {
        let list = database.take_built_alloy_bal().unwrap_or_default();
        same("block access list hash", keccak256(alloy_rlp::encode(&list)), given)?;
    }
    Ok(())
}

/// Judges the records of a case against what it expects.
///
/// # Errors
/// The first block with the wrong verdict, and why.
pub fn verdict(case: &Case, records: &[BlockRecord]) -> Result<(), String> {
    let mut last_hash = case.genesis.hash_slow();
    for (index, (block, record)) in case.blocks.iter().zip(records).enumerate() {
        match (&block.expected_exception, &record.verdict) {
            (Some(expected), Ok(())) => {
                return Err(format!("block {index} accepted, although {expected} was expected"));
            }
            (None, Err(reason)) => return Err(format!("block {index} refused: {reason}")),
            (Some(_), Err(_)) => {}
            (None, Ok(())) => last_hash = block.decoded.as_ref().map_or(last_hash, |block| block.hash),
        }
    }
    same("last block", case.last_hash, last_hash)
}
