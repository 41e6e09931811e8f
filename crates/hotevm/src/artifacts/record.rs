//! Records: the profile beside the code of a region, so that the region can grow in another process.
//!
//! in   the blocks that were seen, those that were compiled, how much was watched
//! out  bytes for an artifact's field `profile`, and back
//!
//! Little endian: stops u64, gas u64, then for each block seen, by pc, a u32: twice its pc, plus one if it was compiled.
//!
//! R1  A record is a hint. One that cannot be read is none; code is right whatever its record says.

use alloy_primitives::{B256, Keccak256};

/// What an artifact remembers of a code's profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// Stops in watched stretches.
    pub(crate) stops: u64,
    /// Gas of watched stretches.
    pub(crate) gas: u64,
    /// Where the blocks seen start, in order.
    pub(crate) seen: Vec<u32>,
    /// Those that were compiled, in order.
    pub(crate) region: Vec<u32>,
}

impl Record {
    /// Its bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + 4 * self.seen.len());
        bytes.extend(self.stops.to_le_bytes());
        bytes.extend(self.gas.to_le_bytes());
        for pc in &self.seen {
            let is_compiled = self.region.binary_search(pc).is_ok();
            bytes.extend((pc << 1 | u32::from(is_compiled)).to_le_bytes());
        }
        bytes
    }

    /// Reads a record (R1).
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (stops, rest) = bytes.split_first_chunk::<8>()?;
        let (gas, rest) = rest.split_first_chunk::<8>()?;
        let (blocks, []) = rest.as_chunks::<4>() else { return None };
        let mut record = Self { stops: u64::from_le_bytes(*stops), gas: u64::from_le_bytes(*gas), ..Self::default() };
        for block in blocks.iter().map(|bytes| u32::from_le_bytes(*bytes)) {
            record.seen.push(block >> 1);
            if block & 1 == 1 {
                record.region.push(block >> 1);
            }
        }
        record.seen.is_sorted().then_some(record)
    }
}

/// The region's part of a key: zero for a whole contract.
pub(crate) fn region_digest(region: &[u32]) -> B256 {
    if region.is_empty() {
        return B256::ZERO;
    }
    let mut hasher = Keccak256::new();
    hasher.update(b"hotevm region 1");
    region.iter().for_each(|pc| hasher.update(pc.to_le_bytes()));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back() {
        let record = Record { stops: 7, gas: u64::MAX, seen: vec![0, 3, 40_000], region: vec![3, 40_000] };
        assert_eq!(Record::decode(&record.encode()), Some(record));
        assert_eq!(Record::decode(&Record::default().encode()), Some(Record::default()));
    }

    #[test]
    fn r1_other_bytes_are_no_record() {
        let bytes = Record { seen: vec![1, 2], ..Record::default() }.encode();
        assert!((0..bytes.len()).filter(|len| len % 4 != 0 || *len < 16).all(|len| Record::decode(&bytes[..len]).is_none()));
        let swapped = [&bytes[..16], &bytes[20..], &bytes[16..20]].concat();
        assert_eq!(Record::decode(&swapped), None);
    }

    #[test]
    fn digests_tell_regions_apart() {
        let digests = [&[][..], &[0], &[0, 1], &[256], &[1]].map(region_digest);
        assert!((0..5).all(|index| (0..index).all(|before| digests[before] != digests[index])));
        assert_eq!(digests[0], B256::ZERO);
    }
}
