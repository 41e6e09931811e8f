//! A mode that goes wrong, for tests of the comparison.
//!
//! in   what alloy-evm's own factory takes
//! out  its EVM with one gas price changed: writing a zero slot costs one gas more

use alloy_evm::{Database, EthEvmFactory, EvmEnv, EvmFactory};
use revm::{Inspector, context::DBErrorMarker, context_interface::cfg::gas_params::GasId, inspector::NoOpInspector};

/// The factory.
#[derive(Debug, Clone, Copy)]
pub struct Skewed;

fn skew(mut env: EvmEnv) -> EvmEnv {
    let id = GasId::sstore_set_without_load_cost();
    let price = env.cfg_env.gas_params.get(id);
    env.cfg_env.gas_params.override_gas([(id, price + 1)]);
    env
}

impl EvmFactory for Skewed {
    type Evm<DB: Database, I: Inspector<Self::Context<DB>>> = <EthEvmFactory as EvmFactory>::Evm<DB, I>;
    type Context<DB: Database> = <EthEvmFactory as EvmFactory>::Context<DB>;
    type Tx = <EthEvmFactory as EvmFactory>::Tx;
    type Error<DBError: DBErrorMarker> = <EthEvmFactory as EvmFactory>::Error<DBError>;
    type HaltReason = <EthEvmFactory as EvmFactory>::HaltReason;
    type Spec = <EthEvmFactory as EvmFactory>::Spec;
    type BlockEnv = <EthEvmFactory as EvmFactory>::BlockEnv;
    type Precompiles = <EthEvmFactory as EvmFactory>::Precompiles;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        EthEvmFactory::default().create_evm(db, skew(env))
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<Self::Context<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        EthEvmFactory::default().create_evm_with_inspector(db, skew(env), inspector)
    }
}
