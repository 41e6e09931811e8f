//! Many cases, one after the other, on several threads.
//!
//! in   a seed, how many contracts, the ways to compile them
//! out  counts, the share of gas that native code ran, and the cases that showed a difference, reduced
//!
//! G1  Thread t of n takes the cases t, t + n, … until it has met its share of contracts that no thread has met before. So the same
//!     arguments give the same cases, but for the last ones of a thread.
//! G2  A contract counts once: the same bytecode drawn again is run, but not counted.
//! G3  Compiled code is given up every few cases, so memory stays bounded.

use std::collections::HashSet;

use alloy_evm::EthEvmFactory;
use alloy_primitives::{B256, keccak256};
use hotevm::{Config, HotEvmFactory, Runtime, Statistics};

use crate::{
    execute::compare::{Agreement, Difference, compare},
    generate::{
        case::{Case, Size},
        choices::Choices,
    },
    reduce::reduce,
    sync::{Mutex, PoisonError, thread},
};

/// Cases that share a runtime, and so compiled code.
const CASES_PER_RUNTIME: usize = 32;

/// Tests that reducing one case may take.
const REDUCE_TESTS_MAX: usize = 4000;

/// A way to compile, and its name in the report.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// How the runtime is set up.
    pub config: Config,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// From which all cases follow.
    pub seed: u64,
    /// Distinct contracts to run.
    pub contracts: usize,
    /// How large the cases are.
    pub size: Size,
    /// Threads.
    pub threads: usize,
    /// Case k is compiled in the way k modulo their number.
    pub variants: Vec<Variant>,
    /// Ends early after so many differences.
    pub differences_max: usize,
}

/// A case that showed a difference.
#[derive(Clone, Debug)]
pub struct Found {
    /// The case's own seed (`Case::from_seed`).
    pub seed: u64,
    /// The name of the way it was compiled in.
    pub variant: String,
    /// The first difference.
    pub difference: Difference,
    /// A smaller case that differs in the same way of compiling.
    pub reduced: Case,
    /// What differs in the smaller case.
    pub reduced_difference: Option<Difference>,
}

/// Gas and frames of one way to compile.
#[derive(Clone, Debug, Default)]
pub struct NativeShare {
    /// Frames that could run natively.
    pub eligible_frames: u64,
    /// Frames that did.
    pub native_frames: u64,
    /// Gas of eligible frames.
    pub eligible_gas: u64,
    /// Gas charged while native code ran.
    pub native_gas: u64,
    /// Codes compiled.
    pub compiled: u64,
    /// Codes that the compiler rejected.
    pub rejected: u64,
    /// CPU time of compiling, in nanoseconds.
    pub compile_cpu_ns: u64,
    /// How often codes changed their tier, by the names of [`TIER_CHANGES`].
    pub tier_changes: [u64; TIER_CHANGES.len()],
}

/// The counters of [`hotevm::Statistics`] that tell of changes between tiers.
pub const TIER_CHANGES: [&str; 6] =
    ["became_watched", "became_native_1", "became_native_2", "regrown", "demoted", "loop_entries"];

impl NativeShare {
    /// The share of eligible gas that native code ran.
    pub fn native_gas_share(&self) -> Option<f64> {
        (self.eligible_gas > 0).then(|| self.native_gas as f64 / self.eligible_gas as f64)
    }

    fn add_statistics(&mut self, statistics: &Statistics) {
        self.eligible_frames += statistics.eligible_frames;
        self.native_frames += statistics.native_frames;
        self.eligible_gas += statistics.eligible_gas;
        self.native_gas += statistics.native_gas;
        self.compiled += statistics.compiled;
        self.rejected += statistics.rejected;
        self.compile_cpu_ns += statistics.compile_cpu_ns;
        let Statistics { became_watched, became_native_1, became_native_2, regrown, demoted, loop_entries, .. } = statistics;
        let changes = [became_watched, became_native_1, became_native_2, regrown, demoted, loop_entries];
        self.tier_changes.iter_mut().zip(changes).for_each(|(sum, count)| *sum += count);
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &NativeShare) {
        self.eligible_frames += other.eligible_frames;
        self.native_frames += other.native_frames;
        self.eligible_gas += other.eligible_gas;
        self.native_gas += other.native_gas;
        self.compiled += other.compiled;
        self.rejected += other.rejected;
        self.compile_cpu_ns += other.compile_cpu_ns;
        self.tier_changes.iter_mut().zip(other.tier_changes).for_each(|(sum, count)| *sum += count);
    }
}

/// What a campaign saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Distinct contracts.
    pub contracts: usize,
    /// Cases.
    pub cases: usize,
    /// Equal executions.
    pub agreement: Agreement,
    /// Native share of each variant, in the campaign's order.
    pub shares: Vec<NativeShare>,
    /// Cases that showed a difference.
    pub differences: Vec<Found>,
}

/// How far a thread has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The thread, counted from 0.
    pub thread: usize,
    /// Its cases so far.
    pub cases: usize,
    /// Distinct contracts in them.
    pub contracts: usize,
}

