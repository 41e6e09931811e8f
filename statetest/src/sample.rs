//! The embedded sample chain: own contracts, deployed and used by some hundred transactions, so that the engines can be compared
//! and timed with no file at hand.
//!
//! in   the bytecode that `scripts/compile-sample` makes from `statetest/sample/contracts`
//! out  accounts before the first block, and blocks of transactions, the same on every machine and in every run
//!
//! C1  Before the first block there are accounts with a balance and nothing else: contracts come into being by transactions.
//! C2  Every transaction is valid, so each is executed; some revert, and one runs out of gas, because they ask for too much.
//! C3  What each block must use of gas stands in [`GAS_USED`], which a test keeps true.

mod bytecode;
mod cast;
mod encoding;
#[cfg(test)]
mod golden;
mod merkle;
mod random;
mod runs;
mod script;

pub use runs::runs;

use crate::account::{Account, Accounts};
use alloy_evm::EvmEnv;
use alloy_primitives::{Address, B256, U256, keccak256};
use revm::{
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::block::BlobExcessGasAndPrice,
    primitives::hardfork::SpecId,
};

/// The fork of all blocks.
pub const FORK: SpecId = SpecId::OSAKA;

/// The chain's number, as transactions and CHAINID say it.
pub const CHAIN_ID: u64 = 1;

/// Gas used by each block.
pub const GAS_USED: [u64; 8] = [10_712_370, 10_955_882, 11_094_270, 12_370_281, 11_559_030, 31_144_296, 14_157_967, 15_631_203];

const GAS_LIMIT: u64 = 60_000_000;
const BASE_FEE_WEI: u64 = 1_000_000_000;
const FIRST_NUMBER: u64 = 24_000_000;
const FIRST_TIMESTAMP: u64 = 1_760_000_000;
const SECONDS_PER_BLOCK: u64 = 12;

/// Accounts, and blocks that start from them.
#[derive(Debug, Clone)]
pub struct SampleChain {
    /// Accounts before the first block.
    pub pre_state: Accounts,
    /// Blocks, in order.
    pub blocks: Vec<SampleBlock>,
}

/// A block to execute.
#[derive(Debug, Clone)]
pub struct SampleBlock {
    /// What the block is full of.
    pub name: &'static str,
    /// Height.
    pub number: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Base fee per gas in wei.
    pub basefee: u64,
    /// Who receives the fees.
    pub coinbase: Address,
    /// The beacon chain's randomness.
    pub prevrandao: B256,
    /// Gas that the transactions use.
    pub gas_used: u64,
    /// Transactions, in order.
    pub transactions: Vec<TxEnv>,
}

impl SampleBlock {
    /// The environment in which the block's transactions run.
    #[must_use]
    pub fn evm_env(&self) -> EvmEnv {
        let mut cfg_env = CfgEnv::new_with_spec(FORK);
        cfg_env.chain_id = CHAIN_ID;
        let block_env = BlockEnv {
            number: U256::from(self.number),
            beneficiary: self.coinbase,
            timestamp: U256::from(self.timestamp),
            gas_limit: self.gas_limit,
            basefee: self.basefee,
            prevrandao: Some(self.prevrandao),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 }),
            ..BlockEnv::default()
        };
        EvmEnv { cfg_env, block_env }
    }
}

/// Why there is no sample chain: the bytecode does not fit the transactions.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// bytecode.json cannot be read.
    #[error("sample bytecode: {0}")]
    Bytecode(#[from] serde_json::Error),
    /// bytecode.json lacks a contract.
    #[error("sample bytecode: no contract {0}")]
    Contract(&'static str),
    /// A contract lacks a function, or its selector is no four bytes in hexadecimal.
    #[error("sample bytecode: no function {function} in {contract}")]
    Function {
        /// The contract.
        contract: &'static str,
        /// The function's signature.
        function: &'static str,
    },
    /// revm refused a transaction.
    #[error("sample block {block}: transaction {index} was refused: {reason}")]
    Refused {
        /// The block's name.
        block: &'static str,
        /// The transaction's place in it.
        index: usize,
        /// What revm said.
        reason: String,
    },
}

/// Makes the chain.
///
/// # Errors
/// If the embedded bytecode was regenerated and does not fit the transactions any more.
pub fn chain() -> Result<SampleChain, SampleError> {
    let contracts = bytecode::Contracts::embedded()?;
    let blocks = script::blocks(&contracts)?;
    let balance = U256::from(1_000_000_000_000_000_000_000_u128);
    let pre_state = cast::accounts().into_iter().map(|address| (address, Account { balance, ..Account::default() })).collect();
    Ok(SampleChain { pre_state, blocks: (0..).zip(blocks).map(|(index, block)| in_its_place(index, block)).collect() })
}

/// Gives a block of transactions its place in the chain.
fn in_its_place(index: u64, (name, transactions): script::Block) -> SampleBlock {
    SampleBlock {
        name,
        number: FIRST_NUMBER + index,
        timestamp: FIRST_TIMESTAMP + index * SECONDS_PER_BLOCK,
        gas_limit: GAS_LIMIT,
        basefee: BASE_FEE_WEI,
        coinbase: cast::address_of("coinbase"),
        prevrandao: keccak256(format!("randomness {index}")),
        gas_used: usize::try_from(index).ok().and_then(|index| GAS_USED.get(index)).copied().unwrap_or_default(),
        transactions,
    }
}
