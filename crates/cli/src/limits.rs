//! `hotevm limits`: prints what bounds the compiler's work.
//!
//! in   nothing
//! out  one line per limit: name, value, meaning

use hotevm::Limits;

/// Prints the table.
pub(crate) fn run() -> eyre::Result<bool> {
    for (name, value, meaning) in Limits::default().rows() {
        println!("{name:<34} {value:>8}  {meaning}");
    }
    Ok(true)
}
