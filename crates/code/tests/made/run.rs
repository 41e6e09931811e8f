//! Code made by hand, run on this machine.
//!
//! in   objects of `made`, code that was loaded
//! out  an image that may be loaded here; what a function computes

use super::{ENTRY, table_object};
use hotevm_code::{Image, Machine, link};

/// The image of [`table_object`], said to be for this machine: for tests that load it and do not run it.
pub fn host_image() -> Image {
    let image = link(&table_object().bytes(), ENTRY).unwrap();
    Image { machine: Machine::host().unwrap(), ..image }
}

/// Calls the code's entry.
#[cfg(target_arch = "x86_64")]
pub fn call(code: &hotevm_code::Executable, argument: u64) -> u64 {
    // SAFETY: the tests load only functions of this signature; `code` is alive during the call.
    let entry: extern "C" fn(u64) -> u64 = unsafe { std::mem::transmute(code.entry_pointer()) };
    entry(argument)
}
