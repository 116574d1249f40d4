//! A captured call, its TLS opened with logged secrets: still no voice, picture, name, identity or static key in it.
//!
//! Needs `tshark`; says so and does nothing where it is missing.
#![allow(clippy::print_stderr)] // a skipped test has to say so
mod common;
use common::*;
use kring::codec::{
    AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, DecodeError, EncodeError, EncodedVideo,
    FrameDuration, H264, Opus, Picture, VideoCodec, VideoDecoder, VideoEncoder, VideoSettings,
};
use kring::{Endpoint, Ticket};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Taken = Arc<Mutex<Vec<Vec<u8>>>>;

/// Opus and H.264, keeping a copy of all they make.
struct Tapped<T>(T, Taken);

impl AudioCodec for Tapped<Opus> {
    fn name(&self) -> &'static str {
        "opus"
    }
    fn encoder(&self, settings: &AudioSettings) -> Result<Box<dyn AudioEncoder>, EncodeError> {
        Ok(Box::new(Tapped(self.0.encoder(settings)?, self.1.clone())))
    }
    fn decoder(&self) -> Result<Box<dyn AudioDecoder>, DecodeError> {
        self.0.decoder()
    }
}

impl AudioEncoder for Tapped<Box<dyn AudioEncoder>> {
    fn encode(&mut self, pcm: &[f32], packet: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.0.encode(pcm, packet)?;
        self.1.lock().unwrap().push(packet.clone());
        Ok(())
    }
    fn set_bitrate(&mut self, bits_per_second: u32) {
        self.0.set_bitrate(bits_per_second);
    }
    fn set_duration(&mut self, duration: FrameDuration) {
        self.0.set_duration(duration);
    }
    fn duration(&self) -> FrameDuration {
        self.0.duration()
    }
    fn set_expected_loss(&mut self, percent: u8) {
        self.0.set_expected_loss(percent);
    }
    fn lookahead(&self) -> usize {
        self.0.lookahead()
    }
}

impl VideoCodec for Tapped<H264> {
    fn name(&self) -> &'static str {
        "h264"
    }
    fn encoder(&self, settings: &VideoSettings) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(Tapped(self.0.encoder(settings)?, self.1.clone())))
    }
    fn decoder(&self) -> Result<Box<dyn VideoDecoder>, DecodeError> {
        self.0.decoder()
    }
}

impl VideoEncoder for Tapped<Box<dyn VideoEncoder>> {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        keyframe: bool,
    ) -> Result<Option<EncodedVideo>, EncodeError> {
        let encoded = self.0.encode(picture, at, keyframe)?;
        self.1.lock().unwrap().extend(encoded.as_ref().map(|e| e.data.clone()));
        Ok(encoded)
    }
    fn set_rate(&mut self, bits_per_second: u32, frames_per_second: f32) -> Result<(), EncodeError> {
        self.0.set_rate(bits_per_second, frames_per_second)
    }
    fn settings(&self) -> &VideoSettings {
        self.0.settings()
    }
}

/// TLS secrets in the format that dissectors read.
#[derive(Debug)]
struct Secrets(Mutex<File>);

impl rustls::KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        writeln!(self.0.lock().unwrap(), "{label} {} {}", hex(client_random), hex(secret)).unwrap();
    }
}

/// A wire that writes each packet to a capture file.
fn captured_wire(callee: SocketAddr, mut file: File) -> Wire {
    // pcap: magic, version 2.4, no offset, no precision, snap length, link type 101 (raw IP).
    file.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 101, 0, 0, 0])
        .unwrap();
    Wire::to(callee, move |packet, from_callee| {
        let len = packet.len() as u16;
        // As the two ends see it: from one port to the other's.
        let ports = if from_callee { [4433u16, 5000] } else { [5000, 4433] };
        let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
        ip[2..4].copy_from_slice(&(28 + len).to_be_bytes());
        ip.extend_from_slice(&[ports[0].to_be_bytes(), ports[1].to_be_bytes()].concat());
        ip.extend_from_slice(&[(8 + len).to_be_bytes(), [0; 2]].concat());
        ip.extend_from_slice(packet);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let head = [now.as_secs() as u32, now.subsec_micros(), ip.len() as u32, ip.len() as u32];
        file.write_all(&head.map(u32::to_le_bytes).concat()).unwrap();
        file.write_all(&ip).unwrap();
        true
    })
}

