//! Objects of the back end, on every architecture: what they hold, and that they need nothing from outside.
//!
//! in   programs that execute every opcode of the opcode table, compiled by the middle end
//! out  objects that `hotevm_code` links, with tables that fit the code; no opcode meant to be inline becomes a call of the host

use alloy_primitives::U256;
use hotevm_code::Machine;
use hotevm_ir::{
    Config, Fork, Function, LeaveReason, Limits,
    bytecode::Code,
    function::{HostCall, Inst, Terminator, Via},
    opcodes::{self, Class, byte},
};
use hotevm_llvm::{ENTRY_SYMBOL, Optimisation, Output, Target};
use object::{Object as _, ObjectSymbol as _};

const LEVELS: [Optimisation; 3] = [Optimisation::None, Optimisation::Fast, Optimisation::Full];

const CALLER: u8 = byte::CALLER;

/// A contract under construction.
#[derive(Default)]
struct Program(Vec<u8>);

impl Program {
    /// Stack entries that nothing is known of.
    fn unknown(&mut self, count: u8) {
        (0..count).for_each(|_| self.0.push(CALLER));
    }

    /// A push of the pc that lies `after` bytes behind the push.
    fn push_place(&mut self, after: usize) {
        let place = self.0.len() + 3 + after;
        self.0.extend([0x61, (place >> 8) as u8, place as u8]);
    }

    /// Executes the opcode once, on operands that nothing is known of, and goes on behind it.
    fn execute(&mut self, opcode: u8) {
        let Some(info) = opcodes::info(opcode) else { return };
        match info.class {
            Class::JumpDest => self.0.push(opcode),
            Class::Jump => {
                self.push_place(1);
                self.0.extend([opcode, byte::JUMPDEST]);
            }
            Class::JumpIf => {
                self.0.push(CALLER);
                self.push_place(1);
                self.0.extend([opcode, byte::JUMPDEST]);
            }
            Class::Finish | Class::FinishTable | Class::Invalid => {
                self.0.push(CALLER);
                self.push_place(2 + usize::from(info.inputs));
                self.0.push(byte::JUMPI);
                self.unknown(info.inputs);
                self.0.extend([opcode, byte::JUMPDEST]);
            }
            _ => {
                self.unknown(info.inputs);
                self.0.push(opcode);
                self.0.extend((0..info.immediate).map(|place| place + 1));
                self.0.extend((0..info.outputs).map(|_| byte::POP));
            }
        }
    }
}

fn known_opcodes() -> impl Iterator<Item = u8> {
    (0..=255).filter(|opcode| opcodes::info(*opcode).is_some())
}

/// Every opcode once, a jump that nothing is known of, and a loop.
fn every_opcode() -> Vec<u8> {
    let mut program = Program::default();
    known_opcodes().for_each(|opcode| program.execute(opcode));
    let head = program.0.len();
    program.0.extend([byte::JUMPDEST, CALLER, 0x61, (head >> 8) as u8, head as u8, byte::JUMPI]);
    program.0.extend([CALLER, byte::CALLDATALOAD, byte::JUMP]);
    program.0
}

/// Whether the opcode is meant to be computed in place.
fn is_inline(opcode: u8) -> bool {
    let class = opcodes::info(opcode).map(|info| info.class);
    !matches!(
        class,
        None | Some(
            Class::Builtin | Class::Exp | Class::Table | Class::Suspend | Class::Finish | Class::FinishTable | Class::Invalid
        )
    )
}

fn config(force_leaves: bool) -> Config {
    Config {
        fork: Fork::Amsterdam,
        gas: [3; 256],
        exp_gas: std::array::from_fn(|bytes| 50 * bytes as u32),
        custom: [0; 4],
        force_leaves,
        verify: true,
        limits: Limits::default(),
        region: None,
        likely: None,
    }
}

fn function(code: &[u8], config: &Config) -> Function {
    hotevm_ir::compile(code, config, false).expect("within all limits").function
}

fn x86_64(cpu: &str) -> Target {
    Target::new("x86_64-unknown-linux-gnu", cpu).expect("built in")
}

fn aarch64() -> Target {
    Target::new("aarch64-unknown-linux-gnu", "generic").expect("built in")
}

