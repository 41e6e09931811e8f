//! Builtins: the host's functions that generated code calls through the frame.
//!
//! in   the native frame, the stack top
//! out  a status; frame and interpreter in step
//!
//! H1  A builtin for an opcode is revm's own instruction function, called on revm's own interpreter: no rule is written twice.
//! H2  Before the call the interpreter is given stack height and gas, after it the frame is given gas and memory.
//! H3  An error becomes the halt that revm's loop would make of it. Only `grow` leaves, and only with everything as it was.
//! H4  No panic passes generated code: it is caught, kept, and resumed by the host.
//! H5  A host instruction that goes on charges the static gas of the section behind it; where that is not left, nothing of it is
//!     charged and the frame leaves behind the instruction.

use crate::hashes::{Hashes, INPUT_BYTES_MAX, Input};
use hotevm_abi::{BuiltinTable, NativeFrame, Status, place_parts};
use hotevm_ir::opcodes::{self, Class};
use revm::{
    interpreter::CallInput,
    interpreter::{
        GasTable, Host, InstructionContext, InstructionExecResult, InstructionResult, InstructionTable, Interpreter,
        instructions::{arithmetic, control, host, i256, memory, system},
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, LoopControl, MemoryTr},
    },
    primitives::U256,
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What builtins need besides the native frame.
pub(crate) struct HostState<'a, CTX: Host> {
    pub(crate) interpreter: &'a mut Interpreter<EthInterpreter>,
    pub(crate) context: &'a mut CTX,
    pub(crate) instructions: &'a InstructionTable<EthInterpreter, CTX>,
    pub(crate) gas_table: &'a GasTable,
    /// Hashes computed lately, once there is a table of them.
    pub(crate) hashes: Option<&'a Hashes>,
    /// The panic that was caught.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
    /// Gas charged in table calls of opcodes that are meant to be inline or to have a builtin.
    pub(crate) table_call_gas: u64,
}

/// Site of a leave whose state stands in the interpreter already.
pub(crate) const SITE_IN_PLACE: u32 = u32::MAX;
/// Site of a leave behind a host instruction, whose pc stands in the interpreter; the rest is in the row for that pc.
pub(crate) const SITE_BEHIND: u32 = u32::MAX - 1;

/// The builtins for an EVM type.
pub(crate) const fn table<CTX: Host>() -> BuiltinTable {
    BuiltinTable {
        grow: grow::<CTX>,
        call_data_load,
        mul: scratch::<0x02>,
        div: scratch::<0x04>,
        sdiv: scratch::<0x05>,
        rem: scratch::<0x06>,
        srem: scratch::<0x07>,
        addmod: scratch::<0x08>,
        mulmod: scratch::<0x09>,
        stop: instruction::<CTX, 0x00>,
        exp: instruction::<CTX, 0x0a>,
        keccak256: keccak256::<CTX>,
        calldatacopy: instruction::<CTX, 0x37>,
        codecopy: instruction::<CTX, 0x39>,
        extcodecopy: instruction::<CTX, 0x3c>,
        returndatacopy: instruction::<CTX, 0x3e>,
        sload: instruction::<CTX, 0x54>,
        sstore: instruction::<CTX, 0x55>,
        tload: instruction::<CTX, 0x5c>,
        tstore: instruction::<CTX, 0x5d>,
        mcopy: instruction::<CTX, 0x5e>,
        log0: instruction::<CTX, 0xa0>,
        log1: instruction::<CTX, 0xa1>,
        log2: instruction::<CTX, 0xa2>,
        log3: instruction::<CTX, 0xa3>,
        log4: instruction::<CTX, 0xa4>,
        r#return: instruction::<CTX, 0xf3>,
        revert: instruction::<CTX, 0xfd>,
        table_call: table_call::<CTX>,
        step: step::<CTX>,
    }
}

