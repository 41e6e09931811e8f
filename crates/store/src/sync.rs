//! The only door to atomics of this crate.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
