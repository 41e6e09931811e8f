//! Header and body of a block against its parent: what does not need execution.
//!
//! in   the parent's header and hash, a decoded block, the chain's forks
//! out  accepted, or the first field that is wrong
//!
//! Proof of work and the difficulty are not checked (the tests carry no proof).

use super::fixture::Decoded;
use crate::fork::Chain;
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header, Transaction,
    constants::MAXIMUM_EXTRA_DATA_SIZE,
    proofs::{calculate_ommers_root, calculate_transaction_root, calculate_withdrawals_root},
};
use alloy_eips::{
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE},
    eip4844::DATA_GAS_PER_BLOB,
};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::{B64, B256, U256};
use std::fmt::Display;

/// Least gas limit of a block (Yellow Paper, equation 46).
const GAS_LIMIT_MIN: u64 = 5_000;
/// A gas limit moves by less than this fraction of its parent's.
const GAS_LIMIT_DIVISOR: u64 = 1_024;
/// The most gas that fits the engine interface's signed numbers.
const GAS_LIMIT_MAX: u64 = (1 << 63) - 1;
/// EIP-7934: 10 MiB less 2 MiB for the beacon block around it.
const RLP_BYTES_MAX: usize = 8 << 20;

/// Checks a block against its parent.
///
/// # Errors
/// The field that is wrong, with the right value where there is one.
pub fn check(chain: &Chain, parent: &Header, parent_hash: B256, block: &Decoded) -> Result<(), String> {
    let header = &block.header;
    same("parent hash", parent_hash, header.parent_hash)?;
    same("number", parent.number + 1, header.number)?;
    ensure(header.timestamp > parent.timestamp, "timestamp not after the parent's")?;
    ensure(header.extra_data.len() <= MAXIMUM_EXTRA_DATA_SIZE, "extra data longer than 32 bytes")?;
    ensure(header.gas_used <= header.gas_limit, "gas used above the gas limit")?;
    check_fees(chain, parent, header)?;
    check_presence(chain, header)?;
    check_blob_gas(chain, parent, block)?;
    check_body(chain, block)
}

fn ensure(holds: bool, reason: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason.to_owned()) }
}

/// Fails unless what was computed is what the block says.
pub(super) fn same<T: PartialEq + Display>(field: &str, computed: T, given: T) -> Result<(), String> {
    if computed == given { Ok(()) } else { Err(format!("{field}: computed {computed}, the block says {given}")) }
}

/// Gas limit (Yellow Paper, equations 45 to 47) and base fee (EIP-1559).
fn check_fees(chain: &Chain, parent: &Header, header: &Header) -> Result<(), String> {
    let is_london = chain.is_london_active_at_block(header.number);
    let is_first_london = is_london && !chain.is_london_active_at_block(parent.number);
    let base = if is_first_london { parent.gas_limit.saturating_mul(2) } else { parent.gas_limit };
    ensure(
        header.gas_limit.abs_diff(base) < base / GAS_LIMIT_DIVISOR,
        "gas limit further from the parent's than one part in 1024",
    )?;
    ensure((GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&header.gas_limit), "gas limit out of bounds")?;
    let base_fee = match (is_london, is_first_london) {
        (false, _) => None,
        (true, true) => Some(INITIAL_BASE_FEE),
        (true, false) => parent.next_block_base_fee(BaseFeeParams::ethereum()),
    };
    same("base fee", text(base_fee), text(header.base_fee_per_gas))
}

fn text<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// Fields that a fork introduced or emptied.
fn check_presence(chain: &Chain, header: &Header) -> Result<(), String> {
    if chain.is_paris_active_at_block(header.number) {
        same("difficulty", U256::ZERO, header.difficulty)?;
        same("nonce", B64::ZERO, header.nonce)?;
        same("ommers hash", EMPTY_OMMER_ROOT_HASH, header.ommers_hash)?;
    }
    let at = header.timestamp;
    let (cancun, amsterdam) = (chain.is_cancun_active_at_timestamp(at), chain.is_amsterdam_active_at_timestamp(at));
    let rows = [
        ("withdrawals root", chain.is_shanghai_active_at_timestamp(at), header.withdrawals_root.is_some()),
        ("blob gas used", cancun, header.blob_gas_used.is_some()),
        ("excess blob gas", cancun, header.excess_blob_gas.is_some()),
        ("parent beacon block root", cancun, header.parent_beacon_block_root.is_some()),
        ("requests hash", chain.is_prague_active_at_timestamp(at), header.requests_hash.is_some()),
        ("block access list hash", amsterdam, header.block_access_list_hash.is_some()),
        ("slot number", amsterdam, header.slot_number.is_some()),
    ];
    let presence = |present| if present { "present" } else { "absent" };
    rows.into_iter().try_for_each(|(field, computed, given)| same(field, presence(computed), presence(given)))
}

/// Blob gas (EIP-4844, EIP-7691, EIP-7918).
fn check_blob_gas(chain: &Chain, parent: &Header, block: &Decoded) -> Result<(), String> {
    let header = &block.header;
    let (Some(params), Some(given_used)) = (chain.blob_params(header.timestamp), header.blob_gas_used) else {
        return Ok(());
    };
    let blobs = block.body.transactions.iter().filter_map(|transaction| transaction.blob_count()).sum::<u64>();
    let used = blobs * DATA_GAS_PER_BLOB;
    same("blob gas used", used, given_used)?;
    ensure(used <= params.max_blob_gas_per_block(), "more blobs than a block may have")?;
    // The parent of the first block with blobs has neither field; both count as zero.
    let excess = params.next_block_excess_blob_gas_osaka(
        parent.excess_blob_gas.unwrap_or_default(),
        parent.blob_gas_used.unwrap_or_default(),
        parent.base_fee_per_gas.unwrap_or_default(),
    );
    same("excess blob gas", text(Some(excess)), text(header.excess_blob_gas))
}

/// The roots over the body, and its size.
fn check_body(chain: &Chain, block: &Decoded) -> Result<(), String> {
    let (header, body) = (&block.header, &block.body);
    same("transactions root", calculate_transaction_root(&body.transactions), header.transactions_root)?;
    same("ommers hash", calculate_ommers_root(&body.ommers), header.ommers_hash)?;
    let withdrawals_root = body.withdrawals.as_ref().map(|withdrawals| calculate_withdrawals_root(withdrawals));
    same("withdrawals root", text(withdrawals_root), text(header.withdrawals_root))?;
    let is_bounded = chain.is_osaka_active_at_timestamp(header.timestamp);
    ensure(!is_bounded || block.rlp_bytes <= RLP_BYTES_MAX, "block larger than 8 MiB")
}
