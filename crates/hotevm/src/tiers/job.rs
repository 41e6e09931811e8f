//! Jobs: one code compiled and published.
//!
//! in   an entry and a tier
//! out  newer code in the entry, or a rejection; counters
//!
//! W1  A panic of the compiler or any of its errors rejects this code, and nothing else happens.
//! W2  A code that has code already keeps it when the next tier cannot be made.
//! W3  Bytes whose hash is another than the entry's are never compiled: their entry is removed.

use super::{
    Job, Tiers,
    entry::{Entry, Ledger, Rejected, Stage, Stored, Tier},
    queue::Next,
};
use crate::{
    artifacts::record::Record,
    code::{NativeCode, Parts},
    compiler::{Rejection, Request},
    config::Preset,
    hashes::Hashes,
    sync::{self, Arc, Ordering, lock, try_lock},
};
use hotevm_code::SharedObject;
use revm::primitives::keccak256;
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// How often workers look after the entries, whatever there is to compile.
const UPKEEP: Duration = Duration::from_secs(1);

impl Tiers {
    /// Enables the runtime and starts the workers it lacks.
    pub(crate) fn enable(self: &Arc<Self>) {
        self.is_enabled.store(true, Ordering::Relaxed);
        self.start_writer();
        // Without a compiler no job comes, and one worker looks after what came from artifacts.
        let wanted = match (self.compiler.is_available(), self.compiler.can_run()) {
            (true, _) => self.config.workers,
            (false, true) => self.config.workers.min(1),
            (false, false) => return,
        };
        for _ in 0..self.queue.want(wanted) {
            let tiers = self.clone();
            if sync::spawn_worker("hotevm-worker", move || tiers.work()).is_err() {
                // The system has no thread to give: everything stays interpreted.
                self.queue.worker_ended();
            }
        }
    }

    /// Disables the runtime; its workers go on.
    pub(crate) fn disable(&self) {
        self.is_enabled.store(false, Ordering::Relaxed);
    }

    /// What a worker does until it is told to end.
    fn work(self: &Arc<Self>) {
        let mut upkept_at = Instant::now();
        loop {
            self.note_time();
            if upkept_at.elapsed() >= UPKEEP {
                self.upkeep(self.now_s());
                upkept_at = Instant::now();
            }
            let delay = lock(&self.budget).delay(self.started.elapsed());
            match self.queue.next(UPKEEP, delay, |job| self.reward(job)) {
                Next::Stop => break,
                Next::Idle => {}
                Next::Job(job) => self.run_job(&job),
            }
        }
        self.queue.worker_ended();
    }

    fn note_time(&self) {
        self.now_s.store(self.started.elapsed().as_secs() as u32, Ordering::Relaxed);
    }

    /// Does a job that was taken from the queue.
    pub(super) fn run_job(self: &Arc<Self>, job: &Job) {
        self.counters.queue_wait_us.record(job.since.elapsed().as_micros() as u64);
        // Whatever panics here is a defect; the worker lives on, and the job is counted as ended.
        let done = catch_unwind(AssertUnwindSafe(|| self.build(&job.entry, job.tier)));
        if done.is_err() {
            self.counters.panics.fetch_add(1, Ordering::Relaxed);
        }
        self.queue.job_ended();
    }

    /// Compiles an entry for a tier and publishes the code, unless what is there is as good.
    pub(crate) fn build(self: &Arc<Self>, entry: &Arc<Entry>, tier: Tier) -> Result<(), Rejection> {
        let waits = self.config.preset != Preset::Stress;
        let building = if waits { Some(lock(&entry.building)) } else { try_lock(&entry.building) };
        let Some(_building) = building else { return Ok(()) };
        if let Some(rejected) = &entry.ledger().rejected {
            return Err(rejected.reason.clone());
        }
        let starts = entry.profile().map_or_else(Vec::new, super::Profile::starts);
        // A frame tells how many blocks it found after it noted them.
        let profile_blocks = entry.profile().map_or(0, super::Profile::blocks).max(starts.len() as u32);
        let old = entry.code();
        if old.as_ref().is_some_and(|old| old.tier > tier || old.tier == tier && old.profile_blocks >= profile_blocks) {
            return Ok(());
        }
        if keccak256(&entry.bytecode) != entry.key.0 {
            self.forget_entry(entry);
            self.count_rejection(&Rejection::HashMismatch);
            return Err(Rejection::HashMismatch);
        }
        let (region, likely) =
            if tier == Tier::Whole { (None, (!starts.is_empty()).then_some(starts)) } else { (Some(starts), None) };
        let (bytecode, settings) = (&entry.bytecode, &entry.configuration.settings);
        let cpu_apart = Cell::default();
        let request = Request { bytecode, settings, tier, region, likely, config: &self.config, cpu_apart };
        let start = cpu_time::ThreadTime::now();
        let compile = || self.compiler.compile(&request);
        let result = catch_unwind(AssertUnwindSafe(compile)).unwrap_or_else(|_| {
            self.counters.panics.fetch_add(1, Ordering::Relaxed);
            Err(Rejection::Panic)
        });
        let cpu = start.elapsed() + request.cpu_apart.get();
        lock(&self.budget).spend(cpu);
        let cpu_ns = cpu.as_nanos() as u64;
        self.counters.compile_cpu_ns.fetch_add(cpu_ns, Ordering::Relaxed);
        self.counters.job_cpu_us.record(cpu_ns / 1000);
        let mut ledger = entry.ledger();
        ledger.compile_cpu_ns += cpu_ns;
        match result {
            Ok(parts) => {
                let is_new = parts.stored.is_none();
                self.publish(entry, &mut ledger, parts, tier, profile_blocks)?;
                drop(ledger);
                if let Some(writer) = self.writer.as_ref().filter(|_| is_new) {
                    writer.keep(entry);
                }
                Ok(())
            }
            Err(rejection) => self.reject(entry, &mut ledger, rejection),
        }
    }

