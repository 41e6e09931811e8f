//! The laws of the writer and of preloads, with a compiler and a store that tests steer.
//!
//! in   code that gets hot; a store that fails, panics, is slow, or comes back
//! out  what is in the store, what entries have, counters

mod shelf;

use super::{Preloaded, Record, Taken, region_digest};
use crate::{
    Config, Instructions, Preset, Rejection, Runtime, Tuning,
    hashes::Input,
    sync::{self, Arc, Ordering, spawn_named},
    tiers::{
        Tiers,
        entry::{Entry, Rejected, Stage, Tier},
        fake::Fake,
    },
};
use hotevm_abi::{Artifact, ArtifactKey, Refusal, Tier as KeyTier};
use hotevm_code::SharedObject;
use hotevm_store::ArtifactStore;
use revm::{
    bytecode::Bytecode,
    primitives::{B256, Bytes, U256, hardfork::SpecId, keccak256},
};
use shelf::Shelf;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const SPEC: SpecId = SpecId::OSAKA;
const STOCK: Instructions = Instructions::Stock;

struct Bench {
    runtime: Runtime,
    fake: Fake,
    shelf: Shelf,
}

impl Bench {
    fn new(shelf: &Shelf, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { store: Some(Arc::new(shelf.clone())), ..Config::preset(Preset::Production) };
        config.tuning = Tuning { compile_cpu_share: 1e6, store_retry_ms: 1, ..config.tuning };
        change(&mut config);
        let fake = Fake::new();
        let runtime = Runtime::over(Tiers::new(config, Box::new(fake.clone())), None);
        Self { runtime, fake, shelf: shelf.clone() }
    }

    fn entry(&self, number: u8) -> Arc<Entry> {
        self.runtime.entry(&code(number), SPEC, STOCK)
    }

    /// Compiles these blocks of a code for a tier.
    fn compile(&self, number: u8, blocks: &[usize], tier: Tier) -> Arc<Entry> {
        let entry = self.entry(number);
        self.runtime.tiers.watch(&entry);
        blocks.iter().for_each(|pc| entry.profile().expect("a profile").record(*pc));
        self.runtime.compile_tier(&code(number), SPEC, STOCK, tier).expect("the compiler compiles");
        entry
    }

    /// Notes gas that the code of a number charged.
    fn run(&self, number: u8) {
        let entry = self.entry(number);
        self.runtime.tiers.ran(&entry.code().expect("code"), 100);
    }

    fn settle(&self) {
        assert!(self.runtime.settle(LONG));
    }

    fn count(&self, name: &str) -> u64 {
        self.runtime.writer_counts().iter().find(|(other, _)| *other == name).expect("a counter of this name").1
    }

    fn preload(&self) -> Preloaded {
        self.runtime.preload().expect("a store that can be read")
    }
}

/// An artifact of these blocks of a code, made for CPUs with a feature of this name.
fn elsewhere(number: u8, blocks: &[usize], tier: Tier, feature: &str) -> SharedObject {
    let bench = Bench::new(&Shelf::default(), |_| {});
    bench.compile(number, blocks, tier);
    bench.settle();
    let artifact = bench.shelf.objects()[0].artifact().clone();
    let key = ArtifactKey { features: vec![feature.to_owned()], ..artifact.key };
    SharedObject::write(&Artifact { key, ..artifact }).expect("an object")
}

/// A feature that the CPU has, and that the keys of these tests do not name.
fn own_feature() -> &'static str {
    hotevm_code::host_features()[0]
}

#[test]
fn what_is_not_for_this_process_is_not_taken() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    let foreign = elsewhere(1, &[0], Tier::Whole, "a-feature-of-no-cpu");
    assert_eq!(bench.runtime.take_artifact(foreign.clone()), Err(Rejection::Refused(Refusal::Cpu)));
    // Not from a store either, whatever that store thinks.
    bench.shelf.store(&foreign).expect("stored");
    let preloaded = bench.preload();
    assert_eq!((preloaded.taken, preloaded.not_mapped), (0, 1));
    assert!(bench.entry(1).code().is_none());
}

fn code(number: u8) -> Bytes {
    vec![0x5b, 0x60, number, 0x50, 0x5b, 0x5b, 0x00].into()
}

