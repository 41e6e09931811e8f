//! The table of statistics and what is derived from it.
//!
//! in   the table; the document that lists it; a recorder of metrics, with the feature `metrics`
//! out  the document holds the table as it is (`UPDATE=1` writes it); every row reaches snapshot and metrics

use super::*;
use std::{fmt::Write, fs, path::Path};

/// The document: its text before the table stays.
const DOCUMENT: &str = "../../docs/statistics.md";
const HEAD: &str = "| name | kind | meaning |\n|---|---|---|\n";

fn table() -> String {
    let mut text = HEAD.to_owned();
    for row in Statistics::ROWS {
        let (kind, reasons) = match row.kind {
            StatisticKind::Counter => ("counter", String::new()),
            StatisticKind::Reasons(names) => ("counter by reason", format!(" Reasons: {}.", names.join(", "))),
            StatisticKind::Histogram => ("histogram", String::new()),
        };
        writeln!(text, "| `{}` | {kind} |{}{reasons} |", row.name, row.meaning).expect("writing to a string");
    }
    text
}

#[test]
fn the_document_lists_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let document = fs::read_to_string(&path).expect("the document is in the tree");
    let start = document.find(HEAD).expect("the document has the table's head");
    let end = document[start..].find("\n\n").map_or(document.len(), |length| start + length + 1);
    if std::env::var_os("UPDATE").is_some() {
        let updated = [&document[..start], &table(), &document[end..]].concat();
        fs::write(&path, updated).expect("the document can be written");
    } else {
        assert_eq!(&document[start..end], table(), "run it again with UPDATE=1");
    }
}

#[test]
fn every_row_is_shown_once_in_order() {
    let counters = Counters::default();
    counters.frames.fetch_add(3, Ordering::Relaxed);
    counters.job_cpu_us.record(1000);
    let shown = std::cell::RefCell::new(Vec::new());
    counters.snapshot().visit(
        |name, count| shown.borrow_mut().push((name, count)),
        |name, _, count| shown.borrow_mut().push((name, count)),
        |name, histogram| shown.borrow_mut().push((name, histogram.sum)),
    );
    let mut shown = shown.into_inner();
    assert!(shown.contains(&("frames", 3)) && shown.contains(&("job_cpu_us", 1000)));
    shown.dedup_by_key(|(name, _)| *name);
    let names: Vec<&str> = shown.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, Statistics::ROWS.iter().map(|row| row.name).collect::<Vec<_>>());
    assert!(Statistics::ROWS.iter().all(|row| row.meaning.trim().ends_with('.')), "every row says what it means");
}

#[test]
fn what_was_added_is_told() {
    let counters = Counters::default();
    let mut deltas = Deltas::empty();
    let mut more = || {
        (deltas.gas, deltas.leaves[1], deltas.interpreted[2]) = (7, 2, 5);
        counters.add(&mut deltas);
        counters.add(&mut deltas);
    };
    more();
    let first = counters.snapshot();
    more();
    counters.code_leaves.record(4);
    let added = counters.snapshot().since(&first);
    assert_eq!(
        (added.gas, added.leaves[1].1, added.interpreted[2].1, added.frames),
        (7, 2, 5, 0),
        "nothing is handed over twice"
    );
    assert_eq!((added.code_leaves.count, added.job_cpu_us.count), (1, 0));
}

#[test]
fn c2_what_an_evm_left_another_goes_on_with() {
    let counters = Counters::default();
    let count = |gas| {
        let mut deltas = Deltas::empty();
        (deltas.gas, deltas.leaves[1]) = (gas, 1);
        deltas
    };
    let [one, two] = [(); 2].map(|()| counters.gather().expect("nobody else looks"));
    assert!(!Arc::ptr_eq(&one, &two));
    one.add(&mut count(3));
    two.add(&mut count(40));
    counters.add(&mut count(500));
    drop(one);
    let three = counters.gather().expect("nobody else looks");
    three.add(&mut count(6000));
    let seen = counters.snapshot();
    assert_eq!((seen.gas, seen.leaves[1].1, lock(&counters.gathered).len()), (6543, 4, 2));
    let held = lock(&counters.gathered);
    assert!(counters.gather().is_none(), "an executing thread does not wait");
    drop(held);
}

#[cfg(feature = "metrics")]
mod recorded {
    //! A recorder that keeps everything in one map.

    use super::*;
    use crate::{
        Config, Preset, Runtime,
        sync::{Arc, Mutex, lock},
    };
    use ::metrics::{
        Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
        with_local_recorder,
    };
    use std::collections::BTreeMap;

    type Sums = Arc<Mutex<BTreeMap<String, f64>>>;

    #[derive(Debug)]
    struct Sum(Sums, String);

    impl Sum {
        fn add(&self, value: f64) {
            *lock(&self.0).entry(self.1.clone()).or_default() += value;
        }
    }

    impl CounterFn for Sum {
        fn increment(&self, value: u64) {
            self.add(value as f64);
        }

        fn absolute(&self, _value: u64) {}
    }

    impl HistogramFn for Sum {
        fn record(&self, value: f64) {
            self.add(value);
        }
    }

    #[derive(Debug, Default)]
    struct Kept(Sums);

    impl Kept {
        fn sum(&self, key: &Key) -> Arc<Sum> {
            let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
            Arc::new(Sum(self.0.clone(), key.name().to_owned() + &labels.collect::<String>()))
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, name: KeyName, _unit: Option<Unit>, meaning: SharedString) {
            lock(&self.0).insert(format!("{} means {meaning}", name.as_str()), 0.0);
        }

        fn describe_gauge(&self, _name: KeyName, _unit: Option<Unit>, _meaning: SharedString) {}

        fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
            self.describe_counter(name, unit, meaning);
        }

        fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.sum(key))
        }

        fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.sum(key))
        }
    }

    #[test]
    fn x1_metrics_are_what_was_added() {
        let runtime = Runtime::new(Config { enabled: false, ..Config::preset(Preset::Test) }).expect("a runtime");
        let counters = &runtime.tiers.counters;
        let kept = Kept::default();
        with_local_recorder(&kept, || {
            for _ in 0..2 {
                counters.gas.fetch_add(10, Ordering::Relaxed);
                counters.interpreted[Interpreted::Cold as usize].fetch_add(1, Ordering::Relaxed);
                counters.job_cpu_us.record(1000);
                runtime.export_metrics();
            }
            runtime.export_metrics();
        });
        let sums = lock(&kept.0).clone();
        assert_eq!(sums.get("hotevm_gas"), Some(&20.0));
        assert_eq!(sums.get("hotevm_interpreted reason=cold"), Some(&2.0));
        assert_eq!(sums.get("hotevm_job_cpu_us"), Some(&(2.0 * 1023.0)), "each value as the greatest of its bucket");
        for row in Statistics::ROWS {
            let described = format!("hotevm_{} means {}", row.name, row.meaning.trim());
            assert!(sums.contains_key(&described), "{described}");
        }
    }
}
