//! The transactions of the sample chain, scene by scene: one scene, one block.
//!
//! in   compiled contracts
//! out  named lists of transactions that follow each other
//!
//! P1  What a transaction does depends on the seed alone; the order of scenes is part of the script.
//! P2  A scene asks for what fails now and then, so that reverts are part of the work.

use super::{
    BASE_FEE_WEI, CHAIN_ID, SampleError,
    bytecode::Contracts,
    cast::{DEPLOYED, Deployed, METALS, USERS, accounts, user},
    encoding::{Argument, encode},
    merkle::{Entitled, Tree},
    random::Random,
};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::context::TxEnv;
use std::collections::BTreeMap;

mod claims;
mod market;
mod numbers;
mod things;
mod tokens;

/// A block's name and its transactions.
pub(super) type Block = (&'static str, Vec<TxEnv>);

/// What a simple call may use.
const GAS_LIMIT: u64 = 400_000;

/// What every user gets of each token at first.
const FIRST_AMOUNT: u64 = 1_000_000_000_000;

/// The whole script.
pub(super) fn blocks(contracts: &Contracts) -> Result<Vec<Block>, SampleError> {
    let mut script = Script::new(contracts);
    Ok(vec![
        ("deployment", script.scene(deployment)?),
        ("tokens", script.scene(tokens::tokens)?),
        ("pools", script.scene(market::pools)?),
        ("proxies", script.scene(things::proxy_and_things)?),
        ("claims", script.scene(claims::claims)?),
        ("numbers", script.scene(numbers::numbers)?),
        ("orders", script.scene(market::order_book)?),
        ("everything", script.scene(everything)?),
    ])
}

/// The author's desk.
#[derive(Debug)]
struct Script<'a> {
    contracts: &'a Contracts,
    random: Random,
    nonces: BTreeMap<Address, u64>,
    transactions: Vec<TxEnv>,
    /// Owners of the things minted, in their order.
    thing_owners: Vec<u64>,
}

/// Writes a block's transactions.
type Scene = fn(&mut Script<'_>) -> Result<(), SampleError>;

impl<'a> Script<'a> {
    fn new(contracts: &'a Contracts) -> Self {
        let (nonces, transactions, thing_owners) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { contracts, random: Random::new(2026), nonces, transactions, thing_owners }
    }

    fn scene(&mut self, scene: Scene) -> Result<Vec<TxEnv>, SampleError> {
        scene(self)?;
        Ok(std::mem::take(&mut self.transactions))
    }

    fn any_user(&mut self) -> u64 {
        self.random.below(USERS)
    }

    /// Deploys `contract`; the script relies on the order (`cast`).
    fn create(&mut self, contract: &'static str, arguments: &[Argument]) -> Result<(), SampleError> {
        let data = encode(self.contracts.creation_code(contract)?, arguments);
        self.push(user(0), TxKind::Create, data, 0, 3_000_000);
        Ok(())
    }

    /// What a call of `function` sends.
    fn call_data(&self, contract: &'static str, function: &'static str, arguments: &[Argument]) -> Result<Bytes, SampleError> {
        Ok(encode(&self.contracts.selector(contract, function)?, arguments))
    }

    /// User number `from` calls `function`.
    fn call(&mut self, from: u64, to: Deployed, function: &'static str, arguments: &[Argument]) -> Result<(), SampleError> {
        self.call_with(from, to, function, arguments, 0, GAS_LIMIT)
    }

    /// As [`Self::call`], with a value in wei and a gas limit.
    fn call_with(
        &mut self,
        from: u64,
        to: Deployed,
        function: &'static str,
        arguments: &[Argument],
        value_wei: u64,
        gas_limit: u64,
    ) -> Result<(), SampleError> {
        let data = self.call_data(to.contract(), function, arguments)?;
        self.push(user(from), TxKind::Call(to.address()), data, value_wei, gas_limit);
        Ok(())
    }

    fn push(&mut self, caller: Address, kind: TxKind, data: Bytes, value_wei: u64, gas_limit: u64) {
        let next_nonce = self.nonces.entry(caller).or_default();
        let nonce = *next_nonce;
        *next_nonce += 1;
        self.transactions.push(TxEnv {
            caller,
            gas_limit,
            gas_price: u128::from(BASE_FEE_WEI) * 2,
            kind,
            value: U256::from(value_wei),
            data,
            nonce,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        });
    }
}

/// Who may claim gold: every user twice.
fn entitled() -> Vec<Entitled> {
    (0..2 * USERS).map(|index| Entitled { account: user(index % USERS), amount: 1_000 + 7 * index }).collect()
}

/// Deploys everything and hands out tokens.
fn deployment(script: &mut Script<'_>) -> Result<(), SampleError> {
    for deployed in DEPLOYED {
        let arguments: Vec<Argument> = match deployed {
            Deployed::GoldPool | Deployed::OrderBook => vec![Deployed::Gold.address().into(), Deployed::Silver.address().into()],
            Deployed::BronzePool => vec![Deployed::Silver.address().into(), Deployed::Bronze.address().into()],
            Deployed::Claim => vec![Deployed::Gold.address().into(), Tree::new(&entitled()).root().into()],
            Deployed::Proxied => {
                let initialize = script.call_data("Token", "initialize(address)", &[user(0).into()])?;
                vec![Deployed::Implementation.address().into(), Argument::Bytes(initialize)]
            }
            _ => Vec::new(),
        };
        let contract = if deployed == Deployed::Proxied { "Proxy" } else { deployed.contract() };
        script.create(contract, &arguments)?;
    }
    let amounts = vec![U256::from(FIRST_AMOUNT); accounts().len()];
    for token in METALS.into_iter().chain([Deployed::Proxied]) {
        if token != Deployed::Proxied {
            script.call(0, token, "initialize(address)", &[user(0).into()])?;
        }
        script.call(0, token, "mint(address,uint256)", &[user(0).into(), (FIRST_AMOUNT * 2 * USERS).into()])?;
        let many = [accounts().into(), amounts.clone().into()];
        script.call_with(0, token, "transferMany(address[],uint256[])", &many, 0, 2_000_000)?;
    }
    // A second initialization is refused.
    script.call(1, Deployed::Gold, "initialize(address)", &[user(1).into()])?;
    script.call(0, Deployed::Gold, "transfer(address,uint256)", &[Deployed::Claim.address().into(), 1_000_000.into()])
}

/// A block as a main chain has it: a little of each.
fn everything(script: &mut Script<'_>) -> Result<(), SampleError> {
    for _ in 0..12 {
        for _ in 0..3 {
            tokens::transfer(script)?;
            market::swap(script)?;
        }
        tokens::transfer_from(script)?;
        things::proxied_transfer(script)?;
        things::mint(script)?;
        things::give_away(script)?;
        claims::claim(script)?;
        claims::chain(script, 300)?;
        market::crossing_order(script)?;
        numbers::small(script)?;
    }
    // More loops than the gas suffices for.
    script.call_with(2, Deployed::Crunch, "fibonacci(uint256)", &[1_000_000.into()], 0, 500_000)
}
