//! Watching: instruction functions that note which blocks run, without leaving the interpreter's loop.
//!
//! in   the profile of the code that the thread interprets, how many stops to pass
//! out  the blocks in the profile, how many stops were passed; `Suspend` without an action where a stop is wanted
//!
//! K1  An instruction function is given the interpreter and the host, and neither has room for a profile: so a thread keeps one aside,
//!     from when a stretch begins until it ends. It owns what it keeps, which stays valid whatever becomes of the stretch.
//! K2  What is kept counts for the interpreter alone that the stretch runs in. Stretches may lie within each other, where a database runs another
//!     EVM on the same thread: what was there before comes back.
//! K3  A host call may hand the thread to another transaction and go on later, maybe on another thread (revm's `asyncdb`), so that a stretch
//!     finds another one's watch: it then notes nothing, stops at the next jump destination, and takes the thread's place again. A place is a
//!     slot of revm's stack of frames: where a watch was left behind for another frame in that slot, blocks may be noted until then that are
//!     not that code's. Profiles are hints.

use crate::{
    sync::Arc,
    tiers::{entry::Entry, profile::Profile},
};
use revm::interpreter::{
    Host, InstructionContext, InstructionExecResult, InstructionResult, Interpreter, instructions::control,
    interpreter::EthInterpreter, interpreter_types::Jumps,
};
use std::{cell::Cell, ptr};

thread_local! {
    static WATCH: Watch =
        const { Watch { place: Cell::new(0), profile: Cell::new(ptr::null()), left: Cell::new(0), found: Cell::new(0) } };
    static KEEPS: Keeps = const { Keeps(Cell::new(None)) };
}

/// What a thread watches. Every jump destination of a watched stretch passes here, so that an instruction more counts: what needs dropping
/// is kept elsewhere.
struct Watch {
    /// Where the interpreter lies that is watched; 0 for none.
    place: Cell<usize>,
    /// The profile of the entry in [`KEEPS`]; null for none.
    profile: Cell<*const Profile>,
    /// Stops before the loop ends at a jump destination. Below zero where a branch was the last of them.
    left: Cell<i64>,
    /// Blocks found that the profile did not have.
    found: Cell<u32>,
}

/// What holds the profile that a thread writes (K1).
struct Keeps(Cell<Option<Arc<Entry>>>);

impl Drop for Keeps {
    fn drop(&mut self) {
        WATCH.with(|watch| watch.set(0, ptr::null()));
    }
}

/// What a thread watched, to be put back.
struct Watched {
    place: usize,
    entry: Option<Arc<Entry>>,
    left: i64,
    found: u32,
}

impl Watch {
    /// Notes a block of the interpreter at a place; whether the loop should end here.
    #[inline]
    fn pass(&self, place: usize, pc: usize) -> bool {
        if self.place.get() != place {
            // K3
            return true;
        }
        // SAFETY: null, or the profile of the entry in `KEEPS`: both are replaced together, and not in here.
        if let Some(profile) = unsafe { self.profile.get().as_ref() }
            && profile.note(pc)
        {
            self.found.set(self.found.get() + 1);
        }
        self.count(place)
    }

    /// Counts a stop; whether the loop should end at the next jump destination.
    #[inline]
    fn count(&self, place: usize) -> bool {
        if self.place.get() != place {
            return true;
        }
        let left = self.left.get() - 1;
        self.left.set(left);
        left <= 0
    }

    fn set(&self, place: usize, profile: *const Profile) {
        self.place.set(place);
        self.profile.set(profile);
    }

    /// Watches something else; what was watched. Nothing is watched any more where the thread is about to end.
    fn replace(&self, new: Watched) -> Watched {
        let place = self.place.get();
        self.set(0, ptr::null());
        let profile = new.entry.as_deref().map_or(ptr::null(), profile_of);
        let kept = KEEPS.try_with(|keeps| keeps.0.replace(new.entry));
        if kept.is_ok() {
            self.set(new.place, profile);
        }
        Watched {
            place,
            entry: kept.unwrap_or_default(),
            left: self.left.replace(new.left),
            found: self.found.replace(new.found),
        }
    }
}

/// The profile of an entry; null if it has none.
fn profile_of(entry: &Entry) -> *const Profile {
    entry.profile().map_or(ptr::null(), ptr::from_ref)
}

/// A stretch whose blocks this thread notes, as long as this is there.
pub(super) struct Watching {
    /// What the stretch around this one had.
    before: Option<Watched>,
    entry: Arc<Entry>,
    /// Where the interpreter of the stretch lies.
    place: usize,
    /// Stops granted so far.
    granted: i64,
}

impl Watching {
    /// Begins, for an entry that has a profile; the loop ends at the first jump destination after so many stops.
    pub(super) fn begin(entry: &Arc<Entry>, interpreter: &Interpreter<EthInterpreter>, stops: u64) -> Self {
        let place = ptr::from_ref(interpreter).addr();
        let mut watching = Self { before: None, entry: entry.clone(), place, granted: 0 };
        watching.take_place(stops.cast_signed());
        watching
    }

    fn take_place(&mut self, stops: i64) {
        let own = Watched { place: self.place, entry: Some(self.entry.clone()), left: stops, found: 0 };
        let mut before = WATCH.with(|watch| watch.replace(own));
        let found = std::mem::take(&mut before.found);
        if let Some(profile) = before.entry.as_ref().and_then(|entry| entry.profile()).filter(|_| found != 0) {
            profile.found(found);
        }
        self.before = Some(before);
        self.granted += stops;
    }

