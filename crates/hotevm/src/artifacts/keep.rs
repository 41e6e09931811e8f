//! What the writer does: keeps new code, looks for codes by hand, tells the store what is in use, leaves hints.
//!
//! in   jobs of the writer's queue
//! out  calls of the store, and code of artifacts in entries
//!
//! All of this runs on the writer's thread (`writer`, P1 to P6).

use super::{
    Taken,
    fingerprint::acceptance,
    hints,
    record::Record,
    writer::{Job, Next, Wanted, Writer, WriterCount},
};
use crate::{
    compiler::Kept,
    sync::{Arc, Ordering, spawn_worker},
    tiers::{
        Tiers,
        entry::{self, Entry},
    },
};
use hotevm_abi::{Artifact, ArtifactKey, Tier};
use hotevm_code::SharedObject;
use hotevm_store::{StoreError, Stored};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

/// After so many failures the store is not told of more uses. A few may be about single files.
const TELL_FAILURES_MAX: u32 = 8;

impl Tiers {
    /// Asks for code that was not found.
    pub(super) fn ask_otherwise(self: &Arc<Self>, wanted: Vec<Wanted>) {
        for Wanted { entry, otherwise } in wanted {
            if let Some(tier) = otherwise {
                self.request(&entry, tier);
            }
        }
    }

    /// Starts the writer's thread, where there is a store.
    pub(crate) fn start_writer(self: &Arc<Self>) {
        let Some(writer) = &self.writer else { return };
        if writer.wants_thread() {
            let tiers = self.clone();
            let write = move || tiers.writer.iter().for_each(|writer| tiers.write(writer));
            if spawn_worker("hotevm-writer", write).is_err() {
                // The system has no thread to give: nothing is kept.
                writer.thread_missing();
            }
        }
    }

    /// What the writer does until it is told to end.
    fn write(self: &Arc<Self>, writer: &Writer) {
        loop {
            match writer.next() {
                Next::Job(job) => {
                    // A store is not ours: it may panic.
                    let done = catch_unwind(AssertUnwindSafe(|| self.do_job(writer, &job)));
                    let failed = if done.unwrap_or(false) { None } else { self.failed(writer, job) };
                    writer.job_ended(failed);
                }
                Next::Upkeep => self.tell(writer, None),
                Next::End(by) => {
                    self.tell(writer, Some(by));
                    if writer.thread_ends() {
                        break;
                    }
                }
            }
        }
    }

    /// Counts a failure; what is to be tried again.
    fn failed(self: &Arc<Self>, writer: &Writer, job: Job) -> Option<Job> {
        writer.count(WriterCount::Failed);
        match job {
            Job::Write(entry) => {
                entry.writing.store(true, Ordering::Release);
                writer.count(WriterCount::Retried);
                Some(Job::Write(entry))
            }
            // Who prepares does not wait for a store to come back.
            Job::Look(wanted) => {
                self.ask_otherwise(wanted);
                None
            }
        }
    }

    /// Does a job; false if the store failed.
    fn do_job(self: &Arc<Self>, writer: &Writer, job: &Job) -> bool {
        match job {
            Job::Write(entry) => self.keep(writer, entry),
            Job::Look(wanted) => self.look(writer, wanted),
        }
    }

    /// Writes the newest code of an entry; false if the store failed.
    fn keep(&self, writer: &Writer, entry: &Entry) -> bool {
        // Before the code is looked up: what is published from here on is pushed again.
        entry.writing.store(false, Ordering::Release);
        let Some(code) = entry.code().filter(|code| !code.is_taken) else { return true };
        let Ok(object) = self.compiler.keep(&Kept { entry, code: &code, config: &self.config }) else {
            writer.count(WriterCount::Refused);
            return true;
        };
        match writer.store.store(&object) {
            Ok(Stored::New) => writer.count(WriterCount::Written),
            Ok(Stored::Present) => writer.count(WriterCount::Present),
            Err(StoreError::Refused(_) | StoreError::Budget { .. }) => {
                writer.count(WriterCount::Refused);
                return true;
            }
            Err(StoreError::Untrusted { .. } | StoreError::Files { .. }) => return false,
        }
        remember(writer, entry, &object);
        true
    }

