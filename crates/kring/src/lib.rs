//! kring
