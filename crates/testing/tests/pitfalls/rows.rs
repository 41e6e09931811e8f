//! What native code and interpreter keep in step: one test for each thing that has its home in the interpreter.
//!
//! in   contracts in which GASPRICE, a table call, writes down the interpreter it is called on, and 0x0c, declared custom, all of its
//!      stack besides (a table call is given the entries that its opcode takes, and no others)
//! out  the same notes at every such call, natively, with leaves between all instructions, and interpreted
//!
//! Entries to resume at, and the code that a suspended frame keeps, are tested in `frames`.

use crate::{WAYS, assembly::assemble, case, input, runtime, words};
use alloy_evm::{EthEvm, EthEvmFactory, Evm, EvmFactory, eth::EthEvmContext};
use alloy_primitives::{Address, Bytes, U256};
use hotevm::{HotEthEvm, HotEvm, Instructions, native_available};
use hotevm_testing::{
    execute::{
        database::RecordingDatabase,
        run::{environment, transaction},
    },
    generate::case::{Case, GasLimit},
};
use revm::{
    bytecode::opcode::GASPRICE,
    handler::EthFrame,
    interpreter::{
        Instruction, InstructionContext, InstructionResult,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, LoopControl},
    },
    primitives::hardfork::SpecId,
};
use std::{cell::RefCell, collections::HashSet};

/// What a probe sees.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    height: usize,
    /// Empty where only the height is promised.
    stack: Vec<U256>,
    gas: u64,
    /// Words of memory and their cost, refund, reservoir, state gas.
    counted: (usize, u64, i64, u64),
    memory: Vec<u8>,
    call_data: Vec<u8>,
    return_data: Bytes,
    pc: usize,
    has_action: bool,
    is_static: bool,
    fork: SpecId,
    target: Address,
    caller: Address,
    value: U256,
    code_len: usize,
}

thread_local! {
    static NOTES: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
}

/// The opcode that sees the stack.
const PROBE: u8 = 0x0c;

type Context = EthEvmContext<RecordingDatabase>;

/// GASPRICE that writes down what it sees.
fn probe(context: InstructionContext<'_, Context, EthInterpreter>) -> Result<(), InstructionResult> {
    note(context, false)
}

/// An opcode that does what GASPRICE does, and sees the stack.
fn probe_stack(context: InstructionContext<'_, Context, EthInterpreter>) -> Result<(), InstructionResult> {
    note(context, true)
}

fn note(context: InstructionContext<'_, Context, EthInterpreter>, sees_stack: bool) -> Result<(), InstructionResult> {
    let interpreter = context.interpreter;
    let memory_gas = interpreter.gas.memory();
    let note = Note {
        gas: interpreter.gas.remaining(),
        counted: (memory_gas.words_num, memory_gas.expansion_cost, interpreter.gas.refunded(), interpreter.gas.reservoir()),
        memory: interpreter.memory.context_memory().to_vec(),
        // revm's range of empty call data lies nowhere.
        call_data: match interpreter.input.input.is_empty() {
            true => Vec::new(),
            false => interpreter.input.input.as_bytes_memory(&interpreter.memory).to_vec(),
        },
        return_data: interpreter.return_data.0.clone(),
        pc: interpreter.bytecode.pc(),
        has_action: interpreter.bytecode.action().is_some(),
        is_static: interpreter.runtime_flag.is_static,
        fork: interpreter.runtime_flag.spec_id,
        target: interpreter.input.target_address,
        caller: interpreter.input.caller_address,
        value: interpreter.input.call_value,
        code_len: interpreter.bytecode.len(),
        height: interpreter.stack.len(),
        stack: if sees_stack { interpreter.stack.data().clone() } else { Vec::new() },
    };
    NOTES.with_borrow_mut(|notes| notes.push(note));
    if interpreter.stack.push(U256::from(10)) { Ok(()) } else { Err(InstructionResult::StackOverflow) }
}

