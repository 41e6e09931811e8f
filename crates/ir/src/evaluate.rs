//! The slow evaluator: what a function means, as the oracle of passes and of code generation.
//!
//! in   a verified function, a frame, what the frame knows of the world, and what executes host instructions
//! out  the frame at the end and how it ended
//!
//! Home slots above the stack top hold [`POISON`], so that reading one shows. A broken promise of the function (a slot outside
//! the stack, an access beyond memory, an edge that brings other facts than its root says) is an error, never a result.

use crate::{
    function::{Edge, Field, Function, HostCall, Inst, LeaveId, PureOp, Root, Terminator, Type, Value, Via},
    leave::LeaveReason,
    opt::pure,
};
use alloy_primitives::U256;

/// Greatest stack height.
const STACK_LIMIT: i64 = 1024;

/// What home slots above the stack top hold.
pub const POISON: U256 = U256::from_limbs([0xdead_dead_dead_dead; 4]);

/// The state of a frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The stack, the top last.
    pub stack: Vec<U256>,
    /// The memory, a multiple of 32 bytes.
    pub memory: Vec<u8>,
    /// Gas left.
    pub gas: u64,
    /// Bytes of return data.
    pub return_data_len: u64,
}

/// What a frame knows of the world.
#[derive(Debug, Clone, Default)]
pub struct World<'a> {
    /// The call data.
    pub call_data: &'a [u8],
    /// ADDRESS.
    pub address: U256,
    /// CALLER.
    pub caller: U256,
    /// CALLVALUE.
    pub call_value: U256,
    /// CODESIZE.
    pub code_len: u64,
    /// Bits of the forced leaves that are taken.
    pub forced: u64,
}

/// How an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Went back to the interpreter, which continues there.
    Leave {
        /// Why.
        reason: LeaveReason,
        /// Where.
        pc: u32,
    },
    /// Stands before a host instruction, whose static gas is charged unless the interpreter takes the whole step.
    Host(HostCall),
    /// Stands before a host instruction that ends the frame; its static gas is charged.
    Finish(HostCall),
}

/// The end of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub stop: Stop,
    /// The frame there.
    pub frame: Frame,
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// No block has this entry.
    #[error("no entry {0}")]
    Entry(u32),
    /// The frame is not what the entry is guarded by.
    #[error("the guard of entry {0} does not hold")]
    Guard(u32),
    /// Too many blocks were run.
    #[error("out of steps")]
    Steps,
    /// The function broke a promise.
    #[error("block {block}: {message}")]
    Broken {
        /// The block.
        block: usize,
        /// What it did.
        message: String,
    },
}

/// Executes a host instruction on a frame; false to stop before it.
pub type Host<'a> = dyn FnMut(&HostCall, &mut Frame) -> bool + 'a;

/// Runs a function from an entry on, for at most `steps_max` blocks.
///
/// # Errors
/// When there is no such entry, its guard does not hold, the steps do not suffice, or the function breaks a promise.
pub fn evaluate(
    function: &Function,
    entry: u32,
    frame: Frame,
    world: &World<'_>,
    host: &mut Host<'_>,
    steps_max: u64,
) -> Result<Outcome, EvaluateError> {
    let is_entry = |root: &Root| root.entry == Some(entry);
    let start = function.blocks.iter().position(|block| block.root.as_ref().is_some_and(is_entry));
    let start = start.ok_or(EvaluateError::Entry(entry))?;
    let mut run = Run::new(function, frame, world);
    if !function.blocks[start].root.as_ref().is_some_and(|root| run.fits(root, run.base)) {
        return Err(EvaluateError::Guard(entry));
    }
    run.enter_from_home(start)?;
    for _ in 0..steps_max {
        if let Some(stop) = run.block(host)? {
            return Ok(Outcome { stop, frame: run.frame });
        }
    }
    Err(EvaluateError::Steps)
}

struct Run<'a> {
    function: &'a Function,
    world: &'a World<'a>,
    frame: Frame,
    values: Vec<Option<U256>>,
    home: Vec<U256>,
    /// The stack height at the entry of the root.
    base: i64,
    block: usize,
}

/// How a block goes on, if not to the next instruction.
enum Next {
    Stop(Stop),
    Block,
}

type Step<T> = Result<T, EvaluateError>;

