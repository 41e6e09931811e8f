//! The only door to atomics, locks, concurrent maps and threads of this crate.
//!
//! With the feature `loom`, which is for models of the protocol alone, loom's atomics and locks stand in for the standard library's, and
//! locked plain data for the map and the slot of code, which loom cannot look into.

#[cfg(feature = "loom")]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
use std::sync::atomic::AtomicU64 as PlainU64;
/// A counter outside of models.
#[cfg(all(test, feature = "loom"))]
pub(crate) use std::sync::atomic::AtomicUsize as PlainCounter;
pub(crate) use std::sync::{Arc, OnceLock, TryLockError, Weak};
#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

#[cfg(feature = "loom")]
pub(crate) use stand_ins::{Map, Slot};
#[cfg(not(feature = "loom"))]
pub(crate) use usual::{Map, Slot};

pub(crate) use std::thread::JoinHandle;
use std::{io, sync::PoisonError, thread, time::Duration};

/// Another thread holds the part of the map that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held;

#[cfg(not(feature = "loom"))]
mod usual {
    //! A map in shards, and a slot that is read without a lock.

    use super::{Arc, Held};
    use arc_swap::ArcSwapOption;
    use dashmap::{DashMap, try_result::TryResult};
    use foldhash::fast::RandomState;
    use std::hash::Hash;

    /// A map of shared values. No guard leaves it.
    #[derive(Debug)]
    pub(crate) struct Map<K: Eq + Hash, V>(DashMap<K, Arc<V>, RandomState>);

    impl<K: Eq + Hash, V> Map<K, V> {
        /// An empty map.
        pub(crate) fn new() -> Self {
            Self(DashMap::default())
        }

        /// The value of a key.
        pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
            self.0.get(key).map(|value| value.value().clone())
        }

        /// The same without waiting.
        pub(crate) fn try_get(&self, key: &K) -> Result<Option<Arc<V>>, Held> {
            self.try_with(key, Arc::clone)
        }

        /// What is read in the value of a key, without waiting. `read` takes no lock.
        pub(crate) fn try_with<T>(&self, key: &K, read: impl FnOnce(&Arc<V>) -> T) -> Result<Option<T>, Held> {
            match self.0.try_get(key) {
                TryResult::Present(value) => Ok(Some(read(value.value()))),
                TryResult::Absent => Ok(None),
                TryResult::Locked => Err(Held),
            }
        }

        /// The value of a key, made where there is none.
        pub(crate) fn get_or_insert(&self, key: K, make: impl FnOnce() -> Arc<V>) -> Arc<V> {
            self.0.entry(key).or_insert_with(make).value().clone()
        }

        /// The same without waiting.
        pub(crate) fn try_get_or_insert(&self, key: K, make: impl FnOnce() -> Arc<V>) -> Result<Arc<V>, Held> {
            self.0.try_entry(key).map(|entry| entry.or_insert_with(make).value().clone()).ok_or(Held)
        }

        /// Removes a value if the key has this very one; whether it did.
        pub(crate) fn remove(&self, key: &K, value: &V) -> bool {
            self.0.remove_if(key, |_, known| std::ptr::eq(&raw const **known, value)).is_some()
        }

        /// All values there are now.
        pub(crate) fn values(&self) -> Vec<Arc<V>> {
            self.0.iter().map(|value| value.value().clone()).collect()
        }
    }

    /// A place for a shared value.
    #[derive(Debug)]
    pub(crate) struct Slot<T>(ArcSwapOption<T>);

    impl<T> Slot<T> {
        /// Nothing.
        pub(crate) fn empty() -> Self {
            Self(ArcSwapOption::empty())
        }

        /// What is there now.
        pub(crate) fn load(&self) -> Option<Arc<T>> {
            self.0.load_full()
        }

        /// Whether there is something of which this holds.
        pub(crate) fn is_some_and(&self, holds: impl FnOnce(&T) -> bool) -> bool {
            self.0.load().as_deref().is_some_and(holds)
        }

        /// Puts something else there; what was there.
        pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
            self.0.swap(value)
        }
    }
}

#[cfg(feature = "loom")]
mod stand_ins {
    //! The same, of plain data under loom's locks.

    use super::{Arc, Held, Mutex, lock, try_lock};
    use std::{collections::HashMap, hash::Hash};

    #[derive(Debug)]
    pub(crate) struct Map<K: Eq + Hash, V>(Mutex<HashMap<K, Arc<V>>>);

