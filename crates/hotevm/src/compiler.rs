//! The compiler behind the runtime: bytecode to code that can be entered.
//!
//! in   bytecode, a configuration, a tier, the block starts of a region
//! out  [`NativeCode`], or the reason why the code stays interpreted
//!
//! Without the feature `llvm` nothing compiles; what no artifact store has is interpreted.

#[cfg(feature = "llvm")]
mod apart;

use crate::{
    Config,
    code::{NativeCode, Parts},
    configuration::Settings,
    statistics::Cause,
    sync::Arc,
    tiers::entry::{Entry, Tier},
};
use hotevm_abi::{EntryPoint, LeaveRow, Refusal};
use hotevm_code::{CodeMemory, Executable, Image, PerfMap, SharedObject};
use revm::primitives::{B256, Bytes, keccak256};
use std::{cell::Cell, fmt, time::Duration};

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
    /// LLVM met an error that it cannot go on after.
    #[error("fatal error of LLVM: {0}")]
    Fatal(String),
    /// So many fatal errors of LLVM happened that nothing is compiled any more.
    #[error("compiling is off after too many fatal errors of LLVM")]
    CompilingOff,
    /// The object was refused.
    #[error("linking: {0}")]
    Link(String),
    /// No executable memory.
    #[error("code memory: {0}")]
    Memory(String),
    /// An artifact is not for this process.
    #[error("artifact: {0}")]
    Refused(Refusal),
    /// It was forgotten while it was compiled.
    #[error("forgotten meanwhile")]
    Forgotten,
}

impl Rejection {
    pub(crate) const fn cause(&self) -> Cause {
        match self {
            Self::NoCompiler => Cause::NoCompiler,
            Self::Denied => Cause::Denied,
            Self::HashMismatch => Cause::HashMismatch,
            Self::Panic => Cause::Panic,
            Self::Fork => Cause::Fork,
            Self::Middle(_) => Cause::Middle,
            Self::Back(_) => Cause::Back,
            Self::Fatal(_) => Cause::Fatal,
            Self::CompilingOff => Cause::CompilingOff,
            Self::Link(_) => Cause::Link,
            Self::Memory(_) => Cause::Memory,
            Self::Refused(_) => Cause::Refused,
            Self::Forgotten => Cause::Forgotten,
        }
    }

    /// Whether trying again gives the same.
    pub(crate) const fn is_permanent(&self) -> bool {
        matches!(self, Self::NoCompiler | Self::Denied | Self::Fork | Self::Middle(_) | Self::Fatal(_) | Self::CompilingOff)
    }
}

/// What is to be compiled.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) bytecode: &'a Bytes,
    pub(crate) settings: &'a Settings,
    pub(crate) tier: Tier,
    /// Where the blocks of the region start; none means all blocks.
    pub(crate) region: Option<Vec<u32>>,
    /// Where the blocks start that were seen to run; none where nothing is known.
    #[cfg_attr(not(any(feature = "llvm", test)), expect(dead_code, reason = "a hint for a compiler that is not there"))]
    pub(crate) likely: Option<Vec<u32>>,
    pub(crate) config: &'a Config,
    /// CPU time that was spent on it in threads of the compiler; added to by the compiler.
    pub(crate) cpu_apart: Cell<Duration>,
}

/// What is to be kept in a store.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) code: &'a NativeCode,
    pub(crate) config: &'a Config,
}

/// What makes machine code of bytecode; tests of the runtime stand in for it.
pub(crate) trait Compile: fmt::Debug + Send + Sync {
    /// Whether it can compile at all.
    fn is_available(&self) -> bool;

    /// Whether there may be code to run, compiled here or elsewhere.
    fn can_run(&self) -> bool;

