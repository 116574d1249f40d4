//! One end of a call: handshake, call, control stream, connection and devices.
//!
//! Guarantee: it drives `kring-core` as `kring`'s driver does: events before frames, one last word of half a second,
//! then the connection is closed, and who still sends to it is told so.

use crate::check::{Check, End};
use crate::engine::{CAMERA, Context, Engine, offer};
use crate::link::{Link, Parcel};
use crate::rng::Rng;
use crate::scenario::{Action, Reaction, Scenario, of};
use crate::stream::{Receiver, Segment, Sender};
use crate::trace::Trace;
use crate::world::{Sample, Sent};
use kring_core::call::{Call, EndedBy, Event};
use kring_core::control::Reason;
use kring_core::crypto::Provider;
use kring_core::crypto::pure::Pure;
use kring_core::handshake::{Accept, Acceptor, Binding, DEADLINE, Dial, HandshakeError, Progress, Role};
use kring_core::identity::Identity;
use kring_core::media::parse;
use kring_core::offer::{Offer, TrackState};
use kring_core::ticket::Ticket;
use kring_core::time::{Time, WallTime};
use std::sync::Arc;
use std::time::Duration;

const NOW: WallTime = WallTime(1_800_000_000);
/// UDP, IP and QUIC around each packet.
const HEADERS: usize = 28 + 30;
/// How long the last word may take to be acknowledged before the connection is closed all the same.
const LAST_WORD: Duration = Duration::from_millis(500);
/// The code that closes a connection whose handshake failed.
const HANDSHAKE_FAILED: u64 = 0x43;
/// How often a closed connection says so.
const MAX_CLOSES: u32 = 50;

/// What travels between the two.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Segment(Segment),
    Acknowledge(u64),
    Datagram(Vec<u8>),
    /// The connection is closed, with that code.
    Close(u64),
}

impl Wire {
    fn size(&self) -> usize {
        HEADERS
            + match self {
                Wire::Segment(segment) => segment.bytes.len() + 4,
                Wire::Datagram(bytes) => bytes.len(),
                Wire::Acknowledge(_) | Wire::Close(_) => 10,
            }
    }
}

enum Stage {
    /// Before dialling, and after the end.
    Idle,
    Dialling(Box<Dial>),
    Accepting(Box<(Accept, Acceptor)>),
    Live(Box<Call>),
}

#[derive(Clone, Copy)]
enum Connection {
    Open,
    /// The call is over; what is on the stream may still arrive until then.
    LastWord(Time, u64),
    /// Closed here; so many times the other side may still be told.
    Closed(u64, u32),
    /// Closed by the other side, or the program is gone.
    Gone,
}

/// The world around one side, for one step.
pub(crate) struct Around<'a> {
    pub(crate) now: Time,
    pub(crate) check: &'a mut Check,
    pub(crate) trace: &'a mut Trace,
    pub(crate) out: &'a mut Link<Wire>,
    /// Whether anything passes.
    pub(crate) plugged: bool,
}

impl Around<'_> {
    fn send(&mut self, wire: Wire) {
        if self.plugged {
            self.out.send(self.now, wire.size(), wire);
        }
    }
}

pub(crate) struct Side {
    who: Role,
    clock: Duration,
    scenario: Arc<Scenario>,
    identity: Arc<Identity>,
    offer: Offer,
    rng: Rng,
    stage: Stage,
    /// When the handshake began and when it was done.
    began: Option<Time>,
    done: Option<Time>,
    reacted: bool,
    stream: (Sender, Receiver),
    connection: Connection,
    /// When the connection lets the next datagram out.
    next_send: Time,
    engine: Option<Engine>,
    end: Option<End>,
    /// When it was told that it rings at the other side.
    pub(crate) ringing: Option<Time>,
    pub(crate) sent: Sent,
}

