//! The text form of SSA functions: dumps and file tests are written in it.
//!
//! in   a function, or its text
//! out  its text, or the function
//!
//! ```text
//! block 1 (pc 0x0010, root, entry 1, height 0..=1022, memory 96, [-1] = v4):
//!     charge 28                                       else leave 0
//!     v7 = const 0x20
//!     v8 = add v4, v7
//!     v9 = narrow v8                                  else leave 1
//!     reach v9, 32, rest 13                           else leave 1
//!     v10 = mload v9
//!     v11 = iszero v10
//!     branch v11 -> block 2, block 3 top [-1]
//! leave 0: gas at 0x0010, give back 0, top [0], store [-1] = v4
//! leave 1: memory at 0x0014, give back 13, top [1], store [-1] = v4, [0] = v7
//! unused v5 num
//! ```
//!
//! T1  Blocks and leave rows stand in order; a value has the type that its definition gives it, or the one behind a colon
//!     (`v3: bool = ...`), which is printed only where the two differ.
//! T2  Values that nothing defines are listed with their types as `unused`.
//! T3  `[-1]` is a slot. `top` is how far an edge moves the stack top; 0 where it is not written.
//! T4  What follows `;` on a line is a comment.
//! T5  `parse(print(f)) == f` for every function whose definitions name values of its table.

mod parse;
mod print;
mod token;

pub use parse::{ParseError, Reason, parse};
pub use print::print;

use crate::function::{Type, Via};

/// Names of the types.
const TYPES: &[(Type, &str)] = &[(Type::Word, "word"), (Type::Num, "num"), (Type::Bool, "bool")];

/// Names of what executes an opcode on the host's side.
const VIAS: &[(Via, &str)] = &[(Via::Builtin, "builtin"), (Via::Table, "table"), (Via::Step, "step")];

/// The name of a row in one of the tables above.
fn name_in<T: PartialEq>(table: &[(T, &'static str)], wanted: &T) -> &'static str {
    table.iter().find(|(row, _)| row == wanted).map_or("", |(_, name)| name)
}
