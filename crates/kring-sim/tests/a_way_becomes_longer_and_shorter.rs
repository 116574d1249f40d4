//! A call whose way becomes ten times as long, and as short again, as when it goes over to a relay far away and comes back: its
//! media is not held up by what QUIC knew of the way before.

use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::time::Time;
use kring_sim::facade::{self, Twist};
use kring_sim::scenario::{Action, Reaction, Scenario, Step};

/// Round trips of 20, 200, and 20 ms. What is on its way at a change is lost.
const LINK: &str = "delay=10,at=6:delay=100,path@6,at=12:delay=10,path@12";

/// Kbit/s that came to the callee, and to the caller, from one second to another.
fn rates(came: &[Vec<u64>; 2], from: usize, to: usize) -> [f64; 2] {
    came.each_ref().map(|side| side[from..to].iter().sum::<u64>() as f64 * 8e-3 / (to - from) as f64)
}

/// Has two talk, with cameras, over a link.
fn came(seed: u64, link: &str, moves: bool) -> [Vec<u64>; 2] {
    let mut scenario = Scenario::new(seed, Some(&link.parse().expect("a network")));
    scenario.reaction = Reaction::Answer(std::time::Duration::from_millis(100));
    let (at, who) = (Time::from_millis(18_000), Role::Caller);
    scenario.script = vec![Step { at, who, what: Action::HangUp(Reason::HungUp) }];
    let outcome = facade::run_with(&scenario, Twist { moves, ..Twist::default() }, false);
    assert!(outcome.failures.is_empty(), "seed {seed}: {:?}", outcome.failures);
    outcome.came
}

/// Compares what comes two seconds after each change with what comes where nothing changes.
fn holds(seed: u64, moves: bool) {
    let (changing, steady) = (came(seed, LINK, moves), came(seed, "delay=10", moves));
    for (from, to) in [(8, 12), (14, 17)] {
        let (now, usual) = (rates(&changing, from, to), rates(&steady, from, to));
        for side in [0, 1] {
            let what = format!("seed {seed}, moves {moves}, {from} s: {now:?} of {usual:?} kbit/s");
            assert!(now[side] > 0.6 * usual[side], "{what}");
        }
    }
}

/// Below QUIC, as Kring's own paths change.
#[test]
fn media_goes_on_at_its_rate_where_quic_does_not_see_the_change() {
    (0..4).for_each(|seed| holds(seed, false));
}

/// By another address of the caller, which QUIC takes for a path of its own.
#[test]
fn media_goes_on_at_its_rate_where_quic_sees_it() {
    (0..4).for_each(|seed| holds(seed, true));
}
