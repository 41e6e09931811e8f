//! The pure operations against revm's instruction functions, on edge values and random ones; and the rules of simplifying.

use crate::{
    machine::{Given, Machine},
    random::{Random, for_seeds},
};
use alloy_primitives::U256;
use hotevm_ir::{
    Fork,
    evaluate::{Frame, Stop, World, evaluate},
    function::PureOp,
    opcodes::{self, Class},
    opt::{dead, pure, simplify},
    text, verify,
};
use std::fmt::Write as _;

/// The opcodes that are pure operations.
fn operations() -> Vec<(u8, PureOp)> {
    let rows = (0..=u8::MAX).filter_map(|byte| match opcodes::info(byte)?.class {
        Class::Pure(op) => Some((byte, op)),
        _ => None,
    });
    rows.collect()
}

/// Numbers at which something changes.
fn edges() -> Vec<U256> {
    let one = U256::from(1);
    let mut edges: Vec<U256> = [0, 1, 2, 3, 7, 8, 15, 16, 30, 31, 32, 33, 254, 255, 256, 257, 1023].map(U256::from).to_vec();
    for bits in [8, 31, 32, 63, 64, 65, 127, 128, 129, 160, 191, 192, 248, 254, 255] {
        edges.extend([(one << bits) - one, one << bits, (one << bits) + one]);
    }
    for small in [0_u64, 1, 2, 3, 31, 255, 256] {
        edges.push(U256::MAX - U256::from(small));
    }
    edges.push((one << 255) | (one << 254));
    edges
}

struct Oracle {
    machine: Machine,
}

impl Oracle {
    fn new() -> Self {
        Self { machine: Machine::new(&Given { code: vec![0], fork: Fork::Amsterdam, call_data: vec![], gas: u64::MAX }) }
    }

    /// revm's result; the first operand is the top of the stack.
    fn execute(&mut self, byte: u8, args: &[U256]) -> U256 {
        let stack = self.machine.interpreter.stack.data_mut();
        stack.clear();
        stack.extend(args.iter().rev());
        self.machine.execute(byte, 0).expect("the operation does not fail");
        self.machine.interpreter.stack.data()[0]
    }

    fn check(&mut self, byte: u8, op: PureOp, args: &[U256]) {
        assert_eq!(pure::evaluate(op, args), self.execute(byte, args), "{} {args:#x?}", op.name());
    }
}

#[test]
fn every_operation_is_that_of_revm_on_edge_values() {
    let (mut oracle, edges) = (Oracle::new(), edges());
    for (byte, op) in operations() {
        let third: &[U256] = if op.operands().len() == 3 { &edges } else { &edges[..1] };
        for a in &edges {
            for b in &edges {
                for c in third {
                    oracle.check(byte, op, &[*a, *b, *c][..op.operands().len()]);
                }
            }
        }
    }
}

#[test]
fn every_operation_is_that_of_revm_on_random_values() {
    for_seeds(3000, |seed| {
        let (mut oracle, mut random) = (Oracle::new(), Random::new(seed));
        for (byte, op) in operations() {
            let args: Vec<U256> = op.operands().iter().map(|_| random.word()).collect();
            oracle.check(byte, op, &args);
        }
    });
}

#[test]
fn pitfall_22_division_by_zero_is_zero() {
    for op in [PureOp::Div, PureOp::SDiv, PureOp::Mod, PureOp::SMod] {
        for a in edges() {
            assert_eq!(pure::evaluate(op, &[a, U256::ZERO]), U256::ZERO, "{}", op.name());
        }
    }
    for op in [PureOp::AddMod, PureOp::MulMod] {
        assert_eq!(pure::evaluate(op, &[U256::MAX, U256::MAX, U256::ZERO]), U256::ZERO, "{}", op.name());
    }
}

#[test]
fn pitfall_23_signed_division_at_the_least_number() {
    let (min, one) = (U256::from(1) << 255, U256::from(1));
    let negative = |word: u64| U256::from(word).wrapping_neg();
    assert_eq!(pure::evaluate(PureOp::SDiv, &[min, U256::MAX]), min);
    assert_eq!(pure::evaluate(PureOp::SMod, &[min, U256::MAX]), U256::ZERO);
    assert_eq!(pure::evaluate(PureOp::SDiv, &[negative(7), U256::from(2)]), negative(3));
    assert_eq!(pure::evaluate(PureOp::SMod, &[negative(7), U256::from(2)]), negative(1));
    assert_eq!(pure::evaluate(PureOp::SMod, &[U256::from(7), negative(2)]), one);
    for bits in [255_u64, 256, 257, u64::MAX] {
        assert_eq!(pure::evaluate(PureOp::Sar, &[U256::from(bits), min]), U256::MAX, "by {bits}");
        assert_eq!(pure::evaluate(PureOp::Sar, &[U256::from(bits), min - one]), U256::ZERO, "by {bits}");
    }
}