impl<CTX: Host> HostState<'_, CTX> {
    /// Gives the interpreter stack height and gas (H2).
    fn give_back(&mut self, frame: &NativeFrame, top: *mut U256) {
        set_height(self.interpreter, frame.stack_base, top);
        self.interpreter.gas.set_remaining(frame.gas);
    }

    /// Gives the frame gas and memory (H2).
    fn take_again(&mut self, frame: &mut NativeFrame) {
        frame.gas = self.interpreter.gas.remaining();
        self.take_memory(frame);
    }

    /// Gives the frame the memory, which may have grown or moved, and the call data with it where it lies there.
    pub(crate) fn take_memory(&mut self, frame: &mut NativeFrame) {
        let mut bytes = self.interpreter.memory.context_memory_mut();
        frame.memory_base = bytes.as_mut_ptr();
        frame.memory_len = bytes.len() as u64;
        drop(bytes);
        // revm's range of empty call data lies outside of the buffer.
        if let CallInput::SharedBuffer(range) = &self.interpreter.input.input
            && !range.is_empty()
        {
            let data = self.interpreter.memory.global_slice(range.clone());
            frame.calldata_base = data.as_ptr();
        }
    }

    /// Charges for the section behind a host instruction, or leaves before it (H5).
    fn charge_behind(&mut self, frame: &mut NativeFrame, place: u64) -> Status {
        let (_, pc, gas) = place_parts(place);
        match frame.gas.checked_sub(u64::from(gas)) {
            Some(left) => {
                frame.gas = left;
                Status::Continue
            }
            None => {
                self.interpreter.bytecode.absolute_jump(pc as usize + 1);
                frame.site = SITE_BEHIND;
                Status::Leave
            }
        }
    }

    /// What revm's loop makes of the result of an instruction (H3).
    fn finish(&mut self, result: InstructionExecResult) -> Status {
        match result {
            Ok(()) => Status::Continue,
            Err(error) => {
                if self.interpreter.bytecode.action().is_none() {
                    self.interpreter.halt(error);
                }
                Status::Action
            }
        }
    }
}

/// Sets the height of the interpreter's stack from native pointers.
pub(crate) fn set_height(interpreter: &mut Interpreter<EthInterpreter>, base: *mut U256, top: *mut U256) {
    let height = (top as usize).wrapping_sub(base as usize) / size_of::<U256>();
    let stack = interpreter.stack.data_mut();
    debug_assert!(height <= stack.capacity(), "native code left the stack");
    // SAFETY: `base` is the stack's buffer and `top` lies in it or one behind: native code checks its height against the limit
    // before it grows the stack, and every entry below `top` was written by it or by the interpreter.
    unsafe { stack.set_len(height.min(stack.capacity())) };
}

