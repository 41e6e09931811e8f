//! The state of one program under construction, and its smallest steps.
//!
//! in   decisions, the fork, the addresses that the program may call
//! out  an `Assembler`, filled by `expression`, `statement`, `control` and `calls`, which are all methods of [`Builder`]
//!
//! B1  `height` entries of the current function lie on the stack at run time; the entries below belong to someone else.
//! B2  A statement may pop entries at `floor` and above only, and write entries at `assign_floor` and above that are not locked (loop
//!     counters). It may read all of them.
//! B3  Statements take from one budget, so a program has an end whatever the decisions are.

use alloy_primitives::{Address, U256};
use revm::{
    bytecode::opcode::{self as op},
    primitives::hardfork::SpecId,
};

use super::{
    assembler::{Assembler, Label},
    choices::Choices,
};

/// Heights that expressions and blocks stay under, so that DUP and SWAP reach most of a frame and a nest of calls stays valid.
pub(crate) const HEIGHT_MAX: usize = 24;

/// What a program may do.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The fork whose opcodes are used.
    pub fork: SpecId,
    /// Addresses of contracts to call; later ones of a set, so that most call trees are finite.
    pub peers: Vec<Address>,
    /// How many statements there are at most.
    pub statements: u32,
    /// How deep contracts contain init code of contracts.
    pub create_depth: u32,
}

/// The part of the stack that the current function sees.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    pub height: usize,
    pub floor: usize,
    pub assign_floor: usize,
    pub locked: Vec<usize>,
}

/// A function inside the program, in Solidity's manner: the return address lies below the arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    pub label: Label,
    pub arguments: usize,
    pub results: usize,
    pub recursive: bool,
}

/// A program under construction.
pub(crate) struct Builder<'c, 'b> {
    pub choices: &'c mut Choices<'b>,
    pub assembler: Assembler,
    pub setting: Setting,
    pub frame: Frame,
    /// Loops and conditions around this place.
    pub nesting: u32,
    /// Loops around this place.
    pub loops: u32,
    /// Statements left.
    pub budget: u32,
    pub functions: Vec<Function>,
    /// The function being written may call only those from here on, so that calls end.
    pub callable_from: usize,
}

impl<'c, 'b> Builder<'c, 'b> {
    pub(crate) fn new(choices: &'c mut Choices<'b>, setting: Setting) -> Self {
        let budget = setting.statements;
        Builder {
            choices,
            assembler: Assembler::default(),
            setting,
            frame: Frame::default(),
            nesting: 0,
            loops: 0,
            budget,
            functions: Vec::new(),
            callable_from: 0,
        }
    }

    /// Whether the fork knows what came with `fork`. Now and then true without reason: opcodes of later forks have to halt.
    pub(crate) fn knows(&mut self, fork: SpecId) -> bool {
        self.setting.fork.is_enabled_in(fork) || self.choices.chance(1, 256)
    }

    /// Appends an opcode that takes `inputs` entries and leaves `outputs`.
    pub(crate) fn apply(&mut self, opcode: u8, inputs: usize, outputs: usize) {
        self.assembler.op(opcode);
        self.frame.height = self.frame.height.saturating_sub(inputs) + outputs;
    }

    /// Pushes a word.
    pub(crate) fn push(&mut self, word: U256) {
        let with_push0 = self.setting.fork.is_enabled_in(SpecId::SHANGHAI) && !self.choices.chance(1, 8);
        self.assembler.push(word, with_push0);
        self.frame.height += 1;
    }

    /// Pushes a small number.
    pub(crate) fn push_number(&mut self, number: usize) {
        self.push(U256::from(number));
    }

    /// Pushes the place of a label.
    pub(crate) fn push_label(&mut self, label: Label) {
        self.assembler.push_label(label);
        self.frame.height += 1;
    }

    /// Jumps to a label if the top entry, which is taken, is not zero.
    pub(crate) fn jump_if(&mut self, label: Label) {
        self.push_label(label);
        self.apply(op::JUMPI, 2, 0);
    }

    /// Jumps to a label. What follows is reached only by a label.
    pub(crate) fn jump(&mut self, label: Label) {
        self.push_label(label);
        self.apply(op::JUMP, 1, 0);
    }

    /// Copies the entry `depth` below the top (0 to 15).
    pub(crate) fn duplicate(&mut self, depth: usize) {
        self.apply(op::DUP1 + depth.min(15) as u8, 0, 1);
    }

    /// Exchanges the top with the entry `depth` below it (1 to 16).
    pub(crate) fn swap(&mut self, depth: usize) {
        self.apply(op::SWAP1 + (depth.clamp(1, 16) - 1) as u8, 0, 0);
    }

    /// Takes entries off the stack or pushes expressions until `height` is reached.
    pub(crate) fn settle(&mut self, height: usize) {
        while self.frame.height > height {
            self.apply(op::POP, 1, 0);
        }
        while self.frame.height < height {
            self.expression(1);
        }
    }

    /// How many entries can still be pushed.
    pub(crate) fn room(&self) -> usize {
        HEIGHT_MAX.saturating_sub(self.frame.height)
    }

    /// Takes one statement from the budget.
    pub(crate) fn spend(&mut self) -> bool {
        let left = self.budget > 0;
        self.budget = self.budget.saturating_sub(1);
        left
    }
}
