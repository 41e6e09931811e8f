//! Simplifying: constants are folded, and operations that change nothing or undo each other fall away.
//!
//! in   one instruction and the definitions of its operands
//! out  a value that stands for it, or an instruction in its place
//!
//! Every rule here holds for all operands; the slow evaluator is its oracle in the tests.

use crate::{
    function::{Function, Inst, PureOp, Type, Value},
    opt::pure,
};
use alloy_primitives::U256;

/// Sums that are followed to the number they began with.
const SUMS_MAX: u32 = 16;

/// What defines a value, as far as simplifying asks.
#[derive(Debug, Clone)]
enum Definition {
    Const(U256),
    Number(u64),
    Unary(PureOp, Value),
    /// A word and a constant.
    Sum(Value, U256),
    /// A number made of a word by a check.
    Narrowed,
    /// A number some bytes behind such a number.
    Offset(Value, u32),
}

/// The definitions of a function's values.
#[derive(Debug, Clone, Default)]
pub struct Definitions(Vec<Option<Definition>>);

impl Definitions {
    /// Notes what defines a value.
    pub fn set(&mut self, value: Value, inst: &Inst) {
        if self.0.len() <= value.index() {
            self.0.resize(value.index() + 1, None);
        }
        self.0[value.index()] = match inst {
            Inst::Const(word) => Some(Definition::Const(*word)),
            Inst::Number(number) => Some(Definition::Number(*number)),
            Inst::Pure(op, args) if args.len() == 1 => Some(Definition::Unary(*op, args[0])),
            Inst::Pure(PureOp::Add, args) => match (self.constant(args[0]), self.constant(args[1])) {
                (None, Some(constant)) => Some(Definition::Sum(args[0], constant)),
                (Some(constant), None) => Some(Definition::Sum(args[1], constant)),
                _ => None,
            },
            Inst::Narrow(..) => Some(Definition::Narrowed),
            Inst::Offset(base, bytes) => Some(Definition::Offset(*base, *bytes)),
            _ => None,
        };
    }

    /// The checked number that a word stands behind, and by how many bytes, which is less than 2^31: such a word needs no check
    /// of its own.
    pub fn address(&self, word: Value) -> Option<(Value, u32)> {
        let (word, bytes) = self.sum(word);
        let Definition::Unary(PureOp::FromNum, number) = self.get(word)? else { return None };
        match self.get(*number)? {
            Definition::Narrowed => Some((*number, bytes)),
            Definition::Offset(base, more) => Some((*base, bytes.checked_add(*more).filter(|bytes| *bytes < 1 << 31)?)),
            _ => None,
        }
    }

    /// The word that a word was computed from by adding constants, and their sum, which is less than 2^31.
    pub fn sum(&self, word: Value) -> (Value, u32) {
        let (mut word, mut bytes) = (word, 0_u32);
        for _ in 0..SUMS_MAX {
            let Some(Definition::Sum(other, constant)) = self.get(word) else { break };
            let more = u32::try_from(*constant).ok().and_then(|constant| constant.checked_add(bytes));
            let Some(sum) = more.filter(|sum| *sum < 1 << 31) else { break };
            (word, bytes) = (*other, sum);
        }
        (word, bytes)
    }

    fn get(&self, value: Value) -> Option<&Definition> {
        self.0.get(value.index()).and_then(Option::as_ref)
    }

    /// The constant that a value is, as a word.
    pub fn constant(&self, value: Value) -> Option<U256> {
        match self.get(value)? {
            Definition::Const(word) => Some(*word),
            Definition::Number(number) => Some(U256::from(*number)),
            _ => None,
        }
    }

    /// The operand, where a value is this operation of it.
    fn operand(&self, value: Value, op: PureOp) -> Option<Value> {
        match self.get(value)? {
            Definition::Unary(own, operand) if *own == op => Some(*operand),
            _ => None,
        }
    }
}

/// What stands in the place of an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Simplified {
    /// A value that is there already.
    Value(Value),
    /// An instruction, the same or a simpler one.
    Inst(Inst),
    /// An operation with a new constant.
    Operand {
        /// The operation.
        op: PureOp,
        /// The constant.
        constant: U256,
        /// The other operand.
        other: Value,
        /// Whether the constant is the first operand.
        constant_first: bool,
    },
}

/// Simplifies one instruction.
pub fn simplify(definitions: &Definitions, inst: Inst) -> Simplified {
    match inst {
        Inst::Pure(op, args) => pure_op(definitions, op, args),
        Inst::Narrow(word, leave) => match definitions.constant(word) {
            Some(constant) if constant < U256::from(1_u64 << 32) => Simplified::Inst(Inst::Number(constant.to::<u64>())),
            _ => Simplified::Inst(Inst::Narrow(word, leave)),
        },
        other => Simplified::Inst(other),
    }
}

fn pure_op(definitions: &Definitions, op: PureOp, args: Vec<Value>) -> Simplified {
    let constants: Option<Vec<U256>> = args.iter().map(|arg| definitions.constant(*arg)).collect();
    if let Some(constants) = constants.filter(|_| op.result() == Type::Word) {
        return Simplified::Inst(Inst::Const(pure::evaluate(op, &constants)));
    }
    let simplified = match args[..] {
        [a] => unary(definitions, op, a),
        [a, b] => binary(definitions, op, a, b),
        _ => None,
    };
    simplified.unwrap_or(Simplified::Inst(Inst::Pure(op, args)))
}

