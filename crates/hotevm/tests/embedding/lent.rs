//! Instructions and costs that change while an EVM lives (law J7 of the hook).
//!
//! in   every way to the instructions of an EVM, and a provider that has two tables
//! out  the next transaction runs what is there then

use crate::{CONTRACT, Case, Context, Gone, Inner, STEP, output, repeated, replace_add, run, runtime, subtract, transaction};
use alloy_evm::{EthEvm, precompiles::PrecompilesMap};
use hotevm::{Config, HotEvm, Instructions, Preset, Runtime, native_available};
use revm::{
    bytecode::opcode as op,
    context::{ContextSetters, ContextTr, Evm, JournalTr},
    context_interface::result::{EVMError, ExecutionResult},
    handler::{
        EthFrame, EvmTr, Handler, MainnetHandler,
        instructions::{EthInstructions, InstructionProvider},
    },
    inspector::{InspectorEvmTr, NoOpInspector},
    interpreter::{GasTable, Instruction, InstructionTable, interpreter::EthInterpreter},
    primitives::{U256, hardfork::SpecId},
};
use std::{cell::Cell, rc::Rc};

type Stock = EthInstructions<EthInterpreter, Context>;
type HotEvmOf<I> = HotEvm<Context, NoOpInspector, I, PrecompilesMap>;

/// Changes the instructions of an EVM.
type Change = fn(&mut HotEvmOf<Stock>);

#[test]
fn opcodes_replaced_later_are_noticed_without_a_declaration() {
    let ways: [Change; 4] = [
        |hot| hot.inner_mut().instruction.insert_instruction(op::ADD, Instruction::new(subtract), 3),
        |hot| hot.all_mut().1.insert_instruction(op::ADD, Instruction::new(subtract), 3),
        |hot| hot.ctx_instructions().1.insert_instruction(op::ADD, Instruction::new(subtract), 3),
        |hot| hot.all_mut_inspector().1.insert_instruction(op::ADD, Instruction::new(subtract), 3),
    ];
    for change in ways {
        let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
        let (mut plain, mut hot) = (case.plain(), case.hot(&runtime()));
        // Twice, so that the second transaction begins with tables that are known.
        for _ in 0..2 {
            assert_eq!(run(&mut plain, 1_000_000), run(&mut hot, 1_000_000));
        }
        let mut changed = case.inner();
        replace_add(&mut changed);
        let mut plain = EthEvm::new(changed, false);
        change(hot.hot_mut());
        let seen = run(&mut plain, 1_000_000);
        assert_eq!(output(&seen), U256::from(10));
        assert_eq!(seen, run(&mut hot, 1_000_000));
    }
}

#[test]
fn gas_costs_replaced_later_are_noticed() {
    let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    let (mut plain, mut hot) = (case.plain(), case.hot(&runtime()));
    for _ in 0..2 {
        assert_eq!(run(&mut plain, 1_000_000), run(&mut hot, 1_000_000));
    }
    let mut changed = case.inner();
    changed.instruction.insert_gas(op::ADD, 1000);
    let mut plain = EthEvm::new(changed, false);
    hot.hot_mut().all_mut().1.insert_gas(op::ADD, 1000);
    assert_eq!(run(&mut plain, 1_000_000), run(&mut hot, 1_000_000));
}

#[test]
fn evms_with_costs_of_their_own_are_interpreted_where_there_are_too_many_of_them() {
    let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    let runtime = Runtime::new(Config::preset(Preset::Development)).expect("a runtime");
    let plain = |change: &dyn Fn(&mut Inner<NoOpInspector>)| {
        let mut inner = case.inner();
        change(&mut inner);
        run(&mut EthEvm::new(inner, false), 1_000_000)
    };
    let mut last = None;
    for number in 0..300 {
        let change = |inner: &mut Inner<NoOpInspector>| inner.instruction.insert_gas(op::ADD, 1000 + number);
        let mut hot = case.hot(&runtime);
        change(hot.hot_mut().inner_mut());
        assert_eq!(plain(&change), run(&mut hot, 1_000_000));
        last = Some(hot);
    }
    let counted = |wanted: &str| {
        let reasons = runtime.statistics().interpreted;
        reasons.iter().find(|(reason, _)| *reason == wanted).map_or(0, |(_, count)| *count)
    };
    if native_available() {
        assert_eq!((counted("cold"), counted("configurations")), (256, 44));
    }
    // In such an EVM an opcode that is replaced later is noticed, too: stock code is none for it, though its costs are stock again.
    runtime.compile(&repeated(&STEP).into(), SpecId::OSAKA, Instructions::Stock).ok();
    let mut hot = last.expect("an EVM");
    replace_add(hot.hot_mut().inner_mut());
    for _ in 0..2 {
        assert_eq!(plain(&replace_add), run(&mut hot, 1_000_000));
    }
    assert_eq!(runtime.statistics().native_frames, 0);
}

/// Instructions of which there are two sets.
struct Switched {
    sets: [Stock; 2],
    is_second: Rc<Cell<bool>>,
}

impl Switched {
    fn set(&self) -> &Stock {
        &self.sets[usize::from(self.is_second.get())]
    }
}

impl InstructionProvider for Switched {
    type Context = Context;
    type InterpreterTypes = EthInterpreter;

    fn instruction_table(&self) -> &InstructionTable<EthInterpreter, Context> {
        self.set().instruction_table()
    }

    fn gas_table(&self) -> &GasTable {
        self.set().gas_table()
    }
}

fn execute(hot: &mut HotEvmOf<Switched>) -> ExecutionResult {
    hot.ctx().set_tx(transaction(1_000_000));
    let result = MainnetHandler::<_, EVMError<Gone>, EthFrame<EthInterpreter>>::default().run(hot);
    hot.ctx().journal_mut().finalize();
    result.expect("the transaction is valid")
}

#[test]
fn a_provider_may_have_other_tables_at_other_places() {
    let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    let mut changed = case.inner();
    replace_add(&mut changed);
    let stock = case.inner();
    let is_second = Rc::new(Cell::new(false));
    let instruction = Switched { sets: [stock.instruction, changed.instruction], is_second: is_second.clone() };
    let inner = Evm {
        ctx: stock.ctx,
        inspector: stock.inspector,
        instruction,
        precompiles: stock.precompiles,
        frame_stack: stock.frame_stack,
    };
    let mut hot = HotEvm::new(inner, runtime(), Instructions::Stock);
    let first = execute(&mut hot);
    assert_eq!(execute(&mut hot), first);
    is_second.set(true);
    let second = execute(&mut hot);
    assert_eq!(second.output().map(|output| U256::from_be_slice(output)), Some(U256::from(10)));
    assert_ne!(first.output(), second.output());
}
