//! The path: what is known while blocks are built one after the other from a root.
//!
//! in   the root's parameters
//! out  values of stack slots, which of them are not at home, where a leave may go back to
//!
//! Q1  A slot without a row here is at home and not yet read.
//! Q2  A dirty slot's home is stale; every leave and edge to a root stores it first. Host instructions leave constants as they
//!     are, operands aside: a leave's row can hold them as data. What lies below their operands they do not touch, so that values of
//!     such slots still hold behind them; an opcode declared custom ends the path. Operands that a host instruction is given have no row,
//!     and are dropped by it.
//! Q3  Leaves may go back to the sync point as long as executing again from there does the same: no memory was written after
//!     some was read, and neither gas nor the memory size was read. What would break that makes a new sync point.

use crate::function::Value;
use std::collections::{BTreeMap, HashMap};

/// A stack slot that is known.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Its value.
    pub value: Value,
    /// Whether its home is stale.
    pub dirty: bool,
}

/// The last point at which the frame was at home.
#[derive(Debug, Clone, Default)]
pub struct Sync {
    /// The instruction there.
    pub pc: u32,
    /// The stack height there.
    pub top: i32,
    /// Gas charged since.
    pub charged: u32,
    /// Whether leaves may go back to it.
    pub valid: bool,
    /// Constants that are not at home there.
    pub constants: Vec<(i32, Value)>,
}

/// What is known on the way from a root.
#[derive(Debug, Clone, Default)]
pub struct Path {
    /// Known slots.
    pub slots: BTreeMap<i32, Slot>,
    /// Stack height, as the slot one above the top.
    pub top: i32,
    /// Least and greatest stack height at the root, as far as facts and checks on the way tell.
    pub heights: (i32, i32),
    /// Where leaves may go back to.
    pub sync: Sync,
    /// Gas charged for instructions of the section not yet executed.
    pub rest: u32,
    /// Whether the next block goes on with the section; otherwise it gives the rest back.
    pub is_open: bool,
    /// Whether memory was read since the sync point.
    pub has_read_memory: bool,
    /// Whether values are kept rather than brought home: the root has parameters.
    pub keeps_values: bool,
    /// Words already made numbers.
    pub narrow: HashMap<Value, Value>,
}

impl Path {
    /// Puts a value on top of the stack.
    pub fn push(&mut self, value: Value) {
        self.slots.insert(self.top, Slot { value, dirty: true });
        self.top += 1;
    }

    /// Drops entries from the top.
    pub fn drop_top(&mut self, count: i32) {
        self.top -= count;
        self.slots.split_off(&self.top);
    }

    /// Forgets entries, which are at home, deeper than this below the top.
    pub fn forget_below(&mut self, depth: usize) {
        self.slots = self.slots.split_off(&(self.top - depth as i32));
    }

    /// The slots whose homes are stale, below the top.
    pub fn dirty(&self) -> Vec<(i32, Value)> {
        self.slots.iter().filter(|(_, slot)| slot.dirty).map(|(index, slot)| (*index, slot.value)).collect()
    }

    /// Starts anew from a point where everything is at home but constants, which leaves bring along.
    pub fn synced_at(&mut self, pc: u32) {
        self.sync = Sync { pc, top: self.top, charged: self.rest, valid: true, constants: self.dirty() };
        self.has_read_memory = false;
    }
}
