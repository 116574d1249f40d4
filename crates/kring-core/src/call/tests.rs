mod ahead;
mod contact;
mod door;
mod rotate;
mod stolen;
mod verification;

use super::*;
use crate::crypto::Provider;
use crate::crypto::aws_lc::AwsLc;
use crate::handshake::{Accept, Acceptor, Binding, Dial, Progress};
use crate::identity::Identity;
use crate::media::audio::Copies;
use crate::media::{FrameHeader, FrameInfo};
use crate::offer::TrackSource;
use crate::ticket::Ticket;
use crate::time::WallTime;
use std::sync::Arc;

const NOW: WallTime = WallTime(1_800_000_000);
const ONE_WAY: Duration = Duration::from_millis(10);

fn offer(name: &str) -> Offer {
    let track = |id, source, codec: &str, size| TrackInfo {
        id,
        source,
        codec: codec.into(),
        size,
        frame_rate_milli: if size.is_some() { 30_000 } else { 0 },
        state: TrackState::Live,
    };
    Offer {
        name: name.into(),
        receive: vec!["opus".into(), "h264".into()],
        tracks: vec![
            track(0, TrackSource::Microphone, "opus", None),
            track(1, TrackSource::Camera, "h264", Some((640, 360))),
        ],
    }
}

/// Two calls and a network that delays by 10 ms.
struct Two {
    now: Time,
    caller: Call,
    callee: Call,
    /// The caller's identity, then the callee's.
    identities: [Arc<Identity>; 2],
    wire: Vec<(Time, Role, Wire)>,
    connected: bool,
    seen: Vec<(Role, Event)>,
    frames: Vec<(Role, IncomingFrame)>,
    step: Duration,
    /// All that was sent so far, by whom, and lost or not.
    recorded: Vec<(Role, Wire)>,
    /// A side whose stream stands still.
    stuck: Option<Role>,
    /// What happened at the callee's door.
    door: Vec<DoorEvent>,
}

#[derive(Clone)]
enum Wire {
    Stream(Vec<u8>),
    Datagram(Vec<u8>),
}

impl Two {
    fn new() -> Two {
        Two::at(None)
    }

    /// With the caller in front of a door, if there is one.
    fn at(door: Option<Door>) -> Two {
        let provider: Arc<dyn Provider> = Arc::new(AwsLc);
        let binding = Binding::Quic([7; 32]);
        let a = Arc::new(Identity::generate(&*provider, NOW).unwrap());
        let b = Arc::new(Identity::generate(&*provider, NOW).unwrap());
        let ticket =
            Ticket::issue(&b, &["192.0.2.1:9".parse().unwrap()], WallTime(NOW.0 + 60), &*provider).unwrap();
        let mut acceptor = Acceptor::new(b.clone(), provider.clone());
        acceptor.add(&ticket);
        let (mut dial, hello) = Dial::new(&a, &ticket, binding, NOW, &provider).unwrap();
        let mut accept = Accept::new(binding);
        let Ok(Progress::Reply(second)) = accept.handle(&hello, &mut acceptor, NOW) else {
            panic!("no reply")
        };
        let (session, confirm) = dial.handle(&second, &offer("Anna").encode(), NOW).unwrap().unwrap();
        let Ok(Progress::Done(answered)) = accept.handle(&confirm, &mut acceptor, NOW) else {
            panic!("not confirmed")
        };
        let timeouts = Timeouts::default();
        let caller = Call::new(session, &a, &offer("Anna"), timeouts, Time::ZERO).unwrap();
        let callee = match door {
            Some(door) => Call::at_the_door(*answered, &b, door, timeouts, Time::ZERO),
            None => Call::new(*answered, &b, &Offer::default(), timeouts, Time::ZERO),
        };
        let callee = callee.unwrap();
        Two {
            now: Time::ZERO,
            caller,
            callee,
            identities: [a, b],
            wire: vec![],
            connected: true,
            seen: vec![],
            frames: vec![],
            step: Duration::from_millis(1),
            recorded: vec![],
            stuck: None,
            door: vec![],
        }
    }

    fn talking() -> Two {
        let mut two = Two::new();
        two.run(Duration::from_millis(50));
        two.callee.answer(two.now, &offer("Ben"));
        two.run(Duration::from_millis(50));
        assert!(two.caller.is_talking() && two.callee.is_talking());
        two.seen.clear();
        two
    }

