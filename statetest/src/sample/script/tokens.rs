//! Tokens move.
//!
//! in   users who hold what deployment gave them
//! out  transfers, approvals, transfers by others, transfers to many; some ask for more than there is

use super::{Deployed, FIRST_AMOUNT, METALS, Random, SampleError, Script, USERS, user};
use alloy_primitives::{Address, U256};

/// A block of it, and every approval that later blocks rest on.
pub(super) fn tokens(script: &mut Script<'_>) -> Result<(), SampleError> {
    for from in 0..USERS {
        for token in METALS {
            script.call(from, token, "approve(address,uint256)", &[Deployed::Router.address().into(), U256::MAX.into()])?;
        }
        for token in [Deployed::Gold, Deployed::Silver] {
            let enough = FIRST_AMOUNT * 4;
            script.call(from, token, "approve(address,uint256)", &[Deployed::OrderBook.address().into(), enough.into()])?;
        }
        let friend = user((from + 1) % USERS);
        script.call(from, Deployed::Gold, "approve(address,uint256)", &[friend.into(), (FIRST_AMOUNT / 50).into()])?;
    }
    for round in 0..90 {
        transfer(script)?;
        if round % 5 == 0 {
            transfer_from(script)?;
        }
        if round % 15 == 0 {
            transfer_many(script)?;
        }
    }
    Ok(())
}

/// A transfer of one of the traded tokens; one in ten asks for too much.
pub(super) fn transfer(script: &mut Script<'_>) -> Result<(), SampleError> {
    let (from, to) = (script.any_user(), script.any_user());
    let token = any_metal(&mut script.random);
    let amount = if script.random.one_in(10) { FIRST_AMOUNT * 1000 } else { script.random.between(1, FIRST_AMOUNT / 100) };
    script.call(from, token, "transfer(address,uint256)", &[user(to).into(), amount.into()])
}

/// A user takes a friend's gold; after some time the allowance is used up.
pub(super) fn transfer_from(script: &mut Script<'_>) -> Result<(), SampleError> {
    let friend = script.any_user();
    let from = (friend + 1) % USERS;
    let amount = script.random.between(1, FIRST_AMOUNT / 60);
    let arguments = [user(friend).into(), user(from).into(), amount.into()];
    script.call(from, Deployed::Gold, "transferFrom(address,address,uint256)", &arguments)
}

fn transfer_many(script: &mut Script<'_>) -> Result<(), SampleError> {
    let from = script.any_user();
    let to: Vec<Address> = (0..12).map(|_| user(script.random.below(USERS))).collect();
    let amounts: Vec<U256> = (0..12).map(|_| U256::from(script.random.between(1, 1_000_000))).collect();
    let token = any_metal(&mut script.random);
    script.call(from, token, "transferMany(address[],uint256[])", &[to.into(), amounts.into()])
}

fn any_metal(random: &mut Random) -> Deployed {
    match random.below(3) {
        0 => Deployed::Gold,
        1 => Deployed::Silver,
        _ => Deployed::Bronze,
    }
}
