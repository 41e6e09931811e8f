//! A small assembler: mnemonics, immediates, labels.
//!
//! One instruction a line; `;` starts a comment. `PUSH2 0x1234` pushes a number, `PUSH2 @name` the place of the line `name:`.
//! `DATA 0x60ff` puts bytes as they are.

use hotevm_ir::opcodes;
use std::collections::HashMap;

/// Assembles a text; panics on lines that are none.
pub fn assemble(text: &str) -> Vec<u8> {
    let lines: Vec<&str> = text.lines().map(|line| line.split(';').next().unwrap_or_default().trim()).collect();
    let mut labels = HashMap::new();
    let mut pc = 0;
    for line in &lines {
        match line.strip_suffix(':') {
            Some(label) => {
                assert!(labels.insert(label, pc).is_none(), "two labels {label}");
            }
            None => pc += line_bytes(line, None).len(),
        }
    }
    lines.iter().filter(|line| !line.ends_with(':')).flat_map(|line| line_bytes(line, Some(&labels))).collect()
}

/// The bytes of a line; labels count as zero while their places are not known.
fn line_bytes(line: &str, labels: Option<&HashMap<&str, usize>>) -> Vec<u8> {
    let mut words = line.split_whitespace();
    let Some(name) = words.next() else { return vec![] };
    let operand = words.next();
    assert!(words.next().is_none(), "more than one operand: {line}");
    if name == "DATA" {
        return hex(operand.expect("DATA has an operand"));
    }
    let byte = (0..=u8::MAX).find(|byte| opcodes::name(*byte) == name);
    let byte = byte.unwrap_or_else(|| panic!("no opcode is called {name}"));
    let len = opcodes::info(byte).map_or(0, |opcode| usize::from(opcode.immediate));
    let immediate = match operand {
        None => vec![],
        Some(operand) => match operand.strip_prefix('@') {
            Some(label) => {
                let place = labels.map_or(0, |labels| *labels.get(label).unwrap_or_else(|| panic!("no label {label}")));
                (place as u32).to_be_bytes().to_vec()
            }
            None => hex(operand),
        },
    };
    let immediate: Vec<u8> = std::iter::repeat_n(0, len).chain(immediate).collect();
    let (head, tail) = immediate.split_at(immediate.len() - len);
    assert!(head.iter().all(|byte| *byte == 0), "{line}: the operand is too long");
    std::iter::once(byte).chain(tail.iter().copied()).collect()
}

fn hex(operand: &str) -> Vec<u8> {
    let digits = operand.strip_prefix("0x").unwrap_or_else(|| panic!("operands are hexadecimal: {operand}"));
    let digits = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
    bytes.collect::<Result<_, _>>().unwrap_or_else(|_| panic!("not hexadecimal: {operand}"))
}
