//! Which features the CPU of this process has, as far as generated code may need them.
//!
//! in   the CPU
//! out  names of features as LLVM spells them
//!
//! U1  A feature that is not in the table is never said to be there: code that needs it is refused. The table has a row for each feature
//!     that a compiler may use (crate `abi`, Q1).

/// LLVM's name of a feature, and whether the CPU has it.
type Row = (&'static str, bool);

/// The features that this CPU has, by LLVM's names.
pub fn host_features() -> Vec<&'static str> {
    rows().into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($($name:literal $detected:tt,)*) => { vec![$(($name, std::arch::is_x86_feature_detected!($detected)),)*] };
}

#[cfg(target_arch = "x86_64")]
fn rows() -> Vec<Row> {
    x86! {
        "adx" "adx", "aes" "aes", "avx" "avx", "avx2" "avx2", "avx512bf16" "avx512bf16", "avx512bitalg" "avx512bitalg",
        "avx512bw" "avx512bw", "avx512cd" "avx512cd", "avx512dq" "avx512dq", "avx512f" "avx512f", "avx512fp16" "avx512fp16",
        "avx512ifma" "avx512ifma", "avx512vbmi" "avx512vbmi", "avx512vbmi2" "avx512vbmi2", "avx512vl" "avx512vl",
        "avx512vnni" "avx512vnni", "avx512vp2intersect" "avx512vp2intersect", "avx512vpopcntdq" "avx512vpopcntdq",
        "avxifma" "avxifma", "avxneconvert" "avxneconvert", "avxvnni" "avxvnni", "avxvnniint16" "avxvnniint16",
        "avxvnniint8" "avxvnniint8", "bmi" "bmi1", "bmi2" "bmi2", "cx16" "cmpxchg16b", "f16c" "f16c", "fma" "fma",
        "gfni" "gfni", "lzcnt" "lzcnt", "movbe" "movbe", "pclmul" "pclmulqdq", "popcnt" "popcnt",
        "rdrnd" "rdrand", "rdseed" "rdseed", "sha" "sha", "sse3" "sse3", "sse4.1" "sse4.1", "sse4.2" "sse4.2", "sse4a" "sse4a",
        "ssse3" "ssse3", "tbm" "tbm", "vaes" "vaes", "vpclmulqdq" "vpclmulqdq", "xsave" "xsave", "xsavec" "xsavec",
        "xsaveopt" "xsaveopt", "xsaves" "xsaves",
    }
}

#[cfg(target_arch = "aarch64")]
macro_rules! arm {
    ($($name:literal $detected:tt,)*) => { vec![$(($name, std::arch::is_aarch64_feature_detected!($detected)),)*] };
}

#[cfg(target_arch = "aarch64")]
fn rows() -> Vec<Row> {
    arm! {
        "aes" "aes", "bf16" "bf16", "complxnum" "fcma", "crc" "crc", "dotprod" "dotprod", "flagm" "flagm", "fp16fml" "fhm",
        "fullfp16" "fp16", "i8mm" "i8mm", "jsconv" "jsconv", "lse" "lse", "rcpc" "rcpc", "rdm" "rdm", "sha2" "sha2",
        "sha3" "sha3", "sve" "sve", "sve2" "sve2",
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn rows() -> Vec<Row> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_row_for_each_feature_that_a_compiler_may_use() {
        let names: Vec<&str> = rows().into_iter().map(|(name, _)| name).collect();
        let expected = if cfg!(target_arch = "x86_64") { hotevm_abi::X86_64_FEATURES } else { hotevm_abi::AARCH64_FEATURES };
        assert_eq!(names, expected);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