impl<'a> Run<'a> {
    fn new(function: &'a Function, frame: Frame, world: &'a World<'a>) -> Self {
        let base = frame.stack.len() as i64;
        let mut run = Self {
            function,
            world,
            frame,
            values: vec![None; function.values.len()],
            home: vec![POISON; STACK_LIMIT as usize],
            base,
            block: 0,
        };
        run.take();
        run
    }

    fn broken(&self, message: impl Into<String>) -> EvaluateError {
        EvaluateError::Broken { block: self.block, message: message.into() }
    }

    /// Takes the stack of the frame home.
    fn take(&mut self) {
        self.home.fill(POISON);
        for (home, word) in self.home.iter_mut().zip(&self.frame.stack) {
            *home = *word;
        }
    }

    /// Gives the stack back to the frame, up to a slot.
    fn give_back(&mut self, top: i32) -> Step<()> {
        let height = usize::try_from(self.base + i64::from(top)).ok();
        let stack = height.and_then(|height| self.home.get(..height)).ok_or_else(|| self.broken(format!("top [{top}]")))?;
        self.frame.stack = stack.to_vec();
        Ok(())
    }

    fn slot(&mut self, slot: i32) -> Step<&mut U256> {
        match usize::try_from(self.base + i64::from(slot)) {
            Ok(index) if index < self.home.len() => Ok(&mut self.home[index]),
            _ => Err(self.broken(format!("slot [{slot}] lies outside the stack"))),
        }
    }

    fn value(&self, value: Value) -> Step<U256> {
        self.values.get(value.index()).copied().flatten().ok_or_else(|| self.broken(format!("{value} has no value")))
    }

    fn set(&mut self, value: Value, word: U256) -> Step<()> {
        if value.index() >= self.values.len() {
            return Err(self.broken(format!("{value} is in no table")));
        }
        self.values[value.index()] = Some(word);
        Ok(())
    }

    /// Whether the frame, with a stack of this height, is what a root relies on.
    fn fits(&self, root: &Root, height: i64) -> bool {
        (i64::from(root.height_min)..=i64::from(root.height_max)).contains(&height)
            && self.frame.memory.len() as u64 >= u64::from(root.memory_min)
    }

    /// Enters a root from outside: its parameters are read from home.
    fn enter_from_home(&mut self, block: usize) -> Step<()> {
        self.block = block;
        let params = self.function.blocks[block].root.iter().flat_map(|root| &root.params);
        for (slot, value) in params {
            let word = *self.slot(*slot)?;
            self.set(*value, word)?;
        }
        Ok(())
    }

    fn follow(&mut self, edge: &Edge) -> Step<Next> {
        let target = edge.block.index();
        let Some(block) = self.function.blocks.get(target) else { return Err(self.broken(format!("no {}", edge.block))) };
        if let Some(root) = &block.root {
            let words: Vec<U256> = edge.args.iter().map(|arg| self.value(*arg)).collect::<Step<_>>()?;
            self.base += i64::from(edge.top);
            if !self.fits(root, self.base) {
                let (height, memory) = (self.base, self.frame.memory.len());
                return Err(self.broken(format!("{} is reached with height {height}, memory {memory}", edge.block)));
            }
            for ((slot, value), word) in root.params.iter().zip(words) {
                self.set(*value, word)?;
                // The home of a parameter is stale (F1).
                *self.slot(*slot)? = POISON;
            }
        }
        self.block = target;
        Ok(Next::Block)
    }

    fn leave(&mut self, leave: LeaveId) -> Step<Next> {
        let function = self.function;
        let row = function.leaves.get(leave.index()).ok_or_else(|| self.broken(format!("no {leave}")))?;
        for (slot, value) in &row.stores {
            let word = self.value(*value)?;
            *self.slot(*slot)? = word;
        }
        self.frame.gas += u64::from(row.gas);
        self.give_back(row.top)?;
        Ok(Next::Stop(Stop::Leave { reason: row.reason, pc: row.pc }))
    }

    /// Runs one block; how the evaluation ended, if it did.
    fn block(&mut self, host: &mut Host<'_>) -> Step<Option<Stop>> {
        let function = self.function;
        let block = &function.blocks[self.block];
        for (value, inst) in &block.insts {
            if let Some(Next::Stop(stop)) = self.inst(*value, inst, host)? {
                return Ok(Some(stop));
            }
        }
        let end = block.end.as_ref().ok_or_else(|| self.broken("no end"))?;
        match self.terminator(end, host)? {
            Next::Stop(stop) => Ok(Some(stop)),
            Next::Block => Ok(None),
        }
    }