/// Runs the body of a builtin with the host's state, and keeps a panic.
///
/// # Safety
/// `frame` must be the frame of a native run, and its `host` a `HostState<CTX>` that nothing else uses meanwhile.
unsafe fn with_host<CTX: Host>(
    frame: *mut NativeFrame,
    body: impl FnOnce(&mut HostState<'_, CTX>, &mut NativeFrame) -> Status,
) -> u32 {
    // SAFETY: the caller's contract; generated code holds no reference into either, only addresses.
    let (frame, host) = unsafe { (&mut *frame, &mut *(*frame).host.cast::<HostState<'_, CTX>>()) };
    match catch_unwind(AssertUnwindSafe(|| body(host, frame))) {
        Ok(status) => status as u32,
        Err(payload) => {
            host.panic = Some(payload);
            Status::Panic as u32
        }
    }
}

unsafe extern "C" fn grow<CTX: Host>(frame: *mut NativeFrame, end: u64, rest: u64) -> u32 {
    // SAFETY: called by generated code with the frame of its run.
    unsafe {
        with_host::<CTX>(frame, |host, frame| {
            let interpreter = &mut *host.interpreter;
            let before = interpreter.gas;
            // What is charged for behind the access is not spent yet as far as the interpreter is concerned.
            interpreter.gas.set_remaining(frame.gas.wrapping_add(rest));
            let len = interpreter.memory.len();
            let result = interpreter.resize_memory(host.context.gas_params(), 0, end as usize);
            let left = interpreter.gas.remaining().checked_sub(rest);
            let Some(left) = left.filter(|_| result.is_ok()) else {
                // Everything as it was: revm counts the words before it finds the gas missing, and one check may stand for
                // several accesses, of which the interpreter would reach the first ones alone.
                interpreter.gas = before;
                if result.is_ok() {
                    interpreter.memory.resize(len);
                }
                return Status::Leave;
            };
            frame.gas = left;
            host.take_memory(frame);
            Status::Continue
        })
    }
}

unsafe extern "C" fn call_data_load(frame: *mut NativeFrame) {
    // SAFETY: called by generated code with the frame of its run; the call data is not written while it runs.
    unsafe {
        let frame = &mut *frame;
        let mut word = [0_u8; 32];
        if let Some(offset) = usize::try_from(frame.scratch[0]).ok().filter(|offset| (*offset as u64) < frame.calldata_len) {
            let data = std::slice::from_raw_parts(frame.calldata_base, frame.calldata_len as usize);
            let count = (data.len() - offset).min(32);
            word[..count].copy_from_slice(&data[offset..offset + count]);
        }
        frame.scratch[0] = U256::from_be_bytes(word);
    }
}

/// Pure arithmetic on the scratch words; total, so that nothing here panics.
unsafe extern "C" fn scratch<const OPCODE: u8>(frame: *mut NativeFrame) {
    // SAFETY: called by generated code with the frame of its run.
    let words = unsafe { &mut (*frame).scratch };
    let [a, b, c] = *words;
    words[0] = match OPCODE {
        0x02 => a.wrapping_mul(b),
        0x04 => a.checked_div(b).unwrap_or_default(),
        0x05 => i256::i256_div(a, b),
        0x06 => a.checked_rem(b).unwrap_or_default(),
        0x07 => i256::i256_mod(a, b),
        0x08 => a.add_mod(b, c),
        _ => a.mul_mod(b, c),
    };
}

unsafe extern "C" fn instruction<CTX: Host, const OPCODE: u8>(frame: *mut NativeFrame, top: *mut U256, place: u64) -> u32 {
    // SAFETY: called by generated code with the frame of its run.
    unsafe {
        with_host::<CTX>(frame, |host, frame| {
            host.give_back(frame, top);
            let result = stock::<CTX, OPCODE>(InstructionContext { interpreter: host.interpreter, host: host.context });
            frame.gas = host.interpreter.gas.remaining();
            if const { moves_memory(OPCODE) } && result.is_ok() {
                host.take_memory(frame);
            }
            match host.finish(result) {
                Status::Continue => host.charge_behind(frame, place),
                status => status,
            }
        })
    }
}

/// KECCAK256: what was hashed lately is known; anything else, and every failure, is revm's function.
unsafe extern "C" fn keccak256<CTX: Host>(frame: *mut NativeFrame, top: *mut U256, place: u64) -> u32 {
    // SAFETY: called by generated code with the frame of its run; the two operands lie below `top`, since the block's height was
    // checked, and memory is not written meanwhile.
    unsafe {
        with_host::<CTX>(frame, |host, frame| {
            let result = top.sub(2);
            let input = input_of_hash(frame, &*top.sub(1), &*result);
            let cost = |input: &Input| host.context.gas_params().keccak256_cost(input.len());
            let asked = host.hashes.zip(input.as_ref());
            let known = asked.and_then(|(hashes, input)| hashes.get(input).map(|hash| (hash, cost(input))));
            let (_, _, behind) = place_parts(place);
            if let Some((hash, cost)) = known
                && let Some(left) = frame.gas.checked_sub(cost.saturating_add(u64::from(behind)))
            {
                frame.gas = left;
                result.write(hash);
                return Status::Continue;
            }
            host.give_back(frame, top);
            let done = system::keccak256(InstructionContext { interpreter: host.interpreter, host: host.context });
            frame.gas = host.interpreter.gas.remaining();
            host.take_memory(frame);
            if let (Ok(()), Some((hashes, input))) = (&done, asked) {
                hashes.put(input, result.read());
            }
            match host.finish(done) {
                Status::Continue => host.charge_behind(frame, place),
                status => status,
            }
        })
    }
}

/// The input of a hash, where memory reaches over it and it is of a length that is remembered.
///
/// # Safety
/// `frame` must be the frame of a native run.
unsafe fn input_of_hash(frame: &NativeFrame, offset: &U256, len: &U256) -> Option<Input> {
    let (offset, len) = (u64::try_from(offset).ok()?, u64::try_from(len).ok()?);
    if len > INPUT_BYTES_MAX || offset.checked_add(len)? > frame.memory_len {
        return None;
    }
    // SAFETY: the frame's memory is mapped over `memory_len` bytes from `memory_base` on, and the range lies in it.
    Input::new(unsafe { std::slice::from_raw_parts(frame.memory_base.add(offset as usize), len as usize) })
}

/// revm's function of an opcode that has a builtin.
#[inline]
fn stock<CTX: Host, const OPCODE: u8>(context: InstructionContext<'_, CTX, EthInterpreter>) -> InstructionExecResult {
    match OPCODE {
        0x00 => control::stop(context),
        0x0a => arithmetic::exp(context),
        0x37 => system::calldatacopy(context),
        0x39 => system::codecopy(context),
        0x3c => host::extcodecopy(context),
        0x3e => system::returndatacopy(context),
        0x54 => host::sload(context),
        0x55 => host::sstore(context),
        0x5c => host::tload(context),
        0x5d => host::tstore(context),
        0x5e => memory::mcopy(context),
        0xa0 => host::log::<0, _>(context),
        0xa1 => host::log::<1, _>(context),
        0xa2 => host::log::<2, _>(context),
        0xa3 => host::log::<3, _>(context),
        0xa4 => host::log::<4, _>(context),
        0xf3 => control::ret(context),
        0xfd => control::revert(context),
        _ => Err(InstructionResult::OpcodeNotFound),
    }
}

/// Whether the builtin of an opcode may grow memory.
const fn moves_memory(opcode: u8) -> bool {
    let mut rows = BuiltinTable::ROWS;
    while let [row, rest @ ..] = rows {
        if let Some(own) = row.opcode
            && own == opcode
        {
            return row.moves_memory;
        }
        rows = rest;
    }
    true
}

unsafe extern "C" fn table_call<CTX: Host>(frame: *mut NativeFrame, top: *mut U256, place: u64) -> u32 {
    // SAFETY: called by generated code with the frame of its run.
    unsafe {
        with_host::<CTX>(frame, |host, frame| {
            let (opcode, pc, _) = place_parts(place);
            let next = pc as usize + 1;
            host.give_back(frame, top);
            host.interpreter.bytecode.absolute_jump(next);
            let result = host.instructions[usize::from(opcode)]
                .execute(InstructionContext { interpreter: &mut *host.interpreter, host: &mut *host.context });
            let charged = frame.gas.saturating_sub(host.interpreter.gas.remaining());
            if !is_left_to_table(opcode) {
                host.table_call_gas += charged;
            }
            host.take_again(frame);
            frame.returndata_len = host.interpreter.return_data.0.len() as u64;
            let status = host.finish(result);
            match status {
                Status::Continue if host.interpreter.bytecode.pc() != next => {
                    frame.site = SITE_IN_PLACE;
                    Status::Leave
                }
                Status::Continue => host.charge_behind(frame, place),
                status => status,
            }
        })
    }
}

/// Whether the compiler means this opcode to be a table call.
fn is_left_to_table(opcode: u8) -> bool {
    opcodes::info(opcode).is_none_or(|info| matches!(info.class, Class::Table | Class::Suspend | Class::FinishTable))
}

unsafe extern "C" fn step<CTX: Host>(frame: *mut NativeFrame, top: *mut U256, place: u64) -> u32 {
    // SAFETY: called by generated code with the frame of its run.
    unsafe {
        with_host::<CTX>(frame, |host, frame| {
            host.give_back(frame, top);
            host.interpreter.bytecode.absolute_jump(place_parts(place).1 as usize);
            let result = host.interpreter.step(host.instructions, host.gas_table, host.context);
            match host.finish(result) {
                Status::Continue => Status::Reenter,
                status => status,
            }
        })
    }
}
