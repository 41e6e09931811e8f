//! A system that lets no memory become executable: everything is interpreted, the reason is counted, nothing else changes.
//!
//! in   a thread whose `mprotect` refuses `PROT_EXEC`, as hardened systems do
//! out  the interpreter's results; a rejection that says why

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use alloy_evm::{EthEvmFactory, Evm, EvmEnv, EvmFactory};
use hotevm::{Config, HotEvmFactory, Instructions, Preset, Runtime, native_available};
use revm::{
    bytecode::Bytecode,
    context::TxEnv,
    database::InMemoryDB,
    primitives::{Address, Bytes, TxKind, bytes, hardfork::SpecId},
    state::AccountInfo,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
};
use std::thread;

const CONTRACT: Address = Address::with_last_byte(0xc0);
/// Counts to 100 and returns that.
const CODE: Bytes = bytes!("5f5b600101806064116001575f5260205ff3");

/// Makes every `mprotect` of this thread, and of those it starts, that asks for `PROT_EXEC` fail.
fn forbid_executable_memory() {
    let protection = u64::from(libc::PROT_EXEC.unsigned_abs());
    let asks = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(protection), protection);
    let rule = SeccompRule::new(vec![asks.expect("a condition")]).expect("a rule");
    let filter = SeccompFilter::new(
        [(libc::SYS_mprotect, vec![rule])].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EACCES.unsigned_abs()),
        std::env::consts::ARCH.try_into().expect("a machine that seccomp knows"),
    );
    let program: BpfProgram = filter.expect("a filter").try_into().expect("a program");
    apply_filter(&program).expect("the kernel takes the filter");
}

fn run(evm: &mut impl Evm<DB = InMemoryDB, Tx = TxEnv>) -> Option<Bytes> {
    let transaction = TxEnv { kind: TxKind::Call(CONTRACT), gas_limit: 100_000, ..TxEnv::default() };
    let result = evm.transact_raw(transaction).ok()?.result;
    assert!(result.is_success(), "{result:?}");
    result.output().cloned()
}

fn database() -> InMemoryDB {
    let mut database = InMemoryDB::default();
    database.insert_account_info(CONTRACT, AccountInfo::from_bytecode(Bytecode::new_raw(CODE)));
    database
}

#[test]
fn where_no_memory_becomes_executable_everything_is_interpreted() {
    [Preset::Test, Preset::Development, Preset::Stress].into_iter().for_each(check);
}

fn check(preset: Preset) {
    let hardened = thread::spawn(move || {
        forbid_executable_memory();
        let runtime = Runtime::new(Config::preset(preset)).expect("a runtime without executable memory");
        let env = || EvmEnv::new(revm::context::CfgEnv::new_with_spec(SpecId::OSAKA), revm::context::BlockEnv::default());
        let mut hot = HotEvmFactory::new(runtime.clone()).create_evm(database(), env());
        let mut plain = EthEvmFactory::default().create_evm(database(), env());
        let expected = run(&mut plain);
        assert!(expected.is_some());
        for _ in 0..3 {
            assert_eq!(run(&mut hot), expected);
        }
        drop(hot);
        let reason = runtime.compile(&CODE, SpecId::OSAKA, Instructions::Stock).expect_err("no code can be made");
        (runtime.statistics(), runtime.mapped_bytes(), reason.to_string())
    });
    let (statistics, mapped_bytes, reason) = hardened.join().expect("no panic");
    assert_eq!((statistics.native_frames, mapped_bytes), (0, 0));
    let counted = |reason| statistics.interpreted.iter().find(|(name, _)| *name == reason).map_or(0, |(_, count)| *count);
    assert_eq!(counted("unavailable"), 3, "{statistics:?}");
    assert_eq!((statistics.compiled, statistics.became_watched), (0, 0), "nothing is watched in vain");
    let rejections = statistics.rejections.iter().filter(|(_, count)| *count != 0).copied().collect::<Vec<_>>();
    if native_available() {
        assert_eq!(rejections, [("memory", 1)]);
        assert!(reason.starts_with("code memory: executable memory refused: "), "{reason}");
    } else {
        assert_eq!(rejections, [("no-compiler", 1)]);
        assert_eq!(reason, "built without a compiler");
    }
}
