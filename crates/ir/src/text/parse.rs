//! Parsing.
//!
//! in   the text of a function
//! out  the function, or the first line that is none and why

use super::{TYPES, VIAS, token::Cursor};
use crate::{
    function::{BlockData, Edge, Field, Function, Given, HostCall, Inst, Leave, PureOp, Root, Terminator, Type, Value},
    leave::LeaveReason,
    opcodes,
};

/// Why a text is no function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A character that starts no token.
    #[error("unexpected character `{0}`")]
    Character(char),
    /// Something else stands where this is wanted.
    #[error("wanted {wanted}, found `{found}`")]
    Missing {
        /// What should stand there.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// A number that is none, or too large for its place.
    #[error("bad number `{0}`")]
    Number(String),
    /// A name that is not in its table.
    #[error("no {table} is called `{name}`")]
    Unknown {
        /// What was looked up.
        table: &'static str,
        /// The name.
        name: String,
    },
    /// Blocks or leave rows are not numbered in order.
    #[error("this should be number {0}")]
    Order(usize),
    /// An instruction outside a block, or behind the end of one.
    #[error("an instruction stands where no block is open")]
    Outside,
    /// A value whose type nothing tells.
    #[error("nothing gives {0} a type")]
    Untyped(Value),
}

/// Values above this number are refused, so that a short text cannot ask for a large table.
const VALUE_MAX: u32 = 1 << 24;

/// Parses a function.
///
/// # Errors
/// The first line that is not of the text form.
pub fn parse(text: &str) -> Result<Function, ParseError> {
    let mut parser = Parser::default();
    let mut last = 0;
    for (index, line) in text.lines().enumerate() {
        last = index + 1;
        parser.line(line).map_err(|reason| ParseError { line: last, reason })?;
    }
    parser.finish().map_err(|reason| ParseError { line: last, reason })
}

#[derive(Default)]
struct Parser {
    function: Function,
    types: Vec<Option<Type>>,
}

impl Parser {
    fn finish(mut self) -> Result<Function, Reason> {
        for (number, ty) in self.types.into_iter().enumerate() {
            self.function.values.push(ty.ok_or(Reason::Untyped(Value(number as u32)))?);
        }
        Ok(self.function)
    }

    fn line(&mut self, line: &str) -> Result<(), Reason> {
        let mut cursor = Cursor::new(line)?;
        if cursor.is_empty() {
            return Ok(());
        }
        let is_indented = line.starts_with(char::is_whitespace);
        if is_indented {
            self.inst_or_end(&mut cursor)?;
        } else if cursor.take("block") {
            self.block(&mut cursor)?;
        } else if cursor.take("leave") {
            self.leave_row(&mut cursor)?;
        } else {
            cursor.expect("unused")?;
            let value = cursor.value()?;
            let ty = row_of(TYPES, "type", cursor.name()?)?;
            self.set_type(value, ty)?;
        }
        cursor.end()
    }

    fn set_type(&mut self, value: Value, ty: Type) -> Result<(), Reason> {
        if value.0 > VALUE_MAX {
            return Err(Reason::Number(value.to_string()));
        }
        if self.types.len() <= value.index() {
            self.types.resize(value.index() + 1, None);
        }
        self.types[value.index()] = Some(ty);
        Ok(())
    }

    /// Reads the type behind a defined value, or takes the expected one (T1).
    fn annotation(cursor: &mut Cursor<'_>) -> Result<Option<Type>, Reason> {
        if cursor.take(":") { row_of(TYPES, "type", cursor.name()?).map(Some) } else { Ok(None) }
    }

