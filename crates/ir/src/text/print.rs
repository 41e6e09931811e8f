//! Printing.
//!
//! in   any function
//! out  its text (rules T1 to T4)

use super::{TYPES, VIAS, name_in};
use crate::{
    function::{BlockData, Edge, Function, HostCall, Inst, Leave, LeaveId, Root, Terminator, Type, Value},
    opcodes,
};
use std::fmt::Write as _;

/// Column at which `else leave` stands.
const ELSE_COLUMN: usize = 52;

/// Prints a function.
pub fn print(function: &Function) -> String {
    let mut printer = Printer { function, text: String::new(), defined: vec![false; function.values.len()] };
    for (number, block) in function.blocks.iter().enumerate() {
        printer.block(number, block);
    }
    for (number, leave) in function.leaves.iter().enumerate() {
        printer.leave_row(number, leave);
    }
    printer.unused();
    printer.text
}

struct Printer<'a> {
    function: &'a Function,
    text: String,
    defined: Vec<bool>,
}

impl Printer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str("    ");
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn line_or_leave(&mut self, line: &str, leave: LeaveId) {
        let padded = format!("{line:<width$}", width = ELSE_COLUMN - 4);
        self.line(&format!("{padded} else {leave}"));
    }

    /// A value at its definition, with its type where that is not the expected one.
    fn definition(&mut self, value: Value, expected: Option<Type>) -> String {
        if let Some(defined) = self.defined.get_mut(value.index()) {
            *defined = true;
        }
        match self.function.values.get(value.index()) {
            Some(ty) if Some(*ty) != expected => format!("{value}: {}", name_in(TYPES, ty)),
            _ => value.to_string(),
        }
    }

    fn block(&mut self, number: usize, block: &BlockData) {
        let _ = write!(self.text, "block {number} (pc {:#06x}", block.pc);
        if block.unlikely {
            self.text.push_str(" unlikely");
        }
        if let Some(root) = &block.root {
            self.root(root);
        }
        self.text.push_str("):\n");
        for (value, inst) in &block.insts {
            let result = value.map(|value| format!("{} = ", self.definition(value, inst.result()))).unwrap_or_default();
            let text = format!("{result}{}", inst_text(inst));
            match inst.leave() {
                Some(leave) => self.line_or_leave(&text, leave),
                None => self.line(&text),
            }
        }
        if let Some(end) = &block.end {
            let text = self.terminator(end);
            match (end, end.leave()) {
                (Terminator::Leave(leave), _) => self.line(&leave.to_string()),
                (_, Some(leave)) => self.line_or_leave(&text, leave),
                (_, None) => self.line(&text),
            }
        }
    }

    fn root(&mut self, root: &Root) {
        self.text.push_str(", root");
        if let Some(entry) = root.entry {
            let _ = write!(self.text, ", entry {entry}");
        }
        let _ = write!(self.text, ", height {}..={}, memory {}", root.height_min, root.height_max, root.memory_min);
        if root.dispatch {
            self.text.push_str(", dispatch");
        }
        for (slot, value) in &root.params {
            let value = self.definition(*value, Some(Type::Word));
            let _ = write!(self.text, ", [{slot}] = {value}");
        }
    }

    fn terminator(&self, end: &Terminator) -> String {
        match end {
            Terminator::Jump(edge) => format!("jump {}", self.edge(edge)),
            Terminator::Branch(condition, taken, other) => {
                format!("branch {condition} -> {}, {}", self.edge(taken), self.edge(other))
            }
            Terminator::Switch { target, cases, .. } => {
                let cases: Vec<String> = cases.iter().map(|(pc, edge)| format!("{pc:#06x}: {}", self.edge(edge))).collect();
                format!("switch {target} -> {}", cases.join(", "))
            }
            Terminator::Dispatch { target, top, .. } => format!("dispatch {target}, top [{top}]"),
            Terminator::Finish(call) => format!("finish {}", host_call(call)),
            Terminator::Suspend { call, next } => format!("suspend {} -> {}", host_call(call), self.edge(next)),
            Terminator::Leave(_) => String::new(),
        }
    }

    fn edge(&self, edge: &Edge) -> String {
        let mut text = edge.block.to_string();
        let is_root = self.function.blocks.get(edge.block.index()).is_some_and(|block| block.root.is_some());
        if is_root || edge.top != 0 {
            let _ = write!(text, " top [{}]", edge.top);
        }
        if !edge.args.is_empty() {
            let _ = write!(text, " ({})", values(&edge.args));
        }
        text
    }

    fn leave_row(&mut self, number: usize, leave: &Leave) {
        let _ = write!(
            self.text,
            "leave {number}: {} at {:#06x}, give back {}, top [{}]",
            leave.reason.name(),
            leave.pc,
            leave.gas,
            leave.top
        );
        for (index, (slot, value)) in leave.stores.iter().enumerate() {
            let _ = write!(self.text, ", {}[{slot}] = {value}", if index == 0 { "store " } else { "" });
        }
        self.text.push('\n');
    }

    /// Lists the values that nothing defines (T2).
    fn unused(&mut self) {
        for (number, ty) in self.function.values.iter().enumerate() {
            if !self.defined[number] {
                let _ = writeln!(self.text, "unused {} {}", Value(number as u32), name_in(TYPES, ty));
            }
        }
    }
}

/// An instruction without its result and leave row.
fn inst_text(inst: &Inst) -> String {
    match inst {
        Inst::Const(word) => format!("const {word:#x}"),
        Inst::Number(number) => format!("number {number:#x}"),
        Inst::Pure(op, args) => format!("{} {}", op.name(), values(args)),
        Inst::Field(field) => field.name().to_owned(),
        Inst::Load(slot) => format!("load [{slot}]"),
        Inst::Store(slot, value) => format!("store [{slot}] = {value}"),
        Inst::Charge { gas, .. } => format!("charge {gas}"),
        Inst::GiveBack(gas) => format!("giveback {gas}"),
        Inst::Height { top, needs, grows, .. } => format!("height [{top}], needs {needs}, grows {grows}"),
        Inst::Narrow(value, _) => format!("narrow {value}"),
        Inst::Offset(base, bytes) => format!("offset {base}, {bytes:#x}"),
        Inst::Reach { address, length, rest, .. } => format!("reach {address}, {length}, rest {rest}"),
        Inst::MLoad(address) => format!("mload {address}"),
        Inst::MStore(address, value) => format!("mstore {address}, {value}"),
        Inst::MStore8(address, value) => format!("mstore8 {address}, {value}"),
        Inst::CallDataLoad(offset) => format!("calldataload {offset}"),
        Inst::Host(call) => format!("host {}", host_call(call)),
        Inst::Forced { bit, .. } => format!("forced {bit}"),
    }
}

fn host_call(call: &HostCall) -> String {
    let (name, via) = (opcodes::name(call.opcode), name_in(VIAS, &call.via));
    let given: Vec<_> = call.given.operands().map(|operand| format!("{operand:#x}")).collect();
    let given = if given.is_empty() { String::new() } else { format!(", given {}", given.join(", ")) };
    format!("{name} at {:#06x}, top [{}], {via}{given}", call.pc, call.top)
}

fn values(values: &[Value]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
