//! A connected call's devices: model microphone and camera, jitter buffer and frame buffer, ear and eye.
//!
//! Guarantee: it treats the call as the threads of `kring`'s engine do, but in virtual time.

use crate::check::Check;
use crate::codec::{self, Pictures, Voice};
use crate::rng::Rng;
use crate::scenario::{Camera, Person, Scenario, of};
use crate::trace::Trace;
use kring_core::call::{self, Call, IncomingFrame, SendError};
use kring_core::handshake::Role;
use kring_core::media::audio::{AudioPlanner, Copies, VoiceNetwork};
use kring_core::media::{AudioPacket, Cadence, FrameInfo, JitterBuffer, Playout, VideoBuffer, VideoFrame};
use kring_core::offer::{Offer, TrackInfo, TrackSource};
use kring_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// The microphone's track.
pub(crate) const MICROPHONE: u8 = 0;
/// The camera's track.
pub(crate) const CAMERA: u8 = 1;
/// The round trip that is assumed until one was measured.
const ASSUMED_RTT: Duration = Duration::from_millis(100);
/// Pictures may be shown so much earlier than the sound of the same moment is heard, in µs.
const LEAD: i64 = 32_000;
/// The most that a voice takes, in bit/s.
const MOST_VOICE: u32 = 400_000;
/// How many pictures are remembered to go back to.
const MAX_SENT: usize = 128;
/// The speaker takes blocks of that length.
const BLOCK: Duration = Duration::from_millis(10);

/// What a voice is stretched by at once, at most, and at least in µs.
const PERIOD: Duration = Duration::from_millis(10);
const SHORTEST: i64 = 2_500;
/// What is so many dB below overload may always be stretched.
const QUIET: u8 = 50;

/// What a side with these devices offers.
pub(crate) fn offer(name: &str, camera: bool) -> Offer {
    let track = |id, source, codec, size| {
        let mut track = TrackInfo::new(id, source, codec);
        track.size = size;
        track
    };
    let mut tracks = vec![track(MICROPHONE, TrackSource::Microphone, "opus", None)];
    tracks.extend(camera.then(|| track(CAMERA, TrackSource::Camera, "h264", Some((640, 360)))));
    Offer { name: name.into(), receive: vec!["opus".into(), "h264".into()], tracks }
}

/// What a step of one side works on.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) who: Role,
    pub(crate) check: &'a mut Check,
    pub(crate) trace: &'a mut Trace,
}

/// The devices of one side.
pub(crate) struct Engine {
    clock: Duration,
    drift: i64,
    rng: Rng,
    voice: Voice,
    packet: Duration,
    planner: Option<AudioPlanner>,
    /// Which earlier packets travel along.
    copies: Copies,
    /// When the block being captured is full.
    next_voice: Time,
    camera: Option<(Camera, Pictures, Time)>,
    /// The pictures sent lately that are not discardable: their frame ids, and what the encoder counts them as.
    sent: VecDeque<(u32, u32)>,
    taken: u64,
    keyframe: bool,
    pub(crate) muted: [bool; 2],
    jitter: JitterBuffer,
    next_sound: Time,
    pictures: VideoBuffer,
    /// Decoded pictures, by when they were captured.
    cadence: Cadence<Time>,
    played: call::Playout,
    /// From capture to ear between the two clocks, in µs.
    lag: Option<i64>,
    lost: bool,
    asked: bool,
    /// Bytes that the encoders put out.
    pub(crate) encoded: u64,
}

impl Engine {
    /// Starts all devices.
    pub(crate) fn start(scenario: &Scenario, who: Role, now: Time) -> Engine {
        let person: &Person = &scenario.people[of(who)];
        let mut rng =
            Rng::new(scenario.seed, if who == Role::Caller { "media caller" } else { "media callee" });
        let camera = person.camera.map(|camera| {
            let first = now + Duration::from_micros(rng.within(0..=30_000));
            (camera, Pictures::new(scenario.picture_key(who)), first)
        });
        let offsets: &[u8] = rng.pick(&[&[], &[1], &[1, 2], &[1, 3], &[1, 2, 4, 8]]);
        Engine {
            copies: Copies::new(offsets, Copies::size_for(offsets.len(), person.voice as usize)),
            clock: person.clock,
            drift: person.drift,
            voice: Voice::new(scenario.voice_key(who), person.voice as usize),
            packet: person.packet,
            planner: person.plans.then(AudioPlanner::default),
            next_voice: now + person.packet,
            camera,
            sent: VecDeque::new(),
            taken: 0,
            keyframe: false,
            muted: [false; 2],
            jitter: JitterBuffer::new(),
            next_sound: now + Duration::from_micros(rng.within(0..=10_000)),
            pictures: VideoBuffer::default(),
            cadence: Cadence::default(),
            played: call::Playout::default(),
            lag: None,
            lost: false,
            asked: false,
            encoded: 0,
            rng,
        }
    }

