//! State tests: one transaction on a given state.
//!
//! ```text
//! file ── fixture ──> units, each with subtests (one entry of `post`)
//!                        │ execute, in every mode
//!                        v
//!                     records ── run ──> verdicts, differences between modes
//! ```

mod execute;
mod fixture;
mod run;

pub use execute::{Record, execute, trace, verdict};
pub use fixture::{Subtest, Suite, Unit};
pub use run::run;
