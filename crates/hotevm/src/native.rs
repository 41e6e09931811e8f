//! Native runs: from the interpreter's frame into compiled code and back.
//!
//! in   an interpreter at an entry point
//! out  how the run ended; the interpreter holds the whole state again
//!
//! T1  Everything in the native frame is taken anew for every run; nothing of it is kept beyond the run.
//! T2  After a leave the interpreter stands before the instruction of the leave row: stack, gas and pc are given back here,
//!     memory, refund and return data were never elsewhere.
//! T3  A leave at a site without a row, or a status that is none, is a bug of the compiler, after which nobody knows the state. It is
//!     never taken for a leave: debug assertions stop here, and without them the frame ends with `FatalExternalError`, at which
//!     revm's handler stops.

use crate::{
    builtins::{self, HostState, SITE_BEHIND, SITE_IN_PLACE},
    code::{NativeCode, reason_of},
};
use hotevm_abi::{BuiltinTable, NativeFrame, Status};
use hotevm_ir::LeaveReason;
use revm::{
    interpreter::{CallInput, Host, interpreter_types::Jumps},
    primitives::U256,
};

/// How a native run ended.
#[derive(Debug)]
pub(crate) enum RunEnd {
    /// revm's next action is set.
    Action,
    /// Continue in the interpreter; the site that native code left at.
    Leave(LeaveReason, u32),
    /// A step of the interpreter was executed.
    Reenter,
}

struct Tables<CTX>(std::marker::PhantomData<CTX>);

impl<CTX: Host> Tables<CTX> {
    const BUILTINS: &'static BuiltinTable = &builtins::table::<CTX>();
}

/// Enters compiled code. A panic of a builtin is resumed here.
pub(crate) fn run<CTX: Host>(host: &mut HostState<'_, CTX>, code: &NativeCode, entry: u32, leave_mask: u64) -> RunEnd {
    let mut frame = take(host, leave_mask);
    let top = frame.top;
    frame.host = std::ptr::from_mut(host).cast();
    // SAFETY: the caller holds the `Arc` of `code`, so it is mapped; the frame was filled by `take` and outlives the call; `entry`
    // is the start of a fresh frame or an entry whose guards hold. `host` is used through the frame alone until the call returns.
    let status = unsafe { (code.function())(&raw mut frame, top, entry) };
    // Whatever the status is: growth of memory that panicked leaves as growth does that was refused.
    if let Some(payload) = host.panic.take() {
        std::panic::resume_unwind(payload);
    }
    match Status::from_number(status) {
        Some(Status::Action | Status::Continue) => RunEnd::Action,
        Some(Status::Reenter) => RunEnd::Reenter,
        Some(Status::Panic) | None => refuse(host, "native code returned a status that is none"),
        Some(Status::Leave) => match give_back(host, code, &mut frame) {
            Some(reason) => RunEnd::Leave(reason, frame.site),
            None => refuse(host, "native code left at a site without a row"),
        },
    }
}

/// Fills the frame from the interpreter (T1).
fn take<CTX: Host>(host: &mut HostState<'_, CTX>, leave_mask: u64) -> NativeFrame {
    let interpreter = &mut *host.interpreter;
    let stack = interpreter.stack.data_mut();
    let (stack_base, height) = (stack.as_mut_ptr(), stack.len());
    let input = &interpreter.input;
    let (calldata_base, calldata_len) = match &input.input {
        CallInput::Bytes(bytes) => (bytes.as_ptr(), bytes.len()),
        CallInput::SharedBuffer(range) => (std::ptr::null(), range.len()),
    };
    let mut frame = NativeFrame {
        gas: interpreter.gas.remaining(),
        memory_base: std::ptr::null_mut(),
        memory_len: 0,
        stack_base,
        stack_limit: stack_base.wrapping_add(revm::interpreter::STACK_LIMIT),
        builtins: Tables::<CTX>::BUILTINS,
        calldata_base,
        calldata_len: calldata_len as u64,
        returndata_len: interpreter.return_data.0.len() as u64,
        code_len: interpreter.bytecode.len() as u64,
        leave_mask,
        top: stack_base.wrapping_add(height),
        site: 0,
        exit: 0,
        host: std::ptr::null_mut(),
        scratch: [U256::ZERO; 3],
        address: input.target_address.into_word().into(),
        caller: input.caller_address.into_word().into(),
        value: input.call_value,
    };
    host.take_memory(&mut frame);
    frame
}

/// Ends a frame whose state is lost (T3).
#[cold]
fn refuse<CTX: Host>(host: &mut HostState<'_, CTX>, why: &str) -> RunEnd {
    debug_assert!(false, "{why}");
    host.interpreter.halt_fatal();
    RunEnd::Action
}

