//! What must hold in every call, told as it happens.
//!
//! Guarantee: nothing is believed from the code under test but what it gave out: frames are recognised by their
//! content, ends are compared between the two sides.

use crate::codec::{Decoder, Marker};
use crate::scenario::{Action, Reaction, Scenario, of};
use kring_core::call::{CallStats, EndedBy, Event, IncomingFrame};
use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::media::{
    FrameInfo, JitterBuffer, MAX_HELD_TIME, MAX_PACKETS, MAX_VIDEO_BYTES, MAX_VIDEO_FRAMES, VideoBuffer,
};
use kring_core::time::Time;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// More than so many failures of one call tell nothing new.
const MAX_FAILURES: usize = 12;
/// Silence after which a call may count as interrupted.
const INTERRUPTED_AFTER: Duration = Duration::from_millis(1500);
/// From reaching the receiver to being heard: what the jitter buffer holds at most, and a packet.
const LONGEST_HELD: Duration = MAX_HELD_TIME.saturating_add(Duration::from_millis(200));
/// From the first sample's capture to the ear, beyond network and packet, when nothing disturbs.
const CALM_DELAY: Duration = Duration::from_millis(60);
/// The same over QUIC, whose window may hold back what follows the first keyframe; playout gives that back slowly.
const CALM_DELAY_OVER_QUIC: Duration = Duration::from_millis(200);
/// When the start of a call is over and playout has settled.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// A picture that stands still for longer is frozen.
const FREEZE: Duration = Duration::from_millis(200);
/// What a call may have on its stream that is not acknowledged.
const MAX_BACKLOG: usize = 64 << 10;
/// What it may queue of pictures.
const MAX_VIDEO_QUEUE: usize = 1 << 20;

/// How a call ended for one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// As its call said.
    Over {
        /// Why.
        reason: Reason,
        /// By whom.
        by: EndedBy,
    },
    /// The handshake came to nothing.
    NoHandshake,
    /// Callee: it never heard of the call.
    NeverReached,
    /// The program was gone.
    Crashed,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Over { reason, by } => write!(f, "{reason} ({by:?})"),
            End::NoHandshake => f.write_str("no handshake"),
            End::NeverReached => f.write_str("never reached"),
            End::Crashed => f.write_str("crashed"),
        }
    }
}

/// What one side has heard and seen so far.
#[derive(Debug, Default)]
struct Facts {
    answered: Option<Time>,
    heard: Option<u32>,
    shown: Option<u32>,
    shown_at: Option<Time>,
    pictures: Vec<(Time, Duration)>,
    decoder: Decoder,
    /// When each voice packet that was not heard yet arrived.
    arrived: BTreeMap<u32, Time>,
    interrupted: bool,
    /// When something last arrived that the call could open; and since when it can.
    fresh: Option<Time>,
    keyed: Option<Time>,
    end: Option<(Time, End)>,
    totals: Totals,
}

/// What was counted at one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sound played that was sent.
    pub heard: Duration,
    /// Sound made up for want of it.
    pub concealed: Duration,
    /// The same, after the first second of talk.
    pub concealed_later: Duration,
    /// Pictures shown.
    pub shown: u64,
    /// How often it could not go on without the sender's help.
    pub losses: u64,
    /// How long pictures stood still for more than 200 ms, from one to the next.
    pub frozen: Duration,
    /// Frames that had overtaken the answer and were handed on all the same.
    pub early: u64,
    /// The lowest number of the voice packets that were handed on.
    pub first: Option<u32>,
    /// The longest way from capture to ear after the first second.
    pub slowest: Duration,
    /// The way of the packet played last.
    pub latest: Duration,
    /// How often its sender key was replaced.
    pub sender_keys: u32,
    /// How many handshakes there were inside the call.
    pub handshakes: u32,
}

/// The judge of one call.
#[derive(Debug)]
pub struct Check {
    scenario: Scenario,
    sides: [Facts; 2],
    failures: Vec<String>,
    calm_delay: Duration,
}

