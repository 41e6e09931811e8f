//! adhoc
use alloy_evm::*; use hotevm_testing::{generate::{case::*,choices::*},execute::database::*};
use revm::{Inspector,interpreter::{Interpreter,interpreter::EthInterpreter},interpreter::interpreter_types::Jumps};
use std::collections::*;
#[derive(Default)] struct C{ops:Vec<u64>,steps:u64, maxh:usize}
impl<CTX> Inspector<CTX,EthInterpreter> for C { fn step(&mut self,i:&mut Interpreter<EthInterpreter>,_:&mut CTX){ if self.ops.is_empty(){self.ops=vec![0;256];} self.ops[i.bytecode.opcode() as usize]+=1; self.steps+=1; self.maxh=self.maxh.max(i.stack.len()); } }
fn main(){
 let mut reasons:BTreeMap<String,u64>=BTreeMap::new(); let mut ops=vec![0u64;256]; let mut steps=vec![]; let mut lens=vec![]; let mut maxh=BTreeMap::<usize,u64>::new(); let mut succsteps=vec![];
 for seed in 0..1000u64 { let case=draw(&mut Choices::from_seed(seed),Size::default());
  for c in &case.contracts{lens.push(c.code.len());}
  for i in &case.inputs { if i.gas_limit!=GasLimit::Ample||i.failing_read.is_some(){continue;}
   let mut cfg=revm::context::CfgEnv::new_with_spec(case.fork); cfg.disable_nonce_check=true;
   let mut block=revm::context::BlockEnv::default(); block.gas_limit=1<<40; block.number=alloy_primitives::U256::from(1000);
   block.blob_excess_gas_and_price=Some(revm::context_interface::block::BlobExcessGasAndPrice::new_with_spec(1<<20,case.fork));
   block.prevrandao=Some(Default::default());
   let mut c=C::default();
   { let mut evm=EthEvmFactory::default().create_evm_with_inspector(RecordingDatabase::new(&case),EvmEnv{cfg_env:cfg,block_env:block},&mut c);
   let tx=revm::context::TxEnv{caller:SENDER,gas_limit:2_000_000,gas_price:10,kind:revm::primitives::TxKind::Call(case.contracts[i.target].address),value:i.value,data:i.data.clone(),..Default::default()};
   let r=evm.transact_raw(tx); let s=match &r{Ok(x)=>match &x.result{revm::context_interface::result::ExecutionResult::Success{reason,..}=>format!("ok {reason:?}"),revm::context_interface::result::ExecutionResult::Revert{..}=>"revert".into(),revm::context_interface::result::ExecutionResult::Halt{reason,..}=>format!("{reason:?}")},Err(e)=>e.to_string()}; *reasons.entry(s).or_default()+=1; if let Ok(x)=&r{ if x.result.is_success(){succsteps.push(x.result.gas().total_gas_spent());}} }
   for (a,b) in ops.iter_mut().zip(&c.ops){*a+=b;} steps.push(c.steps); *maxh.entry(c.maxh/32*32).or_default()+=1;
  }}
 for (r,n) in reasons{println!("{n:7} {r}");}
 steps.sort(); lens.sort(); succsteps.sort(); for q in [0.1,0.25,0.5,0.75,0.9,0.99]{ let f=|v:&Vec<u64>|v[(v.len() as f64*q) as usize]; println!("q{q} steps {} succ gas {} len {}",f(&steps),f(&succsteps),lens[(lens.len() as f64*q) as usize]); }
 println!("{maxh:?}");
 let tot:u64=ops.iter().sum(); println!("total {tot}"); let mut v:Vec<_>=ops.iter().enumerate().map(|(i,n)|(*n,revm::bytecode::opcode::OpCode::name_by_op(i as u8))).filter(|x|x.1!="Unknown").collect(); v.sort(); for (n,s) in v{print!("{s}:{n} ");} println!();
}
