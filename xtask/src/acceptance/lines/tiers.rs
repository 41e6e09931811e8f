//! Checks of the lines about the tiered runtime.
//!
//! in   reports of replays in mode `tiered`; figures that tests, benches and scripts printed
//! out  figures, compared with what is promised

use super::{super::figures::Figures, mode, runs, speedup_in};
use serde_json::Value;

/// Subtests of the state tests outside of `static/`.
const STATE_TESTS_BUT_STATIC: u64 = 10_172;

/// Rounds at the end of a measurement, by when everything hot is compiled.
const LAST_ROUNDS: usize = 20;
/// What `tiered` must reach of what compiling everything gains, and what it may take of the bytes.
const OF_JIT_SPEEDUP_MIN: f64 = 0.9;
const OF_JIT_BYTES_MAX: f64 = 0.25;

pub(super) fn block_19933122(report: &Value, figures: &mut Figures) {
    settled(report, figures, 3_000.0);
}

pub(super) fn block_19923400(report: &Value, figures: &mut Figures) {
    settled(report, figures, 6_000.0);
}

fn settled(report: &Value, figures: &mut Figures, compile_cpu_ms_max: f64) {
    let runs = runs(report);
    let (Some(run), total) = (runs.first(), &report["total"]) else { return figures.fails("no run".to_owned()) };
    figures.equal("mismatches", &total["tiered"]["mismatches"], 0);
    let base = last_ms(mode(run, "interpreter"));
    let speedup = |name| base.zip(last_ms(mode(run, name))).map(|(base, time)| base / time);
    let (jit, tiered) = (speedup("jit"), speedup("tiered"));
    figures.figure("speedup_jit_last_rounds", jit);
    figures.figure("speedup_tiered_last_rounds", tiered);
    figures.at_least("of_jit_speedup", jit.zip(tiered).map(|(jit, tiered)| tiered / jit), OF_JIT_SPEEDUP_MIN);
    figures.at_most("compile_cpu_ms", total["tiered"]["compile_cpu_ms"].as_f64(), compile_cpu_ms_max);
    let bytes = |name: &str| total[name]["code_bytes"].as_f64();
    figures.at_most("of_jit_code_bytes", bytes("tiered").zip(bytes("jit")).map(|(part, all)| part / all), OF_JIT_BYTES_MAX);
}

/// The median of the last rounds.
fn last_ms(mode: &Value) -> Option<f64> {
    let rounds = mode["round_ms"].as_array()?;
    let mut last: Vec<f64> = rounds.iter().rev().take(LAST_ROUNDS).filter_map(Value::as_f64).collect();
    last.sort_by(f64::total_cmp);
    last.get(last.len() / 2).copied()
}

pub(super) fn cold_caches(report: &Value, figures: &mut Figures) {
    figures.equal("mismatches", &report["total"]["tiered"]["mismatches"], 0);
    for block in ["19933122", "19923400"] {
        figures.at_least(&format!("speedup_{block}"), speedup_in("tiered", &runs(report), block), 1.3);
    }
}

pub(super) fn chain(report: &Value, figures: &mut Figures) {
    let total = &report["total"];
    figures.equal("mismatches", &total["tiered"]["mismatches"], 0);
    let rounds = |name: &str| total[name]["rounds"].as_array().cloned().unwrap_or_default();
    let (interpreter, tiered) = (rounds("interpreter"), rounds("tiered"));
    let last = |rounds: &[Value]| rounds.last().and_then(|round| round["cumulative_ms"].as_f64());
    let ratio = last(&tiered).zip(last(&interpreter)).map(|(tiered, interpreter)| tiered / interpreter);
    figures.at_most("cumulative_over_interpreter", ratio, 1.0);
    for key in ["ms", "native_gas_share", "compile_cpu_ms"] {
        figures.figure(format!("rounds_{key}"), tiered.iter().map(|round| round[key].clone()).collect::<Vec<_>>());
    }
}

