//! The header is C11 and C++17, without a warning, by itself.

mod common;

use common::{has, here, left_out, tool};
use std::process::Command;

#[test]
fn as_c11_and_as_cpp17_without_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    for (compiler, standard, file) in [("cc", "-std=c11", "one.c"), ("c++", "-std=c++17", "one.cpp")] {
        if !has(compiler) {
            left_out(standard, "no compiler");
            continue;
        }
        let source = folder.path().join(file);
        std::fs::write(&source, "#include <kring.h>\nint main(void) { return kring_abi_version() == 0; }\n")
            .expect("a file");
        let compiled = tool(
            Command::new(compiler)
                .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
                .arg(here("include"))
                .arg(&source),
        );
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    }
}
