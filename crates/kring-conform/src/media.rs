//! Datagrams: what comes is opened and judged, what goes is sealed as the walk wants it.
//!
//! Guarantee: of what comes, counters and sequences are remembered, 8,192 of them at most, and what a reassembler holds.

use crate::judge::Many;
use crate::log::Log;
use crate::paper::{Room, Secret, kid};
use crate::picture;
use kring_core::call::Report;
use kring_core::crypto::{OpenFrame, Provider, SealFrame};
use kring_core::fuzzing::raw;
use kring_core::handshake::Role;
use kring_core::media::audio::{Bundle, Bundler, Copies, SpokenFrame};
use kring_core::media::{
    Datagram, FrameHeader, FrameInfo, MediaKind, Packet, Packetiser, Reassembler, SendTime, parse,
    parse_padding, stamp,
};
use kring_core::offer::TrackInfo;
use kring_core::rate::Recorder;
use kring_core::time::Time;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Our tracks.
pub(crate) const VOICE: u8 = 0;
pub(crate) const CAMERA: u8 = 1;
const REPORTS: u8 = 15;
/// Most counters and sequences that are remembered.
const MAX_REMEMBERED: usize = 8192;
/// Opus's shortest packet, 20 ms of silence (RFC 6716, section 3.1).
const SILENT: [u8; 3] = [0xf8, 0xff, 0xfe];
/// The bytes of a report's counts and what fills them up (section 9).
const COUNTS: usize = 50;
const AUDIO_BODY: usize = 60;
const FRAME: Duration = Duration::from_millis(20);

struct Own {
    rotation: u8,
    secret: Secret,
    sealers: HashMap<u8, Box<dyn SealFrame>>,
    frames: HashMap<u8, u32>,
    sequence: u16,
    bundler: Bundler,
}

/// A key of the other side's, and what was opened with it: each counter with the tag that it came with.
struct Opener {
    key: Box<dyn OpenFrame>,
    seen: HashMap<u64, [u8; 16]>,
}

/// What was learnt of the other side's media.
#[derive(Default)]
pub(crate) struct Seen {
    /// The last report with counts.
    pub(crate) counts: Option<Report>,
    /// Which of our pictures it says that it has decoded.
    pub(crate) decoded: Option<u32>,
    /// Whether it tells of our camera at all.
    pub(crate) tells_of_pictures: bool,
    /// The arrivals that it has told of.
    pub(crate) arrivals: usize,
    /// Frames by rotation of their key and track.
    pub(crate) frames: BTreeMap<(u8, u8), u64>,
    /// The least frame id of each track, whether that frame is a keyframe, and whether it was judged.
    first: BTreeMap<u8, (u32, bool, bool)>,
}

/// The datagrams of one call.
pub(crate) struct Media {
    provider: Arc<dyn Provider>,
    room: Room,
    leaf: u8,
    peer_leaf: u8,
    own: Own,
    keys: HashMap<u8, Secret>,
    openers: HashMap<u64, Opener>,
    kinds: HashMap<u8, MediaKind>,
    reassembler: Reassembler,
    recorder: Recorder,
    received: u64,
    /// The length of each unfinished frame's parts.
    parts: HashMap<(u16, u32), usize>,
    sequences: HashMap<u16, SendTime>,
    hop: Many,
    cut: Many,
    kid: Many,
    sealed: Many,
    counters: Many,
    reports: Many,
    sound: Many,
    pictures: Many,
    pub(crate) seen: Seen,
}

impl Media {
    pub(crate) fn new(provider: Arc<dyn Provider>, room: Room, role: Role, secret: Secret) -> Media {
        Media {
            provider,
            room,
            leaf: role.leaf(),
            peer_leaf: role.other().leaf(),
            own: Own {
                rotation: 0,
                secret,
                sealers: HashMap::new(),
                frames: HashMap::new(),
                sequence: 65_500,
                bundler: Bundler::default(),
            },
            keys: HashMap::new(),
            openers: HashMap::new(),
            kinds: HashMap::new(),
            reassembler: Reassembler::new(),
            recorder: Recorder::default(),
            received: 0,
            parts: HashMap::new(),
            sequences: HashMap::new(),
            hop: Many::new("10", "hop headers: each datagram has the next sequence, and a time that goes on"),
            cut: Many::new(
                "10",
                "parts are even, equal, at most 1,120 bytes long and of the stream that the KID says",
            ),
            kid: Many::new("8", "KIDs name the sender and a key that it has announced"),
            sealed: Many::new("8", "frames open under the key that their KID names"),
            counters: Many::new("8", "no counter is used for two frames"),
            reports: Many::new("9", "reports: counts of one size, and arrivals of what was sent"),
            sound: Many::new("9", "audio frames: info, body, copies, zeros"),
            pictures: Many::new("9", "pictures: info, and a keyframe first"),
            seen: Seen::default(),
        }
    }