pub(super) fn hook_costs(report: &Value, figures: &mut Figures) {
    figures.at_most("lookup_hit_ns", report["lookup_hit_ns"].as_f64(), 50.0);
    figures.equal("lookup_hit_allocations", &report["lookup_hit_allocations"], 0);
    figures.at_most("wrap_ns", report["wrap_ns"].as_f64(), 1_000.0);
    figures.equal("wrap_allocations", &report["wrap_allocations"], 0);
}

pub(super) fn disabled_costs(report: &Value, figures: &mut Figures) {
    figures.at_most("disabled_over_interpreter", report["disabled_over_interpreter"].as_f64(), 1.005);
}

/// What runs cold may be this much slower; how far the interpreter is from itself is a figure beside it.
pub(super) fn cold_costs(report: &Value, figures: &mut Figures) {
    figures.at_most("tiered_over_interpreter", report["tiered_over_interpreter"].as_f64(), 1.02);
    figures.figure("again_over_interpreter", report["again_over_interpreter"].clone());
}

pub(super) fn generated_stress(report: &Value, figures: &mut Figures) {
    figures.at_least("executions", report["executions"].as_f64(), 200_000.0);
    figures.equal("differences", &report["differences"], 0);
    figures.at_least("native_gas_share", report["native_gas_share"].as_f64(), 0.5);
    for change in ["became_watched", "became_native_1", "became_native_2", "regrown", "demoted", "loop_entries"] {
        figures.at_least(change, report[change].as_f64(), 1.0);
    }
}

pub(super) fn state_tests_stress(report: &Value, figures: &mut Figures) {
    let tiered = mode(report, "tiered");
    figures.equal("passed", &tiered["passed"], STATE_TESTS_BUT_STATIC);
    figures.equal("failed", &tiered["failed"], 0);
    figures.at_least("native_gas_share", tiered["native_gas_share"].as_f64(), 0.5);
}

pub(super) fn watching_costs(report: &Value, figures: &mut Figures) {
    figures.at_most("watched_over_interpreter", report["watched_over_interpreter"].as_f64(), 1.1);
    figures.figure("cold_over_interpreter", report["cold_over_interpreter"].clone());
}

#[cfg(test)]
mod tests {
    use super::{super::failures, *};
    use serde_json::json;

    #[test]
    fn the_last_rounds_count() {
        let report = |last_ms: f64, bytes: u64| {
            let rounds = |first: f64, last: f64| [vec![first; 40], vec![last; 20]].concat();
            let modes = json!([
                {"mode": "interpreter", "round_ms": rounds(10.0, 10.0)}, {"mode": "jit", "round_ms": rounds(5.0, 5.0)},
                {"mode": "tiered", "round_ms": rounds(20.0, last_ms)},
            ]);
            let total = json!({
                "jit": {"code_bytes": 1000}, "tiered": {"code_bytes": bytes, "mismatches": 0, "compile_cpu_ms": 10.0},
            });
            json!({"runs": [{"name": "19933122", "modes": modes}], "total": total})
        };
        assert!(failures(block_19933122, &report(5.2, 200)).is_empty());
        let slow = failures(block_19933122, &report(8.0, 300));
        assert_eq!(slow, ["of_jit_speedup is 0.625, not at least 0.9", "of_jit_code_bytes is 0.3, not at most 0.25"]);
    }

    #[test]
    fn costs_are_bounded() {
        assert!(failures(disabled_costs, &json!({"disabled_over_interpreter": 1.001})).is_empty());
        assert_eq!(failures(hook_costs, &json!({"lookup_hit_ns": 20, "wrap_ns": 9, "wrap_allocations": 0})).len(), 1);
        let rounds = |ms: f64| json!({"mismatches": 0, "rounds": [{"cumulative_ms": ms}]});
        let report = |ms: f64| json!({"total": {"interpreter": rounds(10.0), "tiered": rounds(ms)}});
        assert!(failures(chain, &report(9.0)).is_empty());
        assert_eq!(failures(chain, &report(11.0)).len(), 1);
        assert_eq!(failures(watching_costs, &json!({"watched_over_interpreter": 1.2})).len(), 1);
        assert_eq!(failures(cold_caches, &json!({"runs": [], "total": {"tiered": {"mismatches": 0}}})).len(), 2);
    }
}
