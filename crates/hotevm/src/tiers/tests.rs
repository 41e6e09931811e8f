//! The laws of the runtime, with a compiler that tests steer.
//!
//! in   heat, leaves and calls by hand, as executing threads and owners of runtimes make them
//! out  stages, counters, what the compiler was asked for

mod jobs;
mod ready;
mod warm;

use super::{
    Found, Tiers,
    entry::{Entry, Key, Stage, Tier},
    fake::{Behaviour, Fake},
};

use crate::{
    Config, Preset, Runtime, Tuning,
    code::NativeCode,
    compiler::Rejection,
    config::Instructions,
    configuration::{Configuration, Settings},
    sync::{self, Arc, Ordering, lock},
};
use revm::{
    bytecode::Bytecode,
    context_interface::cfg::GasParams,
    interpreter::instructions::gas_table_spec,
    primitives::{Bytes, hardfork::SpecId, keccak256},
};
use std::time::Duration;

/// More than any test compiles in.
const LONG: Duration = Duration::from_secs(60);
/// Heat that is worth anything.
const MUCH: u64 = 1 << 40;

struct Bench {
    runtime: Runtime,
    fake: Fake,
    configuration: Arc<Configuration>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::preset(Preset::Production);
        config.tuning.compile_cpu_share = 1e6;
        change(&mut config);
        let fake = Fake::new();
        let runtime = Runtime::over(Tiers::new(config, Box::new(fake.clone())), None);
        let spec = SpecId::OSAKA;
        let settings = Settings { spec, gas_table: gas_table_spec(spec), gas_params: GasParams::new_spec(spec), custom: [0; 4] };
        let configuration = runtime.tiers.configurations.get(settings);
        Self { runtime, fake, configuration }
    }

    /// Without workers: what is asked for is compiled at once.
    fn at_once(change: impl FnOnce(&mut Config)) -> Self {
        Self::new(|config| {
            config.workers = 0;
            change(config);
        })
    }

    fn tiers(&self) -> &Arc<Tiers> {
        &self.runtime.tiers
    }

    fn key(&self, bytecode: &Bytes) -> Key {
        (keccak256(bytecode), self.configuration.number)
    }

    /// A watched entry of the code with this number.
    fn entry(&self, number: u8) -> Arc<Entry> {
        let bytecode = code(number);
        let entry = self.tiers().entry(self.key(&bytecode), bytecode, &self.configuration);
        self.tiers().watch(&entry);
        entry
    }

    fn settle(&self) {
        assert!(self.runtime.settle(LONG));
    }
}

fn code(number: u8) -> Bytes {
    vec![0x5b, 0x60, number, 0x50, 0x00].into()
}

/// Makes code hot and compiled.
fn compiled(bench: &Bench, number: u8) -> Arc<Entry> {
    let entry = bench.entry(number);
    bench.tiers().heated(&entry, MUCH);
    bench.settle();
    assert_eq!(entry.stage(), Stage::Native1);
    entry
}

fn code_of(entry: &Entry) -> Arc<NativeCode> {
    entry.code().expect("compiled code")
}

#[test]
fn while_paused_the_test_preset_watches() {
    let bench = Bench::at_once(|config| config.preset = Preset::Test);
    bench.runtime.pause();
    let bytecode = code(1);
    let start = || match bench.tiers().find(bench.key(&bytecode), &Bytecode::new_legacy(bytecode.clone()), &bench.configuration) {
        Found::Entry(entry) => {
            bench.tiers().start(&entry);
            entry
        }
        _ => panic!("preset test makes an entry at once"),
    };
    let entry = start();
    assert_eq!(entry.stage(), Stage::Watched);
    entry.profile().expect("a profile").record(3);
    bench.tiers().heated(&entry, MUCH);
    bench.settle();
    bench.runtime.resume();
    assert_eq!(start().stage(), Stage::Whole);
    assert_eq!(bench.fake.asked()[0].likely, Some(vec![3]));
}

