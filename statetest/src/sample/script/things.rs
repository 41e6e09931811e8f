//! A token behind a proxy, and numbered things.
//!
//! in   users with tokens and ether
//! out  calls through DELEGATECALL; mints one by one and in batches, gifts, long descriptions; some pay too little or give away
//!      what is not theirs

use super::{Deployed, FIRST_AMOUNT, SampleError, Script, TxKind, USERS, user};

const PRICE_WEI: u64 = 1_000_000_000_000_000;
const SUPPLY_MAX: usize = 400;
const GAS_LIMIT_BATCH: u64 = 4_000_000;

/// A block of both.
pub(super) fn proxy_and_things(script: &mut Script<'_>) -> Result<(), SampleError> {
    for _ in 0..50 {
        proxied_transfer(script)?;
    }
    for _ in 0..24 {
        mint(script)?;
        give_away(script)?;
    }
    for last in [20, 40, 60] {
        let arguments = [1.into(), last.into()];
        script.call_with(5, Deployed::Nft, "digest(uint256,uint256)", &arguments, 0, GAS_LIMIT_BATCH)?;
    }
    // A thing that was never minted has no owner.
    script.call(5, Deployed::Nft, "ownerOf(uint256)", &[9999.into()])?;
    upgrade(script, 4)?;
    upgrade(script, 0)
}

/// A transfer through the proxy; one in twelve asks for too much.
pub(super) fn proxied_transfer(script: &mut Script<'_>) -> Result<(), SampleError> {
    let (from, to) = (script.any_user(), script.any_user());
    let amount = if script.random.one_in(12) { FIRST_AMOUNT * 1000 } else { script.random.between(1, FIRST_AMOUNT / 100) };
    script.call(from, Deployed::Proxied, "transfer(address,uint256)", &[user(to).into(), amount.into()])
}

/// Mints a few; one in eight pays too little.
pub(super) fn mint(script: &mut Script<'_>) -> Result<(), SampleError> {
    let from = script.any_user();
    let count = script.random.between(1, 8);
    let underpays = script.random.one_in(8);
    let count_owned = usize::try_from(count).unwrap_or(usize::MAX);
    if !underpays && script.thing_owners.len() + count_owned <= SUPPLY_MAX {
        script.thing_owners.extend(std::iter::repeat_n(from, count_owned));
    }
    let value = PRICE_WEI * count - u64::from(underpays);
    script.call_with(from, Deployed::Nft, "mint(uint256)", &[count.into()], value, GAS_LIMIT_BATCH)
}

/// Gives one away; one in six is not the giver's.
pub(super) fn give_away(script: &mut Script<'_>) -> Result<(), SampleError> {
    let to = script.any_user();
    let supply = u64::try_from(script.thing_owners.len()).unwrap_or(u64::MAX);
    let index = script.random.below(supply);
    let steals = script.random.one_in(6);
    let Some(owner) = usize::try_from(index).ok().and_then(|index| script.thing_owners.get_mut(index)) else {
        return Ok(());
    };
    let from = if steals { (*owner + 1) % USERS } else { *owner };
    if !steals {
        *owner = to;
    }
    let arguments = [user(from).into(), user(to).into(), (index + 1).into()];
    script.call(from, Deployed::Nft, "transferFrom(address,address,uint256)", &arguments)
}

/// Points the proxy at the gold token's code, which is the same; only the deployer may.
fn upgrade(script: &mut Script<'_>, from: u64) -> Result<(), SampleError> {
    let data = script.call_data("Proxy", "upgradeTo(address)", &[Deployed::Gold.address().into()])?;
    script.push(user(from), TxKind::Call(Deployed::Proxied.address()), data, 0, super::GAS_LIMIT);
    Ok(())
}
