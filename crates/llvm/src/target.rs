//! The target: which machine code is for, and how much LLVM does for it.
//!
//! in   a CPU name or none, an optimisation level
//! out  a target machine for one compilation, and the pass pipeline

use crate::diagnostics;
use hotevm_abi::{AARCH64_BASE_FEATURES, AARCH64_FEATURES, X86_64_BASE_FEATURES, X86_64_FEATURES};
use inkwell::{
    OptimizationLevel,
    llvm_sys::support::LLVMParseCommandLineOptions,
    targets::{CodeModel, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine, TargetTriple},
};
use std::{
    ffi::{CStr, c_char, c_int},
    sync::Once,
};

/// How much LLVM does for a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Optimisation {
    /// The fastest instruction selection.
    None,
    /// Reduced code generation.
    Fast,
    /// Everything that was measured to pay.
    Full,
}

/// Why there is no such target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// LLVM does not know the triple.
    #[error("LLVM knows no target {0}")]
    Triple(String),
    /// LLVM does not know the CPU.
    #[error("LLVM knows no CPU {0:?} for {1}")]
    Cpu(String, String),
    /// LLVM made no target machine.
    #[error("LLVM made no machine for {0}")]
    Machine(String),
}

/// A machine that code is compiled for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    triple: String,
    cpu: String,
    features: String,
    /// What code may use beyond the instruction set's first generation, sorted.
    needs: Vec<String>,
}

/// What code for a target may count on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abilities {
    /// Whether the upper halves of vector registers have to be cleared before code is called that knows only the lower ones.
    pub(crate) has_upper_halves: bool,
    pub(crate) shuffle: Shuffle,
    /// Whether one instruction tells if a word in a vector register has any of some bits.
    pub(crate) has_tests: bool,
    /// Whether a stub can return from the entry itself (`lower/stubs`, Y4).
    pub(crate) exits: bool,
}

/// The instructions by which the 32 bytes of a word are put into another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shuffle {
    /// One for all of them.
    Bytes,
    /// One for the bytes of each half, and one for the halves.
    BytesOfHalves,
    /// Whatever LLVM finds.
    Any,
}

static INITIALISED: Once = Once::new();

fn initialise() {
    INITIALISED.call_once(|| {
        LlvmTarget::initialize_x86(&InitializationConfig::default());
        LlvmTarget::initialize_aarch64(&InitializationConfig::default());
        restrict_code_generation();
        diagnostics::catch_fatal_errors();
    });
}

/// The pass pipeline of every level, in LLVM's spelling: stubs that nothing calls go first. What a loop without calls reads and writes in every
/// round, its gas above all, stays in registers meanwhile, and two rounds of a small loop stand one behind the other, each with its checks:
/// they need not hand over their values by moves. Loops with calls pay for it: addresses of homes are read before them, too, and spilled. Equal instructions are not made one: what blocks share, addresses above all, takes registers
/// from one to the other, and code gets longer.
pub(crate) const PASSES: &str = "globaldce,function(simplifycfg,loop-mssa(licm),\
    loop-unroll<no-peeling;no-profile-peeling;no-partial;no-runtime;no-upperbound>)";

/// What LLVM knows only as options of the process: mostly parts of its code generation that cost more time than they give.
/// Sharing addresses between blocks, as machine CSE and LICM do, makes them live long and spills them; so does sinking.
const OPTIONS: &[&CStr] = &[
    c"hotevm",
    c"-disable-cgp",
    // Rounds of a loop that stand one behind the other, and LLVM's measure of what they may be together.
    c"-unroll-count=2",
    c"-unroll-threshold=80",
    // What rarely runs lies apart; parts say how often they run (`lower/symbols`).
    c"-enable-split-machine-functions",
    // Sixteen bytes, as a rule, whose gaps are a hundredth of small code.
    c"-align-all-functions=2",
    c"-disable-lsr",
    c"-disable-constant-hoisting",
    c"-disable-machine-cse",
    c"-disable-machine-licm",
    c"-disable-machine-sink",
    c"-disable-machine-dce",
    c"-disable-copyprop",
    c"-disable-x86-domain-reassignment",
    c"-enable-misched=false",
    c"-enable-post-misched=false",
    // The stubs in front of builtins do it once for all.
    c"-x86-use-vzeroupper=false",
];

fn restrict_code_generation() {
    let arguments: Vec<*const c_char> = OPTIONS.iter().map(|option| option.as_ptr()).collect();
    // SAFETY: the pointers are to static strings, as many as counted; LLVM reads them during the call, which `Once` makes the only
    // one of this process.
    unsafe { LLVMParseCommandLineOptions(arguments.len() as c_int, arguments.as_ptr(), std::ptr::null()) };
}

impl Target {
    /// This machine, by name and features.
    pub fn host() -> Self {
        initialise();
        let (features, needs) = known_features(&TargetMachine::get_host_cpu_features().to_string());
        Self {
            triple: TargetMachine::get_default_triple().as_str().to_string_lossy().into_owned(),
            cpu: TargetMachine::get_host_cpu_name().to_string(),
            features,
            needs,
        }
    }

    /// This machine's architecture with a CPU by LLVM's name, such as `x86-64-v2`.
    ///
    /// # Errors
    /// When LLVM does not know the CPU.
    pub fn cpu(name: &str) -> Result<Self, TargetError> {
        let host = Self::host();
        if name == host.cpu { Ok(host) } else { Self::new(&host.triple, name) }
    }

