//! One call with one peer: from the proven handshake to its end, without I/O.
//!
//! Feed it with `handle_*` (bytes from the stream, datagrams, time), with local wishes ([`Call::answer`],
//! [`Call::send_audio`], …), then drain `poll_stream`, `poll_datagram`, `poll_event` and `poll_frame` until each gives
//! `None`, and call [`Call::handle_timeout`] at [`Call::poll_timeout`].
//!
//! Guarantee: no media leaves before the call is answered, and none that came earlier gets through; a caller who has
//! proven nothing yet has no name here, and nothing that it sends is opened but the proof; with somebody whose key has
//! changed no media is exchanged before a person accepts it; whatever the peer sends, memory stays below [`MAX_MEMORY`] and the call goes on or ends with a reason.

mod begin;
mod contact;
mod door;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod outbox;
mod pictures;
mod protect;
mod receive;
mod recover;
mod report;
mod rotate;
mod send;
#[cfg(all(test, feature = "aws-lc"))]
mod tests;
mod verification;
mod ways;

pub use door::{Door, DoorEvent};
pub use receive::IncomingFrame;
pub use recover::PictureFeedback;
#[cfg(all(test, feature = "aws-lc", feature = "pure-rust"))]
pub(crate) use report::written_report;
pub use report::{Playout, Report};
pub use rotate::KeyLifetimes;

use crate::control::{Message, Reason};
use crate::crypto::CryptoError;
use crate::handshake::{CallId, Claim, Line, Pass, Role};
use crate::identity::PublicIdentity;
use crate::keys::{OwnKeys, REPORT_TRACK};
use crate::mailbox::RelayHint;
use crate::media::audio::Bundler;
use crate::media::{MediaKind, Packetiser};
use crate::offer::{Offer, TrackInfo, TrackState};
use crate::rate::{RateControl, Share};
use crate::time::Time;
use crate::verify::{Code, CodeFailure, Trust};
use crate::ways::{SessionName, Ways};
use door::Threshold;
use outbox::Outbox;
use pictures::Pictures;
use protect::Protection;
use receive::Inbox;
use recover::Recovering;
use report::PictureState;
use rotate::Turnover;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;
use verification::Verification;

/// Bound on what one call holds for its peer: reassembly 4 MiB, frames that wait for a key 0.5 MiB, pictures to be
/// sent 1 MiB, the rest small.
pub const MAX_MEMORY: usize = 6 << 20;
/// How often each side reports its counts, and reports at all when nothing came.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);
/// What is wanted of the network unless said otherwise, in bit/s.
const DEFAULT_RATE: u32 = 2_000_000;
/// The length of a report's packet apart from what it tells of arrivals.
const REPORT_LEN: usize = 40;
/// So long the first picture, which fills a thin link for a while, waits for the first of the voice.
const VOICE_FIRST: Duration = Duration::from_millis(80);
/// Silence after which a call counts as interrupted.
const INTERRUPTED_AFTER: Duration = Duration::from_millis(1500);
/// How long a caller whom this side has answered ahead may take to prove itself.
pub const PROOF_DEADLINE: Duration = Duration::from_secs(3);
/// Most events that wait; a peer that causes more at once is up to no good.
const MAX_EVENTS: usize = 256;
/// A keyframe costs the sender much; the peer gets one at most this often.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(100);

