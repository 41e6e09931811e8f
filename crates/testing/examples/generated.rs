//! Generated contracts against the interpreter: `cargo run --release -p hotevm-testing --example generated -- --contracts 50000`.
//!
//! in   a seed, how many contracts and inputs, the ways to compile
//! out  counts on standard output, each difference with its reduced case; exit status 0 only if there was none

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use hotevm::{Config, Optimisation, Preset, Runtime};
use hotevm_testing::{
    campaign::{Campaign, Found, NativeShare, Progress, Report, TIER_CHANGES, Variant, run, run_case},
    generate::case::{Case, Size},
};

/// How often each thread prints its progress, in cases.
const PROGRESS_STEP: usize = 1000;

#[derive(Debug, Parser)]
struct Arguments {
    /// Distinct contracts to run.
    #[arg(long, default_value_t = 1000)]
    contracts: usize,
    /// Transactions for each contract.
    #[arg(long, default_value_t = 20)]
    inputs: usize,
    /// Statements in a contract at most.
    #[arg(long, default_value_t = 40)]
    statements: usize,
    /// From which everything follows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads.
    #[arg(short, long, default_value_t = 1)]
    jobs: usize,
    /// Ways to compile, which take turns: none, fast, full, or stress for the tiers; each perhaps with `+leaves`, and for a CPU of LLVM's with `@NAME`.
    #[arg(long, value_delimiter = ',', default_value = "full,none,fast,full+leaves")]
    optimisation: Vec<String>,
    /// Ends after so many differences.
    #[arg(long, default_value_t = 5)]
    differences: usize,
    /// Runs the case in this file instead, once in each way to compile.
    #[arg(long)]
    case: Option<std::path::PathBuf>,
}

fn variant(name: &str) -> eyre::Result<Variant> {
    let (way, target_cpu) = match name.split_once('@') {
        Some((way, cpu)) => (way, Some(cpu.to_owned())),
        None => (name, None),
    };
    let (optimisation, force_leaves) = match way.strip_suffix("+leaves") {
        Some(optimisation) => (optimisation, true),
        None => (way, false),
    };
    let (preset, optimisation) = match optimisation {
        "stress" => (Preset::Stress, Optimisation::None),
        optimisation => (Preset::Test, optimisation.parse()?),
    };
    let config = Config { optimisation, force_leaves, target_cpu, ..Config::preset(preset) };
    Ok(Variant { name: name.to_owned(), config })
}

fn main() -> eyre::Result<ExitCode> {
    let arguments = Arguments::parse();
    let variants = arguments.optimisation.iter().map(|name| variant(name)).collect::<eyre::Result<Vec<_>>>()?;
    let equal = match &arguments.case {
        Some(path) => one_case(&std::fs::read_to_string(path)?.parse()?, &variants)?,
        None => many(&arguments, variants)?,
    };
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one_case(case: &Case, variants: &[Variant]) -> eyre::Result<bool> {
    let mut equal = true;
    for variant in variants {
        match run_case(case, &Runtime::new(variant.config.clone())?) {
            Ok(agreement) => println!("{}: {} executions, equal", variant.name, agreement.executions),
            Err(difference) => {
                println!("{}: {difference}", variant.name);
                equal = false;
            }
        }
    }
    Ok(equal)
}

fn many(arguments: &Arguments, variants: Vec<Variant>) -> eyre::Result<bool> {
    let size = Size { inputs: arguments.inputs, statements_max: arguments.statements, ..Size::default() };
    let campaign = Campaign {
        seed: arguments.seed,
        contracts: arguments.contracts,
        size,
        threads: arguments.jobs,
        variants,
        differences_max: arguments.differences,
    };
    let start = Instant::now();
    let report = run(&campaign, |progress| {
        if progress.cases.is_multiple_of(PROGRESS_STEP) {
            let Progress { thread, cases, contracts } = progress;
            eprintln!("thread {thread}: {cases} cases, {contracts} contracts, {:.0} s", start.elapsed().as_secs_f64());
        }
    })?;
    print(&campaign, &report, start.elapsed().as_secs_f64());
    Ok(report.differences.is_empty())
}

fn print(campaign: &Campaign, report: &Report, wall_s: f64) {
    report.differences.iter().for_each(print_found);
    let agreement = &report.agreement;
    println!("seed              {}", campaign.seed);
    println!("contracts         {}", report.contracts);
    println!("cases             {}", report.cases);
    println!("executions        {}", agreement.executions);
    println!("differences       {}", report.differences.len());
    println!(
        "outcomes          {} success, {} revert, {} halt, {} error",
        agreement.successes, agreement.reverts, agreement.halts, agreement.errors
    );
    println!("gas               {}", agreement.gas);
    let (mut plain, mut forced) = (NativeShare::default(), NativeShare::default());
    for (variant, share) in campaign.variants.iter().zip(&report.shares) {
        let sum = if variant.config.force_leaves { &mut forced } else { &mut plain };
        sum.merge(share);
        println!("variant {:<16} {}", variant.name, share_text(share));
    }
    println!("native_gas_share  {}", number(plain.native_gas_share()));
    println!("  forced leaves   {}", number(forced.native_gas_share()));
    for (name, (plain, forced)) in TIER_CHANGES.iter().zip(plain.tier_changes.iter().zip(&forced.tier_changes)) {
        println!("{name:<17} {}", plain + forced);
    }
    println!("wall_s            {wall_s:.1}");
}

fn share_text(share: &NativeShare) -> String {
    format!(
        "native_gas_share {}, frames {} of {} native, compiled {}, rejected {}, compile_cpu_s {:.1}",
        number(share.native_gas_share()),
        share.native_frames,
        share.eligible_frames,
        share.compiled,
        share.rejected,
        share.compile_cpu_ns as f64 / 1e9
    )
}

fn number(share: Option<f64>) -> String {
    share.map_or_else(|| "null".to_owned(), |share| format!("{share:.4}"))
}

fn print_found(found: &Found) {
    println!("DIFFERENCE with {} in the case of seed {:#x}", found.variant, found.seed);
    print!("{}", found.difference);
    println!("reduced:");
    if let Some(difference) = &found.reduced_difference {
        print!("{difference}");
    }
    println!("{}", found.reduced);
}
