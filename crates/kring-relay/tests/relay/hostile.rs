use crate::setting::{Caller, LONG, sides, start};
use kring_net::relay::hop::ALPN;
use kring_net::relay::message::Request;
use kring_net::relay::{Mailbox, MailboxKey, Pin, Reason, frame};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// What `ready` gives once it gives something.
pub(crate) async fn eventually<T>(ready: impl Fn() -> Option<T>) -> T {
    tokio::time::timeout(LONG, async {
        loop {
            match ready() {
                Some(value) => return value,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await
    .expect("it comes about in time")
}

/// A TLS connection to the relay below its protocol.
async fn raw(relay: SocketAddr) -> tokio_rustls::client::TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    let tcp = TcpStream::connect(relay).await.unwrap();
    let name = "relay".try_into().unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

#[derive(Debug)]
struct Anyone(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("no TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The relay's answers to `frames` until it ends the connection or falls silent.
async fn answers(relay: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = raw(relay).await;
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    let mut all = Vec::new();
    let _ = tokio::time::timeout(Duration::from_millis(500), stream.read_to_end(&mut all)).await;
    all
}

#[tokio::test]
async fn a_wrong_signature_gets_no_mailbox() {
    let relay = start().await;
    let key = MailboxKey::generate().unwrap();
    // Right for another connection, right for another mailbox, nonsense.
    let elsewhere = key.sign(&relay.pin(), &[7; 32]);
    let another = MailboxKey::generate().unwrap().sign(&relay.pin(), &[7; 32]);
    for signature in [elsewhere, another, key.sign(&Pin([0; 32]), &[7; 32]), [0; 64]] {
        let mut bytes = Vec::new();
        let listen = Request::Listen { mailbox: key.mailbox(), signature: Box::new(signature) };
        frame::put(frame::MESSAGE, &listen.encode(), &mut bytes);
        let answers = answers(relay.address(), &bytes).await;
        let mut stream = &answers[..];
        let mut refused = false;
        while let Ok(Some((_, body))) = frame::read(&mut stream).await {
            use kring_net::relay::message::Reply;
            if let Ok(Some(Reply::Refused { refused: why, .. })) = Reply::decode(&body) {
                refused |= why.reason == Reason::NotYours;
            }
        }
        assert!(refused);
    }
    let caller = Caller::new(&relay).await;
    assert!(caller.client.dial(key.mailbox()).await.is_err());
    relay.stop().await;
}

#[tokio::test]
async fn garbage_of_every_kind_leaves_running_sessions_alone() {
    let relay = start().await;
    let (caller, _callee, near, far) = sides(&relay).await;
    let mut random = 1u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as u8
    };
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for n in 0..3000usize {
        let datagram: Vec<u8> = (0..n % 1400).map(|_| next()).collect();
        let _ = stranger.send_to(&datagram, relay.address()).await;
    }
    let mut frames = Vec::new();
    frame::put(
        frame::MESSAGE,
        &Request::Dial { request: 1, mailbox: Mailbox([0; 32]) }.encode(),
        &mut frames,
    );
    let cut = &frames[..frames.len() - 1];
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0xff; 4000], &[0, 3, 0, 1, 2], cut] {
        answers(relay.address(), bytes).await;
    }
    // Not even TLS, and nothing at all.
    let mut plain = TcpStream::connect(relay.address()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _silent = TcpStream::connect(relay.address()).await.unwrap();

    near.send(b"undisturbed").await;
    assert_eq!(far.receive().await, b"undisturbed");
    assert!(caller.client.dial(Mailbox([1; 32])).await.is_err());
    let metrics = relay.metrics();
    assert!(metrics.dropped_garbage_total.load(std::sync::atomic::Ordering::Relaxed) > 500);
    relay.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_without_end_is_let_go() {
    let relay = start().await;
    let mut bytes = Vec::new();
    for number in 0..2000 {
        frame::put(frame::MESSAGE, &Request::Ping { number }.encode(), &mut bytes);
    }
    let mut stream = raw(relay.address()).await;
    let _ = stream.write_all(&bytes).await;
    let mut all = Vec::new();
    // It ends, by itself or with an error, well before it has answered all.
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut all)).await.expect("an end");
    let answered = all.len() / 6;
    assert!(answered < 1000, "{answered} of 2,000 were answered");
    relay.stop().await;
}

/// The beginning of a QUIC connection from somewhere that does not answer is answered with no more bytes than it has.
#[tokio::test]
async fn a_spoofed_beginning_is_not_amplified() {
    let relay = start().await;
    // What a true client sends first, caught on the way to the relay and sent from a socket that stays silent.
    let tap = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = tap.local_addr().unwrap();
    let endpoint =
        kring_net::Endpoint::bind(&kring_net::Config::new("127.0.0.1:0".parse().unwrap())).unwrap();
    let dialling = tokio::spawn(async move {
        let _ = kring_net::relay::Client::connect(&endpoint, address, None).await;
    });
    let victim = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut sent, mut buffer) = (0, [0; 2048]);
    for _ in 0..2 {
        let (len, _) = tokio::time::timeout(LONG, tap.recv_from(&mut buffer)).await.unwrap().unwrap();
        sent += victim.send_to(&buffer[..len], relay.address()).await.unwrap();
    }
    dialling.abort();
    let mut received = 0;
    while let Ok(Ok(len)) = tokio::time::timeout(Duration::from_secs(2), victim.recv(&mut buffer)).await {
        received += len;
    }
    assert!(received > 0 && received <= sent, "{sent} bytes were answered with {received}");
    relay.stop().await;
}
