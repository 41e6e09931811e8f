//! Forks by the names fixtures use, and the chains that tests run on.
//!
//! in   a fork's name (`Cancun`) or a transition (`CancunToPragueAtTime15k`), and the test's blob schedule
//! out  a [`Chain`]: which fork is active at a block, as alloy-evm asks for it, and its blob parameters
//!
//! One table lists the forks in order; everything else follows from it.

use alloy_eips::{eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7840::BlobParams};
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, U64};
use revm::primitives::hardfork::SpecId;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One row of the table of forks.
#[derive(Debug)]
struct Fork {
    /// Names in fixtures; the first is the usual one.
    names: &'static [&'static str],
    /// What becomes active with it.
    hardforks: &'static [EthereumHardfork],
    /// The rules that revm executes.
    spec: SpecId,
    /// Whether a timestamp activates it rather than a block number.
    by_time: bool,
}

const fn by_block(names: &'static [&'static str], hardforks: &'static [EthereumHardfork], spec: SpecId) -> Fork {
    Fork { names, hardforks, spec, by_time: false }
}

const fn by_time(names: &'static [&'static str], hardforks: &'static [EthereumHardfork], spec: SpecId) -> Fork {
    Fork { names, hardforks, spec, by_time: true }
}

/// All forks, oldest first. The DAO fork is absent: no fixture runs through it.
static FORKS: [Fork; 20] = {
    use EthereumHardfork as H;
    [
        by_block(&["Frontier"], &[H::Frontier], SpecId::FRONTIER),
        by_block(&["Homestead"], &[H::Homestead], SpecId::HOMESTEAD),
        by_block(&["EIP150", "TangerineWhistle", "Tangerine"], &[H::Tangerine], SpecId::TANGERINE),
        by_block(&["EIP158", "SpuriousDragon"], &[H::SpuriousDragon], SpecId::SPURIOUS_DRAGON),
        by_block(&["Byzantium"], &[H::Byzantium], SpecId::BYZANTIUM),
        by_block(&["ConstantinopleFix", "Petersburg"], &[H::Constantinople, H::Petersburg], SpecId::PETERSBURG),
        by_block(&["Istanbul"], &[H::Istanbul, H::MuirGlacier], SpecId::ISTANBUL),
        by_block(&["Berlin"], &[H::Berlin], SpecId::BERLIN),
        by_block(&["London"], &[H::London, H::ArrowGlacier, H::GrayGlacier], SpecId::LONDON),
        by_block(&["Paris", "Merge"], &[H::Paris], SpecId::MERGE),
        by_time(&["Shanghai"], &[H::Shanghai], SpecId::SHANGHAI),
        by_time(&["Cancun"], &[H::Cancun], SpecId::CANCUN),
        by_time(&["Prague"], &[H::Prague], SpecId::PRAGUE),
        by_time(&["Osaka"], &[H::Osaka], SpecId::OSAKA),
        by_time(&["BPO1"], &[H::Bpo1], SpecId::OSAKA),
        by_time(&["BPO2"], &[H::Bpo2], SpecId::OSAKA),
        by_time(&["BPO3"], &[H::Bpo3], SpecId::OSAKA),
        by_time(&["BPO4"], &[H::Bpo4], SpecId::OSAKA),
        by_time(&["BPO5"], &[H::Bpo5], SpecId::OSAKA),
        by_time(&["Amsterdam"], &[H::Amsterdam], SpecId::AMSTERDAM),
    ]
};

fn position(name: &str) -> Option<usize> {
    FORKS.iter().position(|fork| fork.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// The rules of a fork, by its name.
pub fn spec_id(name: &str) -> Option<SpecId> {
    position(name).map(|position| FORKS[position].spec)
}

/// Whether two names mean the same fork (`Merge` and `Paris`); transitions are compared as text.
pub fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right) || position(left).is_some_and(|left| Some(left) == position(right))
}

/// A row of a test's `blobSchedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobRow {
    /// Blobs per block that the fee aims at.
    pub target: U64,
    /// Most blobs per block.
    pub max: U64,
    /// How slowly the fee follows the excess.
    pub base_fee_update_fraction: U64,
}

/// Blob parameters by fork name.
pub type BlobSchedule = BTreeMap<String, BlobRow>;

/// The chain of a blockchain test: one fork from the start, perhaps a second one later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    first: usize,
    second: Option<(usize, ForkCondition)>,
    blobs: Vec<(usize, BlobParams)>,
}

impl Chain {
    /// The chain of a network name such as `Osaka`, `BerlinToLondonAt5` or `PragueToOsakaAtTime15k`; none if it is unknown.
    pub fn new(network: &str, schedule: &BlobSchedule) -> Option<Self> {
        let (first, second) = match network.split_once("To") {
            Some((first, rest)) if position(network).is_none() => {
                let (second, at) = rest.split_once("At")?;
                let second = position(second)?;
                let condition = match at.strip_prefix("Time") {
                    Some(time) => ForkCondition::Timestamp(number(time)?),
                    None => ForkCondition::Block(number(at)?),
                };
                if FORKS[second].by_time != condition.is_timestamp() {
                    return None;
                }
                (position(first)?, Some((second, condition)))
            }
            _ => (position(network)?, None),
        };
        let mut blobs: Vec<_> =
            schedule.iter().filter_map(|(name, row)| position(name).map(|fork| (fork, blob_params(fork, row)))).collect();
        blobs.sort_by_key(|(fork, _)| *fork);
        Some(Self { first, second, blobs })
    }

