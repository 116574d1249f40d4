//! Media
