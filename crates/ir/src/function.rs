//! The SSA form: what stands between the analysis of bytecode and the generation of machine code.
//!
//! in   built by `build`, read back by `parse`
//! out  read by passes, verifier, printer, evaluator and the LLVM backend
//!
//! F1  A *root* block is entered with the frame at home: every stack entry is in its home slot except those that its
//!     parameters name. Every other block has exactly one predecessor and goes on with what that one knows.
//! F2  Slots are counted from the stack top at the root's entry: slot -1 is the top entry there, slot 0 the first above it.
//! F3  A block ends in one terminator. Edges to root blocks carry by how much the root's stack top moves and the parameters.
//! F4  A leave puts the frame into the state before an instruction: its row says pc, gas to give back, stack height, and which
//!     slots are still to be stored.
//! F5  Home slots are written by [`Inst::Store`], leaves, and host instructions; so between two of them a leave may go back to
//!     the earlier one and execute again what was pure.

use crate::leave::LeaveReason;
use alloy_primitives::U256;

macro_rules! index_types {
    ($($(#[$meta:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// As an index into the table that it numbers.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, concat!($prefix, "{}"), self.0)
            }
        }
    )*};
}

index_types! {
    /// An SSA value.
    Value "v";
    /// A block of the SSA form.
    Block "block ";
    /// A row of the leave table.
    LeaveId "leave ";
}

/// Type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// A 256-bit word.
    Word,
    /// A 64-bit number: a memory address below 2^33, or a length.
    Num,
    /// A truth value.
    Bool,
}

