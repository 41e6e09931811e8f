//! hotevm: makes revm run hot contracts as native code.
//!
//! in   a revm EVM (or the product of alloy-evm's `EthEvmFactory`), and a [`Runtime`] that all EVMs of a process share
//! out  the same EVM with the same results; frames whose code is compiled run natively
//!
//! [`HotEvm`] wraps an EVM and replaces one step of revm's handler, the run of a frame. [`HotEvmFactory`] does the same for
//! alloy-evm. The interpreter is the oracle: outcome, halt reason, gas, refund, output, logs, state and the order of database
//! reads are those of revm's interpreter.

mod activation;
mod alloy;
mod artifacts;
mod builtins;
mod code;
mod compiler;
mod config;
mod configuration;
mod evm;
mod hashes;
mod hook;
mod native;
mod runtime;
mod statistics;
mod sync;
mod tiers;
mod words;

pub use alloy::{HotEthEvm, HotEvmFactory};
pub use artifacts::{Preload, Preloaded, Taken, writer::WriterCount};
pub use compiler::Rejection;
pub use config::{Config, Instructions, Optimisation, ParseError, Preset, Tuning};
pub use evm::HotEvm;
pub use hotevm_ir::Limits;
pub use hotevm_store as store;
pub use runtime::Runtime;
pub use statistics::{Histogram, StatisticKind, StatisticRow, Statistics};
pub use tiers::{
    ContractReport, LeaveSite, Speed,
    entry::{Stage, Tier},
};

/// Whether this build can compile: false without the feature `llvm`, where only code of an artifact store runs natively.
pub const fn native_available() -> bool {
    cfg!(feature = "llvm")
}
