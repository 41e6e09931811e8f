//! The wrapped EVM: revm's traits, with the run of a frame replaced.
//!
//! in   a revm EVM whose frames are `EthFrame<EthInterpreter>`
//! out  [`HotEvm`], which any revm handler runs in its place

use crate::{config::Instructions, runtime::Runtime, statistics::Deltas};
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
pub struct HotEvm<CTX, INSP, I, P> {
    inner: Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>>,
    runtime: Runtime,
    instructions: Instructions,
}

impl<CTX, INSP, I, P> HotEvm<CTX, INSP, I, P> {
    /// Wraps an EVM. Costs no allocation until the first contract runs.
    pub const fn new(
        inner: Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>>,
        runtime: Runtime,
        instructions: Instructions,
    ) -> Self {
        Self { inner, runtime, instructions }
    }

    /// The EVM inside.
    pub const fn inner(&self) -> &Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>> {
        &self.inner
    }

    /// The EVM inside. Its tables and costs may be changed between transactions: the next one notices.
    pub const fn inner_mut(&mut self) -> &mut Evm<CTX, INSP, I, P, EthFrame<EthInterpreter>> {
        &mut self.inner
    }

    /// Hands the counters of this EVM over to the runtime. Happens by itself when the EVM is dropped.
    pub fn flush_statistics(&mut self) {
        self.runtime.shared.counters.add(&Deltas::default());
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
        self.inner.all_mut()
    }

    #[inline]
    fn frame_init(&mut self, frame_input: FrameInit) -> Result<FrameInitResult<'_, Self::Frame>, ContextDbError<CTX>> {
        self.inner.frame_init(frame_input)
    }

    #[inline]
    fn frame_run(&mut self) -> Result<FrameInitOrResult<Self::Frame>, ContextDbError<CTX>> {
        self.inner.frame_run()
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
        self.inner.all_mut_inspector()
    }
}
