//! Models of the protocol: every order in which a few threads can take its steps, by loom.
//!
//! in   one entry, a compiler that tests steer; an executing thread, a worker, a thread that takes away
//! out  what the laws promise holds in every order
//!
//! `cargo test -p hotevm --features loom --lib models`; see `sync` for what stands in for what.

use super::{
    Tiers,
    entry::{Entry, Key, Stage, Tier},
    fake::Fake,
};
use crate::{
    Config, Preset,
    code::NativeCode,
    compiler::Request,
    configuration::{Configuration, Settings},
    sync::{Arc, Ordering, check},
};
use loom::thread;
use revm::primitives::{Bytes, hardfork::SpecId, keccak256};

/// Heat that is worth anything.
const MUCH: u64 = 1 << 40;

/// What the threads of a model share.
struct World {
    tiers: Arc<Tiers>,
    entry: Arc<Entry>,
    configuration: Arc<Configuration>,
    key: Key,
    bytecode: Bytes,
}

/// A runtime without threads of its own, and one watched code.
fn world() -> World {
    let mut config = Config::preset(Preset::Production);
    (config.tuning.seen_len, config.tuning.compile_cpu_share) = (1, 1e6);
    let tiers = Arc::new(Tiers::new(config, Box::new(Fake::new())));
    let configuration = tiers.configurations.get(Settings::stock(SpecId::OSAKA, [0; 4]));
    let bytecode = Bytes::from_static(&[0x5b, 0x00]);
    let key = (keccak256(&bytecode), configuration.number);
    let entry = tiers.entry(key, bytecode.clone(), &configuration);
    tiers.watch(&entry);
    World { tiers, entry, configuration, key, bytecode }
}

/// What a worker does, once.
fn work(tiers: &Arc<Tiers>) {
    if let Some(job) = tiers.queue.take(|_| 1.0) {
        tiers.run_job(&job);
    }
}

/// Code that belongs to an entry.
fn code(world: &World, tier: Tier) -> Arc<NativeCode> {
    let request = Request {
        bytecode: &world.bytecode,
        settings: &world.configuration.settings,
        tier,
        region: None,
        likely: None,
        config: &world.tiers.config,
        cpu_apart: Default::default(),
    };
    let code = Arc::new(NativeCode::new(world.tiers.compiler.compile(&request).expect("code"), tier, 0));
    code.belongs_to(&world.entry);
    code
}

/// What a frame may rely on when it looks at an entry.
fn check_executor(entry: &Entry) {
    let Some(first) = entry.code() else { return };
    if first.is_replaced() {
        // T3, E3: whoever sees the mark finds the newer code, or none.
        let newest = entry.code();
        assert!(newest.is_none_or(|newest| !Arc::ptr_eq(&newest, &first)), "replaced code is still in place");
    }
}

#[test]
fn t3_who_sees_that_code_was_replaced_finds_the_newer_one() {
    check(|| {
        let world = world();
        let (first, second) = (code(&world, Tier::Native1), code(&world, Tier::Native2));
        let entry = world.entry.clone();
        let worker = thread::spawn(move || {
            entry.publish(&mut entry.ledger(), Some(first), Stage::Native1);
            entry.publish(&mut entry.ledger(), Some(second), Stage::Native2);
            entry.publish(&mut entry.ledger(), None, Stage::Watched);
        });
        check_executor(&world.entry);
        if matches!(world.entry.stage(), Stage::Native1 | Stage::Native2) {
            check_executor(&world.entry);
        }
        worker.join().expect("no panic");
        assert!(world.entry.code().is_none() && world.entry.stage() == Stage::Watched);
    });
}

#[test]
fn e4_nothing_is_published_in_an_entry_that_is_gone() {
    check(|| {
        let world = world();
        world.tiers.ask(&world.entry, Tier::Native1);
        let tiers = world.tiers.clone();
        let worker = thread::spawn(move || work(&tiers));
        world.tiers.forget_entry(&world.entry);
        check_executor(&world.entry);
        worker.join().expect("no panic");
        assert_eq!(world.entry.stage(), Stage::Gone);
        assert!(world.entry.code().is_none(), "T5");
        assert_eq!(world.tiers.code_bytes.load(Ordering::Relaxed), 0, "what is not in place is not counted");
        assert_eq!(world.tiers.compiler.mapped_bytes(), 0, "and its pages are given back");
        let again = world.tiers.entry(world.key, world.bytecode.clone(), &world.configuration);
        assert!(!Arc::ptr_eq(&again, &world.entry), "a later frame starts a new entry");
    });
}

#[test]
fn b2_two_threads_that_ask_make_one_job_wait() {
    check(|| {
        let world = world();
        let (tiers, entry) = (world.tiers.clone(), world.entry.clone());
        let other = thread::spawn(move || tiers.heated(&entry, MUCH));
        world.tiers.heated(&world.entry, MUCH);
        other.join().expect("no panic");
        let jobs = world.tiers.queue.clear();
        // The queue may have been busy for whoever was second; then the other's job waits.
        assert_eq!(jobs, 1);
        assert!(!world.entry.queued.load(Ordering::Relaxed), "it may be asked for again");
    });
}

#[test]
fn t1_a_frame_that_asks_meets_the_worker_at_every_step() {
    check(|| {
        let world = world();
        world.tiers.heated(&world.entry, MUCH);
        let tiers = world.tiers.clone();
        let worker = thread::spawn(move || work(&tiers));
        check_executor(&world.entry);
        world.tiers.heated(&world.entry, MUCH);
        worker.join().expect("no panic");
        // What was asked for meanwhile is done now, or was done already.
        work(&world.tiers);
        assert_eq!(world.entry.stage(), Stage::Native1);
        let code = world.entry.code().expect("code in place");
        assert!(!code.is_replaced());
        assert_eq!(world.tiers.code_bytes.load(Ordering::Relaxed), code.bytes as u64);
        assert_eq!(world.tiers.counters.snapshot().compiled, 1, "T2: nothing is compiled twice");
    });
}

#[test]
fn u3_demotion_and_publishing_leave_the_books_in_order() {
    check(|| {
        let world = world();
        world.tiers.heated(&world.entry, MUCH);
        let tiers = world.tiers.clone();
        let worker = thread::spawn(move || work(&tiers));
        world.tiers.demote_entry(&world.entry);
        worker.join().expect("no panic");
        let code = world.entry.code();
        let expected = if code.is_some() { Stage::Native1 } else { Stage::Watched };
        assert_eq!(world.entry.stage(), expected);
        assert_eq!(world.tiers.code_bytes.load(Ordering::Relaxed), code.map_or(0, |code| code.bytes as u64));
    });
}
