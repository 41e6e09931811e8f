//! Entry points, found by pc.
//!
//! in   the entry points of a code, by pc
//! out  the one at a pc, in one step and a few comparisons: frames look for theirs after every call they make
//!
//! P1  `starts[n]` is the index of the first entry point at `n * STRETCH_BYTES` or behind.

use hotevm_abi::EntryPoint;

/// Bytes of code that share a row; few of them hold more than two entry points.
const STRETCH_BYTES: usize = 64;

/// Entry points by pc.
#[derive(Debug)]
pub(super) struct Places {
    entries: Vec<EntryPoint>,
    starts: Box<[u16]>,
}

impl Places {
    /// Takes entry points in the order of their pcs.
    pub(super) fn new(entries: Vec<EntryPoint>) -> Self {
        debug_assert!(entries.is_sorted_by_key(|entry| entry.pc), "entry points stand in the order of their pcs");
        let stretches = entries.last().map_or(0, |last| last.pc as usize / STRETCH_BYTES + 1);
        let first = |stretch: usize| entries.partition_point(|entry| (entry.pc as usize) < stretch * STRETCH_BYTES);
        // Codes are shorter than 64 KiB, so there are fewer entry points than that.
        let starts = (0..stretches).map(|stretch| u16::try_from(first(stretch)).unwrap_or(u16::MAX)).collect();
        Self { entries, starts }
    }

    /// The entry point at a pc.
    pub(super) fn at(&self, pc: usize) -> Option<&EntryPoint> {
        let first = *self.starts.get(pc / STRETCH_BYTES)?;
        let behind = self.entries.get(usize::from(first)..)?;
        behind.iter().find(|entry| entry.pc as usize >= pc).filter(|entry| entry.pc as usize == pc)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[EntryPoint] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_every_entry_point_is_found_at_its_pc_and_none_elsewhere() {
        let pcs = [1, 2, 63, 64, 200, 201, 4000];
        let entries = pcs.map(|pc| EntryPoint { pc, number: pc + 7, height_min: 0, height_max: 9, memory_min: 0 });
        let places = Places::new(entries.to_vec());
        for pc in 0..5000_u32 {
            let found = places.at(pc as usize).map(|entry| entry.number);
            assert_eq!(found, pcs.contains(&pc).then_some(pc + 7), "at {pc}");
        }
        assert_eq!(places.all(), entries);
        assert!(Places::new(vec![]).at(0).is_none());
    }
}
