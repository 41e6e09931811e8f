//! Bytes in and out: little-endian numbers, counted runs.
//!
//! in   values; or bytes that nobody vouches for
//! out  bytes; or values, and an error where the bytes end or make no sense
//!
//! C1  A count is compared with the bytes that are left before anything is allocated for it: every item takes at least one byte.

use alloc::{string::String, vec::Vec};
use core::fmt;

/// Why bytes are no manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end too early.
    End,
    /// A field holds what it cannot hold.
    Value {
        /// The field.
        what: &'static str,
    },
    /// Something follows the last field.
    Rest,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => formatter.write_str("ends too early"),
            Self::Value { what } => write!(formatter, "impossible {what}"),
            Self::Rest => formatter.write_str("goes on after its end"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Bytes being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn array<const LEN: usize>(&mut self, value: [u8; LEN]) {
        self.bytes.extend_from_slice(&value);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.array([value]);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.array(value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.array(value.to_le_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.array(value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.array(value.to_le_bytes());
    }

    /// What is longer than a count can say is cut off; reading it back then fails, and so does the writer's own check.
    pub(super) fn text(&mut self, value: &str) {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.u16(len);
        self.bytes.extend_from_slice(value.as_bytes().get(..usize::from(len)).unwrap_or_default());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
        for item in items {
            write(self, item);
        }
    }
}

/// Bytes being read.
#[derive(Debug)]
pub(super) struct Reader<'data> {
    rest: &'data [u8],
}

impl<'data> Reader<'data> {
    pub(super) fn new(bytes: &'data [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, len: usize) -> Result<&'data [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::End)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Rest) }
    }

    pub(super) fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<LEN>().ok_or(DecodeError::End)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, DecodeError> {
        let len = self.u16()?;
        let bytes = self.take(usize::from(len))?;
        core::str::from_utf8(bytes).map(String::from).map_err(|_| DecodeError::Value { what: "text" })
    }

    /// A count that the bytes left can hold (C1).
    fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.u32()? as usize;
        if count > super::ITEMS_MAX {
            return Err(DecodeError::Value { what: "count" });
        }
        if count > self.rest.len() { Err(DecodeError::End) } else { Ok(count) }
    }

    pub(super) fn bytes(&mut self) -> Result<&'data [u8], DecodeError> {
        let len = self.count()?;
        self.take(len)
    }

    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
        let count = self.count()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }
}
