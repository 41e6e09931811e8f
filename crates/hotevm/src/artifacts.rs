//! Artifacts: compiled code of the runtime that outlives the process.
//!
//! in   bytecode and its configuration; artifacts of a store
//! out  artifacts; code in entries, as if it had been compiled here
//!
//! ```text
//! compiled here ──queue──> writer ──> store        start, by hand: store ──> entry
//! ```
//!
//! N1  What a key says of configuration and compiler is told by value, not by this process's numbers: the same settings have the same
//!     digests in every process and every build (`fingerprint`).
//! N2  A store that fails changes nothing but counters: what it does not have is compiled, what it does not take is kept in memory. No
//!     executing thread waits for it, presets without workers aside; what is kept is written by a thread of its own (`writer`, `keep`).
//! N3  Code of a store was mapped by the system's loader, and is that of the checked file. Where the loader does not map it (its limits, a
//!     hardened system), the checked image is used.
//! N4  Beside the code of a region stands what was known of its profile (`record`): the entry goes on from there.
//! N5  What was hashed lately is left in the store, too, and hashed again by who starts (`hints`).

pub(crate) mod fingerprint;
mod hints;
mod keep;
pub(crate) mod record;
#[cfg(all(test, not(feature = "loom")))]
mod tests;
pub(crate) mod writer;

use crate::{
    Instructions, Preset, Runtime,
    code::Parts,
    compiler::{Compiler, Kept, Linked, Rejection, Request, dump_files},
    configuration::Settings,
    sync::{JoinHandle, Ordering, spawn_named},
    tiers::{self, Tiers},
};
use fingerprint::{Maker, acceptance, tier_in, tier_of};
use hotevm_abi::{Acceptance, Artifact, ArtifactKey};
use hotevm_code::{Executable, SharedObject};
use hotevm_store::{ArtifactStore, StoreError, manifest_text};
use record::{Record, region_digest};
use revm::primitives::{B256, Bytes, hardfork::SpecId};
use std::{
    cell::Cell,
    io,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, SystemTime},
};
use writer::{Wanted, Writer};

/// How often a preload in the background tries to read the store.
const PRELOAD_TRIES: u32 = 5;

/// What came of taking an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Its code is in place.
    New,
    /// The entry had code that is as good, or a rejection, already.
    Present,
    /// It holds a region, and preset `test` runs whole contracts.
    Region,
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
    /// Artifacts of regions, in preset `test`.
    pub regions: u64,
    /// Artifacts for gas costs that are not those of a fork.
    pub unknown_configuration: u64,
    /// Artifacts whose code could not be mapped, or that are not for this process.
    pub not_mapped: u64,
    /// Inputs that the process before had hashed lately, hashed again.
    pub hashes: u64,
    /// Whether the store was gone through to its end: a preload in the background ends early where the runtime is disabled meanwhile.
    pub is_whole: bool,
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

impl Compiler {
    /// Maps the code of a shared object (N3).
    fn map(&self, object: &SharedObject) -> Result<Executable, Rejection> {
        let mapped = self.memory.load_shared_object(object).or_else(|_| self.memory.load(&object.image()));
        mapped.map_err(|error| Rejection::Memory(error.to_string()))
    }

    /// The parts of an artifact's code that can be entered.
    pub(crate) fn parts(&self, object: SharedObject) -> Result<Parts, Rejection> {
        let executable = self.map(&object)?;
        let Artifact { key, code, compile_cpu_ns, .. } = object.into_artifact();
        self.name_code(&executable, || key.code_hash);
        Ok(Parts {
            executable,
            entries: code.entries,
            leaves: code.leaves,
            // Nothing was compiled here (`NativeCode::is_taken`).
            instructions: 0,
            bytes: code.bytes.len(),
            region: Vec::new(),
            compile_cpu_ns,
            stored: Some(key),
        })
    }

