//! Generated contracts against the interpreter, as many as a short time allows, or a longer one with the feature `full`.
//! `examples/generated.rs` runs as many as are asked for.
//!
//! in   a seed from the variable HOTEVM_TEST_SEED, else a new one; it is printed
//! out  no difference; else the reduced case, and the seed that brings it back

use std::{
    cell::Cell,
    env,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use hotevm::{Config, Optimisation, Preset, Runtime};
use hotevm_testing::{
    campaign::{case_seed, run_case},
    cpus::older_cpus,
    execute::compare::{Agreement, Difference},
    generate::case::{Case, Size},
    reduce::reduce,
};
use proptest::{
    prelude::*,
    test_runner::{Config as RunnerConfig, RngAlgorithm, TestRng, TestRunner},
};

const SEED_VARIABLE: &str = "HOTEVM_TEST_SEED";

const IS_LONG: bool = cfg!(feature = "full");

/// Each test ends after so many cases or so much time, whatever comes first.
const CASES_MAX: u32 = if IS_LONG { 40_000 } else { 400 };
const TIME_MAX: Duration = Duration::from_secs(if IS_LONG { 600 } else { 9 });

const SIZE: Size = Size { contracts_max: 3, inputs: 6, statements_max: 40 };

fn seed() -> u64 {
    let given = env::var(SEED_VARIABLE).ok().map(|text| text.parse().expect("HOTEVM_TEST_SEED is a decimal number"));
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    eprintln!("{SEED_VARIABLE}={seed}");
    seed
}

fn runtime(optimisation: Optimisation, force_leaves: bool) -> Runtime {
    Runtime::new(Config { optimisation, force_leaves, ..Config::preset(Preset::Test) }).expect("a runtime for this machine")
}

/// Regions that grow, tiers, random demotion.
fn stress(force_leaves: bool) -> Runtime {
    let config = Config { optimisation: Optimisation::None, force_leaves, ..Config::preset(Preset::Stress) };
    Runtime::new(config).expect("a runtime for this machine")
}

/// The ways of compiling that cases take in turn.
fn runtimes() -> Vec<Runtime> {
    let older = |cpu: &str| Config { target_cpu: Some(cpu.to_owned()), ..Config::preset(Preset::Test) };
    let older = older_cpus().into_iter().map(|cpu| Runtime::new(older(cpu)).expect("a runtime for an older CPU"));
    let own = [
        runtime(Optimisation::Full, false),
        runtime(Optimisation::None, false),
        runtime(Optimisation::Fast, false),
        runtime(Optimisation::Fast, true),
        stress(false),
        stress(true),
    ];
    own.into_iter().chain(older).collect()
}

/// The difference, the case reduced, and how to come back here.
fn describe(case: &Case, difference: &Difference, runtime: &Runtime, seed: u64) -> String {
    let fails = &mut |case: &Case| {
        let fresh = Runtime::new(runtime.config().clone()).expect("a runtime like the one before");
        run_case(case, &fresh).is_err()
    };
    let reduced = reduce(case, difference.input, difference.gas_limit, 500, fails);
    format!("{SEED_VARIABLE}={seed} with {:?}\n{difference}\nreduced:\n{reduced}", runtime.config())
}

#[test]
fn cases_from_seeds_behave_as_interpreted() {
    let (seed, start, runtimes) = (seed(), Instant::now(), runtimes());
    let mut total = Agreement::default();
    for index in 0..CASES_MAX as usize {
        let case = Case::from_seed(case_seed(seed, index), SIZE);
        let runtime = &runtimes[index % runtimes.len()];
        match run_case(&case, runtime) {
            Ok(agreement) => total.add(&agreement),
            Err(difference) => panic!("case {index}: {}", describe(&case, &difference, runtime, seed)),
        }
        if start.elapsed() > TIME_MAX {
            break;
        }
    }
    assert!(total.executions > 0 && total.successes > 0, "{total:?}");
    eprintln!("{total:?}");
}

#[test]
fn cases_from_bytes_behave_as_interpreted() {
    let (seed, start, runtimes) = (seed(), Instant::now(), runtimes());
    let mut rng_seed = [0; 32];
    rng_seed[..8].copy_from_slice(&seed.to_le_bytes());
    let config = RunnerConfig { cases: CASES_MAX, failure_persistence: None, max_shrink_time: 20_000, ..RunnerConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &rng_seed));
    // Once a case has failed, the smaller ones that proptest tries have to be run, however late it is.
    let (failed, executions) = (Cell::new(false), Cell::new(0));
    let outcome = runner.run(&(prop::collection::vec(any::<u8>(), 0..3000), 0..runtimes.len()), |(bytes, way)| {
        if start.elapsed() > TIME_MAX && !failed.get() {
            return Ok(());
        }
        let case = Case::from_bytes(&bytes, SIZE);
        match run_case(&case, &runtimes[way]) {
            Ok(agreement) => executions.set(executions.get() + agreement.executions),
            Err(difference) => {
                failed.set(true);
                let text = format!("{SEED_VARIABLE}={seed} with {:?}\n{difference}\n{case}", runtimes[way].config());
                return Err(TestCaseError::fail(text));
            }
        }
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    assert!(executions.get() > 0);
}

/// Cases that once differed: text files in `cases/`, run in every way of compiling.
#[test]
fn kept_cases_behave_as_interpreted() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/cases");
    let mut names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| name.extension().is_some_and(|extension| extension == "case"));
    names.sort();
    assert!(!names.is_empty(), "no cases in {directory}");
    for name in names {
        let case: Case = std::fs::read_to_string(&name).unwrap().parse().unwrap();
        for runtime in runtimes() {
            if let Err(difference) = run_case(&case, &runtime) {
                panic!("{} with {:?}:\n{difference}", name.display(), runtime.config());
            }
        }
    }
}
