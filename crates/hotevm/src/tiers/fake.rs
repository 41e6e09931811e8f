//! A compiler that tests can steer: it makes code that leaves at once, fails, panics, or waits until it may go on.
//!
//! in   what to do next
//! out  parts that can be published and even entered; a record of what was asked for

use crate::{
    artifacts::{
        artifact_of,
        fingerprint::{Maker, llvm_version},
    },
    code::Parts,
    compiler::{Compile, Kept, Rejection, Request},
    sync::{Arc, AtomicUsize, Condvar, Mutex, Ordering, lock, wait},
    tiers::entry::Tier,
};
#[cfg(not(feature = "loom"))]
use crate::{
    configuration::{Configurations, Settings},
    tiers::entry::Entry,
};
use hotevm_abi::{Artifact, EntryPoint, LeaveRow};
use hotevm_code::{CodeMemory, Executable, Image, Machine, SharedObject};
use revm::primitives::Bytes;
#[cfg(not(feature = "loom"))]
use revm::primitives::{hardfork::SpecId, keccak256};
use std::time::Duration;

/// What the compiler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Succeed,
    Fail,
    FailForGood,
    Panic,
}

/// One compilation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) bytecode: Bytes,
    pub(crate) tier: Tier,
    pub(crate) region: Option<Vec<u32>>,
    pub(crate) likely: Option<Vec<u32>>,
}

#[derive(Debug)]
struct Gate {
    is_open: bool,
    /// Compilations that came to the gate.
    arrived: usize,
}

#[derive(Debug)]
pub(crate) struct State {
    memory: CodeMemory,
    behaviour: Mutex<Behaviour>,
    asked: Mutex<Vec<Asked>>,
    gate: Mutex<Gate>,
    moved: Condvar,
    /// What `Parts::bytes` says.
    pub(crate) bytes: AtomicUsize,
}

/// The compiler; its clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Fake(pub(crate) Arc<State>);

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            memory: CodeMemory::new(1 << 28),
            behaviour: Mutex::new(Behaviour::Succeed),
            asked: Mutex::new(vec![]),
            gate: Mutex::new(Gate { is_open: true, arrived: 0 }),
            moved: Condvar::new(),
            bytes: AtomicUsize::new(100),
        }))
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *lock(&self.0.behaviour) = behaviour;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.0.asked).clone()
    }

    /// From now on compilations wait.
    pub(crate) fn hold(&self) {
        lock(&self.0.gate).is_open = false;
    }

    /// Lets them go on.
    pub(crate) fn release(&self) {
        lock(&self.0.gate).is_open = true;
        self.0.moved.notify_all();
    }

    /// Waits until so many compilations began.
    pub(crate) fn wait_for(&self, count: usize) {
        let mut gate = lock(&self.0.gate);
        while gate.arrived < count {
            gate = wait(&self.0.moved, gate, Duration::from_secs(60));
        }
    }
}

impl Compile for Fake {
    fn is_available(&self) -> bool {
        true
    }

    fn can_run(&self) -> bool {
        true
    }

    fn mapped_bytes(&self) -> usize {
        self.0.memory.mapped_bytes()
    }

    fn compile(&self, request: &Request<'_>) -> Result<Parts, Rejection> {
        let mut gate = lock(&self.0.gate);
        gate.arrived += 1;
        self.0.moved.notify_all();
        while !gate.is_open {
            gate = wait(&self.0.moved, gate, Duration::from_secs(60));
        }
        drop(gate);
        let (bytecode, region, likely) = (request.bytecode.clone(), request.region.clone(), request.likely.clone());
        let asked = Asked { bytecode, tier: request.tier, region, likely };
        lock(&self.0.asked).push(asked);
        let behaviour = *lock(&self.0.behaviour);
        match behaviour {
            Behaviour::Succeed => {}
            Behaviour::Fail => return Err(Rejection::Link("a garbage object".to_owned())),
            Behaviour::FailForGood => return Err(Rejection::Middle(hotevm_ir::Reject::TooLong(1))),
            Behaviour::Panic => panic!("the compiler panics"),
        }
        let executable = self.0.memory.load(&image()).map_err(|error| Rejection::Memory(error.to_string()))?;
        Ok(parts(executable, self.0.bytes.load(Ordering::Relaxed), request.region.clone().unwrap_or_default()))
    }

    fn keep(&self, kept: &Kept<'_>) -> Result<SharedObject, Rejection> {
        let maker = Maker { llvm: llvm_version().unwrap_or_default(), features: vec![] };
        artifact_of(kept, maker)
    }

    fn take(&self, object: SharedObject) -> Result<Parts, Rejection> {
        let executable = self.0.memory.load(&object.image()).map_err(|error| Rejection::Memory(error.to_string()))?;
        let Artifact { key, code, .. } = object.into_artifact();
        let bytes = self.0.bytes.load(Ordering::Relaxed);
        Ok(Parts {
            executable,
            entries: code.entries,
            leaves: code.leaves,
            instructions: 0,
            bytes,
            region: vec![],
            compile_cpu_ns: 0,
            stored: Some(key),
        })
    }
}

fn parts(executable: Executable, bytes: usize, region: Vec<u32>) -> Parts {
    let leave = LeaveRow { pc: 0, gas: 0, top: 0, reason: hotevm_ir::LeaveReason::Outside as u8, constants: vec![] };
    Parts {
        executable,
        entries: vec![EntryPoint { pc: 0, number: 0, height_min: 0, height_max: 1024, memory_min: 0 }],
        leaves: vec![leave],
        instructions: 1,
        bytes,
        region,
        compile_cpu_ns: 0,
        stored: None,
    }
}

/// Code that no entry has.
#[cfg(not(feature = "loom"))]
pub(crate) fn native_code() -> Arc<crate::code::NativeCode> {
    let executable = CodeMemory::new(1 << 20).load(&image()).expect("loaded");
    Arc::new(crate::code::NativeCode::new(parts(executable, 100, vec![]), Tier::Whole, 0))
}

/// An entry that no runtime has, with a profile.
#[cfg(not(feature = "loom"))]
pub(crate) fn watched_entry() -> Arc<Entry> {
    let configuration = Configurations::default().get(Settings::stock(SpecId::OSAKA, [0; 4]));
    let bytecode = Bytes::from_static(&[0; 100]);
    let entry = Entry::new((keccak256(&bytecode), configuration.number), configuration, bytecode);
    assert!(entry.watch());
    Arc::new(entry)
}

/// A function that leaves at site 0, which the frame holds from the start.
fn image() -> Image {
    let (machine, bytes) = match Machine::host() {
        // mov w0, #2; ret
        Some(Machine::Aarch64) => (Machine::Aarch64, vec![0x40, 0x00, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6]),
        // mov eax, 2; ret
        _ => (Machine::X86_64, vec![0xb8, 0x02, 0x00, 0x00, 0x00, 0xc3]),
    };
    Image { text_len: bytes.len(), bytes, entry_offset: 0, alignment: 16, machine, sections: vec![] }
}
