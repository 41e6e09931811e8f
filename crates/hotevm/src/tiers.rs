//! Tiers: how a code comes from cold to hot, and what all EVMs of a process share for it.
//!
//! in   codes that frames meet, the gas they spend, their leaves; calls by hand
//! out  compiled code, swapped in while frames run
//!
//! ```text
//!            warm              worth its compiling         stays hot
//!   seen ──────────> watched ──────────────────> native 1 ──────────> native 2        whole: by hand, preset test
//!   (table of        (entry, profile)   queue       │  ^     queue       │  ^
//!    fixed size)         ^   ^                      └──┘ leaves repeat:  └──┘
//!                        │   └──────── demoted, evicted ──────┘ the region grows
//!                        └──── rejected, until its time has come
//! ```
//!
//! Protocol:
//!
//! T1  An executing thread never waits and never compiles. It tries locks (`Queue::push`, shards of the map) and goes on
//!     interpreting where one is held. It reads `Entry::stage` and `Entry::code` without a lock. Presets `test` and `stress`, which
//!     have no workers, compile where a job is pushed.
//! T2  Whoever compiles an entry holds its `building` lock from before the profile is read until after the code is published. So
//!     nothing is compiled twice at once, and older code never replaces newer code.
//! T3  Publishing, under the entry's ledger: store the code (arc-swap), store the stage (release), mark the old code replaced
//!     (release). A thread that sees the mark (acquire) therefore finds the newer code, or none after a demotion.
//! T4  A frame holds the `Arc` of the code it is in (`Activation`). Old code is unmapped when the last holder lets go. A frame
//!     in replaced code goes on in it until its next action or leave, and then enters the newest at an entry point.
//! T5  `forget` removes the entry from the map, then marks it gone under its ledger. A job that was under way publishes nothing
//!     in it, and a later frame starts a new entry.
//! T6  Caches of EVMs hold entries and codes. They are looked at anew when `changes` moved, which happens after each publication and
//!     removal, once the stage is stored. They hold nothing for a code without an entry but the number of entries ever made, which
//!     says when to look again. What threads remember beyond an EVM holds no code, and the mark is looked at there (`hook/room`, R3).
//! T7  Locks are taken in this order: building, ledger. The queue's lock and map guards are taken alone; the writer's lock comes last.

pub(crate) mod budget;
pub(crate) mod entry;
#[cfg(test)]
pub(crate) mod fake;
mod job;
#[cfg(all(test, feature = "loom"))]
mod models;
pub(crate) mod profile;
mod queue;
mod report;
pub(crate) mod seen;
mod speed;
#[cfg(all(test, not(feature = "loom")))]
pub(crate) mod tests;
mod upkeep;
mod worth;

pub use report::{ContractReport, LeaveSite};
pub use speed::Speed;

use crate::{
    artifacts::writer::Writer,
    code::NativeCode,
    compiler::{Compile, Rejection},
    config::{Config, Preset},
    configuration::{Configuration, Configurations},
    hashes::Hashes,
    statistics::Counters,
    sync::{Arc, AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Held, Map, Mutex, OnceLock, Ordering},
};
use budget::Budget;
use entry::{Entry, Key, Rejected, Stage, Tier};
use profile::Profile;
use queue::{Job, Pushed, Queue};
use revm::{bytecode::Bytecode, primitives::Bytes};
use seen::{Place, Seen};
use std::time::Instant;

/// Gas that code runs between two looks at whether it deserves the next tier.
const GAS_PER_LOOK: u64 = 1 << 16;

/// What handles point at.
#[derive(Debug)]
pub(crate) struct Tiers {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) configurations: Configurations,
    pub(crate) compiler: Box<dyn Compile>,
    entries: Map<Key, Entry>,
    /// Entries in the map. Written by who inserts or removes, relaxed: the bound is kept to within the number of threads.
    entry_count: AtomicUsize,
    seen: Seen,
    /// Visits so far, one for each EVM and block; relaxed, since it guards nothing.
    visits: AtomicU64,
    /// Hashes computed lately by any EVM; made before the first code is published, so that no frame waits for them.
    pub(crate) hashes: OnceLock<Hashes>,
    /// Whether what the store has of hints is in these tables. Written by a preload and by the writer, who reads it (acquire and release).
    pub(crate) hints_taken: AtomicBool,
    queue: Queue,
    budget: Mutex<Budget>,
    /// What keeps code in the store, where one is set.
    pub(crate) writer: Option<Writer>,
    /// Written by enable and disable, read once a transaction; relaxed, since it guards nothing.
    is_enabled: AtomicBool,
    /// Entries ever made; T6. Written after the insertion, release; read by executing threads, acquire.
    pub(crate) made: AtomicU64,
    /// How often code was published or taken away, or an entry was; T6. Written after the change, release; read acquire.
    pub(crate) changes: AtomicU64,
    /// Seconds since the start, as upkeep saw them last. Written by workers, read by executing threads, relaxed: a hint.
    now_s: AtomicU32,
    started: Instant,
    /// Bytes of profiles; of machine code in place. Relaxed: bounds, kept to within the number of threads.
    profile_bytes: AtomicUsize,
    code_bytes: AtomicU64,
    /// Frames started, for random demotion; relaxed.
    frames: AtomicU64,
    /// Mask of forced leaves: written by tests, read when a native run starts; relaxed, since it guards nothing.
    pub(crate) leave_mask: AtomicU64,
    /// Whether runs are timed: written by hand, read when a run starts; relaxed, since it guards nothing.
    pub(crate) is_timed: AtomicBool,
    /// What was exported last; taken by who exports.
    #[cfg(feature = "metrics")]
    pub(crate) exported: Mutex<crate::Statistics>,
}