    fn inst(&mut self, value: Option<Value>, inst: &Inst, host: &mut Host<'_>) -> Step<Option<Next>> {
        let result = match inst {
            Inst::Const(word) => *word,
            Inst::Number(number) => U256::from(*number),
            Inst::Pure(op, args) => self.pure(*op, args)?,
            Inst::Field(field) => self.field(*field),
            Inst::Load(slot) => *self.slot(*slot)?,
            Inst::MLoad(address) => self.load(*address)?,
            Inst::CallDataLoad(offset) => call_data_load(self.world.call_data, self.value(*offset)?),
            Inst::Offset(base, bytes) => self.value(*base)? + U256::from(*bytes),
            Inst::Narrow(word, leave) => {
                let word = self.value(*word)?;
                if word >> 32 != U256::ZERO {
                    return self.leave(*leave).map(Some);
                }
                word
            }
            _ => return self.effect(inst, host),
        };
        if let Some(value) = value {
            self.set(value, result)?;
        }
        Ok(None)
    }

    fn pure(&self, op: PureOp, args: &[Value]) -> Step<U256> {
        let words: Vec<U256> = args.iter().map(|arg| self.value(*arg)).collect::<Step<_>>()?;
        if words.len() != op.operands().len() {
            return Err(self.broken(format!("{} operands of {}", words.len(), op.name())));
        }
        let result = pure::evaluate(op, &words);
        if op.result() == Type::Bool && result > U256::ONE {
            return Err(self.broken(format!("{} gave {result}", op.name())));
        }
        Ok(result)
    }

    fn field(&self, field: Field) -> U256 {
        match field {
            Field::Address => self.world.address,
            Field::Caller => self.world.caller,
            Field::CallValue => self.world.call_value,
            Field::CallDataSize => U256::from(self.world.call_data.len()),
            Field::CodeSize => U256::from(self.world.code_len),
            Field::ReturnDataSize => U256::from(self.frame.return_data_len),
            Field::MemorySize => U256::from(self.frame.memory.len()),
            Field::Gas => U256::from(self.frame.gas),
        }
    }

    /// An instruction that defines nothing.
    fn effect(&mut self, inst: &Inst, host: &mut Host<'_>) -> Step<Option<Next>> {
        match inst {
            Inst::Store(slot, value) => {
                let word = self.value(*value)?;
                *self.slot(*slot)? = word;
            }
            Inst::Charge { gas, leave } => match self.frame.gas.checked_sub(u64::from(*gas)) {
                Some(left) => self.frame.gas = left,
                None => return self.leave(*leave).map(Some),
            },
            Inst::GiveBack(gas) => self.frame.gas = self.frame.gas.wrapping_add(u64::from(*gas)),
            Inst::Height { top, needs, grows, leave } => {
                let height = self.base + i64::from(*top);
                let missing = *needs != 0 && height < i64::from(*needs);
                if missing || *grows != 0 && height + i64::from(*grows) > STACK_LIMIT {
                    return self.leave(*leave).map(Some);
                }
            }
            Inst::Reach { address, length, leave, .. } => return self.reach(*address, *length, *leave),
            Inst::MStore(address, value) => {
                let word = self.value(*value)?;
                self.bytes(*address, 32)?.copy_from_slice(&word.to_be_bytes::<32>());
            }
            Inst::MStore8(address, value) => {
                let word = self.value(*value)?;
                self.bytes(*address, 1)?[0] = word.byte(0);
            }
            Inst::Host(call) => {
                let executed = self.call(call, host)?;
                return Ok((!executed).then_some(Next::Stop(Stop::Host(*call))));
            }
            Inst::Forced { bit, leave } if self.world.forced >> (bit % 64) & 1 == 1 => return self.leave(*leave).map(Some),
            _ => {}
        }
        Ok(None)
    }

    /// Gives the stack back as a host instruction wants it, with the operands that it is given.
    fn hand_over(&mut self, call: &HostCall) -> Step<()> {
        for (slot, operand) in (i32::MIN..call.top).rev().zip(call.given.operands()) {
            *self.slot(slot)? = U256::from(operand);
        }
        self.give_back(call.top)
    }

