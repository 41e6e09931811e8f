//! Hashes computed lately, so that the same input is not hashed again.
//!
//! in   short inputs of KECCAK256, as contracts make them for keys of mappings and for addresses of other contracts
//! out  their hashes
//!
//! Contracts hash the same few keys over and over: half of the inputs of two words were hashed before in the same transaction.
//!
//! K1  An answer is given only for an input that is equal in every byte.
//! K2  A table is of one size; an input lies in one of two neighbouring rows, and a new one takes the place of what was there.
//! K3  All EVMs of a runtime share the tables: what one has hashed, the next block's, or one that executes ahead, need not hash.
//! K4  Nobody waits: a row that is being written has no answer, and takes no other input.
//! K5  A row that was never written is zeros, and no input: limbs of zeros are none.

use crate::words::Words;
use revm::primitives::U256;
#[cfg(all(target_os = "linux", not(feature = "loom")))]
use rustix::mm::{Advice, madvise};

/// Rows of the two tables, a huge page each. `hotevm replay --mode interpreter,jit --rounds 60` of five blocks, when there was one table of
/// 128 bytes a row on small pages, with two sizes by turns in one process: 4,096 rows against 1,024 gained 4 % over the repeated rounds,
/// 16,384 gained 7 %, and 65,536 5 %.
const KEY_ROWS: usize = if cfg!(feature = "loom") { 1 } else { 32_768 };
const OTHER_ROWS: usize = if cfg!(feature = "loom") { 1 } else { 16_384 };
/// Bytes of the longest input. In five mainnet blocks (6196166 9069000 11114732 12522062 15752489, counted) 3,829 of 4,997 inputs had two
/// words, 678 one, 143 had 85 bytes, from which an address follows (EIP-1014), 123 had 40, two addresses.
pub(crate) const INPUT_BYTES_MAX: u64 = 87;
/// The most that one byte of length and the bytes of each input in full tables take.
pub(crate) const INPUTS_BYTES_MAX: usize = KEY_ROWS * (1 + PAIR_BYTES) + OTHER_ROWS * (1 + INPUT_BYTES_MAX as usize);
/// Bytes of two words.
const PAIR_BYTES: usize = 64;
/// Limbs of a mapping's key and slot.
const KEY_LIMBS: usize = 3;
/// Limbs of another input: its bytes, zeros, and its length as the last byte.
const LIMBS: usize = 11;
/// Limbs of a hash.
const HASH_LIMBS: usize = 4;
/// A bit that the slot of a mapping leaves free, in the limb that holds it: set, so that the limbs are not zeros (K5).
const IS_KEY: u64 = 0x80 << 32;
/// The half of that limb in which the slot lies; the key ends in the other.
const SLOT: u64 = 0xffff_ffff << 32;
/// Odd numbers without pattern (digits of the golden ratio and of square roots), one per limb.
const MIX: [u64; LIMBS] = [
    0x9e37_79b9_7f4a_7c15,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
    0xcbbb_9d5d_c105_9ed9,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
];

/// An input of 1 to [`INPUT_BYTES_MAX`] bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input {
    /// Two words: 20 bytes of a mapping's key, as an address is, and a slot below 2^31. Counted over the rounds of `hotevm replay --mode
    /// interpreter,aot` of 16 mainnet blocks, 73 of 100 inputs of at most [`INPUT_BYTES_MAX`] bytes are such.
    Key([u64; KEY_LIMBS]),
    /// Any other.
    Other([u64; LIMBS]),
}

/// The limbs of an input and of its hash, in whole cache lines.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Row<const WORDS: usize>(Words<WORDS>);

/// Inputs of so many limbs and their hashes, as `WORDS` together.
#[derive(Debug)]
#[repr(C)]
struct Table<const LIMBS: usize, const WORDS: usize, const ROWS: usize>([Row<WORDS>; ROWS]);

/// Both tables. A look into one goes anywhere in it, so that it costs a translation of the address on small pages; aligned as huge pages are,
/// where rows are as many as in use.
#[derive(Debug)]
#[repr(C)]
#[cfg_attr(not(feature = "loom"), repr(align(0x20_0000)))]
struct Tables {
    keys: Table<KEY_LIMBS, { KEY_LIMBS + HASH_LIMBS }, KEY_ROWS>,
    others: Table<LIMBS, { LIMBS + HASH_LIMBS }, OTHER_ROWS>,
}

/// Inputs and their hashes.
#[derive(Debug)]
pub(crate) struct Hashes(Box<Tables>);

