//! The handshake from either side, well or badly: docs/protocol.md, section 5.

use crate::link::{Came, Link, framed};
use crate::log::{Fault, Log};
use crate::messages::{among_unknown, field, numbered};
use crate::paper::{self, Secret};
use crate::side::{Facts, Side, random};
use kring_core::crypto::Provider;
use kring_core::fuzzing::raw::{self, RawHandshake};
use kring_core::handshake::{EXPORTER_LABEL, Role};
use kring_core::identity::{Certificate, Fingerprint, Identity};
use kring_core::offer::{Offer, TrackInfo, TrackSource};
use kring_core::time::WallTime;
use kring_net::{Connection, Endpoint};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout};

/// The longest handshake frame (section 5).
const MAX_HANDSHAKE: usize = 4096;

/// Now, in seconds since 1970: the system's when it was first asked for, and from there by tokio's clock, which may be a simulation's.
pub(crate) fn wall() -> WallTime {
    static FIRST: LazyLock<(SystemTime, Instant)> = LazyLock::new(|| (SystemTime::now(), Instant::now()));
    let (system, instant) = *FIRST;
    let since = system.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + instant.elapsed();
    WallTime(since.as_secs())
}

/// Whom we dial, and as whom.
#[derive(Clone)]
pub(crate) struct Dialling {
    pub(crate) net: Endpoint,
    pub(crate) address: SocketAddr,
    pub(crate) callee_noise: [u8; 32],
    pub(crate) callee: Fingerprint,
    pub(crate) psk0: Secret,
    pub(crate) own: Arc<Identity>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) patience: Duration,
}

/// What we say about ourselves: a microphone and a camera, and a track that no version 1 knows.
pub(crate) fn own_offer() -> Vec<u8> {
    let mut camera = TrackInfo::new(crate::media::CAMERA, TrackSource::Camera, "h264");
    (camera.size, camera.frame_rate_milli) = (Some(crate::picture::SIZE), 10_000);
    let offer = Offer {
        name: "kring-conform".into(),
        receive: vec!["a-codec-of-2040".into(), "opus".into(), "h264".into()],
        tracks: vec![TrackInfo::new(crate::media::VOICE, TrackSource::Microphone, "opus"), camera],
    };
    let alien = field(3, &[numbered(1, 9), numbered(2, 77), field(3, b"smell")].concat());
    among_unknown(&[offer.encode(), alien].concat())
}

/// Connects, and opens the control stream.
pub(crate) async fn connect(to: &Dialling) -> Result<(Link, [u8; 32]), Fault> {
    let fault = |came: String| {
        Fault::new("4", "a QUIC connection", "one with TLS 1.3, ALPN kring/1 and X25519MLKEM768", came)
    };
    let connection = match timeout(to.patience, to.net.connect(to.address)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(fault(error.to_string())),
        Err(_) => return Err(fault(Came::Nothing(to.patience).to_string())),
    };
    let exporter = exporter(&connection)?;
    match timeout(to.patience, connection.open_stream()).await {
        Ok(Ok(stream)) => Ok((Link::new(connection, stream, to.patience), exporter)),
        Ok(Err(closed)) => {
            Err(Fault::new("4", "a control stream", "one stream of the caller's", Came::from(closed)))
        }
        Err(_) => {
            Err(Fault::new("4", "a control stream", "one stream of the caller's", Came::Nothing(to.patience)))
        }
    }
}

pub(crate) fn exporter(connection: &Connection) -> Result<[u8; 32], Fault> {
    let none = || Fault::new("5", "TLS's exporter", "32 bytes", "none");
    connection.exporter(EXPORTER_LABEL).ok_or_else(none)
}

/// A good payload of message 1.
pub(crate) fn first_payload(call_id: &[u8; 16], time: u64, versions: &[u64]) -> Vec<u8> {
    let versions: Vec<u8> = versions.iter().flat_map(|v| numbered(3, *v)).collect();
    among_unknown(&[field(1, call_id), numbered(2, time), versions].concat())
}

