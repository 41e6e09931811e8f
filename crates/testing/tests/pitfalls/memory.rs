//! Offsets and lengths at the edges of what numbers hold, overlap, and accesses that alias.
//!
//! in   one contract per opcode that takes an offset, operands from call data or pushed
//! out  result, memory size, gas and memory after it are the interpreter's

use crate::{
    assembly::{assemble, push},
    case, check, check_in, input, runtime, words,
};
use alloy_primitives::U256;
use hotevm::Optimisation;
use hotevm_testing::{
    execute::run::environment,
    generate::case::{GasLimit, Input},
};
use revm::primitives::hardfork::SpecId;

/// An operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// An offset, into memory or into data.
    Offset,
    /// A length.
    Length,
    /// Something else, always this word.
    Fixed(u64),
}
use Operand::{Fixed, Length, Offset};

/// The account that is asked for its code and called: the identity precompile.
const IDENTITY: Operand = Fixed(4);
const GAS: Operand = Fixed(50_000);
const TOPIC: Operand = Fixed(0xaa);

/// Every opcode that takes an offset: operands from the top, and results.
const OPCODES: &[(&str, &[Operand], usize)] = &[
    ("MLOAD", &[Offset], 1),
    ("MSTORE", &[Offset, TOPIC], 0),
    ("MSTORE8", &[Offset, TOPIC], 0),
    ("KECCAK256", &[Offset, Length], 1),
    ("CALLDATALOAD", &[Offset], 1),
    ("CALLDATACOPY", &[Offset, Offset, Length], 0),
    ("CODECOPY", &[Offset, Offset, Length], 0),
    ("EXTCODECOPY", &[Fixed(0x80), Offset, Offset, Length], 0),
    ("RETURNDATACOPY", &[Offset, Offset, Length], 0),
    ("MCOPY", &[Offset, Offset, Length], 0),
    ("LOG0", &[Offset, Length], 0),
    ("LOG1", &[Offset, Length, TOPIC], 0),
    ("LOG2", &[Offset, Length, TOPIC, TOPIC], 0),
    ("LOG3", &[Offset, Length, TOPIC, TOPIC, TOPIC], 0),
    ("LOG4", &[Offset, Length, TOPIC, TOPIC, TOPIC, TOPIC], 0),
    ("CREATE", &[Fixed(0), Offset, Length], 1),
    ("CREATE2", &[Fixed(0), Offset, Length, TOPIC], 1),
    ("CALL", &[GAS, IDENTITY, Fixed(0), Offset, Length, Offset, Length], 1),
    ("CALLCODE", &[GAS, IDENTITY, Fixed(0), Offset, Length, Offset, Length], 1),
    ("DELEGATECALL", &[GAS, IDENTITY, Offset, Length, Offset, Length], 1),
    ("STATICCALL", &[GAS, IDENTITY, Offset, Length, Offset, Length], 1),
    ("RETURN", &[Offset, Length], 0),
    ("REVERT", &[Offset, Length], 0),
];

/// Offsets and lengths at which something changes.
fn edges() -> Vec<U256> {
    let small = [0_u64, 1, 31, 32, 33, 39, 40, 41, 64, 95, 96, 97].map(U256::from);
    let powers = [16, 32, 63, 64, 255].map(|bits| U256::ONE << bits);
    let around = powers.into_iter().flat_map(|power| [power - U256::from(32), power - U256::ONE, power, power + U256::ONE]);
    let last = [0_u64, 1, 30, 31, 32].map(|below| U256::MAX - U256::from(below));
    small.into_iter().chain(around).chain(last).collect()
}

/// Three words of memory and forty bytes of return data; then the opcode; then what can be seen of it.
fn program(opcode: &str, operands: &[Vec<u8>], results: usize) -> Vec<u8> {
    let prepare = "
        0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20 0 MSTORE CALLER 0x20 MSTORE ADDRESS 0x40 MSTORE
        0 0 40 3 4 GAS STATICCALL POP";
    let show = "MSIZE GAS 160 0 KECCAK256 0 MSTORE 32 MSTORE 64 MSTORE";
    let show = if results == 1 { format!("{show} 96 MSTORE 128 0 RETURN") } else { format!("{show} 96 0 RETURN") };
    let operands: Vec<u8> = operands.iter().rev().flatten().copied().collect();
    [assemble(prepare), operands, assemble(opcode), assemble(&show)].concat()
}

