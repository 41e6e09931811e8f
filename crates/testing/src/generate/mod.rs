//! Generated contracts, whole cases of them, and the decisions they are made of.
//!
//! in   a seed or bytes (`choices`)
//! out  a [`Case`](case::Case): contracts that call each other, a fork, inputs
//!
//! ```text
//! Choices --program--> bytecode (builder: expression, statement, control, calls; assembler)
//!         --case-----> contracts + accounts + inputs
//! ```

mod assembler;
mod builder;
mod calls;
pub mod case;
pub mod choices;
mod control;
mod expression;
mod program;
mod statement;
mod text;

pub use text::CaseTextError;
