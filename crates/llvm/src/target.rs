//! The target: which machine code is for, and how much LLVM does for it.
//!
//! in   a CPU name or none, an optimisation level
//! out  a target machine for one compilation, and the pass pipeline

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
    /// No passes and the fastest instruction selection.
    None,
    /// A few passes and reduced code generation.
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
}

static INITIALISED: Once = Once::new();

fn initialise() {
    INITIALISED.call_once(|| {
        LlvmTarget::initialize_x86(&InitializationConfig::default());
        LlvmTarget::initialize_aarch64(&InitializationConfig::default());
        restrict_code_generation();
    });
}

/// Parts of LLVM's code generation that cost more time than they give (process-wide, since LLVM knows them only as options).
/// Sharing addresses between blocks, as machine CSE and LICM do, makes them live long and spills them.
const OPTIONS: &[&CStr] = &[
    c"hotevm",
    c"-disable-cgp",
    c"-disable-lsr",
    c"-disable-machine-cse",
    c"-disable-machine-licm",
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
        Self {
            triple: TargetMachine::get_default_triple().as_str().to_string_lossy().into_owned(),
            cpu: TargetMachine::get_host_cpu_name().to_string(),
            features: TargetMachine::get_host_cpu_features().to_string(),
        }
    }

    /// This machine's architecture with a CPU by LLVM's name, such as `x86-64-v2`.
    ///
    /// # Errors
    /// When LLVM does not know the CPU.
    pub fn cpu(name: &str) -> Result<Self, TargetError> {
        Self::new(&Self::host().triple, name)
    }

    /// Any architecture that was built in, with a CPU by LLVM's name.
    ///
    /// # Errors
    /// When LLVM does not know the triple or the CPU.
    pub fn new(triple: &str, cpu: &str) -> Result<Self, TargetError> {
        initialise();
        let target = Self { triple: triple.to_owned(), cpu: cpu.to_owned(), features: String::new() };
        // LLVM takes an unknown CPU for a generic one and only prints a warning, so names are checked here.
        let is_known = cpu == "generic" || KNOWN_CPUS.contains(&cpu) || cpu == Self::host().cpu;
        if !is_known {
            return Err(TargetError::Cpu(cpu.to_owned(), triple.to_owned()));
        }
        target.machine(Optimisation::Full).map(|_| target)
    }

    /// Triple, CPU and features, as part of the compiler's fingerprint.
    pub fn describe(&self) -> String {
        format!("{} {} {}", self.triple, self.cpu, self.features)
    }

    /// Whether the upper halves of vector registers have to be cleared before code is called that knows only the lower ones.
    pub(crate) fn has_upper_halves(&self) -> bool {
        self.triple.starts_with("x86_64") && (self.features.contains("+avx,") || matches!(&*self.cpu, "x86-64-v3" | "x86-64-v4"))
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

/// CPU names that embedders may ask for, besides the machine's own.
const KNOWN_CPUS: &[&str] = &["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "cortex-a72", "neoverse-n1", "neoverse-v2"];

impl Optimisation {
    /// The pass pipeline, in LLVM's spelling.
    pub(crate) const fn passes(self) -> &'static str {
        match self {
            Self::None => "function(simplifycfg)",
            Self::Fast => "function(early-cse,simplifycfg)",
            Self::Full => "function(simplifycfg)",
        }
    }
}
