//! Lowering: the SSA form to an LLVM module.
//!
//! in   a verified function
//! out  a module with one function per part, entry points, leave rows
//!
//! Z1  The entry has the signature of [`hotevm_abi::NativeFn`] and calls part 0. Parts take the number of a root block, frame and stack top,
//!     keep no register for their caller but rbp, and enter each other by tail calls.
//! Z2  Gas, memory length and builtin pointers are read from the frame where they are needed, and not kept here: in loops without calls LLVM does (`target::PASSES`). The base of memory is kept
//!     within a tree, up to what may move it: growth, and whatever the host executes.
//! Z3  A leave is a site number and stores; the site's row says the rest. Leaves of a part share one exit, but for those
//!     that a stub takes (`stubs`, Y4).
//! Z4  Frame, stack, memory and call data are told apart by alias metadata.

mod calldata;
mod edges;
mod host;
mod inst;
mod moved;
mod narrow;
mod pure;
mod stubs;
mod symbols;
mod vector;

use crate::{compile::CompileError, parts, target::Abilities};
use alloy_primitives::U256;
use hotevm_abi::{EntryPoint, LeaveRow, Status};
use hotevm_ir::{
    Function, Limits,
    function::{Block, Inst, Terminator, Value},
};
use inkwell::{
    basic_block::BasicBlock,
    builder::Builder,
    context::Context,
    module::Module,
    values::{BasicValueEnum, FunctionValue, IntValue, PhiValue, PointerValue},
};
use std::collections::HashMap;
use stubs::StubKey;
use symbols::Symbols;

pub(crate) type Result<T> = std::result::Result<T, CompileError>;

/// The tables that belong to a lowered module.
pub(crate) struct Lowered {
    pub(crate) entries: Vec<EntryPoint>,
    pub(crate) leaves: Vec<LeaveRow>,
}

/// Lowers a function into a module.
pub(crate) fn lower<'ctx>(
    context: &'ctx Context,
    module: &Module<'ctx>,
    function: &Function,
    limits: &Limits,
    abilities: Abilities,
) -> Result<Lowered> {
    let parts = parts::parts(function, limits.part_instructions_max);
    let symbols = Symbols::declare(context, module, &parts, function)?;
    let constants = function.by_value(Inst::as_const);
    let mut lower = Lower {
        context,
        module,
        builder: context.create_builder(),
        function,
        limits,
        symbols,
        parts,
        stubs: HashMap::new(),
        abilities,
        exit: None,
        growth: None,
        call_data: None,
        call_data_beyond: None,
        sum: None,
        values: vec![None; function.values.len()],
        narrow: vec![None; function.values.len()],
        moved: moved::moved(function, abilities.has_tests, &constants),
        checked: checked(function),
        bytes: HashMap::new(),
        constants,
        part: None,
        memory_base: None,
        tops: HashMap::new(),
        leaves: vec![],
        second: None,
        growth_sites: HashMap::new(),
    };
    for part in 0..lower.symbols.parts.len() {
        lower.part(part)?;
    }
    lower.dispatch()?;
    lower.define_entry()?;
    lower.define_refusable_growth()?;
    let entries = entries(function);
    Ok(Lowered { entries, leaves: lower.leaves })
}

/// The entry points, by pc, the start first.
fn entries(function: &Function) -> Vec<EntryPoint> {
    let mut entries: Vec<EntryPoint> = function
        .blocks
        .iter()
        .enumerate()
        .filter_map(|(number, block)| {
            let root = block.root.as_ref()?;
            root.entry?;
            Some(EntryPoint {
                pc: block.pc,
                number: number as u32,
                height_min: root.height_min,
                height_max: root.height_max,
                memory_min: root.memory_min,
            })
        })
        .collect();
    entries.sort_by_key(|entry| (entry.number != 0, entry.pc));
    entries
}

/// State of one part.
struct Part<'ctx> {
    function: FunctionValue<'ctx>,
    number: usize,
    frame: PointerValue<'ctx>,
    blocks: HashMap<usize, BasicBlock<'ctx>>,
    /// Stack top and parameters of the part's roots.
    roots: HashMap<usize, RootPhis<'ctx>>,
    /// The shared exit of leaves: block, stack top, site.
    exit: Option<(BasicBlock<'ctx>, PhiValue<'ctx>, PhiValue<'ctx>)>,
    /// Per root, the block that its next leaves share.
    root_exits: HashMap<usize, host::RootExit<'ctx>>,
    /// Leaves without stores, by root and row.
    plain_leaves: HashMap<usize, HashMap<LeaveRow, BasicBlock<'ctx>>>,
    multiplications: u32,
}

