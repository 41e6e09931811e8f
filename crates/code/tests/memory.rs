//! Code memory: code runs, the count is right, refusals are typed. (`mapping.rs` looks at the pages themselves.)
//!
//! in   images linked from objects made by hand
//! out  what the code computes, what the count says, the error that names what is wrong

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod made;

use std::thread;

use hotevm_code::{CodeMemory, Image, Machine, MemoryError, PerfMap, layout_text};
#[cfg(target_arch = "x86_64")]
use hotevm_code::{Executable, link};
use made::run::host_image;
#[cfg(target_arch = "x86_64")]
use made::{ENTRY, TABLE, constants_object, jump_object, run::call, table_object};

const LIMIT_BYTES: usize = 1 << 20;

#[cfg(target_arch = "x86_64")]
#[test]
fn linked_code_runs() {
    let memory = CodeMemory::new(LIMIT_BYTES);
    let table = memory.load(&link(&table_object().bytes(), ENTRY).unwrap()).unwrap();
    for index in 0..8 {
        assert_eq!(call(&table, index), TABLE[index as usize & 3] + 1);
    }
    let jumps = memory.load(&link(&jump_object().bytes(), ENTRY).unwrap()).unwrap();
    assert_eq!((call(&jumps, 0), call(&jumps, 1)), (17, 33));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn code_reads_constants_that_were_merged() {
    let memory = CodeMemory::new(LIMIT_BYTES);
    for constants in [[7, 9, 7], [7, 7, 7], [7, 7, 9], [9, 7, 7], [7, 8, 9]] {
        let code = memory.load(&link(&constants_object(constants, 8, -4), ENTRY).unwrap()).unwrap();
        assert_eq!(call(&code, 0), constants.iter().sum::<u64>(), "{constants:?}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn code_is_the_same_at_every_address() {
    let memory = CodeMemory::new(LIMIT_BYTES);
    let image = link(&table_object().bytes(), ENTRY).unwrap();
    let copies: Vec<Executable> = (0..4).map(|_| memory.load(&image).unwrap()).collect();
    for copy in &copies {
        assert_eq!(copy.bytes(), image.bytes);
        assert_eq!(call(copy, 2), TABLE[2] + 1);
    }
}

/// C3, and that moving a full arena to a huge page changes nothing: every code runs before and after, holes between them or not.
#[cfg(target_arch = "x86_64")]
#[test]
fn codes_lie_side_by_side_and_run_when_their_arena_is_full() {
    let memory = CodeMemory::new(64 << 20);
    let image = link(&table_object().bytes(), ENTRY).unwrap();
    // Two arenas and a half of single pages.
    let mut codes: Vec<Executable> = (0..1280).map(|_| memory.load(&image).unwrap()).collect();
    let address = |code: &Executable| code.entry_pointer().as_ptr() as usize;
    let side_by_side = codes.windows(2).filter(|pair| address(&pair[1]) == address(&pair[0]) + pair[0].mapped_bytes()).count();
    assert!(side_by_side > 1270, "{side_by_side} of 1279");
    assert!(codes.iter().all(|code| call(code, 3) == TABLE[3] + 1));
    let mut number = 0;
    codes.retain(|_| {
        number += 1;
        number % 3 == 0
    });
    assert!(codes.iter().all(|code| call(code, 1) == TABLE[1] + 1 && code.bytes() == image.bytes));
    assert_eq!(memory.mapped_bytes(), codes.len() * codes[0].mapped_bytes());
    codes.clear();
    assert_eq!(memory.mapped_bytes(), 0);
    assert_eq!(call(&memory.load(&image).unwrap(), 0), TABLE[0] + 1);
}

#[test]
fn the_limit_is_kept_and_room_comes_back() {
    let page_len = CodeMemory::new(LIMIT_BYTES).writable(1).unwrap().into_executable(0).unwrap().mapped_bytes();
    let memory = CodeMemory::new(3 * page_len);
    let two = memory.writable(page_len + 1).unwrap();
    let one = memory.writable(page_len).unwrap();
    assert_eq!((memory.mapped_bytes(), memory.limit_bytes()), (3 * page_len, 3 * page_len));
    match memory.clone().writable(1) {
        Err(MemoryError::LimitReached { requested_bytes, mapped_bytes, limit_bytes }) => {
            assert_eq!((requested_bytes, mapped_bytes, limit_bytes), (page_len, 3 * page_len, 3 * page_len));
        }
        other => panic!("expected the limit, got {other:?}"),
    }
    drop(two);
    assert_eq!(memory.mapped_bytes(), page_len);
    let one_more = memory.writable(2 * page_len).unwrap();
    drop((one, one_more));
    assert_eq!(memory.mapped_bytes(), 0);
    assert!(matches!(CodeMemory::new(0).writable(1), Err(MemoryError::LimitReached { .. })));
}

#[test]
fn many_threads_never_pass_the_limit() {
    let image = host_image();
    let page_len = CodeMemory::new(LIMIT_BYTES).load(&image).unwrap().mapped_bytes();
    let memory = CodeMemory::new(5 * page_len);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut held = Vec::new();
                for _ in 0..200 {
                    held.extend(memory.load(&image).ok());
                    assert!(memory.mapped_bytes() <= memory.limit_bytes());
                    held.truncate(2);
                }
            });
        }
    });
    assert_eq!(memory.mapped_bytes(), 0);
}

