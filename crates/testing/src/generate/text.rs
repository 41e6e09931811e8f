//! Cases as text, so that a failing one can be kept and run again.
//!
//! in   a [`Case`], or the text of one
//! out  the text, or the case; they come back from each other unchanged

use std::{fmt, str::FromStr};

use alloy_primitives::{Address, Bytes, U256};
use revm::primitives::hardfork::SpecId;
use thiserror::Error;

use super::case::{Case, Contract, GasLimit, Input};

/// Text that is not a case: the line, counted from 1, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: expected {expected}")]
pub struct CaseTextError {
    /// The line.
    pub line: usize,
    /// What it should have held.
    pub expected: &'static str,
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "fork {}", self.fork)?;
        writeln!(out, "code-inline {}", self.code_inline)?;
        writeln!(out, "commits {}", self.commits)?;
        if let Some(address) = self.delegating {
            writeln!(out, "delegating {address}")?;
        }
        for contract in &self.contracts {
            writeln!(out, "contract {} balance {} code {}", contract.address, contract.balance, contract.code)?;
            for (key, value) in &contract.storage {
                writeln!(out, "storage {key:#x} {value:#x}")?;
            }
        }
        for input in &self.inputs {
            write!(out, "input target {} data {} value {}", input.target, input.data, input.value)?;
            match input.gas_limit {
                GasLimit::Ample => {}
                GasLimit::Starving(share) => write!(out, " starving {share}")?,
                GasLimit::Exact(gas) => write!(out, " gas {gas}")?,
            }
            write!(out, " mask {:#x}", input.leave_mask)?;
            if let Some(read) = input.failing_read {
                write!(out, " failing-read {read}")?;
            }
            writeln!(out, "{}{}", flag(input.access_list, " access-list"), flag(input.blobs, " blobs"))?;
        }
        Ok(())
    }
}

fn flag(set: bool, name: &'static str) -> &'static str {
    if set { name } else { "" }
}

/// The words of one line.
struct Words<'text> {
    words: std::str::SplitWhitespace<'text>,
    line: usize,
}

impl<'text> Words<'text> {
    fn error<T>(&self, expected: &'static str) -> Result<T, CaseTextError> {
        Err(CaseTextError { line: self.line, expected })
    }

    fn value<T: FromStr>(&mut self, expected: &'static str) -> Result<T, CaseTextError> {
        match self.words.next().and_then(|word| word.parse().ok()) {
            Some(value) => Ok(value),
            None => self.error(expected),
        }
    }

    fn named<T: FromStr>(&mut self, name: &'static str) -> Result<T, CaseTextError> {
        if self.words.next() == Some(name) { self.value(name) } else { self.error(name) }
    }
}

impl FromStr for Case {
    type Err = CaseTextError;

    fn from_str(text: &str) -> Result<Case, CaseTextError> {
        let mut case = Case {
            fork: SpecId::default(),
            contracts: Vec::new(),
            delegating: None,
            code_inline: true,
            commits: false,
            inputs: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let mut words = Words { words: line.split_whitespace(), line: index + 1 };
            match words.words.next() {
                None => {}
                Some(comment) if comment.starts_with('#') => {}
                Some("fork") => case.fork = words.value("the name of a fork")?,
                Some("code-inline") => case.code_inline = words.value("true or false")?,
                Some("commits") => case.commits = words.value("true or false")?,
                Some("delegating") => case.delegating = Some(words.value("an address")?),
                Some("contract") => case.contracts.push(contract(&mut words)?),
                Some("storage") => {
                    let slot: (U256, U256) = (words.value("a key")?, words.value("a value")?);
                    match case.contracts.last_mut() {
                        Some(contract) => contract.storage.push(slot),
                        None => return words.error("a contract first"),
                    }
                }
                Some("input") => case.inputs.push(input(&mut words)?),
                Some(_) => return words.error("fork, code-inline, commits, delegating, contract, storage or input"),
            }
        }
        Ok(case)
    }
}

fn contract(words: &mut Words<'_>) -> Result<Contract, CaseTextError> {
    let address: Address = words.value("an address")?;
    let balance: U256 = words.named("balance")?;
    let code: Bytes = words.named("code")?;
    Ok(Contract { address, code, storage: Vec::new(), balance })
}

fn input(words: &mut Words<'_>) -> Result<Input, CaseTextError> {
    let mut input = Input {
        target: words.named("target")?,
        data: words.named("data")?,
        value: words.named("value")?,
        gas_limit: GasLimit::Ample,
        leave_mask: 0,
        failing_read: None,
        access_list: false,
        blobs: false,
    };
    while let Some(word) = words.words.next() {
        match word {
            "starving" => input.gas_limit = GasLimit::Starving(words.value("a share")?),
            "gas" => input.gas_limit = GasLimit::Exact(words.value("an amount of gas")?),
            "mask" => {
                let mask: U256 = words.value("a mask")?;
                input.leave_mask = mask.try_into().or_else(|_| words.error("a mask of 64 bits"))?;
            }
            "failing-read" => input.failing_read = Some(words.value("a number")?),
            "access-list" => input.access_list = true,
            "blobs" => input.blobs = true,
            _ => return words.error("starving, gas, mask, failing-read, access-list or blobs"),
        }
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::case::Size;

    #[test]
    fn cases_come_back_from_their_text() {
        for seed in 0..300 {
            let case = Case::from_seed(seed, Size::default());
            assert_eq!(case.to_string().parse(), Ok(case), "seed {seed}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| text.parse::<Case>().unwrap_err().line;
        assert_eq!(error("fork Nowhere"), 1);
        assert_eq!(error("# fine\n\nstorage 0x0 0x1"), 3);
        assert_eq!(error("input target x"), 1);
        assert_eq!(error("input target 0 data 0x value 0 mask 0x10000000000000000"), 1);
        assert_eq!(error("sentence"), 1);
    }
}
