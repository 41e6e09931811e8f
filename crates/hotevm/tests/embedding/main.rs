//! Embedding: what hotevm does inside of an EVM that is not revm's stock one, and when the host fails.
//!
//! in   small contracts, run by revm's EVM and by hotevm with the same changes made to both
//! out  the same results, states and database reads; without the feature `llvm` both sides interpret, and the comparison still holds

mod careless;
mod lent;
mod nested;
mod told;

use alloy_evm::{
    EthEvm, EthEvmFactory, Evm, EvmEnv, EvmFactory,
    block::BlockExecutorFactory,
    eth::{EthBlockExecutorFactory, EthEvmContext, receipt_builder::AlloyReceiptBuilder, spec::EthSpec},
    precompiles::PrecompilesMap,
};
use hotevm::{Config, HotEthEvm, HotEvm, HotEvmFactory, Instructions, Preset, Runtime, Tuning, native_available};
use revm::{
    Database, Inspector,
    bytecode::opcode as op,
    context::{BlockEnv, CfgEnv, DBErrorMarker, TxEnv},
    context_interface::{cfg::gas_params::GasId, result::ExecutionResult},
    handler::{EthFrame, instructions::EthInstructions},
    inspector::NoOpInspector,
    interpreter::{
        Instruction, InstructionContext, InstructionResult, Interpreter, interpreter::EthInterpreter, interpreter_types::Jumps,
    },
    primitives::{Address, B256, Bytes, TxKind, U256, hardfork::SpecId, keccak256},
    state::{AccountInfo, Bytecode, EvmState},
};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

const CONTRACT: Address = Address::with_last_byte(0xc0);
const CALLEE: Address = Address::with_last_byte(0xca);
const RICH: Address = Address::with_last_byte(0xa0);

/// Accounts in memory that write down what is asked; one question may fail or panic.
#[derive(Debug, Clone, Default)]
struct Accounts {
    infos: HashMap<Address, AccountInfo>,
    reads: Vec<String>,
    failing: Option<Failure>,
}

#[derive(Debug, Clone, Copy)]
enum Failure {
    /// Every read of this account or of its storage is an error.
    Error(Address),
    /// Every read of this account or of its storage panics.
    Panic(Address),
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the disk is gone")]
struct Gone;

impl DBErrorMarker for Gone {}

impl Accounts {
    fn new(codes: &[(Address, Vec<u8>)]) -> Self {
        let mut accounts = Self::default();
        for (address, code) in codes {
            let bytecode = Bytecode::new_legacy(code.clone().into());
            accounts.insert(*address, bytecode.hash_slow(), bytecode);
        }
        accounts
    }

    fn insert(&mut self, address: Address, code_hash: B256, code: Bytecode) {
        let info = AccountInfo { nonce: 1, code_hash, code: Some(code), ..AccountInfo::default() };
        self.infos.insert(address, info);
    }

