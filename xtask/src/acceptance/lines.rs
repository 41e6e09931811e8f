//! The table of acceptance lines.
//!
//! in   the reports that `hotevm --json` and the long tests write
//! out  figures, compared with what is promised
//!
//! `{F}` stands for the fixtures' folder, `{JSON}` for the file the report goes to. What writes no such file prints its figures, one
//! a line, name first; they are looked at in the same way.

mod artifacts;
mod tiers;

use super::figures::Figures;
use serde_json::Value;

/// A line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) command: &'static [&'static str],
    /// What the status says.
    pub(super) status: Status,
    /// Looks at the report; none where the status says it all.
    pub(super) check: Option<Check>,
}

/// What a command's exit status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Zero if the line holds.
    Decides,
    /// Nothing: revm itself fails some of these tests, and what counts is that both modes do the same.
    SaysNothing,
}

type Check = fn(&Value, &mut Figures);

/// A command of the `hotevm` binary.
macro_rules! hotevm {
    ($($word:literal),*) => {
        &["cargo", "run", "--release", "--quiet", "-p", "hotevm-cli", "--", $($word,)* "--json", "{JSON}"]
    };
}

/// A replay of one block in the tiers, waiting between rounds until nothing is compiled.
macro_rules! tiered {
    ($block:literal) => {
        hotevm!["replay", "{F}/blocks", "--filter", $block, "--mode", "interpreter,jit,tiered", "--settle", "--rounds", "60"]
    };
}

/// Test programs of the crate that tests differentially.
macro_rules! tests {
    ($($program:literal),*) => {
        &["cargo", "test", "--quiet", "-p", "hotevm-testing", $("--test", $program,)*]
    };
}

/// Fixtures from artifacts of another process.
macro_rules! artifacts {
    ($what:literal, $($word:literal),*) => {
        &["scripts/try-artifacts", $what, "{JSON}", $($word,)*]
    };
}

/// Generated contracts against the interpreter, in a build that notices overflows.
macro_rules! generated {
    ($($word:literal),*) => {
        &[
            "cargo", "run", "--profile", "checked", "--quiet", "-p", "hotevm-testing", "--example", "generated", "--", "--inputs", "20",
            "--jobs", "2", $($word),*
        ]
    };
}

