//! What comes in: control messages from the stream, frames from datagrams.
//!
//! Guarantee: nothing counts as heard from the peer before it was opened with the peer's key; what cannot be opened is
//! counted and dropped, what cannot be opened yet waits at most 500 ms, bounded.

use super::recover::ASSUMED_ROUND_TRIP;
use super::report::{Arrivals, decode};
use super::{Call, EndedBy, Event, KEYFRAME_INTERVAL, Peer, Phase};
use crate::control::{Message, Reason};
use crate::crypto::read_header;
use crate::handshake::Role;
use crate::identity::PublicIdentity;
use crate::keys::{Kid, OpenError, PeerKeys, REPORT_TRACK, SenderKey};
use crate::media::audio::Bundle;
use crate::media::seen::Seen;
use crate::media::{
    FrameHeader, FrameInfo, MediaKind, Reassembler, ReassemblyCounters, parse, parse_padding, unwrap_capture,
};
use crate::offer::{Offer, TrackState};
use crate::time::Time;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The longest control frame.
const MAX_CONTROL: usize = 16 * 1024;
const MAX_WAITING: usize = 256;
const MAX_WAITING_BYTES: usize = 512 << 10;
const WAIT: Duration = Duration::from_millis(500);

/// An opened frame of one of the peer's tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingFrame {
    /// The track.
    pub track: u8,
    /// Its header.
    pub header: FrameHeader,
    /// What was sealed with it; the capture time is whole (unwrapped), on the peer's clock.
    pub info: FrameInfo,
    /// The codec's bytes.
    pub payload: Vec<u8>,
    /// When its last packet came.
    pub arrived: Time,
}

/// A frame whose key or track is not known yet.
struct Waiting {
    since: Time,
    header: FrameHeader,
    stream: Option<u16>,
    bytes: Vec<u8>,
}

pub(super) struct Inbox {
    keys: PeerKeys,
    reassembler: Reassembler,
    pub(super) arrivals: Arrivals,
    pub(super) frames: VecDeque<IncomingFrame>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Each track's latest capture time, whole.
    captures: HashMap<u8, u64>,
    /// Which frames of each track with sound have come, by themselves or as copies.
    heard: HashMap<u8, Seen>,
    pub(super) dropped: u64,
    /// Whether something came that is worth a report: reports alone would answer each other for ever.
    pub(super) news: bool,
}

impl Inbox {
    pub(super) fn new(keys: PeerKeys) -> Inbox {
        Inbox {
            keys,
            reassembler: Reassembler::new(),
            arrivals: Arrivals::default(),
            frames: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            captures: HashMap::new(),
            heard: HashMap::new(),
            dropped: 0,
            news: false,
        }
    }

    /// What the reassembler has seen.
    pub(super) fn reassembly(&self) -> ReassemblyCounters {
        self.reassembler.counters()
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> &PeerKeys {
        &self.keys
    }

    /// How many bytes are held.
    #[cfg(feature = "fuzzing")]
    pub(super) fn held(&self) -> usize {
        let frames: usize = self.frames.iter().map(|f| f.payload.len()).sum();
        self.reassembler.held() + self.waiting_bytes + frames
    }

    pub(super) fn expire(&mut self, now: Time) {
        self.reassembler.expire(now);
        self.keys.forget_old(now);
        while self.waiting.front().is_some_and(|w| now.since(w.since) > WAIT) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(old) = self.waiting.pop_front() {
            self.waiting_bytes -= old.bytes.len();
            self.dropped += 1;
        }
    }

    fn wait(&mut self, frame: Waiting) {
        self.waiting_bytes += frame.bytes.len();
        self.waiting.push_back(frame);
        while self.waiting.len() > MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES {
            self.forget_oldest();
        }
    }
}

impl Call {
    /// Takes bytes from the stream, in order.
    pub fn handle_stream(&mut self, now: Time, bytes: &[u8]) {
        if self.phase == Phase::Over {
            return;
        }
        self.line.reader.push(bytes);
        while self.phase != Phase::Over {
            let frame = match self.line.reader.next(MAX_CONTROL) {
                Ok(Some(frame)) => frame,
                Ok(None) => return self.turnover.half_message(self.line.reader.is_half(), now),
                Err(_) => return self.violation("an overlong control message"),
            };
            self.turnover.half_message(false, now);
            let Ok(plaintext) = self.line.channel.open(frame) else {
                return self.violation("a control message that does not open");
            };
            if let Peer::Claimed(claim) = &self.peer {
                let proof =
                    claim.prove(&plaintext).and_then(|(peer, offer)| Ok((peer, Offer::decode(&offer)?)));
                let Ok((peer, offer)) = proof else { return self.unproven() };
                self.proven(now, peer, offer);
                continue;
            }
            let Ok(message) = Message::decode(&plaintext) else {
                return self.violation("a malformed control message");
            };
            if message.as_ref().is_some_and(Message::carries_secret) {
                self.line.channel.rekey_incoming();
            }
            self.heard(now);
            self.opened(now);
            if let Some(message) = message {
                self.message(now, message);
            }
        }
    }

