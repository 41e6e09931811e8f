//! The queue: what is to be compiled, the most rewarding first.
//!
//! in   jobs from executing threads and from calls by hand; what the owner of the runtime wants (pause, stop)
//! out  jobs for workers
//!
//! B1  At most `len_max` jobs wait. One more pushes out the least rewarding, which may be itself.
//! B2  An entry waits at most once: `Entry::queued` is set when its job is pushed and cleared when the job is taken or dropped, under the
//!     queue's lock; executing threads read it without, as a hint. Who asks by hand for a higher tier than waits raises the job that waits.
//! B3  Rewards are looked at when a job is taken, so that what got hotter since comes first; of equals the older comes first.
//! B4  An executing thread only tries the lock: a worker of low priority may hold it while it does not run.

use super::entry::{Entry, Tier};
use crate::sync::{Arc, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, lock, try_lock, wait};
use std::time::{Duration, Instant};

/// A code to be compiled.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) entry: Arc<Entry>,
    pub(crate) tier: Tier,
    /// Whether the entry had no code when it was asked for.
    pub(crate) is_first: bool,
    /// When it was asked for.
    pub(crate) since: Instant,
}

/// What became of a job that was pushed.
#[derive(Debug)]
pub(crate) enum Pushed {
    /// It waits.
    Waiting,
    /// The entry waited already.
    Merged,
    /// It waits in place of another one, which was dropped.
    Displaced,
    /// It was dropped.
    Dropped,
    /// Another thread holds the lock.
    Busy,
}

/// What a worker does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// This job.
    Job(Job),
    /// Nothing to do for a while.
    Idle,
    /// End.
    Stop,
}

#[derive(Debug, Default)]
struct State {
    jobs: Vec<(u64, Job)>,
    /// Number of the next job.
    next: u64,
    /// Workers that are alive.
    workers: usize,
    /// Workers that are wanted; more than these end.
    wanted: usize,
    /// Jobs that run.
    running: usize,
    is_paused: bool,
}

impl State {
    /// Sees to it that the entry's job that waits is for no lower tier than this one.
    fn raise(&mut self, job: &Job) {
        let mut jobs = self.jobs.iter_mut().map(|(_, waiting)| waiting);
        if let Some(waiting) = jobs.find(|waiting| Arc::ptr_eq(&waiting.entry, &job.entry)) {
            waiting.tier = waiting.tier.max(job.tier);
        }
    }
}

/// The queue and what its workers are told.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Jobs that wait for codes that have none. Written under the lock of `state`, read by executing threads, relaxed: a hint.
    first: AtomicUsize,
    /// A job came, or the owner wants something else.
    changed: Condvar,
    /// A job ended, or a worker.
    ended: Condvar,
}

impl Queue {
    /// Pushes a job; `wait` says whether to wait for the lock. `reward` orders jobs.
    pub(crate) fn push(&self, job: Job, len_max: usize, wait: bool, reward: impl Fn(&Job) -> f64) -> Pushed {
        let state = if wait { Some(lock(&self.state)) } else { try_lock(&self.state) };
        let Some(mut state) = state else { return Pushed::Busy };
        if job.entry.queued.load(Ordering::Relaxed) {
            if wait {
                state.raise(&job);
            }
            return Pushed::Merged;
        }
        job.entry.queued.store(true, Ordering::Release);
        let number = state.next;
        state.next += 1;
        let own = reward(&job);
        self.first.fetch_add(usize::from(job.is_first), Ordering::Relaxed);
        state.jobs.push((number, job));
        if state.jobs.len() <= len_max {
            self.changed.notify_one();
            return Pushed::Waiting;
        }
        let least = least(&state.jobs, &reward, own);
        let (dropped, job) = state.jobs.swap_remove(least);
        self.first.fetch_sub(usize::from(job.is_first), Ordering::Relaxed);
        job.entry.queued.store(false, Ordering::Release);
        if dropped == number { Pushed::Dropped } else { Pushed::Displaced }
    }

    /// Takes the most rewarding job, if any waits.
    pub(crate) fn take(&self, reward: impl Fn(&Job) -> f64) -> Option<Job> {
        let mut state = lock(&self.state);
        if state.is_paused { None } else { self.pop(&mut state, reward) }
    }

    /// Jobs that wait for codes that have none; without the lock.
    pub(crate) fn first(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }

