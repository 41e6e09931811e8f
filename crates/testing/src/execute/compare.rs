//! Two executions side by side.
//!
//! in   what the interpreter and hotevm made of the same transaction
//! out  the list of [`Field`]s that differ, and text that shows how

use std::fmt::{self, Write};

use alloy_evm::{Evm, EvmEnv};
use revm::{
    context_interface::result::ExecutionResult,
    state::{Account, EvmState},
};

use super::run::{CaseFactory, Execution, create, environment, execute, gas_limit, transaction};
use crate::generate::case::{Case, Input};

/// What can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Success, revert, halt or error.
    Outcome,
    /// Which halt, which success, or the text of the error.
    Reason,
    /// Gas spent.
    Gas,
    /// Gas refunded.
    Refund,
    /// State gas spent (EIP-8037).
    StateGas,
    /// Output.
    Output,
    /// Logs.
    Logs,
    /// Accounts and storage.
    State,
    /// The database's reads, their order included.
    Reads,
}

/// A transaction whose two executions are not the same.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The input, by its place in the case.
    pub input: usize,
    /// The gas limit in numbers.
    pub gas_limit: u64,
    /// What differs.
    pub fields: Vec<Field>,
    /// What the interpreter did.
    pub expected: Execution,
    /// What hotevm did.
    pub found: Execution,
}

/// Counts of a case whose executions were all equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Transactions compared.
    pub executions: u64,
    /// Those that succeeded.
    pub successes: u64,
    /// Those that reverted.
    pub reverts: u64,
    /// Those that halted.
    pub halts: u64,
    /// Those that ended in an error of the database or of validation.
    pub errors: u64,
    /// Gas spent by all.
    pub gas: u64,
}

impl Agreement {
    /// Adds the counts of another case.
    pub fn add(&mut self, other: &Agreement) {
        self.executions += other.executions;
        self.successes += other.successes;
        self.reverts += other.reverts;
        self.halts += other.halts;
        self.errors += other.errors;
        self.gas = self.gas.saturating_add(other.gas);
    }

    fn count(&mut self, execution: &Execution) {
        self.executions += 1;
        match &execution.result {
            Ok(ExecutionResult::Success { .. }) => self.successes += 1,
            Ok(ExecutionResult::Revert { .. }) => self.reverts += 1,
            Ok(ExecutionResult::Halt { .. }) => self.halts += 1,
            Err(_) => self.errors += 1,
        }
        self.gas = self.gas.saturating_add(execution.result.as_ref().map_or(0, |result| result.gas().total_gas_spent()));
    }
}

/// Runs a case by both factories, transaction by transaction, up to the first difference. `before` is called before each of the second
/// factory's transactions (to set a leave mask, for example).
pub fn compare<O: CaseFactory, H: CaseFactory>(
    case: &Case,
    oracle: &O,
    hot: &H,
    before: impl FnMut(&Input),
) -> Result<Agreement, Box<Difference>> {
    compare_in(case, &environment(case), oracle, hot, before)
}

/// As [`compare`], in an environment that is not the case's own: with other limits, for example, or other gas costs.
pub fn compare_in<O: CaseFactory, H: CaseFactory>(
    case: &Case,
    env: &EvmEnv,
    oracle: &O,
    hot: &H,
    mut before: impl FnMut(&Input),
) -> Result<Agreement, Box<Difference>> {
    let mut agreement = Agreement::default();
    let (mut left, mut right) = (create(oracle, case, env), create(hot, case, env));
    for (index, input) in case.inputs.iter().enumerate() {
        let gas_limit = gas_limit(case, input, &mut left);
        let expected = execute(&mut left, transaction(case, input, gas_limit), input.failing_read);
        before(input);
        let found = execute(&mut right, transaction(case, input, gas_limit), input.failing_read);
        let fields = differing(&expected, &found);
        if !fields.is_empty() {
            return Err(Box::new(Difference { input: index, gas_limit, fields, expected, found }));
        }
        agreement.count(&expected);
        if case.commits {
            left.db_mut().commit(&expected.state);
            right.db_mut().commit(&found.state);
        }
    }
    Ok(agreement)
}

