//! What a hostile peer can make a call hold, counted by the allocator: below `MAX_MEMORY`, and given back.
//!
//! One test, since the allocator counts for the whole process.
#![allow(clippy::print_stdout)]

use cap::Cap;
use kring_core::call::{Call, MAX_MEMORY};
use kring_core::media::{FrameHeader, MAX_STREAM};
use kring_core::time::Time;
use kring_fuzz::{an_offer, pair};
use std::alloc::System;
use std::time::Duration;

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

/// The caller is the peer that does as it likes; its leaf in the KID and in streams.
const LEAF: u16 = 1;

/// A call that talks, its hostile peer, and the most that it held.
struct Victim {
    call: Call,
    peer: Call,
    now: Time,
    before: usize,
    most: usize,
}

impl Victim {
    fn new() -> Victim {
        let [mut peer, mut call] = pair();
        call.answer(Time::ZERO, &an_offer("Ben"));
        for _ in 0..3 {
            let (to_call, to_peer) = (peer.poll_stream(), call.poll_stream());
            call.handle_stream(Time::ZERO, &to_call.unwrap_or_default());
            peer.handle_stream(Time::ZERO, &to_peer.unwrap_or_default());
        }
        while call.poll_event().is_some() {}
        assert!(call.is_talking() && peer.is_talking());
        Victim { call, peer, now: Time::from_millis(100), before: ALLOCATED.allocated(), most: 0 }
    }

    /// Looks how much the call holds, once the attacker's own bytes are gone.
    fn look(&mut self) {
        let held = ALLOCATED.allocated().saturating_sub(self.before);
        let counted = self.call.held();
        assert!(held <= counted + (256 << 10), "{held} bytes are held, and only {counted} counted");
        self.most = self.most.max(held);
    }

    fn datagram(&mut self, bytes: Vec<u8>) {
        self.call.handle_datagram(self.now, &bytes);
        drop(bytes);
        self.look();
    }

    fn control(&mut self, plaintext: &[u8], secret: bool) {
        assert!(self.peer.hostile_control(plaintext, secret));
        let bytes = self.peer.poll_stream().unwrap_or_default();
        self.call.handle_stream(self.now, &bytes);
        drop(bytes);
        self.look();
    }

    /// The attack is over: as a driver would, takes what there is, and lets time pass.
    fn finish(mut self, what: &str) {
        let most = self.most;
        assert!(most <= MAX_MEMORY, "{what}: {most} bytes held");
        for _ in 0..12 {
            self.now += Duration::from_millis(250);
            while self.call.poll_event().is_some() {}
            while self.call.poll_frame().is_some() {}
            while self.call.poll_datagram(self.now).is_some() {}
            self.call.poll_stream();
            self.call.handle_timeout(self.now);
        }
        let left = ALLOCATED.allocated().saturating_sub(self.before);
        println!("{what}: at most {most} bytes, {left} after three quiet seconds");
        assert!(left <= 256 << 10, "{what}: {left} bytes are kept");
    }
}

fn varint(number: u16, out: &mut Vec<u8>) {
    match number {
        0..64 => out.push(number as u8),
        64..16_384 => out.extend_from_slice(&(number | 0x4000).to_be_bytes()),
        _ => unreachable!("small numbers only"),
    }
}

/// Hop header, with a part of a frame or a whole one, and the frame header.
fn packet(fragment: Option<[u16; 3]>, frame_id: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![if fragment.is_some() { 0x20 } else { 0 }, 0, 0, 0, 0, 0];
    fragment.into_iter().flatten().for_each(|number| varint(number, &mut out));
    FrameHeader { frame_id, ..FrameHeader::default() }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}

/// SFrame's header with a one-byte KID that no key belongs to, and something sealed.
fn sealed(track: u8, len: usize) -> Vec<u8> {
    // X = 1, K = 1 (two bytes of KID), Y = 0: RFC 9605, section 4.3.
    let kid = 9 << 11 | u16::from(track) << 7 | LEAF;
    let mut out = vec![0x90];
    out.extend_from_slice(&kid.to_be_bytes());
    out.resize(3 + len, 0x5a);
    out
}

