//! A sample of the large fixtures, where they are there.

use super::ALL;
use hotevm_statetest::{
    block_test, fixture, mode,
    replay::{self, Plan},
    skip::Skip,
    state_test,
};
use std::path::{Path, PathBuf};

/// The folder of large fixtures; none, with a line that says so, where it is absent.
fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures");
    let folder = std::env::var_os("HOTEVM_FIXTURES").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("no fixtures at {}: the embedded ones are all there is", folder.display());
    None
}

#[test]
fn a_sample_of_state_tests() {
    let Some(folder) = folder() else { return };
    let files = fixture::find(&[folder.join("state_tests/shanghai"), folder.join("state_tests/berlin")]).unwrap();
    let (report, _) = state_test::run(&files, &[mode::interpreter()], &ALL, &Skip::default(), &|_, _| {}).unwrap();
    assert!(report.modes[0].passed > 100);
    assert!(report.held(), "{:?}", report.modes[0].failures.first());
}

#[test]
fn a_sample_of_blockchain_tests() {
    let Some(folder) = folder() else { return };
    let paths = ["frontier", "shanghai", "cancun/eip4788_beacon_root"].map(|path| folder.join("blockchain_tests").join(path));
    let files = fixture::find(&paths).unwrap();
    let skip = Skip::table().unwrap();
    let (report, _) = block_test::run(&files, &[mode::interpreter()], &ALL, &skip, &|_, _| {}).unwrap();
    assert!(report.modes[0].passed > 100);
    assert!(report.held(), "{:?}", report.modes[0].failures.first());
}

#[test]
fn a_sample_of_blocks_and_contracts() {
    let Some(folder) = folder() else { return };
    let paths = ["blocks/46147.json.gz", "blocks/4370000.json.gz", "blocks/19933122.json.gz", "contracts/weth.json.gz"];
    let runs = replay::load(&fixture::find(&paths.map(|path| folder.join(path))).unwrap()).unwrap();
    let plan = Plan { rounds: 1, cold_caches: false, settle: false, contracts: false, progress: &|_, _| {} };
    let report = replay::measure(&runs, &[mode::interpreter()], &plan).unwrap().report;
    assert!(report.held());
    let ok: Vec<_> = report.runs.iter().map(|run| (run.name.as_str(), run.modes[0].receipts_root_ok)).collect();
    assert_eq!(ok, [("46147", None), ("4370000", Some(true)), ("19933122", Some(true)), ("weth", None)]);
}
