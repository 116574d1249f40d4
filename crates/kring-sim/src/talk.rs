//! A plain call over one network both ways, and how its pictures fared.
//!
//! Guarantee: the same link and seed give the same figures.

use crate::link::Spec;
use crate::scenario::{Action, Camera, Reaction, Scenario, Step, of};
use crate::world::{self, Outcome};
use kring_core::call::{KeyLifetimes, Timeouts};
use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::time::Time;
use std::time::Duration;

/// How the pictures of one direction fared.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Shown a second, after the first second.
    pub per_second: f64,
    /// For how long they stood still for more than 200 ms, in s.
    pub frozen: f64,
    /// From capture to being shown, in ms, sorted.
    pub delays: Vec<f64>,
    /// All that was sent, headers included, in kbit/s.
    pub kbits: f64,
    /// The same in proportion to what the two encoders put out.
    pub cost: f64,
    /// How often the receiver could not go on.
    pub losses: u64,
    /// What was wrong in the whole call.
    pub failures: usize,
}

impl Figures {
    /// The q-quantile (0 to 1) of the delays, in ms.
    #[must_use]
    pub fn delay(&self, q: f64) -> f64 {
        let last = self.delays.len().saturating_sub(1) as f64;
        self.delays.get((last * q).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Talks for `seconds` over `link`, with a voice that follows the network, a camera of 30 pictures a second, and nothing else going on.
/// Gives the call, and the figures of what the callee sent and of what the caller sent.
///
/// # Panics
/// If `link` describes no network.
#[must_use]
pub fn talk(seed: u64, link: &str, seconds: u64) -> (Outcome, [Figures; 2]) {
    let link: Spec = link.parse().expect("a network");
    let mut scenario = Scenario::new(seed, Some(&link));
    scenario.timeouts = Timeouts::default();
    scenario.reaction = Reaction::Answer(Duration::ZERO);
    let at = Time::from_millis(seconds * 1000);
    scenario.script = vec![Step { at, who: Role::Caller, what: Action::HangUp(Reason::HungUp) }];
    for person in &mut scenario.people {
        (person.pace, person.plans, person.keys) = (None, true, KeyLifetimes::default());
        let layers = person.camera.is_some_and(|camera| camera.layers);
        person.camera = Some(Camera { interval: Duration::from_micros(33_333), bytes: 7_500, layers });
    }
    let outcome = world::run(&scenario, false);
    let figures = [Role::Callee, Role::Caller].map(|sender| {
        let (receiver, span) = (of(sender.other()), outcome.lasted.as_secs_f64() - 1.0);
        let settled = Time::from_millis(1000);
        let shown = || outcome.pictures[receiver].iter().filter(|(at, _)| *at >= settled);
        let mut delays: Vec<f64> = shown().map(|(_, took)| took.as_secs_f64() * 1000.0).collect();
        delays.sort_by(f64::total_cmp);
        let sent = &outcome.sent[of(sender)];
        let bytes = sent.bytes + 58 * sent.datagrams;
        Figures {
            per_second: delays.len() as f64 / span,
            frozen: outcome.totals[receiver].frozen.as_secs_f64(),
            delays,
            kbits: bytes as f64 * 8e-3 / span,
            cost: bytes as f64 / sent.encoded.max(1) as f64,
            losses: outcome.totals[receiver].losses,
            failures: outcome.failures.len(),
        }
    });
    (outcome, figures)
}
