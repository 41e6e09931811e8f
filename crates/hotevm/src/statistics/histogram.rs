//! Histograms: how often values came, by their size in powers of two.
//!
//! in   values, recorded by workers
//! out  [`Histogram`]: count, sum, and a count for each power of two
//!
//! B1  Bucket 0 holds zeros, bucket `n` the values of `n` bits; the last one also holds what is larger.

use crate::sync::{AtomicU64, Ordering};

/// Buckets of a histogram.
const BUCKETS: usize = 48;

/// The shared side of a histogram; relaxed, since no value here guards another.
#[derive(Debug)]
pub(crate) struct Buckets {
    sum: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Buckets {
    fn default() -> Self {
        Self { sum: AtomicU64::new(0), buckets: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Buckets {
    /// Counts a value.
    pub(crate) fn record(&self, value: u64) {
        self.sum.fetch_add(value, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket_of(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reads all buckets, one after the other.
    pub(crate) fn snapshot(&self) -> Histogram {
        let buckets: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        Histogram { count: buckets.iter().sum(), sum: self.sum.load(Ordering::Relaxed), buckets }
    }
}

/// How often values came, by size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Values that came.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// How many of them were 0, 1, 2 to 3, 4 to 7, and so on.
    pub buckets: Vec<u64>,
}

impl Histogram {
    /// The greatest value that a bucket holds.
    pub const fn bucket_max(index: usize) -> u64 {
        if index == 0 { 0 } else { u64::MAX >> (64 - if index < 64 { index } else { 64 }) }
    }

    /// The mean; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count != 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// A value that this share of all values does not exceed, to the next power of two; none of nothing.
    pub fn quantile_max(&self, share: f64) -> Option<u64> {
        let wanted = (self.count as f64 * share.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut passed = 0;
        let found = self.buckets.iter().position(|count| {
            passed += count;
            passed >= wanted
        });
        found.map(Self::bucket_max)
    }

    /// What was added since an earlier snapshot.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before = |index: usize| earlier.buckets.get(index).copied().unwrap_or(0);
        Self {
            count: self.count.wrapping_sub(earlier.count),
            sum: self.sum.wrapping_sub(earlier.sum),
            buckets: self.buckets.iter().enumerate().map(|(index, count)| count.wrapping_sub(before(index))).collect(),
        }
    }
}

/// B1.
const fn bucket_of(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()) as usize;
    if bits < BUCKETS { bits } else { BUCKETS - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_values_fall_into_buckets_by_their_bits() {
        for (value, bucket) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (1024, 11), (u64::MAX, BUCKETS - 1)] {
            assert_eq!(bucket_of(value), bucket, "{value}");
        }
        for index in 0..BUCKETS {
            assert_eq!(bucket_of(Histogram::bucket_max(index)), index);
        }
    }

    #[test]
    fn quantiles_and_means() {
        let buckets = Buckets::default();
        assert_eq!((buckets.snapshot().mean(), buckets.snapshot().quantile_max(0.5)), (None, None));
        (0..90).for_each(|_| buckets.record(100));
        (0..10).for_each(|_| buckets.record(5000));
        let first = buckets.snapshot();
        assert_eq!((first.count, first.sum), (100, 59_000));
        assert_eq!(first.mean(), Some(590.0));
        assert_eq!(
            (first.quantile_max(0.5), first.quantile_max(0.9), first.quantile_max(0.99)),
            (Some(127), Some(127), Some(8191))
        );
        buckets.record(7);
        let added = buckets.snapshot().since(&first);
        assert_eq!((added.count, added.sum, added.quantile_max(1.0)), (1, 7, Some(7)));
    }
}
