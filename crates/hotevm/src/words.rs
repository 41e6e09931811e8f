//! Words that threads share without a lock, read and written as one.
//!
//! in   `N` words
//! out  what was written last, whole, or nothing
//!
//! N1  What is read was written by one write.
//! N2  Nobody waits: while somebody writes there is nothing to read, and another write does nothing.
//!
//! The protocol is a sequence lock. Who makes `turns` odd owns the words until he makes it even again; his compare-and-swap acquires what the
//! writer before him released, so that words of two writes never change places. A release fence stands between the odd count and the
//! words, an acquire fence between reading the words and reading the count again: who saw a word of a later write sees its odd count.
//! A writer that never ends leaves its words unread for ever, which costs that row and nothing else.

use crate::sync::{AtomicU64, Ordering, fence};

/// `N` words, zeros at first.
#[derive(Debug)]
pub(crate) struct Words<const N: usize> {
    /// Written by the owner alone, read by anybody; relaxed, between the fences.
    words: [AtomicU64; N],
    /// How often a write began or ended: odd while there is one. Written by who owns the words, acquire to begin and release to end; read by
    /// anybody, acquire before the words and relaxed behind the fence.
    turns: AtomicU64,
}

impl<const N: usize> Default for Words<N> {
    fn default() -> Self {
        Self { words: std::array::from_fn(|_| AtomicU64::new(0)), turns: AtomicU64::new(0) }
    }
}

impl<const N: usize> Words<N> {
    /// The words, unless somebody writes them meanwhile.
    pub(crate) fn read(&self) -> Option<[u64; N]> {
        let turns = self.turns.load(Ordering::Acquire);
        let words = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        // If a word came from a later write, the count that is read next comes from it, too: the fence meets the writer's.
        fence(Ordering::Acquire);
        (turns.is_multiple_of(2) && self.turns.load(Ordering::Relaxed) == turns).then_some(words)
    }

    /// Replaces the words, unless somebody else does.
    pub(crate) fn write(&self, words: &[u64; N]) {
        let turns = self.turns.load(Ordering::Relaxed);
        let is_mine = turns.is_multiple_of(2)
            && self.turns.compare_exchange(turns, turns.wrapping_add(1), Ordering::Acquire, Ordering::Relaxed).is_ok();
        if !is_mine {
            return;
        }
        // Whoever reads one of the words below reads the odd count, too.
        fence(Ordering::Release);
        self.words.iter().zip(words).for_each(|(word, value)| word.store(*value, Ordering::Relaxed));
        self.turns.store(turns.wrapping_add(2), Ordering::Release);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_being_written_are_not_read_and_not_written_by_another() {
        let words = Words::default();
        assert_eq!(words.read(), Some([0, 0]));
        words.write(&[1, 2]);
        assert_eq!(words.read(), Some([1, 2]));
        words.turns.fetch_add(1, Ordering::Relaxed);
        assert_eq!(words.read(), None);
        words.write(&[3, 4]);
        words.turns.fetch_add(1, Ordering::Relaxed);
        assert_eq!(words.read(), Some([1, 2]));
    }
}

#[cfg(all(test, feature = "loom"))]
mod models {
    use super::*;
    use crate::sync::{Arc, check};
    use loom::thread;

    #[test]
    fn n1_what_is_read_while_two_threads_write_is_of_one_write() {
        check(|| {
            let words = Arc::new(Words::default());
            let writers = [1, 2].map(|value| {
                let words = words.clone();
                thread::spawn(move || words.write(&[value, value]))
            });
            assert!(words.read().is_none_or(|[one, other]| one == other));
            writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
            assert!(matches!(words.read(), Some([1, 1] | [2, 2])));
        });
    }
}
