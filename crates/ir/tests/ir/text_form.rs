//! The text form: what is printed is parsed back, and what cannot be parsed is said with its line.

use crate::{
    machine::config,
    random::{Random, for_seeds},
    snippets,
};
use hotevm_ir::{
    Config, Fork, Function, compile,
    function::{BlockData, Field, Given, HostCall, Inst, PureOp, Root, Type, Value, Via},
    opcodes, text,
};

/// Prints and parses back.
fn check_round_trip(function: &Function) {
    let printed = text::print(function);
    let parsed = text::parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(parsed, *function, "{printed}");
}

#[test]
fn built_functions_come_back() {
    for_seeds(1000, |seed| {
        let mut random = Random::new(seed ^ 0x1111);
        let code = if seed % 2 == 0 { snippets::program_bytes(&mut random) } else { snippets::noise(&mut random) };
        let config = Config { force_leaves: seed % 3 == 0, ..config(*random.pick(&Fork::ALL)) };
        let compiled = compile(&code, &config, false).unwrap_or_else(|reject| panic!("{reject}"));
        check_round_trip(&compiled.function);
    });
}

#[test]
fn every_operation_field_and_opcode_comes_back() {
    let mut function = Function::default();
    let mut block = BlockData { root: Some(Root::default()), ..BlockData::default() };
    for op in PureOp::ALL {
        let args: Vec<Value> = op.operands().iter().map(|ty| function.value(*ty)).collect();
        let value = function.value(op.result());
        block.insts.push((Some(value), Inst::Pure(*op, args)));
    }
    for field in Field::ALL {
        let value = function.value(field.result());
        block.insts.push((Some(value), Inst::Field(*field)));
    }
    for opcode in 0..=u8::MAX {
        for via in [Via::Builtin, Via::Table, Via::Step] {
            for given in [Given::Nothing, Given::One(u32::MAX), Given::Two(0, u16::MAX)] {
                let call = HostCall { opcode, pc: u32::MAX, top: -i32::from(opcode), via, given };
                block.insts.push((None, Inst::Host(call)));
            }
        }
    }
    let number = function.value(Type::Num);
    block.insts.push((Some(number), Inst::Number(u64::MAX)));
    function.blocks.push(block);
    check_round_trip(&function);
    assert_eq!(opcodes::name(0x0c), "OP_0c");
}

#[test]
fn functions_that_break_rules_come_back() {
    let mut function = Function::default();
    let odd = function.value(Type::Bool);
    let unused = function.value(Type::Num);
    let root = Root { params: vec![(-1, odd), (i32::MIN + 1, unused)], entry: Some(9), dispatch: true, ..Root::default() };
    let insts = vec![(None, Inst::Number(3)), (Some(odd), Inst::Store(i32::MAX, Value(77)))];
    function.blocks.push(BlockData { pc: 7, root: Some(root), unlikely: true, insts, end: None });
    check_round_trip(&function);
    check_round_trip(&Function::default());
}

#[test]
fn comments_and_spaces_mean_nothing() {
    let plain =
        "block 0 (pc 0x0, root, entry 0, height 0..=0, memory 0):\n    leave 0\nleave 0: gas at 0, give back 0, top [0]\n";
    let spaced = "; a comment\n\nblock 0(pc 0,root,entry 0,height 0 ..= 0,memory 0) : ; more\n\tleave   0 ; end\n\
        leave 0 : gas at 0x00, give back 0, top [ 0 ]";
    assert_eq!(text::parse(plain), text::parse(spaced));
    assert!(text::parse(plain).is_ok());
}

#[test]
fn errors_name_the_line_and_the_reason() {
    const HEAD: &str = "block 0 (pc 0x0, root, entry 0, height 0..=0, memory 0):\n";
    let cases = [
        ("block 1 (pc 0x0):\n".to_owned(), "line 1: this should be number 0"),
        (format!("{HEAD}    v0 = frobnicate v1\n"), "line 2: no instruction is called `frobnicate`"),
        (format!("{HEAD}    v0 = const 0xzz\n"), "line 2: bad number `0xzz`"),
        (format!("{HEAD}    v0 = const %\n"), "line 2: unexpected character `%`"),
        (format!("{HEAD}    leave 0\n    leave 0\n"), "line 3: an instruction stands where no block is open"),
        ("    v0 = const 0x1\n".to_owned(), "line 1: an instruction stands where no block is open"),
        (format!("{HEAD}    store [0] v1\n"), "line 2: wanted =, found `v1`"),
        (format!("{HEAD}    charge 3\n"), "line 2: wanted else, found `nothing`"),
        (format!("{HEAD}    v0 = gas gas\n"), "line 2: wanted the end of the line, found `gas`"),
        (format!("{HEAD}    charge 4294967296 else leave 0\n"), "line 2: bad number `4294967296`"),
        (format!("{HEAD}    v1 = const 0x1\n"), "line 2: nothing gives v0 a type"),
        (format!("{HEAD}    v4000000000 = const 0x1\n"), "line 2: bad number `v4000000000`"),
        (format!("{HEAD}    host FOO at 0x0, top [0], table\n"), "line 2: no opcode is called `FOO`"),
        ("leave 0: hunger at 0x0, give back 0, top [0]\n".to_owned(), "line 1: no reason to leave is called `hunger`"),
        ("unused v0 float\n".to_owned(), "line 1: no type is called `float`"),
        ("nonsense\n".to_owned(), "line 1: wanted unused, found `nonsense`"),
    ];
    for (text, message) in cases {
        let error = text::parse(&text).map_err(|error| error.to_string());
        assert_eq!(error, Err(message.to_owned()), "{text}");
    }
}

#[test]
fn damaged_texts_are_refused_without_a_panic() {
    for_seeds(2000, |seed| {
        let mut random = Random::new(seed);
        let code = snippets::program_bytes(&mut random);
        let compiled = compile(&code, &config(Fork::Osaka), false).unwrap_or_else(|reject| panic!("{reject}"));
        let mut bytes = text::print(&compiled.function).into_bytes();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = *random.pick(b"0xv[]-=>:,;() \n9azZ%"),
                1 => bytes.truncate(at + 1),
                _ => {
                    bytes.remove(at);
                }
            }
            if bytes.is_empty() {
                bytes.push(b'\n');
            }
        }
        // Whatever is still a function comes back.
        if let Ok(function) = text::parse(&String::from_utf8_lossy(&bytes)) {
            check_round_trip(&function);
        }
    });
}
