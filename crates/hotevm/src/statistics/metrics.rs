//! Statistics as metrics, for whatever recorder the process has installed.
//!
//! in   two snapshots of one runtime
//! out  counters `hotevm_NAME`, those by reason with the label `reason`; histograms `hotevm_NAME`, a value as the greatest of its bucket
//!
//! X1  What is handed over is what was added since the last time, so that the numbers of several runtimes add up.

use super::{Histogram, StatisticKind, Statistics};

/// Hands over what was added.
pub(crate) fn export(added: &Statistics) {
    added.visit(
        |name, count| ::metrics::counter!(full(name)).increment(count),
        |name, reason, count| ::metrics::counter!(full(name), "reason" => reason).increment(count),
        |name, histogram| {
            let handle = ::metrics::histogram!(full(name));
            let counted = histogram.buckets.iter().enumerate().filter(|(_, count)| **count != 0);
            counted.for_each(|(index, count)| handle.record_many(Histogram::bucket_max(index) as f64, *count as usize));
        },
    );
}

/// Tells the recorder what every metric means.
pub(crate) fn describe() {
    for row in Statistics::ROWS {
        match row.kind {
            StatisticKind::Counter | StatisticKind::Reasons(_) => {
                ::metrics::describe_counter!(full(row.name), row.meaning.trim())
            }
            StatisticKind::Histogram => ::metrics::describe_histogram!(full(row.name), row.meaning.trim()),
        }
    }
}

fn full(name: &str) -> String {
    format!("hotevm_{name}")
}
