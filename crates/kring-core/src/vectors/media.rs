//! media.json: from a sender's secret to datagrams.

use super::held;
use super::json::{Json, hex};
use super::setup::People;
use crate::call::{Playout, written_report};
use crate::crypto::kdf;
use crate::handshake::CallId;
use crate::keys::{Group, OwnKeys, REPORT_TRACK};
use crate::media::audio::{Bundle, Bundler, Copies, SpokenFrame};
use crate::media::{FrameHeader, FrameInfo, MediaKind, Packetiser, padding, parse};
use crate::time::Time;
use hkdf::Hkdf;
use sha2::Sha512;
use std::time::Duration;
use zeroize::Zeroizing;

const SENT: Time = Time::from_millis(123_456);

/// One sender's track.
struct Sender {
    keys: OwnKeys,
    group: Group,
    secret: Zeroizing<[u8; 32]>,
    sequence: u16,
}

impl Sender {
    /// What RFC 9605, section 4.4.2, makes of the base key.
    fn keys(&self, track: u8) -> Vec<(&'static str, Json)> {
        let kid = self.keys.kid(track).encode();
        let base_key = self.group.base_key(&self.secret, kid);
        let hkdf = Hkdf::<Sha512>::new(Some(&[]), &base_key[..]);
        let derive = |what: &[u8], len: usize| {
            let label = [b"SFrame 1.0 Secret ", what, &kid.to_be_bytes(), &5u16.to_be_bytes()].concat();
            let mut out = vec![0; len];
            hkdf.expand(&label, &mut out).expect("a short output");
            out
        };
        vec![
            ("KID", kid.into()),
            ("base_key", hex(*base_key)),
            ("sframe_key", hex(derive(b"key ", 32))),
            ("sframe_salt", hex(derive(b"salt ", 12))),
        ]
    }

