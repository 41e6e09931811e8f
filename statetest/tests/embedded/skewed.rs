//! A mode that goes wrong, for tests of the comparison.
//!
//! in   what alloy-evm's own factory takes
//! out  its EVM with one gas price changed: writing a zero slot costs one gas more

use alloy_evm::{EthEvmFactory, EvmEnv};
use hotevm_testing::execute::altered::Alteration;
use revm::context_interface::cfg::gas_params::GasId;

/// The changed price.
#[derive(Clone, Copy, Debug)]
pub struct Skewed;

impl Alteration<EthEvmFactory> for Skewed {
    fn environment(&self, mut environment: EvmEnv) -> EvmEnv {
        let id = GasId::sstore_set_without_load_cost();
        let price = environment.cfg_env.gas_params.get(id);
        environment.cfg_env.gas_params.override_gas([(id, price + 1)]);
        environment
    }
}