    /// The other side has announced a sender key.
    pub(crate) fn take_key(&mut self, rotation: u8, secret: Secret) {
        self.keys.insert(rotation, secret);
    }

    /// The tracks that the other side announced last.
    pub(crate) fn set_tracks(&mut self, tracks: &[TrackInfo]) {
        self.kinds = tracks.iter().map(|t| (t.id, t.source.kind())).collect();
    }

    /// Seals with this key from now on.
    pub(crate) fn switch(&mut self, rotation: u8, secret: Secret) {
        (self.own.rotation, self.own.secret) = (rotation, secret);
        self.own.sealers.clear();
    }

    /// Tells of what has come so far.
    pub(crate) fn tell(&mut self, log: &mut Log) {
        let Media { hop, cut, kid, sealed, counters, reports, sound, pictures, .. } = self;
        for (track, (id, keyframe, judged)) in &mut self.seen.first {
            if std::mem::replace(judged, true) {
                continue;
            }
            let name = || format!("frame {id} of track {track} first, keyframe: {keyframe}");
            sealed.judge(*id == 0, "the frames of a track to be counted from 0 (section 9)", name);
            if self.kinds.get(track) == Some(&MediaKind::Video) {
                pictures.judge(*keyframe, "a keyframe first", name);
            }
        }
        for many in [hop, cut, kid, sealed, counters, reports, sound, pictures] {
            many.tell(log);
        }
    }

    /// A datagram has come.
    pub(crate) fn take(&mut self, now: Time, bytes: &[u8]) {
        let padding = parse_padding(bytes);
        let packet = match parse(bytes) {
            Ok(packet) => Some(packet),
            Err(_) if padding.is_some() => None,
            Err(error) => {
                self.hop.judge(false, "a datagram of kind 0 or 1", || error.to_string());
                return;
            }
        };
        let Some(hop) = packet.map(|p| p.hop).or(padding) else { return };
        self.hop_header(now, hop.transport_sequence, hop.send_time);
        let Some(packet) = packet else { return };
        if !self.is_cut_right(&packet) {
            return;
        }
        let Some(frame) = self.reassembler.push(now, &packet) else { return };
        self.parts.remove(&(frame.stream.unwrap_or(u16::MAX), frame.header.frame_id));
        let (header, stream, sealed) = (frame.header, frame.stream, frame.bytes.into_owned());
        self.frame(header, stream, &sealed);
    }

    fn hop_header(&mut self, now: Time, sequence: u16, sent: SendTime) {
        if self.sequences.len() >= MAX_REMEMBERED {
            return;
        }
        let before = self.sequences.get(&sequence.wrapping_sub(1)).copied();
        let new = self.sequences.insert(sequence, sent).is_none();
        let goes_on = before.is_none_or(|before| sent.micros_since(before) >= 0);
        self.hop.judge(new && goes_on, "the sequence to count up and the send time to go on", || {
            if new {
                format!("a time before that of the datagram before {sequence}")
            } else {
                format!("sequence {sequence} again")
            }
        });
        self.received += 1;
        // Without wrap, a walk being far shorter than one.
        let number = if sequence < 1 << 15 { 1 << 16 | u64::from(sequence) } else { sequence.into() };
        self.recorder.add(now, number);
    }

    fn is_cut_right(&mut self, packet: &Packet<'_>) -> bool {
        let len = packet.payload.len();
        let Some(part) = packet.hop.fragment else {
            return self.cut.judge(len <= 1120, "at most 1,120 bytes of a frame in a datagram", || {
                format!("{len} bytes")
            });
        };
        let of = (part.stream, packet.header.frame_id);
        if self.parts.len() >= MAX_REMEMBERED {
            self.parts.clear();
        }
        let is_last = part.index + 1 == part.count;
        let full = *self.parts.entry(of).or_insert(if is_last { 0 } else { len });
        if full == 0 && !is_last {
            self.parts.insert(of, len);
        }
        let right = len <= 1120 && (is_last || (len.is_multiple_of(2) && (full == 0 || full == len)));
        self.cut.judge(right, "equal parts of an even length, at most 1,120 bytes", || {
            format!("part {} of {} with {len} bytes beside {full}", part.index, part.count)
        })
    }

