//! Sender keys and handshakes turn over all the time, and nothing of it is heard or seen.

use kring_core::call::KeyLifetimes;
use kring_core::control::Reason;
use kring_core::handshake::Role;
use kring_core::time::Time;
use kring_sim::link::Spec;
use kring_sim::scenario::{Action, Reaction, Scenario, Step};
use kring_sim::world;
use std::time::Duration;

const SEEDS: u64 = 150;

#[derive(Debug, Default)]
struct Sum {
    sender_keys: u32,
    handshakes: u32,
    concealed: Duration,
    shown: u64,
}

/// Many talk for 8 s over `link`.
fn talk(link: &str, keys: KeyLifetimes) -> Sum {
    let link: Spec = link.parse().expect("a network");
    let mut sum = Sum::default();
    for seed in 0..SEEDS {
        let mut scenario = Scenario::new(seed, Some(&link));
        scenario.reaction = Reaction::Answer(Duration::ZERO);
        let at = Time::from_millis(8000);
        scenario.script = vec![Step { at, who: Role::Caller, what: Action::HangUp(Reason::HungUp) }];
        for person in &mut scenario.people {
            (person.pace, person.packet, person.keys) = (None, Duration::from_millis(20), keys);
        }
        let outcome = world::run(&scenario, false);
        // No frame was dropped or has waited for a key; on a clean network no sound was concealed.
        assert_eq!(outcome.failures, [""; 0], "seed {seed}");
        for side in outcome.totals {
            sum.sender_keys += side.sender_keys;
            sum.handshakes += side.handshakes;
            sum.concealed += side.concealed_later;
            sum.shown += side.shown;
        }
    }
    sum
}

/// A picture may take most of a second to leave, and keys older than the last two are refused.
const OFTEN: KeyLifetimes =
    KeyLifetimes { sender_key: Duration::from_millis(800), handshake: Duration::from_millis(2000) };

#[test]
fn on_a_clean_network() {
    let sum = talk("delay=40", OFTEN);
    assert!(sum.sender_keys > 16 * SEEDS as u32 && sum.handshakes > 4 * SEEDS as u32, "{sum:?}");
    assert_eq!(sum.concealed, Duration::ZERO);
    let never = talk("delay=40", KeyLifetimes::default());
    assert_eq!(sum.shown, never.shown);
}

#[test]
fn on_one_that_loses_and_reorders() {
    let link = "delay=30,jitter=20,reorder=3,loss=5";
    let (often, never) = (talk(link, OFTEN), talk(link, KeyLifetimes::default()));
    assert!(often.sender_keys > 12 * SEEDS as u32 && never.sender_keys == 0, "{often:?}");
    // Not the same packets are lost, so that there is some difference over so many calls.
    assert!(often.concealed * 10 <= never.concealed * 11, "{often:?}, without: {never:?}");
    assert!(often.shown * 100 >= never.shown * 98, "{often:?}, without: {never:?}");
}
