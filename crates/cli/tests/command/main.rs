//! The command as a whole: exit status, output, reports, one line per error.
//!
//! in   the embedded fixtures of `statetest`, and broken copies of them
//! out  what a user sees

mod run;

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../statetest/fixtures").join(name)
}

/// A file of one test, below the folder for temporary files.
fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("hotevm-cli-{}-{name}", std::process::id()))
}

fn hotevm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hotevm")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that cannot do what was asked, and checks its one line.
fn check_error(arguments: &[&str], part: &str) {
    let output = hotevm(arguments);
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert_eq!(text(&output.stdout), "", "{line}");
    assert!(line.starts_with("hotevm: ") && line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
    assert!(line.contains(part), "{line:?}");
}

/// Runs a command with a report, and returns its status, output and report.
fn reported(name: &str, arguments: &[&str]) -> (i32, String, Value) {
    let path = temporary(name);
    let output = hotevm(&[arguments, &["--json", path.to_str().unwrap()]].concat());
    let report = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), report)
}

#[test]
fn state_tests_are_counted_and_reported() {
    let path = fixture("state_tests");
    let arguments = ["statetest", path.to_str().unwrap(), "--mode", "interpreter", "-j", "1"];
    let (status, output, report) = reported("state.json", &arguments);
    assert_eq!(status, 0);
    assert!(output.starts_with("interpreter: 13 passed, 0 failed, 0 skipped; "), "{output}");
    assert_eq!((&report["schema"], &report["mismatches"]), (&Value::from(1), &Value::from(0)));
    let mode = &report["modes"][0];
    assert_eq!((&mode["mode"], &mode["passed"]), (&Value::from("interpreter"), &Value::from(13)));
    assert_eq!(mode["native_gas_share"], Value::Null);
    assert_eq!(mode["failures"], Value::Array(Vec::new()));
}

#[test]
fn a_failing_test_makes_the_status_1() {
    let path = temporary("wrong.json");
    let suite = fs::read_to_string(fixture("state_tests/counter.json")).unwrap();
    let mut wrong: Value = serde_json::from_str(&suite).unwrap();
    wrong["made.py::counts"]["post"]["Osaka"][0]["hash"] = Value::from(format!("0x{}", "0".repeat(64)));
    fs::write(&path, wrong.to_string()).unwrap();
    let (status, output, report) = reported("failing.json", &["statetest", path.to_str().unwrap(), "--mode", "interpreter"]);
    fs::remove_file(&path).unwrap();
    assert_eq!(status, 1);
    assert!(output.contains("FAILED made.py::counts[Osaka/0/0/0]: state root 0x"), "{output}");
    assert_eq!(report["modes"][0]["failures"][0]["name"], "made.py::counts[Osaka/0/0/0]");
}

