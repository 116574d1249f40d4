//! What people hear of a network: nothing of a good one, and of a bad moment nothing for long.

use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::time::Time;
use kring_sim::link::Spec;
use kring_sim::scenario::{Action, Reaction, Scenario, Step, of};
use kring_sim::world::{self, Outcome};
use std::time::Duration;

/// Talks for `seconds` over `link`, with 20 ms packets and nothing else going on.
fn talk(seed: u64, link: &str, seconds: u64) -> Outcome {
    let link: Spec = link.parse().expect("a network");
    let mut scenario = Scenario::new(seed, Some(&link));
    scenario.reaction = Reaction::Answer(Duration::ZERO);
    let at = Time::from_millis(seconds * 1000);
    scenario.script = vec![Step { at, who: Role::Caller, what: Action::HangUp(Reason::HungUp) }];
    for person in &mut scenario.people {
        (person.pace, person.packet) = (None, Duration::from_millis(20));
    }
    let outcome = world::run(&scenario, false);
    assert_eq!(outcome.failures, [""; 0], "seed {seed}");
    outcome
}

#[test]
fn a_clean_network_is_not_heard_after_the_first_second() {
    for seed in 0..20 {
        let outcome = talk(seed, "delay=40", 10);
        for side in outcome.totals {
            assert_eq!(side.concealed_later, Duration::ZERO, "seed {seed}");
            assert!(side.slowest <= Duration::from_millis(40 + 20 + 60), "seed {seed}: {side:?}");
        }
    }
}

#[test]
fn jitter_costs_a_little_delay_and_hardly_any_sound() {
    for seed in 0..20 {
        let outcome = talk(seed, "delay=20,jitter=20", 8);
        let side = outcome.totals[of(Role::Caller)];
        assert!(side.slowest <= Duration::from_millis(20 + 20 + 20 + 80), "seed {seed}: {side:?}");
        assert!(side.concealed_later <= Duration::from_millis(200), "seed {seed}: {side:?}");
    }
}

#[test]
fn after_a_second_of_late_packets_the_delay_comes_back() {
    for seed in 0..10 {
        let outcome = talk(seed, "delay=20,at=3:delay=300,at=4:delay=20", 12);
        for side in outcome.totals {
            assert!(side.slowest > Duration::from_millis(300), "seed {seed}: the burst was heard: {side:?}");
            assert!(side.latest < Duration::from_millis(20 + 20 + 100), "seed {seed}: {side:?}");
        }
    }
}

#[test]
fn sound_cards_that_drift_are_not_heard() {
    let link: Spec = "delay=40".parse().expect("a network");
    let mut scenario = Scenario::new(3, Some(&link));
    scenario.reaction = Reaction::Answer(Duration::ZERO);
    let at = Time::from_millis(110_000);
    scenario.script = vec![Step { at, who: Role::Caller, what: Action::HangUp(Reason::HungUp) }];
    for (person, drift) in scenario.people.iter_mut().zip([1000, -1000]) {
        (person.pace, person.packet, person.drift) = (None, Duration::from_millis(10), drift);
    }
    let outcome = world::run(&scenario, false);
    assert_eq!(outcome.failures, [""; 0]);
    for side in outcome.totals {
        assert!(side.heard > Duration::from_secs(105), "{side:?}");
        assert_eq!(side.concealed_later, Duration::ZERO, "{side:?}");
        // Packet, network, and a margin with room for a change; 1,000 ppm would have come to 110 ms.
        assert!(side.slowest <= Duration::from_millis(10 + 40 + 20), "{side:?}");
    }
}