#[test]
fn n4_a_region_is_kept_with_its_profile_and_grows_in_the_next_process() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    first.compile(1, &[0], Tier::Native1);
    first.settle();
    assert_eq!(shelf.objects()[0].artifact().key.tier, KeyTier::First);
    let entry = first.entry(1);
    entry.profile().expect("a profile").watched(7, 700);
    first.compile(1, &[4], Tier::Native2);
    first.settle();
    assert_eq!((first.count("written"), first.count("superseded")), (2, 1));
    entry.profile().expect("a profile").record(5);
    let [object] = shelf.objects().try_into().expect("one artifact");
    let key = &object.artifact().key;
    assert_eq!((key.tier, key.region), (KeyTier::Second, region_digest(&[0, 4])));
    let record = Record { stops: 7, gas: 700, seen: vec![0, 4], region: vec![0, 4] };
    assert_eq!(Record::decode(&object.artifact().profile), Some(record));
    // The next process, as far as the store can tell.
    let second = Bench::new(&shelf, |config| config.tuning.grow_leaves = 2);
    assert_eq!(second.preload(), Preloaded { taken: 1, is_whole: true, ..Preloaded::default() });
    let entry = second.entry(1);
    let taken = entry.code().expect("the code of the store");
    let profile = entry.profile().expect("the profile of the store");
    assert_eq!((entry.stage(), taken.profile_blocks, profile.starts()), (Stage::Native2, 2, vec![0, 4]));
    assert_eq!((profile.totals(), second.fake.asked().len()), ((7, 700), 0));
    profile.record(5);
    (0..4).for_each(|_| second.runtime.tiers.left(&taken, 0));
    second.settle();
    assert_eq!(second.fake.asked()[0].region, Some(vec![0, 4, 5]));
    assert_eq!((second.count("written"), second.count("superseded")), (1, 1));
    let [object] = shelf.objects().try_into().expect("the larger region alone");
    assert_eq!(object.artifact().key.region, region_digest(&[0, 4, 5]));
    assert_eq!(Bench::new(&shelf, |_| {}).preload().taken, 1);
}

#[test]
fn bytes_are_compared_once_for_each_place() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    let entry = bench.entry(1);
    let (own, copy) = (Bytecode::new_legacy(code(1)), Bytecode::new_legacy(code(1)));
    assert_ne!(own.original_byte_slice().as_ptr(), copy.original_byte_slice().as_ptr());
    assert!(entry.holds(&own) && entry.holds(&own) && entry.holds(&copy) && entry.holds(&own));
    assert!(!entry.holds(&Bytecode::new_legacy(code(2))));
    let shorter = Bytecode::new_legacy(code(1).slice(..3));
    assert!(!entry.holds(&shorter) && entry.holds(&copy));
}

#[test]
fn better_code_is_not_replaced_by_an_artifact() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    first.compile(1, &[0], Tier::Native2);
    first.compile(2, &[0], Tier::Native2);
    first.runtime.compile(&code(3), SPEC, STOCK).expect("compiled");
    first.settle();
    let second = Bench::new(&shelf, |_| {});
    second.compile(1, &[0, 4], Tier::Native2);
    second.compile(2, &[0, 4], Tier::Native1);
    // The writer may have kept by now what the second compiled: that is present, too.
    let preloaded = second.preload();
    assert!(preloaded.present >= 1, "{preloaded:?}");
    assert_eq!(preloaded, Preloaded { taken: 2, present: preloaded.present, is_whole: true, ..Preloaded::default() });
    let stages = [1, 2, 3].map(|number| second.entry(number).stage());
    assert_eq!(stages, [Stage::Native2, Stage::Native2, Stage::Whole]);
    let blocks = [1, 2].map(|number| second.entry(number).code().expect("code").profile_blocks);
    assert_eq!(blocks, [2, 1], "a higher tier of fewer blocks is better than a lower one of more");
    second.settle();
    let test = Bench::new(&shelf, |config| config.preset = Preset::Test);
    let preloaded = test.preload();
    assert!(preloaded.regions >= 3, "{preloaded:?}");
    assert_eq!(preloaded, Preloaded { taken: 1, regions: preloaded.regions, is_whole: true, ..Preloaded::default() });
}