/// The times that end a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long it rings: default 60 s.
    pub ringing: Duration,
    /// How long nothing may be heard of the peer: default 30 s.
    pub vanished: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { ringing: Duration::from_secs(60), vanished: Duration::from_secs(30) }
    }
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedBy {
    /// This side.
    Local,
    /// The other side.
    Peer,
    /// Neither: the network between them.
    Network,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Caller: the callee wants a passcode, and [`Call::enter_passcode`] gives it.
    PasscodeWanted,
    /// Caller: somebody has to let this side in.
    Waiting,
    /// The callee's device rings.
    Ringing,
    /// The callee answered: from now on media flows.
    Answered,
    /// The caller whom this side has answered ahead has proven itself.
    Proven,
    /// Who is there is not who was [expected](Call::expect): no media flows before a person has
    /// [accepted](Call::accept_changed_key) that.
    KeyChanged(Trust),
    /// The call's code is there, for both people to compare.
    Code(Code),
    /// There is no code in this call.
    CodeFailed(CodeFailure),
    /// The peer's tracks are these now.
    Tracks(Vec<TrackInfo>),
    /// The peer switched one of its tracks on or off.
    TrackState {
        /// Which.
        track: u8,
        /// What it is now.
        state: TrackState,
    },
    /// The peer cannot go on without a keyframe of this track.
    KeyframeRequested {
        /// One of this side's tracks.
        track: u8,
    },
    /// Both sides have offered to renew the secret by which they can call each other; it can be
    /// [taken](Call::take_contact_key).
    ContactKey,
    /// Where the peer says that it can be reached.
    Reach(Vec<SocketAddr>),
    /// Where the peer may be found besides, in place of what it said before.
    Ways(Box<Ways>),
    /// The relay where the peer says that it waits for this side, in later calls.
    Relay(Box<RelayHint>),
    /// Callee: which of this side's sessions with a relay goes with this call.
    Session(SessionName),
    /// The peer records, or has stopped. A modified program can record without saying so.
    PeerRecording(bool),
    /// Nothing has been heard of the peer for 1.5 s.
    Interrupted,
    /// The peer is heard again.
    Resumed,
    /// The call is over; nothing follows.
    Ended {
        /// Why.
        reason: Reason,
        /// By whom.
        by: EndedBy,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Callee: the caller has to pass the door before it rings.
    Door,
    /// Caller: nothing heard yet, or it rings. Callee: it rings here.
    Ringing,
    Talking,
    Over,
}

/// What a call has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStats {
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Bytes of datagrams sent, without QUIC's, UDP's and IP's headers.
    pub bytes_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Bytes of datagrams received.
    pub bytes_received: u64,
    /// Datagrams that did not come.
    pub datagrams_lost: u64,
    /// Interarrival jitter in µs.
    pub jitter_us: u64,
    /// Datagrams dropped because they were no packets, forged, replayed or of an unknown track.
    pub dropped: u64,
    /// The smoothed round trip, as reports measure it.
    pub round_trip: Option<Duration>,
    /// The peer's last report: what it receives, plays and shows.
    pub peer: Option<Report>,
    /// Bytes of pictures that wait to be sent, without parity.
    pub video_queue_bytes: usize,
    /// What the way to the peer is thought to carry, in bit/s, headers of all layers included.
    pub estimate: u32,
    /// What may be sent now, in bit/s: the estimate, or less while a queue in the network drains.
    pub target: u32,
    /// What of it voice and pictures get.
    pub share: Share,
    /// Packets of pictures sent again because they were lost.
    pub pictures_repeated: u64,
    /// Packets of parity sent beside pictures, and received.
    pub parity_sent: u64,
    /// See `parity_sent`.
    pub parity_received: u64,
    /// The peer's frames that parity made whole.
    pub frames_repaired: u64,
    /// How many sender keys of this side were replaced by the next.
    pub sender_keys: u32,
    /// How many handshakes were done inside the call, after its first.
    pub handshakes: u32,
}

