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
    time::{Duration, Instant},
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
    /// The bytes that the compiler was given.
    code: Bytes,
    /// The same, as the database has them.
    placed: Bytes,
    bytecode: ExtBytecode,
    /// Visits so far, which are the seconds of the runtime's clock.
    now_s: u32,
}

impl Visits {
    /// A contract that is compiled, and was met by two EVMs.
    fn new() -> Self {
        let runtime = stopped();
        let code = Bytes::from(vec![0x5b, 0x00, 0x00]);
        runtime.compile(&code, SpecId::OSAKA, Instructions::Stock).expect("compiled");
        let placed = Bytes::copy_from_slice(&code);
        let mut visits = Self { runtime, bytecode: bytecode(&placed), code, placed, now_s: 0 };
        assert!(visits.is_native() && visits.is_native());
        visits
    }

    /// What the next EVM finds on a fork, after `change` to its cache.
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

    fn is_cold(&mut self, spec: SpecId) -> bool {
        matches!(self.visit(spec, |_| ()), Ok(Running::Cold))
    }

    /// The entry of the code.
    fn entry(&self) -> Arc<Entry> {
        let [entry] = &self.runtime.tiers.entries_of(keccak256(&self.code))[..] else { panic!("one entry") };
        entry.clone()
    }

    fn native_code(&self) -> Arc<NativeCode> {
        self.entry().code().expect("code")
    }
}

/// A runtime that has no worker any more, whose clock is moved by hand.
fn stopped() -> Runtime {
    let runtime = runtime(1);
    assert!(runtime.tiers.stop(Duration::from_secs(60)));
    runtime
}

fn bytecode(code: &Bytes) -> ExtBytecode {
    ExtBytecode::new_with_hash(Bytecode::new_legacy(code.clone()), keccak256(code))
}

#[test]
fn r3_code_that_ran_lately_is_found_without_its_entry() {
    let mut visits = Visits::new();
    assert!(visits.is_native());
    assert_eq!(visits.native_code().used_at_s(), 3, "noted in the code, without a look at the entry");
    assert_eq!(visits.entry().used_at_s(), 3, "idle eviction sees it");
    assert!(visits.runtime.demote(keccak256(&visits.code)));
    assert_eq!(visits.entry().used_at_s(), 3, "and does when the code is gone");
    visits.runtime.compile(&visits.code, SpecId::OSAKA, Instructions::Stock).expect("compiled");
    let newer = visits.native_code();
    assert_eq!(newer.used_at_s(), 0, "uses before were not of this code");
    assert!(visits.is_native() && newer.used_at_s() == 0, "found by its entry");
    assert!(visits.is_native() && newer.used_at_s() == 5);
    visits.runtime.disable();
    assert!(matches!(visits.visit(SpecId::OSAKA, |_| ()), Err(Interpreted::Disabled)));
}

#[test]
fn r3_code_that_ran_lately_is_not_kept_and_not_used_once_it_is_replaced() {
    let mut visits = Visits::new();
    assert!(visits.is_native());
    let held = visits.native_code();
    let weak = Arc::downgrade(&held);
    assert!(visits.runtime.forget(keccak256(&visits.code)));
    assert!(visits.is_cold(SpecId::OSAKA), "mapped, but replaced");
    drop(held);
    assert!(weak.upgrade().is_none(), "nothing else keeps it mapped");
    assert!(visits.is_cold(SpecId::OSAKA));
}

#[test]
fn r3_code_that_ran_lately_is_not_used_under_another_configuration_or_runtime() {
    let mut visits = Visits::new();
    assert!(visits.is_native() && visits.is_cold(SpecId::CANCUN) && visits.is_native());
    visits.runtime = stopped();
    assert!(visits.is_cold(SpecId::OSAKA));
}

#[test]
fn r3_code_that_ran_lately_is_not_used_for_other_bytes_at_its_address() {
    let mut visits = Visits::new();
    let code = visits.native_code();
    // At another place, and shorter at the same one.
    for other in [Bytes::from_static(&[0x5b, 0x00, 0x00]), visits.placed.slice(..2)] {
        visits.bytecode = bytecode(&other);
        let address = visits.bytecode.bytecode_ptr() as usize;
        assert_eq!(address, other.as_ptr() as usize, "not copied, since it ends in a STOP");
        let _ = visits.visit(SpecId::OSAKA, |prepared| prepared.room.note(address, prepared.configuration.number, &code));
        assert_eq!(code.used_at_s(), 0, "not found as one that ran lately");
    }
}

#[test]
fn r3_the_place_by_which_code_is_known_is_held_as_long_as_the_code() {
    let mut visits = Visits::new();
    let code = visits.native_code();
    visits.runtime.clear();
    visits.bytecode = bytecode(&Bytes::new());
    assert!(!visits.placed.is_unique());
    drop(code);
    assert!(visits.placed.is_unique());
}
