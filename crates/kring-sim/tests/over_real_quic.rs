//! The second mode: whole calls of the facade over real QUIC and a simulated network.

use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::time::Time;
use kring_sim::facade::{self, Twist};
use kring_sim::link::Spec;
use kring_sim::scenario::{Action, Reaction, Scenario, Step, of};
use kring_sim::sweep::{Report, Sweep};
use std::time::Duration;

fn run(seeds: std::ops::Range<u64>, link: Option<&str>) -> Report {
    let link = link.map(|link| link.parse::<Spec>().expect("a network"));
    let jobs = std::thread::available_parallelism().map_or(2, Into::into);
    let count = seeds.end - seeds.start;
    let report = Sweep { seeds, link, facade: true, jobs }.run(|_| {});
    assert!(report.failures.is_empty(), "\n{report}");
    assert_eq!(report.seeds, count);
    report
}

#[test]
fn two_hundred_calls_over_networks_of_every_kind_end_in_a_known_state() {
    let report = run(0..200, None);
    // The sum of what was heard says that calls really took place.
    assert!(report.totals.heard > Duration::from_secs(500) && report.totals.shown > 5000, "\n{report}");
    assert!(report.ends.len() >= 6, "\n{report}");
}

#[test]
fn calls_at_five_percent_loss_with_reordering_end_in_a_known_state() {
    run(1000..1100, Some("delay=25,jitter=10,reorder=2,loss=5"));
}

/// A quiet call over `link`: answered after 100 ms, hung up by the caller after 4 s.
fn plain(seed: u64, link: &str) -> Scenario {
    let mut scenario = Scenario::new(seed, Some(&link.parse().expect("a network")));
    scenario.reaction = Reaction::Answer(Duration::from_millis(100));
    let (at, who) = (Time::from_millis(4000), Role::Caller);
    scenario.script = vec![Step { at, who, what: Action::HangUp(Reason::HungUp) }];
    scenario
}

#[test]
fn frames_that_overtake_the_answer_are_played() {
    let twist = Twist { lost_with_answer: 1, ..Twist::default() };
    let mut scenario = plain(7, "delay=30");
    // Voice alone, so that the first frame is one that is counted.
    scenario.people.iter_mut().for_each(|person| person.camera = None);
    let outcome = facade::run_with(&scenario, twist, true);
    let story = outcome.lines.join("\n");
    assert!(outcome.failures.is_empty(), "{:?}\n{story}", outcome.failures);
    let caller = outcome.totals[of(Role::Caller)];
    assert!(caller.early > 0, "nothing overtook the answer\n{story}");
    assert_eq!(caller.first, Some(0), "a frame was dropped\n{story}");
}

#[test]
fn the_caller_may_move_to_another_address() {
    let twist = Twist { moves: true, ..Twist::default() };
    let outcome = facade::run_with(&plain(8, "delay=20,path@1.5,path@2.5"), twist, true);
    let story = outcome.lines.join("\n");
    assert!(outcome.failures.is_empty(), "{:?}\n{story}", outcome.failures);
    // Both go on hearing each other to the end.
    for heard in outcome.totals.map(|side| side.heard) {
        assert!(heard > Duration::from_millis(2800), "{heard:?}\n{story}");
    }
}

#[test]
fn two_dials_that_cross_become_one_call() {
    for (seed, after) in (0..40).map(|n| (100 + n, 7 * n)) {
        let crossing = Some(Duration::from_millis(after));
        let outcome =
            facade::run_with(&plain(seed, "delay=60"), Twist { crossing, ..Twist::default() }, true);
        let story = outcome.lines.join("\n");
        assert!(outcome.failures.is_empty(), "{after} ms apart: {:?}\n{story}", outcome.failures);
        for side in outcome.totals {
            assert!(side.heard > Duration::from_secs(2), "{after} ms apart: {side:?}\n{story}");
        }
    }
}