    /// Lets the host execute an instruction; false when it does not.
    fn call(&mut self, call: &HostCall, host: &mut Host<'_>) -> Step<bool> {
        self.hand_over(call)?;
        let executed = host(call, &mut self.frame);
        if executed {
            self.take();
        }
        Ok(executed)
    }

    /// Grows memory, or leaves with everything as it was. What stands behind it in its section is charged for already.
    fn reach(&mut self, address: Value, length: u32, leave: LeaveId) -> Step<Option<Next>> {
        let end = self.value(address)?.saturating_to::<u64>().saturating_add(u64::from(length));
        if end <= self.frame.memory.len() as u64 {
            return Ok(None);
        }
        let words = end.div_ceil(32);
        let cost = memory_gas(words).saturating_sub(memory_gas(self.frame.memory.len() as u64 / 32));
        let Some(left) = u128::from(self.frame.gas).checked_sub(cost) else { return self.leave(leave).map(Some) };
        // At most the gas left, so memory stays small where gas does.
        self.frame.memory.resize(words as usize * 32, 0);
        self.frame.gas = left as u64;
        Ok(None)
    }

    fn bytes(&mut self, address: Value, length: usize) -> Step<&mut [u8]> {
        let start = self.value(address)?.saturating_to::<usize>();
        match start.checked_add(length) {
            Some(end) if end <= self.frame.memory.len() => Ok(&mut self.frame.memory[start..end]),
            _ => Err(self.broken(format!("access to {length} bytes at {start:#x} beyond memory"))),
        }
    }

    fn load(&mut self, address: Value) -> Step<U256> {
        Ok(U256::from_be_slice(self.bytes(address, 32)?))
    }

    fn terminator(&mut self, end: &Terminator, host: &mut Host<'_>) -> Step<Next> {
        match end {
            Terminator::Jump(edge) => self.follow(edge),
            Terminator::Branch(condition, taken, other) => {
                let edge = if self.value(*condition)?.is_zero() { other } else { taken };
                self.follow(edge)
            }
            Terminator::Switch { target, cases, leave } => {
                let word = self.value(*target)?;
                match cases.iter().find(|(pc, _)| U256::from(*pc) == word) {
                    Some((_, edge)) => self.follow(edge),
                    None => self.leave(*leave),
                }
            }
            Terminator::Dispatch { target, top, leave } => self.dispatch(*target, *top, *leave),
            Terminator::Finish(call) => {
                self.hand_over(call)?;
                Ok(Next::Stop(Stop::Finish(*call)))
            }
            Terminator::Suspend { call, next } => {
                if !self.call(call, host)? {
                    return Ok(Next::Stop(Stop::Host(*call)));
                }
                let height = self.frame.stack.len() as i64;
                if call.via == Via::Step {
                    self.base = height - i64::from(next.top);
                } else if height != self.base + i64::from(next.top) {
                    return Err(self.broken(format!("the stack is {height} high behind the host instruction")));
                }
                self.follow(next)
            }
            Terminator::Leave(leave) => self.leave(*leave),
        }
    }

    fn dispatch(&mut self, target: Value, top: i32, leave: LeaveId) -> Step<Next> {
        let word = self.value(target)?;
        let height = self.base + i64::from(top);
        let found = self.function.blocks.iter().position(|block| {
            let root = block.root.as_ref().filter(|root| root.dispatch);
            U256::from(block.pc) == word && root.is_some_and(|root| self.fits(root, height))
        });
        let Some(block) = found else { return self.leave(leave) };
        self.base = height;
        self.enter_from_home(block)?;
        Ok(Next::Block)
    }
}

/// Total cost of memory (Yellow Paper, appendix H).
fn memory_gas(words: u64) -> u128 {
    let words = u128::from(words);
    3 * words + words * words / 512
}

fn call_data_load(call_data: &[u8], offset: U256) -> U256 {
    let start = offset.saturating_to::<usize>().min(call_data.len());
    let bytes = &call_data[start..call_data.len().min(start + 32)];
    let mut word = [0; 32];
    word[..bytes.len()].copy_from_slice(bytes);
    U256::from_be_bytes(word)
}