/// The seed of case `index`.
pub fn case_seed(seed: u64, index: usize) -> u64 {
    Choices::from_seed(seed ^ (index as u64).wrapping_mul(0xd605_1e2b_94c3_87ad)).bits()
}

/// Runs a campaign. `progress` is called after each case, on the thread that ran it.
pub fn run(campaign: &Campaign, progress: impl Fn(Progress) + Sync) -> eyre::Result<Report> {
    let threads = campaign.threads.max(1);
    let codes = Mutex::new(HashSet::new());
    let parts: Vec<eyre::Result<Report>> = thread::scope(|scope| {
        let (progress, codes) = (&progress, &codes);
        let handles: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || run_part(campaign, thread, threads, codes, progress))).collect();
        let failed = || eyre::eyre!("a thread of the campaign panicked");
        handles.into_iter().map(|handle| handle.join().map_err(|_| failed()).flatten()).collect()
    });
    let mut report = Report { shares: vec![NativeShare::default(); campaign.variants.len()], ..Report::default() };
    for part in parts {
        let part = part?;
        report.contracts += part.contracts;
        report.cases += part.cases;
        report.agreement.add(&part.agreement);
        report.shares.iter_mut().zip(&part.shares).for_each(|(sum, share)| sum.merge(share));
        report.differences.extend(part.differences);
    }
    Ok(report)
}

/// A variant's runtime, and how many cases it has served.
struct Slot {
    runtime: Runtime,
    cases: usize,
}

fn run_part(
    campaign: &Campaign,
    thread: usize,
    threads: usize,
    codes: &Mutex<HashSet<B256>>,
    progress: &(impl Fn(Progress) + Sync),
) -> eyre::Result<Report> {
    let mut report = Report { shares: vec![NativeShare::default(); campaign.variants.len()], ..Report::default() };
    let mut slots: Vec<Option<Slot>> = campaign.variants.iter().map(|_| None).collect();
    let goal = campaign.contracts.div_ceil(threads);
    let mut index = thread;
    while report.contracts < goal && report.differences.len() < campaign.differences_max.max(1) {
        let seed = case_seed(campaign.seed, index);
        let case = Case::from_seed(seed, campaign.size);
        let place = index % campaign.variants.len().max(1);
        index += threads;
        let (Some(variant), Some(slot)) = (campaign.variants.get(place), slots.get_mut(place)) else { break };
        if slot.as_ref().is_none_or(|slot| slot.cases >= CASES_PER_RUNTIME) {
            retire(slot.take(), report.shares.get_mut(place));
            *slot = Some(Slot { runtime: Runtime::new(variant.config.clone())?, cases: 0 });
        }
        let Some(slot) = slot else { break };
        slot.cases += 1;
        report.cases += 1;
        match run_case(&case, &slot.runtime) {
            Ok(agreement) => report.agreement.add(&agreement),
            Err(difference) => report.differences.push(found(&case, seed, variant, *difference)),
        }
        let hashes: Vec<B256> = case.contracts.iter().map(|contract| keccak256(&contract.code)).collect();
        let mut known = codes.lock().unwrap_or_else(PoisonError::into_inner);
        report.contracts += hashes.into_iter().filter(|hash| known.insert(*hash)).count();
        drop(known);
        progress(Progress { thread, cases: report.cases, contracts: report.contracts });
    }
    for (slot, share) in slots.into_iter().zip(&mut report.shares) {
        retire(slot, Some(share));
    }
    Ok(report)
}

fn retire(slot: Option<Slot>, share: Option<&mut NativeShare>) {
    if let (Some(slot), Some(share)) = (slot, share) {
        share.add_statistics(&slot.runtime.statistics());
    }
}

/// Runs one case against the interpreter. Where the first of several inputs has an access list, it is interpreted and watched, so that
/// code is compiled with a profile.
pub fn run_case(case: &Case, runtime: &Runtime) -> Result<Agreement, Box<Difference>> {
    let hot = HotEvmFactory::new(runtime.clone());
    let mut is_watched = case.inputs.len() > 1 && case.inputs[0].access_list;
    if is_watched {
        runtime.pause();
    }
    let mut is_first = true;
    let agreement = compare(case, &EthEvmFactory::default(), &hot, |input| {
        runtime.set_leave_mask(input.leave_mask);
        if is_watched && !std::mem::take(&mut is_first) {
            is_watched = false;
            runtime.resume();
        }
    });
    runtime.resume();
    agreement
}

/// Reduces a failing case; each test compiles anew, so that nothing is carried over.
fn found(case: &Case, seed: u64, variant: &Variant, difference: Difference) -> Found {
    let mut last = None;
    let mut fails = |case: &Case| {
        let outcome = Runtime::new(variant.config.clone()).ok().and_then(|runtime| run_case(case, &runtime).err());
        let fails = outcome.is_some();
        if let Some(difference) = outcome {
            last = Some(*difference);
        }
        fails
    };
    let reduced = reduce(case, difference.input, difference.gas_limit, REDUCE_TESTS_MAX, &mut fails);
    Found { seed, variant: variant.name.clone(), difference, reduced, reduced_difference: last }
}
