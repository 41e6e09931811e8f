//! Acceptance: the lines that say whether the project does what it promises, each a command and a check of its figures.
//!
//! in   the table in `lines`, the fixtures
//! out  for each line `acceptance/NAME.json`: command, commit, figures, what does not hold; a table of all on standard output
//!
//! A1  A line whose record is of this commit, with a clean work tree, and holds, is not run again.
//! A2  A line's record is written as soon as the line ends, so that a stopped run goes on where it was.

mod figures;
mod lines;
mod record;

use eyre::{WrapErr, bail};
use figures::Figures;
use lines::{LINES, Line, Status};
use record::Record;
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// Names of lines; none for all.
    names: Vec<String>,
    /// Run what a record makes needless, too.
    again: bool,
}

impl Wanted {
    fn parse(words: &[String]) -> eyre::Result<Self> {
        let mut wanted = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match (word.as_str(), word.as_str() == "--line") {
                (_, true) => match rest.next() {
                    Some(name) if LINES.iter().any(|line| line.name == name) => wanted.names.push(name.clone()),
                    Some(name) => bail!("acceptance has no line {name}; it has {}", names()),
                    None => bail!("--line needs a name: {}", names()),
                },
                ("--again", _) => wanted.again = true,
                _ => bail!("acceptance does not know {word}"),
            }
        }
        Ok(wanted)
    }

    fn wants(&self, line: &Line) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == line.name)
    }
}

fn names() -> String {
    LINES.map(|line| line.name).join(", ")
}

/// Runs the lines asked for and prints the table; true if all of them hold.
///
/// # Errors
/// If the words are not understood, or files cannot be written.
pub(crate) fn run(root: &Path, words: &[String]) -> eyre::Result<bool> {
    let wanted = Wanted::parse(words)?;
    let folder = root.join("acceptance");
    fs::create_dir_all(&folder).wrap_err_with(|| folder.display().to_string())?;
    let commit = record::commit(root)?;
    let mut records = Vec::new();
    for line in LINES.iter().filter(|line| wanted.wants(line)) {
        let stored = Record::load(&folder, line.name).filter(|record| !wanted.again && record.still_holds(&commit));
        let record = match stored {
            Some(record) => record,
            None => {
                println!("acceptance: {}: {}", line.name, line.about);
                let record = run_line(line, root, &folder, &commit)?;
                record.store(&folder)?;
                record
            }
        };
        println!("{record}");
        records.push(record);
    }
    println!("{}", record::table(&records));
    Ok(records.iter().all(Record::holds))
}

/// Runs one line; what the command prints goes to `acceptance/NAME.log`.
fn run_line(line: &Line, root: &Path, folder: &Path, commit: &str) -> eyre::Result<Record> {
    let report = format!("acceptance/{}.report.json", line.name);
    let json = root.join(&report);
    let log_path = folder.join(format!("{}.log", line.name));
    let words = command(line, &fixtures(), Path::new(&report));
    let (program, arguments) = words.split_first().ok_or_else(|| eyre::eyre!("line {} has no command", line.name))?;
    let _ = fs::remove_file(&json); // an old report must not be taken for this run's
    let log = File::create(&log_path).wrap_err_with(|| log_path.display().to_string())?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .wrap_err_with(|| program.clone())?;
    let mut figures = Figures::default();
    figures.figure("command_s", (start.elapsed().as_secs_f64() * 10.0).round() / 10.0);
    if !status.success() && line.status == Status::Decides {
        figures.fails(format!("{status}; see acceptance/{}.log", line.name));
    }
    let report = if line.command.contains(&"{JSON}") { read(&json) } else { Some(printed(&fs::read_to_string(&log_path)?)) };
    match (line.check, report) {
        (None, _) => {}
        (Some(check), Some(report)) => check(&report, &mut figures),
        (Some(_), None) => figures.fails("no report was written".to_owned()),
    }
    Ok(Record::new(line.name, words.join(" "), commit.to_owned(), figures))
}

/// The words of a line's command.
fn command(line: &Line, fixtures: &Path, json: &Path) -> Vec<String> {
    let words = line.command.iter();
    words.map(|word| word.replace("{F}", &fixtures.to_string_lossy()).replace("{JSON}", &json.to_string_lossy())).collect()
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// What a command printed as `name value`, as a report.
fn printed(log: &str) -> Value {
    let pairs = log.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    let numbers = pairs.filter_map(|(name, rest)| {
        let value: Value = serde_json::from_str(rest.trim()).ok()?;
        value.is_number().then(|| (name.to_owned(), value))
    });
    Value::Object(numbers.collect())
}

/// Where the fixtures are, seen from the root of the checkout: what `HOTEVM_FIXTURES` says, else beside it.
fn fixtures() -> PathBuf {
    std::env::var_os("HOTEVM_FIXTURES").map_or_else(|| PathBuf::from("../shared/fixtures"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> eyre::Result<Wanted> {
        Wanted::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn lines_are_chosen_by_name() {
        let wanted = parse(&["--line", "sample-chain", "--again"]).expect("a line of this name exists");
        assert!(wanted.again);
        assert_eq!(LINES.iter().filter(|line| wanted.wants(line)).count(), 1);
        assert!(LINES.iter().all(|line| Wanted::default().wants(line)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for words in [&["--line"][..], &["--line", "nothing"], &["--fast"]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn places_are_put_into_commands() {
        for line in LINES {
            let words = command(&line, Path::new("fixtures"), Path::new("out.json"));
            assert!(!words.iter().any(|word| word.contains('{')), "{words:?}");
            assert!(line.check.is_some() || !words.iter().any(|word| word == "out.json"), "line {}", line.name);
        }
    }

    #[test]
    fn printed_figures_are_read() {
        let report = printed("seed   7\nvariant fast share 0.9\n  native_gas_share  0.85\nrest of it\n");
        assert_eq!(report, serde_json::json!({"seed": 7, "native_gas_share": 0.85}));
    }
}
