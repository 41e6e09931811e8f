//! A build without LLVM runs what another one compiled.
//!
//! in   the sample chain; a store filled by this build; the command built anew without the feature `llvm`
//! out  equal results, as much native gas, nothing compiled

#![cfg(all(feature = "llvm", feature = "full"))]

use serde_json::Value;
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The command without LLVM, in a folder of its own for what is built.
fn without_llvm() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-llvm");
    let build = ["build", "--quiet", "--release", "-p", "hotevm-cli", "--no-default-features", "--target-dir"];
    let status = Command::new(env!("CARGO")).args(build).arg(&target).status().unwrap();
    assert!(status.success(), "{status}");
    target.join("release/hotevm")
}

fn replay(binary: &Path, store: &Path, modes: &str) -> Value {
    let report = store.join("report.json");
    let mut command = Command::new(binary);
    command.args(["replay", "--rounds", "2", "--mode", modes, "--store"]).arg(store).arg("--json").arg(&report);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&fs::read(&report).unwrap()).unwrap()
}

#[test]
fn artifacts_run_and_nothing_compiles() {
    let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&store).unwrap();
    let this = Path::new(env!("CARGO_BIN_EXE_hotevm"));
    let built = Command::new(this).args(["aot", "build", "--store"]).arg(&store).status().unwrap();
    assert!(built.success());
    let compiled = replay(this, &store, "interpreter,jit");
    let other = without_llvm();
    let refused = Command::new(&other).args(["replay", "--mode", "jit"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "that build has no compiler");
    let taken = replay(&other, &store, "interpreter,aot");
    let runs = |report: &Value| report["runs"].as_array().unwrap().clone();
    assert!(!runs(&taken).is_empty());
    for (compiled, taken) in runs(&compiled).iter().zip(&runs(&taken)) {
        let (jit, aot) = (&compiled["modes"][1], &taken["modes"][1]);
        assert_eq!((&aot["compiled"], &aot["mismatches"]), (&Value::from(0), &Value::from(0)), "{taken}");
        for field in ["eligible_frames", "native_frames", "native_gas_share", "leaves"] {
            assert_eq!(aot[field], jit[field], "{field} of {}", taken["name"]);
        }
    }
    fs::remove_dir_all(&store).unwrap();
}