    fn side(&mut self, role: Role) -> &mut Call {
        match role {
            Role::Caller => &mut self.caller,
            Role::Callee => &mut self.callee,
        }
    }

    /// Lets `time` pass, a step at a time.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += self.step;
            let (now, stuck) = (self.now, self.stuck);
            for role in [Role::Caller, Role::Callee] {
                let side = self.side(role);
                if side.poll_timeout().is_some_and(|t| t <= now) {
                    side.handle_timeout(now);
                }
                let mut sent = Vec::new();
                if stuck != Some(role) {
                    sent.extend(side.poll_stream().map(Wire::Stream));
                }
                sent.extend(std::iter::from_fn(|| side.poll_datagram(now)).map(Wire::Datagram));
                let events: Vec<_> = std::iter::from_fn(|| side.poll_event()).collect();
                let frames: Vec<_> = std::iter::from_fn(|| side.poll_frame()).collect();
                let door: Vec<_> = std::iter::from_fn(|| side.poll_door()).collect();
                self.door.extend(door);
                self.seen.extend(events.into_iter().map(|e| (role, e)));
                self.frames.extend(frames.into_iter().map(|f| (role, f)));
                self.recorded.extend(sent.iter().map(|w| (role, w.clone())));
                if self.connected {
                    self.wire.extend(sent.into_iter().map(|w| (now + ONE_WAY, role.other(), w)));
                }
            }
            let due: Vec<_> = self.wire.extract_if(.., |(at, ..)| *at <= now).collect();
            for (_, to, what) in due {
                match what {
                    Wire::Stream(bytes) => self.side(to).handle_stream(now, &bytes),
                    Wire::Datagram(bytes) => self.side(to).handle_datagram(now, &bytes),
                }
            }
        }
    }

    fn say(&mut self, role: Role, payload: &[u8]) {
        let now = self.now;
        self.side(role)
            .send_audio(0, now, Duration::from_millis(20), 30, payload, &Copies::default())
            .unwrap();
    }

    fn heard(&self, role: Role) -> Vec<&[u8]> {
        self.frames.iter().filter(|(r, _)| *r == role).map(|(_, f)| &f.payload[..]).collect()
    }

    fn ended(&self, role: Role) -> Option<(Reason, EndedBy)> {
        self.seen.iter().find_map(|(r, e)| match e {
            Event::Ended { reason, by } if *r == role => Some((*reason, *by)),
            _ => None,
        })
    }

    fn saw(&self, role: Role, event: &Event) -> usize {
        self.seen.iter().filter(|(r, e)| *r == role && e == event).count()
    }
}

#[test]
fn a_call_rings_is_answered_and_carries_media_both_ways() {
    let mut two = Two::new();
    assert_eq!(two.callee.peer_offer(), &offer("Anna"));
    two.run(Duration::from_millis(30));
    assert_eq!(two.saw(Role::Caller, &Event::Ringing), 1);
    two.callee.answer(two.now, &offer("Ben"));
    two.say(Role::Callee, b"hello");
    two.run(Duration::from_millis(30));
    assert_eq!(two.caller.peer_offer(), &offer("Ben"));
    two.say(Role::Caller, b"hi");
    let keyframe = vec![5; 20_000];
    let picture = Picture {
        keyframe: true,
        discardable: false,
        refers_to: None,
        temporal_layer: 0,
        spatial_layer: 0,
        capture: two.now,
        payload: &keyframe,
    };
    two.caller.send_video(two.now, 1, &picture).unwrap();
    // Nothing is known of the network yet, so that the picture is spread over half a second.
    two.run(Duration::from_millis(30));
    assert_eq!(two.heard(Role::Callee), [b"hi"]);
    two.run(Duration::from_millis(700));
    assert_eq!(two.heard(Role::Caller), [b"hello"]);
    assert!(two.heard(Role::Callee) == [&b"hi"[..], &keyframe]);
    let (_, frame) = &two.frames[0];
    assert_eq!((frame.track, frame.header.frame_id), (0, 0));
    assert!(matches!(frame.info, FrameInfo::Audio { level: 30, .. }), "{:?}", frame.info);
}

