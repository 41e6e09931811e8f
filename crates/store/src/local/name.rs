//! Names of files.
//!
//! in   a key; or that it is about hints, which have one name
//! out  `CODEHASH-KEYDIGEST.so`: the code hash in full, so that people find a contract, and half of the digest of the whole key
//!
//! A name is only a way to find a file: what it says is compared with the key inside.

use alloy_primitives::{B256, hex};
use hotevm_abi::{ArtifactKey, Refusal};

/// Hexadecimal digits of the key's digest.
const DIGEST_DIGITS: usize = 32;
const HASH_DIGITS: usize = 64;
const EXTENSION: &str = ".so";

/// How temporary files begin; no artifact does.
const TEMPORARY: &str = ".new-";

/// A temporary file of a process, of which it may have several.
pub(super) fn temporary(process: u32, number: u64) -> String {
    format!("{TEMPORARY}{process}-{number}")
}

/// Whether a temporary file has this name.
pub(super) fn is_temporary(name: &str) -> bool {
    let numbers = name.strip_prefix(TEMPORARY).and_then(|rest| rest.split_once('-'));
    numbers.is_some_and(|numbers| numbers.0.parse::<u32>().is_ok() && numbers.1.parse::<u64>().is_ok())
}

/// Where a file goes that is refused, in a folder of such files.
pub(super) fn refused(name: &str, refusal: Refusal) -> String {
    format!("{}.{name}", refusal.name())
}

/// Whether a refused artifact has this name.
pub(super) fn is_refused(name: &str) -> bool {
    let is_one = |refusal: &str| Refusal::ALL.iter().any(|known| known.name() == refusal);
    name.split_once('.').is_some_and(|(refusal, name)| is_one(refusal) && code_hash(name).is_some())
}

/// The file of the hints.
pub(super) const HINTS: &str = ".hotevm-hints";

/// The file of a key.
pub(super) fn of_key(key: &ArtifactKey) -> String {
    let digest = hex::encode(key.digest());
    format!("{}-{}{EXTENSION}", hex::encode(key.code_hash), digest.get(..DIGEST_DIGITS).unwrap_or_default())
}

/// The code hash in a name; none if it is not the name of an artifact.
pub(super) fn code_hash(name: &str) -> Option<B256> {
    let (hash, digest) = name.strip_suffix(EXTENSION)?.split_once('-')?;
    let is_lower_hex = |text: &str, len| text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_lower_hex(hash, HASH_DIGITS) || !is_lower_hex(digest, DIGEST_DIGITS) {
        return None;
    }
    hash.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_have_such_names() {
        let name = format!("{}-{}.so", "0a".repeat(32), "1b".repeat(16));
        assert_eq!(code_hash(&name), Some(B256::repeat_byte(0x0a)));
        let others = ["", ".so", "README.md", &name[1..], &name.to_uppercase(), &format!("{name}.so"), &name.replace('-', "+")];
        assert!(others.iter().all(|other| code_hash(other).is_none()));
    }
}
