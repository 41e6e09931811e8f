//! One transaction of a case, run by one EVM.
//!
//! in   the case's environment, an input, a gas limit
//! out  [`Execution`]: the result, the state, the reads of the database; a panic of the EVM is caught and is an execution too

use alloy_evm::{Evm, EvmEnv, EvmFactory};
use alloy_primitives::{Address, B256, U256};
use revm::{
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::{
        block::BlobExcessGasAndPrice,
        result::{ExecutionResult, HaltReason},
        transaction::{AccessList, AccessListItem},
    },
    primitives::{TxKind, hardfork::SpecId},
    state::EvmState,
};

use super::{
    database::{Read, RecordingDatabase},
    panics::caught,
};
use crate::generate::case::{Case, GasLimit, Input, SENDER};

/// A factory whose EVMs can run cases: Ethereum's transactions, forks and results.
pub trait CaseFactory: EvmFactory<Tx = TxEnv, HaltReason = HaltReason, Spec = SpecId, BlockEnv = BlockEnv> {}

impl<F: EvmFactory<Tx = TxEnv, HaltReason = HaltReason, Spec = SpecId, BlockEnv = BlockEnv>> CaseFactory for F {}

/// All that can be seen of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// The result, or the error in words.
    pub result: Result<ExecutionResult, String>,
    /// The state changes; empty after an error.
    pub state: EvmState,
    /// What the database was asked for, in order.
    pub reads: Vec<Read>,
}

/// The environment of a case's transactions.
pub fn environment(case: &Case) -> EvmEnv<SpecId> {
    let mut cfg_env = CfgEnv::new_with_spec(case.fork);
    cfg_env.disable_nonce_check = true;
    let london = case.fork.is_enabled_in(SpecId::LONDON);
    let block_env = BlockEnv {
        number: U256::from(1000),
        beneficiary: Address::with_last_byte(0xbe),
        timestamp: U256::from(1_700_000_000),
        gas_limit: 1 << 40,
        basefee: if london { 7 } else { 0 },
        difficulty: U256::from(0x20000),
        prevrandao: Some(B256::repeat_byte(0xa5)),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(1 << 20, case.fork)),
        slot_num: 77,
    };
    EvmEnv { cfg_env, block_env }
}

/// The gas that lets most programs end; state is dear from Amsterdam on.
pub fn ample_gas(case: &Case) -> u64 {
    if case.fork.is_enabled_in(SpecId::AMSTERDAM) { 8_000_000 } else { 2_000_000 }
}

/// The transaction of an input.
pub fn transaction(case: &Case, input: &Input, gas_limit: u64) -> TxEnv {
    let target = case.contracts.get(input.target).map_or(Address::ZERO, |contract| contract.address);
    let access_list = input.access_list && case.fork.is_enabled_in(SpecId::BERLIN);
    let blobs = input.blobs && case.fork.is_enabled_in(SpecId::CANCUN);
    let warm = |contract: &crate::generate::case::Contract| AccessListItem {
        address: contract.address,
        storage_keys: (0..3).map(|key| U256::from(key).into()).collect(),
    };
    TxEnv {
        tx_type: if blobs { 3 } else { u8::from(access_list) },
        caller: SENDER,
        gas_limit,
        gas_price: 10,
        kind: TxKind::Call(target),
        value: input.value,
        data: input.data.clone(),
        nonce: 0,
        chain_id: Some(1),
        access_list: if access_list { AccessList(case.contracts.iter().map(warm).collect()) } else { AccessList::default() },
        gas_priority_fee: blobs.then_some(1),
        blob_hashes: if blobs { vec![blob_hash(1), blob_hash(2)] } else { Vec::new() },
        max_fee_per_blob_gas: if blobs { u128::from(u32::MAX) } else { 0 },
        authorization_list: Vec::new(),
    }
}

/// A blob hash: version 1, and a number.
fn blob_hash(number: u8) -> B256 {
    let mut hash = B256::with_last_byte(number);
    hash.0[0] = 1;
    hash
}

/// An EVM with the case's database.
pub(crate) fn create<F: CaseFactory>(
    factory: &F,
    case: &Case,
    env: &EvmEnv,
) -> impl Evm<DB = RecordingDatabase, Tx = TxEnv, HaltReason = HaltReason> + use<F> {
    factory.create_evm(RecordingDatabase::new(case), env.clone())
}

/// Runs one transaction and takes what the database wrote down. The state is not committed.
pub(crate) fn execute<E>(evm: &mut E, transaction: TxEnv, failing_read: Option<u32>) -> Execution
where
    E: Evm<DB = RecordingDatabase, Tx = TxEnv, HaltReason = HaltReason>,
{
    let database = evm.db_mut();
    database.reads.clear();
    database.failing_read = failing_read;
    let outcome = caught(|| evm.transact_raw(transaction));
    let (result, state) = match outcome {
        Ok(Ok(outcome)) => (Ok(outcome.result), outcome.state),
        Ok(Err(error)) => (Err(error.to_string()), EvmState::default()),
        Err(panic) => (Err(panic), EvmState::default()),
    };
    let database = evm.db_mut();
    database.failing_read = None;
    Execution { result, state, reads: std::mem::take(&mut database.reads) }
}

/// The gas limit of an input in numbers. Starving ones are measured by running the transaction on `evm` with ample gas first.
pub(crate) fn gas_limit<E>(case: &Case, input: &Input, evm: &mut E) -> u64
where
    E: Evm<DB = RecordingDatabase, Tx = TxEnv, HaltReason = HaltReason>,
{
    let ample = ample_gas(case);
    let share = match input.gas_limit {
        GasLimit::Ample => return ample,
        GasLimit::Exact(gas_limit) => return gas_limit,
        GasLimit::Starving(share) => share,
    };
    let measured = execute(evm, transaction(case, input, ample), None);
    let Ok(result) = measured.result else { return ample };
    let first = environment(case).cfg_env.gas_params.initial_tx_gas_for_tx(transaction(case, input, ample), None);
    let least = first.initial_regular_gas.max(first.floor_gas);
    let spent = result.gas().total_gas_spent();
    least + (spent.saturating_sub(least) as u128 * u128::from(share) / 65536) as u64
}