/// The fields in which two executions differ.
pub fn differing(expected: &Execution, found: &Execution) -> Vec<Field> {
    let mut fields = Vec::new();
    match (&expected.result, &found.result) {
        (Ok(left), Ok(right)) => differing_results(left, right, &mut fields),
        (Err(left), Err(right)) => add(&mut fields, Field::Reason, left != right),
        _ => fields.push(Field::Outcome),
    }
    add(&mut fields, Field::State, expected.state != found.state);
    add(&mut fields, Field::Reads, expected.reads != found.reads);
    fields
}

fn add(fields: &mut Vec<Field>, field: Field, differs: bool) {
    if differs {
        fields.push(field);
    }
}

fn differing_results(left: &ExecutionResult, right: &ExecutionResult, fields: &mut Vec<Field>) {
    add(fields, Field::Outcome, std::mem::discriminant(left) != std::mem::discriminant(right));
    add(fields, Field::Reason, reason(left) != reason(right));
    add(fields, Field::Gas, left.gas().total_gas_spent() != right.gas().total_gas_spent());
    add(fields, Field::Refund, left.gas().inner_refunded() != right.gas().inner_refunded());
    add(fields, Field::StateGas, left.gas().state_gas_spent_final() != right.gas().state_gas_spent_final());
    add(fields, Field::Output, left.output() != right.output());
    add(fields, Field::Logs, left.logs() != right.logs());
    // Whatever a later version of revm adds to a result is compared as well.
    add(fields, Field::Outcome, fields.is_empty() && left != right);
}

fn reason(result: &ExecutionResult) -> String {
    match result {
        ExecutionResult::Success { reason, .. } => format!("{reason:?}"),
        ExecutionResult::Revert { .. } => "Revert".to_owned(),
        ExecutionResult::Halt { reason, .. } => format!("{reason:?}"),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "input {} with gas limit {}: {:?} differ", self.input, self.gas_limit, self.fields)?;
        writeln!(out, "  expected {}", summary(&self.expected))?;
        writeln!(out, "  found    {}", summary(&self.found))?;
        if self.fields.contains(&Field::Logs) {
            writeln!(out, "  logs expected {:?}", logs(&self.expected))?;
            writeln!(out, "  logs found    {:?}", logs(&self.found))?;
        }
        if self.fields.contains(&Field::State) {
            write_state(out, &self.expected.state, &self.found.state)?;
        }
        if self.fields.contains(&Field::Reads) {
            let same = self.expected.reads.iter().zip(&self.found.reads).take_while(|(left, right)| left == right).count();
            let (left, right) = (self.expected.reads.get(same..), self.found.reads.get(same..));
            writeln!(out, "  reads are equal up to {same}; then expected {left:?}")?;
            writeln!(out, "                              found    {right:?}")?;
        }
        Ok(())
    }
}

fn summary(execution: &Execution) -> String {
    match &execution.result {
        Ok(result) => {
            let mut text = format!("{} {:?}", reason(result), result.gas());
            // Writing to a string cannot fail.
            let _ = write!(text, " output {}", result.output().map(ToString::to_string).unwrap_or_default());
            text
        }
        Err(error) => format!("error: {error}"),
    }
}

fn logs(execution: &Execution) -> &[alloy_primitives::Log] {
    execution.result.as_ref().map_or(&[], |result| result.logs())
}

fn write_state(out: &mut fmt::Formatter<'_>, expected: &EvmState, found: &EvmState) -> fmt::Result {
    let mut addresses: Vec<_> = expected.keys().chain(found.keys()).collect();
    addresses.sort();
    addresses.dedup();
    for address in addresses {
        let (left, right) = (expected.get(address), found.get(address));
        if left == right {
            continue;
        }
        writeln!(out, "  account {address}")?;
        writeln!(out, "    expected {}", account(left))?;
        writeln!(out, "    found    {}", account(right))?;
    }
    Ok(())
}

fn account(account: Option<&Account>) -> String {
    let Some(account) = account else { return "absent".to_owned() };
    let mut slots: Vec<_> = account.storage.iter().map(|(key, slot)| (*key, slot.original_value, slot.present_value)).collect();
    slots.sort();
    format!(
        "balance {} nonce {} code {} status {:?} storage {slots:?}",
        account.info.balance, account.info.nonce, account.info.code_hash, account.status
    )
}
