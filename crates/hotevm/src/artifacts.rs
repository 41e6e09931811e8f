//! Artifacts: compiled code of the runtime that outlives the process.
//!
//! in   bytecode and its configuration; artifacts of a store
//! out  artifacts; code in entries, as if it had been compiled here
//!
//! N1  What a key says of configuration and compiler is told by value, not by this process's numbers: the same settings have the same
//!     digests in every process and every build.
//! N2  A store that fails changes nothing but counters: what it does not have is compiled, what it does not take is kept in memory.
//! N3  Code of a store goes the same way as code that was compiled with one: through a checked shared object. Where the system's loader
//!     does not map it (its limit of mappings, a hardened system), the checked image is copied to pages of its own.

use crate::{
    Config, Instructions, Runtime,
    code::Parts,
    compiler::{Compiler, Linked, Rejection, Request, dump_files},
    configuration::{Configuration, Settings},
    sync::{Arc, JoinHandle, OnceLock, spawn_named},
    tiers::{self, Tiers},
};
use alloy_primitives::Keccak256;
use hotevm_abi::{Acceptance, Artifact, ArtifactKey, CompilerFingerprint, Tier, abi_hash};
use hotevm_code::{Executable, SharedObject};
use hotevm_ir::Fork;
use hotevm_store::{ArtifactStore, StoreError, manifest_text};
use revm::{
    context_interface::cfg::GasParams,
    interpreter::instructions::gas_table_spec,
    primitives::{B256, Bytes, hardfork::SpecId},
};
use std::{cell::Cell, io, ops::ControlFlow, time::SystemTime};

/// hotevm's version with a digest of the compiler's sources.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("HOTEVM_COMPILER_DIGEST"));

/// Digests of the forks with stock gas costs. Written once by whoever takes the first artifact.
static STOCK: OnceLock<Vec<(B256, SpecId)>> = OnceLock::new();

/// What came of taking an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Its code is in place.
    New,
    /// The entry had code, or a rejection, already.
    Present,
    /// Its gas costs are not those of a fork: it is found when the code is compiled, not before.
    UnknownConfiguration,
}

/// What a preload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preloaded {
    /// Artifacts whose code is in place.
    pub taken: u64,
    /// Artifacts of codes that have code already.
    pub present: u64,
    /// Artifacts for gas costs that are not those of a fork.
    pub unknown_configuration: u64,
    /// Artifacts whose code could not be mapped.
    pub not_mapped: u64,
}

/// A preload that runs in the background.
#[derive(Debug)]
pub struct Preload {
    thread: JoinHandle<Result<Preloaded, StoreError>>,
}

impl Preload {
    /// Waits for its end.
    ///
    /// # Errors
    /// When the store cannot be read at all, or the thread panicked.
    pub fn wait(self) -> Result<Preloaded, eyre::Report> {
        Ok(self.thread.join().map_err(|_| eyre::eyre!("the preload panicked"))??)
    }
}

impl Settings {
    /// The settings of a fork with stock gas costs.
    pub(crate) fn stock(spec: SpecId, custom: [u64; 4]) -> Self {
        Self { spec, gas_table: gas_table_spec(spec), gas_params: GasParams::new_spec(spec), custom }
    }

    /// Digest of fork and gas costs (N1).
    fn gas_digest(&self) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(b"hotevm gas 1");
        // Names outlive numbers: a fork that is put between others moves the later ones.
        hasher.update(Fork::from_index(self.spec as usize).map_or("unknown", Fork::name));
        for cost in self.gas_table {
            hasher.update(cost.to_le_bytes());
        }
        for cost in self.gas_params.table() {
            hasher.update(cost.to_le_bytes());
        }
        hasher.finalize()
    }

    /// The opcodes declared custom, as the key has them.
    fn custom_opcodes(&self) -> B256 {
        let mut bytes = [0; 32];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.custom) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes.into()
    }
}

/// Every fork, by the digest of its stock gas costs.
fn stock_digests() -> Vec<(B256, SpecId)> {
    let specs = Fork::ALL.iter().filter_map(|fork| SpecId::try_from_u8(*fork as u8));
    specs.map(|spec| (Settings::stock(spec, [0; 4]).gas_digest(), spec)).collect()
}