fn fragments_that_never_complete(count: u16, len: usize, name: &str) {
    let mut victim = Victim::new();
    for frame_id in 0..20 {
        for track in 0..16 {
            for index in 0..count - 1 {
                if index % 7 != 3 {
                    let stream = track << 7 | LEAF;
                    victim.datagram(packet(Some([stream, index, count]), frame_id, &vec![7; len]));
                }
            }
        }
        victim.now += Duration::from_millis(1);
    }
    victim.finish(name);
}

fn every_stream() {
    let mut victim = Victim::new();
    for frame_id in 0..40 {
        for stream in 0..=MAX_STREAM {
            for index in 0..2 {
                victim.datagram(packet(Some([stream, index, 2 + frame_id as u16 % 2]), frame_id, &[1; 20]));
            }
        }
    }
    victim.finish("frames of every stream");
}

fn frames_that_wait_for_a_key(len: usize, name: &str) {
    let mut victim = Victim::new();
    for n in 0..3000u32 {
        let track = (n % 16) as u8;
        victim.datagram(packet(None, n, &sealed(track, len)));
    }
    // At most 256 wait; all others are gone, and counted.
    assert!(victim.call.stats().dropped >= 3000 - 256, "{:?}", victim.call.stats());
    victim.finish(name);
}

fn large_frames_that_wait_for_a_key() {
    let mut victim = Victim::new();
    for n in 0..20u32 {
        let frame = sealed(1, 300_000);
        let parts: Vec<&[u8]> = frame.chunks(1120).collect();
        let stream = 1 << 7 | LEAF;
        for (index, part) in parts.iter().enumerate() {
            let bytes = packet(Some([stream, index as u16, parts.len() as u16]), n, part);
            victim.call.handle_datagram(victim.now, &bytes);
        }
        drop(parts);
        drop(frame);
        victim.look();
    }
    victim.finish("large frames that wait for a key");
}

fn real_frames_that_nobody_takes() {
    let mut victim = Victim::new();
    // A driver takes frames after each datagram; it does so here as well.
    for frame_id in 0..400 {
        let header = FrameHeader { frame_id, ..FrameHeader::default() };
        let datagrams = victim.peer.hostile_frame(0, &header, &[9; 60_000]);
        for datagram in datagrams {
            victim.datagram(datagram.bytes);
            while victim.call.poll_frame().is_some() {}
        }
    }
    victim.finish("frames of 60 kB as sound");
}

/// Kind and value of a message, each length below 16,384.
fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    varint(value.len() as u16, &mut out);
    out.extend_from_slice(value);
    out
}

fn tracks_without_end() {
    let mut victim = Victim::new();
    let track = |id: u8| {
        let fields =
            [field(1, &[id]), field(2, &[0]), field(3, b"abcdefghijklmnop"), field(7, &[0])].concat();
        field(3, &fields)
    };
    let offer: Vec<u8> = (0..15).flat_map(track).collect();
    for _ in 0..250 {
        victim.control(&field(6, &offer), false);
    }
    assert!(!victim.call.is_over(), "all that was legal");
    victim.finish("lists of tracks that no app reads");
}

fn half_a_message() {
    let mut victim = Victim::new();
    // The longest that may be announced, all but its last byte, in small pieces.
    victim.call.handle_stream(victim.now, &(16 * 1024u16).to_be_bytes());
    for _ in 0..16 * 1024 - 1 {
        victim.call.handle_stream(victim.now, &[1]);
        victim.look();
    }
    victim.finish("a control message without its end");
}

#[test]
fn a_hostile_peer_makes_a_call_hold_a_few_mib_at_most_and_only_for_a_while() {
    fragments_that_never_complete(900, 1120, "large fragments");
    fragments_that_never_complete(1024, 1, "fragments of one byte");
    fragments_that_never_complete(2, 1120, "frames that lack one half");
    every_stream();
    frames_that_wait_for_a_key(1000, "frames that wait for a key");
    frames_that_wait_for_a_key(1, "tiny frames that wait for a key");
    large_frames_that_wait_for_a_key();
    real_frames_that_nobody_takes();
    tracks_without_end();
    half_a_message();
}
