//! Numbers are crunched.
//!
//! in   nothing
//! out  calls whose gas goes into loops over numbers and memory

use super::{Argument, Deployed, SampleError, Script};
use alloy_primitives::U256;

/// Gas of one computation; below what one transaction may have (EIP-7825).
const GAS_LIMIT_LOOP: u64 = 8_000_000;

/// A block of it.
pub(super) fn numbers(script: &mut Script<'_>) -> Result<(), SampleError> {
    for round in 1..=3 {
        compute(script, "fibonacci(uint256)", &[(8_000 * round).into()])?;
        compute(script, "primes(uint256)", &[(2_500 * round).into()])?;
        compute(script, "collatz(uint256)", &[(60 * round).into()])?;
        compute(script, "power(uint256,uint256,uint256)", &[round.into(), U256::MAX.into(), (4 * round).into()])?;
        compute(script, "mandelbrot(int256,uint256)", &[(5 * round).into(), 32.into()])?;
        compute(script, "matrix(uint256,uint256)", &[round.into(), (6 * round).into()])?;
        compute(script, "sort(uint256,uint256)", &[round.into(), (150 * round).into()])?;
    }
    // One number too many to make a table of.
    compute(script, "sort(uint256,uint256)", &[1.into(), U256::MAX.into()])
}

/// One short computation.
pub(super) fn small(script: &mut Script<'_>) -> Result<(), SampleError> {
    let size = script.random.between(20, 60);
    match script.random.below(4) {
        0 => compute(script, "primes(uint256)", &[(size * 10).into()]),
        1 => compute(script, "sort(uint256,uint256)", &[size.into(), size.into()]),
        2 => compute(script, "collatz(uint256)", &[size.into()]),
        _ => compute(script, "fibonacci(uint256)", &[(size * 20).into()]),
    }
}

fn compute(script: &mut Script<'_>, function: &'static str, arguments: &[Argument]) -> Result<(), SampleError> {
    let from = script.any_user();
    script.call_with(from, Deployed::Crunch, function, arguments, 0, GAS_LIMIT_LOOP)
}
