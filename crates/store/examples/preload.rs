//! Times a preload: `cargo run --release -p hotevm-store --example preload -- 2000 60000`.
//!
//! in   how many artifacts, and bytes of code in each
//! out  times to store them, and to load, check and map all of them (`preload_s`); memory of the process before and after

use alloy_primitives::{B256, keccak256};
use cpu_time::ProcessTime;
use hotevm_abi::{Artifact, ArtifactKey, CompilerFingerprint, EntryPoint, Tier};
use hotevm_code::{CodeMemory, Image, Machine, SharedObject};
use hotevm_store::{ArtifactStore, LocalConfig, LocalStore};
use std::{ops::ControlFlow, time::Instant};

/// Bytes of bytecode in an artifact.
const BYTECODE_LEN: usize = 12_000;

fn artifact(number: usize, len: usize) -> Artifact {
    let mut bytecode = vec![0x5b; BYTECODE_LEN];
    bytecode[..8].copy_from_slice(&number.to_le_bytes());
    let machine = Machine::host().expect("a machine with native code");
    let image = Image::from_flat(vec![0xc3; len], len, 0, 16, machine).expect("an image");
    let start = EntryPoint { pc: 0, number: 0, height_min: 0, height_max: 1024, memory_min: 0 };
    let compiler = CompilerFingerprint { version: String::new(), llvm: String::new(), options: String::new() };
    let key = ArtifactKey {
        code_hash: keccak256(&bytecode),
        gas: B256::ZERO,
        custom_opcodes: B256::ZERO,
        abi: B256::ZERO,
        compiler,
        target: String::new(),
        features: Vec::new(),
        tier: Tier::Whole,
        region: B256::ZERO,
    };
    let code = image.into_object(vec![start], Vec::new()).expect("a small image");
    Artifact { key, code, bytecode, profile: Vec::new(), created_unix_s: 0, compile_cpu_ns: 0 }
}

/// What the system says of this process's memory.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines =
        status.lines().filter(|line| ["VmRSS", "RssAnon", "RssFile", "RssShmem"].iter().any(|name| line.starts_with(name)));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (count, len) = (numbers.first().copied().unwrap_or(2000), numbers.get(1).copied().unwrap_or(60_000));
    let directory = std::env::temp_dir().join(format!("hotevm-preload-{}", std::process::id()));
    let store = LocalStore::open(LocalConfig::new(&directory)).expect("a store");
    let start = Instant::now();
    for number in 0..count {
        let object = SharedObject::write(&artifact(number, len)).expect("an artifact");
        store.store(&object).expect("a store that takes it");
    }
    println!("stored {count} artifacts of {len} bytes of code in {:.3} s", start.elapsed().as_secs_f64());
    println!("before: {}", memory());
    let code_memory = CodeMemory::new(usize::MAX);
    let mut loaded = Vec::with_capacity(count);
    let (start, start_cpu) = (Instant::now(), ProcessTime::now());
    let each = &mut |object: SharedObject| {
        loaded.push(code_memory.load_shared_object(&object).expect("a mapping"));
        ControlFlow::Continue(())
    };
    store.load_all(None, each).expect("a store that can be read");
    println!("preload_s {:.3}", start.elapsed().as_secs_f64());
    println!("preload_cpu_s {:.3}", start_cpu.elapsed().as_secs_f64());
    println!("artifacts {}", loaded.len());
    println!("after: {}; {} bytes counted", memory(), code_memory.mapped_bytes());
    let start = Instant::now();
    drop(loaded);
    println!("unmapped in {:.3} s", start.elapsed().as_secs_f64());
    std::fs::remove_dir_all(&directory).expect("the folder just made");
}
