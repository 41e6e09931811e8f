//! The back of the compiler: SSA to machine code through LLVM.
//!
//! in   a verified [`hotevm_ir::Function`], the target, a pipeline
//! out  a relocatable object, with the tables of entries and leaves that belong to it
//!
//! ```text
//! Function -> parts -> lower -> module -> passes -> object
//! ```
//!
//! The only crate that links LLVM. Generated code calls nothing by name: builtins are reached through the frame.

mod compile;
mod diagnostics;
mod lower;
mod parts;
mod target;

pub use compile::{CompileError, Output, compile};
pub use diagnostics::FatalErrors;
pub use target::{Optimisation, Target, TargetError};

/// Name of the function that objects define.
pub const ENTRY_SYMBOL: &str = "hotevm_entry";

/// The version of LLVM that was linked, as part of the compiler's fingerprint.
pub fn llvm_version() -> String {
    let (major, minor, patch) = inkwell::support::get_llvm_version();
    format!("{major}.{minor}.{patch}")
}
