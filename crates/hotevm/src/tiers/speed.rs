//! Speed: gas over time, of the code of an entry and of the interpreter on it.
//!
//! in   runs of frames, while somebody asked for their times
//! out  [`Speed`], a part of the hot-contract report
//!
//! D1  Unless it was asked for, a run reads one flag and no clock.

use super::Tiers;
use crate::sync::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Gas charged and time passed in runs that were timed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Speed {
    /// Gas charged in native runs.
    pub native_gas: u64,
    /// Time of the same runs, in nanoseconds.
    pub native_ns: u64,
    /// Gas charged in stretches of the interpreter before there was code.
    pub interpreted_gas: u64,
    /// Time of the same stretches, in nanoseconds.
    pub interpreted_ns: u64,
}

impl Speed {
    /// Native speed, in millions of gas a second; none where nothing was timed.
    pub fn native_mgas_per_s(&self) -> Option<f64> {
        per_second(self.native_gas, self.native_ns)
    }

    /// The interpreter's speed, in millions of gas a second; none where nothing was timed.
    pub fn interpreted_mgas_per_s(&self) -> Option<f64> {
        per_second(self.interpreted_gas, self.interpreted_ns)
    }
}

fn per_second(gas: u64, ns: u64) -> Option<f64> {
    (ns != 0).then(|| gas as f64 * 1e3 / ns as f64)
}

/// The same, added to by executing threads, relaxed: nothing depends on it.
#[derive(Debug, Default)]
pub(crate) struct Timed {
    native_gas: AtomicU64,
    native_ns: AtomicU64,
    interpreted_gas: AtomicU64,
    interpreted_ns: AtomicU64,
}

impl Timed {
    /// Adds a native run.
    pub(crate) fn ran(&self, gas: u64, time: Duration) {
        self.native_gas.fetch_add(gas, Ordering::Relaxed);
        self.native_ns.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Adds a stretch in the interpreter.
    pub(crate) fn interpreted(&self, gas: u64, time: Duration) {
        self.interpreted_gas.fetch_add(gas, Ordering::Relaxed);
        self.interpreted_ns.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// What was added so far.
    pub(crate) fn speed(&self) -> Speed {
        Speed {
            native_gas: self.native_gas.load(Ordering::Relaxed),
            native_ns: self.native_ns.load(Ordering::Relaxed),
            interpreted_gas: self.interpreted_gas.load(Ordering::Relaxed),
            interpreted_ns: self.interpreted_ns.load(Ordering::Relaxed),
        }
    }
}

impl Tiers {
    /// The time now, if runs are timed (D1).
    pub(crate) fn timer(&self) -> Option<Instant> {
        self.is_timed.load(Ordering::Relaxed).then(Instant::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_gas_over_time() {
        let timed = Timed::default();
        assert_eq!((timed.speed().native_mgas_per_s(), timed.speed().interpreted_mgas_per_s()), (None, None));
        timed.ran(3_000, Duration::from_micros(2));
        timed.ran(1_000, Duration::from_micros(2));
        timed.interpreted(500, Duration::from_micros(1));
        let speed = timed.speed();
        assert_eq!((speed.native_mgas_per_s(), speed.interpreted_mgas_per_s()), (Some(1000.0), Some(500.0)));
    }
}
