//! control.json and session.json: the messages, and a call's stream with keys that turn over.

use super::held;
use super::json::{Json, hex};
use super::setup::{People, sealed};
use crate::call::{Call, Timeouts};
use crate::contact::ContactOffer;
use crate::control::{Message, Reason};
use crate::crypto::noise::tapped;
use crate::handshake::{Renew, Renewed};
use crate::keys::SenderKey;
use crate::mailbox::RelayHint;
use crate::offer::{Offer, TrackInfo, TrackSource, TrackState};
use crate::passcode::DoorMessage;
use crate::time::Time;
use crate::verify::CodeMessage;
use crate::ways::{Candidate, CandidateKind, CheckCredentials, Ways};
use std::net::SocketAddr;
use zeroize::Zeroizing;

fn offer(name: &str) -> Offer {
    let track = |id, source, codec: &str, size, frame_rate_milli| TrackInfo {
        id,
        source,
        codec: codec.into(),
        size,
        frame_rate_milli,
        state: TrackState::Live,
    };
    Offer {
        name: name.into(),
        receive: vec!["opus".into(), "h264".into()],
        tracks: vec![
            track(0, TrackSource::Microphone, "opus", None, 0),
            track(1, TrackSource::Camera, "h264", Some((640, 360)), 30_000),
        ],
    }
}

/// A candidate of each kind but one that an older version does not know.
fn ways(addresses: &[SocketAddr]) -> Ways {
    let kinds = [CandidateKind::Host, CandidateKind::ServerReflexive, CandidateKind::Mapped];
    let candidates = kinds.into_iter().zip(addresses.iter().cycle()).zip(1..);
    let candidates = candidates.map(|((kind, address), n)| Candidate {
        kind,
        priority: n << 24 | 0xff,
        address: *address,
    });
    let credentials = CheckCredentials { name: [0x75; 6], password: Zeroizing::new([0x76; 18]) };
    Ways { credentials, candidates: candidates.collect() }
}

#[test]
fn control_messages() {
    let people = People::new();
    let key = SenderKey {
        epoch: 0,
        rotation: 3,
        leaf: 1,
        secret: Zeroizing::new([0x11; 32]),
        signature: [0x22; 64],
    };
    let seed = Zeroizing::new([0x33; 32]);
    let (first, second) = (vec![0x44; 1300], vec![0x55; 1200]);
    let (secret, certificate) =
        (Zeroizing::new([0x66; 32]), people.anna.certificate(people.anna.noise_key()));
    let messages = [
        ("ringing", Message::Ringing),
        ("answer", Message::Answer(offer("Ben"))),
        ("decline", Message::Decline(Reason::Busy)),
        ("hang-up", Message::Hangup(Reason::Other(70_000))),
        ("sender key", Message::SenderKey(key)),
        ("tracks", Message::Tracks(offer(""))),
        ("track state", Message::TrackState { track: 1, state: TrackState::Muted }),
        ("keyframe request", Message::KeyframeRequest { track: 1 }),
        ("recording", Message::Recording(true)),
        ("code commitment", Message::Code(CodeMessage::Commitment([0x66; 32]))),
        ("code nonce", Message::Code(CodeMessage::Nonce([0x67; 32]))),
        ("code reveal", Message::Code(CodeMessage::Reveal([0x68; 32]))),
        ("passcode wanted", Message::Door(DoorMessage::PasscodeWanted)),
        ("caller's share", Message::Door(DoorMessage::CallerShare([0x69; 32]))),
        ("callee's share", Message::Door(DoorMessage::CalleeShare([0x6a; 32]))),
        ("caller's tag", Message::Door(DoorMessage::CallerTag([0x6b; 64]))),
        ("callee's tag", Message::Door(DoorMessage::CalleeTag([0x6c; 64]))),
        ("wait", Message::Door(DoorMessage::Wait)),
        ("renew", Message::Renew(Renew { counter: 1, seed, message: first })),
        ("renewed", Message::Renewed(Renewed { counter: 1, message: second })),
        ("switched", Message::Switched),
        ("key taken", Message::KeyTaken { rotation: 3 }),
        ("contact", Message::Contact(Box::new(ContactOffer { secret, certificate }))),
        ("reach", Message::Reach(people.ticket.addresses().to_vec())),
        ("ways", Message::Ways(Box::new(ways(people.ticket.addresses())))),
        ("session", Message::Session([0x77; 16])),
        (
            "relay",
            Message::Relay(Box::new(
                RelayHint::new("relay.example:443", Some([0x88; 32]), [0x99; 32]).expect("one"),
            )),
        ),
    ];
    let written = messages.map(|(name, message)| {
        let bytes = message.encode(&*people.caller.provider).expect("drawn");
        // The GREASE stands last: kind (2 bytes, or 1 below 64), length (1), value.
        let own = Message::decode(&bytes).expect("it reads").expect("it is known");
        assert_eq!(std::mem::discriminant(&own), std::mem::discriminant(&message));
        Json::Fields(vec![("message", name.into()), ("plaintext with GREASE behind it", hex(&*bytes))])
    });
    let malformed: [(&str, &[u8]); 14] = [
        ("a field cut short", &[7, 6, 1, 1, 1]),
        ("a number not in its shortest form", &[8, 4, 1, 2, 0x40, 1]),
        ("a kind not in its shortest form", &[0x40, 8, 3, 1, 1, 1]),
        ("two known messages", &[1, 0, 9, 3, 1, 1, 1]),
        ("a hang-up without reason", &[4, 0]),
        ("track 15", &[8, 3, 1, 1, 15]),
        ("a track state that there is not", &[7, 6, 1, 1, 1, 2, 1, 9]),
        ("a code nonce of one byte", &[11, 3, 1, 1, 5]),
        ("a key taken of rotation 256", &[34, 4, 1, 2, 0x41, 0]),
        ("a contact without certificate", &[20, 3, 1, 1, 0]),
        ("a reach to port 0", &[21, 8, 4, 6, 192, 0, 2, 1, 0, 0]),
        ("ways without a password", &[40, 8, 1, 6, 1, 2, 3, 4, 5, 6]),
        ("a session of one byte", &[41, 3, 1, 1, 7]),
        ("a relay without its mailbox", &[42, 5, 7, 3, b'a', b':', b'1']),
    ];
    let refused = malformed.map(|(why, bytes)| {
        assert!(Message::decode(bytes).is_err(), "{why}");
        Json::Fields(vec![("why", why.into()), ("plaintext", hex(bytes))])
    });
    let nothing = [33, 2, 7, 7];
    assert!(matches!(Message::decode(&nothing), Ok(None)));
    held(
        "control.json",
        "docs/protocol.md, section 7. `refused` ends the call with reason 6; `passed over` does nothing.",
        vec![
            ("messages", Json::list(written)),
            ("refused", Json::list(refused)),
            ("passed over", Json::list([hex(nothing)])),
        ],
    );
}

