//! A seed is one call, bit for bit.

use kring_sim::scenario::Scenario;
use kring_sim::sweep::Sweep;
use kring_sim::world;

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    for seed in 0..60 {
        let run = |readable| {
            let outcome = world::run(&Scenario::new(seed, None), readable);
            (outcome.hash, outcome.ends, outcome.totals, outcome.lasted)
        };
        // Whether someone reads along must not matter either.
        assert_eq!(run(false), run(true), "seed {seed}");
    }
}

#[test]
fn how_many_run_at_once_changes_nothing() {
    let run = |jobs| Sweep { seeds: 100..140, link: None, facade: false, jobs }.run(|_| {}).hash;
    assert_eq!(run(1), run(4));
}

#[test]
fn different_seeds_give_different_calls() {
    let hash = |seed| world::run(&Scenario::new(seed, None), false).hash;
    assert_ne!(hash(1), hash(2));
}
