//! One run of a frame: interpreter and native code in turns, until the next action.
//!
//! in   a frame, what it ran before (`Running`)
//! out  the next action, left in the interpreter; what the frame runs when it is resumed; heat, profile and leaves handed to `tiers`
//!
//! ```text
//! Cold ──tick: warm──> Warm ──JUMPDEST, code is there──> Native ──leave──> stretch in the interpreter ──JUMPDEST──┐
//!                        ^                                ^  └── replaced: the newest, if it has an entry here    │
//!                        └──────────── demoted ───────────┘──────────────────────────────────────────────────────┘
//! ```
//!
//! J3  After a leave at least one instruction is interpreted before native code is entered again.
//! J4  A stretch ends at a JUMPDEST that is about to be executed: pc on it, its gas given back.
//! J5  A frame may leave and come back as often as its gas allows, so that turns are a loop here, and never calls within each other.
//! J6  The next action stays in the interpreter, where instructions and native code put it, until the hook takes it: it has hundreds of bytes,
//!     and is not handed from function to function.

use super::{
    Prepared,
    tables::{JUMPDEST, JUMPI, Stops},
    warm_up,
    watch::Watching,
};
use crate::{
    activation::{Activation, Running},
    builtins::HostState,
    code::{NativeCode, is_way_out},
    native::{self, RunEnd},
    statistics::{Deltas, Interpreted},
    sync::{Arc, Ordering},
    tiers::{
        Tiers,
        entry::{Entry, Key, Stage},
        profile::Profile,
    },
};
use hotevm_ir::LeaveReason;
use revm::{
    context::ContextTr,
    handler::EthFrame,
    interpreter::{
        GasTable, InstructionResult, InstructionTable, Interpreter, InterpreterAction,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, LoopControl},
    },
};
use std::ops::ControlFlow;

/// Leaves after which a frame stays in the interpreter until its next call, or until there is newer code.
const LEAVES_MAX: u32 = 8;
/// A native run that charged so much was worth it, however it ended.
const GAS_WORTH_ENTERING: u64 = 500;
/// Stops between two looks at the heat of a watched frame.
const STOPS_PER_LOOK: u64 = 64;

/// One run of a frame.
pub(super) struct Run<'a, CTX: ContextTr> {
    pub(super) tiers: &'a Arc<Tiers>,
    pub(super) prepared: &'a mut Prepared<CTX>,
    pub(super) deltas: &'a mut Deltas,
    pub(super) frame: &'a mut EthFrame<EthInterpreter>,
    pub(super) context: &'a mut CTX,
    pub(super) table: &'a InstructionTable<EthInterpreter, CTX>,
    pub(super) gas_table: &'a GasTable,
    pub(super) activation: &'a mut Activation,
    /// Gas charged in the last stretch.
    pub(super) spent: u64,
}

/// Where the interpreter stopped.
struct Stop<'a> {
    /// The JUMPDEST.
    pc: usize,
    interpreter: &'a Interpreter<EthInterpreter>,
}

impl Stop<'_> {
    fn entry(&self, code: &NativeCode) -> Option<u32> {
        code.entry_at(self.pc, self.interpreter.stack.len(), self.interpreter.memory.len())
    }
}

/// How a stretch in the interpreter ended before the next action.
enum Met {
    /// At an entry of this code.
    Entry(Arc<NativeCode>, u32),
    /// The code became warm.
    Warm,
}

/// What comes next; a break where the run ends with the action in the interpreter (J6).
type Next = ControlFlow<(), Running>;

/// The entry at which native code is entered again, or what comes next instead.
type Back = ControlFlow<Next, (Arc<NativeCode>, u32)>;

