//! Frames that suspend: where they go on, how deep they nest, and what keeps their code.
//!
//! in   contracts that call and create, back and forth
//! out  the interpreter's results; code that is there as long as a frame can go on in it

use crate::{assembly::assemble, case, check, check_in, input, runtime};
use alloy_evm::{EthEvmFactory, Evm, EvmFactory};
use alloy_primitives::{Address, B256, U256};
use hotevm::{HotEvmFactory, Instructions, Optimisation, Runtime, native_available};
use hotevm_testing::{
    execute::{
        database::{ReadFailure, RecordingDatabase},
        run::{environment, transaction},
    },
    generate::case::{GasLimit, Input},
};
use revm::{
    Database, bytecode::Bytecode, context_interface::result::ExecutionResult, primitives::hardfork::SpecId, state::AccountInfo,
};
use std::{cell::RefCell, rc::Rc, thread};

#[test]
fn pitfall_31_frames_go_on_behind_their_calls() {
    // Begins at a JUMPDEST at 0, which it jumps back to; each round calls, creates in vain, and calls again.
    let caller = "
        :start 1 0 SLOAD ADD DUP1 0 SSTORE
        DUP1 0 MSTORE  0x20 0x20 0x20 0 0 0x81 GAS CALL
        0x20 MLOAD ADD  10 0 0xffff CREATE ADD
        0x20 0x40 0x20 0x20 0x82 GAS STATICCALL ADD  0x40 MLOAD ADD
        0x60 MLOAD ADD 0x60 MSTORE
        12 0 SLOAD LT @start JUMPI
        0x80 0 RETURN";
    // Calls the third contract, and every second time reverts behind that.
    let through = "
        0x20 0 0x20 0 0 0x82 GAS CALL  0 MLOAD ADD 0 MSTORE
        1 0 CALLDATALOAD AND @bad JUMPI 0x20 0 RETURN
        :bad 0x20 0 REVERT";
    // Begins at pc 0 with a call, so that it suspends at once, to a precompile.
    let last = "
        0 0 0 0 4 GAS STATICCALL 0 CALLDATALOAD ADD 3 ADD 0 MSTORE
        0 0 0 0 0xdead GAS STATICCALL 0 MLOAD ADD 0 MSTORE 0x20 0 RETURN";
    let limits = [2_000_000, 900_000, 400_000, 200_000, 100_000, 60_000, 45_000];
    for fork in [SpecId::BYZANTIUM, SpecId::OSAKA, SpecId::AMSTERDAM] {
        let inputs = limits.map(|limit| input([], GasLimit::Exact(limit))).to_vec();
        let agreement = check(&case(fork, &[caller, through, last].map(assemble), inputs));
        assert!(agreement.successes > 0 && agreement.halts > 0, "{fork:?}: {agreement:?}");
    }
}

#[test]
fn pitfall_31_a_frame_goes_on_in_its_own_code() {
    // Frames of one index and different codes take turns, each suspended once; entries lie at different places.
    let root = "
        0 0 0x20 0 0 0x81 GAS CALL POP 0 0 0x20 0 0 0x82 GAS CALL POP
        0x20 0 0 0 0 0x81 GAS CALL POP 0x20 0x20 0 0 0 0x82 GAS CALL POP 0x40 0 RETURN";
    let one = "0 0 0 0 0 0x83 GAS CALL 0x11 ADD 0 MSTORE 0x20 0 RETURN";
    let other = "CALLER POP CALLER POP 0 0 0 0 0 0x83 GAS CALL 0 MSTORE 0x22 0 MLOAD ADD 0 MSTORE 0x20 0 RETURN";
    let leaf = "CALLER 0 MSTORE 0x20 0 LOG0 0xfe 0xfd 0xfc ADD MUL 0 MSTORE 0x20 0 REVERT";
    let agreement = check(&case(SpecId::OSAKA, &[root, one, other, leaf].map(assemble), vec![input([], GasLimit::Ample)]));
    assert_eq!(agreement.successes, agreement.executions);
}

/// Calls itself with all it may give, and returns one more than what came back.
const DEEP: &str = "0x20 0 0 0 0 ADDRESS GAS CALL POP 0 MLOAD 1 ADD 0 MSTORE 0x20 0 RETURN";
/// Enough that a 64th kept back 1,024 times over leaves some.
const DEEP_GAS: u64 = 1 << 39;
/// Bytes of a thread's stack: less than 1,024 nested native runs would take, or 20,000 turns.
const STACK_BYTES: usize = 512 << 10;

