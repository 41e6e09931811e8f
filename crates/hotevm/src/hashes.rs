//! Hashes computed lately, so that the same input is not hashed again.
//!
//! in   short inputs of KECCAK256, as contracts make them for keys of mappings and for addresses of other contracts
//! out  their hashes
//!
//! Contracts hash the same few keys over and over: half of the inputs of two words were hashed before in the same transaction.
//!
//! K1  An answer is given only for an input that is equal in every byte.
//! K2  A table is of one size; a new input takes the place of the one that was there.
//! K3  All EVMs of a runtime share one table: what one has hashed, the next block's, or one that executes ahead, need not hash.
//! K4  Nobody waits: a row that is being written has no answer, and takes no other input.

use crate::words::Words;
use revm::primitives::U256;

/// Rows of a table, which then takes 2 MiB. `hotevm replay --mode interpreter,jit --rounds 60` of five blocks, with tables of two sizes by
/// turns in one process: 4,096 rows against 1,024 gained 4 % over the repeated rounds, 16,384 gained 7 %, and 65,536 5 %.
const ROWS: usize = if cfg!(feature = "loom") { 1 } else { 16_384 };
/// Bytes of the longest input. In five mainnet blocks (6196166 9069000 11114732 12522062 15752489, counted) 3,829 of 4,997 inputs had two
/// words, 678 one, 143 had 85 bytes, from which an address follows (EIP-1014), 123 had 40, two addresses.
pub(crate) const INPUT_BYTES_MAX: u64 = 87;
/// Limbs of an input: its bytes, zeros, and its length as the last byte.
const LIMBS: usize = 11;
/// Limbs of a hash.
const HASH_LIMBS: usize = 4;
/// Words of a row.
const ROW_WORDS: usize = LIMBS + HASH_LIMBS;
/// Odd numbers without pattern (digits of the golden ratio and of square roots), one per limb.
const MIX: [u64; LIMBS] = [
    0x9e37_79b9_7f4a_7c15,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
    0xcbbb_9d5d_c105_9ed9,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
];

/// An input of 1 to [`INPUT_BYTES_MAX`] bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input([u64; LIMBS]);

/// Two cache lines: the limbs of the input and of its hash. Zeros are no input, since none is of length 0.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Row(Words<ROW_WORDS>);

/// Inputs and their hashes.
#[derive(Debug)]
pub(crate) struct Hashes(Box<[Row]>);

impl Input {
    /// The input in these bytes; none for lengths that are not remembered.
    #[inline]
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let len = u64::try_from(bytes.len()).ok().filter(|len| (1..=INPUT_BYTES_MAX).contains(len))?;
        let mut limbs = [0; LIMBS];
        if let (Some(words), 64) = (bytes.first_chunk::<64>(), len) {
            // By far the most frequent length, without a call.
            fill(&mut limbs, words.as_chunks().0);
        } else {
            let mut padded = [0; 8 * LIMBS];
            padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
            fill(&mut limbs, padded.as_chunks().0);
        }
        limbs[LIMBS - 1] |= len << 56;
        Some(Self(limbs))
    }

    /// Bytes of the input.
    pub(crate) const fn len(&self) -> usize {
        (self.0[LIMBS - 1] >> 56) as usize
    }

    fn row(&self) -> usize {
        let mixed = self.0.iter().zip(MIX).fold(0_u64, |sum, (limb, mix)| {
            // Both halves of the product together depend on all bits of the limb.
            let product = u128::from(*limb) * u128::from(mix);
            sum.wrapping_add(product as u64 ^ (product >> 64) as u64)
        });
        (mixed ^ mixed >> 32) as usize % ROWS
    }
}

fn fill(limbs: &mut [u64; LIMBS], chunks: &[[u8; 8]]) {
    limbs.iter_mut().zip(chunks).for_each(|(limb, chunk)| *limb = u64::from_le_bytes(*chunk));
}

impl Hashes {
    /// A table that knows nothing.
    pub(crate) fn new() -> Self {
        Self((0..ROWS).map(|_| Row::default()).collect())
    }

    /// The hash of an input, if it is known.
    pub(crate) fn get(&self, input: &Input) -> Option<U256> {
        let words = self.0.get(input.row())?.0.read()?;
        let (known, hash) = words.split_first_chunk::<LIMBS>()?;
        // Compared here: the library's comparison of bytes is a call.
        let differing = known.iter().zip(input.0).fold(0, |differing, (one, other)| differing | one ^ other);
        let hash = hash.first_chunk::<HASH_LIMBS>()?;
        (differing == 0).then(|| U256::from_limbs(*hash))
    }

    /// Remembers a hash.
    pub(crate) fn put(&self, input: &Input, hash: U256) {
        let Some(row) = self.0.get(input.row()) else { return };
        let mut words = [0; ROW_WORDS];
        words.iter_mut().zip(input.0.iter().chain(hash.as_limbs())).for_each(|(word, limb)| *word = *limb);
        row.0.write(&words);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use revm::primitives::keccak256;

    #[test]
    fn an_input_is_known_after_it_was_put_and_no_other_is() {
        let hashes = Hashes::new();
        let bytes: Vec<u8> = (0..64).collect();
        let input = Input::new(&bytes).expect("two words");
        assert_eq!(hashes.get(&input), None);
        hashes.put(&input, keccak256(&bytes).into());
        assert_eq!(hashes.get(&input), Some(keccak256(&bytes).into()));
        for place in 0..64 {
            let mut other = bytes.clone();
            other[place] ^= 1;
            assert_eq!(Input::new(&other).and_then(|other| hashes.get(&other)), None, "byte {place} differs");
        }
        // No input is another one with zeros behind it, and zeros are no input that was put.
        for len in 1..INPUT_BYTES_MAX as usize {
            let padded = vec![7; len].into_iter().chain([0]).collect::<Vec<u8>>();
            let [short, long] = [&padded[..len], &padded].map(|bytes| Input::new(bytes).expect("short enough"));
            assert_eq!((short.len(), long.len()), (len, len + 1));
            hashes.put(&short, U256::from(len));
            assert_eq!((hashes.get(&short), hashes.get(&long)), (Some(U256::from(len)), None));
        }
        assert_eq!(Input::new(&[0; 64]).and_then(|zeros| hashes.get(&zeros)), None);
        assert!(Input::new(&[]).is_none() && Input::new(&[0; INPUT_BYTES_MAX as usize + 1]).is_none());
        assert_eq!(size_of::<Row>(), 128);
    }

    #[test]
    fn inputs_of_mappings_spread_over_the_rows() {
        const INPUTS: u64 = 1024;
        let rows: std::collections::HashSet<usize> = (0..INPUTS)
            .map(|account| {
                let mut bytes = [0; 64];
                bytes[24..32].copy_from_slice(&account.to_be_bytes());
                bytes[63] = 3;
                Input::new(&bytes).map_or(0, |input| input.row())
            })
            .collect();
        // Random numbers would take 97 of 100 rows of their own.
        assert!(rows.len() > INPUTS as usize * 9 / 10, "{} rows", rows.len());
    }
}
