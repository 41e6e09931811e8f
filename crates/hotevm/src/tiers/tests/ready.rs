//! What most frames find that look for the first time.
//!
//! in   entries with and without code; bytes at places that were met, and elsewhere
//! out  code, or nothing where more has to be looked at

use super::{Bench, MUCH, code, compiled};
use crate::{
    Preset,
    tiers::{Found, entry::Key},
};
use revm::{bytecode::Bytecode, primitives::Bytes};

#[test]
fn ready_is_code_of_bytes_that_were_met_at_this_place() {
    let bench = Bench::new(|_| {});
    let entry = compiled(&bench, 1);
    let (key, raw) = (entry.key, |bytes: &Bytes| Bytecode::new_legacy(bytes.clone()));
    let find = |key: &Key, bytecode: &Bytecode| bench.tiers().find(*key, bytecode, &bench.configuration);
    let ready = |key: &Key, bytecode: &Bytecode| matches!(find(key, bytecode), Found::Code(_));
    let own = raw(&entry.bytecode);
    assert!(ready(&key, &own));
    // Equal bytes elsewhere are known once they were compared, those of a third place once they were compared twice, other bytes never.
    let elsewhere = [(); 2].map(|()| raw(&Bytes::copy_from_slice(&entry.bytecode)));
    for (place, comparisons) in elsewhere.iter().zip([1, 2]) {
        for times in 0..4 {
            let found = find(&key, place);
            let is_known = matches!(found, Found::Code(_));
            assert_eq!(is_known, times >= comparisons, "{times}: {found:?}");
            assert!(is_known || matches!(found, Found::Entry(_)));
        }
    }
    let other = raw(&code(2));
    for _ in 0..3 {
        assert!(matches!(find(&key, &other), Found::HashMismatch), "J2");
    }
    assert!(matches!(find(&(key.0, key.1 + 1), &own), Found::Nothing), "another configuration");
    bench.tiers().demote_entry(&entry);
    assert!(matches!(find(&key, &own), Found::Entry(_)), "no code");
    bench.tiers().heated(&entry, MUCH);
    bench.settle();
    assert!(ready(&key, &own));
    bench.runtime.forget(key.0);
    assert!(matches!(find(&key, &own), Found::Nothing), "no entry");
    let stress = Bench::at_once(|config| config.preset = Preset::Stress);
    let entry = stress.entry(1);
    stress.tiers().heated(&entry, MUCH);
    let found = stress.tiers().find(entry.key, &raw(&entry.bytecode), &stress.configuration);
    assert!(entry.code().is_some() && matches!(found, Found::Entry(_)), "preset stress sees every frame that starts");
}