/// The words of a set of opcodes, from a key.
fn opcode_words(opcodes: B256) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(opcodes.0.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Pipeline and options that change the code; the limits by their digest, since they are many.
fn options(config: &Config) -> String {
    let limits: String = config.limits.rows().iter().map(|(name, value, _)| format!("{name}={value};")).collect();
    let digest = revm::primitives::keccak256(limits);
    let forced = if config.force_leaves { " forced-leaves" } else { "" };
    format!("{}{forced} limits {}", config.optimisation, revm::primitives::hex::encode(&digest[..4]))
}

/// Instruction set and system of this process.
fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// LLVM's version, where this build has a compiler.
fn llvm_version() -> Option<String> {
    #[cfg(feature = "llvm")]
    return Some(hotevm_llvm::llvm_version());
    #[cfg(not(feature = "llvm"))]
    None
}

impl Compiler {
    /// The key of what this compiler makes of a code; none without a compiler.
    fn key(&self, code_hash: B256, settings: &Settings, config: &Config) -> Option<ArtifactKey> {
        let compiler = CompilerFingerprint { version: VERSION.to_owned(), llvm: llvm_version()?, options: options(config) };
        Some(ArtifactKey {
            code_hash,
            gas: settings.gas_digest(),
            custom_opcodes: settings.custom_opcodes(),
            abi: abi_hash(),
            compiler,
            target: target(),
            features: self.features_needed(),
            tier: Tier::Whole,
            region: B256::ZERO,
        })
    }

    /// Maps the code of a shared object (N3).
    fn map(&self, object: &SharedObject) -> Result<Executable, Rejection> {
        let mapped = self.memory.load_shared_object(object).or_else(|_| self.memory.load(&object.image()));
        mapped.map_err(|error| Rejection::Memory(error.to_string()))
    }

    /// The parts of code that can be entered.
    fn parts(&self, object: SharedObject, is_compiled: bool) -> Result<Parts, Rejection> {
        let executable = self.map(&object)?;
        let code = object.into_artifact().code;
        let bytes = code.bytes.len();
        // How many instructions went into it matters for tiers above it, and there is none.
        Ok(Parts { executable, entries: code.entries, leaves: code.leaves, instructions: 0, bytes, is_compiled })
    }

    /// Compiles a code to an artifact.
    fn artifact(&self, key: ArtifactKey, request: &Request<'_>) -> Result<SharedObject, Rejection> {
        let start = cpu_time::ThreadTime::now();
        let Request { bytecode, config, .. } = *request;
        let Linked { image, entries, leaves, dumps, .. } = self.link(request)?;
        let layout = config.dump_dir.as_ref().map(|_| hotevm_code::layout_text(&image, None));
        let code = image.into_object(entries, leaves).map_err(|error| Rejection::Link(error.to_string()))?;
        let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let artifact = Artifact {
            key,
            code,
            bytecode: bytecode.to_vec(),
            profile: Vec::new(),
            created_unix_s: created.map_or(0, |since| since.as_secs()),
            compile_cpu_ns: (start.elapsed() + request.cpu_apart.get()).as_nanos() as u64,
        };
        let object = SharedObject::write(&artifact).map_err(|error| Rejection::Link(error.to_string()))?;
        if let Some((directory, layout)) = config.dump_dir.as_ref().zip(layout) {
            let texts = [("60-manifest.txt", manifest_text(&object)), ("70-layout.txt", layout)];
            let texts = texts.map(|(name, text)| (name.to_owned(), text.into_bytes()));
            dump_files(directory, bytecode, dumps.into_iter().chain(texts));
        }
        Ok(object)
    }

    /// Code from the store, else compiled and stored (N2).
    pub(crate) fn stored(&self, store: &dyn ArtifactStore, request: &Request<'_>) -> Result<Parts, Rejection> {
        let code_hash = revm::primitives::keccak256(request.bytecode);
        let key = self.key(code_hash, request.settings, request.config).ok_or(Rejection::NoCompiler)?;
        if let Ok(Some(object)) = store.load(&key, None) {
            return self.parts(object, false);
        }
        let object = self.artifact(key, request)?;
        // Counted by the store; the code runs all the same.
        let _stored = store.store(&object);
        self.parts(object, true)
    }
}

impl Runtime {
    /// What code this process can run, whoever compiled it.
    pub fn acceptance(&self) -> Acceptance {
        Acceptance {
            abi: abi_hash(),
            version: VERSION.to_owned(),
            llvm: llvm_version(),
            options: Some(options(self.config())),
            target: target(),
            features: hotevm_code::host_features().into_iter().map(str::to_owned).collect(),
        }
    }

    /// The key of the artifact that this process makes of a whole contract, for a fork with stock gas costs; none without a compiler.
    pub fn artifact_key(&self, code_hash: B256, spec: SpecId, instructions: Instructions) -> Option<ArtifactKey> {
        self.compiler.as_ref()?.key(code_hash, &Settings::stock(spec, instructions.words()), self.config())
    }

    /// Compiles a whole contract to an artifact, for a fork with stock gas costs; nothing is mapped or remembered.
    ///
    /// # Errors
    /// The reason why there is no code for it.
    pub fn build_artifact(&self, bytecode: &Bytes, spec: SpecId, instructions: Instructions) -> Result<SharedObject, Rejection> {
        let settings = Settings::stock(spec, instructions.words());
        let code_hash = revm::primitives::keccak256(bytecode);
        let compiler = self.compiler.as_ref().ok_or(Rejection::NoCompiler)?;
        let key = compiler.key(code_hash, &settings, self.config()).ok_or(Rejection::NoCompiler)?;
        let tier = tiers::entry::Tier::Whole;
        let (config, cpu_apart) = (self.config(), Cell::default());
        let request = Request { bytecode, settings: &settings, tier, region: None, config, cpu_apart };
        let build = || compiler.artifact(key, &request);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(build)).unwrap_or(Err(Rejection::Panic))
    }

    /// Puts the code of an artifact in place, unless the entry has code. The caller has checked it against [`Runtime::acceptance`], or
    /// had a store do so.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn take_artifact(&self, object: SharedObject) -> Result<Taken, Rejection> {
        let key = &object.artifact().key;
        let Some(configuration) = self.tiers.configuration_of(key) else { return Ok(Taken::UnknownConfiguration) };
        let compiler = self.compiler.as_ref().ok_or(Rejection::NoCompiler)?;
        let bytecode = Bytes::copy_from_slice(&object.artifact().bytecode);
        let entry = self.tiers.entry((key.code_hash, configuration.number), bytecode, &configuration);
        let is_new = self.tiers.take(&entry, || compiler.parts(object, false))?;
        Ok(if is_new { Taken::New } else { Taken::Present })
    }

    /// Takes every artifact of the configured store that this process can run, in the calling thread.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn preload(&self) -> Result<Preloaded, StoreError> {
        let mut preloaded = Preloaded::default();
        let Some(store) = &self.config().store else { return Ok(preloaded) };
        store.load_all(Some(&self.acceptance()), &mut |object| {
            let counter = match self.take_artifact(object) {
                Ok(Taken::New) => &mut preloaded.taken,
                Ok(Taken::Present) => &mut preloaded.present,
                Ok(Taken::UnknownConfiguration) => &mut preloaded.unknown_configuration,
                Err(_) => &mut preloaded.not_mapped,
            };
            *counter += 1;
            ControlFlow::Continue(())
        })?;
        Ok(preloaded)
    }

    /// The same on a thread of its own; execution goes on meanwhile.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn preload_in_background(&self) -> io::Result<Preload> {
        let runtime = self.clone();
        Ok(Preload { thread: spawn_named("hotevm-preload", move || runtime.preload())? })
    }
}

