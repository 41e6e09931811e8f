//! One run, once in every mode: for a look at what its transactions do.
//!
//! in   a run from a file, or a bytecode without a world; what to change in it
//! out  what every transaction did in every mode, and the first difference in words
//!
//! S1  A bytecode is called by an account that can pay for everything, in a block without fees, under no cap but the gas limit.

use super::{
    execute::Pass,
    load::{Run, Transaction},
    measure::{explain, refuse},
};
use crate::{
    account::{self, Account, Accounts},
    difference,
    error::Error,
    mode::Engine,
    report::Kind,
};
use alloy_consensus::TxType;
use alloy_evm::EvmEnv;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use revm::{
    context::{BlockEnv, CfgEnv, TxEnv},
    primitives::hardfork::SpecId,
};
use std::collections::BTreeMap;

/// The account that holds a bytecode.
const CONTRACT: Address = address!("0x00000000000000000000000000000000000c0de5");
/// The account that calls it.
const SENDER: Address = address!("0x000000000000000000000000000000000005e5d0");
/// Gas of the call unless told otherwise.
const GAS_LIMIT: u64 = 30_000_000;

/// What to change in a run; none keeps what is there.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The fork's rules and gas costs.
    pub spec: Option<SpecId>,
    /// Call data of every transaction.
    pub data: Option<Bytes>,
    /// Gas limit of every transaction.
    pub gas_limit: Option<u64>,
    /// Value of every transaction.
    pub value: Option<U256>,
}

/// What a run did in every mode.
#[derive(Debug)]
pub struct Single {
    /// One pass per mode, in the order of the engines.
    pub passes: Vec<Pass>,
    /// Transactions that differ from the first mode's, over all modes.
    pub mismatches: u64,
    /// The first difference in words, with traces.
    pub explanation: Option<String>,
}

/// A run that calls a bytecode once.
pub fn bytecode(name: &str, code: Bytes) -> Run {
    let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
    cfg.tx_gas_limit_cap = Some(u64::MAX);
    cfg.disable_nonce_check = true;
    let block = BlockEnv { gas_limit: u64::MAX, basefee: 0, prevrandao: Some(B256::ZERO), ..BlockEnv::default() };
    let contract = Account { nonce: 1, code, ..Account::default() };
    // Half of all words: what it pays to itself or to others overflows nowhere.
    let sender = Account { balance: U256::MAX >> 1, ..Account::default() };
    let transaction = TxEnv {
        tx_type: TxType::Legacy.into(),
        caller: SENDER,
        gas_limit: GAS_LIMIT,
        gas_price: 0,
        kind: TxKind::Call(CONTRACT),
        chain_id: None,
        ..TxEnv::default()
    };
    Run {
        name: name.to_owned(),
        kind: Kind::Contract,
        env: EvmEnv::new(cfg, block),
        database: account::cache_database(&Accounts::from([(CONTRACT, contract), (SENDER, sender)]), &BTreeMap::new()),
        system_calls: None,
        transactions: vec![Transaction { env: transaction, tx_type: TxType::Legacy }],
        gas_used: None,
        receipts_root: None,
    }
}

impl Run {
    /// Applies changes.
    pub fn change(&mut self, changes: &Changes) {
        if let Some(spec) = changes.spec {
            self.env.cfg_env.set_spec_and_mainnet_gas_params(spec);
        }
        for Transaction { env, .. } in &mut self.transactions {
            env.data = changes.data.clone().unwrap_or_else(|| env.data.clone());
            env.gas_limit = changes.gas_limit.unwrap_or(env.gas_limit);
            env.value = changes.value.unwrap_or(env.value);
        }
    }
}

/// Takes a run through every mode.
///
/// # Errors
/// When a transaction is refused in the first mode.
pub fn single(run: &Run, engines: &[Box<dyn Engine>]) -> Result<Single, Error> {
    let passes: Vec<Pass> = engines.iter().map(|engine| engine.replay(run, true)).collect();
    let Some((first, engine)) = passes.first().zip(engines.first()) else { return Err(Error::NothingLeft) };
    refuse(run, first, engine.mode())?;
    let (mut mismatches, mut found) = (0, None);
    for (mode, pass) in passes.iter().enumerate().skip(1) {
        for (transaction, (left, right)) in first.outcomes.iter().zip(&pass.outcomes).enumerate() {
            let Some(difference) = difference::outcomes(left, right) else { continue };
            mismatches += 1;
            found.get_or_insert((mode, transaction, difference));
        }
    }
    let explanation = found.map(|(mode, transaction, difference)| explain(run, engines, mode, transaction, &difference));
    Ok(Single { passes, mismatches, explanation })
}
