//! A database in memory that writes down what it was asked for.
//!
//! in   the accounts of a case; the state changes of earlier transactions
//! out  answers, the list of questions in order, and a failure where one was ordered
//!
//! D1  Two databases of the same case give the same answers to the same questions, errors included.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::{
    Database,
    context::DBErrorMarker,
    primitives::hardfork::SpecId,
    state::{AccountInfo, Bytecode, EvmState},
};
use thiserror::Error;

use crate::generate::case::{Case, SENDER, block_hash};

/// A question to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Balance, nonce and code hash of an account.
    Account(Address),
    /// A code by its hash.
    Code(B256),
    /// A storage slot.
    Storage(Address, U256),
    /// The hash of a block.
    BlockHash(u64),
}

/// The failure that a case orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("read {0} fails, as the case says")]
pub struct ReadFailure(pub u32);

impl DBErrorMarker for ReadFailure {}

#[derive(Clone, Debug, Default)]
struct StoredAccount {
    info: AccountInfo,
    storage: HashMap<U256, U256>,
}

/// The accounts of a case, and what was asked about them.
#[derive(Clone, Debug)]
pub struct RecordingDatabase {
    accounts: HashMap<Address, StoredAccount>,
    codes: HashMap<B256, Bytecode>,
    code_inline: bool,
    /// What was asked since the list was last taken.
    pub reads: Vec<Read>,
    /// Which question since then is answered by a failure.
    pub failing_read: Option<u32>,
}

impl RecordingDatabase {
    /// The state before the first transaction of a case.
    pub fn new(case: &Case) -> Self {
        let mut database = RecordingDatabase {
            accounts: HashMap::new(),
            codes: HashMap::new(),
            code_inline: case.code_inline,
            reads: Vec::new(),
            failing_read: None,
        };
        let sender = AccountInfo { balance: U256::from(u128::MAX), ..AccountInfo::default() };
        database.accounts.insert(SENDER, StoredAccount { info: sender, storage: HashMap::new() });
        for contract in &case.contracts {
            let bytecode = Bytecode::new_legacy(contract.code.clone());
            let storage = contract.storage.iter().copied().collect();
            database.insert(contract.address, bytecode, contract.balance, storage);
        }
        if let (Some(address), Some(target)) = (case.delegating, case.contracts.first())
            && case.fork.is_enabled_in(SpecId::PRAGUE)
        {
            database.insert(address, Bytecode::new_eip7702(target.address), U256::from(7), HashMap::new());
        }
        database
    }

    fn insert(&mut self, address: Address, bytecode: Bytecode, balance: U256, storage: HashMap<U256, U256>) {
        let code_hash = if bytecode.is_empty() { KECCAK256_EMPTY } else { bytecode.hash_slow() };
        self.codes.insert(code_hash, bytecode.clone());
        let code = self.code_inline.then_some(bytecode);
        let info = AccountInfo { balance, nonce: 1, code_hash, code, ..AccountInfo::default() };
        self.accounts.insert(address, StoredAccount { info, storage });
    }

    /// Takes over the state that a transaction left.
    pub fn commit(&mut self, state: &EvmState) {
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            if account.is_selfdestructed() {
                self.accounts.remove(address);
                continue;
            }
            let stored = self.accounts.entry(*address).or_default();
            if account.is_created() {
                stored.storage.clear();
            }
            stored.info = account.info.clone();
            if let Some(code) = &account.info.code {
                self.codes.insert(account.info.code_hash, code.clone());
            }
            if !self.code_inline {
                stored.info.code = None;
            }
            stored.storage.extend(account.storage.iter().map(|(key, slot)| (*key, slot.present_value())));
        }
    }

    fn record(&mut self, read: Read) -> Result<(), ReadFailure> {
        let index = self.reads.len() as u32;
        self.reads.push(read);
        if self.failing_read == Some(index) { Err(ReadFailure(index)) } else { Ok(()) }
    }
}

impl Database for RecordingDatabase {
    type Error = ReadFailure;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ReadFailure> {
        self.record(Read::Account(address))?;
        Ok(self.accounts.get(&address).map(|account| account.info.clone()))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ReadFailure> {
        self.record(Read::Code(code_hash))?;
        Ok(self.codes.get(&code_hash).cloned().unwrap_or_default())
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, ReadFailure> {
        self.record(Read::Storage(address, key))?;
        let account = self.accounts.get(&address);
        Ok(account.and_then(|account| account.storage.get(&key)).copied().unwrap_or_default())
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ReadFailure> {
        self.record(Read::BlockHash(number))?;
        Ok(block_hash(number))
    }
}
