//! What a line found: figures to show, and promises that do not hold.
//!
//! in   values out of a report, with bounds
//! out  named figures, failures in words
//!
//! F1  A value that a report lacks, and that has a bound, is a failure.

use serde_json::{Map, Value};

/// Figures and failures.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// By name, in the order of names.
    pub(super) values: Map<String, Value>,
    /// What does not hold.
    pub(super) failures: Vec<String>,
}

impl Figures {
    /// Shows a value.
    pub(super) fn figure(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.values.insert(name.into(), value.into());
    }

    /// Says what does not hold.
    pub(super) fn fails(&mut self, what: String) {
        self.failures.push(what);
    }

    /// Shows a value that must be `expected`.
    pub(super) fn equal(&mut self, name: &str, value: &Value, expected: u64) {
        self.figure(name, value.clone());
        if value.as_u64() != Some(expected) {
            self.fails(format!("{name} is {value}, not {expected}"));
        }
    }

    /// Shows a value that must be at least `bound`.
    pub(super) fn at_least(&mut self, name: &str, value: Option<f64>, bound: f64) {
        self.bounded(name, value, bound, "at least", |value| value >= bound);
    }

    /// Shows a value that must be at most `bound`.
    pub(super) fn at_most(&mut self, name: &str, value: Option<f64>, bound: f64) {
        self.bounded(name, value, bound, "at most", |value| value <= bound);
    }

    fn bounded(&mut self, name: &str, value: Option<f64>, bound: f64, relation: &str, holds: impl Fn(f64) -> bool) {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        let rounded = value.map(round);
        self.figure(name, rounded);
        if !value.is_some_and(holds) {
            let found = rounded.map_or_else(|| "not known".to_owned(), |value| value.to_string());
            self.fails(format!("{name} is {found}, not {relation} {}", round(bound)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_or_fail() {
        let mut figures = Figures::default();
        figures.at_least("share", Some(0.9), 0.85);
        figures.at_most("bytes", Some(10.0), 10.0);
        figures.equal("passed", &Value::from(7), 7);
        assert!(figures.failures.is_empty(), "{:?}", figures.failures);
        figures.at_least("share", Some(0.8), 0.85);
        figures.at_most("bytes", None, 10.0);
        figures.equal("passed", &Value::Null, 7);
        assert_eq!(
            figures.failures,
            ["share is 0.8, not at least 0.85", "bytes is not known, not at most 10", "passed is null, not 7"]
        );
        assert_eq!(figures.values["share"], 0.8);
    }
}
