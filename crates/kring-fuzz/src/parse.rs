//! Targets without state: what reads is written again and compared.

use std::sync::LazyLock;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use kring_core::fuzzing;
use kring_core::identity::{Certificate, Identity};
use kring_core::media::audio::{Bundle, Bundler, Copies, MAX_COPIES, MAX_OFFSET, SpokenFrame};
use kring_core::media::{
    DURATION_UNIT, FrameHeader, FrameInfo, MAX_FRAGMENTS, MAX_PROTECTED, MAX_STREAM, MediaKind, parse, stamp,
    unwrap_capture,
};
use kring_core::offer::{MAX_CODEC_NAME, MAX_NAME, Offer};
use kring_core::ticket::{MAX_ADDRESSES, MAX_TEXT, Ticket};
use kring_core::time::{Time, WallTime};
use sha2::{Digest, Sha256};

use crate::input::Input;
use crate::world::{NOW, WORLD};

/// Text as a person pastes it; and the same bytes as a ticket's body, its checksum put right.
pub fn ticket(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        ticket_text(text);
    }
    let sum = &Sha256::digest(data)[..4];
    ticket_text(&format!("KRING1{}", BASE32_NOPAD.encode(&[data, sum].concat())));
}

fn ticket_text(text: &str) {
    let Ok(ticket) = text.parse::<Ticket>() else { return };
    let printed = ticket.to_string();
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    assert_eq!(printed, plain.to_ascii_lowercase(), "a ticket has one text but for case and blanks");
    assert!(printed.len() <= MAX_TEXT);
    assert!(ticket.addresses().len() <= MAX_ADDRESSES);
    assert!(ticket.addresses().iter().all(|a| a.port() != 0));
    let again: Ticket = ticket.to_qr_text().parse().expect("a printed ticket reads");
    assert_eq!(again.to_string(), printed);
    assert_eq!((again.id(), again.fingerprint()), (ticket.id(), ticket.fingerprint()));
    assert!(ticket.check(ticket.expires()).is_err(), "a ticket does not outlive itself");
    assert_eq!(ticket.check(NOW).is_ok(), NOW < ticket.expires());
    assert!(!format!("{ticket:?}").contains(&printed[6..]), "the secret stays out of logs");
}

/// An identity file; and the same bytes with the checksum put right.
pub fn identity(data: &[u8]) {
    identity_file(data);
    let sum = &Sha256::digest(data)[..8];
    identity_file(&[data, sum].concat());
}

fn identity_file(bytes: &[u8]) {
    let Ok(identity) = Identity::decode(bytes) else { return };
    assert_eq!(identity.encode()[..], *bytes, "an identity has one encoding");
    assert_eq!(identity.fingerprint(), identity.public().fingerprint());
    let mut renewed = Identity::decode(bytes).expect("it was read before");
    renewed.renew(&*crate::world::provider(4), NOW).expect("the seeded provider never fails");
    assert!(!renewed.renewal_due(NOW));
    let again = Identity::decode(&renewed.encode()).expect("a renewed identity reads");
    assert_eq!(again.public(), identity.public());
}

/// A certificate for a fixed Noise key.
pub fn certificate(data: &[u8]) {
    let noise = data.get(32..64).and_then(|key| key.try_into().ok()).unwrap_or([0; 32]);
    let Some((encoded, holds)) = fuzzing::certificate(data, &noise, NOW) else {
        return assert_ne!(data.len(), Certificate::LEN);
    };
    assert_eq!(encoded, data, "a certificate has one encoding");
    if holds.is_ok() {
        // Nobody forges one: what holds was signed by one of the two that there are, or repeats what they signed.
        static KNOWN: LazyLock<[[u8; 32]; 2]> =
            LazyLock::new(|| [*WORLD.caller.public().as_bytes(), *WORLD.callee.public().as_bytes()]);
        assert!(KNOWN.iter().any(|known| data[..32] == *known));
        assert!(fuzzing::certificate(data, &[9; 32], NOW).is_some_and(|(_, holds)| holds.is_err()));
        assert!(fuzzing::certificate(data, &noise, WallTime(u64::MAX)).is_some_and(|(_, h)| h.is_err()));
    }
}

/// The plaintext of a control message.
pub fn control(data: &[u8]) {
    let Some(encoded) = fuzzing::control(data) else { return };
    let again = fuzzing::control(&encoded).expect("an encoded message reads");
    assert_eq!(again, encoded, "a message that was read means the same when written again");
}

/// What one side sends and can receive.
pub fn offer(data: &[u8]) {
    let Some(offer) = fuzzing::offer(data) else { return };
    check_offer(&offer);
    let again = fuzzing::offer(&offer.encode()).expect("an encoded offer reads");
    assert_eq!(again, offer, "an offer that was read means the same when written again");
}

pub(crate) fn check_offer(offer: &Offer) {
    assert!(offer.name.chars().count() <= MAX_NAME);
    // Unicode's Cc, its line and paragraph separators, and Bidi_Control.
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!offer.name.chars().any(odd), "a name cannot steer a terminal: {:?}", offer.name);
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let codecs = offer.receive.iter().chain(offer.tracks.iter().map(|t| &t.codec));
    for codec in codecs {
        assert!((1..=MAX_CODEC_NAME).contains(&codec.len()) && codec.bytes().all(fine));
    }
    assert!(offer.receive.len() <= 16 && offer.tracks.len() <= 15);
    for (n, track) in offer.tracks.iter().enumerate() {
        assert!(track.id <= 14 && offer.tracks[..n].iter().all(|t| t.id != track.id));
        assert_eq!(track.size.is_some(), track.source.kind() == MediaKind::Video);
        for side in track.size.into_iter().flat_map(|(w, h)| [w, h]) {
            assert!((2..=8192).contains(&side) && side % 2 == 0);
        }
    }
}

