//! revm's interpreter as the tests use it: configurations made from its tables, runs from any state, single instructions.

use alloy_primitives::{Address, B256, Bytes, U256};
use hotevm_ir::{Config, Fork, Limits, evaluate::Frame};
use revm::{
    bytecode::Bytecode,
    context_interface::{cfg::GasParams, host::DummyHost},
    interpreter::{
        CallInput, InputsImpl, InstructionContext, InstructionResult, InstructionTable, Interpreter, InterpreterAction,
        SharedMemory,
        instructions::{gas_table_spec, instruction_table},
        interpreter::{EthInterpreter, ExtBytecode},
        interpreter_types::{Jumps, LoopControl, ReturnData},
    },
    primitives::hardfork::SpecId,
};

/// The fork in revm's list.
pub fn spec(fork: Fork) -> SpecId {
    SpecId::try_from(fork as u8).expect("the lists are equally long")
}

/// The configuration of an EVM of this fork, with every check on.
pub fn config(fork: Fork) -> Config {
    let params = GasParams::new_spec(spec(fork));
    let exp_gas = std::array::from_fn(|bytes| match bytes {
        0 => 0,
        _ => params.exp_cost(U256::from(1) << (8 * bytes - 1)) as u32,
    });
    Config {
        fork,
        gas: gas_table_spec(spec(fork)),
        exp_gas,
        custom: [0; 4],
        force_leaves: false,
        verify: true,
        // How much work is too much is a matter of the back end.
        limits: Limits { work_us_max: u32::MAX, ..Limits::default() },
        region: None,
        likely: None,
    }
}

/// What a run is given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The contract.
    pub code: Vec<u8>,
    /// Its rules.
    pub fork: Fork,
    /// Call data.
    pub call_data: Vec<u8>,
    /// Gas limit.
    pub gas: u64,
}

/// How a run ended, and the frame there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The result.
    pub result: InstructionResult,
    /// What it returned.
    pub output: Bytes,
    /// Gas left and memory.
    pub frame: Frame,
    /// Gas to refund.
    pub refund: i64,
}

/// revm's interpreter on one contract.
pub struct Machine {
    /// The interpreter.
    pub interpreter: Interpreter<EthInterpreter>,
    table: InstructionTable<EthInterpreter, DummyHost>,
    gas: [u16; 256],
    host: DummyHost,
}

/// The address that runs.
pub const TARGET: Address = Address::repeat_byte(0x11);
/// Its caller.
pub const CALLER: Address = Address::repeat_byte(0x22);
/// The value that came with the call.
pub const VALUE: u64 = 0x1234;

impl Machine {
    /// Stands before the first instruction.
    pub fn new(given: &Given) -> Self {
        let spec = spec(given.fork);
        let input = InputsImpl {
            target_address: TARGET,
            bytecode_address: Some(TARGET),
            caller_address: CALLER,
            input: CallInput::Bytes(Bytes::copy_from_slice(&given.call_data)),
            call_value: U256::from(VALUE),
            depth: 0,
        };
        let bytecode = Bytecode::new_legacy(Bytes::copy_from_slice(&given.code));
        let bytecode = ExtBytecode::new_with_hash(bytecode, B256::ZERO);
        Self {
            interpreter: Interpreter::new(SharedMemory::new(), bytecode, input, false, spec, given.gas),
            table: instruction_table(),
            gas: gas_table_spec(spec),
            host: DummyHost::new(spec),
        }
    }

    /// The frame as it is.
    pub fn frame(&self) -> Frame {
        Frame {
            stack: self.interpreter.stack.data().to_vec(),
            memory: self.interpreter.memory.context_memory().to_vec(),
            gas: self.interpreter.gas.remaining(),
            return_data_len: self.interpreter.return_data.buffer().len() as u64,
        }
    }

    /// Puts the machine into the state of a frame.
    pub fn restore(&mut self, frame: &Frame) {
        self.interpreter.stack.data_mut().clear();
        self.interpreter.stack.data_mut().extend_from_slice(&frame.stack);
        self.interpreter.gas.set_remaining(frame.gas);
        if self.interpreter.memory.len() != frame.memory.len() {
            self.interpreter.memory.resize(frame.memory.len());
            let words = frame.memory.len() as u64 / 32;
            let memory = self.interpreter.gas.memory_mut();
            memory.words_num = words as usize;
            memory.expansion_cost = 3 * words + words * words / 512;
        }
        self.interpreter.memory.context_memory_mut().copy_from_slice(&frame.memory);
    }

    /// Where the machine stands.
    pub fn pc(&self) -> usize {
        self.interpreter.bytecode.pc()
    }

    /// Goes there.
    pub fn set_pc(&mut self, pc: usize) {
        self.interpreter.bytecode.absolute_jump(pc);
    }

    /// Executes the opcode at a place without its static gas.
    pub fn execute(&mut self, opcode: u8, pc: usize) -> Result<(), InstructionResult> {
        self.set_pc(pc + 1);
        let context = InstructionContext { interpreter: &mut self.interpreter, host: &mut self.host };
        let result = self.table[usize::from(opcode)].execute(context);
        self.go_on(result)
    }

    /// Executes the instruction that the machine stands before.
    pub fn step(&mut self) -> Result<(), InstructionResult> {
        let result = self.interpreter.step(&self.table, &self.gas, &mut self.host);
        self.go_on(result)
    }

    /// A call that suspends returns at once: with the word 1 and three bytes.
    fn go_on(&mut self, result: Result<(), InstructionResult>) -> Result<(), InstructionResult> {
        if result == Err(InstructionResult::Suspend) {
            self.interpreter.take_next_action();
            self.interpreter.return_data.set_buffer(Bytes::from_static(&[1, 2, 3]));
            assert!(self.interpreter.stack.push(U256::ONE), "a call has popped its operands");
            return Ok(());
        }
        result
    }

    /// Runs to the end.
    pub fn run(&mut self) -> End {
        loop {
            if let Err(error) = self.step() {
                return self.finish(error);
            }
        }
    }

    /// Ends the frame with the result of the last instruction. What is left on the stack means nothing then, and is forgotten.
    pub fn finish(&mut self, error: InstructionResult) -> End {
        if self.interpreter.bytecode.action().is_none() {
            self.interpreter.halt(error);
        }
        let frame = Frame { stack: vec![], ..self.frame() };
        match self.interpreter.take_next_action() {
            InterpreterAction::Return(result) => {
                End { result: result.result, output: result.output, frame, refund: self.interpreter.gas.refunded() }
            }
            InterpreterAction::NewFrame(_) => unreachable!("calls return at once"),
        }
    }
}