fn unary(definitions: &Definitions, op: PureOp, a: Value) -> Option<Simplified> {
    match op {
        PureOp::Not => definitions.operand(a, PureOp::Not).map(Simplified::Value),
        PureOp::BoolNot => definitions.operand(a, PureOp::BoolNot).map(Simplified::Value),
        PureOp::IsZero => {
            let truth = definitions.operand(a, PureOp::FromBool)?;
            Some(match definitions.operand(truth, PureOp::BoolNot) {
                Some(inner) => Simplified::Value(inner),
                None => Simplified::Inst(Inst::Pure(PureOp::BoolNot, vec![truth])),
            })
        }
        _ => None,
    }
}

fn binary(definitions: &Definitions, op: PureOp, a: Value, b: Value) -> Option<Simplified> {
    let (left, right) = (definitions.constant(a), definitions.constant(b));
    let zero = || Some(Simplified::Inst(Inst::Const(U256::ZERO)));
    let shift =
        |op, bits: usize, other| Some(Simplified::Operand { op, constant: U256::from(bits), other, constant_first: true });
    match op {
        PureOp::Add | PureOp::Or | PureOp::Xor if is(left, U256::ZERO) => Some(Simplified::Value(b)),
        PureOp::Add | PureOp::Sub | PureOp::Or | PureOp::Xor if is(right, U256::ZERO) => Some(Simplified::Value(a)),
        PureOp::And if is(left, U256::MAX) => Some(Simplified::Value(b)),
        PureOp::And if is(right, U256::MAX) => Some(Simplified::Value(a)),
        PureOp::And | PureOp::Mul if is(left, U256::ZERO) || is(right, U256::ZERO) => zero(),
        PureOp::And | PureOp::Or if a == b => Some(Simplified::Value(a)),
        PureOp::Xor | PureOp::Sub if a == b => zero(),
        PureOp::Mul if is(left, U256::ONE) => Some(Simplified::Value(b)),
        PureOp::Mul | PureOp::Div if is(right, U256::ONE) => Some(Simplified::Value(a)),
        PureOp::Div | PureOp::Mod if is(right, U256::ZERO) => zero(),
        PureOp::Mul if power(left).is_some() => shift(PureOp::Shl, power(left)?, b),
        PureOp::Mul if power(right).is_some() => shift(PureOp::Shl, power(right)?, a),
        PureOp::Div if power(right).is_some() => shift(PureOp::Shr, power(right)?, a),
        PureOp::Mod if power(right).is_some() => {
            let mask = right?.wrapping_sub(U256::ONE);
            Some(Simplified::Operand { op: PureOp::And, constant: mask, other: a, constant_first: false })
        }
        PureOp::Shl | PureOp::Shr | PureOp::Sar if is(left, U256::ZERO) => Some(Simplified::Value(b)),
        PureOp::Shl | PureOp::Shr if left.is_some_and(|bits| bits >= U256::from(256)) => zero(),
        PureOp::Eq if is(left, U256::ZERO) => is_zero(definitions, b),
        PureOp::Eq if is(right, U256::ZERO) => is_zero(definitions, a),
        _ => None,
    }
}

fn is_zero(definitions: &Definitions, a: Value) -> Option<Simplified> {
    unary(definitions, PureOp::IsZero, a).or(Some(Simplified::Inst(Inst::Pure(PureOp::IsZero, vec![a]))))
}

fn is(constant: Option<U256>, wanted: U256) -> bool {
    constant == Some(wanted)
}

/// The exponent, where the constant is a power of two above 1.
fn power(constant: Option<U256>) -> Option<usize> {
    constant.filter(|word| word.count_ones() == 1 && *word != U256::ONE).map(|word| word.trailing_zeros())
}

/// Simplifies a whole function, block by block.
pub fn run(function: &mut Function) {
    let mut definitions = Definitions::default();
    let mut replaced: Vec<Option<Value>> = vec![None; function.values.len()];
    for block in 0..function.blocks.len() {
        let insts = std::mem::take(&mut function.blocks[block].insts);
        let mut kept = Vec::with_capacity(insts.len());
        for (value, mut inst) in insts {
            super::dead::rename(&mut inst, &replaced);
            let Some(value) = value else {
                kept.push((None, inst));
                continue;
            };
            match simplify(&definitions, inst) {
                Simplified::Value(other) => replaced[value.index()] = Some(other),
                Simplified::Inst(inst) => {
                    definitions.set(value, &inst);
                    kept.push((Some(value), inst));
                }
                Simplified::Operand { op, constant, other, constant_first } => {
                    let word = function.value(Type::Word);
                    replaced.push(None);
                    let inst = Inst::Const(constant);
                    definitions.set(word, &inst);
                    kept.push((Some(word), inst));
                    let args = if constant_first { vec![word, other] } else { vec![other, word] };
                    kept.push((Some(value), Inst::Pure(op, args)));
                }
            }
        }
        function.blocks[block].insts = kept;
    }
    super::dead::rename_rest(function, &replaced);
}
