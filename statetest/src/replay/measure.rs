//! Rounds: every run in every mode, timed fairly.
//!
//! in   runs, engines, a plan
//! out  a [`ReplayReport`], and the first difference between modes in words
//!
//! M1  A round is one pass over all runs in one mode; modes take turns round by round.
//! M2  Each pass works on a fresh copy of the database.
//! M3  Everything but the times is taken in the last round; what was compiled is summed over all.
//! M4  Times of single contracts are taken in passes of their own, after the last round.
//! M5  Modes that compile in advance make two unmeasured passes before the first round: one that is interpreted and notes what runs,
//!     so that it is laid out together, and one that compiles.
//! M6  What a contract takes when it comes once in a round is mostly caches and branch prediction that the other runs left cold. From
//!     the second round on, a run of kind contract is therefore passed again and again until [`CONTRACT_TIME`] has been timed, and
//!     the round's time is the mean, in every mode alike. Blocks, the first round and swept caches keep to one pass.

use super::{contracts, execute::Pass, growth::Growth, load::Run};
use crate::{
    difference::{self, Difference},
    error::Error,
    mode::{Engine, Mode, gas_shares},
    report::{
        Kind, ReplayContract, ReplayMode, ReplayReport, ReplayRound, ReplayRun, ReplayTotal, SCHEMA, by_reason, compile_cpu_ms,
        geometric_mean, median,
    },
    suite,
    trace::Window,
};
use hotevm::Statistics;
use std::{collections::BTreeMap, hint::black_box, time::Duration};

/// Bytes swept to push code and data out of all caches.
const SWEEP_BYTES: usize = 128 << 20;
/// How long compiling may take after one round.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(600);
/// A cache line.
const LINE_BYTES: usize = 64;

/// What a contract's passes of one round take together, in the clock; a longer pass stands alone.
const CONTRACT_TIME: Duration = Duration::from_millis(1);

/// The most passes of one round over a contract.
const MOST_PASSES: u32 = 1_000;

/// How to measure.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Timed rounds; at least one.
    pub rounds: usize,
    /// Sweep the caches before every timed pass over a run.
    pub cold_caches: bool,
    /// Between rounds, wait until nothing is compiled in the background.
    pub settle: bool,
    /// After the last round, measure the speed of single contracts.
    pub contracts: bool,
    /// Told how many passes are done, of how many, unmeasured ones included.
    pub progress: &'a dyn Fn(usize, usize),
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The report.
    pub report: ReplayReport,
    /// The first difference between modes.
    pub explanation: Option<String>,
}

/// What was gathered about one run in one mode.
#[derive(Default)]
struct Gathered {
    round_ms: Vec<f64>,
    passes: u64,
    compiled: u64,
    compile_cpu_ms: f64,
    code_bytes: u64,
    last: Pass,
    mismatches: u64,
}

impl Gathered {
    /// Adds what was compiled since the last look at an engine's counters. What background threads compile counts for the run
    /// that is replayed when they are done.
    fn compiled(&mut self, engine: &dyn Engine, last: &mut Option<Statistics>) {
        let Some(now) = engine.statistics() else { return };
        let counted = now.since(&last.take().unwrap_or_default());
        self.compiled += counted.compiled;
        self.compile_cpu_ms += compile_cpu_ms(&counted);
        self.code_bytes += counted.code_bytes;
        *last = Some(now);
    }
}

/// Where two modes differ first.
struct Found {
    run: usize,
    mode: usize,
    transaction: usize,
    difference: Difference,
}

