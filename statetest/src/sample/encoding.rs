//! Arguments of calls, as contracts expect them.
//!
//! in   words, lists of words, bytes
//! out  the contract ABI's encoding: a head of one word per argument, then what the heads of lists and bytes point to

use alloy_primitives::{Address, B256, Bytes, U256};

/// One argument.
#[derive(Debug, Clone)]
pub(super) enum Argument {
    /// A number, an address, a hash or a truth value.
    Word(U256),
    /// A list of words, its length not known beforehand.
    List(Vec<U256>),
    /// Bytes, their length not known beforehand.
    Bytes(Bytes),
}

impl From<u64> for Argument {
    fn from(number: u64) -> Self {
        Self::Word(U256::from(number))
    }
}

impl From<U256> for Argument {
    fn from(number: U256) -> Self {
        Self::Word(number)
    }
}

impl From<bool> for Argument {
    fn from(truth: bool) -> Self {
        Self::Word(U256::from(truth))
    }
}

impl From<Address> for Argument {
    fn from(address: Address) -> Self {
        Self::Word(address.into_word().into())
    }
}

impl From<B256> for Argument {
    fn from(hash: B256) -> Self {
        Self::Word(hash.into())
    }
}

impl From<Vec<B256>> for Argument {
    fn from(hashes: Vec<B256>) -> Self {
        Self::List(hashes.into_iter().map(Into::into).collect())
    }
}

impl From<Vec<Address>> for Argument {
    fn from(addresses: Vec<Address>) -> Self {
        Self::List(addresses.into_iter().map(|address| address.into_word().into()).collect())
    }
}

impl From<Vec<U256>> for Argument {
    fn from(numbers: Vec<U256>) -> Self {
        Self::List(numbers)
    }
}

/// `start` (a selector, or creation code) followed by the encoded arguments.
pub(super) fn encode(start: &[u8], arguments: &[Argument]) -> Bytes {
    let mut data = start.to_vec();
    let mut tail: Vec<u8> = Vec::new();
    let head_len = arguments.len() * 32;
    let word = |number: usize| U256::from(number).to_be_bytes::<32>();
    for argument in arguments {
        if let Argument::Word(number) = argument {
            data.extend(number.to_be_bytes::<32>());
            continue;
        }
        data.extend(word(head_len + tail.len()));
        match argument {
            Argument::Word(_) => {}
            Argument::List(numbers) => {
                tail.extend(word(numbers.len()));
                tail.extend(numbers.iter().flat_map(U256::to_be_bytes::<32>));
            }
            Argument::Bytes(bytes) => {
                tail.extend(word(bytes.len()));
                tail.extend(bytes.iter());
                tail.resize(tail.len().next_multiple_of(32), 0);
            }
        }
    }
    data.extend(tail);
    data.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[Argument], words: &[u64]) {
        let encoded = encode(&[1, 2, 3, 4], arguments);
        assert_eq!(encoded[..4], [1, 2, 3, 4]);
        let found: Vec<U256> = encoded[4..].chunks(32).map(U256::from_be_slice).collect();
        assert_eq!(found, words.iter().copied().map(U256::from).collect::<Vec<_>>());
    }

    #[test]
    fn words_stand_in_the_head() {
        check(&[7.into(), true.into()], &[7, 1]);
    }

    #[test]
    fn lists_stand_behind_the_head() {
        let list = vec![U256::from(5), U256::from(6)];
        check(&[list.clone().into(), 9.into(), list.into()], &[96, 9, 192, 2, 5, 6, 2, 5, 6]);
    }

    #[test]
    fn bytes_are_padded() {
        let encoded = encode(&[], &[Argument::Bytes(vec![0xab; 33].into())]);
        assert_eq!(encoded.len(), 32 + 32 + 64);
    }
}
