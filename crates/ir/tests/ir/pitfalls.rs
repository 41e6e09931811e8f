//! Errors that other EVM compilers have made, by number; those that have a natural place elsewhere are tested there.

use crate::{
    assembler::assemble,
    building::check_building,
    machine::{Given, Machine, config},
    random::{Random, for_seeds},
};
use alloy_primitives::U256;
use hotevm_ir::{Config, Fork, Limits};
use revm::interpreter::InstructionResult;
use std::fmt::Write as _;

/// Stores what is on top and ends.
const RETURN_TOP: &str = "PUSH1 0x00\nMSTORE\nPUSH1 0x20\nPUSH1 0x00\nRETURN\n";

fn given(text: &str, call_data: Vec<u8>) -> Given {
    Given { code: assemble(text), fork: Fork::Osaka, call_data, gas: 100_000 }
}

/// Compares with revm, and expects this word to be returned.
fn check_returns(text: &str, call_data: Vec<u8>, word: u64) {
    let given = given(text, call_data);
    check_building(&given, &config(Fork::Osaka), 1);
    let end = Machine::new(&given).run();
    assert_eq!((end.result, U256::from_be_slice(&end.output)), (InstructionResult::Return, U256::from(word)), "{text}");
}

/// Call data whose first word is this number.
fn word(number: u64) -> Vec<u8> {
    U256::from(number).to_be_bytes_vec()
}

/// A choice between two blocks by the first word of the call data.
fn twins(first: &str, second: &str) -> String {
    format!("PUSH1 0x00\nCALLDATALOAD\nPUSH2 @second\nJUMPI\n{first}{RETURN_TOP}second:\nJUMPDEST\n{second}{RETURN_TOP}")
}

#[test]
fn pitfall_01_blocks_that_differ_in_an_immediate_stay_apart() {
    let text = twins("PUSH2 0x0160\n", "PUSH2 0x0161\n");
    check_returns(&text, word(0), 0x160);
    check_returns(&text, word(1), 0x161);
    // The immediate of one spells what follows in the other.
    let text = twins("PUSH1 0x5b\n", "PUSH2 0x5b5b\n");
    check_returns(&text, word(0), 0x5b);
    check_returns(&text, word(1), 0x5b5b);
}

#[test]
fn pitfall_02_twin_blocks_keep_their_own_pc_and_target() {
    let text = twins("PC\n", "PC\n");
    check_returns(&text, word(0), 7);
    check_returns(&text, word(1), 0x11);
    let two_ways = "PUSH1 0x00\nCALLDATALOAD\nPUSH2 @second\nJUMPI\nPUSH2 @a\nJUMP\nsecond:\nJUMPDEST\nPUSH2 @b\nJUMP\n";
    let text = format!("{two_ways}a:\nJUMPDEST\nPUSH1 0x0a\n{RETURN_TOP}b:\nJUMPDEST\nPUSH1 0x0b\n{RETURN_TOP}");
    check_returns(&text, word(0), 0x0a);
    check_returns(&text, word(1), 0x0b);
}

#[test]
fn pitfall_03_a_destination_behind_dead_code_starts_a_block() {
    let text = format!("PUSH2 @end\nJUMP\nPUSH1 0x09\nJUMPDEST\nend:\nJUMPDEST\nPUSH1 0x03\n{RETURN_TOP}");
    check_returns(&text, vec![], 3);
    let text = format!("PUSH1 0x02\nJUMPDEST\nJUMPDEST\nPUSH1 0x00\nPUSH2 @end\nJUMPI\nend:\nJUMPDEST\n{RETURN_TOP}");
    check_returns(&text, vec![], 2);
}

#[test]
fn pitfall_04_jumps_to_jumps_cost_what_they_cost() {
    let mut text = "PUSH2 @l0\nJUMP\n".to_owned();
    for number in 0..20 {
        let _ = write!(text, "l{number}:\nJUMPDEST\nPUSH2 @l{}\nJUMP\n", number + 1);
    }
    let _ = write!(text, "l20:\nJUMPDEST\nJUMPDEST\nGAS\n{RETURN_TOP}");
    check_returns(&text, vec![], 100_000 - (11 + 20 * 12 + 2 + 2));
}

