//! How the embedded fixtures are made.
//!
//! in   a small contract, a few transactions
//! out  the JSON of a state test, a blockchain test, a block and a contract
//!
//! What must come out (roots, gas used) is filled in by running what was made in mode `interpreter`. Nothing is signed: any `r`
//! and `s` in range are somebody's signature, and that account is given the money.

use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, ReceiptWithBloom, SignableTransaction, TxEip1559, TxEnvelope,
    TxLegacy,
    proofs::{calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root},
    transaction::SignerRecoverable,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bloom, Bytes, Signature, TxKind, U256, address, b256, bytes, hex};
use hotevm_statetest::{
    account::{Accounts, cache_state},
    block_test, fixture, mode, replay, roots, state_test,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A contract: it counts its input down to zero, adds one to slot 0, logs that, and returns it.
pub const COUNTER: Address = address!("0xc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0");
const CODE: Bytes = bytes!("0x6000355b600190038060035750600054600101806000556000526020600060a060206000f3");
const SENDER: Address = address!("0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e");
const COINBASE: Address = address!("0xc1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1");
const WEI: &str = "0xde0b6b3a7640000";
