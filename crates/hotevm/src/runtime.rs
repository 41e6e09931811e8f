//! The runtime: a handle to what all EVMs of a process share.
//!
//! in   settings; calls by hand
//! out  compiled code and counters, through [`Tiers`]
//!
//! H1  No call by hand makes an executing thread wait: they take the locks of workers, never one that a frame needs.
//! H2  The last handle to be dropped shuts the workers down. EVMs hold handles, workers do not.

use crate::{
    compiler::{Compiler, Rejection},
    config::{Config, Instructions},
    configuration::Settings,
    statistics::Statistics,
    sync::{Arc, Ordering},
    tiers::{
        ContractReport, Tiers,
        entry::{Entry, Tier},
    },
};
use revm::primitives::{B256, Bytes, hardfork::SpecId, keccak256};
use std::time::{Duration, Instant};

/// A handle to the compiled code and the counters that EVMs share; cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) tiers: Arc<Tiers>,
    /// What makes artifacts; none over a compiler that stands in for it.
    pub(crate) compiler: Option<Arc<Compiler>>,
    /// What all handles share and workers do not (H2).
    _handles: Arc<Handles>,
}

/// Shuts the workers down when the last handle goes.
#[derive(Debug)]
struct Handles(Arc<Tiers>);

impl Drop for Handles {
    fn drop(&mut self) {
        self.0.stop(Duration::from_secs(self.0.config.tuning.shutdown_s.into()));
    }
}

impl Runtime {
    /// Makes a runtime, and enables it if the settings say so.
    ///
    /// # Errors
    /// When the compiler cannot be set up: an unknown target CPU.
    pub fn new(config: Config) -> eyre::Result<Self> {
        let compiler = Arc::new(Compiler::new(&config)?);
        Ok(Self::over(Tiers::new(config, Box::new(compiler.clone())), Some(compiler)))
    }

    /// A runtime over parts that are made already.
    pub(crate) fn over(tiers: Tiers, compiler: Option<Arc<Compiler>>) -> Self {
        let tiers = Arc::new(tiers);
        let runtime = Self { _handles: Arc::new(Handles(tiers.clone())), tiers, compiler };
        if runtime.tiers.config.enabled {
            runtime.enable();
        }
        runtime
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.tiers.config
    }

    /// The counters since the runtime was made. EVMs hand over at the end of each transaction and when dropped.
    pub fn statistics(&self) -> Statistics {
        self.tiers.counters.snapshot()
    }

    /// Hands what was counted since the last call to the recorder of the crate `metrics` that the process has installed; see
    /// [`Statistics::ROWS`] for the names. Call it from time to time; it takes no lock that a frame needs.
    #[cfg(feature = "metrics")]
    pub fn export_metrics(&self) {
        use crate::statistics::metrics;
        let mut exported = crate::sync::lock(&self.tiers.exported);
        if *exported == Statistics::default() {
            metrics::describe();
        }
        let now = self.statistics();
        metrics::export(&now.since(&exported));
        *exported = now;
    }

    /// Bytes of executable memory mapped now.
    pub fn mapped_bytes(&self) -> usize {
        self.tiers.compiler.mapped_bytes()
    }

    /// What is known of every code that has an entry, the hottest first.
    pub fn report(&self) -> Vec<ContractReport> {
        self.tiers.report()
    }

    /// Whether to take the time of every run of a contract that has an entry, for [`ContractReport::speed`]. That reads the clock twice
    /// a run, so it is off until asked for.
    pub fn time_contracts(&self, is_timed: bool) {
        self.tiers.is_timed.store(is_timed, Ordering::Relaxed);
    }

    /// What is known of a code, one row per configuration it was met under. Looking is no observation: it makes nothing hotter.
    pub fn peek(&self, code_hash: B256) -> Vec<ContractReport> {
        self.tiers.entries_of(code_hash).iter().map(|entry| self.tiers.report_of(entry)).collect()
    }

    /// Lets frames run natively, and starts the workers.
    pub fn enable(&self) {
        self.tiers.enable();
    }