/// Measures all runs in all modes.
///
/// # Errors
/// When a transaction is refused in the first mode, which means that the fixture is wrong.
pub fn measure(runs: &[Run], engines: &[Box<dyn Engine>], plan: &Plan<'_>) -> Result<Measured, Error> {
    let mut gathered: Vec<Vec<Gathered>> = engines.iter().map(|_| runs.iter().map(|_| Gathered::default()).collect()).collect();
    let mut growth = Growth::new(engines);
    let mut counted: Vec<Option<Statistics>> = engines.iter().map(|engine| engine.statistics()).collect();
    let mut sweep = Sweep::new(plan.cold_caches);
    let ahead = engines.iter().filter(|engine| compiles_ahead(engine.mode())).count();
    let passes = (plan.rounds * engines.len() + 2 * ahead) * runs.len();
    let mut done = 0;
    let mut one_more = || {
        done += 1;
        (plan.progress)(done, passes);
    };
    for ((engine, gathered), counted) in engines.iter().zip(&mut gathered).zip(&mut counted) {
        if !compiles_ahead(engine.mode()) {
            continue;
        }
        engine.pause(true);
        for run in runs {
            engine.replay(run, false);
            one_more();
        }
        engine.pause(false);
        for (run, gathered) in runs.iter().zip(gathered) {
            engine.replay(run, false);
            gathered.compiled(engine.as_ref(), counted);
            one_more();
        }
    }
    for round in 0..plan.rounds {
        let is_last = round + 1 == plan.rounds;
        for (mode, ((engine, gathered), counted)) in engines.iter().zip(&mut gathered).zip(&mut counted).enumerate() {
            for (run, gathered) in runs.iter().zip(gathered.iter_mut()) {
                sweep.run();
                let wanted = if repeats(run.kind, round, plan) { CONTRACT_TIME } else { Duration::ZERO };
                let (pass, passes) = timed(wanted, || engine.replay(run, is_last));
                gathered.round_ms.push(pass.elapsed.as_secs_f64() * 1e3);
                gathered.passes += passes;
                gathered.compiled(engine.as_ref(), counted);
                growth.pass(mode, &pass);
                gathered.last = pass;
                one_more();
            }
            if plan.settle && !engine.settle(SETTLE_TIMEOUT) {
                return Err(Error::NotSettled { mode: engine.mode() });
            }
            if let Some(last) = gathered.last_mut() {
                last.compiled(engine.as_ref(), counted);
            }
            growth.round_ended(mode, engine.as_ref());
        }
    }
    if let Some((first, engine)) = gathered.first().zip(engines.first()) {
        runs.iter().zip(first).try_for_each(|(run, gathered)| refuse(run, &gathered.last, engine.mode()))?;
    }
    let found = compare(&mut gathered);
    let explanation = found.map(|found| explain(&runs[found.run], engines, found.mode, found.transaction, &found.difference));
    let contracts = contracts::measure(runs, engines, plan.contracts)?;
    Ok(Measured { report: report(runs, engines, gathered, growth.rounds().into_iter().zip(contracts)), explanation })
}

/// Whether a round takes the mean of several passes over a run (M6).
fn repeats(kind: Kind, round: usize, plan: &Plan<'_>) -> bool {
    kind == Kind::Contract && round > 0 && !plan.cold_caches
}

/// Passes until they have taken the time that is wanted, at least one: the last of them with the mean of their times, and their number.
fn timed(wanted: Duration, mut replay: impl FnMut() -> Pass) -> (Pass, u64) {
    let (mut elapsed, mut passes) = (Duration::ZERO, 0_u32);
    loop {
        let pass = replay();
        elapsed += pass.elapsed;
        passes += 1;
        if elapsed >= wanted || passes == MOST_PASSES {
            return (Pass { elapsed: elapsed / passes, ..pass }, u64::from(passes));
        }
    }
}

/// Whether a mode compiles everything before it is measured.
fn compiles_ahead(mode: Mode) -> bool {
    mode == Mode::Jit
}

/// Fails if a transaction was refused in a pass of the first mode.
pub(super) fn refuse(run: &Run, pass: &Pass, mode: Mode) -> Result<(), Error> {
    match &pass.refused {
        None => Ok(()),
        Some((index, reason)) => Err(Error::Refused { run: run.name.clone(), index: *index, mode, reason: reason.clone() }),
    }
}

/// Counts the differences of every mode to the first one, and returns the first.
fn compare(gathered: &mut [Vec<Gathered>]) -> Option<Found> {
    let (first, others) = gathered.split_first_mut()?;
    let mut found: Option<Found> = None;
    for (mode, other) in others.iter_mut().enumerate() {
        for (run, (left, right)) in first.iter().zip(other).enumerate() {
            let pairs = left.last.outcomes.iter().zip(&right.last.outcomes).enumerate();
            for (transaction, (left, outcome)) in pairs {
                let Some(difference) = difference::outcomes(left, outcome) else { continue };
                right.mismatches += 1;
                if found.as_ref().is_none_or(|found| run < found.run) {
                    found = Some(Found { run, mode: mode + 1, transaction, difference });
                }
            }
        }
    }
    found
}

/// A difference between the first mode and another in words, with both traces around it.
pub(super) fn explain(
    run: &Run,
    engines: &[Box<dyn Engine>],
    mode: usize,
    transaction: usize,
    difference: &Difference,
) -> String {
    let (left, right) = (&engines[0], &engines[mode]);
    let windows = [Window::new(difference.focus), Window::new(difference.focus)];
    left.trace_replay(run, Some(transaction), &windows[0]);
    right.trace_replay(run, Some(transaction), &windows[1]);
    let title = format!("{}: transaction {transaction}", run.name);
    suite::explain(&title, [left.mode().name(), right.mode().name()], difference, [&windows[0], &windows[1]])
}

