//! How the embedded fixtures are made.
//!
//! in   a small contract, a few transactions
//! out  the JSON of a state test, a blockchain test, a block and a contract
//!
//! What must come out (roots, gas used) is filled in by running what was made in mode `interpreter`. Nothing is signed: any `r`
//! and `s` in range are somebody's signature, and that account is given the money.

use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, SignableTransaction, TxEip1559, TxEnvelope, TxLegacy,
    proofs::{calculate_transaction_root, calculate_withdrawals_root},
    transaction::SignerRecoverable,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bloom, Bytes, Signature, TxKind, U256, address, b256, bytes, hex};
use hotevm_statetest::{
    account::{Accounts, cache_state},
    block_test, mode, replay, roots, state_test,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A contract: it counts its input down to zero, adds one to slot 0, logs that, and returns it.
pub const COUNTER: Address = address!("0xc0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0");
const CODE: Bytes = bytes!("0x6000355b6001900380600357506000546001018060005560005260206000a060206000f3");
const SENDER: Address = address!("0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e");
const COINBASE: Address = address!("0xc1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1");
const WEI: &str = "0xde0b6b3a7640000";

/// Parses made JSON as a runner parses a file.
fn parse<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("what is made here is well-formed")
}

/// Calldata: how far the contract counts down.
fn count(from: u64) -> Bytes {
    B256::from(U256::from(from)).into()
}

fn account(balance: &str, nonce: &str, code: &Bytes) -> Value {
    json!({"balance": balance, "nonce": nonce, "code": code, "storage": {}})
}

/// A state test on six forks: a call that succeeds and one that runs out of gas; and a test whose transaction is refused.
pub fn state_test() -> Value {
    let env = json!({
        "currentCoinbase": COINBASE, "currentGasLimit": "0x989680", "currentNumber": "0x1", "currentTimestamp": "0x3e8",
        "currentDifficulty": "0x20000", "currentBaseFee": "0x7", "currentRandom": B256::ZERO, "currentExcessBlobGas": "0x0",
    });
    let pre = json!({SENDER.to_string(): account(WEI, "0x0", &Bytes::new()), COUNTER.to_string(): account("0x0", "0x1", &CODE)});
    let transaction = json!({
        "sender": SENDER, "nonce": "0x0", "to": COUNTER, "data": [count(7), count(0)], "gasLimit": ["0x186a0"], "value": ["0x0"],
        "gasPrice": "0xa",
    });
    let entry = |data: usize| json!({"hash": B256::ZERO, "logs": B256::ZERO, "indexes": {"data": data, "gas": 0, "value": 0}});
    let forks = ["Frontier", "Byzantium", "Berlin", "London", "Cancun", "Osaka"];
    let post: Map<_, _> = forks.iter().map(|fork| ((*fork).to_owned(), json!([entry(0), entry(1)]))).collect();
    let counts = json!({"env": env, "pre": pre, "transaction": transaction, "post": post});
    let mut refused = counts.clone();
    refused["transaction"]["nonce"] = json!("0x5");
    let mut refusal = entry(0);
    refusal["expectException"] = json!("TransactionException.NONCE_MISMATCH_TOO_HIGH");
    refused["post"] = json!({"Osaka": [refusal]});
    let mut suite = json!({"made.py::counts": counts, "made.py::refused": refused});
    fill_state_test(&mut suite);
    suite
}

fn fill_state_test(suite: &mut Value) {
    let engine = mode::interpreter();
    let units: state_test::Suite = parse(suite);
    for (name, unit) in &units {
        let pre = unit.pre_state();
        for (index, subtest) in unit.subtests(name, &pre).expect("known forks").iter().enumerate() {
            let record = engine.state_test(subtest);
            let logs = record.outcome.as_ref().map_or(&[][..], |executed| executed.result.logs());
            let entry = &mut suite[name]["post"][subtest.fork][index % 2];
            entry["logs"] = json!(roots::logs_hash(logs));
            entry["hash"] = json!(record.state_root);
        }
    }
}

