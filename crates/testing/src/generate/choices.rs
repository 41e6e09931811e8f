//! Where a generator's decisions come from.
//!
//! in   a seed, or bytes (of a fuzzer)
//! out  numbers, words and picks; the same input gives the same decisions on every machine
//!
//! H1  A string of bytes that ends is followed by zeros for ever: every decision has a value for zero that leads to an end.
//! H2  `chance` is false at zero, and `pick` and `weighted` give the first entry, so the first entry is the simplest one.

use alloy_primitives::U256;

/// A stream of decisions.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    /// State of a SplitMix64 generator.
    Seed(u64),
    /// What is left of the bytes.
    Bytes(&'a [u8]),
}

/// Words at which arithmetic and addressing change their behaviour, besides powers of two and their neighbours.
const EDGES: [u64; 18] = [0, 1, 2, 3, 5, 7, 31, 32, 33, 64, 127, 128, 255, 256, 257, 1024, 0xffff, 0x5b5b];

impl Choices<'static> {
    /// Endless decisions from a seed.
    pub fn from_seed(seed: u64) -> Self {
        Choices { source: Source::Seed(seed) }
    }
}

impl<'a> Choices<'a> {
    /// Decisions from bytes, zero after their end.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Choices { source: Source::Bytes(bytes) }
    }

    /// `len` bytes of the stream as a number (`len` up to 8).
    fn number(&mut self, len: usize) -> u64 {
        match &mut self.source {
            Source::Seed(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                mixed ^ (mixed >> 31)
            }
            Source::Bytes(bytes) => {
                let (head, tail) = bytes.split_at(len.min(bytes.len()));
                *bytes = tail;
                head.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
            }
        }
    }

    /// A number below `limit`; zero if `limit` is zero.
    pub fn below(&mut self, limit: usize) -> usize {
        let len = if limit <= 1 << 8 {
            1
        } else if limit <= 1 << 16 {
            2
        } else {
            8
        };
        if limit <= 1 { 0 } else { (self.number(len) % limit as u64) as usize }
    }

    /// A number of a half-open range that is not empty.
    pub fn within(&mut self, range: std::ops::Range<usize>) -> usize {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// True `often` times out of `of`.
    pub fn chance(&mut self, often: usize, of: usize) -> bool {
        self.below(of) >= of.saturating_sub(often).max(1)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.number(1) as u8
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.number(8)
    }

    /// Any bytes, `len` of them.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// An entry of a list; `None` for an empty one.
    pub fn pick<'list, T>(&mut self, list: &'list [T]) -> Option<&'list T> {
        let index = self.below(list.len());
        list.get(index)
    }

    /// An entry of a list of (weight, entry); `None` if there is no weight.
    pub fn weighted<T: Copy>(&mut self, list: &[(u32, T)]) -> Option<T> {
        let total: u32 = list.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total as usize) as u32;
        for &(weight, entry) in list {
            if left < weight {
                return Some(entry);
            }
            left -= weight;
        }
        None
    }

    /// A word at which something may change: small numbers, powers of two and their neighbours, negative ones, now and then any word.
    pub fn word(&mut self) -> U256 {
        match self.below(8) {
            0..=2 => U256::from(self.pick(&EDGES).copied().unwrap_or_default()),
            3 | 4 => {
                let power = U256::ONE << self.below(256);
                match self.below(3) {
                    0 => power,
                    1 => power.wrapping_sub(U256::ONE),
                    _ => power.wrapping_add(U256::ONE),
                }
            }
            5 => U256::ZERO.wrapping_sub(U256::from(self.below(300))),
            6 => U256::from(self.bits() >> self.below(64)),
            _ => U256::from_limbs(std::array::from_fn(|_| self.bits())),
        }
    }
}
