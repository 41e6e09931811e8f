//! A factory that does one thing differently from another: what planted faults and other tests of tests are made of.
//!
//! in   a factory, and an [`Alteration`] of its environments or its EVMs
//! out  a factory with the same types, that can stand wherever the first one can

use alloy_evm::{Database, EvmEnv, EvmFactory};
use revm::{Inspector, context::DBErrorMarker, inspector::NoOpInspector};

/// What is done differently; nothing, where a method is not given.
pub trait Alteration<F: EvmFactory> {
    /// Changes an environment before an EVM is made for it.
    fn environment(&self, environment: EvmEnv<F::Spec, F::BlockEnv>) -> EvmEnv<F::Spec, F::BlockEnv> {
        environment
    }

    /// Changes an EVM that was just made.
    fn evm<DB: Database, I: Inspector<F::Context<DB>>>(&self, evm: F::Evm<DB, I>) -> F::Evm<DB, I> {
        evm
    }
}

/// The factory, and what is done differently.
#[derive(Clone, Copy, Debug)]
pub struct Altered<F, A>(pub F, pub A);

impl<F: EvmFactory, A: Alteration<F>> EvmFactory for Altered<F, A> {
    type Evm<DB: Database, I: Inspector<Self::Context<DB>>> = F::Evm<DB, I>;
    type Context<DB: Database> = F::Context<DB>;
    type Tx = F::Tx;
    type Error<DBError: DBErrorMarker> = F::Error<DBError>;
    type HaltReason = F::HaltReason;
    type Spec = F::Spec;
    type BlockEnv = F::BlockEnv;
    type Precompiles = F::Precompiles;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv<F::Spec, F::BlockEnv>) -> F::Evm<DB, NoOpInspector> {
        self.1.evm(self.0.create_evm(db, self.1.environment(env)))
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<F::Context<DB>>>(
        &self,
        db: DB,
        env: EvmEnv<F::Spec, F::BlockEnv>,
        inspector: I,
    ) -> F::Evm<DB, I> {
        self.1.evm(self.0.create_evm_with_inspector(db, self.1.environment(env), inspector))
    }
}