fn emit(code: &[u8], config: &Config, target: &Target, optimisation: Optimisation) -> Output {
    let function = function(code, config);
    hotevm_llvm::compile(&function, target, optimisation, &config.limits, true, false)
        .unwrap_or_else(|error| panic!("{} {optimisation:?}: {error}", target.describe()))
}

/// The object links by itself for the machine, and its tables fit the code.
fn check_output(output: &Output, code: &[u8], machine: Machine) {
    let image = hotevm_code::link(&output.object, ENTRY_SYMBOL).expect("an object that needs nothing");
    assert_eq!(image.machine, machine);
    assert!(image.entry_offset < image.text_len && image.text_len <= image.bytes.len());
    let known = |name: &str| name.starts_with(".text") || name.starts_with(".rodata");
    assert!(image.sections.iter().all(|section| known(&section.name)), "{:?}", image.sections);
    assert!(image.sections.iter().any(|section| section.name.starts_with(".text")));
    check_symbols(&output.object);
    check_entries(output, code);
    check_leaves(output, code);
}

/// The entry is a symbol of the object, and no symbol is wanted from outside.
fn check_symbols(bytes: &[u8]) {
    let object = object::File::parse(bytes).expect("an object");
    let mut names = vec![];
    for symbol in object.symbols() {
        let name = symbol.name().expect("a name").to_owned();
        assert!(name.is_empty() || !symbol.is_undefined(), "{name} is wanted from outside");
        names.push(name);
    }
    assert!(names.iter().any(|name| name == ENTRY_SYMBOL), "{names:?}");
}

fn check_entries(output: &Output, code: &[u8]) {
    let decoded = Code::decode(code);
    let first = output.entries.first().expect("the start");
    assert_eq!((first.pc, first.number, first.height_min, first.memory_min), (0, 0, 0, 0));
    // A JUMPDEST at 0 has an entry of its own.
    assert!(output.entries[1..].windows(2).all(|pair| pair[0].pc < pair[1].pc), "{:?}", output.entries);
    let mut numbers: Vec<u32> = output.entries.iter().map(|entry| entry.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), output.entries.len(), "a number twice");
    for entry in &output.entries {
        let at = decoded.instructions.iter().position(|instruction| instruction.pc == entry.pc).expect("an instruction");
        let is_behind_call = at > 0 && decoded.instructions[at - 1].opcode.is_some_and(|info| info.class == Class::Suspend);
        let is_destination = decoded.instructions[at].byte == byte::JUMPDEST;
        assert!(entry.number == 0 || is_destination || is_behind_call, "{entry:?}");
        assert!(entry.height_min <= entry.height_max && entry.height_max <= 1024, "{entry:?}");
    }
}

fn check_leaves(output: &Output, code: &[u8]) {
    let decoded = Code::decode(code);
    for row in &output.leaves {
        let is_start = decoded.instructions.iter().any(|instruction| instruction.pc == row.pc);
        assert!(is_start || row.pc as usize == code.len(), "{row:?}");
        assert!(usize::from(row.reason) < LeaveReason::COUNT, "{row:?}");
        assert!((-1024..=1024).contains(&row.top), "{row:?}");
        assert!(row.constants.iter().all(|(slot, _)| (-1024..row.top).contains(slot)), "{row:?}");
    }
}

/// The host's calls of a function.
fn host_calls(function: &Function) -> Vec<HostCall> {
    let mut calls = vec![];
    for block in &function.blocks {
        calls.extend(block.insts.iter().filter_map(|(_, inst)| match inst {
            Inst::Host(call) => Some(*call),
            _ => None,
        }));
        if let Some(Terminator::Finish(call) | Terminator::Suspend { call, .. }) = block.end {
            calls.push(call);
        }
    }
    calls
}

#[test]
fn every_opcode_compiles_at_every_level() {
    let code = every_opcode();
    for optimisation in LEVELS {
        for force_leaves in [false, true] {
            let config = config(force_leaves);
            check_output(&emit(&code, &config, &x86_64("x86-64-v2"), optimisation), &code, Machine::X86_64);
        }
    }
}

