//! The only door to atomics, locks and threads of this crate, so that a model checker can stand in for them.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, TryLockError, Weak};

pub(crate) use std::thread::JoinHandle;
use std::{io, sync::PoisonError, thread, time::Duration};

/// Takes a lock. A panic of an earlier holder changes nothing: every critical section of this crate leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a lock if nobody holds it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Waits on a condition, at most so long.
pub(crate) fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>, duration: Duration) -> MutexGuard<'a, T> {
    condition.wait_timeout(guard, duration).unwrap_or_else(PoisonError::into_inner).0
}

/// How much nicer threads in the background are than those that execute.
const WORKER_NICENESS: i32 = 10;

/// Starts a thread of low priority; it ends by itself.
pub(crate) fn spawn_worker(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let start = move || {
        // Where the system forbids it the worker runs at the priority of its parent.
        let _ = rustix::process::setpriority_process(None, WORKER_NICENESS);
        work();
    };
    thread::Builder::new().name(name.to_owned()).stack_size(WORKER_STACK_BYTES).spawn(start).map(drop)
}

/// LLVM recurses over the expressions of a block.
const WORKER_STACK_BYTES: usize = 16 << 20;

/// Starts a thread with a name that debuggers and profilers show.
pub(crate) fn spawn_named<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
