//! Two calls in one process, and a network and two people that do whatever the bytes say.
//!
//! Guarantee that is checked: whatever one side or the network does, the other keeps its bound on memory, tells of
//! one end at most, plays nothing that was not sealed for it, or twice, or by somebody with a changed key, and opens a device
//! only where its own user has consented, and for no longer than they talk.

use std::time::Duration;

use kring_capture::{Consent, Kind};
use kring_core::call::{Call, Event, KeyLifetimes, MAX_MEMORY, Picture};
use kring_core::contact::ContactKeyId;
use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::media::audio::{Bundle, Copies};
use kring_core::media::{FrameHeader, MAX_FRAME};
use kring_core::offer::TrackState;
use kring_core::time::Time;
use kring_core::verify::{Pin, Trust};

use crate::input::{Input, damage};
use crate::world::{WORLD, offer, pair};

/// Most operations of one run.
const MAX_STEPS: usize = 400;
/// Most datagrams under way; the oldest are lost.
const MAX_POOL: usize = 256;
/// Most bytes of frames that one run seals: the largest frame, a full queue, and something more. A fuzzer would spend
/// its time on encryption.
const MAX_SEALED: usize = 3 << 20;
const STATES: [TrackState; 3] = [TrackState::Live, TrackState::Muted, TrackState::Ended];

/// One side and what is under way to it.
struct Side {
    call: Call,
    stream: Vec<u8>,
    datagrams: Vec<Vec<u8>>,
    /// What its peer has sealed as media and this side has not yet seen.
    expected: Vec<Vec<u8>>,
    ended: bool,
    /// What its user has consented to: by dialling, or by answering. No byte of the network's makes one.
    consent: Option<Consent>,
    /// Whether its microphone is open.
    open: bool,
    /// Something was done that the protocol may end the call for.
    disturbed: bool,
    /// It wants a secret by which the two can call each other again.
    offered: bool,
    secret: Option<ContactKeyId>,
}

impl Side {
    fn new(call: Call) -> Side {
        Side {
            call,
            stream: Vec::new(),
            datagrams: Vec::new(),
            expected: Vec::new(),
            ended: false,
            consent: None,
            open: false,
            disturbed: false,
            offered: false,
            secret: None,
        }
    }
}

struct Two {
    now: Time,
    sides: [Side; 2],
    answered: bool,
    sent: u32,
    /// Bytes of frames that may still be sealed.
    left: usize,
}