#[test]
fn pitfall_33_calls_1024_deep_do_not_nest_on_the_host() {
    let case = case(SpecId::PRAGUE, &[assemble(DEEP)], vec![input([], GasLimit::Ample)]);
    let runtime = runtime(Optimisation::Full, false);
    // Compiled here, where there is room.
    let compiled = runtime.compile(&case.contracts[0].code, case.fork, Instructions::Stock);
    assert_eq!(compiled.is_ok(), native_available());
    let (found, expected) = thread::scope(|scope| {
        let run = || {
            let env = || environment(&case);
            let transaction = || transaction(&case, &case.inputs[0], DEEP_GAS);
            let hot = HotEvmFactory::new(runtime.clone());
            let mut hot = hot.create_evm(RecordingDatabase::new(&case), env());
            let mut plain = EthEvmFactory::default().create_evm(RecordingDatabase::new(&case), env());
            (hot.transact_raw(transaction()), plain.transact_raw(transaction()))
        };
        let small = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).expect("a thread");
        small.join().expect("no overflow and no panic")
    });
    let (found, expected) = (found.expect("valid"), expected.expect("valid"));
    assert_eq!(found, expected);
    let ExecutionResult::Success { output, .. } = found.result else { panic!("{:?}", found.result) };
    assert_eq!(U256::from_be_slice(output.data()), U256::from(1025));
    assert_eq!(runtime.statistics().native_frames, if native_available() { 1025 } else { 0 });
}

#[test]
fn pitfall_33_long_code_compiles_on_a_small_stack() {
    // Long chains of values, and of blocks, over which LLVM recurses.
    let values = "CALLER ".to_owned() + &"DUP1 ADD ".repeat(10_000) + "0 MSTORE 0x20 0 RETURN";
    let blocks = "CALLER ".to_owned() + &"DUP1 @end JUMPI ".repeat(4000) + ":end 0 MSTORE 0x20 0 RETURN";
    for optimisation in [Optimisation::None, Optimisation::Full] {
        let runtime = runtime(optimisation, false);
        let compiled = thread::scope(|scope| {
            let run = || {
                let codes = [&values, &blocks].map(|text| assemble(text).into());
                codes.map(|code| runtime.compile(&code, SpecId::OSAKA, Instructions::Stock).is_ok())
            };
            let small = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).expect("a thread");
            small.join().expect("no overflow and no panic")
        });
        assert_eq!(compiled, [native_available(); 2], "{optimisation}");
    }
}

#[test]
fn pitfall_33_turns_of_native_code_and_interpreter_do_not_nest_on_the_host() {
    // Every instruction of the loop leaves, and every round comes back at the JUMPDEST.
    let code = assemble("20000 :loop 1 SWAP1 SUB DUP1 @loop JUMPI 0 MSTORE 0x20 0 RETURN");
    let case = case(SpecId::OSAKA, &[code], vec![Input { leave_mask: u64::MAX, ..input([], GasLimit::Exact(2_000_000)) }]);
    let runtime = runtime(Optimisation::Fast, true);
    let agreement = thread::scope(|scope| {
        let run = || check_in(&case, &environment(&case), &runtime);
        let small = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).expect("a thread");
        small.join().expect("no overflow and no panic")
    });
    assert_eq!(agreement.successes, agreement.executions);
    let runs = runtime.statistics().native_runs;
    assert!(!native_available() || runs > 20_000, "{runs} runs");
}

/// A database that, when it is asked for an account, gives up what was put into it.
#[derive(Debug)]
struct GivingUp {
    inner: RecordingDatabase,
    asked: Address,
    held: Rc<RefCell<Option<Runtime>>>,
}

impl Database for GivingUp {
    type Error = ReadFailure;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ReadFailure> {
        if address == self.asked {
            self.held.take();
        }
        self.inner.basic(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ReadFailure> {
        self.inner.code_by_hash(code_hash)
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, ReadFailure> {
        self.inner.storage(address, key)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, ReadFailure> {
        self.inner.block_hash(number)
    }
}

#[test]
fn pitfall_35_a_runtime_given_up_under_a_suspended_frame() {
    let caller = "
        0x20 0 0 0 0 0x81 GAS CALL 0 MLOAD ADD 0 :loop 1 ADD DUP1 200 GT @loop JUMPI ADD 0x20 MSTORE 0x40 0 RETURN";
    let callee = "0xdead BALANCE 5 ADD 0 MSTORE 0x20 0 RETURN";
    let case = case(SpecId::OSAKA, &[caller, callee].map(assemble), vec![input([], GasLimit::Ample)]);
    let transaction = || transaction(&case, &case.inputs[0], 1_000_000);
    let mut plain = EthEvmFactory::default().create_evm(RecordingDatabase::new(&case), environment(&case));
    let expected = plain.transact_raw(transaction()).expect("valid");
    // Given up by the callee, in a table call, while its caller is suspended in native code; then by the caller's call.
    for asked in [Address::with_last_byte(0x81), Address::from_word(B256::from(U256::from(0xdead)))] {
        let held = Rc::new(RefCell::new(Some(runtime(Optimisation::Full, false))));
        let factory = HotEvmFactory::new(held.borrow().clone().expect("just put there"));
        let database = GivingUp { inner: RecordingDatabase::new(&case), asked, held: held.clone() };
        let mut hot = factory.create_evm(database, environment(&case));
        drop(factory);
        assert_eq!(hot.transact_raw(transaction()).expect("valid"), expected);
        assert!(held.borrow().is_none(), "the runtime was given up");
        // The EVM's own handle keeps what is left; it runs again.
        assert_eq!(hot.transact_raw(transaction()).expect("valid").result.output(), expected.result.output());
    }
}
