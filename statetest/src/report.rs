//! Reports: what `--json FILE` writes, and what the human output is made of.
//!
//! in   counts, times and verdicts of a run
//! out  serde structs; fields are only ever added, and [`SCHEMA`] changes when the meaning of one does
//!
//! Times are milliseconds unless named otherwise. Shares lie between 0 and 1 and are null where their denominator is zero or
//! nothing counts (mode `interpreter` has no hotevm in it, so all its counters are zero and its shares null).

use hotevm::Statistics;
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the reports' form.
pub const SCHEMA: u32 = 1;

/// Report of `statetest` and `blocktest`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// One entry per mode, in the order asked for.
    pub modes: Vec<TestMode>,
    /// Tests whose results differ between modes, skipped ones included.
    pub mismatches: u64,
    /// Rows of the table of skipped tests under which every test passed; such rows make the run fail.
    pub needless_rows: Vec<String>,
}

/// One mode of a [`TestReport`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestMode {
    /// The mode's name.
    pub mode: String,
    /// Tests with the right verdict.
    pub passed: u64,
    /// Tests with a wrong one.
    pub failed: u64,
    /// Tests under a row of the table of skipped tests.
    pub skipped: u64,
    /// Skipped tests that would have passed.
    pub skipped_would_pass: u64,
    /// Call frames of legacy code without inspector.
    pub eligible_frames: u64,
    /// Frames that entered native code.
    pub native_frames: u64,
    /// Gas charged while native code runs, over gas charged in eligible frames.
    pub native_gas_share: Option<f64>,
    /// Codes compiled.
    pub compiled: u64,
    /// CPU time of compiling.
    pub compile_cpu_ms: f64,
    /// Seconds: the run's wall time, divided among the modes by the time their tests took.
    pub wall_s: f64,
    /// What failed, in the order of files.
    pub failures: Vec<Failure>,
}

/// A failed test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The test.
    pub name: String,
    /// What differs from its expectation.
    pub reason: String,
}

/// Report of `replay`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// One entry per block, contract or part of the sample chain.
    pub runs: Vec<ReplayRun>,
    /// Totals by mode name.
    pub total: BTreeMap<String, ReplayTotal>,
}

/// What a replayed path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A mainnet block.
    Block,
    /// Transactions on one contract.
    Contract,
    /// A block of the embedded sample chain.
    Sample,
}

/// One block or contract of a [`ReplayReport`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayRun {
    /// The file's stem.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Number of transactions.
    pub transactions: u64,
    /// Gas that they used, in the first mode.
    pub gas_used: u64,
    /// One entry per mode, in the order asked for.
    pub modes: Vec<ReplayMode>,
}

/// One mode of a [`ReplayRun`]. Times cover transaction execution alone; frames, gas and leaves are those of the last round;
/// what was compiled is summed over all rounds and the unmeasured pass before them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayMode {
    /// The mode's name.
    pub mode: String,
    /// Number of timed rounds.
    pub rounds: u64,
    /// The first timed round.
    pub first_ms: f64,
    /// The median of all rounds.
    pub median_ms: f64,
    /// The fastest round.
    pub min_ms: f64,
    /// The interpreter's median over this mode's; null without mode `interpreter` in the run.
    pub speedup: Option<f64>,
    /// Every round, in order; a short contract's is the mean of several passes.
    pub round_ms: Vec<f64>,
    /// Timed passes of all rounds; more than rounds where a round's time is the mean of several (short contracts).
    pub passes: u64,
    /// Gas charged while native code runs, over gas charged in eligible frames.
    pub native_gas_share: Option<f64>,
    /// Gas charged in table calls of opcodes that are meant to be inline or builtin, over the same.
    pub table_call_gas_share: Option<f64>,
    /// Gas charged in init code, over all gas charged.
    pub init_code_gas_share: Option<f64>,
    /// All frames.
    pub frames: u64,
    /// Call frames of legacy code without inspector.
    pub eligible_frames: u64,
    /// Frames that entered native code.
    pub native_frames: u64,
    /// How often native code gave a frame back to the interpreter, by reason.
    pub leaves: BTreeMap<String, u64>,
    /// How often a frame was interpreted, by reason.
    pub interpreted: BTreeMap<String, u64>,
    /// Codes compiled.
    pub compiled: u64,
    /// CPU time of compiling.
    pub compile_cpu_ms: f64,
    /// Bytes of native code made.
    pub code_bytes: u64,
    /// Whether the gas used is the header's; null for contracts, which have none.
    pub gas_used_ok: Option<bool>,
    /// Whether the receipts root is the header's; null where it cannot be known (contracts, blocks before 4,370,000).
    pub receipts_root_ok: Option<bool>,
    /// Transactions that differ from the first mode in outcome, gas, refund, output, logs or state.
    pub mismatches: u64,
}