type Inner = revm::context::Evm<
    Context,
    revm::inspector::NoOpInspector,
    revm::handler::instructions::EthInstructions<EthInterpreter, Context>,
    alloy_evm::precompiles::PrecompilesMap,
    EthFrame<EthInterpreter>,
>;

/// revm's EVM with the probe in it.
fn probed(case: &Case) -> Inner {
    let mut inner = EthEvmFactory::default().create_evm(RecordingDatabase::new(case), environment(case)).into_inner();
    inner.instruction.insert_instruction(GASPRICE, Instruction::new(probe), 2);
    inner.instruction.insert_instruction(PROBE, Instruction::new(probe_stack), 2);
    inner
}

fn notes() -> Vec<Note> {
    NOTES.take()
}

/// Runs codes interpreted and in every way to compile; the notes and results are the same. Returns the notes.
fn check_notes(fork: SpecId, codes: &[&str], data: &[U256]) -> Vec<Note> {
    let codes: Vec<Vec<u8>> = codes.iter().map(|code| assemble(code)).collect();
    let case = case(fork, &codes, vec![input(words(data), GasLimit::Ample)]);
    let transaction = || transaction(&case, &case.inputs[0], 4_000_000);
    let expected = EthEvm::new(probed(&case), false).transact_raw(transaction()).expect("valid");
    let expected_notes = notes();
    for (optimisation, force_leaves) in WAYS {
        let runtime = runtime(optimisation, force_leaves);
        for mask in if force_leaves { &[0, 1, 0x1111_1111_1111_1111, 0xaaaa_aaaa_aaaa_aaaa, u64::MAX][..] } else { &[0] } {
            runtime.set_leave_mask(*mask);
            // What GASPRICE leaves behind is what revm's would: that one needs no declaration.
            let hot = HotEvm::new(probed(&case), runtime.clone(), Instructions::custom([PROBE]));
            let mut hot = HotEthEvm::new(hot, false);
            assert_eq!(hot.transact_raw(transaction()).expect("valid"), expected, "{optimisation:?} mask {mask:#x}");
            let found = notes();
            assert_eq!(found.len(), expected_notes.len());
            for (place, (found, expected)) in found.iter().zip(&expected_notes).enumerate() {
                assert_eq!(found, expected, "note {place}, {optimisation:?} mask {mask:#x}");
            }
        }
        assert_eq!(runtime.statistics().native_frames > 0, native_available());
    }
    expected_notes
}

/// How many different things a field held.
fn different<T: std::hash::Hash + Eq>(notes: &[Note], field: impl Fn(&Note) -> T) -> usize {
    notes.iter().map(field).collect::<HashSet<T>>().len()
}

#[test]
fn row_stack_entries() {
    let code = "
        1 2 3 DUP3 SWAP2 #0c ADD DUP4 MUL #0c SWAP3 #0c POP POP
        0 :loop 1 ADD DUP1 DUP1 MUL #0c POP SWAP1 DUP2 ADD SWAP1 #0c POP DUP1 5 GT @loop JUMPI
        0 CALLDATALOAD DUP1 #0c ADD 0 SSTORE #0c 0 MSTORE 0x20 0 RETURN";
    let notes = check_notes(SpecId::OSAKA, &[code], &[U256::from(9)]);
    assert!(different(&notes, |note| note.stack.clone()) >= 10, "{notes:?}");
}

#[test]
fn row_stack_height() {
    // A function called at several heights, and a loop that grows the stack to where nothing more fits.
    let code = "
        GASPRICE @one @function JUMP :one CALLER CALLER @two @function JUMP :two GASPRICE
        POP POP POP :grow GASPRICE GASPRICE DUP1 @grow JUMP
        :function GASPRICE POP JUMP";
    let notes = check_notes(SpecId::OSAKA, &[code], &[]);
    assert!(notes.iter().map(|note| note.height).max() >= Some(1022), "the stack fills");
}

