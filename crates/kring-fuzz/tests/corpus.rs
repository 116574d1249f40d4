//! Every file of `fuzz/corpus`, through its target, on stable: what a fuzzer once found stays found. And some
//! thousand changed ones, always the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use kring_fuzz::mutate::{Random, mutate};
use kring_fuzz::{TARGETS, seeds};

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The corpus of `target` by file names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{} can't be read: {e}", folder.display()));
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let files: Vec<_> = files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// Replays the corpus of `target`, then `changed` inputs made from it.
fn replay(target: &str, changed: usize) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let files = corpus(target);
    let guarded = |what: &str, bytes: &[u8]| {
        let result = std::panic::catch_unwind(|| run(bytes));
        assert!(result.is_ok(), "{target}: {what} fails, {} bytes: {}", bytes.len(), bytes.escape_ascii());
    };
    for (name, bytes) in &files {
        guarded(name, bytes);
    }
    let mut random = Random::new(target.bytes().fold(0, |seed, b| seed << 5 ^ u64::from(b)));
    for n in 0..changed {
        let (name, bytes) = &files[random.below(files.len())];
        let (_, other) = &files[random.below(files.len())];
        let bytes = mutate(&mut random, bytes, other);
        guarded(&format!("change {n} of {name}"), &bytes);
    }
}

macro_rules! targets {
    ($($name:ident: $changed:expr,)*) => {
        $(#[test] fn $name() { replay(stringify!($name), $changed); })*
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    accept: 300,
    bundle: 10_000,
    call: 120,
    certificate: 1000,
    code: 3000,
    confirm: 200,
    contacts: 3000,
    control: 20_000,
    dht_value: 10_000,
    dial: 200,
    door: 400,
    frame_header: 20_000,
    h264: 3000,
    identity: 1000,
    jitter: 1000,
    lan_record: 10_000,
    offer: 20_000,
    packet: 20_000,
    passcodes: 3000,
    paths: 5000,
    rate: 1000,
    reassembler: 300,
    relay_message: 20_000,
    relay_packet: 20_000,
    report: 20_000,
    scan: 10_000,
    set_up: 5000,
    ticket: 10_000,
    tickets: 3000,
    video_buffer: 600,
    wav: 300,
    y4m: 3000,
}

#[test]
fn every_target_is_replayed_has_a_corpus_and_a_file_for_cargo_fuzz() {
    let names = |folder: &str, ext: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(folder)).unwrap();
        entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .map(|name| name.strip_suffix(ext).map(str::to_owned).unwrap_or(name))
            .collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets, REPLAYED.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(targets, names("corpus", ""));
    assert_eq!(targets, names("fuzz_targets", ".rs"));
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in &targets {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "fuzz/Cargo.toml lacks {target}");
        let file = fs::read_to_string(fuzz().join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(file.contains(&format!("kring_fuzz::{target}(data)")), "{target}.rs calls something else");
    }
}

#[test]
fn the_committed_seeds_are_those_that_the_command_makes() {
    for seed in seeds::all() {
        let files = corpus(seed.target);
        let committed = files.iter().find(|(name, _)| *name == seed.name);
        assert!(
            committed.is_some_and(|(_, bytes)| *bytes == seed.bytes),
            "{}/{} differs: run `cargo run -p kring-fuzz --bin seeds`",
            seed.target,
            seed.name
        );
    }
}

#[test]
fn the_corpora_stay_small() {
    let bytes: usize = TARGETS.iter().flat_map(|(name, _)| corpus(name)).map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 300_000, "{bytes} bytes; minimise what is added (fuzz/README.md)");
}
