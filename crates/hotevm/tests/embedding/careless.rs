//! A store that gives what was not asked for.
//!
//! in   the artifact of another contract, whatever is looked for
//! out  it is not run

use super::{CONTRACT, Case, STEP, check_same, output, repeated, runtime};
use hotevm::{
    Config, Instructions, Preset, Runtime, native_available,
    store::{Acceptance, ArtifactKey, ArtifactStore, Listed, SharedObject, StoreCounts, StoreError, Stored},
};
use revm::primitives::{U256, hardfork::SpecId};
use std::{ops::ControlFlow, sync::Arc};

#[derive(Debug)]
struct Careless(SharedObject);

impl ArtifactStore for Careless {
    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        Ok(vec![])
    }

    fn load(&self, _: &ArtifactKey, _: Option<&Acceptance>) -> Result<Option<SharedObject>, StoreError> {
        Ok(Some(self.0.clone()))
    }

    fn load_all(&self, _: Option<&Acceptance>, _: &mut dyn FnMut(SharedObject) -> ControlFlow<()>) -> Result<(), StoreError> {
        Ok(())
    }

    fn store(&self, _: &SharedObject) -> Result<Stored, StoreError> {
        Ok(Stored::Present)
    }

    fn used(&self, _: &ArtifactKey) -> Result<(), StoreError> {
        Ok(())
    }

    fn delete(&self, _: &ArtifactKey) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn clear(&self) -> Result<usize, StoreError> {
        Ok(0)
    }

    fn counts(&self) -> StoreCounts {
        StoreCounts::default()
    }
}

#[test]
fn an_artifact_of_another_contract_is_not_run() {
    if !native_available() {
        return;
    }
    let other = repeated(&[STEP, STEP].concat()).into();
    let object = runtime().build_artifact(&other, SpecId::OSAKA, Instructions::Stock).expect("an artifact");
    let store = Some(Arc::new(Careless(object)) as Arc<dyn ArtifactStore>);
    let runtime = Runtime::new(Config { store, ..Config::preset(Preset::Test) }).expect("a runtime for this machine");
    let case = Case::new(&[(CONTRACT, repeated(&STEP))]);
    // The call data has 40 bytes, and 3 is added ten times.
    assert_eq!(output(&check_same(&case, &runtime)), U256::from(70));
    assert!(runtime.statistics().native_frames > 0);
}