#[test]
fn no_media_flows_before_the_answer() {
    let mut two = Two::new();
    let now = two.now;
    assert_eq!(
        two.caller.send_audio(0, now, Duration::from_millis(20), 0, b"x", &Copies::default()),
        Err(SendError::NotTalking)
    );
    assert_eq!(
        two.callee.send_audio(0, now, Duration::from_millis(20), 0, b"x", &Copies::default()),
        Err(SendError::NotTalking)
    );
    // A modified caller that sends all the same is not heard.
    two.caller.phase = Phase::Talking;
    two.say(Role::Caller, b"knock knock");
    two.run(Duration::from_millis(300));
    assert_eq!(two.heard(Role::Callee), [b""; 0]);
    assert_eq!(two.callee.stats().dropped, 1);
}

#[test]
fn a_track_takes_what_it_was_announced_for() {
    let mut two = Two::talking();
    let now = two.now;
    let sound = two.caller.send_audio(1, now, Duration::from_millis(20), 0, b"x", &Copies::default());
    assert_eq!(sound, Err(SendError::OtherKind { track: 1, announced: MediaKind::Video }));
    let picture = Picture {
        keyframe: true,
        discardable: false,
        refers_to: None,
        temporal_layer: 0,
        spatial_layer: 0,
        capture: now,
        payload: b"x",
    };
    let shown = two.caller.send_video(now, 0, &picture);
    assert_eq!(shown, Err(SendError::OtherKind { track: 0, announced: MediaKind::Audio }));
}

#[test]
fn frames_that_overtake_the_answer_wait_for_it() {
    let mut two = Two::new();
    two.run(Duration::from_millis(30));
    two.callee.answer(two.now, &offer("Ben"));
    let answer = two.callee.poll_stream().unwrap();
    two.say(Role::Callee, b"early");
    two.run(Duration::from_millis(200));
    assert_eq!(two.heard(Role::Caller), [b""; 0]);
    let now = two.now;
    two.caller.handle_stream(now, &answer);
    two.run(Duration::from_millis(5));
    assert_eq!(two.heard(Role::Caller), [b"early"]);
}

#[test]
fn a_callee_can_decline_or_be_busy() {
    for reason in [Reason::Declined, Reason::Busy] {
        let mut two = Two::new();
        two.callee.decline(reason);
        two.run(Duration::from_millis(30));
        assert_eq!(two.ended(Role::Caller), Some((reason, EndedBy::Peer)));
        assert_eq!(two.ended(Role::Callee), Some((reason, EndedBy::Local)));
    }
}

#[test]
fn either_side_can_hang_up_with_a_reason() {
    for role in [Role::Caller, Role::Callee] {
        let mut two = Two::talking();
        two.side(role).hang_up(Reason::GoingAway);
        two.run(Duration::from_millis(30));
        assert_eq!(two.ended(role), Some((Reason::GoingAway, EndedBy::Local)));
        assert_eq!(two.ended(role.other()), Some((Reason::GoingAway, EndedBy::Peer)));
        assert_eq!(two.side(role.other()).poll_timeout(), None);
    }
}

#[test]
fn it_rings_for_a_minute() {
    let mut two = Two::new();
    two.run(Duration::from_secs(59));
    assert_eq!(two.ended(Role::Caller), None);
    two.run(Duration::from_millis(1100));
    assert_eq!(two.ended(Role::Caller).unwrap().0, Reason::NotAnswered);
    assert_eq!(two.ended(Role::Callee).unwrap().0, Reason::NotAnswered);
}

#[test]
fn a_vanished_peer_interrupts_within_two_seconds_and_ends_the_call_after_thirty() {
    let mut two = Two::talking();
    two.connected = false;
    two.wire.clear();
    two.run(Duration::from_secs(2));
    assert_eq!(two.saw(Role::Caller, &Event::Interrupted), 1);
    assert_eq!(two.saw(Role::Callee, &Event::Interrupted), 1);
    two.run(Duration::from_secs(27));
    assert_eq!(two.ended(Role::Caller), None);
    two.run(Duration::from_secs(2));
    assert_eq!(two.ended(Role::Caller), Some((Reason::Vanished, EndedBy::Network)));
}

