//! The runners on the embedded fixtures, and on a sample of the large ones where those are there.
//!
//! in   `statetest/fixtures`, which `UPDATE=1` rewrites from `made.rs`; the folder in `HOTEVM_FIXTURES`, else
//!      `../shared/fixtures` beside the checkout
//! out  verdicts, differences, errors

mod errors;
mod large;
mod made;
mod skewed;

use alloy_evm::EthEvmFactory;
use hotevm_statetest::{
    Mode, block_test,
    fixture::{self, File},
    mode::{self, Engine},
    replay::{self, Plan},
    report::{ReplayReport, TestReport},
    skip::Skip,
    state_test,
    suite::Settings,
};
use hotevm_testing::execute::altered::Altered;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The embedded fixtures.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn files(folder: &str) -> Vec<File> {
    fixture::find(&[fixtures().join(folder)]).unwrap()
}

const ALL: Settings<'_> = Settings { threads: 2, filter: None, fork: None, trace: None };

/// The interpreter, and a mode that goes wrong.
fn right_and_wrong() -> Vec<Box<dyn Engine>> {
    let wrong = Altered(EthEvmFactory::default(), skewed::Skewed);
    vec![mode::interpreter(), mode::with_factory(Mode::Jit, wrong)]
}

fn run_state_tests(engines: &[Box<dyn Engine>], settings: &Settings<'_>) -> (TestReport, Option<String>) {
    state_test::run(&files("state_tests"), engines, settings, &Skip::default(), &|_, _| {}).unwrap()
}

fn run_block_tests(engines: &[Box<dyn Engine>], skip: &Skip) -> (TestReport, Option<String>) {
    block_test::run(&files("blockchain_tests"), engines, &ALL, skip, &|_, _| {}).unwrap()
}

fn run_replay(engines: &[Box<dyn Engine>], rounds: usize) -> (ReplayReport, Option<String>) {
    let runs = replay::load(&files("replay")).unwrap();
    let plan = Plan { rounds, cold_caches: false, settle: false, contracts: false, progress: &|_, _| {} };
    let measured = replay::measure(&runs, engines, &plan).unwrap();
    (measured.report, measured.explanation)
}

