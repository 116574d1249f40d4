//! What a thief can open who records all that passes and at some moment gets hold of all secrets of both sides.

use super::*;
use crate::control::Message;
use crate::crypto::Secret32;
use crate::crypto::noise::tapped;
use crate::handshake::{FrameReader, without_rekeying};
use crate::keys::{Group, Kid};
use crate::media::parse;
use sframe::header::SframeHeader;
use std::collections::{BTreeMap, BTreeSet};

/// How many generations of a key are in use or kept when no older one is any more.
const ALIVE: u8 = 2;

fn talk(two: &mut Two, time: Duration) {
    let until = two.now + time;
    while two.now < until {
        two.say(Role::Caller, b"hello");
        two.say(Role::Callee, b"hello");
        two.run(Duration::from_millis(20));
    }
}

fn two(sender_key: u64, handshake: u64) -> Two {
    let mut two = Two::talking();
    for role in [Role::Caller, Role::Callee] {
        let lifetimes = KeyLifetimes {
            sender_key: Duration::from_millis(sender_key),
            handshake: Duration::from_millis(handshake),
        };
        let now = two.now;
        two.side(role).set_key_lifetimes(now, lifetimes);
    }
    two
}

/// All that a thief has.
struct Loot {
    group: Group,
    /// Sender keys, whosoever.
    senders: Vec<Secret32>,
    /// Keys of the channel, in either direction.
    channel: Vec<[u8; 32]>,
}

impl Loot {
    /// All that the two calls hold in this moment.
    fn now(two: &Two) -> Loot {
        let mut loot = Loot { group: two.caller.own.group(), senders: Vec::new(), channel: Vec::new() };
        for call in [&two.caller, &two.callee] {
            loot.senders.extend(call.own.secrets());
            loot.senders.extend(call.inbox.keys().secrets());
        }
        // The ciphers that are alive in this thread: those of the two calls.
        loot.channel = tapped::alive();
        loot
    }

    /// Adds the sender keys that the channel keys give away, and with `later` what those become by rekeying.
    fn read(&mut self, recorded: &[(Role, Wire)], later: bool) {
        if later {
            for key in self.channel.clone() {
                let chain = std::iter::successors(Some(key), |key| Some(tapped::rekeyed(key)));
                self.channel.extend(chain.skip(1).take(14));
            }
        }
        for from in [Role::Caller, Role::Callee] {
            let mut reader = FrameReader::default();
            for (_, wire) in recorded.iter().filter(|(role, _)| *role == from) {
                if let Wire::Stream(bytes) = wire {
                    reader.push(bytes);
                }
            }
            // Frames are numbered from 0 under each handshake, so no number is larger than that of all frames.
            let mut frames = Vec::new();
            while let Ok(Some(frame)) = reader.next(65_535) {
                frames.push(frame.to_vec());
            }
            let numbers = 0..frames.len() as u64;
            for (frame, key) in frames.iter().flat_map(|f| self.channel.iter().map(move |k| (f, k))) {
                let opened = numbers.clone().find_map(|n| tapped::open(key, n, frame));
                if let Some(Ok(Some(Message::SenderKey(key)))) = opened.map(|p| Message::decode(&p)) {
                    self.senders.push(key.secret);
                }
            }
        }
    }

    /// How many of the recorded frames open, by sender and rotation, and how many there are.
    fn opens(&self, recorded: &[(Role, Wire)]) -> BTreeMap<(u8, u8), (u32, u32)> {
        let mut opened = BTreeMap::new();
        for (_, wire) in recorded {
            let Wire::Datagram(bytes) = wire else { continue };
            let Ok(packet) = parse(bytes) else { continue }; // padding
            let header = SframeHeader::deserialize(packet.payload).unwrap();
            let kid = Kid::decode(header.key_id());
            let mut metadata = Vec::new();
            packet.header.encode(&mut metadata);
            let opens = |c: &Secret32| {
                let opener = AwsLc.opener(header.key_id(), &self.group.base_key(c, header.key_id()));
                opener.open(&metadata, packet.payload, &mut Vec::new()).is_ok()
            };
            let counts: &mut (u32, u32) = opened.entry((kid.leaf, kid.rotation)).or_default();
            counts.0 += u32::from(self.senders.iter().any(opens));
            counts.1 += 1;
        }
        opened
    }
}

/// Two talk for a while, then both are robbed of all that they hold. Which generations of their keys can be opened?
fn robbed(sender_key: u64) -> (BTreeSet<(u8, u8)>, u8) {
    let mut two = two(sender_key, 3_600_000);
    talk(&mut two, Duration::from_secs(16));
    let mut loot = Loot::now(&two);
    loot.read(&two.recorded, false);
    let opened = loot.opens(&two.recorded);
    let newest = opened.keys().map(|(_, rotation)| *rotation).max().unwrap();
    for (which, (open, of)) in &opened {
        assert!(*open == 0 || open == of, "{which:?}: {open} of {of}");
        assert!(*of > 100 || which.1 == newest, "{which:?}: {of} frames");
    }
    (opened.into_iter().filter(|(_, (open, _))| *open > 0).map(|(which, _)| which).collect(), newest)
}

#[test]
fn a_stolen_state_opens_nothing_under_keys_that_were_dropped_before() {
    let (opened, newest) = robbed(4000);
    assert!(newest >= 3, "{newest} keys");
    assert!(opened.contains(&(0, newest)) && opened.contains(&(1, newest)), "what is in use is stolen");
    assert!(opened.iter().all(|(_, rotation)| newest - rotation < ALIVE), "{opened:?}");
}

#[test]
fn without_rekeying_the_stolen_state_would_open_all() {
    let (opened, newest) = without_rekeying(|| robbed(4000));
    assert_eq!(opened.len(), 2 * (usize::from(newest) + 1), "{opened:?}");
}

#[test]
fn without_rotation_the_stolen_state_would_open_all() {
    let (opened, newest) = robbed(300_000);
    assert_eq!((opened.len(), newest), (2, 0), "one key each, since the start");
}

/// Two are robbed of all that they held so far, and go on talking, with or without a new handshake.
fn robbed_before(handshake: u64) -> (u32, u32, u32) {
    let mut two = two(1000, handshake);
    talk(&mut two, Duration::from_secs(2));
    let mut loot = Loot::now(&two);
    // More than they hold: every key that any cipher of theirs ever had.
    loot.channel = tapped::keys();
    talk(&mut two, Duration::from_secs(10));
    // The thief follows the channel through all its rekeying.
    loot.read(&two.recorded, true);
    let handshakes = two.callee.stats().handshakes;
    // What is left of the last second is surely under keys that were given out after the handshake.
    let last = two.recorded.len() - 100;
    let opened = loot.opens(&two.recorded[last..]).into_values();
    let (opens, of) = opened.fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
    (opens, of, handshakes)
}

#[test]
fn what_is_said_after_a_new_handshake_is_closed_to_whoever_stole_all_before_it() {
    let (opens, of, handshakes) = robbed_before(5000);
    assert!(handshakes >= 1 && of > 50, "{handshakes} handshakes, {of} frames");
    assert_eq!(opens, 0);
}

#[test]
fn without_the_new_handshake_the_thief_would_hear_on() {
    let (opens, of, handshakes) = robbed_before(3_600_000);
    assert!(handshakes == 0 && of > 50, "{handshakes} handshakes, {of} frames");
    assert_eq!(opens, of);
}
