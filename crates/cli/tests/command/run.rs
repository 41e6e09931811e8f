//! `hotevm run`: bytecode by argument and by file, fixtures, what is printed, bad input.
//!
//! in   small bytecodes
//! out  the same in every mode of this build

use super::{check_error, fixture, hotevm, reported, temporary, text};
use serde_json::Value;
use std::fs;

/// Both modes where there is a compiler, else the one that is left, twice.
const MODES: &str = if cfg!(feature = "llvm") { "interpreter,jit" } else { "interpreter" };
const MODES_LEN: usize = if cfg!(feature = "llvm") { 2 } else { 1 };

/// Logs one topic with the first word of the call data, adds one to it, stores that in slot 0 and returns it.
const CODE: &str = "5f355f5260aa60205fa15f35600101805f555f5260205ff3";

/// What every mode did with the first transaction of a report; all the same but for the mode's name.
fn executed(report: &Value) -> Value {
    let modes = report["runs"][0]["transactions"][0]["modes"].as_array().unwrap();
    assert_eq!(modes.len(), MODES_LEN);
    let without_name = |mode: &Value| {
        let mut fields = mode.as_object().unwrap().clone();
        assert!(fields.remove("mode").is_some_and(|name| MODES.contains(name.as_str().unwrap())));
        Value::Object(fields)
    };
    assert!(modes.iter().all(|mode| without_name(mode) == without_name(&modes[0])), "{report}");
    without_name(&modes[0])
}

/// Runs a code and checks what every mode did with it.
fn check_run(arguments: &[&str], expected: &[(&str, Value)]) {
    let name = format!("run-{}.json", arguments.join("-").replace(['/', ','], ""));
    let name = name.chars().rev().take(100).collect::<String>();
    let (status, output, report) = reported(&name, &[&["run", "--mode", MODES], arguments].concat());
    assert_eq!(status, 0, "{output}");
    assert!(output.ends_with("mismatches 0\n"), "{output}");
    assert_eq!((&report["schema"], &report["mismatches"], &report["difference"]), (&1.into(), &0.into(), &Value::Null));
    let executed = executed(&report);
    for (field, value) in expected {
        assert_eq!(&executed[field], value, "{field} of {executed}");
    }
}

#[test]
fn a_bytecode_is_run_in_every_mode() {
    let word = |value: u64| format!("0x{value:064x}");
    let output = text(&hotevm(&["run", CODE, "--mode", MODES, "--calldata", &word(6)]).stdout);
    assert!(output.starts_with("bytecode: transaction 0\n  interpreter: success (Return), gas used "), "{output}");
    assert_eq!(output.matches(&format!("output {}", word(7))).count(), MODES_LEN, "{output}");
    let log = format!("log 0 of 0x00000000000000000000000000000000000c0dE5 {}: {}\n", word(0xaa), word(6));
    assert_eq!(output.matches(&log).count(), MODES_LEN, "{output}");
}

#[test]
fn outcomes_are_told_apart() {
    let gas = |name: &'static str, value: u64| (name, Value::from(value));
    let outcome = |name: &str| ("outcome", Value::from(name));
    let reason = |name: &str| ("reason", Value::from(name));
    check_run(&["0x"], &[outcome("success"), reason("Stop"), gas("gas_used", 21_000)]);
    check_run(&["602a5f5260205ffd"], &[outcome("revert"), ("output", format!("0x{:064x}", 0x2a).into())]);
    check_run(&["fe", "--gas", "50000"], &[outcome("halt"), reason("InvalidFEOpcode"), gas("gas_used", 50_000)]);
    check_run(&["ef00"], &[outcome("halt")]);
    check_run(&["5b5f56", "--gas", "60000"], &[outcome("halt"), gas("gas_used", 60_000)]);
    // Clearing a slot that the same call has set gives back what it cost.
    check_run(&["60015f555f5f55"], &[outcome("success"), gas("gas_refunded", 43_209 / 5)]);
}

