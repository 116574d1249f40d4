//! The ways between two ends, under QUIC: QUIC knows a peer by one name, and the packets go by whatever way there is.
//!
//! Guarantee: a peer's name, as QUIC sees it, stays while the way below it changes; packets go to an address only after the
//! peer has answered an authenticated check there, or where QUIC itself has found it; and without a call that needs it, a
//! datagram costs one atomic load.
//!
//! - `names`: the addresses that QUIC is told in place of real ones;
//! - `table`: which name goes by which way, and whose an incoming datagram is;
//! - `socket`: the part that knows quinn's traits;
//! - `awake`: a clock that goes on while the machine sleeps;
//! - `agent`: ICE (RFC 8445) for one call;
//! - `link`: one session with a relay, kept bound;
//! - `paths`: runs the agent of one connection, and chooses;
//! - `station`: a control connection to a relay that comes back when it is lost.

mod agent;
mod awake;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod names;
mod paths;
mod socket;
mod station;
mod table;

pub use agent::{Candidate, CandidateKind, Credentials};
pub use paths::{PathEvent, PathKind, Paths};
pub use station::{Link, Station, StationError};

#[cfg(test)]
pub(crate) use link::name_of;
pub use names::{is_name, is_usable};
pub(crate) use paths::{hosts, watch_addresses};
pub(crate) use socket::{PathSocket, Switch};
