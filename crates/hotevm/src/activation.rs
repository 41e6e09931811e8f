//! Activations: what the hook remembers of each frame on revm's frame stack.
//!
//! in   the index of a frame
//! out  its code, whether it was counted
//!
//! V1  A row is cleared when a frame with its index starts, so that no frame resumes in another's code.
//! V2  The `Arc` in a row keeps the code mapped while the frame can still enter it; it goes when the frame ends.

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

/// The activations by frame index.
#[derive(Debug, Default)]
pub(crate) struct Activations(Vec<Activation>);

impl Activations {
    /// No rows.
    pub(crate) const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Clears the row of a frame that starts.
    #[inline]
    pub(crate) fn start(&mut self, index: usize) {
        self.row(index).running = Running::Fresh;
    }

    /// The row of a frame.
    #[inline]
    pub(crate) fn row(&mut self, index: usize) -> &mut Activation {
        if self.0.len() <= index {
            self.grow(index + 1);
        }
        &mut self.0[index]
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.0.resize_with(len, Activation::default);
    }
}
