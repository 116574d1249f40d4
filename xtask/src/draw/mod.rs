//! Pictures as files: a received picture as people see it, and the plot of a whole call.

pub(crate) mod canvas;
pub(crate) mod course;
pub(crate) mod plot;
pub(crate) mod rgb;
