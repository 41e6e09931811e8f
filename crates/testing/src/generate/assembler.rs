//! Bytecode under construction, with labels.
//!
//! in   opcodes, words, labels
//! out  bytes; every reference to a placed label is a PUSH2 of its JUMPDEST

use alloy_primitives::U256;
use revm::bytecode::opcode::{JUMPDEST, PUSH0, PUSH1, PUSH2};

/// A place that code can jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(usize);

/// Bytes, and the references that are still to be filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assembler {
    code: Vec<u8>,
    labels: Vec<Option<u16>>,
    references: Vec<(usize, Label)>,
}

impl Assembler {
    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.code.len()
    }

    /// Appends one opcode.
    pub(crate) fn op(&mut self, opcode: u8) {
        self.code.push(opcode);
    }

    /// Appends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    /// Appends the shortest push of a word; `with_push0` says whether zero may be PUSH0.
    pub(crate) fn push(&mut self, word: U256, with_push0: bool) {
        if word.is_zero() && with_push0 {
            return self.op(PUSH0);
        }
        let bytes = word.to_be_bytes::<32>();
        let skipped = (word.leading_zeros() / 8).min(31);
        self.push_bytes(bytes.get(skipped..).unwrap_or_default());
    }

    /// Appends a push of 1 to 32 bytes, leading zeros included.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        let len = bytes.len().clamp(1, 32);
        self.op(PUSH1 + (len - 1) as u8);
        self.raw(bytes.get(..len).unwrap_or(&[0]));
    }

    /// A label to be placed later.
    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places a label here, with its JUMPDEST.
    pub(crate) fn place(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = Some(self.code.len() as u16);
        }
        self.op(JUMPDEST);
    }

    /// Appends a push of a label's place.
    pub(crate) fn push_label(&mut self, label: Label) {
        self.op(PUSH2);
        self.references.push((self.code.len(), label));
        self.raw(&[0, 0]);
    }

    /// The bytes with all references filled in; a label that was never placed is 0.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for (position, label) in self.references {
            let place = self.labels.get(label.0).copied().flatten().unwrap_or_default();
            if let Some(field) = self.code.get_mut(position..position + 2) {
                field.copy_from_slice(&place.to_be_bytes());
            }
        }
        self.code
    }
}
