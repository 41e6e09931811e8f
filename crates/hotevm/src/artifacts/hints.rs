//! Hints: what a runtime leaves in its store beside artifacts, so that the next one starts with less to compute.
//!
//! in   the tables of hashes
//! out  bytes for [`hotevm_store::ArtifactStore::keep_hints`]; and tables that know the inputs in such bytes
//!
//! A block after a restart finds its code, and computes every hash anew: in block 19933612 a tenth of its time.
//!
//! The bytes are [`FORMAT`], then for each input its length, a byte, and its bytes.
//!
//! I1  Only inputs are left. Whoever takes them hashes them, so that no bytes, whoever wrote them, lead to a wrong hash.
//! I2  What cannot be read ends the hints: what came before it is good.

use crate::hashes::{Hashes, Input};
use revm::primitives::keccak256;

/// What the bytes begin with; another layout has another number.
const FORMAT: &[u8; 8] = b"hotevm 1";

/// The inputs that the tables know.
pub(super) fn encode(hashes: &Hashes) -> Vec<u8> {
    let mut bytes = FORMAT.to_vec();
    hashes.for_each(|input| {
        let (padded, len) = input.bytes();
        bytes.push(len);
        bytes.extend_from_slice(padded.get(..usize::from(len)).unwrap_or_default());
    });
    bytes
}

/// Hashes the inputs while `goes_on` (I1); how many there were.
pub(super) fn take(bytes: &[u8], hashes: &Hashes, goes_on: &dyn Fn() -> bool) -> u64 {
    let mut taken = 0;
    let mut rest = bytes.strip_prefix(FORMAT).unwrap_or_default();
    while let Some((&len, behind)) = rest.split_first()
        && let Some((bytes, behind)) = behind.split_at_checked(len.into())
        && let Some(input) = Input::new(bytes)
        && goes_on()
    {
        hashes.put(&input, keccak256(bytes).into());
        rest = behind;
        taken += 1;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashes::INPUT_BYTES_MAX;
    use revm::primitives::U256;

    /// Inputs of all lengths, and keys of mappings.
    fn inputs() -> Vec<Vec<u8>> {
        let keys = [(1_u8, 0_u8), (0, 0), (0xff, 0x7f), (0xff, 0x80)].map(|(account, slot)| {
            let mut key = vec![0; 64];
            key[12..32].fill(account);
            key[60] = slot;
            key
        });
        (1..=INPUT_BYTES_MAX as u8).map(|len| (0..len).map(|byte| byte ^ len).collect()).chain(keys).collect()
    }

    fn known(hashes: &Hashes) -> usize {
        let is_known = |bytes: &Vec<u8>| {
            let hash = hashes.get(&Input::new(bytes).expect("of a length that is remembered"));
            assert!(hash.is_none_or(|hash| hash == U256::from_be_bytes(keccak256(bytes).0)), "{bytes:?}");
            hash.is_some()
        };
        inputs().iter().filter(|bytes| is_known(bytes)).count()
    }

    #[test]
    fn i1_what_one_knows_the_next_one_knows() {
        let before = Hashes::new();
        for bytes in inputs() {
            // A wrong one: it is not what is left.
            before.put(&Input::new(&bytes).expect("of a length that is remembered"), U256::ONE);
        }
        let left = encode(&before);
        let after = Hashes::new();
        let taken = take(&left, &after, &|| true);
        // Some took the place of others.
        assert!(taken as usize > inputs().len() * 9 / 10 && known(&after) == taken as usize, "{taken}");
        assert_eq!(take(&left, &Hashes::new(), &|| false), 0);
    }

    #[test]
    fn i2_any_bytes_are_hints_as_far_as_they_are_read() {
        let left = [FORMAT.as_slice(), &[2, 7, 8], &[3, 1, 2, 3], &[88], &[9; 88], &[1, 5]].concat();
        for len in 0..left.len() {
            let expected = u64::from(len >= 11) + u64::from(len >= 15);
            assert_eq!(take(&left[..len], &Hashes::new(), &|| true), expected, "{len} bytes");
        }
        assert_eq!(take(&[FORMAT.as_slice(), &[0, 1, 1]].concat(), &Hashes::new(), &|| true), 0);
        assert_eq!(take(b"hotevm 2\x01\x01", &Hashes::new(), &|| true), 0);
    }
}