struct RootPhis<'ctx> {
    top: PhiValue<'ctx>,
    params: Vec<PhiValue<'ctx>>,
}

struct Lower<'ctx, 'a> {
    context: &'ctx Context,
    module: &'a Module<'ctx>,
    builder: Builder<'ctx>,
    function: &'a Function,
    limits: &'a Limits,
    symbols: Symbols<'ctx>,
    parts: Vec<usize>,
    /// The stubs in front of host builtins.
    stubs: HashMap<StubKey, FunctionValue<'ctx>>,
    abilities: Abilities,
    /// What returns a status from the entry, once it is needed.
    exit: Option<FunctionValue<'ctx>>,
    /// What grows memory or leaves, once it is needed.
    growth: Option<FunctionValue<'ctx>>,
    /// What reads call data, and what reads beyond its end, once they are needed.
    call_data: Option<FunctionValue<'ctx>>,
    call_data_beyond: Option<FunctionValue<'ctx>>,
    /// What adds a number to a vector, once it is needed (M2).
    sum: Option<FunctionValue<'ctx>>,
    values: Vec<Option<BasicValueEnum<'ctx>>>,
    /// Values that are numbers or narrow words.
    narrow: Vec<Option<narrow::Narrow<'ctx>>>,
    /// The constants among the values.
    constants: Vec<Option<U256>>,
    /// Words that are only moved and masked: they are vectors of limbs.
    moved: Vec<bool>,
    /// Words that are checked to be small.
    checked: Vec<bool>,
    /// Of vectors that were read from memory and are checked, what was read.
    bytes: HashMap<usize, vector::Bytes<'ctx>>,
    part: Option<Part<'ctx>>,
    /// The base of memory, where it was read and nothing moved it since (Z2).
    memory_base: Option<PointerValue<'ctx>>,
    /// Root and stack top of the tree that a block belongs to.
    tops: HashMap<usize, (usize, PointerValue<'ctx>)>,
    leaves: Vec<LeaveRow>,
    /// The second word of memory, which the stub of the next host instruction stores.
    second: Option<u32>,
    /// Sites of leaves where memory cannot grow, by row.
    growth_sites: HashMap<LeaveRow, u32>,
}

impl<'ctx> Lower<'ctx, '_> {
    fn defect(&self, what: &str) -> CompileError {
        CompileError::Verifier(format!("lowering: {what}"))
    }