/// Every line.
pub(super) const LINES: [Line; 35] = [
    Line {
        name: "fresh-clone",
        about: "a clone without fixtures replays the sample chain and passes its tests",
        command: &["scripts/try-fresh-clone"],
        status: Status::Decides,
        check: None,
    },
    Line {
        name: "statetest-interpreter",
        about: "every state test, interpreted",
        command: hotevm!["statetest", "{F}/state_tests", "--mode", "interpreter"],
        status: Status::Decides,
        check: Some(state_tests_interpreted),
    },
    Line {
        name: "statetest-jit",
        about: "every state test, native",
        command: hotevm!["statetest", "{F}/state_tests", "--mode", "jit"],
        status: Status::Decides,
        check: Some(state_tests_native),
    },
    Line {
        name: "blocktest",
        about: "every blockchain test, both modes compared",
        command: hotevm!["blocktest", "{F}/blockchain_tests", "--mode", "interpreter,jit"],
        status: Status::Decides,
        check: Some(block_tests),
    },
    Line {
        name: "amsterdam",
        about: "the tests of the coming fork, both modes compared",
        command: hotevm!["blocktest", "{F}/amsterdam", "--mode", "interpreter,jit"],
        status: Status::SaysNothing,
        check: Some(amsterdam),
    },
    Line {
        name: "replay-blocks",
        about: "33 mainnet blocks, warm",
        command: hotevm!["replay", "{F}/blocks", "--mode", "interpreter,jit"],
        status: Status::Decides,
        check: Some(blocks),
    },
    Line {
        name: "replay-cold-caches",
        about: "the same blocks, with caches swept before every round",
        command: hotevm!["replay", "{F}/blocks", "--mode", "interpreter,jit", "--cold-caches"],
        status: Status::Decides,
        check: Some(blocks_cold),
    },
    Line {
        name: "replay-contracts",
        about: "well-known contracts",
        command: hotevm!["replay", "{F}/contracts", "--mode", "interpreter,jit"],
        status: Status::Decides,
        check: Some(contracts),
    },
    Line {
        name: "compile-cost",
        about: "what compiling the codes of block 6196166 costs",
        command: hotevm!["replay", "{F}/blocks", "--filter", "6196166", "--mode", "interpreter,jit", "--rounds", "1"],
        status: Status::Decides,
        check: Some(compile_cost),
    },
    Line {
        name: "sample-chain",
        about: "the embedded chain, equal and faster",
        command: hotevm!["replay"],
        status: Status::Decides,
        check: Some(sample_chain),
    },
    Line {
        name: "generated",
        about: "50,000 generated contracts, 20 inputs or leave schedules each",
        command: generated!["--contracts", "50000"],
        status: Status::Decides,
        check: Some(generated),
    },
    Line {
        name: "generated-stress",
        about: "200,000 executions of generated contracts in the tiers, with random demotion",
        command: generated!["--contracts", "10000", "--optimisation", "stress,stress+leaves"],
        status: Status::Decides,
        check: Some(tiers::generated_stress),
    },
    Line {
        name: "inline-opcodes",
        about: "no opcode that is meant to be inline lowers to a call of the host",
        command: &["cargo", "test", "--quiet", "-p", "hotevm-llvm", "--test", "objects"],
        status: Status::Decides,
        check: None,
    },
    Line {
        name: "planted-faults",
        about: "miscompilations planted in machine code, and faults in an interpreter, are found",
        command: tests!["planted_native", "planted"],
        status: Status::Decides,
        check: None,
    },
    Line {
        name: "artifacts",
        about: "two blocks from artifacts that another process made, as fast as compiled here",
        command: artifacts!["build", "{F}/blocks/19933612.json.gz", "{F}/blocks/19923400.json.gz"],
        status: Status::Decides,
        check: Some(artifacts::artifacts),
    },
    Line {
        name: "artifacts-without-llvm",
        about: "the same two blocks in a build without LLVM",
        command: artifacts!["without-llvm", "{F}/blocks/19933612.json.gz", "{F}/blocks/19923400.json.gz"],
        status: Status::Decides,
        check: Some(artifacts::artifacts_alone),
    },
    Line {
        name: "artifacts-restart",
        about: "mode tiered after a restart is fast from its first round on the sample chain",
        command: artifacts!["restart",],
        status: Status::Decides,
        check: Some(artifacts::restart),
    },
    Line {
        name: "artifacts-restart-block",
        about: "the same for one block, of which a round takes three milliseconds",
        command: artifacts!["restart", "{F}/blocks/19933612.json.gz"],
        status: Status::Decides,
        check: Some(artifacts::restart_of_a_block),
    },
    Line {
        name: "artifacts-preload",
        about: "2,000 artifacts are taken in less than two seconds",
        command: &["cargo", "run", "--release", "--quiet", "-p", "hotevm-store", "--example", "preload"],
        status: Status::Decides,
        check: Some(artifacts::preload),
    },
    Line {
        name: "artifacts-killed",
        about: "builds and background writers are killed 50 times each, two processes build at once",
        command: &["cargo", "test", "--release", "--quiet", "-p", "hotevm-cli", "--features", "full", "--test", "stores"],
        status: Status::Decides,
        check: None,
    },
    Line {
        name: "artifacts-refused",
        about: "every bad artifact is refused for its own reason, every altered byte is noticed",
        command: &["cargo", "test", "--quiet", "-p", "hotevm-store", "-p", "hotevm-code"],
        status: Status::Decides,
        check: None,
    },
    Line {
        name: "statetest-aot",
        about: "the state tests other than static/ from a store, filled by the first of two passes",
        command: &["scripts/try-artifacts", "state-tests", "{JSON}", "{F}/state_tests"],
        status: Status::Decides,
        check: Some(artifacts::state_tests_stored),
    },
    Line {
        name: "pitfalls",
        about: "known errors of other compilers, and every row of what is kept in step",
        command: tests!["pitfalls"],
        status: Status::Decides,
        check: None,
    },
    Line {
        name: "fuzz",
        about: "the fuzz target for 30 minutes",
        command: &["scripts/run-fuzz", "1800"],
        status: Status::Decides,
        check: None,
    },
    Line {
        name: "tiered-19933122",
        about: "block 19933122 in the tiers, until it is hot",
        command: tiered!["19933122"],
        status: Status::Decides,
        check: Some(tiers::block_19933122),
    },
    Line {
        name: "tiered-19923400",
        about: "block 19923400 in the tiers, until it is hot",
        command: tiered!["19923400"],
        status: Status::Decides,
        check: Some(tiers::block_19923400),
    },
    Line {
        name: "statetest-stress",
        about: "the state tests other than static/ in the tiers, with random demotion",
        command: hotevm![
            "statetest",
            "{F}/state_tests/berlin",
            "{F}/state_tests/byzantium",
            "{F}/state_tests/cancun",
            "{F}/state_tests/constantinople",
            "{F}/state_tests/frontier",
            "{F}/state_tests/homestead",
            "{F}/state_tests/istanbul",
            "{F}/state_tests/london",
            "{F}/state_tests/osaka",
            "{F}/state_tests/prague",
            "{F}/state_tests/shanghai",
            "--mode",
            "tiered",
            "--preset",
            "stress",
            "--optimisation",
            "none"
        ],
        status: Status::Decides,
        check: Some(tiers::state_tests_stress),
    },
    Line {
        name: "tiered-cold-caches",
        about: "both blocks in the tiers, with caches swept before every round",
        command: hotevm![
            "replay",
            "{F}/blocks/19933122.json.gz",
            "{F}/blocks/19923400.json.gz",
            "--mode",
            "interpreter,tiered",
            "--settle",
            "--rounds",
            "60",
            "--cold-caches"
        ],
        status: Status::Decides,
        check: Some(tiers::cold_caches),
    },
    Line {
        name: "tiered-chain",
        about: "33 mainnet blocks in chain order, cold at first, ten rounds",
        command: hotevm!["replay", "{F}/blocks", "--mode", "interpreter,tiered", "--rounds", "10", "--pin", "0,1"],
        status: Status::Decides,
        check: Some(tiers::chain),
    },
    Line {
        name: "hostile",
        about: "contracts written against compilers, one process each",
        command: &["cargo", "test", "--quiet", "--release", "-p", "hotevm-cli", "--test", "hostile"],
        status: Status::Decides,
        check: None,
    },
    Line {
        name: "hook-costs",
        about: "a look-up that hits, and wrapping an EVM",
        command: &["cargo", "test", "--quiet", "--release", "-p", "hotevm", "--lib", "hook::tests", "--", "--nocapture"],
        status: Status::Decides,
        check: Some(tiers::hook_costs),
    },
    Line {
        name: "disabled-costs",
        about: "instructions of a disabled runtime",
        command: &["scripts/count-disabled"],
        status: Status::Decides,
        check: Some(tiers::disabled_costs),
    },
    Line {
        name: "cold-costs",
        about: "first passes in fresh processes, by turns with the interpreter",
        command: &["scripts/measure-cold", "30", "{F}/blocks"],
        status: Status::Decides,
        check: Some(tiers::cold_costs),
    },
    Line {
        name: "watching-costs",
        about: "the sample chain with every frame watched",
        command: &["cargo", "bench", "--quiet", "-p", "hotevm-benches", "--bench", "watching"],
        status: Status::Decides,
        check: Some(tiers::watching_costs),
    },
    Line {
        name: "models",
        about: "the concurrency protocol in every order of a few threads",
        command: &["cargo", "test", "--quiet", "--release", "-p", "hotevm", "--features", "loom", "--lib", "models"],
        status: Status::Decides,
        check: None,
    },
];