    /// Compiles; may panic, which rejects the code.
    fn compile(&self, request: &Request<'_>) -> Result<Parts, Rejection>;

    /// What a store keeps of code that this compiler made.
    fn keep(&self, kept: &Kept<'_>) -> Result<SharedObject, Rejection>;

    /// Maps the code of an artifact that was checked.
    fn take(&self, object: SharedObject) -> Result<Parts, Rejection>;

    /// Bytes of executable memory mapped now.
    fn mapped_bytes(&self) -> usize;
}

/// Compiles code for one machine.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub(crate) memory: CodeMemory,
    has_store: bool,
    /// Whether the system lets memory become executable.
    may_execute: bool,
    perf_map: Option<PerfMap>,
    #[cfg(feature = "llvm")]
    target: hotevm_llvm::Target,
    #[cfg(feature = "llvm")]
    apart: apart::Apart,
}

impl Compiler {
    /// Sets the compiler up, and tries whether the system lets memory become executable.
    pub(crate) fn new(config: &Config) -> eyre::Result<Self> {
        let may_execute = hotevm_code::may_execute();
        if let Err(error) = &may_execute {
            tracing::warn!(target: "hotevm", "everything is interpreted: {error}");
        }
        let perf_map = config.perf_map.as_ref().map(|directory| {
            PerfMap::open(directory).map_err(|error| eyre::eyre!("no perf map in {}: {error}", directory.display()))
        });
        Ok(Self {
            memory: CodeMemory::new(config.code_memory_bytes_max),
            may_execute: may_execute.is_ok(),
            perf_map: perf_map.transpose()?,
            has_store: config.store.is_some(),
            #[cfg(feature = "llvm")]
            target: match &config.target_cpu {
                Some(name) => hotevm_llvm::Target::cpu(name)?,
                None => hotevm_llvm::Target::host(),
            },
            #[cfg(feature = "llvm")]
            apart: apart::Apart::default(),
        })
    }

    /// Tells `perf` of code, if that is wanted. Profiles are for people: what cannot be written is left out.
    pub(crate) fn name_code(&self, executable: &Executable, code_hash: impl FnOnce() -> B256) {
        let Some(perf_map) = &self.perf_map else { return };
        if let Err(error) = perf_map.record(executable, &format!("evm:{}:0", code_hash())) {
            tracing::warn!(target: "hotevm", "no line in {}: {error}", perf_map.path().display());
        }
    }

    /// CPU features that compiled code may use, by LLVM's names.
    pub(crate) fn features_needed(&self) -> Vec<String> {
        #[cfg(feature = "llvm")]
        return self.target.features_needed().to_vec();
        #[cfg(not(feature = "llvm"))]
        Vec::new()
    }

    /// Compiles to an image that can be mapped anywhere.
    #[cfg(not(feature = "llvm"))]
    pub(crate) fn link(&self, _request: &Request<'_>) -> Result<Linked, Rejection> {
        Err(Rejection::NoCompiler)
    }

    /// Compiles to an image that can be mapped anywhere.
    #[cfg(feature = "llvm")]
    pub(crate) fn link(&self, request: &Request<'_>) -> Result<Linked, Rejection> {
        let Request { bytecode, settings, config, .. } = *request;
        let mut ir_config = settings.compiler_config(config).ok_or(Rejection::Fork)?;
        ir_config.region.clone_from(&request.region);
        ir_config.likely.clone_from(&request.likely);
        let dump = config.dump_dir.is_some();
        let compiled = hotevm_ir::compile(bytecode, &ir_config, dump)?;
        let optimisation = match (request.tier, config.optimisation) {
            (_, crate::Optimisation::None) => hotevm_llvm::Optimisation::None,
            (Tier::Native1, _) | (_, crate::Optimisation::Fast) => hotevm_llvm::Optimisation::Fast,
            (Tier::Native2 | Tier::Whole, crate::Optimisation::Full) => hotevm_llvm::Optimisation::Full,
        };
        let (function, target, limits, verify) = (compiled.function, self.target.clone(), ir_config.limits, ir_config.verify);
        #[cfg(feature = "planted-faults")]
        let fault = config.planted_fault;
        #[cfg_attr(not(feature = "planted-faults"), expect(unused_mut, reason = "only a planted fault changes the function"))]
        let (output, cpu) = self.apart.run(move || {
            let mut function = function;
            #[cfg(feature = "planted-faults")]
            if let Some(fault) = fault {
                fault(&mut function);
            }
            hotevm_llvm::compile(&function, &target, optimisation, &limits, verify, dump)
        });
        request.cpu_apart.set(request.cpu_apart.get() + cpu);
        let output = output?.map_err(|error| Rejection::Back(error.to_string()))?;
        let image =
            hotevm_code::link(&output.object, hotevm_llvm::ENTRY_SYMBOL).map_err(|error| Rejection::Link(error.to_string()))?;
        let texts = compiled.dumps.into_iter().map(|(name, text)| (name, text.into_bytes()));
        let dumps = texts.chain(output.dumps).collect();
        let (entries, leaves) = (output.entries, output.leaves);
        Ok(Linked { image, entries, leaves, instructions: compiled.instructions, dumps })
    }

