//! What LLVM reports while it makes code: errors, functions that need too much native stack, and errors it cannot go on after.
//!
//! in   a context, listened to from the moment it is made; a thread that may be given up
//! out  nothing, or the first report that means a rejection
//!
//! D1  With nobody listening, LLVM prints reports to standard error, and ends the process at an error. So every context is listened to.
//! D2  After a fatal error LLVM's code must not go on, and cannot be unwound. The thread tells its listener and stands still for ever. A
//!     thread without a listener ends the process, as LLVM does by itself.

use crate::compile::CompileError;
use inkwell::{
    context::{AsContextRef, Context},
    llvm_sys::{
        LLVMDiagnosticSeverity,
        core::{LLVMContextSetDiagnosticHandler, LLVMDisposeMessage, LLVMGetDiagInfoDescription, LLVMGetDiagInfoSeverity},
        error_handling::LLVMInstallFatalErrorHandler,
        prelude::LLVMDiagnosticInfoRef,
    },
};
use std::{
    cell::RefCell,
    ffi::{CStr, c_char, c_void},
    sync::{Mutex, PoisonError},
    thread::{self, ThreadId},
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

/// Who is told of a fatal error on a thread.
type Listener = Box<dyn FnOnce(&str) + Send>;

/// The listeners of all threads that have one.
static LISTENERS: Mutex<Vec<(ThreadId, Listener)>> = Mutex::new(Vec::new());

/// Listens to fatal errors on the thread that made it, as long as it lives (D2).
#[derive(Debug)]
pub struct FatalErrors {
    thread: ThreadId,
}

impl FatalErrors {
    /// From now on a fatal error of LLVM on this thread calls `told` with LLVM's words, and then the thread stands still for ever.
    pub fn listen(told: impl FnOnce(&str) + Send + 'static) -> Self {
        let thread = thread::current().id();
        listeners(|all| all.push((thread, Box::new(told))));
        Self { thread }
    }
}

impl Drop for FatalErrors {
    fn drop(&mut self) {
        let _listener = take_listener(self.thread);
    }
}

fn listeners<T>(with: impl FnOnce(&mut Vec<(ThreadId, Listener)>) -> T) -> T {
    with(&mut LISTENERS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn take_listener(thread: ThreadId) -> Option<Listener> {
    listeners(|all| all.iter().rposition(|(other, _)| *other == thread).map(|index| all.swap_remove(index).1))
}

/// Tells LLVM whom to call; once in a process.
pub(crate) fn catch_fatal_errors() {
    // SAFETY: `fatal` is a function of the type that LLVM asks for, and lives as long as the process.
    unsafe { LLVMInstallFatalErrorHandler(Some(fatal)) };
}

/// D2.
extern "C" fn fatal(reason: *const c_char) {
    // SAFETY: LLVM hands over a string that ends in zero and lives during the call.
    let text = unsafe { CStr::from_ptr(reason) }.to_string_lossy();
    if let Some(told) = take_listener(thread::current().id()) {
        told(text.trim_end());
        loop {
            thread::park();
        }
    }
    eprintln!("hotevm: fatal error of LLVM: {text}");
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
    fn d2_a_fatal_error_is_told_and_the_rest_goes_on() {
        // A description of data that is none is fatal to LLVM.
        let provoke = || {
            Target::host();
            drop(inkwell::targets::TargetData::create("nonsense"));
        };
        for _ in 0..2 {
            let (sender, receiver) = std::sync::mpsc::channel();
            thread::spawn(move || {
                let _listens = FatalErrors::listen(move |text| drop(sender.send(text.to_owned())));
                provoke();
            });
            let text = receiver.recv().expect("the listener is told");
            assert_eq!(text, "size must be a non-zero 24-bit integer");
        }
        assert!(reported(&function(8, "")).is_ok(), "other threads make code as before");
        drop(FatalErrors::listen(|_| {}));
        assert!(take_listener(thread::current().id()).is_none());
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