#[test]
fn every_opcode_compiles_for_aarch64() {
    let code = every_opcode();
    for optimisation in LEVELS {
        check_output(&emit(&code, &config(false), &aarch64(), optimisation), &code, Machine::Aarch64);
    }
}

#[test]
fn split_code_links_on_both_machines() {
    let code = every_opcode();
    let mut config = config(false);
    config.limits.part_instructions_max = 40;
    check_output(&emit(&code, &config, &x86_64("x86-64-v2"), Optimisation::Full), &code, Machine::X86_64);
    let output = emit(&code, &config, &aarch64(), Optimisation::Full);
    check_output(&output, &code, Machine::Aarch64);
    // Parts lie in sections of their own and go on in each other.
    let image = hotevm_code::link(&output.object, ENTRY_SYMBOL).expect("checked above");
    assert!(image.sections.iter().map(|section| section.relocations).sum::<usize>() > 0);
}

#[test]
fn what_rarely_runs_lies_behind_what_runs() {
    let code = every_opcode();
    let mut config = config(false);
    config.likely = Some([0].into());
    config.limits.part_instructions_max = 40;
    for (target, machine) in [(x86_64("x86-64-v2"), Machine::X86_64), (aarch64(), Machine::Aarch64)] {
        for optimisation in [Optimisation::Fast, Optimisation::Full] {
            let output = emit(&code, &config, &target, optimisation);
            check_output(&output, &code, machine);
            let image = hotevm_code::link(&output.object, ENTRY_SYMBOL).expect("checked above");
            let text: Vec<&str> = image
                .sections
                .iter()
                .filter(|section| section.offset < image.text_len)
                .map(|section| section.name.as_str())
                .collect();
            let is_rare = |name: &&str| name.starts_with(".text.split") || name.starts_with(".text.unlikely");
            assert!(text.is_sorted_by_key(is_rare) && text.iter().filter(|name| is_rare(name)).count() == 2, "{text:?}");
        }
    }
}

#[test]
fn the_host_is_found_out_by_its_cpu() {
    let code = every_opcode();
    let Some(machine) = Machine::host() else { return assert_ne!(Target::host().describe(), "") };
    check_output(&emit(&code, &config(false), &Target::host(), Optimisation::Full), &code, machine);
}

#[test]
fn inline_opcodes_call_no_host() {
    for opcode in known_opcodes().filter(|opcode| is_inline(*opcode)) {
        let mut program = Program::default();
        program.execute(opcode);
        let code = [program.0, vec![byte::STOP]].concat();
        let function = function(&code, &config(false));
        let calls: Vec<u8> = host_calls(&function).iter().map(|call| call.opcode).collect();
        assert_eq!(calls, [byte::STOP], "{}", opcodes::name(opcode));
        check_output(&emit(&code, &config(false), &x86_64("x86-64-v2"), Optimisation::Full), &code, Machine::X86_64);
    }
}

#[test]
fn opcodes_with_a_builtin_take_it() {
    for opcode in known_opcodes().filter(|opcode| !is_inline(*opcode)) {
        let Some(info) = opcodes::info(opcode) else { continue };
        let mut program = Program::default();
        program.execute(opcode);
        let code = [program.0, vec![byte::STOP]].concat();
        let wanted = match info.class {
            Class::Table | Class::FinishTable | Class::Suspend => Via::Table,
            _ => Via::Builtin,
        };
        let function = function(&code, &config(false));
        let calls = host_calls(&function);
        assert!(calls.iter().all(|call| call.opcode == byte::STOP || call.via == wanted), "{}: {calls:?}", info.name);
        // What can only fail is left to the interpreter.
        let is_left = matches!(info.class, Class::Invalid) || opcode == byte::REVERT;
        assert_eq!(is_left, !calls.iter().any(|call| call.opcode == opcode), "{}: {calls:?}", info.name);
    }
}

#[test]
fn a_custom_opcode_is_a_step_of_the_interpreter() {
    let code = [CALLER, CALLER, byte::ADD, byte::STOP];
    let mut config = config(false);
    config.custom[0] = 1 << byte::ADD;
    let calls = host_calls(&function(&code, &config));
    assert!(calls.iter().any(|call| call.opcode == byte::ADD && call.via == Via::Step), "{calls:?}");
    let known = host_calls(&function(&code, &self::config(false)));
    assert!(known.iter().all(|call| call.opcode != byte::ADD), "{known:?}");
}

