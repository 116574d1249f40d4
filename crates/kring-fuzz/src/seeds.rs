//! What the fuzzer starts from: valid inputs, and some that are known to be nasty.

use kring_core::contact::Contacts;
use kring_core::find::{DHT_VALUE, LanRecord};
use kring_core::fuzzing::{self, contact_key};
use kring_core::identity::PublicIdentity;
use kring_core::issued::IssuedTickets;
use kring_core::mailbox::RelayHint;
use kring_core::media::{FrameHeader, Packetiser};
use kring_core::passcode::PasscodeBook;
use kring_core::time::{Time, WallTime};
use kring_core::varint;
use kring_core::verify::{SafetyNumber, SafetyScan};

use kring_net::relay::message::{About, Reply, Request};
use kring_net::relay::{Mailbox, Pin, Reason, Refused, Token, frame, shim};
use std::time::Duration;

use crate::world::{NOW, WORLD, offer, provider};

/// One file of a corpus.
#[derive(Debug)]
pub struct Seed {
    /// The target that it is for.
    pub target: &'static str,
    /// The file's name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

fn field(kind: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::write(kind, &mut out);
    varint::write(value.len() as u64, &mut out);
    out.extend_from_slice(value);
    out
}

fn number(kind: u64, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::write(value, &mut bytes);
    field(kind, &bytes)
}

/// All of them, the same on every run.
#[must_use]
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, bytes: Vec<u8>| seeds.push(Seed { target, name: name.into(), bytes });
    tickets(&mut add);
    lists(&mut add);
    identities(&mut add);
    handshakes(&mut add);
    controls(&mut add);
    packets(&mut add);
    bundles(&mut add);
    machines(&mut add);
    calls(&mut add);
    verification(&mut add);
    doors(&mut add);
    files(&mut add);
    relays(&mut add);
    datagrams(&mut add);
    finds(&mut add);
    seeds
}

fn tickets(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let text = WORLD.ticket.to_string();
    add("ticket", "valid", text.clone().into_bytes());
    add("ticket", "qr-code", WORLD.ticket.to_qr_text().into_bytes());
    let (head, tail) = text.split_at(70);
    add("ticket", "broken-by-a-messenger", format!(" {head}\r\n\u{3000}{tail}\n").into_bytes());
    add("ticket", "cut", head.into());
    add("ticket", "version-2", format!("kring2{}", &text[6..]).into_bytes());
    // Six bytes whose fifth is no boundary between characters.
    add("ticket", "not-ascii", "krin\u{e9}1abc".into());
    let mut body = vec![0];
    body.extend_from_slice(&[5; 68]);
    body.extend_from_slice(&1_900_000_000u32.to_be_bytes());
    add("ticket", "body-without-addresses", body.clone());
    let fields: &[u8] = &[4, 6, 192, 0, 2, 1, 17, 81, 9, 2, 1, 1];
    add("ticket", "body-with-an-unknown-field", [&body, fields].concat());
    add("ticket", "body-with-port-zero", [&body[..], &[4, 6, 192, 0, 2, 1, 0, 0]].concat());
    let many = [4, 6, 192, 0, 2, 1, 17, 81].repeat(9);
    add("ticket", "body-with-nine-addresses", [&body, &many[..]].concat());
}

fn lists(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let mut tickets = IssuedTickets::default();
    add("tickets", "none", tickets.encode().to_vec());
    tickets.add(&WORLD.ticket, true, NOW);
    let one = tickets.encode().to_vec();
    let without_sum = one[..one.len() - 8].to_vec();
    add("tickets", "valid", one.clone());
    add("tickets", "without-checksum", without_sum.clone());
    add("tickets", "cut", one[..40].to_vec());
    let mut counted = without_sum;
    (counted[9], counted[10]) = (0xff, 0xff);
    add("tickets", "more-than-there-are", counted);

    let mut contacts = Contacts::default();
    add("contacts", "none", contacts.encode().to_vec());
    let (known, named) = (WORLD.caller.public(), WORLD.ticket.clone());
    let kept = contacts.keep("Anna", known, Some(contact_key(1, 1)), named.addresses(), NOW);
    contacts.renewed(&known, Some(contact_key(2, 2)), &[], NOW);
    let added = contacts.add("Ben", named, NOW);
    assert!(kept.is_ok() && added.is_ok(), "the names are free");
    contacts.block(PublicIdentity::from([9; 32]).fingerprint(), NOW);
    let two = contacts.encode().to_vec();
    let without_sum = two[..two.len() - 8].to_vec();
    add("contacts", "valid", two.clone());
    add("contacts", "without-checksum", without_sum.clone());
    add("contacts", "cut", two[..100].to_vec());
    let mut named_alike = without_sum.clone();
    let at = named_alike.windows(3).position(|w| w == b"Ben").unwrap_or_default();
    named_alike[at..at + 3].copy_from_slice(b"an\n");
    add("contacts", "a-name-with-a-line-break", named_alike);
    let mut flags = without_sum;
    flags[11 + 2 + 4 + 20] = 0x84;
    add("contacts", "unknown-flags", flags);
}