    /// Compiles a code to an artifact.
    fn artifact(&self, key: ArtifactKey, request: &Request<'_>) -> Result<SharedObject, Rejection> {
        let start = cpu_time::ThreadTime::now();
        let Request { bytecode, config, .. } = *request;
        let Linked { image, entries, leaves, dumps, .. } = self.link(request)?;
        let layout = config.dump_dir.as_ref().map(|_| hotevm_code::layout_text(&image, None));
        let code = image.into_object(entries, leaves).map_err(|error| Rejection::Link(error.to_string()))?;
        let artifact = Artifact {
            key,
            code,
            bytecode: bytecode.to_vec(),
            profile: Vec::new(),
            created_unix_s: now_unix_s(),
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

    /// The artifact of code that was compiled and runs already.
    pub(crate) fn artifact_of(&self, kept: &Kept<'_>) -> Result<SharedObject, Rejection> {
        artifact_of(kept, self.maker().ok_or(Rejection::NoCompiler)?)
    }

    /// The artifact of what is asked for, if the store has it (N2).
    pub(crate) fn stored(&self, store: &dyn ArtifactStore, request: &Request<'_>) -> Option<SharedObject> {
        let code_hash = revm::primitives::keccak256(request.bytecode);
        let key = self.key(code_hash, request.settings, request.config)?;
        // A store is believed nothing but the bytes of an object, which were checked when it was made.
        let object = store.load(&key, None).ok().flatten()?;
        object.artifact().key.mismatch(&key).is_none().then_some(object)
    }
}

/// The artifact of code that runs.
pub(crate) fn artifact_of(kept: &Kept<'_>, maker: Maker) -> Result<SharedObject, Rejection> {
    let Kept { entry, code, config } = *kept;
    let key = maker.key(entry.key.0, &entry.configuration.settings, config);
    let record = entry.profile().filter(|_| code.is_region()).map(|profile| {
        let (stops, gas) = profile.totals();
        Record { stops, gas, seen: profile.starts(), region: code.region.clone() }.encode()
    });
    let artifact = Artifact {
        key: ArtifactKey { tier: tier_of(code.tier), region: region_digest(&code.region), ..key },
        code: code.object().ok_or_else(|| Rejection::Link("code of no image".to_owned()))?,
        bytecode: entry.bytecode.to_vec(),
        profile: record.unwrap_or_default(),
        created_unix_s: now_unix_s(),
        compile_cpu_ns: code.compile_cpu_ns,
    };
    let object = SharedObject::write(&artifact).map_err(|error| Rejection::Link(error.to_string()))?;
    if let Some(directory) = &config.dump_dir {
        let text = ("60-manifest.txt".to_owned(), manifest_text(&object).into_bytes());
        dump_files(directory, &entry.bytecode, std::iter::once(text));
    }
    Ok(object)
}

/// Seconds since 1970.
fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Runtime {
    /// What code this process can run, whoever compiled it.
    pub fn acceptance(&self) -> Acceptance {
        acceptance(self.config())
    }

    /// The key of the artifact that this process makes of a whole contract, for a fork with stock gas costs; none without a compiler.
    pub fn artifact_key(&self, code_hash: B256, spec: SpecId, instructions: Instructions) -> Option<ArtifactKey> {
        self.compiler.as_ref()?.key(code_hash, &Settings::stock(spec, instructions.words()), self.config())
    }

    /// Compiles a whole contract to an artifact, for a fork with stock gas costs; nothing is mapped or remembered. What this runtime
    /// saw to run of it is laid out together.
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
        let likely = self.tiers.seen_to_run((code_hash, self.tiers.configurations.get(settings.clone()).number));
        let request = Request { bytecode, settings: &settings, tier, region: None, likely, config, cpu_apart };
        let build = || compiler.artifact(key, &request);
        catch_unwind(AssertUnwindSafe(build)).unwrap_or(Err(Rejection::Panic))
    }

    /// Puts the code of an artifact in place, unless the entry has code that is as good.
    ///
    /// What it holds is run: take artifacts from where nobody else can write. Checked is that it is for this process, and not who made it.
    ///
    /// # Errors
    /// When [`Runtime::acceptance`] refuses it, or there is no memory for it.
    pub fn take_artifact(&self, object: SharedObject) -> Result<Taken, Rejection> {
        self.tiers.take_artifact(object)
    }

    /// Takes every artifact of the configured store that this process can run, in the calling thread; then hashes what the process before
    /// had hashed lately, so that contracts need not.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn preload(&self) -> Result<Preloaded, StoreError> {
        self.tiers.preload(&|| true)
    }

