//! kring
fn main() {}
