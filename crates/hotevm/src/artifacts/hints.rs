//! Hints: what a runtime leaves in its store beside artifacts, so that the next one starts with less to compute.
//!
//! in   the tables of hashes
//! out  bytes for [`ArtifactStore::keep_hints`](hotevm_store::ArtifactStore::keep_hints); tables that know the inputs in such bytes
//!
//! A block after a restart finds its code, and computes every hash anew. Where it is the block that was executed before (19933612, `hotevm
//! replay --mode interpreter,tiered --store S --settle --rounds 20` on copies of one store, builds with hints and without by turns, eight times),
//! that is 0.3 of 3.7 ms.
//!
//! The bytes are [`FORMAT`], then for each input its length, a byte, and its bytes.
//!
//! G1  Only inputs are left. Whoever takes them hashes them, so that no bytes, whoever wrote them, lead to a wrong hash.
//! G2  What cannot be read ends the hints: what came before it is good.
//! G3  What was hashed here already is not hashed again, and stays where it is.

use crate::hashes::{Hashes, INPUTS_BYTES_MAX, Input};
use hotevm_store::HINTS_LEN_MAX;
use revm::primitives::keccak256;

/// What the bytes begin with; another layout has another number.
const FORMAT: &[u8; 8] = b"hotevm 1";

const _: () = assert!(FORMAT.len() + INPUTS_BYTES_MAX <= HINTS_LEN_MAX, "full tables fit");

/// The inputs that the tables know; none where they know nothing.
pub(super) fn encode(hashes: &Hashes) -> Option<Vec<u8>> {
    let mut bytes = FORMAT.to_vec();
    hashes.for_each(|input| {
        let (padded, len) = input.bytes();
        bytes.push(len);
        bytes.extend_from_slice(padded.get(..usize::from(len)).unwrap_or_default());
    });
    (bytes.len() > FORMAT.len()).then_some(bytes)
}

/// Hashes the inputs while `goes_on` (G1); how many it hashed.
pub(super) fn take(bytes: &[u8], hashes: &Hashes, goes_on: &dyn Fn() -> bool) -> u64 {
    let mut taken = 0;
    let mut rest = bytes.strip_prefix(FORMAT).unwrap_or_default();
    while let Some((&len, behind)) = rest.split_first()
        && let Some((bytes, behind)) = behind.split_at_checked(len.into())
        && let Some(input) = Input::new(bytes)
        && goes_on()
    {
        if hashes.get(&input).is_none() {
            hashes.put(&input, keccak256(bytes).into());
            taken += 1;
        }
        rest = behind;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashes::INPUT_BYTES_MAX;
    use revm::primitives::{B256, U256};

    /// Inputs of all lengths, and keys of mappings.
    fn inputs() -> Vec<Vec<u8>> {
        let keys = (0..20_u8).map(|slot| {
            let mut key = vec![0; 64];
            key[12..32].copy_from_slice(&std::array::from_fn::<u8, 20, _>(|byte| slot ^ byte as u8));
            key[63] = slot;
            key
        });
        (1..=INPUT_BYTES_MAX as u8).map(|len| (0..len).map(|byte| byte ^ len).collect()).chain(keys).collect()
    }

    fn known(hashes: &Hashes, bytes: &[u8]) -> Option<B256> {
        hashes.get(&Input::new(bytes).expect("of a length that is remembered")).map(B256::from)
    }

    #[test]
    fn g1_what_one_knows_the_next_one_knows() {
        let (before, after) = (Hashes::new(), Hashes::new());
        assert_eq!(encode(&before), None);
        for bytes in inputs() {
            // A wrong hash: it is not what is left.
            before.put(&Input::new(&bytes).expect("of a length that is remembered"), U256::ONE);
        }
        let left = encode(&before).expect("some inputs");
        assert_eq!(take(&left, &Hashes::new(), &|| false), 0);
        let taken = take(&left, &after, &|| true);
        // Some may have taken the place of others.
        let there: Vec<_> = inputs().into_iter().filter(|bytes| known(&before, bytes).is_some()).collect();
        assert!(there.len() > inputs().len() * 9 / 10 && there.len() as u64 == taken, "{taken}");
        for bytes in there {
            assert_eq!(known(&after, &bytes), Some(keccak256(&bytes)), "{bytes:?}");
        }
    }

    #[test]
    fn g2_any_bytes_are_hints_as_far_as_they_are_read() {
        let left = [FORMAT.as_slice(), &[2, 7, 8], &[3, 1, 2, 3], &[88], &[9; 88], &[1, 5]].concat();
        for len in 0..=left.len() {
            let expected = u64::from(len >= 11) + u64::from(len >= 15);
            assert_eq!(take(&left[..len], &Hashes::new(), &|| true), expected, "{len} bytes");
        }
        assert_eq!(take(&[FORMAT.as_slice(), &[0, 1, 1]].concat(), &Hashes::new(), &|| true), 0);
        assert_eq!(take(b"hotevm 2\x01\x01", &Hashes::new(), &|| true), 0);
    }

    #[test]
    fn g3_what_is_known_stays() {
        let hashes = Hashes::new();
        hashes.put(&Input::new(&[7]).expect("of a length that is remembered"), U256::ONE);
        assert_eq!(take(&[FORMAT.as_slice(), &[1, 7], &[1, 8]].concat(), &hashes, &|| true), 1);
        assert_eq!([7, 8].map(|byte| known(&hashes, &[byte])), [Some(U256::ONE.into()), Some(keccak256([8]))]);
    }
}
