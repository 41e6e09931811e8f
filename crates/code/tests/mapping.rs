//! Code pages as the process's own memory map shows them. Alone in its program: another test could map code at the same address.
//!
//! in   an image linked from an object made by hand
//! out  `rw-` while it is written, `r-x` while it is held, nothing after; no mapping is ever writable and executable

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod made;

use std::{sync::Arc, thread};

use hotevm_code::CodeMemory;
use made::run::host_image;

const LIMIT_BYTES: usize = 1 << 20;

/// The permissions (`r-xp`) that the process's memory map shows for `address`; `None` where nothing is mapped.
fn permissions(address: usize) -> Option<String> {
    let mut found = None;
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        let permissions = rest.split(' ').next().unwrap();
        assert!(!(permissions.contains('w') && permissions.contains('x')), "writable and executable: {line}");
        if (number(start)..number(end)).contains(&address) {
            found = Some(permissions.to_owned());
        }
    }
    found
}

#[test]
fn pages_are_writable_or_executable_and_gone_at_the_last_drop() {
    let memory = CodeMemory::new(LIMIT_BYTES);
    let image = host_image();
    let mut writable = memory.writable(image.bytes.len()).unwrap();
    writable.bytes_mut().copy_from_slice(&image.bytes);
    let address = writable.bytes_mut().as_ptr().addr();
    assert_eq!(permissions(address).as_deref(), Some("rw-p"));

    let executable = Arc::new(writable.into_executable(image.entry_offset).unwrap());
    assert_eq!(executable.addresses().start, address);
    assert_eq!(permissions(address).as_deref(), Some("r-xp"));
    assert_eq!(memory.mapped_bytes(), executable.mapped_bytes());
    let elsewhere = executable.clone();
    drop(executable);
    assert_eq!(permissions(address).as_deref(), Some("r-xp"), "another holder is left");
    thread::spawn(move || drop(elsewhere)).join().unwrap();
    assert_eq!(memory.mapped_bytes(), 0);
    // Something else may be mapped there by now; code it is not.
    assert_ne!(permissions(address).as_deref(), Some("r-xp"));
}
