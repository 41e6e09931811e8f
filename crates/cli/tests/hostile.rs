//! Contracts written against compilers: each is compiled within its budget or rejected, and compile time grows with size alone.
//!
//! in   bytecodes made here, each compiled by a process of its own under limits of CPU time and address space
//! out  an exit status that says compiled or rejected; CPU times, printed; a slope that is not much above one

#![cfg(all(target_os = "linux", feature = "llvm"))]

use std::{
    fmt::Write as _,
    fs,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Address space of a process.
const MEMORY_KIB: u64 = 1 << 20;
/// CPU time of a process. Debug builds verify every stage, and are slower themselves.
const CPU_S: u64 = if cfg!(debug_assertions) { 10 } else { 2 };
/// Growth of time over growth of size, both as logarithms.
const SLOPE_MAX: f64 = 1.2;
/// How often times are taken while they do not hold.
const ATTEMPTS: usize = 4;
/// Less is not told from nothing.
const LEAST_S: f64 = 0.02;
/// Bytes of the largest code that is compiled.
const CODE_BYTES_MAX: usize = 48 << 10;

const PUSH0: u8 = 0x5f;
const PUSH1: u8 = 0x60;
const PUSH2: u8 = 0x61;
const PUSH32: u8 = 0x7f;
const JUMPDEST: u8 = 0x5b;
const JUMP: u8 = 0x56;
const JUMPI: u8 = 0x57;
const CALLDATALOAD: u8 = 0x35;
const POP: u8 = 0x50;
const DUP1: u8 = 0x80;
const DUP2: u8 = 0x81;
const SWAP1: u8 = 0x90;
const ADD: u8 = 0x01;
const MUL: u8 = 0x02;
const SMOD: u8 = 0x07;
const ADDMOD: u8 = 0x08;
const EXP: u8 = 0x0a;
const KECCAK256: u8 = 0x20;
const MSTORE: u8 = 0x52;
const RETURN: u8 = 0xf3;
const XOR: u8 = 0x18;

/// A family of codes: its name, and a code of about so many bytes.
type Family = (&'static str, fn(usize) -> Vec<u8>);

const FAMILIES: [Family; 16] = [
    ("jumpdests", |bytes| vec![JUMPDEST; bytes]),
    ("unresolved jumps", |bytes| repeat(bytes, &[], &[JUMPDEST, PUSH0, CALLDATALOAD, JUMP])),
    ("unresolved branches", |bytes| repeat(bytes, &[], &[JUMPDEST, PUSH0, CALLDATALOAD, DUP1, JUMPI])),
    ("addmod of one constant", |bytes| chain(bytes, &[PUSH1, 7, PUSH0, CALLDATALOAD], &[DUP2, SWAP1, DUP1, ADDMOD])),
    ("mul of one constant", |bytes| chain(bytes, &[PUSH0, CALLDATALOAD], &[PUSH1, 7, MUL])),
    ("smod of one constant", |bytes| chain(bytes, &[PUSH1, 7, PUSH0, CALLDATALOAD], &[DUP2, SWAP1, SMOD])),
    ("mul of unknown words", |bytes| chain(bytes, &[PUSH0, CALLDATALOAD], &[DUP1, MUL])),
    ("exp of unknown words", |bytes| chain(bytes, &[PUSH0, CALLDATALOAD], &[DUP1, EXP])),
    ("exp of constants", |bytes| chain(bytes, &[PUSH0], &exp_of_constants())),
    ("keccak", |bytes| chain(bytes, &[PUSH0, CALLDATALOAD], &[PUSH0, MSTORE, PUSH1, 64, PUSH0, KECCAK256])),
    ("keccak of unknown ranges", |bytes| chain(bytes, &[PUSH0, CALLDATALOAD], &[DUP1, KECCAK256])),
    ("deep stack across branches", deep_stack),
    ("loops that grow the stack", growing_loops),
    ("calls of one function", calls),
    ("random bytes", |bytes| random(bytes, 1)),
    ("other random bytes", |bytes| random(bytes, 2)),
];

/// Pieces that each work on the word that the one before left; the last word is returned, so that none of them is for nothing.
fn chain(bytes: usize, head: &[u8], piece: &[u8]) -> Vec<u8> {
    const END: [u8; 6] = [PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN];
    [repeat(bytes - END.len(), head, piece).as_slice(), &END].concat()
}

/// A head, then one piece again and again.
fn repeat(bytes: usize, head: &[u8], piece: &[u8]) -> Vec<u8> {
    let mut code = head.to_vec();
    while code.len() + piece.len() <= bytes {
        code.extend(piece);
    }
    code
}

fn exp_of_constants() -> Vec<u8> {
    [&[PUSH32][..], &[0xff; 32], &[PUSH32], &[0xfe; 32], &[EXP, XOR]].concat()
}

fn push2(code: &mut Vec<u8>, number: usize) {
    let number = u16::try_from(number).expect("codes have less than 64 KiB");
    code.push(PUSH2);
    code.extend(number.to_be_bytes());
}

/// Hundreds of unknown words that live across a chain of branches, and are all used at its end.
fn deep_stack(bytes: usize) -> Vec<u8> {
    let words = (bytes / 32).min(900);
    let end = bytes - words - 1 - 6;
    let mut code = Vec::new();
    for word in 0..words {
        push2(&mut code, word * 32);
        code.push(CALLDATALOAD);
    }
    while code.len() + 8 <= end {
        let offset = code.len();
        push2(&mut code, offset);
        code.push(CALLDATALOAD);
        push2(&mut code, end);
        code.push(JUMPI);
    }
    code.resize(end, JUMPDEST);
    code.push(JUMPDEST);
    code.resize(end + words, ADD);
    code.extend([PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN]);
    code
}

/// Loops one behind the other; each round of each leaves a word on the stack.
fn growing_loops(bytes: usize) -> Vec<u8> {
    let mut code = vec![PUSH0];
    while code.len() + 9 <= bytes {
        let head = code.len();
        code.extend([JUMPDEST, DUP1, PUSH0, CALLDATALOAD]);
        push2(&mut code, head);
        code.push(JUMPI);
        code.push(PUSH0);
    }
    code
}

/// One function, called from everywhere.
fn calls(bytes: usize) -> Vec<u8> {
    let function = bytes - 6;
    let mut code = Vec::new();
    while code.len() + 8 <= function {
        let back = code.len() + 7;
        push2(&mut code, back);
        push2(&mut code, function);
        code.extend([JUMP, JUMPDEST]);
    }
    code.resize(function, JUMPDEST);
    code.extend([JUMPDEST, PUSH1, 1, POP, JUMP]);
    code
}

/// Bytes without sense, of which every jump destination can be reached.
fn random(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    [PUSH0, CALLDATALOAD, JUMP].into_iter().chain(std::iter::repeat_with(next)).take(bytes).collect()
}

/// What compiling a code took.
struct Compiled {
    cpu_s: f64,
    /// What the command printed, or how it ended.
    said: String,
    /// Whether it was compiled or rejected, and not stopped.
    is_done: bool,
}

/// Compiles a code in a process of its own, under limits.
fn compile(code: &[u8]) -> Compiled {
    let text = code.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("hotevm-hostile-{}-{number}", std::process::id()));
    fs::write(&path, text).expect("a temporary file");
    // `times` tells what the shell's children used; the shell's own line comes first.
    let script = format!("ulimit -t {CPU_S} -v {MEMORY_KIB}; \"$@\"; status=$?; LC_ALL=C times >&2; exit $status");
    let output = Command::new("bash").args(["-c", &script, "bash", env!("CARGO_BIN_EXE_hotevm"), "compile"]).arg(&path).output();
    let output = output.expect("bash runs");
    let _ = fs::remove_file(&path);
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let is_done = matches!(output.status.code(), Some(0 | 1)) && (said.starts_with("compiled") || said.starts_with("rejected"));
    let said = if is_done { said.trim().to_owned() } else { format!("{}: {said}{error}", output.status) };
    Compiled { cpu_s: cpu_s(&error), said, is_done }
}

/// The same, again while it takes too long: a machine may be slower by half for a while.
fn compile_in_time(code: &[u8]) -> Compiled {
    let is_in_time = |compiled: &Compiled| compiled.is_done && compiled.cpu_s <= CPU_S as f64;
    let mut compiled = compile(code);
    for _ in 1..ATTEMPTS {
        if is_in_time(&compiled) {
            break;
        }
        compiled = compile(code);
    }
    compiled
}

/// The last line of `times`: user and system time of children, as in `0m1.234s 0m0.050s`.
fn cpu_s(times: &str) -> f64 {
    let seconds = |word: &str| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
    };
    let line = times.lines().last().unwrap_or_default();
    line.split_whitespace().map(|word| seconds(word).expect("times prints minutes and seconds")).sum()
}

