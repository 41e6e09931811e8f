//! The tests' own test, in machine code: faults planted in the SSA form, right before LLVM gets it, are found by generated cases.
//!
//! in   functions as the middle end makes them, with one thing spoiled in each
//! out  for each fault a difference, within a bounded number of cases; with a fault that changes nothing, none
//!
//! N1  A spoiled function reads and writes no memory but the EVM's: buffers have room behind what a fault lets code believe.

#![cfg(feature = "llvm")]

use alloy_evm::{Database, EthEvmFactory, eth::EthEvmContext};
use alloy_primitives::U256;
use hotevm::{Config, HotEthEvm, HotEvmFactory, Optimisation, Preset, Runtime};
use hotevm_ir::{
    Function,
    function::{BlockData, Field, Given, Inst, PureOp, Terminator, Type, Value},
};
use hotevm_testing::{
    campaign::case_seed,
    execute::{
        altered::{Alteration, Altered},
        compare::{Difference, Field as Seen, compare},
    },
    generate::case::{Case, SENDER, Size},
};
use revm::Inspector;

/// What spoils a function.
type Fault = fn(&mut Function);

/// Cases within which a fault must be found.
const CASES_MAX: usize = 800;

const SIZE: Size = Size { contracts_max: 3, inputs: 6, statements_max: 40 };

/// Bytes of memory that a transaction of a case cannot pay for.
const ROOM_BYTES: usize = 8 << 20;

/// Changes nothing.
fn nothing(_: &mut Function) {}

/// The last charge of a function is one too low.
fn gas(function: &mut Function) {
    let charges = function.blocks.iter_mut().flat_map(|block| &mut block.insts).filter_map(|(_, inst)| match inst {
        Inst::Charge { gas, .. } => Some(gas),
        _ => None,
    });
    if let Some(gas) = charges.last() {
        *gas -= 1;
    }
}

/// Entries that lie nine deep or deeper are read one too deep, as by a DUP of the wrong number.
fn dup(function: &mut Function) {
    // The height checks of a root vouch for what it reads and no more, so the least slot read bounds the others.
    for root in roots(function) {
        let tree = tree(function, root);
        let slots = tree.iter().flat_map(|block| &function.blocks[*block].insts).filter_map(|(_, inst)| match inst {
            Inst::Load(slot) => Some(*slot),
            _ => None,
        });
        let Some(least) = slots.min() else { continue };
        for block in tree {
            for (_, inst) in &mut function.blocks[block].insts {
                if let Inst::Load(slot) = inst
                    && *slot <= -9
                    && *slot > least
                {
                    *slot -= 1;
                }
            }
        }
    }
}

/// Memory reaches over the first byte of an access, and not over the rest.
fn growth(function: &mut Function) {
    for (_, inst) in function.blocks.iter_mut().flat_map(|block| &mut block.insts) {
        if let Inst::Reach { length, .. } = inst {
            *length = 1;
        }
    }
}

/// In calls by a contract, CALLDATALOAD reads zero once memory has outgrown its first allocation: the base of call data in the
/// caller's memory was not read again.
fn stale_call_data(function: &mut Function) {
    rewrite(function, |function, value, inst, insts| {
        if !matches!(inst, Inst::CallDataLoad(_)) {
            return insts.push((Some(value), inst));
        }
        let mut define = |ty, inst| {
            let value = function.value(ty);
            insts.push((Some(value), inst));
            value
        };
        let read = define(Type::Word, inst);
        let caller = define(Type::Word, Inst::Field(Field::Caller));
        let sender = define(Type::Word, Inst::Const(SENDER.into_word().into()));
        let by_sender = define(Type::Bool, Inst::Pure(PureOp::Eq, vec![caller, sender]));
        let by_sender = define(Type::Word, Inst::Pure(PureOp::FromBool, vec![by_sender]));
        let size = define(Type::Num, Inst::Field(Field::MemorySize));
        let size = define(Type::Word, Inst::Pure(PureOp::FromNum, vec![size]));
        let first = define(Type::Word, Inst::Const(U256::from(4097)));
        let small = define(Type::Bool, Inst::Pure(PureOp::Lt, vec![size, first]));
        let small = define(Type::Word, Inst::Pure(PureOp::FromBool, vec![small]));
        let fresh = define(Type::Word, Inst::Pure(PureOp::Or, vec![by_sender, small]));
        insts.push((Some(value), Inst::Pure(PureOp::Mul, vec![read, fresh])));
    });
}

/// JUMPI takes conditions for numbers of 64 bits.
fn condition(function: &mut Function) {
    let conditions = conditions(function);
    rewrite(function, |function, value, inst, insts| match inst {
        Inst::Pure(PureOp::IsZero, word) if conditions.contains(&value) => {
            let (mask, low) = (function.value(Type::Word), function.value(Type::Word));
            insts.push((Some(mask), Inst::Const(U256::from(u64::MAX))));
            insts.push((Some(low), Inst::Pure(PureOp::And, vec![word[0], mask])));
            insts.push((Some(value), Inst::Pure(PureOp::IsZero, vec![low])));
        }
        inst => insts.push((Some(value), inst)),
    });
}