impl Input {
    /// The input in these bytes; none for lengths that are not remembered.
    #[inline]
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let len = u64::try_from(bytes.len()).ok().filter(|len| (1..=INPUT_BYTES_MAX).contains(len))?;
        let mut limbs = [0; LIMBS];
        if let (Some(words), PAIR_BYTES) = (bytes.first_chunk::<PAIR_BYTES>(), bytes.len()) {
            // By far the most frequent length, without a call.
            fill(&mut limbs, words.as_chunks().0);
            let [a, b, c, d, e, f, g, h, ..] = limbs;
            if a | b << 32 | e | f | g | h << 32 | h & IS_KEY == 0 {
                return Some(Self::Key([b >> 32 | c << 32, c >> 32 | d << 32, d >> 32 | h | IS_KEY]));
            }
        } else {
            let mut padded = [0; 8 * LIMBS];
            padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
            fill(&mut limbs, padded.as_chunks().0);
        }
        limbs[LIMBS - 1] |= len << 56;
        Some(Self::Other(limbs))
    }

    /// The input's bytes with zeros behind, and how many there are.
    pub(crate) fn bytes(&self) -> ([u8; 8 * LIMBS], u8) {
        let limbs = match *self {
            Self::Key([low, middle, high]) => {
                let slot = high & !IS_KEY & SLOT;
                let address = [low << 32, low >> 32 | middle << 32, middle >> 32 | high << 32];
                [0, address[0], address[1], address[2], 0, 0, 0, slot, 0, 0, 0]
            }
            Self::Other(limbs) => limbs,
        };
        let mut bytes = [0; 8 * LIMBS];
        bytes.as_chunks_mut().0.iter_mut().zip(limbs).for_each(|(chunk, limb)| *chunk = limb.to_le_bytes());
        let len = self.len() as u8;
        bytes.get_mut(len.into()..).unwrap_or_default().fill(0);
        (bytes, len)
    }

    /// Bytes of the input.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Key(_) => PAIR_BYTES,
            Self::Other(limbs) => (limbs[LIMBS - 1] >> 56) as usize,
        }
    }
}

fn fill(limbs: &mut [u64; LIMBS], chunks: &[[u8; 8]]) {
    limbs.iter_mut().zip(chunks).for_each(|(limb, chunk)| *limb = u64::from_le_bytes(*chunk));
}

/// A number that depends on all bits of the limbs.
fn mixed(limbs: &[u64]) -> usize {
    let mixed = limbs.iter().zip(MIX).fold(0_u64, |sum, (limb, mix)| {
        // Both halves of the product together depend on all bits of the limb.
        let product = u128::from(*limb) * u128::from(mix);
        sum.wrapping_add(product as u64 ^ (product >> 64) as u64)
    });
    (mixed ^ mixed >> 32) as usize
}

impl<const LIMBS: usize, const WORDS: usize, const ROWS: usize> Table<LIMBS, WORDS, ROWS> {
    /// The two rows in which an input may lie: neighbours, of keys in 128 aligned bytes.
    fn rows(&self, limbs: &[u64; LIMBS]) -> [Option<&Words<WORDS>>; 2] {
        let first = mixed(limbs) % ROWS;
        [first, first ^ 1].map(|row| Some(&self.0.get(row)?.0))
    }

    fn get(&self, limbs: &[u64; LIMBS]) -> Option<U256> {
        self.rows(limbs).into_iter().flatten().find_map(|row| {
            let words = row.read()?;
            let (known, hash) = words.split_first_chunk::<LIMBS>()?;
            // Compared here: the library's comparison of bytes is a call.
            let differing = known.iter().zip(limbs).fold(0, |differing, (one, other)| differing | one ^ other);
            let hash = hash.first_chunk::<HASH_LIMBS>()?;
            (differing == 0).then(|| U256::from_limbs(*hash))
        })
    }

    /// The inputs of the rows that can be read now; limbs of zeros where there is none (K5).
    fn inputs(&self) -> impl Iterator<Item = [u64; LIMBS]> {
        self.0.iter().filter_map(|row| row.0.read()?.first_chunk::<LIMBS>().copied())
    }