#[test]
fn pitfall_24_operands_out_of_range() {
    let word = U256::MAX - U256::from(0x1234);
    for large in [U256::from(32), U256::from(1) << 64, U256::MAX] {
        assert_eq!(pure::evaluate(PureOp::Byte, &[large, word]), U256::ZERO);
        assert_eq!(pure::evaluate(PureOp::SignExtend, &[large, word]), word);
    }
    for large in [U256::from(256), U256::from(1) << 64, (U256::from(1) << 64) + U256::from(3), U256::MAX] {
        assert_eq!(pure::evaluate(PureOp::Shl, &[large, word]), U256::ZERO);
        assert_eq!(pure::evaluate(PureOp::Shr, &[large, word]), U256::ZERO);
    }
}

/// A function that computes one operation; operands that are constant there are written into it.
fn one_operation(op: PureOp, args: &[(U256, bool)], same: bool) -> String {
    let mut text = String::from("block 0 (pc 0x0000, root, entry 0, height 0..=0, memory 0):\n");
    let mut names = vec![];
    for (index, (word, is_constant)) in args.iter().enumerate() {
        let name = if same { 0 } else { index };
        names.push(format!("v{name}"));
        if same && index > 0 {
            continue;
        }
        if *is_constant {
            let _ = writeln!(text, "    v{index} = const {word:#x}");
        } else {
            let _ = writeln!(text, "    v{} = const {:#x}\n    v{index} = calldataload v{}", index + 10, 32 * index, index + 10);
        }
    }
    let _ = writeln!(text, "    v20 = {} {}", op.name(), names.join(", "));
    let result = match op.result() {
        hotevm_ir::function::Type::Bool => {
            text.push_str("    v21 = frombool v20\n");
            "v21"
        }
        _ => "v20",
    };
    let _ = writeln!(text, "    leave 0\nleave 0: jump at 0x0000, give back 0, top [1], store [0] = {result}");
    let listed = |value: usize| text.contains(&format!(" v{value} ="));
    let unused: String = (0..=21).filter(|value| !listed(*value)).map(|value| format!("unused v{value} word\n")).collect();
    text + &unused
}

/// Compares an operation before and after simplifying, for every choice of constant operands.
fn check_simplify(op: PureOp, words: &[U256], same: bool) {
    for constants in 0..1 << words.len() {
        let args: Vec<(U256, bool)> =
            words.iter().enumerate().map(|(index, word)| (*word, constants >> index & 1 == 1)).collect();
        let call_data: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
        let world = World { call_data: &call_data, ..World::default() };
        let text = one_operation(op, &args, same);
        let before = text::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut after = before.clone();
        simplify::run(&mut after);
        dead::run(&mut after);
        let run = |function| evaluate(function, 0, Frame::default(), &world, &mut |_, _| false, 4);
        for function in [&before, &after] {
            verify::verify(function).unwrap_or_else(|error| panic!("{error}\n{}", text::print(function)));
        }
        let (expected, found) = (run(&before), run(&after));
        assert!(matches!(&expected, Ok(outcome) if matches!(outcome.stop, Stop::Leave { pc: 0, .. })), "{expected:?}");
        assert_eq!(found, expected, "{text}\n{}", text::print(&after));
    }
}

#[test]
fn simplifying_changes_no_result() {
    let words: Vec<U256> = [0_u64, 1, 2, 3, 31, 32, 255, 256].map(U256::from).to_vec();
    let large = [U256::MAX, U256::from(1) << 255, U256::from(1) << 64, U256::MAX - U256::from(1)];
    let words: Vec<U256> = words.into_iter().chain(large).collect();
    for (_, op) in operations() {
        for (index, a) in words.iter().enumerate() {
            check_simplify(op, &vec![*a; op.operands().len()], true);
            for b in &words {
                let c = words[(index + 3) % words.len()];
                check_simplify(op, &[*a, *b, c][..op.operands().len()], false);
            }
        }
    }
}
