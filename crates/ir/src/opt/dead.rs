//! Dead code: values that nobody reads, and blocks that nothing leads to.
//!
//! in   a function
//! out  the same function without them; also how passes rename values

use crate::function::{Edge, Function, Inst, Terminator, Value};

/// Removes instructions whose value nobody reads.
pub fn run(function: &mut Function) {
    let mut live = vec![false; function.values.len()];
    let mut work: Vec<Value> = vec![];
    let mut defined = vec![None; function.values.len()];
    for (number, block) in function.blocks.iter().enumerate() {
        for (index, (value, inst)) in block.insts.iter().enumerate() {
            if let Some(value) = value {
                defined[value.index()] = Some((number, index));
            }
            if !inst.is_pure() {
                work.extend(inst.operands());
                work.extend(inst.leave().into_iter().flat_map(|leave| stored(function, leave)));
            }
        }
        if let Some(end) = &block.end {
            work.extend(end.operands());
            work.extend(end.leave().into_iter().flat_map(|leave| stored(function, leave)));
        }
    }
    while let Some(value) = work.pop() {
        if std::mem::replace(&mut live[value.index()], true) {
            continue;
        }
        if let Some((block, index)) = defined[value.index()] {
            work.extend(function.blocks[block].insts[index].1.operands());
        }
    }
    for block in &mut function.blocks {
        block.insts.retain(|(value, inst)| !inst.is_pure() || value.is_none_or(|value| live[value.index()]));
    }
}

fn stored(function: &Function, leave: crate::function::LeaveId) -> impl Iterator<Item = Value> + '_ {
    function.leaves[leave.index()].stores.iter().map(|(_, value)| *value)
}

/// Follows replacements of values to their end.
fn resolve(value: &mut Value, replaced: &[Option<Value>]) {
    while let Some(Some(other)) = replaced.get(value.index()) {
        *value = *other;
    }
}

/// Renames the operands of an instruction.
pub fn rename(inst: &mut Inst, replaced: &[Option<Value>]) {
    match inst {
        Inst::Pure(_, args) => args.iter_mut().for_each(|arg| resolve(arg, replaced)),
        Inst::Store(_, value) | Inst::Narrow(value, _) | Inst::MLoad(value) | Inst::CallDataLoad(value) => {
            resolve(value, replaced);
        }
        Inst::Reach { address, .. } | Inst::Offset(address, _) => resolve(address, replaced),
        Inst::MStore(address, value) | Inst::MStore8(address, value) => {
            resolve(address, replaced);
            resolve(value, replaced);
        }
        Inst::Const(_)
        | Inst::Number(_)
        | Inst::Field(_)
        | Inst::Load(_)
        | Inst::Charge { .. }
        | Inst::GiveBack(_)
        | Inst::Height { .. }
        | Inst::Host(_)
        | Inst::Forced { .. } => {}
    }
}

/// Renames the operands of all instructions, terminators and leave rows.
pub fn rename_rest(function: &mut Function, replaced: &[Option<Value>]) {
    let edge = |edge: &mut Edge| edge.args.iter_mut().for_each(|arg| resolve(arg, replaced));
    for block in &mut function.blocks {
        block.insts.iter_mut().for_each(|(_, inst)| rename(inst, replaced));
        match &mut block.end {
            Some(Terminator::Jump(next) | Terminator::Suspend { next, .. }) => edge(next),
            Some(Terminator::Branch(condition, taken, other)) => {
                resolve(condition, replaced);
                edge(taken);
                edge(other);
            }
            Some(Terminator::Switch { target, cases, .. }) => {
                resolve(target, replaced);
                cases.iter_mut().for_each(|(_, case)| edge(case));
            }
            Some(Terminator::Dispatch { target, .. }) => resolve(target, replaced),
            Some(Terminator::Finish(_) | Terminator::Leave(_)) | None => {}
        }
    }
    for leave in &mut function.leaves {
        leave.stores.iter_mut().for_each(|(_, value)| resolve(value, replaced));
    }
}