    /// The same on a thread of its own; execution goes on meanwhile. A store that cannot be read is tried again a few times. Where the runtime is
    /// disabled, or its last handle goes, the preload ends with the artifact that it takes just then ([`Preloaded::is_whole`]).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn preload_in_background(&self) -> io::Result<Preload> {
        let tiers = self.tiers.clone();
        Ok(Preload { thread: spawn_named("hotevm-preload", move || tiers.preload_patiently())? })
    }

    /// What the writer of the configured store did so far, by name; nothing where no store is set.
    pub fn writer_counts(&self) -> Vec<(&'static str, u64)> {
        self.tiers.writer.as_ref().map(Writer::counts).unwrap_or_default()
    }

    /// Makes a contract known that will be used. Its first frame is watched already; and if the store has code for it, that is taken in the
    /// background.
    pub fn prepare(&self, bytecode: &Bytes, spec: SpecId, instructions: Instructions) {
        self.prepare_batch([(bytecode.clone(), spec, instructions)], None);
    }

    /// The same for many contracts, for which the store is listed once. What it does not have is asked for in the tier `otherwise`.
    pub fn prepare_batch(
        &self,
        contracts: impl IntoIterator<Item = (Bytes, SpecId, Instructions)>,
        otherwise: Option<tiers::entry::Tier>,
    ) {
        let entries = contracts.into_iter().map(|(bytecode, spec, instructions)| self.entry(&bytecode, spec, instructions));
        let wanted: Vec<Wanted> = entries.map(|entry| Wanted { entry, otherwise }).collect();
        wanted.iter().for_each(|wanted| self.tiers.watch(&wanted.entry));
        let left = match &self.tiers.writer {
            Some(writer) => writer.look(wanted).err(),
            None => Some(wanted),
        };
        self.tiers.ask_otherwise(left.unwrap_or_default());
    }

    /// Takes all artifacts of a contract out of the configured store, whatever they were compiled for; how many there were. Waits for the
    /// store. What runs goes on running; it is kept again when it is compiled anew.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete_artifacts(&self, code_hash: B256) -> Result<usize, StoreError> {
        let Some(writer) = &self.tiers.writer else { return Ok(0) };
        writer.forget(|entry| entry.key.0 == code_hash);
        let mut deleted = 0;
        for listed in writer.store.list()?.iter().filter(|listed| listed.key.code_hash == code_hash) {
            deleted += usize::from(writer.store.delete(&listed.key)?);
        }
        Ok(deleted)
    }

    /// The same for all contracts.
    ///
    /// # Errors
    /// When the store fails.
    pub fn clear_artifacts(&self) -> Result<usize, StoreError> {
        let Some(writer) = &self.tiers.writer else { return Ok(0) };
        writer.forget(|_| true);
        writer.store.clear()
    }
}

impl Tiers {
    fn take_artifact(&self, object: SharedObject) -> Result<Taken, Rejection> {
        self.check_and_take(object).inspect_err(|rejection| self.count_rejection(rejection))
    }

    fn check_and_take(&self, object: SharedObject) -> Result<Taken, Rejection> {
        let key = &object.artifact().key;
        acceptance(&self.config).check(key).map_err(Rejection::Refused)?;
        let tier = tier_in(key);
        if tier != tiers::entry::Tier::Whole && self.config.preset == Preset::Test {
            return Ok(Taken::Region);
        }
        let Some(configuration) = self.configuration_of(key) else { return Ok(Taken::UnknownConfiguration) };
        let bytecode = Bytes::copy_from_slice(&object.artifact().bytecode);
        let entry = self.entry((key.code_hash, configuration.number), bytecode, &configuration);
        let record = Record::decode(&object.artifact().profile).filter(|record| region_digest(&record.region) == key.region);
        let is_new = self.take(&entry, tier, record.as_ref(), object)?;
        Ok(if is_new { Taken::New } else { Taken::Present })
    }

    /// Takes artifacts while `goes_on`.
    fn preload(&self, goes_on: &dyn Fn() -> bool) -> Result<Preloaded, StoreError> {
        let mut preloaded = Preloaded { is_whole: true, ..Preloaded::default() };
        let Some(writer) = &self.writer else { return Ok(preloaded) };
        writer.store.load_all(Some(&acceptance(&self.config)), &mut |object| {
            let counter = match self.take_artifact(object) {
                Ok(Taken::New) => &mut preloaded.taken,
                Ok(Taken::Present) => &mut preloaded.present,
                Ok(Taken::Region) => &mut preloaded.regions,
                Ok(Taken::UnknownConfiguration) => &mut preloaded.unknown_configuration,
                Err(_) => &mut preloaded.not_mapped,
            };
            *counter += 1;
            preloaded.is_whole = goes_on();
            if preloaded.is_whole { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        // Without code there are no tables, and nobody to ask them. Without hints nothing is missing.
        if let Some(hashes) = self.hashes.get().filter(|_| goes_on())
            && let Ok(left) = writer.store.hints()
        {
            preloaded.hashes = hints::take(&left.unwrap_or_default(), hashes, goes_on);
            self.hints_taken.store(goes_on(), Ordering::Release);
        }
        Ok(preloaded)
    }

    /// Tries again while the store cannot be read, and the runtime is wanted.
    fn preload_patiently(&self) -> Result<Preloaded, StoreError> {
        let is_wanted = || self.writer.as_ref().is_some_and(|writer| !writer.is_ending());
        let mut delay = Duration::from_millis(self.config.tuning.store_retry_ms.into());
        for _ in 1..PRELOAD_TRIES {
            match self.preload(&is_wanted) {
                Err(_) if self.writer.as_ref().is_some_and(|writer| !writer.pause(delay)) => delay *= 2,
                result => return result,
            }
        }
        self.preload(&is_wanted)
    }
}
