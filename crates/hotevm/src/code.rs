//! Compiled code that can be entered.
//!
//! in   a code object, executable memory
//! out  [`NativeCode`]: its function, entry points, leave rows, and the bytecode it was made from

use hotevm_abi::{EntryPoint, LeaveRow, NativeFn};
use hotevm_code::Executable;
use hotevm_ir::LeaveReason;
use revm::primitives::Bytes;

/// Compiled code, mapped and ready.
#[derive(Debug)]
pub(crate) struct NativeCode {
    executable: Executable,
    /// Entry points other than the start, by pc.
    entries: Vec<EntryPoint>,
    leaves: Vec<LeaveRow>,
    /// The bytecode; compared once with whatever claims to have its hash.
    pub(crate) bytecode: Bytes,
}

impl NativeCode {
    /// Puts the parts together. The first entry is the start.
    pub(crate) fn new(executable: Executable, mut entries: Vec<EntryPoint>, leaves: Vec<LeaveRow>, bytecode: Bytes) -> Self {
        entries.retain(|entry| entry.number != 0);
        Self { executable, entries, leaves, bytecode }
    }

    /// The compiled function.
    pub(crate) fn function(&self) -> NativeFn {
        let pointer = self.executable.entry_pointer();
        // SAFETY: the executable was linked from an object whose entry symbol has the type `NativeFn` (crate `llvm`, Z1), in
        // this process or in one whose artifact was checked, and is mapped as long as `self` lives.
        unsafe { std::mem::transmute::<*mut u8, NativeFn>(pointer.as_ptr()) }
    }

    /// The entry at a pc whose guards hold.
    pub(crate) fn entry_at(&self, pc: usize, height: usize, memory_len: usize) -> Option<u32> {
        let index = self.entries.binary_search_by_key(&pc, |entry| entry.pc as usize).ok()?;
        self.entries.get(index).filter(|entry| guards_hold(entry, height, memory_len)).map(|entry| entry.number)
    }

    /// The row for when the gas left does not pay for the section that begins at `pc`, behind a host instruction.
    pub(crate) fn leave_behind(&self, pc: usize) -> Option<&LeaveRow> {
        self.leaves.iter().find(|row| row.pc as usize == pc && row.gas == 0 && row.reason == LeaveReason::Gas as u8)
    }

    /// The row of a leave site.
    pub(crate) fn leave(&self, site: u32) -> Option<&LeaveRow> {
        self.leaves.get(site as usize)
    }
}

fn guards_hold(entry: &EntryPoint, height: usize, memory_len: usize) -> bool {
    (usize::from(entry.height_min)..=usize::from(entry.height_max)).contains(&height) && memory_len >= entry.memory_min as usize
}