fn check_made(name: &str, made: &Value) {
    let path = fixtures().join(name);
    let text = format!("{made:#}\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == text, "{name} is not what made.rs makes; UPDATE=1 rewrites it");
}

#[test]
fn embedded_fixtures_are_what_is_made() {
    check_made("state_tests/counter.json", &made::state_test());
    check_made("blockchain_tests/counter.json", &made::blockchain_test());
    check_made("replay/19500000.json", &made::mainnet_block());
    check_made("replay/counter.json", &made::contract());
}

#[test]
fn state_tests_pass_and_modes_agree() {
    let (report, explanation) = run_state_tests(&[mode::interpreter(), mode::interpreter()], &ALL);
    assert!(report.held());
    assert_eq!(explanation, None);
    for mode in &report.modes {
        assert_eq!((mode.passed, mode.failed, mode.skipped), (13, 0, 0));
    }
}

#[test]
fn filters_choose_tests() {
    let engines = [mode::interpreter()];
    let passed = |settings: &Settings<'_>| run_state_tests(&engines, settings).0.modes[0].passed;
    assert_eq!(passed(&Settings { filter: Some("refused"), ..ALL }), 1);
    assert_eq!(passed(&Settings { fork: Some("osaka"), ..ALL }), 3);
    assert_eq!(passed(&Settings { fork: Some("Berlin"), filter: Some("counter.json"), ..ALL }), 2);
    let nothing = Settings { filter: Some("no such test"), ..ALL };
    let error = state_test::run(&files("state_tests"), &engines, &nothing, &Skip::default(), &|_, _| {}).unwrap_err();
    assert_eq!(error.to_string(), "nothing to run: no test matches the filter");
}

#[test]
fn a_mode_that_goes_wrong_fails_and_is_explained() {
    let (report, explanation) = run_state_tests(&right_and_wrong(), &ALL);
    assert!(!report.held());
    // On every fork the call that succeeds differs; the others end before they write.
    assert_eq!(report.mismatches, 6);
    assert_eq!((report.modes[0].failed, report.modes[1].failed), (0, 6));
    let explanation = explanation.unwrap();
    for part in ["made.py::counts[Berlin/0/0/0]", "gas\n", "interpreter: ", "jit: ", "\"opName\":\"SSTORE\""] {
        assert!(explanation.contains(part), "{part:?} is missing in {explanation}");
    }
}

#[test]
fn block_tests_pass_and_refuse() {
    let (report, explanation) = run_block_tests(&[mode::interpreter(), mode::interpreter()], &Skip::default());
    assert!(report.held(), "{report:?}");
    assert_eq!(explanation, None);
    assert_eq!(report.modes[0].passed, 1);
}

#[test]
fn skipped_tests_are_still_compared() {
    let skip = Skip::parse("[[row]]\npath = \"made.py\"\nreason = \"to be skipped\"").unwrap();
    let (report, explanation) = run_block_tests(&right_and_wrong(), &skip);
    assert_eq!((report.modes[1].passed, report.modes[1].failed, report.modes[1].skipped), (0, 0, 1));
    assert_eq!(report.mismatches, 1);
    assert!(explanation.unwrap().contains("block 0, transaction 0"));
    assert!(!report.held());
    assert!(report.needless_rows.is_empty(), "the wrong mode fails under the row");
}

#[test]
fn a_row_that_is_not_needed_fails_the_run() {
    let skip = Skip::parse("[[row]]\nfork = \"ShanghaiToCancunAtTime15k\"\nreason = \"none\"").unwrap();
    let (report, _) = run_block_tests(&[mode::interpreter()], &skip);
    assert_eq!((report.modes[0].skipped, report.modes[0].skipped_would_pass), (1, 1));
    assert_eq!(report.needless_rows.len(), 1);
    assert!(!report.held());
}

#[test]
fn a_replay_checks_the_header_and_times_rounds() {
    let (report, explanation) = run_replay(&[mode::interpreter(), mode::interpreter()], 3);
    assert!(report.held());
    assert_eq!(explanation, None);
    let names: Vec<_> = report.runs.iter().map(|run| (run.name.as_str(), run.transactions)).collect();
    assert_eq!(names, [("19500000", 2), ("counter", 2)]);
    for mode in report.runs.iter().flat_map(|run| &run.modes) {
        assert_eq!(mode.round_ms.len(), 3);
        assert!(mode.min_ms > 0.0 && mode.min_ms <= mode.median_ms && mode.first_ms == mode.round_ms[0]);
        assert_eq!((mode.native_gas_share, mode.frames), (None, 0));
    }
    assert_eq!(report.runs[0].modes[0].gas_used_ok, Some(true));
    assert_eq!(report.runs[0].modes[0].receipts_root_ok, Some(true));
    assert_eq!(report.runs[1].modes[0].gas_used_ok, None);
    assert_eq!(report.runs[1].modes[0].speedup, Some(1.0));
}

#[test]
fn a_replay_counts_and_explains_differences() {
    let (report, explanation) = run_replay(&right_and_wrong(), 1);
    assert!(!report.held());
    let wrong: Vec<_> = report.runs.iter().map(|run| &run.modes[1]).collect();
    // The second transaction differs too, since the first one left another balance to the beneficiary.
    assert_eq!((wrong[0].gas_used_ok, wrong[0].receipts_root_ok, wrong[0].mismatches), (Some(false), Some(false), 2));
    assert_eq!((wrong[1].gas_used_ok, wrong[1].mismatches), (None, 1));
    assert_eq!(report.total["jit"].mismatches, 3);
    assert!(explanation.unwrap().starts_with("19500000: transaction 0\n  gas\n"));
}

#[test]
fn a_single_run_explains_the_first_difference() {
    // SSTORE of a zero slot, whose price the wrong mode changes, and a word returned.
    let code = alloy_primitives::bytes!("60015f55602a5f5260205ff3");
    let mut run = replay::bytecode("code", code);
    let same = replay::single(&run, &[mode::interpreter(), mode::interpreter()]).unwrap();
    assert_eq!((same.mismatches, same.explanation, same.passes.len()), (0, None, 2));
    let different = replay::single(&run, &right_and_wrong()).unwrap();
    assert_eq!(different.mismatches, 1);
    let explanation = different.explanation.unwrap();
    assert!(explanation.starts_with("code: transaction 0\n  gas\n"), "{explanation}");
    // Both sides' traces, since they are not the same.
    assert_eq!(explanation.matches("\"opName\":\"SSTORE\"").count(), 2, "{explanation}");
    run.change(&replay::Changes { gas_limit: Some(20_999), ..replay::Changes::default() });
    let error = replay::single(&run, &[mode::interpreter()]).unwrap_err().to_string();
    assert!(error.starts_with("code: transaction 0 was refused in mode interpreter: "), "{error}");
}
