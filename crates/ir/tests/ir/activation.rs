//! The opcode table against revm's: names, immediates, stack effects, first forks.

use crate::machine::{Given, Machine};
use alloy_primitives::U256;
use hotevm_ir::{
    Fork,
    opcodes::{self, Class},
};
use revm::{bytecode::opcode::OPCODE_INFO, interpreter::InstructionResult};

/// Opcodes that revm knows and the table does not (O3 there).
const LEFT_OUT: [&str; 3] = ["DUPN", "SWAPN", "EXCHANGE"];

#[test]
fn names_and_stack_effects_are_those_of_revm() {
    for byte in 0..=u8::MAX {
        let theirs = OPCODE_INFO[usize::from(byte)].filter(|info| !LEFT_OUT.contains(&info.name()));
        let ours = opcodes::info(byte);
        assert_eq!(ours.is_some(), theirs.is_some(), "{byte:#04x}");
        let Some((ours, theirs)) = ours.zip(theirs) else { continue };
        assert_eq!(ours.name, theirs.name());
        assert_eq!(ours.immediate, theirs.immediate_size(), "{}", ours.name);
        assert_eq!((ours.inputs, ours.outputs), (theirs.inputs(), theirs.outputs()), "{}", ours.name);
        let ends = matches!(ours.class, Class::Finish | Class::FinishTable | Class::Invalid);
        assert_eq!(ends, theirs.is_terminating(), "{}", ours.name);
    }
}

/// The result of executing one opcode on a stack of so many zeros.
fn execute(byte: u8, fork: Fork, height: usize) -> Result<(), InstructionResult> {
    let mut machine = Machine::new(&Given { code: vec![byte, 0x5b], fork, call_data: vec![], gas: 1 << 40 });
    machine.interpreter.stack.data_mut().extend(std::iter::repeat_n(U256::ZERO, height));
    machine.step()
}

/// Whether revm has this opcode in this fork.
fn is_active(byte: u8, fork: Fork) -> bool {
    // revm's dummy host has no value for DIFFICULTY after the merge; it is never inactive.
    byte == 0x44 || !matches!(execute(byte, fork, 40), Err(InstructionResult::NotActivated | InstructionResult::OpcodeNotFound))
}

#[test]
fn opcodes_are_active_from_the_fork_of_revm_on() {
    for fork in Fork::ALL {
        for byte in 0..=u8::MAX {
            let theirs = is_active(byte, fork);
            let left_out = OPCODE_INFO[usize::from(byte)].is_some_and(|info| LEFT_OUT.contains(&info.name()));
            let ours = opcodes::info(byte).is_some_and(|opcode| opcode.since <= fork);
            let wanted = theirs && !left_out;
            assert_eq!(ours, wanted, "{} in {}", opcodes::name(byte), fork.name());
        }
    }
}

#[test]
fn pitfall_15_underflow_and_overflow_start_where_the_table_says() {
    for byte in (0..=u8::MAX).filter(|byte| *byte != 0x44) {
        let Some(opcode) = opcodes::info(byte) else { continue };
        let (inputs, outputs) = (usize::from(opcode.inputs), usize::from(opcode.outputs));
        assert_ne!(execute(byte, Fork::Amsterdam, inputs), Err(InstructionResult::StackUnderflow), "{}", opcode.name);
        if inputs > 0 {
            // revm's DUP calls an underflow overflow.
            let result = execute(byte, Fork::Amsterdam, inputs - 1);
            let fails = matches!(result, Err(InstructionResult::StackUnderflow | InstructionResult::StackOverflow));
            assert!(fails, "{}: {result:?}", opcode.name);
        }
        let grows = outputs.saturating_sub(inputs);
        assert_ne!(execute(byte, Fork::Amsterdam, 1024 - grows), Err(InstructionResult::StackOverflow), "{}", opcode.name);
        if grows > 0 {
            let result = execute(byte, Fork::Amsterdam, 1024);
            assert_eq!(result, Err(InstructionResult::StackOverflow), "{}", opcode.name);
        }
    }
}

#[test]
fn forks_are_those_of_revm_in_order() {
    for (index, fork) in Fork::ALL.into_iter().enumerate() {
        assert_eq!(u8::from(crate::machine::spec(fork)) as usize, index);
        assert_eq!(Fork::from_index(index), Some(fork));
        assert_eq!(Fork::from_name(fork.name()), Some(fork));
    }
    assert_eq!(Fork::from_index(Fork::ALL.len()), None);
    assert_eq!(Fork::from_name("Osaka"), None);
}
