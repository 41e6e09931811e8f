//! Passes over the embedded sample chain, for an instruction counter: with revm alone, or with a runtime that is disabled.
//!
//! in   `interpreter` or `disabled`, and how many passes
//! out  nothing; `scripts/count-disabled` runs it under callgrind

#![forbid(unsafe_code)]

use alloy_evm::EthEvmFactory;
use eyre::{OptionExt as _, bail};
use hotevm::{Config, HotEvmFactory, Preset, Runtime};
use hotevm_statetest::{mode::Factory, replay, sample};

fn passes(factory: &impl Factory, count: usize) -> eyre::Result<()> {
    let runs = sample::runs()?;
    for run in (0..count).flat_map(|_| &runs) {
        let pass = replay::execute(factory, run, false, || None);
        if let Some((index, reason)) = pass.refused {
            bail!("{}: transaction {index}: {reason}", run.name);
        }
    }
    Ok(())
}

fn main() -> eyre::Result<()> {
    let usage = "usage: disabled interpreter|disabled PASSES";
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or_eyre(usage)?;
    let count = arguments.next().ok_or_eyre(usage)?.parse()?;
    match name.as_str() {
        "interpreter" => passes(&EthEvmFactory::default(), count),
        "disabled" => {
            let runtime = Runtime::new(Config { enabled: false, ..Config::preset(Preset::Production) })?;
            passes(&HotEvmFactory::new(runtime), count)
        }
        _ => bail!("{usage}"),
    }
}
