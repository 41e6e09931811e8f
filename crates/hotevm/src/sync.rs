//! The only door to atomics, locks and threads of this crate, so that a model checker can stand in for them.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex, OnceLock};