    fn frame(&mut self, header: FrameHeader, stream: Option<u16>, sealed: &[u8]) {
        let Some((number, counter, _)) = raw::sframe_header(sealed) else {
            self.kid.judge(false, "an SFrame header (RFC 9605, section 4.3)", || "none".into());
            return;
        };
        let (rotation, track, leaf) = ((number >> 11) as u8, (number >> 7) as u8 & 15, number as u8 & 127);
        if number == kid(rotation, track, self.peer_leaf) && self.keys.is_empty() {
            // It overtook the first key.
            return;
        }
        let named = number == kid(rotation, track, self.peer_leaf) && self.keys.contains_key(&rotation);
        let agrees = stream.is_none_or(|s| u64::from(s) == number & 0x7ff);
        if !self.kid.judge(
            named && agrees,
            "epoch 0, an announced rotation, the sender's leaf, and the same in the hop header",
            || {
                format!(
                    "KID {number:#x} (rotation {rotation}, track {track}, leaf {leaf}) in stream {stream:?}"
                )
            },
        ) {
            return;
        }
        let (room, provider, keys) = (&self.room, &self.provider, &self.keys);
        let opener = self.openers.entry(number).or_insert_with(|| {
            let key = room.base_key(&keys[&rotation], number);
            Opener { key: provider.opener(number, &key), seen: HashMap::new() }
        });
        let mut metadata = Vec::with_capacity(FrameHeader::MAX_LEN);
        header.encode(&mut metadata);
        let mut plaintext = Vec::new();
        let opens = opener.key.open(&metadata, sealed, &mut plaintext).is_ok();
        if !self.sealed.judge(opens, "a frame that authenticates, its header included", || {
            format!("one of track {track} that does not")
        }) {
            return;
        }
        let tag: [u8; 16] = sealed.last_chunk().copied().unwrap_or_default();
        if opener.seen.len() >= MAX_REMEMBERED {
            return;
        }
        let before = opener.seen.insert(counter, tag);
        let once = before.is_none_or(|before| before == tag);
        let _ = self
            .counters
            .judge(once, "a counter for each frame", || format!("{counter} twice for KID {number:#x}"));
        if before.is_some() {
            // A copy of the datagram.
            return;
        }
        *self.seen.frames.entry((rotation, track)).or_default() += 1;
        let first = self.seen.first.entry(track).or_insert((header.frame_id, header.keyframe, false));
        if header.frame_id < first.0 {
            *first = (header.frame_id, header.keyframe, false);
        }
        match (track, self.kinds.get(&track)) {
            (REPORTS, _) => self.report(&plaintext),
            (_, Some(MediaKind::Audio)) => self.audio(&plaintext),
            (_, Some(MediaKind::Video)) => self.picture(&plaintext),
            // Its announcement may be on its way.
            (_, None) => {}
        }
    }

    fn report(&mut self, plaintext: &[u8]) {
        let read = raw::report(plaintext).zip(raw::fields(plaintext));
        let Some((report, fields)) = read else {
            self.reports.judge(false, "fields in their forms", || "a malformed report".into());
            return;
        };
        let counts: usize =
            fields.iter().filter(|(kind, _)| matches!(kind, 1..=8 | 33)).map(|(_, v)| 2 + v.len()).sum();
        let whole = report.counts.is_none() || counts == COUNTS;
        let sent = |n: u16| n.wrapping_sub(65_500) < self.own.sequence.wrapping_sub(65_500);
        let arrivals = report.arrivals.as_ref().map_or(&[][..], |a| &a.fates[..]);
        let told: Vec<u16> = arrivals.iter().filter(|f| f.arrival.is_some()).map(|f| f.sequence).collect();
        let alien = told.iter().find(|n| !sent(**n));
        let right = whole && alien.is_none() && (report.counts.is_some() || counts == 0);
        self.reports.judge(
            right,
            "counts 1 to 8 together, filled up to 50 bytes, and arrivals of what was sent",
            || match alien {
                Some(n) => format!("the arrival of {n}, which was not sent"),
                None => format!("{counts} bytes of counts"),
            },
        );
        self.seen.arrivals += told.len();
        self.seen.counts = report.counts.or(self.seen.counts);
        for (track, decoded, _) in report.pictures {
            if track == CAMERA {
                self.seen.tells_of_pictures = true;
                self.seen.decoded = self.seen.decoded.max(decoded);
            }
        }
    }

    fn audio(&mut self, mut plaintext: &[u8]) {
        let info = FrameInfo::decode(MediaKind::Audio, &mut plaintext);
        let body = Bundle::parse(plaintext);
        let right = info.is_ok() && body.as_ref().is_ok_and(|body| !body.payload.is_empty());
        self.sound.judge(right, "an info of layout 0 and a body that is whole", || {
            format!("{info:?} and {:?}", body.err())
        });
    }