/// Every choice of operands worth a run: one of them at an edge, the others small or of the same kind.
fn choices(operands: &[Operand]) -> Vec<Vec<U256>> {
    let usual = |operand: Operand, length: u64| match operand {
        Offset => U256::from(8),
        Length => U256::from(length),
        Fixed(word) => U256::from(word),
    };
    let mut choices = Vec::new();
    for place in (0..operands.len()).filter(|place| !matches!(operands[*place], Fixed(_))) {
        for edge in edges() {
            for length in [0, 1, 32, 70] {
                let mut choice: Vec<U256> = operands.iter().map(|operand| usual(*operand, length)).collect();
                choice[place] = edge;
                choices.push(choice.clone());
                // All offsets at the edge.
                for (at, _) in operands.iter().enumerate().filter(|(_, operand)| **operand == Offset) {
                    choice[at] = edge;
                }
                choices.push(choice);
            }
        }
    }
    choices.sort();
    choices.dedup();
    choices
}

#[test]
fn pitfall_28_operands_from_call_data() {
    for (opcode, operands, results) in OPCODES {
        let loads: Vec<Vec<u8>> = (0..operands.len()).map(|place| assemble(&format!("{} CALLDATALOAD", 32 * place))).collect();
        let inputs: Vec<Input> = choices(operands).iter().map(|choice| input(words(choice), GasLimit::Exact(300_000))).collect();
        let case = case(SpecId::OSAKA, &[program(opcode, &loads, *results)], inputs);
        for optimisation in [Optimisation::None, Optimisation::Full] {
            let runtime = runtime(optimisation, false);
            let agreement = check_in(&case, &environment(&case), &runtime);
            let ends = agreement.successes + agreement.reverts;
            assert!(ends > 0 && (agreement.halts > 0 || *opcode == "CALLDATALOAD"), "{opcode}: {agreement:?}");
            assert_eq!(runtime.statistics().native_frames > 0, hotevm::native_available(), "{opcode}");
        }
    }
}

#[test]
fn pitfall_28_operands_that_are_known() {
    // One runtime serves all of them; each is a contract of its own, called by the first.
    let runtime = runtime(Optimisation::None, false);
    for (opcode, operands, results) in OPCODES {
        let mut choices = choices(operands);
        choices.retain(|choice| {
            choice.iter().zip(*operands).all(|(word, operand)| *operand != Length || (word & U256::from(31)).is_zero())
        });
        let wanted = if cfg!(feature = "full") { usize::MAX } else { 24 };
        for chunk in choices.chunks(8).step_by(choices.len().div_ceil(wanted)) {
            let caller = (0..chunk.len()).map(|at| format!("0 0 0 0 0 {} 40000 CALL POP ", 0x81 + at)).collect::<String>();
            let callee = |choice: &Vec<U256>| program(opcode, &choice.iter().copied().map(push).collect::<Vec<_>>(), *results);
            let codes: Vec<Vec<u8>> = std::iter::once(assemble(&caller)).chain(chunk.iter().map(callee)).collect();
            let case = case(SpecId::OSAKA, &codes, vec![input([], GasLimit::Ample)]);
            assert_eq!(check_in(&case, &environment(&case), &runtime).successes, 1, "{opcode}");
        }
    }
}

