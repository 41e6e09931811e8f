//! The back end as one page.
//!
//! in   a verified function, target, pipeline
//! out  object bytes, entry points, leave rows

use crate::{
    diagnostics::Diagnostics,
    lower,
    target::{Optimisation, PASSES, Target, TargetError},
};
use hotevm_abi::{EntryPoint, LeaveRow};
use hotevm_ir::{Function, Limits};
use inkwell::{builder::BuilderError, context::Context, passes::PassBuilderOptions, targets::FileType};

/// Why no object was made.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The target is not to be had.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// LLVM refused an instruction: a defect of the lowering.
    #[error("LLVM builder: {0}")]
    Builder(#[from] BuilderError),
    /// LLVM's verifier found the module wrong: a defect of the lowering.
    #[error("LLVM verifier: {0}")]
    Verifier(String),
    /// The pass pipeline failed.
    #[error("LLVM passes: {0}")]
    Passes(String),
    /// No object was emitted.
    #[error("LLVM emission: {0}")]
    Emit(String),
    /// LLVM reported an error while it made code.
    #[error("LLVM: {0}")]
    Reported(String),
    /// A part needs more native stack than it may.
    #[error("a part of the code needs more than {0} bytes of native stack")]
    StackSize(u32),
}

/// What the back end makes.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// A relocatable ELF object that defines [`ENTRY_SYMBOL`](crate::ENTRY_SYMBOL).
    pub object: Vec<u8>,
    /// Entry points, by pc; the first is the start.
    pub entries: Vec<EntryPoint>,
    /// Leave rows, by site.
    pub leaves: Vec<LeaveRow>,
    /// Text of every stage, by file name; empty unless asked for.
    pub dumps: Vec<(String, Vec<u8>)>,
}

/// Compiles a function to an object. With `dump`, the text of every stage is kept; with `verify`, LLVM checks the module.
///
/// # Errors
/// When LLVM does not make an object of it; the code then stays interpreted.
pub fn compile(
    function: &Function,
    target: &Target,
    optimisation: Optimisation,
    limits: &Limits,
    verify: bool,
    dump: bool,
) -> Result<Output, CompileError> {
    let machine = target.machine(optimisation)?;
    let context = Context::create();
    let diagnostics = Diagnostics::listen(&context);
    let module = context.create_module("hotevm");
    let lowered = lower::lower(&context, &module, function, limits, target.abilities())?;
    module.set_triple(&machine.get_triple());
    module.set_data_layout(&machine.get_target_data().get_data_layout());
    let mut dumps = vec![];
    if dump {
        dumps.push(("40-raw.ll".to_owned(), module.print_to_string().to_bytes().to_vec()));
    }
    if verify || dump {
        module.verify().map_err(|message| CompileError::Verifier(message.to_string()))?;
    }
    module
        .run_passes(PASSES, &machine, PassBuilderOptions::create())
        .map_err(|message| CompileError::Passes(message.to_string()))?;
    let emit = |kind| machine.write_to_memory_buffer(&module, kind).map_err(|message| CompileError::Emit(message.to_string()));
    if dump {
        dumps.push(("41-opt.ll".to_owned(), module.print_to_string().to_bytes().to_vec()));
        dumps.push(("51-code.s".to_owned(), emit(FileType::Assembly)?.as_slice().to_vec()));
    }
    let object = emit(FileType::Object)?.as_slice().to_vec();
    diagnostics.check()?;
    if dump {
        dumps.push(("50-object.o".to_owned(), object.clone()));
    }
    Ok(Output { object, entries: lowered.entries, leaves: lowered.leaves, dumps })
}
