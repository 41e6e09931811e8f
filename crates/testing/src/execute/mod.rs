//! Running a case by two EVM factories, and comparing all that can be seen of both.
//!
//! in   a [`Case`](crate::generate::case::Case), two factories
//! out  equal executions counted, or the first [`Difference`](compare::Difference)

pub mod altered;
pub mod compare;
pub mod database;
mod panics;
pub mod run;
