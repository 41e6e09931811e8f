//! CPUs to compile for.
//!
//! in   what this CPU has
//! out  LLVM's names of CPUs that have less: code for them takes other ways through the back end, and runs here as well

/// CPUs that have no more than this one, and other vector instructions.
pub fn older_cpus() -> Vec<&'static str> {
    let mut cpus = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("sse4.2") && is_x86_feature_detected!("popcnt") {
            cpus.push("x86-64-v2");
        }
        let has_all = [
            is_x86_feature_detected!("avx2"),
            is_x86_feature_detected!("bmi1"),
            is_x86_feature_detected!("bmi2"),
            is_x86_feature_detected!("fma"),
            is_x86_feature_detected!("f16c"),
            is_x86_feature_detected!("lzcnt"),
            is_x86_feature_detected!("movbe"),
        ];
        if has_all == [true; 7] {
            cpus.push("x86-64-v3");
        }
    }
    cpus
}
