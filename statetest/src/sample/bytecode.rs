//! The embedded bytecode.
//!
//! in   statetest/sample/bytecode.json
//! out  creation code by the contract's name, selectors by the function's signature

use super::SampleError;
use alloy_primitives::{Bytes, hex};
use serde::Deserialize;
use std::collections::BTreeMap;

/// All contracts of the sample chain.
#[derive(Debug, Deserialize)]
pub(super) struct Contracts {
    contracts: BTreeMap<String, Compiled>,
}

#[derive(Debug, Deserialize)]
struct Compiled {
    creation_code: Bytes,
    selectors: BTreeMap<String, String>,
}

impl Contracts {
    /// Reads the bytecode that this library carries.
    pub(super) fn embedded() -> Result<Self, SampleError> {
        Ok(serde_json::from_str(include_str!("../../sample/bytecode.json"))?)
    }

    /// The code that creates `contract`; its constructor's arguments go behind it.
    pub(super) fn creation_code(&self, contract: &'static str) -> Result<&Bytes, SampleError> {
        Ok(&self.compiled(contract)?.creation_code)
    }

    /// The four bytes by which calls name `function`.
    pub(super) fn selector(&self, contract: &'static str, function: &'static str) -> Result<[u8; 4], SampleError> {
        let text = self.compiled(contract)?.selectors.get(function);
        let decoded = text.and_then(|text| hex::decode_to_array(text).ok());
        decoded.ok_or(SampleError::Function { contract, function })
    }

    fn compiled(&self, contract: &'static str) -> Result<&Compiled, SampleError> {
        self.contracts.get(contract).ok_or(SampleError::Contract(contract))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_what_everyone_knows() {
        let contracts = Contracts::embedded().expect("the embedded bytecode is readable");
        let selector = contracts.selector("Token", "transfer(address,uint256)").expect("a token has transfer");
        assert_eq!(selector, [0xa9, 0x05, 0x9c, 0xbb]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let contracts = Contracts::embedded().expect("the embedded bytecode is readable");
        assert_eq!(contracts.creation_code("Bridge").unwrap_err().to_string(), "sample bytecode: no contract Bridge");
        let error = contracts.selector("Token", "fly()").unwrap_err();
        assert_eq!(error.to_string(), "sample bytecode: no function fly() in Token");
    }
}
