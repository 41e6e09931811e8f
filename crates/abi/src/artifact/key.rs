//! The key of an artifact: everything that compiled code depends on.
//!
//! in   code, configuration, compiler, machine
//! out  [`ArtifactKey`]; whether a process may use the code ([`Acceptance`]), and if not why
//!
//! K1  Two artifacts with equal keys are interchangeable: same results, same speed.
//! K2  Every field that differs has a reason of its own ([`Refusal`]).

use super::{
    encoding::{DecodeError, Reader, Writer},
    refusal::Refusal,
};
use alloc::{string::String, vec::Vec};
use alloy_primitives::{B256, keccak256};

macro_rules! tiers {
    ($($variant:ident $number:literal $name:literal $meaning:literal,)*) => {
        /// How much of a contract was compiled, and with how much care.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Tier { $(#[doc = $meaning] $variant = $number,)* }

        impl Tier {
            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The tier with this number in a manifest.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

tiers! {
    First 1 "native-1" "The blocks that a profile saw, fast pipeline.",
    Second 2 "native-2" "The region grown by counted leaves, full pipeline.",
    Whole 3 "whole" "All blocks, full pipeline.",
}

/// Which compiler made the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CompilerFingerprint {
    /// hotevm's version.
    pub version: String,
    /// LLVM's version.
    pub llvm: String,
    /// Pipeline and all options that change the code.
    pub options: String,
}

/// Everything that compiled code depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArtifactKey {
    /// keccak256 of the bytecode.
    pub code_hash: B256,
    /// Digest of fork and gas costs.
    pub gas: B256,
    /// Opcodes declared custom: bit `op % 8` of byte `op / 8`.
    pub custom_opcodes: B256,
    /// [`abi_hash`](crate::abi_hash).
    pub abi: B256,
    /// The compiler.
    pub compiler: CompilerFingerprint,
    /// Instruction set and system, such as `x86_64-linux`.
    pub target: String,
    /// CPU features that the code may use beyond the instruction set's first generation, by LLVM's names, sorted.
    pub features: Vec<String>,
    /// The tier.
    pub tier: Tier,
    /// Digest of the region that was compiled; zero for whole contracts.
    pub region: B256,
}

impl ArtifactKey {
    pub(super) fn encode(&self, writer: &mut Writer) {
        for digest in [self.code_hash, self.gas, self.custom_opcodes, self.abi] {
            writer.array(digest.0);
        }
        for text in [&self.compiler.version, &self.compiler.llvm, &self.compiler.options, &self.target] {
            writer.text(text);
        }
        writer.list(&self.features, |writer, feature| writer.text(feature));
        writer.u8(self.tier as u8);
        writer.array(self.region.0);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [code_hash, gas, custom_opcodes, abi] =
            [reader.array()?.into(), reader.array()?.into(), reader.array()?.into(), reader.array()?.into()];
        let compiler = CompilerFingerprint { version: reader.text()?, llvm: reader.text()?, options: reader.text()? };
        let target = reader.text()?;
        let features = reader.list(Reader::text)?;
        // One key has one encoding, and so one digest.
        if !features.windows(2).all(|pair| matches!(pair, [left, right] if left < right)) {
            return Err(DecodeError::Value { what: "list of features" });
        }
        let tier = Tier::from_number(reader.u8()?).ok_or(DecodeError::Value { what: "tier" })?;
        let region = reader.array()?.into();
        Ok(Self { code_hash, gas, custom_opcodes, abi, compiler, target, features, tier, region })
    }

    /// A digest of the whole key.
    pub fn digest(&self) -> B256 {
        let mut writer = Writer::default();
        self.encode(&mut writer);
        keccak256(writer.into_bytes())
    }

    /// The first field in which an artifact with this key is not what was asked for.
    pub fn mismatch(&self, wanted: &Self) -> Option<Refusal> {
        let rows = [
            (self.code_hash != wanted.code_hash, Refusal::CodeHash),
            (self.gas != wanted.gas, Refusal::Gas),
            (self.custom_opcodes != wanted.custom_opcodes, Refusal::Opcodes),
            (self.abi != wanted.abi, Refusal::Abi),
            (self.compiler.version != wanted.compiler.version, Refusal::Compiler),
            (self.compiler.llvm != wanted.compiler.llvm, Refusal::Compiler),
            (self.compiler.options != wanted.compiler.options, Refusal::Options),
            (self.target != wanted.target, Refusal::Target),
            (self.features != wanted.features, Refusal::Cpu),
            (self.tier != wanted.tier, Refusal::Tier),
            (self.region != wanted.region, Refusal::Region),
        ];
        rows.into_iter().find(|(differs, _)| *differs).map(|(_, refusal)| refusal)
    }
}

/// What code a process can use, whatever bytecode it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The process's own [`abi_hash`](crate::abi_hash).
    pub abi: B256,
    /// Version of hotevm.
    pub version: String,
    /// Version of LLVM; none for a process without a compiler, which takes code from any.
    pub llvm: Option<String>,
    /// Options that code must have been compiled with; none where any will do.
    pub options: Option<String>,
    /// Instruction set and system.
    pub target: String,
    /// Features that the CPU has, by LLVM's names, in any order.
    pub features: Vec<String>,
}

impl Acceptance {
    /// Whether code with this key can run here.
    ///
    /// # Errors
    /// The first reason why it cannot.
    pub fn check(&self, key: &ArtifactKey) -> Result<(), Refusal> {
        let differs = |wanted: &Option<String>, found: &String| wanted.as_ref().is_some_and(|wanted| wanted != found);
        let lacks = key.features.iter().any(|feature| !self.features.contains(feature));
        let rows = [
            (self.abi != key.abi, Refusal::Abi),
            (self.version != key.compiler.version, Refusal::Compiler),
            (differs(&self.llvm, &key.compiler.llvm), Refusal::Compiler),
            (differs(&self.options, &key.compiler.options), Refusal::Options),
            (self.target != key.target, Refusal::Target),
            (lacks, Refusal::Cpu),
        ];
        rows.into_iter().find(|(is_wrong, _)| *is_wrong).map_or(Ok(()), |(_, refusal)| Err(refusal))
    }
}
