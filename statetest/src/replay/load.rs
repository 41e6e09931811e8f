//! What is replayed, loaded from fixtures.
//!
//! in   a mainnet block with all it touches, or transactions on a contract
//! out  [`Run`]s: database, environment and transactions as revm takes them, and what the header says must come out
//!
//! L1  A block's header hashes to its hash, and its transactions to the header's root; otherwise the file is refused.
//! L2  Rewards, uncles and withdrawals lie outside of the transactions and are left out.

use crate::{
    account::{self, Accounts},
    error::Error,
    fixture::{self, File},
    fork,
    report::Kind,
};
use alloy_consensus::{Header, TxEnvelope, TxType, proofs::calculate_transaction_root};
use alloy_evm::{EvmEnv, FromRecoveredTx, eth::spec::EthSpec};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::{
    context::{BlockEnv, CfgEnv, TxEnv},
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

const EXPECTED: &str = "block or contract";

/// One block, contract or part of the sample chain.
#[derive(Debug, Clone)]
pub struct Run {
    /// The file's stem.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Configuration and block.
    pub env: EvmEnv,
    /// The state before; each pass works on a copy.
    pub database: CacheDB<EmptyDB>,
    /// The calls that open the block; none for contracts.
    pub system_calls: Option<SystemCalls>,
    /// The transactions, in order.
    pub transactions: Vec<Transaction>,
    /// The header's gas used, where there is a header.
    pub gas_used: Option<u64>,
    /// The header's receipts root, where it can be computed: from Byzantium on, when receipts carry a status (EIP-658).
    pub receipts_root: Option<B256>,
}

/// A transaction of a run.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// As revm takes it.
    pub env: TxEnv,
    /// Its type, which its receipt has too.
    pub tx_type: TxType,
}

/// What the calls at the start of a block need (EIP-2935, EIP-4788); whether they take place follows from the forks.
#[derive(Debug, Clone)]
pub struct SystemCalls {
    /// The chain's forks.
    pub hardforks: EthSpec,
    /// Hash of the parent.
    pub parent_hash: B256,
    /// Root of the parent's beacon block.
    pub parent_beacon_block_root: Option<B256>,
}

#[derive(Debug, Deserialize)]
struct BlockJson {
    chain: String,
    block: Value,
    pre_state: Accounts,
    #[serde(default)]
    block_hashes: BTreeMap<u64, B256>,
}