/// Every byte that the dissector got out, per data source, and how many datagram frames it saw.
fn opened(pcap: &std::path::Path, secrets: &std::path::Path) -> (Vec<Vec<u8>>, usize) {
    let tshark = |more: &[&str]| {
        let output = Command::new("tshark")
            .args(["-r", pcap.to_str().unwrap(), "-d", "udp.port==4433,quic"])
            .args(["-o", &format!("tls.keylog_file:{}", secrets.display())])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let mut sources = Vec::new();
    for line in tshark(&["-x"]).lines() {
        let Some((offset, rest)) = line.split_once("  ") else {
            sources.push(Vec::new());
            continue;
        };
        if offset.len() != 4 || !offset.bytes().all(|b| b.is_ascii_hexdigit()) {
            sources.push(Vec::new());
            continue;
        }
        let hex = rest.get(..47).unwrap_or(rest).split_whitespace();
        let bytes = hex.map_while(|h| u8::from_str_radix(h, 16).ok());
        sources.last_mut().unwrap().extend(bytes);
    }
    let frames = tshark(&["-T", "fields", "-e", "quic.frame_type"]);
    let datagrams =
        frames.split([',', '\n', '\t']).filter(|t| ["48", "49", "0x30", "0x31"].contains(&t.trim())).count();
    (sources, datagrams)
}

/// The Noise key in a ticket, as docs/protocol.md says where it stands.
fn static_key(ticket: &Ticket) -> Vec<u8> {
    let text = ticket.to_string()["kring1".len()..].to_uppercase();
    data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap()[1..33].to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_opened_nothing_of_the_call_can_be_found() {
    if Command::new("tshark").arg("--version").output().is_err() {
        eprintln!(
            "SKIPPED: tshark is missing, so the capture is not looked into; install it to run this test"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (pcap, secrets) = (dir.path().join("call.pcap"), dir.path().join("secrets"));
    let log = Arc::new(Secrets(Mutex::new(File::create(&secrets).unwrap())));
    let make = || {
        let builder = Endpoint::builder().bind("127.0.0.1:0".parse().unwrap());
        builder.dangerous_key_log(log.clone()).build().unwrap()
    };
    let (a, b) = (make(), make());
    let mut wire = captured_wire(b.local_addr().unwrap(), File::create(&pcap).unwrap());

    let taken = Taken::default();
    let tapped = |name, hertz| {
        let (media, ear, eye) = media(name, hertz);
        let media = media.audio_codec(Tapped(Opus, taken.clone())).video_codec(Tapped(H264, taken.clone()));
        (media, ear, eye)
    };
    let (media_a, ear_a, eye_a) = tapped("Needle-Of-The-Caller", 440.0);
    let (media_b, ear_b, eye_b) = tapped("Needle-Of-The-Callee", 620.0);
    let ticket = b.ticket_for(&[wire.address], HOUR).unwrap();
    let dialled = a.dial(&ticket, media_a);
    let answered = rings(&b).await.answer(media_b);
    eventually("heard and seen through the wire", || {
        ear_a.share_of(620.0, 300) > 0.9
            && ear_b.share_of(440.0, 300) > 0.9
            && eye_a.numbers.lock().unwrap().len() > 45
            && eye_b.numbers.lock().unwrap().len() > 45
    })
    .await;
    dialled.hang_up().await;
    end_of(&answered).await;
    wire.cut();

    let (sources, datagrams) = opened(&pcap, &secrets);
    // That TLS was opened at all: media datagrams are told apart, and what TLS alone protects can be read.
    assert!(datagrams > 100, "only {datagrams} datagram frames were found, so TLS was not opened");
    let captured = std::fs::metadata(&pcap).unwrap().len() as usize;
    let shown: usize = sources.iter().map(Vec::len).sum();
    // Both as sealed and as opened; the capture holds the headers of small packets besides.
    assert!(shown > captured * 5 / 4, "of {captured} bytes, sealed and opened, only {shown} were looked at");
    let holds = |needle: &[u8]| sources.iter().any(|s| s.windows(needle.len()).any(|w| w == needle));
    assert!(holds(b"kring/1"), "the search finds what is there");

    let caller_ticket = a.ticket(HOUR).unwrap();
    for (what, needle) in [
        ("the caller's name", &b"Needle-Of-The-Caller"[..]),
        ("the callee's name", b"Needle-Of-The-Callee"),
        ("the caller's identity", a.identity().as_bytes()),
        ("the callee's identity", b.identity().as_bytes()),
        ("the caller's fingerprint", a.identity().fingerprint().as_bytes()),
        ("the callee's fingerprint", b.identity().fingerprint().as_bytes()),
        ("the caller's static key", &static_key(&caller_ticket)),
        ("the callee's static key", &static_key(&ticket)),
        ("a codec's name", b"h264"),
    ] {
        assert!(!holds(needle), "{what} can be read");
    }
    // Every 16 bytes on the wire, against 16 bytes from inside of every packet that a codec made.
    let on_wire: HashSet<&[u8]> = sources.iter().flat_map(|s| s.windows(16)).collect();
    let packets = taken.lock().unwrap();
    assert!(packets.len() > 100, "{}", packets.len());
    for packet in packets.iter().filter(|p| p.len() >= 40) {
        assert!(!on_wire.contains(&packet[20..36]), "encoded media can be read");
    }
}
