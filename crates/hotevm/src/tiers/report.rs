//! The hot-contract report: one row per code.
//!
//! in   an entry
//! out  [`ContractReport`]; reading it is no observation: nothing gets hotter, nothing counts as used

use super::{
    Speed, Tiers,
    entry::{Entry, Stage},
};
use crate::compiler::Rejection;
use revm::primitives::{B256, hardfork::SpecId};

/// What the runtime knows of a code under a configuration.
#[derive(Debug, Clone)]
pub struct ContractReport {
    /// Hash of the code.
    pub code_hash: B256,
    /// Fork of the configuration.
    pub spec: SpecId,
    /// How far it has come.
    pub stage: Stage,
    /// Gas spent in the interpreter since the code was last without native code.
    pub interpreted_gas: u64,
    /// Gas charged while native code ran.
    pub native_gas: u64,
    /// Leaves out of a compiled region.
    pub leaves: u64,
    /// Blocks that watched frames saw.
    pub blocks: u32,
    /// EVM instructions of the code in place.
    pub instructions: usize,
    /// Bytes of machine code in place.
    pub code_bytes: usize,
    /// Compilations so far.
    pub compilations: u32,
    /// CPU time of all compilations, in nanoseconds.
    pub compile_cpu_ns: u64,
    /// Gas over time, as far as [`Runtime::time_contracts`](crate::Runtime::time_contracts) asked for it.
    pub speed: Speed,
    /// Why it is rejected, if it is.
    pub rejection: Option<Rejection>,
}

impl Tiers {
    pub(crate) fn report_of(&self, entry: &Entry) -> ContractReport {
        let code = entry.code();
        let ledger = entry.ledger();
        ContractReport {
            code_hash: entry.key.0,
            spec: entry.configuration.settings.spec,
            stage: entry.stage(),
            interpreted_gas: entry.heat(),
            native_gas: ledger.native_gas_before + code.as_ref().map_or(0, |code| code.gas()),
            leaves: ledger.leaves_before + code.as_ref().map_or(0, |code| code.left()),
            blocks: entry.profile().map_or(0, super::Profile::blocks),
            instructions: code.as_ref().map_or(0, |code| code.instructions),
            code_bytes: code.as_ref().map_or(0, |code| code.bytes),
            compilations: ledger.compilations,
            compile_cpu_ns: ledger.compile_cpu_ns,
            speed: entry.timed.speed(),
            rejection: ledger.rejected.as_ref().map(|rejected| rejected.reason.clone()),
        }
    }

    /// One row per entry, the hottest first.
    pub(crate) fn report(&self) -> Vec<ContractReport> {
        let mut rows: Vec<ContractReport> = self.all_entries().iter().map(|entry| self.report_of(entry)).collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.native_gas + row.interpreted_gas), row.code_hash));
        rows
    }
}