    fn proven(&mut self, now: Time, peer: PublicIdentity, offer: Offer) {
        self.peer = Peer::Proven(peer);
        let tracks = offer.tracks.clone();
        self.peer_offer = offer;
        self.event(Event::Proven);
        self.judge();
        self.event(Event::Tracks(tracks));
        self.heard(now);
    }

    /// The caller whom this side has answered ahead proves nothing, or not in time.
    pub(super) fn unproven(&mut self) {
        self.violation("no proof of who calls");
    }

    pub(super) fn violation(&mut self, what: &'static str) {
        tracing::debug!(what, "the peer broke the protocol");
        self.hang_up(Reason::ProtocolError);
    }

    fn message(&mut self, now: Time, message: Message) {
        let (caller, ringing) = (self.line.role == Role::Caller, self.phase == Phase::Ringing);
        match message {
            Message::Ringing if caller && ringing && self.door_opened(now) => {
                self.rang = true;
                self.event(Event::Ringing);
            }
            Message::Answer(offer) if caller && ringing && self.door_opened(now) => {
                let tracks = offer.tracks.clone();
                self.peer_offer = offer;
                self.talk(now);
                self.event(Event::Answered);
                self.event(Event::Tracks(tracks));
                self.retry_waiting(now);
            }
            Message::Decline(reason) if caller && ringing => self.end(reason, EndedBy::Peer),
            Message::Hangup(reason) => self.end(reason, EndedBy::Peer),
            Message::SenderKey(key) => self.sender_key(now, key),
            Message::KeyTaken { rotation } => self.key_taken(rotation),
            Message::Renew(renew) => self.renew(now, &renew),
            Message::Renewed(renewed) => self.renewed(now, &renewed),
            Message::Switched => self.switched(now),
            Message::Tracks(offer) => {
                self.peer_offer.tracks = offer.tracks;
                self.event(Event::Tracks(self.peer_offer.tracks.clone()));
                self.retry_waiting(now);
            }
            Message::TrackState { track, state } => self.peer_track_state(track, state),
            Message::KeyframeRequest { track } => self.keyframe_requested(now, track),
            Message::Recording(on) => self.event(Event::PeerRecording(on)),
            Message::Code(message) => self.code_message(message),
            Message::Door(message) => self.door_message(now, message),
            Message::Contact(offer) => self.peer_contact(*offer),
            Message::Reach(addresses) => self.peer_reach(addresses),
            Message::Ways(ways) => self.peer_ways(*ways),
            Message::Session(name) => self.peer_session(name),
            Message::Relay(hint) => self.peer_relay(hint),
            Message::Ringing | Message::Answer(_) | Message::Decline(_) => {
                self.violation("an answer to what was not asked");
            }
        }
    }

    fn sender_key(&mut self, now: Time, key: SenderKey) {
        let rotation = key.rotation;
        let first = self.inbox.keys.is_empty();
        if !self.peer().is_some_and(|peer| self.inbox.keys.take(key, &peer, now)) {
            return self.violation("a sender key out of order or not signed by its owner");
        }
        if !first {
            self.write(&Message::KeyTaken { rotation });
        }
        self.retry_waiting(now);
    }

    fn peer_track_state(&mut self, track: u8, state: TrackState) {
        let changed = self.peer_offer.tracks.iter_mut().find(|t| t.id == track && t.state != state);
        if let Some(info) = changed {
            info.state = state;
            self.event(Event::TrackState { track, state });
        }
    }

    fn keyframe_requested(&mut self, now: Time, track: u8) {
        let Some(own) = self.tracks.get_mut(&track) else { return };
        if own.keyframe_asked.is_none_or(|last| now.since(last) >= KEYFRAME_INTERVAL) {
            own.keyframe_asked = Some(now);
            self.event(Event::KeyframeRequested { track });
        }
    }

    /// Takes a datagram, in whatever order they come.
    pub fn handle_datagram(&mut self, now: Time, bytes: &[u8]) {
        if self.phase == Phase::Over {
            return;
        }
        if let Some(hop) = parse_padding(bytes) {
            self.stats.bytes_received += bytes.len() as u64;
            self.inbox.arrivals.add(now, hop.transport_sequence, hop.send_time);
            self.inbox.news = true;
            return;
        }
        let Ok(packet) = parse(bytes) else {
            self.inbox.dropped += 1;
            return;
        };
        self.stats.bytes_received += bytes.len() as u64;
        if self.inbox.arrivals.add(now, packet.hop.transport_sequence, packet.hop.send_time) {
            self.hurry(now);
        }
        // Parts of nobody's frames are not kept: a peer has 16 streams, not 2,048.
        let leaf = self.line.role.other().leaf();
        if packet.hop.fragment.is_some_and(|f| f.stream & 127 != u16::from(leaf)) {
            self.inbox.dropped += 1;
            return;
        }
        if let Some(frame) = self.inbox.reassembler.push(now, &packet) {
            let (header, stream) = (frame.header, frame.stream);
            self.frame(now, now, header, stream, frame.bytes);
        }
    }

