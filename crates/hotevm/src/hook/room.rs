//! Rooms: the memory that the hook of an EVM needs, handed on to the next EVM of the thread.
//!
//! in   the instruction table of an EVM whose first frame runs
//! out  an empty cache, a copy of the table, and where codes are that ran lately
//!
//! R1  A room that waits keeps no code, entry or bytecode: its slots are emptied when the EVM ends.
//! R2  One room waits in a thread at most; of two, one that remembers codes.
//! R3  What is remembered of codes that ran lately outlives an EVM, and keeps none of them mapped. It is by addresses, which may mean
//!     something else by now: whoever asks compares the bytes' place with the one that the code itself holds, and looks at the code's mark
//!     (`tiers`, T3). It takes 128 KiB in a thread, and of 4,096 codes that are gone the memory of a `NativeCode`, without what it owns.

use super::Known;
use crate::{
    code::NativeCode,
    sync::{Arc, Weak},
};
use revm::bytecode::Bytecode;
use std::cell::Cell;

/// Slots of the cache in front of the map: a block runs a hundred codes, and one that pushes out another is looked up again.
const CACHE_LEN: usize = 256;
/// Slots with a bit in one word of [`Room::used`].
const SLOTS_PER_WORD: usize = 64;

/// Pairs of codes that ran lately, a power of two. Sixteen mainnet blocks run 1,634 codes.
const LATELY_LEN: usize = 2048;
/// An odd number without pattern (digits of the golden ratio).
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

thread_local! {
    static SPARE: Cell<Option<Box<Room>>> = const { Cell::new(None) };
}

/// A slot of the cache: the bytecode is held, so that its address means nothing else meanwhile.
#[derive(Debug, Default)]
pub(super) struct CacheSlot {
    pub(super) held: Option<(Bytecode, Known)>,
}

/// A code that ran lately.
#[derive(Debug, Default)]
struct Lately {
    /// Of the bytecode.
    address: usize,
    /// Of its configuration.
    number: u64,
    code: Weak<NativeCode>,
}

/// Two of which addresses mix to the same, the newer one first; in one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Pair([Lately; 2]);

/// Memory of one EVM.
#[derive(Debug)]
pub(super) struct Room {
    cache: [CacheSlot; CACHE_LEN],
    /// The slots that may hold something, a bit each.
    used: [u64; CACHE_LEN / SLOTS_PER_WORD],
    /// The codes that ran lately (R3), by what their addresses mix to; empty before the first.
    lately: Vec<Pair>,
    /// The functions of the instruction table as it was when last looked at, to notice changes.
    pub(super) snapshot: [usize; 256],
}

impl Room {
    /// The room that waits in this thread, or a new one.
    pub(super) fn take(snapshot: &[usize; 256]) -> Box<Self> {
        if let Some(mut room) = SPARE.try_with(Cell::take).ok().flatten() {
            room.snapshot = *snapshot;
            return room;
        }
        let cache = std::array::from_fn(|_| CacheSlot::default());
        Box::new(Self { cache, used: [0; CACHE_LEN / SLOTS_PER_WORD], lately: Vec::new(), snapshot: *snapshot })
    }

    /// Lets it wait for the next EVM (R1).
    pub(super) fn park(mut self: Box<Self>) {
        for (word, slots) in self.used.iter_mut().zip(self.cache.chunks_exact_mut(SLOTS_PER_WORD)) {
            while *word != 0 {
                slots[word.trailing_zeros() as usize] = CacheSlot::default();
                *word &= *word - 1;
            }
        }
        // A thread that ends may have no place for it any more.
        let _ = SPARE.try_with(|spare| {
            let other = spare.take().filter(|_| self.lately.is_empty());
            spare.set(Some(other.unwrap_or(self)));
        });
    }

    /// What is held in the slot of a bytecode at this address.
    pub(super) fn held(&mut self, address: usize) -> Option<&mut (Bytecode, Known)> {
        self.cache[slot_index(address)].held.as_mut()
    }

