//! Blockchain tests: chains of blocks, some of which must be refused.
//!
//! ```text
//! file ── fixture ──> cases, each with decoded blocks
//!                       │ execute, in every mode: header (against its parent), then alloy-evm's block executor, then what
//!                       │ execution decides (gas, receipts, bloom, requests, state root)
//!                       v
//!                     records per block ── run ──> verdicts, differences between modes
//! ```

mod execute;
mod fixture;
mod header;
mod run;

pub use execute::{BlockRecord, execute, trace, verdict};
pub use fixture::{Case, CaseBlock, Decoded, Json, Suite};
pub use run::run;
