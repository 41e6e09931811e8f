//! LLVM apart: each call of it on a thread of its own, so that a fatal error costs that thread and the code, and not the process.
//!
//! in   a job that calls LLVM
//! out  its result and the CPU time it took, or the reason why there is none
//!
//! L1  LLVM cannot be gone on with after a fatal error, nor can its stack be unwound: the thread stands still for ever, with all it held.
//! L2  Everything a job needs moves to its thread. Who waits for it holds nothing that the thread could have locked.
//! L3  After [`LOST_MAX`] such threads nothing is compiled any more; code that is there runs on.

use super::Rejection;
use crate::sync::{Arc, AtomicUsize, Condvar, Mutex, Ordering, lock, spawn_compiler, wait};
use cpu_time::ThreadTime;
use hotevm_llvm::FatalErrors;
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

/// Threads that may be lost.
pub(crate) const LOST_MAX: usize = 8;
/// How long to wait before looking again; the result wakes the waiting thread at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a job ended.
enum End<T> {
    Done(T),
    Panicked(Box<dyn Any + Send>),
    Fatal(String),
}

/// Where a job leaves its end and its CPU time.
struct Place<T> {
    end: Mutex<Option<(End<T>, Duration)>>,
    ended: Condvar,
}

impl<T> Place<T> {
    /// Leaves the end, on the job's thread.
    fn put(&self, end: End<T>) {
        *lock(&self.end) = Some((end, ThreadTime::now().as_duration()));
        self.ended.notify_all();
    }

    fn take(&self) -> (End<T>, Duration) {
        let mut end = lock(&self.end);
        loop {
            if let Some(ended) = end.take() {
                return ended;
            }
            end = wait(&self.ended, end, PATIENCE);
        }
    }
}

/// Runs jobs apart.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// Threads lost. Written by who waited for one, read before the next is started; relaxed, since it guards nothing.
    lost: AtomicUsize,
}

impl Apart {
    /// Runs a job that calls LLVM and waits for it; also the CPU time it took. A panic of the job goes on here.
    pub(super) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> (Result<T, Rejection>, Duration) {
        if self.lost.load(Ordering::Relaxed) >= LOST_MAX {
            return (Err(Rejection::CompilingOff), Duration::ZERO);
        }
        let place = Arc::new(Place { end: Mutex::new(None), ended: Condvar::new() });
        let (told, left) = (place.clone(), place.clone());
        let started = spawn_compiler(move || {
            let _listens = FatalErrors::listen(move |text| told.put(End::Fatal(text.to_owned())));
            left.put(catch_unwind(AssertUnwindSafe(job)).map_or_else(End::Panicked, End::Done));
        });
        if let Err(error) = started {
            return (Err(Rejection::Back(format!("no thread: {error}"))), Duration::ZERO);
        }
        match place.take() {
            (End::Done(result), cpu) => (Ok(result), cpu),
            (End::Panicked(panic), _) => resume_unwind(panic),
            (End::Fatal(text), cpu) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                (Err(Rejection::Fatal(text)), cpu)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_give_their_results_and_times() {
        let apart = Apart::default();
        let (result, cpu) = apart.run(|| (0..1_000_000_u64).fold(0, |sum, number| std::hint::black_box(sum ^ number)));
        assert!(result.is_ok() && cpu > Duration::ZERO);
        let panicked = catch_unwind(AssertUnwindSafe(|| apart.run(|| panic!("a defect"))));
        assert!(panicked.is_err(), "a panic goes on in the thread that waits");
        assert_eq!(apart.run(|| 7).0, Ok(7));
    }

    #[test]
    fn l3_compiling_is_off_after_too_many_fatal_errors() {
        let apart = Apart { lost: AtomicUsize::new(LOST_MAX) };
        assert_eq!(apart.run(|| 7).0, Err(Rejection::CompilingOff));
    }
}
