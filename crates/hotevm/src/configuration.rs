//! What compiled code has folded in: fork, gas costs, custom opcodes.
//!
//! in   the tables of a running EVM
//! out  a [`Configuration`] with a number that tells it apart; code compiled under one runs under no other
//!
//! X1  Stock configurations are found by fork, without hashing.
//! X2  The settings of a configuration are compared by value; its number is never reused within the process.

use crate::sync::{Arc, AtomicU64, OnceLock, Ordering, next_runtime};
use dashmap::DashMap;
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

/// The configurations that a runtime has met.
#[derive(Debug)]
pub(crate) struct Configurations {
    stock: [OnceLock<Arc<Configuration>>; Fork::ALL.len()],
    others: DashMap<Settings, Arc<Configuration>>,
    /// The first number; those of a runtime follow each other.
    first: u64,
    /// Next number: taken by whoever makes a configuration; relaxed, since only uniqueness matters.
    next: AtomicU64,
}

impl Default for Configurations {
    fn default() -> Self {
        let first = next_runtime() << NUMBER_BITS;
        Self { stock: Default::default(), others: DashMap::default(), first, next: AtomicU64::new(first) }
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

    /// The configuration for these settings.
    pub(crate) fn get(&self, settings: Settings) -> Arc<Configuration> {
        let make = |settings: Settings| Arc::new(Configuration { number: self.next.fetch_add(1, Ordering::Relaxed), settings });
        if let Some(slot) = self.stock.get(settings.spec as usize).filter(|_| settings.is_stock()) {
            return slot.get_or_init(|| make(settings)).clone();
        }
        if let Some(known) = self.others.get(&settings) {
            return known.value().clone();
        }
        self.others.entry(settings.clone()).or_insert_with(|| make(settings)).value().clone()
    }
}
