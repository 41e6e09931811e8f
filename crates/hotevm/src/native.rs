//! Native runs: from the interpreter's frame into compiled code and back.
//!
//! in   an interpreter at an entry point
//! out  how the run ended; the interpreter holds the whole state again
//!
//! T1  Everything in the native frame is taken anew for every run; nothing of it is kept beyond the run.
//! T2  After a leave the interpreter stands before the instruction of the leave row: stack, gas and pc are given back here,
//!     memory, refund and return data were never elsewhere.

use crate::{
    builtins::{self, HostState, SITE_BEHIND, SITE_IN_PLACE},
    code::NativeCode,
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
    match Status::from_number(status) {
        Some(Status::Action | Status::Continue) => RunEnd::Action,
        Some(Status::Reenter) => RunEnd::Reenter,
        Some(Status::Panic) | None => match host.panic.take() {
            Some(payload) => std::panic::resume_unwind(payload),
            None => RunEnd::Leave(LeaveReason::TableCall, SITE_IN_PLACE),
        },
        Some(Status::Leave) => RunEnd::Leave(give_back(host, code, &mut frame), frame.site),
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
        host: std::ptr::null_mut(),
        scratch: [U256::ZERO; 3],
        address: input.target_address.into_word().into(),
        caller: input.caller_address.into_word().into(),
        value: input.call_value,
    };
    host.take_memory(&mut frame);
    frame
}

/// Applies the leave row (T2).
fn give_back<CTX: Host>(host: &mut HostState<'_, CTX>, code: &NativeCode, frame: &mut NativeFrame) -> LeaveReason {
    if frame.site == SITE_IN_PLACE {
        return LeaveReason::TableCall;
    }
    let interpreter = &mut *host.interpreter;
    let row = if frame.site == SITE_BEHIND { code.leave_behind(interpreter.bytecode.pc()) } else { code.leave(frame.site) };
    let Some(row) = row else { return LeaveReason::TableCall };
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
    LeaveReason::ALL.get(usize::from(row.reason)).copied().unwrap_or(LeaveReason::TableCall)
}
