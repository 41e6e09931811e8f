//! What the hook costs: a look-up that hits, and wrapping an EVM; what one EVM leaves to the next.
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

/// One EVM after another in this thread, each of which looks the same bytecode up.
struct Visits {
    runtime: Runtime,
    code: Bytes,
    bytecode: ExtBytecode,
    /// Visits so far, which are the seconds of the runtime's clock.
    now_s: u32,
}

impl Visits {
    /// A contract that is compiled, and was met by two EVMs.
    fn new(runtime: Runtime) -> Self {
        let code = Bytes::from_static(&[0x5b, 0x00]);
        runtime.compile(&code, SpecId::OSAKA, Instructions::Stock).expect("compiled");
        let bytecode = ExtBytecode::new_with_hash(Bytecode::new_legacy(code.clone()), keccak256(&code));
        let mut visits = Self { runtime, code, bytecode, now_s: 0 };
        for _ in 0..2 {
            assert!(visits.is_native());
        }
        visits
    }

    /// What the next EVM finds, after `change` to its cache, on a fork.
    fn visit(&mut self, spec: SpecId, change: impl FnOnce(&mut Prepared<Mainnet>)) -> Result<Running, Interpreted> {
        self.now_s += 1;
        self.runtime.tiers.upkeep(self.now_s);
        let mut context: Mainnet = Context::mainnet();
        context.cfg.set_spec_and_mainnet_gas_params(spec);
        let evm = Context::mainnet().build_mainnet();
        let mut hook: Hook<Mainnet> = Hook::new(self.runtime.clone(), Instructions::Stock);
        hook.prepare(&context, evm.instruction.instruction_table(), evm.instruction.gas_table());
        hook.prepared.as_mut().map(change).expect("prepared");
        hook.look_up(&self.bytecode)
    }

    fn is_native(&mut self) -> bool {
        matches!(self.visit(SpecId::OSAKA, |_| ()), Ok(Running::Native(_)))
    }

    /// The code, as an entry of the runtime has it.
    fn native_code(&self) -> Arc<NativeCode> {
        let [entry] = &self.runtime.tiers.entries_of(keccak256(&self.code))[..] else { panic!("one entry") };
        entry.code().expect("code")
    }
}

#[test]
fn r3_code_that_ran_lately_is_found_without_its_entry() {
    let mut visits = Visits::new(runtime(1));
    let code = visits.native_code();
    assert!(visits.is_native());
    assert_eq!(code.used_at_s(), 3, "noted in the code, without a look at the entry");
    let [entry] = &visits.runtime.tiers.entries_of(keccak256(&visits.code))[..] else { panic!("one entry") };
    assert_eq!(entry.used_at_s(), 3, "idle eviction sees it");
}

#[test]
fn r3_code_that_ran_lately_is_not_kept_and_not_used_once_it_is_replaced() {
    let mut visits = Visits::new(runtime(1));
    assert!(visits.is_native());
    let held = visits.native_code();
    let weak = Arc::downgrade(&held);
    visits.runtime.forget(keccak256(&visits.code));
    assert!(matches!(visits.visit(SpecId::OSAKA, |_| ()), Ok(Running::Cold)), "mapped, but replaced");
    drop(held);
    assert!(weak.upgrade().is_none(), "nothing else keeps it mapped");
    assert!(matches!(visits.visit(SpecId::OSAKA, |_| ()), Ok(Running::Cold)));
}

#[test]
fn r3_code_that_ran_lately_is_not_used_under_another_configuration_or_runtime() {
    let mut visits = Visits::new(runtime(1));
    assert!(visits.is_native());
    assert!(matches!(visits.visit(SpecId::CANCUN, |_| ()), Ok(Running::Cold)));
    assert!(visits.is_native());
    visits.runtime = runtime(1);
    assert!(matches!(visits.visit(SpecId::OSAKA, |_| ()), Ok(Running::Cold)));
}

#[test]
fn r3_code_that_ran_lately_is_not_used_for_other_bytes_at_its_address() {
    let mut visits = Visits::new(runtime(1));
    assert!(visits.is_native());
    let code = visits.native_code();
    let other = Bytes::from_static(&[0x00]);
    visits.bytecode = ExtBytecode::new_with_hash(Bytecode::new_legacy(other.clone()), keccak256(other));
    let address = visits.bytecode.bytecode_ptr() as usize;
    let found = visits.visit(SpecId::OSAKA, |prepared| prepared.room.note(address, prepared.configuration.number, &code));
    assert!(matches!(found, Ok(Running::Cold)));
}
