//! The runtime: what all EVMs of a process share.
//!
//! in   settings
//! out  a cheap handle, counters

use crate::{config::Config, statistics::{Counters, Statistics}, sync::{Arc, AtomicU64, Ordering}};

/// A handle to the compiled code and the counters that EVMs share; cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) shared: Arc<Shared>,
}

/// What handles point at.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    /// Mask of forced leaves: written by tests, read when a native run starts; relaxed, since it guards nothing.
    pub(crate) leave_mask: AtomicU64,
}

impl Runtime {
    /// Makes a runtime.
    ///
    /// # Errors
    /// When the compiler cannot be set up: an unknown target CPU, or a dump folder that cannot be made.
    pub fn new(config: Config) -> eyre::Result<Self> {
        Ok(Self { shared: Arc::new(Shared { config, counters: Counters::default(), leave_mask: AtomicU64::new(0) }) })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The counters since the runtime was made. EVMs hand over at the end of each transaction and when dropped.
    pub fn statistics(&self) -> Statistics {
        self.shared.counters.snapshot()
    }

    /// Sets which instruction boundaries native code leaves at, in code compiled with [`Config::force_leaves`].
    pub fn set_leave_mask(&self, mask: u64) {
        self.shared.leave_mask.store(mask, Ordering::Relaxed);
    }
}