impl Two {
    fn new() -> Two {
        let sides = pair().map(|mut call| {
            // As often as they may, so that short runs see keys turn over.
            let lifetimes =
                KeyLifetimes { sender_key: Duration::from_millis(300), handshake: Duration::from_secs(2) };
            call.set_key_lifetimes(Time::ZERO, lifetimes);
            Side::new(call)
        });
        let mut sides = sides;
        sides[0].consent = Some(Consent::to([Kind::Microphone]));
        Two { now: Time::ZERO, sides, answered: false, sent: 0, left: MAX_SEALED }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let op = input.u8();
        // The top bit says who acts.
        let (me, now) = (usize::from(op >> 7), self.now);
        let side = &mut self.sides[me];
        match op & 0x3f {
            0 => self.now += Duration::from_millis(u64::from(input.u8())),
            1 => self.now += Duration::from_millis(u64::from(input.u16())),
            2 => {
                let bytes = std::mem::take(&mut side.stream);
                side.call.handle_stream(now, &bytes);
            }
            3 => {
                let count = usize::from(input.u8()).min(side.stream.len());
                let bytes: Vec<u8> = side.stream.drain(..count).collect();
                side.call.handle_stream(now, &bytes);
            }
            4 => {
                side.disturbed |= damage(input, &mut side.stream);
            }
            5 => {
                side.disturbed = true;
                side.call.handle_stream(now, input.short());
            }
            6 | 7 if !side.datagrams.is_empty() => {
                let at = input.below(256) % side.datagrams.len();
                let datagram = side.datagrams.remove(at);
                side.call.handle_datagram(now, &datagram);
            }
            8 if !side.datagrams.is_empty() => {
                // Again and again: a copy stays under way.
                let at = input.below(256) % side.datagrams.len();
                let datagram = side.datagrams[at].clone();
                side.call.handle_datagram(now, &datagram);
            }
            9 if !side.datagrams.is_empty() => {
                let at = input.below(256) % side.datagrams.len();
                let mut datagram = side.datagrams[at].clone();
                damage(input, &mut datagram);
                side.call.handle_datagram(now, &datagram);
            }
            10 => side.call.handle_datagram(now, input.short()),
            11 => {
                for datagram in std::mem::take(&mut side.datagrams) {
                    side.call.handle_datagram(now, &datagram);
                }
            }
            12 => side.datagrams.clear(),
            13 => {
                if me == 1 {
                    side.consent.get_or_insert_with(|| Consent::to([Kind::Microphone]));
                }
                side.call.answer(now, &offer("Ben"));
                self.answered |= me == 1;
            }
            14 => side.call.decline(Reason::from_code(input.u8().into())),
            15 => side.call.hang_up(Reason::from_code(input.u8().into())),
            16 => side.call.connection_lost(input.flag().then(|| Reason::from_code(input.u8().into()))),
            17 => {
                let mut offer = offer("Carl");
                offer.tracks.truncate(input.below(3));
                offer.tracks.iter_mut().for_each(|track| track.id = track.id.wrapping_add(input.u8()) & 15);
                side.call.announce_tracks(&offer);
            }
            18 => side.call.set_track_state(input.u8() & 15, STATES[input.below(3)]),
            19 => side.call.request_keyframe(input.u8() & 15),
            20 => side.call.announce_recording(input.flag()),
            21 | 22 => self.send_audio(me, input),
            23 | 24 => self.send_video(me, input),
            25 => {
                let secret = input.flag();
                if side.call.hostile_control(input.short(), secret) {
                    self.sides[1 - me].disturbed = true;
                }
            }
            26 => self.send_hostile_frame(me, input),
            27 => {
                // One control message many times.
                for _ in 0..input.u8() {
                    side.call.announce_recording(true);
                }
            }
            29 => {
                let (track, flags) = (input.u8() & 15, input.u8());
                let decoded = (flags & 2 != 0).then(|| input.u32() >> (flags >> 3));
                side.call.set_decoded(now, track, decoded, flags & 1 != 0);
            }
            30 => {
                side.call.picture_feedback(input.u8() & 15);
            }
            31 if input.flag() => {
                // Whom this side expects: nobody, the one who is there, or somebody else.
                let (pinned, verified) = (input.below(4), input.flag());
                let identity = if pinned == 1 { side.call.peer() } else { Some([7; 32].into()) };
                let pin = identity.filter(|_| pinned > 0).map(|identity| Pin { identity, verified });
                side.call.expect(pin);
                let changed = matches!(side.call.trust(), Some(Trust::KeyChanged { .. }));
                assert_eq!(changed, pinned > 1, "another than the expected one is noticed");
            }
            31 if input.flag() => {
                side.call.accept_changed_key();
                assert!(side.call.trust().is_none_or(|trust| trust.has_media()));
            }
            31 => side.call.mark_verified(),
            32 if input.flag() => {
                let identity = if me == 0 { &WORLD.caller } else { &*WORLD.callee };
                side.offered |= side.call.is_talking();
                side.call.offer_contact(identity).expect("the seeded provider never fails");
            }
            32 => {
                let addresses = &WORLD.ticket.addresses()[..input.below(3)];
                side.call.tell_addresses(&addresses.repeat(usize::from(input.u8() & 7)));
            }
            _ => {
                for side in &mut self.sides {
                    let bytes = std::mem::take(&mut side.stream);
                    side.call.handle_stream(now, &bytes);
                    for datagram in std::mem::take(&mut side.datagrams) {
                        side.call.handle_datagram(now, &datagram);
                    }
                }
                self.now += Duration::from_millis(20);
            }
        }
    }

