//! Runners: Ethereum state tests, blockchain tests, and replays of blocks and contracts, in several modes.
//!
//! in   fixture files; modes, each with an EVM factory
//! out  verdicts and times as reports; differences between modes
//!
//! ```text
//! fixture (find, read) ─┬─ state_test ─┐
//!                       ├─ block_test ─┼─ mode (an engine per mode) ── difference, trace ── suite ── report
//!                       └─ replay ─────┘
//! ```
//!
//! R1  Everything that executes is generic over alloy-evm's `EvmFactory`; only `mode` knows hotevm's.
//! R2  The modes of a test get the same input and are compared on everything they return.
//! R3  A failing test is data, a bad fixture is an error.

#![forbid(unsafe_code)]

pub mod account;
pub mod block_test;
pub mod difference;
pub mod error;
pub mod fixture;
pub mod fork;
pub mod mode;
pub mod parallel;
pub mod replay;
pub mod report;
pub mod roots;
pub mod sample;
pub mod skip;
pub mod state_test;
pub mod suite;
pub mod trace;

pub use error::Error;
pub use mode::Mode;
