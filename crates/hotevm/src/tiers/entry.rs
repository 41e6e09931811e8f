//! Entries: what the runtime knows of a code under a configuration.
//!
//! in   (code hash, configuration number), the bytes that were met under that hash
//! out  the newest compiled code, the stage, the heat; the protocol is in `tiers`
//!
//! E1  No map guard is held while anything compiles: the entry is taken out of the map first.
//! E2  `code` and `stage` change together under the ledger's lock, `code` first. Executing threads read both without it.
//! E3  A code that was replaced is marked so after the newer one is in place; who sees the mark finds the newer one, or none.
//! E4  An entry that is gone stays gone: nothing is published in it any more.

use super::{profile::Profile, speed::Timed};
use crate::{
    code::NativeCode,
    compiler::Rejection,
    config::Tuning,
    configuration::Configuration,
    statistics::named_rows,
    sync::{
        Arc, AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Mutex, MutexGuard, OnceLock, Ordering, Slot, lock, try_lock,
    },
};
use hotevm_abi::ArtifactKey;
use revm::{
    bytecode::Bytecode,
    primitives::{B256, Bytes},
};

/// Of this many frames one is watched, once they show nothing new.
const WATCHED_EVERY: u32 = 8;

/// The key of an entry.
pub(crate) type Key = (B256, u64);

named_rows! {
    /// How compiled code was made.
    #[derive(PartialOrd, Ord)]
    pub Tier {
        /// The blocks that were seen to run, fast pipeline.
        Native1 => "native-1",
        /// The blocks that were seen to run, full pipeline.
        Native2 => "native-2",
        /// All blocks, full pipeline.
        Whole => "whole",
    }
}

named_rows! {
    /// How far a code has come.
    pub Stage {
        /// Interpreted; its gas is added up.
        Cold => "cold",
        /// Interpreted; the blocks that run are noted.
        Watched => "watched",
        /// Compiled: the blocks seen, fast.
        Native1 => "native-1",
        /// Compiled: the blocks seen, with the full pipeline.
        Native2 => "native-2",
        /// Compiled as a whole.
        Whole => "whole",
        /// Not to be compiled, for a time or for good.
        Rejected => "rejected",
        /// Forgotten: a later frame starts a new entry.
        Gone => "gone",
    }
}

impl Tier {
    pub(crate) const fn stage(self) -> Stage {
        match self {
            Self::Native1 => Stage::Native1,
            Self::Native2 => Stage::Native2,
            Self::Whole => Stage::Whole,
        }
    }
}

impl Stage {
    /// Whether there is code in this stage.
    pub(crate) const fn has_code(self) -> bool {
        matches!(self, Self::Native1 | Self::Native2 | Self::Whole)
    }
}

/// Why a code is not compiled, and when that is looked at again.
#[derive(Debug, Clone)]
pub(crate) struct Rejected {
    pub(crate) reason: Rejection,
    /// Runtime second from which on it may be tried again; none while the configuration lasts.
    pub(crate) retry_at_s: Option<u32>,
}

/// Whether two byte strings are the same in memory.
pub(crate) fn is_same_place(one: &Bytes, other: &[u8]) -> bool {
    std::ptr::eq(one.as_ptr(), other.as_ptr()) && one.len() == other.len()
}

/// Notes a use at this second; writes only where that is news, since the line is shared.
pub(crate) fn note_second(used_at_s: &AtomicU32, now_s: u32) {
    if used_at_s.load(Ordering::Relaxed) != now_s {
        used_at_s.store(now_s, Ordering::Relaxed);
    }
}

/// What changes under the lock; executing threads do not take it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) rejected: Option<Rejected>,
    /// Rejections so far.
    pub(crate) rejections: u32,
    /// Compilations so far, with those that failed while there was code; as many as there may be after a failure that lasts.
    pub(crate) compilations: u32,
    /// CPU time of all compilations.
    pub(crate) compile_cpu_ns: u64,
    /// Gas that code of this entry ran which is replaced by now.
    pub(crate) native_gas_before: u64,
    /// Leaves of code of this entry which is replaced by now.
    pub(crate) leaves_before: u64,
    /// What the store has of this entry.
    pub(crate) stored: Option<Stored>,
}

