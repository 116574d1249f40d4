//! The state machines between datagrams and decoders.

use std::collections::BTreeMap;
use std::time::Duration;

use kring_core::media::{
    AudioPacket, DURATION_UNIT, FrameHeader, JitterBuffer, MAX_FRAME, MAX_HEADERS, MAX_HELD, MAX_HELD_TIME,
    MAX_IN_PROGRESS, MAX_IN_PROGRESS_PER_STREAM, MAX_PACKETS, MAX_VIDEO_BYTES, MAX_VIDEO_FRAMES, Packetiser,
    Playout, Reassembler, VideoBuffer, VideoFrame, parse,
};
use kring_core::time::Time;
use kring_core::varint;

use crate::input::{Input, damage};

/// Most operations of one run.
const MAX_STEPS: usize = 400;
/// Most of them that take much memory and time.
const MAX_LARGE: usize = 16;

/// Datagrams and the times at which they come.
pub fn reassembler(data: &[u8]) {
    let mut input = Input(data);
    let mut reassembler = Reassembler::new();
    let mut now = Time::ZERO;
    let (mut pushed, mut floods) = (0, 0);
    // How often each frame came out, and how many frames its stream has begun since.
    let mut out: BTreeMap<(u16, u32), usize> = BTreeMap::new();
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        let op = input.u8();
        now += Duration::from_millis(u64::from(op >> 4) * 20);
        let datagrams = match op & 7 {
            0 => vec![input.short().to_vec()],
            1 => frame(&mut input, true),
            2 => frame(&mut input, false),
            3 => {
                now += Duration::from_millis(input.u16().into());
                reassembler.expire(now);
                continue;
            }
            4 if floods < MAX_LARGE / 4 => {
                floods += 1;
                flood(&mut input)
            }
            6 => vec![fragment(&mut input, true)],
            _ => vec![fragment(&mut input, false)],
        };
        for datagram in datagrams {
            let Ok(packet) = parse(&datagram) else { continue };
            pushed += 1;
            let Some(frame) = reassembler.push(now, &packet) else { continue };
            assert!(frame.bytes.len() <= MAX_FRAME && !frame.bytes.is_empty());
            assert_eq!(frame.header, packet.header);
            assert_eq!(frame.stream, packet.hop.fragment.map(|f| f.stream));
            if let Some(stream) = frame.stream {
                let times = out.entry((stream, frame.header.frame_id)).or_default();
                *times += 1;
                // 128 are remembered for each stream; a run that has fewer must not see one twice.
                if out.range((stream, 0)..=(stream, u32::MAX)).count() < 64
                    && reassembler.counters().evicted == 0
                    && reassembler.counters().expired == 0
                {
                    assert_eq!(out[&(stream, frame.header.frame_id)], 1, "a frame came out twice");
                }
            }
        }
        check(&reassembler);
        let c = reassembler.counters();
        assert_eq!(c.whole + c.fragments + c.duplicate + c.inconsistent + c.too_large, pushed);
    }
    reassembler.expire(now + Duration::from_secs(3600));
    let left = (reassembler.held() - reassembler.remembered(), reassembler.incomplete().count());
    assert_eq!(left, (0, 0), "something is held for ever");
}

fn check(reassembler: &Reassembler) {
    assert!(reassembler.held() <= MAX_HELD, "{} bytes held", reassembler.held());
    let mut streams: BTreeMap<u16, usize> = BTreeMap::new();
    for frame in reassembler.incomplete() {
        *streams.entry(frame.stream).or_default() += 1;
        assert!(frame.missing().next().is_some_and(|index| index < frame.count));
        assert!(frame.first <= frame.latest && (1..frame.count.into()).contains(&frame.lacks()));
    }
    assert!(streams.values().sum::<usize>() <= MAX_IN_PROGRESS);
    assert!(streams.values().all(|&count| count <= MAX_IN_PROGRESS_PER_STREAM));
}

/// A fragment whose fields come from small ranges, so that they meet again; or some parity.
fn fragment(input: &mut Input<'_>, parity: bool) -> Vec<u8> {
    let (which, shape, len) = (input.u8(), input.u8(), input.u8());
    let count = 2 + u64::from(shape >> 4 & 7);
    let mut fields = vec![u64::from(which >> 6), u64::from(shape & 7) % count, count];
    if parity {
        fields[1] += count;
        fields.push(1 + u64::from(shape >> 3 & 1));
    }
    let header = FrameHeader {
        keyframe: shape & 0x80 != 0,
        frame_id: u32::from(which & 0x3f),
        ..FrameHeader::default()
    };
    datagram(&fields, &header, usize::from(len & 0x0f) + 1 + (usize::from(len >> 4) << 7))
}

fn datagram(fields: &[u64], header: &FrameHeader, len: usize) -> Vec<u8> {
    let mut bytes = vec![0x20, 0, 0, 0, 0, 0];
    fields.iter().for_each(|&value| varint::write(value, &mut bytes));
    header.encode(&mut bytes);
    bytes.resize(bytes.len() + len, 7);
    bytes
}