/// Blocks that do real work in contracts.
const WORKING_BLOCKS: [&str; 16] = [
    "6196166", "7280000", "9069000", "11114732", "12159808", "12244000", "12459406", "12522062", "15537394", "15752489",
    "16257471", "17666333", "18426253", "19426586", "19932148", "19933612",
];

/// Blocks reported with cold caches besides: what the best compiler so far gains on them warm is gone there.
const COLD_BLOCKS: [&str; 2] = ["19933122", "19923400"];

/// Contracts, and the speedup each must reach: 0.8 of the best compiler's so far.
const CONTRACT_SPEEDUPS: [(&str, f64); 5] = [
    ("fibonacci-calldata", 0.8 * 25.0),
    ("factorial", 0.8 * 12.5),
    ("snailtracer", 0.8 * 3.5),
    ("burntpix", 0.8 * 6.3),
    ("curve-stableswap-2pool", 0.8 * 2.1),
];

const STATE_TESTS: u64 = 27_338;
const BLOCK_TESTS_PASSED_MIN: f64 = 4_339.0;
const MAINNET_BLOCKS: u64 = 33;
/// Blocks of which the receipts root can be computed, from this one on.
const RECEIPTS_ROOT_FROM: u64 = 4_370_000;
const RECEIPTS_ROOTS: u64 = 26;
const WALL_S_MAX: f64 = 30.0 * 60.0;