#[test]
fn of_frames_that_show_nothing_new_few_are_watched() {
    let bench = Bench::new(|_| {});
    let tuning = &bench.runtime.config().tuning;
    let entry = bench.entry(1);
    let profile = entry.profile().expect("a profile");
    // Frames of a code that run block after block, each a new one or the first again.
    let frames = |count: u32, is_new: bool| {
        let watched = (0..count).filter(|_| {
            let is_watched = entry.watches_next(tuning);
            if is_watched {
                let blocks = profile.blocks();
                profile.record(if is_new { blocks as usize } else { 0 });
                profile.stretch_ended(blocks, true);
            }
            is_watched
        });
        watched.count() as u32
    };
    assert_eq!(frames(5, true), 5, "each shows a new block");
    assert_eq!(frames(tuning.quiet_frames, false), tuning.quiet_frames);
    assert_eq!(frames(80, false), 10, "one in eight");
    assert_eq!(frames(16, true), 16 - (8 - (5 + tuning.quiet_frames + 80) % 8) % 8, "from the next of the eighths on, each");
    let rest = tuning.watched_frames_max - (5 + tuning.quiet_frames + 80 + 16);
    frames(rest, false);
    assert_eq!(frames(100, true), 0, "no more than so many frames");
}

#[test]
fn a_code_passes_all_tiers() {
    let bench = Bench::new(|_| {});
    let bytecode = code(1);
    let key = bench.key(&bytecode);
    let find = || bench.tiers().find(key, &Bytecode::new_legacy(bytecode.clone()), &bench.configuration);
    assert!(matches!(find(), Found::Nothing), "cold code has no entry");
    assert!(!bench.tiers().seen(bench.tiers().heat_place(key), 10, 0));
    assert!(bench.tiers().seen(bench.tiers().heat_place(key), bench.runtime.config().tuning.warm_gas, 0));
    let entry = bench.tiers().warm_up(key, || bytecode.clone(), &bench.configuration).expect("room for an entry");
    assert_eq!(entry.stage(), Stage::Watched);
    assert!(matches!(find(), Found::Entry(found) if Arc::ptr_eq(&found, &entry)));
    entry.profile().expect("a profile").record(0);
    bench.tiers().heated(&entry, MUCH);
    bench.settle();
    assert_eq!(entry.stage(), Stage::Native1);
    let first = code_of(&entry);
    bench.tiers().ran(&first, MUCH);
    bench.settle();
    assert_eq!(entry.stage(), Stage::Native2);
    assert!(first.is_replaced(), "T3: the old code is marked");
    assert!(!code_of(&entry).is_replaced());
    bench.runtime.compile(&bytecode, SpecId::OSAKA, Instructions::Stock).expect("whole");
    assert_eq!(entry.stage(), Stage::Whole);
    let tiers: Vec<Tier> = bench.fake.asked().iter().map(|asked| asked.tier).collect();
    assert_eq!(tiers, [Tier::Native1, Tier::Native2, Tier::Whole]);
    assert_eq!(bench.fake.asked()[0].region, Some(vec![0]));
    assert_eq!(bench.fake.asked()[0].likely, None);
    let whole = &bench.fake.asked()[2];
    assert_eq!((&whole.region, &whole.likely), (&None, &Some(vec![0])), "all blocks, those seen to run together");
    let statistics = bench.runtime.statistics();
    let became = [statistics.became_watched, statistics.became_native_1, statistics.became_native_2, statistics.became_whole];
    assert_eq!(became, [1; 4]);
}

#[test]
fn heat_decides_when_a_code_is_compiled() {
    let bench = Bench::at_once(|config| config.preset = Preset::Production);
    let entry = bench.entry(1);
    bench.tiers().heated(&entry, 1000);
    assert_eq!(entry.stage(), Stage::Watched, "not worth it yet");
    let mut gas = 1000_u64;
    while entry.stage() == Stage::Watched {
        bench.tiers().heated(&entry, 100_000);
        gas += 100_000;
    }
    assert!((1_000_000..100_000_000).contains(&gas), "compiled after {gas} gas");
}

