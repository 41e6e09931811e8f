//! The local store: budget, trust, what else lies in the folder, folders that come and go.
//!
//! in   artifacts made here
//! out  what is in the folder afterwards, typed errors, counts

#[allow(dead_code, reason = "each test program uses a part of it")]
mod made;

use hotevm_abi::Refusal;
use hotevm_store::{ArtifactStore, Count, HINTS_LEN_MAX, LocalConfig, LocalStore, StoreError, Stored};
use made::{Folder, acceptance, artifact, file, names, object};
use std::{
    fs::{self, File, FileTimes, Permissions},
    ops::ControlFlow,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Makes a file look as if it was used so many hours ago.
fn age(path: &Path, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(then)).unwrap();
}

#[test]
fn what_is_stored_is_loaded_listed_and_deleted() {
    let folder = Folder::new("round");
    let store = folder.store();
    let objects: Vec<_> = (0..5).map(|number| object(number, 100)).collect();
    for object in &objects {
        assert_eq!(store.store(object).unwrap(), Stored::New);
        assert_eq!(store.store(object).unwrap(), Stored::Present);
    }
    // Another process, as far as the store can tell.
    let store = folder.store();
    for object in &objects {
        assert_eq!(store.load(&object.artifact().key, Some(&acceptance())).unwrap().as_ref(), Some(object));
    }
    let mut listed = store.list().unwrap();
    listed.sort_by_key(|listed| listed.key.code_hash);
    let mut keys: Vec<_> = objects.iter().map(|object| object.artifact().key.clone()).collect();
    keys.sort_by_key(|key| key.code_hash);
    assert!(listed.iter().map(|listed| &listed.key).eq(&keys));
    assert!(listed.iter().all(|listed| listed.len == objects[0].bytes().len() as u64 && listed.used_unix_s > 0));
    assert!(store.delete(&keys[0]).unwrap());
    assert!(!store.delete(&keys[0]).unwrap());
    assert!(store.load(&keys[0], None).unwrap().is_none());
    assert_eq!(store.clear().unwrap(), 4);
    assert_eq!(names(&folder.0), Vec::<String>::new());
    let counts = store.counts();
    assert_eq!((counts.count(Count::Loaded), counts.count(Count::Deleted), counts.count(Count::Failed)), (5, 5, 0));
}