macro_rules! pure_ops {
    ($($(#[$meta:meta])* $variant:ident $name:literal ($($arg:ident),*) $result:ident;)*) => {
        /// A pure operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum PureOp { $($(#[$meta])* $variant,)* }

        impl PureOp {
            /// Every operation, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Types of the operands.
            pub const fn operands(self) -> &'static [Type] {
                match self { $(Self::$variant => &[$(Type::$arg),*],)* }
            }

            /// Type of the result.
            pub const fn result(self) -> Type {
                match self { $(Self::$variant => Type::$result,)* }
            }
        }
    };
}

pure_ops! {
    /// Sum modulo 2^256.
    Add "add" (Word, Word) Word;
    /// Difference modulo 2^256.
    Sub "sub" (Word, Word) Word;
    /// Product modulo 2^256.
    Mul "mul" (Word, Word) Word;
    /// Quotient; 0 for divisor 0.
    Div "div" (Word, Word) Word;
    /// Signed quotient, truncated; 0 for divisor 0; the least number by -1 is itself.
    SDiv "sdiv" (Word, Word) Word;
    /// Remainder; 0 for divisor 0.
    Mod "mod" (Word, Word) Word;
    /// Signed remainder with the dividend's sign; 0 for divisor 0.
    SMod "smod" (Word, Word) Word;
    /// Sum without overflow, modulo the third operand; 0 for modulus 0.
    AddMod "addmod" (Word, Word, Word) Word;
    /// Product without overflow, modulo the third operand; 0 for modulus 0.
    MulMod "mulmod" (Word, Word, Word) Word;
    /// SIGNEXTEND: the second operand, extended from the byte that the first names (0 is the lowest).
    SignExtend "signextend" (Word, Word) Word;
    /// Bitwise and.
    And "and" (Word, Word) Word;
    /// Bitwise or.
    Or "or" (Word, Word) Word;
    /// Bitwise exclusive or.
    Xor "xor" (Word, Word) Word;
    /// Bitwise complement.
    Not "not" (Word) Word;
    /// BYTE: the byte of the second operand that the first names (0 is the highest); 0 from 32 on.
    Byte "byte" (Word, Word) Word;
    /// SHL: the second operand shifted left by the first; 0 from 256 on.
    Shl "shl" (Word, Word) Word;
    /// SHR: the second operand shifted right by the first; 0 from 256 on.
    Shr "shr" (Word, Word) Word;
    /// SAR: the second operand shifted right by the first, sign filled.
    Sar "sar" (Word, Word) Word;
    /// Leading zero bits; 256 for 0 (EIP-7939).
    Clz "clz" (Word) Word;
    /// Less, unsigned.
    Lt "lt" (Word, Word) Bool;
    /// Greater, unsigned.
    Gt "gt" (Word, Word) Bool;
    /// Less, signed.
    Slt "slt" (Word, Word) Bool;
    /// Greater, signed.
    Sgt "sgt" (Word, Word) Bool;
    /// Equal.
    Eq "eq" (Word, Word) Bool;
    /// Equal to zero.
    IsZero "iszero" (Word) Bool;
    /// Logical complement.
    BoolNot "boolnot" (Bool) Bool;
    /// 1 for true, 0 for false.
    FromBool "frombool" (Bool) Word;
    /// The number as a word.
    FromNum "fromnum" (Num) Word;
}

macro_rules! fields {
    ($($(#[$meta:meta])* $variant:ident $name:literal $result:ident;)*) => {
        /// A value that stands in the native frame.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Field { $($(#[$meta])* $variant,)* }

        impl Field {
            /// Every field, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Type of the value.
            pub const fn result(self) -> Type {
                match self { $(Self::$variant => Type::$result,)* }
            }
        }
    };
}

fields! {
    /// ADDRESS.
    Address "address" Word;
    /// CALLER.
    Caller "caller" Word;
    /// CALLVALUE.
    CallValue "callvalue" Word;
    /// CALLDATASIZE.
    CallDataSize "calldatasize" Num;
    /// CODESIZE.
    CodeSize "codesize" Num;
    /// RETURNDATASIZE.
    ReturnDataSize "returndatasize" Num;
    /// MSIZE: bytes of memory.
    MemorySize "msize" Num;
    /// GAS: what is left.
    Gas "gas" Num;
}

/// One instruction. Those with a result define the value that stands beside them in [`BlockData::insts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inst {
    /// A constant word.
    Const(U256),
    /// A constant number.
    Number(u64),
    /// A pure operation.
    Pure(PureOp, Vec<Value>),
    /// A value of the frame.
    Field(Field),
    /// The content of a home slot.
    Load(i32),
    /// Writes a home slot.
    Store(i32, Value),
    /// Charges gas, or leaves with nothing charged.
    Charge {
        /// Units of gas.
        gas: u32,
        /// Where to go when less is left.
        leave: LeaveId,
    },
    /// Gives back gas that was charged for instructions on another way.
    GiveBack(u32),
    /// Checks that the stack, whose top is slot `top`, holds `needs` entries and has room for `grows` more.
    Height {
        /// The stack height, as the slot one above the top.
        top: i32,
        /// Entries needed; 0 when known to be there.
        needs: u16,
        /// Entries that come on top; 0 when known to fit.
        grows: u16,
        /// Where to go otherwise.
        leave: LeaveId,
    },
    /// Makes a number of a word below 2^32, or leaves.
    Narrow(Value, LeaveId),
    /// The number some bytes behind a number that was made of a word.
    Offset(Value, u32),
    /// Makes memory reach from `address` over `length` bytes, growing and charging for it, or leaves.
    Reach {
        /// First byte, a number.
        address: Value,
        /// Bytes.
        length: u32,
        /// Gas that was charged for what stands behind this instruction in its section.
        rest: u32,
        /// Where to go when the growth cannot be paid.
        leave: LeaveId,
    },
    /// The word at an address within reach.
    MLoad(Value),
    /// Stores a word at an address within reach.
    MStore(Value, Value),
    /// Stores the lowest byte of a word at an address within reach.
    MStore8(Value, Value),
    /// CALLDATALOAD of a word offset.
    CallDataLoad(Value),
    /// An opcode executed by the host on the stack at home.
    Host(HostCall),
    /// Leaves when the bit of the frame's leave mask is set (tests only).
    Forced {
        /// Bit of the mask, below 64.
        bit: u8,
        /// Where to go.
        leave: LeaveId,
    },
}

/// An opcode executed by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCall {
    /// The opcode.
    pub opcode: u8,
    /// Its place.
    pub pc: u32,
    /// The stack height, as the slot one above the top.
    pub top: i32,
    /// What executes it.
    pub via: Via,
    /// Operands that it is handed.
    pub given: Given,
}

/// Operands that a host instruction is handed, as they are not at home: small constants, from the top of the stack. Whatever executes it
/// brings them home first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// All are at home.
    Nothing,
    /// The one on top.
    One(u32),
    /// The one on top, and the one below it.
    Two(u16, u16),
}

