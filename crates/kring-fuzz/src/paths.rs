//! Datagrams that come to the socket beside QUIC's: relays' packets and ICE's checks.

/// Datagrams as they come: nobody finds a way who does not have the call's password.
pub fn paths(data: &[u8]) {
    kring_net::path::fuzzing::datagrams(data);
}
