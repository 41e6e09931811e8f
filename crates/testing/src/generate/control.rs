//! Control flow: conditions, loops, functions inside the program, computed jumps.
//!
//! in   the frame at a statement
//! out  code that comes back to the same frame (growing loops: with an unknown number of entries more, until they are taken off again)

use revm::bytecode::opcode as op;

use super::builder::{Builder, Frame, Function};

impl Builder<'_, '_> {
    /// Two arms, one of them perhaps empty.
    pub(crate) fn if_else(&mut self) {
        let (otherwise, end) = (self.assembler.label(), self.assembler.label());
        self.condition();
        self.jump_if(otherwise);
        let before = self.frame.clone();
        let results = self.choices.below(2);
        self.arm(results);
        if self.choices.chance(1, 2) || results > 0 {
            self.jump(end);
            self.frame = before;
            self.assembler.place(otherwise);
            self.arm(results);
            self.assembler.place(end);
        } else {
            self.assembler.place(otherwise);
        }
    }

    /// A block that leaves `results` entries more than there were.
    fn arm(&mut self, results: usize) {
        let outer = self.enter_block();
        let count = self.choices.within(1..4);
        self.statements(count);
        self.settle(outer.height + results);
        self.leave_block(outer);
    }

    /// From here on, the entries that exist may be read and written but not popped.
    fn enter_block(&mut self) -> Frame {
        let outer = self.frame.clone();
        self.frame.floor = self.frame.height;
        self.nesting += 1;
        outer
    }

    fn leave_block(&mut self, outer: Frame) {
        self.frame = Frame { height: self.frame.height, ..outer };
        self.nesting -= 1;
    }

    /// A loop whose counter lies on the stack; the body may read, but not write it.
    pub(crate) fn counted_loop(&mut self) {
        let (head, end) = (self.assembler.label(), self.assembler.label());
        let trips_max = [14, 6, 3].get(self.loops as usize).copied().unwrap_or(2);
        self.trips(trips_max);
        let checks_first = self.choices.chance(1, 2);
        let outer = self.enter_block();
        self.frame.locked.push(outer.height - 1);
        self.loops += 1;

        self.assembler.place(head);
        if checks_first {
            self.duplicate(0);
            self.apply(op::ISZERO, 1, 1);
            self.jump_if(end);
        }
        let count = self.choices.within(1..5);
        self.statements(count);
        self.settle(outer.height);
        if self.choices.chance(1, 6) {
            self.condition();
            self.jump_if(end);
        }
        self.count_down();
        if checks_first {
            self.jump(head);
        } else {
            self.duplicate(0);
            self.jump_if(head);
        }
        self.assembler.place(end);

        self.loops -= 1;
        self.leave_block(outer);
        self.frame.height -= 1;
        self.assembler.op(op::POP);
    }

    /// Pushes a number of trips from 1 to `trips_max`, constant or from the call data.
    fn trips(&mut self, trips_max: usize) {
        if self.choices.chance(1, 2) {
            let trips = self.choices.within(1..trips_max + 1);
            self.push_number(trips);
        } else {
            self.trips_from_calldata(trips_max);
        }
    }

    fn trips_from_calldata(&mut self, trips_max: usize) {
        self.push_number(1);
        self.push_number(trips_max);
        self.calldata_word();
        self.apply(op::MOD, 2, 1);
        self.apply(op::ADD, 2, 1);
    }

    /// Takes one from the top entry.
    fn count_down(&mut self) {
        self.push_number(1);
        self.swap(1);
        self.apply(op::SUB, 2, 1);
    }

    /// A loop that pushes in each trip, code at a height that only run time knows, and a loop that takes everything off again.
    pub(crate) fn growing_loop(&mut self) {
        let trips = if self.choices.chance(1, 40) { self.choices.within(960..1030) } else { self.choices.within(1..30) };
        let outer = self.enter_block();
        self.loops += 1;
        self.push_number(trips);
        let head = self.assembler.label();
        self.assembler.place(head);
        if self.choices.chance(1, 2) {
            self.expression(2);
        } else {
            self.duplicate(0);
        }
        self.swap(1);
        self.count_down();
        self.duplicate(0);
        self.jump_if(head);
        self.assembler.op(op::POP);
        self.frame.height = outer.height;

        // Of the entries pushed nothing is known but that there are some: no writing below them.
        self.frame.assign_floor = self.frame.height;
        self.frame.floor = self.frame.height;
        let count = self.choices.within(1..4);
        self.statements(count);
        self.settle(outer.height);

        self.push_number(trips);
        let head = self.assembler.label();
        self.assembler.place(head);
        self.swap(1);
        let offset = 32 * self.choices.below(8);
        self.push_number(offset);
        self.assembler.op(op::MSTORE);
        self.frame.height -= 1;
        self.count_down();
        self.duplicate(0);
        self.jump_if(head);
        self.settle(outer.height);
        self.loops -= 1;
        self.leave_block(outer);
    }