impl<CTX: ContextTr> Run<'_, CTX> {
    /// Runs until there is a next action; the activation says how to go on then.
    pub(super) fn run(&mut self, mut running: Running) {
        loop {
            let next = match running {
                Running::Fresh | Running::Interpreted => return self.interpret(),
                Running::Cold => self.cold(),
                Running::Warm(entry) => self.warm(entry),
                Running::Native(code) => self.native(code),
            };
            match next {
                ControlFlow::Continue(next) => running = next,
                ControlFlow::Break(()) => return,
            }
        }
    }

    fn end(&mut self, running: Running) -> Next {
        self.activation.running = running;
        ControlFlow::Break(())
    }

    /// Interprets code without an entry; its gas is added up.
    fn cold(&mut self) -> Next {
        let Some(hash) = self.frame.interpreter.bytecode.hash() else { return ControlFlow::Continue(Running::Interpreted) };
        let (tiers, key, visit) = (self.tiers, (hash, self.prepared.number), self.prepared.visit);
        let before = self.frame.interpreter.gas.remaining();
        let place = tiers.heat_place(key);
        let mut added = 0;
        let end = self.stretch(Stops::Ticks, false, |stop| {
            let spent = before.saturating_sub(stop.interpreter.gas.remaining());
            let heat = spent.saturating_sub(added);
            added = spent;
            tiers.seen(place, heat, visit).then_some(Met::Warm)
        });
        match end {
            None => {
                let is_warm = tiers.seen(place, self.spent.saturating_sub(added), visit);
                let running = if is_warm { self.warm_up(key) } else { Running::Cold };
                self.end(running)
            }
            Some(_) => match self.warm_up(key) {
                // No room for an entry, or too many jobs wait: the next call may find it otherwise.
                Running::Cold => {
                    self.interpret();
                    tiers.seen(place, self.spent, visit);
                    self.end(Running::Cold)
                }
                running => ControlFlow::Continue(running),
            },
        }
    }

    fn warm_up(&self, key: Key) -> Running {
        warm_up(self.tiers, key, &self.frame.interpreter.bytecode, &self.prepared.configuration)
    }

    /// Interprets warm code: notes what runs, and enters native code when there is some.
    fn warm(&mut self, entry: Arc<Entry>) -> Next {
        if matches!(entry.stage(), Stage::Rejected | Stage::Gone) {
            return self.interpret_for_good(Interpreted::Rejected);
        }
        if let Some(code) = entry.ready_code()
            && let Some(number) = self.first_entry(&code)
        {
            return self.native_from(code, Some(number));
        }
        let tiers = self.tiers;
        let is_watched = *self.activation.watched.get_or_insert_with(|| {
            let is_watched = entry.watches_next(&tiers.config.tuning);
            self.deltas.watched_frames += u64::from(is_watched);
            is_watched
        });
        let before = self.frame.interpreter.gas.remaining();
        let mut look = Look::new(tiers, &entry, &self.frame.interpreter, is_watched);
        look.go_on();
        look.record(self.frame.interpreter.bytecode.pc());
        let timer = tiers.timer();
        let is_first = !self.activation.started;
        let end = self.stretch(look.stops(), false, |stop| look.stop(&stop));
        if let Some(start) = timer {
            entry.timed.interpreted(self.spent, start.elapsed());
        }
        look.heat(match &end {
            Some(_) => before.saturating_sub(self.frame.interpreter.gas.remaining()),
            None => self.spent,
        });
        look.end(is_first);
        match end {
            Some(Met::Entry(code, number)) => {
                self.deltas.loop_entries += 1;
                self.native_from(code, Some(number))
            }
            Some(Met::Warm) => ControlFlow::Continue(Running::Warm(entry)),
            None => self.end(Running::Warm(entry)),
        }
    }

    fn interpret_for_good(&mut self, reason: Interpreted) -> Next {
        self.deltas.interpreted[reason as usize] += 1;
        ControlFlow::Continue(Running::Interpreted)
    }

    /// Runs natively where that is possible.
    fn native(&mut self, code: Arc<NativeCode>) -> Next {
        let code = match newest(code) {
            Ok(code) => code,
            Err(running) => return ControlFlow::Continue(running),
        };
        let entry = self.first_entry(&code);
        self.native_from(code, entry)
    }

    /// Enters native code as often as it is left and can be entered again (J5).
    fn native_from(&mut self, mut code: Arc<NativeCode>, mut entry: Option<u32>) -> Next {
        loop {
            let reason = match entry.map(|number| self.native_run(&code, number)) {
                None => {
                    self.deltas.interpreted[Interpreted::NoEntry as usize] += 1;
                    LeaveReason::Guard
                }
                Some(RunEnd::Action) => {
                    if matches!(self.frame.interpreter.bytecode.action(), Some(InterpreterAction::NewFrame(_))) {
                        code.prefetch_entry(self.frame.interpreter.bytecode.pc());
                    }
                    return self.end(Running::Native(code));
                }
                Some(RunEnd::Reenter) => {
                    entry = self.entry_here(&code);
                    continue;
                }
                Some(RunEnd::Leave(reason, site)) => {
                    self.deltas.leaves[reason as usize] += 1;
                    if code.is_region() && is_way_out(reason) {
                        self.tiers.left(&code, site);
                    } else {
                        code.count_leave(site);
                    }
                    reason
                }
            };
            match self.away(code, reason) {
                ControlFlow::Continue((met, number)) => (code, entry) = (met, Some(number)),
                ControlFlow::Break(next) => return next,
            }
        }
    }

    /// Interprets on, outside of native code, until it can be entered again.
    fn away(&mut self, code: Arc<NativeCode>, reason: LeaveReason) -> Back {
        self.activation.leaves += 1;
        let is_final = matches!(reason, LeaveReason::Gas | LeaveReason::Stack | LeaveReason::Invalid | LeaveReason::Revert);
        let is_often = self.activation.leaves >= LEAVES_MAX && !self.tiers.config.force_leaves;
        let is_lost = reason == LeaveReason::Guard && !code.is_region();
        if is_final || is_lost || is_often && !code.is_region() {
            if !is_lost {
                self.deltas.interpreted[Interpreted::Left as usize] += 1;
            }
            self.interpret();
            return ControlFlow::Break(self.end(Running::Native(code)));
        }
        let Some(owner) = code.owner().filter(|_| code.is_region()) else {
            let end =
                self.stretch(Stops::Destinations, true, |stop| stop.entry(&code).map(|number| Met::Entry(code.clone(), number)));
            return self.back(end, Running::Native(code.clone()));
        };
        let tiers = self.tiers;
        let before = self.frame.interpreter.gas.remaining();
        let is_recording = !is_often || tiers.may_grow(&owner);
        let mut look = Look::new(tiers, &owner, &self.frame.interpreter, is_recording);
        // What was replaced is not entered again (T4).
        if !code.is_replaced() {
            look.code = Some(code.clone());
            look.waits_for_newer = is_often;
        }
        look.go_on();
        look.record_left(&self.frame.interpreter);
        let end = self.stretch(look.stops(), true, |stop| look.stop(&stop));
        look.heat(match &end {
            Some(_) => before.saturating_sub(self.frame.interpreter.gas.remaining()),
            None => self.spent,
        });
        look.end(false);
        if is_often && end.is_some() {
            self.activation.leaves = 0;
        }
        self.back(end, Running::Native(code))
    }

    fn back(&mut self, end: Option<Met>, running: Running) -> Back {
        match end {
            Some(Met::Entry(code, number)) => ControlFlow::Continue((code, number)),
            Some(Met::Warm) => ControlFlow::Break(ControlFlow::Continue(running)),
            None => ControlFlow::Break(self.end(running)),
        }
    }

    /// The entry to begin this run at: the start, or behind the call that the frame suspended at.
    fn first_entry(&mut self, code: &NativeCode) -> Option<u32> {
        if !self.activation.started && self.frame.interpreter.bytecode.pc() == 0 {
            return Some(0);
        }
        self.activation.leaves = 0;
        self.entry_here(code)
    }

    /// The entry at the interpreter's pc, if its guards hold.
    fn entry_here(&self, code: &NativeCode) -> Option<u32> {
        let interpreter = &self.frame.interpreter;
        code.entry_at(interpreter.bytecode.pc(), interpreter.stack.len(), interpreter.memory.len())
    }

    fn native_run(&mut self, code: &NativeCode, entry: u32) -> RunEnd {
        self.activation.started = true;
        if !self.activation.native {
            self.activation.native = true;
            self.deltas.native_frames += 1;
        }
        self.deltas.native_runs += 1;
        let before = self.frame.interpreter.gas.remaining();
        let leave_mask = self.tiers.leave_mask.load(Ordering::Relaxed);
        let mut host = HostState {
            interpreter: &mut self.frame.interpreter,
            context: &mut *self.context,
            instructions: self.table,
            gas_table: self.gas_table,
            hashes: self.tiers.hashes.get(),
            panic: None,
            table_call_gas: 0,
        };
        let timer = self.tiers.timer();
        let end = native::run(&mut host, code, entry, leave_mask);
        let time = timer.map(|start| start.elapsed());
        self.deltas.table_call_gas += host.table_call_gas;
        self.count(before, true);
        if let Some(time) = time
            && let Some(owner) = code.owner()
        {
            owner.timed.ran(self.spent, time);
        }
        self.tiers.ran(code, self.spent);
        if code.is_region() && self.spent >= GAS_WORTH_ENTERING {
            self.activation.leaves = 0;
        }
        end
    }

    /// Interprets until there is a next action.
    fn interpret(&mut self) {
        self.spent = interpret(self.deltas, self.activation, self.frame, self.context, self.table, self.gas_table);
    }

    /// Counts the gas charged since there was so much.
    fn count(&mut self, before: u64, native: bool) {
        let interpreter = &mut self.frame.interpreter;
        let after = interpreter.gas.remaining();
        self.spent = self.deltas.count(self.activation, before, after, interpreter.bytecode.action().as_ref(), native);
    }

    /// Interprets until `stop` wants to end it at a JUMPDEST (J4), which is told; none where there is a next action. With `is_left`, J3.
    fn stretch(&mut self, stops: Stops, is_left: bool, stop: impl FnMut(Stop<'_>) -> Option<Met>) -> Option<Met> {
        self.activation.started = true;
        let before = self.frame.interpreter.gas.remaining();
        let end = self.stretch_loop(stops, is_left, stop);
        self.count(before, false);
        end
    }

    fn stretch_loop(&mut self, stops: Stops, is_left: bool, mut stop: impl FnMut(Stop<'_>) -> Option<Met>) -> Option<Met> {
        let (table, gas_table) = (self.table, self.gas_table);
        let interpreter = &mut self.frame.interpreter;
        let Some(stopping) = self.prepared.tables.get(stops, table, &self.prepared.custom) else {
            run_plain(interpreter, table, gas_table, self.context);
            return None;
        };
        let mut error = None;
        if is_left {
            // J3: the instruction of the leave itself, whatever it is. JUMPI never stops, and notes where it leads to.
            let byte = interpreter.bytecode.original_byte_slice().get(interpreter.bytecode.pc());
            let first = if byte == Some(&JUMPI) { stopping } else { table };
            error = interpreter.step(first, gas_table, self.context).err();
        }
        loop {
            let error = error.take().unwrap_or_else(|| steps(interpreter, stopping, gas_table, self.context));
            // I1: a custom opcode may end the loop with `Suspend`, too.
            let at = interpreter.bytecode.pc().checked_sub(1);
            let pc = at.filter(|pc| interpreter.bytecode.original_byte_slice().get(*pc) == Some(&JUMPDEST));
            let is_stop = error == InstructionResult::Suspend && interpreter.bytecode.action().is_none();
            let Some(pc) = pc.filter(|_| is_stop) else {
                end(interpreter, error);
                return None;
            };
            if let Some(met) = stop(Stop { pc, interpreter }) {
                interpreter.bytecode.absolute_jump(pc);
                interpreter.gas.erase_cost(u64::from(gas_table[usize::from(JUMPDEST)]));
                return Some(met);
            }
        }
    }
}

/// The interpreter's loop, until an instruction ends it.
///
/// There is one, for all that is interpreted: the CPU learns what follows upon what for each indirect call by itself.
#[inline(never)]
fn steps<CTX: ContextTr>(
    interpreter: &mut Interpreter<EthInterpreter>,
    table: &InstructionTable<EthInterpreter, CTX>,
    gas_table: &GasTable,
    context: &mut CTX,
) -> InstructionResult {
    loop {
        if let Err(error) = interpreter.step(table, gas_table, context) {
            return error;
        }
    }
}

/// Interprets until there is a next action; the gas charged.
#[inline]
pub(super) fn interpret<CTX: ContextTr>(
    deltas: &mut Deltas,
    activation: &mut Activation,
    frame: &mut EthFrame<EthInterpreter>,
    context: &mut CTX,
    table: &InstructionTable<EthInterpreter, CTX>,
    gas_table: &GasTable,
) -> u64 {
    activation.started = true;
    let interpreter = &mut frame.interpreter;
    let before = interpreter.gas.remaining();
    run_plain(interpreter, table, gas_table, context);
    deltas.count(activation, before, interpreter.gas.remaining(), interpreter.bytecode.action().as_ref(), false)
}

/// Interprets until there is a next action.
pub(super) fn run_plain<CTX: ContextTr>(
    interpreter: &mut Interpreter<EthInterpreter>,
    table: &InstructionTable<EthInterpreter, CTX>,
    gas_table: &GasTable,
    context: &mut CTX,
) {
    let error = steps(interpreter, table, gas_table, context);
    end(interpreter, error);
}

/// Sees to it that there is an action after an instruction ended the loop.
fn end(interpreter: &mut Interpreter<EthInterpreter>, error: InstructionResult) {
    if interpreter.bytecode.action().is_none() {
        interpreter.halt(error);
    }
}

/// The newest code in place of code that may be replaced; what to run where there is none any more.
fn newest(code: Arc<NativeCode>) -> Result<Arc<NativeCode>, Running> {
    if !code.is_replaced() {
        return Ok(code);
    }
    let Some(owner) = code.owner() else { return Err(Running::Interpreted) };
    owner.code().ok_or(Running::Warm(owner))
}

/// What is done at the stops of a frame whose code has an entry.
struct Look<'a> {
    tiers: &'a Arc<Tiers>,
    entry: &'a Arc<Entry>,
    /// Notes the blocks that run; none where they are not noted.
    watching: Option<Watching>,
    /// Blocks that were known before.
    blocks: u32,
    /// Native code that may be entered; looked for again when something changed.
    code: Option<Arc<NativeCode>>,
    changes: u64,
    /// Only code newer than `code` is entered.
    waits_for_newer: bool,
    before: u64,
    /// Gas added to the heat so far.
    added: u64,
    /// Stops that the profile was told of.
    told: u64,
    /// The number of stops at which heat and changes are looked at next.
    next: u64,
    /// Stops passed while nothing was noted, and how many each stands for: at a tick many have passed already.
    unwatched: u64,
    per_stop: u64,
}

