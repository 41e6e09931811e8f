//! Fatal errors of LLVM, provoked: each costs the code it happened with and one thread, and nothing else.
//!
//! in   contracts; a fault planted on the compiler's thread that LLVM cannot go on after
//! out  a rejection with LLVM's words; other contracts compiled before and after; equal results; compiling off after too many

#![cfg(feature = "llvm")]

use hotevm::{Config, Instructions, Preset, Rejection, Runtime, Stage, Tier};
use hotevm_ir::Function;
use hotevm_testing::{
    campaign::run_case,
    generate::case::{Case, Size},
};
use inkwell::targets::TargetData;
use revm::primitives::{Bytes, hardfork::SpecId, keccak256};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

const LONG: Duration = Duration::from_secs(60);
const SPEC: SpecId = SpecId::OSAKA;
const STOCK: Instructions = Instructions::Stock;

/// How many of the next compilations fail; one test uses it.
static TO_FAIL: AtomicUsize = AtomicUsize::new(0);

/// Asks LLVM for a description of data that is none.
fn fail(_function: &mut Function) {
    let take_one = |left: usize| left.checked_sub(1);
    if TO_FAIL.try_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
        drop(TargetData::create("nonsense"));
    }
}

fn code(number: u8) -> Bytes {
    vec![0x5b, 0x60, number, 0x50, 0x00].into()
}

fn runtime() -> Runtime {
    Runtime::new(Config { planted_fault: Some(fail), ..Config::preset(Preset::Development) }).expect("a runtime for this machine")
}

/// Asks a worker to compile a code, and waits.
fn request(runtime: &Runtime, number: u8) -> Option<Rejection> {
    runtime.request(&code(number), SPEC, STOCK, Tier::Whole);
    assert!(runtime.settle(LONG));
    let row = runtime.peek(keccak256(code(number))).pop().expect("an entry");
    assert_eq!(row.stage == Stage::Whole, row.rejection.is_none());
    row.rejection
}

#[test]
fn a_fatal_error_of_llvm_costs_that_code_and_that_thread_only() {
    let runtime = runtime();
    assert_eq!(request(&runtime, 1), None);
    TO_FAIL.store(1, Ordering::Relaxed);
    let rejection = request(&runtime, 2).expect("LLVM failed");
    assert!(rejection.to_string().starts_with("fatal error of LLVM: "), "{rejection}");
    assert_eq!(request(&runtime, 3), None, "the next code is compiled");
    assert!(runtime.compile(&code(2), SPEC, STOCK).is_err(), "the rejection is remembered");
    TO_FAIL.store(1, Ordering::Relaxed);
    assert!(matches!(runtime.compile(&code(4), SPEC, STOCK), Err(Rejection::Fatal(_))), "in the calling thread, too");
    let counted = runtime.statistics();
    assert_eq!((counted.fatal_errors, counted.rejected, counted.compiled, counted.panics), (2, 2, 2, 0));
    // More of them than may be: compiling is off, what is compiled stays, and everything runs on.
    TO_FAIL.store(usize::MAX, Ordering::Relaxed);
    let rejections: Vec<Rejection> = (10..30).filter_map(|number| request(&runtime, number)).collect();
    TO_FAIL.store(0, Ordering::Relaxed);
    assert_eq!(rejections.len(), 20);
    assert_eq!(request(&runtime, 40), Some(Rejection::CompilingOff));
    let counted = runtime.statistics();
    assert_eq!((counted.fatal_errors, counted.compiling_off), (8, 15));
    assert_eq!(runtime.peek(keccak256(code(1))).pop().expect("an entry").stage, Stage::Whole);
    for seed in 0..20 {
        let case = Case::from_seed(seed, Size { contracts_max: 2, inputs: 2, statements_max: 20 });
        run_case(&case, &runtime).expect("interpreted as ever");
    }
    assert!(runtime.shutdown(LONG), "no worker was lost");
}