    /// When something is to be done next.
    pub(crate) fn due(&self) -> Time {
        let camera = self.camera.as_ref().map_or(self.next_voice, |(_, _, next)| *next);
        let eye = self.pictures.next_wake().into_iter().chain(self.cadence.due()).min();
        let eye = eye.map_or(self.next_sound, |at| at - self.clock);
        self.next_voice.min(camera).min(self.next_sound).min(eye)
    }

    /// What was played and shown.
    pub(crate) fn played(&self) -> call::Playout {
        self.played
    }

    /// The next picture has to be a keyframe.
    pub(crate) fn keyframe_requested(&mut self) {
        self.keyframe = true;
    }

    /// Whether the other side is to be told of a loss since the last look.
    pub(crate) fn asked(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }

    /// Takes an opened frame.
    pub(crate) fn take(&mut self, frame: IncomingFrame) {
        let (arrived, frame_id) = (frame.arrived, frame.header.frame_id);
        match frame.info {
            FrameInfo::Audio { capture, duration, level } => {
                let packet = AudioPacket { frame_id, capture, duration, payload: frame.payload, level };
                self.jitter.push(arrived, packet);
            }
            FrameInfo::Video { capture, skippable } => {
                let header = frame.header;
                let frame = VideoFrame {
                    frame_id,
                    keyframe: header.keyframe,
                    discardable: header.discardable,
                    skippable,
                    temporal_layer: header.temporal_layer,
                    capture,
                    payload: frame.payload,
                };
                self.pictures.push(arrived, frame);
            }
        }
    }

    /// Does what is due.
    pub(crate) fn run(&mut self, cx: &mut Context<'_>, call: &mut Call) {
        while self.next_voice <= cx.now {
            self.speak(cx, call);
        }
        while self.camera.as_ref().is_some_and(|(_, _, next)| *next <= cx.now) {
            self.show(cx, call);
        }
        while self.next_sound <= cx.now {
            self.listen(cx);
        }
        self.watch(cx, call);
        cx.check.buffers(cx.now, cx.who, &self.jitter, &self.pictures);
    }

    fn speak(&mut self, cx: &mut Context<'_>, call: &mut Call) {
        let captured = self.next_voice - self.packet;
        let lasts = self.packet;
        let copies = self.copies;
        let level = self.rng.within(10..=70) as u8;
        let payload = (!self.muted[usize::from(MICROPHONE)]).then(|| self.voice.encode(captured));
        self.plan(cx.now, call);
        self.next_voice += self.packet;
        let Some(payload) = payload else { return };
        self.encoded += payload.len() as u64;
        let sent = call.send_audio(MICROPHONE, captured + self.clock, lasts, level, &payload, &copies);
        if let Err(error) = sent
            && !matches!(error, SendError::NotLive { .. })
        {
            cx.check.fail(cx.now, format_args!("{:?}: sound is not sent: {error}", cx.who));
        }
    }

    /// Chooses the next packet as `kring/src/engine/speak.rs` does.
    fn plan(&mut self, now: Time, call: &Call) {
        let Some(planner) = &mut self.planner else { return };
        let (network, told) = (call.network(), call.stats().peer.is_some());
        let network = VoiceNetwork {
            audio_rate: call.shares().audio.min(MOST_VOICE),
            loss: told.then_some(network.loss as f32),
            burst: network.burst as f32,
        };
        let plan = planner.update(now + self.clock, &network);
        (self.packet, self.copies) = (plan.duration, plan.copies);
        self.voice.size = (u64::from(plan.bit_rate) * plan.duration.as_micros() as u64 / 8_000_000) as usize;
    }