/// Up to 255 first fragments of frames that never end.
fn flood(input: &mut Input<'_>) -> Vec<Vec<u8>> {
    let (many, len, start, spread) = (input.u8(), input.u16(), input.u16(), input.u8());
    let frames = (0..u32::from(many)).map(|n| {
        let header = FrameHeader { frame_id: u32::from(start) + n, ..FrameHeader::default() };
        let stream = u64::from(n) % (u64::from(spread) + 1);
        datagram(&[stream, u64::from(n) % 1023, 1024], &header, usize::from(len).max(1))
    });
    frames.collect()
}

/// A true frame cut up, in another order or damaged; without damage it has to come out.
fn frame(input: &mut Input<'_>, damaged: bool) -> Vec<Vec<u8>> {
    let (id, stream) = (u32::from(input.u16()) | 1 << 16, input.u16() & 0x7ff);
    let (len, part) = (usize::from(input.u16()) + 1, usize::from(input.u8()) * 5 + 20);
    let header = FrameHeader { frame_id: id, ..FrameHeader::default() };
    let sealed: Vec<u8> = (0..len).map(|n| n as u8).collect();
    let packetiser = Packetiser::new(part);
    let Ok(cut) = packetiser.packetise(&header, stream, &sealed, input.u8()) else {
        return Vec::new();
    };
    let wanted = u16::from(input.u8() & 7);
    let parity = packetiser.protect(&header, stream, &sealed, 0, wanted).unwrap_or_default();
    let [mut cut, parity] = [cut, parity].map(|of| of.into_iter().map(|d| d.bytes).collect::<Vec<Vec<u8>>>());
    for (lost, parity) in (usize::from(input.u8())..).step_by(3).zip(parity) {
        let at = lost % cut.len();
        // What took the place of one is not lost in turn.
        if parse(&cut[at]).is_ok_and(|packet| packet.hop.fragment.is_some_and(|f| !f.is_parity())) {
            cut[at] = parity;
        }
    }
    for _ in 0..input.below(8) {
        let (a, b) = (usize::from(input.u16()) % cut.len(), usize::from(input.u16()) % cut.len());
        cut.swap(a, b);
    }
    if damaged {
        let at = usize::from(input.u16()) % cut.len();
        damage(input, &mut cut[at]);
        return cut;
    }
    let mut own = Reassembler::new();
    let mut whole = Vec::new();
    for datagram in cut.iter().chain(&cut) {
        assert!(datagram.len() <= part + MAX_HEADERS);
        let packet = parse(datagram).expect("what was cut is a packet");
        if let Some(frame) = own.push(Time::ZERO, &packet) {
            whole.push(frame.bytes.into_owned());
        }
    }
    assert!(whole.iter().all(|bytes| *bytes == sealed));
    assert!(whole.len() == 1 || cut.len() == 1 && whole.len() == 2, "{} of {}", whole.len(), cut.len());
    cut
}

/// One audio track's packets, whatever they claim, and a player that asks in time.
pub fn jitter(data: &[u8]) {
    let mut input = Input(data);
    let mut buffer = JitterBuffer::new();
    let mut now = Time::from_micros(u64::from(input.u32()));
    let (mut id, mut capture) = (input.u32(), input.u64());
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        match input.u8() & 15 {
            0 => now += Duration::from_millis(input.u8().into()),
            1 => now += Duration::from_millis(input.u16().into()),
            2 => id = input.u32(),
            3 => capture = input.u64(),
            4 => id = id.wrapping_sub(input.u8().into()),
            5 => capture = capture.wrapping_add(u64::from(input.u32())),
            6 => buffer.set_minimum(Duration::from_millis(input.u16().into())),
            7 | 8 => {
                played(&buffer.pull(now));
            }
            9 => {
                // A player: asks, plays, asks.
                for _ in 0..input.below(64) {
                    now += played(&buffer.pull(now));
                }
            }
            10 => {
                let duration = Duration::from_micros(input.u32().into());
                let (len, level) = (usize::from(input.u8()) << 7, input.u8());
                buffer
                    .push(now, AudioPacket { frame_id: id, capture, duration, payload: vec![1; len], level });
            }
            11 => push(&mut buffer, now, id, capture),
            _ => {
                id = id.wrapping_add(1);
                capture = capture.wrapping_add(20_000);
                push(&mut buffer, now, id, capture);
                if input.0.first().is_some_and(|next| next & 0x10 != 0) {
                    now += played(&buffer.pull(now));
                }
            }
        }
        check_jitter(&buffer);
    }
    recovers(buffer, now, id, capture);
}

fn push(buffer: &mut JitterBuffer, now: Time, frame_id: u32, capture: u64) {
    let duration = Duration::from_millis(20);
    buffer.push(now, AudioPacket { frame_id, capture, duration, payload: vec![2; 40], level: 30 });
}