/// Applies the leave row (T2); none if there is no such row.
fn give_back<CTX: Host>(host: &mut HostState<'_, CTX>, code: &NativeCode, frame: &mut NativeFrame) -> Option<LeaveReason> {
    if frame.site == SITE_IN_PLACE {
        return Some(LeaveReason::TableCall);
    }
    let interpreter = &mut *host.interpreter;
    let row = if frame.site == SITE_BEHIND { code.leave_behind(interpreter.bytecode.pc())? } else { code.leave(frame.site)? };
    if frame.site == SITE_BEHIND {
        // A host instruction knows the height, not the root that the row counts from.
        frame.top = frame.stack_base.wrapping_add(interpreter.stack.len()).wrapping_offset(-(row.top as isize));
    }
    for (slot, word) in &row.constants {
        let home = frame.top.wrapping_offset(*slot as isize);
        debug_assert!((frame.stack_base..frame.stack_limit).contains(&home), "a leave row names a slot outside of the stack");
        // SAFETY: a row's slots lie below the height it gives the stack, which native code checked against both ends.
        unsafe { home.write(*word) };
    }
    builtins::set_height(interpreter, frame.stack_base, frame.top.wrapping_offset(row.top as isize));
    interpreter.gas.set_remaining(frame.gas.wrapping_add(u64::from(row.gas)));
    interpreter.bytecode.absolute_jump(row.pc as usize);
    reason_of(row)
}

#[cfg(all(test, debug_assertions, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::{code::Parts, hashes::Hashes, tiers::entry::Tier};
    use hotevm_abi::LeaveRow;
    use hotevm_code::{CodeMemory, Image, Machine};
    use revm::{
        interpreter::{
            Interpreter,
            host::DummyHost,
            instructions::{gas_table, instruction_table},
            interpreter::EthInterpreter,
        },
        primitives::hardfork::SpecId,
    };
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Code that returns a status and does nothing else; the site in the frame is 0.
    fn code(status: u8, leaves: Vec<LeaveRow>) -> NativeCode {
        // mov eax, status; ret
        let bytes = vec![0xb8, status, 0, 0, 0, 0xc3];
        let image = Image::from_flat(bytes, 6, 0, 16, Machine::X86_64).unwrap();
        let executable = CodeMemory::new(1 << 16).load(&image).unwrap();
        NativeCode::new(
            Parts {
                executable,
                entries: vec![],
                leaves,
                instructions: 1,
                bytes: 6,
                region: vec![],
                compile_cpu_ns: 0,
                stored: None,
            },
            Tier::Whole,
            0,
        )
    }

    fn row(pc: u32, gas: u32, top: i32) -> LeaveRow {
        LeaveRow { pc, gas, top, reason: LeaveReason::Gas as u8, constants: vec![] }
    }

    fn run_code(code: &NativeCode) -> RunEnd {
        run_with(code, None)
    }

    fn run_with(code: &NativeCode, panic: Option<Box<dyn std::any::Any + Send>>) -> RunEnd {
        let mut interpreter = Interpreter::<EthInterpreter>::default();
        let (instructions, gas_table) = (instruction_table::<EthInterpreter, DummyHost>(), gas_table());
        let mut host = HostState {
            interpreter: &mut interpreter,
            context: &mut DummyHost::new(SpecId::OSAKA),
            instructions: &instructions,
            gas_table: &gas_table,
            hashes: Some(&Hashes::new()),
            panic,
            table_call_gas: 0,
        };
        run(&mut host, code, 0, 0)
    }

    fn check_refused<T: std::fmt::Debug>(what: impl FnOnce() -> T, expected: &str) {
        let payload = catch_unwind(AssertUnwindSafe(what)).unwrap_err();
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap();
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn t3_what_native_code_cannot_do_is_not_taken_for_a_leave() {
        assert!(matches!(run_code(&code(2, vec![row(0, 0, 0)])), RunEnd::Leave(LeaveReason::Gas, 0)));
        check_refused(|| run_code(&code(2, vec![])), "site without a row");
        check_refused(|| run_code(&code(3, vec![])), "a status that is none");
        check_refused(|| run_code(&code(77, vec![])), "a status that is none");
    }

    #[test]
    fn a_panic_is_resumed_whatever_the_status_is() {
        for status in 0..5 {
            check_refused(|| run_with(&code(status, vec![row(0, 0, 0)]), Some(Box::new("kept"))), "kept");
        }
    }

    #[test]
    fn l1_two_rows_behind_one_host_instruction_are_not_published() {
        let known = code(1, vec![row(5, 0, 1), row(5, 3, 2), row(5, 0, 1)]);
        assert_eq!(known.leave_behind(5), Some(&row(5, 0, 1)));
        assert_eq!(known.leave_behind(6), None);
        check_refused(|| code(1, vec![row(5, 0, 1), row(5, 0, 2)]), "L1");
    }
}