/// An artifact of an entry in the store.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: ArtifactKey,
    /// Gas that the entry's code had run when the store was last told that the artifact is in use.
    pub(crate) told_gas: u64,
}

/// One code under one configuration. In this order, so that what a frame reads that starts lies in the first 64 bytes, and apart from the heat,
/// which frames write.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry {
    /// The bytes met under the hash; compared with a frame's before code is used for it.
    pub(crate) bytecode: Bytes,
    /// Other bytes in memory that were found equal: those of the database, where `bytecode` came from an artifact. Replaced by whoever
    /// compares (arc-swap), so that each EVM that comes compares addresses and not kilobytes.
    met: Slot<Bytes>,
    /// The newest code (E2, E3).
    code: Slot<NativeCode>,
    /// A [`Stage`]. Written under the ledger's lock, but for Cold to Watched (by compare and exchange); read anywhere, acquire.
    stage: AtomicU8,
    /// Runtime second of the last use, but for those noted in the code. Written by executing threads, read by upkeep, relaxed: a hint.
    used_at_s: AtomicU32,
    pub(crate) key: Key,
    pub(crate) configuration: Arc<Configuration>,
    /// The address of the bytes compared last. Written and read by whoever compares, relaxed: a hint.
    compared: AtomicUsize,
    /// Interpreted gas since there is an entry: a region is made of what was watched meanwhile.
    /// Added to and read by executing threads, relaxed: a hint.
    heat: AtomicU64,
    /// Whether a job for this entry waits in the queue. Set by who pushes it, cleared by who takes it out; acquire and release.
    pub(crate) queued: AtomicBool,
    /// Whether the writer has this entry in its queue. Set by who pushes it, cleared by who takes it out; acquire and release.
    pub(crate) writing: AtomicBool,
    /// Frames that were watched, or passed over while there was a profile. Counted by executing threads, relaxed.
    watches: AtomicU32,
    profile: OnceLock<Profile>,
    /// Runs that were timed.
    pub(crate) timed: Timed,
    /// Held by whoever compiles this entry, so that nobody does so twice; never by a thread that executes, presets `test` and
    /// `stress` aside.
    pub(crate) building: Mutex<()>,
    ledger: Mutex<Ledger>,
}

impl Entry {
    /// A cold entry.
    pub(crate) fn new(key: Key, configuration: Arc<Configuration>, bytecode: Bytes) -> Self {
        Self {
            key,
            configuration,
            bytecode,
            met: Slot::empty(),
            compared: AtomicUsize::new(0),
            stage: AtomicU8::new(Stage::Cold as u8),
            heat: AtomicU64::new(0),
            used_at_s: AtomicU32::new(0),
            queued: AtomicBool::new(false),
            writing: AtomicBool::new(false),
            watches: AtomicU32::new(0),
            code: Slot::empty(),
            profile: OnceLock::new(),
            timed: Timed::default(),
            building: Mutex::new(()),
            ledger: Mutex::new(Ledger::default()),
        }
    }

    /// Whether these are the bytes of this entry.
    pub(crate) fn holds(&self, bytecode: &Bytecode) -> bool {
        let bytes = bytecode.original_byte_slice();
        if self.has_met(bytecode) {
            return true;
        }
        let is_equal = *self.bytecode == *bytes;
        // What comes once may not come again: only a place seen twice takes that of another.
        let place = bytes.as_ptr() as usize;
        if is_equal && (self.compared.swap(place, Ordering::Relaxed) == place || self.met.load().is_none()) {
            // Held, so that the place means nothing else meanwhile.
            self.met.swap(Some(Arc::new(bytecode.original_bytes())));
        }
        is_equal
    }

    /// The newest code, if these bytes were met at this place before: they are not compared.
    pub(crate) fn code_met(&self, bytecode: &Bytecode) -> Option<Arc<NativeCode>> {
        if self.stage().has_code() && self.has_met(bytecode) { self.code() } else { None }
    }

