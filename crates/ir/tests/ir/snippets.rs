//! Generated code: programs that mean something, and bytes that mostly do not.

use crate::{assembler::assemble, random::Random};
use std::fmt::Write as _;

/// Bytes of which many are opcodes, pushes of small numbers and jumps; none is DIFFICULTY, for which revm's dummy host has no
/// value.
pub fn noise(random: &mut Random) -> Vec<u8> {
    let mut code = raw_noise(random);
    code.iter_mut().filter(|byte| **byte == 0x44).for_each(|byte| *byte = 0x45);
    code
}

fn raw_noise(random: &mut Random) -> Vec<u8> {
    let len = 1 + random.below(160);
    if random.below(4) == 0 {
        return random.bytes(len);
    }
    let mut code = vec![];
    while code.len() < len {
        match random.below(12) {
            0..=3 => code.extend([0x60, random.below(len) as u8]),
            4 => code.push(0x5b),
            5 => code.push(*random.pick(&[0x56, 0x57])),
            6 => code.push(0x80 + random.below(32) as u8),
            7 => code.push(0x30 + random.below(0x30) as u8),
            8 => code.push(*random.pick(&[0x51, 0x52, 0x53, 0x54, 0x55, 0x20, 0x0a, 0x5a, 0x59])),
            9 => code.push(random.next() as u8),
            _ => code.push(random.below(0x20) as u8),
        }
    }
    code
}

/// A program as assembler text: expressions, memory, branches, loops, internal functions, host instructions, computed jumps.
pub fn program(random: &mut Random) -> String {
    let functions = 1 + random.below(3);
    let mut writer = Writer { random, text: String::new(), labels: 0, functions, depth: 0 };
    let statements = 2 + writer.random.below(10);
    let depth = *writer.random.pick(&[0, 2, 4, 18]);
    for _ in 0..depth {
        writer.push();
    }
    for _ in 0..statements {
        writer.statement(3);
    }
    writer.end();
    for function in 0..functions {
        writer.function(function);
    }
    writer.text
}

/// The bytes of a generated program.
pub fn program_bytes(random: &mut Random) -> Vec<u8> {
    assemble(&program(random))
}