fn state_tests_interpreted(report: &Value, figures: &mut Figures) {
    state_tests(mode(report, "interpreter"), figures);
}

fn state_tests_native(report: &Value, figures: &mut Figures) {
    let jit = mode(report, "jit");
    state_tests(jit, figures);
    figures.at_least("native_frames_share", share(jit, "native_frames", "eligible_frames"), 0.99);
    figures.at_least("native_gas_share", jit["native_gas_share"].as_f64(), 0.85);
}

fn state_tests(mode: &Value, figures: &mut Figures) {
    figures.equal("passed", &mode["passed"], STATE_TESTS);
    figures.equal("failed", &mode["failed"], 0);
    figures.equal("skipped", &mode["skipped"], 0);
    figures.at_most("wall_s", mode["wall_s"].as_f64(), WALL_S_MAX);
}

fn block_tests(report: &Value, figures: &mut Figures) {
    let jit = mode(report, "jit");
    figures.at_least("passed", jit["passed"].as_f64(), BLOCK_TESTS_PASSED_MIN);
    figures.equal("failed", &jit["failed"], 0);
    figures.figure("skipped", jit["skipped"].clone());
    figures.equal("mismatches", &report["mismatches"], 0);
    figures.figure("native_gas_share", jit["native_gas_share"].clone());
    figures.figure("wall_s", jit["wall_s"].clone());
}

fn amsterdam(report: &Value, figures: &mut Figures) {
    let jit = mode(report, "jit");
    figures.equal("mismatches", &report["mismatches"], 0);
    for key in ["passed", "failed", "skipped", "native_gas_share"] {
        figures.figure(key, jit[key].clone());
    }
}

fn blocks(report: &Value, figures: &mut Figures) {
    let runs = runs(report);
    figures.equal("blocks", &Value::from(runs.len()), MAINNET_BLOCKS);
    figures.equal("mismatches", &report["total"]["jit"]["mismatches"], 0);
    let known = |run: &&&Value| number(run) >= RECEIPTS_ROOT_FROM;
    let right = runs.iter().filter(known).filter(|run| mode(run, "jit")["receipts_root_ok"] == true).count();
    figures.equal("receipts_roots_ok", &Value::from(right), RECEIPTS_ROOTS);
    let eligible: Vec<&Value> =
        runs.iter().filter(|run| mode(run, "jit")["eligible_frames"].as_u64() > Some(0)).copied().collect();
    figures.at_least("native_gas_share_least", extreme(&eligible, "native_gas_share", f64::min), 0.95);
    figures.at_most("table_call_gas_share_most", extreme(&eligible, "table_call_gas_share", f64::max), 0.02);
    let low = eligible.iter().filter(|run| mode(run, "jit")["native_gas_share"].as_f64() < Some(0.95));
    figures.figure("blocks_below_0.95", low.map(|run| name(run)).collect::<Vec<_>>());
    figures.at_least("speedup_16_blocks", geometric_mean(&runs, &WORKING_BLOCKS), 1.8);
    figures.figure("speedup_all", report["total"]["jit"]["speedup_geomean"].clone());
    figures.figure("compile_cpu_ms", report["total"]["jit"]["compile_cpu_ms"].clone());
    figures.figure("code_bytes", report["total"]["jit"]["code_bytes"].clone());
    let mut by_leaves: Vec<(u64, &str)> = runs.iter().map(|run| (leaves(mode(run, "jit")), name(run))).collect();
    by_leaves.sort_unstable_by(|a, b| b.cmp(a));
    figures.figure("most_leaves", by_leaves.iter().take(5).map(|(count, name)| format!("{name}: {count}")).collect::<Vec<_>>());
}

