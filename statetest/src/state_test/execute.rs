//! One state test in one mode.
//!
//! in   a subtest, an EVM factory
//! out  what happened and the state root after; the verdict on it
//!
//! The verdict is that of revm's own runner: an exception comes exactly where one is expected; otherwise the output (where
//! given), the hash of the logs and the state root are those of the test.

use super::fixture::Subtest;
use crate::{
    mode::{Factory, Outcome},
    roots,
    trace::Window,
};
use alloy_evm::Evm;
use alloy_primitives::B256;
use revm::{
    DatabaseCommit,
    database::{EmptyDB, State},
};

/// What one mode did with a subtest.
#[derive(Debug, Clone)]
pub struct Record {
    /// The transaction's result and changes, or its refusal.
    pub outcome: Outcome,
    /// The state root after it.
    pub state_root: B256,
}

fn database(subtest: &Subtest<'_>) -> State<EmptyDB> {
    State::builder().with_cached_prestate(subtest.pre.clone()).with_bundle_update().build()
}

/// Runs a subtest.
pub fn execute<F: Factory>(factory: &F, subtest: &Subtest<'_>) -> Record {
    let mut evm = factory.create_evm(database(subtest), subtest.env.clone());
    let outcome = match &subtest.transaction {
        Ok(transaction) => evm.transact(transaction.clone()).map_err(|error| error.to_string()),
        Err(reason) => Err(reason.clone()),
    };
    let mut database = evm.into_db();
    if let Ok(executed) = &outcome {
        database.commit(executed.state.clone());
    }
    Record { outcome, state_root: roots::state_root(&database.cache) }
}

/// Runs a subtest with a tracer.
pub fn trace<F: Factory>(factory: &F, subtest: &Subtest<'_>, window: &Window) {
    let mut evm = factory.create_evm_with_inspector(database(subtest), subtest.env.clone(), window.tracer());
    if let Ok(transaction) = &subtest.transaction {
        // Only the trace is wanted; the outcome is known from `execute`.
        let _outcome = evm.transact(transaction.clone());
    }
}

/// Judges what happened against what the test expects.
///
/// # Errors
/// The reason why the test failed.
pub fn verdict(subtest: &Subtest<'_>, record: &Record) -> Result<(), String> {
    let executed = match (&record.outcome, subtest.expected_exception) {
        (Err(_), Some(_)) => return Ok(()),
        (Err(reason), None) => return Err(format!("refused: {reason}")),
        (Ok(_), Some(expected)) => return Err(format!("not refused, although {expected} was expected")),
        (Ok(executed), None) => executed,
    };
    if let (Some(expected), Some(output)) = (subtest.expected_output, executed.result.output())
        && expected != output
    {
        return Err(format!("output {output} instead of {expected}"));
    }
    let logs_hash = roots::logs_hash(executed.result.logs());
    if logs_hash != subtest.expected_logs_hash {
        return Err(format!("logs hash {logs_hash} instead of {}", subtest.expected_logs_hash));
    }
    if record.state_root != subtest.expected_state_root {
        return Err(format!("state root {} instead of {}", record.state_root, subtest.expected_state_root));
    }
    Ok(())
}
