//! Bad fixtures: each is an error of one line.

use super::fixtures;
use flate2::{Compression, write::GzEncoder};
use hotevm_statetest::{Error, Mode, block_test, fixture, mode, parallel, replay, skip::Skip, state_test};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hotevm-statetest-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

fn compressed(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Runs a path through all three runners and returns what each says.
fn errors_of(path: &Path) -> [Error; 3] {
    let engines = [mode::interpreter()];
    let skip = Skip::default();
    let found = || fixture::find(&[path.to_owned()]);
    [
        found().and_then(|files| state_test::run(&files, &engines, &super::ALL, &skip, &|_, _| {})).unwrap_err(),
        found().and_then(|files| block_test::run(&files, &engines, &super::ALL, &skip, &|_, _| {})).unwrap_err(),
        found().and_then(|files| replay::load(&files)).unwrap_err(),
    ]
}

fn check_errors(path: &Path, parts: &[&str]) {
    for error in errors_of(path) {
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(text.contains(&*path.to_string_lossy()) && !text.contains('\n'), "{text}");
    }
}

#[test]
fn a_missing_path() {
    check_errors(Path::new("/no/such/fixture.json"), &["No such file"]);
}

#[test]
fn a_folder_without_fixtures() {
    let folder = Folder::new("empty");
    folder.file("notes.txt", b"nothing");
    check_errors(&folder.0, &["no .json or .json.gz file"]);
}

#[test]
fn malformed_json() {
    let folder = Folder::new("malformed");
    check_errors(&folder.file("a.json", b"{\"a\": "), &["not a ", "EOF"]);
    check_errors(&folder.file("b.json", b"\xff\xfe\x00"), &["not a "]);
    check_errors(&folder.file("c.json.gz", &compressed(b"[]")), &["not a "]);
    check_errors(&folder.file("d.json", b"{\"a\": {\"env\": 1}}"), &["not a "]);
}

#[test]
fn a_truncated_file() {
    let folder = Folder::new("truncated");
    let whole = compressed(&fs::read(fixtures().join("state_tests/counter.json")).unwrap());
    check_errors(&folder.file("a.json.gz", &whole[..whole.len() / 2]), &[]);
    check_errors(&folder.file("b.json.gz", &whole[..whole.len() - 3]), &[]);
    let plain = fs::read(fixtures().join("state_tests/counter.json")).unwrap();
    check_errors(&folder.file("c.json", &plain[..plain.len() / 2]), &["EOF"]);
}

#[test]
fn a_compressed_fixture_is_read_like_a_plain_one() {
    let folder = Folder::new("compressed");
    let plain = fs::read(fixtures().join("state_tests/counter.json")).unwrap();
    let path = folder.file("deep.json.gz", &compressed(&plain));
    assert_eq!(fixture::read(&path).unwrap(), plain);
    assert_eq!(fixture::stem(&path), "deep");
}

#[test]
fn a_fixture_that_contradicts_itself() {
    let folder = Folder::new("contradiction");
    let load = |text: &str| {
        let path = folder.file("19500000.json", text.as_bytes());
        replay::load(&fixture::find(&[path]).unwrap()).unwrap_err().to_string()
    };
    let block = fs::read_to_string(fixtures().join("replay/19500000.json")).unwrap();
    assert!(load(&block.replace("\"gasLimit\": \"0x1c9c380\"", "\"gasLimit\": \"0x1c9c381\"")).contains("does not hash"));
    assert!(load(&block.replace("\"gas\": \"0x186a0\"", "\"gas\": \"0x186a1\"")).contains("do not hash"));
    assert!(load(&block.replace("\"mainnet\"", "\"atlantis\"")).contains("unknown chain"));
    let path = folder.file("test.json", b"");
    let state_test = fs::read_to_string(fixtures().join("state_tests/counter.json")).unwrap();
    for (from, to, expected) in
        [("\"Frontier\"", "\"Atlantis\"", "unknown fork"), ("\"data\": 1", "\"data\": 9", "outside of its list")]
    {
        fs::write(&path, state_test.replace(from, to)).unwrap();
        assert!(errors_of(&path)[0].to_string().contains(expected));
    }
    let blocks = fs::read_to_string(fixtures().join("blockchain_tests/counter.json")).unwrap();
    fs::write(&path, blocks.replace("ShanghaiToCancun", "ShanghaiToAtlantis")).unwrap();
    assert!(errors_of(&path)[1].to_string().contains("unknown network"));
}

#[test]
fn a_transaction_that_is_refused_in_the_first_mode() {
    let folder = Folder::new("refused");
    let contract = fs::read_to_string(fixtures().join("replay/counter.json")).unwrap();
    let path = folder.file("counter.json", contract.replace("\"gasLimit\": \"0x2dc6c0\"", "\"gasLimit\": \"0x1\"").as_bytes());
    let runs = replay::load(&fixture::find(&[path]).unwrap()).unwrap();
    let plan = replay::Plan { rounds: 1, cold_caches: true, settle: false, contracts: false, progress: &|_, _| {} };
    let error = replay::measure(&runs, &[mode::interpreter()], &plan).unwrap_err();
    assert!(error.to_string().starts_with("counter: transaction 0 was refused in mode interpreter"), "{error}");
}

#[test]
fn modes_of_later_builds() {
    let error = mode::engine(Mode::Aot, &hotevm::Config::default()).err().unwrap();
    assert_eq!(error.to_string(), "mode aot is not available in this build");
    assert!(parallel::default_threads() > 0);
}