fn blocks_cold(report: &Value, figures: &mut Figures) {
    let runs = runs(report);
    figures.equal("mismatches", &report["total"]["jit"]["mismatches"], 0);
    for block in WORKING_BLOCKS.iter().chain(&COLD_BLOCKS) {
        let speedup = speedup(&runs, block);
        figures.at_least(&format!("speedup_{block}"), speedup, 0.0);
    }
    figures.at_least("speedup_16_blocks", geometric_mean(&runs, &WORKING_BLOCKS), 0.0);
}

fn contracts(report: &Value, figures: &mut Figures) {
    let runs = runs(report);
    figures.equal("mismatches", &report["total"]["jit"]["mismatches"], 0);
    for (contract, bound) in CONTRACT_SPEEDUPS {
        figures.at_least(&format!("speedup_{contract}"), speedup(&runs, contract), bound);
    }
    figures.figure("speedup_all", report["total"]["jit"]["speedup_geomean"].clone());
}

fn compile_cost(report: &Value, figures: &mut Figures) {
    let total = &report["total"]["jit"];
    figures.figure("compiled", runs(report).first().map(|run| mode(run, "jit")["compiled"].clone()));
    figures.at_most("compile_cpu_ms", total["compile_cpu_ms"].as_f64(), 1_700.0);
    figures.at_most("code_bytes", total["code_bytes"].as_f64(), 350_000.0);
    figures.equal("mismatches", &total["mismatches"], 0);
}

fn sample_chain(report: &Value, figures: &mut Figures) {
    let median = |mode: &str| report["total"][mode]["median_ms"].as_f64();
    let wrong = runs(report).iter().filter(|run| mode(run, "jit")["gas_used_ok"] == false).count();
    figures.equal("gas_used_wrong", &Value::from(wrong), 0);
    figures.equal("mismatches", &report["total"]["jit"]["mismatches"], 0);
    let ratio = median("interpreter").zip(median("jit")).map(|(interpreter, jit)| interpreter / jit);
    figures.at_least("speedup_of_the_sum", ratio, 1.0);
    figures.figure("speedup_geomean", report["total"]["jit"]["speedup_geomean"].clone());
}

fn generated(report: &Value, figures: &mut Figures) {
    figures.at_least("contracts", report["contracts"].as_f64(), 50_000.0);
    figures.at_least("executions", report["executions"].as_f64(), 1_000_000.0);
    figures.equal("differences", &report["differences"], 0);
    figures.at_least("native_gas_share", report["native_gas_share"].as_f64(), 0.8);
    figures.figure("seed", report["seed"].clone());
}

/// The part of a report, or of a run, that is about one mode; null where there is none.
fn mode<'a>(part: &'a Value, name: &str) -> &'a Value {
    let modes = part["modes"].as_array().map(Vec::as_slice).unwrap_or_default();
    modes.iter().find(|mode| mode["mode"] == name).unwrap_or(&Value::Null)
}

fn runs(report: &Value) -> Vec<&Value> {
    report["runs"].as_array().map(Vec::as_slice).unwrap_or_default().iter().collect()
}

fn name(run: &Value) -> &str {
    run["name"].as_str().unwrap_or_default()
}

/// A block's number, which is its file's stem.
fn number(run: &Value) -> u64 {
    name(run).parse().unwrap_or(0)
}

