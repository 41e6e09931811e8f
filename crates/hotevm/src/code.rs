//! Compiled code that can be entered.
//!
//! in   a code object, executable memory
//! out  [`NativeCode`]: its function, entry points, leave rows, and what is counted while it runs
//!
//! L1  Rows for too little gas that give none back are equal where they have the same pc: a host instruction that leaves behind
//!     itself (`builtins`, H5) names the pc and nothing else. Builds with debug assertions check it before code is published.

mod places;

use crate::{
    sync::{Arc, AtomicBool, AtomicU32, AtomicU64, OnceLock, Ordering, Weak},
    tiers::entry::{Entry, Tier, is_same_place, note_second},
};
use hotevm_abi::{ArtifactKey, CodeObject, EntryPoint, LeaveRow, NativeFn};
use hotevm_code::Executable;
use hotevm_ir::LeaveReason;
use places::Places;
pub(crate) use places::fetch_ahead;
use revm::{bytecode::Bytecode, primitives::Bytes};
use std::collections::HashMap;

/// Compiled code, mapped and ready. In this order, so that what every frame reads that starts lies together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct NativeCode {
    function: NativeFn,
    /// Entry points other than the start, by pc.
    entries: Places,
    pub(crate) tier: Tier,
    /// Set once, after the entry holds something else; read by executing threads, release and acquire.
    is_replaced: AtomicBool,
    /// Set by the thread that asks for the next tier, so that it is asked for once; relaxed.
    pub(crate) asked: AtomicBool,
    /// Runtime second of the last use that did not touch the entry. Written by executing threads, read by upkeep, relaxed: a hint.
    used_at_s: AtomicU32,
    /// Bytes in memory that the entry knows to be its own, held so that their place means nothing else; none before a frame was found to
    /// start with them. Never replaced: where a database loads the bytes anew, frames find this code by its entry.
    place: OnceLock<Bytes>,
    /// Set by the thread that sets `place`, so that no other waits for it; relaxed.
    is_placed: AtomicBool,
    executable: Executable,
    /// The entry that it was published in; set before it can be seen there.
    owner: OnceLock<Weak<Entry>>,
    /// Gas charged while this code ran, at least: added to by executing threads, relaxed, by load and store. What others add between these two
    /// of one thread is lost, so that a code that many threads run counts less. A hint.
    gas: AtomicU64,
    /// The entry at which a frame begins.
    start: Option<EntryPoint>,
    leaves: Vec<LeaveRow>,
    /// Blocks in the profile that it was made from.
    pub(crate) profile_blocks: u32,
    /// Where the blocks of its region start; empty for a whole contract.
    pub(crate) region: Vec<u32>,
    /// CPU time of compiling it, here or elsewhere.
    pub(crate) compile_cpu_ns: u64,
    /// EVM instructions that were compiled here; 0 if it was taken from an artifact.
    pub(crate) instructions: usize,
    /// Bytes of machine code and constants.
    pub(crate) bytes: usize,
    /// Whether it was taken from an artifact, perhaps of another machine.
    pub(crate) is_taken: bool,
    /// Leaves by site: added to by executing threads, relaxed: hints.
    left: Box<[AtomicU32]>,
}

/// What a compiler hands over.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) executable: Executable,
    pub(crate) entries: Vec<EntryPoint>,
    pub(crate) leaves: Vec<LeaveRow>,
    /// EVM instructions that were compiled; 0 if it was taken from an artifact, which does not tell them.
    pub(crate) instructions: usize,
    pub(crate) bytes: usize,
    /// Where the blocks of its region start; empty for a whole contract.
    pub(crate) region: Vec<u32>,
    /// CPU time of compiling it.
    pub(crate) compile_cpu_ns: u64,
    /// The artifact that it was taken from; none if it was compiled here.
    pub(crate) stored: Option<ArtifactKey>,
}

impl NativeCode {
    /// Puts the parts together. The first entry is the start.
    pub(crate) fn new(mut parts: Parts, tier: Tier, profile_blocks: u32) -> Self {
        let start = parts.entries.iter().find(|entry| entry.number == 0).copied();
        parts.entries.retain(|entry| entry.number != 0);
        debug_assert!(rows_behind_agree(&parts.leaves), "two different leave rows for one pc behind a host instruction (L1)");
        let sites = parts.leaves.len();
        let pointer = parts.executable.entry_pointer();
        // SAFETY: the executable was linked from an object whose entry symbol has the type `NativeFn` (crate `llvm`, Z1), and is
        // mapped as long as `self` lives.
        let function = unsafe { std::mem::transmute::<*mut u8, NativeFn>(pointer.as_ptr()) };
        Self {
            function,
            executable: parts.executable,
            start,
            entries: Places::new(&parts.entries),
            leaves: parts.leaves,
            tier,
            profile_blocks,
            region: parts.region,
            compile_cpu_ns: parts.compile_cpu_ns,
            instructions: parts.instructions,
            bytes: parts.bytes,
            is_taken: parts.stored.is_some(),
            owner: OnceLock::new(),
            place: OnceLock::new(),
            is_placed: AtomicBool::new(false),
            used_at_s: AtomicU32::new(0),
            is_replaced: AtomicBool::new(false),
            gas: AtomicU64::new(0),
            left: std::iter::repeat_with(AtomicU32::default).take(sites).collect(),
            asked: AtomicBool::new(false),
        }
    }

    /// The compiled function, to be called while `self` lives.
    pub(crate) const fn function(&self) -> NativeFn {
        self.function
    }

