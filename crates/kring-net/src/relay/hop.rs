//! TLS and QUIC between a relay and its clients.
//!
//! Guarantee: TLS as for calls (post-quantum key exchange, no resumption, no early data), under an ALPN of its own, so
//! that a relay is never taken for a callee; a connection has one stream, no datagrams, and little memory.

use super::keys::Pin;
use crate::{BindError, tls};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What stands in TLS's ALPN (RFC 7301).
pub const ALPN: &[u8] = b"kring-relay/1";
/// The label of TLS's exporter (RFC 8446, section 7.5), whose 32 bytes are signed to listen.
pub const EXPORTER: &[u8] = b"EXPORTER-kring-relay-1";
/// A connection outlives this much silence.
pub const IDLE: Duration = Duration::from_secs(20);
/// A client says this often that it is there, by a ping.
pub const KEEP_ALIVE: Duration = Duration::from_secs(8);
/// Application error codes of a closing connection: nothing more is wanted; what came makes no sense; the relay stops.
pub const CLOSE_DONE: u32 = 0;
/// See [`CLOSE_DONE`].
pub const CLOSE_MALFORMED: u32 = 1;
/// See [`CLOSE_DONE`].
pub const CLOSE_STOPPING: u32 = 2;
/// See [`CLOSE_DONE`]: refused, which a message before said more about.
pub const CLOSE_REFUSED: u32 = 3;

/// A relay's key of TLS.
pub struct RelayKey(Zeroizing<Vec<u8>>);

impl RelayKey {
    /// A new one.
    ///
    /// # Errors
    /// A [`BindError`].
    pub fn generate() -> Result<RelayKey, BindError> {
        Ok(RelayKey(tls::new_key()?))
    }

    /// One that was kept, as PKCS #8; whether it is one shows when it is used.
    #[must_use]
    pub fn from_pkcs8(bytes: &[u8]) -> RelayKey {
        RelayKey(Zeroizing::new(bytes.to_vec()))
    }

    /// To be kept.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.0.clone()
    }

    /// By what clients know it.
    ///
    /// # Errors
    /// A [`BindError`] if it is no key of P-256.
    pub fn pin(&self) -> Result<Pin, BindError> {
        Ok(Pin::of(&tls::server(ALPN, &self.0)?.1))
    }

    /// 32 bytes under `label` that only this key gives: what a relay derives from it outlives a restart.
    #[must_use]
    pub fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
        let tag = sign(&Key::new(HMAC_SHA256, &self.0), label);
        Zeroizing::new(tag.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl std::fmt::Debug for RelayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RelayKey(…)")
    }
}

fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::try_from(IDLE).expect("below 2^62 ms")))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(8 << 10))
        .receive_window(VarInt::from_u32(8 << 10))
        .send_window(32 << 10)
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(None)
        .initial_mtu(crate::transport::MTU)
        .initial_rtt(Duration::from_millis(100))
        .allow_spin(false);
    config
}

/// A relay's side of QUIC.
///
/// # Errors
/// A [`BindError`].
pub fn quic_server(key: &RelayKey) -> Result<ServerConfig, BindError> {
    let (tls, _) = tls::server(ALPN, &key.0)?;
    let crypto = QuicServerConfig::with_initial(Arc::new(tls), tls::initial()?)
        .map_err(|_| tls::no_initial_suite())?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

/// A relay's side of TLS over TCP.
///
/// # Errors
/// A [`BindError`].
pub fn tls_server(key: &RelayKey) -> Result<rustls::ServerConfig, BindError> {
    Ok(tls::server(ALPN, &key.0)?.0)
}

pub(crate) fn quic_client(pin: Option<Pin>) -> Result<ClientConfig, BindError> {
    let tls = tls::client(ALPN, pin.map(|pin| pin.0))?;
    let crypto = QuicClientConfig::with_initial(Arc::new(tls), tls::initial()?)
        .map_err(|_| tls::no_initial_suite())?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport()));
    Ok(config)
}

pub(crate) fn tls_client(pin: Option<Pin>) -> Result<rustls::ClientConfig, BindError> {
    tls::client(ALPN, pin.map(|pin| pin.0))
}
