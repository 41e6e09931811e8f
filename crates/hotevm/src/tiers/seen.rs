//! Codes seen lately that have no entry yet: a table of fixed size.
//!
//! in   a key, the gas spent in its code, the visit (an EVM at a block) in which that was
//! out  the heat gathered for that key, as far as the table still knows it
//!
//! N1  The table never grows: a million codes seen once take what one code takes.
//! N2  A hotter code is not pushed out by a colder one: the colder one wears it down (the frequent-items scheme of Misra and
//!     Gries, per slot).
//! N3  Heat is a hint. Two threads that add at the same time may lose one sum; nothing but speed depends on it.
//! N4  Gas counts twice as much for each further visit that meets the code: what came back will come back again, while much of what a
//!     block runs is not seen again, and watching it is in vain.

use super::entry::Key;
use crate::{
    code::fetch_ahead,
    sync::{AtomicU64, Ordering},
};

/// Gas that a unit of heat stands for.
const UNIT_GAS: u64 = 64;

/// A slot, unpacked: from the lowest bit heat in units, visits that met the code, the last of them, a part of the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    heat: u64,
    times: u64,
    visit: u64,
    tag: u64,
}

impl Row {
    const HEAT_BITS: u32 = 24;
    const TIMES_BITS: u32 = 4;
    const VISIT_BITS: u32 = 10;

    const fn unpack(word: u64) -> Self {
        let (times, visit) = (word >> Self::HEAT_BITS, word >> (Self::HEAT_BITS + Self::TIMES_BITS));
        Self {
            heat: word & low(Self::HEAT_BITS),
            times: times & low(Self::TIMES_BITS),
            visit: visit & low(Self::VISIT_BITS),
            tag: visit >> Self::VISIT_BITS,
        }
    }

    const fn pack(self) -> u64 {
        let visits = (self.tag << Self::VISIT_BITS | self.visit) << Self::TIMES_BITS | self.times;
        visits << Self::HEAT_BITS | self.heat
    }
}

/// A word with so many low bits set.
const fn low(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Where the heat of a code is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    index: usize,
    tag: u64,
}

/// The heat of codes without an entry.
#[derive(Debug)]
pub(crate) struct Seen {
    /// A [`Row`] each. Written and read by executing threads, relaxed (N3).
    slots: Box<[AtomicU64]>,
}

impl Seen {
    /// A table with at least so many slots.
    pub(crate) fn new(len: usize) -> Self {
        let len = len.next_power_of_two();
        Self { slots: std::iter::repeat_with(AtomicU64::default).take(len).collect() }
    }

    /// Bytes that the table takes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// Adds gas spent in a code in a visit; its heat now, in gas (N4).
    #[inline]
    pub(crate) fn add(&self, Place { index, tag }: Place, gas: u64, visit: u64) -> u64 {
        let units = gas.div_ceil(UNIT_GAS).min(low(Row::HEAT_BITS));
        let Some(slot) = self.slots.get(index) else { return gas };
        let visit = visit & low(Row::VISIT_BITS);
        let row = Row::unpack(slot.load(Ordering::Relaxed));
        let (row, heat) = if row.tag == tag {
            // Two EVMs that run at once meet the code by turns: only a visit that began later than the last is another one.
            let later = visit.wrapping_sub(row.visit) & low(Row::VISIT_BITS);
            let is_later = (1..1 << (Row::VISIT_BITS - 1)).contains(&later);
            let times = (row.times + u64::from(is_later)).min(low(Row::TIMES_BITS));
            let heat = (row.heat + (units << times.saturating_sub(1))).min(low(Row::HEAT_BITS));
            (Row { heat, times, visit: if is_later { visit } else { row.visit }, tag }, heat)
        } else if row.heat <= units {
            (Row { heat: units, times: 1, visit, tag }, units)
        } else {
            (Row { heat: row.heat - units, ..row }, units)
        };
        slot.store(row.pack(), Ordering::Relaxed);
        heat * UNIT_GAS
    }