/// A transaction that somebody signed, and who.
fn signed(transaction: impl SignableTransaction<Signature> + Into<Unsigned>) -> (TxEnvelope, Address) {
    // The x coordinate of the curve's generator is one of a point on the curve, as every signature's `r` must be.
    let r = b256!("0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    let signature = Signature::new(r.into(), U256::from(0x5e5e5e), false);
    let envelope: TxEnvelope = match transaction.into() {
        Unsigned::Legacy(legacy) => legacy.into_signed(signature).into(),
        Unsigned::Eip1559(eip1559) => eip1559.into_signed(signature).into(),
    };
    let signer = envelope.recover_signer().expect("the signature is somebody's");
    (envelope, signer)
}

/// The kinds of transactions made here.
enum Unsigned {
    Legacy(TxLegacy),
    Eip1559(TxEip1559),
}

impl From<TxLegacy> for Unsigned {
    fn from(legacy: TxLegacy) -> Self {
        Self::Legacy(legacy)
    }
}

impl From<TxEip1559> for Unsigned {
    fn from(eip1559: TxEip1559) -> Self {
        Self::Eip1559(eip1559)
    }
}

fn legacy(from: u64) -> (TxEnvelope, Address) {
    signed(TxLegacy {
        chain_id: Some(1),
        gas_price: 2_000_000_000,
        gas_limit: 100_000,
        to: TxKind::Call(COUNTER),
        input: count(from),
        ..TxLegacy::default()
    })
}

fn eip1559(from: u64) -> (TxEnvelope, Address) {
    signed(TxEip1559 {
        chain_id: 1,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        gas_limit: 100_000,
        to: TxKind::Call(COUNTER),
        input: count(from),
        ..TxEip1559::default()
    })
}

/// A header with nothing in it, of a chain after the merge.
fn header(number: u64, timestamp: u64) -> Header {
    Header {
        number,
        timestamp,
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(7),
        beneficiary: COINBASE,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        withdrawals_root: Some(calculate_withdrawals_root(&[])),
        ..Header::default()
    }
}

/// A chain that crosses from Shanghai to Cancun: a block, one that must be refused, and another block.
pub fn blockchain_test() -> Value {
    let (first, second, third) = (legacy(7), eip1559(0), eip1559(3));
    let mut pre = json!({COUNTER.to_string(): account("0x0", "0x1", &CODE)});
    for (_, signer) in [&first, &second, &third] {
        pre[signer.to_string()] = account(WEI, "0x0", &Bytes::new());
    }
    let accounts: Accounts = parse(&pre);
    let mut genesis = header(0, 0);
    genesis.state_root = roots::state_root(&cache_state(&accounts));
    let genesis_block = block(genesis.clone(), Vec::new());
    let mut test = json!({
        "network": "ShanghaiToCancunAtTime15k", "sealEngine": "NoProof", "pre": pre, "lastblockhash": B256::ZERO,
        "genesisRLP": rlp(&genesis_block), "blocks": [],
        "config": {"chainid": "0x1", "blobSchedule": {
            "Cancun": {"target": "0x3", "max": "0x6", "baseFeeUpdateFraction": "0x32f0ed"},
        }},
    });
    let mut one = header(1, 1_000);
    one.parent_hash = genesis.hash_slow();
    let one = add_block(&mut test, block(one, vec![first.0, second.0]));
    let mut two = header(2, 15_000);
    two.parent_hash = one.hash_slow();
    two.blob_gas_used = Some(0);
    two.excess_blob_gas = Some(0);
    two.parent_beacon_block_root = Some(B256::ZERO);
    let two = block(two, vec![third.0]);
    let last = add_block(&mut test, two.clone());
    let blocks = test["blocks"].as_array_mut().expect("a list was put there");
    let refused = json!({"rlp": rlp(&two), "expectException": "BlockException.INVALID_STATE_ROOT"});
    blocks.insert(1, refused);
    test["lastblockhash"] = json!(last.hash_slow());
    json!({"made.py::counts": test})
}

fn block(mut header: Header, transactions: Vec<TxEnvelope>) -> Block<TxEnvelope> {
    header.transactions_root = calculate_transaction_root(&transactions);
    header.receipts_root = EMPTY_ROOT_HASH;
    let withdrawals = Some(Withdrawals::default());
    Block { header, body: BlockBody { transactions, ommers: Vec::new(), withdrawals } }
}

fn rlp(block: &Block<TxEnvelope>) -> String {
    hex::encode_prefixed(alloy_rlp::encode(block))
}

/// Adds a block to a test, its header filled in with what execution decides.
fn add_block(test: &mut Value, mut block: Block<TxEnvelope>) -> Header {
    let engine = mode::interpreter();
    let blocks = test["blocks"].as_array().expect("a list was put there").clone();
    // Each round the runner names one more field and its value.
    for _ in 0..8 {
        let mut attempt = blocks.clone();
        attempt.push(json!({"rlp": rlp(&block)}));
        test["blocks"] = Value::Array(attempt);
        let case = block_test::Case::new("made", &parse(test)).expect("a test");
        let records = engine.block_test(&case);
        let record = records.last().expect("a record per block");
        match &record.verdict {
            Ok(()) => return block.header,
            Err(reason) => correct(&mut block.header, reason),
        }
    }
    panic!("the block stays refused");
}

/// Puts the value that the runner computed into the header.
fn correct(header: &mut Header, reason: &str) {
    let (field, rest) = reason.split_once(": computed ").expect("a field that execution decides");
    let value = rest.split(',').next().expect("a value");
    let hash = || value.parse::<B256>().expect("a hash");
    match field {
        "gas used" => header.gas_used = value.parse().expect("a number"),
        "base fee" => header.base_fee_per_gas = Some(value.parse().expect("a number")),
        "receipts root" => header.receipts_root = hash(),
        "state root" => header.state_root = hash(),
        "logs bloom" => header.logs_bloom = value.parse::<Bloom>().expect("a bloom"),
        _ => panic!("unexpected field {field}"),
    }
}

/// A block of mainnet as it might have been, on Cancun.
pub fn mainnet_block() -> Value {
    let (first, second) = (legacy(200), eip1559(0));
    let mut pre = json!({COUNTER.to_string(): account("0x0", "0x1", &CODE)});
    for (_, signer) in [&first, &second] {
        pre[signer.to_string()] = account(WEI, "0x0", &Bytes::new());
    }
    let mut header = header(19_500_000, 1_711_200_000);
    header.blob_gas_used = Some(0);
    header.excess_blob_gas = Some(0);
    header.parent_beacon_block_root = Some(B256::ZERO);
    let rows: Vec<_> = [&first, &second].map(|(envelope, signer)| row(envelope, *signer)).into();
    let Block { mut header, .. } = block(header, vec![first.0, second.0]);
    let made = |header: &Header| {
        let mut block = serde_json::to_value(header).expect("JSON");
        block["hash"] = json!(header.hash_slow());
        block["transactions"] = json!(rows);
        json!({"chain": "mainnet", "block": block, "pre_state": pre, "block_hashes": {"19499999": B256::ZERO}})
    };
    let run = replay::parse(Path::new("19500000.json"), parse(&made(&header)));
    let pass = mode::interpreter().replay(&run.expect("a block")[0], true);
    header.gas_used = pass.gas_used;
    header.receipts_root = pass.receipts_root.expect("it was asked for");
    made(&header)
}

/// A transaction as nodes return it.
fn row(envelope: &TxEnvelope, signer: Address) -> Value {
    let mut row = serde_json::to_value(envelope).expect("JSON");
    row["from"] = json!(signer);
    row
}

/// A contract called twice.
pub fn contract() -> Value {
    let call = |from: u64| {
        json!({
            "sender": SENDER, "to": COUNTER, "data": count(from), "value": "0x0", "gasLimit": "0x2dc6c0", "gasPrice": "0x0",
            "nonce": "0x0",
        })
    };
    let pre = json!({SENDER.to_string(): account(WEI, "0x0", &Bytes::new()), COUNTER.to_string(): account("0x0", "0x1", &CODE)});
    json!({"counter": {
        "env": {
            "currentCoinbase": COINBASE, "currentGasLimit": "0x2dc6c0", "currentNumber": "0x1", "currentTimestamp": "0x1",
            "currentBaseFee": "0x0",
        },
        "pre": pre,
        "transaction": [call(5_000), call(1)],
    }})
}
