//! The tiers as a replay sees them: cold, watched, native 1, native 2, with equal results in each.
//!
//! in   the sample chain's loops, and the fixture `snailtracer` where the large fixtures are there (`HOTEVM_FIXTURES`)
//! out  stages in order; the same outcomes

use alloy_evm::EthEvmFactory;
use hotevm::{Config, HotEvmFactory, Preset, Runtime, Stage, Tuning};
use hotevm_statetest::{
    fixture,
    replay::{self, Run},
    sample,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const LONG: Duration = Duration::from_secs(120);

fn snailtracer() -> Option<Run> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("HOTEVM_FIXTURES").map_or(beside, PathBuf::from);
    let path = folder.join("contracts/snailtracer.json.gz");
    if !path.is_file() {
        println!("no fixtures at {}: the sample chain is all there is", folder.display());
        return None;
    }
    replay::load(&fixture::find(&[path]).unwrap()).unwrap().pop()
}

fn numbers() -> Run {
    sample::runs().unwrap().into_iter().find(|run| run.name == "numbers").unwrap()
}

fn runtime(workers: usize, tuning: Tuning) -> Runtime {
    Runtime::new(Config { workers, tuning, ..Config::preset(Preset::Development) }).unwrap()
}

/// The highest stage that a code has reached.
fn stage(runtime: &Runtime) -> Option<Stage> {
    runtime.report().iter().map(|row| row.stage).max_by_key(|stage| *stage as u8)
}

fn check_tiers(run: &Run) {
    let pass = |runtime: &Runtime| {
        let before = runtime.statistics();
        let pass = replay::execute(&HotEvmFactory::new(runtime.clone()), run, true, || Some(runtime.statistics()));
        (pass.outcomes, runtime.statistics().since(&before))
    };
    let expected = replay::execute(&EthEvmFactory::default(), run, true, || None).outcomes;
    // Cold: what it takes to be warm is out of reach.
    let cold = runtime(1, Tuning { warm_gas: u64::MAX, ..Tuning::preset(Preset::Development) });
    let (outcomes, counted) = pass(&cold);
    assert!(outcomes == expected, "cold");
    assert_eq!((counted.became_watched, counted.native_frames), (0, 0));
    // Watched: it gets warm, but nothing is compiled while the runtime is paused.
    let tuning = Tuning { warm_gas: 10_000, eagerness: 0.01, ..Tuning::preset(Preset::Development) };
    let runtime = runtime(1, tuning);
    runtime.pause();
    let (outcomes, counted) = pass(&runtime);
    assert!(outcomes == expected, "watched");
    assert!(counted.became_watched > 0 && counted.watched_frames > 0);
    assert_eq!((stage(&runtime), counted.native_frames), (Some(Stage::Watched), 0));
    // Native 1: the queue is worked off.
    runtime.resume();
    assert!(runtime.settle(LONG));
    assert_eq!(stage(&runtime), Some(Stage::Native1));
    runtime.pause();
    let (outcomes, counted) = pass(&runtime);
    assert!(outcomes == expected, "native 1");
    assert!(counted.native_gas_share().unwrap() > 0.5, "{counted:?}");
    // Native 2: it stays hot.
    runtime.resume();
    assert!(runtime.settle(LONG));
    for _ in 0..20 {
        pass(&runtime);
        assert!(runtime.settle(LONG));
    }
    assert_eq!(stage(&runtime), Some(Stage::Native2));
    let (outcomes, counted) = pass(&runtime);
    assert!(outcomes == expected, "native 2");
    assert!(counted.native_gas_share().unwrap() > 0.95, "{:?}", counted.native_gas_share());
}

fn check_one_long_frame(run: &Run) {
    let expected = replay::execute(&EthEvmFactory::default(), run, true, || None).outcomes;
    // Without workers code is there as soon as it is asked for, so what happens does not depend on threads.
    let tuning = Tuning { warm_gas: 10_000, eagerness: 0.01, ..Tuning::preset(Preset::Development) };
    let runtime = runtime(0, tuning);
    let pass = replay::execute(&HotEvmFactory::new(runtime.clone()), run, true, || Some(runtime.statistics()));
    assert!(pass.outcomes == expected);
    let counted = runtime.statistics();
    assert!(counted.loop_entries > 0, "{counted:?}");
    assert!(counted.native_gas_share().unwrap() > 0.5, "{:?}", counted.native_gas_share());
}

#[test]
fn the_sample_passes_all_tiers() {
    check_tiers(&numbers());
}

#[test]
fn snailtracer_passes_all_tiers() {
    if let Some(run) = snailtracer() {
        check_tiers(&run);
    }
}

#[test]
fn a_long_frame_becomes_native_while_it_runs() {
    if let Some(run) = snailtracer() {
        check_one_long_frame(&run);
    }
}
