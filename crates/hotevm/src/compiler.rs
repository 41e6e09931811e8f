//! The compiler behind the runtime: bytecode to code that can be entered.
//!
//! in   bytecode, a configuration, a tier, the block starts of a region
//! out  [`NativeCode`], or the reason why the code stays interpreted
//!
//! Without the feature `llvm` nothing compiles, and everything is interpreted.

use crate::{Config, code::Parts, configuration::Configuration, tiers::entry::Tier};
use hotevm_code::CodeMemory;
use revm::primitives::Bytes;
use std::fmt;

/// Why code stays interpreted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// This build has no compiler.
    #[error("built without a compiler")]
    NoCompiler,
    /// The runtime was told never to compile it.
    #[error("on the deny-list")]
    Denied,
    /// The hash does not belong to the bytes.
    #[error("the code hash is not that of the bytes")]
    HashMismatch,
    /// The compiler panicked: a defect of it.
    #[error("the compiler panicked")]
    Panic,
    /// The compiler does not know the fork.
    #[error("unknown fork")]
    Fork,
    /// The middle end rejected it.
    #[error(transparent)]
    Middle(#[from] hotevm_ir::Reject),
    /// LLVM made no object.
    #[error("back end: {0}")]
    Back(String),
    /// The object was refused.
    #[error("linking: {0}")]
    Link(String),
    /// No executable memory.
    #[error("code memory: {0}")]
    Memory(String),
    /// It was forgotten while it was compiled.
    #[error("forgotten meanwhile")]
    Forgotten,
}

impl Rejection {
    /// Whether trying again gives the same.
    pub(crate) const fn is_permanent(&self) -> bool {
        matches!(self, Self::NoCompiler | Self::Denied | Self::Fork | Self::Middle(_))
    }
}

/// What is to be compiled.
#[derive(Debug)]
#[cfg_attr(not(feature = "llvm"), expect(dead_code, reason = "without a compiler nobody reads all of it"))]
pub(crate) struct Request<'a> {
    pub(crate) bytecode: &'a Bytes,
    pub(crate) configuration: &'a Configuration,
    pub(crate) tier: Tier,
    /// Where the blocks of the region start; none means all blocks.
    pub(crate) region: Option<Vec<u32>>,
    pub(crate) config: &'a Config,
}

/// What makes machine code of bytecode; tests of the runtime stand in for it.
pub(crate) trait Compile: fmt::Debug + Send + Sync {
    /// Whether it can compile at all.
    fn is_available(&self) -> bool;

    /// Compiles; may panic, which rejects the code.
    fn compile(&self, request: &Request<'_>) -> Result<Parts, Rejection>;

    /// Bytes of executable memory mapped now.
    fn mapped_bytes(&self) -> usize;
}

/// Compiles code for one machine.
#[derive(Debug)]
pub(crate) struct Compiler {
    memory: CodeMemory,
    #[cfg(feature = "llvm")]
    target: hotevm_llvm::Target,
}

impl Compiler {
    /// Sets the compiler up.
    pub(crate) fn new(config: &Config) -> eyre::Result<Self> {
        Ok(Self {
            memory: CodeMemory::new(config.code_memory_bytes_max),
            #[cfg(feature = "llvm")]
            target: match &config.target_cpu {
                Some(name) => hotevm_llvm::Target::cpu(name)?,
                None => hotevm_llvm::Target::host(),
            },
        })
    }
}

impl Compile for Compiler {
    fn is_available(&self) -> bool {
        crate::native_available()
    }

    fn mapped_bytes(&self) -> usize {
        self.memory.mapped_bytes()
    }

    #[cfg(not(feature = "llvm"))]
    fn compile(&self, _request: &Request<'_>) -> Result<Parts, Rejection> {
        Err(Rejection::NoCompiler)
    }

    #[cfg(feature = "llvm")]
    fn compile(&self, request: &Request<'_>) -> Result<Parts, Rejection> {
        let Request { bytecode, configuration, config, .. } = *request;
        let mut ir_config = configuration.settings.compiler_config(config).ok_or(Rejection::Fork)?;
        ir_config.region.clone_from(&request.region);

        let dump = config.dump_dir.is_some();
        let compiled = hotevm_ir::compile(bytecode, &ir_config, dump)?;
        let optimisation = match (request.tier, config.optimisation) {
            (_, crate::Optimisation::None) => hotevm_llvm::Optimisation::None,
            (Tier::Native1, _) | (_, crate::Optimisation::Fast) => hotevm_llvm::Optimisation::Fast,
            (Tier::Native2 | Tier::Whole, crate::Optimisation::Full) => hotevm_llvm::Optimisation::Full,
        };
        let output =
            hotevm_llvm::compile(&compiled.function, &self.target, optimisation, &ir_config.limits, ir_config.verify, dump)
                .map_err(|error| Rejection::Back(error.to_string()))?;
        let image =
            hotevm_code::link(&output.object, hotevm_llvm::ENTRY_SYMBOL).map_err(|error| Rejection::Link(error.to_string()))?;
        let executable = self.memory.load(&image).map_err(|error| Rejection::Memory(error.to_string()))?;
        if let Some(directory) = &config.dump_dir {
            let mut files: Vec<(String, Vec<u8>)> =
                compiled.dumps.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
            files.extend(output.dumps);
            files.push(("70-layout.txt".to_owned(), hotevm_code::layout_text(&image, Some(&executable)).into_bytes()));
            dump_files(directory, bytecode, &files);
        }
        let bytes = image.bytes.len();
        Ok(Parts { executable, entries: output.entries, leaves: output.leaves, instructions: compiled.instructions, bytes })
    }
}

/// Writes dumps into a folder named for the code's hash; what cannot be written is told on standard error, since a dump is for
/// people and must not change what runs.
#[cfg(feature = "llvm")]
fn dump_files(directory: &std::path::Path, bytecode: &Bytes, files: &[(String, Vec<u8>)]) {
    let folder = directory.join(revm::primitives::keccak256(bytecode).to_string());
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| files.iter().try_for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes)));
    if let Err(error) = written {
        eprintln!("hotevm: no dump in {}: {error}", folder.display());
    }
}