#[test]
fn what_lacked_a_compiler_takes_an_artifact_and_what_is_denied_does_not() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    [1, 2].iter().for_each(|number| drop(first.compile(*number, &[0], Tier::Whole)));
    first.settle();
    let second = Bench::new(&shelf, |config| {
        config.deny.insert(keccak256(code(2)));
    });
    let entry = second.entry(1);
    let mut ledger = entry.ledger();
    ledger.rejected = Some(Rejected { reason: Rejection::NoCompiler, retry_at_s: None });
    entry.publish(&mut ledger, None, Stage::Rejected);
    drop(ledger);
    assert_eq!(second.preload(), Preloaded { taken: 1, present: 1, is_whole: true, ..Preloaded::default() });
    assert_eq!([1, 2].map(|number| second.entry(number).stage()), [Stage::Whole, Stage::Rejected]);
    assert!(entry.ledger().rejected.is_none());
}

#[test]
fn p3_a_store_that_fails_is_tried_again() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    bench.shelf.fail(5);
    let entry = bench.compile(1, &[0], Tier::Native2);
    assert_eq!(entry.stage(), Stage::Native2, "the code is there whatever the store does");
    bench.shelf.wait_for_artifacts(1);
    bench.settle();
    assert_eq!((bench.count("failed"), bench.count("retried"), bench.count("written")), (5, 5, 1));
}

#[test]
fn p3_a_full_store_holds_nobody_up() {
    let bench = Bench::new(&Shelf::default(), |config| config.tuning.store_retry_ms = 1 << 20);
    bench.shelf.fail(u32::MAX);
    bench.compile(1, &[0], Tier::Native2);
    bench.shelf.wait_for_calls(1);
    bench.compile(2, &[0], Tier::Native2);
    assert!(bench.runtime.settle(LONG), "a store that fails is not waited for");
    assert_eq!((bench.count("failed"), bench.count("written")), (1, 0));
    assert!(bench.runtime.shutdown(LONG), "P4: what cannot be written is given up");
    assert_eq!(bench.count("given-up"), 2);
}

#[test]
fn a_store_that_panics_is_a_store_that_fails() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    bench.shelf.panic(true);
    bench.compile(1, &[0], Tier::Native2);
    bench.shelf.wait_for_calls(2);
    bench.shelf.panic(false);
    bench.shelf.wait_for_artifacts(1);
    bench.settle();
    assert!(bench.count("failed") >= 2 && bench.count("written") == 1);
}

#[test]
fn p2_a_slow_store_holds_nobody_up_and_the_queue_is_bounded() {
    let bench = Bench::new(&Shelf::default(), |config| config.tuning.store_queue_len_max = 2);
    bench.shelf.hold(true);
    bench.compile(1, &[0], Tier::Native2);
    bench.shelf.wait_for_calls(1);
    // While the store hangs, codes are compiled, replaced and run.
    let entries: Vec<_> = (2..6).map(|number| bench.compile(number, &[0], Tier::Native2)).collect();
    assert!(entries.iter().all(|entry| entry.stage() == Stage::Native2));
    bench.compile(2, &[0, 4], Tier::Native2);
    assert!(!bench.runtime.settle(Duration::from_millis(20)));
    assert_eq!(bench.count("dropped"), 2);
    bench.shelf.hold(false);
    bench.settle();
    assert_eq!((bench.count("written"), bench.shelf.objects().len()), (3, 3));
    let regions: Vec<_> = bench.shelf.objects().iter().map(|object| object.artifact().key.region).collect();
    assert_eq!(regions.iter().filter(|region| **region == region_digest(&[0, 4])).count(), 1, "the newest code is written");
    assert!(entries.iter().all(|entry| !entry.writing.load(Ordering::Relaxed)), "what was dropped may be pushed again");
}

#[test]
fn shutting_down_waits_no_longer_than_it_may_for_a_store_that_hangs() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    bench.shelf.hold(true);
    bench.compile(1, &[0], Tier::Native2);
    bench.shelf.wait_for_calls(1);
    bench.compile(2, &[0], Tier::Native2);
    assert!(!bench.runtime.shutdown(Duration::from_millis(20)));
    bench.shelf.hold(false);
    assert!(bench.runtime.shutdown(LONG));
    bench.runtime.enable();
    bench.compile(3, &[0], Tier::Native2);
    bench.settle();
    assert!(bench.shelf.objects().len() >= 2, "an enabled runtime has a writer again");
}

#[test]
fn p4_the_last_handle_to_go_leaves_nothing_unwritten_and_tells_what_was_used() {
    let shelf = Shelf::default();
    let bench = Bench::new(&shelf, |_| {});
    shelf.hold(true);
    let entries = [1, 2, 3].map(|number| bench.compile(number, &[0], Tier::Native2));
    entries[1].code().expect("code").add_gas(5);
    shelf.hold(false);
    drop(bench);
    assert_eq!(shelf.objects().len(), 3);
    let used: Vec<_> = shelf.used().iter().map(|key| key.code_hash).collect();
    assert_eq!(used, [entries[1].key.0]);
}

