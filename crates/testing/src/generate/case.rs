//! A case: a small world of contracts, and the transactions to run in it.
//!
//! in   a seed or bytes
//! out  contracts with their storage, the fork, and for each contract its inputs
//!
//! A1  A case holds nothing but data: running it twice gives the same executions.
//! A2  Contracts call only those behind them in the list, and themselves: most call trees end early.

use alloy_primitives::{Address, B256, Bytes, U256};
use revm::primitives::hardfork::SpecId;

use super::{builder::Setting, choices::Choices, program};

/// The account that sends every transaction.
pub const SENDER: Address = Address::with_last_byte(0xcc);

/// A contract of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Where it is.
    pub address: Address,
    /// Its bytecode.
    pub code: Bytes,
    /// Its storage before the first transaction.
    pub storage: Vec<(U256, U256)>,
    /// Its balance before the first transaction.
    pub balance: U256,
}

/// How much gas a transaction gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GasLimit {
    /// Enough for most programs.
    Ample,
    /// The intrinsic gas and `share / 65536` of what the same transaction uses beyond that with ample gas: runs out in the middle.
    Starving(u16),
    /// This much.
    Exact(u64),
}

/// A transaction of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The contract called, by its place in the list.
    pub target: usize,
    /// Call data.
    pub data: Bytes,
    /// Value sent along.
    pub value: U256,
    /// Gas.
    pub gas_limit: GasLimit,
    /// Where native code with forced leaves leaves (`Runtime::set_leave_mask`).
    pub leave_mask: u64,
    /// The database read that fails, counted from 0.
    pub failing_read: Option<u32>,
    /// Whether an access list warms the contracts and their first storage keys (Berlin and later).
    pub access_list: bool,
    /// Whether the transaction carries blob hashes (Cancun and later).
    pub blobs: bool,
}

/// Contracts and transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The fork.
    pub fork: SpecId,
    /// The contracts.
    pub contracts: Vec<Contract>,
    /// An account that delegates to the first contract (EIP-7702), from Prague on.
    pub delegating: Option<Address>,
    /// Whether accounts come with their code, or the code is asked for by its hash.
    pub code_inline: bool,
    /// Whether each transaction sees the state that the one before left.
    pub commits: bool,
    /// The transactions, in order.
    pub inputs: Vec<Input>,
}

/// How large a case is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Contracts in a case at most.
    pub contracts_max: usize,
    /// Transactions for each contract.
    pub inputs: usize,
    /// Statements in a contract at most.
    pub statements_max: usize,
}

impl Default for Size {
    fn default() -> Self {
        Size { contracts_max: 4, inputs: 20, statements_max: 60 }
    }
}

impl Case {
    /// The case of a seed.
    pub fn from_seed(seed: u64, size: Size) -> Case {
        let mut inputs = Choices::from_seed(seed);
        let mut contracts = Choices::from_seed(inputs.bits());
        draw(&mut contracts, &mut inputs, size)
    }

    /// The case of a fuzzer's bytes. A quarter of them decides on inputs, so that long programs leave some for these.
    pub fn from_bytes(bytes: &[u8], size: Size) -> Case {
        let (inputs, contracts) = bytes.split_at(bytes.len() / 4);
        draw(&mut Choices::from_bytes(contracts), &mut Choices::from_bytes(inputs), size)
    }
}

fn draw(choices: &mut Choices<'_>, input_choices: &mut Choices<'_>, size: Size) -> Case {
    let fork = choices.weighted(&program::FORKS).unwrap_or_default();
    let addresses: Vec<Address> =
        (0..choices.within(1..size.contracts_max + 1)).map(|index| Address::with_last_byte(0x80 + index as u8)).collect();
    let delegating = fork.is_enabled_in(SpecId::PRAGUE) && input_choices.chance(1, 4);
    let contracts: Vec<Contract> = (0..addresses.len()).map(|index| contract(choices, fork, &addresses, index, size)).collect();
    Case {
        fork,
        delegating: delegating.then(|| Address::with_last_byte(0xdd)),
        code_inline: input_choices.chance(1, 2),
        commits: input_choices.chance(1, 4),
        inputs: (0..contracts.len()).flat_map(|target| inputs(input_choices, target, size)).collect(),
        contracts,
    }
}

fn contract(choices: &mut Choices<'_>, fork: SpecId, addresses: &[Address], index: usize, size: Size) -> Contract {
    let mut peers = addresses.get(index + 1..).unwrap_or_default().to_vec();
    if peers.is_empty() || choices.chance(1, 10) {
        peers.extend(addresses.get(index));
    }
    let statements = choices.within(3..size.statements_max.max(4)) as u32;
    let code = program::any(choices, Setting { fork, peers, statements, create_depth: 2 });
    Contract {
        address: addresses.get(index).copied().unwrap_or_default(),
        code: code.into(),
        storage: (0..choices.below(5)).map(|key| (U256::from(key), choices.word())).collect(),
        balance: U256::from(choices.below(1000)),
    }
}

fn inputs(choices: &mut Choices<'_>, target: usize, size: Size) -> Vec<Input> {
    (0..size.inputs)
        .map(|index| Input {
            target,
            data: call_data(choices),
            value: if choices.chance(1, 8) { U256::from(choices.below(100)) } else { U256::ZERO },
            gas_limit: match choices.below(16) {
                _ if index == 0 => GasLimit::Ample,
                12..=14 => GasLimit::Starving(choices.bits() as u16),
                15 => GasLimit::Exact(21_000 + choices.below(200_000) as u64),
                _ => GasLimit::Ample,
            },
            leave_mask: leave_mask(choices),
            failing_read: choices.chance(1, 64).then(|| choices.below(8) as u32),
            access_list: choices.chance(1, 10),
            blobs: choices.chance(1, 16),
        })
        .collect()
}

/// Words at which something changes; the first byte chooses a part of the program.
fn call_data(choices: &mut Choices<'_>) -> Bytes {
    let mut data = Vec::new();
    for _ in 0..choices.below(8) {
        data.extend(choices.word().to_be_bytes::<32>());
    }
    let kept = data.len() - if choices.chance(1, 3) { choices.below(data.len().min(32)) } else { 0 };
    data.truncate(kept);
    if let Some(first) = data.first_mut() {
        *first = choices.below(4) as u8;
    }
    data.into()
}

/// No leave, one, some, half of all, all.
fn leave_mask(choices: &mut Choices<'_>) -> u64 {
    match choices.below(8) {
        0 => 0,
        1 | 2 => 1 << choices.below(64),
        3 | 4 => choices.bits() & choices.bits() & choices.bits(),
        5 => choices.bits(),
        6 => choices.bits() & choices.bits(),
        _ => u64::MAX,
    }
}

/// The hash of block `number`, which has no other meaning.
pub(crate) fn block_hash(number: u64) -> B256 {
    alloy_primitives::keccak256(number.to_be_bytes())
}