impl<'a> Look<'a> {
    fn new(tiers: &'a Arc<Tiers>, entry: &'a Arc<Entry>, interpreter: &Interpreter<EthInterpreter>, is_recording: bool) -> Self {
        let stops = tiers.stops_per_look(STOPS_PER_LOOK);
        let changes = tiers.changes.load(Ordering::Acquire);
        let profile = entry.profile();
        Self {
            tiers,
            entry,
            blocks: profile.map_or(0, Profile::blocks),
            watching: (is_recording && profile.is_some()).then(|| Watching::begin(entry, interpreter, stops)),
            changes,
            // Code that is published after this moves `changes` (T6), which is looked at now and then.
            code: entry.ready_code(),
            waits_for_newer: false,
            before: interpreter.gas.remaining(),
            added: 0,
            told: 0,
            next: stops,
            unwatched: 0,
            per_stop: stops,
        }
    }

    /// Where to stop.
    fn stops(&mut self) -> Stops {
        if self.watching.is_some() {
            Stops::Watched
        } else if self.enters() {
            self.per_stop = 1;
            Stops::Destinations
        } else {
            Stops::Ticks
        }
    }

    /// Whether there is code that may be entered.
    const fn enters(&self) -> bool {
        self.code.is_some() && !self.waits_for_newer
    }