    /// Holds something in the slot of a bytecode at this address, or nothing.
    pub(super) fn hold(&mut self, address: usize, held: Option<(Bytecode, Known)>) {
        let index = slot_index(address);
        self.used[index / SLOTS_PER_WORD] |= 1 << (index % SLOTS_PER_WORD);
        self.cache[index].held = held;
    }

    /// The code that ran lately for a bytecode at this address under the configuration with this number, if it is still there (R3).
    pub(super) fn lately(&self, address: usize, number: u64) -> Option<Arc<NativeCode>> {
        let Pair(pair) = self.lately.get(lately_index(address))?;
        pair.iter().find(|lately| lately.address == address && lately.number == number)?.code.upgrade()
    }

    /// Remembers a code.
    pub(super) fn note(&mut self, address: usize, number: u64, code: &Arc<NativeCode>) {
        self.lately.resize_with(LATELY_LEN, Pair::default);
        let Pair(pair) = &mut self.lately[lately_index(address)];
        if (pair[0].address, pair[0].number) != (address, number) {
            pair.swap(0, 1);
        }
        pair[0] = Lately { address, number, code: Arc::downgrade(code) };
    }

    /// All slots.
    pub(super) fn slots(&mut self) -> &mut [CacheSlot] {
        &mut self.cache
    }
}

/// The slot of a bytecode.
const fn slot_index(address: usize) -> usize {
    (address >> 4) % CACHE_LEN
}

/// The pair of a bytecode.
const fn lately_index(address: usize) -> usize {
    ((address as u64).wrapping_mul(MIX) >> (u64::BITS - LATELY_LEN.trailing_zeros())) as usize
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::tiers::fake::native_code;

    #[test]
    fn r1_a_room_that_waits_is_empty() {
        let bytecode = Bytecode::default();
        let mut room = Room::take(&[1; 256]);
        for address in [0, 16, (CACHE_LEN - 1) * 16, CACHE_LEN * 16] {
            room.hold(address, Some((bytecode.clone(), Known::HashMismatch)));
        }
        assert_eq!(room.slots().iter().filter(|slot| slot.held.is_some()).count(), 3, "two addresses share a slot");
        let place = &raw const *room;
        room.park();
        let mut room = Room::take(&[2; 256]);
        assert!(std::ptr::eq(&raw const *room, place), "the next EVM has it");
        assert!(room.slots().iter().all(|slot| slot.held.is_none()));
        assert_eq!(room.snapshot, [2; 256]);
    }

    #[test]
    fn r2_the_room_that_remembers_codes_waits() {
        let code = native_code();
        let (mut first, second) = (Room::take(&[0; 256]), Room::take(&[0; 256]));
        first.note(16, 1, &code);
        first.hold(16, Some((Bytecode::default(), Known::Code(code.clone()))));
        first.park();
        assert_eq!(Arc::strong_count(&code), 1, "R1");
        second.park();
        let room = Room::take(&[0; 256]);
        assert!(room.lately(16, 1).is_some_and(|found| Arc::ptr_eq(&found, &code)));
        room.park();
    }

    #[test]
    fn r3_two_codes_of_one_row_are_remembered_and_the_older_gives_way() {
        let code = native_code();
        let mut room = Room::take(&[0; 256]);
        let mut same = (1..).map(|number| number * 16).filter(|address| lately_index(*address) == lately_index(16));
        let [one, two] = [same.next(), same.next()].map(|address| address.expect("an address"));
        let known = |room: &Room| [(one, 1), (one, 2), (two, 1)].map(|(address, number)| room.lately(address, number).is_some());
        room.note(one, 1, &code);
        room.note(one, 1, &code);
        assert_eq!(known(&room), [true, false, false]);
        room.note(one, 2, &code);
        assert_eq!(known(&room), [true, true, false], "the same address under two numbers");
        room.note(one, 1, &code);
        assert_eq!(known(&room), [true, true, false], "noted again, from the second place");
        room.note(two, 1, &code);
        assert_eq!(known(&room), [true, false, true], "the older one goes");
        drop(code);
        assert_eq!(known(&room), [false; 3], "none is kept");
        room.park();
    }
}
