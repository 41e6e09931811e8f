//! One program: the bytecode of a contract.
//!
//! in   decisions and a setting
//! out  bytes: mostly structured code that runs to a useful end; else structured code with damage, loose opcodes, or noise

use revm::{bytecode::opcode as op, primitives::hardfork::SpecId};

use super::{
    builder::{Builder, Setting},
    choices::Choices,
};

/// What a program is made as.
#[derive(Clone, Copy, Debug)]
enum Form {
    Structured,
    Damaged,
    Loose,
    Noise,
}

/// Most programs must run: noise ends within a few opcodes.
const FORMS: [(u32, Form); 4] = [(60, Form::Structured), (4, Form::Damaged), (2, Form::Loose), (1, Form::Noise)];

/// `MSTORE(0x40, 0x80)`, as code of Solidity begins. What the program keeps at 0x40 later may be anything.
const SOLIDITY: [u8; 5] = [op::PUSH1, 0x80, op::PUSH1, 0x40, op::MSTORE];

/// A program of any form.
pub(crate) fn any(choices: &mut Choices<'_>, setting: Setting) -> Vec<u8> {
    match choices.weighted(&FORMS).unwrap_or(Form::Structured) {
        Form::Structured => structured(choices, setting),
        Form::Damaged => damaged(choices, setting),
        Form::Loose => loose(choices),
        Form::Noise => {
            let len = choices.below(120);
            choices.bytes(len)
        }
    }
}

/// A program of statements: locals from the call data, perhaps a dispatch by its first byte, an end, the functions.
pub(crate) fn structured(choices: &mut Choices<'_>, setting: Setting) -> Vec<u8> {
    let mut builder = Builder::new(choices, setting);
    if builder.choices.chance(1, 6) {
        builder.assembler.raw(&SOLIDITY);
    }
    let locals = if builder.choices.chance(1, 4) { builder.choices.below(19) } else { builder.choices.below(7) };
    for _ in 0..locals {
        builder.calldata_word();
    }
    if builder.choices.chance(1, 2) {
        dispatch(&mut builder);
    }
    main_part(&mut builder);
    builder.write_functions();
    trailer(&mut builder);
    builder.assembler.finish()
}

/// Two to four parts, chosen by the first byte of the call data as Solidity chooses functions.
fn dispatch(builder: &mut Builder<'_, '_>) {
    let parts = builder.choices.within(1..4);
    let labels: Vec<_> = (0..parts).map(|_| builder.assembler.label()).collect();
    builder.push_number(0);
    builder.apply(op::CALLDATALOAD, 1, 1);
    builder.push_number(0);
    builder.apply(op::BYTE, 2, 1);
    for (selector, &label) in labels.iter().enumerate() {
        builder.duplicate(0);
        builder.push_number(selector);
        builder.apply(op::EQ, 2, 1);
        builder.jump_if(label);
    }
    let at_entry = builder.frame.clone();
    main_part(builder);
    for label in labels {
        builder.frame = at_entry.clone();
        builder.assembler.place(label);
        if builder.budget > 0 {
            main_part(builder);
        }
    }
}

fn main_part(builder: &mut Builder<'_, '_>) {
    let count = builder.choices.within(3..24);
    builder.statements(count);
    builder.end();
}

/// What may stand behind the code: nothing, noise, or a PUSH whose bytes the end cuts off.
fn trailer(builder: &mut Builder<'_, '_>) {
    match builder.choices.below(6) {
        0 => {
            let len = builder.choices.below(40);
            let bytes = builder.data(len);
            builder.assembler.raw(&bytes);
        }
        1 => {
            let len = builder.choices.within(1..33);
            let present = builder.choices.below(len);
            // Reached only by a jump into it, but the JUMPDEST in front can be reached by falling through when damaged.
            builder.assembler.op(op::JUMPDEST);
            builder.assembler.op(op::PUSH1 + (len - 1) as u8);
            builder.assembler.raw(&vec![op::JUMPDEST; present]);
        }
        _ => {}
    }
}

/// A structured program with some bytes replaced, removed, repeated, or cut off.
fn damaged(choices: &mut Choices<'_>, setting: Setting) -> Vec<u8> {
    let mut code = structured(choices, setting);
    for _ in 0..choices.within(1..5) {
        let at = choices.below(code.len());
        match choices.below(6) {
            0..=2 => {
                let byte = choices.byte();
                if let Some(place) = code.get_mut(at) {
                    *place = byte;
                }
            }
            3 if at < code.len() => {
                code.remove(at);
            }
            4 => {
                let byte = choices.byte();
                code.insert(at, byte);
            }
            _ => {
                // The end of the code may cut off a PUSH.
                let kept = code.len() - choices.below(code.len() / 4 + 1);
                code.truncate(kept);
            }
        }
    }
    code
}

/// Opcodes without structure, with enough constants in front that some of them find operands.
fn loose(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut code = Vec::new();
    for _ in 0..choices.below(24) {
        code.extend([op::PUSH1, choices.byte()]);
    }
    for _ in 0..choices.below(150) {
        match choices.below(8) {
            0 | 1 => code.extend([op::PUSH1, choices.byte()]),
            2 => code.push(op::DUP1 + choices.below(16) as u8),
            3 => code.push(op::SWAP1 + choices.below(16) as u8),
            4 => code.push(op::JUMPDEST),
            5 => code.push(choices.byte()),
            // Arithmetic, comparison, bits; then inputs, memory and control.
            6 => code.push(choices.below(0x20) as u8),
            _ => code.push(0x30 + choices.below(0x30) as u8),
        }
    }
    code
}

/// The forks, and how often each is drawn.
pub(crate) const FORKS: [(u32, SpecId); 15] = [
    (6, SpecId::OSAKA),
    (4, SpecId::PRAGUE),
    (4, SpecId::CANCUN),
    (2, SpecId::SHANGHAI),
    (1, SpecId::MERGE),
    (2, SpecId::LONDON),
    (2, SpecId::BERLIN),
    (2, SpecId::ISTANBUL),
    (1, SpecId::PETERSBURG),
    (2, SpecId::BYZANTIUM),
    (1, SpecId::SPURIOUS_DRAGON),
    (1, SpecId::TANGERINE),
    (1, SpecId::HOMESTEAD),
    (1, SpecId::FRONTIER),
    (3, SpecId::AMSTERDAM),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(fork: SpecId) -> Setting {
        Setting { fork, peers: Vec::new(), statements: 30, create_depth: 1 }
    }

    #[test]
    fn the_same_decisions_give_the_same_program() {
        for seed in 0..200 {
            let program = || any(&mut Choices::from_seed(seed), setting(SpecId::OSAKA));
            assert_eq!(program(), program());
        }
    }

    #[test]
    fn programs_end_whatever_the_bytes_are() {
        for byte in 0..=255 {
            for len in [0, 1, 7, 300, 5000] {
                let bytes = vec![byte; len];
                let code = any(&mut Choices::from_bytes(&bytes), setting(SpecId::AMSTERDAM));
                assert!(code.len() < 100_000, "{} bytes of code from {len} times {byte}", code.len());
            }
        }
    }

    #[test]
    fn every_fork_is_drawn() {
        let drawn: Vec<u8> = FORKS.iter().map(|&(_, fork)| fork as u8).collect();
        for fork in 0..=SpecId::NEXT as u8 {
            assert!(drawn.contains(&fork), "fork {fork}");
        }
    }
}
