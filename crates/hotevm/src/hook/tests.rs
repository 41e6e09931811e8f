//! What the hook costs: a look-up that hits, and wrapping an EVM.
//!
//! in   a runtime whose compiler stands in for LLVM, with one contract compiled
//! out  lines `name value`; no allocation at all; in optimised builds, times below what is promised

use super::*;
use crate::{
    Config, HotEvm,
    tiers::{Tiers, fake::Fake},
};
use revm::{
    Context, MainBuilder, MainContext,
    bytecode::Bytecode,
    database_interface::EmptyDB,
    handler::MainnetContext,
    primitives::{Bytes, hardfork::SpecId, keccak256},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    time::Instant,
};

/// Times hold in optimised builds only.
const IS_OPTIMISED: bool = !cfg!(debug_assertions);

/// The system's allocator, counting.
struct Counting;

thread_local! {
    /// Allocations of this thread.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends may have no counter any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Mainnet = MainnetContext<EmptyDB>;

/// Allocations of this thread so far.
fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

fn runtime(workers: usize) -> Runtime {
    let config = Config { workers, ..Config::preset(Preset::Production) };
    Runtime::over(Tiers::new(config, Box::new(Fake::new())), None)
}

/// The least time of a call over batches, in nanoseconds, and the allocations of all of them.
fn measure(mut call: impl FnMut()) -> (f64, u64) {
    const BATCHES: usize = 200;
    const CALLS: u32 = 1000;
    call();
    let before = allocations();
    let mut least_ns = f64::MAX;
    for _ in 0..BATCHES {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        least_ns = least_ns.min(start.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    (least_ns, allocations() - before)
}

fn check(name: &str, (time_ns, allocations): (f64, u64), time_ns_max: f64) {
    // The runner prints a dot for each test, without an end of line.
    println!("\n{name}_ns {time_ns:.1}");
    println!("{name}_allocations {allocations}");
    assert_eq!(allocations, 0, "{name}");
    assert!(!IS_OPTIMISED || time_ns <= time_ns_max, "{name}: {time_ns} ns");
}

#[test]
fn j1_a_hit_is_quick_and_allocates_nothing() {
    // With no worker at all, entries are made where a frame starts.
    let runtime = runtime(1);
    let code = Bytes::from_static(&[0x5b, 0x00]);
    runtime.compile(&code, SpecId::OSAKA, Instructions::Stock).expect("compiled");
    let context: Mainnet = Context::mainnet();
    let evm = Context::mainnet().build_mainnet();
    let mut hook: Hook<Mainnet> = Hook::new(runtime, Instructions::Stock);
    hook.prepare(&context, evm.instruction.instruction_table(), evm.instruction.gas_table());
    let mut look_up = |name, code: Bytes, wanted: fn(&Result<Running, Interpreted>) -> bool| {
        let hash = keccak256(&code);
        let bytecode = ExtBytecode::new_with_hash(Bytecode::new_legacy(code), hash);
        let mut is_wanted = true;
        let figures = measure(|| is_wanted &= wanted(&black_box(hook.look_up(black_box(&bytecode)))));
        assert!(is_wanted, "{name}");
        check(name, figures, 50.0);
    };
    look_up("lookup_hit", code, |found| matches!(found, Ok(Running::Native(_))));
    look_up("lookup_cold", Bytes::from_static(&[0x00]), |found| matches!(found, Ok(Running::Cold)));
}

#[test]
fn wrapping_an_evm_is_quick_and_allocates_nothing() {
    let runtime = runtime(0);
    let mut spare = Some(Context::mainnet().build_mainnet());
    let wrap = measure(|| {
        if let Some(evm) = spare.take() {
            spare = Some(black_box(HotEvm::new(evm, runtime.clone(), Instructions::Stock)).into_inner());
        }
    });
    check("wrap", wrap, 1000.0);
}