#[test]
fn the_same_code_gives_the_same_object() {
    let code = every_opcode();
    let target = x86_64("x86-64-v2");
    for optimisation in LEVELS {
        let (one, other) =
            (emit(&code, &config(false), &target, optimisation), emit(&code, &config(false), &target, optimisation));
        assert_eq!(one.object, other.object, "{optimisation:?}");
        assert_eq!(one.leaves, other.leaves, "{optimisation:?}");
    }
}

#[test]
fn long_chains_of_wide_arithmetic_compile_in_bounds() {
    // Beyond the limit of multiplications inlined per function they are called, which takes fewer bytes.
    let chain = |count: usize| {
        let mut program = Program::default();
        program.unknown(2);
        for _ in 0..count {
            program.0.extend([CALLER, byte::MUL, byte::ADDRESS, byte::XOR]);
        }
        program.0.extend([0x5f, byte::MSTORE, byte::STOP]);
        program.0
    };
    let limit = config(false).limits.wide_multiplications_max as usize;
    let len = |count| {
        let code = chain(count);
        let output = emit(&code, &config(false), &x86_64("x86-64-v2"), Optimisation::Full);
        check_output(&output, &code, Machine::X86_64);
        output.object.len()
    };
    let (half, whole, double) = (len(limit / 2), len(limit), len(2 * limit));
    assert!(double - whole < 2 * (whole - half), "{half} {whole} {double} bytes");
}

#[test]
fn constants_of_leaves_stand_in_their_rows() {
    // A second charge behind SLOAD leaves with the pushed constant in its slot.
    let code = [0x60, 0x07, CALLER, byte::SLOAD, byte::POP, byte::CALLVALUE, byte::POP, byte::STOP];
    let output = emit(&code, &config(false), &x86_64("x86-64-v2"), Optimisation::Full);
    check_output(&output, &code, Machine::X86_64);
    let has_seven = |row: &hotevm_abi::LeaveRow| row.pc == 4 && row.constants == [(0, U256::from(7))];
    assert!(output.leaves.iter().any(has_seven), "{:?}", output.leaves);
}

#[test]
fn dumps_show_every_stage() {
    let config = config(false);
    let function = function(&every_opcode(), &config);
    let output =
        hotevm_llvm::compile(&function, &Target::host(), Optimisation::Full, &config.limits, true, true).expect("compiles");
    let names: Vec<&str> = output.dumps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["40-raw.ll", "41-opt.ll", "51-code.s", "50-object.o"]);
    assert!(output.dumps.iter().all(|(_, bytes)| !bytes.is_empty()));
}

#[test]
fn two_rounds_of_a_small_loop_stand_one_behind_the_other() {
    // From a JUMPDEST on the loop adds its caller to what it holds, so many times in a round, and ends once that is zero.
    let looping = |additions: usize| {
        let [push0, push1, dup1] = [0x5f, 0x60, 0x80];
        let head = [push0, byte::CALLDATALOAD, byte::JUMPDEST, dup1, push1, 8, byte::JUMPI, byte::STOP, byte::JUMPDEST];
        let body = [CALLER, byte::ADD].repeat(additions);
        [&head[..], &body, &[push1, 2, byte::JUMP]].concat()
    };
    let config = config(false);
    let counts = |additions: usize| {
        let function = function(&looping(additions), &config);
        let target = x86_64("x86-64-v2");
        let output = hotevm_llvm::compile(&function, &target, Optimisation::Full, &config.limits, true, true).expect("compiles");
        ["40-raw.ll", "41-opt.ll"].map(|wanted| {
            let (_, text) = output.dumps.iter().find(|(name, _)| name == wanted).expect("a dump");
            String::from_utf8_lossy(text).lines().filter(|line| line.contains("add i256")).count()
        })
    };
    assert_eq!(counts(3), [3, 6]);
    assert_eq!(counts(100), [100, 100], "a large loop is not repeated");
}

