//! What an embedder chooses: preset, pipeline, target, dumps, and which instructions are the stock ones.
//!
//! in   names from a command line or fields set in code
//! out  plain data; nothing here acts

use crate::sync::Arc;
use hotevm_store::ArtifactStore;
use std::{fmt, path::PathBuf, str::FromStr};

/// A name that is not one of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is none of {expected}")]
pub struct ParseError {
    /// What was given.
    pub name: String,
    /// What would have been understood.
    pub expected: &'static str,
}

/// Declares an enum whose variants have one lower-case name each, for display and for parsing.
macro_rules! named_enum {
    ($(#[$meta:meta])* $type:ident, $expected:literal { $($(#[$row:meta])* $variant:ident => $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$row])* $variant,)* }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(match self { $(Self::$variant => $name,)* })
            }
        }

        impl FromStr for $type {
            type Err = ParseError;

            fn from_str(name: &str) -> Result<Self, ParseError> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(ParseError { name: name.to_owned(), expected: $expected }),
                }
            }
        }
    };
}

named_enum! {
    /// How eagerly code is compiled.
    Preset, "development, production, test, stress" {
        /// For a developer's machine.
        Development => "development",
        /// For a node.
        Production => "production",
        /// Synchronous: a contract is compiled, whole, at its first call.
        Test => "test",
        /// Lowest thresholds, for tests of the tiers.
        Stress => "stress",
    }
}

named_enum! {
    /// How much LLVM does for a function.
    Optimisation, "none, fast, full" {
        /// No passes and the fastest instruction selection.
        None => "none",
        /// A few passes and reduced code generation.
        Fast => "fast",
        /// Everything that was measured to pay.
        Full => "full",
    }
}

/// Settings of a [`Runtime`](crate::Runtime).
#[derive(Debug, Clone)]
pub struct Config {
    /// How eagerly code is compiled.
    pub preset: Preset,
    /// The pipeline for compiled code.
    pub optimisation: Optimisation,
    /// Compile a check of the leave mask at every instruction boundary (tests only: it makes code several times larger).
    pub force_leaves: bool,
    /// CPU to compile for, by LLVM's name; none means the machine's own.
    pub target_cpu: Option<String>,
    /// Where to write a text dump of every stage, one folder per code hash.
    pub dump_dir: Option<PathBuf>,
    /// Bound of all executable memory, in bytes.
    pub code_memory_bytes_max: usize,
    /// What bounds the compiler's work on one code.
    pub limits: hotevm_ir::Limits,
    /// Where compiled code is looked for before it is compiled, and kept afterwards.
    pub store: Option<Arc<dyn ArtifactStore>>,
    /// Spoils every function before machine code is made of it, so that tests can show that they would notice.
    #[cfg(feature = "planted-faults")]
    pub planted_fault: Option<fn(&mut hotevm_ir::Function)>,
}

impl Config {
    /// The settings of a preset.
    pub fn preset(preset: Preset) -> Self {
        Self { preset, ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            preset: Preset::Development,
            optimisation: Optimisation::Full,
            force_leaves: false,
            target_cpu: None,
            dump_dir: None,
            code_memory_bytes_max: 1 << 30,
            limits: hotevm_ir::Limits::default(),
            store: None,
            #[cfg(feature = "planted-faults")]
            planted_fault: None,
        }
    }
}

/// What the embedder declares about the instruction functions of the EVM it wraps.
///
/// Functions cannot be compared across crates, so whoever wraps an EVM says which opcodes are not revm's own. Changes of gas
/// costs need no declaration: they are read from the EVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Instructions {
    /// Every opcode is revm's.
    #[default]
    Stock,
    /// The opcodes whose bits are set (bit `op % 64` of word `op / 64`) were added or replaced.
    Custom([u64; 4]),
}

impl Instructions {
    /// Declares the listed opcodes as added or replaced.
    pub fn custom(opcodes: impl IntoIterator<Item = u8>) -> Self {
        let mut words = [0; 4];
        for opcode in opcodes {
            words[usize::from(opcode / 64)] |= 1 << (opcode % 64);
        }
        Self::Custom(words)
    }

    /// The declared opcodes as a 256-bit set.
    pub const fn words(&self) -> [u64; 4] {
        match self {
            Self::Stock => [0; 4],
            Self::Custom(words) => *words,
        }
    }
}
