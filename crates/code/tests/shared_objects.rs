//! Shared objects: code runs from them, every damage is refused, the system's tools read them.
//!
//! in   artifacts made by hand
//! out  what the code computes, the reason of each refusal

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod made;

use hotevm_abi::Refusal;
use hotevm_code::{CodeMemory, Executable, Image, Machine, MemoryError, SharedObject, WriteError, claimed_key, link};
#[cfg(target_arch = "x86_64")]
use made::run::call;
use made::{ENTRY, TABLE, artifact::artifact, table_object};
use proptest::prelude::*;
use std::{
    os::fd::AsRawFd,
    process::{Command, Stdio},
    thread,
};

const LIMIT_BYTES: usize = 64 << 20;

fn table() -> SharedObject {
    SharedObject::write(&artifact(link(&table_object().bytes(), ENTRY).unwrap())).unwrap()
}

/// `entry(_)` returns `number`.
#[cfg(target_arch = "x86_64")]
fn constant(number: u32) -> SharedObject {
    let [a, b, c, d] = number.to_le_bytes();
    let code = vec![0xcc, 0xcc, 0xb8, a, b, c, d, 0xc3];
    SharedObject::write(&artifact(Image::from_flat(code, 8, 2, 16, Machine::X86_64).unwrap())).unwrap()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn code_runs_and_is_counted() {
    let memory = CodeMemory::new(LIMIT_BYTES);
    let object = table();
    let code = memory.load_shared_object(&object).unwrap();
    for index in 0..8 {
        assert_eq!(call(&code, index), TABLE[index as usize & 3] + 1);
    }
    assert_eq!(code.bytes(), object.artifact().code.bytes);
    assert_eq!(memory.mapped_bytes(), code.mapped_bytes());
    assert!(code.mapped_bytes() >= code.bytes().len());
    assert_eq!(code.image(), Some(object.image()));
    drop(code);
    assert_eq!(memory.mapped_bytes(), 0);
    let small = CodeMemory::new(0);
    assert!(matches!(small.load_shared_object(&object), Err(MemoryError::LimitReached { .. })));
}

/// What stays is a copy beside other code, right wherever it lies; the loader's mapping is gone.
#[cfg(target_arch = "x86_64")]
#[test]
fn code_lies_side_by_side_and_the_file_is_closed() {
    let memory = CodeMemory::new(LIMIT_BYTES);
    let codes: Vec<Executable> = (0..20).map(|_| memory.load_shared_object(&table()).unwrap()).collect();
    for pair in codes.windows(2) {
        let [left, right] = pair else { continue };
        assert_eq!(left.addresses().start + left.mapped_bytes(), right.addresses().start);
        assert_eq!((call(left, 1), call(right, 2)), (TABLE[1] + 1, TABLE[2] + 1));
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    for code in &codes {
        let holds = |line: &&str| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let [start, end] = [start, end].map(|digits| usize::from_str_radix(digits, 16).unwrap());
            (start..end).contains(&code.addresses().start)
        };
        assert!(maps.lines().find(holds).is_some_and(|line| line.contains("r-xp") && !line.contains('/')), "{maps}");
    }
}

/// The descriptor number that the next file gets.
#[cfg(target_arch = "x86_64")]
fn next_descriptor() -> i32 {
    std::fs::File::open("/proc/self/maps").unwrap().as_raw_fd()
}

/// Each is loaded under the descriptor number of the one before, which was just closed: the system's loader compares paths.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_same_descriptor_number_gives_its_own_code() {
    let memory = CodeMemory::new(LIMIT_BYTES);
    let mut kept = Vec::new();
    let mut same_numbers = 0;
    for number in 0..500 {
        let before = next_descriptor();
        let code = memory.load_shared_object(&constant(number)).unwrap();
        same_numbers += u32::from(next_descriptor() == before);
        assert_eq!(call(&code, 0), u64::from(number));
        if number % 50 == 0 {
            kept.push((number, code));
        }
    }
    // Tests beside this one open files as well, so not every number comes again.
    assert!(same_numbers > 100, "{same_numbers}");
    for (number, code) in &kept {
        assert_eq!(call(code, 0), u64::from(*number));
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn many_threads_load_and_drop() {
    let memory = CodeMemory::new(LIMIT_BYTES);
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let memory = &memory;
            scope.spawn(move || {
                let mut held = Vec::new();
                for number in (thread * 1000..).take(100) {
                    held.push((number, memory.load_shared_object(&constant(number)).unwrap()));
                    for (number, code) in &held {
                        assert_eq!(call(code, 0), u64::from(*number));
                    }
                    if held.len() > 8 {
                        held.swap_remove(number as usize % 8);
                    }
                }
            });
        }
    });
    assert_eq!(memory.mapped_bytes(), 0);
}

#[test]
fn code_for_another_machine_is_written_and_not_loaded() {
    let machine = if Machine::host() == Some(Machine::X86_64) { Machine::Aarch64 } else { Machine::X86_64 };
    let image = Image::from_flat(vec![0; 64], 32, 4, 4096, machine).unwrap();
    let object = SharedObject::write(&artifact(image)).unwrap();
    assert_eq!(SharedObject::check(object.bytes().to_vec()).as_ref(), Ok(&object));
    let refused = CodeMemory::new(LIMIT_BYTES).load_shared_object(&object);
    assert!(matches!(refused, Err(MemoryError::Machine { machine: found }) if found == machine));
}