    fn put(&self, limbs: &[u64; LIMBS], hash: U256) {
        const { assert!(WORDS == LIMBS + HASH_LIMBS, "a row holds an input and its hash") }
        let [first, second] = self.rows(limbs);
        let is_free = |row: &&Words<WORDS>| row.read().is_some_and(|words| words.iter().all(|word| *word == 0));
        // Where both are taken, a bit of the hash says which gives way: inputs that alternate do not always drive out each other.
        let either = if hash.bit(0) { first } else { second };
        let Some(row) = first.filter(is_free).or(second.filter(is_free)).or(either).or(first) else { return };
        let mut words = [0; WORDS];
        words.iter_mut().zip(limbs.iter().chain(hash.as_limbs())).for_each(|(word, limb)| *word = *limb);
        row.write(&words);
    }
}

impl Tables {
    #[cfg(feature = "loom")]
    fn zeros() -> Box<Self> {
        Box::new(Self { keys: Table([Row::default()]), others: Table([Row::default()]) })
    }

    #[cfg(not(feature = "loom"))]
    fn zeros() -> Box<Self> {
        let mut tables = Box::<Self>::new_uninit();
        // SAFETY: the range is the box's own, and nothing has touched it: advice has its pages made huge when they are, and changes nothing that a
        // program can see. Where it cannot be followed they are small.
        #[cfg(target_os = "linux")]
        let _ = unsafe { madvise(tables.as_mut_ptr().cast(), size_of::<Self>(), Advice::LinuxHugepage) };
        // SAFETY: tables are atomic integers and nothing else, for which zeros are a value. They are written here, and not left to the system, so
        // that no frame waits for pages.
        unsafe {
            tables.as_mut_ptr().write_bytes(0, 1);
            tables.assume_init()
        }
    }
}

impl Hashes {
    /// Tables that know nothing.
    pub(crate) fn new() -> Self {
        Self(Tables::zeros())
    }

    /// The hash of an input, if it is known.
    pub(crate) fn get(&self, input: &Input) -> Option<U256> {
        match input {
            Input::Key(limbs) => self.0.keys.get(limbs),
            Input::Other(limbs) => self.0.others.get(limbs),
        }
    }

    /// Goes through the inputs whose hashes are known.
    pub(crate) fn for_each(&self, each: impl FnMut(Input)) {
        let is_one = |input: &Input| !matches!(input, Input::Key([0, 0, 0])) && input.len() != 0;
        let inputs = self.0.keys.inputs().map(Input::Key).chain(self.0.others.inputs().map(Input::Other));
        inputs.filter(is_one).for_each(each);
    }

