//! Bytecode from words.
//!
//! in   mnemonics; numbers, which are pushed in as few bytes as they need; `:name`, a JUMPDEST with a name; `@name`, a push of its pc;
//!      `#0c`, a byte
//! out  bytecode

use alloy_primitives::U256;
use revm::bytecode::opcode::{JUMPDEST, OPCODE_INFO, PUSH0, PUSH2};
use std::collections::HashMap;

/// Assembles a text.
pub fn assemble(text: &str) -> Vec<u8> {
    let (mut code, mut places, mut uses) = (Vec::new(), HashMap::new(), Vec::new());
    for word in text.split_whitespace() {
        if let Some(name) = word.strip_prefix(':') {
            places.insert(name, code.len() as u16);
            code.push(JUMPDEST);
        } else if let Some(name) = word.strip_prefix('@') {
            uses.push((code.len() + 1, name));
            code.extend([PUSH2, 0, 0]);
        } else if let Some(byte) = word.strip_prefix('#') {
            code.push(u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{word} is no byte")));
        } else if word.starts_with(|first: char| first.is_ascii_digit()) {
            code.extend(push(word.parse().unwrap_or_else(|_| panic!("{word} is no number"))));
        } else {
            let known = OPCODE_INFO.iter().position(|info| info.is_some_and(|info| info.name() == word));
            code.push(known.unwrap_or_else(|| panic!("{word} is no opcode")) as u8);
        }
    }
    for (at, name) in uses {
        let place = places.get(name).unwrap_or_else(|| panic!("no place is called {name}"));
        code[at..at + 2].copy_from_slice(&place.to_be_bytes());
    }
    code
}

/// A push of a word; of 0, on every fork, by PUSH1.
pub fn push(word: U256) -> Vec<u8> {
    let bytes = word.to_be_bytes_trimmed_vec();
    let bytes = if bytes.is_empty() { vec![0] } else { bytes };
    [&[PUSH0 + bytes.len() as u8], &bytes[..]].concat()
}
