//! Watching: instruction functions that note which blocks run, without leaving the interpreter's loop.
//!
//! in   the profile of the code that the thread interprets, how many stops to pass
//! out  the blocks in the profile, how many stops were passed; `Suspend` without an action where a stop is wanted
//!
//! K1  An instruction function is given the interpreter and the host, and neither has room for a profile: so a thread keeps one aside,
//!     from when a stretch begins until it ends. The guard holds the profile borrowed; guards end in the reverse order of their
//!     beginning, and none is forgotten.
//! K2  Stretches may lie within each other, where a database runs another EVM on the same thread: what was there before comes back.

use crate::tiers::profile::Profile;
use revm::interpreter::{
    Host, InstructionContext, InstructionExecResult, InstructionResult, Interpreter, instructions::control,
    interpreter::EthInterpreter, interpreter_types::Jumps,
};
use std::{cell::Cell, ptr};

thread_local! {
    static WATCH: Watch = const { Watch { profile: Cell::new(ptr::null()), left: Cell::new(0), found: Cell::new(0) } };
}

/// What a thread watches. Every jump destination of a watched stretch passes here, so that an instruction more counts.
struct Watch {
    /// Null, or the profile that the innermost [`Watching`] of this thread borrows (K1).
    profile: Cell<*const Profile>,
    /// Stops before the loop ends at a jump destination. Below zero where a branch was the last of them.
    left: Cell<i64>,
    /// Blocks found that the profile did not have.
    found: Cell<u32>,
}

impl Watch {
    /// Notes a block; whether the loop should end here.
    #[inline]
    fn pass(&self, pc: usize) -> bool {
        // SAFETY: null, or the profile that the innermost guard of this thread borrows (K1).
        if let Some(profile) = unsafe { self.profile.get().as_ref() }
            && profile.note(pc)
        {
            self.found.set(self.found.get() + 1);
        }
        self.count()
    }

    /// Counts a stop; whether the loop should end at the next jump destination.
    #[inline]
    fn count(&self) -> bool {
        let left = self.left.get() - 1;
        self.left.set(left);
        left <= 0
    }

    fn replace(&self, (profile, left, found): Watched) -> Watched {
        (self.profile.replace(profile), self.left.replace(left), self.found.replace(found))
    }
}

/// What a [`Watch`] holds.
type Watched = (*const Profile, i64, u32);

/// A profile that this thread writes what it interprets into, as long as this is there.
pub(super) struct Watching<'a> {
    /// What the stretch around this one had.
    before: Watched,
    profile: &'a Profile,
    /// Stops granted so far.
    granted: i64,
}

impl<'a> Watching<'a> {
    /// Begins; the loop ends at the first jump destination after so many stops.
    pub(super) fn begin(profile: &'a Profile, stops: u64) -> Self {
        let granted = stops.cast_signed();
        Self { before: WATCH.with(|watch| watch.replace((profile, granted, 0))), profile, granted }
    }

    /// Stops passed since it began.
    pub(super) fn passed(&self) -> u64 {
        (self.granted - WATCH.with(|watch| watch.left.get())).cast_unsigned()
    }

    /// Passes so many stops more before the loop ends.
    pub(super) fn go_on(&mut self, stops: u64) {
        let left = WATCH.with(|watch| watch.left.replace(stops.cast_signed()));
        self.granted += stops.cast_signed() - left;
    }

    /// Tells the profile of the blocks found since it was told last.
    pub(super) fn tell(&self) {
        self.profile.found(WATCH.with(|watch| watch.found.take()));
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.tell();
        WATCH.with(|watch| watch.replace(self.before));
    }
}

/// JUMPDEST of a watched stretch.
pub(super) fn destination<CTX: Host>(context: InstructionContext<'_, CTX, EthInterpreter>) -> InstructionExecResult {
    if pass(context.interpreter, 1) { Err(InstructionResult::Suspend) } else { Ok(()) }
}

/// JUMPI of a watched stretch: revm's own, and the block behind it if it does not jump. Where it jumps to, [`destination`] notes that.
pub(super) fn branch<CTX: Host>(context: InstructionContext<'_, CTX, EthInterpreter>) -> InstructionExecResult {
    let InstructionContext { interpreter, host } = context;
    let behind = interpreter.bytecode.pc();
    control::jumpi(InstructionContext { interpreter: &mut *interpreter, host })?;
    if interpreter.bytecode.pc() == behind {
        pass(interpreter, 0);
    } else {
        WATCH.with(Watch::count);
    }
    Ok(())
}

#[inline]
fn pass(interpreter: &Interpreter<EthInterpreter>, behind: usize) -> bool {
    let pc = interpreter.bytecode.pc() - behind;
    WATCH.with(|watch| watch.pass(pc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k2_the_outer_stretch_goes_on_where_it_was() {
        let (outer, inner) = (Profile::new(100), Profile::new(100));
        let pass = |pc| WATCH.with(|watch| watch.pass(pc));
        let watching = Watching::begin(&outer, 3);
        assert!(!pass(1));
        {
            let mut watching = Watching::begin(&inner, 1);
            assert!(pass(50), "a stop is wanted at once");
            watching.go_on(2);
            assert!(!pass(51));
            assert!(pass(52));
            assert_eq!(watching.passed(), 3);
        }
        assert!(!pass(2));
        assert!(pass(3));
        assert_eq!(watching.passed(), 3);
        drop(watching);
        assert!(WATCH.with(|watch| watch.profile.get().is_null()));
        assert_eq!((outer.starts(), inner.starts()), (vec![1, 2, 3], vec![50, 51, 52]));
        assert_eq!((outer.blocks(), inner.blocks()), (3, 3));
    }
}
