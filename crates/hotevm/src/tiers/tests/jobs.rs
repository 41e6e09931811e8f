//! The laws of the queue, and what workers do between jobs.
//!
//! in   jobs, pushed by hand and by executing threads
//! out  what is compiled, in which order; upkeep whatever waits

use super::*;

#[test]
fn b2_a_code_waits_in_the_queue_at_most_once() {
    let bench = Bench::new(|_| {});
    bench.runtime.pause();
    let entry = bench.entry(1);
    (0..5).for_each(|_| bench.tiers().request(&entry, Tier::Native1));
    assert_eq!(bench.tiers().queue.len(), 1);
    let statistics = bench.runtime.statistics();
    assert_eq!((statistics.queued, statistics.queue_merged), (1, 4));
    bench.runtime.resume();
    bench.settle();
    assert_eq!(bench.fake.asked().len(), 1);
}

#[test]
fn b1_a_full_queue_drops_what_rewards_least() {
    let bench = Bench::new(|config| config.tuning.queue_len_max = 2);
    bench.runtime.pause();
    let entries: Vec<Arc<Entry>> = (1..=4).map(|number| bench.entry(number)).collect();
    for (entry, heat) in entries.iter().zip([300, 100, 200, 50]) {
        entry.add_heat(heat);
        bench.tiers().request(entry, Tier::Native1);
    }
    let waits: Vec<bool> = entries.iter().map(|entry| entry.queued.load(Ordering::Relaxed)).collect();
    assert_eq!(waits, [true, false, true, false]);
    assert_eq!(bench.runtime.statistics().queue_dropped, 2);
    bench.runtime.resume();
    bench.settle();
    bench.tiers().request(&entries[1], Tier::Native1);
    bench.settle();
    assert_eq!(entries[1].stage(), Stage::Native1, "what was dropped may come again");
}

#[test]
fn b3_the_most_rewarding_code_comes_first() {
    let bench = Bench::new(|_| {});
    bench.runtime.pause();
    for (number, heat) in [(1, 10), (2, 1000), (3, 100)] {
        let entry = bench.entry(number);
        entry.add_heat(heat);
        bench.tiers().request(&entry, Tier::Native1);
    }
    bench.runtime.resume();
    bench.settle();
    let order: Vec<u8> = bench.fake.asked().iter().map(|asked| asked.bytecode[2]).collect();
    assert_eq!(order, [2, 3, 1]);
}

#[test]
fn b4_a_held_queue_is_not_waited_for() {
    let bench = Bench::new(|_| {});
    let entry = bench.entry(1);
    let got_there = bench.tiers().queue.while_locked(|| bench.tiers().ask(&entry, Tier::Native1));
    assert!(!got_there);
    assert_eq!(bench.runtime.statistics().queue_busy, 1);
    assert!(!entry.queued.load(Ordering::Relaxed), "it may be asked for again");
}

#[test]
fn b2_who_asks_by_hand_for_a_higher_tier_gets_it() {
    let bench = Bench::new(|_| {});
    bench.runtime.pause();
    let entry = bench.entry(1);
    [Tier::Native1, Tier::Whole, Tier::Native2].iter().for_each(|tier| bench.tiers().request(&entry, *tier));
    bench.runtime.resume();
    bench.settle();
    let tiers: Vec<Tier> = bench.fake.asked().iter().map(|asked| asked.tier).collect();
    assert_eq!((tiers, code_of(&entry).tier), (vec![Tier::Whole], Tier::Whole));
}

#[test]
fn upkeep_is_done_while_there_is_always_something_to_compile() {
    let bench = Bench::new(|config| config.tuning.idle_s = 1);
    compiled(&bench, 1);
    // Jobs come far more often than upkeep.
    for number in (2..=200).take_while(|_| bench.runtime.statistics().evicted == 0) {
        bench.tiers().request(&bench.entry(number), Tier::Native1);
        sync::sleep(Duration::from_millis(50));
    }
    assert!(bench.runtime.statistics().evicted > 0);
}