/// Why a frame was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The call is not answered yet, or is over.
    #[error("the call is not answered yet, or is over")]
    NotTalking,
    /// The other side's key has changed, and no person has accepted it.
    #[error("the other side's key has changed; a person has to accept it first")]
    KeyChanged,
    /// There is no such track, or it is muted.
    #[error("track {track} is not live")]
    NotLive {
        /// Which.
        track: u8,
    },
    /// The track was announced as the other of sound and pictures.
    #[error("track {track} was announced as {announced:?}, and so takes nothing else")]
    OtherKind {
        /// Which.
        track: u8,
        /// What it takes.
        announced: MediaKind,
    },
    /// Too much waits already; the next picture has to be a keyframe.
    #[error("more pictures wait to be sent than fit; send a keyframe next")]
    QueueFull,
    /// Larger than a frame can be.
    #[error("a frame of {came} bytes is larger than a frame can be")]
    TooLarge {
        /// Its length.
        came: usize,
    },
    /// The key is used up.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// One encoded picture to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Whether decoding can begin with it.
    pub keyframe: bool,
    /// Whether nothing refers to it.
    pub discardable: bool,
    /// The frame id of the picture that it builds on, as [`Call::send_video`] gave it; `None` stands for the last one that is not
    /// discardable.
    pub refers_to: Option<u32>,
    /// 0 to 3.
    pub temporal_layer: u8,
    /// 0 to 3.
    pub spatial_layer: u8,
    /// When it was captured, on this endpoint's clock.
    pub capture: Time,
    /// The codec's bytes.
    pub payload: &'a [u8],
}

struct OwnTrack {
    info: TrackInfo,
    next_frame: u32,
    /// The last picture that is not discardable.
    reference: Option<u32>,
    keyframe_asked: Option<Time>,
    recovering: Recovering,
    bundler: Bundler,
}

/// Who the other side is.
enum Peer {
    Proven(PublicIdentity),
    /// To be proven by the first message on the stream.
    Claimed(Claim),
}

/// A call with one peer.
pub struct Call {
    line: Line,
    peer: Peer,
    phase: Phase,
    timeouts: Timeouts,
    began: Time,
    own: OwnKeys,
    turnover: Turnover,
    tracks: HashMap<u8, OwnTrack>,
    peer_offer: Offer,
    packetiser: Packetiser,
    /// Pictures wait until then for the first of the voice.
    hushed: Time,
    contact: contact::Exchange,
    outbox: Outbox,
    pictures: Pictures,
    protection: Protection,
    inbox: Inbox,
    to_stream: Vec<u8>,
    events: VecDeque<Event>,
    transport_sequence: u16,
    last_heard: Time,
    interrupted: bool,
    next_report: Time,
    next_counts: Time,
    /// When the last report was sent, and what is told of each of the peer's tracks with pictures.
    reported: Time,
    /// The usual time between two; and whether the next one tells of a loss.
    report_interval: Duration,
    hurried: bool,
    shown: BTreeMap<u8, PictureState>,
    rate: RateControl,
    share: Share,
    report_frame: u32,
    playout: Playout,
    stats: CallStats,
    scratch: (Vec<u8>, Vec<u8>),
    verification: Verification,
    threshold: Threshold,
    door_events: VecDeque<DoorEvent>,
    /// Caller: it has rung.
    rang: bool,
}

impl Call {
    /// Who is on the other side, proven by the handshake; `None` while that is still to come, at a callee who has answered
    /// [ahead](Call::ahead).
    #[must_use]
    pub fn peer(&self) -> Option<PublicIdentity> {
        match &self.peer {
            Peer::Proven(peer) => Some(*peer),
            Peer::Claimed(_) => None,
        }
    }