    /// Puts the code of an artifact into an entry whose own is of a lower tier, or of fewer blocks; whether it did.
    pub(crate) fn take(
        &self,
        entry: &Arc<Entry>,
        tier: Tier,
        record: Option<&Record>,
        object: SharedObject,
    ) -> Result<bool, Rejection> {
        let _building = lock(&entry.building);
        let blocks = record.map_or(0, |record| record.region.len() as u32);
        if entry.code().is_some_and(|old| old.tier > tier || old.tier == tier && old.profile_blocks >= blocks) {
            return Ok(false);
        }
        // What could not be compiled here needs no compiler any more.
        let is_unwanted = |rejected: &Rejected| matches!(rejected.reason, Rejection::Denied | Rejection::HashMismatch);
        if entry.ledger().rejected.as_ref().is_some_and(is_unwanted) {
            return Ok(false);
        }
        let mut parts = self.compiler.take(object)?;
        if let Some(record) = record {
            self.watch(entry);
            entry.profile().into_iter().for_each(|profile| profile.restore(record));
            parts.region.clone_from(&record.region);
        }
        let mut ledger = entry.ledger();
        ledger.rejected = None;
        self.publish(entry, &mut ledger, parts, tier, blocks).map(|()| true)
    }

    fn publish(
        &self,
        entry: &Arc<Entry>,
        ledger: &mut Ledger,
        parts: Parts,
        tier: Tier,
        profile_blocks: u32,
    ) -> Result<(), Rejection> {
        let stored = parts.stored.clone();
        let code = Arc::new(NativeCode::new(parts, tier, profile_blocks));
        code.belongs_to(entry);
        self.hashes.get_or_init(Hashes::new);
        if let Some(key) = stored {
            self.counters.artifacts_taken.fetch_add(1, Ordering::Relaxed);
            ledger.stored = Some(Stored { key, told_gas: 0 });
        } else {
            ledger.compilations += 1;
            self.counters.compiled.fetch_add(1, Ordering::Relaxed);
            self.counters.code_bytes.fetch_add(code.bytes as u64, Ordering::Relaxed);
            self.counters.job_code_bytes.record(code.bytes as u64);
        }
        let bytes = code.bytes as u64;
        let stays = code.clone();
        entry.cool();
        let old = entry.publish(ledger, Some(code), tier.stage());
        if old.as_ref().is_some_and(|old| Arc::ptr_eq(old, &stays)) {
            self.count_rejection(&Rejection::Forgotten);
            return Err(Rejection::Forgotten);
        }
        self.code_bytes.fetch_add(bytes, Ordering::Relaxed);
        let counter = match tier {
            Tier::Native1 => &self.counters.became_native_1,
            Tier::Native2 => &self.counters.became_native_2,
            Tier::Whole => &self.counters.became_whole,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(old) = old {
            self.retired(&old);
            if old.tier == tier {
                self.counters.regrown.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Counts that there is no code, by reason.
    pub(crate) fn count_rejection(&self, rejection: &Rejection) {
        self.counters.rejections[rejection.cause() as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn reject(&self, entry: &Entry, ledger: &mut Ledger, rejection: Rejection) -> Result<(), Rejection> {
        self.counters.rejected.fetch_add(1, Ordering::Relaxed);
        self.count_rejection(&rejection);
        match rejection {
            Rejection::Fatal(_) => drop(self.counters.fatal_errors.fetch_add(1, Ordering::Relaxed)),
            Rejection::CompilingOff => drop(self.counters.compiling_off.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        ledger.rejections += 1;
        let tuning = &self.config.tuning;
        if entry.code().is_some() {
            // The attempt counts, so that leaves do not ask for it again and again.
            ledger.compilations = if rejection.is_permanent() { tuning.compilations_max } else { ledger.compilations + 1 };
        } else {
            let wait_s = tuning.retry_s.saturating_mul(1 << ledger.rejections.saturating_sub(1).min(16));
            let lasts = rejection.is_permanent() || self.config.preset == Preset::Test;
            let retry_at_s = (!lasts).then(|| self.now_s().saturating_add(wait_s));
            ledger.rejected = Some(Rejected { reason: rejection.clone(), retry_at_s });
            entry.publish(ledger, None, Stage::Rejected);
        }
        Err(rejection)
    }
}
