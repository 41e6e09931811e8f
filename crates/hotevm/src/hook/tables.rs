//! Instruction tables: the EVM's own, compared with itself and changed so that the interpreter stops now and then.
//!
//! in   the EVM's table, the opcodes declared custom
//! out  the opcodes that changed since; copies whose JUMPDEST stops the loop, and which note what runs
//!
//! I1  A stop is `Suspend` without an action, at a JUMPDEST; nothing but its static gas was charged.
//! I2  A custom JUMPDEST or JUMPI is never replaced.

use super::watch;
use revm::interpreter::{
    Host, Instruction, InstructionContext, InstructionExecResult, InstructionResult, InstructionTable,
    interpreter::EthInterpreter,
};

pub(super) const JUMPI: u8 = 0x57;
pub(super) const JUMPDEST: u8 = 0x5b;

/// Where the interpreter stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stops {
    /// At every JUMPDEST.
    Destinations,
    /// At the JUMPDESTs that [`super::watch`] wants, which notes JUMPDEST and JUMPI.
    Watched,
    /// At one JUMPDEST in 64, chosen by the gas that is left.
    Ticks,
}

/// The tables of one EVM, each made when it is first needed.
pub(super) struct Tables<CTX: Host>([Option<Box<InstructionTable<EthInterpreter, CTX>>>; 3]);

impl<CTX: Host> Tables<CTX> {
    pub(super) const fn none() -> Self {
        Self([None, None, None])
    }

    /// The table with these stops; none where JUMPDEST is custom.
    pub(super) fn get(
        &mut self,
        stops: Stops,
        table: &InstructionTable<EthInterpreter, CTX>,
        custom: &[u64; 4],
    ) -> Option<&InstructionTable<EthInterpreter, CTX>> {
        if is_set(custom, JUMPDEST) {
            return None;
        }
        let slot = self.0.get_mut(stops as usize)?;
        Some(slot.get_or_insert_with(|| Box::new(stopping(stops, table, custom))))
    }
}

fn stopping<CTX: Host>(
    stops: Stops,
    table: &InstructionTable<EthInterpreter, CTX>,
    custom: &[u64; 4],
) -> InstructionTable<EthInterpreter, CTX> {
    let mut stopping = *table;
    stopping[usize::from(JUMPDEST)] = match stops {
        Stops::Destinations => Instruction::new(stop::<CTX>),
        Stops::Watched => Instruction::new(watch::destination::<CTX>),
        Stops::Ticks => Instruction::new(tick::<CTX>),
    };
    if stops == Stops::Watched && !is_set(custom, JUMPI) {
        stopping[usize::from(JUMPI)] = Instruction::new(watch::branch::<CTX>);
    }
    stopping
}

fn stop<CTX: Host>(_: InstructionContext<'_, CTX, EthInterpreter>) -> InstructionExecResult {
    Err(InstructionResult::Suspend)
}

/// Stops once in 64 times: multiplying by the golden ratio spreads the gas left evenly, whatever a loop costs.
fn tick<CTX: Host>(context: InstructionContext<'_, CTX, EthInterpreter>) -> InstructionExecResult {
    let spread = context.interpreter.gas.remaining().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    if spread >> 58 == 0 { Err(InstructionResult::Suspend) } else { Ok(()) }
}

/// Whether an opcode is in a 256-bit set.
pub(super) fn is_set(words: &[u64; 4], opcode: u8) -> bool {
    words[usize::from(opcode / 64)] >> (opcode % 64) & 1 == 1
}

/// Opcodes whose function is another than in the snapshot are custom from now on; whether there are any.
pub(super) fn note_changes<CTX: Host>(
    snapshot: &[usize; 256],
    table: &InstructionTable<EthInterpreter, CTX>,
    custom: &mut [u64; 4],
) -> bool {
    let new = addresses(table);
    if snapshot == new {
        return false;
    }
    for opcode in (0..256).filter(|opcode| snapshot[*opcode] != new[*opcode]) {
        custom[opcode / 64] |= 1 << (opcode % 64);
    }
    true
}

/// The addresses of a table's functions.
pub(super) fn addresses<CTX: Host>(table: &InstructionTable<EthInterpreter, CTX>) -> &[usize; 256] {
    const { assert!(size_of::<Instruction<EthInterpreter, CTX>>() == size_of::<usize>()) };
    const { assert!(align_of::<Instruction<EthInterpreter, CTX>>() == align_of::<usize>()) };
    // SAFETY: an `Instruction` is one function pointer, of the size and alignment of an address, as checked above.
    unsafe { &*std::ptr::from_ref(table).cast() }
}
