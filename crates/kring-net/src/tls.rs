//! TLS 1.3 for the hop: it hides metadata on the wire and keeps strangers' bytes out of streams; it proves nothing
//! about people, which is the Noise handshake's part.
//!
//! Guarantee: one key exchange, X25519MLKEM768, and one cipher suite; no resumption, no early data, in either direction. The server's key is
//! sent bare (RFC 7250), so there is no certificate with a name in it and no X.509 to parse. An endpoint draws its key
//! afresh; a relay may keep one, so that clients can pin it.

use crate::BindError;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};
use rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::crypto::{
    CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SignatureVerificationAlgorithm,
    SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::quic::Suite;
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};
use std::sync::Arc;
use webpki::aws_lc_rs::ECDSA_P256_SHA256;
use zeroize::Zeroizing;

/// What stands in TLS's ALPN (RFC 7301).
pub const ALPN: &[u8] = b"kring/1";
/// The key exchange of every hop.
pub const KEY_EXCHANGE: &str = "X25519MLKEM768";
/// The cipher suite of every hop.
pub const CIPHER_SUITE: &str = "TLS13_AES_256_GCM_SHA384";

/// How a key is proven.
static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 1] = [ECDSA_P256_SHA256];
static SCHEMES: [(SignatureScheme, &[&dyn SignatureVerificationAlgorithm]); 1] =
    [(SignatureScheme::ECDSA_NISTP256_SHA256, &ALGORITHMS)];

/// Named one by one, so that a linker leaves out all that is not used (some hundred kilobytes of it).
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![X25519MLKEM768],
        signature_verification_algorithms: WebPkiSupportedAlgorithms { all: &ALGORITHMS, mapping: &SCHEMES },
        secure_random: &AwsLc,
        key_provider: &AwsLc,
    })
}

/// AWS-LC as rustls asks for it.
#[derive(Debug)]
struct AwsLc;

impl SecureRandom for AwsLc {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for AwsLc {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        any_ecdsa_type(&key)
    }
}

/// What QUIC's Initial packets are under, whatever TLS agrees on (RFC 9001, section 5.2).
pub(crate) fn initial() -> Result<Suite, Error> {
    let suite = || TLS13_AES_128_GCM_SHA256.tls13()?.quic_suite();
    suite().ok_or_else(no_initial_suite)
}

/// What rustls says if it lacks the cipher suite of QUIC's Initial packets.
pub(crate) fn no_initial_suite() -> Error {
    Error::General("no cipher suite for QUIC's Initial packets".into())
}

/// A new P-256 key, as PKCS #8.
pub(crate) fn new_key() -> Result<Zeroizing<Vec<u8>>, BindError> {
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &aws_lc_rs::rand::SystemRandom::new())
            .map_err(|_| BindError::Random)?;
    Ok(Zeroizing::new(pkcs8.as_ref().to_vec()))
}

/// A server that holds `key`, in PKCS #8, and what clients see of that key, in DER.
pub(crate) fn server(alpn: &[u8], key: &[u8]) -> Result<(ServerConfig, Vec<u8>), BindError> {
    let provider = provider();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
    let key = provider.key_provider.load_private_key(key)?;
    let public = key.public_key().ok_or(BindError::Random)?.to_vec();
    let certified = CertifiedKey::new(vec![CertificateDer::from(public.clone())], key);

    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(certified))));
    config.alpn_protocols = vec![alpn.to_vec()];
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    Ok((config, public))
}

/// A client that takes the server whose key has the SHA-256 `pin`; without one, any.
pub(crate) fn client(alpn: &[u8], pin: Option<[u8; 32]>) -> Result<ClientConfig, BindError> {
    let provider = provider();
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(HeldKey { provider, pin }))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config.enable_early_data = false;
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// Takes any key, or the pinned one, and makes the server prove that it holds it.
#[derive(Debug)]
struct HeldKey {
    provider: Arc<CryptoProvider>,
    pin: Option<[u8; 32]>,
}

impl ServerCertVerifier for HeldKey {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.pin {
            Some(pin) if digest(&SHA256, key).as_ref() != pin => {
                Err(Error::General("the server holds another key than the pinned one".into()))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
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
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
