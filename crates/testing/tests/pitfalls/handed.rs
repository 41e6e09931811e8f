//! What compiled code hands to its stubs rather than storing it: constant operands, the second word of a hashed pair, small addends, offsets.
//!
//! in   contracts whose constants stand at the edges of what is handed, gas limits one by one
//! out  result, memory, storage and gas are the interpreter's, wherever a frame fails or leaves

use crate::{assembly::assemble, case, check, input, words};
use alloy_primitives::U256;
use hotevm_testing::generate::case::{GasLimit, Input};
use revm::primitives::hardfork::SpecId;

/// What a transaction costs before its code runs.
const INTRINSIC_GAS: u64 = 21_000;

/// Shows what memory holds.
const SHOW: &str = "MSIZE 0x60 MSTORE GAS 0x80 MSTORE 0xa0 0 RETURN";

/// Inputs with every gas limit up to one that is ample.
fn gas_limits(most: u64) -> Vec<Input> {
    (0..most).map(|gas| input([], GasLimit::Exact(INTRINSIC_GAS + gas))).collect()
}

/// Runs a contract with gas that ends before every instruction and behind the last.
fn check_with_all_gas(code: &str, most: u64) {
    let agreement = check(&case(SpecId::OSAKA, &[assemble(code)], gas_limits(most)));
    assert!(agreement.successes > 0 && agreement.halts > 0, "{code}: {agreement:?}");
}

#[test]
fn constant_operands_are_brought_home_before_anything_sees_them() {
    for gas in [3_000, 22_600] {
        let code = match gas {
            3_000 => format!("0 SLOAD 0 MSTORE 0x40 0 KECCAK256 0x20 MSTORE {SHOW}"),
            _ => format!("5 3 SSTORE 3 SLOAD 0 MSTORE {SHOW}"),
        };
        let steps = (0..gas).step_by(if gas > 10_000 { 97 } else { 7 }).chain([2_299, 2_300, 2_301, gas + 2_500]);
        let inputs = steps.map(|gas| input([], GasLimit::Exact(INTRINSIC_GAS + gas))).collect();
        let agreement = check(&case(SpecId::OSAKA, &[assemble(&code)], inputs));
        assert!(agreement.successes > 0 && agreement.halts > 0, "{code}: {agreement:?}");
    }
}

#[test]
fn constant_operands_at_the_edges_of_what_is_handed() {
    let edges = ["0", "1", "0xffff", "0x10000", "0xffffffff", "0x100000000", "0 NOT"];
    for first in edges {
        for second in edges {
            let stores = format!("{second} {first} SSTORE {first} SLOAD 0 MSTORE 7 {first} TSTORE {first} TLOAD 0x20 MSTORE");
            let hashes = format!("0x1234 0 MSTORE {second} {first} KECCAK256 0x40 MSTORE");
            let copies = format!("0x20 {second} {first} CALLDATACOPY {second} {first} LOG0");
            for body in [stores, hashes, copies] {
                // What lies below the operands is seen, too.
                let code = format!("CALLER 9 {body} 0x80 MSTORE {SHOW}");
                let inputs = [100_000, 9_000_000].map(|gas| input([0xab; 40], GasLimit::Exact(gas)));
                let agreement = check(&case(SpecId::OSAKA, &[assemble(&code)], inputs.to_vec()));
                assert_eq!(agreement.successes + agreement.halts, agreement.executions, "{code}: {agreement:?}");
            }
        }
    }
}

/// The second word of memory is stored, and both are hashed, as Solidity does for mappings; what stands between must not see memory without it.
#[test]
fn the_second_word_of_a_hashed_pair_is_in_memory() {
    let between = [
        "",
        "GAS POP",
        "MSIZE POP",
        "0x20 MLOAD POP",
        "CALLER POP",
        "0 TLOAD POP",
        "1 2 ADD 3 MUL POP",
        "2 0x20 MSTORE",
        "1 0x3f MSTORE8",
    ];
    for word in ["0", "1", "0xffffffff", "0x100000000", "CALLER"] {
        for between in between {
            check_with_all_gas(&format!("CALLER 0 MSTORE {word} 0x20 MSTORE {between} 0x40 0 KECCAK256 0x40 MSTORE {SHOW}"), 330);
            // The hash is taken of more, of less, or not at all.
            for hash in ["0x3f 0", "0x40 1", "0x41 0", "0x20 0x20"] {
                let code = format!("CALLER 0 MSTORE {word} 0x20 MSTORE {between} {hash} KECCAK256 0x40 MSTORE {SHOW}");
                let agreement = check(&case(SpecId::OSAKA, &[assemble(&code)], vec![input([], GasLimit::Ample)]));
                assert_eq!(agreement.successes, agreement.executions, "{code}: {agreement:?}");
            }
        }
    }
    let jumps =
        format!("CALLER 0 MSTORE 3 0x20 MSTORE 0 CALLDATALOAD @hash JUMPI {SHOW} :hash 0x40 0 KECCAK256 0x40 MSTORE {SHOW}");
    let inputs = [0_u64, 1].map(|word| input(words(&[U256::from(word)]), GasLimit::Ample));
    let agreement = check(&case(SpecId::OSAKA, &[assemble(&jumps)], inputs.to_vec()));
    assert_eq!(agreement.successes, agreement.executions, "{agreement:?}");
}