    fn read(&mut self, address: Address, what: String) -> Result<(), Gone> {
        self.reads.push(what);
        match self.failing {
            Some(Failure::Error(failing)) if failing == address => Err(Gone),
            Some(Failure::Panic(failing)) if failing == address => panic!("the database panics at {address}"),
            _ => Ok(()),
        }
    }
}

impl Database for Accounts {
    type Error = Gone;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Gone> {
        self.read(address, format!("account {address}"))?;
        Ok(self.infos.get(&address).cloned())
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Gone> {
        self.reads.push(format!("code {code_hash}"));
        Ok(Bytecode::default())
    }

    fn storage(&mut self, address: Address, key: U256) -> Result<U256, Gone> {
        self.read(address, format!("storage {address} {key}"))?;
        Ok(key + U256::from(5))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Gone> {
        self.reads.push(format!("block {number}"));
        Ok(B256::with_last_byte(number as u8))
    }
}

type Context = EthEvmContext<Accounts>;
type Inner<I> =
    revm::context::Evm<Context, I, EthInstructions<EthInterpreter, Context>, PrecompilesMap, EthFrame<EthInterpreter>>;

fn runtime() -> Runtime {
    Runtime::new(Config::preset(Preset::Test)).expect("a runtime for this machine")
}

fn environment() -> EvmEnv {
    let mut cfg_env = CfgEnv::new_with_spec(SpecId::OSAKA);
    cfg_env.disable_nonce_check = true;
    let mut env = EvmEnv::new(cfg_env, BlockEnv::default());
    env.block_env.prevrandao = Some(B256::ZERO);
    env
}

fn transaction(gas_limit: u64) -> TxEnv {
    TxEnv {
        caller: Address::with_last_byte(1),
        kind: TxKind::Call(CONTRACT),
        gas_limit,
        chain_id: Some(1),
        data: Bytes::from(vec![0x5a; 40]),
        ..TxEnv::default()
    }
}

/// All that can be seen of a transaction.
type Seen = (Result<ExecutionResult, String>, EvmState, Vec<String>);

fn run<E: Evm<DB = Accounts, Tx = TxEnv, HaltReason = revm::context_interface::result::HaltReason>>(
    evm: &mut E,
    gas_limit: u64,
) -> Seen {
    evm.db_mut().reads.clear();
    let outcome = evm.transact_raw(transaction(gas_limit));
    let reads = std::mem::take(&mut evm.db_mut().reads);
    match outcome {
        Ok(outcome) => (Ok(outcome.result), outcome.state, reads),
        Err(error) => (Err(error.to_string()), EvmState::default(), reads),
    }
}

/// A case: accounts, environment, what is changed in the EVM and what of that is declared.
struct Case {
    accounts: Accounts,
    env: EvmEnv,
    change: fn(&mut Inner<NoOpInspector>),
    declared: Instructions,
}

impl Case {
    fn new(codes: &[(Address, Vec<u8>)]) -> Self {
        Self { accounts: Accounts::new(codes), env: environment(), change: |_| {}, declared: Instructions::Stock }
    }

    fn inner(&self) -> Inner<NoOpInspector> {
        let mut inner = EthEvmFactory::default().create_evm(self.accounts.clone(), self.env.clone()).into_inner();
        (self.change)(&mut inner);
        inner
    }

    fn plain(&self) -> EthEvm<Accounts, NoOpInspector, PrecompilesMap> {
        EthEvm::new(self.inner(), false)
    }

    fn hot(&self, runtime: &Runtime) -> HotEthEvm<Accounts, NoOpInspector, PrecompilesMap> {
        HotEthEvm::new(HotEvm::new(self.inner(), runtime.clone(), self.declared), false)
    }
}

/// Runs the case with gas from ample to starving; both sides see the same. Returns what the plain EVM saw with ample gas.
fn check_same(case: &Case, runtime: &Runtime) -> Seen {
    let (mut plain, mut hot) = (case.plain(), case.hot(runtime));
    let ample = run(&mut plain, 1_000_000);
    assert_eq!(ample, run(&mut hot, 1_000_000));
    let used = ample.0.as_ref().map_or(60_000, |result| result.gas().total_gas_spent());
    for missing in 1..used.saturating_sub(21_700).min(120) {
        assert_eq!(run(&mut plain, used - missing), run(&mut hot, used - missing), "{missing} gas short");
    }
    for gas_limit in [21_700, 22_000, 23_500, 30_000] {
        assert_eq!(run(&mut plain, gas_limit), run(&mut hot, gas_limit), "gas limit {gas_limit}");
    }
    drop(hot);
    ample
}

/// As `check_same`, and native code ran where there is a compiler.
fn check_same_and_native(case: &Case) -> Seen {
    let runtime = runtime();
    let seen = check_same(case, &runtime);
    assert_eq!(runtime.statistics().native_frames > 0, native_available(), "{:?}", runtime.statistics());
    seen
}

fn output(seen: &Seen) -> U256 {
    let output = seen.0.as_ref().ok().and_then(|result| result.output()).expect("an output");
    U256::from_be_slice(output)
}

/// Returns the top of the stack.
const RETURN_TOP: [u8; 7] = [op::PUSH0, op::MSTORE, op::PUSH1, 0x20, op::PUSH0, op::RETURN, op::STOP];

fn returning(code: &[u8]) -> Vec<u8> {
    [code, &RETURN_TOP].concat()
}

/// Runs `body` ten times, with what it works on at the top of the stack, and returns that.
fn repeated(body: &[u8]) -> Vec<u8> {
    // counter, value
    let head = [op::PUSH1, 10, op::CALLDATASIZE, op::JUMPDEST];
    let tail = [op::SWAP1, op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::SWAP2, op::SWAP1, op::PUSH1, 3, op::JUMPI];
    returning(&[&head[..], body, &tail].concat())
}

const STEP: [u8; 3] = [op::PUSH1, 3, op::ADD];

#[test]
fn the_factory_stands_in_the_block_executor() {
    fn check<F: BlockExecutorFactory>(_: &F) {}
    let runtime = runtime();
    let factory =
        EthBlockExecutorFactory::new(AlloyReceiptBuilder::default(), EthSpec::mainnet(), HotEvmFactory::new(runtime.clone()));
    check(&factory);
    let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    let mut hot = factory.evm_factory().create_evm(case.accounts.clone(), case.env.clone());
    assert_eq!(run(&mut hot, 1_000_000), run(&mut case.plain(), 1_000_000));
    assert_eq!(runtime.statistics().native_frames > 0, native_available());
}

#[test]
fn the_stock_evm_is_the_same() {
    let seen = check_same_and_native(&Case::new(&[(CONTRACT, repeated(&STEP))]));
    assert_eq!(output(&seen), U256::from(70));
}

/// An opcode that Ethereum does not have: doubles the top, grows memory by a word, and reports a short stack.
fn double(context: InstructionContext<'_, Context, EthInterpreter>) -> Result<(), InstructionResult> {
    let InstructionContext { interpreter, host } = context;
    let Some(top) = interpreter.stack.data_mut().last_mut() else { return Err(InstructionResult::StackUnderflow) };
    *top = top.wrapping_add(*top);
    let end = interpreter.memory.len();
    use revm::context_interface::Host as _;
    if end < 256 {
        interpreter.resize_memory(host.gas_params(), end, 32)?;
    }
    Ok(())
}

#[test]
fn an_added_opcode_runs_as_the_evm_says() {
    let code = repeated(&[&[0x0c][..], &STEP, &[op::MSIZE, op::XOR]].concat());
    let mut case = Case::new(&[(CONTRACT, code)]);
    case.declared = Instructions::custom([0x0c]);
    case.change = |inner| inner.instruction.insert_instruction(0x0c, Instruction::new(double), 7);
    let seen = check_same_and_native(&case);
    assert!(matches!(seen.0, Ok(ExecutionResult::Success { .. })), "{seen:?}");
    // On an empty stack it halts.
    let mut case = Case::new(&[(CONTRACT, vec![0x0c, op::STOP])]);
    case.declared = Instructions::custom([0x0c]);
    case.change = |inner| inner.instruction.insert_instruction(0x0c, Instruction::new(double), 7);
    let seen = check_same(&case, &runtime());
    assert!(matches!(seen.0, Ok(ExecutionResult::Halt { .. })), "{seen:?}");
}

/// ADD that subtracts.
fn subtract(context: InstructionContext<'_, Context, EthInterpreter>) -> Result<(), InstructionResult> {
    let data = context.interpreter.stack.data_mut();
    let (Some(one), Some(other)) = (data.pop(), data.pop()) else { return Err(InstructionResult::StackUnderflow) };
    data.push(other.wrapping_sub(one));
    Ok(())
}

fn replace_add(inner: &mut Inner<NoOpInspector>) {
    inner.instruction.insert_instruction(op::ADD, Instruction::new(subtract), 3);
}

#[test]
fn a_replaced_opcode_is_neither_inlined_nor_folded() {
    let constants = returning(&[op::PUSH1, 9, op::PUSH1, 4, op::ADD]);
    for (code, expected) in [(repeated(&STEP), 10), (constants, 5)] {
        let mut case = Case::new(&[(CONTRACT, code)]);
        (case.change, case.declared) = (replace_add, Instructions::custom([op::ADD]));
        assert_eq!(output(&check_same_and_native(&case)), U256::from(expected));
    }
}

#[test]
fn an_opcode_replaced_again_is_noticed_by_what_is_interpreted() {
    let mut case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    (case.change, case.declared) = (replace_add, Instructions::custom([op::ADD]));
    // Nothing is compiled, and the frame has gas enough to get warm: it is interpreted with a table that stops.
    let tuning = Tuning { warm_gas: 1000, ..Tuning::preset(Preset::Production) };
    let cold = Runtime::new(Config { tuning, ..Config::preset(Preset::Production) }).expect("a runtime");
    cold.pause();
    let mut hot = case.hot(&cold);
    assert_eq!(output(&run(&mut hot, 1_000_000)), U256::from(10));
    let multiply = |context: InstructionContext<'_, Context, EthInterpreter>| {
        let data = context.interpreter.stack.data_mut();
        let (Some(one), Some(other)) = (data.pop(), data.pop()) else { return Err(InstructionResult::StackUnderflow) };
        data.push(other.wrapping_mul(one));
        Ok(())
    };
    let replace = |inner: &mut Inner<NoOpInspector>| {
        inner.instruction.insert_instruction(op::ADD, Instruction::new(multiply), 3);
    };
    replace(hot.hot_mut().inner_mut());
    let mut changed = case.inner();
    replace(&mut changed);
    let mut plain = EthEvm::new(changed, false);
    assert_eq!(run(&mut plain, 1_000_000), run(&mut hot, 1_000_000));
    drop(hot);
    assert_eq!(cold.statistics().became_watched > 0, native_available(), "the frame got warm where something compiles");
}

#[test]
fn code_that_runs_a_little_in_each_evm_or_block_gets_warm() {
    if !native_available() {
        return;
    }
    let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    let code_hash = keccak256(repeated(&STEP));
    // More than a frame has, so that no frame is looked at while it runs.
    let tuning = Tuning { warm_gas: 200_000, ..Tuning::preset(Preset::Development) };
    let runtime = || {
        let runtime = Runtime::new(Config { tuning: tuning.clone(), ..Config::preset(Preset::Development) }).expect("a runtime");
        runtime.pause();
        runtime
    };
    let (first, second) = (runtime(), runtime());
    let evms = (1..=20).find(|_| {
        let _ = run(&mut case.hot(&first), 100_000);
        !first.peek(code_hash).is_empty()
    });
    let mut hot = case.hot(&second);
    let blocks = (1..=20).find(|number| {
        hot.hot_mut().inner_mut().ctx.block.number = U256::from(*number);
        let _ = run(&mut hot, 100_000);
        !second.peek(code_hash).is_empty()
    });
    // Some 500 gas each time, which count twice as much each time.
    assert_eq!((evms, blocks), (Some(9), Some(9)));
    drop(hot);
    assert_eq!([&first, &second].map(|runtime| runtime.statistics().native_frames), [0, 0]);
}

#[test]
fn a_frame_enters_code_that_came_while_it_ran_older_code() {
    if !native_available() {
        return;
    }
    // Counts down from 20,000; below 5,000 it goes another way, which the region of the first rounds does not hold.
    let code = [
        &[op::PUSH2, 0x4e, 0x20][..],
        &[op::JUMPDEST, op::DUP1, op::PUSH2, 0x13, 0x88, op::GT, op::PUSH1, 22, op::JUMPI],
        &[op::JUMPDEST, op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH1, 3, op::JUMPI, op::STOP],
        &[op::JUMPDEST, op::PUSH1, 12, op::JUMP],
    ];
    let case = Case::new(&[(CONTRACT, code.concat())]);
    // Without workers code is there as soon as it is asked for.
    let tuning = Tuning { warm_gas: 1000, eagerness: 0.01, grow_leaves: 1, ..Tuning::preset(Preset::Development) };
    let runtime = Runtime::new(Config { workers: 0, tuning, ..Config::preset(Preset::Development) }).expect("a runtime");
    let (mut plain, mut hot) = (case.plain(), case.hot(&runtime));
    assert_eq!(run(&mut plain, 4_000_000), run(&mut hot, 4_000_000));
    let counted = runtime.statistics();
    assert!(counted.regrown > 0, "{counted:?}");
    assert!(counted.native_gas_share().is_some_and(|share| share > 0.95), "{:?}", counted.native_gas_share());
}

#[test]
fn changed_static_gas_is_charged() {
    let body = [&STEP[..], &[op::DUP1, op::SLOAD, op::POP, op::GAS, op::POP]].concat();
    let stock = Case::new(&[(CONTRACT, repeated(&body))]);
    let mut case = Case::new(&[(CONTRACT, repeated(&body))]);
    case.change = |inner| {
        inner.instruction.insert_gas(op::ADD, 21);
        inner.instruction.insert_gas(op::SLOAD, 333);
        inner.instruction.insert_gas(op::JUMPDEST, 0);
        inner.instruction.insert_gas(op::GAS, 60_000);
    };
    let spent = |seen: &Seen| seen.0.as_ref().map_or(0, |result| result.gas().total_gas_spent());
    let (stock, changed) = (check_same_and_native(&stock), check_same_and_native(&case));
    assert_ne!(spent(&stock), spent(&changed));
}

#[test]
fn changed_dynamic_gas_is_charged() {
    let body = [
        &[op::DUP1, op::PUSH1, 3, op::EXP, op::PUSH2, 1, 0, op::PUSH1, 3, op::EXP, op::POP][..],
        &[op::PUSH1, 64, op::DUP2, op::PUSH1, 5, op::SHL, op::PUSH2, 15, 255, op::AND, op::KECCAK256],
        &[op::DUP1, op::SLOAD, op::POP, op::PUSH1, 40, op::PUSH0, op::LOG0, op::ADD, op::ADD, op::MSIZE, op::XOR],
    ]
    .concat();
    let mut case = Case::new(&[(CONTRACT, repeated(&body))]);
    let stock = check_same_and_native(&case);
    let costs = [
        (GasId::exp_byte_gas(), 11),
        (GasId::keccak256_per_word(), 17),
        (GasId::memory_linear_cost(), 5),
        (GasId::memory_quadratic_reduction(), 64),
        (GasId::logdata(), 3),
        (GasId::cold_storage_additional_cost(), 777),
    ];
    let mut params = case.env.cfg_env.gas_params.clone();
    params.override_gas(costs);
    case.env.cfg_env.set_gas_params(params);
    let changed = check_same_and_native(&case);
    assert!(matches!(changed.0, Ok(ExecutionResult::Success { .. })), "{changed:?}");
    assert_ne!(stock, changed);
}

#[test]
fn evms_that_share_hashes_pay_their_own_price_for_them() {
    let body = [op::DUP1, op::PUSH0, op::MSTORE, op::PUSH1, 64, op::PUSH0, op::KECCAK256, op::ADD];
    let stock = Case::new(&[(CONTRACT, repeated(&body))]);
    let mut dear = Case::new(&[(CONTRACT, repeated(&body))]);
    let mut params = dear.env.cfg_env.gas_params.clone();
    params.override_gas([(GasId::keccak256_per_word(), 17)]);
    dear.env.cfg_env.set_gas_params(params);
    let runtime = runtime();
    let (mut hot_stock, mut hot_dear) = (stock.hot(&runtime), dear.hot(&runtime));
    let (plain_stock, plain_dear) = (run(&mut stock.plain(), 1_000_000), run(&mut dear.plain(), 1_000_000));
    assert_ne!(plain_stock, plain_dear);
    for turn in 0..2 {
        assert_eq!(run(&mut hot_stock, 1_000_000), plain_stock, "turn {turn}");
        assert_eq!(run(&mut hot_dear, 1_000_000), plain_dear, "turn {turn}");
    }
    assert_eq!(runtime.statistics().native_frames, if native_available() { 4 } else { 0 });
}

/// Writes down every step.
#[derive(Debug, Default)]
struct Steps(Vec<(usize, u8, u64, usize)>);

impl Inspector<Context, EthInterpreter> for Steps {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut Context) {
        let bytecode = &interpreter.bytecode;
        self.0.push((bytecode.pc(), bytecode.opcode(), interpreter.gas.remaining(), interpreter.stack.len()));
    }
}

#[test]
fn an_inspector_sees_the_same_steps() {
    let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    let runtime = runtime();
    let factory = HotEvmFactory::new(runtime.clone());
    let mut plain = EthEvmFactory::default().create_evm_with_inspector(case.accounts.clone(), case.env.clone(), Steps::default());
    let mut hot = factory.create_evm_with_inspector(case.accounts.clone(), case.env.clone(), Steps::default());
    assert_eq!(run(&mut plain, 1_000_000), run(&mut hot, 1_000_000));
    assert_eq!(plain.inspector().0, hot.inspector().0);
    assert!(plain.inspector().0.len() > 100);
    let statistics = runtime.statistics();
    assert_eq!((statistics.frames, statistics.native_frames), (1, 0));
    let reasons = statistics.interpreted.iter().filter(|(_, frames)| *frames != 0);
    assert_eq!(reasons.collect::<Vec<_>>(), [&("inspected", 1)]);
    // Switched off, it sees nothing, and native code runs.
    hot.set_inspector_enabled(false);
    let steps = hot.inspector().0.len();
    assert_eq!(run(&mut hot, 1_000_000), run(&mut case.plain(), 1_000_000));
    assert_eq!(hot.inspector().0.len(), steps);
    assert_eq!(runtime.statistics().native_frames > 0, native_available());
}

#[test]
fn a_hash_that_does_not_match_its_bytes_is_interpreted() {
    let (right, wrong) = (repeated(&STEP), repeated(&[op::PUSH1, 5, op::ADD]));
    for compile_first in [false, true] {
        let runtime = runtime();
        if compile_first {
            let case = Case::new(&[(CONTRACT, right.clone())]);
            assert_eq!(output(&check_same(&case, &runtime)), U256::from(70));
        }
        let before = runtime.statistics();
        let mut case = Case::new(&[]);
        case.accounts.insert(CONTRACT, keccak256(&right), Bytecode::new_legacy(wrong.clone().into()));
        assert_eq!(output(&check_same(&case, &runtime)), U256::from(90));
        let statistics = runtime.statistics().since(&before);
        assert_eq!(statistics.native_frames, 0);
        let count = |name| statistics.interpreted.iter().find(|(reason, _)| *reason == name).map(|(_, count)| *count > 0);
        assert_eq!(count("hash-mismatch"), Some(native_available()), "{statistics:?}");
        // The right bytes run natively, before and after.
        assert_eq!(output(&check_same(&Case::new(&[(CONTRACT, right.clone())]), &runtime)), U256::from(70));
        assert_eq!(runtime.statistics().native_frames > 0, native_available());
    }
}

/// A name, contracts, and the account that they ask for.
type Asking = (&'static str, Vec<(Address, Vec<u8>)>, Address);

/// Contracts in which the host is asked for the account `RICH` or a storage slot: by a table call, by builtins, in a callee.
fn asking() -> Vec<Asking> {
    let ask_balance = returning(&[&[op::CALLER, op::PUSH1, 0xa0, op::BALANCE][..], &STEP].concat());
    let ask_code = vec![op::PUSH1, 32, op::PUSH0, op::PUSH0, op::PUSH1, 0xa0, op::EXTCODECOPY, op::STOP];
    let ask_storage = repeated(&[op::SLOAD]);
    let (zero, gas) = (op::PUSH0, op::GAS);
    let call = [zero, zero, zero, zero, zero, op::PUSH1, 0xca, gas, op::CALL, op::PUSH1, 2, op::ADD];
    vec![
        ("table call", vec![(CONTRACT, ask_balance.clone())], RICH),
        ("builtin", vec![(CONTRACT, ask_code)], RICH),
        ("callee", vec![(CONTRACT, returning(&call)), (CALLEE, ask_balance)], RICH),
        ("storage of a callee", vec![(CONTRACT, returning(&call)), (CALLEE, ask_storage)], CALLEE),
        ("call", vec![(CONTRACT, returning(&call))], CALLEE),
    ]
}

#[test]
fn a_database_error_comes_out_as_it_is() {
    for (name, codes, asked) in asking() {
        let runtime = runtime();
        let mut case = Case::new(&codes);
        let sound = check_same(&case, &runtime);
        assert!(matches!(sound.0, Ok(ExecutionResult::Success { .. })), "{name}: {sound:?}");
        case.accounts.failing = Some(Failure::Error(asked));
        let (mut plain, mut hot) = (case.plain(), case.hot(&runtime));
        let seen = run(&mut plain, 1_000_000);
        assert_eq!(seen, run(&mut hot, 1_000_000), "{name}");
        assert!(seen.0.as_ref().is_err_and(|error| error.contains("the disk is gone")), "{name}: {seen:?}");
        // The same EVM goes on when the database is well again.
        (plain.db_mut().failing, hot.db_mut().failing) = (None, None);
        assert_eq!(run(&mut plain, 1_000_000), sound, "{name}");
        assert_eq!(run(&mut hot, 1_000_000), sound, "{name}");
        drop(hot);
        assert_eq!(runtime.statistics().native_frames > 0, native_available(), "{name}");
    }
}

#[test]
fn a_panic_of_the_database_comes_out_as_it_is() {
    fn panicking<E>(evm: &mut E) -> (String, Vec<String>)
    where
        E: Evm<DB = Accounts, Tx = TxEnv, HaltReason = revm::context_interface::result::HaltReason>,
    {
        evm.db_mut().reads.clear();
        let payload = catch_unwind(AssertUnwindSafe(|| evm.transact_raw(transaction(1_000_000)).is_ok()));
        let message = payload.map_err(|payload| payload.downcast::<String>().map_or_else(|_| String::new(), |text| *text));
        (message.expect_err("a panic"), evm.db_mut().reads.clone())
    }
    for (name, codes, asked) in asking() {
        let runtime = runtime();
        let sound = Case::new(&codes);
        let before = check_same(&sound, &runtime);
        let mut case = Case::new(&codes);
        case.accounts.failing = Some(Failure::Panic(asked));
        let (mut plain, mut hot) = (case.plain(), case.hot(&runtime));
        let seen = panicking(&mut plain);
        assert_eq!(seen, panicking(&mut hot), "{name}");
        assert!(seen.0.contains("the database panics"), "{name}: {seen:?}");
        drop(hot);
        // Nothing is left behind in the runtime.
        assert_eq!(check_same(&sound, &runtime), before, "{name}");
        assert_eq!(runtime.statistics().native_frames > 0, native_available(), "{name}");
    }
}