fn report(
    runs: &[Run],
    engines: &[Box<dyn Engine>],
    gathered: Vec<Vec<Gathered>>,
    grown: impl Iterator<Item = (Vec<ReplayRound>, Vec<ReplayContract>)>,
) -> ReplayReport {
    let interpreter = engines.iter().position(|engine| engine.mode() == Mode::Interpreter);
    let reported: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(index, run)| {
            let base = interpreter.map(|mode| median(&gathered[mode][index].round_ms));
            let modes =
                engines.iter().zip(&gathered).map(|(engine, gathered)| report_mode(engine.mode(), run, &gathered[index], base));
            ReplayRun {
                name: run.name.clone(),
                kind: run.kind,
                transactions: run.transactions.len() as u64,
                gas_used: gathered.first().map_or(0, |gathered| gathered[index].last.gas_used),
                modes: modes.collect(),
            }
        })
        .collect();
    let total = engines.iter().zip(grown).enumerate().map(|(index, (engine, (rounds, contracts)))| {
        let modes = || reported.iter().map(move |run| &run.modes[index]);
        let total = ReplayTotal {
            speedup_geomean: geometric_mean(modes().filter_map(|mode| mode.speedup)),
            first_ms: modes().map(|mode| mode.first_ms).sum(),
            median_ms: modes().map(|mode| mode.median_ms).sum(),
            compile_cpu_ms: modes().map(|mode| mode.compile_cpu_ms).sum(),
            code_bytes: modes().map(|mode| mode.code_bytes).sum(),
            mismatches: modes().map(|mode| mode.mismatches).sum(),
            rounds,
            contracts,
        };
        (engine.mode().to_string(), total)
    });
    let total: BTreeMap<_, _> = total.collect();
    ReplayReport { schema: SCHEMA, total, runs: reported }
}

fn report_mode(mode: Mode, run: &Run, gathered: &Gathered, base_ms: Option<f64>) -> ReplayMode {
    let last = &gathered.last;
    let [native_gas_share, table_call_gas_share, init_code_gas_share] = gas_shares(last.counted.as_ref());
    let counted = last.counted.clone().unwrap_or_default();
    let median_ms = median(&gathered.round_ms);
    ReplayMode {
        mode: mode.to_string(),
        rounds: gathered.round_ms.len() as u64,
        first_ms: gathered.round_ms.first().copied().unwrap_or_default(),
        median_ms,
        min_ms: gathered.round_ms.iter().copied().reduce(f64::min).unwrap_or_default(),
        speedup: base_ms.filter(|_| median_ms > 0.0).map(|base| base / median_ms),
        round_ms: gathered.round_ms.clone(),
        passes: gathered.passes,
        native_gas_share,
        table_call_gas_share,
        init_code_gas_share,
        frames: counted.frames,
        eligible_frames: counted.eligible_frames,
        native_frames: counted.native_frames,
        leaves: by_reason(&counted.leaves),
        interpreted: by_reason(&counted.interpreted),
        compiled: gathered.compiled,
        compile_cpu_ms: gathered.compile_cpu_ms,
        code_bytes: gathered.code_bytes,
        gas_used_ok: run.gas_used.map(|wanted| wanted == last.gas_used),
        receipts_root_ok: run.receipts_root.map(|wanted| Some(wanted) == last.receipts_root),
        mismatches: gathered.mismatches,
    }
}

/// A buffer larger than the caches; nothing where caches stay warm.
struct Sweep(Vec<u8>);

impl Sweep {
    fn new(wanted: bool) -> Self {
        Self(vec![0; if wanted { SWEEP_BYTES } else { 0 }])
    }

    /// Writes to every line of the buffer.
    fn run(&mut self) {
        self.0.iter_mut().step_by(LINE_BYTES).for_each(|byte| *byte = byte.wrapping_add(1));
        black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_passes_are_repeated_and_long_ones_are_not() {
        let pass = |micros| move || Pass { elapsed: Duration::from_micros(micros), gas_used: micros, ..Pass::default() };
        let seen = |wanted, micros| {
            let (pass, passes) = timed(wanted, pass(micros));
            (pass.elapsed.as_micros(), passes, pass.gas_used)
        };
        assert_eq!(seen(CONTRACT_TIME, 300), (300, 4, 300), "three take 900 microseconds");
        assert_eq!(seen(CONTRACT_TIME, 5_000), (5_000, 1, 5_000));
        assert_eq!(seen(Duration::ZERO, 300), (300, 1, 300));
        assert_eq!(seen(CONTRACT_TIME, 0), (0, u64::from(MOST_PASSES), 0), "a clock that stands still ends it");
        let mut times = [400, 800].into_iter();
        let (mean, passes) = timed(CONTRACT_TIME, || pass(times.next().unwrap())());
        assert_eq!((mean.elapsed.as_micros(), passes), (600, 2));
    }

    #[test]
    fn blocks_first_rounds_and_cold_caches_take_one_pass() {
        let plan = Plan { rounds: 3, cold_caches: false, settle: false, contracts: false, progress: &|_, _| () };
        assert!(repeats(Kind::Contract, 1, &plan));
        assert!(!repeats(Kind::Contract, 0, &plan));
        assert!(!repeats(Kind::Block, 1, &plan) && !repeats(Kind::Sample, 1, &plan));
        assert!(!repeats(Kind::Contract, 1, &Plan { cold_caches: true, ..plan }));
    }
}
