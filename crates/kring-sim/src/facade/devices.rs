//! Model devices for a call of the facade, and the judge that they tell.

use super::Ground;
use crate::engine::{Context, Engine, offer};
use crate::scenario::of;
use kring::Media;
use kring::capture::Consent;
use kring::simulation::{Devices, Done, Wanted};
use kring_core::call::{Call, Event, IncomingFrame};
use kring_core::handshake::Role;
use kring_core::time::Time;
use std::sync::Arc;
use std::time::Duration;

/// No call lasts so long.
const NEVER: Duration = Duration::from_secs(3600);

struct Model {
    ground: Arc<Ground>,
    who: Role,
    engine: Option<Engine>,
}

/// What that side brings to the call.
pub(super) fn media(ground: &Arc<Ground>, who: Role) -> Media {
    let name = if who == Role::Caller { "Anna" } else { "Ben" };
    let offer = offer(name, ground.scenario.people[of(who)].camera.is_some());
    let devices = Model { ground: ground.clone(), who, engine: None };
    Media::new(Consent::to_nothing()).simulated(offer, devices).recording(ground.records(who))
}

impl Model {
    /// The world's time at a moment of this endpoint.
    fn world(&self, now: Time) -> Time {
        now - self.ground.scenario.people[of(self.who)].clock
    }
}

impl Devices for Model {
    fn start(&mut self, now: Time) {
        let now = self.world(now);
        self.engine = Some(Engine::start(&self.ground.scenario, self.who, now));
        self.ground.judge(|judge| {
            judge.check.event(now, self.who, &Event::Answered);
            judge.trace.event(now, self.who, &"starts its devices");
            judge.connected[of(self.who)] = Some(now);
        });
    }

    fn due(&self) -> Time {
        let clock = self.ground.scenario.people[of(self.who)].clock;
        match &self.engine {
            Some(engine) if !self.ground.judge(|judge| judge.is_gone(self.who)) => engine.due() + clock,
            _ => Time::ZERO + clock + NEVER,
        }
    }

    fn take(&mut self, now: Time, frame: IncomingFrame) {
        let now = self.world(now);
        self.ground.judge(|judge| {
            judge.check.fresh(now, self.who, false);
            judge.check.received(now, self.who, &frame);
        });
        if let Some(engine) = &mut self.engine {
            engine.take(frame);
        }
    }

    fn run(&mut self, now: Time, call: &mut Call, wanted: Wanted) -> Done {
        let now = self.world(now);
        let Some(engine) = &mut self.engine else { return Done::default() };
        engine.muted = [wanted.microphone_muted, wanted.camera_muted];
        if wanted.keyframe {
            engine.keyframe_requested();
        }
        self.ground.judge(|judge| {
            if judge.is_gone(self.who) {
                return;
            }
            let mut cx = Context { now, who: self.who, check: &mut judge.check, trace: &mut judge.trace };
            engine.run(&mut cx, call);
            judge.check.stats(now, self.who, &call.stats(), 0);
        });
        Done { playout: engine.played(), asked: engine.asked() }
    }
}
