//! Threads under load: generated contracts on one runtime, while others compile, evict, pause, demote and forget.
//!
//! in   a seed from the variable HOTEVM_TEST_SEED, else a new one; it is printed
//! out  no difference to the interpreter; counters that show that it all took place

use std::{
    env,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use hotevm::{Config, Instructions, Optimisation, Preset, Runtime, Tier, Tuning};
use hotevm_testing::{
    campaign::{case_seed, run_case},
    generate::case::{Case, Size},
};
use revm::primitives::keccak256;

const IS_LONG: bool = cfg!(feature = "full");
const TIME: Duration = Duration::from_secs(if IS_LONG { 300 } else { 8 });
const THREADS: usize = 8;
/// Few cases, run again and again, so that all tiers are reached.
const CASES: usize = if IS_LONG { 200 } else { 24 };
const SIZE: Size = Size { contracts_max: 3, inputs: 4, statements_max: 25 };

fn runtime() -> Runtime {
    let tuning = Tuning {
        warm_gas: 500,
        eagerness: 0.0,
        grow_leaves: 2,
        queue_len_max: 8,
        code_bytes_max: 200_000,
        entries_max: 64,
        compile_cpu_share: 1e6,
        retry_s: 1,
        ..Tuning::preset(Preset::Production)
    };
    Runtime::new(Config { workers: 2, optimisation: Optimisation::None, tuning, ..Config::preset(Preset::Production) })
        .expect("a runtime for this machine")
}

/// What an owner does to a runtime, in turn.
fn disturb(runtime: &Runtime, cases: &[Case], turn: u64) {
    let case = &cases[turn as usize % cases.len()];
    let Some(contract) = case.contracts.first() else { return };
    let (code, hash) = (contract.code.clone(), keccak256(&contract.code));
    match turn % 10 {
        0 => runtime.pause(),
        1 | 2 => runtime.resume(),
        3 => drop(runtime.demote(hash)),
        4 => drop(runtime.forget(hash)),
        5 => runtime.request(&code, case.fork, Instructions::Stock, Tier::Native2),
        6 => runtime.prepare(&code, case.fork, Instructions::Stock),
        7 if turn % 70 == 7 => runtime.clear(),
        7 => drop(runtime.report()),
        8 if turn % 90 == 8 => {
            runtime.disable();
            runtime.enable();
        }
        8 => drop(runtime.peek(hash)),
        _ => drop(runtime.compile(&code, case.fork, Instructions::Stock)),
    }
}

#[test]
fn results_are_equal_under_load() {
    let given = env::var("HOTEVM_TEST_SEED").ok().map(|text| text.parse().expect("HOTEVM_TEST_SEED is a decimal number"));
    let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    eprintln!("HOTEVM_TEST_SEED={seed}");
    let cases: Vec<Case> = (0..CASES).map(|index| Case::from_seed(case_seed(seed, index), SIZE)).collect();
    let (runtime, start, failed) = (runtime(), Instant::now(), AtomicBool::new(false));
    let (executions, turns) = (AtomicU64::new(0), AtomicU64::new(0));
    let goes_on = || start.elapsed() < TIME && !failed.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (runtime, cases, failed, executions) = (&runtime, &cases, &failed, &executions);
            scope.spawn(move || {
                for round in 0.. {
                    if !goes_on() {
                        break;
                    }
                    match run_case(&cases[(thread * 7 + round) % cases.len()], runtime) {
                        Ok(agreement) => drop(executions.fetch_add(agreement.executions, Ordering::Relaxed)),
                        Err(difference) => {
                            failed.store(true, Ordering::Relaxed);
                            panic!("HOTEVM_TEST_SEED={seed}: {difference}");
                        }
                    }
                }
            });
        }
        scope.spawn(|| {
            while goes_on() {
                disturb(&runtime, &cases, turns.fetch_add(1, Ordering::Relaxed));
                // The other threads run between two disturbances, so that something is there to be disturbed.
                thread::yield_now();
            }
        });
    });
    runtime.resume();
    assert!(runtime.settle(Duration::from_secs(60)));
    let statistics = runtime.statistics();
    eprintln!("{} executions, {} disturbances, {statistics:?}", executions.into_inner(), turns.into_inner());
    assert_eq!(statistics.panics, 0);
    if hotevm::native_available() {
        let made = statistics.became_native_1 + statistics.became_native_2 + statistics.became_whole;
        assert!(made > 0 && statistics.native_frames > 0 && statistics.forgotten + statistics.demoted > 0);
    }
    // A short run on a busy machine does not see all of them.
    if hotevm::native_available() && IS_LONG {
        for (name, count) in [
            ("native frames", statistics.native_frames),
            ("demoted", statistics.demoted),
            ("forgotten", statistics.forgotten),
            ("native 1", statistics.became_native_1),
            ("native 2", statistics.became_native_2),
            ("whole", statistics.became_whole),
        ] {
            assert!(count > 0, "{name}: none");
        }
    }
    runtime.clear();
    assert!(runtime.shutdown(Duration::from_secs(60)));
    assert_eq!(runtime.mapped_bytes(), 0, "nothing is leaked");
}
