//! Replay: mainnet blocks, well-known contracts and the sample chain, executed and timed in several modes.
//!
//! ```text
//! file ── load ──> runs ── measure: rounds, modes taking turns ──> report
//!                             │ execute: one pass over one run on a fresh database
//!                             v
//!                          times; in the last round also counters, receipts, outcomes
//! ```
//!
//! `single` takes a run, or a bare bytecode, through every mode once, for a look at what its transactions did.

mod contracts;
mod execute;
mod growth;
mod load;
mod measure;
mod single;

pub use execute::{Pass, execute, trace};
pub use load::{Run, SystemCalls, Transaction, load, parse};
pub use measure::{Measured, Plan, measure};
pub use single::{Changes, Single, bytecode, single};
