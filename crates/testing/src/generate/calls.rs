//! Calls to other contracts and creations of new ones.
//!
//! in   the addresses of the setting, precompiles, nobody, oneself
//! out  code that puts input into memory, calls in one of four ways, and looks at what came back

use alloy_primitives::{Address, U256};
use revm::{bytecode::opcode as op, primitives::hardfork::SpecId};

use super::{
    builder::{Builder, Setting},
    program,
};

impl Builder<'_, '_> {
    /// Pushes an address: mostly one that has code.
    pub(crate) fn address(&mut self) {
        let peers = self.setting.peers.clone();
        match self.choices.below(12) {
            0..=6 => match self.choices.pick(&peers).copied() {
                Some(peer) => self.push_address(peer),
                None => self.apply(op::CALLER, 0, 1),
            },
            7 | 8 => {
                let precompile = self.choices.within(1..11);
                self.push_number(precompile);
            }
            9 => self.push_address(Address::with_last_byte(0xee)),
            10 if self.loops == 0 => self.apply(op::ADDRESS, 0, 1),
            _ => self.apply(op::CALLER, 0, 1),
        }
    }

    fn push_address(&mut self, address: Address) {
        self.assembler.push_bytes(address.as_slice());
        self.frame.height += 1;
    }

    /// A call with input from memory; its status stays on the stack as a local.
    pub(crate) fn external_call(&mut self) {
        for word in 0..self.choices.below(3) {
            self.expression(2);
            self.push_number(32 * word);
            self.apply(op::MSTORE, 2, 0);
        }
        let opcode = match self.choices.below(8) {
            0..=3 => op::CALL,
            4 | 5 if self.knows(SpecId::BYZANTIUM) => op::STATICCALL,
            6 if self.knows(SpecId::HOMESTEAD) => op::DELEGATECALL,
            7 => op::CALLCODE,
            _ => op::CALL,
        };
        self.memory_len();
        self.memory_offset();
        let input_len = 32 * self.choices.below(5);
        self.push_number(input_len);
        let input_offset = if self.choices.chance(1, 4) { self.choices.below(0x300) } else { 0 };
        self.push_number(input_offset);
        let with_value = opcode == op::CALL || opcode == op::CALLCODE;
        if with_value {
            let value = if self.choices.chance(1, 6) { self.choices.below(5) } else { 0 };
            self.push_number(value);
        }
        self.address();
        self.call_gas();
        self.apply(opcode, 6 + usize::from(with_value), 1);
        if self.setting.fork.is_enabled_in(SpecId::BYZANTIUM) && self.choices.chance(1, 3) {
            self.copy_return_data();
        }
    }

    /// Gas to hand over: a part, since a callee that halts burns it. Everything only where 63/64 of it is the limit.
    fn call_gas(&mut self) {
        match self.choices.below(8) {
            0 if self.setting.fork.is_enabled_in(SpecId::TANGERINE) => self.apply(op::GAS, 0, 1),
            1 => {
                self.push_number(2);
                self.apply(op::GAS, 0, 1);
                self.apply(op::DIV, 2, 1);
            }
            2 => {
                let gas = self.choices.below(3000);
                self.push_number(gas);
            }
            _ => {
                let gas = self.choices.within(20_000..90_000);
                self.push_number(gas);
            }
        }
    }

    /// Creates a contract from init code in memory; mostly the init code returns a small program, which may be called at once.
    pub(crate) fn create(&mut self) {
        let init_code = self.init_code();
        for (index, chunk) in init_code.chunks(32).enumerate() {
            let mut word = [0; 32];
            if let Some(head) = word.get_mut(..chunk.len()) {
                head.copy_from_slice(chunk);
            }
            self.push(U256::from_be_bytes(word));
            self.push_number(32 * index);
            self.apply(op::MSTORE, 2, 0);
        }
        let with_salt = self.choices.chance(1, 2) && self.knows(SpecId::PETERSBURG);
        if with_salt {
            let salt = self.choices.below(3);
            self.push_number(salt);
        }
        self.push_number(init_code.len());
        self.push_number(0);
        let value = if self.choices.chance(1, 8) { 1 } else { 0 };
        self.push_number(value);
        if with_salt {
            self.apply(op::CREATE2, 4, 1)
        } else {
            self.apply(op::CREATE, 3, 1)
        }
        if self.choices.chance(1, 2) {
            // Result and input ranges empty, value 0, the new address, some gas.
            for _ in 0..5 {
                self.push_number(0);
            }
            self.duplicate(5);
            self.push_number(40_000);
            self.apply(op::CALL, 7, 1);
        }
    }

    /// Init code that returns a program, or a program run as init code, or random bytes.
    fn init_code(&mut self) -> Vec<u8> {
        let setting = Setting {
            statements: 1 + self.choices.below(5) as u32,
            create_depth: self.setting.create_depth.saturating_sub(1),
            ..self.setting.clone()
        };
        if self.setting.create_depth == 0 || self.choices.chance(1, 10) {
            let len = self.choices.below(20);
            return self.choices.bytes(len);
        }
        let runtime = program::structured(self.choices, setting);
        if self.choices.chance(1, 8) || runtime.len() > 2000 {
            return runtime.into_iter().take(2000).collect();
        }
        deploying(&runtime)
    }
}

/// Length of the code in front of what `deploying` returns.
const DEPLOYING_LEN: u8 = 12;

/// Init code that returns `runtime`.
pub(crate) fn deploying(runtime: &[u8]) -> Vec<u8> {
    let [high, low] = (runtime.len() as u16).to_be_bytes();
    // The length stays below CODECOPY's operands, for RETURN.
    let mut code = vec![op::PUSH2, high, low, op::DUP1, op::PUSH1, DEPLOYING_LEN, op::PUSH1, 0, op::CODECOPY];
    code.extend([op::PUSH1, 0, op::RETURN]);
    code.extend_from_slice(runtime);
    code
}
