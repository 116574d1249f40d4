//! Thousands of calls, each over a network that loses and reorders: none panics, hangs or ends in an unknown way.

use kring_sim::link::Spec;
use kring_sim::sweep::{Report, Sweep};

fn run(seeds: std::ops::Range<u64>, link: Option<&str>) -> Report {
    let link = link.map(|link| link.parse::<Spec>().expect("a network"));
    let jobs = std::thread::available_parallelism().map_or(2, Into::into);
    let count = seeds.end - seeds.start;
    let report = Sweep { seeds, link, facade: false, jobs }.run(|_| {});
    assert!(report.failures.is_empty(), "\n{report}");
    assert_eq!(report.seeds, count);
    report
}

#[test]
fn ten_thousand_calls_at_five_percent_loss_with_reordering_end_in_a_known_state() {
    let report = run(0..10_000, Some("delay=25,jitter=10,reorder=2,loss=5"));
    // The sum of what was heard says that calls really took place.
    assert!(report.totals.heard.as_secs() > 20_000 && report.totals.shown > 100_000, "\n{report}");
    assert!(report.ends.len() >= 10, "\n{report}");
}

#[test]
fn a_thousand_calls_over_networks_of_every_kind_end_in_a_known_state() {
    run(0..1000, None);
}
