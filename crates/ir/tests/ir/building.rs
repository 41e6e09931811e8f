//! Building and passes: the slow evaluator, with revm behind its host instructions and its leaves, ends every run as revm does.

use crate::{
    machine::{CALLER, End, Given, Machine, TARGET, VALUE, config},
    random::{Random, for_seeds},
    snippets,
};
use alloy_primitives::U256;
use hotevm_ir::{
    Config, Fork, Function,
    bytecode::Code,
    compile,
    evaluate::{Outcome, Stop, World, evaluate},
    function::{HostCall, Via},
    opcodes::{self, byte},
    text,
};
use revm::interpreter::InstructionResult;

/// What the host did with the last instruction that it did not go on behind.
enum Host {
    Ended(InstructionResult),
    Jumped,
}

/// Blocks that an evaluation may run.
const STEPS_MAX: u64 = 1 << 20;

/// Runs a function as a node would: native code from entry to entry, the interpreter in between. `schedule` decides where leaves
/// are forced and which entries are taken.
fn run_mixed(function: &Function, given: &Given, schedule: &mut Random, force: bool) -> End {
    let mut machine = Machine::new(given);
    let mut entry = 0;
    loop {
        let forced = if force { schedule.next() & schedule.next() & schedule.next() } else { 0 };
        let world = World {
            call_data: &given.call_data,
            address: TARGET.into_word().into(),
            caller: CALLER.into_word().into(),
            call_value: U256::from(VALUE),
            code_len: given.code.len() as u64,
            forced,
        };
        let mut ended = None;
        let frame = machine.frame();
        let mut host = |call: &HostCall, frame: &mut _| {
            machine.restore(frame);
            let result = execute(&mut machine, call);
            *frame = machine.frame();
            let next = call.pc as usize + 1 + opcodes::info(call.opcode).map_or(0, |opcode| usize::from(opcode.immediate));
            ended = match result {
                Err(error) => Some(Host::Ended(error)),
                Ok(()) if machine.pc() != next => Some(Host::Jumped),
                Ok(()) => None,
            };
            ended.is_none()
        };
        let outcome = evaluate(function, entry, frame, &world, &mut host, STEPS_MAX);
        let Outcome { stop, frame } = outcome.unwrap_or_else(|error| panic!("{error}\n{}", text::print(function)));
        match (stop, ended) {
            (Stop::Host(_), Some(Host::Ended(error))) => return machine.finish(error),
            (Stop::Host(_), _) => {}
            (Stop::Finish(call), _) => {
                machine.restore(&frame);
                let result = execute(&mut machine, &call);
                return machine.finish(result.expect_err("the instruction ends the frame"));
            }
            (Stop::Leave { pc, .. }, _) => {
                machine.restore(&frame);
                machine.set_pc(pc as usize);
                if let Err(error) = machine.step() {
                    return machine.finish(error);
                }
            }
        }
        match interpret_to_entry(function, &mut machine, schedule) {
            Ok(found) => entry = found,
            Err(end) => return end,
        }
    }
}

fn execute(machine: &mut Machine, call: &HostCall) -> Result<(), InstructionResult> {
    if call.via == Via::Step {
        machine.set_pc(call.pc as usize);
        return machine.step();
    }
    machine.execute(call.opcode, call.pc as usize)
}

/// Interprets up to an entry whose guard holds, and that the schedule wants; otherwise to the end.
fn interpret_to_entry(function: &Function, machine: &mut Machine, schedule: &mut Random) -> Result<u32, End> {
    let wants = schedule.below(4);
    loop {
        let (pc, height) = (machine.pc(), machine.interpreter.stack.data().len());
        let memory = machine.interpreter.memory.len();
        let entry = function.blocks.iter().filter(|block| block.pc as usize == pc).find_map(|block| {
            let root = block.root.as_ref()?;
            let fits = (usize::from(root.height_min)..=usize::from(root.height_max)).contains(&height);
            root.entry.filter(|entry| *entry != 0 && fits && memory >= root.memory_min as usize)
        });
        if let Some(entry) = entry.filter(|_| wants != 0) {
            return Ok(entry);
        }
        if let Err(error) = machine.step() {
            return Err(machine.finish(error));
        }
    }
}

