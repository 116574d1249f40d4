//! The hop as it should not be: other protocols, other key exchanges, other ciphers. docs/protocol.md, section 4.
//!
//! Guarantee: nothing here carries a call; a connection that comes about is closed at once.

use crate::log::{Fault, Log};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError, Endpoint, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::quic::Suite;
use rustls::version::TLS13;
use rustls::{DigitallySignedStruct, Error, NamedGroup, SignatureScheme, SupportedCipherSuite};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What a client offers.
pub(crate) struct Offered {
    alpn: Vec<Vec<u8>>,
    groups: Vec<&'static dyn SupportedKxGroup>,
    suites: Vec<SupportedCipherSuite>,
}

impl Offered {
    /// What a server with that ALPN takes.
    pub(crate) fn right(alpn: &[u8]) -> Offered {
        Offered {
            alpn: vec![alpn.to_vec()],
            groups: vec![X25519MLKEM768],
            suites: vec![TLS13_AES_256_GCM_SHA384],
        }
    }
}

/// What came of it.
enum Outcome {
    /// Connected; session tickets that came.
    Connected(usize),
    /// Refused by an alert of TLS, or for whatever other reason.
    Refused,
    Nothing,
}

/// Counts what a server gives for later.
#[derive(Debug, Default)]
struct Tickets(AtomicUsize);

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {}
    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

/// Takes any raw key that the server holds.
#[derive(Debug)]
struct AnyKey(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC has no TLS 1.2".into()))
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(
            message,
            &key,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A client of TLS, and what protects QUIC's first packets.
pub(crate) fn client(
    offered: Offered,
    tickets: Option<Arc<dyn ClientSessionStore>>,
) -> Result<(rustls::ClientConfig, Suite), String> {
    let provider = Arc::new(CryptoProvider {
        kx_groups: offered.groups,
        cipher_suites: offered.suites,
        ..rustls::crypto::aws_lc_rs::default_provider()
    });
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyKey(provider)))
        .with_no_client_auth();
    tls.alpn_protocols = offered.alpn;
    tls.resumption = tickets.map_or_else(Resumption::disabled, Resumption::store);
    tls.enable_sni = false;
    // QUIC's first packets are under AES-128 whatever TLS agrees on (RFC 9001, section 5.2).
    let initial = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
    Ok((tls, initial.ok_or("no AES-128-GCM for QUIC's Initial packets")?))
}

async fn attempt(address: SocketAddr, offered: Offered, patience: Duration) -> Result<Outcome, String> {
    let tickets = Arc::new(Tickets::default());
    let (tls, initial) = client(offered, Some(tickets.clone()))?;
    let crypto = QuicClientConfig::with_initial(Arc::new(tls), initial).map_err(|e| e.to_string())?;
    let here: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let endpoint = Endpoint::client(here).map_err(|e| e.to_string())?;
    let config = ClientConfig::new(Arc::new(crypto));
    let connecting = endpoint.connect_with(config, address, "kring").map_err(|e| e.to_string())?;
    let outcome = match timeout(patience, connecting).await {
        Ok(Ok(connection)) => {
            // Tickets come behind the handshake, in the server's own time.
            sleep(Duration::from_millis(300)).await;
            connection.close(VarInt::from_u32(0), b"");
            Outcome::Connected(tickets.0.load(Ordering::Relaxed))
        }
        Ok(Err(ConnectionError::TimedOut)) | Err(_) => Outcome::Nothing,
        Ok(Err(_)) => Outcome::Refused,
    };
    endpoint.wait_idle().await;
    Ok(outcome)
}

/// Tries what a server with that ALPN, which `section` is about, has to take and what it has to refuse.
pub(crate) async fn hop(
    address: SocketAddr,
    (section, alpn): (&'static str, &[u8]),
    patience: Duration,
    log: &mut Log,
) {
    let right = || Offered::right(alpn);
    let came = attempt(address, right(), patience).await;
    let came = match came {
        Ok(Outcome::Connected(tickets)) => {
            log.ok(section, "the one cipher suite, the one key exchange");
            log.check(section, "no session tickets", tickets == 0, "none", tickets);
            None
        }
        Ok(Outcome::Refused) => Some("a refusal".to_owned()),
        Ok(Outcome::Nothing) => Some("nothing".to_owned()),
        Err(error) => Some(error),
    };
    if let Some(came) = came {
        let expected = "a connection with TLS_AES_256_GCM_SHA384, X25519MLKEM768 and its ALPN";
        return log.fault(Fault::new(section, "the one cipher suite, the one key exchange", expected, came));
    }
    let wrong = [
        ("another ALPN is refused", Offered { alpn: vec![b"h3".to_vec()], ..right() }),
        ("no ALPN is refused", Offered { alpn: vec![], ..right() }),
        ("key exchange without ML-KEM is refused", Offered { groups: vec![X25519, SECP256R1], ..right() }),
        ("another cipher suite is refused", Offered { suites: vec![TLS13_AES_128_GCM_SHA256], ..right() }),
    ];
    for (what, offered) in wrong {
        match attempt(address, offered, patience).await {
            Ok(Outcome::Connected(_)) => log.fault(Fault::new(section, what, "a refusal", "a connection")),
            Ok(_) => log.ok(section, what),
            Err(error) => log.skip(section, what, error),
        }
    }
}