    impl<K: Eq + Hash, V> Map<K, V> {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(HashMap::new()))
        }

        pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
            lock(&self.0).get(key).cloned()
        }

        pub(crate) fn try_get(&self, key: &K) -> Result<Option<Arc<V>>, Held> {
            try_lock(&self.0).map(|map| map.get(key).cloned()).ok_or(Held)
        }

        pub(crate) fn try_with<T>(&self, key: &K, read: impl FnOnce(&Arc<V>) -> T) -> Result<Option<T>, Held> {
            self.try_get(key).map(|value| value.as_ref().map(read))
        }

        pub(crate) fn get_or_insert(&self, key: K, make: impl FnOnce() -> Arc<V>) -> Arc<V> {
            lock(&self.0).entry(key).or_insert_with(make).clone()
        }

        pub(crate) fn try_get_or_insert(&self, key: K, make: impl FnOnce() -> Arc<V>) -> Result<Arc<V>, Held> {
            try_lock(&self.0).map(|mut map| map.entry(key).or_insert_with(make).clone()).ok_or(Held)
        }

        pub(crate) fn remove(&self, key: &K, value: &V) -> bool {
            let mut map = lock(&self.0);
            let is_same = map.get(key).is_some_and(|known| std::ptr::eq(&raw const **known, value));
            is_same && map.remove(key).is_some()
        }

        pub(crate) fn values(&self) -> Vec<Arc<V>> {
            lock(&self.0).values().cloned().collect()
        }
    }

    #[derive(Debug)]
    pub(crate) struct Slot<T>(Mutex<Option<Arc<T>>>);

    impl<T> Slot<T> {
        pub(crate) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn load(&self) -> Option<Arc<T>> {
            lock(&self.0).clone()
        }

        pub(crate) fn is_some_and(&self, holds: impl FnOnce(&T) -> bool) -> bool {
            self.load().as_deref().is_some_and(holds)
        }

        pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
            std::mem::replace(&mut *lock(&self.0), value)
        }
    }
}

/// A number for a runtime, another for each one in the process. Outside of models: it only tells apart.
pub(crate) fn next_runtime() -> u64 {
    static NEXT: PlainU64 = PlainU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

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

/// Lets time pass.
#[cfg(all(test, not(feature = "loom")))]
pub(crate) fn sleep(duration: Duration) {
    thread::sleep(duration);
}

/// Starts a thread of low priority; it ends by itself.
pub(crate) fn spawn_worker(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let start = move || {
        // Where the system forbids it the worker runs at the priority of its parent.
        let _ = rustix::process::setpriority_process(None, WORKER_NICENESS);
        work();
    };
    thread::Builder::new().name(name.to_owned()).spawn(start).map(drop)
}

/// Starts a thread that calls LLVM, at the priority of its parent; it ends by itself, or never.
#[cfg(feature = "llvm")]
pub(crate) fn spawn_compiler(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("hotevm-llvm".to_owned()).stack_size(COMPILER_STACK_BYTES).spawn(work).map(drop)
}

/// LLVM recurses over chains of blocks and of values, as long as trees of the SSA form may be (`tree_instructions_max`).
#[cfg(feature = "llvm")]
const COMPILER_STACK_BYTES: usize = 16 << 20;

/// Starts a thread with a name that debuggers and profilers show.
pub(crate) fn spawn_named<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

#[cfg(all(test, feature = "loom"))]
pub(crate) use model::check;

#[cfg(all(test, feature = "loom"))]
mod model {
    //! How models are tried.

    use super::{Arc, Ordering, PlainCounter};
    use loom::model::Builder;

    /// Orders with more switches between threads than this are not tried: errors need few, and orders are many.
    const SWITCHES_MAX: usize = 3;
    /// A model that tries fewer orders than this has no two threads that meet.
    const ORDERS_MIN: usize = 5;

    /// Tries a model in all orders.
    pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
        let mut builder = Builder::new();
        builder.preemption_bound = Some(SWITCHES_MAX);
        builder.max_branches = 100_000;
        let orders = Arc::new(PlainCounter::new(0));
        let counted = orders.clone();
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            model();
        });
        let orders = orders.load(Ordering::Relaxed);
        println!("{orders} orders");
        assert!(orders > ORDERS_MIN, "{orders} orders are hardly all");
    }
}