#[test]
fn a_store_that_cannot_be_read_at_start_is_tried_again() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    first.compile(1, &[0], Tier::Whole);
    first.settle();
    let second = Bench::new(&shelf, |_| {});
    shelf.fail(3);
    let preload = second.runtime.preload_in_background().expect("a thread");
    assert_eq!(preload.wait().expect("it comes back").taken, 1);
    shelf.fail(u32::MAX);
    let third = Bench::new(&shelf, |_| {});
    assert!(third.runtime.preload_in_background().expect("a thread").wait().is_err());
    assert_eq!(third.compile(1, &[0], Tier::Whole).stage(), Stage::Whole);
    // A runtime that ends does not wait for a store to come back.
    let fourth = Bench::new(&shelf, |config| config.tuning.store_retry_ms = 1 << 20);
    let preload = fourth.runtime.preload_in_background().expect("a thread");
    fourth.runtime.shutdown(LONG);
    assert!(preload.wait().is_err());
}

#[test]
fn n2_a_preload_from_a_slow_store_delays_nobody() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    first.compile(1, &[0], Tier::Native2);
    first.settle();
    let second = Bench::new(&shelf, |_| {});
    let calls = shelf.calls();
    shelf.hold(true);
    let preload = second.runtime.preload_in_background().expect("a thread");
    shelf.wait_for_calls(calls + 1);
    second.compile(2, &[0], Tier::Native2);
    assert_eq!([1, 2].map(|number| second.entry(number).stage()), [Stage::Cold, Stage::Native2]);
    shelf.hold(false);
    assert_eq!(preload.wait().expect("a store that answers").taken, 1);
    assert_eq!(second.entry(1).stage(), Stage::Native2);
}

#[test]
fn a_preload_that_ended_early_says_so() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    [1, 2].iter().for_each(|number| drop(first.compile(*number, &[0], Tier::Whole)));
    first.settle();
    let second = Bench::new(&shelf, |_| {});
    second.runtime.disable();
    let preloaded = second.runtime.preload_in_background().expect("a thread").wait().expect("a store that answers");
    assert_eq!((preloaded.taken, preloaded.is_whole), (1, false));
    second.runtime.enable();
    assert_eq!((second.preload().taken, second.preload().is_whole), (1, true));
}

#[test]
fn code_that_is_prepared_is_taken_from_the_store_or_asked_for() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    first.compile(1, &[0], Tier::Native2);
    first.settle();
    let second = Bench::new(&shelf, |_| {});
    let contracts = [1, 2].map(|number| (code(number), SPEC, STOCK));
    second.runtime.prepare_batch(contracts, Some(Tier::Whole));
    second.settle();
    assert_eq!([1, 2].map(|number| second.entry(number).stage()), [Stage::Native2, Stage::Whole]);
    assert_eq!(second.count("prepared"), 1);
    // A store that fails changes what is compiled, and nothing else.
    shelf.fail(1);
    let third = Bench::new(&shelf, |_| {});
    third.runtime.prepare_batch([1, 3].map(|number| (code(number), SPEC, STOCK)), Some(Tier::Whole));
    third.settle();
    assert_eq!([1, 3].map(|number| third.entry(number).stage()), [Stage::Whole, Stage::Whole]);
    third.runtime.prepare(&code(4), SPEC, STOCK);
    third.settle();
    assert_eq!(third.entry(4).stage(), Stage::Watched);
}

#[test]
fn artifacts_are_deleted_while_their_code_runs() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    let entries = [1, 2, 3].map(|number| bench.compile(number, &[0], Tier::Native2));
    bench.settle();
    assert_eq!(bench.runtime.delete_artifacts(keccak256(code(1))).expect("deleted"), 1);
    assert_eq!(bench.runtime.delete_artifacts(keccak256(code(1))).expect("nothing left"), 0);
    assert_eq!((bench.shelf.objects().len(), entries[0].stage()), (2, Stage::Native2));
    assert_eq!(bench.runtime.clear_artifacts().expect("cleared"), 2);
    bench.compile(1, &[0, 4], Tier::Native2);
    bench.settle();
    assert_eq!(bench.shelf.objects().len(), 1, "kept again when it is compiled anew");
}