fn identities(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let encoded = WORLD.caller.encode().to_vec();
    add("identity", "valid", encoded.clone());
    add("identity", "without-checksum", encoded[..encoded.len() - 8].to_vec());
    let mut sixteen = encoded[..41].to_vec();
    sixteen.push(16);
    sixteen.extend_from_slice(&encoded[42..82].repeat(16));
    add("identity", "sixteen-keys", sixteen.clone());
    sixteen[41] = 17;
    add("identity", "seventeen-keys", sixteen);
    let mut none = encoded[..42].to_vec();
    none[41] = 0;
    add("identity", "no-key", none);

    let valid = fuzzing::certificate_of(&WORLD.caller);
    let mut forged = valid.clone();
    forged[135] ^= 1;
    add("certificate", "valid", valid);
    add("certificate", "forged", forged);
    // The identity point: a small-order key, for which loose verification takes anything.
    let mut small = vec![0; 136];
    (small[0], small[72]) = (1, 1);
    add("certificate", "small-order", small);
    add("certificate", "short", vec![1; 135]);
}

fn handshakes(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    add("accept", "valid-at-its-time", [&[2][..], &NOW.0.to_be_bytes()].concat());
    add("accept", "ten-minutes-off", [&[2][..], &WallTime(NOW.0 + 601).0.to_be_bytes()].concat());
    add("accept", "whole", [&[0][..], &WORLD.hello].concat());
    add("accept", "overlong", vec![0, 0xff, 0xff]);
    add("accept", "one-bit", vec![1, 0, 0, 100, 1, 0]);
    add("accept", "hint-bit", vec![1, 0, 0, 2, 1, 0]);
    let fields =
        [field(1, &[9; 16]), number(2, NOW.0), number(3, 2), number(3, 1), field(33, b"grease")].concat();
    add("accept", "payload", [&[3][..], &fields].concat());
    add(
        "accept",
        "payload-of-version-2",
        [&[3][..], &field(1, &[9; 16]), &number(2, NOW.0), &number(3, 2)].concat(),
    );
    add("accept", "payload-empty", vec![3]);

    add("dial", "whole", [&[0][..], &WORLD.second].concat());
    add("dial", "one-bit", vec![1, 0, 0, 200, 1, 0]);
    add("dial", "overlong", vec![0, 0xff, 0xff]);
    let certificate = fuzzing::certificate_of(&WORLD.callee);
    add("dial", "payload", [&[2][..], &field(4, &certificate), &number(3, 1)].concat());
    add("dial", "payload-of-version-2", [&[2][..], &field(4, &certificate), &number(3, 2)].concat());
    let other = fuzzing::certificate_of(&WORLD.caller);
    add("dial", "payload-of-someone-else", [&[2][..], &field(4, &other), &number(3, 1)].concat());

    add("confirm", "whole", [&[0][..], &WORLD.confirm].concat());
    add("confirm", "one-bit", vec![1, 0, 0, 30, 1, 0]);
    add("confirm", "offer", [&[2][..], &offer("Anna").encode()].concat());
    add("confirm", "offer-malformed", [&[2][..], &field(1, &[0xff, 0xfe])].concat());
    let own = field(4, &other);
    add("confirm", "payload", [&[3][..], &own, &field(5, &offer("Anna").encode())].concat());
    add("confirm", "payload-without-certificate", [&[3][..], &field(5, &offer("Anna").encode())].concat());
    add("confirm", "payload-of-someone-else", [&[3][..], &field(4, &certificate)].concat());
}

