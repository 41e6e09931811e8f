//! Laws of Rust source, one function each.
//!
//! in   one file
//! out  what breaks the law

use super::{File, Finding, mask::mask};

/// The files that may hold `unsafe`, and why: one invariant explains every block of a file. A path that ends in `/` is a folder.
const UNSAFE_FILES: [(&str, &str); 19] = [
    ("crates/abi/src/builtins.rs", "types of functions that generated code calls"),
    ("crates/abi/src/frame.rs", "types of functions that the host calls"),
    ("crates/llvm/src/diagnostics.rs", "listens to LLVM's reports"),
    ("crates/llvm/src/lower/calldata.rs", "inkwell's GEP trusts its indices"),
    ("crates/llvm/src/lower/inst.rs", "inkwell's GEP trusts its indices"),
    ("crates/llvm/src/lower/symbols.rs", "inkwell's GEP trusts its indices"),
    ("crates/llvm/src/target.rs", "hands LLVM its process-wide options"),
    ("crates/code/src/pages.rs", "maps pages and changes their protection"),
    ("crates/code/src/library.rs", "asks the system loader for checked files"),
    ("crates/code/tests/memory.rs", "forbids its own thread executable memory"),
    ("crates/code/tests/made/run.rs", "calls what it mapped"),
    ("crates/hotevm/src/builtins.rs", "is called by generated code"),
    ("crates/hotevm/src/code.rs", "knows the type of a linked entry"),
    ("crates/hotevm/src/code/places.rs", "has the processor fetch ahead"),
    ("crates/hotevm/src/hashes.rs", "allocates tables of zeros, on huge pages"),
    ("crates/hotevm/src/hook/tables.rs", "compares tables of functions as addresses"),
    ("crates/hotevm/src/hook/tests.rs", "counts allocations"),
    ("crates/hotevm/src/hook/watch.rs", "reads a profile that the thread keeps"),
    ("crates/hotevm/src/native.rs", "enters generated code"),
];

/// The crates that need not forbid `unsafe`.
const UNSAFE_CRATES: [&str; 4] = ["crates/abi/", "crates/llvm/", "crates/code/", "crates/hotevm/"];

/// Folders in which atomics, locks and threads come from a file named `sync.rs` alone, so that loom can take their place.
const SYNC_FOLDERS: [&str; 3] = ["crates/hotevm/src/", "crates/code/src/", "crates/store/src/"];

/// What `sync` wraps.
const SYNC_WORDS: [&str; 7] = ["atomic", "Mutex", "RwLock", "Condvar", "Barrier", "mpsc", "thread"];

/// What the compiler's pure half must not know: threads, clocks, files, the environment.
const IMPURE_WORDS: [&str; 6] = ["std::thread", "std::time", "std::fs", "std::io", "std::env", "std::process"];

/// Module names that say nothing of what is inside.
const NAMELESS: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "manager", "misc", "shared"];

/// Macros that stand for work not done, or left over from a search.
const UNFINISHED_MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// Marks of work not done.
const UNFINISHED_MARKS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// Every file says first what comes in, what goes out and what must hold.
pub(super) fn opens_with_header(file: &File) -> Vec<Finding> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![finding(file, 1, "header", "does not open with //!".to_owned())]
}

/// `unsafe` stands only in the files listed above.
pub(super) fn unsafe_only_where_listed(file: &File) -> Vec<Finding> {
    if UNSAFE_FILES.iter().any(|(row, _)| file.path == *row) {
        return Vec::new();
    }
    in_code(file, "unsafe", |line| has_unsafe(line).then(|| "unsafe, and not listed".to_owned()))
}

/// A row of the list that allows nothing goes.
pub(super) fn unsafe_rows_are_needed(files: &[File]) -> Vec<Finding> {
    let is_needed =
        |row: &str| files.iter().any(|file| file.is_rust() && file.path == *row && has_unsafe(&mask(&file.text).code));
    let idle = UNSAFE_FILES.iter().filter(|(row, _)| !is_needed(row));
    let what = || "holds no unsafe: remove its row from UNSAFE_FILES".to_owned();
    idle.map(|(row, _)| Finding { path: (*row).to_owned(), line: 0, rule: "unsafe", what: what() }).collect()
}

fn has_unsafe(code: &str) -> bool {
    words(code).any(|word| word == "unsafe")
}