struct Writer<'a> {
    random: &'a mut Random,
    text: String,
    labels: usize,
    functions: usize,
    /// Entries that surely are on the stack.
    depth: usize,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }

    fn label(&mut self) -> String {
        self.labels += 1;
        format!("l{}", self.labels)
    }

    fn push(&mut self) {
        match self.random.below(6) {
            0 => self.line("PUSH1 0x00\nCALLDATALOAD"),
            1 => self.line("CALLDATASIZE"),
            2 => self.line("CALLER"),
            3 => {
                let word = self.random.word();
                self.line(&format!("PUSH32 {word:#x}"));
            }
            _ => {
                let number = self.random.below(70);
                self.line(&format!("PUSH1 {number:#x}"));
            }
        }
        self.depth += 1;
    }

    fn need(&mut self, count: usize) {
        while self.depth < count {
            self.push();
        }
    }

    fn statement(&mut self, nesting: usize) {
        match self.random.below(18) {
            16 => self.increment(),
            17 => self.observe_and_grow(),
            0..=3 => self.operation(),
            4 => self.push(),
            5 => self.shuffle(),
            6 | 7 => self.memory(),
            8 | 9 => self.host(),
            10 => self.observe(),
            11 | 12 if nesting > 0 => self.branch(nesting - 1),
            13 if nesting > 0 => self.repeat(nesting - 1),
            14 => self.call(),
            15 => self.computed(),
            _ => self.operation(),
        }
    }

    fn operation(&mut self) {
        const BINARY: &[&str] = &[
            "ADD",
            "MUL",
            "SUB",
            "DIV",
            "SDIV",
            "MOD",
            "SMOD",
            "EXP",
            "SIGNEXTEND",
            "LT",
            "GT",
            "SLT",
            "SGT",
            "EQ",
            "AND",
            "OR",
            "XOR",
            "BYTE",
            "SHL",
            "SHR",
            "SAR",
        ];
        if self.random.below(5) == 0 {
            self.need(1);
            let name = *self.random.pick(&["NOT", "ISZERO", "CLZ"]);
            return self.line(name);
        }
        if self.random.below(8) == 0 {
            self.need(3);
            let name = *self.random.pick(&["ADDMOD", "MULMOD"]);
            self.depth -= 2;
            return self.line(name);
        }
        self.need(2);
        if self.random.below(3) == 0 {
            self.push();
        }
        let name = *self.random.pick(BINARY);
        self.depth -= 1;
        self.line(name);
    }

    fn shuffle(&mut self) {
        self.need(2);
        let depth = self.depth.min(16);
        match self.random.below(3) {
            0 => {
                let which = 1 + self.random.below(depth);
                self.line(&format!("DUP{which}"));
                self.depth += 1;
            }
            1 => {
                let which = 1 + self.random.below(depth - 1);
                self.line(&format!("SWAP{which}"));
            }
            _ => {
                self.line("POP");
                self.depth -= 1;
            }
        }
    }

    fn memory(&mut self) {
        self.need(1);
        let offset = match self.random.below(8) {
            0 => self.random.below(4000),
            _ => 32 * self.random.below(6),
        };
        let name = *self.random.pick(&["MSTORE", "MSTORE", "MSTORE8", "MLOAD"]);
        if self.random.below(4) == 0 {
            // An address that the compiler does not know.
            self.line(&format!("PUSH1 0x01\nCALLDATASIZE\nAND\nPUSH2 {offset:#x}\nADD\n{name}"));
        } else {
            self.line(&format!("PUSH2 {offset:#x}\n{name}"));
        }
        if name == "MLOAD" { self.depth += 1 } else { self.depth -= 1 }
    }

    /// Reads memory and writes it back changed: executing this twice shows.
    fn increment(&mut self) {
        let offset = 32 * self.random.below(4);
        self.line(&format!("PUSH1 0x01\nPUSH1 {offset:#x}\nMLOAD\nADD\nPUSH1 {offset:#x}\nMSTORE"));
    }

    /// Looks at gas or memory, then pays for more memory: executing this twice shows.
    fn observe_and_grow(&mut self) {
        let name = *self.random.pick(&["GAS", "MSIZE"]);
        let offset = 32 * self.random.below(100);
        self.line(&format!("{name}\nPUSH2 {offset:#06x}\nMLOAD\nPOP"));
        self.depth += 1;
    }

    fn observe(&mut self) {
        let name = *self.random.pick(&["GAS", "MSIZE", "PC", "RETURNDATASIZE", "CODESIZE", "ADDRESS", "CALLVALUE", "ORIGIN"]);
        self.line(name);
        self.depth += 1;
    }

    fn host(&mut self) {
        match self.random.below(7) {
            0 => {
                self.need(1);
                self.line("SLOAD");
            }
            1 => {
                self.need(2);
                self.line("SSTORE");
                self.depth -= 2;
            }
            2 => {
                self.line("PUSH1 0x20\nPUSH1 0x40\nKECCAK256");
                self.depth += 1;
            }
            3 => {
                self.need(1);
                self.line("PUSH1 0x08\nPUSH1 0x00\nLOG1");
                self.depth -= 1;
            }
            4 => self.line("PUSH1 0x20\nPUSH1 0x00\nPUSH1 0x10\nCALLDATACOPY"),
            5 => {
                self.line("PUSH1 0x00\nPUSH1 0x00\nPUSH1 0x00\nPUSH1 0x00\nPUSH1 0x09\nPUSH2 0x0100\nSTATICCALL");
                self.depth += 1;
            }
            _ => {
                self.need(1);
                self.line("BALANCE");
            }
        }
    }

    /// Both ways leave the stack as high as they found it.
    fn branch(&mut self, nesting: usize) {
        self.need(1);
        let (other, end) = (self.label(), self.label());
        self.line(&format!("PUSH2 @{other}\nJUMPI"));
        self.depth -= 1;
        let depth = self.depth;
        self.balanced(nesting, depth);
        self.line(&format!("PUSH2 @{end}\nJUMP\n{other}:\nJUMPDEST"));
        self.balanced(nesting, depth);
        self.line(&format!("{end}:\nJUMPDEST"));
    }

    /// Statements, then the stack is brought back to its height.
    fn balanced(&mut self, nesting: usize, depth: usize) {
        for _ in 0..self.random.below(3) {
            self.statement(nesting);
        }
        while self.depth > depth {
            self.line("POP");
            self.depth -= 1;
        }
        self.need(depth);
    }

    fn repeat(&mut self, nesting: usize) {
        let (head, count) = (self.label(), 1 + self.random.below(6));
        self.line(&format!("PUSH1 {count:#x}\n{head}:\nJUMPDEST"));
        self.depth += 1;
        let depth = self.depth;
        // The counter is not touched: statements see a stack of their own above it.
        self.depth = 0;
        self.balanced(nesting, 0);
        self.depth = depth;
        self.line(&format!("PUSH1 0x01\nSWAP1\nSUB\nDUP1\nPUSH2 @{head}\nJUMPI"));
    }

    /// Calls an internal function, which replaces one argument by one result.
    fn call(&mut self) {
        self.need(1);
        let (back, function) = (self.label(), self.random.below(self.functions));
        self.line(&format!("PUSH2 @{back}\nSWAP1\nPUSH2 @f{function}\nJUMP\n{back}:\nJUMPDEST"));
    }

    /// The body sees its argument, below it the return address.
    fn function(&mut self, number: usize) {
        self.line(&format!("f{number}:\nJUMPDEST"));
        self.depth = 1;
        for _ in 0..self.random.below(4) {
            if self.random.below(6) == 0 {
                self.host();
            } else {
                self.operation();
            }
            self.need(1);
        }
        while self.depth > 1 {
            self.line("POP");
            self.depth -= 1;
        }
        self.line("SWAP1\nJUMP");
    }

    /// A jump whose target no analysis knows: to a label, a function with a wrong stack, or nowhere.
    fn computed(&mut self) {
        let label = self.label();
        let target = match self.random.below(4) {
            0 => format!("f{}", self.random.below(self.functions)),
            _ => label.clone(),
        };
        let odd = if self.random.below(4) == 0 { "0x21" } else { "0x00" };
        self.line(&format!("PUSH2 @{target}\nPUSH1 {odd}\nCALLDATALOAD\nPUSH1 0xf8\nSHR\nXOR\nJUMP\n{label}:\nJUMPDEST"));
    }

    /// Writes the stack to memory, so that it shows, and ends.
    fn end(&mut self) {
        let len = 32 * self.depth;
        for entry in 0..self.depth {
            self.line(&format!("PUSH2 {:#06x}\nMSTORE", 32 * entry));
        }
        let whole = format!("PUSH2 {len:#06x}\nPUSH1 0x00\nRETURN");
        let end = *self.random.pick(&[whole.as_str(), whole.as_str(), "STOP", "PUSH1 0x20\nPUSH1 0x20\nREVERT", "INVALID"]);
        self.line(end);
    }
}
