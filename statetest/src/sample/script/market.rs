//! Tokens are traded: in pools by way of the router, and in the order book.
//!
//! in   users who hold tokens and have approved the router and the book
//! out  deposits, swaps over one pool and two, withdrawals; orders that wait, orders that are filled, orders that are cancelled

use super::{Deployed, FIRST_AMOUNT, SampleError, Script, USERS, user};
use crate::sample::FIRST_TIMESTAMP;
use alloy_primitives::Address;

const SWAP: &str = "swapExactIn(address[],address,uint256,uint256,uint256)";
const GAS_LIMIT_SWAP: u64 = 800_000;
const NO_DEADLINE: u64 = u64::MAX;

/// Units that an order's amount counts in.
const LOT: u64 = 1000;

/// A block of pools.
pub(super) fn pools(script: &mut Script<'_>) -> Result<(), SampleError> {
    for from in 0..6 {
        for pool in [Deployed::GoldPool, Deployed::BronzePool] {
            let amount = FIRST_AMOUNT / 20 * (6 - from);
            let arguments = [pool.address().into(), amount.into(), (amount / 2).into(), NO_DEADLINE.into()];
            let function = "addLiquidity(address,uint256,uint256,uint256)";
            script.call_with(from, Deployed::Router, function, &arguments, 0, GAS_LIMIT_SWAP)?;
        }
    }
    for _ in 0..100 {
        swap(script)?;
    }
    for from in 0..8 {
        let shares = FIRST_AMOUNT / 1000;
        let arguments = [shares.into(), user(from).into()];
        script.call(from, Deployed::GoldPool, "withdraw(uint256,address)", &arguments)?;
    }
    // Nobody paid in.
    script.call(3, Deployed::GoldPool, "swap(uint256,uint256,address)", &[1000.into(), 0.into(), user(3).into()])?;
    script.call(3, Deployed::BronzePool, "deposit(address)", &[user(3).into()])
}

/// A swap, over both pools now and then; one in twelve is too late or wants too much.
pub(super) fn swap(script: &mut Script<'_>) -> Result<(), SampleError> {
    let from = script.any_user();
    let (gold, bronze) = (Deployed::GoldPool.address(), Deployed::BronzePool.address());
    let (pools, token_in): (Vec<Address>, Deployed) = match script.random.below(6) {
        0 => (vec![gold, bronze], Deployed::Gold),
        1 => (vec![bronze, gold], Deployed::Bronze),
        2 => (vec![gold], Deployed::Gold),
        3 => (vec![gold], Deployed::Silver),
        4 => (vec![bronze], Deployed::Silver),
        _ => (vec![bronze], Deployed::Bronze),
    };
    let amount = script.random.between(10_000, FIRST_AMOUNT / 200);
    let (out_min, deadline) = match script.random.below(24) {
        0 => (FIRST_AMOUNT, NO_DEADLINE),
        1 => (1, FIRST_TIMESTAMP - 1),
        _ => (1, NO_DEADLINE),
    };
    let arguments = [pools.into(), token_in.address().into(), amount.into(), out_min.into(), deadline.into()];
    script.call_with(from, Deployed::Router, SWAP, &arguments, 0, GAS_LIMIT_SWAP)
}

/// A block of orders.
pub(super) fn order_book(script: &mut Script<'_>) -> Result<(), SampleError> {
    for from in 0..USERS {
        let amount = FIRST_AMOUNT / 10;
        script.call(from, Deployed::OrderBook, "deposit(uint256,uint256)", &[amount.into(), amount.into()])?;
    }
    // These do not cross, so their numbers are known: 1, 2, 3 and so on.
    let mut makers = Vec::new();
    for _ in 0..60 {
        let from = script.any_user();
        let is_buy = script.random.one_in(2);
        let distance = script.random.between(1, 200);
        place(script, from, is_buy, if is_buy { 1000 - distance } else { 1000 + distance })?;
        makers.push(from);
    }
    for (id, maker) in (1_u64..).zip(makers).step_by(7) {
        let from = if script.random.one_in(4) { (maker + 1) % USERS } else { maker };
        script.call(from, Deployed::OrderBook, "cancel(uint64)", &[id.into()])?;
    }
    for _ in 0..60 {
        crossing_order(script)?;
    }
    for from in 0..6 {
        script.call(from, Deployed::OrderBook, "withdraw(uint256,uint256)", &[1_000_000.into(), 500_000.into()])?;
    }
    // More than anyone holds.
    script.call(7, Deployed::OrderBook, "withdraw(uint256,uint256)", &[(FIRST_AMOUNT * 100).into(), 0.into()])?;
    script.call(8, Deployed::OrderBook, "depth(bool,uint128)", &[true.into(), 1.into()])
}

/// An order that meets what waits on the other side, if something does.
pub(super) fn crossing_order(script: &mut Script<'_>) -> Result<(), SampleError> {
    let from = script.any_user();
    let is_buy = script.random.one_in(2);
    let reach = script.random.between(0, 120);
    place(script, from, is_buy, if is_buy { 1000 + reach } else { 1000 - reach })
}

fn place(script: &mut Script<'_>, from: u64, is_buy: bool, price: u64) -> Result<(), SampleError> {
    let lots = script.random.between(1, 40_000);
    // One order in twenty is not in whole lots.
    let amount = lots * LOT + u64::from(script.random.one_in(20));
    let arguments = [is_buy.into(), price.into(), amount.into()];
    script.call_with(from, Deployed::OrderBook, "place(bool,uint128,uint96)", &arguments, 0, 1_000_000)
}
