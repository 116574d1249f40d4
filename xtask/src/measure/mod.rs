//! What a call achieved, taken from outside: only from what each end was given to say and show, and from what
//! it recorded of the other. Both ends run on one machine, so that their times are of one clock.

pub(crate) mod direction;
pub(crate) mod fourier;
pub(crate) mod likeness;
pub(crate) mod log;
pub(crate) mod pictures;
pub(crate) mod sound;
pub(crate) mod stats;
pub(crate) mod strip;
pub(crate) mod wav;
pub(crate) mod y4m;
