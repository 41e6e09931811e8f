//! Bad input: bytes that are no sound program, and hosts that fail.
//!
//! in   code that ends in the middle, looks like something else, or is nothing but noise
//! out  what the interpreter makes of it; no panic, and native code where there is code to compile
//!
//! Wrong hashes and hosts that fail are tested beside the hook (`embedding`), broken fixtures and paths at the command line.

use crate::{assembly::assemble, case, check, check_in, input, runtime, words};
use alloy_primitives::U256;
use hotevm::{Optimisation, native_available};
use hotevm_testing::{
    execute::run::environment,
    generate::{
        case::{GasLimit, Input},
        choices::Choices,
    },
};
use revm::primitives::hardfork::SpecId;

fn ample() -> Vec<Input> {
    vec![input(words(&[U256::from(3), U256::MAX]), GasLimit::Ample), input([], GasLimit::Exact(22_000))]
}

#[test]
fn pushes_cut_off_by_the_end_of_code() {
    for push in 1..=32_u8 {
        for kept in [0, 1, push / 2, push - 1].into_iter().filter(|kept| *kept < push) {
            // Behind a jump, so that what stands before the end runs too.
            let head = assemble("0 CALLDATALOAD @last JUMPI 0 0 RETURN :last CALLER 1 SSTORE");
            let code = [head, vec![0x5f + push], vec![0x5b; kept as usize]].concat();
            let case = case(SpecId::OSAKA, &[code], ample());
            assert!(check_in(&case, &environment(&case), &runtime(Optimisation::Fast, false)).successes > 0);
        }
    }
}

#[test]
fn jump_destinations_inside_of_push_data_are_none() {
    // The target is given from outside: bytes of pushes, the opcodes between them, places behind the end.
    let code = assemble("0 CALLDATALOAD JUMP 0x5b5b5b5b5b5b5b5b POP 0x5b POP :real CALLER 0 MSTORE 0x20 0 RETURN 0x5b");
    let inputs = (0..code.len() as u64 + 3).map(|target| input(words(&[U256::from(target)]), GasLimit::Ample)).collect();
    let agreement = check(&case(SpecId::OSAKA, std::slice::from_ref(&code), inputs));
    assert!(agreement.successes > 0 && agreement.halts > 20 * agreement.successes, "{agreement:?}");
    // Known targets, too.
    for target in 0..code.len() {
        let code = [assemble(&format!("{} JUMP", target + 3)), code.clone()].concat();
        let case = case(SpecId::OSAKA, &[code], vec![input(words(&[U256::MAX]), GasLimit::Ample)]);
        check_in(&case, &environment(&case), &runtime(Optimisation::Fast, false));
    }
}

#[test]
fn empty_code_does_nothing() {
    let runtime = runtime(Optimisation::Fast, false);
    let case = case(SpecId::OSAKA, &[assemble("0 0 0 0 0 0x81 GAS CALL 0 MSTORE 0x20 0 RETURN"), vec![]], ample());
    assert!(check_in(&case, &environment(&case), &runtime).successes > 0);
    assert_eq!(runtime.statistics().rejected, 0);
}

#[test]
fn code_of_48_kib_of_jump_destinations() {
    let code = vec![0x5b; 48 << 10];
    // Entered at one of many places that nothing is known of: each is a block of its own, and most of them are left to the interpreter.
    let jump = assemble("0 CALLDATALOAD JUMP");
    let dynamic = [&jump, &code[jump.len()..]].concat();
    for (code, data) in [(code, U256::ZERO), (dynamic.clone(), U256::from(45_000)), (dynamic, U256::from(4))] {
        let limits = [16_000_000, 80_000, 60_000, 40_000, 30_000];
        let inputs = limits.map(|limit| input(words(&[data]), GasLimit::Exact(limit))).to_vec();
        let case = case(SpecId::OSAKA, &[code], inputs);
        let runtime = runtime(Optimisation::Fast, false);
        assert!(check_in(&case, &environment(&case), &runtime).successes > 0);
        assert_eq!(runtime.statistics().native_frames > 0, native_available());
    }
}

#[test]
fn code_that_begins_with_ef() {
    // As a format that never came, as a delegation that is none, and as a single byte.
    let codes =
        [vec![0xef], vec![0xef, 0], vec![0xef, 1, 0], assemble("0xef POP STOP"), [vec![0xef, 0, 1], vec![0x60; 60]].concat()];
    for code in codes {
        for fork in [SpecId::FRONTIER, SpecId::LONDON, SpecId::OSAKA] {
            let case = case(fork, std::slice::from_ref(&code), ample());
            let agreement = check_in(&case, &environment(&case), &runtime(Optimisation::Fast, false));
            assert_eq!(agreement.executions, 2);
        }
    }
}

#[test]
fn random_bytes_do_what_they_do() {
    let mut choices = Choices::from_seed(42);
    let runtimes = [runtime(Optimisation::Fast, false), runtime(Optimisation::Fast, true)];
    let programs = if cfg!(feature = "full") { 2_000 } else { 60 };
    for number in 0..programs {
        let length = choices.within(1..400);
        // Half of them without the bytes that end a program at once.
        let keeps = |byte: &u8| {
            number % 2 == 0 || !matches!(byte, 0x0c..=0x0f | 0x1f | 0x21..=0x2f | 0x4c..=0x4f | 0xa5..=0xef | 0xf6..=0xff)
        };
        let bytes: Vec<u8> = std::iter::repeat_with(|| choices.bits() as u8).filter(keeps).take(length).collect();
        // Something on the stack, so that more than one instruction runs.
        let code = [assemble(&"CALLER 3 CALLDATASIZE ".repeat(5)), bytes].concat();
        let mut case = case(SpecId::OSAKA, &[code], ample());
        case.inputs.iter_mut().for_each(|input| input.leave_mask = choices.bits());
        for runtime in &runtimes {
            assert_eq!(check_in(&case, &environment(&case), runtime).executions, 2);
        }
    }
    assert_eq!(runtimes[0].statistics().native_frames > programs, native_available());
}
