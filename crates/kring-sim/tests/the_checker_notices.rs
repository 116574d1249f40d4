//! Sabotage: a checker that never fails proves nothing, so each rule is broken once on purpose.

use kring_core::call::{EndedBy, Event, IncomingFrame};
use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::media::{FrameHeader, FrameInfo};
use kring_core::time::Time;
use kring_sim::check::{Check, End};
use kring_sim::codec::{Pictures, Voice};
use kring_sim::scenario::Scenario;
use std::time::Duration;

const NOW: Time = Time::from_millis(1000);
const PACKET: Duration = Duration::from_millis(20);
const WHO: Role = Role::Caller;

fn scenario() -> Scenario {
    Scenario::new(5, Some(&"delay=20,loss=5".parse().expect("a network")))
}

/// A checker of an answered call, and the callee's encoders.
fn talking() -> (Check, Voice, Pictures) {
    let scenario = scenario();
    let mut check = Check::new(&scenario);
    for who in [Role::Caller, Role::Callee] {
        check.event(NOW, who, &Event::Answered);
    }
    let (voice, camera) = (scenario.voice_key(WHO.other()), scenario.picture_key(WHO.other()));
    (check, Voice::new(voice, 80), Pictures::new(camera))
}

fn arrived(payload: &[u8]) -> IncomingFrame {
    let clock = |who| scenario().people[kring_sim::scenario::of(who)].clock;
    let capture = (NOW + clock(WHO.other())).as_micros() & ((1 << 40) - 1);
    IncomingFrame {
        track: 0,
        header: FrameHeader::default(),
        info: FrameInfo::Audio { capture, duration: PACKET, level: 30 },
        payload: payload.to_vec(),
        arrived: NOW + clock(WHO),
    }
}

fn says(check: &Check, what: &str) {
    let told = check.failures().iter().any(|failure| failure.contains(what));
    assert!(told, "expected {what:?} among {:?}", check.failures());
}

#[test]
fn what_is_right_is_not_complained_about() {
    let (mut check, mut voice, mut camera) = talking();
    for _ in 0..5 {
        let packet = voice.encode(NOW);
        check.received(NOW, WHO, &arrived(&packet));
        check.heard(NOW, WHO, &packet, PACKET);
        check.decoded(NOW, WHO, &camera.encode(NOW, false, false, 90).1);
    }
    assert_eq!(check.failures(), [""; 0]);
}

#[test]
fn a_frame_decoded_twice() {
    let (mut check, _, mut camera) = talking();
    let (_, frame) = camera.encode(NOW, true, false, 90);
    check.decoded(NOW, WHO, &frame);
    assert_eq!(check.failures(), [""; 0]);
    check.decoded(NOW, WHO, &frame);
    says(&check, "decoded twice or out of order");
}

#[test]
fn a_frame_decoded_without_what_it_refers_to() {
    let (mut check, _, mut camera) = talking();
    check.decoded(NOW, WHO, &camera.encode(NOW, true, false, 90).1);
    camera.encode(NOW, false, false, 90);
    check.decoded(NOW, WHO, &camera.encode(NOW, false, false, 90).1);
    says(&check, "picture 2 is decoded without picture 1");
}

#[test]
fn a_packet_heard_twice_or_never_sent() {
    let (mut check, mut voice, _) = talking();
    let mut packet = voice.encode(NOW);
    check.received(NOW, WHO, &arrived(&packet));
    check.heard(NOW, WHO, &packet, PACKET);
    check.heard(NOW, WHO, &packet, PACKET);
    says(&check, "heard twice");
    packet[30] ^= 1;
    check.heard(NOW, WHO, &packet, PACKET);
    says(&check, "never said");
    check.received(NOW, WHO, &arrived(&packet));
    says(&check, "never sent");
}

#[test]
fn media_before_the_answer() {
    let mut check = Check::new(&scenario());
    check.received(NOW, WHO, &arrived(&Voice::new(scenario().voice_key(WHO.other()), 80).encode(NOW)));
    says(&check, "media before the answer");
}

#[test]
fn events_out_of_order() {
    let (mut check, ..) = talking();
    check.event(NOW, WHO, &Event::Answered);
    says(&check, "answered twice");
    check.event(NOW, WHO, &Event::Resumed);
    says(&check, "resumed without interruption");
    check.ended(NOW, WHO, End::Crashed);
    check.event(NOW, WHO, &Event::Interrupted);
    says(&check, "an event after the end");
}

#[test]
fn a_call_that_does_not_end_or_ends_in_two_ways() {
    let over = |reason, by| End::Over { reason, by };
    let (mut check, ..) = talking();
    check.finish(NOW);
    says(&check, "not over");

    let (mut check, ..) = talking();
    check.ended(NOW, WHO, over(Reason::Busy, EndedBy::Peer));
    check.ended(NOW, WHO.other(), over(Reason::GoingAway, EndedBy::Local));
    check.finish(NOW);
    says(&check, "Caller: busy (Peer), while the other: the program ended (Local)");

    let (mut check, ..) = talking();
    check.ended(NOW, WHO, over(Reason::ProtocolError, EndedBy::Local));
    check.ended(NOW, WHO.other(), over(Reason::ProtocolError, EndedBy::Peer));
    check.finish(NOW);
    says(&check, "Caller: protocol error (Local)");
}

#[test]
fn a_frame_that_waited_for_its_key() {
    let (mut check, mut voice, _) = talking();
    let frame = arrived(&voice.encode(NOW));
    let later = NOW + Duration::from_millis(5);
    check.received(later, WHO, &frame);
    says(&check, "has waited for its key");
}

#[test]
fn a_whole_frame_that_was_dropped() {
    let (mut check, ..) = talking();
    check.fresh(NOW, WHO, false);
    assert_eq!(check.failures(), [""; 0]);
    check.fresh(NOW, WHO, true);
    says(&check, "a whole frame was dropped");
}