/// Totals of a mode over all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayTotal {
    /// Geometric mean of the speedups.
    pub speedup_geomean: Option<f64>,
    /// Sum of the first rounds.
    pub first_ms: f64,
    /// Sum of the medians.
    pub median_ms: f64,
    /// Sum of the CPU times of compiling.
    pub compile_cpu_ms: f64,
    /// Sum of the bytes of native code made.
    pub code_bytes: u64,
    /// Sum of the mismatches.
    pub mismatches: u64,
    /// How it went, round by round.
    pub rounds: Vec<ReplayRound>,
    /// What the mode's runtime knows of contracts, the hottest first.
    pub contracts: Vec<ReplayContract>,
}

/// One round of a mode over all runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayRound {
    /// Time of the round.
    pub ms: f64,
    /// Time of this round and all before it.
    pub cumulative_ms: f64,
    /// The median of the interpreter's rounds over this one; null without mode `interpreter`.
    pub speedup: Option<f64>,
    /// Gas charged while native code runs, over gas charged in eligible frames.
    pub native_gas_share: Option<f64>,
    /// Codes compiled by the end of the round.
    pub compiled: u64,
    /// CPU time of compiling by the end of the round.
    pub compile_cpu_ms: f64,
    /// Bytes of native code made by the end of the round.
    pub code_bytes: u64,
}

/// A code under a configuration, as a runtime knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayContract {
    /// Hash of the code.
    pub code_hash: String,
    /// Fork of the configuration.
    pub fork: String,
    /// How far it has come.
    pub stage: &'static str,
    /// Gas charged while native code ran.
    pub native_gas: u64,
    /// Gas spent in the interpreter since the code was last without native code.
    pub interpreted_gas: u64,
    /// Native speed, in millions of gas a second; null where it was not measured.
    pub native_mgas_per_s: Option<f64>,
    /// The interpreter's speed on the same code; null where it was not measured.
    pub interpreted_mgas_per_s: Option<f64>,
    /// Native speed over the interpreter's.
    pub speedup: Option<f64>,
    /// Leaves out of compiled regions.
    pub leaves: u64,
    /// Where the code in place was left most often, for any reason; a few rows.
    pub leave_sites: Vec<ReplayLeaveSite>,
    /// Blocks that were seen to run.
    pub blocks: u32,
    /// Compilations.
    pub compilations: u32,
    /// CPU time of all of them.
    pub compile_cpu_ms: f64,
    /// Bytes of native code in place.
    pub code_bytes: u64,
    /// Why it is rejected, if it is.
    pub rejection: Option<String>,
}

/// Leaves at one instruction of a contract.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayLeaveSite {
    /// The instruction that the interpreter went on at.
    pub pc: u32,
    /// Why.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

impl TestReport {
    /// Whether everything asked for held.
    pub fn held(&self) -> bool {
        self.mismatches == 0 && self.needless_rows.is_empty() && self.modes.iter().all(|mode| mode.failed == 0)
    }
}

impl ReplayReport {
    /// Whether everything asked for held.
    pub fn held(&self) -> bool {
        self.runs.iter().flat_map(|run| &run.modes).all(ReplayMode::held)
    }
}

impl ReplayMode {
    /// Whether gas, receipts and the comparison with the first mode held.
    pub fn held(&self) -> bool {
        self.gas_used_ok != Some(false) && self.receipts_root_ok != Some(false) && self.mismatches == 0
    }
}

/// Counters by reason, zero ones included.
pub fn by_reason(counters: &[(&'static str, u64)]) -> BTreeMap<String, u64> {
    counters.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

/// The CPU time of compiling, in milliseconds.
pub fn compile_cpu_ms(statistics: &Statistics) -> f64 {
    statistics.compile_cpu_ns as f64 / 1e6
}

/// The geometric mean; none of nothing.
pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<_> = values.into_iter().map(f64::ln).collect();
    (!logarithms.is_empty()).then(|| (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp())
}

/// The median; zero of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_means() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        assert!((geometric_mean([1.0, 4.0]).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(geometric_mean([]), None);
    }
}
