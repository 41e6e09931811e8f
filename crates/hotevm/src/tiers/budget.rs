//! The budget of compiling: CPU time per second.
//!
//! in   what jobs cost, the time that passes
//! out  how long a worker waits before its next job
//!
//! Y1  Over any stretch compiling takes at most the share that was set, plus one second's worth, plus the jobs that run already:
//!     LLVM cannot be interrupted.

use std::time::Duration;

/// A bucket that time fills and jobs empty.
#[derive(Debug)]
pub(crate) struct Budget {
    /// CPU nanoseconds gained per second; what the bucket holds at most.
    rate_ns: i64,
    left_ns: i64,
    filled_at: Duration,
}

impl Budget {
    /// A full bucket; `share` is CPU time per time.
    pub(crate) fn new(share: f64) -> Self {
        let rate_ns = (share * 1e9).clamp(1.0, 1e15) as i64;
        Self { rate_ns, left_ns: rate_ns, filled_at: Duration::ZERO }
    }

    /// How long to wait before the next job may start; zero if it may start now.
    pub(crate) fn delay(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.filled_at);
        self.filled_at = self.filled_at.max(now);
        let gained = (passed.as_secs_f64() * self.rate_ns as f64) as i64;
        self.left_ns = self.left_ns.saturating_add(gained).min(self.rate_ns);
        if self.left_ns > 0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1 - self.left_ns) as f64 / self.rate_ns as f64)
    }

    /// Notes what a job cost.
    pub(crate) fn spend(&mut self, cpu: Duration) {
        self.left_ns = self.left_ns.saturating_sub(i64::try_from(cpu.as_nanos()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn y1_jobs_take_no_more_than_their_share() {
        let mut budget = Budget::new(0.25);
        let (mut now, mut spent) = (Duration::ZERO, Duration::ZERO);
        let job = Duration::from_millis(70);
        while now < Duration::from_secs(100) {
            let delay = budget.delay(now);
            if delay.is_zero() {
                budget.spend(job);
                spent += job;
            }
            now += delay.max(Duration::from_millis(1));
        }
        assert!(spent <= Duration::from_millis(25_000 + 250 + 70), "{spent:?}");
        assert!(spent >= Duration::from_millis(24_000), "{spent:?}: the share is used");
    }

    #[test]
    fn a_long_job_is_paid_back() {
        let mut budget = Budget::new(1.0);
        budget.spend(Duration::from_secs(5));
        let delay = budget.delay(Duration::ZERO);
        assert!(delay >= Duration::from_secs(4), "{delay:?}");
        assert_eq!(budget.delay(delay + Duration::from_millis(1)), Duration::ZERO);
    }
}