/// Both sides' streams to each other, until neither has anything to say.
struct Stream<'a> {
    people: &'a People,
    calls: [Call; 2],
    steps: Vec<Json>,
}

impl Stream<'_> {
    fn exchange(&mut self, now: Time, what: &str) {
        let mut frames = Vec::new();
        loop {
            let (mut quiet, names) = (true, ["callee", "caller"]);
            for (from, name) in names.iter().enumerate() {
                if let Some(bytes) = self.calls[from].poll_stream() {
                    self.calls[1 - from].handle_stream(now, &bytes);
                    frames.push(Json::Fields(vec![("from", (*name).into()), ("bytes", hex(bytes))]));
                    quiet = false;
                }
            }
            if quiet {
                break;
            }
        }
        let step = vec![
            ("what", what.into()),
            ("callee draws", self.people.callee.list()),
            ("caller draws", self.people.caller.list()),
            ("stream", Json::List(frames)),
            ("sealed", sealed(tapped::since())),
        ];
        self.steps.push(Json::Fields(step));
    }

    fn wait(&mut self, until: Time) {
        for call in &mut self.calls {
            while call.poll_timeout().is_some_and(|at| at <= until) {
                let at = call.poll_timeout().expect("as just seen");
                call.handle_timeout(at);
                while call.poll_datagram(at).is_some() {}
            }
        }
    }
}

#[test]
fn a_session() {
    let people = People::new();
    let (sessions, frames) = people.meet(&offer("Anna").encode());
    tapped::since();
    for source in [&people.caller, &people.callee] {
        source.list();
    }
    let hash = sessions[0].line.handshake_hash;
    let timeouts = Timeouts { vanished: std::time::Duration::from_secs(10_000), ..Timeouts::default() };
    let [callee, caller] = sessions;
    let calls = [
        Call::new(callee, &people.ben, &Offer::default(), timeouts, Time::ZERO).expect("a call"),
        Call::new(caller, &people.anna, &offer("Anna"), timeouts, Time::ZERO).expect("a call"),
    ];
    let mut stream = Stream { people: &people, calls, steps: Vec::new() };
    stream.exchange(Time::ZERO, "sender keys; it rings");
    stream.calls[0].answer(Time::ZERO, &offer("Ben"));
    stream.exchange(Time::ZERO, "the callee answers");
    let now = Time::from_millis(300_000);
    stream.wait(now);
    stream.exchange(now, "after five minutes: fresh sender keys");
    let now = Time::from_millis(3_600_000);
    for minutes in 6..60 {
        let now = Time::from_millis(minutes * 60_000);
        stream.wait(now);
        // What turns over in between is not kept.
        stream.exchange(now, "");
        stream.steps.pop();
    }
    stream.wait(now);
    stream.exchange(now, "after an hour: a new handshake inside the session, and sender keys under it");
    for call in &stream.calls {
        assert_eq!(call.stats().handshakes, 1);
        assert!(!call.is_over());
    }
    stream.calls[1].hang_up(Reason::HungUp);
    stream.exchange(now, "the caller hangs up");
    let [_, _, confirm] = frames;
    held(
        "session.json",
        "docs/protocol.md, sections 6 to 8: what follows the handshake of handshake.json, but for another offer in confirm. \
         Frames begin with their length. `sealed` lists every use of ChaCha20-Poly1305, also within the new handshake; a \
         nonce of ffffffffffffffff makes the next key of a direction (REKEY). Draws are in order, 12 bytes each time for GREASE. \
         Between the five minutes and the hour more sender keys were exchanged, which are left out.",
        vec![
            ("handshake hash", hex(hash)),
            ("frame with confirm", hex(confirm)),
            ("steps", Json::List(stream.steps)),
        ],
    );
}
