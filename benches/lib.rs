//! Benches of the workspace; see docs/benchmarks.md.
