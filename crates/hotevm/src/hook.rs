//! The hook: what happens instead of revm's run of a frame.
//!
//! in   the frame on top of revm's frame stack
//! out  the next action, as revm's own loop would make it
//!
//! ```text
//! frame starts -> init code, not legacy, unavailable ------------------> interpreter
//!              -> cache (bytecode address) -> map (hash, configuration) -> no code: interpreter
//!              -> code: native run -> action: done
//!                                  -> leave: interpreter, and back at entry points
//! ```
//!
//! J1  Nothing is allocated until the first frame runs, and nothing on a hit.
//! J2  Code is used for a frame only after its bytes were compared with the frame's.
//! J3  After a leave at least one instruction is interpreted before native code is entered again.

use crate::{
    activation::{Activation, Activations, Running},
    builtins::HostState,
    code::NativeCode,
    config::Instructions,
    configuration::{Configuration, Settings},
    hashes::Hashes,
    native::{self, RunEnd},
    runtime::{Found, Runtime},
    statistics::{Deltas, Interpreted},
    sync::{Arc, Ordering},
};
use hotevm_ir::LeaveReason;
use revm::{
    bytecode::Bytecode,
    context::{Cfg, ContextTr},
    handler::{EthFrame, FrameData},
    interpreter::{
        CallScheme, FrameInput, GasTable, Host, Instruction, InstructionContext, InstructionExecResult, InstructionResult,
        InstructionTable, InterpreterAction,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, LoopControl},
    },
};

const JUMPDEST: u8 = 0x5b;
/// Slots of the cache in front of the map.
const CACHE_LEN: usize = 64;
/// Leaves after which a frame stays in the interpreter until its next call.
const LEAVES_MAX: u32 = 8;

/// A slot of the cache: the bytecode is held, so that its address means nothing else meanwhile.
#[derive(Debug, Default)]
struct CacheSlot {
    held: Option<(Bytecode, Result<Arc<NativeCode>, Interpreted>)>,
}

/// State that is made when the first frame runs.
struct Prepared<CTX: Host> {
    configuration: Arc<Configuration>,
    /// The instruction table as it was when last looked at, to notice changes.
    snapshot: Box<InstructionTable<EthInterpreter, CTX>>,
    /// The same with a JUMPDEST that stops the loop; made at the first leave.
    watching: Option<Box<InstructionTable<EthInterpreter, CTX>>>,
    /// Opcodes declared custom, and those found changed.
    custom: [u64; 4],
    cache: Box<[CacheSlot; CACHE_LEN]>,
}

/// What an EVM needs for native code.
pub(crate) struct Hook<CTX: Host> {
    runtime: Runtime,
    instructions: Instructions,
    prepared: Option<Prepared<CTX>>,
    /// Whether the EVM's tables were looked at since the transaction started.
    is_checked: bool,
    activations: Activations,
    /// Hashes computed lately; taken at the first native run.
    hashes: Option<Hashes>,
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
            hashes: None,
            deltas: Deltas::empty(),
        }
    }

    /// Hands the counters over.
    pub(crate) fn flush(&mut self) {
        self.runtime.shared.counters.add(&self.deltas);
        self.deltas = Deltas::empty();
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
        if let Some(hashes) = self.hashes.take() {
            self.runtime.shared.spare_hashes.put(hashes);
        }
    }
}

