//! What LLVM reports while it makes code: errors, and functions that need too much native stack.
//!
//! in   a context, listened to from the moment it is made
//! out  nothing, or the first report that means a rejection
//!
//! D1  With nobody listening, LLVM prints reports to standard error, and ends the process at an error. So every context is listened to.

use crate::compile::CompileError;
use inkwell::{
    context::{AsContextRef, Context},
    llvm_sys::{
        LLVMDiagnosticSeverity,
        core::{LLVMContextSetDiagnosticHandler, LLVMDisposeMessage, LLVMGetDiagInfoDescription, LLVMGetDiagInfoSeverity},
        prelude::LLVMDiagnosticInfoRef,
    },
};
use std::{
    cell::RefCell,
    ffi::{CStr, c_void},
};

/// Bytes of native stack that a function may need for itself; frames below it on the host's stack do not multiply, since native
/// code does not nest, but a host's stack may be small.
pub(crate) const STACK_BYTES_MAX: u32 = 16 << 10;

/// What LLVM says, behind the place, about a function that needs more stack than its attribute `warn-stack-size` allows.
const STACK_SIZE_REPORT: &str = ": stack frame size (";

/// The reports of one context, taken down as long as this lives.
pub(crate) struct Diagnostics<'ctx> {
    context: &'ctx Context,
    /// Errors, and warnings about stack sizes. Boxed, since LLVM holds its address.
    reports: Box<RefCell<Vec<(LLVMDiagnosticSeverity, String)>>>,
}

impl<'ctx> Diagnostics<'ctx> {
    /// Listens to a context.
    pub(crate) fn listen(context: &'ctx Context) -> Self {
        let reports = Box::new(RefCell::new(Vec::new()));
        let place: *const RefCell<_> = &raw const *reports;
        // SAFETY: the context is alive. LLVM calls `take` with `place` on this thread alone, while code is made in this context; the
        // box stays where it is until `drop` has told LLVM to call nobody.
        unsafe { LLVMContextSetDiagnosticHandler(context.as_ctx_ref(), Some(take), place.cast_mut().cast()) };
        Self { context, reports }
    }

    /// The first report that means a rejection.
    pub(crate) fn check(&self) -> Result<(), CompileError> {
        for (severity, text) in self.reports.borrow().iter() {
            match severity {
                LLVMDiagnosticSeverity::LLVMDSError => return Err(CompileError::Reported(text.clone())),
                _ if text.contains(STACK_SIZE_REPORT) => return Err(CompileError::StackSize(STACK_BYTES_MAX)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Diagnostics<'_> {
    fn drop(&mut self) {
        // SAFETY: the context is borrowed, so it is alive.
        unsafe { LLVMContextSetDiagnosticHandler(self.context.as_ctx_ref(), None, std::ptr::null_mut()) };
    }
}

/// Takes down a report; remarks are passed over.
extern "C" fn take(report: LLVMDiagnosticInfoRef, reports: *mut c_void) {
    // SAFETY: LLVM hands over a report that lives during the call, and the pointer that `listen` gave it; the text is LLVM's to be
    // freed, and is copied before.
    unsafe {
        let severity = LLVMGetDiagInfoSeverity(report);
        if !matches!(severity, LLVMDiagnosticSeverity::LLVMDSError | LLVMDiagnosticSeverity::LLVMDSWarning) {
            return;
        }
        let text = LLVMGetDiagInfoDescription(report);
        let owned = CStr::from_ptr(text).to_string_lossy().into_owned();
        LLVMDisposeMessage(text);
        (*reports.cast::<RefCell<Vec<(LLVMDiagnosticSeverity, String)>>>()).borrow_mut().push((severity, owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Optimisation, Target};
    use inkwell::{memory_buffer::MemoryBuffer, targets::FileType};

    /// Makes an object of LLVM's text form, and tells what was reported.
    fn reported(text: &str) -> Result<(), CompileError> {
        let context = Context::create();
        let diagnostics = Diagnostics::listen(&context);
        let machine = Target::new("x86_64-unknown-linux-gnu", "x86-64-v2")?.machine(Optimisation::Full)?;
        let buffer = MemoryBuffer::create_from_memory_range_copy(format!("{text}\0").as_bytes(), "text");
        let module = context.create_module_from_ir(buffer).map_err(|error| CompileError::Verifier(error.to_string()))?;
        let emitted = machine.write_to_memory_buffer(&module, FileType::Object).is_ok();
        diagnostics.check().map(|()| assert!(emitted))
    }

    fn function(stack_bytes: u32, body: &str) -> String {
        let head = format!("define void @f() \"warn-stack-size\"=\"{STACK_BYTES_MAX}\"");
        format!("{head} {{\n%p = alloca [{stack_bytes} x i8]\nstore volatile i8 1, ptr %p\n{body}ret void\n}}\n")
    }

    #[test]
    fn a_function_that_needs_much_stack_is_rejected() {
        assert!(reported(&function(STACK_BYTES_MAX - 200, "")).is_ok());
        let error = reported(&function(STACK_BYTES_MAX + 200, "")).expect_err("too much");
        assert_eq!(error.to_string(), "a part of the code needs more than 16384 bytes of native stack");
    }

    #[test]
    fn an_error_of_llvm_is_a_rejection_and_not_the_end_of_the_process() {
        let error = reported(&function(8, "call void asm sideeffect \"no such instruction\", \"\"()\n")).expect_err("no such");
        assert!(error.to_string().starts_with("LLVM: "), "{error}");
    }
}
