//! Golden artifacts: one bad file for each reason to refuse, kept in the tree. `UPDATE=1` writes them anew.
//!
//! in   `artifacts/golden`
//! out  each refused with its own reason, counted, moved aside

#[allow(dead_code, reason = "each test program uses a part of it")]
mod made;

use alloy_primitives::{B256, keccak256};
use hotevm_abi::{Artifact, Refusal, Tier};
use hotevm_code::SharedObject;
use hotevm_store::{ArtifactStore, StoreError};
use made::{Folder, acceptance, artifact, file, names, object};
use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// No golden file is larger.
const LEN_MAX: usize = 8192;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artifacts/golden")
}

/// The bytes with a digest that is right for them.
fn sealed_again(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = bytes.windows(8).position(|window| window == b"hotevm\0\0").unwrap() + 8 + 16;
    bytes[digest..digest + 32].fill(0);
    let value = keccak256(&bytes);
    bytes[digest..digest + 32].copy_from_slice(&value.0);
    bytes
}

/// The good artifact with one thing changed.
fn bad(refusal: Refusal) -> Vec<u8> {
    let good = object(0, 16);
    let changed = |change: fn(&mut Artifact)| {
        let mut artifact = good.artifact().clone();
        change(&mut artifact);
        SharedObject::write(&artifact).unwrap().bytes().to_vec()
    };
    let mut bytes = good.bytes().to_vec();
    let manifest = bytes.windows(8).position(|window| window == b"hotevm\0\0").unwrap() + 8;
    match refusal {
        Refusal::Truncated => bytes.truncate(bytes.len() - 1),
        Refusal::Altered => *bytes.last_mut().unwrap() ^= 1,
        Refusal::FormatVersion => {
            bytes[manifest] += 1;
            bytes = sealed_again(bytes);
        }
        Refusal::CodeBytes => {
            let bytecode = &good.artifact().bytecode;
            let at = bytes.windows(bytecode.len()).position(|window| window == bytecode).unwrap();
            bytes[at + 1] ^= 1;
            bytes = sealed_again(bytes);
        }
        Refusal::CodeHash => bytes = object(1, 16).bytes().to_vec(),
        Refusal::Gas => bytes = changed(|artifact| artifact.key.gas = B256::repeat_byte(9)),
        Refusal::Opcodes => bytes = changed(|artifact| artifact.key.custom_opcodes = B256::with_last_byte(1)),
        Refusal::Abi => bytes = changed(|artifact| artifact.key.abi = B256::repeat_byte(9)),
        Refusal::Compiler => bytes = changed(|artifact| artifact.key.compiler.llvm = "21.1.0".into()),
        Refusal::Options => bytes = changed(|artifact| artifact.key.compiler.options = "fast".into()),
        Refusal::Target => bytes = changed(|artifact| artifact.key.target = "x86_64-other".into()),
        Refusal::Cpu => bytes = changed(|artifact| artifact.key.features = vec!["from-the-future".into()]),
        Refusal::Tier => bytes = changed(|artifact| artifact.key.tier = Tier::Second),
        Refusal::Region => bytes = changed(|artifact| artifact.key.region = B256::repeat_byte(9)),
    }
    bytes
}

fn golden(name: &str, expected: &[u8]) -> Vec<u8> {
    let path = folder().join(format!("{name}.so"));
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(folder()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let bytes = fs::read(&path).unwrap_or_default();
    assert!(bytes == expected, "{} is not what is written today: UPDATE=1 writes it anew", path.display());
    assert!(bytes.len() < LEN_MAX, "{} has {} bytes", path.display(), bytes.len());
    bytes
}

#[test]
fn the_good_artifact_is_taken() {
    let bytes = golden("good", object(0, 16).bytes());
    let folder = Folder::new("good");
    let store = folder.store();
    store.store(&SharedObject::check(bytes.clone()).unwrap()).unwrap();
    let loaded = store.load(&artifact(0, 16).key, Some(&acceptance())).unwrap().unwrap();
    assert_eq!(loaded.bytes(), bytes);
}

/// Each file stands under the good artifact's name, and the good artifact's key is asked for.
#[test]
fn each_bad_artifact_is_refused_with_its_reason() {
    let good = object(0, 16);
    let key = &good.artifact().key;
    for &refusal in Refusal::ALL {
        let bytes = golden(refusal.name(), &bad(refusal));
        let folder = Folder::new(refusal.name());
        let store = folder.store();
        store.store(&good).unwrap();
        let path = file(&folder.0, key);
        fs::write(&path, bytes).unwrap();
        match store.load(key, Some(&acceptance())) {
            Err(StoreError::Refused(found)) => assert_eq!(found, refusal),
            other => panic!("{refusal:?}: {other:?}"),
        }
        let counts = store.counts();
        assert_eq!((counts.refused(refusal), counts.refused_total()), (1, 1));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(names(&folder.0), ["refused"]);
        assert_eq!(names(&folder.0.join("refused")), [format!("{}.{name}", refusal.name())]);
        assert!(store.load(key, Some(&acceptance())).unwrap().is_none(), "{refusal:?}: the place is free");
        store.store(&good).unwrap();
        assert!(store.load(key, Some(&acceptance())).unwrap().is_some());
    }
}

/// Under its own name, an artifact is refused for what this process cannot run; other codes, forks and tiers are as good as any.
#[test]
fn loading_all_refuses_what_cannot_run_here() {
    let folder = Folder::new("all");
    let store = folder.store();
    let cannot_run = [Refusal::Abi, Refusal::Compiler, Refusal::Options, Refusal::Target, Refusal::Cpu];
    let others = [Refusal::CodeHash, Refusal::Gas, Refusal::Opcodes, Refusal::Tier, Refusal::Region];
    for refusal in cannot_run.into_iter().chain(others) {
        store.store(&SharedObject::check(bad(refusal)).unwrap()).unwrap();
    }
    let mut loaded = 0;
    let mut each = |_| {
        loaded += 1;
        ControlFlow::Continue(())
    };
    store.load_all(None, &mut each).unwrap();
    assert_eq!(store.counts().refused_total(), 0);
    store.load_all(Some(&acceptance()), &mut each).unwrap();
    assert_eq!(loaded, 10 + 5);
    for refusal in cannot_run {
        assert_eq!(store.counts().refused(refusal), 1, "{refusal:?}");
    }
    assert_eq!(names(&folder.0.join("refused")).len(), 5);
}

#[test]
fn nothing_else_lies_beside_the_golden_files() {
    let mut expected: Vec<String> = Refusal::ALL.iter().map(|refusal| format!("{}.so", refusal.name())).collect();
    expected.push("good.so".to_owned());
    expected.sort();
    assert_eq!(names(&folder()), expected);
}
