//! Activations: what the hook remembers of each frame on revm's frame stack.
//!
//! in   the index of a frame
//! out  its code, whether it was counted
//!
//! V1  A row is cleared when a frame with its index starts, so that no frame resumes in another's code.
//! V2  The `Arc` in a row keeps the code mapped while the frame can still enter it; it goes when the frame ends, or where an error took frames
//!     off the stack that never ended, when the next transaction starts.

use crate::{code::NativeCode, sync::Arc, tiers::entry::Entry};

/// What a frame runs.
#[derive(Debug, Clone, Default)]
pub(crate) enum Running {
    /// Not looked up yet.
    #[default]
    Fresh,
    /// In the interpreter for good.
    Interpreted,
    /// In the interpreter; the gas of its code, which has no entry, is added up.
    Cold,
    /// In the interpreter, until its code is compiled.
    Warm(Arc<Entry>),
    /// In compiled code, where there is an entry.
    Native(Arc<NativeCode>),
}

/// One frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activation {
    pub(crate) running: Running,
    /// Whether any of its instructions was executed: the start of a code is entered before that alone.
    pub(crate) started: bool,
    /// Whether the frame is watched; none before that was decided.
    pub(crate) watched: Option<bool>,
    /// Leaves since the last call.
    pub(crate) leaves: u32,
    /// Whether the frame counts as eligible.
    pub(crate) eligible: bool,
    /// Whether the frame was counted as native.
    pub(crate) native: bool,
    /// Whether the frame runs init code.
    pub(crate) init_code: bool,
}

impl Activation {
    /// Notes what a frame that starts will run. Field by field: a row that is made elsewhere and copied in words waits for its bytes.
    #[inline]
    pub(crate) fn begin(&mut self, running: Running, init_code: bool, eligible: bool) {
        self.running = running;
        self.started = false;
        self.watched = None;
        self.leaves = 0;
        self.eligible = eligible;
        self.native = false;
        self.init_code = init_code;
    }
}

/// The activations by frame index.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    rows: Vec<Activation>,
    /// Rows that frames of this transaction had.
    reached: usize,
}

impl Activations {
    /// No rows.
    pub(crate) const fn empty() -> Self {
        Self { rows: Vec::new(), reached: 0 }
    }

    /// Clears what frames left that an error ended (V2).
    #[inline]
    pub(crate) fn transaction_started(&mut self) {
        let reached = std::mem::take(&mut self.reached);
        self.rows.iter_mut().take(reached).for_each(|row| row.running = Running::Fresh);
    }

    /// Clears the row of a frame that starts.
    #[inline]
    pub(crate) fn start(&mut self, index: usize) {
        self.reached = self.reached.max(index + 1);
        self.row(index).running = Running::Fresh;
    }

    /// The row of a frame.
    #[inline]
    pub(crate) fn row(&mut self, index: usize) -> &mut Activation {
        if self.rows.len() <= index {
            self.grow(index + 1);
        }
        &mut self.rows[index]
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.rows.resize_with(len, Activation::default);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::tiers::fake;

    #[test]
    fn v2_what_an_error_ended_holds_no_code_in_the_next_transaction() {
        let (mut activations, code) = (Activations::empty(), fake::native_code());
        activations.transaction_started();
        for index in 0..3 {
            activations.start(index);
            activations.row(index).running = Running::Native(code.clone());
        }
        assert_eq!(Arc::strong_count(&code), 4);
        activations.transaction_started();
        assert_eq!(Arc::strong_count(&code), 1);
    }
}
