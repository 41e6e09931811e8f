//! What an embedder chooses: preset, pipeline, target, dumps, and which instructions are the stock ones.
//!
//! in   names from a command line or fields set in code
//! out  plain data; nothing here acts

use crate::sync::Arc;
use hotevm_store::ArtifactStore;
use revm::primitives::B256;
use std::{collections::HashSet, fmt, path::PathBuf, str::FromStr};

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
    /// Folder for the file `perf-PID.map`, which tells `perf` the names of compiled code (`evm:HASH:0`): `perf` looks in `/tmp` alone, so choose
    /// another only to copy the file. Where it cannot be made, there is no [`Runtime`](crate::Runtime).
    pub perf_map: Option<PathBuf>,
    /// Bound of all executable memory, in bytes.
    pub code_memory_bytes_max: usize,
    /// What bounds the compiler's work on one code.
    pub limits: hotevm_ir::Limits,
    /// Where compiled code is looked for before it is compiled, and kept afterwards.
    pub store: Option<Arc<dyn ArtifactStore>>,
    /// Spoils every function before machine code is made of it, so that tests can show that they would notice.
    #[cfg(feature = "planted-faults")]
    pub planted_fault: Option<fn(&mut hotevm_ir::Function)>,
    /// Whether the runtime starts enabled. A disabled one starts no threads and interprets everything.
    pub enabled: bool,
    /// Threads that compile; with none, whoever puts a job into the queue does it (presets `test` and `stress`).
    pub workers: usize,
    /// Codes that are never compiled, by hash.
    pub deny: HashSet<B256>,
    /// When codes change tiers, and what the runtime may take.
    pub tuning: Tuning,
}

/// Declares the tuning table: name, type, value in presets development, production, stress, meaning. Preset test takes
/// development's, but for one.
macro_rules! tuning {
    ($($(#[$meta:meta])* $name:ident: $type:ty = $development:expr, $production:expr, $stress:expr;)*) => {
        /// When codes change tiers, and what the runtime may take.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Tuning { $($(#[$meta])* pub $name: $type,)* }

        impl Tuning {
            /// The values of a preset.
            pub fn preset(preset: Preset) -> Self {
                match preset {
                    Preset::Development => Self { $($name: $development,)* },
                    // While it is paused, it watches whatever runs.
                    Preset::Test => Self { quiet_frames: u32::MAX, ..Self::preset(Preset::Development) },
                    Preset::Production => Self { $($name: $production,)* },
                    Preset::Stress => Self { $($name: $stress,)* },
                }
            }
        }
    };
}

tuning! {
    /// Gas spent in a code before its blocks are noted. It counts twice as much for each further EVM or block that meets the code, up to the
    /// fifteenth: what comes back in block after block gets warm with less. Above a billion, nothing gets warm.
    warm_gas: u64 = 8_000_000, 20_000_000, 1;
    /// Jobs that wait for codes without any, from which on no other code gets warm: watching costs time, and is in vain where nobody
    /// compiles soon.
    warm_queue_len_max: usize = 32, 32, 1024;
    /// Time that native code would have saved so far, over the estimated time of compiling, at which a code is compiled.
    eagerness: f64 = 0.001, 0.5, 0.0;
    /// Leaves at one site out of a region before it is compiled again; doubles with every compilation of the code.
    grow_leaves: u32 = 16, 64, 1;
    /// Compilations of one code after which its region is left as it is.
    compilations_max: u32 = 12, 8, 6;
    /// Frames of a code among which some are watched before it is compiled; later ones only add heat.
    watched_frames_max: u32 = 256, 256, 1 << 20;
    /// Watched frames in a row that showed no new block, after which one in eight is watched.
    quiet_frames: u32 = 4, 4, u32::MAX;
    /// Frames between two random demotions; 0 for none.
    demote_every: u64 = 0, 0, 101;
    /// Codes with an entry.
    entries_max: usize = 1 << 16, 1 << 16, 1 << 16;
    /// Slots of the table of codes without an entry.
    seen_len: usize = 1 << 14, 1 << 16, 1 << 4;
    /// Bytes of all profiles.
    profile_bytes_max: usize = 64 << 20, 64 << 20, 64 << 20;
    /// Jobs that wait.
    queue_len_max: usize = 1024, 1024, 1024;
    /// Bytes of machine code before the least recently used gives way.
    code_bytes_max: u64 = 512 << 20, 512 << 20, 512 << 20;
    /// CPU time of compiling, per time.
    compile_cpu_share: f64 = 2.0, 0.5, 1e6;
    /// Seconds without use after which code is dropped.
    idle_s: u32 = 3600, 3600, 3600;
    /// Seconds before a rejected code is tried again; doubles with every rejection.
    retry_s: u32 = 60, 600, 1;
    /// Codes that wait to be written to the store.
    store_queue_len_max: usize = 1 << 16, 1 << 16, 1 << 16;
    /// Milliseconds before a store that failed is tried again; doubles up to 256 times as long.
    store_retry_ms: u32 = 1000, 1000, 1000;
    /// Seconds between two times at which the store is told what ran, and hints are left; at least one.
    store_upkeep_s: u32 = 600, 600, 600;
    /// Seconds that shutting down waits for jobs that run, and then again for code that is being written to the store.
    shutdown_s: u32 = 5, 5, 5;
}

impl Config {
    /// The settings of a preset.
    pub fn preset(preset: Preset) -> Self {
        let workers = match preset {
            Preset::Development | Preset::Production => 1,
            Preset::Test | Preset::Stress => 0,
        };
        Self { preset, workers, tuning: Tuning::preset(preset), ..Self::default() }
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
            perf_map: None,
            code_memory_bytes_max: 1 << 30,
            limits: hotevm_ir::Limits::default(),
            store: None,
            #[cfg(feature = "planted-faults")]
            planted_fault: None,
            enabled: true,
            workers: 1,
            deny: HashSet::new(),
            tuning: Tuning::preset(Preset::Development),
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
