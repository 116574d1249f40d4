//! What happens in one call: the network, the two people and what they do when.
//!
//! Guarantee: a seed makes one scenario, and every scenario comes to an end: somebody hangs up, declines, lets it ring
//! or is gone.

use crate::codec;
use crate::link::{Ppm, Setting, Spec, Term};
use crate::rng::Rng;
use kring_core::call::{KeyLifetimes, Timeouts};
use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::time::Time;
use std::fmt;
use std::time::Duration;

/// What the callee does once it rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Answers after that time.
    Answer(Duration),
    /// Does not take the call.
    Decline(Duration, Reason),
    /// Lets it ring.
    Ignore,
}

/// What someone does during the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ends the call.
    HangUp(Reason),
    /// Switches a track off (`true`) or on.
    Mute(u8, bool),
    /// Asks for a keyframe without need.
    AskForKeyframe,
    /// Begins to record, or ends.
    Record(bool),
    /// The program is gone without a last word.
    Crash,
    /// Nothing passes any more, either way.
    Unplug,
    /// It does again.
    Replug,
}

/// One action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, counted from the dialling.
    pub at: Time,
    /// Who.
    pub who: Role,
    /// What.
    pub what: Action,
}

/// A model camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Between two pictures.
    pub interval: Duration,
    /// Of a picture that is no keyframe, on average, in bytes; a keyframe takes ten times that.
    pub bytes: u64,
    /// Whether every second picture is discardable.
    pub layers: bool,
}

/// One end: its clock, its devices, its sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What its clock shows when the world's shows zero.
    pub clock: Duration,
    /// How much slower than the world its sound card runs, in millionths.
    pub drift: i64,
    /// Of a voice packet, in bytes.
    pub voice: u64,
    /// Of a voice packet, in time.
    pub packet: Duration,
    /// Whether its voice follows the network as an app's does; else packets are of one size and length.
    pub plans: bool,
    /// Its camera, if it has one.
    pub camera: Option<Camera>,
    /// What its connection lets out, in kbit/s; no bound if `None`.
    pub pace: Option<u64>,
    /// How long its keys are used.
    pub keys: KeyLifetimes,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What it was made from.
    pub seed: u64,
    /// The network from each one to the other; see [`of`].
    pub links: [Spec; 2],
    /// When the call gives up.
    pub timeouts: Timeouts,
    /// The two; see [`of`].
    pub people: [Person; 2],
    /// What the callee does.
    pub reaction: Reaction,
    /// What they do besides, in order of time.
    pub script: Vec<Step>,
}

/// Where a role stands in the arrays of this crate.
#[must_use]
pub const fn of(who: Role) -> usize {
    who.leaf() as usize
}

/// By then somebody hangs up, in ms.
const LAST: u64 = 20_000;
const ROLES: [Role; 2] = [Role::Caller, Role::Callee];

impl Scenario {
    /// The scenario of a seed; with `link`, over that network both ways.
    #[must_use]
    pub fn new(seed: u64, link: Option<&Spec>) -> Scenario {
        let rng = &mut Rng::new(seed, "scenario");
        let links = [(); 2].map(|()| network(rng));
        // A network that loses all for a while is better told from one that is slow if patience differs.
        let vanished = if rng.chance(10_000) { 30_000 } else { rng.within(3000..=5000) };
        let timeouts =
            Timeouts { ringing: millis(rng, 2000..=4000), vanished: Duration::from_millis(vanished) };
        let mut people = [(); 2].map(|()| person(rng));
        let keys = &mut Rng::new(seed, "key lifetimes");
        people.iter_mut().for_each(|person| person.keys = lifetimes(keys));
        let mut scenario = Scenario {
            seed,
            links: link.map_or(links, |link| [link.clone(), link.clone()]),
            timeouts,
            people,
            reaction: Reaction::Answer(millis(rng, 0..=1000)),
            script: Vec::new(),
        };
        scenario.plot(rng);
        scenario.script.sort_by_key(|step| step.at);
        scenario
    }

