//! Worth: when compiling a code pays.
//!
//! in   gas spent, what watched frames saw, the estimated cost of compiling
//! out  whether to compile, and which code first
//!
//! P1  Gas is no time: a storage read costs as much gas as some seven hundred additions. So gas counts by how much is interpreted
//!     for it, as watched frames saw it: by their stops at JUMPDEST and JUMPI.
//! P2  A code is compiled when what native code would have saved so far reaches a share (`Tuning::eagerness`) of what compiling it
//!     is estimated to cost: as with renting and buying skis, what is spent in vain stays in proportion.

use super::{
    Tiers,
    entry::{Entry, Tier},
    queue::Job,
};
use crate::code::NativeCode;

/// Interpreting from one stop to the next: some nine instructions of six nanoseconds.
const NS_PER_STOP: f64 = 55.0;
/// The share of the interpreter's time that native code saves, host calls aside.
const SAVED_SHARE: f64 = 0.6;
/// The share of native code's time that the full pipeline saves over the fast one.
const FULL_SAVED_SHARE: f64 = 0.05;
/// Interpreting one gas of pure instructions: what gas is worth at most.
const NS_PER_GAS_MAX: f64 = 2.0;
/// The same as long as nothing is known.
const NS_PER_GAS_UNKNOWN: f64 = 0.3;
/// Compiling anything.
const COMPILE_NS: f64 = 2e6;
/// Compiling one block more.
const COMPILE_NS_PER_BLOCK: f64 = 5e5;

impl Tiers {
    /// P2, for gas spent in the interpreter since the code was last compiled; every compilation doubles what it takes.
    pub(super) fn is_worth(&self, entry: &Entry, tier: Tier, compilations: u32) -> bool {
        let times = f64::from(1_u32 << compilations.min(20));
        saved_ns(entry) >= self.config.tuning.eagerness * cost_ns(entry, tier) * times
    }

    /// P2, for gas spent in native code, which the next tier would make faster.
    pub(super) fn is_worth_more(&self, entry: &Entry, code: &NativeCode) -> bool {
        let native_ns = code.gas() as f64 * ns_per_gas(entry) * (1.0 - SAVED_SHARE);
        native_ns * FULL_SAVED_SHARE >= self.config.tuning.eagerness * cost_ns(entry, Tier::Native2)
    }

    /// What a job is expected to give for what it takes.
    pub(super) fn reward(&self, job: &Job) -> f64 {
        saved_ns(&job.entry) / cost_ns(&job.entry, job.tier)
    }
}

/// What native code would have saved of the gas spent so far.
fn saved_ns(entry: &Entry) -> f64 {
    entry.heat() as f64 * ns_per_gas(entry) * SAVED_SHARE
}

/// P1.
fn ns_per_gas(entry: &Entry) -> f64 {
    let (stops, gas) = entry.profile().map_or((0, 0), super::Profile::totals);
    if gas == 0 {
        return NS_PER_GAS_UNKNOWN;
    }
    (stops as f64 * NS_PER_STOP / gas as f64).min(NS_PER_GAS_MAX)
}

/// What compiling costs, as far as the number of blocks tells.
fn cost_ns(entry: &Entry, tier: Tier) -> f64 {
    let blocks = match tier {
        // A block has some twenty bytes.
        Tier::Whole => entry.bytecode.len() as f64 / 20.0,
        Tier::Native1 | Tier::Native2 => entry.profile().map_or(1.0, |profile| f64::from(profile.blocks().max(1))),
    };
    COMPILE_NS + blocks * COMPILE_NS_PER_BLOCK
}
