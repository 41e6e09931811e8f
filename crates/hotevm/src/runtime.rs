//! The runtime: what all EVMs of a process share.
//!
//! in   settings; code that EVMs meet or that is compiled in advance
//! out  a cheap handle to compiled code and counters

use crate::{
    code::NativeCode,
    compiler::{Compiler, Rejection},
    config::{Config, Instructions, Preset},
    configuration::{Configuration, Configurations, Settings},
    entry::{Entry, Key},
    hashes::SpareHashes,
    statistics::{Counters, Deltas, Statistics},
    sync::{Arc, AtomicU64, Ordering},
};
use dashmap::DashMap;
use revm::primitives::{Bytes, hardfork::SpecId, keccak256};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A handle to the compiled code and the counters that EVMs share; cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
}

/// What the runtime has for a code.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing yet.
    Nothing,
    /// The hash does not belong to the bytes.
    HashMismatch,
    /// The compiler rejected the code.
    Rejected,
    /// Code that can be entered.
    Code(Arc<NativeCode>),
}

/// What handles point at.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) configurations: Configurations,
    entries: DashMap<Key, Arc<Entry>>,
    pub(crate) spare_hashes: SpareHashes,
    pub(crate) compiler: Compiler,
    /// Mask of forced leaves: written by tests, read when a native run starts; relaxed, since it guards nothing.
    pub(crate) leave_mask: AtomicU64,
}

impl Runtime {
    /// Makes a runtime.
    ///
    /// # Errors
    /// When the compiler cannot be set up: an unknown target CPU.
    pub fn new(config: Config) -> eyre::Result<Self> {
        let compiler = Compiler::new(&config)?;
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                counters: Counters::default(),
                configurations: Configurations::default(),
                entries: DashMap::new(),
                spare_hashes: SpareHashes::default(),
                compiler,
                leave_mask: AtomicU64::new(0),
            }),
        })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The counters since the runtime was made. EVMs hand over at the end of each transaction and when dropped.
    pub fn statistics(&self) -> Statistics {
        self.shared.counters.snapshot()
    }

    /// Bytes of executable memory mapped now.
    pub fn mapped_bytes(&self) -> usize {
        self.shared.compiler.memory.mapped_bytes()
    }

    /// Compiles a contract for a fork with stock gas costs, in advance; does nothing where that was done before.
    ///
    /// # Errors
    /// The reason why this code stays interpreted; it is remembered.
    pub fn compile(&self, bytecode: &Bytes, spec: SpecId, instructions: Instructions) -> Result<(), Rejection> {
        let configuration = self.shared.configurations.get(Settings::stock(spec, instructions.words()));
        let entry = self.shared.entry((keccak256(bytecode), configuration.number));
        entry.compiled(|| self.shared.compile(bytecode, &configuration)).as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Sets which instruction boundaries native code leaves at, in code compiled with [`Config::force_leaves`].
    pub fn set_leave_mask(&self, mask: u64) {
        self.shared.leave_mask.store(mask, Ordering::Relaxed);
    }
}

impl Shared {
    /// The entry of a key, made where there is none.
    pub(crate) fn entry(&self, key: Key) -> Arc<Entry> {
        if let Some(entry) = self.entries.get(&key) {
            return entry.value().clone();
        }
        self.entries.entry(key).or_default().value().clone()
    }

    /// The code for a key; in preset `test` it is compiled here and now, unless the hash is not that of the bytes.
    pub(crate) fn code(&self, key: Key, bytecode: impl FnOnce() -> Bytes, configuration: &Configuration) -> Found {
        let entry = if self.config.preset == Preset::Test {
            let entry = self.entry(key);
            if entry.peek().is_none() {
                let bytecode = bytecode();
                if keccak256(&bytecode) != key.0 {
                    return Found::HashMismatch;
                }
                entry.compiled(|| self.compile(&bytecode, configuration));
            }
            entry
        } else {
            let Some(entry) = self.entries.get(&key).map(|entry| entry.value().clone()) else { return Found::Nothing };
            entry
        };
        match entry.peek() {
            None => Found::Nothing,
            Some(Err(_)) => Found::Rejected,
            Some(Ok(code)) => Found::Code(code.clone()),
        }
    }

    fn compile(&self, bytecode: &Bytes, configuration: &Configuration) -> Result<Arc<NativeCode>, Rejection> {
        let start = cpu_time::ThreadTime::now();
        let compile = || match &self.config.store {
            Some(store) => self.compiler.stored(store.as_ref(), bytecode, configuration, &self.config),
            None => self.compiler.compile(bytecode, configuration, &self.config).map(|(code, bytes)| (code, bytes, true)),
        };
        let result = catch_unwind(AssertUnwindSafe(compile)).unwrap_or(Err(Rejection::Panic));
        let mut deltas = Deltas { compile_cpu_ns: start.elapsed().as_nanos() as u64, ..Deltas::default() };
        match &result {
            Ok((_, bytes, true)) => (deltas.compiled, deltas.code_bytes) = (1, *bytes as u64),
            Ok((_, _, false)) => deltas.artifacts_taken = 1,
            Err(_) => deltas.rejected = 1,
        }
        self.counters.add(&deltas);
        result.map(|(code, _, _)| Arc::new(code))
    }
}
