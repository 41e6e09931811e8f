//! What a module consists of besides the bodies of its parts: types, declarations, stubs, metadata.
//!
//! in   the split of a function into parts
//! out  [`Symbols`]
//!
//! Y1  Stubs of cold builtins preserve all registers but r11 and vectors, so that a call in a cold path costs the hot path nothing.
//! Y2  Nothing is declared that is not defined in the module.

use super::{Result, part_name};
use crate::{ENTRY_SYMBOL, compile::CompileError, diagnostics::STACK_BYTES_MAX, parts};
use hotevm_abi::{BuiltinKind, BuiltinRow, BuiltinTable, NativeFrame};
use hotevm_ir::Function;
use inkwell::{
    AddressSpace,
    attributes::{Attribute, AttributeLoc},
    builder::Builder,
    context::Context,
    module::{Linkage, Module},
    types::{FunctionType, IntType, PointerType},
    values::{BasicMetadataValueEnum, FunctionValue, IntValue, MetadataValue, PointerValue},
};
use std::{mem::offset_of, num::NonZeroU32};

/// LLVM's number of the calling convention that preserves most registers.
const PRESERVE_MOST: u32 = 14;
/// LLVM's number of the calling convention that preserves no register but rbp: a tail call then saves and restores nothing.
const PRESERVE_NONE: u32 = 21;
/// Weights of ways that are rarely taken, and of others.
const RARE: u64 = 1;
const OFTEN: u64 = 1 << 28;
/// How often a likely part counts as entered. LLVM moves blocks that run less than once then to `.text.split`: what lies behind a rare way,
/// a loop around it or not, and what lies behind sixteen even branches in a row.
const LIKELY_ENTRIES: u64 = 1 << 16;
/// Where parts lie of which no block is likely to run.
const RARE_SECTION: &str = ".text.unlikely";

/// Places of a part's parameters. On x86-64 they stand in r12, r13 and r14: r13 is where stubs take the frame (Y5), and r12 takes a byte more than
/// others as the base of an address.
pub(super) const PART_NUMBER: u32 = 0;
pub(super) const PART_FRAME: u32 = 1;
pub(super) const PART_TOP: u32 = 2;

/// Which memory an access is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    Frame,
    Stack,
    Memory,
    CallData,
    Builtins,
}

/// Types, functions and metadata of a module.
pub(super) struct Symbols<'ctx> {
    pub(super) word: IntType<'ctx>,
    pub(super) i64: IntType<'ctx>,
    pub(super) i32: IntType<'ctx>,
    pub(super) i8: IntType<'ctx>,
    pub(super) pointer: PointerType<'ctx>,
    /// What the host calls.
    pub(super) entry: FunctionValue<'ctx>,
    /// The parts; 0 is entered first.
    pub(super) parts: Vec<FunctionValue<'ctx>>,
    /// Takes computed jumps to guarded roots.
    pub(super) dispatch: FunctionValue<'ctx>,
    pub(super) grow: FunctionValue<'ctx>,
    /// Per block: an edge from another part leads to it.
    pub(super) crossed: Vec<bool>,
    regions: [MetadataValue<'ctx>; 5],
    unlikely: MetadataValue<'ctx>,
    tbaa_kind: u32,
    prof_kind: u32,
}

