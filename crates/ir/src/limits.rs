//! Limits of the compiler: one table, printed by `hotevm limits`.
//!
//! in   rows: name, default, meaning
//! out  [`Limits`], and the rows for printing

macro_rules! limits {
    ($($(#[$meta:meta])* $name:ident = $default:literal, $meaning:literal;)*) => {
        /// What bounds the compiler's work.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Limits { $(#[doc = $meaning] pub $name: u32,)* }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// Name, value and meaning of every limit.
            pub fn rows(&self) -> Vec<(&'static str, u32, &'static str)> {
                vec![$((stringify!($name), self.$name, $meaning),)*]
            }
        }
    };
}

limits! {
    code_bytes_max = 49152, "bytes of code; longer code is rejected";
    exits_per_block_max = 64, "ways out of a function told apart per basic block; beyond it the analysis of jumps is coarse";
    flow_steps_per_instruction_max = 600, "abstract steps per instruction of the code; beyond it the analysis is coarse";
    switch_cases_max = 24, "destinations compared at one computed jump; beyond it the shared dispatch decides";
    dispatched_blocks_max = 1024, "destinations of computed jumps; a jump to any other is left to the interpreter";
    cold_instructions_max = 64, "instructions of a chain that can only revert and is therefore left to the interpreter";
    loop_params_max = 6, "stack entries kept in registers round an innermost loop";
    path_slots_max = 64, "stack entries known at a time; beyond it they are stored, so that leaves stay small";
    path_addresses_max = 64, "addresses known at a time; beyond it they are forgotten";
    tree_instructions_max = 600, "EVM instructions that hang on one block; beyond it the stack is brought home";
    part_instructions_max = 600, "SSA instructions per LLVM function; longer code is split";
    work_us_max = 1800000, "estimated microseconds of the back end for one code; code that takes longer is rejected";
    wide_multiplications_max = 160, "multiplications inlined per LLVM function; beyond it they are called";
}
