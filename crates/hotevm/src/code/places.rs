//! Entry points, found by pc.
//!
//! in   the entry points of a code, by pc
//! out  the one at a pc, as a rule out of one cache line: frames look for theirs after every call they make
//!
//! P1  An entry point lies in the row that its pc mixes to, or in the first one behind it, in a circle, that was free.
//! P2  At least half of the rows are free.

use hotevm_abi::EntryPoint;

/// Pc of a free row: no code is so long.
const FREE: EntryPoint = EntryPoint { pc: u32::MAX, number: 0, height_min: 0, height_max: 0, memory_min: 0 };
/// Rows of a code without entry points other than the start.
const ROWS_MIN: usize = 4;

/// Entry points by pc; a power of two of rows.
#[derive(Debug)]
pub(super) struct Places(Box<[EntryPoint]>);

/// Has the processor fetch the line in which a value begins into its caches. On x86-64 alone.
pub(crate) fn fetch_ahead<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is a hint, which neither faults nor changes what a program can see; SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

impl Places {
    /// Takes entry points, one for each pc.
    pub(super) fn new(entries: &[EntryPoint]) -> Self {
        let len = (2 * entries.len()).next_power_of_two().max(ROWS_MIN);
        let mut places = Self(std::iter::repeat_n(FREE, len).collect());
        for entry in entries {
            debug_assert_ne!(entry.pc, FREE.pc, "a code is shorter");
            let row = places.probe(entry.pc).find(|row| places.0[*row].pc == FREE.pc);
            if let Some(place) = row.and_then(|row| places.0.get_mut(row)) {
                *place = *entry;
            }
        }
        places
    }

    /// The row that a pc mixes to. Entry points lie apart by some bytes, and their low bits differ.
    const fn row(&self, pc: u32) -> usize {
        (pc ^ pc >> 7) as usize & (self.0.len() - 1)
    }

    /// The rows in which an entry point may lie (P1).
    fn probe(&self, pc: u32) -> impl Iterator<Item = usize> + use<> {
        let (first, mask) = (self.row(pc), self.0.len() - 1);
        (0..=mask).map(move |step| (first + step) & mask)
    }

    /// The entry point at a pc.
    pub(super) fn at(&self, pc: usize) -> Option<&EntryPoint> {
        let pc = u32::try_from(pc).ok().filter(|pc| *pc != FREE.pc)?;
        let rows = self.probe(pc).filter_map(|row| self.0.get(row));
        // P2: there is a free row.
        rows.take_while(|entry| entry.pc != FREE.pc).find(|entry| entry.pc == pc)
    }

    /// Has the processor fetch the row of a pc into its caches.
    pub(super) fn prefetch(&self, pc: usize) {
        if let Some(row) = self.0.get(self.row(pc as u32)) {
            fetch_ahead(row);
        }
    }

    /// All of them, by pc.
    pub(super) fn all(&self) -> Vec<EntryPoint> {
        let mut entries: Vec<EntryPoint> = self.0.iter().filter(|entry| entry.pc != FREE.pc).copied().collect();
        entries.sort_unstable_by_key(|entry| (entry.pc, entry.number));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_every_entry_point_is_found_at_its_pc_and_none_elsewhere() {
        // Close to each other, far from each other, and so that rows are taken and the search goes round the end.
        for pcs in [vec![1, 2, 63, 64, 200, 201, 4000], (0..900).map(|n| n * 5).collect(), vec![15, 31, 47, 63, 79], vec![0]] {
            let entries: Vec<EntryPoint> =
                pcs.iter().map(|&pc| EntryPoint { pc, number: pc + 7, height_min: 0, height_max: 9, memory_min: 0 }).collect();
            let places = Places::new(&entries);
            for pc in 0..5000_u32 {
                let found = places.at(pc as usize).map(|entry| entry.number);
                assert_eq!(found, pcs.contains(&pc).then_some(pc + 7), "at {pc}");
                places.prefetch(pc as usize);
            }
            assert_eq!(places.all(), entries);
            assert!(places.at(u32::MAX as usize).is_none() && places.at(usize::MAX).is_none());
        }
        assert!(Places::new(&[]).at(0).is_none());
    }

    #[test]
    fn p2_half_of_the_rows_are_free() {
        for len in 0..70 {
            let entries: Vec<EntryPoint> = (0..len).map(|pc| EntryPoint { pc, ..FREE }).collect();
            let places = Places::new(&entries);
            let free = places.0.iter().filter(|entry| entry.pc == FREE.pc).count();
            assert!(2 * free >= places.0.len() && places.0.len() >= 4, "{len} entry points");
        }
    }
}
