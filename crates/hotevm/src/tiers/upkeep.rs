//! Upkeep: what is taken away, and what gets another chance.
//!
//! in   the time, the bounds, calls by hand
//! out  code dropped, entries removed, rejections lifted
//!
//! U1  Walking over the map, a guard is held only while the `Arc`s of one shard are cloned.
//! U2  Taken away is only the entry's hold on its code; pages are unmapped when the last frame in them lets go.
//! U3  A code that lost its native code goes on as watched, with the profile it has; its heat begins anew.

use super::{
    Tiers,
    entry::{Entry, Key, Stage},
};
use crate::{
    code::NativeCode,
    sync::{Arc, Ordering},
};
use revm::primitives::B256;

impl Tiers {
    /// Looks after all entries; `now_s` are seconds since the start.
    pub(crate) fn upkeep(&self, now_s: u32) {
        self.now_s.store(now_s, Ordering::Relaxed);
        let mut with_code = Vec::new();
        for entry in self.all_entries() {
            self.retry(&entry, now_s);
            let idle_s = now_s.saturating_sub(entry.used_at_s());
            if entry.code().is_none() {
                if idle_s > self.config.tuning.idle_s && entry.stage() != Stage::Rejected {
                    self.forget_entry(&entry);
                }
            } else if idle_s > self.config.tuning.idle_s {
                self.evict(&entry);
            } else {
                with_code.push(entry);
            }
        }
        self.keep_to_budget(with_code);
    }

    /// Drops the code used longest ago until the rest fits.
    fn keep_to_budget(&self, mut with_code: Vec<Arc<Entry>>) {
        let is_over = || self.code_bytes.load(Ordering::Relaxed) > self.config.tuning.code_bytes_max;
        if !is_over() {
            return;
        }
        with_code.sort_by_cached_key(|entry| entry.used_at_s());
        for entry in with_code {
            if !is_over() {
                break;
            }
            self.evict(&entry);
        }
    }

    /// Lifts a rejection whose time has come.
    fn retry(&self, entry: &Entry, now_s: u32) {
        if entry.stage() != Stage::Rejected {
            return;
        }
        let mut ledger = entry.ledger();
        let is_due = ledger.rejected.as_ref().and_then(|rejected| rejected.retry_at_s).is_some_and(|at_s| at_s <= now_s);
        if is_due {
            ledger.rejected = None;
            entry.cool();
            entry.publish(&mut ledger, None, entry.stage_without_code());
            self.counters.retried.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn evict(&self, entry: &Entry) {
        if self.drop_code(entry).is_some() {
            self.counters.evicted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes an entry's native code away.
    pub(crate) fn demote_entry(&self, entry: &Entry) -> bool {
        let is_demoted = self.drop_code(entry).is_some();
        self.counters.demoted.fetch_add(u64::from(is_demoted), Ordering::Relaxed);
        is_demoted
    }

    fn drop_code(&self, entry: &Entry) -> Option<Arc<NativeCode>> {
        let mut ledger = entry.ledger();
        entry.code()?;
        entry.cool();
        let old = entry.publish(&mut ledger, None, entry.stage_without_code());
        drop(ledger);
        self.took_away(old.as_deref());
        old
    }

    /// Removes an entry: T5 of `tiers`.
    pub(crate) fn forget_entry(&self, entry: &Entry) -> bool {
        if !self.entries.remove(&entry.key, entry) {
            return false;
        }
        self.entry_count.fetch_sub(1, Ordering::Relaxed);
        if entry.profile().is_some() {
            let bytes = super::Profile::bytes_for(entry.bytecode.len());
            self.profile_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        let mut ledger = entry.ledger();
        let old = entry.publish(&mut ledger, None, Stage::Gone);
        drop(ledger);
        self.took_away(old.as_deref());
        self.counters.forgotten.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn took_away(&self, code: Option<&NativeCode>) {
        if let Some(code) = code {
            self.retired(code);
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Counts what an entry holds no longer.
    pub(super) fn retired(&self, code: &NativeCode) {
        self.code_bytes.fetch_sub(code.bytes as u64, Ordering::Relaxed);
        if code.is_region() {
            self.counters.code_leaves.record(code.left());
        }
    }

    /// All entries there are now (U1).
    pub(crate) fn all_entries(&self) -> Vec<Arc<Entry>> {
        self.entries.values()
    }

    /// The entries of a code hash, one per configuration.
    pub(crate) fn entries_of(&self, hash: B256) -> Vec<Arc<Entry>> {
        let keys: Vec<Key> = self.configurations.numbers().map(|number| (hash, number)).collect();
        keys.iter().filter_map(|key| self.entries.get(key)).collect()
    }

    /// Drops all jobs and ends all threads; false if a worker still compiled when the time was over, or the store had not answered after
    /// as long again. They end when their job does.
    pub(crate) fn stop(&self, timeout: std::time::Duration) -> bool {
        self.queue.clear();
        self.queue.want(0);
        let are_gone = self.queue.wait_for_workers(timeout);
        self.writer.as_ref().is_none_or(|writer| writer.stop(timeout)) && are_gone
    }

    /// The queue, for calls by hand.
    pub(crate) const fn queue(&self) -> &super::Queue {
        &self.queue
    }

    /// Forgets everything that is known of codes.
    pub(crate) fn clear(&self) {
        self.queue.clear();
        for entry in self.all_entries() {
            self.forget_entry(&entry);
        }
    }
}
