//! Gold is claimed with Merkle proofs, and long chains are hashed.
//!
//! in   the tree that the claim contract was deployed with
//! out  claims (some twice, some with another's proof), trees hashed in memory, chains of hashes

use super::{Argument, Deployed, SampleError, Script, Tree, entitled};
use alloy_primitives::keccak256;

/// Gas of a long loop.
const GAS_LIMIT_LOOP: u64 = 6_000_000;

/// A block of it.
pub(super) fn claims(script: &mut Script<'_>) -> Result<(), SampleError> {
    for _ in 0..50 {
        claim(script)?;
    }
    for leaves in [64, 200, 511, 1000, 2000] {
        let seed = keccak256(format!("tree of {leaves}"));
        let arguments = [seed.into(), leaves.into()];
        script.call_with(1, Deployed::Claim, "recordRoot(bytes32,uint256)", &arguments, 0, GAS_LIMIT_LOOP)?;
    }
    for length in [100, 1000, 4000, 8000] {
        chain(script, length)?;
    }
    Ok(())
}

/// Someone claims; now and then what was claimed before, or with the proof of the next in the tree.
pub(super) fn claim(script: &mut Script<'_>) -> Result<(), SampleError> {
    let rows = entitled();
    let from = script.any_user();
    let index = script.random.below(48);
    let place = usize::try_from(index).unwrap_or_default();
    let Some(row) = rows.get(place) else { return Ok(()) };
    let proof = Tree::new(&rows).proof(if script.random.one_in(10) { place ^ 1 } else { place });
    let arguments: [Argument; 4] = [index.into(), row.account.into(), row.amount.into(), proof.into()];
    script.call(from, Deployed::Claim, "claim(uint256,address,uint256,bytes32[])", &arguments)
}

/// Hashes a chain.
pub(super) fn chain(script: &mut Script<'_>, length: u64) -> Result<(), SampleError> {
    let from = script.any_user();
    let link = keccak256(script.random.below(u64::MAX).to_be_bytes());
    let arguments = [link.into(), length.into()];
    script.call_with(from, Deployed::Claim, "recordChain(bytes32,uint256)", &arguments, 0, GAS_LIMIT_LOOP)
}
