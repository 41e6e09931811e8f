//! The hook: what happens instead of revm's run of a frame.
//!
//! in   the frame on top of revm's frame stack
//! out  the next action, as revm's own loop would make it
//!
//! ```text
//! frame starts -> init code, not legacy, unavailable, disabled ---------> interpreter
//!              -> cache (bytecode address) -> map (hash, configuration) -> cold, warm or native: `run`
//! ```
//!
//! J1  Nothing is allocated until the first frame runs, and nothing on a hit.
//! J2  Code is used for a frame only after its bytes were compared with the frame's.

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
    statistics::{Deltas, Interpreted},
    sync::{Arc, Ordering},
    tiers::{
        Found,
        entry::{Entry, Stage},
    },
};
use revm::{
    bytecode::Bytecode,
    context::{Cfg, ContextTr},
    handler::{EthFrame, FrameData},
    interpreter::{CallScheme, FrameInput, GasTable, Host, InstructionTable, InterpreterAction, interpreter::EthInterpreter},
};
use room::Room;
use run::Run;
use tables::{Tables, addresses, note_changes};

/// What is known of a bytecode.
#[derive(Debug)]
enum Known {
    /// It has code.
    Code(Arc<NativeCode>),
    /// It has an entry.
    Entry(Arc<Entry>),
    /// It had no entry when so many were made.
    Nothing(u64),
    /// Its hash is not that of its bytes.
    HashMismatch,
}

/// State that is made when the first frame runs.
struct Prepared<CTX: Host> {
    configuration: Arc<Configuration>,
    /// The cache, and the instruction table as it was when last looked at.
    room: Box<Room>,
    /// The instruction table with stops.
    tables: Tables<CTX>,
    /// Opcodes declared custom, and those found changed.
    custom: [u64; 4],
    /// `Tiers::changes` as it was when the cache was last swept.
    changes: u64,
    /// Why frames are interpreted, all of them.
    off: Option<Interpreted>,
}

/// What an EVM needs for native code.
pub(crate) struct Hook<CTX: Host> {
    runtime: Runtime,
    instructions: Instructions,
    prepared: Option<Prepared<CTX>>,
    /// Whether the EVM's tables were looked at since the transaction started.
    is_checked: bool,
    activations: Activations,
    pub(crate) deltas: Deltas,
}

impl<CTX: Host> Hook<CTX> {
    pub(crate) const fn new(runtime: Runtime, instructions: Instructions) -> Self {
        Self {
            runtime,
            instructions,
            prepared: None,
            is_checked: false,
            activations: Activations::empty(),
            deltas: Deltas::empty(),
        }
    }