#[test]
fn t1_executing_threads_do_not_wait_while_code_is_compiled() {
    let bench = Bench::new(|_| {});
    bench.fake.hold();
    let (busy, other) = (bench.entry(1), bench.entry(2));
    bench.tiers().heated(&busy, MUCH);
    bench.fake.wait_for(1);
    // The worker holds the lock of the first entry; everything a frame calls comes back all the same.
    bench.tiers().heated(&busy, MUCH);
    bench.tiers().heated(&other, MUCH);
    assert!(matches!(bench.tiers().find(busy.key, &Bytecode::new_legacy(code(1)), &bench.configuration), Found::Entry(_)));
    bench.tiers().start(&busy);
    assert_eq!(busy.stage(), Stage::Watched);
    bench.fake.release();
    bench.settle();
    assert_eq!((busy.stage(), other.stage()), (Stage::Native1, Stage::Native1));
}

#[test]
fn w1_a_panic_rejects_that_code_alone() {
    let bench = Bench::new(|_| {});
    bench.fake.behave(Behaviour::Panic);
    let bad = bench.entry(1);
    bench.tiers().heated(&bad, MUCH);
    bench.settle();
    assert_eq!(bad.stage(), Stage::Rejected);
    assert_eq!(bench.runtime.peek(bad.key.0)[0].rejection, Some(Rejection::Panic));
    bench.fake.behave(Behaviour::Succeed);
    compiled(&bench, 2);
    let statistics = bench.runtime.statistics();
    assert_eq!((statistics.panics, statistics.rejected, statistics.compiled), (1, 1, 1));
    assert_eq!(bench.tiers().queue.workers(), 1, "the worker lives on");
}

#[test]
fn rejections_are_retried_after_doubling_times() {
    let bench = Bench::at_once(|config| config.tuning.retry_s = 10);
    bench.fake.behave(Behaviour::Fail);
    let entry = bench.entry(1);
    let mut now_s = 0;
    for wait_s in [10, 20, 40] {
        bench.tiers().heated(&entry, MUCH);
        assert_eq!(entry.stage(), Stage::Rejected);
        bench.tiers().upkeep(now_s + wait_s - 1);
        assert_eq!(entry.stage(), Stage::Rejected, "{wait_s} seconds have not passed");
        now_s += wait_s;
        bench.tiers().upkeep(now_s);
        assert_eq!(entry.stage(), Stage::Watched);
        assert_eq!(entry.heat(), 0, "it has to earn it again");
    }
    bench.fake.behave(Behaviour::FailForGood);
    bench.tiers().heated(&entry, MUCH);
    bench.tiers().upkeep(now_s + 3000);
    assert_eq!(entry.stage(), Stage::Rejected, "permanent rejections stay");
    assert_eq!(bench.runtime.statistics().retried, 3);
}

#[test]
fn w2_a_code_keeps_what_it_has_when_the_next_tier_fails() {
    let bench = Bench::at_once(|_| {});
    let entry = compiled(&bench, 1);
    bench.fake.behave(Behaviour::Fail);
    bench.tiers().ran(&code_of(&entry), MUCH);
    assert_eq!(entry.stage(), Stage::Native1);
    let asked = bench.fake.asked().len();
    bench.tiers().ran(&code_of(&entry), MUCH);
    assert_eq!(bench.fake.asked().len(), asked, "and does not ask again");
}

#[test]
fn a_region_that_cannot_grow_is_not_tried_again_and_again() {
    for (behaviour, tries_max) in [(Behaviour::FailForGood, 1), (Behaviour::Fail, 12)] {
        let bench = Bench::at_once(|config| config.tuning = Tuning { grow_leaves: 1, ..config.tuning.clone() });
        let entry = compiled(&bench, 1);
        entry.profile().expect("a profile").record(3);
        let asked = bench.fake.asked().len();
        bench.fake.behave(behaviour);
        (0..1000).for_each(|_| bench.tiers().left(&code_of(&entry), 0));
        let tries = bench.fake.asked().len() - asked;
        assert!((1..=tries_max).contains(&tries), "{tries} times");
        assert_eq!(entry.stage(), Stage::Native1, "what is there stays");
    }
}

