//! The hot-contract report: one row per code.
//!
//! in   an entry
//! out  [`ContractReport`]; reading it is no observation: nothing gets hotter, nothing counts as used

use super::{
    Speed, Tiers,
    entry::{Entry, Stage},
};
use crate::{
    code::{NativeCode, reason_of},
    compiler::Rejection,
};
use hotevm_ir::LeaveReason;
use revm::primitives::{B256, hardfork::SpecId};
use std::{cmp::Reverse, collections::BTreeMap};

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
    /// Gas charged while native code ran, at least: of what threads add at once, some is lost.
    pub native_gas: u64,
    /// Leaves out of a compiled region.
    pub leaves: u64,
    /// Where the code in place was left most often, whatever the reason, the most frequent first: at most [`LeaveSite::MAX`].
    pub leave_sites: Vec<LeaveSite>,
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

/// Leaves at one instruction for one reason. Those of host instructions behind themselves are in no such row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaveSite {
    /// The instruction that the interpreter went on at.
    pub pc: u32,
    /// Why, by the names of [`Statistics::leaves`](crate::Statistics::leaves).
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

impl LeaveSite {
    /// Rows that a report has for a contract.
    pub const MAX: usize = 8;

    /// The sites that a code was left at most.
    fn most(code: &NativeCode) -> Vec<Self> {
        // Several sites may lead to one instruction.
        let mut counts: BTreeMap<(u32, &'static str), u64> = BTreeMap::new();
        for (row, count) in code.left_by_site() {
            let reason = reason_of(row).map_or("", LeaveReason::name);
            *counts.entry((row.pc, reason)).or_default() += u64::from(count);
        }
        let mut sites: Vec<_> = counts.into_iter().map(|((pc, reason), count)| Self { pc, reason, count }).collect();
        sites.sort_by_key(|site| Reverse(site.count));
        sites.truncate(Self::MAX);
        sites
    }
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
            leave_sites: code.as_deref().map_or_else(Vec::new, LeaveSite::most),
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
        rows.sort_by_key(|row| (Reverse(row.native_gas + row.interpreted_gas), row.code_hash));
        rows
    }
}