#[test]
fn what_waits_to_be_written_is_not_written_after_it_was_deleted() {
    let bench = Bench::new(&Shelf::default(), |config| config.tuning.store_retry_ms = 1 << 20);
    bench.shelf.fail(1);
    bench.compile(1, &[0], Tier::Native2);
    bench.shelf.wait_for_calls(1);
    bench.settle();
    assert_eq!(bench.runtime.delete_artifacts(keccak256(code(1))).expect("the store is back"), 0);
    assert!(bench.runtime.shutdown(LONG));
    assert_eq!((bench.shelf.objects().len(), bench.count("given-up")), (0, 0));
}

#[test]
fn p5_what_another_tier_or_machine_has_use_for_is_not_taken_away() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    // A whole contract and a region of the higher tier that were demoted get hot again.
    for (number, tier) in [(1, Tier::Whole), (2, Tier::Native2)] {
        let entry = bench.compile(number, &[0], tier);
        bench.settle();
        assert!(bench.runtime.tiers.demote_entry(&entry));
        bench.compile(number, &[0, 4], Tier::Native1);
        bench.settle();
    }
    // A region that came from another machine grows.
    let foreign = elsewhere(3, &[0], Tier::Native1, own_feature());
    bench.shelf.store(&foreign).expect("stored");
    assert_eq!(bench.runtime.take_artifact(foreign), Ok(Taken::New));
    bench.compile(3, &[0, 4], Tier::Native2);
    bench.settle();
    assert_eq!((bench.shelf.objects().len(), bench.count("superseded")), (6, 0));
}

#[test]
fn p5_code_of_an_artifact_is_not_kept_as_if_it_was_compiled_here() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    bench.shelf.hold(true);
    bench.compile(2, &[0], Tier::Native1);
    bench.shelf.wait_for_calls(1);
    let entry = bench.compile(1, &[0], Tier::Native1);
    assert!(entry.writing.load(Ordering::Relaxed), "it waits behind the first");
    assert_eq!(bench.runtime.take_artifact(elsewhere(1, &[0, 4], Tier::Native2, own_feature())), Ok(Taken::New));
    bench.shelf.hold(false);
    bench.settle();
    let kept: Vec<_> = bench.shelf.objects().iter().map(|object| object.artifact().key.code_hash).collect();
    assert_eq!(kept, [keccak256(code(2))]);
    assert_eq!(entry.ledger().stored.as_ref().map(|stored| stored.key.features.len()), Some(1));
}

#[test]
fn p6_the_store_is_told_of_whole_contracts_that_ran() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    [1, 2, 3].iter().for_each(|number| drop(first.compile(*number, &[0], Tier::Whole)));
    first.settle();
    let second = Bench::new(&shelf, |_| {});
    assert_eq!(second.preload().taken, 3);
    second.run(1);
    assert!(second.runtime.shutdown(LONG));
    assert_eq!(shelf.used().iter().map(|key| key.code_hash).collect::<Vec<_>>(), [keccak256(code(1))]);
}

#[test]
fn p6_uses_are_told_while_there_is_always_something_to_write() {
    let bench = Bench::new(&Shelf::default(), |config| config.tuning.store_upkeep_s = 1);
    bench.compile(1, &[0], Tier::Whole);
    bench.settle();
    bench.run(1);
    // Something to write comes far more often than upkeep.
    for number in (2..=200).take_while(|_| bench.shelf.used().is_empty()) {
        bench.compile(number, &[0], Tier::Whole);
        sync::sleep(Duration::from_millis(50));
    }
    assert_eq!(bench.shelf.used().len(), 1);
}

/// The input of which the next process is to know the hash, put in the tables with another.
fn hash_in(bench: &Bench, bytes: &[u8]) {
    let input = Input::new(bytes).expect("of a length that is remembered");
    bench.runtime.tiers.hashes.get().expect("tables").put(&input, U256::ONE);
}

#[test]
fn n5_what_was_hashed_is_known_in_the_next_process() {
    let shelf = Shelf::default();
    let first = Bench::new(&shelf, |_| {});
    assert!(first.runtime.tiers.hashes.get().is_none(), "there is no code that asks");
    first.compile(1, &[0], Tier::Native1);
    first.settle();
    hash_in(&first, b"some");
    assert!(first.runtime.shutdown(LONG));
    let second = Bench::new(&shelf, |_| {});
    assert_eq!(second.preload(), Preloaded { taken: 1, hashes: 1, is_whole: true, ..Preloaded::default() });
    let input = Input::new(b"some").expect("of a length that is remembered");
    let known = second.runtime.tiers.hashes.get().expect("tables").get(&input);
    assert_eq!(known, Some(keccak256(b"some").into()));
    // What it adds is left as well.
    hash_in(&second, b"another");
    assert!(second.runtime.shutdown(LONG));
    assert_eq!(Bench::new(&shelf, |_| {}).preload().hashes, 2);
}

