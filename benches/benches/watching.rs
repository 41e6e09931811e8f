//! What it costs to count and to watch: the sample chain cold, and with every frame watched, beside revm's interpreter.
//!
//! in   the embedded sample chain
//! out  lines `name ratio`: median time over the interpreter's median time, passes taking turns

#![forbid(unsafe_code)]

use alloy_evm::EthEvmFactory;
use hotevm::{Config, HotEvmFactory, Preset, Runtime, Tuning};
use hotevm_statetest::{replay, sample};

const PASSES: usize = 41;

/// A runtime that never compiles: its workers are told to pause.
fn runtime(tuning: Tuning) -> Runtime {
    let runtime = Runtime::new(Config { tuning, ..Config::preset(Preset::Production) }).expect("a runtime for this machine");
    runtime.pause();
    runtime
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let runs = sample::runs().expect("the sample chain");
    let usual = Tuning {
        watched_frames_max: u32::MAX,
        quiet_frames: u32::MAX,
        eagerness: f64::MAX,
        ..Tuning::preset(Preset::Production)
    };
    let cold = HotEvmFactory::new(runtime(Tuning { warm_gas: u64::MAX, ..usual.clone() }));
    let watched = HotEvmFactory::new(runtime(Tuning { warm_gas: 1, ..usual }));
    let off = runtime(Tuning::preset(Preset::Production));
    off.disable();
    let disabled = HotEvmFactory::new(off);
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..PASSES {
        let mut sums = [0.0; 4];
        for run in &runs {
            sums[0] += replay::execute(&EthEvmFactory::default(), run, false, || None).elapsed.as_secs_f64();
            sums[1] += replay::execute(&disabled, run, false, || None).elapsed.as_secs_f64();
            sums[2] += replay::execute(&cold, run, false, || None).elapsed.as_secs_f64();
            sums[3] += replay::execute(&watched, run, false, || None).elapsed.as_secs_f64();
        }
        times.iter_mut().zip(sums).for_each(|(times, sum)| times.push(sum));
    }
    let [interpreter, disabled, cold, watched] = times.map(median);
    println!("interpreter_ms {:.2}", interpreter * 1e3);
    println!("disabled_over_interpreter {:.3}", disabled / interpreter);
    println!("cold_over_interpreter {:.3}", cold / interpreter);
    println!("watched_over_interpreter {:.3}", watched / interpreter);
}