    /// Compiles and maps.
    fn load(&self, request: &Request<'_>) -> Result<Parts, Rejection> {
        let start = cpu_time::ThreadTime::now();
        let Linked { image, entries, leaves, instructions, dumps } = self.link(request)?;
        let executable = self.memory.load(&image).map_err(|error| Rejection::Memory(error.to_string()))?;
        self.name_code(&executable, || keccak256(request.bytecode));
        if let Some(directory) = &request.config.dump_dir {
            let layout = hotevm_code::layout_text(&image, Some(&executable)).into_bytes();
            dump_files(directory, request.bytecode, dumps.into_iter().chain([("70-layout.txt".to_owned(), layout)]));
        }
        Ok(Parts {
            executable,
            entries,
            leaves,
            instructions,
            bytes: image.bytes.len(),
            region: request.region.clone().unwrap_or_default(),
            compile_cpu_ns: (start.elapsed() + request.cpu_apart.get()).as_nanos() as u64,
            stored: None,
        })
    }
}

impl Compile for Arc<Compiler> {
    fn is_available(&self) -> bool {
        crate::native_available()
    }

    fn can_run(&self) -> bool {
        self.may_execute && (crate::native_available() || self.has_store)
    }

    fn mapped_bytes(&self) -> usize {
        self.memory.mapped_bytes()
    }

    fn compile(&self, request: &Request<'_>) -> Result<Parts, Rejection> {
        // A region is looked for at start alone: the very same one is not asked for twice.
        let stored = request.config.store.as_ref().filter(|_| request.tier == Tier::Whole);
        match stored.and_then(|store| self.stored(store.as_ref(), request)) {
            Some(object) => self.take(object),
            None => self.load(request),
        }
    }

    fn keep(&self, kept: &Kept<'_>) -> Result<SharedObject, Rejection> {
        self.artifact_of(kept)
    }

    fn take(&self, object: SharedObject) -> Result<Parts, Rejection> {
        self.parts(object)
    }
}

/// What a compilation makes, before it is mapped.
#[derive(Debug)]
pub(crate) struct Linked {
    pub(crate) image: Image,
    pub(crate) entries: Vec<EntryPoint>,
    pub(crate) leaves: Vec<LeaveRow>,
    /// EVM instructions that were compiled.
    pub(crate) instructions: usize,
    /// Text of every stage so far, by file name; empty unless asked for.
    pub(crate) dumps: Vec<(String, Vec<u8>)>,
}

/// Writes dumps into a folder named for the code's hash; what cannot be written is told on standard error, since a dump is for
/// people and must not change what runs.
pub(crate) fn dump_files(directory: &std::path::Path, bytecode: &Bytes, mut files: impl Iterator<Item = (String, Vec<u8>)>) {
    let folder = directory.join(keccak256(bytecode).to_string());
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| files.try_for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes)));
    if let Err(error) = written {
        eprintln!("hotevm: no dump in {}: {error}", folder.display());
    }
}