/// Hint and message 1 with that payload.
pub(crate) fn hello(
    to: &Dialling,
    exporter: &[u8; 32],
    payload: &[u8],
) -> Result<(RawHandshake, Vec<u8>), Fault> {
    let made = RawHandshake::initiator(
        &to.provider,
        &to.own,
        &to.callee_noise,
        &paper::prologue(exporter),
        &to.psk0,
    )
    .and_then(|mut handshake| Ok((handshake.write(payload)?, handshake)));
    let unusable = |e| Fault::new("3", "the ticket's Noise key", "one that message 1 can be made with", e);
    let (message, handshake) = made.map_err(unusable)?;
    Ok((handshake, [&paper::hint(&to.psk0, exporter)[..], &message].concat()))
}

/// A session up to message 2, at the caller.
pub(crate) struct Half {
    pub(crate) link: Link,
    pub(crate) handshake: RawHandshake,
    pub(crate) call_id: [u8; 16],
    pub(crate) certificate: Certificate,
    /// What the callee sent, as it came.
    pub(crate) hello: Vec<u8>,
}

/// Dials until message 2 is proven.
pub(crate) async fn half(to: &Dialling, log: &mut Log) -> Result<Half, Fault> {
    let (mut link, exporter) = connect(to).await?;
    log.ok("4", "TLS 1.3 with kring/1, X25519MLKEM768 and a raw public key");
    let call_id: [u8; 16] = random(&*to.provider)[..16].try_into().expect("16 of 32 bytes");
    let payload = first_payload(&call_id, wall().0, &[1, 4_000_000]);
    let (mut handshake, hello) = hello(to, &exporter, &payload)?;
    link.write(&framed(&hello)).await;
    let until = link.until();
    let second = link.frame(MAX_HANDSHAKE, until).await;
    let second = second.map_err(|came| Fault::new("5", "message 1 is answered", "message 2", came))?;
    let payload = handshake.read(&second);
    let payload = payload
        .map_err(|_| Fault::new("5", "message 2 opens", "message 2 of this handshake", Came::Sealed))?;
    log.ok("5", "message 1 with GREASE, unknown fields and an unknown version is answered; message 2 opens");
    let certificate = judge_second(to, &payload, log)?;
    Ok(Half { link, handshake, call_id, certificate, hello })
}

/// Judges the payload of message 2.
fn judge_second(to: &Dialling, payload: &[u8], log: &mut Log) -> Result<Certificate, Fault> {
    let fields = raw::fields(payload);
    let fields = fields.ok_or_else(|| Fault::new("5", "message 2's payload", "fields", "a malformed one"))?;
    let versions: Vec<_> =
        fields.iter().filter(|(kind, _)| *kind == 3).map(|(_, v)| raw::number(v)).collect();
    log.check(
        "5",
        "message 2 chooses version 1, once",
        versions == [Some(1)],
        "[Some(1)]",
        format!("{versions:?}"),
    );
    let certificate = fields.iter().find(|(kind, _)| *kind == 4).map(|(_, value)| *value);
    let certificate = judge_certificate(certificate, &to.callee_noise)?;
    let who = certificate.identity.fingerprint();
    if who != to.callee {
        let expected = format!("one of the identity that the ticket names, {}", to.callee);
        return Err(Fault::new("5", "message 2's certificate", expected, who));
    }
    log.ok("2", "the callee's certificate is over the ticket's Noise key, by the ticket's identity");
    Ok(certificate)
}

/// Judges a certificate for the Noise key that was just proven.
pub(crate) fn judge_certificate(value: Option<&[u8]>, proven: &[u8; 32]) -> Result<Certificate, Fault> {
    let wrong = |came: String| {
        Fault::new("2", "a certificate", "136 bytes, over the Noise key just proven, signed, not over", came)
    };
    let value = value.ok_or_else(|| wrong("none".into()))?;
    let certificate = raw::certificate(value).map_err(|e| wrong(e.to_string()))?;
    raw::check_certificate(&certificate, proven, wall()).map_err(|e| wrong(e.to_string()))?;
    Ok(certificate)
}

