//! The compiler behind the runtime: bytecode to code that can be entered.
//!
//! in   bytecode, a configuration
//! out  [`NativeCode`], or the reason why the code stays interpreted; CPU time and bytes, counted
//!
//! Without the feature `llvm` nothing compiles; what no artifact store has is interpreted.

use crate::{
    Config,
    code::NativeCode,
    configuration::{Configuration, Settings},
};
use hotevm_abi::{EntryPoint, LeaveRow};
use hotevm_code::{CodeMemory, Image};
use revm::primitives::Bytes;

/// Why code stays interpreted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// This build has no compiler.
    #[error("built without a compiler")]
    NoCompiler,
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
}

/// Compiles code for one machine.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub(crate) memory: CodeMemory,
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

    /// CPU features that compiled code may use, by LLVM's names.
    pub(crate) fn features_needed(&self) -> Vec<String> {
        #[cfg(feature = "llvm")]
        return self.target.features_needed().to_vec();
        #[cfg(not(feature = "llvm"))]
        Vec::new()
    }

    /// Compiles a whole contract; also tells how many bytes of machine code it has.
    pub(crate) fn compile(
        &self,
        bytecode: &Bytes,
        configuration: &Configuration,
        config: &Config,
    ) -> Result<(NativeCode, usize), Rejection> {
        let Linked { image, entries, leaves, dumps } = self.link(bytecode, &configuration.settings, config)?;
        let executable = self.memory.load(&image).map_err(|error| Rejection::Memory(error.to_string()))?;
        if let Some(directory) = &config.dump_dir {
            let layout = hotevm_code::layout_text(&image, Some(&executable)).into_bytes();
            dump_files(directory, bytecode, dumps.into_iter().chain([("70-layout.txt".to_owned(), layout)]));
        }
        let bytes = image.bytes.len();
        Ok((NativeCode::new(executable, entries, leaves, bytecode.clone()), bytes))
    }

    /// Compiles a whole contract to an image that can be mapped anywhere.
    #[cfg(not(feature = "llvm"))]
    pub(crate) fn link(&self, _bytecode: &Bytes, _settings: &Settings, _config: &Config) -> Result<Linked, Rejection> {
        Err(Rejection::NoCompiler)
    }

    /// Compiles a whole contract to an image that can be mapped anywhere.
    #[cfg(feature = "llvm")]
    pub(crate) fn link(&self, bytecode: &Bytes, settings: &Settings, config: &Config) -> Result<Linked, Rejection> {
        let ir_config = settings.compiler_config(config).ok_or(Rejection::Fork)?;
        let dump = config.dump_dir.is_some();
        #[cfg_attr(not(feature = "planted-faults"), expect(unused_mut, reason = "only a planted fault changes the function"))]
        let mut compiled = hotevm_ir::compile(bytecode, &ir_config, dump)?;
        #[cfg(feature = "planted-faults")]
        if let Some(fault) = config.planted_fault {
            fault(&mut compiled.function);
        }
        let optimisation = match config.optimisation {
            crate::Optimisation::None => hotevm_llvm::Optimisation::None,
            crate::Optimisation::Fast => hotevm_llvm::Optimisation::Fast,
            crate::Optimisation::Full => hotevm_llvm::Optimisation::Full,
        };
        let output =
            hotevm_llvm::compile(&compiled.function, &self.target, optimisation, &ir_config.limits, ir_config.verify, dump)
                .map_err(|error| Rejection::Back(error.to_string()))?;
        let image =
            hotevm_code::link(&output.object, hotevm_llvm::ENTRY_SYMBOL).map_err(|error| Rejection::Link(error.to_string()))?;
        let texts = compiled.dumps.into_iter().map(|(name, text)| (name, text.into_bytes()));
        let dumps = texts.chain(output.dumps).collect();
        Ok(Linked { image, entries: output.entries, leaves: output.leaves, dumps })
    }
}

/// What a compilation makes, before it is mapped.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) image: Image,
    pub(crate) entries: Vec<EntryPoint>,
    pub(crate) leaves: Vec<LeaveRow>,
    /// Text of every stage so far, by file name; empty unless asked for.
    pub(crate) dumps: Vec<(String, Vec<u8>)>,
}

/// Writes dumps into a folder named for the code's hash; what cannot be written is told on standard error, since a dump is for
/// people and must not change what runs.
pub(crate) fn dump_files(directory: &std::path::Path, bytecode: &Bytes, mut files: impl Iterator<Item = (String, Vec<u8>)>) {
    let folder = directory.join(revm::primitives::keccak256(bytecode).to_string());
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| files.try_for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes)));
    if let Err(error) = written {
        eprintln!("hotevm: no dump in {}: {error}", folder.display());
    }
}