#[test]
fn w3_bytes_under_a_wrong_hash_are_never_compiled() {
    let bench = Bench::at_once(|_| {});
    let key = bench.key(&code(9));
    let entry = bench.tiers().entry(key, code(1), &bench.configuration);
    bench.tiers().watch(&entry);
    bench.tiers().heated(&entry, MUCH);
    assert_eq!(entry.stage(), Stage::Gone);
    assert!(bench.fake.asked().is_empty());
    assert!(bench.runtime.peek(key.0).is_empty());
}

#[test]
fn denied_codes_are_never_compiled() {
    let denied = keccak256(code(1));
    let bench = Bench::at_once(|config| {
        config.deny.insert(denied);
    });
    let entry = bench.entry(1);
    bench.tiers().heated(&entry, MUCH);
    assert_eq!(bench.runtime.compile(&code(1), SpecId::OSAKA, Instructions::Stock), Err(Rejection::Denied));
    bench.tiers().upkeep(1 << 20);
    assert_eq!(bench.runtime.peek(denied)[0].rejection, Some(Rejection::Denied));
    assert!(bench.fake.asked().is_empty());
}

#[test]
fn repeated_leaves_grow_the_region() {
    let bench = Bench::at_once(|config| config.tuning = Tuning { grow_leaves: 3, ..config.tuning.clone() });
    let entry = compiled(&bench, 1);
    let code = code_of(&entry);
    (0..10).for_each(|_| bench.tiers().left(&code, 0));
    assert_eq!(bench.fake.asked().len(), 1, "nothing new was seen, so nothing could be better");
    entry.profile().expect("a profile").record(3);
    bench.tiers().left(&code, 0);
    let grown = code_of(&entry);
    assert_eq!(bench.fake.asked()[1].region, Some(vec![3]));
    entry.profile().expect("a profile").record(4);
    (0..5).for_each(|_| bench.tiers().left(&grown, 0));
    assert_eq!(bench.fake.asked().len(), 2, "the second time needs twice as many leaves");
    bench.tiers().left(&grown, 0);
    assert_eq!(bench.fake.asked()[2].region, Some(vec![3, 4]));
    assert_eq!(bench.runtime.statistics().regrown, 2);
    assert_eq!(bench.runtime.peek(entry.key.0)[0].leaves, 17);
}

#[test]
fn compilations_of_one_code_are_bounded() {
    let bench = Bench::at_once(|config| {
        (config.tuning.grow_leaves, config.tuning.compilations_max) = (1, 3);
    });
    let entry = compiled(&bench, 1);
    for pc in 0..5 {
        entry.profile().expect("a profile").record(pc);
        (0..100).for_each(|_| bench.tiers().left(&code_of(&entry), 0));
    }
    assert_eq!(bench.fake.asked().len(), 3);
}

#[test]
fn a_disabled_runtime_starts_no_threads() {
    let bench = Bench::new(|config| config.enabled = false);
    assert_eq!(bench.tiers().queue.workers(), 0);
    assert!(!bench.tiers().is_enabled());
    bench.runtime.enable();
    assert_eq!(bench.tiers().queue.workers(), 1);
    compiled(&bench, 1);
    assert!(bench.runtime.disable());
    assert_eq!(bench.tiers().queue.workers(), 0);
    assert_eq!(bench.entry(1).stage(), Stage::Native1, "what is compiled stays");
    bench.runtime.enable();
    compiled(&bench, 2);
}

#[test]
fn shutdown_ends_in_time_with_jobs_queued_and_running() {
    let bench = Bench::new(|_| {});
    bench.fake.hold();
    let entries: Vec<Arc<Entry>> = (1..=5).map(|number| bench.entry(number)).collect();
    entries.iter().for_each(|entry| bench.tiers().heated(entry, MUCH));
    bench.fake.wait_for(1);
    assert!(!bench.runtime.shutdown(Duration::from_millis(20)), "a job still runs");
    assert_eq!(bench.tiers().queue.len(), 0, "jobs that wait are dropped");
    bench.fake.release();
    assert!(bench.runtime.shutdown(LONG));
    assert_eq!(bench.fake.asked().len(), 1);
}