    /// Remembers a hash.
    pub(crate) fn put(&self, input: &Input, hash: U256) {
        match input {
            Input::Key(limbs) => self.0.keys.put(limbs, hash),
            Input::Other(limbs) => self.0.others.put(limbs, hash),
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use revm::primitives::keccak256;

    fn input(bytes: &[u8]) -> Input {
        Input::new(bytes).expect("of a length that is remembered")
    }

    /// A mapping's key and slot.
    fn key(account: u64, slot: u32) -> [u8; PAIR_BYTES] {
        let mut bytes = [0; PAIR_BYTES];
        bytes[24..32].copy_from_slice(&account.to_be_bytes());
        bytes[60..].copy_from_slice(&slot.to_be_bytes());
        bytes
    }

    #[test]
    fn an_input_gives_back_its_bytes() {
        let pattern = |len: usize| (0..len).map(|byte| 0x91 ^ byte as u8).collect::<Vec<u8>>();
        let mut inputs: Vec<Vec<u8>> = (1..=INPUT_BYTES_MAX as usize).map(pattern).collect();
        for (address, slot) in [(0, 0), (0, 1), (0xf1, 0), (0x0f, 0x7fff_ffff), (0xa5, 0x0102_0304), (0xa5, 0x8000_0000)] {
            let mut bytes = key(0, slot);
            bytes[12..32]
                .copy_from_slice(&std::array::from_fn::<u8, 20, _>(|byte| if address == 0 { 0 } else { address ^ byte as u8 }));
            inputs.push(bytes.to_vec());
        }
        let mut keys = 0;
        for bytes in inputs {
            let input = input(&bytes);
            keys += usize::from(matches!(input, Input::Key(_)));
            let (padded, len) = input.bytes();
            assert_eq!((&padded[..bytes.len()], usize::from(len)), (bytes.as_slice(), bytes.len()));
            assert!(padded[bytes.len()..].iter().all(|byte| *byte == 0), "{bytes:?}");
        }
        assert_eq!(keys, 5);
    }

    /// Puts an input, and sees that it is known, and that none is which differs from it in a bit.
    fn check_only(bytes: &[u8]) {
        let hashes = Hashes::new();
        assert_eq!(hashes.get(&input(bytes)), None);
        let hash = keccak256(bytes).into();
        hashes.put(&input(bytes), hash);
        assert_eq!(hashes.get(&input(bytes)), Some(hash));
        for bit in 0..8 * bytes.len() {
            let mut other = bytes.to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(hashes.get(&input(&other)), None, "bit {bit} differs");
        }
    }

    #[test]
    fn k1_an_input_is_known_after_it_was_put_and_no_other_is() {
        check_only(&(0..64).collect::<Vec<u8>>());
        check_only(&[0; PAIR_BYTES]);
        check_only(&key(u64::MAX, 0x7fff_ffff));
        check_only(&key(0, 0x8000_0000));
        let hashes = Hashes::new();
        // No input is another one with zeros behind it.
        for len in 1..INPUT_BYTES_MAX as usize {
            let padded = vec![7; len].into_iter().chain([0]).collect::<Vec<u8>>();
            let [short, long] = [&padded[..len], &padded].map(input);
            assert_eq!((short.len(), long.len()), (len, len + 1));
            hashes.put(&short, U256::from(len));
            assert_eq!((hashes.get(&short), hashes.get(&long)), (Some(U256::from(len)), None));
        }
        assert!(Input::new(&[]).is_none() && Input::new(&[0; INPUT_BYTES_MAX as usize + 1]).is_none());
    }

    #[test]
    fn k2_two_inputs_of_a_pair_of_rows_are_both_known_and_of_three_one_gives_way() {
        let row = |account: u64| match input(&key(account, 3)) {
            Input::Key(limbs) => mixed(&limbs) % KEY_ROWS,
            Input::Other(_) => unreachable!("a key is no other input"),
        };
        let pair = row(0) / 2;
        let mut accounts = (0..).filter(|account| row(*account) / 2 == pair);
        let [first, second, third] = std::array::from_fn(|_| accounts.next().expect("accounts do not end"));
        let gives_way = [0, 1].map(|bit| {
            let hash = |account: u64| U256::from(account << 1 | bit);
            let (hashes, known) = (Hashes::new(), |hashes: &Hashes, account| {
                let known = hashes.get(&input(&key(account, 3)));
                assert!(known.is_none_or(|known| known == hash(account)), "another input's hash");
                known.is_some()
            });
            for (put, account) in [first, second, third].into_iter().enumerate() {
                hashes.put(&input(&key(account, 3)), hash(account));
                let count = [first, second, third].into_iter().filter(|account| known(&hashes, *account)).count();
                assert_eq!((count, known(&hashes, account)), ((put + 1).min(2), true));
            }
            known(&hashes, second)
        });
        assert!(gives_way[0] != gives_way[1], "a bit of the hash says which");
    }

    #[test]
    fn k5_empty_tables_know_no_input_of_zeros() {
        let hashes = Hashes::new();
        for len in 1..=INPUT_BYTES_MAX as usize {
            assert_eq!(hashes.get(&input(&vec![0; len])), None, "{len} zeros");
        }
    }

    #[test]
    fn rows_are_whole_lines_and_keys_take_one() {
        assert_eq!((size_of::<Row<7>>(), size_of::<Row<15>>()), (64, 128));
        for slot in [0, 1, 0x7fff_ffff] {
            let input = input(&key(5, slot));
            assert!(matches!(input, Input::Key(_)) && input.len() == PAIR_BYTES, "slot {slot}");
        }
        let is_other = |place: usize, byte: u8| {
            let mut bytes = key(5, 3);
            bytes[place] = byte;
            matches!(input(&bytes), Input::Other(_))
        };
        // Everything but the key's 20 bytes and the slot's 31 bits must be zero.
        for place in 0..PAIR_BYTES {
            assert_eq!(is_other(place, 1), !(12..32).contains(&place) && place < 60, "byte {place}");
            assert_eq!(is_other(place, 0x80), !(12..32).contains(&place) && place < 61, "byte {place}");
        }
    }

    #[test]
    fn inputs_of_mappings_spread_over_the_rows() {
        const INPUTS: u64 = 1024;
        let rows: std::collections::HashSet<usize> = (0..INPUTS)
            .map(|account| match input(&key(account, 3)) {
                Input::Key(limbs) => mixed(&limbs) % KEY_ROWS,
                Input::Other(_) => 0,
            })
            .collect();
        // Random numbers would take 98 of 100 rows of their own.
        assert!(rows.len() > INPUTS as usize * 9 / 10, "{} rows", rows.len());
    }
}
