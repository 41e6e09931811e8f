//! Checks of the lines about artifacts.
//!
//! in   reports of replays and state tests from a store; figures that scripts printed
//! out  figures, compared with what is promised

use super::{super::figures::Figures, mode, runs};
use serde_json::Value;

/// Code of artifacts against code compiled in the same process, median against median.
pub(super) fn artifacts(report: &Value, figures: &mut Figures) {
    artifacts_alone(report, figures);
    let median = |mode: &str| report["total"][mode]["median_ms"].as_f64();
    let ratio = median("jit").zip(median("aot")).map(|(jit, aot)| jit / aot);
    figures.at_least("speed_over_jit", ratio, 0.95);
}

pub(super) fn artifacts_alone(report: &Value, figures: &mut Figures) {
    let compiled: Option<u64> = runs(report).iter().map(|run| mode(run, "aot")["compiled"].as_u64()).sum();
    figures.equal("compiled", &Value::from(compiled), 0);
    figures.equal("mismatches", &report["total"]["aot"]["mismatches"], 0);
    let native: Vec<Option<f64>> = runs(report).iter().map(|run| mode(run, "aot")["native_gas_share"].as_f64()).collect();
    figures.at_least("native_gas_share_least", native.into_iter().collect::<Option<Vec<f64>>>().and_then(least), 0.95);
    figures.figure("speedup", report["total"]["aot"]["speedup_geomean"].clone());
}

/// The first round against the median of all: both modes start cold, so each is compared with its own kind.
pub(super) fn restart(report: &Value, figures: &mut Figures) {
    first_round(report, figures, 0.9);
}

/// In three milliseconds, comparing 184 codes with the database's bytes and filling caches weigh a fifth; the bound keeps it there.
pub(super) fn restart_of_a_block(report: &Value, figures: &mut Figures) {
    first_round(report, figures, 0.7);
}

fn first_round(report: &Value, figures: &mut Figures, least_share: f64) {
    let (interpreter, tiered) = (&report["total"]["interpreter"], &report["total"]["tiered"]);
    figures.equal("mismatches", &tiered["mismatches"], 0);
    let speedup = |key: &str| interpreter[key].as_f64().zip(tiered[key].as_f64()).map(|(one, other)| one / other);
    let (first, warm) = (speedup("first_ms"), speedup("median_ms"));
    figures.figure("speedup_first_round", first);
    figures.figure("speedup_warm", warm);
    figures.at_least("first_round_share", first.zip(warm).map(|(first, warm)| first / warm), least_share);
}

pub(super) fn preload(report: &Value, figures: &mut Figures) {
    figures.equal("artifacts", &report["artifacts"], 2000);
    figures.at_most("preload_s", report["preload_s"].as_f64(), 2.0);
    figures.figure("preload_cpu_s", report["preload_cpu_s"].clone());
}

pub(super) fn state_tests_stored(report: &Value, figures: &mut Figures) {
    let (jit, aot) = (mode(report, "jit"), mode(report, "aot"));
    for key in ["passed", "failed", "skipped"] {
        figures.equal(&format!("aot_{key}"), &aot[key], jit[key].as_u64().unwrap_or(u64::MAX));
    }
    figures.equal("mismatches", &report["mismatches"], 0);
    let ratio = aot["native_gas_share"].as_f64().zip(jit["native_gas_share"].as_f64()).map(|(aot, jit)| aot / jit);
    figures.at_least("native_gas_share_over_jit", ratio, 0.99);
}

fn least(numbers: Vec<f64>) -> Option<f64> {
    numbers.into_iter().reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use super::{super::failures, *};
    use serde_json::json;

    #[test]
    fn code_of_artifacts_must_be_as_fast_and_compile_nothing() {
        let report = |compiled: u64, aot_ms: f64| {
            let total = |ms: f64| json!({"median_ms": ms, "mismatches": 0});
            let modes = json!([{"mode": "aot", "compiled": compiled, "native_gas_share": 0.99}]);
            json!({"runs": [{"modes": modes}], "total": {"jit": total(1.0), "aot": total(aot_ms)}})
        };
        assert!(failures(artifacts, &report(0, 1.04)).is_empty());
        let slow = failures(artifacts, &report(3, 2.0));
        assert_eq!(slow, ["compiled is 3, not 0", "speed_over_jit is 0.5, not at least 0.95"]);
    }

    #[test]
    fn a_restarted_process_must_be_fast_at_once() {
        let report = |first_ms: f64| {
            let interpreter = json!({"first_ms": 4.0, "median_ms": 2.0});
            json!({"total": {"interpreter": interpreter, "tiered": {"first_ms": first_ms, "median_ms": 1.0, "mismatches": 0}}})
        };
        assert!(failures(restart, &report(2.1)).is_empty());
        assert_eq!(failures(restart, &report(4.0)), ["first_round_share is 0.5, not at least 0.9"]);
        assert!(failures(restart_of_a_block, &report(2.8)).is_empty());
        assert_eq!(failures(restart_of_a_block, &report(4.0)), ["first_round_share is 0.5, not at least 0.7"]);
    }
}
