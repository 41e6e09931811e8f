//! Opcode facts: one row per opcode, from which decoding, analysis and building derive everything they know of it.
//!
//! in   nothing
//! out  [`info`]: name, immediate bytes, stack in and out, first fork, class
//!
//! O1  A byte without a row is an unknown opcode: its block ends with a leave before it.
//! O2  `inputs` is how many entries the instruction needs, `outputs` how many stand in their place afterwards.
//! O3  DUPN, SWAPN and EXCHANGE (EIP-8024) have no row: their immediates are no part of the jump destination rule, so the
//!     interpreter executes them.

use crate::{
    fork::Fork,
    function::{Field, PureOp},
};

/// How the compiler treats an opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A pure function of its operands.
    Pure(PureOp),
    /// EXP: folded where both operands are constant, a builtin otherwise.
    Exp,
    /// PUSH0 to PUSH32.
    Push,
    /// DUP1 to DUP16: the entry that is copied, 1 for the top.
    Dup(u8),
    /// SWAP1 to SWAP16: the entry that is swapped with the top, 1 for the one below it.
    Swap(u8),
    /// POP.
    Pop,
    /// JUMP.
    Jump,
    /// JUMPI.
    JumpIf,
    /// JUMPDEST.
    JumpDest,
    /// PC.
    Pc,
    /// GAS.
    Gas,
    /// MSIZE.
    Msize,
    /// A value that stands in the native frame.
    Field(Field),
    /// CALLDATALOAD.
    CallDataLoad,
    /// MLOAD.
    MLoad,
    /// MSTORE.
    MStore,
    /// MSTORE8.
    MStore8,
    /// A builtin that works on the stack in memory.
    Builtin,
    /// A table call.
    Table,
    /// Calls and creates: a table call that may suspend the frame.
    Suspend,
    /// STOP, RETURN, REVERT: a builtin that ends the frame.
    Finish,
    /// SELFDESTRUCT: a table call that ends the frame.
    FinishTable,
    /// INVALID: a leave.
    Invalid,
}

/// The facts of one opcode.
#[derive(Debug, Clone, Copy)]
pub struct Opcode {
    /// Mnemonic.
    pub name: &'static str,
    /// Bytes that follow the opcode and belong to it.
    pub immediate: u8,
    /// Entries that it needs on the stack.
    pub inputs: u8,
    /// Entries that stand in their place afterwards.
    pub outputs: u8,
    /// First fork that knows it.
    pub since: Fork,
    /// How the compiler treats it.
    pub class: Class,
}

impl Opcode {
    /// Whether the instruction ends its block whatever the operands are.
    pub const fn ends_block(&self) -> bool {
        matches!(self.class, Class::Jump | Class::JumpIf | Class::Suspend | Class::Finish | Class::FinishTable | Class::Invalid)
    }
}

macro_rules! opcodes {
    ($($byte:literal $name:ident $imm:literal $inputs:literal $outputs:literal $since:ident $class:expr;)*) => {
        const fn table() -> [Option<Opcode>; 256] {
            let mut table = [None; 256];
            $(
                table[$byte] = Some(Opcode {
                    name: stringify!($name),
                    immediate: $imm,
                    inputs: $inputs,
                    outputs: $outputs,
                    since: Fork::$since,
                    class: $class,
                });
            )*
            let mut n = 0;
            while n < 33 {
                table[0x5f + n] = Some(Opcode {
                    name: PUSH_NAMES[n],
                    immediate: n as u8,
                    inputs: 0,
                    outputs: 1,
                    since: if n == 0 { Fork::Shanghai } else { Fork::Frontier },
                    class: Class::Push,
                });
                n += 1;
            }
            let mut n = 0;
            while n < 16 {
                table[0x80 + n] = Some(Opcode {
                    name: DUP_NAMES[n],
                    immediate: 0,
                    inputs: n as u8 + 1,
                    outputs: n as u8 + 2,
                    since: Fork::Frontier,
                    class: Class::Dup(n as u8 + 1),
                });
                table[0x90 + n] = Some(Opcode {
                    name: SWAP_NAMES[n],
                    immediate: 0,
                    inputs: n as u8 + 2,
                    outputs: n as u8 + 2,
                    since: Fork::Frontier,
                    class: Class::Swap(n as u8 + 1),
                });
                n += 1;
            }
            table
        }

        /// Opcode bytes by mnemonic.
        #[expect(missing_docs, reason = "the names say it")]
        pub mod byte { $(pub const $name: u8 = $byte;)* }
    };
}

