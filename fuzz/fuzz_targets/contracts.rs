//! Contracts made of a fuzzer's bytes, run natively and by revm's interpreter: `cargo +nightly fuzz run contracts`.
//!
//! in   bytes (`Case::from_bytes`); the first byte chooses how the contracts are compiled
//! out  a panic with both sides of the first difference
//!
//! The fuzzer sees the coverage of generator, compiler and interpreter, not of generated code.

#![no_main]

use std::cell::RefCell;

use hotevm::{Config, Optimisation, Preset, Runtime};
use hotevm_testing::{
    campaign::run_case,
    generate::case::{Case, Size},
};
use libfuzzer_sys::{Corpus, fuzz_target};

/// Few inputs: most of the time goes into compiling, and the fuzzer varies the inputs by itself.
const SIZE: Size = Size { contracts_max: 3, inputs: 3, statements_max: 30 };

/// Cases that share a runtime before it is made anew, so that compiled code does not pile up.
const CASES_PER_RUNTIME: usize = 200;

thread_local! {
    /// The runtimes of the ways of compiling, with the number of cases each has served.
    static RUNTIMES: RefCell<[Option<(Runtime, usize)>; 4]> = const { RefCell::new([None, None, None, None]) };
}

fn config(way: usize) -> Config {
    let (optimisation, force_leaves) = match way {
        0 => (Optimisation::Full, false),
        1 => (Optimisation::None, false),
        2 => (Optimisation::Fast, false),
        _ => (Optimisation::Fast, true),
    };
    Config { optimisation, force_leaves, ..Config::preset(Preset::Test) }
}

fn runtime(way: usize) -> Runtime {
    RUNTIMES.with_borrow_mut(|runtimes| {
        let slot = &mut runtimes[way];
        if slot.as_ref().is_none_or(|(_, cases)| *cases >= CASES_PER_RUNTIME) {
            *slot = Some((Runtime::new(config(way)).expect("a runtime for this machine"), 0));
        }
        let (runtime, cases) = slot.as_mut().expect("filled above");
        *cases += 1;
        runtime.clone()
    })
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&first, rest)) = bytes.split_first() else { return Corpus::Reject };
    let case = Case::from_bytes(rest, SIZE);
    let way = usize::from(first % 4);
    if let Err(difference) = run_case(&case, &runtime(way)) {
        panic!("with {:?}:\n{difference}\n{case}", config(way));
    }
    Corpus::Keep
});