    /// Any architecture that was built in, with a CPU by LLVM's name.
    ///
    /// # Errors
    /// When LLVM does not know the triple or the CPU.
    pub fn new(triple: &str, cpu: &str) -> Result<Self, TargetError> {
        initialise();
        // LLVM takes an unknown CPU for a generic one and only prints a warning, so names are checked here.
        let unknown = || TargetError::Cpu(cpu.to_owned(), triple.to_owned());
        let (_, levels) = KNOWN_CPUS.iter().find(|(name, _)| *name == cpu).ok_or_else(unknown)?;
        let mut needs: Vec<String> = levels.iter().copied().flatten().map(|feature| (*feature).to_owned()).collect();
        needs.sort_unstable();
        let target = Self { triple: triple.to_owned(), cpu: cpu.to_owned(), features: String::new(), needs };
        target.machine(Optimisation::Full).map(|_| target)
    }

    /// Triple, CPU and features, as part of the compiler's fingerprint.
    pub fn describe(&self) -> String {
        format!("{} {} {}", self.triple, self.cpu, self.features)
    }

    /// What code may count on.
    pub(crate) fn abilities(&self) -> Abilities {
        let has = |name: &str| self.needs.iter().any(|feature| feature == name);
        let shuffle = match () {
            () if has("avx512vbmi") && has("avx512vl") => Shuffle::Bytes,
            () if has("avx2") => Shuffle::BytesOfHalves,
            () => Shuffle::Any,
        };
        // LLVM has this for x86-64, and leaves it out for aarch64 without a word.
        let exits = self.triple.starts_with("x86_64");
        Abilities { has_upper_halves: has("avx"), shuffle, has_tests: has("avx"), exits }
    }

    /// CPU features that code for this target may use, by LLVM's names, beyond what every CPU of the architecture has.
    pub fn features_needed(&self) -> &[String] {
        &self.needs
    }

    pub(crate) fn machine(&self, optimisation: Optimisation) -> Result<TargetMachine, TargetError> {
        let triple = TargetTriple::create(&self.triple);
        let target = LlvmTarget::from_triple(&triple).map_err(|_| TargetError::Triple(self.triple.clone()))?;
        let level = match optimisation {
            Optimisation::None => OptimizationLevel::None,
            Optimisation::Fast => OptimizationLevel::Less,
            Optimisation::Full => OptimizationLevel::Default,
        };
        target
            .create_target_machine(&triple, &self.cpu, &self.features, level, RelocMode::PIC, CodeModel::Small)
            .ok_or_else(|| TargetError::Machine(self.triple.clone()))
    }
}

/// Features that a level of the x86-64 ABI adds to the one before (System V ABI AMD64 supplement, section 3.1.1), and those of the
/// Arm CPUs below, as far as code may use them.
const X86_64_V2: &[&str] = &["cx16", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"];
const X86_64_V3: &[&str] = &["avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"];
const X86_64_V4: &[&str] = &["avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"];
const ARMV8: &[&str] = &["aes", "crc", "sha2"];
const ARMV8_2: &[&str] = &["dotprod", "fullfp16", "lse", "rcpc", "rdm"];
const ARMV9: &[&str] = &["bf16", "complxnum", "flagm", "fp16fml", "i8mm", "jsconv", "sve", "sve2"];

/// CPU names that embedders may ask for, besides the machine's own, and what code for them may use.
const KNOWN_CPUS: &[(&str, &[&[&str]])] = &[
    ("generic", &[]),
    ("x86-64", &[]),
    ("x86-64-v2", &[X86_64_V2]),
    ("x86-64-v3", &[X86_64_V2, X86_64_V3]),
    ("x86-64-v4", &[X86_64_V2, X86_64_V3, X86_64_V4]),
    ("cortex-a72", &[ARMV8]),
    ("neoverse-n1", &[ARMV8, ARMV8_2]),
    ("neoverse-v2", &[ARMV8, ARMV8_2, ARMV9]),
];

/// LLVM's description of a CPU's features with everything turned off that no process could look for (crate `abi`, Q1), and what is left
/// turned on beyond the architecture's first generation.
fn known_features(host: &str) -> (String, Vec<String>) {
    let base = [X86_64_BASE_FEATURES, AARCH64_BASE_FEATURES];
    let to_look_for = [X86_64_FEATURES, AARCH64_FEATURES];
    let is_in = |lists: [&[&str]; 2], name: &str| lists.iter().any(|list| list.contains(&name));
    let mut needs: Vec<String> = Vec::new();
    let mut features: Vec<String> = Vec::new();
    for feature in host.split(',').filter(|feature| !feature.is_empty()) {
        match feature.strip_prefix('+') {
            Some(name) if is_in(to_look_for, name) => {
                needs.push(name.to_owned());
                features.push(feature.to_owned());
            }
            Some(name) if !is_in(base, name) => features.push(format!("-{name}")),
            _ => features.push(feature.to_owned()),
        }
    }
    needs.sort_unstable();
    (features.join(","), needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_features_are_turned_off() {
        let (features, needs) = known_features("+sse2,+avx2,-avx512f,+from-the-future,+adx");
        assert_eq!(features, "+sse2,+avx2,-avx512f,-from-the-future,+adx");
        assert_eq!(needs, ["adx", "avx2"]);
    }

    #[test]
    fn what_known_cpus_need_can_be_looked_for() {
        for (name, levels) in KNOWN_CPUS {
            for feature in levels.iter().copied().flatten() {
                assert!(X86_64_FEATURES.contains(feature) || AARCH64_FEATURES.contains(feature), "{name}: {feature}");
            }
        }
        let target = Target::cpu("x86-64-v2");
        assert!(target.is_err() || target.is_ok_and(|target| target.features_needed().is_sorted()));
        assert!(Target::host().features_needed().is_sorted());
    }
}
