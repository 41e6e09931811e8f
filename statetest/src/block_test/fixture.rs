//! Blockchain tests as the Ethereum execution-spec tests write them.
//!
//! in   JSON: `{name: {network, config, pre, genesisRLP, blocks: [{rlp, expectException?}], lastblockhash}}`
//! out  [`Case`]s with the blocks decoded from their RLP, signers recovered
//!
//! Blocks are taken from `rlp` alone, as a node gets them: a block that does not decode is a refused block.

use crate::{
    account::{self, Accounts},
    fork::{BlobSchedule, Chain},
};
use alloy_consensus::{
    Block, BlockBody, Header, TxEnvelope,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_eips::eip4844::BYTES_PER_BLOB;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::Decodable;
use revm::database::CacheState;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The content of a file, as written.
pub type Suite = BTreeMap<String, Json>;

/// One test, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Json {
    network: String,
    pre: Accounts,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: Bytes,
    blocks: Vec<BlockJson>,
    lastblockhash: B256,
    #[serde(default)]
    config: Config,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockJson {
    rlp: Bytes,
    expect_exception: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    chainid: Option<U256>,
    #[serde(default)]
    blob_schedule: BlobSchedule,
}

/// One test, ready to run.
#[derive(Debug, Clone)]
pub struct Case {
    /// The test's name.
    pub name: String,
    /// The network's name.
    pub network: String,
    /// Which forks are active when.
    pub chain: Chain,
    /// The chain's number.
    pub chain_id: u64,
    /// The state after genesis.
    pub pre: CacheState,
    /// The first block's header.
    pub genesis: Header,
    /// The blocks to import, in order.
    pub blocks: Vec<CaseBlock>,
    /// The hash of the last block that is accepted.
    pub last_hash: B256,
}

/// A block to import.
#[derive(Debug, Clone)]
pub struct CaseBlock {
    /// The exceptions of which one must come; none for a good block.
    pub expected_exception: Option<String>,
    /// The block, or why its bytes are none.
    pub decoded: Result<Decoded, String>,
}

/// A decoded block.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The header.
    pub header: Header,
    /// Its hash.
    pub hash: B256,
    /// Everything else.
    pub body: BlockBody<TxEnvelope>,
    /// The transactions with their signers, or which of them has no valid signature.
    pub transactions: Result<Vec<Recovered<TxEnvelope>>, String>,
    /// Length of the encoded block, which EIP-7934 bounds.
    pub rlp_bytes: usize,
}

impl Case {
    /// Decodes a test.
    ///
    /// # Errors
    /// When the network is unknown or the genesis block is malformed.
    pub fn new(name: &str, json: &Json) -> Result<Self, String> {
        let chain = Chain::new(&json.network, &json.config.blob_schedule)
            .ok_or_else(|| format!("{name}: unknown network {}", json.network))?;
        let genesis = decode(&json.genesis_rlp, &chain).map_err(|reason| format!("{name}: the genesis block: {reason}"))?;
        let blocks = json
            .blocks
            .iter()
            .map(|block| CaseBlock { expected_exception: block.expect_exception.clone(), decoded: decode(&block.rlp, &chain) });
        Ok(Self {
            name: name.to_owned(),
            network: json.network.clone(),
            chain_id: json.config.chainid.map_or(1, |id| id.saturating_to()),
            pre: account::cache_state(&json.pre),
            genesis: genesis.header,
            blocks: blocks.collect(),
            last_hash: json.lastblockhash,
            chain,
        })
    }

    /// All exceptions that blocks of the test expect.
    pub fn exceptions(&self) -> Vec<String> {
        let expected = self.blocks.iter().filter_map(|block| block.expected_exception.as_deref());
        expected.flat_map(|text| text.split('|')).map(str::to_owned).collect()
    }
}

fn decode(rlp: &[u8], chain: &Chain) -> Result<Decoded, String> {
    let mut rest = rlp;
    let block = Block::<TxEnvelope>::decode(&mut rest).map_err(|error| format!("not a block: {error}"))?;
    if !rest.is_empty() {
        return Err("bytes after the block".to_owned());
    }
    let Block { header, body } = block;
    if body.transactions.iter().any(has_blobs) {
        return Err(format!("a blob transaction that carries its blobs of {BYTES_PER_BLOB} bytes"));
    }
    // Before Homestead a signature may have either of its two `s` values (EIP-2).
    let strict = chain.is_homestead_active_at_block(header.number);
    let recovered = body.transactions.iter().enumerate().map(|(index, transaction)| {
        let signer = if strict { transaction.recover_signer() } else { transaction.recover_signer_unchecked() };
        signer
            .map(|signer| Recovered::new_unchecked(transaction.clone(), signer))
            .map_err(|error| format!("transaction {index}: {error}"))
    });
    Ok(Decoded { hash: header.hash_slow(), transactions: recovered.collect(), rlp_bytes: rlp.len(), header, body })
}

/// Whether a transaction is in the form of the pool, with blobs and proofs beside it, which blocks do not allow.
fn has_blobs(transaction: &TxEnvelope) -> bool {
    transaction.as_eip4844().is_some_and(|signed| signed.tx().sidecar().is_some())
}