#[test]
fn block_tests_are_counted() {
    let path = fixture("blockchain_tests");
    let output = hotevm(&["blocktest", path.to_str().unwrap(), "--mode", "interpreter"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("interpreter: 1 passed, 0 failed, 0 skipped; "));
}

#[test]
fn a_replay_prints_a_line_per_run() {
    let path = fixture("replay");
    let arguments = ["replay", path.to_str().unwrap(), "--mode", "interpreter", "--rounds", "2", "--cold-caches"];
    let (status, output, report) = reported("replay.json", &arguments);
    assert_eq!(status, 0);
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 4, "{output}");
    assert!(lines[1].starts_with("19500000 ") && lines[1].ends_with("  ok"));
    assert!(lines[2].starts_with("counter ") && lines[3].starts_with("total interpreter: "));
    let run = &report["runs"][0];
    assert_eq!((&run["name"], &run["kind"]), (&Value::from("19500000"), &Value::from("block")));
    let mode = run["modes"][0].as_object().unwrap();
    let fields = [
        "mode",
        "rounds",
        "first_ms",
        "median_ms",
        "min_ms",
        "speedup",
        "round_ms",
        "passes",
        "native_gas_share",
        "table_call_gas_share",
        "init_code_gas_share",
        "frames",
        "eligible_frames",
        "native_frames",
        "leaves",
        "compiled",
        "compile_cpu_ms",
        "code_bytes",
        "gas_used_ok",
        "receipts_root_ok",
        "mismatches",
    ];
    assert!(fields.iter().all(|field| mode.contains_key(*field)), "{mode:?}");
    assert_eq!((&mode["rounds"], &mode["gas_used_ok"]), (&Value::from(2), &Value::from(true)));
    assert!(report["total"]["interpreter"]["median_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn native_code_does_what_the_interpreter_does() {
    for (subcommand, name) in [("statetest", "state_tests"), ("blocktest", "blockchain_tests"), ("replay", "replay")] {
        let path = fixture(name);
        let arguments = [subcommand, path.to_str().unwrap(), "--mode", "interpreter,jit"];
        if cfg!(feature = "llvm") {
            let output = hotevm(&arguments);
            let printed = text(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{printed}");
            assert!(printed.contains("mismatches 0"), "{printed}");
        } else {
            check_error(&arguments, "mode jit is not available in this build");
        }
    }
}

#[test]
fn growth_is_printed_reported_and_drawn() {
    let (path, page) = (fixture("replay"), temporary("page.html"));
    let mut arguments = vec!["replay", path.to_str().unwrap(), "--rounds", "3", "--settle", "--mode"];
    if !cfg!(feature = "llvm") {
        return check_error(&[arguments.as_slice(), &["tiered"]].concat(), "mode tiered is not available in this build");
    }
    arguments.extend(["interpreter,tiered", "--html", page.to_str().unwrap()]);
    let (status, output, report) = reported("growth.json", &arguments);
    assert_eq!(status, 0, "{output}");
    assert!(output.lines().any(|line| line.starts_with("tiered round")), "{output}");
    for mode in ["interpreter", "tiered"] {
        let rounds = report["total"][mode]["rounds"].as_array().unwrap();
        assert_eq!(rounds.len(), 3);
        assert!(rounds.iter().all(|round| round["speedup"].is_number() && round["cumulative_ms"].is_number()), "{rounds:?}");
    }
    assert!(report["total"]["tiered"]["contracts"].is_array());
    let html = fs::read_to_string(&page).unwrap();
    fs::remove_file(&page).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>") && html.matches("<svg").count() == 5);
}

#[test]
fn code_is_built_once_and_runs_in_another_process() {
    let store = temporary("store");
    let (directory, path) = (store.to_str().unwrap(), fixture("replay"));
    let path = path.to_str().unwrap();
    if !cfg!(feature = "llvm") {
        check_error(&["aot", "build", path, "--store", directory], "no compiler");
        return;
    }
    let build = ["aot", "build", path, "--store", directory, "-j", "2"];
    let (status, output, first) = reported("build.json", &build);
    assert_eq!((status, &first["present"], &first["rejected"]), (0, &Value::from(0), &Value::Array(Vec::new())), "{output}");
    let codes = first["codes"].as_u64().unwrap();
    assert_eq!(first["built"].as_u64().unwrap(), codes);
    assert!(codes > 0);
    let (_, _, second) = reported("build-again.json", &build);
    assert_eq!((second["present"].as_u64(), second["built"].as_u64()), (Some(codes), Some(0)));
    let modes = "interpreter,jit,aot";
    let replay = ["replay", path, "--mode", modes, "--rounds", "2", "--store", directory];
    let (status, output, report) = reported("aot.json", &replay);
    assert_eq!(status, 0, "{output}");
    for run in report["runs"].as_array().unwrap() {
        let [_, jit, aot] = run["modes"].as_array().unwrap().as_slice() else { panic!("{run}") };
        assert_eq!((&aot["mode"], &aot["compiled"], &aot["mismatches"]), (&Value::from("aot"), &Value::from(0), &Value::from(0)));
        assert_eq!((&aot["native_frames"], &aot["native_gas_share"]), (&jit["native_frames"], &jit["native_gas_share"]));
    }
    let (status, _, list) = reported("list.json", &["aot", "list", "--store", directory]);
    assert_eq!((status, list["artifacts"].as_array().unwrap().len() as u64), (0, codes));
    let (status, output, checked) = reported("verify.json", &["aot", "verify", "--store", directory]);
    assert_eq!((status, checked["usable"].as_u64()), (0, Some(codes)), "{output}");
    let mut files = fs::read_dir(&store).unwrap().map(|file| file.unwrap().path());
    let damaged = files.find(|path| path.extension().is_some_and(|extension| extension == "so")).unwrap();
    fs::write(&damaged, b"").unwrap();
    let (status, output, checked) = reported("verify-again.json", &["aot", "verify", "--store", directory]);
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert!(output.starts_with(&format!("{name}: artifact refused: ")), "{output}");
    assert_eq!((checked["problems"].as_array().unwrap().len(), &checked["problems"][0]["file"]), (1, &Value::from(name)));
    assert_eq!(
        (status, &checked["refused"], &checked["counts"]["refused-truncated"]),
        (1, &Value::from(1), &Value::from(1)),
        "{output}"
    );
    let (status, _, collected) = reported("gc.json", &["aot", "gc", "--store", directory, "--budget-mib", "0"]);
    assert_eq!((status, collected["collected"].as_u64(), &collected["kept"]), (0, Some(codes - 1), &Value::from(0)));
    fs::remove_dir_all(&store).unwrap();
}

#[test]
fn traces_are_printed_step_by_step() {
    let path = fixture("state_tests");
    let arguments = ["statetest", path.to_str().unwrap(), "--mode", "interpreter", "--trace", "--filter", "counts[Osaka/0"];
    let output = text(&hotevm(&arguments).stdout);
    assert!(output.starts_with("trace of made.py::counts[Osaka/0/0/0]\n{\"pc\":0,"), "{output}");
    assert_eq!(output.matches("\"opName\":\"LOG0\"").count(), 1);
    let path = fixture("replay/counter.json");
    let output = text(&hotevm(&["replay", path.to_str().unwrap(), "--mode", "interpreter", "--rounds", "1", "--trace"]).stdout);
    assert_eq!(output.matches("\"opName\":\"LOG0\"").count(), 2);
}

#[test]
fn errors_are_one_line() {
    let state_tests = fixture("state_tests");
    let path = state_tests.to_str().unwrap();
    check_error(&["statetest"], "<PATH>");
    check_error(&["no-such-command"], "no-such-command");
    check_error(&["statetest", "/no/such/path", "--mode", "interpreter"], "/no/such/path: No such file");
    check_error(&["replay", path, "--mode", "interpreter"], "not a block or contract");
    check_error(&["blocktest", path, "--mode", "interpreter"], "not a blockchain test");
    check_error(&["statetest", path, "--mode", "interpreter,aot", "--store", "/dev/null/store"], "--store: /dev/null/store");
    check_error(&["statetest", path, "--mode", "magic"], "magic");
    check_error(&["statetest", path, "--mode", "interpreter", "--filter", "no such test"], "nothing to run");
    check_error(&["statetest", path, "--mode", "interpreter", "--pin", "x"], "--pin");
    check_error(&["statetest", path, "--mode", "interpreter", "--optimisation", "most"], "most");
    let replay = fixture("replay");
    check_error(&["replay", replay.to_str().unwrap(), "--rounds", "0"], "--rounds");
}

#[test]
fn bad_fixtures_are_one_line() {
    let whole = fs::read(fixture("state_tests/counter.json")).unwrap();
    let contents: [(&str, &[u8]); 3] =
        [("truncated.json", &whole[..whole.len() / 2]), ("not-json.json", b"\x00\x01"), ("short.json.gz", b"\x1f\x8b\x08\x00")];
    for (name, content) in contents {
        let path = temporary(name);
        fs::write(&path, content).unwrap();
        for subcommand in ["statetest", "blocktest", "replay"] {
            check_error(&[subcommand, path.to_str().unwrap(), "--mode", "interpreter"], name);
        }
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for arguments in [["--help"], ["--version"]] {
        let output = hotevm(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("hotevm"));
    }
}
