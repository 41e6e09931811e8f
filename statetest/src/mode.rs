//! Modes: the ways to execute that runners compare.
//!
//! in   names from the command line, settings of the runtime
//! out  an [`Engine`] per mode, which hides the type of its EVM
//!
//! M1  Mode `interpreter` is alloy-evm's own factory: no hotevm lies between.
//! M2  Everything that runs a test is generic over the factory; an engine only chooses it.

use crate::{
    block_test::{self, BlockRecord},
    error::Error,
    replay,
    state_test::{self, Subtest},
    trace::Window,
};
use alloy_evm::{EthEvmFactory, EvmFactory};
use hotevm::{Config, ContractReport, HotEvmFactory, Preset, Runtime, Statistics, Tuning};
use revm::{
    context::{
        BlockEnv, TxEnv,
        result::{HaltReason, ResultAndState},
    },
    primitives::hardfork::SpecId,
};
use std::{fmt, str::FromStr, time::Duration};

/// A way to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// revm as it is.
    Interpreter,
    /// Everything compiled in advance; code first seen later is compiled at its first call.
    Jit,
    /// Cold code is interpreted, hot code compiled in the background.
    Tiered,
    /// Code from an artifact store; what it lacks is compiled at its first call, and kept there.
    Aot,
}

const NAMES: [(Mode, &str); 4] =
    [(Mode::Interpreter, "interpreter"), (Mode::Jit, "jit"), (Mode::Tiered, "tiered"), (Mode::Aot, "aot")];

impl Mode {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(mode, _)| *mode == self).map_or("", |(_, name)| *name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(mode, _)| *mode)
            .ok_or_else(|| format!("{name:?} is none of interpreter, jit, tiered, aot"))
    }
}

/// What a transaction did, or why it was refused.
pub type Outcome = Result<ResultAndState<HaltReason>, String>;

/// An EVM factory that takes and returns what Ethereum's does.
pub trait Factory:
    EvmFactory<Spec = SpecId, BlockEnv = BlockEnv, Tx = TxEnv, HaltReason = HaltReason> + Clone + Send + Sync + 'static
{
}

impl<T> Factory for T where
    T: EvmFactory<Spec = SpecId, BlockEnv = BlockEnv, Tx = TxEnv, HaltReason = HaltReason> + Clone + Send + Sync + 'static
{
}

/// One mode, ready to execute; shared by all threads.
pub trait Engine: Send + Sync {
    /// Which mode it is.
    fn mode(&self) -> Mode;

    /// The runtime's counters; none where no runtime is involved.
    fn statistics(&self) -> Option<Statistics>;

    /// What the runtime knows of contracts, the hottest first; nothing where no runtime is involved.
    fn contracts(&self) -> Vec<ContractReport>;

    /// Whether the runtime takes the time of contracts.
    fn time_contracts(&self, is_timed: bool);

    /// Waits until nothing is compiled in the background; false if that took too long.
    fn settle(&self, timeout: Duration) -> bool;

    /// While paused, nothing is compiled, and what runs is noted.
    fn pause(&self, paused: bool);