/// A good `confirm`.
pub(crate) fn confirm_with(certificate: &[u8]) -> Vec<u8> {
    among_unknown(&[field(4, certificate), field(5, &own_offer())].concat())
}

pub(crate) fn own_certificate(own: &Identity) -> Vec<u8> {
    raw::certify(own, raw::noise_key(own), WallTime(wall().0 + 365 * 24 * 3600))
}

/// Sends `confirm` and this side's sender key; the call begins.
pub(crate) async fn confirm(to: &Dialling, half: Half) -> Result<Side, Fault> {
    let Half { mut link, handshake, call_id, certificate, .. } = half;
    let finished = handshake.finish();
    let (mut channel, hash) =
        finished.map_err(|e| Fault::new("5", "the handshake is done", "a channel", e))?;
    let plaintext = confirm_with(&own_certificate(&to.own));
    let message = channel.seal(&plaintext);
    let message = message.map_err(|e| Fault::new("5", "confirm", "a message", e))?;
    link.write(&framed(&message)).await;
    let facts = Facts {
        role: Role::Caller,
        own: to.own.clone(),
        peer: certificate.identity,
        peer_noise: to.callee_noise,
        call_id,
        hash,
        provider: to.provider.clone(),
    };
    let secret = random(&*to.provider);
    let mut side = Side::new(link, channel, facts, secret.clone());
    let value = side.sender_key(0, &secret, &to.own);
    side.say(crate::messages::SENDER_KEY, &value).await;
    Ok(side)
}

/// Who is dialled, and with what ticket.
#[derive(Clone)]
pub(crate) struct Dialled {
    pub(crate) psk0: Secret,
    pub(crate) own: Arc<Identity>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) patience: Duration,
}

/// Message 1 of somebody who dials, read.
pub(crate) struct Greeted {
    pub(crate) link: Link,
    pub(crate) handshake: RawHandshake,
    pub(crate) call_id: [u8; 16],
    noise: [u8; 32],
}

/// A connection and the first frame on it: hint and message 1.
pub(crate) struct Hailed {
    pub(crate) link: Link,
    exporter: [u8; 32],
    first: Vec<u8>,
}

impl Hailed {
    /// Whether that secret is the one that the caller has dialled by.
    pub(crate) fn is_by(&self, psk0: &Secret) -> bool {
        self.first.starts_with(&paper::hint(psk0, &self.exporter))
    }
}

/// Waits for the stream and the first frame.
pub(crate) async fn hailed(by: &Dialled, connection: Connection, log: &mut Log) -> Result<Hailed, Fault> {
    let exporter = exporter(&connection)?;
    let stream = match timeout(by.patience, connection.accept_stream()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(closed)) => return Err(Fault::new("4", "a control stream", "one", Came::from(closed))),
        Err(_) => return Err(Fault::new("4", "a control stream", "one", Came::Nothing(by.patience))),
    };
    log.ok("4", "TLS 1.3 with kring/1, X25519MLKEM768 and a raw public key; one stream of the caller's");
    let mut link = Link::new(connection, stream, by.patience);
    let until = link.until();
    let first = link.frame(MAX_HANDSHAKE, until).await;
    let first = first.map_err(|came| Fault::new("5", "hint and message 1", "a frame", came))?;
    Ok(Hailed { link, exporter, first })
}

/// Waits for the stream and message 1, and judges it.
pub(crate) async fn greeted(by: &Dialled, connection: Connection, log: &mut Log) -> Result<Greeted, Fault> {
    read_hello(by, hailed(by, connection, log).await?, log)
}