#[test]
fn gas_stays_in_a_register_in_loops_without_calls_alone() {
    // PUSH0 CALLDATALOAD JUMPDEST DUP1 PUSH1 8 JUMPI STOP JUMPDEST, the body, PUSH1 2 JUMP
    let [push0, push1, dup1, pop] = [0x5f, 0x60, 0x80, 0x50];
    let head = [push0, byte::CALLDATALOAD, byte::JUMPDEST, dup1, push1, 8, byte::JUMPI, byte::STOP, byte::JUMPDEST];
    let config = config(false);
    let is_promoted = |body: &[u8]| {
        let function = function(&[&head[..], body, &[push1, 2, byte::JUMP]].concat(), &config);
        let target = x86_64("x86-64-v2");
        let output = hotevm_llvm::compile(&function, &target, Optimisation::Full, &config.limits, true, true).expect("compiles");
        let (_, text) = output.dumps.iter().find(|(name, _)| name == "41-opt.ll").expect("a dump");
        // LLVM's name for what it reads before a loop and writes behind it; the frame begins with the gas.
        String::from_utf8_lossy(text).lines().any(|line| line.contains(".promoted = load i64, ptr %1,"))
    };
    assert!(is_promoted(&[CALLER, byte::ADD]));
    assert!(!is_promoted(&[dup1, byte::SLOAD, pop]), "the host reads and writes the frame's gas");
}

#[test]
fn functions_promise_nothing_of_their_pointers() {
    let config = config(false);
    let function = function(&every_opcode(), &config);
    let target = x86_64("x86-64-v2");
    for optimisation in LEVELS {
        let output = hotevm_llvm::compile(&function, &target, optimisation, &config.limits, true, true).expect("compiles");
        for (name, text) in output.dumps.iter().filter(|(name, _)| name.ends_with(".ll")) {
            let text = String::from_utf8_lossy(text);
            let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("define ")).collect();
            assert!(heads.iter().any(|head| head.contains("(ptr %0, ptr %1, i32 %2)")), "{name}: {heads:?}");
            for word in
                ["noalias", "readonly", "readnone", "writeonly", "dereferenceable", "nonnull", "nocapture", "captures", "memory("]
            {
                assert!(heads.iter().all(|head| !head.contains(word)), "{name}: {word} in {heads:?}");
            }
            let group = |head: &str| {
                let number = head.split(" #").nth(1).and_then(|rest| rest.split(' ').next());
                let start = format!("attributes #{} = ", number.expect("a group of attributes"));
                text.lines().find(|line| line.starts_with(&start)).expect("the group").to_owned()
            };
            // Loops keep gas and what memory holds in registers only where nothing in them calls these functions, and LLVM knows that by
            // what they do not promise. A sum touches no memory, and may say so.
            for head in heads.iter().filter(|head| !head.contains(" @sum")) {
                let group = group(head);
                for word in ["willreturn", "memory(", "speculatable", "nosync", "nofree"] {
                    assert!(!group.contains(word), "{name}: {word} of {head}");
                }
            }
        }
    }
}

/// M1: an equality whose operand turns out to be no vector only after many passes over a chain of bitwise operations.
#[test]
fn m1_long_chains_of_bitwise_operations_compile() {
    // CALLER ADDRESS DUP1 DUP3 EQ SWAP1
    let mut code = vec![0x33, 0x30, 0x80, 0x82, 0x14, 0x90];
    for number in 0..40 {
        // PUSH32 XOR
        code.push(0x7f);
        code.extend([number ^ 0x5a; 32]);
        code.push(0x18);
    }
    // PUSH1 1 ADD ADD PUSH0 SSTORE STOP
    code.extend([0x60, 1, 0x01, 0x01, 0x5f, 0x55, 0x00]);
    for cpu in ["x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        let output = emit(&code, &config(false), &x86_64(cpu), Optimisation::Full);
        check_output(&output, &code, Machine::X86_64);
    }
}