    fn record(&self, pc: usize) {
        if let Some(profile) = self.entry.profile().filter(|_| self.watching.is_some()) {
            profile.record(pc);
        }
    }

    /// Notes the instruction at which code was left, if a block starts there.
    fn record_left(&self, interpreter: &Interpreter<EthInterpreter>) {
        let (pc, bytes) = (interpreter.bytecode.pc(), interpreter.bytecode.original_byte_slice());
        let is_behind_branch = || pc > 0 && bytes.get(pc - 1) == Some(&JUMPI);
        if bytes.get(pc) == Some(&JUMPDEST) || is_behind_branch() {
            self.record(pc);
        }
    }

    /// Decides which stop comes next: each one where code may be entered.
    fn go_on(&mut self) {
        let enters = self.enters();
        if let Some(watching) = &mut self.watching {
            watching.go_on(if enters { 1 } else { self.next.saturating_sub(watching.passed()) });
        }
    }

    fn stop(&mut self, stop: &Stop<'_>) -> Option<Met> {
        self.unwatched += self.per_stop;
        let passed = self.watching.as_ref().map_or(self.unwatched, Watching::passed);
        if passed >= self.next {
            self.next = passed.saturating_add(self.tiers.stops_per_look(STOPS_PER_LOOK));
            self.look(stop);
        }
        self.go_on();
        let code = self.code.as_ref().filter(|_| self.enters())?;
        stop.entry(code).map(|number| Met::Entry(code.clone(), number))
    }