impl Given {
    /// The operands, from the top.
    pub fn operands(self) -> impl Iterator<Item = u32> {
        let operands = match self {
            Self::Nothing => [None, None],
            Self::One(first) => [Some(first), None],
            Self::Two(first, second) => [Some(first.into()), Some(second.into())],
        };
        operands.into_iter().flatten()
    }
}

/// What executes an opcode on the host's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A builtin of its own, over revm's function.
    Builtin,
    /// The EVM's instruction table; static gas was charged by the section.
    Table,
    /// A whole step of the interpreter, static gas included; nothing is known afterwards.
    Step,
}

/// A way from one block to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Where it leads.
    pub block: Block,
    /// For root blocks: the stack top there, as the slot of the present root one above the top.
    pub top: i32,
    /// For root blocks: one value per parameter.
    pub args: Vec<Value>,
}

/// What ends a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terminator {
    /// Goes on there.
    Jump(Edge),
    /// First edge where the truth value holds, else the second.
    Branch(Value, Edge, Edge),
    /// Compares a word with jump destinations; leaves where none is equal.
    Switch {
        /// The jump target, a word.
        target: Value,
        /// Destination pc and edge.
        cases: Vec<(u32, Edge)>,
        /// Where to go otherwise.
        leave: LeaveId,
    },
    /// Jumps to any guarded entry point whose pc is the word; leaves where none fits.
    Dispatch {
        /// The jump target, a word.
        target: Value,
        /// The stack height after the jump, as the slot one above the top.
        top: i32,
        /// Where to go otherwise; everything is at home there.
        leave: LeaveId,
    },
    /// A host instruction that ends the frame.
    Finish(HostCall),
    /// A call or create: returns to the host when it suspends, goes on otherwise.
    Suspend {
        /// The instruction.
        call: HostCall,
        /// The block after it, which is an entry point.
        next: Edge,
    },
    /// Gives the frame back.
    Leave(LeaveId),
}

/// A row of the leave table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    /// Why.
    pub reason: LeaveReason,
    /// The instruction to continue at.
    pub pc: u32,
    /// Gas to give back.
    pub gas: u32,
    /// The stack height there, as the slot one above the top.
    pub top: i32,
    /// Slots to be stored first.
    pub stores: Vec<(i32, Value)>,
}

/// A block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockData {
    /// Pc of the first instruction it was built from.
    pub pc: u32,
    /// Facts of a root block; none for blocks that go on from their only predecessor.
    pub root: Option<Root>,
    /// Whether it is not expected to run; a hint.
    pub unlikely: bool,
    /// Instructions with the values they define.
    pub insts: Vec<(Option<Value>, Inst)>,
    /// The end; none only while the block is being built.
    pub end: Option<Terminator>,
}

/// What holds where a root block is entered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Root {
    /// Stack entries kept in values: the slot, and the value that holds it.
    pub params: Vec<(i32, Value)>,
    /// Number under which the block can be entered from outside, if it can.
    pub entry: Option<u32>,
    /// Least stack height; a guard for entries from outside.
    pub height_min: u16,
    /// Greatest stack height; a guard for entries from outside.
    pub height_max: u16,
    /// Bytes that memory has at least; a guard for entries from outside.
    pub memory_min: u32,
    /// Whether computed jumps may arrive here.
    pub dispatch: bool,
}

/// A function: the compiled form of one contract, or of a region of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// Blocks, in layout order; block 0 is entry 0.
    pub blocks: Vec<BlockData>,
    /// Types of the values.
    pub values: Vec<Type>,
    /// The leave table.
    pub leaves: Vec<Leave>,
}

impl Function {
    /// Makes a value.
    pub fn value(&mut self, ty: Type) -> Value {
        self.values.push(ty);
        Value(self.values.len() as u32 - 1)
    }

    /// The type of a value.
    ///
    /// # Panics
    /// When the value is not of this function.
    pub fn type_of(&self, value: Value) -> Type {
        self.values[value.index()]
    }

    /// All instructions, in the order of the blocks, with the values that they define.
    pub fn instructions(&self) -> impl Iterator<Item = (Option<Value>, &Inst)> {
        self.blocks.iter().flat_map(|block| &block.insts).map(|(value, inst)| (*value, inst))
    }

    /// By value, what is said of the instruction that defines it; nothing of parameters.
    ///
    /// # Panics
    /// When an instruction defines a value that is not of this function.
    pub fn by_value<'a, T: Clone>(&'a self, tell: impl Fn(&'a Inst) -> Option<T>) -> Vec<Option<T>> {
        let mut told = vec![None; self.values.len()];
        for (value, inst) in self.instructions() {
            if let Some(value) = value {
                told[value.index()] = tell(inst);
            }
        }
        told
    }
}

