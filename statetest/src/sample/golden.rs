//! What the sample chain comes to, executed by revm as alloy-evm sets it up, with no hotevm in between.
//!
//! in   the chain
//! out  counts of successes, reverts and halts, gas used, and a digest of the final state, compared with what stands here

use super::{SampleChain, chain, runs, runs::execute};
use crate::account::cache_database;
use alloy_primitives::{B256, keccak256};
use revm::database::{CacheDB, EmptyDB};
use std::collections::BTreeMap;

/// Successes, reverts and halts of each block.
const OUTCOMES: [[u64; 3]; 8] =
    [[24, 1, 0], [243, 15, 0], [111, 11, 0], [92, 12, 0], [40, 19, 0], [21, 1, 0], [147, 14, 0], [148, 20, 1]];

/// [`digest`] after the last block.
const STATE_DIGEST: &str = "0xb330730163b9f2a110350ca1787452c3918d952b9dc1d1fffd53765080b58f06";

/// A hash over all accounts and storage, in the order of addresses and slots.
fn digest(database: &CacheDB<EmptyDB>) -> B256 {
    let accounts: BTreeMap<_, _> = database.cache.accounts.iter().collect();
    let mut bytes = Vec::new();
    for (address, account) in accounts {
        bytes.extend(address);
        bytes.extend(account.info.nonce.to_be_bytes());
        bytes.extend(account.info.balance.to_be_bytes::<32>());
        bytes.extend(account.info.code_hash);
        let slots: BTreeMap<_, _> = account.storage.iter().filter(|(_, value)| !value.is_zero()).collect();
        for (slot, value) in slots {
            bytes.extend(slot.to_be_bytes::<32>());
            bytes.extend(value.to_be_bytes::<32>());
        }
    }
    keccak256(bytes)
}

#[test]
fn the_chain_comes_to_what_it_always_came_to() {
    let chain = chain().expect("the embedded bytecode fits the script");
    let mut database = cache_database(&chain.pre_state, &BTreeMap::new());
    for (block, expected) in chain.blocks.iter().zip(OUTCOMES) {
        let (outcomes, gas_used) = execute(block, &mut database).expect("every transaction of the chain is valid");
        assert_eq!((outcomes, gas_used), (expected, block.gas_used), "block {}", block.name);
        let limits = block.transactions.iter().map(|transaction| transaction.gas_limit);
        assert!(limits.max() <= Some(block.gas_limit - gas_used), "block {} has no room for its last transaction", block.name);
    }
    assert_eq!(chain.blocks.len(), OUTCOMES.len());
    assert_eq!(digest(&database).to_string(), STATE_DIGEST);
}

#[test]
fn the_chain_is_the_same_every_time() {
    let (one, other) = (chain().expect("a chain"), chain().expect("a chain"));
    assert_eq!(one.pre_state, other.pre_state);
    let transactions = |chain: &SampleChain| chain.blocks.iter().flat_map(|block| block.transactions.clone()).collect::<Vec<_>>();
    assert_eq!(transactions(&one), transactions(&other));
    assert!(transactions(&one).len() > 500);
}

#[test]
fn every_run_starts_where_the_one_before_ends() {
    let runs = runs().expect("a chain");
    assert_eq!(runs.len(), OUTCOMES.len());
    let contracts: Vec<usize> = runs.iter().map(|run| run.database.cache.contracts.len()).collect();
    assert!(contracts.windows(2).all(|pair| pair[0] <= pair[1]) && contracts[0] < contracts[1], "{contracts:?}");
}