/// Calls one internal function from many places, each with its own stack.
fn many_calls() -> String {
    let mut text = "PUSH1 0x00\n".to_owned();
    for number in 0..40 {
        let _ = write!(text, "CALLER\nPUSH2 @r{number}\nPUSH1 {number:#x}\nPUSH2 @f\nJUMP\nr{number}:\nJUMPDEST\n");
    }
    let adds = "ADD\nSWAP1\nPOP\n".repeat(40);
    format!("{text}{adds}{RETURN_TOP}f:\nJUMPDEST\nPUSH1 0x07\nMUL\nSWAP1\nJUMP\n")
}

#[test]
fn pitfall_05_targets_that_were_not_followed_to_the_end_are_still_valid() {
    let given = given(&many_calls(), vec![]);
    for exits_per_block_max in [0, 1, 2, 39, 40, 41] {
        for switch_cases_max in [0, 1, 24] {
            let limits = Limits { exits_per_block_max, switch_cases_max, ..Limits::default() };
            check_building(&given, &Config { limits, ..config(Fork::Osaka) }, 5);
        }
    }
    assert_eq!(Machine::new(&given).run().result, InstructionResult::Return);
}

#[test]
fn pitfall_06_a_spent_budget_leaves_no_stale_constants() {
    // Long enough for the budget's constant part to be spent.
    let given = given(&(many_calls() + &"JUMPDEST\nCALLER\nPOP\n".repeat(3000)), vec![]);
    for flow_steps_per_instruction_max in [0, 1, 2] {
        let limits = Limits { flow_steps_per_instruction_max, ..Limits::default() };
        check_building(&given, &Config { limits, ..config(Fork::Osaka) }, 6);
    }
    assert_eq!(Machine::new(&given).run().result, InstructionResult::Return);
}

#[test]
fn pitfall_08_conditions_that_are_constant() {
    for (condition, result) in
        [("PUSH1 0x00", 1), ("PUSH1 0x01", 2), ("PUSH32 0x8000000000000000000000000000000000000000000000000000000000000000", 2)]
    {
        let text =
            format!("{condition}\nPUSH2 @there\nJUMPI\nPUSH1 0x01\n{RETURN_TOP}there:\nJUMPDEST\nPUSH1 0x02\n{RETURN_TOP}");
        check_returns(&text, vec![], result);
    }
    // Where the jump is not taken, its target need not be valid.
    let text = format!("PUSH1 0x00\nPUSH1 0x01\nJUMPI\nPUSH1 0x05\n{RETURN_TOP}");
    check_returns(&text, vec![], 5);
}

#[test]
fn pitfall_10_values_live_across_calls_and_in_front_of_failures() {
    let call = "PUSH1 0x00\nDUP1\nDUP1\nDUP1\nDUP1\nCALLER\nGAS\nCALL\n";
    let text = format!("PUSH1 0x11\nCALLVALUE\nADD\nPUSH1 0x22\n{call}POP\nADD\n{RETURN_TOP}");
    check_returns(&text, vec![], 0x1234 + 0x33);
    let text = format!("PUSH1 0x11\nPUSH1 0x00\nCALLDATALOAD\nPUSH2 @fails\nJUMPI\n{RETURN_TOP}fails:\nJUMPDEST\nINVALID\n");
    check_returns(&text, word(0), 0x11);
    check_building(&given(&text, word(1)), &config(Fork::Osaka), 10);
}

#[test]
fn pitfall_11_every_gas_limit_ends_as_in_revm() {
    let text = format!(
        "CALLER\nPUSH1 0x05\nPUSH1 0x03\nhead:\nJUMPDEST\nSWAP1\nPUSH1 0x40\nMLOAD\nADD\nPUSH2 0x0400\nMSTORE8\nPUSH1 0x20\nPUSH1 0x00\n\
         KECCAK256\nSWAP1\nPUSH1 0x01\nSWAP1\nSUB\nDUP1\nPUSH2 @head\nJUMPI\nPOP\nSWAP1\nPOP\nGAS\nXOR\n{RETURN_TOP}"
    );
    let most = given(&text, vec![]);
    let used = most.gas - Machine::new(&most).run().frame.gas;
    for gas in 0..=used {
        for force_leaves in [false, true] {
            check_building(&Given { gas, ..most.clone() }, &Config { force_leaves, ..config(Fork::Osaka) }, gas);
        }
    }
    assert!(used > 300, "the program uses {used}");
}

