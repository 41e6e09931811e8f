//! Counters: one table, from which the shared atomics, the local deltas and the public snapshot are derived.
//!
//! in   deltas that each EVM gathers without atomics and hands over when a transaction ends
//! out  [`Statistics`], monotone since the runtime was made

use crate::sync::{AtomicU64, Ordering};

/// Declares an enum of rows with names, numbered in order.
macro_rules! named_rows {
    ($(#[$meta:meta])* $visibility:vis $type:ident { $($(#[$row:meta])* $variant:ident => $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        $visibility enum $type { $($(#[$row])* $variant,)* }

        impl $type {
            /// Names, in order.
            pub const NAMES: [&'static str; [$($name),*].len()] = [$($name),*];
            /// Every row, in order.
            pub const ALL: [Self; Self::NAMES.len()] = [$(Self::$variant),*];

            /// The name that reports use.
            pub const fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.name())
            }
        }
    };
}

pub(crate) use named_rows;

named_rows! {
    /// Why a frame (or a stretch of it) was interpreted.
    pub(crate) Interpreted {
        /// The frame runs init code.
        InitCode => "init-code",
        /// The code is not legacy bytecode.
        NotLegacy => "not-legacy",
        /// This build or this machine cannot run native code.
        Unavailable => "unavailable",
        /// The runtime is disabled.
        Disabled => "disabled",
        /// The code hash is unknown, or does not belong to the bytes.
        HashMismatch => "hash-mismatch",
        /// The code is not hot.
        Cold => "cold",
        /// The code is warm: what it runs is noted.
        Watched => "watched",
        /// The compiler rejected the code.
        Rejected => "rejected",
        /// The frame is at a place without an entry point.
        NoEntry => "no-entry",
        /// The frame left native code for its end, or too often.
        Left => "left",
    }
}

impl Interpreted {
    /// Number of reasons.
    pub(crate) const COUNT: usize = Self::ALL.len();
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
                    interpreted: named(&Interpreted::NAMES, &self.interpreted),
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
    /// Frames whose run was noted in a profile.
    watched_frames,
    /// Frames that went from the interpreter into native code while they ran: at a loop head, or behind a call.
    loop_entries,
    /// Codes that became watched.
    became_watched,
    /// Codes published in tier `native-1`.
    became_native_1,
    /// Codes published in tier `native-2`.
    became_native_2,
    /// Codes published as a whole.
    became_whole,
    /// Codes compiled again with blocks that their leaves had shown.
    regrown,
    /// Codes that lost their native code: by hand, or at random in preset `stress`.
    demoted,
    /// Codes that lost their native code to the byte budget or to idleness.
    evicted,
    /// Entries removed: by hand, or because their hash was not that of their bytes.
    forgotten,
    /// Rejected codes that may be tried again.
    retried,
    /// Panics of the compiler.
    panics,
    /// Jobs put into the queue.
    queued,
    /// Jobs not put into the queue because one for the same code waited there.
    queue_merged,
    /// Jobs dropped because the queue was full of better ones.
    queue_dropped,
    /// Jobs not put into the queue because another thread held its lock; the code's next run tries again.
    queue_busy,
    /// Codes that stayed without an entry because there were too many entries.
    entries_full,
    /// Codes that were not watched because profiles took too many bytes.
    profiles_full,
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
