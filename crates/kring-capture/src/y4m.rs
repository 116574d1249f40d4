//! Y4M files: uncompressed pictures with a small header, in and out.
//!
//! What a header claims is checked before memory is taken for it.

mod format;
mod source;
mod writer;

pub use format::{Stop, Y4mError, Y4mHeader, parse_header, read_picture};
pub use source::Y4mSource;
pub use writer::Y4mWriter;