const PUSH_NAMES: [&str; 33] = [
    "PUSH0", "PUSH1", "PUSH2", "PUSH3", "PUSH4", "PUSH5", "PUSH6", "PUSH7", "PUSH8", "PUSH9", "PUSH10", "PUSH11", "PUSH12",
    "PUSH13", "PUSH14", "PUSH15", "PUSH16", "PUSH17", "PUSH18", "PUSH19", "PUSH20", "PUSH21", "PUSH22", "PUSH23", "PUSH24",
    "PUSH25", "PUSH26", "PUSH27", "PUSH28", "PUSH29", "PUSH30", "PUSH31", "PUSH32",
];
const DUP_NAMES: [&str; 16] = [
    "DUP1", "DUP2", "DUP3", "DUP4", "DUP5", "DUP6", "DUP7", "DUP8", "DUP9", "DUP10", "DUP11", "DUP12", "DUP13", "DUP14", "DUP15",
    "DUP16",
];
const SWAP_NAMES: [&str; 16] = [
    "SWAP1", "SWAP2", "SWAP3", "SWAP4", "SWAP5", "SWAP6", "SWAP7", "SWAP8", "SWAP9", "SWAP10", "SWAP11", "SWAP12", "SWAP13",
    "SWAP14", "SWAP15", "SWAP16",
];

