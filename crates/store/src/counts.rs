//! Counters of a store: one table, and one counter for each reason to refuse.
//!
//! in   events, from any thread
//! out  a snapshot

use crate::sync::{AtomicU64, Ordering};
use hotevm_abi::Refusal;

macro_rules! counts {
    ($($variant:ident $name:literal $meaning:literal,)*) => {
        /// What a store counts besides refusals.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Count { $(#[doc = $meaning] $variant,)* }

        impl Count {
            /// Every counter, in order.
            pub const ALL: &[Count] = &[$(Count::$variant,)*];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

counts! {
    Loaded "loaded" "artifacts read and handed out",
    Stored "stored" "artifacts written",
    Present "present" "artifacts to be written that were there already",
    Collected "collected" "artifacts taken away to keep the budget",
    Deleted "deleted" "artifacts taken away by hand",
    Failed "failed" "operations that the file system refused",
    NotMoved "not-moved" "refused artifacts that could not be moved aside",
}

const COUNTS: usize = Count::ALL.len();
const REFUSALS: usize = Refusal::ALL.len();

/// The live counters. Written by whoever uses the store, read by snapshots; relaxed, since they guard nothing.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    counts: [AtomicU64; COUNTS],
    refusals: [AtomicU64; REFUSALS],
}

impl Counters {
    pub(crate) fn add(&self, count: Count) {
        if let Some(counter) = self.counts.get(count as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        if let Some(counter) = self.refusals.get(refusal as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> StoreCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreCounts { counts: self.counts.each_ref().map(load), refusals: self.refusals.each_ref().map(load) }
    }
}

/// A snapshot of the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreCounts {
    counts: [u64; COUNTS],
    refusals: [u64; REFUSALS],
}

impl StoreCounts {
    /// One counter.
    pub fn count(&self, count: Count) -> u64 {
        self.counts.get(count as usize).copied().unwrap_or_default()
    }

    /// How many artifacts were refused for a reason.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refusals.get(refusal as usize).copied().unwrap_or_default()
    }

    /// How many artifacts were refused, whatever the reason.
    pub fn refused_total(&self) -> u64 {
        self.refusals.iter().sum()
    }

    /// Name and value of every counter: first the counts, then a row for each reason to refuse.
    pub fn rows(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let counts = Count::ALL.iter().map(|count| (count.name().to_owned(), self.count(*count)));
        counts.chain(Refusal::ALL.iter().map(|refusal| (format!("refused-{}", refusal.name()), self.refused(*refusal))))
    }
}
