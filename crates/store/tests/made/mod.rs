//! Artifacts and folders made for the tests of this crate.
//!
//! in   a number
//! out  an artifact of its own bytecode; a folder that goes when it is dropped

use alloy_primitives::{B256, keccak256};
use hotevm_abi::{Acceptance, Artifact, ArtifactKey, CompilerFingerprint, EntryPoint, Tier};
use hotevm_code::{Image, Machine, SharedObject};
use hotevm_store::{LocalConfig, LocalStore};
use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// What the process of these tests can run.
pub fn acceptance() -> Acceptance {
    let key = key(&[]);
    Acceptance {
        abi: key.abi,
        version: key.compiler.version,
        llvm: Some(key.compiler.llvm),
        options: Some(key.compiler.options),
        target: key.target,
        features: vec!["bmi2".into(), "avx2".into(), "sse3".into()],
    }
}

fn key(bytecode: &[u8]) -> ArtifactKey {
    ArtifactKey {
        code_hash: keccak256(bytecode),
        gas: B256::repeat_byte(1),
        custom_opcodes: B256::ZERO,
        abi: B256::repeat_byte(2),
        compiler: CompilerFingerprint { version: "0.1.0".into(), llvm: "22.1.0".into(), options: "full".into() },
        target: "x86_64-linux".into(),
        features: vec!["avx2".into(), "bmi2".into()],
        tier: Tier::Whole,
        region: B256::ZERO,
    }
}

/// An artifact of bytecode that says its number, with `len` bytes of code.
pub fn artifact(number: u32, len: usize) -> Artifact {
    let bytecode = [&[0x63][..], &number.to_be_bytes(), &[0x50, 0x00]].concat();
    let mut code = vec![0x90; len.max(1)];
    code[len.max(1) - 1] = 0xc3;
    let start = EntryPoint { pc: 0, number: 0, height_min: 0, height_max: 1024, memory_min: 0 };
    let image = Image::from_flat(code, len.max(1), 0, 16, Machine::X86_64).unwrap();
    let code = image.into_object(vec![start], Vec::new()).unwrap();
    Artifact { key: key(&bytecode), code, bytecode, profile: Vec::new(), created_unix_s: 0, compile_cpu_ns: 0 }
}

pub fn object(number: u32, len: usize) -> SharedObject {
    SharedObject::write(&artifact(number, len)).unwrap()
}

/// A folder of one test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("hotevm-store-{}-{name}", std::process::id()));
        let _old = std::fs::remove_dir_all(&path);
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        Folder(path)
    }

    pub fn store(&self) -> LocalStore {
        open(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

pub fn open(path: &Path) -> LocalStore {
    LocalStore::open(LocalConfig::new(path)).unwrap()
}

/// The file of an artifact: the only one of its code hash.
pub fn file(folder: &Path, key: &ArtifactKey) -> PathBuf {
    let start = format!("{:x}-", key.code_hash);
    let mut found = names(folder);
    found.retain(|name| name.starts_with(&start));
    assert_eq!(found.len(), 1, "{found:?}");
    folder.join(&found[0])
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
