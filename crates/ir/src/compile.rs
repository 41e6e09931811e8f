//! The middle end as one page: bytecode to SSA, step by step, with a check between the steps.
//!
//! in   bytecode, configuration
//! out  [`Compiled`], or the reason why the code stays interpreted

use crate::{
    analysis::{blocks::Blocks, cold, flow},
    build::{self, EXPONENT_GAS_MAX},
    bytecode::Code,
    fork::Fork,
    function::Function,
    limits::Limits,
    opt, text, verify, work,
};

/// What code is compiled for: everything that gets folded into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Rules in force.
    pub fork: Fork,
    /// Static gas of every opcode.
    pub gas: [u16; 256],
    /// Cost of EXP by the number of bytes of its exponent, without the static part; `u32::MAX` where it does not fit.
    pub exp_gas: [u32; 33],
    /// Opcodes declared custom, as a 256-bit set.
    pub custom: [u64; 4],
    /// Whether every instruction boundary can leave (tests).
    pub force_leaves: bool,
    /// Whether to check the form after every pass.
    pub verify: bool,
    /// Bounds of the work.
    pub limits: Limits,
    /// Where the blocks to be compiled start; none for all blocks. Edges to other blocks leave.
    pub region: Option<Vec<u32>>,
    /// Where the blocks start that were seen to run; none where nothing is known. They are laid out together. Nothing else follows
    /// from it: the results do not depend on it.
    pub likely: Option<Vec<u32>>,
}

impl Config {
    /// Whether the opcode was declared custom.
    pub const fn is_custom(&self, byte: u8) -> bool {
        self.custom[byte as usize / 64] >> (byte % 64) & 1 == 1
    }
}

/// Why code is not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The code has no byte.
    #[error("empty code")]
    Empty,
    /// The code is longer than the limit.
    #[error("code longer than {0} bytes")]
    TooLong(u32),
    /// Static gas of all instructions together might not fit the leave rows.
    #[error("static gas too large to be added up")]
    Gas,
    /// The back end would work on it for longer than a code is worth.
    #[error("about {0} us of compiling, more than one code may take")]
    Work(u64),
    /// The form breaks a rule of the verifier: a defect of the compiler.
    #[error("after {pass}: {message}")]
    Verifier {
        /// The pass after which it was found.
        pass: &'static str,
        /// The rule and the place.
        message: String,
    },
}

/// The result of the middle end.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The SSA form.
    pub function: Function,
    /// EVM instructions that were compiled.
    pub instructions: usize,
    /// Text of every stage, by file name; empty unless asked for.
    pub dumps: Vec<(String, String)>,
}

/// Compiles a whole contract to SSA. With `dump`, the text of every stage is kept.
///
/// # Errors
/// The reason why this code stays interpreted under this configuration.
pub fn compile(bytes: &[u8], config: &Config, dump: bool) -> Result<Compiled, Reject> {
    if bytes.is_empty() {
        return Err(Reject::Empty);
    }
    if bytes.len() > config.limits.code_bytes_max as usize {
        return Err(Reject::TooLong(config.limits.code_bytes_max));
    }
    let gas_max = config.gas.iter().max().copied().unwrap_or(0);
    if bytes.len() as u64 * (u64::from(gas_max) + u64::from(EXPONENT_GAS_MAX)) > u64::from(u32::MAX / 2) {
        return Err(Reject::Gas);
    }
    let mut dumps = vec![];
    let mut keep = |name: &str, text: &dyn Fn() -> String| {
        if dump {
            dumps.push((name.to_owned(), text()));
        }
    };
    let code = Code::decode(bytes);
    keep("00-bytecode.txt", &|| code.dump());
    let blocks = Blocks::split(&code, config);
    let flow = flow::flow(&code, &blocks, config);
    keep("10-cfg.txt", &|| flow::dump(&code, &blocks, &flow));
    keep("10-cfg.dot", &|| flow::dot(&blocks, &flow));
    let cold = cold::cold(&code, &blocks, &flow, config);
    let (mut function, instructions) = build::build(&code, &blocks, &flow, &cold, config);
    check("build", &function, config)?;
    keep("20-ssa.ir", &|| text::print(&function));
    for pass in opt::PASSES {
        (pass.run)(&mut function);
        check(pass.name, &function, config)?;
        keep(&format!("30-{}.ir", pass.name), &|| text::print(&function));
    }
    let work_us = work::estimate_us(&function);
    if work_us > config.limits.work_us_max.into() {
        return Err(Reject::Work(work_us));
    }
    Ok(Compiled { function, instructions, dumps })
}

fn check(pass: &'static str, function: &Function, config: &Config) -> Result<(), Reject> {
    if !config.verify {
        return Ok(());
    }
    verify::verify(function).map_err(|error| Reject::Verifier { pass, message: error.to_string() })
}