    fn send(&mut self, track: u8, header: &FrameHeader, parts: &[(&'static str, Vec<u8>)]) -> Json {
        let counter = self.keys.sealer(track).sealed();
        let mut metadata = Vec::new();
        header.encode(&mut metadata);
        let plaintext: Vec<u8> = parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let mut sealed = Vec::new();
        self.keys.sealer(track).seal(&metadata, &plaintext, &mut sealed).expect("the key is fresh");
        let stream = self.keys.kid(track).stream();
        let sframe = &sealed[metadata.len()..];
        let mut datagrams = Packetiser::default().packetise(header, stream, sframe, 0).expect("it fits");
        for datagram in &mut datagrams {
            datagram.stamp(self.sequence, SENT);
            self.sequence = self.sequence.wrapping_add(1);
            assert!(parse(&datagram.bytes).is_ok());
        }
        let mut fields = vec![("counter", counter.into()), ("frame header", hex(&metadata))];
        fields.extend(parts.iter().map(|(name, bytes)| (*name, hex(bytes))));
        fields.push(("SFrame", hex(sframe)));
        fields.push(("datagrams", Json::list(datagrams.iter().map(|d| hex(&d.bytes)))));
        Json::Fields(fields)
    }
}

fn header(frame_id: u32, keyframe: bool, discardable: bool, temporal_layer: u8) -> FrameHeader {
    FrameHeader { keyframe, discardable, temporal_layer, spatial_layer: 0, frame_id }
}

fn sound(sender: &mut Sender) -> Json {
    let mut bundler = Bundler::default();
    let mut frames = Vec::new();
    for id in 0..3u32 {
        let capture = (1 << 40) - 30_000 + u64::from(id) * 20_000;
        let duration = Duration::from_millis(20);
        let packet = vec![0xa0 + id as u8; 20];
        let spoken = SpokenFrame { id, capture, duration, level: 30 + id as u8, payload: &packet };
        let (mut info, mut body) = (Vec::new(), Vec::new());
        FrameInfo::Audio { capture, duration, level: spoken.level }.encode(&mut info);
        bundler.write(&spoken, &Copies::new(&[1, 2], Copies::size_for(2, 20)), &mut body);
        assert_eq!(Bundle::parse(&body).map(|b| b.copies.len()), Ok(id as usize));
        frames.push(sender.send(0, &header(id, true, true, 0), &[("info", info), ("body", body)]));
    }
    Json::List(frames)
}

fn pictures(sender: &mut Sender) -> Json {
    let mut frames = Vec::new();
    for (id, (keyframe, discardable, layer, skippable, len)) in
        [(true, false, 0, 0, 2500), (false, true, 1, 0, 90), (false, false, 0, 1, 700)]
            .into_iter()
            .enumerate()
    {
        let mut info = Vec::new();
        FrameInfo::Video { capture: 1_000_000 + 33_333 * id as u64, skippable }.encode(&mut info);
        assert!(FrameInfo::decode(MediaKind::Video, &mut &info[..]).is_ok());
        let payload: Vec<u8> = (0..len).map(|n: u32| n as u8).collect();
        let header = header(id as u32, keyframe, discardable, layer);
        frames.push(sender.send(1, &header, &[("info", info), ("payload", payload)]));
    }
    Json::List(frames)
}

#[test]
fn media() {
    let people = People::new();
    let (call_id, roster_hash) = (CallId([0x0c; 16]), [0x0d; 32]);
    let group = Group::direct(call_id, roster_hash);
    let provider = people.caller.provider.clone();
    let secret = Zeroizing::new([0x0e; 32]);
    let keys = OwnKeys::new(provider, group, 1, secret.clone());
    let mut sender = Sender { keys, group, secret, sequence: 65_534 };
    let announced = sender.keys.announce(&people.anna);
    let track = |sender: &mut Sender, track, frames: Json| {
        Json::Fields([sender.keys(track), vec![("frames", frames)]].concat())
    };
    let audio = sound(&mut sender);
    let audio = track(&mut sender, 0, audio);
    let video = pictures(&mut sender);
    let video = track(&mut sender, 1, video);
    let playout = Playout {
        audio_played_ms: 5000,
        audio_concealed_ms: 20,
        pictures_shown: 150,
        audio_delay_us: 41_000,
        frozen_ms: 250,
    };
    let report = written_report(playout);
    let report = sender.send(REPORT_TRACK, &header(7, true, true, 0), &[("payload", report)]);
    let report = track(&mut sender, REPORT_TRACK, Json::list([report]));
    let mut filler = padding(64);
    filler.stamp(1000, SENT);

    let datagram: Vec<u8> = vec![0x05, 0x12, 0x34, 0xab, 0xcd, 0xef, 0x30, 0x07, 0x00, 1, 2];
    let cases: [(&str, Vec<u8>); 8] = [
        ("too short", datagram[..5].to_vec()),
        ("no payload", datagram[..8].to_vec()),
        ("kind 2", [&[0x80], &datagram[1..]].concat()),
        ("version 1 in the frame header", [&datagram[..6], &[0x70], &datagram[7..]].concat()),
        ("one fragment only", [&[0x20], &datagram[1..6], &[1, 0, 1], &datagram[6..]].concat()),
        ("index beyond twice the count", [&[0x20], &datagram[1..6], &[1, 4, 2, 1], &datagram[6..]].concat()),
        ("stream beyond 11 bits", [&[0x20], &datagram[1..6], &[0x48, 0, 0, 2], &datagram[6..]].concat()),
        ("a frame id not in its shortest form", [&datagram[..7], &[0x40, 7], &datagram[8..]].concat()),
    ];
    assert!(parse(&datagram).is_ok());
    let refused = cases.map(|(why, bytes)| {
        assert!(parse(&bytes).is_err(), "{why}");
        Json::Fields(vec![("why", why.into()), ("datagram", hex(bytes))])
    });
    let bodies: [(&str, &[u8]); 5] = [
        ("nothing", &[]),
        ("nine copies", &[9, 1]),
        ("a copy that is its carrier", &[1, 1, 0, 1, 8, 30, 1, 7, 7]),
        ("a packet that is not all there", &[0, 5, 7, 7]),
        ("bytes that are not zeros behind the packets", &[0, 1, 7, 0, 1]),
    ];
    let malformed = bodies.map(|(why, bytes)| {
        assert!(Bundle::parse(bytes).is_err(), "{why}");
        Json::Fields(vec![("why", why.into()), ("body", hex(bytes))])
    });
    held(
        "media.json",
        "docs/protocol.md, sections 8 to 10. The caller (leaf 1) of identity.json sends; transport sequences count from 65,534, \
         and every datagram is sent at `sent`.",
        vec![
            ("call id", hex(call_id.0)),
            ("room id", hex(kdf::hash("kring direct call", &[&call_id.0]))),
            ("roster hash", hex(roster_hash)),
            ("c", hex(*announced.secret)),
            ("signed statement", hex(group.statement(0, 1, &announced.secret))),
            ("signature", hex(announced.signature)),
            ("sent, in µs", SENT.as_micros().into()),
            ("sound", audio),
            ("pictures", video),
            ("report", report),
            ("padding", hex(filler.bytes)),
            ("refused datagrams", Json::list(refused)),
            ("malformed bodies", Json::list(malformed)),
        ],
    );
}
