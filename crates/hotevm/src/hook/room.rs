//! Rooms: the memory that the hook of an EVM needs, handed on to the next EVM of the thread.
//!
//! in   the instruction table of an EVM whose first frame runs
//! out  an empty cache, and a copy of the table
//!
//! R1  A room that waits holds no code, entry or bytecode: its slots are emptied when the EVM ends.
//! R2  One room waits in a thread at most.

use super::Known;
use revm::bytecode::Bytecode;
use std::cell::Cell;

/// Slots of the cache in front of the map: a block runs a hundred codes, and one that pushes out another is looked up again.
const CACHE_LEN: usize = 256;
/// Slots with a bit in one word of [`Room::used`].
const SLOTS_PER_WORD: usize = 64;

thread_local! {
    static SPARE: Cell<Option<Box<Room>>> = const { Cell::new(None) };
}

/// A slot of the cache: the bytecode is held, so that its address means nothing else meanwhile.
#[derive(Debug, Default)]
pub(super) struct CacheSlot {
    pub(super) held: Option<(Bytecode, Known)>,
}

/// Memory of one EVM.
#[derive(Debug)]
pub(super) struct Room {
    cache: [CacheSlot; CACHE_LEN],
    /// The slots that may hold something, a bit each.
    used: [u64; CACHE_LEN / SLOTS_PER_WORD],
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
        Box::new(Self { cache, used: [0; CACHE_LEN / SLOTS_PER_WORD], snapshot: *snapshot })
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
        let _ = SPARE.try_with(|spare| spare.set(Some(self)));
    }

    /// The slot of a bytecode at this address.
    pub(super) fn slot(&mut self, address: usize) -> &mut CacheSlot {
        let index = (address >> 4) % CACHE_LEN;
        self.used[index / SLOTS_PER_WORD] |= 1 << (index % SLOTS_PER_WORD);
        &mut self.cache[index]
    }

    /// All slots.
    pub(super) fn slots(&mut self) -> &mut [CacheSlot] {
        &mut self.cache
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_a_room_that_waits_is_empty() {
        let bytecode = Bytecode::default();
        let mut room = Room::take(&[1; 256]);
        for address in [0, 16, (CACHE_LEN - 1) * 16, CACHE_LEN * 16] {
            room.slot(address).held = Some((bytecode.clone(), Known::HashMismatch));
        }
        assert_eq!(room.slots().iter().filter(|slot| slot.held.is_some()).count(), 3, "two addresses share a slot");
        let place = &raw const *room;
        room.park();
        let mut room = Room::take(&[2; 256]);
        assert!(std::ptr::eq(&raw const *room, place), "the next EVM has it");
        assert!(room.slots().iter().all(|slot| slot.held.is_none()));
        assert_eq!(room.snapshot, [2; 256]);
    }
}
