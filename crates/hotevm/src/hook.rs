//! The hook: what happens instead of revm's run of a frame.
//!
//! in   the frame on top of revm's frame stack
//! out  the next action, as revm's own loop would make it, in the frame's interpreter
//!
//! ```text
//! frame starts -> inspector, init code, not legacy, unavailable, disabled, too many configurations -> interpreter
//!              -> cache of the EVM, of the thread (bytecode address) -> map (hash, configuration) -> cold, warm or native: `run`
//! ```
//!
//! J1  Nothing is allocated until the first frame runs, and nothing on a hit.
//! J2  Code is used for a frame only after its bytes were compared with the frame's. Bytes that were compared are known by their place while
//!     they are held, whatever hash they come with.
//! J7  Fork and costs of the context are looked at in each transaction. Instructions and their costs, 2.5 KiB, are compared where they
//!     may have changed: when the EVM lent them out since, or its provider has them at another address. A provider that changes them in place
//!     through a shared reference is none that hotevm can run.

mod room;
mod run;
mod tables;
#[cfg(all(test, not(feature = "loom")))]
mod tests;
mod watch;

use crate::{
    activation::{Activation, Activations, Running},
    code::NativeCode,
    config::{Instructions, Preset},
    configuration::{Configuration, Settings},
    runtime::Runtime,
    statistics::{Deltas, Gathered, Interpreted},
    sync::{Arc, Ordering},
    tiers::{
        Found, Tiers,
        entry::{Entry, Key, Stage},
    },
};
use revm::{
    context::{Block, Cfg, ContextTr},
    handler::{EthFrame, FrameData},
    interpreter::{
        CallScheme, FrameInput, GasTable, Host, InstructionTable, InterpreterAction,
        interpreter::{EthInterpreter, ExtBytecode},
        interpreter_types::LoopControl,
    },
    primitives::U256,
};
use room::Room;
use run::{Run, interpret, run_plain};
use tables::{Tables, addresses, note_changes};

/// What is known of a bytecode.
#[derive(Debug)]
enum Known {
    /// It has code.
    Code(Arc<NativeCode>),
    /// It has an entry.
    Entry(Arc<Entry>),
    /// It had no entry when so many were made; [`LONG_AGO`] where it is to be looked for again.
    Nothing(u64),
    /// Its hash is not that of its bytes.
    HashMismatch,
}

/// Gas that a frame needs before it is worth looking at its heat while it runs, where more makes a code warm.
const GAS_WORTH_TICKS: u64 = 8_000_000;

/// More entries than are ever made.
const LONG_AGO: u64 = u64::MAX;

/// State that is made when the first frame runs.
struct Prepared<CTX: Host> {
    configuration: Arc<Configuration>,
    /// The cache, the codes that ran lately, and the instruction table as it was when last looked at.
    room: Box<Room>,
    /// The instruction table with stops.
    tables: Tables<CTX>,
    /// Opcodes declared custom, and those found changed.
    custom: [u64; 4],
    /// Where the instructions and their costs lay when last looked at.
    places: [usize; 2],
    /// `Tiers::changes` as it was when the cache was last swept.
    changes: u64,
    /// The number under which this EVM heats codes, another for each block.
    visit: u64,
    /// The configuration's number.
    number: u64,
    /// Gas with which a cold frame is looked at while it runs.
    ticks_gas: u64,
    /// The block's number.
    block: U256,
    /// Why frames are interpreted, all of them.
    off: Option<Interpreted>,
}

/// What an EVM needs for native code.
pub(crate) struct Hook<CTX: Host> {
    runtime: Runtime,
    instructions: Instructions,
    prepared: Option<Prepared<CTX>>,
    /// Whether the EVM was looked at since the transaction started.
    is_checked: bool,
    /// Whether the tables may be others than those looked at last (J7).
    is_lent: bool,
    activations: Activations,
    pub(crate) deltas: Deltas,
    /// Where the counters are handed over to, once there were any.
    gathered: Option<Arc<Gathered>>,
}

impl<CTX: Host> Hook<CTX> {
    pub(crate) const fn new(runtime: Runtime, instructions: Instructions) -> Self {
        Self {
            runtime,
            instructions,
            prepared: None,
            is_checked: false,
            is_lent: true,
            activations: Activations::empty(),
            deltas: Deltas::empty(),
            gathered: None,
        }
    }

    /// Hands the counters over.
    pub(crate) fn flush(&mut self) {
        // Whatever is counted belongs to a frame.
        if self.deltas.frames != 0 {
            let counters = &self.runtime.tiers.counters;
            if self.gathered.is_none() {
                self.gathered = counters.gather();
            }
            match &self.gathered {
                Some(gathered) => gathered.add(&mut self.deltas),
                None => counters.add(&mut self.deltas),
            }
        }
    }