/// Memory is written before and behind a host instruction that moves it: to where glibc maps pages of their own.
#[test]
fn pitfall_26_the_base_of_memory_is_read_again_behind_what_moves_it() {
    let growing = [
        "0x20 0 0x40000 CALLDATACOPY",
        "0x20 0 0x40000 CODECOPY",
        "0x20 0 0x40000 ADDRESS EXTCODECOPY",
        "0x20 0 0x40000 RETURNDATACOPY",
        "0x20 0 0x40000 MCOPY",
        "0x20 0x40000 KECCAK256 POP",
        "0x20 0x40000 LOG0",
        "5 4 3 2 0x20 0x40000 LOG4",
        "0x40000 MLOAD POP",
        "1 0x40000 MSTORE",
        "1 0x40000 MSTORE8",
        "0x20 0x40000 0x20 0 0 4 GAS CALL POP",
        "0x20 0x40000 0 CREATE POP",
    ];
    for grow in growing {
        let returned = "0x20 0 0x20 0 4 GAS STATICCALL POP";
        let code = format!(
            "{returned} 0x1111 0 MSTORE 0x2222 0x20 MSTORE {grow} 0x3333 0 MSTORE 0 MLOAD 0x20 MLOAD ADD 0x20 MSTORE 0x40 0 RETURN"
        );
        let agreement = check(&case(SpecId::OSAKA, &[assemble(&code)], vec![input([7; 40], GasLimit::Ample)]));
        assert_eq!(agreement.successes, agreement.executions, "{grow}: {agreement:?}");
    }
}

/// Words that come from memory, a bit at a time: as addresses, as computed jumps, compared with each other, with zero and a constant.
#[test]
fn pitfall_28_words_from_memory() {
    let store = "0 CALLDATALOAD 0x60 MSTORE 0x20 CALLDATALOAD 0x80 MSTORE";
    let show = "0 MSTORE MSIZE 0x20 MSTORE GAS 0x40 MSTORE 0x60 0 RETURN";
    let uses = [
        format!("{store} 0x60 MLOAD MLOAD {show}"),
        format!("{store} 0x60 MLOAD DUP1 MLOAD ADD {show}"),
        format!("{store} 0x60 MLOAD 0x20 ADD MLOAD {show}"),
        format!("{store} 0x60 MLOAD ISZERO {show}"),
        format!("{store} 0x60 MLOAD 0x80 MLOAD EQ {show}"),
        format!("{store} 0x60 MLOAD 0x100000000 EQ {show}"),
        format!("{store} 0x60 MLOAD JUMP :there {show}"),
        format!("0x80 0x40 MSTORE 0 CALLDATALOAD 0x40 MSTORE 0x40 MLOAD DUP1 0x20 ADD SUB {show}"),
        format!("0x80 0x40 MSTORE 0 CALLDATALOAD 0x40 MSTORE 1 0x40 MLOAD 0x44 ADD MSTORE 0x40 MLOAD 0x44 ADD MLOAD {show}"),
    ];
    let zero = U256::ZERO;
    let bits = (0..256).map(|bit| U256::ONE << bit).chain([zero, U256::MAX, U256::from(u32::MAX), U256::from(u64::MAX)]);
    let inputs: Vec<Input> =
        bits.flat_map(|word| [[word, zero], [word, word]]).map(|pair| input(words(&pair), GasLimit::Exact(300_000))).collect();
    for code in uses {
        let agreement = check(&case(SpecId::OSAKA, &[assemble(&code)], inputs.clone()));
        assert!(agreement.successes + agreement.halts + agreement.reverts == agreement.executions, "{code}: {agreement:?}");
        assert!(agreement.successes > 0 || code.contains("JUMP"), "{code}: {agreement:?}");
    }
}

#[test]
fn pitfall_28_copies_that_overlap() {
    let fill =
        "0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20 DUP1 0 MSTORE DUP1 NOT 0x20 MSTORE 0x40 MSTORE";
    let copy = "0x40 CALLDATALOAD 0x20 CALLDATALOAD 0 CALLDATALOAD MCOPY MSIZE 0 RETURN";
    let places = [0_u64, 1, 16, 31, 32, 33, 64, 95];
    let mut inputs = Vec::new();
    for (target, source) in places.iter().flat_map(|target| places.map(|source| (*target, source))) {
        let lengths = [0_u64, 1, 31, 32, 33, 65, 96];
        inputs.extend(lengths.map(|length| input(words(&[target, source, length].map(U256::from)), GasLimit::Ample)));
    }
    let all = inputs.len() as u64;
    let agreement = check(&case(SpecId::OSAKA, &[assemble(&format!("{fill} {copy}"))], inputs));
    assert!(agreement.successes >= 3 * all && agreement.successes == agreement.executions, "{agreement:?}");
}