    /// What a worker does next; waits at most `patience` for a job, and at least `delay`.
    pub(crate) fn next(&self, patience: Duration, delay: Duration, reward: impl Fn(&Job) -> f64) -> Next {
        let start = Instant::now();
        let mut state = lock(&self.state);
        loop {
            if state.workers > state.wanted {
                return Next::Stop;
            }
            let passed = start.elapsed();
            if passed >= delay
                && !state.is_paused
                && let Some(job) = self.pop(&mut state, &reward)
            {
                return Next::Job(job);
            }
            let until = if passed < delay { delay.min(patience) } else { patience };
            if passed >= until {
                return Next::Idle;
            }
            state = wait(&self.changed, state, until - passed);
        }
    }

    /// Notes that a job that was taken ended.
    pub(crate) fn job_ended(&self) {
        let mut state = lock(&self.state);
        state.running = state.running.saturating_sub(1);
        drop(state);
        self.ended.notify_all();
    }

    /// Notes that a worker ended.
    pub(crate) fn worker_ended(&self) {
        let mut state = lock(&self.state);
        state.workers = state.workers.saturating_sub(1);
        drop(state);
        self.ended.notify_all();
    }

    /// Wants so many workers; how many are to be started, which counts them as alive.
    pub(crate) fn want(&self, wanted: usize) -> usize {
        let mut state = lock(&self.state);
        state.wanted = wanted;
        let missing = wanted.saturating_sub(state.workers);
        state.workers += missing;
        drop(state);
        self.changed.notify_all();
        missing
    }

    /// Runs something while this thread holds the lock.
    #[cfg(all(test, not(feature = "loom")))]
    pub(crate) fn while_locked<T>(&self, run: impl FnOnce() -> T) -> T {
        let _state = lock(&self.state);
        run()
    }

    /// Workers that are alive.
    #[cfg(all(test, not(feature = "loom")))]
    pub(crate) fn workers(&self) -> usize {
        lock(&self.state).workers
    }

    /// Jobs that wait.
    #[cfg(all(test, not(feature = "loom")))]
    pub(crate) fn len(&self) -> usize {
        lock(&self.state).jobs.len()
    }

    /// While paused no job is taken.
    pub(crate) fn pause(&self, is_paused: bool) {
        lock(&self.state).is_paused = is_paused;
        self.changed.notify_all();
    }

    /// Whether no job is taken.
    pub(crate) fn is_paused(&self) -> bool {
        lock(&self.state).is_paused
    }

    /// Drops all jobs; how many.
    pub(crate) fn clear(&self) -> usize {
        let mut state = lock(&self.state);
        let jobs = std::mem::take(&mut state.jobs);
        self.first.store(0, Ordering::Relaxed);
        drop(state);
        jobs.iter().for_each(|(_, job)| job.entry.queued.store(false, Ordering::Release));
        self.ended.notify_all();
        jobs.len()
    }

    /// Waits until no job waits or runs; false if that took too long.
    pub(crate) fn settle(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| state.jobs.is_empty() && state.running == 0)
    }

    /// Waits until no worker is alive; false if that took too long.
    pub(crate) fn wait_for_workers(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| state.workers == 0)
    }

    fn pop(&self, state: &mut State, reward: impl Fn(&Job) -> f64) -> Option<Job> {
        let rewards: Vec<f64> = state.jobs.iter().map(|(_, job)| reward(job)).collect();
        let best = (0..state.jobs.len()).max_by(|a, b| {
            let numbers = state.jobs[*b].0.cmp(&state.jobs[*a].0);
            rewards[*a].total_cmp(&rewards[*b]).then(numbers)
        })?;
        let (_, job) = state.jobs.swap_remove(best);
        self.first.fetch_sub(usize::from(job.is_first), Ordering::Relaxed);
        job.entry.queued.store(false, Ordering::Release);
        state.running += 1;
        Some(job)
    }

    fn wait_until(&self, timeout: Duration, holds: impl Fn(&State) -> bool) -> bool {
        let start = Instant::now();
        let mut state: MutexGuard<'_, State> = lock(&self.state);
        while !holds(&state) {
            let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else { return false };
            state = wait(&self.ended, state, left);
        }
        true
    }
}

/// The least rewarding job; of equals the newest. The last job's reward is known.
fn least(jobs: &[(u64, Job)], reward: impl Fn(&Job) -> f64, last: f64) -> usize {
    let mut least = (last, jobs.len() - 1);
    for (index, (_, job)) in jobs[..jobs.len() - 1].iter().enumerate() {
        let own = reward(job);
        if own < least.0 {
            least = (own, index);
        }
    }
    least.1
}