    /// Leaves the memory to the next EVM.
    fn leave_room(&mut self) {
        if let Some(prepared) = self.prepared.take() {
            prepared.room.park();
        }
    }

    /// Notes that a transaction starts: fork, costs and instructions may have changed.
    pub(crate) fn transaction_started(&mut self) {
        self.is_checked = false;
        self.activations.transaction_started();
    }

    /// Notes that somebody may change the tables (J7).
    #[inline]
    pub(crate) const fn tables_lent(&mut self) {
        self.is_lent = true;
    }

    /// Notes that revm's inspected run runs the frame with this index.
    pub(crate) fn frame_inspected(&mut self, index: usize) {
        let running = &mut self.activations.row(index).running;
        if matches!(running, Running::Fresh) {
            *running = Running::Interpreted;
            self.deltas.frames += 1;
            self.deltas.interpreted[Interpreted::Inspected as usize] += 1;
        }
    }

    /// Notes that a frame with this index starts.
    pub(crate) fn frame_started(&mut self, index: usize) {
        self.activations.start(index);
    }
}

impl<CTX: Host> Drop for Hook<CTX> {
    fn drop(&mut self) {
        self.flush();
        self.leave_room();
    }
}

impl<CTX: ContextTr> Hook<CTX> {
    /// Looks at fork, gas costs and instructions of the EVM, once in each transaction.
    #[inline(never)]
    fn prepare(&mut self, context: &CTX, table: &InstructionTable<EthInterpreter, CTX>, gas_table: &GasTable) {
        self.is_checked = true;
        let (spec, gas_params) = (context.cfg().spec().into(), context.cfg().gas_params());
        let block = context.block().number();
        let mut custom = self.instructions.words();
        let places = [std::ptr::from_ref(table).addr(), std::ptr::from_ref(gas_table).addr()];
        let off = if !self.runtime.tiers.compiler.can_run() {
            Some(Interpreted::Unavailable)
        } else {
            (!self.runtime.tiers.is_enabled()).then_some(Interpreted::Disabled)
        };
        let configurations = &self.runtime.tiers.configurations;
        let mut is_same = false;
        if let Some(prepared) = &mut self.prepared {
            prepared.off = off;
            if prepared.block != block {
                (prepared.block, prepared.visit) = (block, self.runtime.tiers.visit());
            }
            prepared.sweep(self.runtime.tiers.changes.load(Ordering::Acquire));
            custom = prepared.custom;
            let is_known = !std::mem::take(&mut self.is_lent) && prepared.places == places;
            if !is_known && note_changes(&prepared.room.snapshot, table, &mut custom) {
                // Copies of the table are made anew, even where the opcode was custom before.
                prepared.room.snapshot = *addresses(table);
                prepared.tables = Tables::none();
            }
            prepared.places = places;
            let settings = &prepared.configuration.settings;
            is_same = settings.spec == spec
                && (is_known || settings.gas_table == *gas_table)
                && (std::ptr::eq(settings.gas_params.table(), gas_params.table()) || settings.gas_params == *gas_params)
                && custom == prepared.custom;
            if is_same && !prepared.configuration.is_lone() {
                return;
            }
        }
        let settings = || Settings { spec, gas_table: *gas_table, gas_params: gas_params.clone(), custom };
        let known = configurations.stock(spec, gas_table, gas_params, &custom).or_else(|| configurations.try_get(settings()));
        let off = off.or_else(|| known.is_none().then_some(Interpreted::Configurations));
        if let Some(prepared) = &mut self.prepared
            && is_same
            && known.is_none()
        {
            prepared.off = off;
            return;
        }
        // Opcodes found changed stay noted, whatever there is room for.
        let configuration = known.unwrap_or_else(|| Configuration::lone(settings()));
        self.leave_room();
        self.prepared = Some(Prepared {
            number: configuration.number,
            ticks_gas: self.runtime.tiers.config.tuning.warm_gas.min(GAS_WORTH_TICKS),
            configuration,
            room: Room::take(addresses(table)),
            tables: Tables::none(),
            custom,
            places,
            changes: self.runtime.tiers.changes.load(Ordering::Acquire),
            visit: self.runtime.tiers.visit(),
            block,
            off,
        });
    }

