//! `hotevm aot build`: compiles every code of blocks and contracts that the store does not have.
//!
//! in   files and folders, or nothing for the embedded sample chain; a store
//! out  artifacts; how many were there, made, rejected
//!
//! B1  Building again does only what is missing: a code is looked up by the key of what would be made of it.
//! B2  What the fixtures' own transactions run is laid out together; the transactions run once for it, interpreted.
//! B3  Several threads, and several processes, may build into one store.

use super::{SCHEMA, Store, counts_json, print_counts};
use crate::{options, progress::Progress};
use clap::Args;
use eyre::{WrapErr as _, bail};
use hotevm::{
    Config, HotEvmFactory, Instructions, Optimisation, Preset, Runtime,
    store::{ArtifactStore, LocalStore, Stored},
};
use hotevm_statetest::{
    fixture, fork, parallel,
    replay::{self, Run},
    sample,
};
use revm::primitives::{B256, Bytes, hardfork::SpecId};
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

/// Arguments of `aot build`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Blocks and contracts: .json or .json.gz files, or folders of them; none means the embedded sample chain.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    store: Store,
    /// Compile for this fork instead of each block's own.
    #[arg(long, value_name = "NAME")]
    fork: Option<String>,
    /// How much LLVM does: none, fast, full.
    #[arg(long, value_name = "LEVEL", default_value_t = Optimisation::Full)]
    optimisation: Optimisation,
    /// CPU to compile for, by LLVM's name, instead of this machine's.
    #[arg(long, value_name = "NAME")]
    target_cpu: Option<String>,
    /// Threads; all CPUs unless told otherwise.
    #[arg(short = 'j', long = "jobs", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Write a report to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What came of one code.
enum Outcome {
    /// The store had it.
    Present,
    /// It was compiled, in so many nanoseconds of CPU, to so many bytes of file.
    Built { cpu_ns: u64, bytes: u64 },
    /// The compiler rejected it.
    Rejected(String),
    /// The store did not take it.
    Failed(String),
}

/// Builds; true if the store took everything that was compiled.
pub(crate) fn run(arguments: &Arguments) -> eyre::Result<bool> {
    if !hotevm::native_available() {
        bail!("this build has no compiler");
    }
    let store = arguments.store.open()?;
    let runtime = Runtime::new(Config {
        optimisation: arguments.optimisation,
        target_cpu: arguments.target_cpu.clone(),
        ..Config::preset(Preset::Test)
    })?;
    let runs = if arguments.paths.is_empty() { sample::runs()? } else { replay::load(&fixture::find(&arguments.paths)?)? };
    let codes = codes(arguments, &runs)?;
    watch(&runtime, &runs);
    let start = Instant::now();
    let threads = arguments.jobs.map_or_else(parallel::default_threads, |jobs| jobs as usize);
    let outcomes = build_all(&runtime, &store, &codes, threads)?;
    let (mut present, mut built, mut cpu_ns, mut bytes) = (0, 0, 0, 0);
    let (mut rejected, mut failed) = (Vec::new(), Vec::new());
    for (code_hash, outcome) in outcomes {
        match outcome {
            Outcome::Present => present += 1,
            Outcome::Built { cpu_ns: more_ns, bytes: more } => {
                (built, cpu_ns, bytes) = (built + 1, cpu_ns + more_ns, bytes + more);
            }
            Outcome::Rejected(reason) => rejected.push(json!({"code_hash": code_hash, "reason": reason})),
            Outcome::Failed(reason) => failed.push(json!({"code_hash": code_hash, "reason": reason})),
        }
    }
    let (seconds, cpu_ms) = (start.elapsed().as_secs_f64(), cpu_ns as f64 / 1e6);
    println!(
        "{} codes: {present} present, {built} built ({bytes} bytes, {cpu_ms:.1} ms of CPU), {} rejected, {} not stored; {seconds:.1} s",
        codes.len(),
        rejected.len(),
        failed.len(),
    );
    for row in rejected.iter().chain(&failed) {
        println!("{} {}", row["code_hash"].as_str().unwrap_or_default(), row["reason"].as_str().unwrap_or_default());
    }
    print_counts(&store);
    let held = failed.is_empty();
    let report = json!({"schema": SCHEMA, "codes": codes.len(), "present": present, "built": built, "bytes": bytes,
        "compile_cpu_ms": cpu_ms, "wall_s": seconds, "rejected": rejected, "failed": failed, "counts": counts_json(&store)});
    options::write_json(arguments.json.as_deref(), &report)?;
    Ok(held)
}

/// A code and the fork to compile it for.
type Code = (B256, SpecId, Bytes);

/// The legacy codes of all fixtures, each once for each fork.
fn codes(arguments: &Arguments, runs: &[Run]) -> eyre::Result<Vec<Code>> {
    let forced = match &arguments.fork {
        Some(name) => Some(fork::spec_id(name).ok_or_else(|| eyre::eyre!("no fork is called {name:?}"))?),
        None => None,
    };
    let mut codes = BTreeMap::new();
    for run in runs {
        let spec = forced.unwrap_or(run.env.cfg_env.spec);
        for (code_hash, code) in &run.database.cache.contracts {
            if code.is_legacy() && !code.is_empty() {
                codes.entry((*code_hash, spec as u8)).or_insert_with(|| (*code_hash, spec, code.original_bytes()));
            }
        }
    }
    Ok(codes.into_values().collect())
}

/// Runs everything once in the interpreter, so that what runs can be laid out together.
fn watch(runtime: &Runtime, runs: &[Run]) {
    runtime.pause();
    let factory = HotEvmFactory::new(runtime.clone());
    for run in runs {
        replay::execute(&factory, run, false, || None);
    }
    runtime.resume();
}

/// Compiles and stores what is missing, on several threads; the outcomes in the order of the codes.
fn build_all(runtime: &Runtime, store: &LocalStore, codes: &[Code], threads: usize) -> eyre::Result<Vec<(B256, Outcome)>> {
    let progress = Progress::new("codes");
    // `next` hands codes out, `done` counts them; neither guards anything, so both are relaxed.
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let outcomes = Mutex::new(Vec::with_capacity(codes.len()));
    let worker = || {
        while let Some(code) = codes.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = build(runtime, store, code);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((code.0, outcome));
            progress.done(done.fetch_add(1, Ordering::Relaxed) + 1, codes.len());
        }
    };
    thread::scope(|scope| -> eyre::Result<()> {
        for _ in 0..threads.clamp(1, codes.len().max(1)) {
            thread::Builder::new().spawn_scoped(scope, worker).wrap_err("a thread")?;
        }
        Ok(())
    })?;
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(code_hash, _)| *code_hash);
    Ok(outcomes)
}

fn build(runtime: &Runtime, store: &LocalStore, (code_hash, spec, bytecode): &Code) -> Outcome {
    let is_there = |key| matches!(store.load(&key, None), Ok(Some(_)));
    if runtime.artifact_key(*code_hash, *spec, Instructions::Stock).is_some_and(is_there) {
        return Outcome::Present;
    }
    let object = match runtime.build_artifact(bytecode, *spec, Instructions::Stock) {
        Ok(object) => object,
        Err(rejection) => return Outcome::Rejected(rejection.to_string()),
    };
    match store.store(&object) {
        Ok(Stored::Present) => Outcome::Present,
        Ok(Stored::New) => Outcome::Built { cpu_ns: object.artifact().compile_cpu_ns, bytes: object.bytes().len() as u64 },
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
