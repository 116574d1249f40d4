//! The short programs are in `src/bin`. This library holds nothing but the guides, so that each of their snippets compiles
//! whenever the tests run.
#![forbid(unsafe_code)]

/// docs/start.md
#[doc = include_str!("../../../docs/start.md")]
pub mod start {}

/// docs/cookbook.md
#[doc = include_str!("../../../docs/cookbook.md")]
pub mod cookbook {}

/// docs/migration.md
#[doc = include_str!("../../../docs/migration.md")]
pub mod migration {}