/// Y4: where it can, what goes on as a rule returns from the entry otherwise; what ends the frame comes back to its part.
#[test]
fn y4_only_what_ends_the_frame_gives_a_status_to_its_part() {
    let config = config(false);
    let function = function(&every_opcode(), &config);
    let calls = |target: &Target| {
        let output = hotevm_llvm::compile(&function, target, Optimisation::Full, &config.limits, true, true).expect("compiles");
        let (_, text) = output.dumps.iter().find(|(name, _)| name == "40-raw.ll").expect("a dump");
        let text = String::from_utf8_lossy(text).into_owned();
        let parts: Vec<&str> = text.split("\ndefine ").filter(|body| body.starts_with("internal preserve_nonecc")).collect();
        ["call void @go_sload(", "call i32 @host_sload(", "call i32 @host_stop("]
            .map(|call| parts.iter().any(|part| part.contains(call)))
    };
    assert_eq!(calls(&x86_64("x86-64-v2")), [true, false, true]);
    assert_eq!(calls(&x86_64("x86-64-v4")), [true, false, true]);
    assert_eq!(calls(&aarch64()), [false, true, true]);
}

/// What is handed to stubs, and where a stub adds: by the calls of parts.
#[test]
fn stubs_are_handed_what_they_can_bring_home() {
    let pair = |push: &str, between: &str| {
        format!("335f52{push}602052{between}60405f2054{}00", if between.is_empty() { "50" } else { "0150" })
    };
    let sum = "5f356001015450";
    let cases = [
        (pair("6003", ""), "keccak256_second("),
        (pair("6003", "602051"), "keccak256_two("),
        (pair("640100000000", ""), "keccak256_two("),
        (sum.to_owned(), "@sum("),
    ];
    let config = config(false);
    for (code, wanted) in cases {
        let code: Vec<u8> =
            (0..code.len() / 2).map(|at| u8::from_str_radix(&code[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect();
        let function = function(&code, &config);
        for (target, host, has_tests) in
            [(x86_64("x86-64-v2"), "go", false), (x86_64("x86-64-v4"), "go", true), (aarch64(), "host", false)]
        {
            let output =
                hotevm_llvm::compile(&function, &target, Optimisation::Full, &config.limits, true, true).expect("compiles");
            let (_, text) = output.dumps.iter().find(|(name, _)| name == "40-raw.ll").expect("a dump");
            let is_sum = wanted == "@sum(";
            let name = if is_sum { wanted.to_owned() } else { format!("@{host}_{wanted}") };
            let is_called = String::from_utf8_lossy(text).lines().any(|line| line.contains("call") && line.contains(&name));
            assert_eq!(is_called, !is_sum || has_tests, "{name} for {host} in {}", String::from_utf8_lossy(text));
        }
    }
}

/// Y4: where stubs return to the entry, no part has restored anything: the entry keeps what its caller wants kept, and the stack pointer that it
/// notes is the one that it calls with.
#[test]
fn y4_the_entry_keeps_all_registers_of_its_caller() {
    let config = config(false);
    let function = function(&every_opcode(), &config);
    for optimisation in LEVELS {
        let output =
            hotevm_llvm::compile(&function, &x86_64("x86-64-v3"), optimisation, &config.limits, true, true).expect("compiles");
        let (_, text) = output.dumps.iter().find(|(name, _)| name == "51-code.s").expect("a dump");
        let text = String::from_utf8_lossy(text);
        let entry = text.split("\nhotevm_entry:").nth(1).and_then(|rest| rest.split(".Lfunc_end").next()).expect("the entry");
        for register in ["%rbx", "%rbp", "%r12", "%r13", "%r14", "%r15"] {
            for step in ["pushq", "popq"] {
                assert!(entry.contains(&format!("{step}\t{register}\n")), "{optimisation:?}: {step} {register} in{entry}");
            }
        }
        let between =
            entry.split("movq\t%rsp, ").nth(1).and_then(|rest| rest.split("callq\tpart0").next()).expect("a note, a call");
        assert!(!["push", "pop", ", %rsp"].iter().any(|moves| between.contains(moves)), "{optimisation:?}: {between}");
    }
}

#[test]
fn unknown_targets_are_refused() {
    assert!(Target::new("x86_64-unknown-linux-gnu", "pentium-of-tomorrow").is_err());
    assert!(Target::new("vax-unknown-none", "generic").is_err());
    assert!(hotevm_llvm::llvm_version().starts_with("22."));
}