#[test]
fn row_gas_remaining() {
    let code = "
        GASPRICE GAS GASPRICE 0x20 MSTORE GASPRICE 0x80 0 KECCAK256 GASPRICE 0 SLOAD GASPRICE
        0 0 0 0 0 0x81 GAS CALL GASPRICE 5 1 SSTORE GASPRICE 300 MLOAD GASPRICE
        :loop GASPRICE GAS 3000000 LT @loop JUMPI GAS 0 MSTORE 0x20 0 RETURN";
    let notes = check_notes(SpecId::OSAKA, &[code, "GASPRICE GAS 0 MSTORE GASPRICE 0x20 0 REVERT"], &[]);
    assert!(different(&notes, |note| note.gas) >= 10, "{notes:?}");
}

#[test]
fn row_memory_cost_refund_reservoir_and_state_gas() {
    let code = "
        GASPRICE 0 0x40 MSTORE GASPRICE 0 0 SSTORE GASPRICE 3 0 SSTORE GASPRICE 0 1000 MSTORE8 GASPRICE
        1 5 SSTORE GASPRICE 0 5 SSTORE GASPRICE 0 0 0 0 0 0x81 GAS CALL GASPRICE 2000 MLOAD GASPRICE STOP";
    for fork in [SpecId::OSAKA, SpecId::AMSTERDAM] {
        let notes = check_notes(fork, &[code, "1 9 SSTORE GASPRICE 0 9 SSTORE GASPRICE 0 0 REVERT"], &[]);
        assert!(different(&notes, |note| note.counted) >= 5, "{notes:?}");
    }
}

#[test]
fn row_memory_bytes() {
    // Both frames grow memory beyond what was allocated first, so that it moves under the other.
    let caller = "
        CALLER 7 MSTORE GASPRICE 0xff 3 MSTORE8 GASPRICE
        0x40 0x10 0x20 0 0 0x81 GAS CALL GASPRICE 0 MLOAD 5000 MSTORE GASPRICE
        0x40 0x10 0x20 0 0 0x81 GAS CALL ADDRESS 9 MSTORE GASPRICE 0x20 5 3 MCOPY GASPRICE 0x40 0 RETURN";
    let callee = "0 CALLDATALOAD 1 MSTORE GASPRICE CALLER 9000 MSTORE GASPRICE 1 MLOAD 0x21 MSTORE 0x40 1 RETURN";
    let notes = check_notes(SpecId::OSAKA, &[caller, callee], &[]);
    assert!(different(&notes, |note| note.memory.clone()) >= 6);
}

#[test]
fn row_call_data() {
    let caller = "
        0x1122334455 0 MSTORE 0x20 CALLDATALOAD 0x20 MSTORE GASPRICE
        0 0 0x40 5 0 0x81 GAS CALL GASPRICE 0 0 0 0 0 0x81 GAS CALL GASPRICE 0 0 0x40 0x1000 0 0x81 GAS CALL STOP";
    let callee = "
        GASPRICE 0 CALLDATALOAD 0 MSTORE GASPRICE CALLER 9000 MSTORE 0x13 CALLDATALOAD GASPRICE
        0x30 0 0x100 CALLDATACOPY GASPRICE 0 0 0 0 4 GAS STATICCALL CALLDATASIZE 0x20 CALLDATALOAD GASPRICE
        0 0 0x30 3 0 0x82 GAS CALL GASPRICE 0x18 CALLDATALOAD GASPRICE STOP";
    let third = "GASPRICE 20000 MLOAD 1 CALLDATALOAD GASPRICE ADD 0 MSTORE 0x20 0 RETURN";
    let notes = check_notes(SpecId::OSAKA, &[caller, callee, third], &[U256::from(1), U256::MAX]);
    assert!(different(&notes, |note| note.call_data.clone()) >= 4, "{notes:?}");
}

