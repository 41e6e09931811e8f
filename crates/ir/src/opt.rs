//! Passes over the SSA form.
//!
//! in   a function
//! out  the same function, smaller; the verifier runs after each
//!
//! The table below is the order in which they run; a pass that is not in it does not exist.

pub mod dead;
pub mod memory;
pub mod pure;
pub mod simplify;

use crate::function::Function;

/// A row of the pass table.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// Name in dumps and file tests.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// The pass.
    pub run: fn(&mut Function),
}

/// Every pass, in order.
pub const PASSES: &[Pass] = &[
    Pass { name: "simplify", purpose: "folds constants and cancels operations that undo each other", run: simplify::run },
    Pass { name: "memory", purpose: "removes checks of memory that is known to be there", run: memory::run },
    Pass { name: "dead", purpose: "removes what nobody reads", run: dead::run },
];