    /// Whether these are the bytes of this entry as far as the place tells; false where they would have to be compared.
    fn has_met(&self, bytecode: &Bytecode) -> bool {
        let bytes = bytecode.original_byte_slice();
        is_same_place(&self.bytecode, bytes) || self.met.is_some_and(|met| is_same_place(met, bytes))
    }

    /// How far the code has come.
    pub(crate) fn stage(&self) -> Stage {
        Stage::ALL.get(usize::from(self.stage.load(Ordering::Acquire))).copied().unwrap_or(Stage::Gone)
    }

    /// The newest code.
    pub(crate) fn code(&self) -> Option<Arc<NativeCode>> {
        self.code.load()
    }

    /// The same, without a look into the slot before the stage says that there is code (E2).
    pub(crate) fn ready_code(&self) -> Option<Arc<NativeCode>> {
        if self.stage().has_code() { self.code() } else { None }
    }

    /// Adds interpreted gas; the sum.
    pub(crate) fn add_heat(&self, gas: u64) -> u64 {
        self.heat.fetch_add(gas, Ordering::Relaxed).saturating_add(gas)
    }

    /// Interpreted gas so far.
    pub(crate) fn heat(&self) -> u64 {
        self.heat.load(Ordering::Relaxed)
    }

    /// What watched frames saw; none before the first.
    pub(crate) fn profile(&self) -> Option<&Profile> {
        self.profile.get()
    }

    /// Begins to watch; true if this call made the profile.
    pub(crate) fn watch(&self) -> bool {
        let mut is_new = false;
        self.profile.get_or_init(|| {
            is_new = true;
            Profile::new(self.bytecode.len())
        });
        let (cold, watched) = (Stage::Cold as u8, Stage::Watched as u8);
        let _ = self.stage.compare_exchange(cold, watched, Ordering::AcqRel, Ordering::Acquire);
        is_new
    }

    /// Whether the frame that starts is watched: each one until they show nothing new, then some.
    pub(crate) fn watches_next(&self, tuning: &Tuning) -> bool {
        let Some(profile) = self.profile() else { return false };
        let number = self.watches.fetch_add(1, Ordering::Relaxed);
        number < tuning.watched_frames_max && (profile.quiet() < tuning.quiet_frames || number.is_multiple_of(WATCHED_EVERY))
    }

    /// Notes a use at this second.
    pub(crate) fn used(&self, now_s: u32) {
        note_second(&self.used_at_s, now_s);
    }

    /// Runtime second of the last use, of the entry or of its code.
    pub(crate) fn used_at_s(&self) -> u32 {
        let of_code = self.code().map_or(0, |code| code.used_at_s());
        self.used_at_s.load(Ordering::Relaxed).max(of_code)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// The ledger, unless somebody writes in it.
    pub(crate) fn try_ledger(&self) -> Option<MutexGuard<'_, Ledger>> {
        try_lock(&self.ledger)
    }

    /// Puts code in place of the code that is there; gives the old one back, or the new one if the entry is gone (E4).
    pub(crate) fn publish(&self, ledger: &mut Ledger, code: Option<Arc<NativeCode>>, stage: Stage) -> Option<Arc<NativeCode>> {
        if self.stage() == Stage::Gone {
            return code;
        }
        // Uses noted in code that goes stay known.
        if let Some(old) = self.code() {
            self.used_at_s.fetch_max(old.used_at_s(), Ordering::Relaxed);
        }
        let old = self.code.swap(code);
        self.stage.store(stage as u8, Ordering::Release);
        if let Some(old) = &old {
            let (gas, leaves) = old.replace();
            ledger.native_gas_before += gas;
            ledger.leaves_before += leaves;
        }
        old
    }

    /// The stage of an entry without code.
    pub(crate) fn stage_without_code(&self) -> Stage {
        if self.profile.get().is_some() { Stage::Watched } else { Stage::Cold }
    }

    /// Lets heat begin anew.
    pub(crate) fn cool(&self) {
        self.heat.store(0, Ordering::Relaxed);
        self.watches.store(0, Ordering::Relaxed);
        if let Some(profile) = self.profile() {
            profile.wake();
        }
    }
}