/// Words at which a sum carries into the next limb, or out of the last.
fn carrying() -> Vec<U256> {
    let ends = [64, 128, 192].map(|bits| U256::ONE << bits).into_iter().chain([U256::ZERO]);
    ends.flat_map(|end| [1_u64, 2, 31, 32, 33].map(|below| end.wrapping_sub(U256::from(below))))
        .chain([U256::from(u32::MAX)])
        .collect()
}

#[test]
fn sums_with_small_constants_carry() {
    let inputs: Vec<Input> = carrying().iter().map(|word| input(words(&[*word]), GasLimit::Exact(400_000))).collect();
    for addend in ["1", "0x1f", "0x20", "0xffffffff"] {
        for code in [
            format!("0 CALLDATALOAD {addend} ADD SLOAD 0 CALLDATALOAD {addend} ADD 0 MSTORE {SHOW}"),
            format!("0x77 0 CALLDATALOAD {addend} ADD SSTORE 0 CALLDATALOAD {addend} ADD SLOAD 0 MSTORE {SHOW}"),
            format!("0 CALLDATALOAD 0 MSTORE 0 MLOAD {addend} ADD DUP1 SLOAD POP 0x20 MSTORE {SHOW}"),
            format!(
                "0 CALLDATALOAD :again {addend} ADD DUP1 DUP1 SLOAD POP 0 MSTORE MSIZE 0x20 MSTORE DUP1 100 GT @again JUMPI {SHOW}"
            ),
        ] {
            let agreement = check(&case(SpecId::OSAKA, &[assemble(&code)], inputs.clone()));
            assert_eq!(agreement.successes + agreement.halts, agreement.executions, "{code}: {agreement:?}");
            assert!(agreement.successes > 0, "{code}: {agreement:?}");
        }
    }
}

/// Call data goes to memory in a loop that keeps its counter in a value: it is a vector there.
#[test]
fn call_data_is_copied_in_a_loop() {
    let code = "0 :loop DUP1 CALLDATALOAD DUP2 MSTORE 0x20 ADD DUP1 0xe0 GT @loop JUMPI 0xe0 0 RETURN";
    let data = |len: u8| (1..=len).collect::<Vec<_>>();
    let inputs = [0, 31, 32, 33, 70, 96, 200].map(|len| input(data(len), GasLimit::Ample));
    let agreement = check(&case(SpecId::OSAKA, &[assemble(code)], inputs.to_vec()));
    assert_eq!(agreement.successes, agreement.executions, "{agreement:?}");
}

/// Call data is read in a loop, and where values stay in registers: inside, across the end, far beyond it.
#[test]
fn call_data_in_loops() {
    let code = format!(
        "0 0 :loop  DUP1 0 CALLDATALOAD ADD CALLDATALOAD DUP3 XOR SWAP2 POP  7 ADD  DUP1 70 GT @loop JUMPI
         POP 0 MSTORE {SHOW}"
    );
    let starts = [
        0_u64,
        1,
        31,
        32,
        63,
        64,
        90,
        96,
        97,
        1 << 16,
        u32::MAX as u64 - 7,
        u32::MAX as u64,
        1 << 32,
        1 << 63,
        u64::MAX - 31,
        u64::MAX - 32,
        u64::MAX,
    ];
    let starts = starts.map(U256::from).into_iter().chain([64, 128, 255].map(|bits| U256::ONE << bits)).chain(carrying());
    let inputs = starts.map(|start| input([words(&[start]), (1..=60).collect()].concat(), GasLimit::Ample)).collect();
    let agreement = check(&case(SpecId::OSAKA, &[assemble(&code)], inputs));
    assert_eq!(agreement.successes, agreement.executions, "{agreement:?}");
}