impl<CTX: ContextTr> Hook<CTX> {
    /// Looks at fork, gas costs and instructions of the EVM, once in each transaction.
    fn prepare(&mut self, context: &CTX, table: &InstructionTable<EthInterpreter, CTX>, gas_table: &GasTable) {
        self.is_checked = true;
        let (spec, gas_params) = (context.cfg().spec().into(), context.cfg().gas_params());
        let mut custom = self.instructions.words();
        if let Some(prepared) = &mut self.prepared {
            custom = prepared.custom;
            note_changes(&prepared.snapshot, table, &mut custom);
            let settings = &prepared.configuration.settings;
            let same = settings.spec == spec
                && settings.gas_table == *gas_table
                && (std::ptr::eq(settings.gas_params.table(), gas_params.table()) || settings.gas_params == *gas_params)
                && custom == prepared.custom;
            if same {
                return;
            }
        }
        let settings = Settings { spec, gas_table: *gas_table, gas_params: gas_params.clone(), custom };
        self.prepared = Some(Prepared {
            configuration: self.runtime.shared.configurations.get(settings),
            snapshot: Box::new(*table),
            watching: None,
            custom,
            cache: Box::new(std::array::from_fn(|_| CacheSlot::default())),
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
        let action = match activation.running.clone() {
            Running::Native(code) => {
                let mut run = Run { hook: self, frame, context, table, gas_table, activation: &mut activation };
                run.native(&code)
            }
            Running::Fresh | Running::Interpreted => {
                let before = frame.interpreter.gas.remaining();
                let action = frame.interpreter.run_plain(table, gas_table, context);
                self.count(&activation, before, frame.interpreter.gas.remaining(), Some(&action), false);
                action
            }
        };
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
        } else if !crate::native_available() && self.runtime.config().store.is_none() {
            Err(Interpreted::Unavailable)
        } else {
            self.look_up(frame)
        };
        activation.running = match found {
            Ok(code) => Running::Native(code),
            Err(reason) => {
                self.deltas.interpreted[reason as usize] += 1;
                Running::Interpreted
            }
        };
    }

    /// Finds the code of a frame: in the cache by the bytecode's address, else in the map by hash.
    fn look_up(&mut self, frame: &EthFrame<EthInterpreter>) -> Result<Arc<NativeCode>, Interpreted> {
        let Some(prepared) = &mut self.prepared else { return Err(Interpreted::NotCompiled) };
        let bytecode: &Bytecode = &frame.interpreter.bytecode;
        let address = bytecode.bytecode_ptr() as usize;
        let slot = &mut prepared.cache[(address >> 4) % CACHE_LEN];
        if let Some((held, code)) = &slot.held
            && held.bytecode_ptr() as usize == address
            && held.len() == bytecode.len()
        {
            return code.clone();
        }
        let Some(hash) = frame.interpreter.bytecode.hash() else { return Err(Interpreted::NotCompiled) };
        let original = || bytecode.original_bytes();
        let found = match self.runtime.shared.code((hash, prepared.configuration.number), original, &prepared.configuration) {
            Found::Nothing => return Err(Interpreted::NotCompiled),
            Found::HashMismatch => Err(Interpreted::HashMismatch),
            Found::Rejected => Err(Interpreted::Rejected),
            Found::Code(code) if !is_same(&code.bytecode, bytecode.original_byte_slice()) => Err(Interpreted::HashMismatch),
            Found::Code(code) => Ok(code),
        };
        slot.held = Some((bytecode.clone(), found.clone()));
        found
    }

    /// Counts the gas charged between two points of a frame.
    fn count(&mut self, activation: &Activation, before: u64, after: u64, action: Option<&InterpreterAction>, native: bool) {
        let spent = match action {
            // What a halt burns counts nowhere.
            Some(InterpreterAction::Return(result)) if result.is_halt() => {
                if after == 0 || after > before {
                    0
                } else {
                    before - after
                }
            }
            Some(InterpreterAction::NewFrame(input)) => before.wrapping_sub(after).wrapping_sub(handed_over(input)),
            _ => before.wrapping_sub(after),
        };
        self.deltas.gas += spent;
        if activation.eligible {
            self.deltas.eligible_gas += spent;
        }
        if activation.init_code {
            self.deltas.init_code_gas += spent;
        }
        if native {
            self.deltas.native_gas += spent;
        }
    }
}

/// Whether two codes are equal; the same bytes in memory are.
fn is_same(compiled: &[u8], own: &[u8]) -> bool {
    std::ptr::eq(compiled, own) || compiled == own
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

/// Opcodes whose function is another than in the snapshot are custom from now on.
fn note_changes<CTX: Host>(
    snapshot: &InstructionTable<EthInterpreter, CTX>,
    table: &InstructionTable<EthInterpreter, CTX>,
    custom: &mut [u64; 4],
) {
    // SAFETY: an `Instruction` is one function pointer: without padding, and readable as an address.
    let (old, new) = unsafe { (addresses(snapshot), addresses(table)) };
    if old == new {
        return;
    }
    for opcode in (0..256).filter(|opcode| old[*opcode] != new[*opcode]) {
        custom[opcode / 64] |= 1 << (opcode % 64);
    }
}

/// The addresses of a table's functions.
///
/// # Safety
/// `Instruction` must be one pointer in size.
unsafe fn addresses<CTX: Host>(table: &InstructionTable<EthInterpreter, CTX>) -> &[usize; 256] {
    const { assert!(size_of::<Instruction<EthInterpreter, ()>>() == size_of::<usize>()) };
    // SAFETY: same size and alignment, checked above; every bit pattern of a pointer is a valid address.
    unsafe { &*std::ptr::from_ref(table).cast() }
}

/// One run of a frame.
struct Run<'a, CTX: ContextTr> {
    hook: &'a mut Hook<CTX>,
    frame: &'a mut EthFrame<EthInterpreter>,
    context: &'a mut CTX,
    table: &'a InstructionTable<EthInterpreter, CTX>,
    gas_table: &'a GasTable,
    activation: &'a mut Activation,
}

impl<CTX: ContextTr> Run<'_, CTX> {
    /// Runs natively where that is possible, else in the interpreter, until the next action.
    fn native(&mut self, code: &NativeCode) -> InterpreterAction {
        let mut entry = self.first_entry(code);
        loop {
            let Some(number) = entry else {
                self.hook.deltas.interpreted[Interpreted::NoEntry as usize] += 1;
                return self.interpret();
            };
            let end = self.native_run(code, number);
            match end {
                RunEnd::Action => return self.frame.interpreter.take_next_action(),
                RunEnd::Reenter => entry = self.entry_here(code),
                RunEnd::Leave(reason) => {
                    self.hook.deltas.leaves[reason as usize] += 1;
                    self.activation.leaves += 1;
                    if !self.comes_back(reason) {
                        return self.interpret();
                    }
                    match self.watch(code) {
                        Ok(number) => entry = Some(number),
                        Err(action) => return action,
                    }
                }
            }
        }
    }