fn check_jitter(buffer: &JitterBuffer) {
    assert!(buffer.len() <= MAX_PACKETS && buffer.held_time() <= MAX_HELD_TIME);
    let stats = buffer.stats();
    assert!(stats.target <= Duration::from_secs(1), "{stats:?}");
}

/// How long playing takes.
fn played(playout: &Playout) -> Duration {
    let range = DURATION_UNIT..=Duration::from_micros(157_500);
    match playout {
        Playout::Decode(packet) => {
            assert!(range.contains(&packet.duration));
            packet.duration
        }
        Playout::Conceal { duration, .. } => {
            assert!(duration.is_zero() || range.contains(duration), "{duration:?}");
            (*duration).max(Duration::from_millis(1))
        }
        _ => Duration::from_millis(10),
    }
}

/// Whatever came before, packets that follow on each other are played again within 2 s.
fn recovers(mut buffer: JitterBuffer, start: Time, id: u32, capture: u64) {
    let fits = id < u32::MAX - 200 && capture < u64::MAX / 4 && start.as_micros() < u64::MAX / 4;
    if !fits {
        return;
    }
    buffer.set_minimum(Duration::ZERO);
    let mut ask = start;
    let mut heard = false;
    for n in 1..=130u32 {
        let now = start + Duration::from_millis(20) * n;
        push(&mut buffer, now, id + n, capture + 20_000 * u64::from(n));
        while ask <= now {
            let playout = buffer.pull(ask);
            // 2 s, and one packet's time for the last to come.
            heard |= matches!(&playout, Playout::Decode(p) if p.frame_id > id);
            ask += played(&playout);
        }
        check_jitter(&buffer);
        if n >= 101 + 10 {
            assert!(heard, "silence for {} ms of good packets: {:?}", n * 20, buffer.stats());
        }
    }
}

/// One video track's frames.
pub fn video_buffer(data: &[u8]) {
    let mut input = Input(data);
    let mut buffer = VideoBuffer::default();
    let mut now = Time::ZERO;
    let mut id = input.u32();
    // What was given to the decoder.
    let mut given: Vec<u32> = Vec::new();
    let mut large = 0;
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        match input.u8() & 15 {
            0 => now += Duration::from_millis(input.u8().into()),
            1 => now += Duration::from_millis(input.u16().into()),
            2 => id = input.u32(),
            3 => id = id.wrapping_sub(input.u8().into()),
            4 => buffer.set_round_trip(Duration::from_micros(input.u32().into())),
            5 => match input.u8() {
                0 => buffer.fail(),
                1 => buffer.set_lag(None),
                n => buffer.set_lag(Some(input.u64().cast_signed() >> (n & 63))),
            },
            6 => {
                if let Some(wake) = buffer.next_wake() {
                    now = now.max(wake);
                    let (held, lost) = (buffer.len(), buffer.is_lost());
                    let came = buffer.pull(now);
                    assert!(
                        came.is_some() || held > buffer.len() || lost != buffer.is_lost(),
                        "woken for nothing"
                    );
                    if let Some(frame) = came {
                        decodable(&frame, &given);
                        given.push(frame.frame_id);
                    }
                }
            }
            7..=9 => {
                while let Some(frame) = buffer.pull(now) {
                    decodable(&frame, &given);
                    given.push(frame.frame_id);
                    assert_eq!(buffer.decoded(), Some(frame.frame_id));
                }
            }
            op => {
                id = if op == 10 { id } else { id.wrapping_add(1) };
                let flags = input.u8();
                // Most are small; a few are as large as there are, or larger.
                let mut len = usize::from(flags);
                if op == 15 && large < MAX_LARGE {
                    large += 1;
                    len = usize::from(input.u8()) << 13;
                }
                let frame = VideoFrame {
                    frame_id: id,
                    keyframe: flags & 0x0f == 1,
                    discardable: flags & 2 != 0,
                    skippable: flags >> 4,
                    temporal_layer: flags >> 2 & 3,
                    capture: now.as_micros(),
                    payload: vec![3; len],
                };
                buffer.push(now, frame);
                if buffer.decoded().is_none() {
                    // The sender counts anew, or the decoder failed; what came before says nothing any more.
                    given.clear();
                }
            }
        }
        assert!(buffer.len() <= MAX_VIDEO_FRAMES && buffer.bytes() <= MAX_VIDEO_BYTES);
        assert!(!buffer.is_empty() || buffer.bytes() == 0);
        let stats = buffer.stats();
        assert_eq!(stats.received, stats.decodable + stats.dropped + buffer.len() as u64);
    }
}

/// A frame that is no keyframe builds on one that was given out.
fn decodable(frame: &VideoFrame, given: &[u32]) {
    assert!(frame.payload.len() <= MAX_FRAME);
    if frame.keyframe {
        return;
    }
    assert!(given.last().is_some_and(|last| *last < frame.frame_id), "{} after {given:?}", frame.frame_id);
    let reference = frame.frame_id.checked_sub(1 + u32::from(frame.skippable));
    assert!(reference.is_some_and(|id| given.contains(&id)), "{} lacks {reference:?}", frame.frame_id);
}
