//! Hashes that fixtures are checked against: state root and hash of logs.
//!
//! in   accounts in revm's cache; logs
//! out  the Merkle-Patricia root (Yellow Paper, appendix D); keccak of the logs' RLP list

use alloy_primitives::{B256, Log, keccak256};
use alloy_trie::{TrieAccount, root};
use revm::database::CacheState;

/// The state root of all accounts in the cache.
pub fn state_root(cache: &CacheState) -> B256 {
    root::state_root_unhashed(cache.trie_account().into_iter().map(|(address, account)| {
        let storage = account.storage.iter().filter(|(_, value)| !value.is_zero());
        let account = TrieAccount {
            nonce: account.info.nonce,
            balance: account.info.balance,
            storage_root: root::storage_root_unhashed(storage.map(|(slot, value)| (B256::from(*slot), *value))),
            code_hash: account.info.code_hash,
        };
        (address, account)
    }))
}

/// The hash of a transaction's logs, as state tests give it.
pub fn logs_hash(logs: &[Log]) -> B256 {
    let mut encoded = Vec::with_capacity(alloy_rlp::list_length(logs));
    alloy_rlp::encode_list(logs, &mut encoded);
    keccak256(encoded)
}