#[test]
fn what_would_be_refused_is_not_written() {
    let image = link(&table_object().bytes(), ENTRY).unwrap();
    let check = |change: fn(&mut hotevm_abi::Artifact), expected: fn(&WriteError) -> bool| {
        let mut artifact = artifact(image.clone());
        change(&mut artifact);
        let error = SharedObject::write(&artifact).unwrap_err();
        assert!(expected(&error), "{error}");
    };
    check(|artifact| artifact.code.machine = 3, |error| *error == WriteError::Machine(3));
    check(|artifact| artifact.code.text_len = u32::MAX, |error| matches!(error, WriteError::Image(_)));
    check(|artifact| artifact.code.alignment = 3, |error| matches!(error, WriteError::Image(_)));
    check(|artifact| artifact.code.entries.clear(), |error| matches!(error, WriteError::Manifest(_)));
    check(|artifact| artifact.key.target = "x".repeat(70_000), |error| matches!(error, WriteError::Manifest(_)));
    check(|artifact| artifact.bytecode.push(0), |error| *error == WriteError::Refused(Refusal::CodeBytes));
}

#[test]
fn every_altered_byte_is_refused() {
    let good = table().bytes().to_vec();
    assert!(SharedObject::check(good.clone()).is_ok());
    for at in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            assert!(SharedObject::check(bytes).is_err(), "byte {at} ^ {flip:#x}");
        }
    }
}

/// The digest is no secret: with a digest made anew, headers still cannot say anything else than what is written.
#[test]
fn headers_have_one_spelling_whatever_the_digest_says() {
    let good = table().bytes().to_vec();
    let manifest_at = good.windows(8).position(|window| window == b"hotevm\0\0").unwrap() + 8;
    for at in 0..manifest_at {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes[manifest_at + 16..manifest_at + 48].fill(0);
        let digest = alloy_primitives::keccak256(&bytes);
        bytes[manifest_at + 16..manifest_at + 48].copy_from_slice(&digest.0);
        assert_eq!(SharedObject::check(bytes), Err(Refusal::Altered), "byte {at}");
    }
}

#[test]
fn every_other_length_is_refused() {
    let good = table().bytes().to_vec();
    for len in 0..good.len() {
        assert_eq!(SharedObject::check(good[..len].to_vec()), Err(Refusal::Truncated), "{len} bytes");
    }
    for more in [1, 100, 4096] {
        let mut bytes = good.clone();
        bytes.resize(good.len() + more, 0);
        assert_eq!(SharedObject::check(bytes), Err(Refusal::Altered));
    }
}

#[test]
fn the_key_is_read_from_the_first_bytes() {
    let object = table();
    assert_eq!(claimed_key(&object.bytes()[..2048]), Ok(object.artifact().key.clone()));
    assert_eq!(claimed_key(&object.bytes()[..1000]), Err(Refusal::Truncated));
    assert_eq!(claimed_key(&[0; 4096]), Err(Refusal::Altered));
}

/// What a command prints, if it is installed.
fn output(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    Some((run.status.success() && run.stderr.is_empty(), String::from_utf8_lossy(&run.stdout).into_owned()))
}

#[test]
fn the_tools_of_the_system_read_it() {
    let path = std::env::temp_dir().join(format!("hotevm-shared-object-{}.so", std::process::id()));
    let object = table();
    std::fs::write(&path, object.bytes()).unwrap();
    let name = path.to_str().unwrap();
    let headers = output("readelf", &["--all", "--wide", name]);
    let undefined = output("nm", &["-D", "--undefined-only", name]);
    let text = (Machine::host() == Some(Machine::X86_64)).then(|| output("objdump", &["-d", name])).flatten();
    std::fs::remove_file(&path).unwrap();
    assert!(object.bytes().len() < 8192);
    if let Some((is_clean, headers)) = headers {
        assert!(is_clean, "{headers}");
        for part in ["DYN (Shared object file)", "hotevm_entry", ".note.hotevm", "R E", "GNU_STACK", "STRSZ"] {
            assert!(headers.contains(part), "{part} in {headers}");
        }
        assert!(!headers.contains("NEEDED") && !headers.contains("RWE"), "{headers}");
    }
    if let Some((is_clean, symbols)) = undefined {
        assert!(is_clean && symbols.is_empty(), "{symbols}");
    }
    if let Some((is_clean, text)) = text {
        assert!(is_clean && text.contains("<hotevm_entry>:") && text.contains("and    $0x3,%edi"), "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..3000), graft in any::<bool>()) {
        if graft {
            let good = table().bytes().to_vec();
            let len = bytes.len().min(1500);
            bytes.splice(..len, good[..len].iter().copied());
        }
        prop_assert!(SharedObject::check(bytes.clone()).is_err());
        let _key = claimed_key(&bytes);
    }
}