#[test]
fn n5_hints_of_who_took_none_do_not_take_the_place_of_others() {
    let shelf = Shelf::default();
    let leave = |bytes: &[u8], takes: bool| {
        let bench = Bench::new(&shelf, |_| {});
        bench.compile(1, &[0], Tier::Native1);
        bench.settle();
        if takes {
            bench.preload();
        }
        hash_in(&bench, bytes);
        assert!(bench.runtime.shutdown(LONG) && bench.count("failed") == 0);
        shelf.hints().expect("a shelf").expect("hints").len()
    };
    let one = leave(b"one", false);
    assert_eq!(leave(b"another, longer", false), one);
    assert_eq!(leave(b"two", true), one + 4);
    // Tables that know nothing leave nothing.
    let bench = Bench::new(&shelf, |_| {});
    shelf.keep_hints(b"").expect("a shelf");
    bench.compile(1, &[0], Tier::Native1);
    bench.preload();
    assert!(bench.runtime.shutdown(LONG));
    assert_eq!(shelf.hints().expect("a shelf"), Some(Vec::new()));
}

#[test]
fn p3_a_job_that_fails_does_not_hold_up_others() {
    let bench = Bench::new(&Shelf::default(), |_| {});
    bench.shelf.refuse(keccak256(code(1)));
    for number in 1..=3 {
        bench.compile(number, &[0], Tier::Native1);
    }
    bench.shelf.wait_for_artifacts(2);
    assert!(bench.count("retried") > 0);
    bench.shelf.refuse(B256::ZERO);
    bench.shelf.wait_for_artifacts(3);
}

#[test]
fn p6_uses_are_told_and_hints_left_though_one_artifact_fails() {
    let shelf = Shelf::default();
    let bench = Bench::new(&shelf, |_| {});
    for number in [1, 2, 3] {
        bench.compile(number, &[0], Tier::Whole);
        bench.run(number);
    }
    bench.settle();
    hash_in(&bench, b"some");
    shelf.refuse(keccak256(code(2)));
    assert!(bench.runtime.shutdown(LONG));
    assert_eq!((shelf.used().len(), bench.count("failed")), (2, 1));
    assert!(shelf.hints().expect("a shelf").is_some());
}

#[test]
fn n5_a_store_that_fails_or_panics_costs_the_hints() {
    let shelf = Shelf::default();
    let bench = Bench::new(&shelf, |_| {});
    bench.compile(1, &[0], Tier::Native1);
    bench.settle();
    hash_in(&bench, b"some");
    let change: [fn(&Shelf, bool); 2] = [|shelf, fails| shelf.fail(if fails { u32::MAX } else { 0 }), Shelf::panic];
    for (failures, change) in change.into_iter().enumerate() {
        change(&shelf, true);
        assert!(bench.runtime.shutdown(LONG));
        assert_eq!(bench.count("failed"), failures as u64 + 1);
        change(&shelf, false);
        assert_eq!(Bench::new(&shelf, |_| {}).preload(), Preloaded { taken: 1, is_whole: true, ..Preloaded::default() });
        bench.runtime.enable();
    }
}

#[test]
fn what_fails_while_it_is_deleted_is_not_written_later() {
    let bench = Bench::new(&Shelf::default(), |config| config.tuning.store_retry_ms = 1 << 20);
    bench.shelf.hold(true);
    bench.compile(1, &[0], Tier::Native2);
    bench.shelf.wait_for_calls(1);
    bench.shelf.fail(1);
    let runtime = bench.runtime.clone();
    let deletes = spawn_named("hotevm-deletes", move || runtime.delete_artifacts(keccak256(code(1)))).expect("a thread");
    // Whether it waits already or comes later: the writer's job is in the store now, and fails there.
    bench.shelf.hold(false);
    assert_eq!(deletes.join().expect("no panic").expect("the store is back"), 0);
    assert!(bench.runtime.shutdown(LONG));
    assert_eq!((bench.shelf.objects().len(), bench.count("given-up")), (0, 0));
}