    /// Which side this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.line.role
    }

    /// The call's name.
    #[must_use]
    pub fn call_id(&self) -> CallId {
        self.line.call_id
    }

    /// What let the caller through.
    #[must_use]
    pub fn pass(&self) -> Pass {
        self.line.by.pass
    }

    /// What the peer calls itself, sends and can receive. At the caller it is empty until the answer, at a callee who has
    /// answered ahead until the proof.
    #[must_use]
    pub fn peer_offer(&self) -> &Offer {
        &self.peer_offer
    }

    /// Whether media flows.
    #[must_use]
    pub fn is_talking(&self) -> bool {
        self.phase == Phase::Talking
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> CallStats {
        let arrivals = &self.inbox.arrivals;
        CallStats {
            datagrams_received: arrivals.received,
            datagrams_lost: arrivals.lost(),
            jitter_us: arrivals.jitter_us(),
            dropped: self.inbox.dropped,
            video_queue_bytes: self.pictures.bytes(),
            pictures_repeated: self.pictures.repeated,
            parity_sent: self.pictures.protected,
            parity_received: self.inbox.reassembly().parity,
            frames_repaired: self.inbox.reassembly().repaired,
            round_trip: self.rate.network().round_trip,
            estimate: self.rate.estimate(),
            target: self.rate.target(),
            share: self.share,
            ..self.stats
        }
    }

    /// Callee: takes the call with what this side sends. Without effect unless it rings here, and while a changed key is
    /// not accepted.
    pub fn answer(&mut self, now: Time, offer: &Offer) {
        if self.phase == Phase::Ringing && self.line.role == Role::Callee && !self.is_held() {
            self.write(&Message::Answer(offer.clone()));
            self.set_tracks(offer);
            self.talk(now);
            self.event(Event::Answered);
            self.last_heard = self.last_heard.max(now);
        }
    }

    /// Callee: does not take the call. Without effect unless it rings here, or the caller is at the door.
    pub fn decline(&mut self, reason: Reason) {
        if matches!(self.phase, Phase::Door | Phase::Ringing) && self.line.role == Role::Callee {
            self.write(&Message::Decline(reason));
            self.end(reason, EndedBy::Local);
        }
    }

    /// Ends the call, in whatever phase.
    pub fn hang_up(&mut self, reason: Reason) {
        if self.phase != Phase::Over {
            self.write(&Message::Hangup(reason));
            self.end(reason, EndedBy::Local);
        }
    }

    /// The connection below is gone. `reason` is what the other side gave, if it did.
    pub fn connection_lost(&mut self, reason: Option<Reason>) {
        match reason {
            Some(reason) => self.end(reason, EndedBy::Peer),
            None => self.end(Reason::Vanished, EndedBy::Network),
        }
    }

    /// Replaces this side's tracks and tells the peer.
    pub fn announce_tracks(&mut self, offer: &Offer) {
        self.set_tracks(offer);
        self.write(&Message::Tracks(offer.clone()));
    }

    fn set_tracks(&mut self, offer: &Offer) {
        let mut old = std::mem::take(&mut self.tracks);
        for info in offer.tracks.iter().filter(|t| t.id < REPORT_TRACK) {
            let mut track = old.remove(&info.id).unwrap_or(OwnTrack {
                info: info.clone(),
                next_frame: 0,
                reference: None,
                keyframe_asked: None,
                recovering: Recovering::default(),
                bundler: Bundler::default(),
            });
            track.info = info.clone();
            self.tracks.insert(info.id, track);
        }
        self.share();
    }

    /// Switches one of this side's tracks and tells the peer.
    pub fn set_track_state(&mut self, track: u8, state: TrackState) {
        if let Some(own) = self.tracks.get_mut(&track).filter(|t| t.info.state != state) {
            own.info.state = state;
            self.write(&Message::TrackState { track, state });
            self.share();
        }
    }

    /// Asks the peer for a keyframe of one of its tracks.
    pub fn request_keyframe(&mut self, track: u8) {
        if self.phase == Phase::Talking {
            self.write(&Message::KeyframeRequest { track });
        }
    }

    /// Tells the peer that this side records, or no longer does; to be said before the first sample is kept.
    pub fn announce_recording(&mut self, on: bool) {
        self.write(&Message::Recording(on));
    }

    /// Says what this side has really played and shown, for the next report.
    pub fn set_playout(&mut self, playout: Playout) {
        self.playout = playout;
    }

    /// The next bytes to write to the stream, in order.
    pub fn poll_stream(&mut self) -> Option<Vec<u8>> {
        (!self.to_stream.is_empty()).then(|| std::mem::take(&mut self.to_stream))
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next opened frame of the peer's tracks, in order of arrival.
    pub fn poll_frame(&mut self) -> Option<IncomingFrame> {
        self.inbox.frames.pop_front()
    }

    /// When [`handle_timeout`](Call::handle_timeout) is due; `None` once the call is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.phase == Phase::Over {
            return None;
        }
        if self.peer().is_none() {
            let next = self.report_due().min(self.began + PROOF_DEADLINE);
            return Some(self.rate.due().map_or(next, |at| next.min(at)));
        }
        let quiet = if self.interrupted { self.timeouts.vanished } else { INTERRUPTED_AFTER };
        let mut next = self.report_due().min(self.last_heard + quiet);
        next = self.turnover_due().map_or(next, |at| next.min(at));
        next = self.code_due().map_or(next, |at| next.min(at));
        if self.phase == Phase::Talking {
            next = self.rate.due().map_or(next, |at| next.min(at));
        }
        if matches!(self.phase, Phase::Door | Phase::Ringing) {
            next = next.min(self.began + self.timeouts.ringing);
        }
        Some(next)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.phase == Phase::Over {
            return;
        }
        if matches!(self.phase, Phase::Door | Phase::Ringing) && now >= self.began + self.timeouts.ringing {
            return self.hang_up(Reason::NotAnswered);
        }
        // A caller who is still to prove itself is not there yet, so it cannot go missing.
        let proven = self.peer().is_some();
        if !proven && now >= self.began + PROOF_DEADLINE {
            return self.unproven();
        }
        let quiet = now.since(self.last_heard);
        if quiet >= self.timeouts.vanished {
            return self.end(Reason::Vanished, EndedBy::Network);
        }
        if proven && quiet >= INTERRUPTED_AFTER && !self.interrupted {
            self.interrupted = true;
            self.event(Event::Interrupted);
        }
        if self.phase == Phase::Talking && self.rate.due().is_some_and(|at| now >= at) {
            self.rate.tick(now);
            self.share();
        }
        if self.turnover_due().is_some_and(|at| now >= at) {
            self.turn_over(now);
        }
        if now >= self.report_due() {
            self.send_report(now);
        }
        self.inbox.expire(now);
        self.code_timeout(now);
    }

    fn write(&mut self, message: &Message) {
        let written = message
            .encode(&*self.line.provider)
            .and_then(|bytes| self.line.channel.seal(&bytes, message.carries_secret(), &mut self.to_stream));
        if written.is_err() {
            self.end(Reason::ProtocolError, EndedBy::Local);
        }
    }

    fn talk(&mut self, now: Time) {
        self.phase = Phase::Talking;
        let speaks =
            |t: &OwnTrack| t.info.source.kind() == MediaKind::Audio && t.info.state == TrackState::Live;
        if self.tracks.values().any(speaks) {
            self.hushed = now + VOICE_FIRST;
        }
    }

    fn event(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        } else {
            self.end(Reason::ProtocolError, EndedBy::Local);
        }
    }

    fn end(&mut self, reason: Reason, by: EndedBy) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            // The last word always fits.
            self.events.truncate(MAX_EVENTS);
            self.events.push_back(Event::Ended { reason, by });
        }
    }

    fn heard(&mut self, now: Time) {
        self.last_heard = now;
        if std::mem::take(&mut self.interrupted) {
            self.turnover.resumed(now);
            self.event(Event::Resumed);
        }
    }
}

/// When both dial each other at once, two calls begin; the one dialled by the smaller identity goes on. Says whether
/// that is the one that `own` dialled.
#[must_use]
pub fn own_dial_wins(own: &PublicIdentity, peer: &PublicIdentity) -> bool {
    own.as_bytes() < peer.as_bytes()
}
