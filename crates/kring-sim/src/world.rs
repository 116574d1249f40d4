//! One call from the dialling to both its ends, in virtual time.
//!
//! Guarantee: time goes from one thing that is due to the next, so nothing depends on a tick; a call that never ends, a
//! deadlock and a livelock are found and told.

use crate::check::{Check, End, Totals};
use crate::link::Link;
use crate::rng::Rng;
use crate::scenario::{Action, Scenario, of};
use crate::side::{Around, Side, Wire, two};
use crate::trace::{Hash, Trace};
use kring_core::handshake::Role;
use kring_core::time::Time;
use std::sync::Arc;
use std::time::Duration;

/// A call that lasts longer will not end: the longest script, patience and ringing are well below.
const LONGEST: Time = Time::from_millis(120_000);
/// More steps than that without time passing are a livelock.
const MAX_AT_ONCE: u32 = 5000;
/// More in all are one too.
const MAX_STEPS: u64 = 1_000_000;

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Over all that happened.
    pub hash: Hash,
    /// What was wrong, if anything.
    pub failures: Vec<String>,
    /// How it ended; see [`of`].
    pub ends: [Option<End>; 2],
    /// What was counted; see [`of`].
    pub totals: [Totals; 2],
    /// When each picture shown was captured, and how long it took; see [`of`].
    pub pictures: [Vec<(Time, Duration)>; 2],
    /// What each sent; see [`of`].
    pub sent: [Sent; 2],
    /// What each knew of the network, every [`SAMPLED`]; see [`of`].
    pub course: [Vec<Sample>; 2],
    /// Bytes of packets that came to each, by second, of the second mode only; see [`of`].
    pub came: [Vec<u64>; 2],
    /// From the dialling until the caller knew that it rings.
    pub setup: Option<Duration>,
    /// When both were done.
    pub lasted: Duration,
    /// What happened, to be read, if that was asked for.
    pub lines: Vec<String>,
}

/// What one side sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes of them, without the headers below.
    pub bytes: u64,
    /// Bytes that its encoders put out.
    pub encoded: u64,
}

/// How often samples are taken.
pub const SAMPLED: Duration = Duration::from_millis(20);

/// What one side knew and did at a moment of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Time,
    /// What the way is thought to carry, and what may be sent now, in bit/s.
    pub estimate: u32,
    /// See `estimate`.
    pub target: u32,
    /// What the picture encoder gets of it, in bit/s.
    pub video: u32,
    /// Bytes of pictures that wait to be sent.
    pub waiting: usize,
    /// Bytes sent since the beginning, without the headers below.
    pub bytes: u64,
}

struct World {
    now: Time,
    sampled: Time,
    course: [Vec<Sample>; 2],
    sides: [Side; 2],
    /// By who sends.
    links: [Link<Wire>; 2],
    script: std::vec::IntoIter<crate::scenario::Step>,
    plugged: bool,
    check: Check,
    trace: Trace,
}

/// Runs one call. With `readable`, what happened is told line by line.
///
/// # Panics
/// If the code under test does.
#[must_use]
pub fn run(scenario: &Scenario, readable: bool) -> Outcome {
    let scenario = Arc::new(scenario.clone());
    let mut trace = Trace::new(readable);
    let sides = two(&scenario, &mut trace).expect("seeded keys can be made");
    let link = |who, name| Link::new(&scenario.links[of(who)], Rng::new(scenario.seed, name));
    let mut world = World {
        now: Time::ZERO,
        sampled: Time::ZERO,
        course: Default::default(),
        sides,
        links: [link(Role::Callee, "link callee"), link(Role::Caller, "link caller")],
        script: scenario.script.clone().into_iter(),
        plugged: true,
        check: Check::new(&scenario),
        trace,
    };
    world.run();
    let setup = world.sides[of(Role::Caller)].ringing.map(|at| at.since(Time::ZERO));
    let (hash, lines) = world.trace.finish();
    Outcome {
        came: Default::default(),
        hash,
        failures: world.check.failures().to_vec(),
        ends: world.sides.each_ref().map(Side::end),
        totals: [world.check.totals(Role::Callee), world.check.totals(Role::Caller)],
        pictures: [Role::Callee, Role::Caller].map(|who| world.check.pictures(who).to_vec()),
        sent: world.sides.each_ref().map(|side| side.sent),
        course: world.course,
        setup,
        lasted: world.now.since(Time::ZERO),
        lines,
    }
}

impl World {
    fn run(&mut self) {
        let (mut steps, mut at_once) = (0, 0);
        self.step();
        while !self.is_over() {
            let Some(due) = self.due() else {
                self.check.fail(self.now, "nothing is due and the call is not over: a deadlock");
                break;
            };
            at_once = if due > self.now { 0 } else { at_once + 1 };
            steps += 1;
            if at_once > MAX_AT_ONCE || steps > MAX_STEPS || due > LONGEST {
                let what = if due > LONGEST { "the call does not end" } else { "a livelock" };
                self.check.fail(self.now, what);
                break;
            }
            self.now = self.now.max(due);
            self.sample();
            self.step();
        }
        self.check.finish(self.now);
    }

    /// Both are done; or the caller is, nothing of it is on its way, and the callee never heard of it.
    fn is_over(&mut self) -> bool {
        let [callee, caller] = &self.sides;
        if caller.end().is_some() && callee.is_untouched() && self.links[of(Role::Caller)].due().is_none() {
            self.check.ended(self.now, Role::Callee, End::NeverReached);
            return true;
        }
        self.sides.iter().all(|side| side.end().is_some())
    }

    fn due(&self) -> Option<Time> {
        let sides = self.sides.iter().filter_map(|side| side.due(self.now));
        let links = self.links.iter().filter_map(Link::due);
        let script = self.script.as_slice().first().map(|step| step.at);
        sides.chain(links).chain(script).min()
    }

    /// Notes what both know, as it was since the last step.
    fn sample(&mut self) {
        while self.sampled < self.now {
            for (side, course) in self.sides.iter().zip(&mut self.course) {
                course.extend(side.sample(self.sampled));
            }
            self.sampled += SAMPLED;
        }
    }

    fn step(&mut self) {
        while let Some(step) = self.script.as_slice().first().copied().filter(|step| step.at <= self.now) {
            self.script.next();
            match step.what {
                Action::Unplug | Action::Replug => {
                    self.plugged = step.what == Action::Replug;
                    self.trace.event(self.now, step.who, &format_args!("{:?}", step.what));
                }
                action => self.with(step.who, |side, around| side.act(around, action)),
            }
        }
        for who in [Role::Caller, Role::Callee] {
            while let Some(parcel) = self.links[of(who.other())].receive(self.now) {
                if self.plugged {
                    self.with(who, |side, around| side.receive(around, parcel));
                }
            }
            self.with(who, Side::run);
        }
    }

    fn with(&mut self, who: Role, act: impl FnOnce(&mut Side, &mut Around<'_>)) {
        let World { now, sides, links, plugged, check, trace, .. } = self;
        let out = &mut links[of(who)];
        act(&mut sides[of(who)], &mut Around { now: *now, check, trace, out, plugged: *plugged });
    }
}