/// What there is for a code that a frame starts with.
#[derive(Debug)]
pub(crate) enum Found {
    /// Code, of an entry that has met these bytes at this place: what most frames find that look for the first time. It costs neither a hold
    /// on the entry nor a comparison.
    Code(Arc<NativeCode>),
    /// No entry: its gas is added up in the table of codes seen.
    Nothing,
    /// The map is busy: nobody waits for it, and the next frame looks again.
    Busy,
    /// The hash does not belong to the bytes.
    HashMismatch,
    /// An entry of these bytes.
    Entry(Arc<Entry>),
}

impl Tiers {
    pub(crate) fn new(config: Config, compiler: Box<dyn Compile>) -> Self {
        let writer = config.store.clone().map(|store| Writer::new(store, &config.tuning));
        Self {
            writer,
            counters: Counters::default(),
            configurations: Configurations::default(),
            compiler,
            entries: Map::new(),
            entry_count: AtomicUsize::new(0),
            seen: Seen::new(config.tuning.seen_len),
            visits: AtomicU64::new(0),
            hashes: OnceLock::new(),
            hints_taken: AtomicBool::new(false),
            queue: Queue::default(),
            budget: Mutex::new(Budget::new(config.tuning.compile_cpu_share)),
            is_enabled: AtomicBool::new(false),
            made: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            now_s: AtomicU32::new(0),
            started: Instant::now(),
            profile_bytes: AtomicUsize::new(0),
            code_bytes: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            leave_mask: AtomicU64::new(0),
            is_timed: AtomicBool::new(false),
            #[cfg(feature = "metrics")]
            exported: Mutex::default(),
            config,
        }
    }