    /// Where the heat of a code is. The processor is told to fetch it, so that it is there once gas was spent.
    #[inline]
    pub(crate) fn place(&self, (hash, configuration): Key) -> Place {
        let word = |start: usize| u64::from_le_bytes(std::array::from_fn(|index| hash[start + index]));
        let mixed = word(0) ^ configuration.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = (mixed as usize) & (self.slots.len() - 1);
        if let Some(slot) = self.slots.get(index) {
            fetch_ahead(slot);
        }
        // The tag is not zero, which is the mark of an empty slot.
        Place { index, tag: word(8) >> (Row::HEAT_BITS + Row::TIMES_BITS + Row::VISIT_BITS) | 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::primitives::{U256, keccak256};

    fn key(number: u64) -> Key {
        (keccak256(U256::from(number).to_be_bytes::<32>()), 0)
    }

    #[test]
    fn n1_a_million_codes_seen_once_take_no_more_than_one() {
        let seen = Seen::new(1 << 12);
        let bytes = seen.bytes();
        let hottest = (0..1_000_000).map(|number| seen.add(seen.place(key(number)), 500, 0)).max();
        assert_eq!(seen.bytes(), bytes);
        assert_eq!(bytes, (1 << 12) * 8);
        assert!(hottest.is_some_and(|heat| heat < 2_000), "{hottest:?}: strangers do not heat each other");
    }

    #[test]
    fn n2_a_hot_code_outlives_colder_ones() {
        let seen = Seen::new(1);
        assert_eq!(seen.add(seen.place(key(1)), 6_400, 0), 6_400);
        assert_eq!(seen.add(seen.place(key(2)), 128, 0), 128);
        assert_eq!(seen.add(seen.place(key(1)), 64, 0), 6_336);
        (0..100).for_each(|_| {
            seen.add(seen.place(key(2)), 128, 0);
        });
        assert!(seen.add(seen.place(key(2)), 128, 0) > 128, "the other is in its place now");
    }

    #[test]
    fn configurations_are_told_apart() {
        let seen = Seen::new(1 << 10);
        let (hash, _) = key(7);
        seen.add(seen.place((hash, 0)), 640, 0);
        assert_eq!(seen.add(seen.place((hash, 1)), 64, 0), 64);
        assert_eq!(seen.add(seen.place((hash, 0)), 64, 0), 704);
    }

    #[test]
    fn n4_gas_counts_twice_as_much_for_each_further_visit() {
        let seen = Seen::new(1 << 10);
        assert_eq!(seen.add(seen.place(key(1)), 6_400, 7), 6_400);
        assert_eq!(seen.add(seen.place(key(1)), 6_400, 7), 12_800, "the same visit");
        assert_eq!(seen.add(seen.place(key(1)), 6_400, 8), 25_600, "the second");
        assert_eq!(seen.add(seen.place(key(1)), 6_400, 8), 38_400);
        assert_eq!(seen.add(seen.place(key(1)), 0, 9), 38_400, "nothing spent");
        for visit in [8, 9, 7, 9, 8] {
            assert_eq!(seen.add(seen.place(key(1)), 0, visit), 38_400, "EVMs that run at once");
        }
        assert_eq!(seen.add(seen.place(key(1)), 6_400, 9), 64_000, "the third");
        let most = UNIT_GAS * low(Row::HEAT_BITS);
        for visit in 10..200 {
            assert_eq!(seen.add(seen.place(key(1)), 0, visit), 64_000);
        }
        assert_eq!(seen.add(seen.place(key(1)), 64, 200), 64_000 + (64 << 14), "more visits than are counted");
        assert_eq!(seen.add(seen.place(key(1)), u64::MAX, 200), most, "heat stays at its most");
        assert_eq!(seen.add(seen.place(key(2)), u64::MAX, 0), most);
        assert_eq!(seen.add(seen.place(key(3)), 64, 1_023), 64);
        assert_eq!(seen.add(seen.place(key(3)), 64, 1_024), 192, "numbers begin anew");
    }

    #[test]
    fn rows_are_packed_without_loss() {
        let row = Row { heat: low(Row::HEAT_BITS), times: 0, visit: low(Row::VISIT_BITS), tag: 1 };
        for row in [row, Row { times: low(Row::TIMES_BITS), visit: 0, ..row }, Row { heat: 0, tag: low(26), ..row }] {
            assert_eq!(Row::unpack(row.pack()), row);
        }
        assert_eq!(Row::unpack(0).tag, 0, "an empty slot");
    }
}