/// Judges hint and message 1.
pub(crate) fn read_hello(by: &Dialled, hailed: Hailed, log: &mut Log) -> Result<Greeted, Fault> {
    let Hailed { link, exporter, first } = hailed;
    let (hint, message) = first
        .split_first_chunk::<16>()
        .ok_or_else(|| Fault::new("5", "hint and message 1", "more than 16 bytes", first.len()))?;
    let right = paper::hint(&by.psk0, &exporter);
    if *hint != right {
        return Err(Fault::new("5", "the hint", format!("{right:02x?}"), format!("{hint:02x?}")));
    }
    log.ok("5", "the hint fits ticket and connection");
    let responder = RawHandshake::responder(&by.provider, &by.own, &paper::prologue(&exporter), &by.psk0);
    let mut handshake = responder.map_err(|e| Fault::new("5", "message 1", "one that can be read", e))?;
    let payload = handshake.read(message);
    let payload =
        payload.map_err(|_| Fault::new("5", "message 1 opens", "message 1 by the ticket", Came::Sealed))?;
    log.ok("5", "message 1 opens");
    let noise = handshake.remote_static().unwrap_or_default();
    let fields = raw::fields(&payload);
    let fields = fields.ok_or_else(|| Fault::new("5", "message 1's payload", "fields", "a malformed one"))?;
    let get = |kind| fields.iter().find(|(k, _)| *k == kind).map(|(_, value)| *value);
    let call_id = get(1).and_then(|v| v.try_into().ok());
    let call_id = call_id.ok_or_else(|| Fault::new("5", "message 1's call id", "16 bytes", "none"))?;
    let time = get(2).and_then(raw::number);
    let near = time.is_some_and(|time| time.abs_diff(wall().0) <= 600);
    log.check("5", "message 1's time", near, &format!("within 600 s of {}", wall().0), format!("{time:?}"));
    let speaks = fields.iter().any(|(kind, value)| *kind == 3 && raw::number(value) == Some(1));
    log.check("5", "message 1 names version 1", speaks, "field 3 with 1", "none");
    Ok(Greeted { link, handshake, call_id, noise })
}

/// A good payload of message 2.
pub(crate) fn second_payload(by: &Dialled) -> Vec<u8> {
    among_unknown(&[field(4, &own_certificate(&by.own)), numbered(3, 1)].concat())
}

/// Answers with a good message 2 and waits for `confirm`; gives the side and the caller's offer.
pub(crate) async fn confirmed(by: &Dialled, greeted: Greeted, log: &mut Log) -> Result<(Side, Offer), Fault> {
    let Greeted { mut link, mut handshake, call_id, noise } = greeted;
    let second = handshake.write(&second_payload(by));
    let second = second.map_err(|e| Fault::new("5", "message 2", "one that can be written", e))?;
    link.write(&framed(&second)).await;
    let finished = handshake.finish();
    let (mut channel, hash) =
        finished.map_err(|e| Fault::new("5", "the handshake is done", "a channel", e))?;
    let until = link.until();
    let frame = link.frame(MAX_HANDSHAKE, until).await;
    let frame = frame.map_err(|came| Fault::new("5", "confirm", "the first transport message", came))?;
    let opened = channel.open(&frame);
    let opened =
        opened.map_err(|_| Fault::new("5", "confirm opens", "the first transport message", Came::Sealed))?;
    let fields = raw::fields(&opened);
    let fields = fields.ok_or_else(|| Fault::new("5", "confirm's payload", "fields", "a malformed one"))?;
    let get = |kind| fields.iter().find(|(k, _)| *k == kind).map(|(_, value)| *value);
    let certificate = judge_certificate(get(4), &noise)?;
    log.ok("2", "the caller's certificate is over the Noise key of message 1");
    let offer = get(5).map_or(Some(Offer::default()), raw::offer);
    let offer = offer.ok_or_else(|| Fault::new("7.1", "confirm's offer", "an offer", "a malformed one"))?;
    let facts = Facts {
        role: Role::Callee,
        own: by.own.clone(),
        peer: certificate.identity,
        peer_noise: noise,
        call_id,
        hash,
        provider: by.provider.clone(),
    };
    let secret = random(&*by.provider);
    let mut side = Side::new(link, channel, facts, secret.clone());
    let value = side.sender_key(0, &secret, &by.own);
    side.say(crate::messages::SENDER_KEY, &value).await;
    side.media.set_tracks(&offer.tracks);
    Ok((side, offer))
}

/// Somebody else, for what should not be believed.
pub(crate) fn stranger(provider: &dyn Provider) -> Identity {
    Identity::generate(provider, wall()).expect("the system has randomness")
}