/// Compiles, and compares every stage with revm under a few schedules.
pub fn check_building(given: &Given, config: &Config, seed: u64) {
    let compiled = compile(&given.code, config, true).unwrap_or_else(|reject| panic!("{reject}"));
    let expected = Machine::new(given).run();
    let stages = compiled.dumps.iter().filter(|(name, _)| name.ends_with(".ir"));
    for (name, dump) in stages {
        let function = text::parse(dump).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(text::print(&function), *dump, "{name}");
        for schedule in 0..2 {
            let end = run_mixed(&function, given, &mut Random::new(seed ^ schedule), config.force_leaves);
            assert_eq!(end, expected, "{name}\n{dump}");
        }
    }
    let last = compiled.dumps.last().map(|(_, dump)| dump.as_str());
    assert_eq!(last, Some(text::print(&compiled.function).as_str()));
}

fn given(random: &mut Random, code: Vec<u8>) -> Given {
    let fork = *random.pick(&[Fork::Frontier, Fork::Byzantium, Fork::London, Fork::Osaka, Fork::Osaka, Fork::Amsterdam]);
    let len = random.below(70);
    let mut call_data = random.bytes(len);
    if random.below(2) == 0 {
        call_data.fill(0);
    }
    let gas = if random.below(3) == 0 { random.below(400) } else { 100_000 };
    Given { code, fork, call_data, gas: gas as u64 }
}

/// The configuration of the fork, often with limits so low that they are met, often with a part of the blocks alone.
fn settings(random: &mut Random, given: &Given) -> Config {
    let mut config = config(given.fork);
    if random.below(2) == 0 {
        let limits = &mut config.limits;
        limits.exits_per_block_max = *random.pick(&[1, 2, 400]);
        limits.flow_steps_per_instruction_max = *random.pick(&[0, 1, 400]);
        limits.switch_cases_max = *random.pick(&[0, 1, 24]);
        limits.cold_instructions_max = *random.pick(&[0, 64]);
        limits.loop_params_max = *random.pick(&[0, 1, 6]);
        limits.path_slots_max = *random.pick(&[1, 3, 8]);
        limits.path_addresses_max = *random.pick(&[1, 64]);
        limits.tree_instructions_max = *random.pick(&[1, 4, 600]);
    }
    if random.below(3) == 0 {
        let blocks = starts(&given.code).filter(|_| random.below(3) != 0).collect();
        config.region = Some(blocks);
    }
    config
}

/// Where basic blocks may start.
fn starts(code: &[u8]) -> impl Iterator<Item = u32> {
    let decoded = Code::decode(code);
    let is_behind_jumpi = |index: usize| index > 0 && decoded.instructions[index - 1].byte == byte::JUMPI;
    let starts: Vec<u32> = decoded
        .instructions
        .iter()
        .enumerate()
        .filter(|(index, instruction)| instruction.byte == byte::JUMPDEST || is_behind_jumpi(*index))
        .map(|(_, instruction)| instruction.pc)
        .collect();
    starts.into_iter()
}

#[test]
fn generated_programs_end_as_in_revm() {
    for_seeds(2000, |seed| {
        let mut random = Random::new(seed);
        let code = snippets::program_bytes(&mut random);
        let given = given(&mut random, code);
        let config = settings(&mut random, &given);
        check_building(&given, &config, seed);
    });
}

#[test]
fn generated_programs_with_forced_leaves_end_as_in_revm() {
    for_seeds(2000, |seed| {
        let mut random = Random::new(seed ^ 0xf0f0);
        let code = snippets::program_bytes(&mut random);
        let given = given(&mut random, code);
        let config = Config { force_leaves: true, ..settings(&mut random, &given) };
        check_building(&given, &config, seed);
    });
}

#[test]
fn random_bytes_end_as_in_revm() {
    for_seeds(2000, |seed| {
        let mut random = Random::new(seed ^ 0xabcd);
        let code = snippets::noise(&mut random);
        let given = given(&mut random, code);
        let mut config = settings(&mut random, &given);
        config.force_leaves = seed % 5 == 0;
        if seed % 7 == 0 {
            config.custom[random.below(4)] = random.next() & random.next() & random.next();
        }
        check_building(&given, &config, seed);
    });
}

/// A loop calls an internal function that has another caller. Where the region holds the function, and neither that caller nor what lies
/// behind the return, the plan knows no way from there back into the loop: what was built there went round and round, until memory
/// was full.
#[test]
fn g5_what_lies_outside_of_a_region_is_not_built() {
    let code = crate::assembler::assemble(
        "PUSH1 0x00\nCALLDATALOAD\n\
         head:\nJUMPDEST\nDUP1\nPUSH2 @other\nJUMPI\n\
         PUSH2 @behind\nPUSH2 @f\nJUMP\n\
         f:\nJUMPDEST\nJUMP\n\
         behind:\nJUMPDEST\nPUSH2 @head\nJUMP\n\
         other:\nJUMPDEST\nPUSH2 @done\nPUSH2 @f\nJUMP\n\
         done:\nJUMPDEST\nSTOP\n",
    );
    let given = Given { code, fork: Fork::Osaka, call_data: vec![1; 32], gas: 100_000 };
    let all: Vec<u32> = starts(&given.code).collect();
    for subset in 0..1_u32 << all.len() {
        let region = all.iter().enumerate().filter(|(index, _)| subset >> index & 1 == 1).map(|(_, pc)| *pc).collect();
        for force_leaves in [false, true] {
            check_building(&given, &Config { region: Some(Vec::clone(&region)), force_leaves, ..config(Fork::Osaka) }, 0);
        }
    }
}