    fn block(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Reason> {
        let number: u32 = cursor.number()?;
        if number as usize != self.function.blocks.len() {
            return Err(Reason::Order(self.function.blocks.len()));
        }
        cursor.expect("(")?;
        let pc = cursor.labelled("pc")?;
        let unlikely = cursor.take("unlikely");
        let root = if cursor.take(",") { Some(self.root(cursor)?) } else { None };
        cursor.expect(")")?;
        cursor.expect(":")?;
        self.function.blocks.push(BlockData { pc, root, unlikely, insts: vec![], end: None });
        Ok(())
    }

    fn root(&mut self, cursor: &mut Cursor<'_>) -> Result<Root, Reason> {
        let mut root = Root::default();
        cursor.expect("root")?;
        cursor.expect(",")?;
        if cursor.take("entry") {
            root.entry = Some(cursor.number()?);
            cursor.expect(",")?;
        }
        root.height_min = cursor.labelled("height")?;
        root.height_max = cursor.labelled("..=")?;
        cursor.expect(",")?;
        root.memory_min = cursor.labelled("memory")?;
        while cursor.take(",") {
            if cursor.take("dispatch") {
                root.dispatch = true;
            } else {
                let slot = cursor.slot()?;
                cursor.expect("=")?;
                let value = cursor.value()?;
                let ty = Self::annotation(cursor)?.unwrap_or(Type::Word);
                self.set_type(value, ty)?;
                root.params.push((slot, value));
            }
        }
        Ok(root)
    }

    fn inst_or_end(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Reason> {
        let Some(block) = self.function.blocks.last_mut().filter(|block| block.end.is_none()) else {
            return Err(Reason::Outside);
        };
        if let Some(end) = terminator(cursor)? {
            block.end = Some(end);
            return Ok(());
        }
        let mut result = None;
        if cursor.is_value() {
            let value = cursor.value()?;
            let ty = Self::annotation(cursor)?;
            cursor.expect("=")?;
            result = Some((value, ty));
        }
        let inst = inst(cursor)?;
        let inferred = inst.result();
        block.insts.push((result.map(|(value, _)| value), inst));
        let Some((value, annotated)) = result else { return Ok(()) };
        let ty = annotated.or(inferred).ok_or(Reason::Untyped(value))?;
        self.set_type(value, ty)
    }

    fn leave_row(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Reason> {
        let number: u32 = cursor.number()?;
        if number as usize != self.function.leaves.len() {
            return Err(Reason::Order(self.function.leaves.len()));
        }
        cursor.expect(":")?;
        let name = cursor.name()?;
        let reason = LeaveReason::ALL.into_iter().find(|reason| reason.name() == name);
        let reason = reason.ok_or_else(|| unknown("reason to leave", name))?;
        let pc = cursor.labelled("at")?;
        cursor.expect(",")?;
        cursor.expect("give")?;
        let gas = cursor.labelled("back")?;
        cursor.expect(",")?;
        let top = top(cursor)?;
        let mut stores = vec![];
        if cursor.take(",") {
            cursor.expect("store")?;
            loop {
                let slot = cursor.slot()?;
                cursor.expect("=")?;
                stores.push((slot, cursor.value()?));
                if !cursor.take(",") {
                    break;
                }
            }
        }
        self.function.leaves.push(Leave { reason, pc, gas, top, stores });
        Ok(())
    }
}

/// Reads a terminator; none, and nothing taken, where an instruction stands.
fn terminator(cursor: &mut Cursor<'_>) -> Result<Option<Terminator>, Reason> {
    if cursor.take("jump") {
        return Ok(Some(Terminator::Jump(edge(cursor)?)));
    }
    if cursor.take("branch") {
        let condition = cursor.value()?;
        cursor.expect("->")?;
        let taken = edge(cursor)?;
        cursor.expect(",")?;
        return Ok(Some(Terminator::Branch(condition, taken, edge(cursor)?)));
    }
    if cursor.take("switch") {
        return switch(cursor).map(Some);
    }
    if cursor.take("dispatch") {
        let target = cursor.value()?;
        cursor.expect(",")?;
        let top = top(cursor)?;
        cursor.expect("else")?;
        return Ok(Some(Terminator::Dispatch { target, top, leave: cursor.leave()? }));
    }
    if cursor.take("finish") {
        return Ok(Some(Terminator::Finish(host_call(cursor)?)));
    }
    if cursor.take("suspend") {
        let call = host_call(cursor)?;
        cursor.expect("->")?;
        return Ok(Some(Terminator::Suspend { call, next: edge(cursor)? }));
    }
    let mut ahead = cursor.clone();
    if let Ok(leave) = ahead.leave() {
        *cursor = ahead;
        return Ok(Some(Terminator::Leave(leave)));
    }
    Ok(None)
}

fn switch(cursor: &mut Cursor<'_>) -> Result<Terminator, Reason> {
    let target = cursor.value()?;
    cursor.expect("->")?;
    let mut cases = vec![];
    while !cursor.take("else") {
        if !cases.is_empty() {
            cursor.expect(",")?;
        }
        let pc = cursor.number()?;
        cursor.expect(":")?;
        cases.push((pc, edge(cursor)?));
    }
    Ok(Terminator::Switch { target, cases, leave: cursor.leave()? })
}

fn edge(cursor: &mut Cursor<'_>) -> Result<Edge, Reason> {
    let mut edge = Edge { block: cursor.block()?, top: 0, args: vec![] };
    if cursor.take("top") {
        edge.top = cursor.slot()?;
    }
    if cursor.take("(") {
        edge.args = values(cursor)?;
        cursor.expect(")")?;
    }
    Ok(edge)
}

fn top(cursor: &mut Cursor<'_>) -> Result<i32, Reason> {
    cursor.expect("top")?;
    cursor.slot()
}

fn values(cursor: &mut Cursor<'_>) -> Result<Vec<Value>, Reason> {
    let mut values = vec![];
    while cursor.is_value() {
        values.push(cursor.value()?);
        if !cursor.take(",") {
            break;
        }
    }
    Ok(values)
}

fn host_call(cursor: &mut Cursor<'_>) -> Result<HostCall, Reason> {
    let name = cursor.name()?;
    let opcode = (0..=u8::MAX).find(|byte| opcodes::name(*byte) == name).ok_or_else(|| unknown("opcode", name))?;
    let pc = cursor.labelled("at")?;
    cursor.expect(",")?;
    let top = top(cursor)?;
    cursor.expect(",")?;
    let via = row_of(VIAS, "way to the host", cursor.name()?)?;
    Ok(HostCall { opcode, pc, top, via, given: given(cursor)? })
}

fn given(cursor: &mut Cursor<'_>) -> Result<Given, Reason> {
    if !cursor.take(",") {
        return Ok(Given::Nothing);
    }
    let mut ahead = cursor.clone();
    let first = cursor.labelled("given")?;
    if !cursor.take(",") {
        return Ok(Given::One(first));
    }
    Ok(Given::Two(ahead.labelled("given")?, cursor.number()?))
}

fn inst(cursor: &mut Cursor<'_>) -> Result<Inst, Reason> {
    let name = cursor.name()?;
    if let Some(op) = PureOp::ALL.iter().find(|op| op.name() == name) {
        return Ok(Inst::Pure(*op, values(cursor)?));
    }
    if let Some(field) = Field::ALL.iter().find(|field| field.name() == name) {
        return Ok(Inst::Field(*field));
    }
    match name {
        "const" => Ok(Inst::Const(cursor.number()?)),
        "number" => Ok(Inst::Number(cursor.number()?)),
        "load" => Ok(Inst::Load(cursor.slot()?)),
        "store" => {
            let slot = cursor.slot()?;
            cursor.expect("=")?;
            Ok(Inst::Store(slot, cursor.value()?))
        }
        "offset" => {
            let base = cursor.value()?;
            cursor.expect(",")?;
            Ok(Inst::Offset(base, cursor.number()?))
        }
        "mload" => Ok(Inst::MLoad(cursor.value()?)),
        "mstore" => pair(cursor).map(|(address, value)| Inst::MStore(address, value)),
        "mstore8" => pair(cursor).map(|(address, value)| Inst::MStore8(address, value)),
        "calldataload" => Ok(Inst::CallDataLoad(cursor.value()?)),
        "host" => host_call(cursor).map(Inst::Host),
        _ => leaving_inst(cursor, name),
    }
}

fn pair(cursor: &mut Cursor<'_>) -> Result<(Value, Value), Reason> {
    let first = cursor.value()?;
    cursor.expect(",")?;
    Ok((first, cursor.value()?))
}

/// An instruction that ends with `else leave`.
fn leaving_inst(cursor: &mut Cursor<'_>, name: &str) -> Result<Inst, Reason> {
    let leave = |cursor: &mut Cursor<'_>| {
        cursor.expect("else")?;
        cursor.leave()
    };
    match name {
        "giveback" => Ok(Inst::GiveBack(cursor.number()?)),
        "charge" => Ok(Inst::Charge { gas: cursor.number()?, leave: leave(cursor)? }),
        "height" => {
            let top = cursor.slot()?;
            cursor.expect(",")?;
            let needs = cursor.labelled("needs")?;
            cursor.expect(",")?;
            let grows = cursor.labelled("grows")?;
            Ok(Inst::Height { top, needs, grows, leave: leave(cursor)? })
        }
        "narrow" => Ok(Inst::Narrow(cursor.value()?, leave(cursor)?)),
        "reach" => {
            let address = cursor.value()?;
            cursor.expect(",")?;
            let length = cursor.number()?;
            cursor.expect(",")?;
            let rest = cursor.labelled("rest")?;
            Ok(Inst::Reach { address, length, rest, leave: leave(cursor)? })
        }
        "forced" => Ok(Inst::Forced { bit: cursor.number()?, leave: leave(cursor)? }),
        _ => Err(unknown("instruction", name)),
    }
}

fn row_of<T: Copy>(table: &[(T, &str)], what: &'static str, name: &str) -> Result<T, Reason> {
    table.iter().find(|(_, row)| *row == name).map(|(value, _)| *value).ok_or_else(|| unknown(what, name))
}

fn unknown(table: &'static str, name: &str) -> Reason {
    Reason::Unknown { table, name: name.to_owned() }
}
