//! Datagrams as they come to the socket: QUIC's while a call is set up, and those beside it, relays' packets and ICE's checks.

/// Datagrams as they come: nobody finds a way who does not have the call's password.
pub fn paths(data: &[u8]) {
    kring_net::path::fuzzing::datagrams(data);
}

/// Datagrams of set-ups, and what becomes of these: copies are bounded and end, and a stranger gets no more than QUIC allows.
pub fn set_up(data: &[u8]) {
    kring_net::repeat::fuzzing::set_ups(data);
}