/// The two sides, the callee with a ticket out and the caller about to dial.
pub(crate) fn two(scenario: &Arc<Scenario>, trace: &mut Trace) -> Result<[Side; 2], HandshakeError> {
    let provider = |name| -> Arc<dyn Provider> {
        let mut rng = Rng::new(scenario.seed, name);
        Arc::new(Pure::with_random(Box::new(move |out| {
            rng.fill(out);
            Ok(())
        })))
    };
    let (caller, callee) = (provider("keys caller"), provider("keys callee"));
    let a = Arc::new(Identity::generate(&*caller, NOW)?);
    let b = Arc::new(Identity::generate(&*callee, NOW)?);
    let address = "192.0.2.1:9".parse().expect("an address");
    let ticket = Ticket::issue(&b, &[address], WallTime(NOW.0 + 3600), &*callee)?;
    let mut acceptor = Acceptor::new(b.clone(), callee);
    acceptor.add(&ticket);
    let binding = Binding::Quic([7; 32]);
    let (dial, hello) = Dial::new(&a, &ticket, binding, NOW, &caller)?;
    let side = |who, name: &str, identity, stage| Side {
        who,
        clock: scenario.people[of(who)].clock,
        scenario: scenario.clone(),
        identity,
        offer: offer(name, scenario.people[of(who)].camera.is_some()),
        rng: Rng::new(scenario.seed, name),
        stage,
        began: None,
        done: None,
        reacted: false,
        stream: Default::default(),
        connection: Connection::Open,
        next_send: Time::ZERO,
        engine: None,
        end: None,
        ringing: None,
        sent: Sent::default(),
    };
    let mut caller = side(Role::Caller, "Anna", a, Stage::Dialling(Box::new(dial)));
    caller.began = Some(Time::ZERO);
    caller.stream.0.write(&hello);
    trace.event(Time::ZERO, Role::Caller, &"dials");
    let accepting = Stage::Accepting(Box::new((Accept::new(binding), acceptor)));
    Ok([side(Role::Callee, "Ben", b, accepting), caller])
}

impl Side {
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether not a byte of the handshake has come.
    pub(crate) fn is_untouched(&self) -> bool {
        self.began.is_none() && self.end.is_none()
    }

    /// What it knows of the network, while the call lasts.
    pub(crate) fn sample(&self, at: Time) -> Option<Sample> {
        let Stage::Live(call) = &self.stage else { return None };
        let (stats, bytes) = (call.stats(), self.sent.bytes);
        Some(Sample {
            at,
            estimate: stats.estimate,
            target: stats.target,
            video: stats.share.video,
            waiting: stats.video_queue_bytes,
            bytes,
        })
    }

    /// When [`run`](Side::run) is due; `None` once nothing will happen by itself.
    pub(crate) fn due(&self, now: Time) -> Option<Time> {
        let stream = self.stream.0.due();
        let stage = match (&self.stage, self.connection) {
            (_, Connection::LastWord(until, _)) => Some(until),
            (_, Connection::Closed(..) | Connection::Gone) => return None,
            (Stage::Idle, Connection::Open) => None,
            (Stage::Dialling(_) | Stage::Accepting(_), _) => self.began.map(|began| began + DEADLINE),
            (Stage::Live(call), _) => {
                let timer = call.poll_timeout().map(|at| at - self.clock);
                let engine = self.engine.as_ref().map(Engine::due);
                let gate = Some(self.next_send).filter(|at| *at > now);
                let pacer = call.next_datagram().map(|at| (at - self.clock).max(self.next_send));
                [timer, engine, gate, pacer, self.reaction_due()].into_iter().flatten().min()
            }
        };
        stage.into_iter().chain(stream).min()
    }

    fn reaction_due(&self) -> Option<Time> {
        let done = self.done.filter(|_| self.who == Role::Callee && !self.reacted)?;
        match self.scenario.reaction {
            Reaction::Answer(after) | Reaction::Decline(after, _) => Some(done + after),
            Reaction::Ignore => None,
        }
    }

    /// Takes what the network brought.
    pub(crate) fn receive(&mut self, around: &mut Around<'_>, mut parcel: Parcel<Wire>) {
        match self.connection {
            Connection::Gone => return,
            Connection::Closed(code, left) => {
                if !matches!(parcel.item, Wire::Close(_)) && left > 0 {
                    self.connection = Connection::Closed(code, left - 1);
                    around.send(Wire::Close(code));
                }
                return;
            }
            Connection::Open | Connection::LastWord(..) => {}
        }
        let now = around.now;
        if let (Some(damage), Wire::Datagram(bytes)) = (parcel.damage, &mut parcel.item) {
            damage.apply(bytes);
        }
        match parcel.item {
            // The connection below authenticates its packets; media datagrams are let through to the core as they are.
            Wire::Segment(_) | Wire::Acknowledge(_) | Wire::Close(_) if parcel.damage.is_some() => {}
            Wire::Segment(segment) => {
                let bytes = self.stream.1.take(segment);
                around.trace.bytes(now, self.who, b'c', &bytes);
                around.send(Wire::Acknowledge(self.stream.1.received()));
                self.feed(around, &bytes);
            }
            Wire::Acknowledge(upto) => self.stream.0.acknowledged(now, upto),
            Wire::Datagram(bytes) => {
                around.trace.bytes(now, self.who, b'd', &bytes);
                let Stage::Live(call) = &mut self.stage else { return };
                // What is sent again may have come before.
                let whole = || {
                    parse(&bytes).is_ok_and(|packet| packet.hop.fragment.is_none() && !packet.hop.repeated)
                };
                let fresh = !parcel.copy && parcel.damage.is_none() && whole();
                let dropped = call.stats().dropped;
                call.handle_datagram(now + self.clock, &bytes);
                if fresh {
                    // Pictures are sent again where they may be lost, so that one of two is dropped; sound never is.
                    let once = parse(&bytes).is_ok_and(|p| p.header.keyframe && p.header.discardable);
                    let lost = once && call.stats().dropped > dropped;
                    around.check.fresh(now, self.who, lost);
                }
            }
            Wire::Close(code) => {
                self.connection = Connection::Gone;
                match &mut self.stage {
                    Stage::Live(call) => call.connection_lost(Some(Reason::from_code(code))),
                    Stage::Dialling(_) => self.finish(around, End::NoHandshake),
                    Stage::Accepting(_) if self.began.is_some() => self.finish(around, End::NoHandshake),
                    Stage::Accepting(_) => self.finish(around, End::NeverReached),
                    Stage::Idle => {}
                }
            }
        }
    }