    fn part_state(&self) -> Result<&Part<'ctx>> {
        self.part.as_ref().ok_or_else(|| self.defect("no part"))
    }

    fn part_mut(&mut self) -> Result<&mut Part<'ctx>> {
        self.part.as_mut().ok_or_else(|| CompileError::Verifier("lowering: no part".to_owned()))
    }

    fn frame(&self) -> Result<PointerValue<'ctx>> {
        Ok(self.part_state()?.frame)
    }

    fn value(&self, value: Value) -> Result<BasicValueEnum<'ctx>> {
        if let Some(value) = self.values.get(value.index()).copied().flatten() {
            return Ok(value);
        }
        let narrow = self.narrow.get(value.index()).copied().flatten();
        Ok(self.extended(narrow.ok_or_else(|| self.defect("value used before its definition"))?)?.into())
    }

    fn word(&self, value: Value) -> Result<IntValue<'ctx>> {
        Ok(self.value(value)?.into_int_value())
    }

    /// Notes what a value is; a narrow word is extended where it is read, so that its high limbs take no registers.
    fn define(&mut self, value: Value, narrow: narrow::Narrow<'ctx>) {
        self.narrow[value.index()] = Some(narrow);
    }

    fn part(&mut self, number: usize) -> Result<()> {
        let function = self.symbols.parts[number];
        let frame = function.get_nth_param(symbols::PART_FRAME).ok_or_else(|| self.defect("no frame"))?.into_pointer_value();
        let entry = self.context.append_basic_block(function, "enter");
        let own: Vec<usize> = (0..self.function.blocks.len()).filter(|block| self.parts[*block] == number).collect();
        let mut part = Part {
            function,
            number,
            frame,
            blocks: HashMap::new(),
            roots: HashMap::new(),
            exit: None,
            root_exits: HashMap::new(),
            plain_leaves: HashMap::new(),
            multiplications: 0,
        };
        for block in &own {
            let name = format!("b{block}_{:04x}", self.function.blocks[*block].pc);
            part.blocks.insert(*block, self.context.append_basic_block(function, &name));
        }
        self.part = Some(part);
        for block in &own {
            self.root_phis(*block)?;
        }
        self.enter(entry, &own)?;
        for block in &own {
            if self.function.blocks[*block].root.is_some() {
                self.tree(*block)?;
            }
        }
        Ok(())
    }

    /// Makes the phis of a root block.
    fn root_phis(&mut self, block: usize) -> Result<()> {
        let Some(root) = &self.function.blocks[block].root else { return Ok(()) };
        let target = self.part_state()?.blocks[&block];
        self.builder.position_at_end(target);
        let top = self.builder.build_phi(self.symbols.pointer, "top")?;
        let mut params = vec![];
        for (_, value) in &root.params {
            let phi = self.builder.build_phi(self.symbols.word, "param")?;
            self.values[value.index()] = Some(phi.as_basic_value());
            params.push(phi);
        }
        self.part_mut()?.roots.insert(block, RootPhis { top, params });
        Ok(())
    }

    /// The block through which a part is entered: a switch over the numbers of its roots.
    fn enter(&mut self, entry: BasicBlock<'ctx>, own: &[usize]) -> Result<()> {
        let function = self.part_state()?.function;
        let number = self.part_state()?.number;
        let top = function.get_nth_param(symbols::PART_TOP).ok_or_else(|| self.defect("no top"))?.into_pointer_value();
        let wanted = function.get_nth_param(symbols::PART_NUMBER).ok_or_else(|| self.defect("no entry"))?.into_int_value();
        let mut cases = vec![];
        let entered: Vec<usize> = own.iter().copied().filter(|block| self.is_entered(*block, number)).collect();
        for block in &entered {
            let stub = self.context.append_basic_block(function, "stub");
            self.builder.position_at_end(stub);
            self.enter_root(*block, top)?;
            cases.push((self.symbols.i32.const_int(*block as u64, false), stub));
        }
        let elsewhere = self.context.append_basic_block(function, "elsewhere");
        self.builder.position_at_end(entry);
        let switch = self.builder.build_switch(wanted, elsewhere, &cases)?;
        let rare: Vec<bool> = entered.iter().map(|block| self.function.blocks[*block].unlikely).collect();
        self.symbols.mark_ways(self.context, switch, &[&[number != 0], rare.as_slice()].concat());
        self.builder.position_at_end(elsewhere);
        self.elsewhere(number, top, wanted)
    }

    /// Whether a root is entered from outside of its part.
    fn is_entered(&self, block: usize, part: usize) -> bool {
        let Some(root) = &self.function.blocks[block].root else { return false };
        root.entry.is_some() || root.dispatch || self.symbols.crossed[block] && self.parts[block] == part
    }

    /// Numbers that a part does not know: part 0 hands them to the part that does, any other has none.
    fn elsewhere(&mut self, number: usize, top: PointerValue<'ctx>, wanted: IntValue<'ctx>) -> Result<()> {
        let others: Vec<usize> = (0..self.function.blocks.len())
            .filter(|block| {
                number == 0
                    && self.parts[*block] != 0
                    && self.function.blocks[*block].root.as_ref().is_some_and(|root| root.entry.is_some())
            })
            .collect();
        if others.is_empty() {
            self.builder.build_unreachable()?;
            return Ok(());
        }
        let function = self.part_state()?.function;
        let from = self.builder.get_insert_block().ok_or_else(|| self.defect("no block"))?;
        let nowhere = self.context.append_basic_block(function, "nowhere");
        let mut calls: HashMap<usize, BasicBlock<'ctx>> = HashMap::new();
        let mut cases = vec![];
        for block in others {
            let part = self.parts[block];
            let call = match calls.get(&part) {
                Some(call) => *call,
                None => {
                    let call = self.context.append_basic_block(function, "forward");
                    self.builder.position_at_end(call);
                    self.tail_call(self.symbols.parts[part], top, wanted)?;
                    calls.insert(part, call);
                    call
                }
            };
            cases.push((self.symbols.i32.const_int(block as u64, false), call));
        }
        self.builder.position_at_end(from);
        self.builder.build_switch(wanted, nowhere, &cases)?;
        self.builder.position_at_end(nowhere);
        self.builder.build_unreachable()?;
        Ok(())
    }

    /// Lowers a root and the blocks that hang on it, a block after the one it goes on from.
    fn tree(&mut self, root: usize) -> Result<()> {
        let top = self.part_state()?.roots[&root].top.as_basic_value().into_pointer_value();
        let mut work = vec![(root, None)];
        while let Some((block, memory_base)) = work.pop() {
            self.tops.insert(block, (root, top));
            self.memory_base = memory_base;
            self.block(block)?;
            let edges = self.function.blocks[block].end.iter().flat_map(|end| end.edges());
            let next = edges.map(|edge| edge.block.index()).filter(|next| self.function.blocks[*next].root.is_none());
            work.extend(next.map(|next| (next, self.memory_base)));
        }
        Ok(())
    }

    fn block(&mut self, block: usize) -> Result<()> {
        let function = self.function;
        let target = self.part_state()?.blocks[&block];
        self.builder.position_at_end(target);
        let (root, top) = self.tops[&block];
        let mut insts = function.blocks[block].insts.iter().peekable();
        while let Some((value, inst)) = insts.next() {
            if let Inst::Host(call) = inst
                && let Some(gas) = self.gas_behind(call, insts.peek().copied())
            {
                self.host(call, gas, top)?;
                insts.next();
                continue;
            }
            if let Some(word) = self.second_word(inst, insts.clone()) {
                self.second = Some(word);
                continue;
            }
            let result = self.inst(*value, inst, root, top)?;
            if let (Some(value), Some(result)) = (value, result) {
                self.values[value.index()] = Some(result);
            }
        }
        if self.second.is_some() {
            return Err(self.defect("a word that no stub stored"));
        }
        let end = function.blocks[block].end.as_ref().ok_or_else(|| self.defect("block without end"))?;
        self.terminator(end, root, top)
    }

    fn terminator(&mut self, end: &Terminator, root: usize, top: PointerValue<'ctx>) -> Result<()> {
        match end {
            Terminator::Jump(edge) => self.jump(edge, top),
            Terminator::Branch(condition, taken, other) => {
                let condition = self.word(*condition)?;
                let (taken_block, other_block) = (self.edge_block(taken)?, self.edge_block(other)?);
                let branch = self.builder.build_conditional_branch(condition, taken_block, other_block)?;
                let rare = [taken, other].map(|edge| self.function.blocks[edge.block.index()].unlikely);
                self.symbols.mark_ways(self.context, branch, &rare);
                self.fill_edge(taken, taken_block, top)?;
                self.fill_edge(other, other_block, top)
            }
            Terminator::Switch { target, cases, leave } => self.switch(*target, cases, *leave, root, top),
            Terminator::Dispatch { target, top: after, leave } => self.dispatch_jump(*target, *after, *leave, root, top),
            Terminator::Finish(call) => {
                let status = self.host_call(call, 0, top)?;
                self.builder.build_return(Some(&status))?;
                Ok(())
            }
            Terminator::Suspend { call, next } => self.suspend(call, next, top),
            Terminator::Leave(leave) => {
                let target = self.leave_block(*leave, 0, root, top)?;
                self.builder.build_unconditional_branch(target)?;
                Ok(())
            }
        }
    }

    /// Whether a block lies in the part being lowered.
    fn is_here(&self, block: Block) -> Result<bool> {
        Ok(self.parts[block.index()] == self.part_state()?.number)
    }

    fn status(&self, status: Status) -> IntValue<'ctx> {
        self.symbols.i32.const_int(status as u64, false)
    }
}

fn checked(function: &Function) -> Vec<bool> {
    let mut checked = vec![false; function.values.len()];
    for (_, inst) in function.instructions() {
        if let Inst::Narrow(word, _) = inst {
            checked[word.index()] = true;
        }
    }
    checked
}

/// The name of a part.
fn part_name(number: usize) -> String {
    format!("part{number}")
}