    /// Hands the counters over.
    pub(crate) fn flush(&mut self) {
        // Whatever is counted belongs to a frame.
        if self.deltas.frames != 0 {
            self.runtime.tiers.counters.add(&self.deltas);
            self.deltas = Deltas::empty();
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
    fn prepare(&mut self, context: &CTX, table: &InstructionTable<EthInterpreter, CTX>, gas_table: &GasTable) {
        self.is_checked = true;
        let (spec, gas_params) = (context.cfg().spec().into(), context.cfg().gas_params());
        let mut custom = self.instructions.words();
        let off = if !self.runtime.tiers.compiler.can_run() {
            Some(Interpreted::Unavailable)
        } else {
            (!self.runtime.tiers.is_enabled()).then_some(Interpreted::Disabled)
        };
        if let Some(prepared) = &mut self.prepared {
            prepared.off = off;
            prepared.sweep(self.runtime.tiers.changes.load(Ordering::Acquire));
            custom = prepared.custom;
            if note_changes(&prepared.room.snapshot, table, &mut custom) {
                // Copies of the table are made anew, even where the opcode was custom before.
                prepared.room.snapshot = *addresses(table);
                prepared.tables = Tables::none();
            }
            let settings = &prepared.configuration.settings;
            let same = settings.spec == spec
                && settings.gas_table == *gas_table
                && (std::ptr::eq(settings.gas_params.table(), gas_params.table()) || settings.gas_params == *gas_params)
                && custom == prepared.custom;
            if same {
                return;
            }
        }
        let configurations = &self.runtime.tiers.configurations;
        let configuration = configurations.stock(spec, gas_table, gas_params, &custom).unwrap_or_else(|| {
            configurations.get(Settings { spec, gas_table: *gas_table, gas_params: gas_params.clone(), custom })
        });
        self.leave_room();
        self.prepared = Some(Prepared {
            configuration,
            room: Room::take(addresses(table)),
            tables: Tables::none(),
            custom,
            changes: self.runtime.tiers.changes.load(Ordering::Acquire),
            off,
        });
    }

    /// Runs the frame until its next action.
    pub(crate) fn run(
        &mut self,
        index: usize,
        frame: &mut EthFrame<EthInterpreter>,
        context: &mut CTX,
        table: &InstructionTable<EthInterpreter, CTX>,
        gas_table: &GasTable,
    ) -> InterpreterAction {
        let mut activation = self.activations.take(index);
        if matches!(activation.running, Running::Fresh) {
            if !self.is_checked {
                self.prepare(context, table, gas_table);
            }
            self.start(frame, &mut activation);
        }
        let running = std::mem::replace(&mut activation.running, Running::Interpreted);
        let Some(prepared) = &mut self.prepared else { return frame.interpreter.run_plain(table, gas_table, context) };
        let mut run = Run {
            tiers: &self.runtime.tiers,
            prepared,
            deltas: &mut self.deltas,
            frame,
            context,
            table,
            gas_table,
            activation: &mut activation,
            spent: 0,
        };
        let action = run.run(running);
        if matches!(action, InterpreterAction::NewFrame(_)) {
            self.activations.put(index, activation);
        }
        action
    }

    /// Decides what a frame that starts will run, and counts it.
    fn start(&mut self, frame: &EthFrame<EthInterpreter>, activation: &mut Activation) {
        self.deltas.frames += 1;
        let bytecode = &frame.interpreter.bytecode;
        activation.init_code = matches!(frame.data, FrameData::Create(_));
        activation.eligible = !activation.init_code && bytecode.is_legacy();
        self.deltas.eligible_frames += u64::from(activation.eligible);
        let found = if activation.init_code {
            Err(Interpreted::InitCode)
        } else if !bytecode.is_legacy() {
            Err(Interpreted::NotLegacy)
        } else {
            self.look_up(frame)
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
        activation.running = found.unwrap_or(Running::Interpreted);
    }

    /// Finds what there is for a frame: in the cache by the bytecode's address, else in the map by hash.
    fn look_up(&mut self, frame: &EthFrame<EthInterpreter>) -> Result<Running, Interpreted> {
        let Some(prepared) = &mut self.prepared else { return Err(Interpreted::Unavailable) };
        if let Some(reason) = prepared.off {
            return Err(reason);
        }
        let tiers = &self.runtime.tiers;
        let bytecode: &Bytecode = &frame.interpreter.bytecode;
        let address = bytecode.bytecode_ptr() as usize;
        let slot = prepared.room.slot(address);
        let made = tiers.made.load(Ordering::Acquire);
        let held = slot.held.take().filter(|(held, _)| held.bytecode_ptr() as usize == address && held.len() == bytecode.len());
        let (held, known) = held.unzip();
        let known = known.and_then(|known| match known {
            // Preset `stress` wants to see every frame that starts.
            Known::Code(code) if code.is_replaced() || tiers.config.preset == Preset::Stress => code.owner().map(Known::Entry),
            Known::Nothing(then) if then != made => None,
            Known::Entry(entry) if entry.stage() == Stage::Gone => None,
            known => Some(known),
        });
        let is_new = known.is_none();
        let known = match known {
            Some(known) => known,
            None => {
                let Some(hash) = frame.interpreter.bytecode.hash() else { return Err(Interpreted::HashMismatch) };
                let key = (hash, prepared.configuration.number);
                match tiers.ready(&key, bytecode) {
                    Some(code) => Known::Code(code),
                    None => match tiers.find(key, || bytecode.original_bytes(), &prepared.configuration) {
                        Found::Nothing => Known::Nothing(made),
                        Found::HashMismatch => Known::HashMismatch,
                        Found::Entry(entry) if !entry.holds(bytecode) => Known::HashMismatch,
                        Found::Entry(entry) => Known::Entry(entry),
                    },
                }
            }
        };
        let (known, running) = resolve(known, |entry| tiers.start(entry));
        if let (Known::Code(code), true) = (&known, is_new) {
            code.prefetch();
        }
        slot.held = Some((held.unwrap_or_else(|| bytecode.clone()), known));
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

/// What a frame runs, by what is known of its code; and what is known by then.
fn resolve(known: Known, start: impl FnOnce(&Arc<Entry>)) -> (Known, Result<Running, Interpreted>) {
    match known {
        Known::Code(code) => (Known::Code(code.clone()), Ok(Running::Native(code))),
        Known::Nothing(made) => (Known::Nothing(made), Ok(Running::Cold)),
        Known::HashMismatch => (Known::HashMismatch, Err(Interpreted::HashMismatch)),
        Known::Entry(entry) => {
            start(&entry);
            match entry.ready_code() {
                Some(code) => (Known::Code(code.clone()), Ok(Running::Native(code))),
                None if entry.stage() == Stage::Rejected => (Known::Entry(entry), Err(Interpreted::Rejected)),
                None => (Known::Entry(entry.clone()), Ok(Running::Warm(entry))),
            }
        }
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