    /// Asks the thread's watch, if it is this one's (K3).
    fn ask<T>(&self, ask: impl FnOnce(&Watch) -> T) -> Option<T> {
        let profile = profile_of(&self.entry);
        WATCH.with(|watch| (watch.place.get() == self.place && ptr::eq(watch.profile.get(), profile)).then(|| ask(watch)))
    }

    /// Stops passed since it began, or all that were granted where that is not known (K3).
    pub(super) fn passed(&self) -> u64 {
        (self.granted - self.ask(|watch| watch.left.get()).unwrap_or(0)).max(0).cast_unsigned()
    }

    /// Passes so many stops more before the loop ends.
    pub(super) fn go_on(&mut self, stops: u64) {
        match self.ask(|watch| watch.left.replace(stops.cast_signed())) {
            Some(left) => self.granted += stops.cast_signed() - left,
            None => self.take_place(stops.cast_signed()),
        }
    }

    /// Tells the profile of the blocks found since it was told last.
    pub(super) fn tell(&self) {
        if let Some((found, profile)) = self.ask(|watch| watch.found.take()).zip(self.entry.profile()) {
            profile.found(found);
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.tell();
        let before = self.before.take();
        if let Some(own) = self.ask(|watch| before.map(|before| watch.replace(before))) {
            drop(own);
        }
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
        WATCH.with(|watch| watch.count(ptr::from_ref(interpreter).addr()));
    }
    Ok(())
}

#[inline]
fn pass(interpreter: &Interpreter<EthInterpreter>, behind: usize) -> bool {
    let pc = interpreter.bytecode.pc() - behind;
    WATCH.with(|watch| watch.pass(ptr::from_ref(interpreter).addr(), pc))
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::{sync, tiers::fake};

    fn frame() -> Interpreter<EthInterpreter> {
        Interpreter::default()
    }

    fn pass(interpreter: &Interpreter<EthInterpreter>, pc: usize) -> bool {
        WATCH.with(|watch| watch.pass(ptr::from_ref(interpreter).addr(), pc))
    }

    fn is_free() -> bool {
        WATCH.with(|watch| watch.place.get() == 0 && watch.profile.get().is_null())
    }

    fn watch_nothing() {
        drop(WATCH.with(|watch| watch.replace(Watched { place: 0, entry: None, left: 0, found: 0 })));
        assert!(is_free());
    }

    fn starts(entry: &Entry) -> Vec<u32> {
        entry.profile().unwrap().starts()
    }

    #[test]
    fn k2_the_outer_stretch_goes_on_where_it_was() {
        let (outer, inner) = (fake::watched_entry(), fake::watched_entry());
        let (one, other) = (frame(), frame());
        let watching = Watching::begin(&outer, &one, 3);
        assert!(!pass(&one, 1));
        {
            let mut watching = Watching::begin(&inner, &other, 1);
            assert!(pass(&other, 50), "a stop is wanted at once");
            watching.go_on(2);
            assert!(!pass(&other, 51));
            assert!(pass(&other, 52));
            assert_eq!(watching.passed(), 3);
        }
        assert!(!pass(&one, 2));
        assert!(pass(&one, 3));
        assert_eq!(watching.passed(), 3);
        drop(watching);
        assert!(is_free());
        assert_eq!((starts(&outer), starts(&inner)), (vec![1, 2, 3], vec![50, 51, 52]));
        assert_eq!((outer.profile().unwrap().blocks(), inner.profile().unwrap().blocks()), (3, 3));
    }

    #[test]
    fn k3_stretches_that_take_turns_note_nothing_of_each_other() {
        let (left, right) = (fake::watched_entry(), fake::watched_entry());
        let (one, other) = (frame(), frame());
        let mut first = Watching::begin(&left, &one, 10);
        assert!(!pass(&one, 1));
        let second = Watching::begin(&right, &other, 10);
        assert!(!pass(&other, 50));
        // The first goes on, and finds the other's watch.
        assert!(pass(&one, 2), "it stops");
        assert_eq!(first.passed(), 10, "what is not known counts as passed");
        first.go_on(5);
        assert!(!pass(&one, 3));
        assert_eq!(first.passed(), 11);
        drop(first);
        assert!(!pass(&other, 51), "the other's watch came back");
        drop(second);
        assert_eq!((left.profile().unwrap().blocks(), right.profile().unwrap().blocks()), (2, 2), "all that was found is told");
        assert_eq!((starts(&left), starts(&right)), (vec![1, 3], vec![50, 51]));
    }

    #[test]
    fn k3_a_stretch_that_ends_after_a_later_one_leaves_nothing_that_dangles() {
        let (one, other) = (frame(), frame());
        let first = Watching::begin(&fake::watched_entry(), &one, 10);
        let second = Watching::begin(&fake::watched_entry(), &other, 10);
        drop(first);
        drop(second);
        // The first one's watch is back, though it ended, and is valid (K1).
        assert!(!pass(&one, 7));
        assert!(pass(&other, 7));
        drop(Watching::begin(&fake::watched_entry(), &other, 1));
        watch_nothing();
    }

    #[test]
    fn k3_a_stretch_that_ends_on_another_thread_leaves_its_thread_a_valid_watch() {
        let one = frame();
        let entry = fake::watched_entry();
        let stretch = Watching::begin(&entry, &one, 10);
        let held = Arc::downgrade(&entry);
        drop(entry);
        let other = sync::spawn_named("other", move || drop(stretch)).expect("a thread");
        other.join().expect("no panic");
        assert_eq!(held.strong_count(), 1, "this thread keeps it alone (K1)");
        assert!(!pass(&one, 7));
        drop(Watching::begin(&fake::watched_entry(), &frame(), 10));
        watch_nothing();
        assert_eq!(held.strong_count(), 0);
    }
}