    /// A payload that no other has.
    fn payload(&mut self, len: usize) -> Vec<u8> {
        self.sent += 1;
        let len = len.min(self.left);
        self.left -= len;
        let mut payload = self.sent.to_be_bytes().to_vec();
        payload.resize(4 + len, 0xa5);
        payload
    }

    fn send_audio(&mut self, me: usize, input: &mut Input<'_>) {
        let payload = self.payload(input.u8().into());
        let (track, level) = (input.u8() & 15, input.u8());
        let duration = Duration::from_micros(u64::from(input.u16()) * 10);
        let capture = Time::from_micros(self.now.as_micros().wrapping_add(input.u64()));
        let copies = Copies::new(&[input.u8() & 3, input.u8() & 31], usize::from(input.u8()) * 2);
        if self.sides[me].call.send_audio(track, capture, duration, level, &payload, &copies).is_ok() {
            // Each of the copies may be the one that is given out, and 127 frames later another.
            let times = 1 + copies.offsets().len();
            self.sides[1 - me].expected.extend(std::iter::repeat_n(payload, times));
        }
    }

    fn send_video(&mut self, me: usize, input: &mut Input<'_>) {
        // Up to 1 MiB and a little more.
        let payload = self.payload(usize::from(input.u8()).pow(2) * 17);
        let (track, flags) = (input.u8() & 15, input.u8());
        let picture = Picture {
            keyframe: flags & 1 != 0,
            discardable: flags & 2 != 0,
            refers_to: (flags & 0x10 != 0).then(|| self.sent.wrapping_sub(u32::from(flags >> 5))),
            temporal_layer: flags >> 2 & 7,
            spatial_layer: flags >> 5,
            capture: self.now,
            payload: &payload,
        };
        if self.sides[me].call.send_video(self.now, track, &picture).is_ok() {
            self.sides[1 - me].expected.push(payload);
        }
    }

    fn send_hostile_frame(&mut self, me: usize, input: &mut Input<'_>) {
        let (track, flags, frame_id) = (input.u8() & 15, input.u8(), input.u32());
        let header = FrameHeader {
            keyframe: flags & 1 != 0,
            discardable: flags & 2 != 0,
            temporal_layer: flags >> 2 & 3,
            spatial_layer: flags >> 4 & 3,
            frame_id,
        };
        let mut plaintext = input.short().to_vec();
        if flags & 0x80 != 0 {
            let long = self.payload(usize::from(input.u8()) << 11);
            plaintext.extend_from_slice(&long);
        }
        let datagrams = self.sides[me].call.hostile_frame(track, &header, &plaintext);
        let peer = &mut self.sides[1 - me];
        // As sound with its copies, as pictures, or not at all.
        if let Some(Ok(bundle)) = plaintext.get(7..).map(Bundle::parse) {
            peer.expected.push(bundle.payload.to_vec());
            peer.expected.extend(bundle.copies.iter().map(|copy| copy.payload.to_vec()));
        }
        peer.expected.extend(plaintext.get(6..).map(<[u8]>::to_vec));
        peer.datagrams.extend(datagrams.into_iter().map(|d| d.bytes));
    }

    /// Drains what both want to tell and send, and looks whether all is as promised.
    fn settle(&mut self) {
        let now = self.now;
        for me in 0..2 {
            let [a, b] = &mut self.sides;
            let (side, peer) = if me == 0 { (a, b) } else { (b, a) };
            if side.call.poll_timeout().is_some_and(|due| due <= now) {
                side.call.handle_timeout(now);
            }
            peer.stream.extend(side.call.poll_stream().unwrap_or_default());
            peer.datagrams.extend(std::iter::from_fn(|| side.call.poll_datagram(now)));
            let pool = peer.datagrams.len();
            // Pictures are worth more than what is old; keep the newest of both.
            if pool > 4 * MAX_POOL {
                peer.datagrams.drain(..pool - 4 * MAX_POOL);
            }
            assert!(side.call.held() <= MAX_MEMORY, "{} bytes held", side.call.held());
            side.events();
            side.frames();
            assert_eq!(side.call.poll_timeout().is_none(), side.call.is_over());
            let stats = side.call.stats();
            assert!(stats.video_queue_bytes <= 1 << 20);
            assert!(stats.datagrams_lost < 1 << 62 && stats.jitter_us < 1 << 40);
            crate::parse::check_offer(side.call.peer_offer());
            assert!(!side.open || side.call.is_talking(), "a device is open and nobody talks");
            if let (Some(code), Some(other)) = (side.call.code(), peer.call.code()) {
                assert!(code == other || side.disturbed || peer.disturbed, "two codes in one call");
            }
            if side.call.is_talking() {
                assert!(side.consent.is_some(), "talking without consent");
                let answered = self.answered || side.disturbed;
                assert!(answered, "talking without an answer");
            }
        }
    }
}

