//! Decoding against revm's: jump destinations, truncated pushes, the end of the code.

use crate::random::{Random, for_seeds};
use alloy_primitives::{Bytes, U256};
use hotevm_ir::{bytecode::Code, opcodes};
use revm::bytecode::Bytecode;

/// Compares jump destinations with revm's jump table.
fn check_destinations(bytes: &[u8]) {
    let theirs = Bytecode::new_legacy(Bytes::copy_from_slice(bytes));
    let theirs = theirs.legacy_jump_table().expect("legacy code has a table");
    let ours = Code::decode(bytes);
    for pc in 0..bytes.len() {
        assert_eq!(ours.jump_destinations[pc], theirs.is_valid(pc), "at {pc:#x} of {bytes:02x?}");
        assert_eq!(ours.is_jump_destination(U256::from(pc)), theirs.is_valid(pc));
    }
    assert!(!ours.is_jump_destination(U256::from(bytes.len())));
    assert!(!ours.is_jump_destination(U256::MAX));
}

#[test]
fn jump_destinations_are_those_of_revm_on_random_bytes() {
    for_seeds(4000, |seed| {
        let mut random = Random::new(seed);
        let len = random.below(200);
        let mut bytes = random.bytes(len);
        // Many pushes and destinations.
        for byte in &mut bytes {
            match random.below(4) {
                0 => *byte = 0x5b,
                1 => *byte = 0x5f + *byte % 33,
                _ => {}
            }
        }
        check_destinations(&bytes);
    });
}

#[test]
fn pitfall_07_immediates_of_newer_opcodes_hide_no_destination() {
    for byte in 0..=u8::MAX {
        check_destinations(&[byte, 0x5b, 0x5b, 0x00]);
        check_destinations(&[0x60, byte, 0x5b, byte, 0x5b]);
    }
}

#[test]
fn pitfall_29_a_push_cut_off_by_the_end_reads_zeros() {
    for len in 0..=32_usize {
        for there in 0..=len {
            let mut bytes = vec![0x5f + len as u8];
            bytes.extend(std::iter::repeat_n(0xab, there));
            let code = Code::decode(&bytes);
            let push = &code.instructions[0];
            let mut word = vec![0xab; there];
            word.resize(len, 0);
            assert_eq!(push.immediate, U256::from_be_slice(&word), "PUSH{len} with {there} bytes");
            assert_eq!(code.instructions.last().map(|last| last.byte), Some(opcodes::byte::STOP));
        }
    }
}

#[test]
fn pitfall_29_a_stop_stands_behind_the_last_byte() {
    for_seeds(500, |seed| {
        let mut random = Random::new(seed);
        let len = random.below(60);
        let bytes = random.bytes(len);
        let code = Code::decode(&bytes);
        let mut pc = 0;
        for instruction in &code.instructions {
            assert!(instruction.pc as usize == pc || instruction.pc as usize == len, "instructions follow each other");
            pc += 1 + instruction.opcode.map_or(0, |opcode| usize::from(opcode.immediate));
        }
        assert!(code.instructions.last().is_some_and(|last| last.byte == opcodes::byte::STOP));
        assert!(pc >= len);
    });
}