    /// Whether frames may run natively at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.is_enabled.load(Ordering::Relaxed)
    }

    /// Seconds since the start, as last noted.
    pub(crate) fn now_s(&self) -> u32 {
        self.now_s.load(Ordering::Relaxed)
    }

    /// What there is for a code that a frame starts with. Without workers an entry is made here, in preset `test` compiled, too.
    pub(crate) fn find(self: &Arc<Self>, key: Key, bytecode: &Bytecode, configuration: &Arc<Configuration>) -> Found {
        let now_s = self.now_s();
        // Preset `stress` wants to see every frame that starts: it does not learn places either.
        let is_seen = self.config.preset == Preset::Stress;
        let found = self.entries.try_with(&key, |entry| match entry.code_met(bytecode).filter(|_| !is_seen) {
            Some(code) => {
                entry.used(now_s);
                Found::Code(code)
            }
            None => Found::Entry(entry.clone()),
        });
        let entry = match found {
            Ok(Some(Found::Entry(entry))) => entry,
            Ok(Some(found)) => {
                if let Found::Code(code) = &found {
                    code.note_place(bytecode);
                }
                return found;
            }
            Ok(None) if !self.is_synchronous() => return Found::Nothing,
            Err(Held) if !self.is_synchronous() => return Found::Busy,
            Ok(None) | Err(Held) => {
                let bytes = bytecode.original_bytes();
                if revm::primitives::keccak256(&bytes) != key.0 {
                    return Found::HashMismatch;
                }
                let entry = self.entry(key, bytes, configuration);
                if self.config.preset != Preset::Test || self.queue.is_paused() {
                    self.watch(&entry);
                }
                entry
            }
        };
        // Not under the map's guard: comparing kilobytes takes its time.
        if entry.holds(bytecode) { Found::Entry(entry) } else { Found::HashMismatch }
    }

    /// Stops between two looks at the heat of a watched frame.
    pub(crate) fn stops_per_look(&self, usual: u64) -> u64 {
        if self.is_synchronous() { 1 } else { usual }
    }

    /// Whether jobs are done where they come up.
    fn is_synchronous(&self) -> bool {
        self.config.workers == 0
    }

    /// Brings an entry up to date when a frame starts with it, in presets that do so in the executing thread.
    pub(crate) fn start(self: &Arc<Self>, entry: &Arc<Entry>) {
        entry.used(self.now_s());
        if !self.is_synchronous() {
            return;
        }
        match self.config.preset {
            Preset::Test if matches!(entry.stage(), Stage::Cold | Stage::Watched) && !self.queue.is_paused() => {
                let _ = self.build(entry, Tier::Whole);
            }
            Preset::Test => {}
            _ => {
                let every = self.config.tuning.demote_every;
                if every != 0 && self.frames.fetch_add(1, Ordering::Relaxed) % every == every - 1 {
                    self.demote_entry(entry);
                }
                self.heated(entry, 0);
            }
        }
    }

    /// The entry of a key, made where there is none, whatever the bound says.
    pub(crate) fn entry(&self, key: Key, bytecode: Bytes, configuration: &Arc<Configuration>) -> Arc<Entry> {
        if let Some(entry) = self.entries.get(&key) {
            return entry;
        }
        let make = || self.new_entry(key, bytecode, configuration);
        let entry = self.entries.get_or_insert(key, make);
        self.made.fetch_add(1, Ordering::Release);
        entry
    }

    fn new_entry(&self, key: Key, bytecode: Bytes, configuration: &Arc<Configuration>) -> Arc<Entry> {
        self.entry_count.fetch_add(1, Ordering::Relaxed);
        let entry = Entry::new(key, configuration.clone(), bytecode);
        entry.used(self.now_s());
        if self.config.deny.contains(&key.0) {
            let mut ledger = entry.ledger();
            ledger.rejected = Some(Rejected { reason: Rejection::Denied, retry_at_s: None });
            self.count_rejection(&Rejection::Denied);
            entry.publish(&mut ledger, None, Stage::Rejected);
        }
        Arc::new(entry)
    }

    /// Where the blocks of a code start that were seen to run; none where none were.
    pub(crate) fn seen_to_run(&self, key: Key) -> Option<Vec<u32>> {
        let entry = self.entries.get(&key)?;
        entry.profile().map(Profile::starts).filter(|starts| !starts.is_empty())
    }

    /// Where the heat of a code without an entry is.
    #[inline]
    pub(crate) fn heat_place(&self, key: Key) -> Place {
        self.seen.place(key)
    }

    /// Adds gas spent in a code without an entry; whether it is warm.
    #[inline]
    pub(crate) fn seen(&self, place: Place, gas: u64, visit: u64) -> bool {
        self.seen.add(place, gas, visit) >= self.config.tuning.warm_gas
    }

    /// The number of a visit that begins.
    pub(crate) fn visit(&self) -> u64 {
        self.visits.fetch_add(1, Ordering::Relaxed)
    }

    /// The entry of a code that is warm, watched; none if there are too many, of jobs or entries, or if the map is busy.
    pub(crate) fn warm_up(
        &self,
        key: Key,
        bytecode: impl FnOnce() -> Bytes,
        configuration: &Arc<Configuration>,
    ) -> Option<Arc<Entry>> {
        if let Ok(Some(entry)) = self.entries.try_get(&key) {
            return Some(entry);
        }
        // Without a compiler an entry would wait for nothing, and behind a long queue for as good as nothing.
        if !self.compiler.is_available() {
            return None;
        }
        if self.queue.first() >= self.config.tuning.warm_queue_len_max {
            self.counters.queue_long.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if self.entry_count.load(Ordering::Relaxed) >= self.config.tuning.entries_max {
            self.counters.entries_full.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let bytecode = bytecode();
        let make = || self.new_entry(key, bytecode, configuration);
        let entry = self.entries.try_get_or_insert(key, make).ok()?;
        self.made.fetch_add(1, Ordering::Release);
        self.watch(&entry);
        Some(entry)
    }

    /// Begins to watch a code, if there is room for its profile.
    pub(crate) fn watch(&self, entry: &Entry) {
        // Without a compiler nobody would read the profile.
        if entry.stage() == Stage::Rejected || entry.profile().is_some() || !self.compiler.is_available() {
            return;
        }
        let bytes = Profile::bytes_for(entry.bytecode.len());
        if self.profile_bytes.load(Ordering::Relaxed) + bytes > self.config.tuning.profile_bytes_max {
            self.counters.profiles_full.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if entry.watch() {
            self.profile_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.counters.became_watched.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds gas that a frame spent in the interpreter, and asks for code once that is worth it.
    pub(crate) fn heated(self: &Arc<Self>, entry: &Arc<Entry>, gas: u64) {
        entry.add_heat(gas);
        match entry.stage() {
            // It was hot once, or somebody asked for it, or there was no room for its profile: no need to wait.
            Stage::Cold => self.watch(entry),
            // Preset `test` knows whole codes alone; while it is paused it watches, and that is all.
            Stage::Watched if self.config.preset == Preset::Test => {}
            Stage::Watched if !entry.queued.load(Ordering::Acquire) && self.is_worth(entry, Tier::Native1, 0) => {
                self.ask(entry, Tier::Native1);
            }
            Stage::Native1 | Stage::Native2 if gas > 0 => self.heated_outside(entry),
            _ => {}
        }
    }

    /// Whether a larger region of this code may still be compiled.
    pub(crate) fn may_grow(&self, entry: &Entry) -> bool {
        entry.try_ledger().is_some_and(|ledger| ledger.compilations < self.config.tuning.compilations_max)
    }

    /// Asks for a larger region once what was interpreted outside of the present one is worth it.
    fn heated_outside(self: &Arc<Self>, entry: &Arc<Entry>) {
        let Some(compilations) = entry.try_ledger().map(|ledger| ledger.compilations) else { return };
        if compilations >= self.config.tuning.compilations_max || entry.queued.load(Ordering::Acquire) {
            return;
        }
        let Some(code) = entry.code() else { return };
        if has_grown(entry, &code) && self.is_worth(entry, code.tier, compilations) {
            self.ask(entry, code.tier);
        }
    }

    /// Adds gas charged while code ran, and asks for the next tier once that is worth it.
    pub(crate) fn ran(self: &Arc<Self>, code: &NativeCode, gas: u64) {
        let total = code.add_gas(gas);
        let may_rise = code.tier == Tier::Native1 && !code.asked.load(Ordering::Relaxed) && !code.is_replaced();
        // Without workers nothing is to be late; of code that cannot rise there is no more to know than its last use.
        if total / GAS_PER_LOOK == total.saturating_sub(gas) / GAS_PER_LOOK && !(may_rise && self.is_synchronous()) {
            return;
        }
        let Some(entry) = code.owner() else { return };
        entry.used(self.now_s());
        if !may_rise {
            return;
        }
        if self.is_worth_more(&entry, code) && !code.asked.swap(true, Ordering::Relaxed) && !self.ask(&entry, Tier::Native2) {
            code.asked.store(false, Ordering::Relaxed);
        }
    }

    /// Counts a leave out of a region, and asks for a larger one once the same leave is repeated.
    pub(crate) fn left(self: &Arc<Self>, code: &NativeCode, site: u32) {
        let count = code.count_leave(site);
        if count < self.config.tuning.grow_leaves || code.is_replaced() {
            return;
        }
        let Some(entry) = code.owner() else { return };
        let Some(compilations) = entry.try_ledger().map(|ledger| ledger.compilations) else { return };
        let tuning = &self.config.tuning;
        let enough = tuning.grow_leaves.saturating_mul(1 << compilations.saturating_sub(1).min(20));
        if compilations < tuning.compilations_max && count >= enough && has_grown(&entry, code) {
            self.ask(&entry, code.tier);
        }
    }

    /// Puts a job into the queue for a frame, which drops it rather than wait (T1); whether it got there.
    fn ask(self: &Arc<Self>, entry: &Arc<Entry>, tier: Tier) -> bool {
        self.push(entry, tier, self.is_synchronous())
    }

    /// Puts a job into the queue by hand.
    pub(crate) fn request(self: &Arc<Self>, entry: &Arc<Entry>, tier: Tier) {
        self.push(entry, tier, true);
    }

    /// Puts a job into the queue; without workers, does what waits there.
    fn push(self: &Arc<Self>, entry: &Arc<Entry>, tier: Tier, waits: bool) -> bool {
        if !self.compiler.is_available() {
            // Nobody would take the job.
            return false;
        }
        if !waits && entry.queued.load(Ordering::Acquire) {
            self.counters.queue_merged.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let job = Job { entry: entry.clone(), tier, is_first: !entry.stage().has_code(), since: Instant::now() };
        let pushed = self.queue.push(job, self.config.tuning.queue_len_max, waits, |job| self.reward(job));
        let got_there = matches!(pushed, Pushed::Waiting | Pushed::Displaced);
        let counter = match pushed {
            Pushed::Waiting => &self.counters.queued,
            Pushed::Merged => &self.counters.queue_merged,
            Pushed::Displaced => {
                self.counters.queued.fetch_add(1, Ordering::Relaxed);
                &self.counters.queue_dropped
            }
            Pushed::Dropped => &self.counters.queue_dropped,
            Pushed::Busy => &self.counters.queue_busy,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if self.is_synchronous() {
            while let Some(job) = self.queue.take(|job| self.reward(job)) {
                self.run_job(&job);
            }
        }
        got_there
    }
}

/// Whether more blocks were seen than a code was made of.
fn has_grown(entry: &Entry, code: &NativeCode) -> bool {
    entry.profile().is_some_and(|profile| profile.blocks() > code.profile_blocks)
}