#[test]
fn h2_the_last_handle_ends_the_workers() {
    let Bench { runtime, .. } = Bench::new(|_| {});
    let tiers = runtime.tiers.clone();
    let second = runtime.clone();
    drop(runtime);
    assert_eq!(tiers.queue.workers(), 1);
    drop(second);
    assert_eq!(tiers.queue.workers(), 0);
}

#[test]
fn paused_jobs_gather() {
    let bench = Bench::new(|_| {});
    bench.runtime.pause();
    let entry = bench.entry(1);
    bench.tiers().heated(&entry, MUCH);
    assert!(!bench.runtime.settle(Duration::from_millis(20)));
    assert_eq!(entry.stage(), Stage::Watched);
    bench.runtime.resume();
    bench.settle();
    assert_eq!(entry.stage(), Stage::Native1);
}

#[test]
fn u2_code_is_not_unmapped_while_a_frame_holds_it() {
    let bench = Bench::at_once(|_| {});
    let entry = compiled(&bench, 1);
    let held = code_of(&entry);
    let mapped = bench.runtime.mapped_bytes();
    assert!(mapped > 0);
    assert!(bench.runtime.demote(entry.key.0));
    assert_eq!(bench.runtime.mapped_bytes(), mapped);
    assert!(held.is_replaced());
    drop(held);
    assert_eq!(bench.runtime.mapped_bytes(), 0);
    assert_eq!(entry.stage(), Stage::Watched, "U3");
    bench.tiers().heated(&entry, MUCH);
    assert_eq!(entry.stage(), Stage::Native1);
}

#[test]
fn the_least_recently_used_code_gives_way() {
    let bench = Bench::at_once(|config| config.tuning.code_bytes_max = 250);
    let entries: Vec<Arc<Entry>> = (1..=3).map(|number| compiled(&bench, number)).collect();
    for (entry, used_at_s) in entries.iter().zip([30, 10, 20]) {
        entry.used(used_at_s);
    }
    bench.tiers().upkeep(40);
    let stages: Vec<Stage> = entries.iter().map(|entry| entry.stage()).collect();
    assert_eq!(stages, [Stage::Native1, Stage::Watched, Stage::Native1]);
    assert_eq!(bench.runtime.statistics().evicted, 1);
}

