//! A store that tests can steer: it keeps artifacts in memory, fails, panics, or waits until it may go on.
//!
//! in   what to do next
//! out  artifacts; a record of what was asked for

use crate::sync::{Arc, Condvar, Mutex, lock, wait};
use hotevm_abi::{Acceptance, ArtifactKey};
use hotevm_code::SharedObject;
use hotevm_store::{ArtifactStore, Count, Listed, StoreCounts, StoreError, Stored};
use revm::primitives::B256;
use std::{collections::BTreeMap, io, ops::ControlFlow, path::PathBuf, time::Duration};

/// More than any test takes.
const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Vec<u8>, SharedObject>,
    used: Vec<ArtifactKey>,
    hints: Option<Vec<u8>>,
    /// The code whose artifacts cannot be written or touched.
    refused: B256,
    /// Calls that fail from now on.
    failing: u32,
    panics: bool,
    is_held: bool,
    /// Calls so far.
    calls: usize,
}

/// The store; its clones share everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf(Arc<(Mutex<State>, Condvar)>);

impl Shelf {
    /// So many calls fail from now on.
    pub(super) fn fail(&self, calls: u32) {
        lock(&self.0.0).failing = calls;
    }

    /// From now on artifacts of this code alone cannot be written or touched.
    pub(super) fn refuse(&self, code_hash: B256) {
        lock(&self.0.0).refused = code_hash;
    }

    /// From now on calls panic, or do so no more.
    pub(super) fn panic(&self, panics: bool) {
        lock(&self.0.0).panics = panics;
    }

    /// From now on calls wait, or go on.
    pub(super) fn hold(&self, is_held: bool) {
        lock(&self.0.0).is_held = is_held;
        self.0.1.notify_all();
    }

    /// Calls so far.
    pub(super) fn calls(&self) -> usize {
        lock(&self.0.0).calls
    }

    /// Waits until so many calls came.
    pub(super) fn wait_for_calls(&self, calls: usize) {
        self.wait_until(|state| state.calls >= calls);
    }

    /// Waits until it has so many artifacts.
    pub(super) fn wait_for_artifacts(&self, count: usize) {
        self.wait_until(|state| state.objects.len() == count);
    }

    fn wait_until(&self, holds: impl Fn(&State) -> bool) {
        let mut state = lock(&self.0.0);
        while !holds(&state) {
            state = wait(&self.0.1, state, LONG);
        }
    }

    /// What it has.
    pub(super) fn objects(&self) -> Vec<SharedObject> {
        lock(&self.0.0).objects.values().cloned().collect()
    }

    /// What it was told of uses.
    pub(super) fn used(&self) -> Vec<ArtifactKey> {
        lock(&self.0.0).used.clone()
    }

    /// Every call begins and ends here.
    fn call<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut state = lock(&self.0.0);
        state.calls += 1;
        self.0.1.notify_all();
        while state.is_held {
            state = wait(&self.0.1, state, LONG);
        }
        assert!(!state.panics, "the store panics");
        if state.failing > 0 {
            state.failing -= 1;
            return Err(StoreError::Files { path: PathBuf::from("shelf"), cause: io::ErrorKind::StorageFull.into() });
        }
        let result = act(&mut state);
        self.0.1.notify_all();
        Ok(result)
    }
}

impl Shelf {
    /// A call about one artifact.
    fn call_about<T>(&self, key: &ArtifactKey, act: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let is_refused = |state: &mut State| if state.refused == key.code_hash { None } else { Some(act(state)) };
        let failure = || StoreError::Files { path: PathBuf::from("shelf"), cause: io::ErrorKind::PermissionDenied.into() };
        self.call(is_refused)?.ok_or_else(failure)
    }
}

fn name(key: &ArtifactKey) -> Vec<u8> {
    key.digest().to_vec()
}

impl ArtifactStore for Shelf {
    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let listed = |object: &SharedObject| Listed { key: object.artifact().key.clone(), len: 1, used_unix_s: 0 };
        self.call(|state| state.objects.values().map(listed).collect())
    }

    fn load(&self, key: &ArtifactKey, _acceptance: Option<&Acceptance>) -> Result<Option<SharedObject>, StoreError> {
        self.call(|state| state.objects.get(&name(key)).cloned())
    }

    fn load_all(
        &self,
        _acceptance: Option<&Acceptance>,
        each: &mut dyn FnMut(SharedObject) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let objects: Vec<SharedObject> = self.call(|state| state.objects.values().cloned().collect())?;
        let _ = objects.into_iter().try_for_each(each);
        Ok(())
    }

    fn store(&self, object: &SharedObject) -> Result<Stored, StoreError> {
        self.call_about(&object.artifact().key, |state| {
            let old = state.objects.insert(name(&object.artifact().key), object.clone());
            if old.is_some() { Stored::Present } else { Stored::New }
        })
    }

    fn used(&self, key: &ArtifactKey) -> Result<(), StoreError> {
        self.call_about(key, |state| state.used.push(key.clone()))
    }

    fn delete(&self, key: &ArtifactKey) -> Result<bool, StoreError> {
        self.call(|state| state.objects.remove(&name(key)).is_some())
    }

    fn clear(&self) -> Result<usize, StoreError> {
        self.call(|state| std::mem::take(&mut state.objects).len())
    }

    fn hints(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(|state| state.hints.clone())
    }

    fn keep_hints(&self, hints: &[u8]) -> Result<(), StoreError> {
        self.call(|state| state.hints = Some(hints.to_vec()))
    }

    fn counts(&self) -> StoreCounts {
        let counts = StoreCounts::default();
        assert_eq!(counts.count(Count::Failed), 0);
        counts
    }
}
