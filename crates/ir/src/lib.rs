//! The middle of the compiler: EVM bytecode to a verified SSA form.
//!
//! in   bytecode, the configuration it runs under
//! out  [`function::Function`]; nothing here knows revm, LLVM, threads, clocks or files
//!
//! ```text
//! bytes -> bytecode -> analysis (flow, cold) -> build -> opt -> verify -> Function
//! ```

#![forbid(unsafe_code)]

pub mod analysis;
pub mod build;
pub mod bytecode;
pub mod compile;
pub mod evaluate;
pub mod fork;
pub mod function;
pub mod leave;
pub mod limits;
pub mod opcodes;
pub mod opt;
pub mod text;
pub mod verify;
pub mod work;

pub use compile::{Compiled, Config, Reject, compile};
pub use fork::Fork;
pub use function::Function;
pub use leave::LeaveReason;
pub use limits::Limits;
