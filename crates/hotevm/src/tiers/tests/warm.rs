//! When a code gets warm.
//!
//! in   gas spent in codes without an entry, jobs that wait
//! out  entries, or none yet

use super::{Bench, MUCH, Tier, code};

#[test]
fn what_comes_back_gets_warm_with_less() {
    let bench = Bench::new(|config| config.tuning.warm_gas = 1_000_000);
    let (once, often) = (bench.key(&code(1)), bench.key(&code(2)));
    let visits = |key, gas| (0..100).find(|visit| bench.tiers().seen(bench.tiers().heat_place(key), gas, *visit));
    assert!(
        (0..15).all(|_| !bench.tiers().seen(bench.tiers().heat_place(once), 64_000, 0)),
        "one visit that spends nearly as much"
    );
    assert!(bench.tiers().seen(bench.tiers().heat_place(once), 64_000, 0));
    assert_eq!(visits(often, 6_400), Some(7), "6,400 gas, doubled seven times");
}

#[test]
fn no_code_gets_warm_behind_a_long_queue() {
    let bench = Bench::new(|config| config.tuning.warm_queue_len_max = 2);
    bench.fake.hold();
    for number in 1..=3 {
        let entry = bench.entry(number);
        bench.tiers().heated(&entry, MUCH);
        bench.fake.wait_for(1);
    }
    assert_eq!(bench.tiers().queue.first(), 2, "the first is compiled, and the others wait");
    let bytecode = code(4);
    let warm_up = || bench.tiers().warm_up(bench.key(&bytecode), || bytecode.clone(), &bench.configuration);
    assert!(warm_up().is_none());
    assert_eq!(bench.runtime.statistics().queue_long, 1);
    bench.fake.release();
    bench.settle();
    assert_eq!(bench.tiers().queue.first(), 0);
    assert!(warm_up().is_some());
    bench.runtime.pause();
    let request = |number, tier| bench.tiers().request(&bench.entry(number), tier);
    request(1, Tier::Native2);
    assert_eq!(bench.tiers().queue.first(), 0, "it has code");
    request(5, Tier::Native1);
    request(6, Tier::Native1);
    assert_eq!((bench.tiers().queue.first(), bench.tiers().queue.clear(), bench.tiers().queue.first()), (2, 3, 0));
}
