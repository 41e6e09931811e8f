//! Tests of the middle end: facts against revm, passes and building against the slow evaluator and the interpreter, the text
//! form, the verifier, file tests, bounds of the work.
//!
//! Random tests print their seed when they fail and take it back from `HOTEVM_SEED`.

mod activation;
mod assembler;
mod bounds;
mod building;
mod destinations;
mod files;
mod machine;
mod pitfalls;
mod pure_operations;
mod random;
mod rules;
mod snippets;
mod text_form;