impl<'ctx> Symbols<'ctx> {
    /// Declares what every module has.
    pub(super) fn declare(context: &'ctx Context, module: &Module<'ctx>, parts: &[usize], function: &Function) -> Result<Self> {
        let likely = parts::likely(function, parts);
        let pointer = context.ptr_type(AddressSpace::default());
        let (i64, i32) = (context.i64_type(), context.i32_type());
        let word = NonZeroU32::new(256)
            .and_then(|bits| context.custom_width_int_type(bits).ok())
            .ok_or_else(|| CompileError::Verifier("lowering: no 256-bit integers".to_owned()))?;
        let native = i32.fn_type(&[pointer.into(), pointer.into(), i32.into()], false);
        let define = |name: &str, ty: FunctionType<'ctx>, linkage| {
            let function = module.add_function(name, ty, Some(linkage));
            attributes(context, function);
            function
        };
        let entry = define(ENTRY_SYMBOL, native, Linkage::External);
        let part = i32.fn_type(&[i32.into(), pointer.into(), pointer.into()], false);
        let functions: Vec<_> = (0..likely.len()).map(|number| define(&part_name(number), part, Linkage::Internal)).collect();
        let dispatch = define("dispatch", part, Linkage::Internal);
        for function in functions.iter().chain([&dispatch]) {
            function.set_call_conventions(PRESERVE_NONE);
            add_attribute(context, *function, "noinline");
        }
        let (prof_kind, entered) =
            (context.get_kind_id("prof"), metadata(context, "function_entry_count", i64, &[LIKELY_ENTRIES]));
        for (part, is_likely) in functions.iter().zip(likely) {
            if is_likely {
                part.as_global_value().set_metadata(entered, prof_kind);
            } else {
                part.set_section(Some(RARE_SECTION));
            }
        }
        let grow_type = i32.fn_type(&[pointer.into(), i64.into(), i64.into(), pointer.into()], false);
        let grow = define("grow", grow_type, Linkage::Internal);
        let symbols = Self {
            word,
            i64,
            i32,
            i8: context.i8_type(),
            pointer,
            entry,
            parts: functions,
            dispatch,
            grow,
            crossed: crossed(parts, function),
            regions: regions(context),
            unlikely: weights(context, &[RARE, OFTEN]),
            tbaa_kind: context.get_kind_id("tbaa"),
            prof_kind,
        };
        symbols.cold_stub(context, grow);
        Ok(symbols)
    }

    /// Makes a function the stub of a cold builtin (Y1).
    pub(super) fn cold_stub(&self, context: &Context, stub: FunctionValue<'ctx>) {
        stub.set_call_conventions(PRESERVE_MOST);
        stub_attributes(context, stub);
        add_attribute(context, stub, "cold");
    }

    /// The function type of a kind of builtin.
    pub(super) fn builtin_type(&self, context: &'ctx Context, kind: BuiltinKind) -> FunctionType<'ctx> {
        match kind {
            BuiltinKind::Scratch => context.void_type().fn_type(&[self.pointer.into()], false),
            BuiltinKind::Grow => self.i32.fn_type(&[self.pointer.into(), self.i64.into(), self.i64.into()], false),
            BuiltinKind::Host => self.i32.fn_type(&[self.pointer.into(), self.pointer.into(), self.i64.into()], false),
        }
    }

    /// Reads the pointer of a builtin.
    pub(super) fn builtin(
        &self,
        builder: &Builder<'ctx>,
        frame: PointerValue<'ctx>,
        row: &BuiltinRow,
    ) -> Result<PointerValue<'ctx>> {
        let slot = self.offset(builder, frame, offset_of!(NativeFrame, builtins) as i64)?;
        let table = builder.build_load(self.pointer, slot, "builtins")?.into_pointer_value();
        self.tag(table.as_instruction(), Region::Frame);
        let slot = self.offset(builder, table, row.offset as i64)?;
        let target = builder.build_load(self.pointer, slot, row.name)?.into_pointer_value();
        self.tag(target.as_instruction(), Region::Builtins);
        Ok(target)
    }

    /// A pointer some bytes further.
    pub(super) fn offset(&self, builder: &Builder<'ctx>, base: PointerValue<'ctx>, bytes: i64) -> Result<PointerValue<'ctx>> {
        if bytes == 0 {
            return Ok(base);
        }
        let index = self.i64.const_int(bytes as u64, true);
        // SAFETY: only an address is computed here; the access through it stands for one that the verifier and the checks of
        // the SSA form vouch for.
        Ok(unsafe { builder.build_gep(self.i8, base, &[index], "at")? })
    }

    /// Says which memory an access is to (Z4).
    pub(super) fn tag(&self, access: Option<inkwell::values::InstructionValue<'ctx>>, region: Region) {
        if let Some(access) = access {
            // A tag that is refused only costs precision.
            let _ = access.set_metadata(self.regions[region as usize], self.tbaa_kind);
        }
    }

    /// Says that a branch rarely takes its first way.
    pub(super) fn mark_unlikely(&self, branch: inkwell::values::InstructionValue<'ctx>) {
        let _ = branch.set_metadata(self.unlikely, self.prof_kind);
    }

    /// Says which ways of a branch or switch are rarely taken, if they are not all alike.
    pub(super) fn mark_ways(&self, context: &'ctx Context, branch: inkwell::values::InstructionValue<'ctx>, rare: &[bool]) {
        if rare.contains(&true) && rare.contains(&false) {
            let weights: Vec<u64> = rare.iter().map(|rare| if *rare { RARE } else { OFTEN }).collect();
            let _ = branch.set_metadata(self::weights(context, &weights), self.prof_kind);
        }
    }

    /// What a part is called with.
    pub(super) fn part_args(
        &self,
        frame: PointerValue<'ctx>,
        top: PointerValue<'ctx>,
        number: IntValue<'ctx>,
    ) -> [BasicMetadataValueEnum<'ctx>; 3] {
        [number.into(), frame.into(), top.into()]
    }

    /// The calling convention of parts.
    pub(super) const fn part_convention(&self) -> u32 {
        PRESERVE_NONE
    }

    /// The calling convention of stubs.
    pub(super) const fn stub_convention(&self) -> u32 {
        PRESERVE_MOST
    }
}

