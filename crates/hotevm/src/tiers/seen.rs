//! Codes seen lately that have no entry yet: a table of fixed size.
//!
//! in   a key and the gas spent in its code
//! out  the heat gathered for that key, as far as the table still knows it
//!
//! N1  The table never grows: a million codes seen once take what one code takes.
//! N2  A hotter code is not pushed out by a colder one: the colder one wears it down (the frequent-items scheme of Misra and
//!     Gries, per slot).
//! N3  Heat is a hint. Two threads that add at the same time may lose one sum; nothing but speed depends on it.

use super::entry::Key;
use crate::sync::{AtomicU64, Ordering};

/// The heat of codes without an entry.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Tag in the high half, heat in the low half. Written and read by executing threads, relaxed (N3).
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

    /// Adds gas spent in a code; its heat now.
    pub(crate) fn add(&self, key: Key, gas: u64) -> u64 {
        let gas = gas.min(u64::from(u32::MAX));
        let (index, tag) = self.place(key);
        let Some(slot) = self.slots.get(index) else { return gas };
        let row = slot.load(Ordering::Relaxed);
        let (owner, heat) = (row >> 32, row & u64::from(u32::MAX));
        let (owner, heat, result) = if owner == tag {
            let sum = (heat + gas).min(u64::from(u32::MAX));
            (tag, sum, sum)
        } else if heat <= gas {
            (tag, gas, gas)
        } else {
            (owner, heat - gas, gas)
        };
        slot.store(owner << 32 | heat, Ordering::Relaxed);
        result
    }

    fn place(&self, (hash, configuration): Key) -> (usize, u64) {
        let word = |start: usize| u64::from_le_bytes(std::array::from_fn(|index| hash[start + index]));
        let mixed = word(0) ^ configuration.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // The tag is not zero, which is the mark of an empty slot.
        ((mixed as usize) & (self.slots.len() - 1), word(8) & u64::from(u32::MAX) | 1)
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
        let hottest = (0..1_000_000).map(|number| seen.add(key(number), 500)).max();
        assert_eq!(seen.bytes(), bytes);
        assert_eq!(bytes, (1 << 12) * 8);
        assert!(hottest.is_some_and(|heat| heat < 2_000), "{hottest:?}: strangers do not heat each other");
    }

    #[test]
    fn n2_a_hot_code_outlives_colder_ones() {
        let seen = Seen::new(1);
        assert_eq!(seen.add(key(1), 10_000), 10_000);
        assert_eq!(seen.add(key(2), 100), 100);
        assert_eq!(seen.add(key(1), 1), 9_901);
        (0..200).for_each(|_| {
            seen.add(key(2), 100);
        });
        assert!(seen.add(key(2), 100) > 100, "the other is in its place now");
    }

    #[test]
    fn configurations_are_told_apart() {
        let seen = Seen::new(1 << 10);
        let (hash, _) = key(7);
        seen.add((hash, 0), 50);
        assert_eq!(seen.add((hash, 1), 5), 5);
        assert_eq!(seen.add((hash, 0), 5), 55);
    }
}
