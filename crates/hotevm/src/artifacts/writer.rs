//! The writer: the one thread of a runtime that waits for its store.
//!
//! in   entries whose code is new and was compiled here; codes to be looked for by hand
//! out  artifacts in the store; code of artifacts in entries; counters
//!
//! P1  Whoever pushes takes the queue's lock and nothing else; the store is called without it. Executing threads push in presets
//!     without workers alone.
//! P2  The queue is bounded; what does not fit is dropped and counted. An entry waits at most once (`Entry::writing`), and its newest code is
//!     looked up when its turn comes, so that code which was replaced meanwhile is not written.
//! P3  A failure of the store stops the writer for a time that doubles up to a bound. Then the next job is tried, and the one that failed
//!     behind all others: what failed may be one file. Refusals that are about one artifact drop that artifact.
//! P4  Told to end, the writer goes on with what waits until its time is over or the store fails once.
//! P5  Kept is what was compiled here: code of an artifact may need CPU features that this process's key does not name. An artifact of
//!     this entry is taken away only when the new one has the same maker, no lower tier and all of its region.
//! P6  In the upkeep, which is due however much there is to write, and at the end the store is told of code that charged gas since. Then hints
//!     are left, unless the time is over, or the store has some that this process did not take.

use crate::{
    config::Tuning,
    statistics::named_rows,
    sync::{Arc, AtomicU64, Condvar, Mutex, Ordering, lock, wait},
    tiers::entry::{Entry, Tier},
};
use hotevm_store::ArtifactStore;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The longest wait after a failure is so many times the first.
const BACK_OFF_MAX: u32 = 256;

named_rows! {
    /// What the writer counts.
    pub WriterCount {
        /// Artifacts written.
        Written => "written",
        /// Artifacts that were there already.
        Present => "present",
        /// Artifacts taken away because what was written holds all of their region.
        Superseded => "superseded",
        /// Codes not written because the queue was full.
        Dropped => "dropped",
        /// Codes not written because they were given up at the end: the time was over, or the store failed.
        GivenUp => "given-up",
        /// Failures of the store.
        Failed => "failed",
        /// Failures after which the writer tried again.
        Retried => "retried",
        /// Codes of which no artifact could be made, or that the store refused for good.
        Refused => "refused",
        /// Codes found in the store when they were prepared.
        Prepared => "prepared",
    }
}

/// A code that is looked for in the store.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) entry: Arc<Entry>,
    /// The tier to ask for where the store has nothing; none to ask for nothing.
    pub(crate) otherwise: Option<Tier>,
}

/// What the writer is to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Keep the newest code of an entry.
    Write(Arc<Entry>),
    /// Look for codes.
    Look(Vec<Wanted>),
}

/// What the writer does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// This job.
    Job(Job),
    /// What is due from time to time, whatever waits.
    Upkeep,
    /// End, at this time at the latest.
    End(Instant),
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    is_alive: bool,
    is_running: bool,
    /// Failures since the last success, and when to try again.
    failures: u32,
    retry_at: Option<Instant>,
    /// The last upkeep, or when the writer was made.
    upkept_at: Option<Instant>,
    /// Set by who wants the writer to end: until when it may go on.
    end_by: Option<Instant>,
}

/// The queue of the writer, and what it is told.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) store: Arc<dyn ArtifactStore>,
    len_max: usize,
    /// Wait after the first failure.
    back_off: Duration,
    /// Time between two upkeeps.
    upkeep: Duration,
    state: Mutex<State>,
    /// A job came, or the owner wants something else.
    changed: Condvar,
    /// A job ended, or the writer.
    ended: Condvar,
    /// By [`WriterCount`]. Written by whoever pushes and by the writer, read by snapshots; relaxed, since they guard nothing.
    counts: [AtomicU64; WriterCount::ALL.len()],
}

impl Writer {
    /// A writer without a thread.
    pub(crate) fn new(store: Arc<dyn ArtifactStore>, tuning: &Tuning) -> Self {
        Self {
            store,
            len_max: tuning.store_queue_len_max,
            back_off: Duration::from_millis(tuning.store_retry_ms.into()),
            upkeep: Duration::from_secs(tuning.store_upkeep_s.max(1).into()),
            state: Mutex::default(),
            changed: Condvar::new(),
            ended: Condvar::new(),
            counts: Default::default(),
        }
    }

