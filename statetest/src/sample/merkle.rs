//! The tree of those who may claim gold.
//!
//! in   accounts and amounts, by their number
//! out  the root that the contract is deployed with, and the proofs that it asks for
//!
//! K1  A node is the hash of its two children, the smaller first; a node without a partner goes up as it is.

use alloy_primitives::{Address, B256, U256, keccak256};

/// A row of the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entitled {
    /// Who.
    pub(super) account: Address,
    /// How much.
    pub(super) amount: u64,
}

/// All levels, leaves first.
#[derive(Debug)]
pub(super) struct Tree(Vec<Vec<B256>>);

impl Tree {
    /// The tree over `rows`.
    pub(super) fn new(rows: &[Entitled]) -> Self {
        let leaves = (0_u64..).zip(rows).map(|(index, row)| {
            let words = [U256::from(index), row.account.into_word().into(), U256::from(row.amount)];
            keccak256(words.map(|word| word.to_be_bytes::<32>()).concat())
        });
        let mut levels = vec![leaves.collect::<Vec<_>>()];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            levels.push(level.chunks(2).map(|nodes| nodes.iter().copied().reduce(parent).unwrap_or_default()).collect());
        }
        Self(levels)
    }

    /// The hash over everything.
    pub(super) fn root(&self) -> B256 {
        self.0.last().and_then(|level| level.first()).copied().unwrap_or_default()
    }

    /// What leaf number `index` meets on its way to the root.
    pub(super) fn proof(&self, index: usize) -> Vec<B256> {
        let partners = (0..).zip(&self.0).map(|(height, level)| level.get((index >> height) ^ 1));
        partners.flatten().copied().collect()
    }
}

fn parent(one: B256, other: B256) -> B256 {
    keccak256([one.min(other), one.max(other)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proof_leads_to_the_root() {
        for count in [1, 2, 3, 7, 8] {
            let rows: Vec<Entitled> = (0..count).map(|amount| Entitled { account: Address::ZERO, amount }).collect();
            let tree = Tree::new(&rows);
            for (index, leaf) in tree.0[0].iter().enumerate() {
                assert_eq!(tree.proof(index).into_iter().fold(*leaf, parent), tree.root(), "leaf {index} of {count}");
            }
        }
    }
}
