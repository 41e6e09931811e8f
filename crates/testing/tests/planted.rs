//! The tests' own test: faults planted in an interpreter, of the kinds that compilers make, are found by generated cases.
//!
//! in   revm's interpreter with one instruction changed, in the place where hotevm stands otherwise
//! out  for each fault a difference, within a bounded number of cases; without a fault, none

use alloy_evm::{
    Database, EthEvm, EthEvmFactory, EvmEnv, EvmFactory,
    eth::EthEvmContext,
    revm::{
        Inspector,
        bytecode::opcode as op,
        context::DBErrorMarker,
        inspector::NoOpInspector,
        interpreter::{
            CallInput, Instruction, InstructionContext, InstructionResult,
            instructions::{control, memory, stack, system},
            interpreter::EthInterpreter,
        },
    },
};
use alloy_primitives::U256;
use hotevm_testing::{
    execute::compare::{Field, compare},
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

/// Makes Ethereum's EVM with a fault in it.
#[derive(Clone, Copy, Debug)]
struct FaultyFactory(Fault);

impl EvmFactory for FaultyFactory {
    type Evm<DB: Database, I: Inspector<EthEvmContext<DB>>> = <EthEvmFactory as EvmFactory>::Evm<DB, I>;
    type Context<DB: Database> = <EthEvmFactory as EvmFactory>::Context<DB>;
    type Tx = <EthEvmFactory as EvmFactory>::Tx;
    type Error<DBError: DBErrorMarker> = <EthEvmFactory as EvmFactory>::Error<DBError>;
    type HaltReason = <EthEvmFactory as EvmFactory>::HaltReason;
    type Spec = <EthEvmFactory as EvmFactory>::Spec;
    type BlockEnv = <EthEvmFactory as EvmFactory>::BlockEnv;
    type Precompiles = <EthEvmFactory as EvmFactory>::Precompiles;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        self.create_evm_with_inspector(db, env, NoOpInspector {})
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<EthEvmContext<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        let mut evm = EthEvmFactory::default().create_evm_with_inspector(db, env, inspector).into_inner();
        let instructions = &mut evm.instruction;
        let mut replace = |opcode: u8, instruction| {
            let gas = instructions.gas_table()[usize::from(opcode)];
            instructions.insert_instruction(opcode, instruction, gas);
        };
        match self.0 {
            Fault::None => {}
            Fault::Gas => instructions.insert_gas(op::MULMOD, 9),
            Fault::Dup => replace(op::DUP9, Instruction::new(dup)),
            Fault::Growth => replace(op::MSTORE8, Instruction::new(growth)),
            Fault::StaleCallData => replace(op::CALLDATALOAD, Instruction::new(stale_call_data)),
            Fault::Jump => replace(op::JUMPI, Instruction::new(jump)),
            Fault::Swap => replace(op::SWAP16, Instruction::new(nothing)),
            Fault::MemorySize => replace(op::MSIZE, Instruction::new(memory_size)),
        }
        EthEvm::new(evm, false)
    }
}

const CASES: u64 = 400;

/// The first case that shows the fault, with its difference.
fn find(fault: Fault) -> Option<(Case, Box<hotevm_testing::execute::compare::Difference>)> {
    (0..CASES).find_map(|seed| {
        let case = Case::from_seed(seed, Size { inputs: 6, ..Size::default() });
        let difference = compare(&case, &EthEvmFactory::default(), &FaultyFactory(fault), |_| {}).err();
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
        let mut fails = |case: &Case| compare(case, &EthEvmFactory::default(), &FaultyFactory(fault), |_| {}).is_err();
        let reduced = reduce(&case, difference.input, difference.gas_limit, 4000, &mut fails);
        assert!(fails(&reduced), "{fault:?}: {reduced}");
        let bytes: usize = reduced.contracts.iter().map(|contract| contract.code.len()).sum();
        assert!(bytes <= 64 && reduced.inputs.len() == 1, "{fault:?}: {bytes} bytes of code left\n{reduced}");
        let again: Case = reduced.to_string().parse().unwrap();
        assert!(fails(&again), "{fault:?}: the text of the case does not fail");
    }
}