    /// Passes bytes of the stream on, in one piece or two.
    fn feed(&mut self, around: &mut Around<'_>, bytes: &[u8]) {
        let cut = if self.rng.chance(300_000) { self.rng.within(0..=bytes.len() as u64) as usize } else { 0 };
        for part in [&bytes[..cut], &bytes[cut..]] {
            if part.is_empty() {
                continue;
            }
            self.began.get_or_insert(around.now);
            if let Err(error) = self.hear(around, part) {
                around.check.fail(around.now, format_args!("{:?}: {error}", self.who));
                self.close(around, HANDSHAKE_FAILED);
                self.finish(around, End::NoHandshake);
            }
        }
    }

    fn hear(&mut self, around: &mut Around<'_>, bytes: &[u8]) -> Result<(), HandshakeError> {
        let session = match &mut self.stage {
            Stage::Idle => return Ok(()),
            Stage::Live(call) => {
                call.handle_stream(around.now + self.clock, bytes);
                return Ok(());
            }
            Stage::Dialling(dial) => {
                let Some((session, confirm)) = dial.handle(bytes, &self.offer.encode(), NOW)? else {
                    return Ok(());
                };
                self.stream.0.write(&confirm);
                session
            }
            Stage::Accepting(state) => match state.0.handle(bytes, &mut state.1, NOW)? {
                Progress::Waiting => return Ok(()),
                Progress::Reply(reply) => {
                    self.stream.0.write(&reply);
                    return Ok(());
                }
                Progress::Done(session) => *session,
            },
        };
        let (timeouts, now) = (self.scenario.timeouts, around.now + self.clock);
        let mut call = Call::new(session, &self.identity, &self.offer, timeouts, now)?;
        call.set_key_lifetimes(now, self.scenario.people[of(self.who)].keys);
        around.trace.event(around.now, self.who, &"has a session");
        self.stage = Stage::Live(Box::new(call));
        self.done = Some(around.now);
        Ok(())
    }

    /// Does what is due and passes on what there is.
    pub(crate) fn run(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        let late = self.began.is_some_and(|began| began + DEADLINE <= now);
        if late && matches!(self.stage, Stage::Dialling(_) | Stage::Accepting(_)) {
            self.close(around, HANDSHAKE_FAILED);
            self.finish(around, End::NoHandshake);
        }
        let react = self.reaction_due().is_some_and(|at| at <= now);
        if let Stage::Live(call) = &mut self.stage {
            let here = now + self.clock;
            if call.poll_timeout().is_some_and(|at| at <= here) {
                if let Some(engine) = &self.engine {
                    call.set_playout(engine.played());
                }
                call.handle_timeout(here);
                if call.poll_timeout().is_some_and(|at| at <= here) {
                    around.check.fail(now, format_args!("{:?}: a timer stands still", self.who));
                }
            }
            if react {
                self.reacted = true;
                match self.scenario.reaction {
                    Reaction::Answer(_) => call.answer(here, &self.offer),
                    Reaction::Decline(_, reason) => call.decline(reason),
                    Reaction::Ignore => {}
                }
            }
        }
        self.drain(around);
        if let (Stage::Live(call), Some(engine)) = (&mut self.stage, &mut self.engine) {
            let mut cx = Context { now, who: self.who, check: around.check, trace: around.trace };
            engine.run(&mut cx, call);
            self.sent.encoded = engine.encoded;
        }
        self.drain(around);
        self.flush(around);
    }