    /// Whether nothing hinders or interrupts sound and pictures, so that none may be missing.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        let undisturbed = |step: &Step| matches!(step.what, Action::HangUp(_) | Action::Record(_));
        self.links.iter().all(Spec::is_clean)
            && self.people.iter().all(|p| p.pace.is_none())
            && self.script.iter().all(undisturbed)
    }

    /// Whether this one is told to do that at some time.
    #[must_use]
    pub fn does(&self, who: Role, what: Action) -> bool {
        self.script.iter().any(|step| step.who == who && step.what == what)
    }

    /// Whether the callee does not take the call, for that reason.
    #[must_use]
    pub fn reaction_is(&self, reason: Reason) -> bool {
        matches!(self.reaction, Reaction::Decline(_, why) if why == reason)
    }

    /// The key of a side's voice packets.
    #[must_use]
    pub fn voice_key(&self, who: Role) -> u64 {
        self.seed << 3 | u64::from(who.leaf()) << 1
    }

    /// The key of a side's pictures.
    #[must_use]
    pub fn picture_key(&self, who: Role) -> u64 {
        self.voice_key(who) | 1
    }

    fn act(&mut self, at: u64, who: Role, what: Action) {
        self.script.push(Step { at: Time::from_millis(at), who, what });
    }

    /// Draws what happens, and an end to it.
    fn plot(&mut self, rng: &mut Rng) {
        let who = rng.pick(&ROLES);
        let end = rng.within(2000..=8000);
        let reason = rng.pick(&[Reason::HungUp, Reason::HungUp, Reason::GoingAway, Reason::Other(77)]);
        match rng.within(0..=99) {
            0..=5 => {
                let why =
                    rng.pick(&[Reason::Declined, Reason::Busy, Reason::BothDialled, Reason::NoCommonCodec]);
                self.reaction = Reaction::Decline(millis(rng, 0..=1500), why);
                // It may have been too late.
                self.act(end, Role::Caller, Action::HangUp(reason));
            }
            6..=10 => self.reaction = Reaction::Ignore,
            11..=15 => self.act(rng.within(0..=1500), who, Action::HangUp(reason)),
            16..=18 => self.act(end, who, Action::Crash),
            19 => self.act(rng.within(0..=1500), who, Action::Crash),
            20..=21 => self.act(end, who, Action::Unplug),
            22..=27 => {
                let from = rng.within(0..=6000);
                self.act(from, who, Action::Unplug);
                self.act(from + rng.within(200..=6000), who, Action::Replug);
                self.act(end + 4000, who, Action::HangUp(reason));
            }
            28..=30 => {
                // Both hang up at almost the same time.
                self.act(end, Role::Caller, Action::HangUp(reason));
                self.act(end + rng.within(0..=60), Role::Callee, Action::HangUp(Reason::HungUp));
            }
            _ => self.act(end, who, Action::HangUp(reason)),
        }
        // Who does not know of the call yet cannot end it when told to; nobody waits for ever.
        self.act(LAST, Role::Caller, Action::HangUp(Reason::GoingAway));
        if rng.chance(400_000) {
            return;
        }
        for _ in 0..rng.within(1..=6) {
            let (at, who) = (rng.within(0..=end), rng.pick(&ROLES));
            match rng.within(0..=3) {
                0..=1 => {
                    let track = rng.within(0..=1) as u8;
                    self.act(at, who, Action::Mute(track, true));
                    self.act(at + rng.within(1..=2000), who, Action::Mute(track, false));
                }
                2 => self.act(at, who, Action::AskForKeyframe),
                _ => self.act(at, who, Action::Record(rng.chance(500_000))),
            }
        }
    }
}

fn millis(rng: &mut Rng, range: std::ops::RangeInclusive<u64>) -> Duration {
    Duration::from_millis(rng.within(range))
}

