//! What two modes did, compared.
//!
//! in   the outcomes of one transaction in two modes
//! out  nothing, or the first field that differs with both values, and the step to look at
//!
//! D1  Everything is compared: outcome, reason, every gas figure, refund, output, logs, and the whole state that revm
//!     returns (accounts, slots, their status and original values), in this order.

use crate::{mode::Outcome, trace::Focus};
use alloy_primitives::{Address, Log};
use revm::{
    context::result::ExecutionResult,
    state::{Account, EvmState},
};
use std::{collections::BTreeSet, fmt};

/// The first field in which two modes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which field.
    pub field: String,
    /// Its value in the first mode.
    pub left: String,
    /// Its value in the other mode.
    pub right: String,
    /// Where a trace should look.
    pub focus: Focus,
}

impl Difference {
    /// A difference in a field, to be looked for at the end of execution.
    pub fn new(field: impl Into<String>, left: impl fmt::Display, right: impl fmt::Display) -> Self {
        Self { field: field.into(), left: left.to_string(), right: right.to_string(), focus: Focus::End }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} and {}", self.field, self.left, self.right)
    }
}

/// Compares the outcomes of a transaction.
pub fn outcomes(left: &Outcome, right: &Outcome) -> Option<Difference> {
    match (left, right) {
        (Ok(left), Ok(right)) => {
            if left == right {
                return None;
            }
            results(&left.result, &right.result).or_else(|| states(&left.state, &right.state))
        }
        (Err(left), Err(right)) => (left != right).then(|| Difference::new("refusal", left, right)),
        (Ok(left), Err(right)) => Some(Difference::new("outcome", kind(&left.result), format!("refused: {right}"))),
        (Err(left), Ok(right)) => Some(Difference::new("outcome", format!("refused: {left}"), kind(&right.result))),
    }
}

/// The outcome and its reason, as text.
fn kind(result: &ExecutionResult) -> String {
    match result {
        ExecutionResult::Success { reason, .. } => format!("success ({reason:?})"),
        ExecutionResult::Revert { .. } => "revert".to_owned(),
        ExecutionResult::Halt { reason, .. } => format!("halt ({reason:?})"),
    }
}

fn results(left: &ExecutionResult, right: &ExecutionResult) -> Option<Difference> {
    if kind(left) != kind(right) {
        return Some(Difference::new("outcome", kind(left), kind(right)));
    }
    if left.gas() != right.gas() {
        return Some(Difference::new("gas", format!("{:?}", left.gas()), format!("{:?}", right.gas())));
    }
    if left.output() != right.output() {
        let text = |result: &ExecutionResult| format!("{:?}", result.output());
        return Some(Difference::new("output", text(left), text(right)));
    }
    logs(left.logs(), right.logs())
        .or_else(|| (left != right).then(|| Difference::new("result", format!("{left:?}"), format!("{right:?}"))))
}

fn logs(left: &[Log], right: &[Log]) -> Option<Difference> {
    if let Some(position) = left.iter().zip(right).position(|(left, right)| left != right) {
        let text = |logs: &[Log]| format!("{:?}", logs.get(position));
        return Some(Difference::new(format!("log {position}"), text(left), text(right)));
    }
    (left.len() != right.len()).then(|| Difference::new("number of logs", left.len(), right.len()))
}

fn states(left: &EvmState, right: &EvmState) -> Option<Difference> {
    let addresses: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    addresses.into_iter().find_map(|address| match (left.get(address), right.get(address)) {
        (Some(left), Some(right)) => accounts(address, left, right),
        (left, right) => {
            let text = |account: Option<&Account>| if account.is_some() { "loaded" } else { "not loaded" };
            Some(Difference::new(format!("account {address}"), text(left), text(right)))
        }
    })
}

fn accounts(address: &Address, left: &Account, right: &Account) -> Option<Difference> {
    if left == right {
        return None;
    }
    let slots: BTreeSet<_> = left.storage.keys().chain(right.storage.keys()).collect();
    for slot in slots {
        let (left, right) = (left.storage.get(slot), right.storage.get(slot));
        if left != right {
            let text = |slot: Option<&revm::state::EvmStorageSlot>| match slot {
                Some(slot) => format!("{slot:?}"),
                None => "not loaded".to_owned(),
            };
            let field = format!("account {address} slot {slot:#x}");
            let difference = Difference::new(field, text(left), text(right));
            return Some(Difference { focus: Focus::Store(*slot), ..difference });
        }
    }
    let text = |account: &Account| {
        let info = &account.info;
        format!(
            "balance {} nonce {} code {} status {:?} transaction {:?} original {:?}",
            info.balance,
            info.nonce,
            info.code_hash,
            account.status,
            account.transaction_id,
            account.original_info(),
        )
    };
    Some(Difference::new(format!("account {address}"), text(left), text(right)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Bytes, U256};
    use revm::{
        context::result::{HaltReason, Output, ResultAndState, ResultGas, SuccessReason},
        state::EvmStorageSlot,
    };

    fn success(output: &'static [u8], slot_value: u64) -> Outcome {
        let result = ExecutionResult::Success {
            reason: SuccessReason::Return,
            gas: ResultGas::default(),
            logs: vec![],
            output: Output::Call(Bytes::from_static(output)),
        };
        let mut account = Account::default();
        let slot = EvmStorageSlot::new_changed(U256::ZERO, U256::from(slot_value), Default::default());
        account.storage.insert(U256::from(9), slot);
        Ok(ResultAndState::new(result, EvmState::from_iter([(Address::ZERO, account)])))
    }

    fn check_difference(left: &Outcome, right: &Outcome, field: &str) -> Difference {
        let difference = outcomes(left, right).unwrap();
        assert_eq!(difference.field, field);
        assert_eq!(outcomes(right, left).unwrap().field, field);
        difference
    }

    #[test]
    fn equal_outcomes_do_not_differ() {
        assert_eq!(outcomes(&success(b"a", 1), &success(b"a", 1)), None);
        assert_eq!(outcomes(&Err("nonce".to_owned()), &Err("nonce".to_owned())), None);
    }

    #[test]
    fn the_first_field_that_differs_is_named() {
        check_difference(&success(b"a", 1), &success(b"b", 2), "output");
        check_difference(&success(b"a", 1), &Err("nonce".to_owned()), "outcome");
        check_difference(&Err("balance".to_owned()), &Err("nonce".to_owned()), "refusal");
        let halt = ExecutionResult::Halt { reason: HaltReason::StackOverflow, gas: ResultGas::default(), logs: vec![] };
        let halted = Ok(ResultAndState::new(halt, EvmState::default()));
        check_difference(&success(b"a", 1), &halted, "outcome");
    }

    #[test]
    fn a_slot_that_differs_puts_the_trace_at_its_store() {
        let field = format!("account {} slot 0x9", Address::ZERO);
        let difference = check_difference(&success(b"a", 1), &success(b"a", 2), &field);
        assert_eq!(difference.focus, Focus::Store(U256::from(9)));
    }
}