/// Behind a block that certainly underflows, or overflows, nothing is reached, and the plan knows no way from there: sections that went on
/// never came to an end.
#[test]
fn g5_what_is_never_reached_is_not_built() {
    let overflow = "CALLER\n".repeat(1025);
    for end in ["POP\n", &overflow] {
        for back in ["PUSH2 @bad\nJUMP\n", "PUSH1 0x01\nPUSH2 @bad\nJUMPI\n", "CALLVALUE\nPUSH2 @bad\nJUMPI\n"] {
            let code = crate::assembler::assemble(&format!(
                "PUSH2 @loop\nJUMP\nbad:\nJUMPDEST\n{end}unreached:\nJUMPDEST\nloop:\nJUMPDEST\n{back}"
            ));
            for force_leaves in [false, true] {
                let given = Given { code: code.clone(), fork: Fork::Osaka, call_data: vec![], gas: 100_000 };
                check_building(&given, &Config { force_leaves, ..config(Fork::Osaka) }, 0);
            }
        }
    }
}

/// A JUMPI that certainly jumps, or certainly does not, into a block that reverts: the plan has no such way, and another one into it.
#[test]
fn g5_a_cold_block_behind_a_certain_jumpi_is_not_built() {
    for (certain, other) in [("PUSH1 0x01\nPUSH2 @cold\nJUMPI\nSTOP\n", ""), ("PUSH1 0x00\nPUSH2 @work\nJUMPI\n", "JUMPDEST\n")] {
        let code = crate::assembler::assemble(&format!(
            "CALLDATASIZE\nPUSH2 @certain\nJUMPI\n\
             work:\nJUMPDEST\nPUSH1 0x00\nPUSH1 0x00\nSSTORE\n\
             cold:\nJUMPDEST\nPUSH1 0x00\nPUSH1 0x00\nREVERT\n\
             certain:\nJUMPDEST\n{certain}{other}PUSH1 0x00\nPUSH1 0x00\nREVERT\n"
        ));
        for call_data in [vec![], vec![1]] {
            let given = Given { code: code.clone(), fork: Fork::Osaka, call_data, gas: 100_000 };
            check_building(&given, &config(Fork::Osaka), 0);
        }
    }
}

/// A function that is called from two stack heights, and entered from outside with the return address of one and the height of
/// the other: what lies behind the return must not believe the height that the analysis saw there.
#[test]
fn a_return_address_tells_no_height_when_the_function_is_entered_from_outside() {
    let code = crate::assembler::assemble(&format!(
        "PUSH1 0x00\nCALLDATALOAD\nPUSH2 @second\nJUMPI\n\
         PUSH2 @low\nPUSH2 @f\nJUMP\n\
         second:\nJUMPDEST\n{junk}PUSH1 0x20\nCALLDATALOAD\nPUSH2 @third\nJUMPI\nPUSH2 @high\nPUSH2 @f\nJUMP\n\
         third:\nJUMPDEST\nPUSH2 @low\nPUSH1 0x40\nCALLDATALOAD\nJUMP\n\
         f:\nJUMPDEST\nJUMP\n\
         low:\nJUMPDEST\n{pushes}STOP\n\
         high:\nJUMPDEST\nSTOP\n",
        junk = "PUSH1 0x01\n".repeat(20),
        pushes = "CALLER\n".repeat(1010),
    ));
    let f = code.len() - 1012 - 2 - 2;
    assert_eq!(code[f..f + 2], [0x5b, 0x56], "the function stands there");
    let mut call_data = vec![1; 96];
    call_data[64..].copy_from_slice(&U256::from(f).to_be_bytes::<32>());
    let given = Given { code, fork: Fork::Osaka, call_data, gas: 100_000 };
    check_building(&given, &Config { verify: false, ..config(Fork::Osaka) }, 0);
    assert_eq!(Machine::new(&given).run().result, InstructionResult::StackOverflow);
}