    /// Looks for codes; false if the store cannot be listed.
    fn look(self: &Arc<Self>, writer: &Writer, wanted: &[Wanted]) -> bool {
        let Ok(listed) = writer.store.list() else { return false };
        let acceptance = acceptance(&self.config);
        for Wanted { entry, otherwise } in wanted {
            let settings = &entry.configuration.settings;
            let (gas, custom_opcodes) = (settings.gas_digest(), settings.custom_opcodes());
            let fits = |key: &ArtifactKey| {
                let is_meant = key.code_hash == entry.key.0 && key.gas == gas && key.custom_opcodes == custom_opcodes;
                is_meant && acceptance.check(key).is_ok()
            };
            for listed in listed.iter().filter(|listed| fits(&listed.key)) {
                // What fails or is refused here is counted by the store.
                let Ok(Some(object)) = writer.store.load(&listed.key, Some(&acceptance)) else { continue };
                if self.take_artifact(object) == Ok(Taken::New) {
                    writer.count(WriterCount::Prepared);
                }
            }
            if let Some(tier) = otherwise.filter(|_| entry.code().is_none()) {
                self.request(entry, tier);
            }
        }
        true
    }

    /// Tells the store what it cannot know, until it has failed often or the time is over.
    fn tell(&self, writer: &Writer, by: Option<Instant>) {
        let goes_on = self.tell_uses(writer, by) && by.is_none_or(|by| Instant::now() < by);
        if goes_on && !self.leave_hints(writer) {
            writer.count(WriterCount::Failed);
        }
    }

    /// Leaves for the next process what this one hashed lately; false if the store failed.
    fn leave_hints(&self, writer: &Writer) -> bool {
        let Some(left) = self.hashes.get().and_then(hints::encode) else { return true };
        let keep = || {
            // Whoever did not come to take what was left knows less. What cannot be read is worth nothing.
            let is_better = self.hints_taken.load(Ordering::Acquire) || !matches!(writer.store.hints(), Ok(Some(_)));
            if is_better {
                writer.store.keep_hints(&left)?;
                self.hints_taken.store(true, Ordering::Release);
            }
            Ok::<_, StoreError>(())
        };
        matches!(catch_unwind(AssertUnwindSafe(keep)), Ok(Ok(())))
    }

    /// Tells the store which of its artifacts ran since it was told last; false if it failed too often to be asked more.
    fn tell_uses(&self, writer: &Writer, by: Option<Instant>) -> bool {
        let mut failures = 0;
        for entry in self.all_entries() {
            if by.is_some_and(|by| Instant::now() >= by) {
                break;
            }
            let Some(code) = entry.code() else { continue };
            let mut ledger = entry.ledger();
            let gas = code.gas();
            let Some(stored) = ledger.stored.as_mut().filter(|stored| stored.told_gas != gas) else { continue };
            stored.told_gas = gas;
            let key = stored.key.clone();
            drop(ledger);
            let told = catch_unwind(AssertUnwindSafe(|| writer.store.used(&key)));
            if !matches!(told, Ok(Ok(()))) {
                writer.count(WriterCount::Failed);
                failures += 1;
                if failures == TELL_FAILURES_MAX {
                    return false;
                }
            }
        }
        true
    }
}

/// Notes what the store has of an entry by now, and takes away what that makes needless.
fn remember(writer: &Writer, entry: &Entry, object: &SharedObject) {
    let new = object.artifact();
    let mut ledger = entry.ledger();
    // An artifact was taken meanwhile: that one runs, and is the one to tell the store of.
    if entry.code().is_some_and(|code| code.is_taken) {
        return;
    }
    let before = ledger.stored.replace(entry::Stored { key: new.key.clone(), told_gas: 0 });
    drop(ledger);
    let Some(before) = before.filter(|before| may_supersede(&new.key, &before.key)) else { return };
    // The key has but a digest of the region. What cannot be read is left to collection.
    let Ok(Some(old)) = writer.store.load(&before.key, None) else { return };
    if holds_region(new, old.artifact()) && writer.store.delete(&before.key).is_ok_and(|was_there| was_there) {
        writer.count(WriterCount::Superseded);
    }
}

/// Whether an artifact may make an older one of the same entry needless, for every process that shares the store (P5).
fn may_supersede(new: &ArtifactKey, old: &ArtifactKey) -> bool {
    let is_same_maker = new.compiler == old.compiler && new.features == old.features && new.target == old.target;
    new != old && is_same_maker && old.tier != Tier::Whole && new.tier >= old.tier
}

/// Whether an artifact has all blocks of the region of another.
fn holds_region(new: &Artifact, old: &Artifact) -> bool {
    let Some(smaller) = Record::decode(&old.profile) else { return false };
    let has_all = |larger: Record| smaller.region.iter().all(|pc| larger.region.binary_search(pc).is_ok());
    new.key.tier == Tier::Whole || Record::decode(&new.profile).is_some_and(has_all)
}
