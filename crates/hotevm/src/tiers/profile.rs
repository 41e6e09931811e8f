//! Profiles: which basic blocks of a code were seen to run.
//!
//! in   the places that watched frames report: jump destinations, the instructions behind JUMPI, CALL and CREATE
//! out  the block starts of a region; how much is interpreted for the gas that is spent
//!
//! O1  One bit per byte of code, and nothing else grows.
//! O2  Bits are set by executing threads and read by workers, relaxed: a region may miss what ran a moment ago. They are set by a load and a
//!     store: what other threads note of the same 32 bytes of code between the two is lost until it runs again, and is then counted twice.

use crate::{
    artifacts::record::Record,
    sync::{AtomicU32, AtomicU64, Ordering},
};

/// What watched frames saw of one code.
#[derive(Debug)]
pub(crate) struct Profile {
    /// One bit per pc; O2.
    bits: Box<[AtomicU32]>,
    /// Bits set; O2.
    blocks: AtomicU32,
    /// Stops at JUMPDEST and JUMPI; O2.
    stops: AtomicU64,
    /// Gas spent in watched stretches; O2.
    gas: AtomicU64,
    /// Watched frames since the last that showed a new block; O2.
    quiet: AtomicU32,
}

impl Profile {
    /// Bytes that the profile of a code takes.
    pub(crate) const fn bytes_for(code_len: usize) -> usize {
        code_len.div_ceil(32) * 4
    }

    /// Nothing seen.
    pub(crate) fn new(code_len: usize) -> Self {
        Self {
            bits: std::iter::repeat_with(AtomicU32::default).take(code_len.div_ceil(32)).collect(),
            blocks: AtomicU32::new(0),
            stops: AtomicU64::new(0),
            gas: AtomicU64::new(0),
            quiet: AtomicU32::new(0),
        }
    }

    /// Notes that a block runs, and counts it where that is news.
    pub(crate) fn record(&self, pc: usize) {
        self.found(u32::from(self.note(pc)));
    }

    /// Notes that a block runs; whether that is news, which the caller counts ([`Self::found`]).
    #[inline]
    pub(crate) fn note(&self, pc: usize) -> bool {
        let Some(word) = self.bits.get(pc / 32) else { return false };
        let (row, bit) = (word.load(Ordering::Relaxed), 1 << (pc % 32));
        let is_new = row & bit == 0;
        if is_new {
            word.store(row | bit, Ordering::Relaxed);
        }
        is_new
    }

    /// Counts blocks that were new.
    pub(crate) fn found(&self, blocks: u32) {
        if blocks != 0 {
            self.blocks.fetch_add(blocks, Ordering::Relaxed);
        }
    }

    /// Notes how much was watched.
    pub(crate) fn watched(&self, stops: u64, gas: u64) {
        self.stops.fetch_add(stops, Ordering::Relaxed);
        self.gas.fetch_add(gas, Ordering::Relaxed);
    }

    /// Notes the end of a watched stretch, before which so many blocks were known. A frame counts once, at its first stretch.
    pub(crate) fn stretch_ended(&self, blocks: u32, is_first: bool) {
        if self.blocks() != blocks {
            self.wake();
        } else if is_first {
            self.quiet.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets every frame be watched again.
    pub(crate) fn wake(&self) {
        self.quiet.store(0, Ordering::Relaxed);
    }

    /// Watched frames since the last that showed a new block.
    pub(crate) fn quiet(&self) -> u32 {
        self.quiet.load(Ordering::Relaxed)
    }

    /// Adds what a record of an earlier process says.
    pub(crate) fn restore(&self, record: &Record) {
        record.seen.iter().for_each(|pc| self.record(*pc as usize));
        self.watched(record.stops, record.gas);
    }

    /// Number of blocks seen.
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Stops and gas of all watched stretches.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.stops.load(Ordering::Relaxed), self.gas.load(Ordering::Relaxed))
    }

    /// The places where the blocks seen start, in order.
    pub(crate) fn starts(&self) -> Vec<u32> {
        let mut starts = Vec::new();
        for (index, word) in self.bits.iter().enumerate() {
            let mut left = word.load(Ordering::Relaxed);
            while left != 0 {
                starts.push(index as u32 * 32 + left.trailing_zeros());
                left &= left - 1;
            }
        }
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o1_bits_come_back_as_places() {
        let profile = Profile::new(100);
        for pc in [99, 0, 31, 32, 64, 31, 128, 5000] {
            profile.record(pc);
        }
        assert_eq!(profile.starts(), [0, 31, 32, 64, 99]);
        assert_eq!(profile.blocks(), 5);
        assert_eq!(size_of_val(&*profile.bits), Profile::bytes_for(100));
    }
}
