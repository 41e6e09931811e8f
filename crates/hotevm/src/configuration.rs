//! What compiled code has folded in: fork, gas costs, custom opcodes.
//!
//! in   the tables of a running EVM
//! out  a [`Configuration`] with a number that tells it apart; code compiled under one runs under no other
//!
//! X1  Stock configurations are found by fork, without hashing.
//! X2  The settings of a configuration are compared by value; its number is never reused within the process.
//! X3  Frames make at most [`OTHERS_MAX`] configurations that are not stock. Under a further one everything is interpreted, as it is while
//!     another thread holds the map: no frame waits.

use crate::sync::{Arc, AtomicU64, AtomicUsize, OnceLock, Ordering, next_runtime};
use dashmap::{DashMap, try_result::TryResult};
use hotevm_ir::Fork;
use revm::{
    context_interface::cfg::GasParams,
    interpreter::{GasTable, instructions::gas_table_spec},
    primitives::hardfork::SpecId,
};

/// Everything that is folded into compiled code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Settings {
    pub(crate) spec: SpecId,
    pub(crate) gas_table: GasTable,
    pub(crate) gas_params: GasParams,
    pub(crate) custom: [u64; 4],
}

/// A configuration known to the runtime.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// Tells it apart, from those of other runtimes too.
    pub(crate) number: u64,
    /// What it stands for.
    pub(crate) settings: Settings,
}

impl Configuration {
    /// One that no runtime knows: nothing is compiled under it, and nothing looked for.
    pub(crate) fn lone(settings: Settings) -> Arc<Self> {
        Arc::new(Self { number: u64::MAX, settings })
    }

    /// Whether no runtime knows it.
    pub(crate) fn is_lone(&self) -> bool {
        self.number == u64::MAX
    }
}

impl Settings {
    /// Whether everything is as revm makes it for the fork.
    fn is_stock(&self) -> bool {
        self.custom == [0; 4]
            && std::ptr::eq(self.gas_params.table(), GasParams::new_spec(self.spec).table())
            && self.gas_table == gas_table_spec(self.spec)
    }

    /// The settings of the compiler's middle end; none for a fork it does not know.
    #[cfg(feature = "llvm")]
    pub(crate) fn compiler_config(&self, config: &crate::Config) -> Option<hotevm_ir::Config> {
        let mut exp_gas = [0_u32; 33];
        for (bytes, cost) in exp_gas.iter_mut().enumerate().skip(1) {
            let exponent = revm::primitives::U256::ONE << (8 * (bytes - 1));
            *cost = u32::try_from(self.gas_params.exp_cost(exponent)).unwrap_or(u32::MAX);
        }
        Some(hotevm_ir::Config {
            fork: Fork::from_index(self.spec as usize)?,
            gas: self.gas_table,
            exp_gas,
            custom: self.custom,
            force_leaves: config.force_leaves,
            verify: cfg!(debug_assertions),
            limits: config.limits,
            region: None,
            likely: None,
        })
    }
}

/// Bits of a configuration's number within its runtime: a configuration takes kilobytes, so that there are never so many.
const NUMBER_BITS: u32 = 32;

/// Configurations that are not stock: chains have a handful, and each takes kilobytes.
const OTHERS_MAX: usize = 256;

/// The configurations that a runtime has met.
#[derive(Debug)]
pub(crate) struct Configurations {
    stock: [OnceLock<Arc<Configuration>>; Fork::ALL.len()],
    others: DashMap<Settings, Arc<Configuration>>,
    /// How many `others` were made; relaxed: the bound is kept to within the number of threads.
    other_count: AtomicUsize,
    /// The first number; those of a runtime follow each other.
    first: u64,
    /// Next number: taken by whoever makes a configuration; relaxed, since only uniqueness matters.
    next: AtomicU64,
}

impl Default for Configurations {
    fn default() -> Self {
        let first = next_runtime() << NUMBER_BITS;
        Self {
            stock: Default::default(),
            others: DashMap::default(),
            other_count: AtomicUsize::new(0),
            first,
            next: AtomicU64::new(first),
        }
    }
}

impl Configurations {
    /// The numbers given so far.
    pub(crate) fn numbers(&self) -> std::ops::Range<u64> {
        self.first..self.next.load(Ordering::Relaxed)
    }

    /// The stock configuration of a fork, if it was met before and these are its settings.
    pub(crate) fn stock(
        &self,
        spec: SpecId,
        gas_table: &GasTable,
        gas_params: &GasParams,
        custom: &[u64; 4],
    ) -> Option<Arc<Configuration>> {
        let known = self.stock.get(spec as usize)?.get()?;
        let settings = &known.settings;
        let same = *custom == settings.custom
            && std::ptr::eq(settings.gas_params.table(), gas_params.table())
            && settings.gas_table == *gas_table;
        same.then(|| known.clone())
    }

    /// The configuration for these settings, for calls by hand.
    pub(crate) fn get(&self, settings: Settings) -> Arc<Configuration> {
        if let Some(slot) = self.stock.get(settings.spec as usize).filter(|_| settings.is_stock()) {
            // Made before, so that nobody waits for it.
            return slot.get().cloned().unwrap_or_else(|| {
                let made = self.make(settings);
                slot.get_or_init(|| made).clone()
            });
        }
        if let Some(known) = self.others.get(&settings) {
            return known.value().clone();
        }
        self.others.entry(settings.clone()).or_insert_with(|| self.make_other(settings)).value().clone()
    }

    /// The same for a frame (X3).
    pub(crate) fn try_get(&self, settings: Settings) -> Option<Arc<Configuration>> {
        if settings.is_stock() {
            return Some(self.get(settings));
        }
        match self.others.try_get(&settings) {
            TryResult::Present(known) => return Some(known.value().clone()),
            TryResult::Locked => return None,
            TryResult::Absent => {}
        }
        if self.other_count.load(Ordering::Relaxed) >= OTHERS_MAX {
            return None;
        }
        let entry = self.others.try_entry(settings.clone())?;
        Some(entry.or_insert_with(|| self.make_other(settings)).value().clone())
    }

    fn make(&self, settings: Settings) -> Arc<Configuration> {
        Arc::new(Configuration { number: self.next.fetch_add(1, Ordering::Relaxed), settings })
    }

    fn make_other(&self, settings: Settings) -> Arc<Configuration> {
        self.other_count.fetch_add(1, Ordering::Relaxed);
        self.make(settings)
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn x3_frames_make_so_many_configurations_and_no_more() {
        let configurations = Configurations::default();
        let custom = |number: usize| Settings::stock(SpecId::OSAKA, [0, 0, 0, number as u64 + 1]);
        let numbers: Vec<_> =
            (0..OTHERS_MAX).map(|number| configurations.try_get(custom(number)).expect("room").number).collect();
        assert_eq!(configurations.numbers().count(), OTHERS_MAX);
        assert!(configurations.try_get(custom(OTHERS_MAX)).is_none());
        assert_eq!(configurations.try_get(custom(7)).map(|known| known.number), Some(numbers[7]), "what is known stays");
        assert!(configurations.try_get(Settings::stock(SpecId::OSAKA, [0; 4])).is_some(), "stock ones have their places");
        let by_hand = configurations.get(custom(OTHERS_MAX)).number;
        assert_eq!(configurations.try_get(custom(OTHERS_MAX)).map(|known| known.number), Some(by_hand));
    }
}
