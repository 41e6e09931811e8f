//! The verifier: a bad example for every rule, and no panic on any function.

use crate::{
    machine::config,
    random::{Random, for_seeds},
    snippets,
};
use hotevm_ir::{
    Fork, Function, compile,
    function::{Block, Edge, Inst, LeaveId, Terminator, Type, Value},
    text, verify,
};

const ROOT: &str = "block 0 (pc 0x0000, root, entry 0, height 0..=0, memory 0):\n";
const LEAVE: &str = "leave 0: gas at 0x0000, give back 0, top [0]\n";

/// Parses an example and expects this rule to be broken.
fn check_broken(rule: u32, example: &str) {
    let function = text::parse(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    match verify::verify(&function) {
        Ok(()) => panic!("V{rule} is not broken by\n{example}"),
        Err(error) => {
            assert_eq!(error.rule, rule, "{error}\n{example}");
            assert!(error.to_string().starts_with(&format!("V{rule}: block ")), "{error}");
        }
    }
}

/// An example whose block 0 holds these lines and then leaves.
fn lines(lines: &str) -> String {
    format!("{ROOT}{lines}\n    leave 0\n{LEAVE}")
}

/// An example whose block 0 holds these lines and then jumps to a root that wants what the head says.
fn jumping(lines: &str, edge: &str, head: &str) -> String {
    format!("{ROOT}{lines}\n    jump block 1 {edge}\nblock 1 (pc 0x0001, root, {head}):\n    leave 0\n{LEAVE}")
}

#[test]
fn a_function_that_keeps_all_rules_passes() {
    let text = "\
block 0 (pc 0x0000, root, entry 0, height 0..=0, memory 0):
    charge 30                                        else leave 0
    v0 = const 0x20
    v1 = narrow v0                                   else leave 0
    reach v1, 32, rest 3                             else leave 0
    v2 = mload v1
    v3 = iszero v2
    store [0] = v2
    branch v3 -> block 1, block 2 top [1] (v2)
block 1 (pc 0x0010):
    mstore8 v1, v2
    dispatch v2, top [1]                             else leave 1
block 2 (pc 0x0020, root, entry 4, height 1..=1, memory 0, dispatch, [-1] = v4):
    v5 = load [-1]
    height [0], needs 1, grows 1023                  else leave 0
    forced 63                                        else leave 0
    switch v5 -> 0x0020: block 2 top [0] (v4), 0x0030: block 3 else leave 0
block 3 (pc 0x0030):
    suspend CALL at 0x0030, top [0], table -> block 4 top [-1]
block 4 (pc 0x0031, root, entry 5, height 0..=7, memory 0):
    finish RETURN at 0x0031, top [0], builtin
leave 0: gas at 0x0000, give back 0, top [0]
leave 1: jump at 0x0001, give back 8, top [2], store [1] = v2
";
    let function = text::parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(verify::verify(&function), Ok(()));
}

#[test]
fn v1_a_block_without_end() {
    check_broken(1, &format!("{ROOT}    v0 = const 0x1\n"));
}

#[test]
fn v2_block_0_is_entry_0_with_nothing_known() {
    check_broken(2, "");
    check_broken(2, &format!("block 0 (pc 0x0000):\n    leave 0\n{LEAVE}"));
    for head in [
        "entry 1, height 0..=0, memory 0",
        "height 0..=0, memory 0",
        "entry 0, height 1..=1, memory 0",
        "entry 0, height 0..=0, memory 32",
        "entry 0, height 0..=0, memory 0, [-1] = v0",
    ] {
        check_broken(2, &format!("block 0 (pc 0x0000, root, {head}):\n    leave 0\n{LEAVE}"));
    }
}

#[test]
fn v3_one_edge_without_load_to_a_block_that_is_no_root() {
    let branch = |first: &str, second: &str, rest: &str| {
        format!("{ROOT}    v0 = caller\n    v1 = iszero v0\n    branch v1 -> {first}, {second}\n{rest}{LEAVE}")
    };
    let block_1 = "block 1 (pc 0x0001):\n    leave 0\n";
    let block_2 = "block 2 (pc 0x0001):\n    leave 0\n";
    check_broken(3, &branch("block 1", "block 1", block_1));
    check_broken(3, &branch("block 1 (v0)", "block 2", &format!("{block_1}{block_2}")));
    check_broken(3, &branch("block 1", "block 2 top [1]", &format!("{block_1}{block_2}")));
    check_broken(3, &format!("{ROOT}    leave 0\n{block_1}{LEAVE}"));
    // A ring of blocks that hangs on nothing.
    let ring = "block 1 (pc 0x0001):\n    jump block 2\nblock 2 (pc 0x0001):\n    jump block 1\n";
    check_broken(3, &format!("{ROOT}    leave 0\n{ring}{LEAVE}"));
}

#[test]
fn v4_a_value_is_defined_once_and_stands_in_the_table() {
    check_broken(4, &lines("    v0 = const 0x1\n    v0 = const 0x2"));
    let mut function = text::parse(&lines("    v0 = const 0x1")).unwrap_or_else(|error| panic!("{error}"));
    function.values.clear();
    assert_eq!(verify::verify(&function).map_err(|error| error.rule), Err(4));
}

#[test]
fn pitfall_12_v5_a_use_that_no_definition_dominates() {
    check_broken(5, &lines("    v0 = not v1\n    v1 = const 0x1"));
    check_broken(5, &lines("    v0 = not v0"));
    check_broken(5, &lines("    v0 = not v9"));
    // Defined on the other way, or before a root.
    let branch = format!(
        "{ROOT}    v0 = caller\n    v1 = iszero v0\n    branch v1 -> block 1, block 2\n\
         block 1 (pc 0x0001):\n    v2 = not v0\n    leave 0\nblock 2 (pc 0x0001):\n    v3 = not v2\n    leave 0\n{LEAVE}"
    );
    check_broken(5, &branch);
    check_broken(
        5,
        &branch
            .replace("v3 = not v2", "v3 = not v0")
            .replace("block 2 (pc 0x0001)", "block 2 (pc 0x0001, root, height 0..=0, memory 0)")
            .replace("v2 = not v0", "v2 = caller"),
    );
}

#[test]
fn v6_operands_of_other_number_or_type() {
    check_broken(6, &lines("    v0 = caller\n    v1 = add v0"));
    check_broken(6, &lines("    v0 = caller\n    v1 = not v0, v0"));
    check_broken(6, &lines("    v0 = caller\n    v1 = boolnot v0"));
    check_broken(6, &lines("    v0 = gas\n    store [0] = v0"));
    check_broken(6, &lines("    v0 = gas\n    v1 = calldataload v0"));
    check_broken(
        6,
        &format!(
            "{ROOT}    v0 = caller\n    branch v0 -> block 1, block 2\nblock 1 (pc 0x0001):\n    leave 0\n\
        block 2 (pc 0x0001):\n    leave 0\n{LEAVE}"
        ),
    );
}

#[test]
fn v7_a_value_where_there_is_a_result_and_of_its_type() {
    check_broken(7, &lines("    const 0x1"));
    check_broken(7, &lines("    v0: bool = const 0x1"));
    check_broken(7, &lines("    v0: word = charge 3 else leave 0"));
}

#[test]
fn v8_an_edge_carries_a_word_for_every_parameter() {
    let head = "height 0..=1, memory 0, [-1] = v1";
    check_broken(8, &jumping("    v0 = caller", "top [0]", head));
    check_broken(8, &jumping("    v0 = caller", "top [0] (v0, v0)", head));
    check_broken(8, &jumping("    v0 = caller", "top [0] (v0)", "height 0..=1, memory 0, [-1] = v1: bool"));
}

#[test]
fn v9_blocks_and_leave_rows_exist() {
    check_broken(9, &format!("{ROOT}    jump block 7\n"));
    check_broken(9, &format!("{ROOT}    leave 0\n"));
    check_broken(9, &lines("    charge 3 else leave 1"));
}

#[test]
fn v10_a_leave_row_stores_visible_words_once_below_its_top() {
    let example = |top: i32, stores: &str| {
        format!(
            "{ROOT}    v0 = caller\n    v1 = gas\n    leave 0\nleave 0: gas at 0x0000, give back 0, top [{top}], store {stores}\n"
        )
    };
    check_broken(10, &example(0, "[0] = v0"));
    check_broken(10, &example(1, "[0] = v0, [0] = v0"));
    check_broken(10, &example(1, "[0] = v1"));
    check_broken(10, &example(1, "[0] = v5"));
    // Visible at the end, but not yet where the row is first named.
    let early = example(1, "[0] = v0").replace("    v0 = caller", "    charge 3 else leave 0\n    v0 = caller");
    check_broken(10, &early);
}

#[test]
fn pitfall_09_v11_slots_within_the_stack() {
    check_broken(11, &lines("    v0 = load [-1025]"));
    check_broken(11, &lines("    v0 = caller\n    store [1024] = v0"));
    check_broken(11, &lines("    host SLOAD at 0x0000, top [1025], builtin"));
    check_broken(11, &lines("    height [-1025], needs 1, grows 0 else leave 0"));
    check_broken(11, &format!("{ROOT}    leave 0\nleave 0: gas at 0x0000, give back 0, top [1025]\n"));
    check_broken(11, &jumping("    v0 = caller", "top [0] (v0)", "height 0..=0, memory 0, [-1025] = v1"));
}

#[test]
fn v12_behind_a_call_stands_an_entry_without_parameters() {
    let example = |head: &str, edge: &str| {
        format!(
            "{ROOT}    v0 = caller\n    suspend CALL at 0x0000, top [0], table -> block 1 {edge}\n\
            block 1 (pc 0x0001{head}):\n    leave 0\n{LEAVE}"
        )
    };
    check_broken(12, &example("", ""));
    check_broken(12, &example(", root, height 0..=0, memory 0", "top [0]"));
    check_broken(12, &example(", root, entry 1, height 0..=1, memory 0, [-1] = v1", "top [0] (v0)"));
}

#[test]
fn v13_a_dispatch_has_somewhere_to_go() {
    check_broken(13, &format!("{ROOT}    v0 = caller\n    dispatch v0, top [0] else leave 0\n{LEAVE}"));
}

#[test]
fn v14_two_blocks_with_one_entry() {
    check_broken(14, &jumping("", "top [0]", "entry 0, height 0..=0, memory 0"));
}

#[test]
fn pitfall_15_v15_heights_in_order_and_at_most_1024() {
    check_broken(15, &jumping("", "top [0]", "height 1..=0, memory 0"));
    check_broken(15, &jumping("", "top [0]", "height 0..=1025, memory 0"));
    let function = text::parse(&jumping("", "top [0]", "height 0..=1024, memory 0")).map(|function| verify::verify(&function));
    assert_eq!(function, Ok(Ok(())));
}

#[test]
fn v16_addresses_are_numbers() {
    for line in ["reach v0, 32, rest 0 else leave 0", "v1 = mload v0", "mstore v0, v0", "mstore8 v0, v0"] {
        check_broken(16, &lines(&format!("    v0 = caller\n    {line}")));
    }
}

#[test]
fn v17_accesses_are_covered() {
    let known = "    v0 = number 0x20\n";
    let unknown = "    v0 = calldatasize\n";
    check_broken(17, &lines(&format!("{known}    v1 = mload v0")));
    check_broken(17, &lines(&format!("{unknown}    v1 = mload v0")));
    check_broken(17, &lines(&format!("{known}    reach v0, 31, rest 0 else leave 0\n    v1 = mload v0")));
    check_broken(17, &lines(&format!("{unknown}    reach v0, 1, rest 0 else leave 0\n    v1 = mload v0")));
    check_broken(17, &lines(&format!("{unknown}    v1 = msize\n    reach v1, 32, rest 0 else leave 0\n    v2 = mload v0")));
    // Checked on the other way only.
    let other_way = format!(
        "{ROOT}{unknown}    v1 = caller\n    v2 = iszero v1\n    branch v2 -> block 1, block 2\n\
         block 1 (pc 0x0001):\n    v3 = mload v0\n    leave 0\n\
         block 2 (pc 0x0001):\n    reach v0, 32, rest 0 else leave 0\n    leave 0\n{LEAVE}"
    );
    check_broken(17, &other_way);
    check_broken(17, &jumping(&format!("{known}    reach v0, 32, rest 0 else leave 0"), "top [0]", "height 0..=0, memory 96"));
    let enough = jumping(&format!("{known}    reach v0, 32, rest 0 else leave 0"), "top [0]", "height 0..=0, memory 64");
    assert_eq!(text::parse(&enough).map(|function| verify::verify(&function)), Ok(Ok(())));
}

#[test]
fn v18_edges_bring_the_height_that_a_root_relies_on() {
    check_broken(18, &jumping("", "top [1]", "height 0..=0, memory 0"));
    check_broken(18, &jumping("", "top [-1]", "height 0..=0, memory 0"));
    check_broken(18, &jumping("", "top [3]", "height 4..=5, memory 0"));
    let checked = jumping("    height [3], needs 3, grows 1020 else leave 0", "top [4]", "height 4..=4, memory 0");
    assert_eq!(text::parse(&checked).map(|function| verify::verify(&function)), Ok(Ok(())));
    let custom = format!(
        "{ROOT}    suspend OP_0c at 0x0000, top [0], step -> block 1 top [0]\n\
         block 1 (pc 0x0001, root, entry 1, height 0..=1023, memory 0):\n    leave 0\n{LEAVE}"
    );
    check_broken(18, &custom);
}

#[test]
fn v19_a_forced_leave_has_a_bit() {
    check_broken(19, &lines("    forced 64 else leave 0"));
}

#[test]
fn v20_only_what_was_charged_is_given_back() {
    let row = "leave 1: gas at 0x0000, give back 5, top [0]\n";
    check_broken(20, &lines("    giveback 1"));
    check_broken(20, &lines("    charge 4 else leave 0\n    giveback 5"));
    check_broken(20, &format!("{ROOT}    charge 4 else leave 0\n    leave 1\n{LEAVE}{row}"));
    // A charge leaves with nothing charged.
    check_broken(20, &format!("{ROOT}    charge 5 else leave 1\n    leave 0\n{LEAVE}{row}"));
    check_broken(20, &format!("{ROOT}    charge 6 else leave 0\n    giveback 2\n    leave 1\n{LEAVE}{row}"));
    let all = format!("{ROOT}    charge 7 else leave 0\n    giveback 2\n    leave 1\n{LEAVE}{row}");
    assert_eq!(text::parse(&all).map(|function| verify::verify(&function)), Ok(Ok(())));
}

#[test]
fn v21_offsets_count_from_narrowed_words() {
    let narrowed = "    v0 = caller\n    v1 = narrow v0 else leave 0\n";
    check_broken(21, &lines("    v0 = calldatasize\n    v1 = offset v0, 0x20"));
    check_broken(21, &lines(&format!("{narrowed}    v2 = offset v1, 0x20\n    v3 = offset v2, 0x20")));
    check_broken(21, &lines(&format!("{narrowed}    v2 = offset v1, 0x80000000")));
    // A check behind a number covers what lies nearer, and no more.
    let reached = format!("{narrowed}    reach v1, 64, rest 0 else leave 0\n");
    check_broken(17, &lines(&format!("{reached}    v2 = offset v1, 0x21\n    v3 = mload v2")));
    let covered = lines(&format!("{reached}    v2 = offset v1, 0x20\n    v3 = mload v2"));
    assert_eq!(text::parse(&covered).map(|function| verify::verify(&function)), Ok(Ok(())));
}

#[test]
fn v22_operands_are_given_to_builtins_that_take_them() {
    let host = |rest: &str| lines(&format!("    host {rest}"));
    check_broken(22, &host("SLOAD at 0x0000, top [1], table, given 0x1"));
    check_broken(22, &host("SLOAD at 0x0000, top [1], step, given 0x1"));
    check_broken(22, &host("SLOAD at 0x0000, top [2], builtin, given 0x1, 0x2"));
    check_broken(22, &format!("{ROOT}    finish STOP at 0x0000, top [1], builtin, given 0x1\n{LEAVE}"));
    for kept in ["SLOAD at 0x0000, top [1], builtin, given 0xffffffff", "SSTORE at 0x0000, top [2], builtin, given 0x0, 0xffff"] {
        assert_eq!(text::parse(&host(kept)).map(|function| verify::verify(&function)), Ok(Ok(())), "{kept}");
    }
}

/// Changes one thing of a function.
fn damage(function: &mut Function, random: &mut Random) {
    let wild = |random: &mut Random| if random.below(3) == 0 { u32::MAX } else { random.below(40) as u32 };
    let block = random.below(function.blocks.len());
    let number = wild(random);
    match random.below(9) {
        0 => function.blocks[block].end = None,
        1 => function.blocks[block].root = None,
        2 => function.blocks[block].end = Some(Terminator::Leave(LeaveId(number))),
        3 => {
            let edge = Edge { block: Block(number), top: number as i32, args: vec![Value(wild(random))] };
            function.blocks[block].end = Some(Terminator::Jump(edge));
        }
        4 => function.values.truncate(random.below(function.values.len() + 1)),
        5 => function.leaves.truncate(random.below(function.leaves.len() + 1)),
        6 => function.leaves.iter_mut().for_each(|leave| leave.stores.push((number as i32, Value(number)))),
        7 => function.blocks[block].insts.push((Some(Value(number)), Inst::MLoad(Value(wild(random))))),
        _ => function.values.iter_mut().for_each(|ty| *ty = *random.pick(&[Type::Word, Type::Num, Type::Bool])),
    }
}

#[test]
fn damaged_functions_are_refused_without_a_panic() {
    let mut refused = 0;
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let code = snippets::program_bytes(&mut random);
        let compiled = compile(&code, &config(Fork::Osaka), false).unwrap_or_else(|reject| panic!("{reject}"));
        let mut function = compiled.function;
        damage(&mut function, &mut random);
        refused += u32::from(verify::verify(&function).is_err());
        // Printing takes any function, too.
        assert!(text::print(&function).starts_with("block 0"));
    }
    assert!(refused > 2000, "{refused} of 3000");
}

#[test]
fn every_stage_of_random_bytes_keeps_the_rules() {
    for_seeds(2000, |seed| {
        let mut random = Random::new(seed ^ 0x7777);
        let code = snippets::noise(&mut random);
        let fork = *random.pick(&Fork::ALL);
        let compiled = compile(&code, &config(fork), false);
        assert!(compiled.is_ok(), "{compiled:?}");
    });
}
