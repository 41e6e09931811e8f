//! What most frames find that look for the first time.
//!
//! in   entries with and without code; bytes at places that were met, and elsewhere
//! out  code, or nothing where more has to be looked at

use super::{Bench, MUCH, code, compiled};
use crate::{Preset, tiers::entry::Key};
use revm::{bytecode::Bytecode, primitives::Bytes};

#[test]
fn ready_is_code_of_bytes_that_were_met_at_this_place() {
    let bench = Bench::new(|_| {});
    let entry = compiled(&bench, 1);
    let (key, raw) = (entry.key, |bytes: &Bytes| Bytecode::new_legacy(bytes.clone()));
    let ready = |key: &Key, bytecode: &Bytecode| bench.tiers().ready(key, bytecode).is_some();
    let own = raw(&entry.bytecode);
    assert!(ready(&key, &own));
    // Equal bytes elsewhere are known once they were compared twice, other bytes never.
    let elsewhere = raw(&Bytes::copy_from_slice(&entry.bytecode));
    for times in 0..4 {
        assert_eq!(ready(&key, &elsewhere), times >= 2, "after {times} comparisons");
        assert!(entry.holds(&elsewhere));
    }
    let other = raw(&code(2));
    assert!(!entry.holds(&other) && !entry.holds(&other) && !ready(&key, &other));
    assert!(!ready(&(key.0, key.1 + 1), &own), "another configuration");
    bench.tiers().demote_entry(&entry);
    assert!(!ready(&key, &own), "no code");
    bench.tiers().heated(&entry, MUCH);
    bench.settle();
    assert!(ready(&key, &own));
    bench.runtime.forget(key.0);
    assert!(!ready(&key, &own), "no entry");
    let stress = Bench::at_once(|config| config.preset = Preset::Stress);
    let entry = stress.entry(1);
    stress.tiers().heated(&entry, MUCH);
    assert!(entry.code().is_some() && stress.tiers().ready(&entry.key, &raw(&entry.bytecode)).is_none());
}