#[test]
fn pitfall_28_copies_beyond_the_end() {
    // 40 bytes of call data and of return data, few of code; sources that begin inside, at the end, and behind it.
    for (opcode, before) in [("CALLDATACOPY", ""), ("CODECOPY", ""), ("RETURNDATACOPY", ""), ("EXTCODECOPY", "0x80")] {
        let fill = "0 NOT 0 MSTORE 0 NOT 0x20 MSTORE 0 NOT 0x40 MSTORE 0 0 40 0 4 GAS STATICCALL POP";
        let code =
            assemble(&format!("{fill} 0x20 CALLDATALOAD 0xf8 SHR 0x21 CALLDATALOAD 0xf8 SHR 7 {before} {opcode} MSIZE 0 RETURN"));
        let source_edges = [0, 1, 8, 31, 32, 39, 40, 41, 64, code.len() as u8 - 1, code.len() as u8, code.len() as u8 + 1, 255];
        let data = |length: u8, source: u8| [&[0xee; 32][..], &[length, source], &[0xdd; 6]].concat();
        let lengths = [0, 1, 31, 32, 33, 40, 41, 89, 255];
        let inputs = lengths.iter().flat_map(|length| source_edges.map(|source| input(data(*length, source), GasLimit::Ample)));
        let agreement = check(&case(SpecId::OSAKA, &[code], inputs.collect()));
        // Zero fill everywhere but behind return data, where it is a failure.
        assert_eq!(agreement.halts > 0, opcode == "RETURNDATACOPY", "{opcode}: {agreement:?}");
        assert!(agreement.successes > 0, "{opcode}");
    }
}

#[test]
fn pitfall_27_overlapping_accesses_keep_their_order() {
    // Words stored across each other, read back between the stores, with a distance from call data that nothing is known of.
    let code = "
        0 CALLDATALOAD
        0 NOT 0 MSTORE  CALLER DUP2 MSTORE  ADDRESS 7 MSTORE
        0 MLOAD DUP2 MSTORE8  DUP1 MLOAD DUP2 1 ADD MSTORE  3 MLOAD 0x60 MSTORE
        0xff 5 MSTORE8 DUP1 MLOAD 0x80 MSTORE  0 MLOAD 0xa0 MSTORE
        DUP1 0x20 ADD MLOAD 0xc0 MSTORE 0xe0 0 RETURN";
    let inputs = (0..70_u64).map(|distance| input(words(&[U256::from(distance)]), GasLimit::Ample)).collect();
    let agreement = check(&case(SpecId::OSAKA, &[assemble(code)], inputs));
    assert_eq!(agreement.successes, agreement.executions);
}

#[test]
fn pitfall_27_stack_memory_and_call_data_are_told_apart_rightly() {
    // The callee's call data is its caller's memory; it fills its own memory, right behind it, while it reads.
    let caller = "
        0x1111 0 MSTORE 0x2222 0x20 MSTORE 0x3333 0x40 MSTORE
        0x60 0x40 0x60 0 0 0x81 GAS CALL POP 0x20 0x20 0x40 0x20 0 0x81 GAS CALL POP
        MSIZE 0 RETURN";
    let callee = "
        0 CALLDATALOAD 0 MSTORE  0x20 CALLDATALOAD 0x15 MSTORE  0 MLOAD 0x33 MSTORE
        0 CALLDATALOAD 0x20 CALLDATALOAD 0x40 CALLDATALOAD 0x15 MLOAD
        0 :loop 1 ADD DUP1 0x20 MUL CALLDATALOAD DUP2 0x25 MUL MSTORE DUP1 9 GT @loop JUMPI POP
        ADD ADD ADD 0x60 MSTORE 0xa0 0 RETURN";
    let agreement = check(&case(SpecId::OSAKA, &[caller, callee].map(assemble), vec![input([], GasLimit::Ample)]));
    assert_eq!(agreement.successes, agreement.executions);
}
