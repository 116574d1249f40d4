//! Two people, a ticket and a network connection, the same on every run.

use std::sync::{Arc, LazyLock};

use kring_core::call::{Call, Door, Timeouts};
use kring_core::crypto::Provider;
use kring_core::crypto::pure::Pure;
use kring_core::handshake::{Accept, Acceptor, Binding, Dial, Progress};
use kring_core::identity::Identity;
use kring_core::offer::{Offer, TrackInfo, TrackSource};
use kring_core::ticket::Ticket;
use kring_core::time::{Time, WallTime};

use crate::mutate::Random;

pub(crate) const NOW: WallTime = WallTime(1_800_000_000);
pub(crate) const BINDING: Binding = Binding::Quic([7; 32]);

/// All randomness from `seed`.
pub(crate) fn provider(seed: u64) -> Arc<dyn Provider> {
    let mut random = Random::new(seed);
    Arc::new(Pure::with_random(Box::new(move |out| {
        out.fill_with(|| random.draw() as u8);
        Ok(())
    })))
}

pub(crate) struct World {
    pub(crate) caller: Arc<Identity>,
    pub(crate) callee: Arc<Identity>,
    pub(crate) ticket: Ticket,
    /// The three messages of an undisturbed handshake.
    pub(crate) hello: Vec<u8>,
    pub(crate) second: Vec<u8>,
    pub(crate) confirm: Vec<u8>,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> World {
        let provider = provider(1);
        let made = "the seeded provider never fails";
        let caller = Arc::new(Identity::generate(&*provider, NOW).expect(made));
        let callee = Arc::new(Identity::generate(&*provider, NOW).expect(made));
        let addresses = ["192.0.2.1:4433", "[2001:db8::1]:4433"].map(|a| a.parse().expect("an address"));
        let ticket = Ticket::issue(&callee, &addresses, WallTime(NOW.0 + 3600), &*provider).expect(made);
        let empty = Vec::new();
        let mut world =
            World { caller, callee, ticket, hello: empty.clone(), second: empty.clone(), confirm: empty };
        let (mut dial, hello) = world.dial();
        let mut acceptor = world.acceptor();
        let mut accept = Accept::new(BINDING);
        let Ok(Progress::Reply(second)) = accept.handle(&hello, &mut acceptor, NOW) else {
            panic!("an undisturbed message 1 is answered")
        };
        let (_, confirm) = dial
            .handle(&second, &offer("Anna").encode(), NOW)
            .expect("an undisturbed message 2 opens")
            .expect("and is whole");
        (world.hello, world.second, world.confirm) = (hello, second, confirm);
        world
    }

    /// A dial that has always the same keys, and its message 1.
    pub(crate) fn dial(&self) -> (Dial, Vec<u8>) {
        Dial::new(&self.caller, &self.ticket, BINDING, NOW, &provider(2)).expect("the ticket is live")
    }

    /// A fresh acceptor that has always the same keys.
    pub(crate) fn acceptor(&self) -> Acceptor {
        let mut acceptor = Acceptor::new(self.callee.clone(), provider(3));
        acceptor.add(&self.ticket);
        acceptor
    }
}

/// Two calls of one session, the caller's first, before a byte went either way.
///
/// # Panics
/// If an undisturbed handshake fails.
#[must_use]
pub fn pair() -> [Call; 2] {
    pair_at(None)
}

/// The same with the caller in front of a door, if there is one.
///
/// # Panics
/// If an undisturbed handshake fails.
#[must_use]
pub fn pair_at(door: Option<Door>) -> [Call; 2] {
    let world = &*WORLD;
    let mut acceptor = world.acceptor();
    let mut accept = Accept::new(BINDING);
    let (mut dial, hello) = world.dial();
    let Ok(Progress::Reply(second)) = accept.handle(&hello, &mut acceptor, NOW) else {
        panic!("an undisturbed message 1 is answered")
    };
    let Ok(Some((session, confirm))) = dial.handle(&second, &offer("Anna").encode(), NOW) else {
        panic!("an undisturbed message 2 opens")
    };
    let Ok(Progress::Done(answered)) = accept.handle(&confirm, &mut acceptor, NOW) else {
        panic!("an undisturbed confirm opens")
    };
    let timeouts = Timeouts::default();
    let caller = Call::new(session, &world.caller, &offer("Anna"), timeouts, Time::ZERO);
    let callee = match door {
        Some(door) => Call::at_the_door(*answered, &world.callee, door, timeouts, Time::ZERO),
        None => Call::new(*answered, &world.callee, &Offer::default(), timeouts, Time::ZERO),
    };
    [caller, callee].map(|call| call.expect("a proven session makes a call"))
}

/// The certificate of one of the two, the caller's first.
#[must_use]
pub fn certificate_of(side: usize) -> Vec<u8> {
    kring_core::fuzzing::certificate_of([&WORLD.caller, &*WORLD.callee][side])
}

/// A microphone and a camera.
#[must_use]
pub fn offer(name: &str) -> Offer {
    let track = |id, source, codec, size: Option<(u16, u16)>| {
        let mut track = TrackInfo::new(id, source, codec);
        track.frame_rate_milli = if size.is_some() { 30_000 } else { 0 };
        track.size = size;
        track
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