    fn show(&mut self, cx: &mut Context<'_>, call: &mut Call) {
        let Some((camera, encoder, next)) = &mut self.camera else { return };
        *next += camera.interval;
        self.taken += 1;
        // The encoder follows its share, a tenth of a second at most waits.
        let share = u64::from(call.shares().video) / 8;
        let mean = (share * camera.interval.as_micros() as u64 / 1_000_000).min(camera.bytes);
        let len = self.rng.within(mean / 2..=mean * 3 / 2) as usize;
        let waiting = call.stats().video_queue_bytes as u64;
        if self.muted[usize::from(CAMERA)] || share == 0 || waiting > share / 10 {
            return;
        }
        let discardable = camera.layers && self.taken.is_multiple_of(2);
        let mut keyframe = std::mem::take(&mut self.keyframe);
        let feedback = call.picture_feedback(CAMERA);
        if feedback.lost {
            self.sent.retain(|(id, _)| Some(*id) <= feedback.acknowledged);
            let back =
                self.sent.back().filter(|(id, _)| feedback.acknowledged.is_some_and(|at| at - id < 30));
            keyframe |= back.is_none();
            encoder.go_back(back.map(|(_, sequence)| *sequence));
            cx.trace.event(cx.now, cx.who, &format_args!("goes back to {back:?}"));
        }
        let (marker, payload) = encoder.encode(cx.now, keyframe, discardable, len);
        self.encoded += payload.len() as u64;
        let reference = self.sent.iter().rev().find(|(_, sequence)| *sequence == marker.reference);
        let picture = call::Picture {
            keyframe: marker.keyframe,
            discardable: marker.discardable,
            refers_to: reference.map(|(id, _)| *id),
            temporal_layer: u8::from(marker.discardable),
            spatial_layer: 0,
            capture: cx.now + self.clock,
            payload: &payload,
        };
        match call.send_video(cx.now + self.clock, CAMERA, &picture) {
            Ok(id) if !marker.discardable => {
                self.sent.push_back((id, marker.sequence));
                if self.sent.len() > MAX_SENT {
                    self.sent.pop_front();
                }
            }
            Ok(_) => {}
            // What follows refers to a picture that was never sent.
            Err(SendError::QueueFull | SendError::NotLive { .. }) => self.keyframe = true,
            Err(error) => {
                cx.check.fail(cx.now, format_args!("{:?}: a picture is not sent: {error}", cx.who));
            }
        }
    }

    fn listen(&mut self, cx: &mut Context<'_>) {
        let lasts = match self.jitter.pull(self.next_sound + self.clock) {
            Playout::Decode(packet) => {
                let heard = (self.next_sound + self.clock).as_micros();
                self.lag = Some(heard.wrapping_sub(packet.capture).cast_signed());
                cx.check.heard(cx.now, cx.who, &packet.payload, packet.duration);
                cx.trace.bytes(cx.now, cx.who, b'h', mark(&packet.payload));
                self.played.audio_played_ms += packet.duration.as_millis() as u64;
                self.stretched(&packet)
            }
            Playout::Conceal { duration, .. } => {
                let duration = duration.clamp(BLOCK, 6 * BLOCK);
                cx.check.concealed(cx.now, cx.who, duration);
                cx.trace.event(cx.now, cx.who, &format_args!("conceals {duration:?}"));
                self.played.audio_played_ms += duration.as_millis() as u64;
                self.played.audio_concealed_ms += duration.as_millis() as u64;
                duration
            }
            _ => BLOCK,
        };
        let micros = lasts.as_micros() as i64;
        self.next_sound += Duration::from_micros((micros + micros * self.drift / 1_000_000) as u64);
    }

    /// How long a packet lasts that is stretched as the jitter buffer asks, by at most one period of a low voice.
    fn stretched(&mut self, packet: &AudioPacket) -> Duration {
        let pace = self.jitter.pace();
        let longest = PERIOD.min(packet.duration / 2).as_micros() as i64;
        let change = pace.change.clamp(-longest, longest);
        if change.abs() < SHORTEST || !pace.loud && packet.level < QUIET {
            return packet.duration;
        }
        self.jitter.stretched(change);
        Duration::from_micros((packet.duration.as_micros() as u64).saturating_add_signed(change))
    }

    fn watch(&mut self, cx: &mut Context<'_>, call: &mut Call) {
        let now = cx.now + self.clock;
        self.pictures.set_round_trip(call.stats().round_trip.unwrap_or(ASSUMED_RTT));
        self.pictures.set_lag(self.lag.map(|lag| lag.saturating_sub(LEAD)));
        while let Some(frame) = self.pictures.pull(now) {
            cx.trace.bytes(cx.now, cx.who, b's', mark(&frame.payload));
            if let Some(marker) = cx.check.decoded(cx.now, cx.who, &frame.payload) {
                self.cadence.push(marker.captured);
            }
        }
        while let Some(captured) = self.cadence.pop(now) {
            cx.check.shown(cx.now, cx.who, captured);
            self.played.pictures_shown += 1;
        }
        if self.pictures.stats().received > 0 {
            let lost = self.pictures.is_lost();
            call.set_decoded(now, CAMERA, self.pictures.decoded(), lost);
            if lost && !std::mem::replace(&mut self.lost, lost) {
                cx.trace.event(cx.now, cx.who, &"has lost the pictures");
                cx.check.lost(cx.who);
                self.asked = true;
            }
            self.lost = lost;
        }
    }
}

/// What of a frame goes into the trace; its filling was checked and follows from this.
fn mark(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(codec::HEADER)]
}
