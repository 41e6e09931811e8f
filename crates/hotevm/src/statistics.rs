//! Counters: one table, from which the shared atomics, the local deltas and the public snapshot are derived.
//!
//! in   deltas that each EVM gathers without atomics and hands over when a transaction ends
//! out  [`Statistics`], monotone since the runtime was made

use crate::sync::{AtomicU64, Ordering};

/// Names of the reasons why a frame was interpreted, in the order of [`Interpreted`].
pub(crate) const INTERPRETED_NAMES: [&str; Interpreted::COUNT] =
    ["init-code", "not-legacy", "unavailable", "hash-mismatch", "not-compiled", "rejected", "no-entry"];

/// Why a frame (or a stretch of it) was interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Interpreted {
    /// The frame runs init code.
    InitCode,
    /// The code is not legacy bytecode.
    NotLegacy,
    /// This build or this machine cannot run native code.
    Unavailable,
    /// The code hash does not belong to the bytes.
    HashMismatch,
    /// The code is not compiled (yet).
    NotCompiled,
    /// The compiler rejected the code.
    Rejected,
    /// The frame is at a place without an entry point.
    NoEntry,
}

impl Interpreted {
    /// Number of reasons.
    pub(crate) const COUNT: usize = 7;
}

macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// Local deltas of one EVM.
        #[derive(Debug, Clone, Default)]
        pub(crate) struct Deltas {
            $(pub(crate) $name: u64,)*
            pub(crate) leaves: [u64; hotevm_ir::LeaveReason::COUNT],
            pub(crate) interpreted: [u64; Interpreted::COUNT],
        }

        impl Deltas {
            /// Nothing counted.
            pub(crate) const fn empty() -> Self {
                Self {
                    $($name: 0,)*
                    leaves: [0; hotevm_ir::LeaveReason::COUNT],
                    interpreted: [0; Interpreted::COUNT],
                }
            }
        }

        /// The shared side: written by EVMs that hand over and by the compiler, read by snapshots; relaxed, since no value
        /// here guards another.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            leaves: [AtomicU64; hotevm_ir::LeaveReason::COUNT],
            interpreted: [AtomicU64; Interpreted::COUNT],
        }

        /// A snapshot of the counters of a [`Runtime`](crate::Runtime).
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Statistics {
            $($(#[$meta])* pub $name: u64,)*
            /// How often native code gave a frame back to the interpreter, by reason.
            pub leaves: Vec<(&'static str, u64)>,
            /// How often a frame was interpreted from its start, or on from a leave, by reason.
            pub interpreted: Vec<(&'static str, u64)>,
        }

        impl Counters {
            /// Adds what one EVM gathered.
            pub(crate) fn add(&self, deltas: &Deltas) {
                $(if deltas.$name != 0 { self.$name.fetch_add(deltas.$name, Ordering::Relaxed); })*
                add_each(&self.leaves, &deltas.leaves);
                add_each(&self.interpreted, &deltas.interpreted);
            }

            /// Reads all counters, one after the other.
            pub(crate) fn snapshot(&self) -> Statistics {
                Statistics {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    leaves: named(&hotevm_ir::LeaveReason::NAMES, &self.leaves),
                    interpreted: named(&INTERPRETED_NAMES, &self.interpreted),
                }
            }
        }

        impl Statistics {
            /// What was added since an earlier snapshot of the same runtime.
            pub fn since(&self, earlier: &Self) -> Self {
                Self {
                    $($name: self.$name.wrapping_sub(earlier.$name),)*
                    leaves: subtract(&self.leaves, &earlier.leaves),
                    interpreted: subtract(&self.interpreted, &earlier.interpreted),
                }
            }
        }
    };
}

counters! {
    /// Frames started.
    frames,
    /// Call frames of legacy code without an inspector.
    eligible_frames,
    /// Eligible frames that entered native code at least once.
    native_frames,
    /// Native runs: entries into native code, first entries and returns to it.
    native_runs,
    /// Gas charged, where it is charged: gas handed to a callee counts in the callee, gas burnt by a halt nowhere.
    gas,
    /// The part of `gas` charged in eligible frames.
    eligible_gas,
    /// The part of `eligible_gas` charged while native code ran.
    native_gas,
    /// The part of `native_gas` charged in table calls of opcodes that are meant to be inline or to have a builtin.
    table_call_gas,
    /// The part of `gas` charged in init code.
    init_code_gas,
    /// Codes compiled.
    compiled,
    /// Codes taken from artifacts.
    artifacts_taken,
    /// Codes that the compiler rejected.
    rejected,
    /// CPU time spent compiling, in nanoseconds.
    compile_cpu_ns,
    /// Bytes of machine code and of its constants, of all codes compiled.
    code_bytes,
}

impl Statistics {
    /// Share of the gas of eligible frames that was charged while native code ran; none where there was no such gas.
    pub fn native_gas_share(&self) -> Option<f64> {
        share(self.native_gas, self.eligible_gas)
    }

    /// Share of the gas of eligible frames charged in table calls of opcodes that are meant to be inline or to have a builtin.
    pub fn table_call_gas_share(&self) -> Option<f64> {
        share(self.table_call_gas, self.eligible_gas)
    }

    /// Share of all gas charged in init code.
    pub fn init_code_gas_share(&self) -> Option<f64> {
        share(self.init_code_gas, self.gas)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

fn add_each(totals: &[AtomicU64], deltas: &[u64]) {
    for (total, delta) in totals.iter().zip(deltas) {
        if *delta != 0 {
            total.fetch_add(*delta, Ordering::Relaxed);
        }
    }
}

fn named(names: &[&'static str], totals: &[AtomicU64]) -> Vec<(&'static str, u64)> {
    names.iter().zip(totals).map(|(name, total)| (*name, total.load(Ordering::Relaxed))).collect()
}

fn subtract(later: &[(&'static str, u64)], earlier: &[(&'static str, u64)]) -> Vec<(&'static str, u64)> {
    later
        .iter()
        .map(|(name, count)| {
            let before = earlier.iter().find(|(other, _)| other == name).map_or(0, |(_, count)| *count);
            (*name, count.wrapping_sub(before))
        })
        .collect()
}
