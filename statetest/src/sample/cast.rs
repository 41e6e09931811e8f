//! Who takes part: users, and the contracts that the first of them deploys.
//!
//! in   nothing
//! out  addresses
//!
//! A1  A contract's address follows from its place in [`DEPLOYED`], so the script deploys in that order.

use alloy_primitives::{Address, keccak256};

/// How many users there are, the deployer among them.
pub(super) const USERS: u64 = 24;

/// Contracts in the order of their deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deployed {
    /// A token.
    Gold,
    /// A token.
    Silver,
    /// A token.
    Bronze,
    /// A pool of gold and silver.
    GoldPool,
    /// A pool of silver and bronze.
    BronzePool,
    /// The router for both.
    Router,
    /// The code behind the proxy.
    Implementation,
    /// A token behind a proxy.
    Proxied,
    /// Numbered things.
    Nft,
    /// Gold for those in the tree.
    Claim,
    /// Number crunching.
    Crunch,
    /// The market for gold in silver.
    OrderBook,
}

/// Every contract, in the order of deployment.
pub(super) const DEPLOYED: [Deployed; 12] = [
    Deployed::Gold,
    Deployed::Silver,
    Deployed::Bronze,
    Deployed::GoldPool,
    Deployed::BronzePool,
    Deployed::Router,
    Deployed::Implementation,
    Deployed::Proxied,
    Deployed::Nft,
    Deployed::Claim,
    Deployed::Crunch,
    Deployed::OrderBook,
];

/// The tokens that are traded.
pub(super) const METALS: [Deployed; 3] = [Deployed::Gold, Deployed::Silver, Deployed::Bronze];

impl Deployed {
    /// Where the contract lives.
    pub(super) fn address(self) -> Address {
        user(0).create(self as u64)
    }

    /// The name of its source.
    pub(super) const fn contract(self) -> &'static str {
        match self {
            Self::Gold | Self::Silver | Self::Bronze | Self::Implementation | Self::Proxied => "Token",
            Self::GoldPool | Self::BronzePool => "Pool",
            Self::Router => "Router",
            Self::Nft => "Nft",
            Self::Claim => "Claim",
            Self::Crunch => "Crunch",
            Self::OrderBook => "OrderBook",
        }
    }
}

/// User number `index`; number 0 deploys.
pub(super) fn user(index: u64) -> Address {
    address_of(&format!("user {index}"))
}

/// The address that belongs to a name.
pub(super) fn address_of(name: &str) -> Address {
    Address::from_word(keccak256(name))
}

/// All users.
pub(super) fn accounts() -> Vec<Address> {
    (0..USERS).map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_stand_in_the_order_of_their_numbers() {
        assert!((0..).zip(DEPLOYED).all(|(nonce, deployed)| deployed as u64 == nonce));
    }
}
