//! Scripts where what they need is missing.
//!
//! in   an environment without LLVM and without a package manager
//! out  one line that says what to do, and a status that says that it was not done

use std::{path::Path, process::Command};

/// Runs a script of the checkout with nothing in its path.
fn bare(script: &str, prefix: &str) -> (Option<i32>, String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(script);
    let empty = std::env::temp_dir().join("no-such-folder");
    let output = Command::new("/bin/bash").arg(path).env("PATH", empty).env("LLVM_SYS_221_PREFIX", prefix).output();
    let output = output.expect("bash runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_missing_llvm_is_one_clear_line() {
    let (status, output, error) = bare("install-llvm", "/no/such/prefix");
    assert_eq!((status, output.as_str()), (Some(1), ""), "{error}");
    let expected =
        "install-llvm: LLVM 22 was not found at /no/such/prefix: install it and set LLVM_SYS_221_PREFIX to its prefix\n";
    assert_eq!(error, expected);
}