/// The plaintext of a report.
pub fn report(data: &[u8]) {
    let Some(encoded) = kring_core::call::Report::recoded(data) else { return };
    assert_eq!(kring_core::call::Report::recoded(&encoded), Some(encoded));
}

/// A frame header, and what stands in front of the payload under the seal.
pub fn frame_header(data: &[u8]) {
    let mut rest = data;
    match FrameHeader::decode(&mut rest) {
        Ok(header) => {
            let mut out = Vec::new();
            header.encode(&mut out);
            assert_eq!(out, data[..data.len() - rest.len()], "a header has one encoding");
            assert!(out.len() == header.encoded_len() && out.len() <= FrameHeader::MAX_LEN);
        }
        Err(_) => assert_eq!(rest.len(), data.len()),
    }
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let mut rest = data;
        let Ok(info) = FrameInfo::decode(kind, &mut rest) else {
            assert_eq!(rest.len(), data.len());
            continue;
        };
        let mut out = Vec::new();
        info.encode(&mut out);
        let mut came = data[..data.len() - rest.len()].to_vec();
        if let FrameInfo::Audio { duration, .. } = info {
            assert!((DURATION_UNIT..=Duration::from_micros(157_500)).contains(&duration));
            // The reserved bit of the level.
            came[6] &= 0x7f;
        }
        assert_eq!(out, came, "an info has one encoding but for the reserved bit");
        let reference = Input(rest).u64();
        let whole = unwrap_capture(reference, info.capture());
        assert_eq!(whole & ((1 << 40) - 1), info.capture(), "of reference {reference}");
    }
}

/// A datagram.
pub fn packet(data: &[u8]) {
    let Ok(packet) = parse(data) else { return };
    assert!(!packet.payload.is_empty() && data.ends_with(packet.payload));
    if let Some(fragment) = packet.hop.fragment {
        assert!(fragment.index < 2 * fragment.count && (2..=MAX_FRAGMENTS).contains(&fragment.count));
        assert_eq!(fragment.last.is_some(), fragment.is_parity());
        assert!(!fragment.is_parity() || fragment.count <= MAX_PROTECTED && fragment.last > Some(0));
        assert!(fragment.stream <= MAX_STREAM);
    }
    let mut header = Vec::new();
    packet.header.encode(&mut header);
    assert!(data[..data.len() - packet.payload.len()].ends_with(&header), "SFrame authenticates these bytes");
    // The next hop rewrites what it may, and nothing else changes.
    let mut next = data.to_vec();
    stamp(&mut next, 7, Time::from_micros(5_000_000));
    let stamped = parse(&next).expect("a stamped packet is one");
    assert_eq!(
        (stamped.header, stamped.hop.fragment, stamped.hop.repeated, stamped.payload),
        (packet.header, packet.hop.fragment, packet.hop.repeated, packet.payload)
    );
    assert_eq!(stamped.hop.transport_sequence, 7);
    let apart = stamped.hop.send_time.micros_since(packet.hop.send_time);
    assert!((-32_000_000..=32_000_000).contains(&apart));
}

/// The body of an audio frame; and bodies made of the same bytes.
pub fn bundle(data: &[u8]) {
    if let Ok(bundle) = Bundle::parse(data) {
        assert!(bundle.copies.len() <= MAX_COPIES);
        let frames: usize = bundle.copies.iter().map(|copy| copy.payload.len()).sum();
        assert!(frames + bundle.payload.len() < data.len(), "a body holds no more than it is");
        assert!(bundle.copies.is_sorted_by_key(|copy| copy.offset));
        for copy in bundle.copies {
            assert!((1..=MAX_OFFSET).contains(&copy.offset) && copy.level <= 127);
            assert!((DURATION_UNIT..=Duration::from_micros(157_500)).contains(&copy.duration));
        }
    }
    let mut input = Input(data);
    let mut bundler = Bundler::default();
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut capture = input.u64() >> 1;
    for id in 0..24 {
        let copies = Copies::new(&[input.u8() & 31, input.u8() & 7, input.u8() & 7], input.u8().into());
        let payload = vec![id as u8; usize::from(input.u8())];
        let duration = Duration::from_micros(u64::from(input.u16()));
        capture = capture.saturating_add(input.u16().into());
        let mut body = Vec::new();
        bundler.write(
            &SpokenFrame { id, capture, duration, level: input.u8(), payload: &payload },
            &copies,
            &mut body,
        );
        let alone = Copies::size_for(0, payload.len());
        assert!(
            body.len() == copies.size() || body.len() <= alone && alone > copies.size(),
            "of its one size"
        );
        let bundle = Bundle::parse(&body).expect("what was written reads");
        assert_eq!(bundle.payload, payload);
        for copy in bundle.copies {
            assert_eq!(copy.payload, sent[id as usize - usize::from(copy.offset)]);
        }
        sent.push(payload);
    }
}
