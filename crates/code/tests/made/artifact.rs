//! Artifacts made by hand.
//!
//! in   machine code
//! out  an artifact of this process's own machine, with a key made up

use alloy_primitives::{B256, keccak256};
use hotevm_abi::{Artifact, ArtifactKey, CompilerFingerprint, EntryPoint, LeaveRow, Tier};
use hotevm_code::Image;

/// An artifact of an image, for bytecode that nobody compiled.
pub fn artifact(image: Image) -> Artifact {
    let bytecode = b"\x5b\x00".to_vec();
    let start = EntryPoint { pc: 0, number: 0, height_min: 0, height_max: 1024, memory_min: 0 };
    let leave = LeaveRow { pc: 1, gas: 2, top: 0, reason: 0, constants: Vec::new() };
    let key = ArtifactKey {
        code_hash: keccak256(&bytecode),
        gas: B256::repeat_byte(1),
        custom_opcodes: B256::ZERO,
        abi: B256::repeat_byte(2),
        compiler: CompilerFingerprint { version: "0".into(), llvm: "0".into(), options: "made".into() },
        target: "host".into(),
        features: Vec::new(),
        tier: Tier::Whole,
        region: B256::ZERO,
    };
    let code = image.into_object(vec![start], vec![leave]).unwrap();
    Artifact { key, code, bytecode, profile: Vec::new(), created_unix_s: 0, compile_cpu_ns: 0 }
}