impl Check {
    /// For one call.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Check {
        let sides = Default::default();
        Check { scenario: scenario.clone(), sides, failures: Vec::new(), calm_delay: CALM_DELAY }
    }

    /// For one call over QUIC.
    #[must_use]
    pub fn over_quic(scenario: &Scenario) -> Check {
        Check { calm_delay: CALM_DELAY_OVER_QUIC, ..Check::new(scenario) }
    }

    /// Something was wrong.
    pub fn fail(&mut self, now: Time, what: impl fmt::Display) {
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(format!("{:.3} ms: {what}", now.as_micros() as f64 / 1000.0));
        }
    }

    /// What was wrong.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// What was counted at that side.
    #[must_use]
    pub fn totals(&self, who: Role) -> Totals {
        self.sides[of(who)].totals
    }

    fn since_answer(&self, now: Time, who: Role) -> Option<Duration> {
        self.sides[of(who)].answered.map(|at| now.since(at))
    }

    /// A side's call reported an event.
    pub fn event(&mut self, now: Time, who: Role, event: &Event) {
        let side = &mut self.sides[of(who)];
        let quiet = side.fresh.filter(|fresh| side.keyed.is_some_and(|keyed| keyed <= *fresh));
        let wrong = match event {
            _ if side.end.is_some() => Some("an event after the end"),
            Event::Answered if side.answered.replace(now).is_some() => Some("answered twice"),
            Event::Ringing if side.answered.is_some() => Some("it rings after the answer"),
            Event::Interrupted if std::mem::replace(&mut side.interrupted, true) => Some("interrupted twice"),
            Event::Interrupted if quiet.is_some_and(|at| now.since(at) < INTERRUPTED_AFTER) => {
                Some("interrupted, though the other side was heard less than 1.5 s ago")
            }
            Event::Resumed if !std::mem::take(&mut side.interrupted) => Some("resumed without interruption"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.fail(now, format_args!("{who:?}: {wrong}"));
        }
    }

    /// A whole, unchanged frame in one packet has arrived for the first time.
    pub fn fresh(&mut self, now: Time, who: Role, dropped: bool) {
        let side = &mut self.sides[of(who)];
        // Before the answer voice may come that cannot be opened yet.
        if side.answered.is_some() {
            side.fresh = Some(now);
            if dropped {
                self.fail(now, format_args!("{who:?}: a whole frame was dropped"));
            }
        }
    }

    /// When a side last heard something that it could open.
    #[must_use]
    pub fn heard_at(&self, who: Role) -> Option<Time> {
        self.sides[of(who)].fresh
    }

    /// A side's call counts as interrupted, which is not judged.
    pub fn interrupted(&mut self, who: Role) {
        self.sides[of(who)].interrupted = true;
    }

    /// A side's counters, after whatever it did.
    pub fn stats(&mut self, now: Time, who: Role, stats: &CallStats, backlog: usize) {
        let side = &mut self.sides[of(who)];
        (side.totals.sender_keys, side.totals.handshakes) = (stats.sender_keys, stats.handshakes);
        if stats.peer.is_some() {
            side.keyed.get_or_insert(now);
        }
        if stats.video_queue_bytes > MAX_VIDEO_QUEUE || backlog > MAX_BACKLOG {
            let queued = stats.video_queue_bytes;
            self.fail(now, format_args!("{who:?}: {queued} B of pictures and {backlog} B of control wait"));
        }
    }

    /// A side's buffers, after whatever it did.
    pub fn buffers(&mut self, now: Time, who: Role, voice: &JitterBuffer, pictures: &VideoBuffer) {
        let voice_fits = voice.len() <= MAX_PACKETS && voice.held_time() <= MAX_HELD_TIME;
        if !voice_fits || pictures.len() > MAX_VIDEO_FRAMES || pictures.bytes() > MAX_VIDEO_BYTES {
            self.fail(now, format_args!("{who:?}: a buffer holds more than it may"));
        }
    }

    /// A side's call gave out an opened frame.
    pub fn received(&mut self, now: Time, who: Role, frame: &IncomingFrame) {
        let key = match frame.info {
            FrameInfo::Audio { .. } => self.scenario.voice_key(who.other()),
            FrameInfo::Video { .. } => self.scenario.picture_key(who.other()),
        };
        let Some(marker) = Marker::read(key, &frame.payload) else {
            return self.fail(now, format_args!("{who:?}: a frame that was never sent"));
        };
        // The receiver knows the low 40 bits of the sender's clock.
        let clock = self.scenario.people[of(who.other())].clock;
        let sent = (marker.captured + clock).as_micros();
        if (sent ^ frame.info.capture()).trailing_zeros() < 40 {
            self.fail(now, format_args!("{who:?}: frame {} with another capture time", marker.sequence));
        }
        if self.sides[of(who)].answered.is_none() || self.sides[of(who.other())].answered.is_none() {
            self.fail(now, format_args!("{who:?}: media before the answer"));
        }
        let here = self.scenario.people[of(who)].clock;
        let side = &mut self.sides[of(who)];
        let early = side.answered.is_some_and(|at| frame.arrived < at + here);
        side.totals.early += u64::from(early);
        let waited = !early && frame.arrived < now + here;
        if matches!(frame.info, FrameInfo::Audio { .. }) {
            let first = side.totals.first.map_or(marker.sequence, |first| first.min(marker.sequence));
            side.totals.first = Some(first);
            let twice = side.arrived.insert(marker.sequence, now).is_some();
            if twice || side.end.is_some() {
                self.fail(now, format_args!("{who:?}: packet {} twice, or after the end", marker.sequence));
            }
        }
        if waited {
            self.fail(now, format_args!("{who:?}: frame {} has waited for its key", marker.sequence));
        }
    }

    /// A side plays a packet.
    pub fn heard(&mut self, now: Time, who: Role, payload: &[u8], duration: Duration) {
        let Some(marker) = Marker::read(self.scenario.voice_key(who.other()), payload) else {
            return self.fail(now, format_args!("{who:?}: heard what was never said"));
        };
        let late = now.since(marker.captured);
        let settled = self.since_answer(now, who).is_some_and(|since| since > SETTLED_AFTER);
        let link = Duration::from_micros(self.scenario.links[of(who.other())].slowest());
        let calm = self.scenario.is_calm();
        let side = &mut self.sides[of(who)];
        side.totals.heard += duration;
        side.totals.latest = late;
        let (last, arrived) = (side.heard.replace(marker.sequence), side.arrived.remove(&marker.sequence));
        if settled {
            side.totals.slowest = side.totals.slowest.max(late);
        }
        if last.is_some_and(|last| marker.sequence <= last) {
            let sequence = marker.sequence;
            self.fail(now, format_args!("{who:?}: packet {sequence} is heard twice or out of order"));
        }
        if arrived.is_none_or(|at| now.since(at) > LONGEST_HELD) {
            self.fail(now, format_args!("{who:?}: packet {} was held for long", marker.sequence));
        }
        if calm && settled && late > link + duration + self.calm_delay {
            self.fail(now, format_args!("{who:?}: {late:?} to the ear, and nothing disturbs"));
        }
    }

    /// A side fills in for sound that is not there.
    pub fn concealed(&mut self, now: Time, who: Role, duration: Duration) {
        let settled = self.since_answer(now, who).is_some_and(|since| since > SETTLED_AFTER);
        // Whose partner has left hears nothing more, and cannot know why yet.
        let alone = self.sides[of(who.other())].end.is_some();
        let totals = &mut self.sides[of(who)].totals;
        totals.concealed += duration;
        if settled && !alone {
            totals.concealed_later += duration;
        }
        if settled && !alone && self.scenario.is_calm() {
            self.fail(now, format_args!("{who:?}: sound is concealed, and nothing disturbs"));
        }
    }

    /// When each picture that a side showed was captured, and how long it took from there.
    #[must_use]
    pub fn pictures(&self, who: Role) -> &[(Time, Duration)] {
        &self.sides[of(who)].pictures
    }

    /// A side shows a picture that was captured then.
    pub fn shown(&mut self, now: Time, who: Role, captured: Time) {
        let side = &mut self.sides[of(who)];
        side.totals.shown += 1;
        let stood = side.shown_at.replace(now).map_or(Duration::ZERO, |at| now.since(at));
        if stood > FREEZE {
            side.totals.frozen += stood;
        }
        side.pictures.push((captured, now.since(captured)));
    }

    /// A side cannot decode what comes.
    pub fn lost(&mut self, who: Role) {
        self.sides[of(who)].totals.losses += 1;
    }

    /// A side decodes a picture; what it is, if it was ever sent.
    pub fn decoded(&mut self, now: Time, who: Role, payload: &[u8]) -> Option<Marker> {
        let Some(marker) = Marker::read(self.scenario.picture_key(who.other()), payload) else {
            self.fail(now, format_args!("{who:?}: decoded what was never sent"));
            return None;
        };
        let side = &mut self.sides[of(who)];
        let decodable = side.decoder.decode(&marker);
        let in_order = side.shown.is_none_or(|last| marker.sequence > last);
        side.shown = Some(marker.sequence);
        if !decodable {
            let (sequence, reference) = (marker.sequence, marker.reference);
            self.fail(
                now,
                format_args!("{who:?}: picture {sequence} is decoded without picture {reference}"),
            );
        }
        if !in_order {
            self.fail(
                now,
                format_args!("{who:?}: picture {} is decoded twice or out of order", marker.sequence),
            );
        }
        Some(marker)
    }

    /// A side's call is over.
    pub fn ended(&mut self, now: Time, who: Role, end: End) {
        let side = &mut self.sides[of(who)];
        if side.end.replace((now, end)).is_some() {
            return self.fail(now, format_args!("{who:?}: it ended twice"));
        }
        let vanished = End::Over { reason: Reason::Vanished, by: EndedBy::Network };
        let heard = side.fresh.filter(|fresh| side.keyed.is_some_and(|keyed| keyed <= *fresh));
        let patience = self.scenario.timeouts.vanished;
        if end == vanished && heard.is_some_and(|at| now.since(at) < patience) {
            self.fail(now, format_args!("{who:?}: vanished, though it was heard less than {patience:?} ago"));
        }
    }

    /// Both are done, or time is up.
    pub fn finish(&mut self, now: Time) {
        let ends = [Role::Caller, Role::Callee].map(|who| self.sides[of(who)].end.map(|(_, end)| end));
        let [Some(caller), Some(callee)] = ends else {
            return self
                .fail(now, format_args!("not over: the caller {:?}, the callee {:?}", ends[0], ends[1]));
        };
        for (who, own, other) in [(Role::Caller, caller, callee), (Role::Callee, callee, caller)] {
            if !self.is_consistent(who, own, other) {
                self.fail(now, format_args!("{who:?}: {own}, while the other: {other}"));
            }
        }
    }

    /// Whether `own` is something that may have come to `who` when the other side's end is `other`.
    fn is_consistent(&self, who: Role, own: End, other: End) -> bool {
        match own {
            End::Over { reason, by: EndedBy::Local } => self.has_cause(who, reason),
            End::Over { reason, by: EndedBy::Peer } => match other {
                End::Over { reason: told, by: EndedBy::Local } => told == reason,
                End::Over { reason: Reason::Vanished, by: EndedBy::Network } => reason == Reason::Vanished,
                End::NoHandshake => matches!(reason, Reason::Other(_)),
                _ => false,
            },
            // Silence was checked when it ended; somebody must still have had a reason to be silent.
            End::Over { reason, by: EndedBy::Network } => {
                reason == Reason::Vanished && !self.scenario.is_calm()
            }
            End::NoHandshake => {
                !matches!(other, End::Over { by: EndedBy::Peer, reason } if reason.code() < 9)
            }
            End::NeverReached => who == Role::Callee && !matches!(other, End::Over { by: EndedBy::Peer, .. }),
            End::Crashed => self.scenario.does(who, Action::Crash),
        }
    }

    /// Whether this side had that reason to end the call by itself.
    fn has_cause(&self, who: Role, reason: Reason) -> bool {
        let declines = matches!(self.scenario.reaction, Reaction::Decline(_, why) if why == reason);
        reason == Reason::NotAnswered && self.sides[of(who)].answered.is_none()
            || who == Role::Callee && declines
            || self.scenario.does(who, Action::HangUp(reason))
    }
}