/// The slope of the line through the logarithms, by least squares.
fn slope_of(points: &[(f64, f64)]) -> f64 {
    let logarithms: Vec<(f64, f64)> = points.iter().map(|(size, time)| (size.ln(), time.ln())).collect();
    let count = logarithms.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| logarithms.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (product, square) =
        logarithms.iter().fold((0.0, 0.0), |(product, square), (a, b)| (product + (a - x) * (b - y), square + (a - x).powi(2)));
    product / square
}

#[test]
fn each_is_compiled_within_its_budget_or_rejected_and_time_grows_linearly() {
    let start_s = compile(&[0]).cpu_s;
    let mut findings = Vec::new();
    for (name, code) in FAMILIES {
        let (mut points, mut line) = (Vec::new(), format!("{name}:"));
        // 24 KiB is what Ethereum deploys; 48 KiB the longest that is compiled.
        for bytes in [6 << 10, 12 << 10, 24 << 10, CODE_BYTES_MAX] {
            let Compiled { cpu_s, said, is_done } = compile_in_time(&code(bytes));
            // What starting the process takes is not compiling.
            let compile_s = (cpu_s - start_s).max(LEAST_S);
            let _ = write!(line, " {bytes} B {compile_s:.3} s,");
            if !is_done || cpu_s > CPU_S as f64 {
                findings.push(format!("{name}, {bytes} bytes: {cpu_s:.3} s; {said}"));
            }
            if !is_done || said.starts_with("rejected") {
                let _ = write!(line, " rejected");
                break;
            }
            points.push((bytes as f64, compile_s));
        }
        if points.len() > 2 {
            let mut slope = slope_of(&points);
            for _ in 1..ATTEMPTS {
                if slope <= SLOPE_MAX {
                    break;
                }
                // The least time of each size counts.
                for (bytes, least_s) in &mut points {
                    *least_s = least_s.min((compile(&code(*bytes as usize)).cpu_s - start_s).max(LEAST_S));
                }
                slope = slope_of(&points);
            }
            let _ = write!(line, " slope {slope:.2}");
            // The checks of debug builds have slopes of their own.
            if slope > SLOPE_MAX && !cfg!(debug_assertions) {
                findings.push(format!("{name}: slope {slope:.2}"));
            }
        }
        println!("{line}");
    }
    assert!(findings.is_empty(), "more than {CPU_S} s, {MEMORY_KIB} KiB or a slope of {SLOPE_MAX}: {findings:#?}");
    let too_long = compile(&vec![JUMPDEST; CODE_BYTES_MAX + 1]);
    assert!(too_long.said.starts_with("rejected"), "{}", too_long.said);
}

#[test]
fn slopes_are_exponents() {
    let points = |exponent: f64| [1.0_f64, 2.0, 4.0, 8.0].map(|size| (size, 3.0 * size.powf(exponent)));
    assert!((slope_of(&points(1.0)) - 1.0).abs() < 1e-9 && (slope_of(&points(2.0)) - 2.0).abs() < 1e-9);
}
