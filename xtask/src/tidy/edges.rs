//! Which crate may use which: the table that keeps the compiler ignorant of revm, and the hook ignorant of command lines.
//!
//! in   `cargo metadata --no-deps`
//! out  edges that the table lacks, crates without a row, and libraries a crate must know nothing of

use super::Finding;
use serde_json::Value;

/// A crate of the workspace.
struct Row {
    name: &'static str,
    /// Crates of the workspace it may use.
    may_use: &'static [&'static str],
    /// Beginnings of the names of packages it must not use.
    knows_nothing_of: &'static [&'static str],
}

const LLVM: &str = "inkwell";
const REVM: &str = "revm";

/// The crates of the workspace. A row names all that its crate may use, also what it does not use yet.
const CRATES: [Row; 11] = [
    Row { name: "hotevm-ir", may_use: &[], knows_nothing_of: &[REVM, "alloy-evm", LLVM, "llvm-sys"] },
    Row { name: "hotevm-abi", may_use: &[], knows_nothing_of: &[REVM, "alloy-evm", LLVM, "llvm-sys"] },
    Row { name: "hotevm-llvm", may_use: &["hotevm-ir", "hotevm-abi"], knows_nothing_of: &[REVM, "alloy-evm"] },
    Row { name: "hotevm-code", may_use: &["hotevm-abi"], knows_nothing_of: &[REVM, "alloy-evm", LLVM, "llvm-sys"] },
    Row {
        name: "hotevm-store",
        may_use: &["hotevm-abi", "hotevm-code"],
        knows_nothing_of: &[REVM, "alloy-evm", LLVM, "llvm-sys"],
    },
    Row { name: "hotevm", may_use: COMPILER, knows_nothing_of: &["clap", "indicatif", LLVM, "llvm-sys"] },
    Row { name: "hotevm-testing", may_use: LIBRARIES, knows_nothing_of: &["clap"] },
    Row { name: "hotevm-statetest", may_use: &["hotevm"], knows_nothing_of: &["clap", LLVM, "llvm-sys"] },
    Row { name: "hotevm-cli", may_use: ALL, knows_nothing_of: &[LLVM, "llvm-sys"] },
    Row { name: "hotevm-benches", may_use: ALL, knows_nothing_of: &[] },
    Row { name: "xtask", may_use: &[], knows_nothing_of: &[REVM, LLVM] },
];

const COMPILER: &[&str] = &["hotevm-ir", "hotevm-abi", "hotevm-llvm", "hotevm-code", "hotevm-store"];
const LIBRARIES: &[&str] = &["hotevm-ir", "hotevm-abi", "hotevm-llvm", "hotevm-code", "hotevm-store", "hotevm"];
const ALL: &[&str] =
    &["hotevm-ir", "hotevm-abi", "hotevm-llvm", "hotevm-code", "hotevm-store", "hotevm", "hotevm-testing", "hotevm-statetest"];

/// Compares the table with the workspace. Dependencies of tests are free: a pure crate may be checked against revm.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let members: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(row) = CRATES.iter().find(|row| row.name == name) else {
            findings.push(finding(name, "has no row in the table of crates".to_owned()));
            continue;
        };
        for used in normal_dependencies(package) {
            if members.contains(&used) && !row.may_use.contains(&used) {
                findings.push(finding(name, format!("may not use {used}")));
            }
            if !members.contains(&used) && row.knows_nothing_of.iter().any(|start| used.starts_with(start)) {
                findings.push(finding(name, format!("must know nothing of {used}")));
            }
        }
    }
    let gone = CRATES.iter().filter(|row| !members.contains(&row.name));
    findings.extend(gone.map(|row| finding(row.name, "is in the table of crates and not in the workspace".to_owned())));
    findings
}

/// Packages that a package needs when it is used, not only when it is tested or built.
fn normal_dependencies(package: &Value) -> impl Iterator<Item = &str> {
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    dependencies.iter().filter(|dependency| dependency["kind"].is_null()).filter_map(|dependency| dependency["name"].as_str())
}

fn finding(package: &str, what: String) -> Finding {
    Finding { path: package.to_owned(), line: 0, rule: "crate edges", what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A workspace of every crate of the table, in which `name` uses `used`.
    fn workspace(name: &str, used: &str, kind: Value) -> Value {
        let packages: Vec<Value> = CRATES
            .iter()
            .map(|row| {
                let uses = if row.name == name { vec![json!({"name": used, "kind": kind})] } else { Vec::new() };
                json!({"name": row.name, "dependencies": uses})
            })
            .collect();
        json!({ "packages": packages })
    }

    #[test]
    fn an_edge_that_the_table_lacks_is_found() {
        assert_eq!(check(&workspace("hotevm-ir", "hotevm-abi", Value::Null)).len(), 1);
        assert_eq!(check(&workspace("hotevm-llvm", "revm-interpreter", Value::Null)).len(), 1);
        assert!(check(&workspace("hotevm-llvm", "hotevm-abi", Value::Null)).is_empty());
        assert!(check(&workspace("hotevm-ir", "revm", json!("dev"))).is_empty());
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        assert_eq!(check(&json!({"packages": [{"name": "hotevm-new", "dependencies": []}]})).len(), 1 + CRATES.len());
    }
}