/// The deepest constant operand that a host instruction is given has another lowest bit.
fn given(function: &mut Function) {
    for (_, inst) in function.blocks.iter_mut().flat_map(|block| &mut block.insts) {
        if let Inst::Host(call) = inst {
            call.given = match call.given {
                Given::Nothing => Given::Nothing,
                Given::One(first) => Given::One(first ^ 1),
                Given::Two(first, second) => Given::Two(first, second ^ 1),
            };
        }
    }
}

/// The last conditional jump of a function goes the other way.
fn jump(function: &mut Function) {
    let ends = function.blocks.iter_mut().filter_map(|block| block.end.as_mut());
    let branches = ends.filter_map(|end| match end {
        Terminator::Branch(_, taken, other) => Some((taken, other)),
        _ => None,
    });
    if let Some((taken, other)) = branches.last() {
        std::mem::swap(taken, other);
    }
}

fn roots(function: &Function) -> Vec<usize> {
    (0..function.blocks.len()).filter(|block| function.blocks[*block].root.is_some()).collect()
}

/// A root and the blocks that hang on it.
fn tree(function: &Function, root: usize) -> Vec<usize> {
    let (mut blocks, mut next) = (vec![root], 0);
    while let Some(block) = blocks.get(next) {
        let edges = function.blocks[*block].end.iter().flat_map(|end| end.edges());
        blocks.extend(edges.map(|edge| edge.block.index()).filter(|block| function.blocks[*block].root.is_none()));
        next += 1;
    }
    blocks
}

/// Truth values that conditional jumps test, and what these complement.
fn conditions(function: &Function) -> Vec<Value> {
    let ends = function.blocks.iter().filter_map(|block| block.end.as_ref());
    let mut values: Vec<Value> =
        ends.filter_map(|end| if let Terminator::Branch(condition, ..) = end { Some(*condition) } else { None }).collect();
    let insts = function.blocks.iter().flat_map(|block| &block.insts);
    let complements = insts.filter_map(|(value, inst)| match (value, inst) {
        (Some(value), Inst::Pure(PureOp::BoolNot, operand)) if values.contains(value) => Some(operand[0]),
        _ => None,
    });
    let complements: Vec<Value> = complements.collect();
    values.extend(complements);
    values
}

/// Replaces every instruction that defines a value by what `replace` pushes for it.
fn rewrite(function: &mut Function, mut replace: impl FnMut(&mut Function, Value, Inst, &mut Vec<(Option<Value>, Inst)>)) {
    for block in 0..function.blocks.len() {
        let mut insts = Vec::new();
        for (value, inst) in std::mem::take(&mut function.blocks[block].insts) {
            match value {
                Some(value) => replace(function, value, inst, &mut insts),
                None => insts.push((None, inst)),
            }
        }
        let BlockData { insts: place, .. } = &mut function.blocks[block];
        *place = insts;
    }
}

/// EVMs have room behind their memory (N1).
#[derive(Clone, Copy, Debug)]
struct Room;

impl Alteration<HotEvmFactory> for Room {
    fn evm<DB: Database, I: Inspector<EthEvmContext<DB>>>(&self, evm: HotEthEvm<DB, I>) -> HotEthEvm<DB, I> {
        evm.local.shared_memory_buffer.borrow_mut().reserve(ROOM_BYTES);
        evm
    }
}

/// The first case that shows the fault: its place and its difference.
fn find(fault: Fault, optimisation: Optimisation, cases: usize) -> Option<(usize, Box<Difference>)> {
    let config = Config { optimisation, planted_fault: Some(fault), ..Config::preset(Preset::Test) };
    (0..cases).find_map(|index| {
        let runtime = Runtime::new(config.clone()).expect("a runtime for this machine");
        let case = Case::from_seed(case_seed(1, index), SIZE);
        let hot = Altered(HotEvmFactory::new(runtime), Room);
        compare(&case, &EthEvmFactory::default(), &hot, |_| {}).err().map(|difference| (index, difference))
    })
}

fn check_found(fault: Fault, name: &str) -> Box<Difference> {
    let Some((index, difference)) = find(fault, Optimisation::Fast, CASES_MAX) else {
        panic!("a fault in {name} is not found in {CASES_MAX} cases");
    };
    eprintln!("a fault in {name} is found by case {index}: {:?}", difference.fields);
    difference
}

#[test]
fn a_function_that_is_not_spoiled_gives_no_difference() {
    assert!(find(nothing, Optimisation::Fast, 20).is_none());
}

#[test]
fn gas_that_is_off_by_one_is_found() {
    let difference = check_found(gas, "gas");
    assert!(difference.fields.contains(&Seen::Gas) || difference.fields.contains(&Seen::Output), "{difference}");
}

#[test]
fn a_wrong_dup_is_found() {
    check_found(dup, "DUP");
}

#[test]
fn missed_memory_growth_is_found() {
    check_found(growth, "memory growth");
}

#[test]
fn stale_call_data_is_found() {
    check_found(stale_call_data, "the base of call data");
}

#[test]
fn wrong_constant_operands_are_found() {
    check_found(given, "operands that are given");
}

#[test]
fn wrong_jumps_are_found() {
    check_found(jump, "a jump");
    check_found(condition, "the condition of a jump");
}