    /// The entry to begin this run at: the start, or behind the call that the frame suspended at.
    fn first_entry(&mut self, code: &NativeCode) -> Option<u32> {
        if !self.activation.native && self.frame.interpreter.bytecode.pc() == 0 {
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
        if !self.activation.native {
            self.activation.native = true;
            self.hook.deltas.native_frames += 1;
        }
        self.hook.deltas.native_runs += 1;
        let before = self.frame.interpreter.gas.remaining();
        let leave_mask = self.hook.runtime.shared.leave_mask.load(Ordering::Relaxed);
        let spare = &self.hook.runtime.shared.spare_hashes;
        let mut host = HostState {
            interpreter: &mut self.frame.interpreter,
            context: &mut *self.context,
            instructions: self.table,
            gas_table: self.gas_table,
            hashes: self.hook.hashes.get_or_insert_with(|| spare.take()),
            panic: None,
            table_call_gas: 0,
        };
        let end = native::run(&mut host, code, entry, leave_mask);
        self.hook.deltas.table_call_gas += host.table_call_gas;
        let after = self.frame.interpreter.gas.remaining();
        let action = self.frame.interpreter.bytecode.action();
        self.hook.count(self.activation, before, after, action.as_ref(), true);
        end
    }

    /// Whether the frame may return to native code after a leave.
    fn comes_back(&self, reason: LeaveReason) -> bool {
        let is_final = matches!(reason, LeaveReason::Gas | LeaveReason::Stack | LeaveReason::Invalid | LeaveReason::Revert);
        !is_final && (self.activation.leaves < LEAVES_MAX || self.hook.runtime.shared.config.force_leaves)
    }

    /// Interprets until the next action.
    fn interpret(&mut self) -> InterpreterAction {
        let before = self.frame.interpreter.gas.remaining();
        let action = self.frame.interpreter.run_plain(self.table, self.gas_table, self.context);
        self.hook.count(self.activation, before, self.frame.interpreter.gas.remaining(), Some(&action), false);
        action
    }

    /// Interprets until an entry point at a JUMPDEST, or the next action.
    fn watch(&mut self, code: &NativeCode) -> Result<u32, InterpreterAction> {
        let before = self.frame.interpreter.gas.remaining();
        let end = self.watch_loop(code);
        let after = self.frame.interpreter.gas.remaining();
        self.hook.count(self.activation, before, after, end.as_ref().err(), false);
        end
    }

    fn watch_loop(&mut self, code: &NativeCode) -> Result<u32, InterpreterAction> {
        let table = self.table;
        let watching = match &mut self.hook.prepared {
            Some(prepared) if !is_set(&prepared.custom, JUMPDEST) => {
                &**prepared.watching.get_or_insert_with(|| Box::new(watching_table(table)))
            }
            _ => return Err(self.frame.interpreter.run_plain(table, self.gas_table, self.context)),
        };
        let interpreter = &mut self.frame.interpreter;
        // J3: the instruction of the leave itself, whatever it is.
        let mut result = interpreter.step(table, self.gas_table, self.context);
        loop {
            if let Err(error) = result {
                let is_watched = error == InstructionResult::Suspend && interpreter.bytecode.action().is_none();
                if !is_watched {
                    if interpreter.bytecode.action().is_none() {
                        interpreter.halt(error);
                    }
                    return Err(interpreter.take_next_action());
                }
                let pc = interpreter.bytecode.pc() - 1;
                if let Some(entry) = code.entry_at(pc, interpreter.stack.len(), interpreter.memory.len()) {
                    interpreter.bytecode.absolute_jump(pc);
                    interpreter.gas.erase_cost(u64::from(self.gas_table[usize::from(JUMPDEST)]));
                    return Ok(entry);
                }
            }
            result = interpreter.step(watching, self.gas_table, self.context);
        }
    }
}

fn is_set(words: &[u64; 4], opcode: u8) -> bool {
    words[usize::from(opcode / 64)] >> (opcode % 64) & 1 == 1
}

/// The EVM's own table with a JUMPDEST that stops the loop without an action.
fn watching_table<CTX: Host>(table: &InstructionTable<EthInterpreter, CTX>) -> InstructionTable<EthInterpreter, CTX> {
    fn stop<CTX: Host>(_: InstructionContext<'_, CTX, EthInterpreter>) -> InstructionExecResult {
        Err(InstructionResult::Suspend)
    }
    let mut watching = *table;
    watching[usize::from(JUMPDEST)] = Instruction::new(stop::<CTX>);
    watching
}