impl Tiers {
    /// The configuration that a key is for: a stock one, made if need be.
    fn configuration_of(&self, key: &ArtifactKey) -> Option<Arc<Configuration>> {
        let custom = opcode_words(key.custom_opcodes);
        let (_, spec) = STOCK.get_or_init(stock_digests).iter().find(|(digest, _)| *digest == key.gas)?;
        Some(self.configurations.get(Settings::stock(*spec, custom)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_settings_apart_by_value() {
        let mut digests: Vec<B256> = stock_digests().into_iter().map(|(digest, _)| digest).collect();
        assert_eq!(digests, stock_digests().into_iter().map(|(digest, _)| digest).collect::<Vec<_>>());
        let osaka = Settings::stock(SpecId::OSAKA, [0; 4]);
        let mut dearer = osaka.clone();
        dearer.gas_table[1] += 1;
        digests.push(dearer.gas_digest());
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), Fork::ALL.len() + 1);
        let custom = Settings::stock(SpecId::OSAKA, Instructions::custom([0x0c, 0xff]).words());
        assert_eq!(custom.gas_digest(), osaka.gas_digest());
        assert_eq!(opcode_words(custom.custom_opcodes()), custom.custom);
        assert_eq!((custom.custom_opcodes()[1], custom.custom_opcodes()[31]), (0x10, 0x80));
    }
}