/// The row of the builtin with this name.
pub(super) fn row(name: &str) -> Result<&'static BuiltinRow> {
    BuiltinTable::ROWS
        .iter()
        .find(|row| row.name == name)
        .ok_or_else(|| CompileError::Verifier(format!("lowering: no builtin {name}")))
}

/// The builtin that executes an opcode on the stack at home.
pub(super) fn row_of_opcode(opcode: u8) -> Result<&'static BuiltinRow> {
    BuiltinTable::ROWS
        .iter()
        .find(|row| row.opcode == Some(opcode) && row.kind == BuiltinKind::Host)
        .ok_or_else(|| CompileError::Verifier(format!("lowering: no builtin for opcode {opcode:#04x}")))
}

/// The weights of the ways of a branch.
fn weights<'ctx>(context: &'ctx Context, weights: &[u64]) -> MetadataValue<'ctx> {
    metadata(context, "branch_weights", context.i32_type(), weights)
}

/// A node with a name and numbers.
fn metadata<'ctx>(context: &'ctx Context, name: &str, ty: IntType<'ctx>, numbers: &[u64]) -> MetadataValue<'ctx> {
    let numbers = numbers.iter().map(|number| ty.const_int(*number, false).into());
    let node: Vec<_> = std::iter::once(context.metadata_string(name).into()).chain(numbers).collect();
    context.metadata_node(&node)
}

fn regions(context: &Context) -> [MetadataValue<'_>; 5] {
    let root = context.metadata_node(&[context.metadata_string("hotevm").into()]);
    let zero = context.i64_type().const_zero();
    ["frame", "stack", "memory", "call data", "builtins"].map(|name| {
        let ty = context.metadata_node(&[context.metadata_string(name).into(), root.into(), zero.into()]);
        context.metadata_node(&[ty.into(), ty.into(), zero.into()])
    })
}

fn crossed(parts: &[usize], function: &Function) -> Vec<bool> {
    let mut crossed = vec![false; function.blocks.len()];
    for (block, data) in function.blocks.iter().enumerate() {
        for edge in data.end.iter().flat_map(|end| end.edges()) {
            let to = edge.block.index();
            crossed[to] |= parts[to] != parts[block];
        }
    }
    crossed
}

pub(super) fn attributes(context: &Context, function: FunctionValue<'_>) {
    add_attribute(context, function, "nounwind");
    let stack_bytes_max = STACK_BYTES_MAX.to_string();
    // A table of jumps takes four bytes for every number between the least and the greatest, and jump destinations lie far apart.
    let strings =
        [("no-builtins", ""), ("no-jump-tables", "true"), ("frame-pointer", "none"), ("warn-stack-size", &stack_bytes_max)];
    for (name, value) in strings {
        function.add_attribute(AttributeLoc::Function, context.create_string_attribute(name, value));
    }
}

/// Attributes of what parts share: small.
pub(super) fn small(context: &Context, function: FunctionValue<'_>) {
    attributes(context, function);
    ["noinline", "optsize"].iter().for_each(|name| add_attribute(context, function, name));
}

/// Attributes of stubs, which take the frame last (Y5).
pub(super) fn stub_attributes(context: &Context, function: FunctionValue<'_>) {
    small(context, function);
    add_param_attribute(context, function, function.count_params() - 1, "swiftself");
}

pub(super) fn add_param_attribute(context: &Context, function: FunctionValue<'_>, param: u32, name: &str) {
    let kind = Attribute::get_named_enum_kind_id(name);
    function.add_attribute(AttributeLoc::Param(param), context.create_enum_attribute(kind, 0));
}

pub(super) fn add_attribute(context: &Context, function: FunctionValue<'_>, name: &str) {
    let kind = Attribute::get_named_enum_kind_id(name);
    function.add_attribute(AttributeLoc::Function, context.create_enum_attribute(kind, 0));
}
