//! CPU features that compiled code may be allowed to use, by LLVM's names.
//!
//! in   rows
//! out  the only features that a compiler may turn on beyond the instruction set's first generation, and that a process looks for
//!
//! Q1  A compiler that compiles for a machine turns off what is in neither list: nobody could tell whether another machine has it.

/// x86-64: features that every such CPU has. They are not said to be needed.
pub const X86_64_BASE_FEATURES: &[&str] = &["64bit", "cmov", "cx8", "fxsr", "mmx", "sse", "sse2", "x87"];

/// aarch64: features that every such CPU has.
pub const AARCH64_BASE_FEATURES: &[&str] = &["fp-armv8", "neon"];

/// x86-64: features to be looked for, sorted.
pub const X86_64_FEATURES: &[&str] = &[
    "adx",
    "aes",
    "avx",
    "avx2",
    "avx512bf16",
    "avx512bitalg",
    "avx512bw",
    "avx512cd",
    "avx512dq",
    "avx512f",
    "avx512fp16",
    "avx512ifma",
    "avx512vbmi",
    "avx512vbmi2",
    "avx512vl",
    "avx512vnni",
    "avx512vp2intersect",
    "avx512vpopcntdq",
    "avxifma",
    "avxneconvert",
    "avxvnni",
    "avxvnniint16",
    "avxvnniint8",
    "bmi",
    "bmi2",
    "cx16",
    "f16c",
    "fma",
    "gfni",
    "lzcnt",
    "movbe",
    "pclmul",
    "popcnt",
    "rdrnd",
    "rdseed",
    "sha",
    "sse3",
    "sse4.1",
    "sse4.2",
    "sse4a",
    "ssse3",
    "tbm",
    "vaes",
    "vpclmulqdq",
    "xsave",
    "xsavec",
    "xsaveopt",
    "xsaves",
];

/// aarch64: features to be looked for, sorted.
pub const AARCH64_FEATURES: &[&str] = &[
    "aes",
    "bf16",
    "complxnum",
    "crc",
    "dotprod",
    "flagm",
    "fp16fml",
    "fullfp16",
    "i8mm",
    "jsconv",
    "lse",
    "rcpc",
    "rdm",
    "sha2",
    "sha3",
    "sve",
    "sve2",
];