    /// Runs one state test.
    fn state_test(&self, subtest: &Subtest<'_>) -> state_test::Record;

    /// Runs the blocks of one blockchain test.
    fn block_test(&self, case: &block_test::Case) -> Vec<BlockRecord>;

    /// Runs the transactions of one replay on a fresh database; `record` says whether to keep what they did.
    fn replay(&self, run: &replay::Run, record: bool) -> replay::Pass;

    /// Runs one state test with a tracer.
    fn trace_state_test(&self, subtest: &Subtest<'_>, window: &Window);

    /// Runs one blockchain test with a tracer on the transactions that `wanted` (block, transaction) names, or on all.
    fn trace_block_test(&self, case: &block_test::Case, wanted: Option<(usize, usize)>, window: &Window);

    /// Runs a replay with a tracer on one transaction, or on all.
    fn trace_replay(&self, run: &replay::Run, wanted: Option<usize>, window: &Window);
}

/// An engine made of a factory.
#[derive(Debug)]
struct FactoryEngine<F> {
    mode: Mode,
    factory: F,
    runtime: Option<Runtime>,
}

impl<F: Factory> Engine for FactoryEngine<F> {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn statistics(&self) -> Option<Statistics> {
        self.runtime.as_ref().map(Runtime::statistics)
    }

    fn contracts(&self) -> Vec<ContractReport> {
        self.runtime.as_ref().map(Runtime::report).unwrap_or_default()
    }

    fn time_contracts(&self, is_timed: bool) {
        if let Some(runtime) = &self.runtime {
            runtime.time_contracts(is_timed);
        }
    }

    fn settle(&self, timeout: Duration) -> bool {
        self.runtime.as_ref().is_none_or(|runtime| runtime.settle(timeout))
    }

    fn pause(&self, paused: bool) {
        match &self.runtime {
            Some(runtime) if paused => runtime.pause(),
            Some(runtime) => runtime.resume(),
            None => {}
        }
    }

    fn state_test(&self, subtest: &Subtest<'_>) -> state_test::Record {
        state_test::execute(&self.factory, subtest)
    }

    fn block_test(&self, case: &block_test::Case) -> Vec<BlockRecord> {
        block_test::execute(&self.factory, case)
    }

    fn replay(&self, run: &replay::Run, record: bool) -> replay::Pass {
        replay::execute(&self.factory, run, record, || self.statistics())
    }

    fn trace_state_test(&self, subtest: &Subtest<'_>, window: &Window) {
        state_test::trace(&self.factory, subtest, window);
    }

    fn trace_block_test(&self, case: &block_test::Case, wanted: Option<(usize, usize)>, window: &Window) {
        block_test::trace(&self.factory, case, wanted, window);
    }

    fn trace_replay(&self, run: &replay::Run, wanted: Option<usize>, window: &Window) {
        replay::trace(&self.factory, run, wanted, window);
    }
}

/// Makes the engine of a mode. `config` is for the runtime of modes that have one.
///
/// # Errors
/// When the mode is not part of this build, or its runtime cannot be set up.
pub fn engine(mode: Mode, config: &Config) -> Result<Box<dyn Engine>, Error> {
    match mode {
        Mode::Interpreter => Ok(interpreter()),
        Mode::Jit if hotevm::native_available() => hot(mode, &Config { store: None, ..config.clone() }),
        Mode::Tiered if hotevm::native_available() => hot(mode, config),
        Mode::Aot if config.store.is_some() => hot(mode, config),
        Mode::Jit | Mode::Tiered | Mode::Aot => Err(Error::ModeUnavailable { mode }),
    }
}

/// The engine of mode `interpreter`.
pub fn interpreter() -> Box<dyn Engine> {
    with_factory(Mode::Interpreter, EthEvmFactory::default())
}

/// An engine over any factory, reported as `mode`; it has no counters.
pub fn with_factory(mode: Mode, factory: impl Factory) -> Box<dyn Engine> {
    Box::new(FactoryEngine { mode, factory, runtime: None })
}

/// The engine of mode `tiered` in which contracts get warm at once and stay so: it interprets, and can tell how fast.
///
/// # Errors
/// When its runtime cannot be set up.
pub fn interpreting() -> Result<Box<dyn Engine>, Error> {
    let tuning = Tuning { warm_gas: 1, watched_frames_max: 0, eagerness: f64::INFINITY, ..Tuning::preset(Preset::Production) };
    hot(Mode::Tiered, &Config { tuning, ..Config::preset(Preset::Production) })
}

fn hot(mode: Mode, config: &Config) -> Result<Box<dyn Engine>, Error> {
    let runtime = Runtime::new(config.clone()).map_err(|error| Error::Runtime { reason: format!("{error:#}") })?;
    // Nothing where no store is set. A measured run begins with what the store has.
    runtime.preload().map_err(|error| Error::Runtime { reason: error.to_string() })?;
    let factory = HotEvmFactory::new(runtime.clone());
    Ok(Box::new(FactoryEngine { mode, factory, runtime: Some(runtime) }))
}

/// The gas shares of a stretch of counting: native, table calls, init code; each null where it is not defined.
pub fn gas_shares(statistics: Option<&Statistics>) -> [Option<f64>; 3] {
    let Some(statistics) = statistics else { return [None; 3] };
    [statistics.native_gas_share(), statistics.table_call_gas_share(), statistics.init_code_gas_share()]
}
