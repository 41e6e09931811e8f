//! Processes that share a store: killed at any moment, at work at once, one after the other.
//!
//! in   the sample chain; the command, started many times
//! out  a store in which everything is whole and nothing is missing; code that is fast at once in the next process
//!
//! `HOTEVM_SEED` repeats the moments of the kills, as far as the system's scheduling allows.

#![cfg(feature = "llvm")]

use hotevm::store::{ArtifactStore, LocalConfig, LocalStore};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder},
    hint,
    ops::ControlFlow,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// How often a process is killed.
const KILLS: u64 = if cfg!(feature = "full") { 50 } else { 5 };

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hotevm-cli-stores-{}-{name}", std::process::id()));
        let folder = Self(path);
        folder.make_anew();
        folder
    }

    fn make_anew(&self) {
        let _old = fs::remove_dir_all(&self.0);
        DirBuilder::new().mode(0o700).create(&self.0).unwrap();
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The names of the artifacts.
    fn names(&self) -> BTreeSet<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".so")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// The code hash in a name.
fn hash(name: &str) -> &str {
    name.split_once('-').unwrap().0
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
        let seed = std::env::var("HOTEVM_SEED").ok().map_or_else(clock, |seed| seed.parse().unwrap());
        println!("HOTEVM_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hotevm"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs the command with a report below the folder.
fn reported(folder: &Folder, arguments: &[&str]) -> Value {
    let path = folder.0.join("report.json");
    let output =
        Command::new(env!("CARGO_BIN_EXE_hotevm")).args(arguments).args(["--json", path.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    report
}

/// Kills a process once so many artifacts are there, and a little later still; what was there before that. The process may have ended.
fn kill(child: &mut Child, folder: &Folder, artifacts: usize, random: &mut Random) -> BTreeSet<String> {
    while folder.names().len() < artifacts && child.try_wait().unwrap().is_none() {
        thread::yield_now();
    }
    for _ in 0..random.below(2_000_000) {
        hint::spin_loop();
    }
    let seen = folder.names();
    child.kill().unwrap();
    child.wait().unwrap();
    seen
}

/// Everything in the store is whole; how many artifacts that are.
fn verify(folder: &Folder) -> usize {
    let checked = reported(folder, &["aot", "verify", "--store", folder.text()]);
    assert_eq!(checked["refused"], 0);
    let whole = checked["whole"].as_u64().unwrap() as usize;
    assert_eq!(whole, folder.names().len());
    whole
}

/// Kills a command again and again. `is_kept` compares what was there before a kill with what is there after it.
fn kill_often(name: &str, arguments: &[&str], is_kept: fn(&BTreeSet<String>, &BTreeSet<String>) -> bool) {
    let (folder, mut random) = (Folder::new(name), Random::new());
    let arguments = [arguments, &["--store", folder.text()]].concat();
    let mut found = 0;
    for _ in 0..KILLS {
        let before = folder.names();
        if before.len() > 8 {
            folder.make_anew();
        }
        let mut child = start(&arguments);
        let wanted = folder.names().len() + random.below(4) as usize;
        let seen = kill(&mut child, &folder, wanted, &mut random);
        found += verify(&folder);
        assert!(is_kept(&seen, &folder.names()), "{seen:?} became {:?}", folder.names());
    }
    assert!(found > 0, "no process came as far as its first artifact");
    println!("{KILLS} processes killed, {found} artifacts found whole after the kills");
}

#[test]
fn a_build_that_is_killed_loses_nothing() {
    let build = ["aot", "build", "-j", "2", "--optimisation", "none"];
    kill_often("build", &build, |before, after| before.is_subset(after));
}

#[test]
fn a_background_writer_that_is_killed_loses_nothing() {
    let replay = ["replay", "--filter", "everything", "--mode", "tiered", "--settle", "--rounds", "40", "--optimisation", "none"];
    // A larger region takes the place of a smaller one, so it is the codes that must still be there.
    kill_often("writer", &replay, |before, after| before.iter().all(|name| after.iter().any(|other| hash(other) == hash(name))));
}

#[test]
fn two_processes_build_each_artifact_once() {
    let folder = Folder::new("two");
    let reports = [0, 1].map(|number| folder.0.join(format!("report-{number}.json")));
    let build = ["aot", "build", "--store", folder.text(), "--optimisation", "none", "--json"];
    let mut children = reports.each_ref().map(|report| start(&[&build[..], &[report.to_str().unwrap()]].concat()));
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    let reports = reports.map(|path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap());
    let sum = |field: &str| reports.iter().map(|report| report[field].as_u64().unwrap()).sum::<u64>();
    let codes = reports[0]["codes"].as_u64().unwrap();
    assert_eq!((sum("built"), sum("present")), (codes, codes));
    assert_eq!(verify(&folder) as u64, codes);
    let keys = LocalStore::open(LocalConfig::new(&folder.0)).unwrap().list().unwrap();
    let distinct: BTreeSet<_> = keys.iter().map(|listed| (listed.key.code_hash, listed.key.gas)).collect();
    assert_eq!(distinct.len() as u64, codes);
}

#[test]
fn the_next_process_is_native_from_its_first_round() {
    let folder = Folder::new("restart");
    let replay = |rounds: &str| {
        let modes = [
            "replay",
            "--filter",
            "numbers",
            "--mode",
            "interpreter,tiered",
            "--settle",
            "--store",
            folder.text(),
            "--rounds",
            rounds,
        ];
        reported(&folder, &modes)["runs"][0]["modes"][1].take()
    };
    let share = |mode: &Value| mode["native_gas_share"].as_f64().unwrap();
    let first = replay("30");
    assert!(first["compiled"].as_u64() > Some(0) && share(&first) > 0.9, "{first}");
    let mut regions = 0;
    LocalStore::open(LocalConfig::new(&folder.0))
        .unwrap()
        .load_all(None, &mut |object| {
            regions += usize::from(!object.artifact().profile.is_empty());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(regions > 0, "regions are kept with their profiles");
    let second = replay("1");
    assert_eq!((&first["mismatches"], &second["mismatches"]), (&Value::from(0), &Value::from(0)));
    assert!(share(&second) >= 0.99 * share(&first), "{} of {}", share(&second), share(&first));
    verify(&folder);
}