    /// From the next transaction of each EVM on, everything is interpreted; jobs that wait are dropped and the workers end. Code and
    /// profiles stay for the time when the runtime is enabled again. False if a job still ran after the time that
    /// [`Tuning::shutdown_s`](crate::Tuning::shutdown_s) sets; it ends by itself.
    pub fn disable(&self) -> bool {
        self.tiers.disable();
        self.tiers.stop(Duration::from_secs(self.tiers.config.tuning.shutdown_s.into()))
    }

    /// Stops compiling after the jobs that run. Code that is there is used on, and jobs gather. In preset `test` the frames of code
    /// that is not compiled yet are watched meanwhile: what ran is laid out together later.
    pub fn pause(&self) {
        self.tiers.queue().pause(true);
    }

    /// Goes on compiling.
    pub fn resume(&self) {
        self.tiers.queue().pause(false);
    }

    /// Disables the runtime and waits at most so long for its workers; false if one still compiled then.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.tiers.disable();
        self.tiers.stop(timeout)
    }

    /// Waits until no job waits or runs and all code that the store is to keep is written, at most so long; false if that took too long.
    /// A store that fails is not waited for.
    pub fn settle(&self, timeout: Duration) -> bool {
        let start = Instant::now();
        let left = || timeout.saturating_sub(start.elapsed());
        // What is looked for in the store and not found becomes a job.
        while self.tiers.queue().settle(left()) {
            let is_written = self.tiers.writer.as_ref().is_none_or(|writer| writer.settle(left()));
            if !is_written || self.tiers.queue().settle(Duration::ZERO) {
                return is_written;
            }
        }
        false
    }

    /// Compiles a contract as a whole, for a fork with stock gas costs, in the calling thread; does nothing where that was done
    /// before.
    ///
    /// # Errors
    /// The reason why this code stays interpreted; it is remembered.
    pub fn compile(&self, bytecode: &Bytes, spec: SpecId, instructions: Instructions) -> Result<(), Rejection> {
        self.tiers.build(&self.entry(bytecode, spec, instructions), Tier::Whole)
    }

    /// Compiles a contract for a tier, in the calling thread. Tiers below `whole` take the blocks that were seen to run.
    ///
    /// # Errors
    /// The reason why this code stays interpreted; it is remembered.
    pub fn compile_tier(&self, bytecode: &Bytes, spec: SpecId, instructions: Instructions, tier: Tier) -> Result<(), Rejection> {
        self.tiers.build(&self.entry(bytecode, spec, instructions), tier)
    }

    /// Asks the workers to compile a contract for a tier, and does not wait.
    pub fn request(&self, bytecode: &Bytes, spec: SpecId, instructions: Instructions, tier: Tier) {
        self.tiers.request(&self.entry(bytecode, spec, instructions), tier);
    }

    /// Takes the native code of a contract away; it goes on as watched, with the profile it has. False if it had none.
    pub fn demote(&self, code_hash: B256) -> bool {
        let entries = self.tiers.entries_of(code_hash);
        entries.iter().filter(|entry| self.tiers.demote_entry(entry)).count() > 0
    }

    /// Removes all that is known of a contract, a rejection included. False if nothing was.
    pub fn forget(&self, code_hash: B256) -> bool {
        let entries = self.tiers.entries_of(code_hash);
        entries.iter().filter(|entry| self.tiers.forget_entry(entry)).count() > 0
    }

    /// Drops all jobs and forgets all contracts.
    pub fn clear(&self) {
        self.tiers.clear();
    }

    pub(crate) fn entry(&self, bytecode: &Bytes, spec: SpecId, instructions: Instructions) -> Arc<Entry> {
        let configuration = self.tiers.configurations.get(Settings::stock(spec, instructions.words()));
        self.tiers.entry((keccak256(bytecode), configuration.number), bytecode.clone(), &configuration)
    }

    /// Sets which instruction boundaries native code leaves at, in code compiled with [`Config::force_leaves`].
    pub fn set_leave_mask(&self, mask: u64) {
        self.tiers.leave_mask.store(mask, Ordering::Relaxed);
    }
}