    fn frame(
        &mut self,
        now: Time,
        since: Time,
        header: FrameHeader,
        stream: Option<u16>,
        bytes: std::borrow::Cow<'_, [u8]>,
    ) {
        let Some((kid, counter)) = read_header(&bytes).map(|(kid, counter, _)| (Kid::decode(kid), counter))
        else {
            self.inbox.dropped += 1;
            return;
        };
        let track = self.peer_offer.tracks.iter().find(|t| t.id == kid.track).map(|t| t.source.kind());
        let mut early = track.is_none() && kid.track != REPORT_TRACK;
        if !early && stream.is_none_or(|s| s == kid.stream()) {
            let mut metadata = Vec::with_capacity(FrameHeader::MAX_LEN);
            header.encode(&mut metadata);
            let mut plaintext = Vec::new();
            match self.inbox.keys.open((kid, counter), &metadata, &bytes, &mut plaintext, now) {
                Ok(()) => {
                    self.heard(now);
                    match track {
                        None => self.report(now, &plaintext),
                        Some(kind) => {
                            self.inbox.news = true;
                            self.media(since, kid.track, header, kind, &plaintext);
                        }
                    }
                    return;
                }
                Err(OpenError::NoKey) => early = true,
                // Small pictures are protected by a copy, and what was taken for lost may come after all.
                Err(OpenError::Replayed) if track == Some(MediaKind::Video) => return,
                Err(OpenError::OtherSender | OpenError::Replayed | OpenError::Forged) => {}
            }
        }
        if early && now.since(since) <= WAIT {
            self.inbox.wait(Waiting { since, header, stream, bytes: bytes.into_owned() });
        } else {
            self.inbox.dropped += 1;
        }
    }

    fn retry_waiting(&mut self, now: Time) {
        self.inbox.waiting_bytes = 0;
        for w in std::mem::take(&mut self.inbox.waiting) {
            self.frame(now, w.since, w.header, w.stream, w.bytes.into());
        }
    }

    fn report(&mut self, now: Time, plaintext: &[u8]) {
        let Ok(told) = decode(plaintext) else {
            self.inbox.dropped += 1;
            return;
        };
        if let Some(feedback) = &told.arrivals {
            self.rate.report(now, feedback);
            let network = self.rate.network();
            self.protection.update(&network);
            let round_trip = network.round_trip.unwrap_or(ASSUMED_ROUND_TRIP);
            let again = self.pictures.report(now, feedback, &mut self.protection, round_trip);
            self.protection.sent(0, again);
            self.share();
        }
        for state in &told.pictures {
            self.picture_state(now, state);
        }
        // Reports may overtake each other; counts only grow.
        if let Some(report) =
            told.counts.filter(|r| self.stats.peer.is_none_or(|last| last.received <= r.received))
        {
            self.stats.peer = Some(report);
        }
    }

    fn media(
        &mut self,
        arrived: Time,
        track: u8,
        header: FrameHeader,
        kind: MediaKind,
        mut plaintext: &[u8],
    ) {
        let info = FrameInfo::decode(kind, &mut plaintext);
        let (Ok(mut info), Phase::Talking, false) = (info, self.phase, self.is_held()) else {
            self.inbox.dropped += 1;
            return;
        };
        let (FrameInfo::Audio { capture, .. } | FrameInfo::Video { capture, .. }) = &mut info;
        let last = self.inbox.captures.get(&track).copied().unwrap_or(*capture);
        *capture = unwrap_capture(last, *capture);
        let capture = *capture;
        let frame = IncomingFrame { track, header, info, payload: Vec::new(), arrived };
        if kind == MediaKind::Audio {
            let Ok(bundle) = Bundle::parse(plaintext) else {
                self.inbox.dropped += 1;
                return;
            };
            self.sound(&frame, &bundle);
        } else {
            self.inbox.frames.push_back(IncomingFrame { payload: plaintext.to_vec(), ..frame });
        }
        self.inbox.captures.insert(track, capture);
    }

    /// Gives out a frame with sound, after those among its copies that had not come before.
    fn sound(&mut self, frame: &IncomingFrame, bundle: &Bundle<'_>) {
        let heard = self.inbox.heard.entry(frame.track).or_default();
        for copy in bundle.copies.iter().rev() {
            let Some(frame_id) = frame.header.frame_id.checked_sub(copy.offset.into()) else { continue };
            // Nothing is before the first frame's clock has wrapped; such a copy is of no use so early in a call.
            let Some(capture) = frame.info.capture().checked_sub(copy.earlier) else { continue };
            if !heard.lacks(frame_id) {
                continue;
            }
            heard.insert(frame_id);
            self.inbox.frames.push_back(IncomingFrame {
                header: FrameHeader { frame_id, ..frame.header },
                info: FrameInfo::Audio { capture, duration: copy.duration, level: copy.level },
                payload: copy.payload.to_vec(),
                ..frame.clone()
            });
        }
        // More than a second behind what has come, sound is of no use, and nobody knows whether it came before.
        if !heard.is_old(frame.header.frame_id) && heard.insert(frame.header.frame_id) {
            self.inbox.frames.push_back(IncomingFrame { payload: bundle.payload.to_vec(), ..frame.clone() });
        }
    }
}