/// No test is switched off.
pub(super) fn no_ignored_tests(file: &File) -> Vec<Finding> {
    in_code(file, "ignored test", |line| line.contains("#[ignore").then(|| "a test that does not run".to_owned()))
}

/// Nothing is left for later, neither in code nor in a comment.
pub(super) fn nothing_unfinished(file: &File) -> Vec<Finding> {
    let masked = mask(&file.text);
    let code = on_lines(file, &masked.code, "unfinished", |line| {
        let found = UNFINISHED_MACROS.iter().find(|name| has_word_start(line, name));
        found.map(|name| format!("{name} left over"))
    });
    let comments = on_lines(file, &masked.comments, "unfinished", |line| {
        let found = words(line).find(|word| UNFINISHED_MARKS.contains(word));
        found.map(|mark| format!("{mark} in a comment"))
    });
    [code, comments].concat()
}

/// Atomics, locks and threads come through `sync`.
pub(super) fn sync_only_in_sync(file: &File) -> Vec<Finding> {
    let is_sync = file.path.ends_with("/sync.rs");
    if is_sync || !SYNC_FOLDERS.iter().any(|folder| file.path.starts_with(folder)) {
        return Vec::new();
    }
    let code = mask(&file.text).code;
    // A `use` may run over lines: each is taken as one line, at the place of its first.
    let joined = one_line_uses(&code);
    on_lines(file, &joined, "sync", |line| {
        let names: Vec<&str> = words(line).collect();
        let is_std = names.iter().any(|name| ["std", "core"].contains(name));
        let found = names.iter().find(|name| SYNC_WORDS.contains(name))?;
        is_std.then(|| format!("{found} of the standard library outside of sync.rs"))
    })
}

/// The same text with every `use` declaration drawn together on its first line; the line numbers stay.
fn one_line_uses(code: &str) -> String {
    let mut joined = String::with_capacity(code.len());
    let mut owed_lines = 0;
    for line in code.lines() {
        let continues = owed_lines > 0;
        let starts = line.trim_start().starts_with("use ") || line.trim_start().starts_with("pub use ");
        joined.push_str(line);
        if (starts || continues) && !line.contains(';') {
            owed_lines += 1;
            joined.push(' ');
        } else {
            joined.push_str(&"\n".repeat(owed_lines + 1));
            owed_lines = 0;
        }
    }
    joined
}

/// The crate of the IR knows no threads, clocks, files or environment; its tests may.
pub(super) fn pure_crates_stay_pure(file: &File) -> Vec<Finding> {
    if !file.path.starts_with("crates/ir/src/") {
        return Vec::new();
    }
    in_code(file, "pure crate", |line| {
        let found = IMPURE_WORDS.iter().find(|word| has_word_start(line, word));
        found.map(|word| format!("{word} in the crate of the IR"))
    })
}

/// The root of a crate forbids `unsafe`, unless the crate is one of the four that need it.
pub(super) fn forbids_unsafe(file: &File) -> Vec<Finding> {
    let is_root = file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs");
    let is_free = UNSAFE_CRATES.iter().any(|folder| file.path.starts_with(folder));
    if !is_root || is_free || mask(&file.text).code.contains("#![forbid(unsafe_code)]") {
        return Vec::new();
    }
    vec![finding(file, 1, "forbid unsafe", "the crate's root lacks #![forbid(unsafe_code)]".to_owned())]
}

/// A file, folder or inline module is named for what it holds.
pub(super) fn module_has_a_name(file: &File) -> Vec<Finding> {
    let stem = |part: &str| part.split('.').next().unwrap_or_default().to_owned();
    let in_path = file.path.split('/').map(stem).find(|part| NAMELESS.contains(&part.as_str()));
    let mut findings: Vec<Finding> =
        in_path.map(|part| finding(file, 0, "module name", format!("{part} says nothing"))).into_iter().collect();
    if file.path.ends_with(".rs") {
        findings.extend(in_code(file, "module name", |line| {
            let names: Vec<&str> = words(line).collect();
            let module = names.windows(2).find(|pair| pair[0] == "mod" && NAMELESS.contains(&pair[1]))?;
            Some(format!("{} says nothing", module[1]))
        }));
    }
    findings
}

fn finding(file: &File, line: usize, rule: &'static str, what: String) -> Finding {
    Finding { path: file.path.clone(), line, rule, what }
}