fn share(part: &Value, of: &str, whole: &str) -> Option<f64> {
    let (of, whole) = (part[of].as_f64()?, part[whole].as_f64()?);
    (whole > 0.0).then(|| of / whole)
}

fn leaves(mode: &Value) -> u64 {
    mode["leaves"].as_object().map_or(0, |reasons| reasons.values().filter_map(Value::as_u64).sum())
}

fn speedup(runs: &[&Value], wanted: &str) -> Option<f64> {
    speedup_in("jit", runs, wanted)
}

fn speedup_in(mode_name: &str, runs: &[&Value], wanted: &str) -> Option<f64> {
    runs.iter().find(|run| name(run) == wanted).and_then(|run| mode(run, mode_name)["speedup"].as_f64())
}

/// The least or greatest of a share over runs; none if one of them lacks it.
fn extreme(runs: &[&Value], key: &str, pick: fn(f64, f64) -> f64) -> Option<f64> {
    let shares: Option<Vec<f64>> = runs.iter().map(|run| mode(run, "jit")[key].as_f64()).collect();
    shares?.into_iter().reduce(pick)
}

/// The geometric mean of the speedups of `wanted`; none if one of them is missing.
fn geometric_mean(runs: &[&Value], wanted: &[&str]) -> Option<f64> {
    let logarithms: Option<Vec<f64>> = wanted.iter().map(|name| speedup(runs, name).map(f64::ln)).collect();
    let logarithms = logarithms?;
    Some((logarithms.iter().sum::<f64>() / wanted.len() as f64).exp())
}

/// What does not hold in a report.
#[cfg(test)]
fn failures(check: Check, report: &Value) -> Vec<String> {
    let mut figures = Figures::default();
    check(report, &mut figures);
    figures.failures
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(check: Check, report: &Value, failures: &[&str]) {
        assert_eq!(super::failures(check, report), failures);
    }

    fn test_report(passed: u64, native_frames: u64) -> Value {
        json!({"mismatches": 0, "modes": [{
            "mode": "jit", "passed": passed, "failed": 0, "skipped": 0, "eligible_frames": 1000, "native_frames": native_frames,
            "native_gas_share": 0.9, "wall_s": 60.0,
        }]})
    }

    #[test]
    fn state_tests_must_all_pass_natively() {
        check(state_tests_native, &test_report(STATE_TESTS, 995), &[]);
        let few = ["passed is 5, not 27338", "native_frames_share is 0.5, not at least 0.99"];
        check(state_tests_native, &test_report(5, 500), &few);
    }

    #[test]
    fn blocks_must_be_native_and_fast() {
        let run = |name: &str, share: f64, speedup: f64| {
            let jit = json!({
                "mode": "jit", "eligible_frames": 5, "native_gas_share": share, "table_call_gas_share": 0.01, "speedup": speedup,
                "receipts_root_ok": true, "leaves": {"entry": 2, "gas": 1},
            });
            json!({"name": name, "modes": [jit]})
        };
        let report = |share, speedup| {
            let working = WORKING_BLOCKS.iter().map(|name| run(name, share, speedup));
            let others = (0..17).map(|index| run(&(RECEIPTS_ROOT_FROM - 7 + index).to_string(), share, speedup));
            json!({"runs": working.chain(others).collect::<Vec<_>>(), "total": {"jit": {"mismatches": 0}}})
        };
        check(blocks, &report(0.96, 2.0), &[]);
        let slow = ["native_gas_share_least is 0.9, not at least 0.95", "speedup_16_blocks is 1.5, not at least 1.8"];
        check(blocks, &report(0.9, 1.5), &slow);
    }

    #[test]
    fn the_sample_chain_must_be_faster() {
        let report = |jit_ms: f64| {
            let total = |ms: f64| json!({"median_ms": ms, "mismatches": 0});
            json!({"runs": [], "total": {"interpreter": total(10.0), "jit": total(jit_ms)}})
        };
        check(sample_chain, &report(5.0), &[]);
        check(sample_chain, &report(20.0), &["speedup_of_the_sum is 0.5, not at least 1"]);
    }
}