    /// The blob parameters at a time; none before Cancun.
    pub fn blob_params(&self, timestamp: u64) -> Option<BlobParams> {
        let active = match self.second {
            Some((second, ForkCondition::Timestamp(from))) if timestamp >= from => second,
            _ => self.first,
        };
        if FORKS[active].spec < SpecId::CANCUN {
            return None;
        }
        self.blobs.iter().rev().find(|(fork, _)| *fork <= active).map(|(_, params)| *params)
    }
}

/// A count as network names write it: `5` or `15k`.
fn number(text: &str) -> Option<u64> {
    match text.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000),
        None => text.parse().ok(),
    }
}

/// EIP-7594 bounds the blobs of a transaction and EIP-7918 sets a base cost, both from Osaka on.
fn blob_params(fork: usize, row: &BlobRow) -> BlobParams {
    let base = if FORKS[fork].spec >= SpecId::OSAKA {
        BlobParams::osaka()
    } else {
        BlobParams::cancun().with_max_blobs_per_tx(row.max.to())
    };
    BlobParams {
        target_blob_count: row.target.to(),
        max_blob_count: row.max.to(),
        update_fraction: row.base_fee_update_fraction.to::<u64>().into(),
        ..base
    }
}

impl EthereumHardforks for Chain {
    fn ethereum_fork_activation(&self, hardfork: EthereumHardfork) -> ForkCondition {
        let Some(fork) = FORKS.iter().position(|fork| fork.hardforks.contains(&hardfork)) else {
            return ForkCondition::Never;
        };
        match self.second {
            _ if fork <= self.first && FORKS[fork].by_time => ForkCondition::Timestamp(0),
            _ if fork <= self.first => ForkCondition::Block(0),
            Some((second, condition)) if fork <= second => condition,
            _ => ForkCondition::Never,
        }
    }
}

impl EthExecutorSpec for Chain {
    fn deposit_contract_address(&self) -> Option<Address> {
        Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS)
    }
}

/// The blob parameters of Ethereum mainnet at a time; none before Cancun.
pub fn mainnet_blob_params(hardforks: &impl EthereumHardforks, timestamp: u64) -> Option<BlobParams> {
    use EthereumHardfork as H;
    let steps = [
        (H::Bpo2, BlobParams::bpo2()),
        (H::Bpo1, BlobParams::bpo1()),
        (H::Osaka, BlobParams::osaka()),
        (H::Prague, BlobParams::prague()),
        (H::Cancun, BlobParams::cancun()),
    ];
    steps.into_iter().find(|(fork, _)| hardforks.is_ethereum_fork_active_at_timestamp(*fork, timestamp)).map(|(_, params)| params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_evm::spec_by_timestamp_and_block_number as spec_at;

    #[test]
    fn a_transition_activates_its_second_fork_in_time() {
        let chain = Chain::new("CancunToPragueAtTime15k", &BlobSchedule::new()).unwrap();
        assert_eq!(spec_at(&chain, 14_999, 1), SpecId::CANCUN);
        assert_eq!(spec_at(&chain, 15_000, 1), SpecId::PRAGUE);
        let chain = Chain::new("BerlinToLondonAt5", &BlobSchedule::new()).unwrap();
        assert_eq!(spec_at(&chain, 0, 4), SpecId::BERLIN);
        assert_eq!(spec_at(&chain, 0, 5), SpecId::LONDON);
    }

    #[test]
    fn every_fork_name_makes_a_chain_with_its_rules() {
        for fork in &FORKS {
            for name in fork.names {
                let chain = Chain::new(name, &BlobSchedule::new()).unwrap();
                assert_eq!(spec_at(&chain, 1_000, 1), fork.spec, "{name}");
                assert_eq!(spec_id(name), Some(fork.spec));
            }
        }
    }

    #[test]
    fn unknown_networks_are_refused() {
        for name in ["", "Atlantis", "CancunToAtlantisAtTime15k", "CancunToPragueAt5", "BerlinToLondonAtTime15k", "PragueTo"] {
            assert_eq!(Chain::new(name, &BlobSchedule::new()), None, "{name}");
        }
    }

    #[test]
    fn blob_parameters_follow_the_latest_row_that_is_active() {
        let row = |max| BlobRow { target: U64::from(1), max: U64::from(max), base_fee_update_fraction: U64::from(5) };
        let schedule = [("Cancun", 6), ("Osaka", 9), ("BPO1", 15)].map(|(name, max)| (name.to_owned(), row(max))).into();
        let chain = Chain::new("OsakaToBPO1AtTime15k", &schedule).unwrap();
        assert_eq!(chain.blob_params(0).unwrap().max_blob_count, 9);
        assert_eq!(chain.blob_params(0).unwrap().max_blobs_per_tx, 6);
        assert_eq!(chain.blob_params(15_000).unwrap().max_blob_count, 15);
        assert_eq!(Chain::new("Shanghai", &schedule).unwrap().blob_params(0), None);
    }
}