#[test]
fn row_return_data() {
    let code = "
        RETURNDATASIZE GASPRICE 0 0 0 0 0 0x81 GAS CALL RETURNDATASIZE GASPRICE RETURNDATASIZE 0 3 RETURNDATACOPY GASPRICE
        0 0 0 0 0 0x82 GAS CALL RETURNDATASIZE GASPRICE 0 0 7 0 0 4 GAS CALL RETURNDATASIZE GASPRICE
        0 0 0xffff CREATE RETURNDATASIZE GASPRICE 0 0 0 CREATE RETURNDATASIZE GASPRICE
        0x60fd60fd60fd 0 MSTORE 0x20 0 0 CREATE RETURNDATASIZE GASPRICE
        0 0 0 0 0xffff 0x81 GAS CALL RETURNDATASIZE GASPRICE ADD ADD ADD ADD 0 MSTORE 0x20 0 RETURN";
    let (one, other) = ("CALLER 0 MSTORE 0x21 0 RETURN", "ADDRESS 0 MSTORE RETURNDATASIZE 0x35 0 REVERT");
    for fork in [SpecId::BYZANTIUM, SpecId::OSAKA, SpecId::AMSTERDAM] {
        let notes = check_notes(fork, &[code, one, other], &[]);
        assert!(different(&notes, |note| note.return_data.clone()) >= 4, "{notes:?}");
    }
}

#[test]
fn row_pc() {
    let code = "PC GASPRICE @on JUMP 0x5b :on PC GASPRICE ADD ADD 0 MSTORE PC GASPRICE 0x20 0 RETURN";
    let notes = check_notes(SpecId::OSAKA, &[code], &[]);
    // The byte behind the instruction, as in the interpreter's loop.
    assert_eq!(notes.iter().map(|note| note.pc).collect::<Vec<_>>(), [2, 11, 18]);
}

#[test]
fn row_pending_action() {
    // Every way a frame ends or suspends, and an instruction behind each that does not end it.
    let root = "
        0 0 0 0 0 0x81 GAS CALL GASPRICE 0 0 0 0 0 0x82 GAS CALL GASPRICE 0 0 0 0 0 0x83 GAS CALL GASPRICE
        0 0 0 0 0x84 GAS DELEGATECALL GASPRICE 0 0 0 0 0 0x85 GAS CALLCODE GASPRICE 0 0 0 0 0x86 2000 STATICCALL GASPRICE
        0 0 0 CREATE GASPRICE 0 0 0 0 CREATE2 GASPRICE 0 0 0xffff CREATE GASPRICE 0 0 0 0 9 4 GAS CALL GASPRICE STOP";
    let ends = ["STOP", "0 0 RETURN", "0 0 REVERT", "0x20 0 RETURN", "CALLER SELFDESTRUCT", "GASPRICE ADD 1 0 SSTORE"];
    let codes = [&[root][..], &ends].concat();
    let notes = check_notes(SpecId::OSAKA, &codes, &[]);
    assert!(notes.len() >= 11 && notes.iter().all(|note| !note.has_action), "{notes:?}");
}

#[test]
fn row_facts_of_the_frame() {
    let show = "GASPRICE ADDRESS GASPRICE CALLER GASPRICE CALLVALUE GASPRICE CODESIZE GASPRICE CALLDATASIZE GASPRICE";
    let root = format!(
        "{show} 0 0 3 0 5 0x81 GAS CALL 0 0 0 0 0x81 GAS DELEGATECALL 0 0 0 0 5 0x81 GAS CALLCODE 0 0 0 0 0x81 GAS STATICCALL {show} STOP"
    );
    let callee = format!("{show} 0 0 0 0 0x82 GAS STATICCALL GASPRICE STOP");
    let leaf = format!("{show} 1 1 SSTORE STOP");
    let notes = check_notes(SpecId::OSAKA, &[&root, &callee, &leaf], &[]);
    assert_eq!(different(&notes, |note| note.is_static), 2);
    assert!(different(&notes, |note| note.target) == 3 && different(&notes, |note| note.caller) >= 3, "{notes:?}");
    assert!(different(&notes, |note| note.value) == 2 && different(&notes, |note| note.code_len) == 3, "{notes:?}");
    assert!(notes.iter().all(|note| note.fork == SpecId::OSAKA));
}
