//! alloy-evm: a factory that drops in where `EthEvmFactory` stood.
//!
//! in   a database and an environment, as `EthEvmFactory` takes them
//! out  [`HotEthEvm`]: alloy-evm's `Evm` over [`HotEvm`]; every associated type but the EVM's own is `EthEvmFactory`'s

use crate::{config::Instructions, evm::HotEvm, runtime::Runtime};
use alloy_evm::{Database, EthEvmFactory, Evm, EvmEnv, EvmFactory, eth::EthEvmContext, precompiles::PrecompilesMap};
use alloy_primitives::{Address, Bytes};
use revm::{
    Context, Inspector,
    context::{BlockEnv, CfgEnv, DBErrorMarker, TxEnv},
    context_interface::{
        ContextSetters, ContextTr, JournalTr,
        result::{EVMError, HaltReason, ResultAndState},
    },
    handler::{EthFrame, Handler, MainnetHandler, PrecompileProvider, instructions::EthInstructions, system_call::SystemCallTx},
    inspector::{InspectorHandler, NoOpInspector},
    interpreter::{InterpreterResult, interpreter::EthInterpreter},
    primitives::hardfork::SpecId,
};
use std::ops::{Deref, DerefMut};

type HotEvmOf<DB, I, P> = HotEvm<EthEvmContext<DB>, I, EthInstructions<EthInterpreter, EthEvmContext<DB>>, P>;

/// The Ethereum EVM with native code; stands where alloy-evm's `EthEvm` stood.
#[expect(missing_debug_implementations, reason = "the database and the inspector need not be printable")]
pub struct HotEthEvm<DB: Database, I, P = PrecompilesMap> {
    hot: HotEvmOf<DB, I, P>,
    inspect: bool,
}

impl<DB: Database, I, P> HotEthEvm<DB, I, P> {
    /// Wraps a revm EVM. With `inspect` the inspector is called, and every frame is interpreted.
    pub const fn new(hot: HotEvmOf<DB, I, P>, inspect: bool) -> Self {
        Self { hot, inspect }
    }

    /// The wrapped EVM.
    pub const fn hot_mut(&mut self) -> &mut HotEvmOf<DB, I, P> {
        &mut self.hot
    }
}

impl<DB: Database, I, P> Deref for HotEthEvm<DB, I, P> {
    type Target = EthEvmContext<DB>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.hot.inner().ctx
    }
}

impl<DB: Database, I, P> DerefMut for HotEthEvm<DB, I, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.hot.parts_mut().ctx
    }
}

impl<DB, I, P> HotEthEvm<DB, I, P>
where
    DB: Database,
    I: Inspector<EthEvmContext<DB>>,
    P: PrecompileProvider<EthEvmContext<DB>, Output = InterpreterResult>,
{
    /// Takes the state changes out of the journal, on success and on error alike.
    fn finish_transaction(
        &mut self,
        result: Result<revm::context_interface::result::ExecutionResult<HaltReason>, EVMError<DB::Error>>,
    ) -> Result<ResultAndState<HaltReason>, EVMError<DB::Error>> {
        let state = self.hot.parts_mut().ctx.journal_mut().finalize();
        self.hot.flush_statistics();
        result.map(|result| ResultAndState::new(result, state))
    }
}

impl<DB, I, P> Evm for HotEthEvm<DB, I, P>
where
    DB: Database,
    I: Inspector<EthEvmContext<DB>>,
    P: PrecompileProvider<EthEvmContext<DB>, Output = InterpreterResult>,
{
    type DB = DB;
    type Tx = TxEnv;
    type Error = EVMError<DB::Error>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = P;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        &self.block
    }

    fn cfg_env(&self) -> &CfgEnv<SpecId> {
        &self.cfg
    }

    fn chain_id(&self) -> u64 {
        self.cfg.chain_id
    }

    fn transact_raw(&mut self, tx: TxEnv) -> Result<ResultAndState<HaltReason>, Self::Error> {
        self.hot.parts_mut().ctx.set_tx(tx);
        let mut handler = MainnetHandler::<_, Self::Error, EthFrame<EthInterpreter>>::default();
        let result = if self.inspect { handler.inspect_run(&mut self.hot) } else { handler.run(&mut self.hot) };
        self.finish_transaction(result)
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState<HaltReason>, Self::Error> {
        self.hot.parts_mut().ctx.set_tx(TxEnv::new_system_tx_with_caller(caller, contract, data));
        let result = MainnetHandler::<_, Self::Error, EthFrame<EthInterpreter>>::default().run_system_call(&mut self.hot);
        self.finish_transaction(result)
    }

    fn finish(self) -> (DB, EvmEnv<SpecId>) {
        let Context { block: block_env, cfg: cfg_env, journaled_state, .. } = self.hot.into_inner().ctx;
        (journaled_state.database, EvmEnv { block_env, cfg_env })
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.inspect = enabled;
    }

    fn components(&self) -> (&DB, &I, &P) {
        let inner = self.hot.inner();
        (&inner.ctx.journaled_state.database, &inner.inspector, &inner.precompiles)
    }

    fn components_mut(&mut self) -> (&mut DB, &mut I, &mut P) {
        let inner = self.hot.parts_mut();
        (&mut inner.ctx.journaled_state.database, &mut inner.inspector, &mut inner.precompiles)
    }
}

/// Makes [`HotEthEvm`]s; stands where alloy-evm's `EthEvmFactory` stood.
#[derive(Debug, Clone)]
pub struct HotEvmFactory {
    runtime: Runtime,
    instructions: Instructions,
}

impl HotEvmFactory {
    /// A factory whose EVMs share the runtime.
    pub const fn new(runtime: Runtime) -> Self {
        Self { runtime, instructions: Instructions::Stock }
    }

    /// Declares which instructions of the EVMs will not be revm's own.
    pub const fn with_instructions(mut self, instructions: Instructions) -> Self {
        self.instructions = instructions;
        self
    }

    /// The runtime that the EVMs share.
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl EvmFactory for HotEvmFactory {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = HotEthEvm<DB, I, PrecompilesMap>;
    type Context<DB: Database> = <EthEvmFactory as EvmFactory>::Context<DB>;
    type Tx = <EthEvmFactory as EvmFactory>::Tx;
    type Error<DBError: DBErrorMarker> = <EthEvmFactory as EvmFactory>::Error<DBError>;
    type HaltReason = <EthEvmFactory as EvmFactory>::HaltReason;
    type Spec = <EthEvmFactory as EvmFactory>::Spec;
    type BlockEnv = <EthEvmFactory as EvmFactory>::BlockEnv;
    type Precompiles = <EthEvmFactory as EvmFactory>::Precompiles;

    fn create_evm<DB: Database>(&self, db: DB, input: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        let inner = EthEvmFactory::default().create_evm(db, input).into_inner();
        HotEthEvm::new(HotEvm::new(inner, self.runtime.clone(), self.instructions), false)
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        &self,
        db: DB,
        input: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        let inner = EthEvmFactory::default().create_evm_with_inspector(db, input, inspector).into_inner();
        HotEthEvm::new(HotEvm::new(inner, self.runtime.clone(), self.instructions), true)
    }
}
