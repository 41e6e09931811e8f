//! Frames: what a run of instructions does to a stack of which nothing is known.
//!
//! in   blocks, decoded code
//! out  [`Local`]: per block the stack at its end in terms of the stack at its start, and where its jump goes

use crate::{
    analysis::blocks::{Blocks, Exit},
    bytecode::Code,
    compile::Config,
    function::PureOp,
    opcodes::Class,
};

/// What is known of a stack entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Nothing.
    Unknown,
    /// It holds the jump destination that this block starts with.
    Destination(u32),
    /// It is the entry that lay this deep below the top at the start.
    Param(u16),
}

/// A stack in terms of another: some entries of that one were taken off, and `tops` were put on, the top last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Frame {
    popped: u16,
    tops: Vec<Entry>,
}

impl Frame {
    /// How much higher the stack stands than at the start.
    pub fn delta(&self) -> i32 {
        self.tops.len() as i32 - i32::from(self.popped)
    }

    /// Entries that are told one by one, which is what work on the frame costs.
    pub fn told(&self) -> usize {
        self.tops.len()
    }

    /// The entry this deep below the top.
    pub fn peek(&self, depth: usize) -> Entry {
        match self.tops.len().checked_sub(depth + 1) {
            Some(index) => self.tops[index],
            None => {
                let deep = usize::from(self.popped) + depth - self.tops.len();
                u16::try_from(deep).map_or(Entry::Unknown, Entry::Param)
            }
        }
    }

    fn pop(&mut self) -> Entry {
        let entry = self.peek(0);
        if self.tops.pop().is_none() {
            self.popped = self.popped.saturating_add(1);
        }
        entry
    }

    fn push(&mut self, entry: Entry) {
        self.tops.push(entry);
    }

    /// Tells entries one by one from this deep on.
    fn tell(&mut self, popped: u16) {
        let missing = (self.popped..popped).rev().map(Entry::Param);
        self.tops.splice(0..0, missing);
        self.popped = self.popped.max(popped);
    }

    fn swap(&mut self, depth: usize) {
        if self.tops.len() <= depth {
            let missing = (depth + 1 - self.tops.len()) as u16;
            self.tell(self.popped.saturating_add(missing));
        }
        let top = self.tops.len() - 1;
        self.tops.swap(top, top - depth);
    }

    /// Leaves untold what is as it was, so that equal frames compare equal.
    fn normalise(&mut self) {
        let mut same = 0;
        while same < self.tops.len()
            && same < usize::from(self.popped)
            && self.tops[same] == Entry::Param(self.popped - 1 - same as u16)
        {
            same += 1;
        }
        self.tops.drain(..same);
        self.popped -= same as u16;
    }

    /// The frame of one way after another: `next` is told in terms of what this frame leaves behind.
    pub fn then(&self, next: &Self) -> Self {
        let mut frame = self.clone();
        for _ in 0..next.popped {
            frame.pop();
        }
        let resolve = |entry: &Entry| match entry {
            Entry::Param(depth) => self.peek(usize::from(*depth)),
            known => *known,
        };
        frame.tops.extend(next.tops.iter().map(resolve));
        frame.normalise();
        frame
    }

    /// Keeps what is true of both frames, which stand equally high; whether that is less than before.
    pub fn join(&mut self, other: &Self) -> bool {
        let before = self.clone();
        let mut other = other.clone();
        let popped = self.popped.max(other.popped);
        self.tell(popped);
        other.tell(popped);
        for (own, other) in self.tops.iter_mut().zip(&other.tops) {
            if own != other {
                *own = Entry::Unknown;
            }
        }
        self.normalise();
        *self != before
    }
}

/// What one block does.
#[derive(Debug, Clone)]
pub struct Local {
    /// The stack at its end, operands of the jump taken off.
    pub frame: Frame,
    /// What its jump goes to; nothing where it has none.
    pub target: Option<Entry>,
}

/// Runs every block once.
pub fn locals(code: &Code, blocks: &Blocks, config: &Config) -> Vec<Local> {
    blocks.list.iter().map(|block| local(code, blocks, config, (block.first, block.end), block.exit)).collect()
}

fn local(code: &Code, blocks: &Blocks, config: &Config, (first, end): (usize, usize), exit: Exit) -> Local {
    let mut frame = Frame::default();
    for instruction in &code.instructions[first..end] {
        let Some(opcode) = instruction.opcode else { break };
        if config.is_custom(instruction.byte) || opcode.since > config.fork {
            break;
        }
        match opcode.class {
            Class::Push => {
                let destination = Some(instruction.immediate).filter(|word| code.is_jump_destination(*word));
                let block = destination.and_then(|word| blocks.at(word.to::<u32>()));
                frame.push(block.map_or(Entry::Unknown, |block| Entry::Destination(block as u32)));
            }
            Class::Dup(depth) => frame.push(frame.peek(usize::from(depth) - 1)),
            Class::Swap(depth) => frame.swap(usize::from(depth)),
            Class::Jump | Class::JumpIf => break,
            // Compilers cut internal function pointers to 32 bits; a jump compares its target, so a guess does no harm.
            Class::Pure(PureOp::And) => {
                let (a, b) = (frame.pop(), frame.pop());
                frame.push(if a == Entry::Unknown { b } else { a });
            }
            _ => {
                for _ in 0..opcode.inputs {
                    frame.pop();
                }
                for _ in 0..opcode.outputs {
                    frame.push(Entry::Unknown);
                }
            }
        }
    }
    let target = matches!(exit, Exit::Jump | Exit::JumpIf).then(|| frame.pop());
    if exit == Exit::JumpIf {
        frame.pop();
    }
    frame.normalise();
    Local { frame, target }
}