opcodes! {
    0x00 STOP 0 0 0 Frontier Class::Finish;
    0x01 ADD 0 2 1 Frontier Class::Pure(PureOp::Add);
    0x02 MUL 0 2 1 Frontier Class::Pure(PureOp::Mul);
    0x03 SUB 0 2 1 Frontier Class::Pure(PureOp::Sub);
    0x04 DIV 0 2 1 Frontier Class::Pure(PureOp::Div);
    0x05 SDIV 0 2 1 Frontier Class::Pure(PureOp::SDiv);
    0x06 MOD 0 2 1 Frontier Class::Pure(PureOp::Mod);
    0x07 SMOD 0 2 1 Frontier Class::Pure(PureOp::SMod);
    0x08 ADDMOD 0 3 1 Frontier Class::Pure(PureOp::AddMod);
    0x09 MULMOD 0 3 1 Frontier Class::Pure(PureOp::MulMod);
    0x0a EXP 0 2 1 Frontier Class::Exp;
    0x0b SIGNEXTEND 0 2 1 Frontier Class::Pure(PureOp::SignExtend);
    0x10 LT 0 2 1 Frontier Class::Pure(PureOp::Lt);
    0x11 GT 0 2 1 Frontier Class::Pure(PureOp::Gt);
    0x12 SLT 0 2 1 Frontier Class::Pure(PureOp::Slt);
    0x13 SGT 0 2 1 Frontier Class::Pure(PureOp::Sgt);
    0x14 EQ 0 2 1 Frontier Class::Pure(PureOp::Eq);
    0x15 ISZERO 0 1 1 Frontier Class::Pure(PureOp::IsZero);
    0x16 AND 0 2 1 Frontier Class::Pure(PureOp::And);
    0x17 OR 0 2 1 Frontier Class::Pure(PureOp::Or);
    0x18 XOR 0 2 1 Frontier Class::Pure(PureOp::Xor);
    0x19 NOT 0 1 1 Frontier Class::Pure(PureOp::Not);
    0x1a BYTE 0 2 1 Frontier Class::Pure(PureOp::Byte);
    0x1b SHL 0 2 1 Petersburg Class::Pure(PureOp::Shl);
    0x1c SHR 0 2 1 Petersburg Class::Pure(PureOp::Shr);
    0x1d SAR 0 2 1 Petersburg Class::Pure(PureOp::Sar);
    0x1e CLZ 0 1 1 Osaka Class::Pure(PureOp::Clz);
    0x20 KECCAK256 0 2 1 Frontier Class::Builtin;
    0x30 ADDRESS 0 0 1 Frontier Class::Field(Field::Address);
    0x31 BALANCE 0 1 1 Frontier Class::Table;
    0x32 ORIGIN 0 0 1 Frontier Class::Table;
    0x33 CALLER 0 0 1 Frontier Class::Field(Field::Caller);
    0x34 CALLVALUE 0 0 1 Frontier Class::Field(Field::CallValue);
    0x35 CALLDATALOAD 0 1 1 Frontier Class::CallDataLoad;
    0x36 CALLDATASIZE 0 0 1 Frontier Class::Field(Field::CallDataSize);
    0x37 CALLDATACOPY 0 3 0 Frontier Class::Builtin;
    0x38 CODESIZE 0 0 1 Frontier Class::Field(Field::CodeSize);
    0x39 CODECOPY 0 3 0 Frontier Class::Builtin;
    0x3a GASPRICE 0 0 1 Frontier Class::Table;
    0x3b EXTCODESIZE 0 1 1 Frontier Class::Table;
    0x3c EXTCODECOPY 0 4 0 Frontier Class::Builtin;
    0x3d RETURNDATASIZE 0 0 1 Byzantium Class::Field(Field::ReturnDataSize);
    0x3e RETURNDATACOPY 0 3 0 Byzantium Class::Builtin;
    0x3f EXTCODEHASH 0 1 1 Petersburg Class::Table;
    0x40 BLOCKHASH 0 1 1 Frontier Class::Table;
    0x41 COINBASE 0 0 1 Frontier Class::Table;
    0x42 TIMESTAMP 0 0 1 Frontier Class::Table;
    0x43 NUMBER 0 0 1 Frontier Class::Table;
    0x44 DIFFICULTY 0 0 1 Frontier Class::Table;
    0x45 GASLIMIT 0 0 1 Frontier Class::Table;
    0x46 CHAINID 0 0 1 Istanbul Class::Table;
    0x47 SELFBALANCE 0 0 1 Istanbul Class::Table;
    0x48 BASEFEE 0 0 1 London Class::Table;
    0x49 BLOBHASH 0 1 1 Cancun Class::Table;
    0x4a BLOBBASEFEE 0 0 1 Cancun Class::Table;
    0x4b SLOTNUM 0 0 1 Amsterdam Class::Table;
    0x50 POP 0 1 0 Frontier Class::Pop;
    0x51 MLOAD 0 1 1 Frontier Class::MLoad;
    0x52 MSTORE 0 2 0 Frontier Class::MStore;
    0x53 MSTORE8 0 2 0 Frontier Class::MStore8;
    0x54 SLOAD 0 1 1 Frontier Class::Builtin;
    0x55 SSTORE 0 2 0 Frontier Class::Builtin;
    0x56 JUMP 0 1 0 Frontier Class::Jump;
    0x57 JUMPI 0 2 0 Frontier Class::JumpIf;
    0x58 PC 0 0 1 Frontier Class::Pc;
    0x59 MSIZE 0 0 1 Frontier Class::Msize;
    0x5a GAS 0 0 1 Frontier Class::Gas;
    0x5b JUMPDEST 0 0 0 Frontier Class::JumpDest;
    0x5c TLOAD 0 1 1 Cancun Class::Builtin;
    0x5d TSTORE 0 2 0 Cancun Class::Builtin;
    0x5e MCOPY 0 3 0 Cancun Class::Builtin;
    0xa0 LOG0 0 2 0 Frontier Class::Builtin;
    0xa1 LOG1 0 3 0 Frontier Class::Builtin;
    0xa2 LOG2 0 4 0 Frontier Class::Builtin;
    0xa3 LOG3 0 5 0 Frontier Class::Builtin;
    0xa4 LOG4 0 6 0 Frontier Class::Builtin;
    0xf0 CREATE 0 3 1 Frontier Class::Suspend;
    0xf1 CALL 0 7 1 Frontier Class::Suspend;
    0xf2 CALLCODE 0 7 1 Frontier Class::Suspend;
    0xf3 RETURN 0 2 0 Frontier Class::Finish;
    0xf4 DELEGATECALL 0 6 1 Homestead Class::Suspend;
    0xf5 CREATE2 0 4 1 Petersburg Class::Suspend;
    0xfa STATICCALL 0 6 1 Byzantium Class::Suspend;
    0xfd REVERT 0 2 0 Byzantium Class::Finish;
    0xfe INVALID 0 0 0 Frontier Class::Invalid;
    0xff SELFDESTRUCT 0 1 0 Frontier Class::FinishTable;
}

static TABLE: [Option<Opcode>; 256] = table();

/// The facts of an opcode byte; none for a byte that no fork gives a meaning the compiler knows.
pub fn info(byte: u8) -> Option<&'static Opcode> {
    TABLE[usize::from(byte)].as_ref()
}

/// The mnemonic, or `OP_xx` for an unknown byte.
pub fn name(byte: u8) -> String {
    info(byte).map_or_else(|| format!("OP_{byte:02x}"), |opcode| opcode.name.to_owned())
}
