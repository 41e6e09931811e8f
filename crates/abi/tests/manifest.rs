//! Manifests: what is written is read back, and nothing else is read.
//!
//! in   artifacts made here, damaged encodings, bytes from a generator
//! out  equal artifacts, or a typed error; never a panic

use alloy_primitives::{B256, U256};
use hotevm_abi::{
    Acceptance, Artifact, ArtifactKey, CodeObject, CompilerFingerprint, DecodeError, EntryPoint, LeaveRow, ManifestHeader,
    Refusal, Tier, peek_key,
};
use proptest::prelude::*;

fn artifact() -> Artifact {
    let entry = |pc, number| EntryPoint { pc, number, height_min: 0, height_max: 1022, memory_min: 96 };
    let leave = |pc: u32, words: usize| LeaveRow {
        pc,
        gas: 3,
        top: -2,
        reason: 1,
        constants: (0..words).map(|slot| (slot as i32 - 1, U256::from(slot) << 200)).collect(),
    };
    let code = CodeObject {
        machine: 62,
        alignment: 16,
        text_len: 4,
        entry_offset: 0,
        bytes: vec![0xc3; 9],
        entries: vec![entry(0, 0), entry(0, 2), entry(7, 1)],
        leaves: vec![leave(0, 0), leave(9, 3)],
    };
    Artifact { key: key(), code, bytecode: vec![0x5b, 0x00], profile: vec![1, 2, 3], created_unix_s: 5, compile_cpu_ns: 6 }
}

fn key() -> ArtifactKey {
    ArtifactKey {
        code_hash: B256::repeat_byte(1),
        gas: B256::repeat_byte(2),
        custom_opcodes: B256::ZERO,
        abi: B256::repeat_byte(4),
        compiler: CompilerFingerprint { version: "0.1.0".into(), llvm: "22.1.0".into(), options: "full".into() },
        target: "x86_64-linux".into(),
        features: vec!["avx2".into(), "bmi2".into()],
        tier: Tier::Whole,
        region: B256::ZERO,
    }
}

#[test]
fn what_is_written_is_read_back() {
    let artifact = artifact();
    let body = artifact.encode_body();
    assert_eq!(Artifact::decode_body(&body, &artifact.code.bytes), Ok(artifact.clone()));
    assert_eq!(peek_key(&body), Ok(artifact.key));
    let header = ManifestHeader { format_version: 9, file_len: 1 << 40, digest: [7; 32] };
    assert_eq!(ManifestHeader::decode(&header.encode()), Ok(header));
}

#[test]
fn every_shorter_or_longer_body_is_refused() {
    let artifact = artifact();
    let mut body = artifact.encode_body();
    for len in 0..body.len() {
        assert!(Artifact::decode_body(&body[..len], &artifact.code.bytes).is_err(), "{len}");
    }
    body.push(0);
    assert_eq!(Artifact::decode_body(&body, &artifact.code.bytes), Err(DecodeError::Rest));
    body.pop();
    assert!(Artifact::decode_body(&body, &artifact.code.bytes[1..]).is_err());
}

#[test]
fn lists_out_of_order_are_refused() {
    let check = |change: fn(&mut Artifact)| {
        let mut artifact = artifact();
        change(&mut artifact);
        assert!(Artifact::decode_body(&artifact.encode_body(), &artifact.code.bytes).is_err());
    };
    check(|artifact| artifact.code.entries.clear());
    check(|artifact| artifact.code.entries.swap(0, 2));
    check(|artifact| artifact.code.entries[2].number = 2);
    check(|artifact| artifact.key.features.reverse());
    check(|artifact| artifact.key.features[1] = artifact.key.features[0].clone());
    check(|artifact| artifact.key.target = "é".repeat(40_000));
}

#[test]
fn every_field_of_the_key_has_its_reason() {
    let check = |change: fn(&mut ArtifactKey), reason| {
        let mut other = key();
        change(&mut other);
        assert_eq!(other.mismatch(&key()), Some(reason));
        assert_ne!(other.digest(), key().digest());
    };
    check(|key| key.code_hash = B256::ZERO, Refusal::CodeHash);
    check(|key| key.gas = B256::ZERO, Refusal::Gas);
    check(|key| key.custom_opcodes = B256::repeat_byte(1), Refusal::Opcodes);
    check(|key| key.abi = B256::ZERO, Refusal::Abi);
    check(|key| key.compiler.version.push('1'), Refusal::Compiler);
    check(|key| key.compiler.llvm.push('1'), Refusal::Compiler);
    check(|key| key.compiler.options.push('1'), Refusal::Options);
    check(|key| key.target.push('1'), Refusal::Target);
    check(|key| key.features.clear(), Refusal::Cpu);
    check(|key| key.tier = Tier::First, Refusal::Tier);
    check(|key| key.region = B256::repeat_byte(1), Refusal::Region);
    assert_eq!(key().mismatch(&key()), None);
}

#[test]
fn a_process_takes_what_it_can_run() {
    let acceptance = Acceptance {
        abi: key().abi,
        version: "0.1.0".into(),
        llvm: Some("22.1.0".into()),
        options: Some("full".into()),
        target: "x86_64-linux".into(),
        features: vec!["sse3".into(), "bmi2".into(), "avx2".into()],
    };
    assert_eq!(acceptance.check(&key()), Ok(()));
    let check = |change: fn(&mut Acceptance), reason| {
        let mut other = acceptance.clone();
        change(&mut other);
        assert_eq!(other.check(&key()).err(), reason);
    };
    check(|other| other.abi = B256::ZERO, Some(Refusal::Abi));
    check(|other| other.version.clear(), Some(Refusal::Compiler));
    check(|other| other.llvm = Some("23".into()), Some(Refusal::Compiler));
    check(|other| other.llvm = None, None);
    check(|other| other.options = Some("fast".into()), Some(Refusal::Options));
    check(|other| other.options = None, None);
    check(|other| other.target = "aarch64-linux".into(), Some(Refusal::Target));
    check(|other| other.features.truncate(2), Some(Refusal::Cpu));
}

#[test]
fn names_of_reasons_are_distinct() {
    let mut names: Vec<&str> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Refusal::ALL.len());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600), image in proptest::collection::vec(any::<u8>(), 0..9)) {
        let _header = ManifestHeader::decode(&bytes);
        if let Ok(artifact) = Artifact::decode_body(&bytes, &image) {
            prop_assert_eq!(artifact.encode_body(), bytes);
        }
    }

    #[test]
    fn a_damaged_body_is_refused_or_means_itself(at in 0_usize..10_000, value in any::<u8>()) {
        let artifact = artifact();
        let mut body = artifact.encode_body();
        let at = at % body.len();
        body[at] = value;
        if let Ok(read) = Artifact::decode_body(&body, &artifact.code.bytes) {
            prop_assert_eq!(read.encode_body(), body);
        }
    }
}