#[test]
fn the_most_recently_used_come_first_and_a_break_ends() {
    let folder = Folder::new("order");
    let store = folder.store();
    for number in 0..4 {
        let object = object(number, 10);
        store.store(&object).unwrap();
        age(&file(&folder.0, &object.artifact().key), u64::from(number) + 1);
    }
    store.used(&artifact(2, 10).key).unwrap();
    let mut seen = Vec::new();
    let mut each = |object: hotevm_code::SharedObject| {
        seen.push(object.artifact().bytecode[4]);
        if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.load_all(Some(&acceptance()), &mut each).unwrap();
    assert_eq!(seen, [2, 0, 1]);
}

#[test]
fn the_budget_is_kept_and_the_least_used_go() {
    let folder = Folder::new("budget");
    let len = object(0, 1000).bytes().len() as u64;
    let store = LocalStore::open(LocalConfig { budget_bytes: 3 * len, ..LocalConfig::new(&folder.0) }).unwrap();
    for number in 0..3 {
        let object = object(number, 1000);
        store.store(&object).unwrap();
        age(&file(&folder.0, &object.artifact().key), 10 - u64::from(number));
    }
    store.used(&artifact(0, 1000).key).unwrap();
    store.store(&object(3, 1000)).unwrap();
    let is_there = |number| store.load(&artifact(number, 1000).key, None).unwrap().is_some();
    assert_eq!([0, 1, 2, 3].map(is_there), [true, false, true, true]);
    assert_eq!(store.counts().count(Count::Collected), 1);
    assert!(matches!(store.store(&object(9, 4 * len as usize)), Err(StoreError::Budget { .. })));
    assert_eq!(store.collect(len).unwrap(), 2);
    assert_eq!(names(&folder.0).len(), 1);
}

#[test]
fn folders_that_others_may_write_to_are_refused() {
    let folder = Folder::new("trust");
    let open = |allow_others| LocalStore::open(LocalConfig { allow_others, ..LocalConfig::new(folder.0.join("store")) });
    drop(open(false).unwrap());
    for bits in [0o720, 0o702, 0o1777] {
        mode(&folder.0.join("store"), bits);
        assert!(matches!(open(false), Err(StoreError::Untrusted { .. })), "{bits:o}");
        assert!(open(true).is_ok(), "{bits:o}");
    }
    mode(&folder.0.join("store"), 0o755);
    let store = open(false).unwrap();
    store.store(&object(0, 10)).unwrap();
    mode(&folder.0, 0o707);
    assert!(matches!(open(false), Err(StoreError::Untrusted { .. })), "anybody may replace the folder");
    assert!(matches!(store.load(&artifact(0, 10).key, None), Err(StoreError::Untrusted { .. })), "asked anew");
    assert!(matches!(store.keep_hints(b"some"), Err(StoreError::Untrusted { .. })), "asked anew");
    mode(&folder.0, 0o1707);
    store.keep_hints(b"some").unwrap();
    assert!(store.load(&artifact(0, 10).key, None).unwrap().is_some());
    mode(&folder.0, 0o700);
    let path = file(store.directory(), &artifact(0, 10).key);
    mode(&path, 0o666);
    assert!(matches!(store.load(&artifact(0, 10).key, None), Err(StoreError::Untrusted { .. })));
    assert_eq!(store.counts().count(Count::Failed), 3);
}

#[test]
fn what_is_no_artifact_stays() {
    let folder = Folder::new("others");
    let store = folder.store();
    let key = artifact(0, 10).key;
    store.store(&object(0, 10)).unwrap();
    let path = file(&folder.0, &key);
    fs::create_dir(folder.0.join("golden")).unwrap();
    fs::copy(&path, folder.0.join("golden/good.so")).unwrap();
    fs::write(folder.0.join("README"), "text").unwrap();
    fs::rename(&path, folder.0.join("elsewhere")).unwrap();
    symlink(folder.0.join("elsewhere"), &path).unwrap();
    assert!(store.load(&key, None).is_err(), "links are not followed");
    store.load_all(None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(store.counts().count(Count::Loaded), 0);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(store.load(&key, None), Err(StoreError::Untrusted { .. })));
    fs::remove_dir(&path).unwrap();
    store.clear().unwrap();
    store.collect(0).unwrap();
    assert_eq!(names(&folder.0), ["README", "elsewhere", "golden"]);
    assert_eq!(names(&folder.0.join("golden")), ["good.so"]);
}

#[test]
fn an_artifact_under_another_name_is_refused() {
    let folder = Folder::new("name");
    let store = folder.store();
    store.store(&object(0, 10)).unwrap();
    store.store(&object(1, 10)).unwrap();
    let [zero, one] = [0, 1].map(|number| file(&folder.0, &artifact(number, 10).key));
    fs::copy(&zero, &one).unwrap();
    let other = zero.to_str().unwrap();
    fs::copy(&zero, format!("{}{}.so", &other[..other.len() - 7], "0000")).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    store.load_all(None, &mut |_| ControlFlow::Continue(())).unwrap();
    let counts = store.counts();
    assert_eq!([Refusal::CodeHash, Refusal::Altered].map(|refusal| counts.refused(refusal)), [1, 1]);
    assert_eq!(counts.count(Count::Loaded), 1);
}

#[test]
fn a_damaged_file_makes_room_for_a_good_one() {
    let folder = Folder::new("damaged");
    let store = folder.store();
    store.store(&object(0, 10)).unwrap();
    let path = file(&folder.0, &artifact(0, 10).key);
    fs::write(&path, b"").unwrap();
    assert_eq!(store.store(&object(0, 10)).unwrap(), Stored::New);
    assert_eq!(store.counts().refused(Refusal::Truncated), 1);
    assert!(store.load(&artifact(0, 10).key, None).unwrap().is_some());
}

#[test]
fn refused_files_are_bounded() {
    let folder = Folder::new("bounded");
    let store = folder.store();
    for number in 0..300_u32 {
        fs::write(folder.0.join(format!("{number:064x}-{number:032x}.so")), b"").unwrap();
    }
    store.load_all(None, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(store.counts().refused(Refusal::Truncated), 300);
    assert_eq!(names(&folder.0.join("refused")).len(), 256);
    assert_eq!(store.clear().unwrap(), 0);
    assert_eq!(names(&folder.0), Vec::<String>::new());
}

#[test]
fn d5_files_of_others_stay_beside_refused_and_unfinished_ones() {
    let folder = Folder::new("beside");
    let store = folder.store();
    let refused = folder.0.join("refused");
    fs::create_dir(&refused).unwrap();
    for number in 0..300_u32 {
        fs::write(refused.join(format!("own-{number}")), b"").unwrap();
    }
    for name in [".new-notes", ".new-1-x", ".new-1-2"] {
        fs::write(folder.0.join(name), b"").unwrap();
    }
    store.store(&object(0, 10)).unwrap();
    fs::write(file(&folder.0, &artifact(0, 10).key), b"").unwrap();
    assert!(store.load(&artifact(0, 10).key, None).is_err());
    assert_eq!(names(&refused).len(), 301);
    assert_eq!(store.clear().unwrap(), 0);
    assert_eq!(names(&refused).len(), 300);
    assert_eq!(names(&folder.0), [".new-1-x", ".new-notes", "refused"]);
}

#[test]
fn f2_a_link_in_place_of_the_refused_is_not_followed() {
    let folder = Folder::new("aside");
    let store = LocalStore::open(LocalConfig::new(folder.0.join("store"))).unwrap();
    let other = folder.0.join("other");
    fs::create_dir(&other).unwrap();
    let kept = format!("truncated.{:064x}-{:032x}.so", 1, 1);
    fs::write(other.join(&kept), b"").unwrap();
    symlink(&other, store.directory().join("refused")).unwrap();
    store.store(&object(0, 10)).unwrap();
    fs::write(file(store.directory(), &artifact(0, 10).key), b"").unwrap();
    assert!(store.load(&artifact(0, 10).key, None).is_err());
    assert_eq!(store.counts().count(Count::NotMoved), 1);
    assert!(matches!(store.clear(), Err(StoreError::Untrusted { .. })));
    assert_eq!(names(&other), [kept]);
}

#[test]
fn a_folder_that_vanishes_fails_and_one_that_comes_back_works() {
    let folder = Folder::new("vanished");
    let store = LocalStore::open(LocalConfig::new(folder.0.join("store"))).unwrap();
    store.store(&object(0, 10)).unwrap();
    fs::rename(folder.0.join("store"), folder.0.join("away")).unwrap();
    assert!(matches!(store.store(&object(1, 10)), Err(StoreError::Files { .. })));
    assert!(matches!(store.load(&artifact(0, 10).key, None), Err(StoreError::Files { .. })));
    assert!(store.list().is_err() && store.clear().is_err());
    assert!(store.load_all(None, &mut |_| ControlFlow::Continue(())).is_err());
    assert!(store.hints().is_err() && store.keep_hints(b"some").is_err());
    assert_eq!(store.counts().count(Count::Failed), 7);
    fs::rename(folder.0.join("away"), folder.0.join("store")).unwrap();
    assert_eq!(store.store(&object(1, 10)).unwrap(), Stored::New);
    assert!(store.load(&artifact(0, 10).key, None).unwrap().is_some());
}

#[test]
fn hints_are_replaced_bounded_and_cleared_and_are_no_artifact() {
    let folder = Folder::new("hints");
    let store = folder.store();
    assert_eq!(store.hints().unwrap(), None);
    for hints in [&b"some"[..], b"", b"others, longer"] {
        store.keep_hints(hints).unwrap();
        assert_eq!(folder.store().hints().unwrap().as_deref(), Some(hints));
    }
    store.keep_hints(&vec![0; HINTS_LEN_MAX + 1]).unwrap();
    assert_eq!(store.hints().unwrap().as_deref(), Some(&b"others, longer"[..]));
    assert_eq!(
        (names(&folder.0), store.list().unwrap().len(), store.collect(0).unwrap()),
        (vec![".hotevm-hints".to_owned()], 0, 0)
    );
    assert_eq!(fs::metadata(folder.0.join(".hotevm-hints")).unwrap().permissions().mode() & 0o777, 0o600);
    // Whoever made it, a file that is longer is not hints.
    fs::write(folder.0.join(".hotevm-hints"), vec![0; HINTS_LEN_MAX + 1]).unwrap();
    assert_eq!(store.hints().unwrap(), None);
    mode(&folder.0.join(".hotevm-hints"), 0o666);
    assert!(matches!(store.hints(), Err(StoreError::Untrusted { .. })));
    assert_eq!(store.clear().unwrap(), 0);
    assert_eq!(names(&folder.0), Vec::<String>::new());
}

#[test]
fn every_counter_has_a_name_of_its_own() {
    let folder = Folder::new("counters");
    let mut names: Vec<String> = folder.store().counts().rows().map(|(name, _)| name).collect();
    assert_eq!(names.len(), Count::ALL.len() + Refusal::ALL.len());
    names.sort();
    names.dedup();
    assert_eq!(names.len(), Count::ALL.len() + Refusal::ALL.len());
}
