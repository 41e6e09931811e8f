//! State tests as the Ethereum execution-spec tests write them.
//!
//! in   JSON: `{name: {env, pre, transaction, post: {fork: [{hash, logs, indexes, …}]}}}`
//! out  [`Subtest`]s: pre-state, environment and transaction as revm takes them
//!
//! What the format allows and revm's types cannot hold (a nonce of 65 bits, a blob transaction without a target) becomes a
//! refused transaction, as a node would refuse its bytes.

use crate::{
    account::{self, Accounts},
    fork,
};
use alloy_eips::{
    eip2930::AccessList,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_evm::EvmEnv;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::{
    context::{BlockEnv, CfgEnv, TxEnv, either::Either},
    database::CacheState,
    primitives::hardfork::SpecId,
};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The content of a file.
pub type Suite = BTreeMap<String, Unit>;

/// One test with an entry of `post` per fork and choice of data, gas and value.
#[derive(Debug, Clone, Deserialize)]
pub struct Unit {
    env: Env,
    pre: Accounts,
    transaction: Transaction,
    post: BTreeMap<String, Vec<Post>>,
    out: Option<Bytes>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Env {
    current_coinbase: Address,
    current_gas_limit: U256,
    current_number: U256,
    current_timestamp: U256,
    #[serde(default)]
    current_difficulty: U256,
    current_base_fee: Option<U256>,
    current_random: Option<B256>,
    current_excess_blob_gas: Option<U256>,
    #[serde(alias = "currentSlotNumber")]
    slot_number: Option<U256>,
    #[serde(alias = "currentChainID")]
    current_chain_id: Option<U256>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    #[serde(rename = "type")]
    transaction_type: Option<U256>,
    chain_id: Option<U256>,
    sender: Address,
    nonce: U256,
    #[serde(deserialize_with = "target")]
    to: Option<Address>,
    data: Vec<Bytes>,
    gas_limit: Vec<U256>,
    value: Vec<U256>,
    gas_price: Option<U256>,
    max_fee_per_gas: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
    #[serde(default)]
    access_lists: Vec<Option<AccessList>>,
    max_fee_per_blob_gas: Option<U256>,
    #[serde(default)]
    blob_versioned_hashes: Vec<B256>,
    authorization_list: Option<Vec<AuthorizationRow>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationRow {
    chain_id: U256,
    address: Address,
    nonce: U256,
    y_parity: Option<U256>,
    v: U256,
    r: U256,
    s: U256,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    hash: B256,
    logs: B256,
    indexes: Indexes,
    expect_exception: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Indexes {
    data: usize,
    gas: usize,
    value: usize,
}

/// A missing target is written as an empty text.
fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
}

/// One entry of `post`, ready to run.
#[derive(Debug, Clone)]
pub struct Subtest<'a> {
    /// Test name with fork and indexes.
    pub name: String,
    /// The fork's name.
    pub fork: &'a str,
    /// Configuration and block.
    pub env: EvmEnv,
    /// The transaction, or why there is none.
    pub transaction: Result<TxEnv, String>,
    /// The state before.
    pub pre: &'a CacheState,
    /// The exception that must come.
    pub expected_exception: Option<&'a str>,
    /// The state root after.
    pub expected_state_root: B256,
    /// The hash of the logs.
    pub expected_logs_hash: B256,
    /// The output, where the test gives it.
    pub expected_output: Option<&'a Bytes>,
}

impl Unit {
    /// The state before, to be shared by all subtests of the unit.
    pub fn pre_state(&self) -> CacheState {
        account::cache_state(&self.pre)
    }

    /// All subtests of the unit.
    ///
    /// # Errors
    /// When a fork is unknown or an index points outside of its list.
    pub fn subtests<'a>(&'a self, name: &str, pre: &'a CacheState) -> Result<Vec<Subtest<'a>>, String> {
        let entries = self.post.iter().flat_map(|(fork, posts)| posts.iter().map(move |post| (fork, post)));
        entries.map(|(fork, post)| self.subtest(name, pre, fork, post)).collect()
    }

    fn subtest<'a>(&'a self, name: &str, pre: &'a CacheState, fork: &'a str, post: &'a Post) -> Result<Subtest<'a>, String> {
        let spec = fork::spec_id(fork).ok_or_else(|| format!("{name}: unknown fork {fork}"))?;
        let Indexes { data, gas, value } = post.indexes;
        let choice = Choice {
            data: self.transaction.data.get(data),
            gas_limit: self.transaction.gas_limit.get(gas),
            value: self.transaction.value.get(value),
            access_list: self.transaction.access_lists.get(data),
        };
        let (Some(data_bytes), Some(gas_limit), Some(wei)) = (choice.data, choice.gas_limit, choice.value) else {
            return Err(format!("{name}: an index of {fork} lies outside of its list"));
        };
        Ok(Subtest {
            name: format!("{name}[{fork}/{data}/{gas}/{value}]"),
            fork,
            env: self.env.evm_env(spec),
            transaction: self.transaction.tx_env(data_bytes, *gas_limit, *wei, choice.access_list),
            pre,
            expected_exception: post.expect_exception.as_deref(),
            expected_state_root: post.hash,
            expected_logs_hash: post.logs,
            expected_output: self.out.as_ref(),
        })
    }
}

/// What an entry of `post` chooses from the transaction's lists.
struct Choice<'a> {
    data: Option<&'a Bytes>,
    gas_limit: Option<&'a U256>,
    value: Option<&'a U256>,
    access_list: Option<&'a Option<AccessList>>,
}

/// Most blobs in a block: 9 on Prague, and per transaction 6 from Osaka on (EIP-7594).
fn blobs_max(spec: SpecId) -> u64 {
    if spec == SpecId::PRAGUE { 9 } else { 6 }
}

impl Env {
    fn evm_env(&self, spec: SpecId) -> EvmEnv {
        let mut cfg = CfgEnv::new_with_spec(spec);
        cfg.chain_id = self.current_chain_id.map_or(1, |id| id.saturating_to());
        cfg.set_max_blobs_per_tx(blobs_max(spec));
        let mut block = BlockEnv {
            number: self.current_number,
            beneficiary: self.current_coinbase,
            timestamp: self.current_timestamp,
            gas_limit: self.current_gas_limit.saturating_to(),
            basefee: self.current_base_fee.unwrap_or_default().saturating_to(),
            difficulty: self.current_difficulty,
            prevrandao: self.current_random,
            slot_num: self.slot_number.unwrap_or_default().saturating_to(),
            ..BlockEnv::default()
        };
        if let Some(excess) = self.current_excess_blob_gas {
            block.set_blob_excess_gas_and_price(excess.saturating_to(), cfg.blob_base_fee_update_fraction());
        }
        if spec >= SpecId::MERGE && block.prevrandao.is_none() {
            block.prevrandao = Some(B256::ZERO);
        }
        EvmEnv::new(cfg, block)
    }
}

impl Transaction {
    fn tx_env(
        &self,
        data: &Bytes,
        gas_limit: U256,
        value: U256,
        access_list: Option<&Option<AccessList>>,
    ) -> Result<TxEnv, String> {
        let access_list = access_list.and_then(Option::as_ref);
        let fee = |fee: Option<U256>| fee.map(|fee| fee.try_into().map_err(|_| "a fee above 128 bits")).transpose();
        let authorizations = self.authorization_list.iter().flatten().map(AuthorizationRow::signed);
        Ok(TxEnv {
            tx_type: self.transaction_type(access_list.is_some())?,
            caller: self.sender,
            gas_limit: gas_limit.saturating_to(),
            gas_price: self.gas_price.or(self.max_fee_per_gas).unwrap_or_default().saturating_to(),
            kind: self.to.map_or(TxKind::Create, TxKind::Call),
            value,
            data: data.clone(),
            nonce: self.nonce.try_into().map_err(|_| "a nonce above 64 bits")?,
            chain_id: Some(self.chain_id.map_or(1, |id| id.saturating_to())),
            access_list: access_list.cloned().unwrap_or_default(),
            gas_priority_fee: fee(self.max_priority_fee_per_gas)?,
            blob_hashes: self.blob_versioned_hashes.clone(),
            max_fee_per_blob_gas: fee(self.max_fee_per_blob_gas)?.unwrap_or(u128::MAX),
            authorization_list: authorizations.map(|signed| signed.map(Either::Left)).collect::<Result<_, _>>()?,
        })
    }

    /// The type follows from the fields that are there (EIP-2930, EIP-1559, EIP-4844, EIP-7702).
    fn transaction_type(&self, has_access_list: bool) -> Result<u8, String> {
        if let Some(given) = self.transaction_type {
            return given.try_into().map_err(|_| "a transaction type above 8 bits".to_owned());
        }
        let without_target = |kind: &str| Err(format!("a {kind} transaction without target"));
        match (self.max_fee_per_blob_gas, &self.authorization_list) {
            (Some(_), _) if self.to.is_none() => without_target("blob"),
            (None, Some(_)) if self.to.is_none() => without_target("set-code"),
            (Some(_), _) => Ok(3),
            (None, Some(_)) => Ok(4),
            _ if self.max_fee_per_gas.is_some() => Ok(2),
            _ => Ok(u8::from(has_access_list)),
        }
    }
}

impl AuthorizationRow {
    fn signed(&self) -> Result<SignedAuthorization, String> {
        let nonce = self.nonce.try_into().map_err(|_| "an authorization's nonce above 64 bits")?;
        let parity = self.y_parity.unwrap_or(self.v).try_into().map_err(|_| "a parity above 8 bits")?;
        let authorization = Authorization { chain_id: self.chain_id, address: self.address, nonce };
        Ok(SignedAuthorization::new_unchecked(authorization, parity, self.r, self.s))
    }
}
