//! What a runtime tells of the code it compiled: to `perf`, and in the report.
//!
//! in   small contracts in preset `test`
//! out  a perf map, rows of leaves

use crate::{CONTRACT, Case, RETURN_TOP, STEP, repeated, run};
use hotevm::{Config, LeaveSite, Preset, Runtime, native_available};
use revm::{bytecode::opcode as op, primitives::keccak256};
use std::fs;

#[test]
fn perf_finds_the_names_of_compiled_code() {
    let folder = std::env::temp_dir().join(format!("hotevm-told-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let config = |folder| Config { perf_map: Some(folder), ..Config::preset(Preset::Test) };
    let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    let runtime = Runtime::new(config(folder.clone())).expect("a runtime");
    let _ = run(&mut case.hot(&runtime), 1_000_000);
    let map = fs::read_to_string(folder.join(format!("perf-{}.map", std::process::id()))).expect("a perf map");
    fs::remove_dir_all(&folder).expect("removed");
    let names: Vec<_> = map.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    let name = format!("evm:{}:0", keccak256(repeated(&STEP)));
    assert_eq!(names, if native_available() { vec![name.as_str()] } else { Vec::new() });
    let refused = Runtime::new(config(folder.join("missing"))).expect_err("no folder");
    assert!(refused.to_string().starts_with("no perf map in "), "{refused}");
}

#[test]
fn the_report_says_where_whole_code_is_left() {
    if !native_available() {
        return;
    }
    // A memory offset that no gas pays for, known only when it runs: calldata is 40 bytes of 0x5a.
    let code = [&[op::PUSH0, op::CALLDATALOAD, op::DUP1, op::MLOAD][..], &RETURN_TOP].concat();
    let case = Case::new(&[(CONTRACT, code.clone())]);
    let runtime = Runtime::new(Config::preset(Preset::Test)).expect("a runtime");
    let mut hot = case.hot(&runtime);
    for _ in 0..3 {
        assert!(run(&mut hot, 100_000).0.is_ok_and(|result| result.is_halt()));
    }
    let [report] = &runtime.peek(keccak256(&code))[..] else { panic!("one row") };
    assert_eq!(report.leave_sites, [LeaveSite { pc: 0, reason: "memory", count: 3 }]);
    assert_eq!(report.leaves, 0, "none out of a region");
}