    /// Calls a function of the program, one that exists or a new one.
    pub(crate) fn call_function(&mut self) {
        let known = self.functions.get(self.callable_from..).map(<[_]>::to_vec).unwrap_or_default();
        let function = match self.choices.pick(&known).copied() {
            Some(function) if self.functions.len() >= 5 || self.choices.chance(2, 3) => function,
            _ => {
                let (arguments, results) = (self.choices.below(4), self.choices.below(3));
                let recursive = self.choices.chance(1, 6);
                self.declare(arguments, results, recursive)
            }
        };
        let returned = self.assembler.label();
        let height = self.frame.height;
        self.push_label(returned);
        self.arguments(function);
        self.jump(function.label);
        self.assembler.place(returned);
        self.frame.height = height + function.results;
    }

    /// Calls one of two functions of the same shape, chosen at run time.
    pub(crate) fn call_pointer(&mut self) {
        let (arguments, results) = (self.choices.below(3), self.choices.below(2));
        let functions = [self.declare(arguments, results, false), self.declare(arguments, results, false)];
        let returned = self.assembler.label();
        let height = self.frame.height;
        self.push_label(returned);
        self.arguments(functions[0]);
        self.push_one_of(functions.map(|function| function.label));
        self.apply(op::JUMP, 1, 0);
        self.assembler.place(returned);
        self.frame.height = height + results;
    }

    fn declare(&mut self, arguments: usize, results: usize, recursive: bool) -> Function {
        let label = self.assembler.label();
        let function = match recursive {
            true => Function { label, arguments: 1, results: 0, recursive },
            false => Function { label, arguments, results, recursive },
        };
        self.functions.push(function);
        function
    }

    fn arguments(&mut self, function: Function) {
        if function.recursive {
            let depth = if self.loops > 0 { 3 } else { 12 };
            return self.trips_from_calldata(depth);
        }
        for _ in 0..function.arguments {
            self.expression(2);
        }
    }

    /// Pushes one of two labels: by a condition, or by arithmetic on both.
    fn push_one_of(&mut self, labels: [super::assembler::Label; 2]) {
        let [first, second] = labels;
        if self.choices.chance(1, 2) {
            let (other, join) = (self.assembler.label(), self.assembler.label());
            self.condition();
            self.jump_if(other);
            self.push_label(first);
            self.jump(join);
            self.frame.height -= 1;
            self.assembler.place(other);
            self.push_label(second);
            self.assembler.place(join);
        } else {
            // first ^ (condition * (first ^ second))
            self.push_label(first);
            self.push_label(second);
            self.push_label(first);
            self.apply(op::XOR, 2, 1);
            self.condition();
            self.apply(op::ISZERO, 1, 1);
            self.apply(op::MUL, 2, 1);
            self.apply(op::XOR, 2, 1);
        }
    }

    /// A jump to one of two places, both followed by the same code. The target may take a detour through memory.
    pub(crate) fn select_jump(&mut self) {
        let labels = [self.assembler.label(), self.assembler.label()];
        self.push_one_of(labels);
        if self.choices.chance(1, 6) {
            let offset = 32 * self.choices.below(4);
            self.push_number(offset);
            self.apply(op::MSTORE, 2, 0);
            self.push_number(offset);
            self.apply(op::MLOAD, 1, 1);
        }
        self.apply(op::JUMP, 1, 0);
        self.assembler.place(labels[0]);
        let outer = self.enter_block();
        self.statements(1);
        self.settle(outer.height);
        self.leave_block(outer);
        self.assembler.place(labels[1]);
    }

    /// Writes the functions that were called, and those that they call.
    pub(crate) fn write_functions(&mut self) {
        let mut index = 0;
        while let Some(function) = self.functions.get(index).copied() {
            index += 1;
            self.callable_from = index;
            self.nesting = 1;
            self.loops = 1;
            // Below the arguments lies the return address: it can be read.
            self.frame = Frame { height: function.arguments, ..Frame::default() };
            self.assembler.place(function.label);
            if function.recursive { self.recursive_body(function) } else { self.plain_body(function) }
        }
    }

    fn plain_body(&mut self, function: Function) {
        let count = self.choices.within(1..5);
        self.statements(count);
        self.settle(function.results);
        if function.results > 0 {
            self.swap(function.results);
        }
        self.assembler.op(op::JUMP);
    }

    /// Calls itself with one less until nothing is left: each level keeps entries on the stack.
    fn recursive_body(&mut self, function: Function) {
        let (end, returned) = (self.assembler.label(), self.assembler.label());
        self.duplicate(0);
        self.apply(op::ISZERO, 1, 1);
        self.jump_if(end);
        self.frame.locked.push(0);
        self.frame.floor = 1;
        let count = self.choices.within(1..3);
        self.statements(count);
        self.settle(1);
        self.push_label(returned);
        self.duplicate(1);
        self.count_down();
        self.jump(function.label);
        self.assembler.place(returned);
        self.frame.height = 1;
        self.assembler.place(end);
        self.settle(0);
        self.assembler.op(op::JUMP);
    }
}
