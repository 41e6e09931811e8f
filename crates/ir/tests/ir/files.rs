//! File tests: one idea per file under `tests/files`, with the expected dump in comments behind `; expect`.
//!
//! The first line says what is tested: `; test STAGE[ NAME], fork FORK[, custom 0xNN][, likely 0xNN 0xNN…][, force-leaves]`. Stages:
//! `flow` (heights, edges, targets), `ssa` (as built), `sections` (of that: heads, charges, what sees gas, ends), `pass NAME` (up
//! to and with that pass). Files named `.evm` hold assembler text, files named `.ir` the text form, to which only the pass is
//! applied. `UPDATE=1` writes the dumps that were found.

use crate::{assembler::assemble, machine::config};
use hotevm_ir::{
    Config, Fork, Function,
    analysis::{blocks::Blocks, cold, flow},
    build::build,
    bytecode::Code,
    opt::PASSES,
    text, verify,
};
use std::path::{Path, PathBuf};

/// What the head line asks for.
struct Head {
    stage: String,
    pass: Option<String>,
    config: Config,
}

fn head(line: &str) -> Head {
    let mut parts = line.strip_prefix("; test ").expect("the first line says what is tested").split(", ");
    let mut stage = parts.next().unwrap_or_default().split(' ');
    let mut config = config(Fork::Osaka);
    let (name, pass) = (stage.next().unwrap_or_default().to_owned(), stage.next().map(str::to_owned));
    for part in parts {
        match part.split_once(' ') {
            Some(("fork", fork)) => {
                config = crate::machine::config(Fork::from_name(fork).unwrap_or_else(|| panic!("no fork {fork}")));
            }
            Some(("custom", byte)) => {
                let byte = u8::from_str_radix(byte.trim_start_matches("0x"), 16).expect("a byte");
                config.custom[usize::from(byte / 64)] |= 1 << (byte % 64);
            }
            Some(("likely", places)) => {
                let place = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).expect("a place");
                config.likely = Some(places.split(' ').map(place).collect());
            }
            _ if part == "force-leaves" => config.force_leaves = true,
            _ => panic!("unknown option {part}"),
        }
    }
    Head { stage: name, pass, config }
}

/// Builds, verifies.
fn built(code: &Code, blocks: &Blocks, flow: &flow::Flow, config: &Config) -> Function {
    let cold = cold::cold(code, blocks, flow, config);
    let (function, _) = build(code, blocks, flow, &cold, config);
    check_rules(&function);
    function
}

fn check_rules(function: &Function) {
    verify::verify(function).unwrap_or_else(|error| panic!("{error}\n{}", text::print(function)));
}

/// Applies the passes up to the named one, or that one alone.
fn passes(function: &mut Function, name: &str, alone: bool) {
    assert!(PASSES.iter().any(|pass| pass.name == name), "no pass is called {name}");
    for pass in PASSES {
        if !alone || pass.name == name {
            (pass.run)(function);
            check_rules(function);
        }
        if pass.name == name {
            break;
        }
    }
}

/// The lines of the text form that tell of gas.
fn sections(function: &Function) -> String {
    const KEPT: &[&str] =
        &["charge", "giveback", "reach", "host", "finish", "suspend", "jump", "branch", "switch", "dispatch", "leave"];
    let printed = text::print(function);
    let kept = printed.lines().filter(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let observes = matches!(words[..], [_, "=", "gas" | "msize"]);
        line.starts_with("block") || line.starts_with("leave") || observes || KEPT.contains(&words[0])
    });
    kept.map(|line| format!("{line}\n")).collect()
}

/// The dump that a file asks for.
fn dump(path: &Path, head: &Head, source: &str) -> String {
    let pass = head.pass.as_deref();
    if path.extension().is_some_and(|extension| extension == "ir") {
        let mut function = text::parse(source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        check_rules(&function);
        assert_eq!(head.stage, "pass", "{}", path.display());
        passes(&mut function, pass.expect("a pass is named"), true);
        return text::print(&function);
    }
    let code = Code::decode(&assemble(source));
    let blocks = Blocks::split(&code, &head.config);
    let flow = flow::flow(&code, &blocks, &head.config);
    if head.stage == "flow" {
        return flow::dump(&code, &blocks, &flow);
    }
    let mut function = built(&code, &blocks, &flow, &head.config);
    match (head.stage.as_str(), pass) {
        ("ssa", None) => text::print(&function),
        ("sections", None) => sections(&function),
        ("pass", Some(name)) => {
            passes(&mut function, name, false);
            text::print(&function)
        }
        _ => panic!("{}: no stage {}", path.display(), head.stage),
    }
}

/// Compares one file with what is found, or rewrites it.
fn check_file(path: &Path, update: bool) -> bool {
    let content = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (source, expected) = content.split_once("; expect\n").unwrap_or((&content, ""));
    let first = source.lines().next().unwrap_or_default();
    let found = dump(path, &head(first), source);
    let found: String = found.lines().map(|line| format!("; {line}").trim_end().to_owned() + "\n").collect();
    if update && found != expected {
        std::fs::write(path, format!("{source}; expect\n{found}")).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return true;
    }
    if found != expected {
        println!("{} differs; found\n{found}", path.display());
    }
    found == expected
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let list = |folder: &Path| -> Vec<PathBuf> {
        let rows = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        rows.map(|row| row.expect("the folder can be read").path()).collect()
    };
    let mut files: Vec<PathBuf> = list(&root).iter().flat_map(|folder| list(folder)).collect();
    files.sort();
    files
}

#[test]
fn files_hold_what_they_expect() {
    let update = std::env::var_os("UPDATE").is_some();
    let files = files();
    assert!(files.len() >= 25, "{} files", files.len());
    let differing: Vec<&PathBuf> = files.iter().filter(|path| !check_file(path, update)).collect();
    assert!(differing.is_empty(), "{} files differ; UPDATE=1 rewrites them: {differing:?}", differing.len());
}
