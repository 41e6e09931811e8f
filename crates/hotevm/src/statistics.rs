//! Statistics: one table of counters and histograms, from which the shared atomics, the local deltas, the public snapshot, the
//! exported metrics and the list in the documents are derived.
//!
//! in   deltas that each EVM gathers without atomics and hands over when a transaction ends; values that workers record
//! out  [`Statistics`], monotone since the runtime was made; [`StatisticRow`]s; metrics, with the feature `metrics`
//!
//! C1  A thread that executes adds to plain numbers of its own. Histograms are recorded where a job ends, or code is taken away.
//! C2  What EVMs hand over is kept apart for each that lives, so that no thread writes where another does; snapshots add it up.

mod histogram;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(test)]
mod tests;

pub use histogram::Histogram;

use crate::sync::{Arc, AtomicU64, Mutex, Ordering, lock, try_lock};
use histogram::Buckets;

/// Declares an enum of rows with names, numbered in order.
macro_rules! named_rows {
    ($(#[$meta:meta])* $visibility:vis $type:ident { $($(#[doc = $meaning:literal])* $variant:ident => $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        $visibility enum $type { $($(#[doc = $meaning])* $variant,)* }

        impl $type {
            /// Names, in order.
            pub const NAMES: [&'static str; [$($name),*].len()] = [$($name),*];
            /// Every row, in order.
            pub const ALL: [Self; Self::NAMES.len()] = [$(Self::$variant),*];
            /// Number of rows.
            pub const COUNT: usize = Self::ALL.len();

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
        /// An inspector watches the frame.
        Inspected => "inspected",
        /// The frame runs init code.
        InitCode => "init-code",
        /// The code is not legacy bytecode.
        NotLegacy => "not-legacy",
        /// This build or this machine cannot run native code.
        Unavailable => "unavailable",
        /// The runtime is disabled.
        Disabled => "disabled",
        /// The EVM's gas costs or opcodes are its own, and so many others have theirs that no more are told apart, or another thread holds their table.
        Configurations => "configurations",
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

named_rows! {
    /// Why there is no code: the kinds of [`Rejection`](crate::Rejection).
    pub(crate) Cause {
        /// This build has no compiler.
        NoCompiler => "no-compiler",
        /// It is on the deny-list.
        Denied => "denied",
        /// Its hash is not that of its bytes.
        HashMismatch => "hash-mismatch",
        /// The compiler panicked.
        Panic => "panic",
        /// The fork is unknown.
        Fork => "fork",
        /// The middle end rejected it: too much work.
        Middle => "middle",
        /// LLVM made no object.
        Back => "back",
        /// LLVM met an error that it cannot go on after.
        Fatal => "fatal",
        /// Too many of these.
        CompilingOff => "compiling-off",
        /// The object was refused.
        Link => "link",
        /// No executable memory.
        Memory => "memory",
        /// An artifact is not for this process.
        Refused => "refused",
        /// It was forgotten meanwhile.
        Forgotten => "forgotten",
    }
}

/// A row of the table: what a number is called and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatisticRow {
    /// The name of the field of [`Statistics`]; metrics are called `hotevm_` and this.
    pub name: &'static str,
    /// What is counted, or how a histogram's values are spread.
    pub kind: StatisticKind,
    /// What it says.
    pub meaning: &'static str,
}

/// What a row of the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatisticKind {
    /// A number that only grows.
    Counter,
    /// Such a number for each of several reasons.
    Reasons(&'static [&'static str]),
    /// How often values came, by size.
    Histogram,
}

macro_rules! statistics {
    (
        frames: $($(#[doc = $local_meaning:literal])* $local:ident,)*
        ; others: $($(#[doc = $meaning:literal])* $name:ident,)*
        ; reasons: $($(#[doc = $reasons_meaning:literal])* $reasons:ident: $reason:ty,)*
        ; causes: $($(#[doc = $causes_meaning:literal])* $causes:ident: $cause:ty,)*
        ; histograms: $($(#[doc = $histogram_meaning:literal])* $histogram:ident,)*
    ) => {
        /// Local deltas of one EVM.
        #[derive(Debug)]
        pub(crate) struct Deltas {
            $(pub(crate) $local: u64,)*
            $(pub(crate) $reasons: [u64; <$reason>::COUNT],)*
        }

        impl Deltas {
            /// Nothing counted.
            pub(crate) const fn empty() -> Self {
                Self { $($local: 0,)* $($reasons: [0; <$reason>::COUNT],)* }
            }
        }

        /// What one EVM handed over (C2): written by its thread alone, read by snapshots; relaxed, as in [`Counters`].
        #[derive(Debug, Default)]
        pub(crate) struct Gathered {
            $($local: AtomicU64,)*
            $($reasons: [AtomicU64; <$reason>::COUNT],)*
        }

        impl Gathered {
            /// Takes over what its EVM counted since.
            pub(crate) fn add(&self, deltas: &mut Deltas) {
                $(add_alone(&self.$local, &mut deltas.$local);)*
                $(self.$reasons.iter().zip(&mut deltas.$reasons).for_each(|(total, delta)| add_alone(total, delta));)*
            }
        }

        /// The shared side: written by EVMs that hand over and by the compiler, read by snapshots; relaxed, since no value
        /// here guards another.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            /// What each EVM that lives or lived handed over; that of an EVM that is gone goes on as another's (C2).
            gathered: Mutex<Vec<Arc<Gathered>>>,
            $(pub(crate) $local: AtomicU64,)*
            $(pub(crate) $name: AtomicU64,)*
            $($reasons: [AtomicU64; <$reason>::COUNT],)*
            $(pub(crate) $causes: [AtomicU64; <$cause>::COUNT],)*
            $(pub(crate) $histogram: Buckets,)*
        }

        /// A snapshot of the counters of a [`Runtime`](crate::Runtime).
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Statistics {
            $($(#[doc = $local_meaning])* pub $local: u64,)*
            $($(#[doc = $meaning])* pub $name: u64,)*
            $($(#[doc = $reasons_meaning])* pub $reasons: Vec<(&'static str, u64)>,)*
            $($(#[doc = $causes_meaning])* pub $causes: Vec<(&'static str, u64)>,)*
            $($(#[doc = $histogram_meaning])* pub $histogram: Histogram,)*
        }

        impl Counters {
            /// Takes over what one EVM gathered.
            pub(crate) fn add(&self, deltas: &mut Deltas) {
                $(add(&self.$local, &mut deltas.$local);)*
                $(self.$reasons.iter().zip(&mut deltas.$reasons).for_each(|(total, delta)| add(total, delta));)*
            }

            /// Reads all counters, one after the other.
            pub(crate) fn snapshot(&self) -> Statistics {
                let gathered = lock(&self.gathered);
                let sum = |own: &AtomicU64, of: &dyn Fn(&Gathered) -> u64| {
                    gathered.iter().fold(own.load(Ordering::Relaxed), |sum, one| sum.wrapping_add(of(one)))
                };
                Statistics {
                    $($local: sum(&self.$local, &|one| one.$local.load(Ordering::Relaxed)),)*
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    $($reasons: <$reason>::NAMES.iter().zip(&self.$reasons).enumerate().map(|(index, (name, own))| {
                        (*name, sum(own, &|one| one.$reasons[index].load(Ordering::Relaxed)))
                    }).collect(),)*
                    $($causes: named(&<$cause>::NAMES, &self.$causes),)*
                    $($histogram: self.$histogram.snapshot(),)*
                }
            }
        }

        impl Statistics {
            /// The table, in order.
            pub const ROWS: &'static [StatisticRow] = &[
                $(StatisticRow {
                    name: stringify!($local),
                    kind: StatisticKind::Counter,
                    meaning: concat!($($local_meaning),*),
                },)*
                $(StatisticRow { name: stringify!($name), kind: StatisticKind::Counter, meaning: concat!($($meaning),*) },)*
                $(StatisticRow {
                    name: stringify!($reasons),
                    kind: StatisticKind::Reasons(&<$reason>::NAMES),
                    meaning: concat!($($reasons_meaning),*),
                },)*
                $(StatisticRow {
                    name: stringify!($causes),
                    kind: StatisticKind::Reasons(&<$cause>::NAMES),
                    meaning: concat!($($causes_meaning),*),
                },)*
                $(StatisticRow {
                    name: stringify!($histogram),
                    kind: StatisticKind::Histogram,
                    meaning: concat!($($histogram_meaning),*),
                },)*
            ];

            /// What was added since an earlier snapshot of the same runtime.
            pub fn since(&self, earlier: &Self) -> Self {
                Self {
                    $($local: self.$local.wrapping_sub(earlier.$local),)*
                    $($name: self.$name.wrapping_sub(earlier.$name),)*
                    $($reasons: subtract(&self.$reasons, &earlier.$reasons),)*
                    $($causes: subtract(&self.$causes, &earlier.$causes),)*
                    $($histogram: self.$histogram.since(&earlier.$histogram),)*
                }
            }

            /// Shows every number to one of three functions, by name, in the order of [`Self::ROWS`].
            #[cfg_attr(not(any(test, feature = "metrics")), expect(dead_code, reason = "only metrics and tests need it"))]
            pub(crate) fn visit(
                &self,
                mut counter: impl FnMut(&'static str, u64),
                mut reason: impl FnMut(&'static str, &'static str, u64),
                mut histogram: impl FnMut(&'static str, &Histogram),
            ) {
                $(counter(stringify!($local), self.$local);)*
                $(counter(stringify!($name), self.$name);)*
                $(self.$reasons.iter().for_each(|(name, count)| reason(stringify!($reasons), name, *count));)*
                $(self.$causes.iter().for_each(|(name, count)| reason(stringify!($causes), name, *count));)*
                $(histogram(stringify!($histogram), &self.$histogram);)*
            }
        }
    };
}

statistics! {
    frames:
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
    /// Frames whose run was noted in a profile.
    watched_frames,
    /// Frames that went from the interpreter into native code while they ran: at a loop head, or behind a call.
    loop_entries,
    ; others:
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
    /// Fatal errors of LLVM; each costs a thread, which stands still from then on.
    fatal_errors,
    /// Codes not compiled because too many fatal errors of LLVM had happened.
    compiling_off,
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
    /// How often a warm code stayed without an entry because too many jobs waited.
    queue_long,
    /// Codes that were not watched because profiles took too many bytes.
    profiles_full,
    ; reasons:
    /// How often native code gave a frame back to the interpreter, by reason.
    leaves: hotevm_ir::LeaveReason,
    /// How often a frame was interpreted from its start, or on from a leave, by reason.
    interpreted: Interpreted,
    ; causes:
    /// How often code was not compiled, or an artifact not taken, by reason.
    rejections: Cause,
    ; histograms:
    /// CPU time of a compilation, rejected ones included, in microseconds.
    job_cpu_us,
    /// Bytes of machine code and of its constants that a compilation made.
    job_code_bytes,
    /// Time from asking for a compilation to its start, in microseconds.
    queue_wait_us,
    /// Leaves out of a region, over the life of its code; known when the code is replaced or taken away.
    code_leaves,
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

impl Counters {
    /// What an EVM hands over to from now on: what one that is gone left, or new. None while another thread looks for its own.
    pub(crate) fn gather(&self) -> Option<Arc<Gathered>> {
        let mut gathered = try_lock(&self.gathered)?;
        // Whoever wrote to it before is done with it, and what it wrote is seen: `get_mut` acquires what the last drop released.
        if let Some(free) = gathered.iter_mut().position(|one| Arc::get_mut(one).is_some()) {
            return Some(gathered[free].clone());
        }
        let new = Arc::new(Gathered::default());
        gathered.push(new.clone());
        Some(new)
    }
}

#[inline]
fn add(total: &AtomicU64, delta: &mut u64) {
    if *delta != 0 {
        total.fetch_add(std::mem::take(delta), Ordering::Relaxed);
    }
}

/// The same where nobody else writes.
#[inline]
fn add_alone(total: &AtomicU64, delta: &mut u64) {
    if *delta != 0 {
        total.store(total.load(Ordering::Relaxed).wrapping_add(std::mem::take(delta)), Ordering::Relaxed);
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
