//! Analysis: what may run after what, and how high the stack stands there.
//!
//! in   decoded code, configuration
//! out  [`blocks::Blocks`], [`flow::Flow`], [`cold`] blocks, [`loops`], the [`region`]
//!
//! A1  Only edges that are compiled need to be right about (closed world): a jump that resolves to nothing known leaves, or is
//!     dispatched to guarded entries.
//! A2  All work is bounded by a budget counted in steps.

pub mod blocks;
pub mod cold;
pub mod flow;
pub mod frames;
pub mod loops;
pub mod region;
pub mod summaries;
