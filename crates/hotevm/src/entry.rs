//! Entries: what the runtime knows of a code under a configuration.
//!
//! in   (code hash, configuration number)
//! out  compiled code, or why there is none
//!
//! E1  No map guard is held while anything compiles: the entry is taken out of the map first.
//! E2  An entry's slot is written once; whoever comes second waits only in preset `test`, where compiling is synchronous.

use crate::{
    code::NativeCode,
    compiler::Rejection,
    sync::{Arc, OnceLock},
};
use revm::primitives::B256;

/// The key of an entry.
pub(crate) type Key = (B256, u64);

/// One code under one configuration.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    slot: OnceLock<Result<Arc<NativeCode>, Rejection>>,
}

impl Entry {
    /// What is known already.
    pub(crate) fn peek(&self) -> Option<&Result<Arc<NativeCode>, Rejection>> {
        self.slot.get()
    }

    /// What is known, after compiling if nothing was.
    pub(crate) fn compiled(
        &self,
        compile: impl FnOnce() -> Result<Arc<NativeCode>, Rejection>,
    ) -> &Result<Arc<NativeCode>, Rejection> {
        self.slot.get_or_init(compile)
    }
}