#[test]
fn pitfall_13_opcodes_with_immediates_that_hide_no_destination() {
    let pushes = "CALLER\nPUSH1 0x01\nPUSH1 0x02\n".repeat(12);
    for opcode in ["e6", "e7", "e8"] {
        for immediate in ["", "00", "01", "10", "5a", "5b", "5f", "60", "7f", "80", "d0", "ff"] {
            for tail in ["", "POP\n", "JUMPDEST\nPUSH1 0x07\nSSTORE\n"] {
                let text = format!("{pushes}DATA 0x{opcode}{immediate}\n{tail}");
                let given = Given { fork: Fork::Amsterdam, ..given(&text, vec![]) };
                check_building(&given, &config(Fork::Amsterdam), 13);
                // Shallow stacks, too.
                let given = Given { code: given.code[5 * 11..].to_vec(), ..given };
                check_building(&given, &config(Fork::Amsterdam), 13);
            }
        }
    }
}

#[test]
fn pitfall_14_long_mixes_of_dup_and_swap() {
    for_seeds(300, |seed| {
        let mut random = Random::new(seed);
        let mut text = (0..20).fold(String::new(), |text, number| text + &format!("PUSH1 {number:#x}\n"));
        let mut depth = 20;
        for _ in 0..120 {
            match random.below(8) {
                0..=3 => {
                    let _ = writeln!(text, "SWAP{}", 1 + random.below(16));
                }
                4 | 5 if depth < 40 => {
                    let _ = writeln!(text, "DUP{}", 1 + random.below(16));
                    depth += 1;
                }
                6 if depth > 17 => {
                    text.push_str("POP\n");
                    depth -= 1;
                }
                // What was mixed so far goes through memory, a host instruction or a block's end.
                7 => {
                    let rows = ["DUP1\nSLOAD\nPOP\n", "CALLER\nPUSH1 0x20\nMSTORE\n", "JUMPDEST\n", "ISZERO\nSIGNEXTEND\nDUP1\n"];
                    text.push_str(random.pick::<&str>(&rows));
                }
                _ => {}
            }
        }
        for entry in 0..depth {
            let _ = writeln!(text, "PUSH2 {:#06x}\nMSTORE", 32 * entry);
        }
        let _ = writeln!(text, "PUSH2 {:#06x}\nPUSH1 0x00\nRETURN", 32 * depth);
        let given = given(&text, vec![]);
        check_building(&given, &Config { force_leaves: seed % 2 == 0, ..config(Fork::Osaka) }, seed);
        assert_eq!(Machine::new(&given).run().result, InstructionResult::Return);
    });
}

#[test]
fn pitfall_15_stacks_of_exactly_1024_and_1025_entries() {
    for height in [1022, 1023, 1024, 1025] {
        for blocks in [false, true] {
            let push = if blocks { "CALLER\nJUMPDEST\n" } else { "CALLER\n" };
            let text = push.repeat(height) + "POP\nPOP\nSTOP\n";
            let given = given(&text, vec![]);
            check_building(&given, &config(Fork::Osaka), 15);
            let expected = if height > 1024 { InstructionResult::StackOverflow } else { InstructionResult::Stop };
            assert_eq!(Machine::new(&given).run().result, expected);
            // One entry more is popped than there is, at the end and at the start.
            let pops = push.repeat(height.min(1024)) + &"POP\n".repeat(height.min(1024) + 1);
            check_building(&self::given(&pops, vec![]), &config(Fork::Osaka), 15);
            check_building(&self::given(&("POP\n".to_owned() + push), vec![]), &config(Fork::Osaka), 15);
        }
    }
}

#[test]
fn pitfall_29_truncated_pushes_and_codes_without_stop() {
    for tail in ["60", "61ff", "7f5b5b", "5f", "5b", "fd", "56", "57", "00"] {
        for head in ["", "PUSH1 0x05\n", "CALLER\nJUMPDEST\n", "PUSH1 0x03\nJUMP\nJUMPDEST\n"] {
            check_building(&given(&format!("{head}DATA 0x{tail}\n"), vec![]), &config(Fork::Osaka), 29);
        }
    }
}