    /// Runs the frame until there is a next action, which is left in its interpreter (`run`, J6).
    ///
    /// What most frames of a chain that was never seen do is here, short and in one place: each frame comes by with the processor's caches
    /// full of other code. All else is in [`Run`].
    pub(crate) fn run(
        &mut self,
        index: usize,
        frame: &mut EthFrame<EthInterpreter>,
        context: &mut CTX,
        table: &InstructionTable<EthInterpreter, CTX>,
        gas_table: &GasTable,
    ) {
        if matches!(self.activations.row(index).running, Running::Fresh) {
            if !self.is_checked {
                self.prepare(context, table, gas_table);
            }
            self.start(index, frame);
        }
        let activation = self.activations.row(index);
        match (&activation.running, &self.prepared) {
            (Running::Interpreted, _) => {
                interpret(&mut self.deltas, activation, frame, context, table, gas_table);
            }
            // A frame with little gas is over soon, and is not looked at before.
            (Running::Cold, Some(prepared))
                if frame.interpreter.gas.remaining() < prepared.ticks_gas
                    && let Some(hash) = frame.interpreter.bytecode.hash() =>
            {
                let (tiers, key) = (&self.runtime.tiers, (hash, prepared.number));
                let place = tiers.heat_place(key);
                let spent = interpret(&mut self.deltas, activation, frame, context, table, gas_table);
                if tiers.seen(place, spent, prepared.visit) {
                    let running = warm_up(tiers, key, &frame.interpreter.bytecode, &prepared.configuration);
                    // V2
                    if matches!(frame.interpreter.bytecode.action(), Some(InterpreterAction::NewFrame(_))) {
                        activation.running = running;
                    }
                }
            }
            _ => self.run_on(index, frame, context, table, gas_table),
        }
    }

    /// Runs a frame that is more than interpreted.
    #[inline(never)]
    fn run_on(
        &mut self,
        index: usize,
        frame: &mut EthFrame<EthInterpreter>,
        context: &mut CTX,
        table: &InstructionTable<EthInterpreter, CTX>,
        gas_table: &GasTable,
    ) {
        let activation = self.activations.row(index);
        let running = std::mem::replace(&mut activation.running, Running::Interpreted);
        let Some(prepared) = &mut self.prepared else { return run_plain(&mut frame.interpreter, table, gas_table, context) };
        let mut run = Run {
            tiers: &self.runtime.tiers,
            prepared,
            deltas: &mut self.deltas,
            frame,
            context,
            table,
            gas_table,
            activation,
            spent: 0,
        };
        run.run(running);
        if !matches!(frame.interpreter.bytecode.action(), Some(InterpreterAction::NewFrame(_))) {
            // V2
            activation.running = Running::Interpreted;
        }
    }

    /// Decides what a frame that starts will run, and counts it.
    fn start(&mut self, index: usize, frame: &EthFrame<EthInterpreter>) {
        self.deltas.frames += 1;
        let bytecode = &frame.interpreter.bytecode;
        let init_code = matches!(frame.data, FrameData::Create(_));
        let eligible = !init_code && bytecode.is_legacy();
        self.deltas.eligible_frames += u64::from(eligible);
        let found = if init_code {
            Err(Interpreted::InitCode)
        } else if !eligible {
            Err(Interpreted::NotLegacy)
        } else {
            self.look_up(bytecode)
        };
        let reason = match &found {
            Ok(Running::Cold) => Some(Interpreted::Cold),
            Ok(Running::Warm(_)) => Some(Interpreted::Watched),
            Ok(_) => None,
            Err(reason) => Some(*reason),
        };
        if let Some(reason) = reason {
            self.deltas.interpreted[reason as usize] += 1;
        }
        self.activations.row(index).begin(found.unwrap_or(Running::Interpreted), init_code, eligible);
    }

