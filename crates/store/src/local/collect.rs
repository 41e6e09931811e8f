//! Collection: what dead writers left, and what the budget has no room for.
//!
//! in   the files of the folder, a budget
//! out  fewer files

use super::LocalStore;
use crate::{StoreError, counts::Count, sync::Ordering};
use std::{fs, fs::File};

impl LocalStore {
    /// Takes away temporary files that no writer holds (D3). Nothing depends on it, so failures wait for the next time.
    pub(super) fn sweep(&self) {
        for file in self.folder.temporaries().unwrap_or_default() {
            let path = self.folder.file(&file.name);
            // The lock is held until the name is gone, so that a writer that comes late sees one or the other.
            let Ok(opened) = File::open(&path) else { continue };
            if opened.try_lock().is_ok() {
                let _removed = fs::remove_file(&path);
            }
        }
    }

    /// Takes the least recently used artifacts away until the rest fits; tells how many went.
    pub(super) fn collect_to(&self, budget_bytes: u64) -> Result<usize, StoreError> {
        let mut files = self.folder.artifacts()?;
        let mut total_bytes: u64 = files.iter().map(|file| file.len).sum();
        files.sort_by(|left, right| left.used.cmp(&right.used).then_with(|| left.name.cmp(&right.name)));
        let mut collected = 0;
        for file in files {
            if total_bytes <= budget_bytes {
                break;
            }
            if self.folder.remove(&file.name)? {
                self.counters.add(Count::Collected);
                collected += 1;
            }
            total_bytes -= file.len;
        }
        self.known_bytes.store(total_bytes, Ordering::Relaxed);
        Ok(collected)
    }
}
