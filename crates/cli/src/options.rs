//! Options that several subcommands share.
//!
//! in   the command line
//! out  modes and their engines, settings of the runtime, CPUs to stay on

use crate::{aot::Store, pin};
use clap::Args;
use hotevm::{Config, Optimisation, Preset};
use hotevm_statetest::mode::{self, Engine, Mode};
use serde::Serialize;
use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a store may take for what was compiled.
const STORE_TIMEOUT: Duration = Duration::from_secs(60);

/// How to execute.
#[derive(Debug, Args)]
pub(crate) struct Execution {
    /// Modes, separated by commas: interpreter, jit, tiered, aot.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    mode: Vec<Mode>,
    /// How eagerly code is compiled: development, production, test, stress. For mode tiered; mode jit compiles whole
    /// contracts at their first call.
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// How much LLVM does: none, fast, full.
    #[arg(long, value_name = "LEVEL", default_value_t = Optimisation::Full)]
    optimisation: Optimisation,
    /// CPU to compile for, by LLVM's name, instead of this machine's.
    #[arg(long, value_name = "NAME")]
    target_cpu: Option<String>,
    /// Write a text dump of every stage of compiling below this folder.
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
    /// Write a perf map to this folder, so that `perf report` names compiled code; it looks in /tmp.
    #[arg(long, value_name = "DIR")]
    perf_map: Option<PathBuf>,
    #[command(flatten)]
    store: Store,
    /// Stay on these CPUs: numbers and ranges, separated by commas.
    #[arg(long, value_name = "CPUS")]
    pin: Option<String>,
}

/// What to take and what to write.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only what has this text in its name or path.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Only what runs on this fork.
    #[arg(long, value_name = "NAME")]
    pub(crate) fork: Option<String>,
    /// Print an EIP-3155 trace of everything that is executed, made in the first mode.
    #[arg(long)]
    pub(crate) trace: bool,
    /// Write a report to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Execution {
    /// Pins the process and makes the engines of all modes asked for.
    pub(crate) fn engines(&self, default_modes: &[Mode]) -> eyre::Result<Vec<Box<dyn Engine>>> {
        if let Some(cpus) = &self.pin {
            pin::stay_on(cpus)?;
        }
        let mut modes = Vec::new();
        for mode in if self.mode.is_empty() { default_modes } else { &self.mode } {
            if !modes.contains(mode) {
                modes.push(*mode);
            }
        }
        let keeps = |mode: &Mode| *mode == Mode::Aot || *mode == Mode::Tiered && self.store.is_named();
        let store = if modes.iter().any(keeps) { Some(self.store.shared()?) } else { None };
        let config = |mode| Config { store: store.clone().filter(|_| keeps(&mode)), ..self.config(mode) };
        Ok(modes.into_iter().map(|mode| mode::engine(mode, &config(mode))).collect::<Result<_, _>>()?)
    }

    fn config(&self, mode: Mode) -> Config {
        let usual = if mode == Mode::Tiered { Preset::Development } else { Preset::Test };
        Config {
            optimisation: self.optimisation,
            target_cpu: self.target_cpu.clone(),
            dump_dir: self.dump.clone(),
            perf_map: self.perf_map.clone(),
            ..Config::preset(self.preset.filter(|_| mode == Mode::Tiered).unwrap_or(usual))
        }
    }
}

/// Waits until the stores of all modes have what was compiled.
pub(crate) fn finish(engines: &[Box<dyn Engine>]) {
    for engine in engines.iter().filter(|engine| !engine.settle(STORE_TIMEOUT)) {
        eprintln!("hotevm: mode {}: the store did not take all code in time", engine.mode());
    }
}

/// Writes a report.
pub(crate) fn write_json(path: Option<&Path>, report: &impl Serialize) -> eyre::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let file = File::create(path).map_err(|error| eyre::eyre!("{}: {error}", path.display()))?;
    serde_json::to_writer_pretty(BufWriter::new(file), report).map_err(|error| eyre::eyre!("{}: {error}", path.display()))
}
