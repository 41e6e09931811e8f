//! Replay: mainnet blocks, well-known contracts and the sample chain, executed and timed in several modes.
//!
//! ```text
//! file ── load ──> runs ── measure: rounds, modes taking turns ──> report
//!                             │ execute: one pass over one run on a fresh database
//!                             v
//!                          times; in the last round also counters, receipts, outcomes
//! ```

mod execute;
mod load;
mod measure;

pub use execute::{Pass, execute, trace};
pub use load::{Run, SystemCalls, Transaction, load, parse};
pub use measure::{Measured, Plan, measure};
