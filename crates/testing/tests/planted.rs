//! The tests' own test: faults planted in an interpreter, of the kinds that compilers make, are found by generated cases.
//!
//! in   revm's interpreter with one instruction changed, in the place where hotevm stands otherwise
//! out  for each fault a difference, within a bounded number of cases; without a fault, none

use alloy_evm::{
    Database, EthEvm, EthEvmFactory,
    eth::EthEvmContext,
    precompiles::PrecompilesMap,
    revm::{
        Inspector,
        bytecode::opcode as op,
        interpreter::{
            CallInput, Instruction, InstructionContext, InstructionResult,
            instructions::{control, memory, stack, system},
            interpreter::EthInterpreter,
        },
    },
};
use alloy_primitives::U256;
use hotevm_testing::{
    execute::{
        altered::{Alteration, Altered},
        compare::{Difference, Field, compare},
    },
    generate::case::{Case, Size},
    reduce::reduce,
};

/// A fault like those that compilers of EVM code have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// None: the comparison itself must not see a difference.
    None,
    /// MULMOD costs one gas too much.
    Gas,
    /// DUP9 copies the tenth entry.
    Dup,
    /// MSTORE8 grows memory for nothing.
    Growth,
    /// CALLDATALOAD reads zero from call data in the caller's memory, once memory has outgrown its first allocation.
    StaleCallData,
    /// JUMPI takes conditions for numbers of 64 bits.
    Jump,
    /// SWAP16 does nothing.
    Swap,
    /// MSIZE is one word short.
    MemorySize,
}

type Context<'a, DB> = InstructionContext<'a, EthEvmContext<DB>, EthInterpreter>;

fn dup<DB: Database>(context: Context<'_, DB>) -> Result<(), InstructionResult> {
    if context.interpreter.stack.len() < 10 {
        return stack::dup::<9, _, _>(context);
    }
    stack::dup::<10, _, _>(context)
}

fn growth<DB: Database>(context: Context<'_, DB>) -> Result<(), InstructionResult> {
    let InstructionContext { interpreter, host } = context;
    let before = interpreter.gas.remaining();
    let result = memory::mstore8(InstructionContext { interpreter, host });
    if result.is_ok() {
        interpreter.gas.set_remaining(before);
    }
    result
}

fn stale_call_data<DB: Database>(context: Context<'_, DB>) -> Result<(), InstructionResult> {
    let InstructionContext { interpreter, host } = context;
    let outgrown = interpreter.memory.len() > 4096 && matches!(interpreter.input.input, CallInput::SharedBuffer(_));
    system::calldataload(InstructionContext { interpreter, host })?;
    if outgrown && let Some(top) = interpreter.stack.data_mut().last_mut() {
        *top = U256::ZERO;
    }
    Ok(())
}

fn jump<DB: Database>(context: Context<'_, DB>) -> Result<(), InstructionResult> {
    let InstructionContext { interpreter, host } = context;
    let data = interpreter.stack.data_mut();
    let condition = data.len().checked_sub(2).and_then(|index| data.get_mut(index));
    if let Some(condition) = condition {
        *condition &= U256::from(u64::MAX);
    }
    control::jumpi(InstructionContext { interpreter, host })
}

fn nothing<DB: Database>(_: Context<'_, DB>) -> Result<(), InstructionResult> {
    Ok(())
}

fn memory_size<DB: Database>(context: Context<'_, DB>) -> Result<(), InstructionResult> {
    let InstructionContext { interpreter, host } = context;
    memory::msize(InstructionContext { interpreter, host })?;
    if let Some(top) = interpreter.stack.data_mut().last_mut() {
        *top = top.saturating_sub(U256::from(32));
    }
    Ok(())
}

type FaultyEvm<DB, I> = EthEvm<DB, I, PrecompilesMap>;

/// revm's EVM with a fault in it.
impl Alteration<EthEvmFactory> for Fault {
    fn evm<DB: Database, I: Inspector<EthEvmContext<DB>>>(&self, evm: FaultyEvm<DB, I>) -> FaultyEvm<DB, I> {
        let mut evm = evm.into_inner();
        let instructions = &mut evm.instruction;
        let mut replace = |opcode: u8, instruction| {
            let gas = instructions.gas_table()[usize::from(opcode)];
            instructions.insert_instruction(opcode, instruction, gas);
        };
        match self {
            Self::None => {}
            Self::Gas => instructions.insert_gas(op::MULMOD, 9),
            Self::Dup => replace(op::DUP9, Instruction::new(dup)),
            Self::Growth => replace(op::MSTORE8, Instruction::new(growth)),
            Self::StaleCallData => replace(op::CALLDATALOAD, Instruction::new(stale_call_data)),
            Self::Jump => replace(op::JUMPI, Instruction::new(jump)),
            Self::Swap => replace(op::SWAP16, Instruction::new(nothing)),
            Self::MemorySize => replace(op::MSIZE, Instruction::new(memory_size)),
        }
        EthEvm::new(evm, false)
    }
}

fn faulty(fault: Fault) -> Altered<EthEvmFactory, Fault> {
    Altered(EthEvmFactory::default(), fault)
}

const CASES: u64 = 400;

/// The first case that shows the fault, with its difference.
fn find(fault: Fault) -> Option<(Case, Box<Difference>)> {
    (0..CASES).find_map(|seed| {
        let case = Case::from_seed(seed, Size { inputs: 6, ..Size::default() });
        let difference = compare(&case, &EthEvmFactory::default(), &faulty(fault), |_| {}).err();
        difference.map(|difference| (case, difference))
    })
}

#[test]
fn no_fault_gives_no_difference() {
    assert!(find(Fault::None).is_none());
}

#[test]
fn every_planted_fault_is_found() {
    for fault in [Fault::Gas, Fault::Dup, Fault::Growth, Fault::StaleCallData, Fault::Jump, Fault::Swap, Fault::MemorySize] {
        let found = find(fault);
        assert!(found.is_some(), "{fault:?} is not found in {CASES} cases");
    }
}

#[test]
fn a_fault_of_gas_alone_is_seen_as_gas() {
    let (_, difference) = find(Fault::Gas).unwrap();
    assert!(difference.fields.contains(&Field::Gas) || difference.fields.contains(&Field::Output), "{difference}");
    let text = difference.to_string();
    assert!(text.contains("expected") && text.contains("found"), "{text}");
}

#[test]
fn a_reduced_case_still_fails_and_is_small() {
    for fault in [Fault::Dup, Fault::Growth, Fault::MemorySize] {
        let (case, difference) = find(fault).unwrap();
        let mut fails = |case: &Case| compare(case, &EthEvmFactory::default(), &faulty(fault), |_| {}).is_err();
        let reduced = reduce(&case, difference.input, difference.gas_limit, 4000, &mut fails);
        assert!(fails(&reduced), "{fault:?}: {reduced}");
        let bytes: usize = reduced.contracts.iter().map(|contract| contract.code.len()).sum();
        assert!(bytes <= 64 && reduced.inputs.len() == 1, "{fault:?}: {bytes} bytes of code left\n{reduced}");
        let again: Case = reduced.to_string().parse().unwrap();
        assert!(fails(&again), "{fault:?}: the text of the case does not fail");
    }
}
