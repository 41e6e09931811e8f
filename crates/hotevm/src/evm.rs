//! The wrapped EVM: revm's traits, with the run of a frame replaced.
//!
//! in   a revm EVM whose frames are `EthFrame<EthInterpreter>`
//! out  [`HotEvm`], which any revm handler runs in its place

use crate::{config::Instructions, hook::Hook, runtime::Runtime};
use revm::{
    Inspector,
    context::{ContextSetters, ContextTr, Evm, FrameStack},
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, PrecompileProvider,
        evm::{ContextDbError, FrameInitResult},
        instructions::InstructionProvider,
    },
    inspector::{InspectorEvmTr, JournalExt},
    interpreter::{InterpreterResult, interpreter::EthInterpreter, interpreter_action::FrameInit},
};

/// A revm EVM whose frames run natively where their code is compiled.
///
/// It implements [`EvmTr`] and [`InspectorEvmTr`], so that revm's handlers, and those of other chains, run it unchanged.
///
/// Instructions and their costs are compared with those of before whenever somebody could have changed them: through [`HotEvm::inner_mut`] or the
/// traits' methods that lend them. So an [`InstructionProvider`] must not change its tables in place through a shared reference; having others at
/// another address is noticed. A wrapper that implements [`EvmTr`] by this one should hand on `ctx`, `ctx_precompiles` and `frame_stack`, too:
/// with their default each transaction lends the instructions, which is as right and slower.
pub struct HotEvm<CTX: ContextTr, INSP, I, P> {
    inner: Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>>,
    hook: Hook<CTX>,
}

impl<CTX: ContextTr, INSP, I, P> HotEvm<CTX, INSP, I, P> {
    /// Wraps an EVM. Costs no allocation until the first contract runs.
    pub const fn new(
        inner: Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>>,
        runtime: Runtime,
        instructions: Instructions,
    ) -> Self {
        Self { inner, hook: Hook::new(runtime, instructions) }
    }

    /// The EVM inside.
    pub const fn inner(&self) -> &Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>> {
        &self.inner
    }

    /// The EVM inside. Its tables and costs may be changed between transactions: the next one notices.
    pub const fn inner_mut(&mut self) -> &mut Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>> {
        self.hook.tables_lent();
        &mut self.inner
    }

    /// The same for who leaves the instructions as they are (`hook`, J7).
    pub(crate) const fn parts_mut(&mut self) -> &mut Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>> {
        &mut self.inner
    }

    /// Hands the counters of this EVM over to the runtime. Happens by itself when the EVM is dropped.
    pub fn flush_statistics(&mut self) {
        self.hook.flush();
    }

    /// Takes the EVM back out.
    pub fn into_inner(self) -> Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>> {
        self.inner
    }
}

impl<CTX, INSP, I, P> EvmTr for HotEvm<CTX, INSP, I, P>
where
    CTX: ContextTr,
    I: InstructionProvider<Context = CTX, InterpreterTypes = EthInterpreter>,
    P: PrecompileProvider<CTX, Output = InterpreterResult>,
{
    type Context = CTX;
    type Instructions = I;
    type Precompiles = P;
    type Frame = EthFrame<EthInterpreter>;

    #[inline]
    fn all(&self) -> (&CTX, &I, &P, &FrameStack<Self::Frame>) {
        self.inner.all()
    }

    #[inline]
    fn all_mut(&mut self) -> (&mut CTX, &mut I, &mut P, &mut FrameStack<Self::Frame>) {
        self.hook.tables_lent();
        self.inner.all_mut()
    }

    // Handlers ask for these in each transaction, and instructions are not among them (`hook`, J7).

    #[inline]
    fn ctx(&mut self) -> &mut CTX {
        &mut self.inner.ctx
    }

    #[inline]
    fn ctx_precompiles(&mut self) -> (&mut CTX, &mut P) {
        (&mut self.inner.ctx, &mut self.inner.precompiles)
    }

    #[inline]
    fn frame_stack(&mut self) -> &mut FrameStack<Self::Frame> {
        &mut self.inner.frame_stack
    }

    #[inline]
    fn frame_init(&mut self, frame_input: FrameInit) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<CTX>> {
        let is_first = self.inner.frame_stack.index().is_none();
        if is_first {
            self.hook.transaction_started();
        }
        // The frame that may start gets the next index; where none starts, the row is cleared for nothing.
        self.hook.frame_started(self.inner.frame_stack.index().map_or(0, |index| index + 1));
        self.inner.frame_init(frame_input)
    }

    #[inline]
    fn frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<CTX>> {
        let index = self.inner.frame_stack.index().unwrap_or(0);
        let frame = self.inner.frame_stack.get();
        let (context, provider) = (&mut self.inner.ctx, &self.inner.instruction);
        self.hook.run(index, frame, context, provider.instruction_table(), provider.gas_table());
        let action = frame.interpreter.take_next_action();
        let next = frame.process_next_action::<_, ContextDbError<CTX>>(context, action);
        if matches!(&next, Ok(next) if next.is_result()) {
            frame.set_finished(true);
        }
        next
    }

    #[inline]
    fn frame_return_result(&mut self, result: FrameResult) -> Result<Option<FrameResult>, ContextDbError<CTX>> {
        self.inner.frame_return_result(result)
    }
}

impl<CTX, INSP, I, P> InspectorEvmTr for HotEvm<CTX, INSP, I, P>
where
    CTX: ContextTr<Journal: JournalExt> + ContextSetters,
    I: InstructionProvider<Context = CTX, InterpreterTypes = EthInterpreter>,
    P: PrecompileProvider<CTX, Output = InterpreterResult>,
    INSP: Inspector<CTX, EthInterpreter>,
{
    type Inspector = INSP;

    fn all_inspector(&self) -> (&CTX, &I, &P, &FrameStack<Self::Frame>, &INSP) {
        self.inner.all_inspector()
    }

    fn all_mut_inspector(&mut self) -> (&mut CTX, &mut I, &mut P, &mut FrameStack<Self::Frame>, &mut INSP) {
        self.hook.tables_lent();
        self.inner.all_mut_inspector()
    }

    fn inspect_frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<CTX>> {
        self.hook.tables_lent();
        self.hook.frame_inspected(self.inner.frame_stack.index().unwrap_or(0));
        self.inner.inspect_frame_run()
    }
}