impl Inst {
    /// The word, if this is a constant one.
    pub const fn as_const(&self) -> Option<U256> {
        if let Self::Const(word) = self { Some(*word) } else { None }
    }

    /// The number, if this is a constant one.
    pub const fn as_number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The number that this one stands behind, and how many bytes.
    pub const fn as_offset(&self) -> Option<(Value, u32)> {
        if let Self::Offset(base, bytes) = self { Some((*base, *bytes)) } else { None }
    }

    /// Type of the result; none for instructions that define nothing.
    pub fn result(&self) -> Option<Type> {
        match self {
            Self::Const(_) | Self::Load(_) | Self::MLoad(_) | Self::CallDataLoad(_) => Some(Type::Word),
            Self::Number(_) | Self::Narrow(..) | Self::Offset(..) => Some(Type::Num),
            Self::Pure(op, _) => Some(op.result()),
            Self::Field(field) => Some(field.result()),
            Self::Store(..)
            | Self::Charge { .. }
            | Self::GiveBack(_)
            | Self::Height { .. }
            | Self::Reach { .. }
            | Self::MStore(..)
            | Self::MStore8(..)
            | Self::Host(_)
            | Self::Forced { .. } => None,
        }
    }

    /// The values it reads, those of its leave row aside.
    pub fn operands(&self) -> Vec<Value> {
        match self {
            Self::Pure(_, args) => args.clone(),
            Self::Store(_, value) | Self::Narrow(value, _) | Self::MLoad(value) | Self::CallDataLoad(value) => vec![*value],
            Self::Reach { address, .. } => vec![*address],
            Self::Offset(base, _) => vec![*base],
            Self::MStore(address, value) | Self::MStore8(address, value) => vec![*address, *value],
            Self::Const(_)
            | Self::Number(_)
            | Self::Field(_)
            | Self::Load(_)
            | Self::Charge { .. }
            | Self::GiveBack(_)
            | Self::Height { .. }
            | Self::Host(_)
            | Self::Forced { .. } => vec![],
        }
    }

    /// The leave row it may go to.
    pub fn leave(&self) -> Option<LeaveId> {
        match self {
            Self::Charge { leave, .. }
            | Self::Height { leave, .. }
            | Self::Narrow(_, leave)
            | Self::Reach { leave, .. }
            | Self::Forced { leave, .. } => Some(*leave),
            _ => None,
        }
    }

    /// Whether it may be removed when nobody reads its result.
    pub fn is_pure(&self) -> bool {
        matches!(
            self,
            Self::Const(_)
                | Self::Number(_)
                | Self::Pure(..)
                | Self::Offset(..)
                | Self::Field(_)
                | Self::Load(_)
                | Self::MLoad(_)
                | Self::CallDataLoad(_)
        )
    }
}

impl Terminator {
    /// The edges, in order.
    pub fn edges(&self) -> Vec<&Edge> {
        match self {
            Self::Jump(edge) | Self::Suspend { next: edge, .. } => vec![edge],
            Self::Branch(_, taken, other) => vec![taken, other],
            Self::Switch { cases, .. } => cases.iter().map(|(_, edge)| edge).collect(),
            Self::Dispatch { .. } | Self::Finish(_) | Self::Leave(_) => vec![],
        }
    }

    /// The values it reads, edge arguments included, those of its leave row aside.
    pub fn operands(&self) -> Vec<Value> {
        let mut values: Vec<Value> = match self {
            Self::Branch(value, ..) => vec![*value],
            Self::Switch { target, .. } | Self::Dispatch { target, .. } => vec![*target],
            Self::Jump(_) | Self::Finish(_) | Self::Suspend { .. } | Self::Leave(_) => vec![],
        };
        values.extend(self.edges().into_iter().flat_map(|edge| edge.args.iter().copied()));
        values
    }

    /// The leave row it may go to.
    pub fn leave(&self) -> Option<LeaveId> {
        match self {
            Self::Switch { leave, .. } | Self::Dispatch { leave, .. } | Self::Leave(leave) => Some(*leave),
            Self::Jump(_) | Self::Branch(..) | Self::Finish(_) | Self::Suspend { .. } => None,
        }
    }
}