    pub(crate) fn count(&self, count: WriterCount) {
        if let Some(counter) = self.counts.get(count as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every counter, in order.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        WriterCount::NAMES.iter().zip(&self.counts).map(|(name, count)| (*name, count.load(Ordering::Relaxed))).collect()
    }

    /// Pushes an entry whose code is new (P1, P2).
    pub(crate) fn keep(&self, entry: &Arc<Entry>) {
        if entry.writing.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = lock(&self.state);
        if state.jobs.len() >= self.len_max {
            drop(state);
            entry.writing.store(false, Ordering::Release);
            self.count(WriterCount::Dropped);
            return;
        }
        state.jobs.push_back(Job::Write(entry.clone()));
        drop(state);
        self.changed.notify_one();
    }

    /// Pushes codes to be looked for, in front of what is to be written; they are given back where the queue is full.
    pub(crate) fn look(&self, wanted: Vec<Wanted>) -> Result<(), Vec<Wanted>> {
        let mut state = lock(&self.state);
        if state.jobs.len() >= self.len_max || !state.is_alive {
            return Err(wanted);
        }
        state.jobs.push_front(Job::Look(wanted));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether a thread is to be started, which counts it as alive.
    pub(crate) fn wants_thread(&self) -> bool {
        let mut state = lock(&self.state);
        // A writer that was told to end and has not yet goes on instead.
        state.end_by = None;
        !std::mem::replace(&mut state.is_alive, true)
    }

    /// Notes that the system gave no thread.
    pub(crate) fn thread_missing(&self) {
        lock(&self.state).is_alive = false;
    }

    /// Notes that the thread is about to end; false if it is wanted again.
    pub(crate) fn thread_ends(&self) -> bool {
        let mut state = lock(&self.state);
        state.is_alive = state.end_by.is_none();
        let ends = !state.is_alive;
        drop(state);
        self.ended.notify_all();
        ends
    }

    /// What the writer does next; waits for it.
    pub(crate) fn next(&self) -> Next {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            if let Some(by) = state.end_by
                && (state.jobs.is_empty() || state.retry_at.is_some() || now >= by)
            {
                let left = std::mem::take(&mut state.jobs);
                (state.failures, state.retry_at) = (0, None);
                drop(state);
                left.into_iter().for_each(|job| self.give_up(job));
                return Next::End(by);
            }
            let passed = now.saturating_duration_since(*state.upkept_at.get_or_insert(now));
            let left = state.retry_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
            if left.is_zero() && passed >= self.upkeep && state.end_by.is_none() {
                state.upkept_at = Some(now);
                return Next::Upkeep;
            }
            if left.is_zero()
                && let Some(job) = state.jobs.pop_front()
            {
                state.is_running = true;
                return Next::Job(job);
            }
            let until_upkeep = self.upkeep.saturating_sub(passed);
            let patience = if left.is_zero() { until_upkeep } else { left };
            state = wait(&self.changed, state, patience);
        }
    }

    fn give_up(&self, job: Job) {
        if let Job::Write(entry) = job {
            entry.writing.store(false, Ordering::Release);
            self.count(WriterCount::GivenUp);
        }
    }

    /// Notes that a job ended; one that failed is given back and tried again behind the others (P3).
    pub(crate) fn job_ended(&self, failed: Option<Job>) {
        let mut state = lock(&self.state);
        state.is_running = false;
        match failed {
            Some(job) => {
                state.failures = state.failures.saturating_add(1);
                let times = 1_u32.checked_shl(state.failures - 1).unwrap_or(BACK_OFF_MAX).min(BACK_OFF_MAX);
                state.retry_at = Some(Instant::now() + self.back_off * times);
                state.jobs.push_back(job);
            }
            None => (state.failures, state.retry_at) = (0, None),
        }
        drop(state);
        self.ended.notify_all();
    }

    /// Takes what waits for some codes out of the queue, and waits until what is being written is.
    pub(crate) fn forget(&self, is_meant: impl Fn(&Entry) -> bool) {
        let mut state = lock(&self.state);
        loop {
            // Again after each wait: what ran may have failed and be back in the queue.
            state.jobs.retain(|job| match job {
                Job::Write(entry) if is_meant(entry) => {
                    entry.writing.store(false, Ordering::Release);
                    false
                }
                _ => true,
            });
            if !state.is_running {
                return;
            }
            state = wait(&self.ended, state, self.upkeep);
        }
    }

    /// Waits until nothing is to be written, or the store fails; false if that took too long.
    pub(crate) fn settle(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| {
            !state.is_running && (state.jobs.is_empty() || state.retry_at.is_some() || !state.is_alive)
        })
    }

    /// Ends the writer (P4); false if it still waited for the store when the time was over. It ends when the store answers.
    pub(crate) fn stop(&self, timeout: Duration) -> bool {
        lock(&self.state).end_by = Some(Instant::now() + timeout);
        self.changed.notify_all();
        self.ended.notify_all();
        self.wait_until(timeout, |state| !state.is_alive)
    }

    /// Whether the writer was told to end.
    pub(crate) fn is_ending(&self) -> bool {
        lock(&self.state).end_by.is_some()
    }

    /// Waits so long, or until the writer is told to end; whether it was.
    pub(crate) fn pause(&self, duration: Duration) -> bool {
        self.wait_until(duration, |state| state.end_by.is_some())
    }

    fn wait_until(&self, timeout: Duration, holds: impl Fn(&State) -> bool) -> bool {
        let start = Instant::now();
        let mut state = lock(&self.state);
        while !holds(&state) {
            let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else { return false };
            state = wait(&self.ended, state, left);
        }
        true
    }
}