#[test]
fn idle_code_goes_and_then_its_entry() {
    let bench = Bench::at_once(|config| config.tuning.idle_s = 100);
    let entry = compiled(&bench, 1);
    bench.tiers().upkeep(100);
    assert_eq!(entry.stage(), Stage::Native1);
    bench.tiers().upkeep(101);
    assert_eq!(entry.stage(), Stage::Watched);
    bench.tiers().upkeep(102);
    assert_eq!(entry.stage(), Stage::Gone);
    assert_eq!(bench.tiers().profile_bytes.load(Ordering::Relaxed), 0);
    assert_eq!(bench.tiers().code_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn t5_what_is_forgotten_while_it_is_compiled_is_not_published() {
    let bench = Bench::new(|_| {});
    bench.fake.hold();
    let entry = bench.entry(1);
    bench.tiers().heated(&entry, MUCH);
    bench.fake.wait_for(1);
    assert!(bench.runtime.forget(entry.key.0));
    bench.fake.release();
    bench.settle();
    assert_eq!(entry.stage(), Stage::Gone);
    assert!(entry.code().is_none());
    assert_eq!(bench.runtime.mapped_bytes(), 0, "its pages are given back");
    assert_ne!(Arc::as_ptr(&bench.entry(1)), Arc::as_ptr(&entry), "a new entry begins anew");
}

#[test]
fn entries_and_profiles_are_bounded() {
    let bench = Bench::new(|config| {
        (config.tuning.entries_max, config.tuning.profile_bytes_max) = (3, 8);
    });
    let warm = |number: u8| {
        let bytecode = code(number);
        let key = bench.key(&bytecode);
        bench
            .tiers()
            .seen(bench.tiers().heat_place(key), MUCH, 0)
            .then(|| bench.tiers().warm_up(key, || bytecode, &bench.configuration))
            .flatten()
    };
    let entries: Vec<Option<Arc<Entry>>> = (1..=5).map(warm).collect();
    assert_eq!(entries.iter().flatten().count(), 3);
    let stages: Vec<Stage> = entries.iter().flatten().map(|entry| entry.stage()).collect();
    assert_eq!(stages, [Stage::Watched, Stage::Watched, Stage::Cold], "there is room for two profiles");
    let statistics = bench.runtime.statistics();
    assert_eq!((statistics.entries_full, statistics.profiles_full), (2, 1));
}

#[test]
fn a_million_codes_seen_once_leave_no_entry() {
    let bench = Bench::new(|config| config.tuning.warm_gas = 40_000);
    let mut key = bench.key(&code(1));
    let mut warm = 0;
    for number in 0..1_000_000_u32 {
        key.0[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_le_bytes());
        key.0[12..16].copy_from_slice(&number.to_be_bytes());
        warm += u32::from(bench.tiers().seen(bench.tiers().heat_place(key), 2_000, 0));
    }
    assert_eq!(warm, 0);
    assert_eq!(bench.tiers().all_entries().len(), 0);
}

#[test]
fn peeking_is_no_observation() {
    let bench = Bench::at_once(|_| {});
    let entry = compiled(&bench, 1);
    let before = (entry.heat(), entry.used_at_s(), bench.runtime.statistics());
    bench.tiers().now_s.store(77, Ordering::Relaxed);
    let row = &bench.runtime.peek(entry.key.0)[0];
    assert_eq!((row.stage, row.code_bytes, row.compilations), (Stage::Native1, 100, 1));
    assert_eq!((entry.heat(), entry.used_at_s(), bench.runtime.statistics()), before);
}

#[test]
fn calls_by_hand_do_what_they_say() {
    let bench = Bench::new(|_| {});
    let (spec, stock) = (SpecId::OSAKA, Instructions::Stock);
    bench.runtime.prepare(&code(1), spec, stock);
    assert_eq!(bench.entry(1).stage(), Stage::Watched);
    bench.runtime.compile_tier(&code(2), spec, stock, Tier::Native2).expect("compiled while the caller waits");
    assert_eq!(bench.entry(2).stage(), Stage::Native2);
    bench.runtime.request(&code(3), spec, stock, Tier::Whole);
    bench.settle();
    assert_eq!(bench.entry(3).stage(), Stage::Whole);
    assert_eq!(bench.runtime.report().len(), 3);
    assert!(bench.runtime.forget(keccak256(code(3))));
    assert!(!bench.runtime.forget(keccak256(code(3))));
    assert!(!bench.runtime.demote(keccak256(code(1))), "it has nothing to lose");
    bench.runtime.clear();
    assert!(bench.runtime.report().is_empty());
    assert_eq!(bench.runtime.mapped_bytes(), 0);
}

#[test]
fn t2_nothing_is_compiled_twice_at_once() {
    let bench = Bench::new(|config| config.workers = 2);
    bench.fake.hold();
    let entry = bench.entry(1);
    bench.tiers().request(&entry, Tier::Native1);
    bench.fake.wait_for(1);
    // The job left the queue, so a second one may wait; it finds the code made when its turn comes.
    bench.tiers().request(&entry, Tier::Native1);
    bench.fake.release();
    bench.settle();
    assert_eq!(bench.fake.asked().len(), 1);
}

#[test]
fn the_budget_holds_workers_back() {
    let bench = Bench::new(|config| config.enabled = false);
    // A worker that waits already would go by the budget of then.
    lock(&bench.tiers().budget).spend(Duration::from_secs(1 << 40));
    bench.runtime.enable();
    bench.tiers().request(&bench.entry(1), Tier::Native1);
    assert!(!bench.runtime.settle(Duration::from_millis(50)));
    assert!(bench.fake.asked().is_empty());
    assert!(bench.runtime.shutdown(LONG), "waiting for the budget does not keep a worker from ending");
}
