//! The one place that threads and what they share come from.

pub(crate) use std::{
    sync::{Mutex, Once, PoisonError},
    thread,
};
