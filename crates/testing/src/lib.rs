//! Differential testing: generated contracts run by revm's interpreter and by hotevm, and everything that both did compared.
//!
//! in   a seed, or a fuzzer's bytes
//! out  nothing, or the first difference with both sides of it, and a smaller case that still shows it
//!
//! ```text
//! Choices --generate--> Case --execute--> Execution | Execution --compare--> Difference --reduce--> smaller Case
//! ```
//!
//! T1  The interpreter is right. A difference is an error of hotevm, or of this crate, never of revm.
//! T2  Nothing here depends on time, addresses of memory or the order of hash maps: a seed is a case.

#![forbid(unsafe_code)]

pub mod campaign;
pub mod cpus;
pub mod execute;
pub mod generate;
pub mod reduce;
mod sync;
