//! Accounts as fixtures write them, and the databases made from them.
//!
//! in   `{address: {balance, nonce, code?, storage?}}`
//! out  revm's databases holding just that
//!
//! Code is kept apart from the accounts, so that execution fetches it by its hash, as from a node's database.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::AddressMap};
use revm::{
    bytecode::Bytecode,
    database::{CacheDB, CacheState, EmptyDB},
    state::AccountInfo,
};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Accounts by address.
pub type Accounts = BTreeMap<Address, Account>;

/// One account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Balance in wei.
    pub balance: U256,
    /// Nonce.
    #[serde(deserialize_with = "nonce")]
    pub nonce: u64,
    /// Code; empty where there is none.
    #[serde(default)]
    pub code: Bytes,
    /// Storage; slots that are zero may be listed.
    #[serde(default)]
    pub storage: BTreeMap<U256, U256>,
}

fn nonce<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = U256::deserialize(deserializer)?;
    u64::try_from(value).map_err(|_| serde::de::Error::custom("a nonce above 64 bits"))
}

/// Code as revm holds it: analysed legacy code, or an EIP-7702 delegation.
fn bytecode(code: &Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.clone()))
}

fn info(account: &Account) -> AccountInfo {
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: keccak256(&account.code),
        code: None,
        ..AccountInfo::default()
    }
}

/// The accounts as a cache for revm's `State`, which the tests run on.
pub fn cache_state(accounts: &Accounts) -> CacheState {
    let mut cache = CacheState::new();
    for (address, account) in accounts {
        let info = info(account);
        if !account.code.is_empty() {
            cache.contracts.insert(info.code_hash, bytecode(&account.code));
        }
        let storage = account.storage.iter().map(|(slot, value)| (*slot, *value)).collect();
        cache.insert_account_with_storage(*address, info, storage);
    }
    cache
}

/// The accounts as an in-memory database, which replays run on.
pub fn cache_database(accounts: &Accounts, block_hashes: &BTreeMap<u64, B256>) -> CacheDB<EmptyDB> {
    let mut database = CacheDB::new(EmptyDB::default());
    let mut storages: AddressMap<_> = AddressMap::default();
    for (address, account) in accounts {
        let info = info(account);
        if !account.code.is_empty() {
            database.cache.contracts.insert(info.code_hash, bytecode(&account.code));
        }
        database.insert_account_info(*address, info);
        storages.insert(*address, &account.storage);
    }
    for (address, storage) in storages {
        if let Some(account) = database.cache.accounts.get_mut(&address) {
            account.storage = storage.iter().map(|(slot, value)| (*slot, *value)).collect();
        }
    }
    database.cache.block_hashes = block_hashes.iter().map(|(number, hash)| (U256::from(*number), *hash)).collect();
    database
}