    fn picture(&mut self, mut plaintext: &[u8]) {
        let info = FrameInfo::decode(MediaKind::Video, &mut plaintext);
        let codes = plaintext.starts_with(&[0, 0, 1]) || plaintext.starts_with(&[0, 0, 0, 1]);
        self.pictures.judge(info.is_ok() && codes, "an info of layout 0 and a picture in Annex B", || {
            format!("{info:?}, start code: {codes}")
        });
    }

    /// Seals any plaintext as the next frame of `track`, in one datagram or several.
    pub(crate) fn seal(&mut self, track: u8, keyframe: bool, plaintext: &[u8]) -> (FrameHeader, Vec<u8>) {
        let id = self.own.frames.entry(track).or_default();
        let header =
            FrameHeader { keyframe, discardable: track != CAMERA, frame_id: *id, ..FrameHeader::default() };
        *id += 1;
        let number = kid(self.own.rotation, track, self.leaf);
        let (provider, room, secret) = (&self.provider, &self.room, &self.own.secret);
        let sealer = self
            .own
            .sealers
            .entry(track)
            .or_insert_with(|| provider.sealer(number, &room.base_key(secret, number)));
        let mut metadata = Vec::new();
        header.encode(&mut metadata);
        let mut sealed = Vec::new();
        // A walk is far from the end of a counter.
        let _ = sealer.seal(&metadata, plaintext, &mut sealed);
        (header, sealed.split_off(metadata.len()))
    }

    /// The parts of a sealed frame, and as much parity.
    pub(crate) fn cut(&self, track: u8, header: &FrameHeader, sealed: &[u8], parity: u16) -> Vec<Datagram> {
        let stream = (kid(0, track, self.leaf) & 0x7ff) as u16;
        let packetiser = Packetiser::default();
        let mut datagrams = packetiser.packetise(header, stream, sealed, 0xa).unwrap_or_default();
        datagrams.extend(packetiser.protect(header, stream, sealed, 0x5, parity).unwrap_or_default());
        datagrams
    }

    /// Stamps a datagram: it goes next.
    pub(crate) fn stamp(&mut self, now: Time, datagram: &mut [u8]) {
        stamp(datagram, self.own.sequence, now);
        self.own.sequence = self.own.sequence.wrapping_add(1);
    }

    /// 20 ms of silence.
    pub(crate) fn voice(&mut self, now: Time) -> Vec<Datagram> {
        let (id, capture) = (self.own.frames.get(&VOICE).copied().unwrap_or(0), now.as_micros());
        let frame = SpokenFrame { id, capture, duration: FRAME, level: 127, payload: &SILENT };
        let mut plaintext = Vec::new();
        FrameInfo::Audio { capture, duration: FRAME, level: 127 }.encode(&mut plaintext);
        self.own.bundler.write(&frame, &Copies::new(&[1, 3], AUDIO_BODY), &mut plaintext);
        let (header, sealed) = self.seal(VOICE, true, &plaintext);
        self.cut(VOICE, &header, &sealed, 0)
    }

    /// A picture: its frame id, its parts and as much parity.
    pub(crate) fn picture_of(&mut self, now: Time, parity: u16) -> (u32, Vec<Datagram>) {
        let n = self.own.frames.get(&CAMERA).copied().unwrap_or(0);
        let mut plaintext = Vec::new();
        FrameInfo::Video { capture: now.as_micros(), skippable: 0 }.encode(&mut plaintext);
        plaintext.extend_from_slice(&picture::keyframe(n));
        let (header, sealed) = self.seal(CAMERA, true, &plaintext);
        (n, self.cut(CAMERA, &header, &sealed, parity))
    }

    /// What has come, as a report, with a field that nobody knows.
    pub(crate) fn own_report(&mut self, now: Time) -> Vec<Datagram> {
        let mut plaintext = Vec::new();
        raw::put(1_000_000, b"unknown", &mut plaintext);
        if let Some(arrivals) = self.recorder.report(now) {
            raw::put(9, &arrivals, &mut plaintext);
        }
        let start = plaintext.len();
        for (kind, count) in (1..=8).zip([self.received, 0, 0, 0, 0, 0, 0, 0]) {
            raw::put_number(kind, count, &mut plaintext);
        }
        let room = COUNTS.saturating_sub(plaintext.len() - start + 2);
        raw::put(33, &[0; COUNTS][..room], &mut plaintext);
        let (header, sealed) = self.seal(REPORTS, true, &plaintext);
        self.cut(REPORTS, &header, &sealed, 0)
    }
}
