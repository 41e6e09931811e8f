//! The hot-contract report of a replay, with the speed of each contract.
//!
//! in   engines after the last round, the runs
//! out  [`ReplayContract`]s: native speed from the engine's own runtime, the interpreter's from a runtime that never compiles

use super::load::Run;
use crate::{
    error::Error,
    mode::{self, Engine, Mode},
    report::{ReplayContract, ReplayLeaveSite},
};
use hotevm::{ContractReport, LeaveSite, Speed};
use revm::primitives::{B256, hardfork::SpecId};
use std::collections::HashMap;

/// Passes in which contracts are timed.
const TIMED_PASSES: usize = 5;

/// The contracts of every engine; timed if that is wanted.
pub(super) fn measure(runs: &[Run], engines: &[Box<dyn Engine>], timed: bool) -> Result<Vec<Vec<ReplayContract>>, Error> {
    let has_contracts = engines.iter().any(|engine| !engine.contracts().is_empty());
    let interpreted = if timed && has_contracts { interpreted(runs)? } else { HashMap::new() };
    let of_engine = |engine: &dyn Engine| {
        if timed && engine.mode() != Mode::Interpreter {
            pass(runs, engine);
        }
        engine.contracts().iter().map(|contract| report(contract, &interpreted)).collect()
    };
    Ok(engines.iter().map(|engine| of_engine(engine.as_ref())).collect())
}

/// Passes over all runs with the clock on.
fn pass(runs: &[Run], engine: &dyn Engine) {
    engine.time_contracts(true);
    for _ in 0..TIMED_PASSES {
        runs.iter().for_each(|run| drop(engine.replay(run, false)));
    }
    engine.time_contracts(false);
}

/// The interpreter's speed on every contract.
fn interpreted(runs: &[Run]) -> Result<HashMap<(B256, SpecId), Speed>, Error> {
    let engine = mode::interpreting()?;
    // The first frame of a contract has no entry yet.
    runs.iter().for_each(|run| drop(engine.replay(run, false)));
    pass(runs, engine.as_ref());
    Ok(engine.contracts().iter().map(|contract| ((contract.code_hash, contract.spec), contract.speed)).collect())
}

fn report(contract: &ContractReport, interpreted: &HashMap<(B256, SpecId), Speed>) -> ReplayContract {
    let native_mgas_per_s = contract.speed.native_mgas_per_s();
    let speed = interpreted.get(&(contract.code_hash, contract.spec));
    let interpreted_mgas_per_s = speed.and_then(Speed::interpreted_mgas_per_s);
    let speedup = native_mgas_per_s.zip(interpreted_mgas_per_s).filter(|(_, interpreted)| *interpreted > 0.0);
    ReplayContract {
        code_hash: contract.code_hash.to_string(),
        fork: contract.spec.to_string(),
        stage: contract.stage.name(),
        native_gas: contract.native_gas,
        interpreted_gas: contract.interpreted_gas,
        native_mgas_per_s,
        interpreted_mgas_per_s,
        speedup: speedup.map(|(native, interpreted)| native / interpreted),
        leaves: contract.leaves,
        leave_sites: contract.leave_sites.iter().map(leave_site).collect(),
        blocks: contract.blocks,
        compilations: contract.compilations,
        compile_cpu_ms: contract.compile_cpu_ns as f64 / 1e6,
        code_bytes: contract.code_bytes as u64,
        rejection: contract.rejection.as_ref().map(ToString::to_string),
    }
}

fn leave_site(site: &LeaveSite) -> ReplayLeaveSite {
    ReplayLeaveSite { pc: site.pc, reason: site.reason, count: site.count }
}