#[derive(Debug, Deserialize)]
struct ContractJson {
    env: ContractEnv,
    pre: Accounts,
    transaction: Vec<ContractTransaction>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContractEnv {
    #[serde(default)]
    current_base_fee: U256,
    current_coinbase: Address,
    current_gas_limit: U256,
    current_number: U256,
    current_timestamp: U256,
    #[serde(default)]
    current_random: B256,
    #[serde(default)]
    current_excess_blob_gas: U256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContractTransaction {
    sender: Address,
    to: Option<Address>,
    data: Bytes,
    value: U256,
    gas_limit: U256,
    gas_price: U256,
    nonce: U256,
}

/// Loads all files; blocks come in numeric order, before contracts.
///
/// # Errors
/// When a file cannot be read, is malformed, or contradicts itself.
pub fn load(files: &[File]) -> Result<Vec<Run>, Error> {
    let mut runs = Vec::new();
    for File { path, .. } in files {
        runs.extend(parse(path, fixture::parse(path, EXPECTED)?)?);
    }
    runs.sort_by_key(|run| (run.kind, run.name.parse::<u64>().unwrap_or(u64::MAX), run.name.clone()));
    Ok(runs)
}

/// Takes the content of a file apart: one block, or contracts by name. The path gives the block its name.
///
/// # Errors
/// When the content is malformed or contradicts itself.
pub fn parse(path: &Path, content: BTreeMap<String, Value>) -> Result<Vec<Run>, Error> {
    if content.contains_key("block") {
        return Ok(vec![block(path, convert(path, Value::from_iter(content))?)?]);
    }
    content.into_iter().map(|(name, value)| contract(path, name, convert(path, value)?)).collect()
}

fn convert<T: DeserializeOwned>(path: &Path, value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|cause| Error::Parse { path: path.to_owned(), expected: EXPECTED, cause })
}

fn block(path: &Path, json: BlockJson) -> Result<Run, Error> {
    if json.chain != "mainnet" {
        return Err(Error::content(path, format!("unknown chain {}", json.chain)));
    }
    let hash: B256 = convert(path, json.block["hash"].clone())?;
    let rows: Vec<Value> = convert(path, json.block["transactions"].clone())?;
    let header: Header = convert(path, json.block)?;
    if header.hash_slow() != hash {
        return Err(Error::content(path, "the header does not hash to the block's hash"));
    }
    let mut envelopes = Vec::with_capacity(rows.len());
    let mut transactions = Vec::with_capacity(rows.len());
    for row in rows {
        let sender: Address = convert(path, row["from"].clone())?;
        let envelope: TxEnvelope = convert(path, row)?;
        let env = TxEnv::from_recovered_tx(&envelope, sender);
        transactions.push(Transaction { env, tx_type: envelope.tx_type() });
        envelopes.push(envelope);
    }
    if calculate_transaction_root(&envelopes) != header.transactions_root {
        return Err(Error::content(path, "the transactions do not hash to the header's root"));
    }
    let hardforks = EthSpec::mainnet();
    let blob_params = fork::mainnet_blob_params(&hardforks, header.timestamp);
    let is_byzantium = hardforks.is_byzantium_active_at_block(header.number);
    Ok(Run {
        name: fixture::stem(path),
        kind: Kind::Block,
        env: EvmEnv::for_eth_block(&header, &hardforks, 1, blob_params),
        database: account::cache_database(&json.pre_state, &json.block_hashes),
        system_calls: Some(SystemCalls {
            hardforks,
            parent_hash: header.parent_hash,
            parent_beacon_block_root: header.parent_beacon_block_root,
        }),
        transactions,
        gas_used: Some(header.gas_used),
        receipts_root: is_byzantium.then_some(header.receipts_root),
    })
}

/// Contracts run on Osaka, with the cap on a transaction's gas (EIP-7825) lifted to the block's and without the nonce check.
fn contract(path: &Path, name: String, json: ContractJson) -> Result<Run, Error> {
    let small = |value: U256, what: &str| -> Result<u64, Error> {
        u64::try_from(value).map_err(|_| Error::content(path, format!("{what} above 64 bits")))
    };
    let gas_limit = small(json.env.current_gas_limit, "gas limit")?;
    let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
    cfg.tx_gas_limit_cap = Some(gas_limit);
    cfg.disable_nonce_check = true;
    let mut block = BlockEnv {
        number: json.env.current_number,
        beneficiary: json.env.current_coinbase,
        timestamp: json.env.current_timestamp,
        gas_limit,
        basefee: small(json.env.current_base_fee, "base fee")?,
        prevrandao: Some(json.env.current_random),
        difficulty: U256::ZERO,
        ..BlockEnv::default()
    };
    let excess = small(json.env.current_excess_blob_gas, "excess blob gas")?;
    block.set_blob_excess_gas_and_price(excess, cfg.blob_base_fee_update_fraction());
    let transaction = |row: ContractTransaction| -> Result<Transaction, Error> {
        let env = TxEnv {
            tx_type: TxType::Legacy.into(),
            caller: row.sender,
            gas_limit: small(row.gas_limit, "gas limit")?,
            gas_price: small(row.gas_price, "gas price")?.into(),
            kind: row.to.map_or(TxKind::Create, TxKind::Call),
            value: row.value,
            data: row.data,
            nonce: small(row.nonce, "nonce")?,
            chain_id: None,
            ..TxEnv::default()
        };
        Ok(Transaction { env, tx_type: TxType::Legacy })
    };
    Ok(Run {
        name,
        kind: Kind::Contract,
        env: EvmEnv::new(cfg, block),
        database: account::cache_database(&json.pre, &BTreeMap::new()),
        system_calls: None,
        transactions: json.transaction.into_iter().map(transaction).collect::<Result<_, _>>()?,
        gas_used: None,
        receipts_root: None,
    })
}
