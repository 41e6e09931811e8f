//! Making a failing case smaller.
//!
//! in   a case, and a test that says whether it still fails
//! out  a case that still fails, of which no part that was tried can be left out
//!
//! U1  Every step makes the case smaller or simpler, so the search ends; the number of tests is bounded besides.
//! U2  Where instructions are removed, pushes of the places of JUMPDESTs behind them follow.

use std::ops::Range;

use alloy_primitives::U256;
use revm::bytecode::opcode as op;

use crate::generate::case::{Case, GasLimit};

/// A search for a smaller case.
struct Search<'test> {
    case: Case,
    fails: &'test mut dyn FnMut(&Case) -> bool,
    tests_left: usize,
}

/// Reduces a case that fails at `input` with at most `tests_max` tests. If the case does not fail in the test, it is returned as it is.
pub fn reduce(case: &Case, input: usize, gas_limit: u64, tests_max: usize, fails: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut search = Search { case: case.clone(), fails, tests_left: tests_max };
    search.inputs(input, gas_limit);
    loop {
        let before = search.case.clone();
        search.contracts();
        search.settings();
        for contract in 0..search.case.contracts.len() {
            search.code(contract);
        }
        if search.case == before || search.tests_left == 0 {
            return search.case;
        }
    }
}

impl Search<'_> {
    /// Takes a change if the case still fails with it.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        let mut changed = self.case.clone();
        change(&mut changed);
        if changed == self.case || self.tests_left == 0 {
            return false;
        }
        self.tests_left -= 1;
        let fails = (self.fails)(&changed);
        if fails {
            self.case = changed;
        }
        fails
    }

    /// Keeps the failing input alone, or those before it as well, with its gas in numbers.
    fn inputs(&mut self, input: usize, gas_limit: u64) {
        let exact = move |case: &mut Case| {
            if let Some(input) = case.inputs.get_mut(input) {
                input.gas_limit = GasLimit::Exact(gas_limit);
            }
            case.inputs.truncate(input + 1);
        };
        self.attempt(exact);
        let last_alone = |case: &mut Case| {
            case.commits = false;
            let before_last = case.inputs.len().saturating_sub(1);
            case.inputs.drain(..before_last);
        };
        if !self.attempt(last_alone) {
            for index in (0..self.case.inputs.len().saturating_sub(1)).rev() {
                self.attempt(|case| {
                    case.inputs.remove(index);
                });
            }
        }
    }

    /// Empties contracts: their places in the list are what inputs name.
    fn contracts(&mut self) {
        for index in (0..self.case.contracts.len()).rev() {
            let unused = self.case.inputs.iter().all(|input| input.target < index);
            if !unused || !self.attempt(|case| case.contracts.truncate(index)) {
                self.contract(index, |contract| contract.code = Default::default());
            }
            self.contract(index, |contract| contract.storage.clear());
            self.contract(index, |contract| contract.balance = U256::ZERO);
        }
    }

    fn contract(&mut self, index: usize, change: impl FnOnce(&mut crate::generate::case::Contract)) -> bool {
        self.attempt(|case| {
            if let Some(contract) = case.contracts.get_mut(index) {
                change(contract);
            }
        })
    }

    /// Simplifies everything but the code.
    fn settings(&mut self) {
        self.attempt(|case| case.delegating = None);
        self.attempt(|case| case.code_inline = true);
        self.attempt(|case| case.commits = false);
        for index in 0..self.case.inputs.len() {
            self.input(index, |input| input.gas_limit = GasLimit::Ample);
            self.input(index, |input| input.value = U256::ZERO);
            self.input(index, |input| input.failing_read = None);
            self.input(index, |input| input.access_list = false);
            self.input(index, |input| input.blobs = false);
            for bit in 0..64 {
                self.input(index, |input| input.leave_mask &= !(1 << bit));
            }
            self.data(index);
        }
    }

    fn input(&mut self, index: usize, change: impl FnOnce(&mut crate::generate::case::Input)) -> bool {
        self.attempt(|case| {
            if let Some(input) = case.inputs.get_mut(index) {
                change(input);
            }
        })
    }

    /// Shortens call data from the end, then makes bytes zero.
    fn data(&mut self, index: usize) {
        let len = |search: &Self| search.case.inputs.get(index).map_or(0, |input| input.data.len());
        let mut step = len(self).next_power_of_two();
        while step > 0 {
            while step <= len(self) {
                let kept = len(self) - step;
                if !self.input(index, |input| input.data.truncate(kept)) {
                    break;
                }
            }
            step /= 2;
        }
        for byte in 0..len(self) {
            self.input(index, |input| {
                let mut data = input.data.to_vec();
                if let Some(place) = data.get_mut(byte) {
                    *place = 0;
                }
                input.data = data.into();
            });
        }
    }

    /// Removes runs of instructions, longest first; what cannot be removed is perhaps replaced by JUMPDESTs, and pushed data by zeros.
    fn code(&mut self, contract: usize) {
        let code = |search: &Self| search.case.contracts.get(contract).map(|contract| contract.code.to_vec()).unwrap_or_default();
        let mut run = instructions(&code(self)).len().next_power_of_two();
        while run > 0 {
            let mut start = 0;
            while start < instructions(&code(self)).len() {
                let end = start + run;
                let removed = self.contract(contract, |contract| contract.code = without(&contract.code, start..end).into());
                let blanked =
                    !removed && self.contract(contract, |contract| contract.code = blank(&contract.code, start..end).into());
                if !removed || blanked {
                    start = end;
                }
            }
            run /= 2;
        }
        for index in 0..instructions(&code(self)).len() {
            self.contract(contract, |contract| contract.code = zeroed(&contract.code, index).into());
        }
    }
}