    /// Has the processor fetch what is likely to run.
    pub(crate) fn prefetch(&self) {
        self.executable.prefetch();
    }

    /// The code with its tables, as artifacts hold it; none if it came from no image.
    pub(crate) fn object(&self) -> Option<CodeObject> {
        let entries = self.start.into_iter().chain(self.entries.all()).collect();
        self.executable.image()?.into_object(entries, self.leaves.clone()).ok()
    }

    /// The entry at a pc whose guards hold.
    pub(crate) fn entry_at(&self, pc: usize, height: usize, memory_len: usize) -> Option<u32> {
        self.entries.at(pc).filter(|entry| guards_hold(entry, height, memory_len)).map(|entry| entry.number)
    }

    /// Has the processor fetch what says whether there is an entry at this pc.
    pub(crate) fn prefetch_entry(&self, pc: usize) {
        self.entries.prefetch(pc);
    }

    /// The row for when the gas left does not pay for the section that begins at `pc`, behind a host instruction (L1).
    pub(crate) fn leave_behind(&self, pc: usize) -> Option<&LeaveRow> {
        self.leaves.iter().find(|row| row.pc as usize == pc && is_behind(row))
    }

    /// The row of a leave site.
    pub(crate) fn leave(&self, site: u32) -> Option<&LeaveRow> {
        self.leaves.get(site as usize)
    }

    /// Whether it holds a region only.
    pub(crate) fn is_region(&self) -> bool {
        self.tier != Tier::Whole
    }

    /// Says which entry it belongs to, before it is published there.
    pub(crate) fn belongs_to(&self, entry: &Arc<Entry>) {
        self.owner.get_or_init(|| Arc::downgrade(entry));
    }

    /// Notes a use at this second, as [`Entry::used`] does.
    pub(crate) fn used(&self, now_s: u32) {
        note_second(&self.used_at_s, now_s);
    }

    /// Runtime second of the last use that was noted here.
    pub(crate) fn used_at_s(&self) -> u32 {
        self.used_at_s.load(Ordering::Relaxed)
    }

    /// Notes where bytes lie that are its entry's; the first place is kept. Does not wait (T1).
    pub(crate) fn note_place(&self, bytecode: &Bytecode) {
        if self.place.get().is_none() && !self.is_placed.swap(true, Ordering::Relaxed) {
            let _ = self.place.set(bytecode.original_bytes());
        }
    }

    /// Whether these bytes are its entry's as far as the place tells.
    pub(crate) fn is_at(&self, bytecode: &Bytecode) -> bool {
        self.place.get().is_some_and(|place| is_same_place(place, bytecode.original_byte_slice()))
    }

    /// The entry that it belongs to.
    pub(crate) fn owner(&self) -> Option<Arc<Entry>> {
        self.owner.get().and_then(Weak::upgrade)
    }

    /// Whether the entry holds something else by now.
    pub(crate) fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    /// Marks it replaced; the gas it ran, and its counted leaves.
    pub(crate) fn replace(&self) -> (u64, u64) {
        self.is_replaced.store(true, Ordering::Release);
        (self.gas(), self.left())
    }

    /// Gas charged so far while it ran.
    pub(crate) fn gas(&self) -> u64 {
        self.gas.load(Ordering::Relaxed)
    }

    /// Adds gas charged while it ran; the sum.
    pub(crate) fn add_gas(&self, gas: u64) -> u64 {
        let sum = self.gas().saturating_add(gas);
        self.gas.store(sum, Ordering::Relaxed);
        sum
    }

    /// Counts a leave; how often that site was left at.
    pub(crate) fn count_leave(&self, site: u32) -> u32 {
        self.left.get(site as usize).map_or(0, |count| count.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }

    /// Leaves so far that show code that the region lacks, all sites together.
    pub(crate) fn left(&self) -> u64 {
        let ways_out = self.left_by_site().filter(|(row, _)| self.is_region() && reason_of(row).is_some_and(is_way_out));
        ways_out.map(|(_, count)| u64::from(count)).sum()
    }

    /// Leaves so far by site, of all sites that were left at.
    pub(crate) fn left_by_site(&self) -> impl Iterator<Item = (&LeaveRow, u32)> {
        let counts = self.left.iter().map(|count| count.load(Ordering::Relaxed));
        self.leaves.iter().zip(counts).filter(|(_, count)| *count != 0)
    }
}

/// Whether a leave for this reason leads to blocks that a larger region might hold.
pub(crate) const fn is_way_out(reason: LeaveReason) -> bool {
    matches!(reason, LeaveReason::Outside | LeaveReason::Jump)
}

/// Why native code leaves with this row.
pub(crate) fn reason_of(row: &LeaveRow) -> Option<LeaveReason> {
    LeaveReason::ALL.get(usize::from(row.reason)).copied()
}

/// Whether a host instruction may leave with this row.
const fn is_behind(row: &LeaveRow) -> bool {
    row.gas == 0 && row.reason == LeaveReason::Gas as u8
}

/// L1.
fn rows_behind_agree(leaves: &[LeaveRow]) -> bool {
    let mut by_pc = HashMap::new();
    leaves.iter().filter(|row| is_behind(row)).all(|row| *by_pc.entry(row.pc).or_insert(row) == row)
}

fn guards_hold(entry: &EntryPoint, height: usize, memory_len: usize) -> bool {
    (usize::from(entry.height_min)..=usize::from(entry.height_max)).contains(&height) && memory_len >= entry.memory_min as usize
}