    /// Takes events and frames from the call.
    fn drain(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        while let Stage::Live(call) = &mut self.stage {
            if let Some(bytes) = call.poll_stream() {
                self.stream.0.write(&bytes);
            }
            let event = call.poll_event();
            let frame = if event.is_none() { call.poll_frame() } else { None };
            if let Some(event) = event {
                if !matches!(event, Event::Tracks(_)) {
                    around.trace.event(now, self.who, &format_args!("{event:?}"));
                }
                around.check.event(now, self.who, &event);
                self.event(around, event);
            } else if let Some(frame) = frame {
                around.check.received(now, self.who, &frame);
                if let Some(engine) = &mut self.engine {
                    engine.take(frame);
                }
            } else {
                around.check.stats(now, self.who, &call.stats(), self.stream.0.backlog());
                break;
            }
        }
    }

    fn event(&mut self, around: &mut Around<'_>, event: Event) {
        match event {
            Event::Ringing => self.ringing = Some(around.now),
            Event::Answered => self.engine = Some(Engine::start(&self.scenario, self.who, around.now)),
            Event::KeyframeRequested { track: CAMERA } => {
                if let Some(engine) = &mut self.engine {
                    engine.keyframe_requested();
                }
            }
            Event::Ended { reason, by } => {
                if let Stage::Live(call) = &mut self.stage {
                    if call.poll_timeout().is_some() || call.poll_event().is_some() {
                        around.check.fail(around.now, format_args!("{:?}: the end is not the end", self.who));
                    }
                    self.stream.0.write(&call.poll_stream().unwrap_or_default());
                }
                if matches!(self.connection, Connection::Open) {
                    self.connection = Connection::LastWord(around.now + LAST_WORD, reason.code());
                }
                self.finish(around, End::Over { reason, by });
            }
            _ => {}
        }
    }

    fn finish(&mut self, around: &mut Around<'_>, end: End) {
        self.stage = Stage::Idle;
        self.engine = None;
        self.end = Some(end);
        around.trace.event(around.now, self.who, &format_args!("is done: {end}"));
        around.check.ended(around.now, self.who, end);
    }

    fn close(&mut self, around: &mut Around<'_>, code: u64) {
        self.connection = Connection::Closed(code, MAX_CLOSES);
        around.send(Wire::Close(code));
    }

    /// Passes bytes to the network, as fast as the connection lets them out.
    fn flush(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        if let Connection::LastWord(until, code) = self.connection
            && (until <= now || self.stream.0.backlog() == 0)
        {
            self.close(around, code);
        }
        if matches!(self.connection, Connection::Closed(..) | Connection::Gone) {
            return;
        }
        while let Some(segment) = self.stream.0.poll(now) {
            around.send(Wire::Segment(segment));
        }
        let pace = self.scenario.people[of(self.who)].pace;
        let Stage::Live(call) = &mut self.stage else { return };
        while self.next_send <= now {
            let Some(datagram) = call.poll_datagram(now + self.clock) else { break };
            self.sent.datagrams += 1;
            self.sent.bytes += datagram.len() as u64;
            let wire = Wire::Datagram(datagram);
            if let Some(kbit) = pace {
                self.next_send = now + Duration::from_micros(wire.size() as u64 * 8000 / kbit);
            }
            around.send(wire);
        }
    }

    /// Does what the script says.
    pub(crate) fn act(&mut self, around: &mut Around<'_>, action: Action) {
        if self.end.is_some() {
            return;
        }
        around.trace.event(around.now, self.who, &format_args!("{action:?}"));
        match (&mut self.stage, action) {
            (_, Action::Crash) => {
                self.connection = Connection::Gone;
                self.finish(around, End::Crashed);
            }
            (Stage::Live(call), Action::HangUp(reason)) => call.hang_up(reason),
            (Stage::Dialling(_), Action::HangUp(reason)) => {
                self.close(around, reason.code());
                self.finish(around, End::Over { reason, by: EndedBy::Local });
            }
            (Stage::Live(call), Action::Mute(track, muted)) => {
                let Some(engine) = &mut self.engine else { return };
                engine.muted[usize::from(track)] = muted;
                engine.keyframe_requested();
                let state = if muted { TrackState::Muted } else { TrackState::Live };
                call.set_track_state(track, state);
            }
            (Stage::Live(call), Action::AskForKeyframe) => call.request_keyframe(CAMERA),
            (Stage::Live(call), Action::Record(on)) => call.announce_recording(on),
            _ => {}
        }
    }
}