/// The places of the instructions, a PUSH's data being a part of it.
fn instructions(code: &[u8]) -> Vec<Range<usize>> {
    let mut instructions = Vec::new();
    let mut start = 0;
    while let Some(&opcode) = code.get(start) {
        let data_len = match opcode {
            op::PUSH1..=op::PUSH32 => usize::from(opcode - op::PUSH1) + 1,
            _ => 0,
        };
        let end = (start + 1 + data_len).min(code.len());
        instructions.push(start..end);
        start = end;
    }
    instructions
}

/// The code without a run of instructions. PUSH2s of the place of a JUMPDEST push its new place.
fn without(code: &[u8], removed: Range<usize>) -> Vec<u8> {
    let instructions = instructions(code);
    let kept: Vec<_> =
        instructions.iter().enumerate().filter(|(index, _)| !removed.contains(index)).map(|(_, place)| place).collect();
    let mut moved = vec![None; code.len()];
    let mut len = 0;
    for place in &kept {
        if let Some(new_place) = moved.get_mut(place.start) {
            *new_place = Some(len);
        }
        len += place.len();
    }
    let mut result = Vec::with_capacity(len);
    for place in kept {
        match code.get(place.clone()).unwrap_or_default() {
            &[op::PUSH2, high, low] => {
                let old = usize::from(u16::from_be_bytes([high, low]));
                let target = code.get(old) == Some(&op::JUMPDEST);
                let new = moved.get(old).copied().flatten().filter(|_| target).unwrap_or(old);
                result.push(op::PUSH2);
                result.extend((new as u16).to_be_bytes());
            }
            bytes => result.extend_from_slice(bytes),
        }
    }
    result
}

/// The code with a run of instructions replaced by JUMPDESTs, which do nothing and keep every place.
fn blank(code: &[u8], blanked: Range<usize>) -> Vec<u8> {
    let mut result = code.to_vec();
    for place in instructions(code).get(blanked.start..).unwrap_or_default().iter().take(blanked.len()) {
        if let Some(bytes) = result.get_mut(place.clone()) {
            bytes.fill(op::JUMPDEST);
        }
    }
    result
}

/// The code with the data of a PUSH made zero.
fn zeroed(code: &[u8], index: usize) -> Vec<u8> {
    let mut result = code.to_vec();
    if let Some(place) = instructions(code).get(index)
        && let Some(data) = result.get_mut(place.start + 1..place.end)
    {
        data.fill(0);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_follow_removed_instructions() {
        // The jump names the JUMPDEST at 8, which moves to 5.
        let code = [op::PUSH2, 0, 8, op::JUMP, op::PUSH1, 1, op::POP, op::STOP, op::JUMPDEST, op::STOP];
        assert_eq!(without(&code, 2..4), [op::PUSH2, 0, 5, op::JUMP, op::STOP, op::JUMPDEST, op::STOP]);
        assert!(without(&code, 0..100).is_empty());
        assert_eq!(without(&code, 90..100), code);
    }

    #[test]
    fn truncated_pushes_are_one_instruction() {
        assert_eq!(instructions(&[op::ADD, op::PUSH32, 1, 2]), [0..1, 1..4]);
        assert_eq!(blank(&[op::ADD, op::PUSH2, 1], 1..9), [op::ADD, op::JUMPDEST, op::JUMPDEST]);
        assert_eq!(zeroed(&[op::ADD, op::PUSH2, 1], 1), [op::ADD, op::PUSH2, 0]);
    }
}
