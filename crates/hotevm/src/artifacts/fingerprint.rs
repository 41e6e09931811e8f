//! Fingerprints: what a key says of configuration, compiler and machine.
//!
//! in   settings of an EVM, of the runtime, of the machine
//! out  keys and what this process accepts
//!
//! N1 of `artifacts` is kept here.

use crate::{
    Config,
    compiler::Compiler,
    configuration::{Configuration, Settings},
    sync::{Arc, OnceLock},
    tiers::{self, Tiers},
};
use alloy_primitives::Keccak256;
use hotevm_abi::{Acceptance, ArtifactKey, CompilerFingerprint, Tier, abi_hash};
use hotevm_ir::Fork;
use revm::{
    context_interface::cfg::GasParams,
    interpreter::instructions::gas_table_spec,
    primitives::{B256, hardfork::SpecId},
};

/// hotevm's version with a digest of the compiler's sources.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("HOTEVM_COMPILER_DIGEST"));

/// Digests of the forks with stock gas costs. Written once by whoever takes the first artifact.
static STOCK: OnceLock<Vec<(B256, SpecId)>> = OnceLock::new();

impl Settings {
    /// The settings of a fork with stock gas costs.
    pub(crate) fn stock(spec: SpecId, custom: [u64; 4]) -> Self {
        Self { spec, gas_table: gas_table_spec(spec), gas_params: GasParams::new_spec(spec), custom }
    }

    /// Digest of fork and gas costs (N1).
    pub(super) fn gas_digest(&self) -> B256 {
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
    pub(super) fn custom_opcodes(&self) -> B256 {
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
pub(crate) fn llvm_version() -> Option<String> {
    #[cfg(feature = "llvm")]
    return Some(hotevm_llvm::llvm_version());
    #[cfg(not(feature = "llvm"))]
    None
}

/// What makes code, as keys have it.
#[derive(Debug)]
pub(crate) struct Maker {
    pub(crate) llvm: String,
    /// CPU features that the code may use.
    pub(crate) features: Vec<String>,
}

impl Maker {
    /// The key of what is made of a whole code.
    pub(super) fn key(self, code_hash: B256, settings: &Settings, config: &Config) -> ArtifactKey {
        let compiler = CompilerFingerprint { version: VERSION.to_owned(), llvm: self.llvm, options: options(config) };
        ArtifactKey {
            code_hash,
            gas: settings.gas_digest(),
            custom_opcodes: settings.custom_opcodes(),
            abi: abi_hash(),
            compiler,
            target: target(),
            features: self.features,
            tier: Tier::Whole,
            region: B256::ZERO,
        }
    }
}

impl Compiler {
    /// What this compiler is; none in a build without one.
    pub(super) fn maker(&self) -> Option<Maker> {
        Some(Maker { llvm: llvm_version()?, features: self.features_needed() })
    }

    /// The key of what this compiler makes of a whole code; none without a compiler.
    pub(super) fn key(&self, code_hash: B256, settings: &Settings, config: &Config) -> Option<ArtifactKey> {
        Some(self.maker()?.key(code_hash, settings, config))
    }
}

/// A tier as keys have it.
pub(super) const fn tier_of(tier: tiers::entry::Tier) -> Tier {
    match tier {
        tiers::entry::Tier::Native1 => Tier::First,
        tiers::entry::Tier::Native2 => Tier::Second,
        tiers::entry::Tier::Whole => Tier::Whole,
    }
}

/// The tier of a key.
pub(super) const fn tier_in(key: &ArtifactKey) -> tiers::entry::Tier {
    match key.tier {
        Tier::First => tiers::entry::Tier::Native1,
        Tier::Second => tiers::entry::Tier::Native2,
        Tier::Whole => tiers::entry::Tier::Whole,
    }
}

/// What code a process with these settings can run, whoever compiled it.
pub(super) fn acceptance(config: &Config) -> Acceptance {
    Acceptance {
        abi: abi_hash(),
        version: VERSION.to_owned(),
        llvm: llvm_version(),
        options: Some(options(config)),
        target: target(),
        features: hotevm_code::host_features().into_iter().map(str::to_owned).collect(),
    }
}

impl Tiers {
    /// The configuration that a key is for: a stock one, made if need be.
    pub(super) fn configuration_of(&self, key: &ArtifactKey) -> Option<Arc<Configuration>> {
        let custom = opcode_words(key.custom_opcodes);
        let (_, spec) = STOCK.get_or_init(stock_digests).iter().find(|(digest, _)| *digest == key.gas)?;
        Some(self.configurations.get(Settings::stock(*spec, custom)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instructions;

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