#[test]
fn fork_value_and_call_data_are_taken() {
    let outcome = |name: &str| ("outcome", Value::from(name));
    let output = |value: u64| ("output", Value::from(format!("0x{value:064x}")));
    // PUSH0 is known from Shanghai on.
    check_run(&["5f00", "--fork", "London"], &[outcome("halt")]);
    check_run(&["5f00", "--fork", "shanghai"], &[outcome("success")]);
    check_run(&["345f5260205ff3", "--value", "1234"], &[output(1234)]);
    check_run(&["365f5260205ff3", "--calldata", "0x010203"], &[output(3)]);
    check_run(&["5f5f5ff05f5260205ff3", "--fork", "Amsterdam"], &[outcome("success")]);
}

#[test]
fn code_comes_from_files_and_fixtures() {
    let path = temporary("code.hex");
    fs::write(&path, "0x345f5260205ff3\n").unwrap();
    check_run(&[path.to_str().unwrap(), "--value", "7"], &[("output", format!("0x{:064x}", 7).into())]);
    fs::remove_file(&path).unwrap();
    let path = fixture("replay/counter.json");
    let output = text(&hotevm(&["run", path.to_str().unwrap(), "--mode", MODES]).stdout);
    assert!(output.starts_with("counter: transaction 0\n") && output.contains("\ncounter: transaction 1\n"), "{output}");
    assert_eq!(output.matches("log 0 of ").count(), 2 * MODES_LEN, "{output}");
    assert!(output.ends_with("mismatches 0\n"), "{output}");
    let block = fixture("replay/19500000.json");
    let output = text(&hotevm(&["run", block.to_str().unwrap(), "--mode", MODES]).stdout);
    assert!(output.starts_with("19500000: transaction 0\n") && output.ends_with("mismatches 0\n"), "{output}");
}

#[test]
fn a_trace_is_printed_step_by_step() {
    let output = text(&hotevm(&["run", CODE, "--mode", "interpreter", "--trace"]).stdout);
    assert!(output.starts_with("trace of bytecode\n{\"pc\":0,"), "{output}");
    assert_eq!(output.matches("\"opName\":\"LOG1\"").count(), 1, "{output}");
}

#[test]
fn errors_of_run_are_one_line() {
    check_error(&["run"], "<CODE>");
    check_error(&["run", "no/such/file"], "no/such/file: neither a file nor bytecode in hex");
    check_error(&["run", "600"], "600: neither a file nor bytecode in hex");
    check_error(&["run", "00", "--calldata", "xyz"], "--calldata");
    check_error(&["run", "00", "--gas", "lots"], "--gas");
    check_error(&["run", "00", "--value", "much"], "--value");
    check_error(&["run", "00", "--fork", "Atlantis"], "no fork is called \"Atlantis\"");
    check_error(&["run", "00", "--mode", "magic"], "magic");
    check_error(
        &["run", "00", "--mode", "interpreter", "--gas", "20999"],
        "bytecode: transaction 0 was refused in mode interpreter",
    );
}

#[test]
fn files_that_hold_no_code_are_one_line() {
    let contents: [(&str, &[u8]); 5] = [
        ("run-not-hex.txt", b"six thousand"),
        ("run-bytes.bin", b"\xff\x00\x01"),
        ("run-truncated.json", b"{\"counter\": {\"env\":"),
        ("run-other.json", b"{\"counter\": 7}"),
        ("run-short.json.gz", b"\x1f\x8b\x08\x00"),
    ];
    for (name, content) in contents {
        let path = temporary(name);
        fs::write(&path, content).unwrap();
        check_error(&["run", path.to_str().unwrap(), "--mode", "interpreter"], name);
        fs::remove_file(&path).unwrap();
    }
    check_error(&["run", fixture("replay").to_str().unwrap(), "--mode", "interpreter"], "replay");
}