#[test]
fn an_interrupted_call_resumes() {
    let mut two = Two::talking();
    two.connected = false;
    two.run(Duration::from_secs(5));
    two.connected = true;
    two.run(Duration::from_secs(1));
    assert_eq!(two.saw(Role::Caller, &Event::Resumed), 1);
    assert_eq!(two.saw(Role::Caller, &Event::Interrupted), 1);
    assert_eq!(two.ended(Role::Caller), None);
}

#[test]
fn a_silent_call_is_not_interrupted() {
    let mut two = Two::talking();
    two.run(Duration::from_secs(20));
    assert_eq!(two.seen, []);
}

#[test]
fn mute_and_camera_off_are_told_to_the_other_side() {
    let mut two = Two::talking();
    two.caller.set_track_state(0, TrackState::Muted);
    two.caller.set_track_state(1, TrackState::Muted);
    let now = two.now;
    assert_eq!(
        two.caller.send_audio(0, now, Duration::from_millis(20), 0, b"x", &Copies::default()),
        Err(SendError::NotLive { track: 0 })
    );
    two.run(Duration::from_millis(30));
    for track in [0, 1] {
        assert_eq!(two.saw(Role::Callee, &Event::TrackState { track, state: TrackState::Muted }), 1);
    }
    assert!(two.callee.peer_offer().tracks.iter().all(|t| t.state == TrackState::Muted));
}

#[test]
fn keyframe_requests_arrive_and_a_flood_of_them_is_thinned() {
    let mut two = Two::talking();
    for _ in 0..200 {
        two.callee.request_keyframe(1);
        two.callee.request_keyframe(9);
        two.run(Duration::from_millis(1));
    }
    two.run(Duration::from_millis(30));
    let got = two.saw(Role::Caller, &Event::KeyframeRequested { track: 1 });
    assert!((2..=3).contains(&got), "{got}");
    assert_eq!(two.saw(Role::Caller, &Event::KeyframeRequested { track: 9 }), 0);
}

#[test]
fn recording_is_told() {
    let mut two = Two::talking();
    two.callee.announce_recording(true);
    two.run(Duration::from_millis(30));
    assert_eq!(two.saw(Role::Caller, &Event::PeerRecording(true)), 1);
}

#[test]
fn replayed_forged_and_garbage_datagrams_are_dropped_and_counted() {
    let mut two = Two::talking();
    two.say(Role::Caller, b"once");
    let now = two.now;
    let good = two.caller.poll_datagram(now).unwrap();
    let dropped = two.callee.stats().dropped;
    two.callee.handle_datagram(now, &good);
    two.callee.handle_datagram(now, &good);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    two.callee.handle_datagram(now, &forged);
    two.callee.handle_datagram(now, b"\xffgarbage");
    two.callee.handle_datagram(now, &[]);
    two.run(Duration::from_millis(20));
    assert_eq!(two.heard(Role::Callee), [b"once"]);
    assert_eq!(two.callee.stats().dropped - dropped, 4);
    assert_eq!(two.ended(Role::Callee), None);
}

#[test]
fn parts_of_frames_that_are_not_the_peers_are_not_kept() {
    let mut two = Two::talking();
    let header =
        FrameHeader { keyframe: true, discardable: false, temporal_layer: 0, spatial_layer: 0, frame_id: 0 };
    let now = two.now;
    let dropped = two.callee.stats().dropped;
    // The callee's peer is leaf 1; 0 is the callee itself, 5 nobody.
    for stream in [1 << 7, 1 << 7 | 5] {
        for datagram in Packetiser::default().packetise(&header, stream, &[7; 3000], 0).unwrap() {
            two.callee.handle_datagram(now, &datagram.bytes);
        }
    }
    assert_eq!(two.callee.stats().dropped - dropped, 6);
}

#[test]
fn own_frames_reflected_are_not_heard() {
    let mut two = Two::talking();
    two.say(Role::Caller, b"echo");
    let now = two.now;
    let own = two.caller.poll_datagram(now).unwrap();
    two.caller.handle_datagram(now, &own);
    two.run(Duration::from_millis(20));
    assert_eq!(two.heard(Role::Caller), [b""; 0]);
}