#[test]
fn senseless_lengths_and_entries_are_refused() {
    let memory = CodeMemory::new(usize::MAX);
    for len in [0, usize::MAX, usize::MAX - 4096, isize::MAX as usize + 1] {
        assert!(matches!(memory.writable(len), Err(MemoryError::Length { .. })), "{len}");
    }
    assert!(matches!(memory.writable(1 << 60), Err(MemoryError::MapRefused(_))));
    assert!(matches!(memory.writable(64).unwrap().into_executable(64), Err(MemoryError::Entry { .. })));
    let mut image = host_image();
    image.entry_offset = image.text_len;
    assert!(matches!(memory.load(&image), Err(MemoryError::Image(_))));
    assert_eq!(memory.mapped_bytes(), 0, "what is refused is not counted");
}

#[test]
fn code_for_another_machine_is_refused() {
    let host = Machine::host().unwrap();
    let other = if host == Machine::X86_64 { Machine::Aarch64 } else { Machine::X86_64 };
    let image = Image { machine: other, ..host_image() };
    let refused = CodeMemory::new(LIMIT_BYTES).load(&image);
    assert!(matches!(refused, Err(MemoryError::Machine { machine }) if machine == other));
}

/// Makes every `mprotect` of this thread that asks for `PROT_EXEC` fail, as a hardened system does.
fn forbid_executable_memory() {
    let statement = |code: u32, value: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k: value };
    let jump = |code: u32, value: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k: value };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    // Offsets in `seccomp_data`: the call's number at 0, the third argument at 32.
    let mut filter = [
        statement(load, 0),
        jump(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_mprotect as u32, 0, 3),
        statement(load, 32),
        jump(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, libc::PROT_EXEC as u32, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EACCES as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: `program` and the filter it points at live during the calls; both settings concern this thread alone.
    let status = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_system_that_forbids_executable_memory_is_told_apart() {
    let refused = thread::spawn(|| {
        forbid_executable_memory();
        let memory = CodeMemory::new(LIMIT_BYTES);
        let result = memory.load(&host_image());
        (memory.mapped_bytes(), result)
    });
    let (mapped_bytes, result) = refused.join().unwrap();
    assert!(
        matches!(&result, Err(MemoryError::ProtectRefused(error)) if error.raw_os_error() == Some(libc::EACCES)),
        "{result:?}"
    );
    assert_eq!(mapped_bytes, 0, "nothing stays mapped");
}

#[test]
fn perf_map_has_a_line_for_each_code() {
    let directory = std::env::temp_dir().join(format!("hotevm-code-perf-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let memory = CodeMemory::new(LIMIT_BYTES);
    let code = memory.load(&host_image()).unwrap();
    let map = PerfMap::open(&directory).unwrap();
    map.record(&code, "evm:0xabc:0").unwrap();
    map.record(&code, "two\nlines").unwrap();
    let text = std::fs::read_to_string(map.path()).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let addresses = code.addresses();
    let place = format!("{:x} {:x}", addresses.start, addresses.end - addresses.start);
    assert_eq!(text, format!("{place} evm:0xabc:0\n{place} two_lines\n"));
    assert!(map.path().ends_with(format!("perf-{}.map", std::process::id())));
    assert!(PerfMap::open(&directory.join("missing")).is_err());
    // A link that waits there.
    std::fs::create_dir_all(&directory).unwrap();
    let elsewhere = directory.join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, map.path()).unwrap();
    assert!(PerfMap::open(&directory).is_err() && !elsewhere.exists());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn layout_tells_the_address() {
    let image = host_image();
    let code = CodeMemory::new(LIMIT_BYTES).load(&image).unwrap();
    let text = layout_text(&image, Some(&code));
    assert!(text.contains(&format!("mapped     {:#x}..", code.addresses().start)), "{text}");
}
