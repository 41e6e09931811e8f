//! `hotevm compile`: compiles bytecode and tells what came of it.
//!
//! in   a file with bytecode in hex, a fork, a pipeline
//! out  CPU time and bytes of machine code; with `--dump` the text of every stage

use eyre::{Context as _, bail};
use hotevm::{Config, Instructions, Optimisation, Preset, Runtime};
use revm::primitives::{Bytes, hardfork::SpecId, hex};
use std::path::PathBuf;

/// Arguments of `hotevm compile`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// File with bytecode in hex, with or without 0x.
    path: PathBuf,
    /// Fork, as revm spells it.
    #[arg(long, default_value = "Osaka")]
    fork: String,
    /// Pipeline: none, fast, or full.
    #[arg(long, default_value_t = Optimisation::Full)]
    optimisation: Optimisation,
    /// CPU to compile for, by LLVM's name; this machine's own unless given.
    #[arg(long)]
    target_cpu: Option<String>,
    /// Write the text of every stage into this folder.
    #[arg(long)]
    dump: Option<PathBuf>,
}

/// Compiles the file.
pub(crate) fn run(arguments: &Arguments) -> eyre::Result<bool> {
    let text = std::fs::read_to_string(&arguments.path).wrap_err_with(|| arguments.path.display().to_string())?;
    let bytes = hex::decode(text.trim()).wrap_err_with(|| arguments.path.display().to_string())?;
    let Ok(spec) = arguments.fork.parse::<SpecId>() else { bail!("no fork is called {:?}", arguments.fork) };
    let runtime = Runtime::new(Config {
        optimisation: arguments.optimisation,
        target_cpu: arguments.target_cpu.clone(),
        dump_dir: arguments.dump.clone(),
        ..Config::preset(Preset::Test)
    })?;
    if let Err(rejection) = runtime.compile(&Bytes::from(bytes), spec, Instructions::Stock) {
        println!("rejected: {rejection}");
        return Ok(false);
    }
    let statistics = runtime.statistics();
    println!("compiled in {:.1} ms of CPU to {} bytes of code", statistics.compile_cpu_ns as f64 / 1e6, statistics.code_bytes);
    Ok(true)
}
