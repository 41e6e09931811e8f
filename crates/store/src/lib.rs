//! Where compiled code survives a restart: the place of the artifact store.
//!
//! in   code compiled by this process, with all that it depends on
//! out  the same code in a later process, or a reason to refuse it
//!
//! Nothing is stored yet: the crate holds the place, and what it may use, in the table of crates.

#![forbid(unsafe_code)]
