//! Regions: the blocks that are compiled, where only a part of a code is; and those that are likely to run.
//!
//! in   blocks, the places where those that were seen to run start
//! out  one flag per block: whether it lies outside, or is unlikely
//!
//! R1  The first block lies inside. Places where no block starts are of no account.
//! R2  What follows a block inside without a jump lies inside: the next block, and what is behind a call, a create or an opcode
//!     declared custom. So only jumps lead outside, and leave there ([`crate::LeaveReason::Outside`]).
//! R3  The flow analysis follows edges inside alone, unless blocks inside are reached from outside only. That is exact by A1:
//!     entries are guarded, jumps compare their targets.

use crate::{
    analysis::blocks::{Blocks, Exit},
    compile::Config,
};

/// Per block, whether it lies outside of the configuration's region.
pub fn outside(blocks: &Blocks, config: &Config) -> Vec<bool> {
    unlisted(blocks, config.region.as_deref())
}

/// Per block, whether others were seen to run and it was not.
pub fn unlikely(blocks: &Blocks, config: &Config) -> Vec<bool> {
    unlisted(blocks, config.likely.as_deref())
}

fn unlisted(blocks: &Blocks, starts: Option<&[u32]>) -> Vec<bool> {
    let Some(starts) = starts else { return vec![false; blocks.list.len()] };
    let mut outside = vec![true; blocks.list.len()];
    for block in starts.iter().filter_map(|pc| blocks.at(*pc)).chain([0]) {
        if let Some(flag) = outside.get_mut(block) {
            *flag = false;
        }
    }
    for block in 1..blocks.list.len() {
        let runs_on = matches!(blocks.list[block - 1].exit, Exit::FallThrough | Exit::Suspend | Exit::Custom);
        outside[block] &= outside[block - 1] || !runs_on;
    }
    outside
}