impl Side {
    fn events(&mut self) {
        let mut count = 0;
        while let Some(event) = self.call.poll_event() {
            assert!(!self.ended, "{event:?} after the end");
            self.ended = matches!(event, Event::Ended { .. });
            if event == Event::Answered {
                // As the engine does with its sources: they start by a consent, and there is no other way.
                let consent =
                    self.consent.as_ref().expect("a call is answered that nobody here has consented to");
                self.open = consent.covers(Kind::Microphone);
            }
            self.open &= !self.ended;
            if let Event::KeyframeRequested { track } = event {
                assert!(track < 15);
            }
            if let Event::Reach(addresses) = &event {
                assert!(addresses.len() <= 8 && addresses.iter().all(|a| a.port() != 0));
            }
            if event == Event::ContactKey {
                assert!(self.offered && self.secret.is_none(), "a secret that nobody wanted, or another");
                self.secret = self.call.take_contact_key().map(|key| key.id());
                assert!(self.secret.is_some());
            }
            count += 1;
            assert!(count <= 257, "events without bound");
        }
        assert_eq!(self.ended, self.call.is_over(), "an end that nobody hears of");
    }

    fn frames(&mut self) {
        while let Some(frame) = self.call.poll_frame() {
            assert!(self.call.trust().is_some_and(|trust| trust.has_media()), "media of somebody else");
            assert!(frame.payload.len() <= MAX_FRAME && frame.track < 15);
            assert!(self.call.role() == Role::Caller || frame.arrived >= Time::ZERO);
            // An info has 7 bytes with sound and 6 with pictures: what is sealed as one and announced as the other
            // comes out a byte longer or shorter.
            let found = self.expected.iter().position(|sent| {
                let came = &frame.payload[..];
                came == sent || sent.get(1..) == Some(came) || came.get(1..) == Some(sent)
            });
            let at = found.expect("a frame that nobody sealed, or that was heard before");
            self.expected.swap_remove(at);
        }
    }
}

/// Two calls: legal and illegal acts, and datagrams changed, replayed, lost and out of order.
pub fn call(data: &[u8]) {
    let mut input = Input(data);
    let mut two = Two::new();
    two.settle();
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        two.step(&mut input);
        two.settle();
    }
    // Left alone, each comes to an end: nothing is heard of the other any more.
    for _ in 0..40 {
        two.now += Duration::from_secs(2);
        two.sides.iter_mut().for_each(|side| {
            side.stream.clear();
            side.datagrams.clear();
        });
        two.settle();
    }
    assert!(two.sides.iter().all(|side| side.call.is_over()), "a call without a peer goes on");
    if let [Some(a), Some(b)] = two.sides.each_ref().map(|side| side.secret) {
        assert!(a == b || two.sides.iter().any(|side| side.disturbed), "two secrets of one call");
    }
    // And then nothing reaches it.
    let now = two.now;
    let before = two.sides[0].call.held();
    for side in &mut two.sides {
        side.call.handle_stream(now, &[0xff; 64]);
        side.call.handle_datagram(now, &WORLD.hello);
        side.call.handle_timeout(now);
    }
    assert!(two.sides[0].call.held() <= before, "a call that is over still buffers");
    two.settle();
}
