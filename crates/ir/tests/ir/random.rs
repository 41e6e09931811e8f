//! Random numbers for tests: a seed, and a generator that is the same everywhere.

use alloy_primitives::U256;

/// A generator (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below the bound.
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of the rows.
    pub fn pick<'a, T>(&mut self, rows: &'a [T]) -> &'a T {
        &rows[self.below(rows.len())]
    }

    /// Bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// A word; small, large and odd ones are all likely.
    pub fn word(&mut self) -> U256 {
        let word = U256::from_limbs([self.next(), self.next(), self.next(), self.next()]);
        match self.below(5) {
            0 => U256::from(self.below(40)),
            1 => U256::from(1) << self.below(256),
            2 => word >> self.below(256),
            3 => U256::MAX << self.below(256),
            _ => word,
        }
    }
}

/// Runs a check for many seeds, starting from `HOTEVM_SEED` if that is set; says which seed failed.
pub fn for_seeds(count: u64, check: impl Fn(u64)) {
    let given = std::env::var("HOTEVM_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = given.map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        let failed = Report(seed);
        check(seed);
        std::mem::forget(failed);
    }
}

/// Prints the seed when a check panics.
struct Report(u64);

impl Drop for Report {
    fn drop(&mut self) {
        eprintln!("failed with HOTEVM_SEED={}", self.0);
    }
}
