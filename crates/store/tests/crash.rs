//! Processes that write into one store, and are killed while they do.
//!
//! in   this program, started again as a writer
//! out  whatever a writer said it stored is there and whole; nothing else is broken or left over
//!
//! The program is its own test harness, since it is also the writer: `crash write FOLDER FIRST COUNT`. `HOTEVM_SEED` repeats a run.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod made;

use hotevm_store::{ArtifactStore, Stored};
use made::{Folder, artifact, names, object, open};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    ops::ControlFlow,
    path::Path,
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

/// How often a writer is killed.
const KILLS: u32 = 50;
/// Artifacts that both of two writers store.
const SHARED: u32 = 150;

/// Bytes of code in an artifact: the larger, the longer a write takes.
fn len_of(number: u32) -> usize {
    (number as usize * 7919) % 60_000
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, folder, first, count] = arguments.as_slice()
        && command == "write"
    {
        write(Path::new(folder), first.parse().unwrap(), count.parse().unwrap());
        return;
    }
    killed_writers_lose_nothing_and_break_nothing();
    two_writers_store_each_artifact_once();
}

/// The writer: a line for each artifact, once it is stored.
fn write(folder: &Path, first: u32, count: u32) {
    let store = open(folder);
    let mut out = std::io::stdout();
    for number in (first..).take(count as usize) {
        let stored = store.store(&object(number, len_of(number))).unwrap();
        writeln!(out, "{} {number}", if stored == Stored::New { "new" } else { "present" }).unwrap();
    }
}

fn writer(folder: &Path, first: u32, count: u32) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["write", folder.to_str().unwrap(), &first.to_string(), &count.to_string()]);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn killed_writers_lose_nothing_and_break_nothing() {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let seed = std::env::var("HOTEVM_SEED").ok().map_or_else(clock, |seed| seed.parse().unwrap());
    println!("HOTEVM_SEED={seed}");
    let mut random = Random(seed);
    let folder = Folder::new("killed");
    let mut acknowledged = BTreeSet::new();
    let mut left_over = 0;
    for kill in 0..KILLS {
        let mut child = writer(&folder.0, kill * 1000, 1000);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        for _ in 0..random.below(12) {
            lines.read_line(&mut said).unwrap();
        }
        for _ in 0..random.below(400_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        left_over += names(&folder.0).iter().filter(|name| name.starts_with('.')).count();
        lines.read_to_string(&mut said).unwrap();
        // All of the numbers up to the last are acknowledged.
        let last = said.lines().filter_map(|line| line.strip_prefix("new ")).next_back();
        if let Some(last) = last.and_then(|number| number.parse::<u32>().ok()) {
            acknowledged.extend(kill * 1000..=last);
        }
        let store = open(&folder.0);
        assert!(names(&folder.0).iter().all(|name| name.ends_with(".so")), "dead writers' files are swept");
        let mut found = 0;
        store
            .load_all(None, &mut |_| {
                found += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(store.counts().refused_total(), 0, "seed {seed}: every file is whole");
        assert!(found >= acknowledged.len());
        for number in &acknowledged {
            let key = artifact(*number, len_of(*number)).key;
            assert!(store.load(&key, None).unwrap().is_some(), "seed {seed}: {number} was lost");
        }
    }
    assert!(!acknowledged.is_empty());
    println!("{KILLS} writers killed, {} artifacts kept, {left_over} unfinished files swept", acknowledged.len());
}

fn two_writers_store_each_artifact_once() {
    let folder = Folder::new("two");
    let mut children = [(); 2].map(|()| writer(&folder.0, 0, SHARED));
    // A third process that opens the store meanwhile sweeps, and must not take what the writers are writing.
    while children[0].try_wait().unwrap().is_none() || children[1].try_wait().unwrap().is_none() {
        drop(open(&folder.0));
    }
    let mut new = Vec::new();
    for child in &mut children {
        let mut lines = String::new();
        child.stdout.take().unwrap().read_to_string(&mut lines).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(lines.lines().count(), SHARED as usize);
        new.extend(lines.lines().filter_map(|line| line.strip_prefix("new ")).map(|number| number.parse::<u32>().unwrap()));
    }
    new.sort_unstable();
    assert_eq!(new, (0..SHARED).collect::<Vec<_>>(), "each was stored by one of the two");
    assert_eq!(names(&folder.0).len(), SHARED as usize);
    let store = open(&folder.0);
    let listed = store.list().unwrap().len();
    assert_eq!(listed, SHARED as usize);
    println!("two writers, {SHARED} artifacts, each once");
}