#[test]
fn legal_messages_in_illegal_order_end_the_call_with_a_reason() {
    let mut two = Two::talking();
    two.callee.write(&Message::Answer(offer("Ben")));
    two.run(Duration::from_millis(30));
    assert_eq!(two.ended(Role::Caller), Some((Reason::ProtocolError, EndedBy::Local)));
    assert_eq!(two.ended(Role::Callee), Some((Reason::ProtocolError, EndedBy::Peer)));
    let mut two = Two::new();
    two.caller.write(&Message::Ringing);
    two.run(Duration::from_millis(30));
    assert_eq!(two.ended(Role::Callee).unwrap().0, Reason::ProtocolError);
}

#[test]
fn a_changed_control_byte_ends_the_call() {
    let mut two = Two::talking();
    two.caller.announce_recording(true);
    let mut bytes = two.caller.poll_stream().unwrap();
    bytes[7] ^= 1;
    let now = two.now;
    two.callee.handle_stream(now, &bytes);
    two.run(Duration::from_millis(5));
    assert_eq!(two.ended(Role::Callee), Some((Reason::ProtocolError, EndedBy::Local)));
}

#[test]
fn reports_measure_the_round_trip_and_carry_what_is_played() {
    let mut two = Two::talking();
    two.callee.set_playout(Playout {
        audio_played_ms: 1000,
        audio_concealed_ms: 40,
        pictures_shown: 30,
        audio_delay_us: 7,
        frozen_ms: 0,
    });
    two.run(Duration::from_secs(1));
    let stats = two.caller.stats();
    let rtt = stats.round_trip.unwrap();
    assert!(rtt.abs_diff(2 * ONE_WAY) <= Duration::from_millis(3), "{rtt:?}");
    assert_eq!(stats.peer.unwrap().playout.audio_concealed_ms, 40);
    assert_eq!(stats.datagrams_lost, 0);
}

#[test]
fn one_audio_packet_costs_at_most_43_bytes_beyond_its_payload() {
    let mut two = Two::talking();
    two.caller.tracks.get_mut(&0).unwrap().next_frame = u32::MAX >> 2;
    for _ in 0..70_000u32 {
        two.caller.own.sealer(0).seal(b"", b"", &mut Vec::new()).unwrap();
    }
    two.say(Role::Caller, &[0; 160]);
    let now = two.now;
    let datagram = two.caller.poll_datagram(now).unwrap();
    assert!(datagram.len() <= 160 + 43, "{}", datagram.len());
}

#[test]
fn datagrams_of_one_plan_have_one_size_and_a_lost_packet_comes_as_a_copy() {
    let mut two = Two::talking();
    let copies = Copies::new(&[1, 2], Copies::size_for(2, 60));
    let mut sizes = Vec::new();
    for n in 0..20u8 {
        let now = two.now;
        // Silence, speech, and a codec that sent less for once.
        let payload = vec![n; if n == 7 { 20 } else { 60 }];
        two.caller.send_audio(0, now, Duration::from_millis(20), n, &payload, &copies).unwrap();
        let datagram = two.caller.poll_datagram(now).unwrap();
        sizes.push(datagram.len());
        if n % 3 != 1 {
            two.callee.handle_datagram(now, &datagram);
        }
        two.now += Duration::from_millis(20);
    }
    // SFrame's counter takes a byte of its own from 8 on.
    assert!(sizes[8..].iter().all(|size| *size == sizes[8]), "{sizes:?}");
    assert!(sizes[..8].iter().all(|size| *size + 1 == sizes[8]), "{sizes:?}");
    let frames: Vec<_> = std::iter::from_fn(|| two.callee.poll_frame()).collect();
    let ids: Vec<u32> = frames.iter().map(|frame| frame.header.frame_id).collect();
    assert_eq!(ids, (0..19).filter(|id| *id < 19).collect::<Vec<_>>(), "each once and in order");
    for (frame, before) in frames[1..].iter().zip(&frames) {
        assert_eq!(frame.info.capture() - before.info.capture(), 20_000);
        assert_eq!(frame.payload[0], before.payload[0] + 1);
    }
}

#[test]
fn when_both_dial_one_of_the_two_calls_goes_on() {
    let (a, b) = (PublicIdentity::from([1; 32]), PublicIdentity::from([2; 32]));
    assert!(own_dial_wins(&a, &b));
    assert!(!own_dial_wins(&b, &a));
}