    /// Finds what there is for a frame: by the bytecode's address in the cache, or among the codes that ran lately in this thread, else in
    /// the map by hash.
    fn look_up(&mut self, bytecode: &ExtBytecode) -> Result<Running, Interpreted> {
        let Some(prepared) = &mut self.prepared else { return Err(Interpreted::Unavailable) };
        if let Some(reason) = prepared.off {
            return Err(reason);
        }
        let tiers = &self.runtime.tiers;
        let address = bytecode.bytecode_ptr() as usize;
        let made = tiers.made.load(Ordering::Acquire);
        if let Some((held, known)) = prepared.room.held(address)
            && held.bytecode_ptr() as usize == address
            && held.len() == bytecode.len()
        {
            match known {
                Known::Code(code) if !code.is_replaced() && tiers.config.preset != Preset::Stress => {
                    code.used(tiers.now_s());
                    return Ok(Running::Native(code.clone()));
                }
                // Preset `stress` wants to see every frame that starts.
                Known::Code(code) => *known = code.owner().map_or(Known::Nothing(LONG_AGO), Known::Entry),
                Known::Nothing(then) if *then == made => return Ok(Running::Cold),
                Known::HashMismatch => return Err(Interpreted::HashMismatch),
                Known::Entry(_) | Known::Nothing(_) => {}
            }
            if let Known::Entry(entry) = known
                && entry.stage() != Stage::Gone
            {
                let running = begin(tiers, entry);
                if let Ok(Running::Native(code)) = &running {
                    code.prefetch();
                    *known = Known::Code(code.clone());
                }
                return running;
            }
        }
        let number = prepared.number;
        let lately = prepared.room.lately(address, number).filter(|code| code.is_at(bytecode) && !code.is_replaced());
        let is_noted = lately.is_some();
        let found = if let Some(code) = lately {
            code.used(tiers.now_s());
            Found::Code(code)
        } else {
            let Some(hash) = bytecode.hash() else { return Err(Interpreted::HashMismatch) };
            tiers.find((hash, number), bytecode, &prepared.configuration)
        };
        let (known, running) = match found {
            Found::Code(code) => (None, Ok(Running::Native(code))),
            Found::Entry(entry) => {
                let running = begin(tiers, &entry);
                (Some(Known::Entry(entry)), running)
            }
            Found::Nothing => (Some(Known::Nothing(made)), Ok(Running::Cold)),
            Found::Busy => (None, Ok(Running::Cold)),
            Found::HashMismatch => (Some(Known::HashMismatch), Err(Interpreted::HashMismatch)),
        };
        let known = match &running {
            Ok(Running::Native(code)) => {
                code.prefetch();
                if !is_noted && code.is_at(bytecode) {
                    prepared.room.note(address, number, code);
                }
                Some(Known::Code(code.clone()))
            }
            _ => known,
        };
        prepared.room.hold(address, known.map(|known| ((**bytecode).clone(), known)));
        running
    }
}

impl<CTX: Host> Prepared<CTX> {
    /// Lets go of what was replaced or removed.
    fn sweep(&mut self, changes: u64) {
        if self.changes == changes {
            return;
        }
        self.changes = changes;
        for slot in self.room.slots() {
            slot.held.take_if(|(_, known)| match known {
                Known::Code(code) => code.is_replaced(),
                Known::Entry(entry) => entry.stage() == Stage::Gone,
                Known::Nothing(_) | Known::HashMismatch => false,
            });
        }
    }
}

/// Makes the entry of a code that got warm; what its frame runs from now on.
#[cold]
fn warm_up(tiers: &Tiers, key: Key, bytecode: &ExtBytecode, configuration: &Arc<Configuration>) -> Running {
    // J2: the entry may have been made by another frame.
    match tiers.warm_up(key, || bytecode.original_bytes(), configuration) {
        Some(entry) if entry.holds(bytecode) => Running::Warm(entry),
        Some(_) => Running::Interpreted,
        None => Running::Cold,
    }
}

/// What a frame runs that starts with an entry.
fn begin(tiers: &Arc<Tiers>, entry: &Arc<Entry>) -> Result<Running, Interpreted> {
    tiers.start(entry);
    match entry.ready_code() {
        Some(code) => Ok(Running::Native(code)),
        None if entry.stage() == Stage::Rejected => Err(Interpreted::Rejected),
        None => Ok(Running::Warm(entry.clone())),
    }
}

impl Deltas {
    /// Counts the gas charged between two points of a frame; how much it is. Where more was given back than charged, as an SSTORE
    /// that restores a zero does (EIP-8037), it is none.
    fn count(
        &mut self,
        activation: &Activation,
        before: u64,
        after: u64,
        action: Option<&InterpreterAction>,
        native: bool,
    ) -> u64 {
        let spent = match action {
            // What a halt burns counts nowhere.
            Some(InterpreterAction::Return(result)) if result.is_halt() => {
                if after == 0 {
                    0
                } else {
                    before.saturating_sub(after)
                }
            }
            Some(InterpreterAction::NewFrame(input)) => before.saturating_sub(after.saturating_add(handed_over(input))),
            _ => before.saturating_sub(after),
        };
        self.gas += spent;
        if activation.eligible {
            self.eligible_gas += spent;
        }
        if activation.init_code {
            self.init_code_gas += spent;
        }
        if native {
            self.native_gas += spent;
        }
        spent
    }
}

/// Gas that a call or create hands to its frame out of the caller's; a value transfer's stipend comes on top of it.
fn handed_over(input: &FrameInput) -> u64 {
    match input {
        FrameInput::Call(call) => {
            let is_paid = matches!(call.scheme, CallScheme::Call | CallScheme::CallCode) && call.transfers_value();
            call.gas_limit - if is_paid { call.gas_limit.min(CALL_STIPEND) } else { 0 }
        }
        FrameInput::Create(create) => create.gas_limit(),
        FrameInput::Empty => 0,
    }
}

/// Gas that comes with a value transfer (Yellow Paper, G_callstipend).
const CALL_STIPEND: u64 = 2300;
