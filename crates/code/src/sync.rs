//! The one place that atomics and locks come from, so that a model checker can replace them.

pub(crate) use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