/// Findings of `look` over the lines of the code of `file`.
fn in_code(file: &File, rule: &'static str, look: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    on_lines(file, &mask(&file.text).code, rule, look)
}

fn on_lines(file: &File, text: &str, rule: &'static str, look: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let numbered = text.lines().enumerate();
    numbered.filter_map(|(index, line)| look(line).map(|what| finding(file, index + 1, rule, what))).collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| !(character.is_alphanumeric() || character == '_')).filter(|word| !word.is_empty())
}

/// Whether `word` stands in `line` and is not the tail of a longer word.
fn has_word_start(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|character| !(character.is_alphanumeric() || character == '_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_rule;

    #[test]
    fn a_missing_header_is_found() {
        check_rule(opens_with_header, "a.rs", "use std::fmt;\n", "//! Text.\n");
    }

    #[test]
    fn unlisted_unsafe_is_found() {
        check_rule(unsafe_only_where_listed, "crates/ir/src/a.rs", "unsafe { f() }", "// unsafe\nlet unsafe_count = \"unsafe\";");
        check_rule(unsafe_only_where_listed, "statetest/src/a.rs", "unsafe fn f() {}", "#![forbid(unsafe_code)]");
    }

    #[test]
    fn a_needless_row_is_found() {
        let listed = || UNSAFE_FILES.iter().map(|(row, _)| File::new(row, "unsafe {}"));
        assert!(unsafe_rows_are_needed(&listed().collect::<Vec<_>>()).is_empty());
        assert_eq!(unsafe_rows_are_needed(&listed().skip(1).collect::<Vec<_>>()).len(), 1);
        assert!(UNSAFE_FILES.iter().all(|(_, reason)| reason.len() > 10));
    }

    #[test]
    fn an_ignored_test_is_found() {
        check_rule(no_ignored_tests, "a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", "#[test]\nfn ignore() {}");
    }

    #[test]
    fn unfinished_work_is_found() {
        check_rule(nothing_unfinished, "a.rs", "fn f() { todo!() }", "fn f() { my_todo!() }");
        check_rule(nothing_unfinished, "a.rs", "// TODO: later", "// in Spanish, todo is everything");
        check_rule(nothing_unfinished, "a.rs", "let a = dbg!(b);", "let a = \"dbg!\";");
    }

    #[test]
    fn a_lock_outside_of_sync_is_found() {
        check_rule(sync_only_in_sync, "crates/hotevm/src/a.rs", "use std::sync::Mutex;", "use std::sync::Arc;");
        let (bad, good) =
            ("use std::{\n    fmt,\n    sync::{Arc, Mutex},\n};", "use std::{\n    fmt,\n    sync::Arc,\n};\nMutex::new(0)");
        check_rule(sync_only_in_sync, "crates/hotevm/src/a.rs", bad, good);
        check_rule(sync_only_in_sync, "crates/hotevm/src/a.rs", "std::thread::spawn(f);", "use crate::sync::Mutex;");
        check_rule(sync_only_in_sync, "crates/code/src/a.rs", "use std::sync::atomic::AtomicU64;", "let a = sync::counter();");
        assert!(sync_only_in_sync(&File::new("crates/hotevm/src/sync.rs", "use std::sync::Mutex;")).is_empty());
    }

    #[test]
    fn a_clock_in_the_ir_is_found() {
        check_rule(pure_crates_stay_pure, "crates/ir/src/a.rs", "use std::time::Instant;", "use std::collections::BTreeMap;");
    }

    #[test]
    fn a_crate_that_allows_unsafe_is_found() {
        check_rule(forbids_unsafe, "crates/ir/src/lib.rs", "//! IR.\n", "//! IR.\n#![forbid(unsafe_code)]\n");
        check_rule(forbids_unsafe, "xtask/src/main.rs", "//! // #![forbid(unsafe_code)]\n", "#![forbid(unsafe_code)]\n");
        assert!(forbids_unsafe(&File::new("crates/abi/src/lib.rs", "//! ABI.\n")).is_empty());
    }

    #[test]
    fn a_nameless_module_is_found() {
        check_rule(module_has_a_name, "crates/ir/src/a.rs", "mod utils;", "mod analysis; // utils");
        assert!(!module_has_a_name(&File::new("crates/ir/src/common.rs", "")).is_empty());
        assert!(!module_has_a_name(&File::new("crates/ir/src/helpers/a.rs", "")).is_empty());
    }
}