fn controls(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let encoded = offer("Anna").encode();
    add("offer", "valid", encoded.clone());
    add("offer", "empty", Vec::new());
    let name = "\u{202e}evil\u{7}\u{61c}\u{2028}".to_owned() + &"\u{1f600}".repeat(80);
    add("offer", "name", field(1, name.as_bytes()));
    add("offer", "many-codecs", (0..20).flat_map(|_| field(2, b"opus")).collect());
    let track = |id, source, rate| {
        let parts = [number(1, id), number(2, source), field(3, b"opus"), number(6, rate), number(7, 1)];
        field(3, &parts.concat())
    };
    add("offer", "sound-with-a-picture-rate", track(3, 0, 30_000));
    add("offer", "unknown-source", [track(3, 9, 0), track(3, 0, 0), track(3, 0, 0)].concat());
    add("offer", "track-15", track(15, 0, 0));
    add("offer", "field-without-end", vec![3, 0xc0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);

    let one = number(1, 1);
    add("control", "ringing", field(1, b""));
    add("control", "answer", [field(2, &encoded), field(33, b"grease")].concat());
    add("control", "decline", field(3, &number(1, 2)));
    add("control", "hang-up-unknown-reason", field(4, &number(1, varint::MAX)));
    let key = [number(1, 0), number(2, 0), number(3, 1), field(4, &[6; 32]), field(5, &[7; 64])].concat();
    add("control", "sender-key", field(5, &key));
    add(
        "control",
        "sender-key-rotation-256",
        field(5, &[number(1, 0), number(2, 256), key[6..].to_vec()].concat()),
    );
    add("control", "tracks", field(6, &encoded));
    add("control", "track-state", field(7, &[number(1, 1), number(2, 2)].concat()));
    add("control", "keyframe-request", field(8, &one));
    add("control", "recording", field(9, &one));
    let renewal = |kind| field(kind, &[number(1, 1), field(4, &[6; 32]), field(5, &[7; 1300])].concat());
    add("control", "renew", renewal(30));
    add("control", "renewed", renewal(31));
    add("control", "switched", field(32, b""));
    add("control", "key-taken", field(34, &one));
    add("control", "code-commitment", field(10, &field(1, &[5; 32])));
    add("control", "code-nonce", [field(11, &field(1, &[5; 32])), field(33, b"grease")].concat());
    add("control", "code-reveal", field(12, &field(1, &[5; 32])));
    add("control", "code-reveal-short", field(12, &field(1, &[5; 31])));
    let own = fuzzing::certificate_of(&WORLD.caller);
    let offered = [field(1, &[6; 32]), field(2, &own)].concat();
    add("control", "contact", field(20, &offered));
    add("control", "contact-without-certificate", field(20, &field(1, &[6; 32])));
    let address = [4, 6, 192, 0, 2, 1, 17, 81];
    let six = [&[6, 18][..], &[0x20; 16], &[17, 81]].concat();
    add("control", "reach", field(21, &[&address[..], &six, &field(99, b"later")].concat()));
    add("control", "reach-nine", field(21, &address.repeat(9)));
    add("control", "reach-port-zero", field(21, &[4, 6, 192, 0, 2, 1, 0, 0]));
    add("control", "passcode-wanted", field(13, b""));
    add("control", "passcode-share", field(14, &field(1, &[5; 32])));
    add("control", "passcode-answer", field(15, &field(1, &[5; 32])));
    add("control", "passcode-tag", field(16, &field(1, &[5; 64])));
    add("control", "passcode-tag-of-the-callee", field(17, &field(1, &[5; 64])));
    add("control", "passcode-tag-short", field(16, &field(1, &[5; 32])));
    add("control", "wait", field(18, b""));
    add("control", "two-in-one", [field(1, b""), field(9, &one)].concat());
    add("control", "unknown", field(64, &one));

    let numbers: Vec<u8> = (1..=7).flat_map(|kind| number(kind, 1000 * kind)).collect();
    let arrivals = [0, 7, 0, 0, 9, 0x44, 0x00, 1, 3, 0, 0, 40, 2];
    add("report", "valid", [numbers.clone(), field(9, &arrivals)].concat());
    add("report", "arrivals-alone", field(9, &arrivals));
    let huge: Vec<u8> = (1..=7).flat_map(|kind| number(kind, varint::MAX)).collect();
    add("report", "huge", huge);
    add("report", "pictures", [field(10, &[0x81, 5]), field(10, &[2]), field(8, &[9])].concat());
    add("report", "too-many-arrivals", field(9, &[&arrivals[..], &[1; 600]].concat()));

    let start = [0, 0, 0, 0];
    let send =
        [0, 20, 200, 200, 200, 200, 200, 60, 60, 60, 60, 200, 200, 200, 200, 200, 60, 60, 60, 60, 200, 200];
    let honest = [&send[..], &[2, 0, 50, 4]].concat();
    let lies = [&send[..], &[2, 0, 50, 5, 13], &arrivals[..], &[2, 1, 44, 6, 13], &arrivals[..]].concat();
    add("rate", "honest", [&start[..], &honest, &honest, &honest, &honest].concat());
    add("rate", "lies", [&start[..], &honest, &lies, &lies].concat());
    add("rate", "silence", [&start[..], &honest, &send, &[2, 8, 0, 2, 8, 0, 2, 8, 0, 7], &honest].concat());
}

fn packets(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let header = FrameHeader { keyframe: true, frame_id: 300, ..FrameHeader::default() };
    let mut encoded = Vec::new();
    header.encode(&mut encoded);
    add("frame_header", "valid", encoded.clone());
    add("frame_header", "largest", vec![0x3f, 0xc0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    add("frame_header", "too-large", vec![0, 0xc0, 0, 0, 1, 0, 0, 0, 0]);
    add("frame_header", "long-form", vec![0, 0x40, 1]);
    add("frame_header", "sound-info", vec![1, 2, 3, 4, 5, 8, 0xa8, 0xff, 0, 0, 0, 0, 0, 0, 1]);
    add("frame_header", "picture-info", vec![0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 9]);

    let cut = Packetiser::default().packetise(&header, 129, &[4; 3000], 9).unwrap_or_default();
    for (n, mut datagram) in cut.into_iter().enumerate() {
        datagram.stamp(n as u16, Time::from_millis(90));
        // The shape matters, not the length.
        datagram.bytes.truncate(64);
        add("packet", &format!("fragment-{n}"), datagram.bytes);
    }
    add("packet", "whole", [&[9, 0, 1, 0, 0, 2][..], &encoded, b"sealed"].concat());
    add("packet", "no-payload", [&[0, 0, 1, 0, 0, 2][..], &encoded].concat());
    add("packet", "unknown-kind", [&[0x40, 0, 1, 0, 0, 2][..], &encoded, b"x"].concat());
    add("packet", "index-above-count", [&[0x20, 0, 1, 0, 0, 2, 5, 3, 2][..], &encoded, b"x"].concat());
    add("packet", "stream-2048", [&[0x20, 0, 1, 0, 0, 2, 0x48, 0, 0, 2][..], &encoded, b"x"].concat());
}

fn bundles(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let copy = |offset, len| [offset, 0x80, 0, 0x4e, 0x20, 8, 30, len];
    add("bundle", "alone", [&[0, 3][..], b"abc"].concat());
    add("bundle", "padded", [&[0, 3][..], b"abc", &[0; 40]].concat());
    add(
        "bundle",
        "two-copies",
        [&[2, 2][..], &copy(1, 3), &copy(4, 1), b"de", b"abc", b"z", &[0; 9]].concat(),
    );
    add("bundle", "copies-out-of-order", [&[2, 0][..], &copy(4, 0), &copy(1, 0)].concat());
    add("bundle", "copy-longer-than-the-body", [&[1, 0][..], &copy(1, 60), b"abc"].concat());
    add("bundle", "nine-copies", [&[9, 0][..], &copy(1, 0).repeat(9)].concat());
    add("bundle", "padding-that-is-none", [&[0, 1][..], b"abc"].concat());
    add("bundle", "huge", vec![1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
}

fn machines(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    add("reassembler", "frames-whole-and-damaged", {
        let frame = [0, 5, 0, 129, 8, 0, 40, 9, 3, 0, 1, 0, 2, 0, 0, 0, 3, 0, 2, 0, 1];
        [&[2][..], &frame, &[1], &frame, &[0, 1, 0, 0, 9, 7, 1, 3, 0, 0]].concat()
    });
    add(
        "reassembler",
        "fragments-that-disagree",
        vec![5, 1, 0, 3, 5, 1, 1, 4, 5, 1, 0x11, 3, 5, 1, 2, 3, 5, 1, 0x91, 3],
    );
    add(
        "reassembler",
        "a-flood-of-beginnings",
        [4, 255, 4, 0, 0, 0, 3, 0x14, 255, 3, 0, 1, 0, 255].repeat(4),
    );
    add(
        "reassembler",
        "parity",
        vec![
            5, 1, 0x10, 3, 6, 1, 0x10, 3, 6, 1, 0x11, 3, 6, 2, 0x18, 3, 6, 2, 0x11, 3, 2, 5, 0, 9, 2, 255, 4,
            0, 7, 1, 0,
        ],
    );
    add("reassembler", "time", vec![0xf5, 1, 0, 3, 0xf5, 2, 0, 3, 3, 4, 0, 5, 1, 1, 3]);

    let start = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let steady = [&start[..], &[0x1c; 120]].concat();
    add("jitter", "steady", steady.clone());
    add("jitter", "player", [&start[..], &[12, 12, 12, 9, 8].repeat(10)].concat());
    add(
        "jitter",
        "clock-at-the-end",
        [&start[..], &[12, 12, 3, 255, 255, 255, 255, 255, 255, 255, 255, 12, 7, 12, 7]].concat(),
    );
    add("jitter", "id-at-the-end", [&start[..], &[12, 2, 255, 255, 255, 254, 12, 12, 12, 7, 9, 60]].concat());
    add("jitter", "old-ids", [&steady[..], &[4, 200, 11, 4, 200, 11, 12, 12, 12, 12, 12, 9, 63]].concat());
    add(
        "jitter",
        "long-and-short",
        [&start[..], &[10, 0, 0, 0, 0, 255, 9, 12, 10, 255, 255, 255, 255, 1, 9, 9, 63]].concat(),
    );
    add(
        "jitter",
        "least-delay",
        [&start[..], &[6, 255, 255, 12, 12, 9, 20, 1, 9, 0, 12, 12, 9, 20]].concat(),
    );

    add("video_buffer", "steady", [&[0, 0, 0, 1, 11, 1][..], &[11, 0, 7].repeat(30)].concat());
    add(
        "video_buffer",
        "gap",
        vec![0, 0, 0, 1, 11, 1, 11, 0, 7, 3, 254, 11, 0, 7, 0, 61, 7, 5, 0, 0, 0, 9, 6, 11, 1, 7],
    );
    add("video_buffer", "skippable", vec![0, 0, 0, 1, 11, 1, 11, 2, 7, 3, 255, 12, 0x10, 7, 11, 0x20, 7]);
    add(
        "video_buffer",
        "large",
        [&[0, 0, 0, 1, 15, 1, 128][..], &[15, 0, 128].repeat(12), &[7, 15, 1, 200, 7]].concat(),
    );
    add(
        "video_buffer",
        "held-and-failed",
        vec![0, 0, 0, 1, 11, 1, 7, 5, 40, 0, 0, 0, 0, 0, 9, 0, 0, 11, 0, 6, 5, 0, 11, 0, 6, 11, 1, 7],
    );
    add("video_buffer", "starts-anew", vec![0, 9, 0, 1, 11, 1, 7, 2, 0, 0, 0, 1, 11, 1, 7, 11, 0, 7]);
    add("video_buffer", "too-many", [&[0, 0, 0, 1][..], &[11, 0].repeat(140), &[7, 11, 1, 7]].concat());
}

fn calls(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    // Both are fed, the callee answers, both are fed.
    let talk = [28, 28, 0x80 | 13, 28, 28];
    let sound = [21, 10, 0, 30, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0];
    let picture = [23, 20, 1, 1];
    let with = |more: &[u8]| [&talk[..], more].concat();
    add("call", "rings-out", vec![28, 1, 255, 255, 28]);
    add("call", "talks", with(&[&sound[..], &picture, &[28, 0x80 | 15, 0, 28]].concat()));
    add("call", "declined", vec![28, 0x80 | 14, 2, 28]);
    add(
        "call",
        "media-before-the-answer",
        [
            &[28][..],
            &sound,
            &[0x80 | 13],
            &[0x80 | 21, 9, 0, 3, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0],
            &[11, 2, 28],
        ]
        .concat(),
    );
    add(
        "call",
        "replayed",
        with(&[&sound[..], &[0x80 | 8, 0, 0x80 | 8, 0, 0x80 | 9, 0, 0, 0, 30, 1, 0, 11, 28]].concat()),
    );
    add("call", "control-damaged", with(&[20, 1, 0x80 | 4, 0, 0, 5, 1, 0, 0x80 | 2, 28]));
    add("call", "control-overlong", with(&[5, 3, 0xff, 0xff, 0, 28]));
    add("call", "answer-twice", with(&[0x80 | 25, 0, 4, 2, 0, 33, 0, 2, 28]));
    add("call", "sender-key-forged", {
        let key = [number(1, 0), number(2, 1), number(3, 1), field(4, &[6; 32]), field(5, &[7; 64])].concat();
        let message = field(5, &key);
        [&talk[..], &[25, 1, message.len() as u8], &message, &[28]].concat()
    });
    add("call", "keys-turn-over", with(&[28; 150]));
    add(
        "call",
        "keys-turn-over-and-one-is-lost",
        with(&[&[28; 15][..], &[0, 150, 4, 40, 1], &[28; 30]].concat()),
    );
    add("call", "switched-to-nothing", with(&[25, 0, 2, 32, 0, 28]));
    add("call", "key-taken-before-its-time", with(&[0x80 | 25, 0, 5, 34, 3, 1, 1, 1, 28]));
    add("call", "events-without-end", with(&[27, 255, 27, 255, 28, 28]));
    add(
        "call",
        "frame-of-an-unknown-track",
        with(&[26, 9, 0x80, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 8, 1, 255, 28, 1, 2, 88, 28]),
    );
    add("call", "hostile-report", with(&[26, 15, 0, 0, 0, 0, 1, 3, 1, 1, 0x40, 28]));
    add(
        "call",
        "large-pictures",
        with(&[23, 248, 1, 1, 23, 248, 1, 0, 23, 100, 1, 0, 11, 28, 0x80 | 11, 28]),
    );
    let code = |kind: u8| [&[25, 0, 36, kind, 34, 1, 32][..], &[5; 32]].concat();
    add("call", "code-again", with(&[&code(10)[..], &[28]].concat()));
    add("call", "code-forged", [&code(10)[..], &[0x80 | 2, 0x80 | 28], &code(12), &[0x80 | 2, 28]].concat());
    add("call", "code-from-the-wrong-side", {
        let mut code = code(10);
        code[0] |= 0x80;
        [&code[..], &[28, 28]].concat()
    });
    add("call", "code-never-comes", vec![12, 1, 90, 0, 28, 28]);
    add(
        "call",
        "key-changed",
        with(&[&[31, 1, 3, 0][..], &sound, &[11, 28, 31, 0, 1, 28], &sound, &[28, 31, 0, 0, 28]].concat()),
    );
    add(
        "call",
        "key-changed-while-it-rings",
        vec![0x80 | 31, 1, 2, 1, 28, 0x80 | 13, 28, 0x80 | 31, 0, 1, 0x80 | 13, 28],
    );
    add("call", "contacts", with(&[32, 1, 0x80 | 32, 1, 32, 0, 2, 1, 28, 28]));
    add(
        "call",
        "contacts-too-early",
        vec![28, 32, 1, 32, 0, 2, 1, 28, 0x80 | 13, 0x80 | 32, 1, 28, 32, 1, 28],
    );
    add("call", "network-gone", with(&[16, 0, 28, 0x80 | 16, 1, 3]));
}

fn verification(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    // To the callee, to the caller, to the callee.
    add("code", "whole", vec![0, 0x80, 0, 0x80]);
    add("code", "in-the-middle", vec![1, 0x80, 0, 0x80]);
    add("code", "replayed", vec![0, 0x82, 0x80, 0, 0x82, 0x80, 0x80]);
    add("code", "damaged", vec![0, 0x80, 0, 0x83, 0, 0, 20, 1, 0]);
    add("code", "given-up", vec![0, 0x84, 0x80, 4, 0, 0x80]);
    add("code", "forged", vec![0, 0x80, 0x85, 2, 9, 5, 1, 9, 0x85, 2, 9]);
    add("code", "garbage", vec![0, 6, 4, 10, 2, 1, 0, 0x87, 1, 10]);

    let (own, peer) = (WORLD.caller.public(), WORLD.callee.public());
    let scan = SafetyScan::new(own, peer);
    add("scan", "valid", scan.to_string().into_bytes());
    add("scan", "qr-code", format!(" {}\n", scan.to_qr_text()).into_bytes());
    add("scan", "cut", scan.to_string().into_bytes()[..80].to_vec());
    add("scan", "not-ascii", "kringid\u{e9}aaa".into());
    add("scan", "number", SafetyNumber::of(&own, &peer).to_string().into_bytes());
}

fn doors(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    // Both are fed, the right passcode is entered, both are fed, the guess is counted, and so on.
    add("door", "right", vec![0, 0x80, 0, 6, 1, 0x80, 7, 1, 0, 0x80, 0, 10, 0]);
    add("door", "wrong", vec![0, 0x80, 0, 6, 0, 0x80, 7, 1, 0, 0x80, 0, 10, 0]);
    add("door", "one-too-many", vec![0, 0x80, 0, 6, 1, 0x80, 7, 0, 0, 8, 0, 10, 0]);
    add("door", "lobby", vec![1, 0x80, 0, 8, 0, 10, 0, 0x80, 0]);
    add("door", "refused", vec![1, 0x80, 0, 9, 1, 0]);
    add("door", "forged-tag", vec![0, 0x80, 0, 6, 0, 0x80, 7, 1, 11, 3, 9, 0x80, 0x80]);
    add("door", "forged-share", vec![0, 0x80, 0, 11, 1, 0, 0x80, 7, 1, 0, 0x80]);
    add("door", "callee-without-the-passcode", vec![0, 0, 6, 1, 0x80 | 11, 2, 9, 0x80 | 11, 4, 9, 0, 0]);
    add("door", "asked-twice", vec![0, 0, 0x80 | 11, 0, 0, 0]);
    add("door", "damaged", vec![0, 0x80, 0, 6, 1, 0x85, 0, 0, 40, 9, 0, 0x80, 7, 1]);
    add("door", "time", vec![0, 0x80, 0, 13, 255, 255, 6, 1, 0x80]);

    let mut book = PasscodeBook::default();
    add("passcodes", "empty", book.encode().to_vec());
    book.set(WORLD.ticket.id(), WORLD.ticket.expires(), fuzzing::passcode_key([7; 32]));
    add("passcodes", "fresh", book.encode().to_vec());
    for who in [&WORLD.caller, &WORLD.caller, &*WORLD.callee] {
        let _ = book.guess(WORLD.ticket.id(), &who.fingerprint());
    }
    let guessed = book.encode().to_vec();
    add("passcodes", "guessed", guessed.clone());
    add("passcodes", "without-checksum", guessed[..guessed.len() - 8].to_vec());
    // Four guesses of one identity.
    let mut four = guessed[..guessed.len() - 8].to_vec();
    four[11 + 49 + 20] = 4;
    add("passcodes", "too-many-guesses", four);
}

fn files(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let video = |header: &str, rest: &[u8]| [header.as_bytes(), b"\n", rest].concat();
    let picture = [&b"FRAME\n"[..], &[128; 24]].concat();
    add("y4m", "valid", video("YUV4MPEG2 W4 H4 F30:1 Ip A1:1 C420mpeg2", &picture.repeat(2)));
    add("y4m", "cut", video("YUV4MPEG2 W4 H4 F30:1", &picture[..20]));
    add("y4m", "rate-by-zero", video("YUV4MPEG2 W4 H4 F0:0", &picture));
    add("y4m", "slowest", video("YUV4MPEG2 W4 H4 F1:10 XCOLORRANGE=FULL", &picture));
    add("y4m", "largest", video("YUV4MPEG2 W8192 H8192 F1000:1", &picture));
    add("y4m", "rate-of-large-numbers", video("YUV4MPEG2 W2 H2 F4294967295:4294967295", &picture));
    add("y4m", "line-without-end", [b"YUV4MPEG2 ".as_slice(), &[b'W'; 1100]].concat());
    add("y4m", "no-frame", video("YUV4MPEG2 W4 H4 F30:1", b"FRAMX\n"));

    let sound = |tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8], claimed: u32| {
        let align = channels * (bits / 8);
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&channels.to_le_bytes());
        bytes.extend_from_slice(&rate.to_le_bytes());
        bytes.extend_from_slice(&rate.wrapping_mul(align.into()).to_le_bytes());
        bytes.extend_from_slice(&align.to_le_bytes());
        bytes.extend_from_slice(&bits.to_le_bytes());
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&claimed.to_le_bytes());
        bytes.extend_from_slice(data);
        bytes
    };
    add("wav", "mono-16", sound(1, 1, 48_000, 16, &[1, 2, 3, 4, 5, 6, 7, 8], 8));
    add("wav", "stereo-24", sound(1, 2, 48_000, 24, &[9; 60], 60));
    add("wav", "unsigned-8", sound(1, 1, 48_000, 8, &[0, 128, 255], 3));
    add(
        "wav",
        "float-odd",
        sound(3, 1, 48_000, 32, &[0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f, 0x7f], 12),
    );
    add("wav", "resampled", sound(1, 1, 8_000, 16, &[7; 200], 200));
    add("wav", "length-unknown", sound(1, 1, 192_000, 16, &[7; 9], u32::MAX));
    add("wav", "cut", sound(1, 1, 48_000, 16, &[7; 9], 4000));
    add("wav", "empty", sound(1, 1, 48_000, 16, &[], 0));
    let mut extensible = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x28\0\0\0".to_vec();
    extensible.extend_from_slice(&[0xfe, 0xff, 1, 0, 0x80, 0xbb, 0, 0, 0, 0x77, 1, 0, 2, 0, 16, 0]);
    extensible.extend_from_slice(&[
        22, 0, 16, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113,
    ]);
    extensible.extend_from_slice(b"data\x04\0\0\0abcd");
    add("wav", "extensible", extensible);
    let mut long = b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff".to_vec();
    long.extend_from_slice(&[1, 0, 1, 0]);
    long.resize(80, 0);
    add("wav", "fmt-without-end", long);
}

fn relays(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let mailbox = Mailbox([7; 32]);
    let requests = [
        ("listen", Request::Listen { mailbox, signature: Box::new([9; 64]) }),
        ("unlisten", Request::Unlisten { mailbox }),
        ("dial", Request::Dial { request: 300, mailbox }),
        ("close", Request::Close { token: Token(1) }),
        ("ping", Request::Ping { number: 0 }),
    ];
    let mut stream = Vec::new();
    for (name, request) in requests {
        let bytes = request.encode().to_vec();
        frame::put(frame::MESSAGE, &bytes, &mut stream);
        add("relay_message", name, bytes);
    }
    add("relay_message", "stream", stream);
    add("relay_message", "frame-too-long", vec![0xff; 8]);
    // A handle's secret is random, so these are made by hand: about a request, token, secret, what finds the other.
    let mut session = number(2, 5);
    for (kind, value) in [(3, vec![1; 8]), (4, vec![2; 32]), (5, vec![3; 32])] {
        session.extend(field(kind, &value));
    }
    add("relay_message", "session", field(18, &session));
    add("relay_message", "rejoin", field(4, &[number(2, 5), field(5, &[3; 32])].concat()));
    add("relay_message", "observed", field(16, &field(10, &[5; 18])));
    let refused = Refused {
        reason: Reason::Full,
        retry_after: Some(Duration::from_secs(30)),
        others: vec!["relay.example:443".parse().expect("a name")],
    };
    add("relay_message", "refused", Reply::Refused { about: About::Request(5), refused }.encode().to_vec());
    let name = format!("[2001:db8::1]:443#{}", Pin([1; 32]));
    add("relay_message", "a-name", name.into_bytes());

    add("relay_packet", "data", shim::wrap(Token(5), b"QUIC"));
    add("relay_packet", "empty", shim::wrap(Token(5), b""));
    let mut bind = vec![0; shim::BIND_LEN];
    bind[..9].copy_from_slice(&shim::wrap(Token(5), b""));
    bind[0] = shim::BIND;
    add("relay_packet", "bind", bind.clone());
    bind[0] = shim::BOUND;
    add("relay_packet", "bound", bind.clone());
    bind.push(0);
    add("relay_packet", "bound-too-long", bind);
}

/// How it comes, how long after the one before, how long it is, and the datagram.
fn datagrams(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let came = |how: u8, datagram: &[u8]| [&[how, 20, datagram.len() as u8][..], datagram].concat();
    let quic = [0x40; 30];
    add("paths", "quic", came(1, &quic));
    add("paths", "through-the-relay", came(0, &shim::wrap(Token(7), &quic)));
    add("paths", "of-no-session", came(0, &shim::wrap(Token(8), &quic)));
    // A binding request (RFC 8489, section 5): header, user name, priority, a wrong MESSAGE-INTEGRITY and FINGERPRINT.
    let user = b"AQEBAQEB:AgICAgIC\0\0\0";
    let mut check = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    check.extend([9; 12]);
    check.extend([0, 6, 0, 17]);
    check.extend(user);
    check.extend([0, 0x24, 0, 4, 0, 0, 0, 9, 0, 8, 0, 20]);
    check.extend([3; 20]);
    check.extend([0x80, 0x28, 0, 4, 1, 2, 3, 4]);
    let len = check.len() as u8 - 20;
    check[3] = len;
    add("paths", "check", [came(1, &check), came(6, &check), came(1, &quic)].concat());
    check[0] = 1;
    add("paths", "answer", came(1, &check));

    // What happens, with whom, how much later, eight times as many zeros behind the bytes, and the bytes.
    let step = |what: u8, wait: u8, zeros: u8, bytes: &[u8]| {
        [&[what, 1, wait, zeros, bytes.len() as u8][..], bytes].concat()
    };
    let mut initial = vec![0xc0, 0, 0, 0, 1, 8];
    initial.extend([7; 8]);
    initial.push(8);
    initial.extend([9; 8]);
    // No token, and a length of 1,177 bytes: one packet of 1,203 in all.
    initial.extend([0, 0x44, 0x99]);
    let (whole, handshake) = (147, [0xe0; 16]);
    initial.push(0);
    let came = step(0, 20, whole, &initial);
    let went = step(2, 1, whole, &initial);
    let after =
        [step(2, 1, 60, &handshake), step(5, 40, 0, &[]), step(2, 5, 10, &[0x40; 20]), step(7, 9, 0, &[])]
            .concat();
    add(
        "set_up",
        "callee",
        [came.clone(), went.clone(), step(2, 1, 60, &handshake), step(4, 60, 0, &[]), after.clone()].concat(),
    );
    add(
        "set_up",
        "caller",
        [step(3, 0, 0, &[]), went.clone(), came.clone(), step(4, 5, 0, &[]), after].concat(),
    );
    add(
        "set_up",
        "stranger",
        [came.clone(), went.clone(), went.clone(), went.clone(), step(6, 200, 0, &[]), came.clone()].concat(),
    );
    add("set_up", "thin", [came, step(0, 255, whole, &initial), went.clone(), went.clone(), went].concat());
}

fn finds(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    let record = LanRecord::new(&[WORLD.ticket.lan_key()], WORLD.ticket.addresses(), &*provider(5));
    let record = [&[0][..], &record.expect("the seeded provider never fails").encode()].concat();
    add("lan_record", "valid", record.clone());
    add("lan_record", "cut", record[..record.len() - 1].to_vec());
    add("lan_record", "eighty-tags", [&record[..], &[7; 64 * 8]].concat());
    let mut counted = record;
    counted[18] = 9;
    add("lan_record", "nine-addresses", counted);
    add("lan_record", "own", [&[1][..], &[192, 0, 2, 1, 17, 81].repeat(9)].concat());

    let key = contact_key(1, 1).dht_key(&PublicIdentity::from([9; 32]).fingerprint(), 20_000);
    let relay = RelayHint::new("relay.example:443", Some([7; 32]), [8; 32]).expect("a relay");
    let value = key.seal(&relay, &*provider(6)).expect("the seeded provider never fails");
    add("dht_value", "valid", value.to_vec());
    add("dht_value", "forged", vec![1; DHT_VALUE]);
    let inside = [&[7, 32 + 17][..], &[8; 32], b"relay.example:443"].concat();
    add("dht_value", "inside", inside.clone());
    add("dht_value", "inside-with-something-behind", [&inside[..], &[1]].concat());
    add("dht_value", "inside-too-long", [&[8, 255][..], &[8; 100]].concat());
}
