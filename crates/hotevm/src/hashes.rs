//! Hashes computed lately, so that the same input is not hashed again.
//!
//! in   inputs of KECCAK256 of one or two words, as contracts make them for keys of mappings
//! out  their hashes
//!
//! Contracts hash the same few keys over and over: half of the inputs of two words were hashed before in the same transaction.
//!
//! K1  An answer is given only for an input that is equal in every byte.
//! K2  A table is of one size; a new input takes the place of the one that was there.
//! K3  A table belongs to one EVM at a time. What an EVM gives back, the next one takes: hashes do not age. Nobody waits for a
//!     table, and no more than [`SPARE_MAX`] are kept.

use crate::sync::Mutex;
use revm::primitives::U256;

/// Rows of a table.
const ROWS: usize = 1024;
/// Tables kept for EVMs to come.
const SPARE_MAX: usize = 64;
/// Bytes of the longest input.
pub(crate) const INPUT_BYTES_MAX: u64 = 64;
/// Limbs of the longest input.
const LIMBS: usize = 8;
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
];

/// An input: one word, or two; a single one is followed by zeros.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Input {
    limbs: [u64; LIMBS],
    /// Bytes; 0 stands for no input.
    len: u32,
}

/// Two cache lines: the input's words, and the rest.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Row {
    input: Input,
    hash: U256,
}

/// Inputs and their hashes.
#[derive(Debug)]
pub(crate) struct Hashes(Box<[Row]>);

impl Input {
    /// The input in these bytes; none for lengths that are not remembered.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 64 && bytes.len() != 32 {
            return None;
        }
        let mut limbs = [0; LIMBS];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.as_chunks().0) {
            *limb = u64::from_ne_bytes(*chunk);
        }
        Some(Self { limbs, len: bytes.len() as u32 })
    }

    /// Bytes of the input.
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it is the same input. Compared here: the library's comparison of bytes is a call.
    fn is_same(&self, other: &Self) -> bool {
        let words = self.limbs.iter().zip(&other.limbs);
        words.fold(u64::from(self.len ^ other.len), |differing, (one, other)| differing | one ^ other) == 0
    }

    fn row(&self) -> usize {
        let mixed = self.limbs.iter().zip(MIX).fold(u64::from(self.len), |sum, (limb, mix)| {
            // Both halves of the product together depend on all bits of the limb.
            let product = u128::from(*limb) * u128::from(mix);
            sum.wrapping_add(product as u64 ^ (product >> 64) as u64)
        });
        (mixed ^ mixed >> 32) as usize % ROWS
    }
}

impl Hashes {
    /// A table without rows.
    fn new() -> Self {
        let nothing = Row { input: Input { limbs: [0; LIMBS], len: 0 }, hash: U256::ZERO };
        Self(vec![nothing; ROWS].into_boxed_slice())
    }

    /// The hash of an input, if it is known.
    pub(crate) fn get(&self, input: &Input) -> Option<U256> {
        self.0.get(input.row()).filter(|row| row.input.is_same(input)).map(|row| row.hash)
    }

    /// Remembers a hash.
    pub(crate) fn put(&mut self, input: Input, hash: U256) {
        if let Some(row) = self.0.get_mut(input.row()) {
            *row = Row { input, hash };
        }
    }
}

/// Tables that no EVM uses at present (K3).
#[derive(Debug, Default)]
pub(crate) struct SpareHashes(Mutex<Vec<Hashes>>);

impl SpareHashes {
    /// A table, new if none is spare or somebody else is looking.
    pub(crate) fn take(&self) -> Hashes {
        self.0.try_lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_else(Hashes::new)
    }

    /// Gives a table back.
    pub(crate) fn put(&self, hashes: Hashes) {
        if let Ok(mut spare) = self.0.try_lock()
            && spare.len() < SPARE_MAX
        {
            spare.push(hashes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::primitives::keccak256;

    #[test]
    fn an_input_is_known_after_it_was_put_and_no_other_is() {
        let mut hashes = Hashes::new();
        let bytes: Vec<u8> = (0..64).collect();
        let input = Input::new(&bytes).expect("two words");
        assert_eq!(hashes.get(&input), None);
        hashes.put(input, keccak256(&bytes).into());
        assert_eq!(hashes.get(&input), Some(keccak256(&bytes).into()));
        for place in 0..64 {
            let mut other = bytes.clone();
            other[place] ^= 1;
            assert_eq!(Input::new(&other).and_then(|other| hashes.get(&other)), None, "byte {place} differs");
        }
        // One word is not two words of which the second is zero, and no input is not zeros.
        let mut padded = vec![7; 32];
        let short = Input::new(&padded).expect("one word");
        padded.resize(64, 0);
        hashes.put(short, U256::ONE);
        assert_eq!(Input::new(&padded).and_then(|long| hashes.get(&long)), None);
        assert_eq!(Input::new(&[0; 64]).and_then(|zeros| hashes.get(&zeros)), None);
        assert!(Input::new(&[0; 33]).is_none());
        assert_eq!(size_of::<Row>(), 128);
    }

    #[test]
    fn inputs_of_mappings_spread_over_the_rows() {
        let rows: std::collections::HashSet<usize> = (0..ROWS as u64)
            .map(|account| {
                let mut bytes = [0; 64];
                bytes[24..32].copy_from_slice(&account.to_be_bytes());
                bytes[63] = 3;
                Input::new(&bytes).map_or(0, |input| input.row())
            })
            .collect();
        // Random numbers would fill 63 of 100 rows.
        assert!(rows.len() > ROWS / 2, "{} rows of {ROWS}", rows.len());
    }

    #[test]
    fn a_table_that_was_given_back_is_taken_again() {
        let spare = SpareHashes::default();
        let mut hashes = spare.take();
        let input = Input::new(&[1; 32]).expect("one word");
        hashes.put(input, U256::ONE);
        spare.put(hashes);
        assert_eq!(spare.take().get(&input), Some(U256::ONE));
        assert_eq!(spare.take().get(&input), None, "only one was spare");
    }
}