fn person(rng: &mut Rng) -> Person {
    // Clocks that have just started, run long, or are about to wrap a field on the wire.
    let clock = match rng.within(0..=3) {
        0 => 0,
        1 => rng.within(0..=1 << 44),
        2 => 64_000_000 * rng.within(1..=1000) - rng.within(0..=6_000_000),
        _ => (1 << 40) - rng.within(0..=6_000_000),
    };
    let per_second = rng.pick(&[10, 15, 25, 30]);
    let rate = rng.within(40..=400);
    let camera = Camera {
        interval: Duration::from_micros(1_000_000 / per_second),
        bytes: (rate * 125 / per_second).max(codec::HEADER as u64),
        layers: rng.chance(500_000),
    };
    Person {
        clock: Duration::from_micros(clock),
        drift: rng.within(0..=200) as i64 - 100,
        voice: rng.within(60..=160),
        packet: Duration::from_millis(rng.pick(&[20, 20, 20, 10, 40, 60])),
        plans: false,
        camera: rng.chance(800_000).then_some(camera),
        pace: rng.chance(150_000).then(|| rng.within(200..=3000)),
        keys: KeyLifetimes::default(),
    }
}

/// Most calls here are shorter than any key lives; so keys turn over as often as they can.
fn lifetimes(rng: &mut Rng) -> KeyLifetimes {
    KeyLifetimes { sender_key: millis(rng, 100..=3000), handshake: millis(rng, 2000..=6000) }
}

/// A network of some kind, from a perfect one to one with everything.
fn network(rng: &mut Rng) -> Spec {
    let whole = |n: u64| n * 1000;
    let percent = |n: u64| (n * 10_000) as Ppm;
    let mut set = vec![Setting::Delay(whole(rng.within(1..=150)))];
    let mut later = Vec::new();
    let kind = rng.within(0..=9);
    let everything = kind == 9;
    if kind == 1 || everything {
        set.push(Setting::Loss(percent(rng.within(1..=15))));
    }
    if kind == 2 || everything {
        set.push(Setting::Bursts(percent(rng.within(1..=10)), 1000 * rng.within(2..=12) as u32));
    }
    if kind == 3 || everything {
        set.push(Setting::Jitter(whole(rng.within(1..=60))));
        set.push(Setting::Reorder(percent(rng.within(0..=10))));
    }
    if kind == 4 || everything {
        set.push(Setting::Duplicate(percent(rng.within(1..=10))));
        set.push(Setting::Corrupt(percent(rng.within(1..=5))));
    }
    if kind == 5 || everything {
        set.push(Setting::Rate(rng.within(100..=3000)));
        set.push(Setting::Queue(whole(rng.within(50..=500))));
    }
    if kind == 6 {
        set.push(Setting::Police(rng.within(100..=1500), rng.within(5..=60)));
    }
    if kind == 7 {
        let at = rng.within(500_000..=5_000_000);
        later.push(Term::At(Time::from_micros(at), Setting::Delay(whole(rng.within(100..=600)))));
        let back = at + rng.within(100_000..=2_000_000);
        later.push(Term::At(Time::from_micros(back), Setting::Delay(whole(rng.within(1..=150)))));
    }
    if kind == 8 {
        let at = rng.within(200_000..=6_000_000);
        later.push(Term::Path(Time::from_micros(at)));
        later.push(Term::At(Time::from_micros(at), Setting::Delay(whole(rng.within(1..=250)))));
        later.push(Term::Down(Time::from_micros(at), Time::from_micros(at + rng.within(0..=900_000))));
    }
    Spec(set.into_iter().map(Term::Set).chain(later).collect())
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for who in ROLES {
            writeln!(f, "  {who:?} sends over {}", self.links[of(who)])?;
            writeln!(f, "  {who:?} is {:?}", self.people[of(who)])?;
        }
        writeln!(f, "  {:?}; when it rings: {:?}", self.timeouts, self.reaction)?;
        for step in &self.script {
            writeln!(f, "  {:>8} ms  {:?}: {:?}", step.at.as_micros() / 1000, step.who, step.what)?;
        }
        Ok(())
    }
}
