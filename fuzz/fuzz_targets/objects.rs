//! Bytes as object files: `cargo +nightly fuzz run objects`.
//!
//! in   bytes
//! out  nothing; linking must refuse or link, never panic, and what it links keeps the laws of an image

#![no_main]

use hotevm_code::{Image, link};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = link(bytes, "entry") {
        let flat = Image::from_flat(image.bytes, image.text_len, image.entry_offset, image.alignment, image.machine);
        assert!(flat.is_ok(), "{flat:?}");
    }
});
