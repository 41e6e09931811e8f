//! Laws of everything written: source, documents, scripts.
//!
//! in   text files of any kind
//! out  what only means something on one machine or to one person, and documents that are named and not there

use super::{File, Finding, mask::mask};
use std::collections::BTreeSet;

/// Folders at a file system's root under which machines keep what is their own.
const HOMES: [&str; 6] = ["home", "root", "Users", "work", "workspace", "mnt"];

/// Characters that may stand before an absolute path.
const BEFORE_PATH: &str = " \t\"'`(=:,<>[";

/// No path that exists on one machine only.
pub(super) fn no_machine_paths(file: &File) -> Vec<Finding> {
    on_lines(file, "machine path", |line| {
        let found = HOMES.iter().find(|home| {
            let path = format!("/{home}/");
            line.match_indices(&path)
                .any(|(at, _)| line[..at].chars().next_back().is_none_or(|before| BEFORE_PATH.contains(before)))
        });
        found.map(|home| format!("a path under /{home}"))
    })
}

/// What a tracker knows stands in the tracker; the source says it in words.
pub(super) fn no_issue_numbers(file: &File) -> Vec<Finding> {
    on_lines(file, "issue number", |line| {
        let lower = line.to_lowercase();
        let starts_with_digit = |text: &str| text.trim_start_matches(['#', ' ']).starts_with(|c: char| c.is_ascii_digit());
        let found = lower.match_indices("issue").any(|(at, word)| {
            let rest = &lower[at + word.len()..];
            rest.starts_with([' ', '#']) && starts_with_digit(rest)
        });
        found.then(|| "names an issue by its number".to_owned())
    })
}

/// A document that is named, by its file or by its name and a section, is in the tree.
pub(super) fn named_documents_exist(files: &[File]) -> Vec<Finding> {
    let documents: BTreeSet<&str> =
        files.iter().filter_map(|file| file.path.rsplit('/').next()).filter(|name| name.ends_with(".md")).collect();
    let missing = |name: &str| !documents.contains(name);
    let mut findings = Vec::new();
    for file in files {
        let look = |line: &str| {
            let name = named_documents(line).into_iter().find(|name| missing(name))?;
            Some(format!("{name} is named and not in the tree"))
        };
        if file.is_rust() {
            let comments = File { path: file.path.clone(), text: mask(&file.text).comments };
            findings.extend(on_lines(&comments, "document", look));
        } else {
            findings.extend(on_lines(file, "document", look));
        }
    }
    findings
}

/// Dumps of the stages: the table of the data flow has a row for each.
const DUMPS: [&str; 9] = [
    "00-bytecode.txt",
    "10-cfg.txt",
    "20-ssa.ir",
    "30-NAME.ir",
    "40-raw.ll",
    "50-object.o",
    "60-manifest.txt",
    "70-layout.txt",
    "--trace",
];

/// The first page shows how data flows, stage by stage. (That there is one, `named_documents_exist` says.)
pub(super) fn readme_shows_the_data_flow(files: &[File]) -> Vec<Finding> {
    let Some(readme) = files.iter().find(|file| file.path == "README.md") else { return Vec::new() };
    let has_row = |dump: &&&str| readme.text.lines().filter(|line| line.starts_with('|')).any(|line| line.contains(**dump));
    let missing = DUMPS.iter().filter(|dump| !has_row(dump));
    missing.map(|dump| whole("README.md", "data flow", format!("no row of a table names {dump}"))).collect()
}

/// Lines that the map of the source tree may have.
const MAP_LINES_MAX: usize = 250;

/// The map is short, and names every crate.
pub(super) fn architecture_is_a_map(files: &[File]) -> Vec<Finding> {
    let Some(File { text, .. }) = files.iter().find(|file| file.path == "ARCHITECTURE.md") else { return Vec::new() };
    let folders = files.iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml"));
    let unnamed = folders.filter(|folder| !text.contains(&format!("`{folder}`")));
    let mut findings: Vec<Finding> =
        unnamed.map(|folder| whole("ARCHITECTURE.md", "map", format!("`{folder}` is not named"))).collect();
    if text.lines().count() > MAP_LINES_MAX {
        findings.push(whole("ARCHITECTURE.md", "map", format!("more than {MAP_LINES_MAX} lines")));
    }
    findings
}

fn whole(path: &str, rule: &'static str, what: String) -> Finding {
    Finding { path: path.to_owned(), line: 0, rule, what }
}

/// The documents that a line names.
fn named_documents(line: &str) -> Vec<String> {
    let is_part = |character: char| character.is_alphanumeric() || "_-.".contains(character);
    let tokens: Vec<&str> = line.split(|character| !is_part(character) && character != '§').collect();
    let mut names: Vec<String> = tokens
        .iter()
        .map(|token| token.trim_matches('.'))
        .filter(|token| token.len() > 3 && token.ends_with(".md"))
        .map(str::to_owned)
        .collect();
    let sections = tokens.windows(2).filter(|pair| pair[1].starts_with('§'));
    let is_document = |name: &&str| name.len() > 3 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    names.extend(sections.map(|pair| pair[0]).filter(is_document).map(|name| format!("{name}.md")));
    names
}

fn on_lines(file: &File, rule: &'static str, look: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let numbered = file.text.lines().enumerate();
    let found = numbered.filter_map(|(index, line)| look(line).map(|what| (index + 1, what)));
    found.map(|(line, what)| Finding { path: file.path.clone(), line, rule, what }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check_rule;

    #[test]
    fn a_machine_path_is_found() {
        let bad = format!("see {}{}/notes", "/home", "/me");
        check_rule(no_machine_paths, "a.md", &bad, "see crates/work/notes, /usr/lib/llvm and ../shared/fixtures");
        check_rule(no_machine_paths, "a.rs", &format!("let p = \"{}{}\";", "/root", "/x"), "let p = \"/tmp/x\";");
    }

    #[test]
    fn an_issue_number_is_found() {
        check_rule(no_issue_numbers, "a.rs", &format!("// see issue {}", "#12"), "// the issue of 12 words");
        check_rule(no_issue_numbers, "a.md", &format!("Issue {}", 7), "We issue receipts. #7 is a colour.");
    }

    #[test]
    fn a_document_that_is_not_there_is_found() {
        let readme = || File::new("README.md", "");
        let missing = "// see PLAN.md";
        assert!(!named_documents_exist(&[readme(), File::new("a.rs", missing)]).is_empty());
        let section = "// PLAN §4";
        assert!(!named_documents_exist(&[readme(), File::new("a.rs", section)]).is_empty());
        assert!(named_documents_exist(&[readme(), File::new("a.rs", "// README.md. And EIP-170 §2")]).is_empty());
    }

    #[test]
    fn a_readme_without_the_data_flow_is_found() {
        assert_eq!(readme_shows_the_data_flow(&[File::new("README.md", "40-raw.ll")]).len(), DUMPS.len());
        let table: String = DUMPS.iter().map(|dump| format!("| stage | where | in | `{dump}` |\n")).collect();
        assert!(readme_shows_the_data_flow(&[File::new("README.md", &table)]).is_empty());
    }

    #[test]
    fn a_map_without_a_crate_or_too_long_is_found() {
        let manifest = || File::new("crates/ir/Cargo.toml", "");
        let check = |map: &str| architecture_is_a_map(&[manifest(), File::new("ARCHITECTURE.md", map)]).len();
        assert_eq!(check("`crates/abi`"), 1);
        assert_eq!(check("`crates/ir`"), 0);
        assert_eq!(check(&format!("`crates/ir`{}", "\n".repeat(MAP_LINES_MAX + 1))), 1);
    }
}
