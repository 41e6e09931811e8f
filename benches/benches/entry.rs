//! What a node pays around compiled code: making an EVM, entering a contract, a short loop; each beside revm's interpreter.
//!
//! in   the contracts of this crate's library
//! out  criterion's report: one group per question, one line per EVM

#![forbid(unsafe_code)]

use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use criterion::{BatchSize, Criterion};
use hotevm::{Config, HotEvmFactory, Preset, Runtime};
use hotevm_benches::{LOOPING, STOPPING, call, database, environment};
use revm::{
    context::{BlockEnv, TxEnv},
    primitives::hardfork::SpecId,
};

/// The questions, asked of one EVM.
fn questions<F>(criterion: &mut Criterion, name: &str, factory: &F)
where
    F: EvmFactory<Tx = TxEnv, Spec = SpecId, BlockEnv = BlockEnv>,
{
    criterion.benchmark_group("make an EVM").bench_function(name, |bencher| {
        let made = || (database(), environment());
        bencher.iter_batched(made, |(database, env)| factory.create_evm(database, env).finish(), BatchSize::SmallInput);
    });
    for (group, contract) in [("a call that stops at once", STOPPING), ("a loop of a hundred rounds", LOOPING)] {
        criterion.benchmark_group(group).bench_function(name, |bencher| {
            let mut evm = factory.create_evm(database(), environment());
            bencher.iter(|| evm.transact_raw(call(contract)).is_ok());
        });
    }
}

fn main() {
    let runtime = match Runtime::new(Config::preset(Preset::Test)) {
        Ok(runtime) => runtime,
        Err(error) => return eprintln!("no runtime: {error}"),
    };
    let mut criterion = Criterion::default().configure_from_args();
    questions(&mut criterion, "revm", &EthEvmFactory::default());
    questions(&mut criterion, "hotevm", &HotEvmFactory::new(runtime));
    criterion.final_summary();
}
