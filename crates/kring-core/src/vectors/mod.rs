//! The test vectors in docs/test-vectors: what this implementation puts on the wire when all that it draws is known.
//!
//! Guarantee: they are made by the code that calls run, and a change of that code that changes a byte fails a test here.
//! `cargo xtask vectors` writes them anew.

mod channel;
mod contact;
mod find;
mod json;
mod media;
mod random;
mod setup;
mod verify;

use json::Json;
use std::path::PathBuf;

/// Compares with the file, or writes it if `KRING_WRITE_VECTORS` is set.
fn held(name: &str, about: &str, rest: Vec<(&'static str, Json)>) {
    let mut fields = vec![("about", about.into())];
    fields.extend(rest);
    let text = Json::Fields(fields).to_text();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/test-vectors");
    let path = folder.join(name);
    if std::env::var_os("KRING_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(folder).expect("docs is there");
        std::fs::write(path, text).expect("a file in docs");
        return;
    }
    let kept = std::fs::read_to_string(&path).expect("the file is part of the repository");
    let differs = text.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    assert!(text == kept, "{name} differs from what the code does: {differs:?}; see `cargo xtask vectors`");
}
