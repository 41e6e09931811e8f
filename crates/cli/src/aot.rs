//! `hotevm aot`: code compiled in advance and kept as artifacts.
//!
//! in   a folder of artifacts; for `build`, blocks and contracts
//! out  artifacts; lists and counts on standard output, or as JSON

mod build;

use crate::{options, progress::Progress};
use clap::{Args, Subcommand};
use eyre::WrapErr as _;
use hotevm::{
    Config, Runtime,
    store::{ArtifactStore, Count, DEFAULT_BUDGET_BYTES, DEFAULT_DIRECTORY, LocalConfig, LocalStore},
};
use serde_json::{Value, json};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Version of the reports; fields are only added.
const SCHEMA: u32 = 1;

const BYTES_PER_MIB: u64 = 1 << 20;

/// Where artifacts are.
#[derive(Debug, Args)]
pub(crate) struct Store {
    /// Folder of the artifacts (default: artifacts). Mode tiered keeps its code only where a folder is named.
    #[arg(long = "store", value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Take a folder that other users may write to; whoever can, can run code in this process.
    #[arg(long)]
    allow_others: bool,
    /// MiB that all artifacts together may take; the least used go first.
    #[arg(long, value_name = "MIB", default_value_t = DEFAULT_BUDGET_BYTES / BYTES_PER_MIB)]
    budget_mib: u64,
}

impl Store {
    /// Opens it.
    pub(crate) fn open(&self) -> eyre::Result<LocalStore> {
        let directory = self.directory.as_deref().unwrap_or(Path::new(DEFAULT_DIRECTORY));
        let budget_bytes = self.budget_mib.saturating_mul(BYTES_PER_MIB);
        let config = LocalConfig { budget_bytes, allow_others: self.allow_others, ..LocalConfig::new(directory) };
        LocalStore::open(config).wrap_err("--store")
    }

    /// Whether a folder was named.
    pub(crate) fn is_named(&self) -> bool {
        self.directory.is_some()
    }

    /// Opens it for a runtime.
    pub(crate) fn shared(&self) -> eyre::Result<Arc<dyn ArtifactStore>> {
        Ok(Arc::new(self.open()?))
    }
}

/// Arguments of the subcommands that only look at a store.
#[derive(Debug, Args)]
pub(crate) struct Look {
    #[command(flatten)]
    store: Store,
    /// Write a report to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What to do with artifacts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile the codes of blocks and contracts; what is there already is left alone.
    Build(build::Arguments),
    /// List the artifacts, by what they claim to be.
    List(Look),
    /// Read and check every artifact; what is damaged is moved aside.
    Verify(Look),
    /// Keep the budget: take away the least used, and what dead writers left.
    Gc(Look),
}

/// Runs a subcommand; true if everything held.
pub(crate) fn run(command: &Command) -> eyre::Result<bool> {
    match command {
        Command::Build(arguments) => build::run(arguments),
        Command::List(look) => list(look),
        Command::Verify(look) => verify(look),
        Command::Gc(look) => collect(look),
    }
}

fn list(look: &Look) -> eyre::Result<bool> {
    let mut artifacts = look.store.open()?.list()?;
    artifacts.sort_by_key(|artifact| (artifact.key.code_hash, artifact.key.digest()));
    let mut rows = Vec::new();
    let mut total_bytes = 0;
    for artifact in &artifacts {
        let (key, compiler) = (&artifact.key, &artifact.key.compiler);
        let tier = key.tier.name();
        println!(
            "{} {tier:<8} {:>9} bytes  {} {} {}",
            key.code_hash, artifact.len, key.target, compiler.version, compiler.options
        );
        total_bytes += artifact.len;
        rows.push(json!({
            "code_hash": key.code_hash, "gas": key.gas, "custom_opcodes": key.custom_opcodes, "abi": key.abi,
            "version": compiler.version, "llvm": compiler.llvm, "options": compiler.options, "target": key.target,
            "features": key.features, "tier": tier, "region": key.region, "bytes": artifact.len,
            "used_unix_s": artifact.used_unix_s,
        }));
    }
    println!("{} artifacts, {total_bytes} bytes", artifacts.len());
    options::write_json(look.json.as_deref(), &json!({"schema": SCHEMA, "artifacts": rows, "bytes": total_bytes}))?;
    Ok(true)
}

fn verify(look: &Look) -> eyre::Result<bool> {
    let store = look.store.open()?;
    let acceptance = Runtime::new(Config::default())?.acceptance();
    let total = store.list()?.len();
    let progress = Progress::new("artifacts");
    let (mut done, mut whole, mut usable, mut bytes) = (0, 0, 0, 0);
    let mut problems = Vec::new();
    store.verify(None, |name, checked| {
        done += 1;
        match checked {
            Ok(object) => {
                whole += 1;
                bytes += object.bytes().len();
                usable += usize::from(acceptance.check(&object.artifact().key).is_ok());
            }
            Err(error) => problems.push((name.to_owned(), error.to_string())),
        }
        progress.done(done, total.max(done));
        ControlFlow::Continue(())
    })?;
    drop(progress);
    problems.iter().for_each(|(name, problem)| println!("{name}: {problem}"));
    let problems: Vec<_> = problems.iter().map(|(file, problem)| json!({"file": file, "problem": problem})).collect();
    let counts = store.counts();
    let refused = counts.refused_total();
    println!("{whole} artifacts whole ({bytes} bytes), {usable} of them for this machine and compiler; {refused} refused");
    print_counts(&store);
    let report = json!({"schema": SCHEMA, "whole": whole, "usable": usable, "refused": refused, "bytes": bytes,
        "problems": problems, "counts": counts_json(&store)});
    options::write_json(look.json.as_deref(), &report)?;
    Ok(refused == 0 && counts.count(Count::Failed) == 0)
}

fn collect(look: &Look) -> eyre::Result<bool> {
    let store = look.store.open()?;
    let collected = store.collect(look.store.budget_mib.saturating_mul(BYTES_PER_MIB))?;
    let kept = store.list()?;
    let bytes: u64 = kept.iter().map(|artifact| artifact.len).sum();
    println!("{collected} artifacts collected, {} kept, {bytes} bytes", kept.len());
    let report = json!({"schema": SCHEMA, "collected": collected, "kept": kept.len(), "bytes": bytes});
    options::write_json(look.json.as_deref(), &report)?;
    Ok(true)
}

/// Prints the counters that are not zero.
fn print_counts(store: &LocalStore) {
    for (name, count) in store.counts().rows().filter(|(_, count)| *count > 0) {
        println!("{name:<24} {count:>8}");
    }
}

fn counts_json(store: &LocalStore) -> Value {
    store.counts().rows().map(|(name, count)| (name, Value::from(count))).collect::<serde_json::Map<_, _>>().into()
}