    /// Adds to the heat, and sees whether there is other code by now.
    #[cold]
    fn look(&mut self, stop: &Stop<'_>) {
        self.heat(self.before.saturating_sub(stop.interpreter.gas.remaining()));
        let changes = self.tiers.changes.load(Ordering::Acquire);
        if changes == self.changes {
            return;
        }
        self.changes = changes;
        let newer = self.entry.code();
        let is_same = self.code.as_ref().zip(newer.as_ref()).is_some_and(|(old, newer)| Arc::ptr_eq(old, newer));
        self.waits_for_newer &= is_same || newer.is_none();
        self.code = newer;
    }

    /// Tells whether there was anything new, in the frame's first stretch or in a later one.
    fn end(self, is_first: bool) {
        if let Some(profile) = self.entry.profile().filter(|_| self.watching.is_some()) {
            profile.stretch_ended(self.blocks, is_first);
        }
    }

    /// Adds the gas spent since the last look to the heat.
    fn heat(&mut self, spent: u64) {
        let heat = spent.saturating_sub(self.added);
        self.added = self.added.max(spent);
        if let Some((watching, profile)) = self.watching.as_ref().zip(self.entry.profile()) {
            let passed = watching.passed();
            watching.tell();
            profile.watched(passed.saturating_sub(self.told), heat);
            self.told = passed;
        }
        self.tiers.heated(self.entry, heat);
    }
}
