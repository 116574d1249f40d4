//! The model network does what its description says.

use kring_core::time::Time;
use kring_sim::link::{Counts, Link, MAX_IN_FLIGHT};
use kring_sim::rng::Rng;
use std::time::Duration;

/// Sends numbered packets of `bytes` bytes every `micros` µs and gives back who arrived when, and the counts.
fn carry(spec: &str, packets: u32, bytes: usize, micros: u64) -> (Vec<(Time, u32)>, Counts) {
    let mut link = Link::new(&spec.parse().expect("a network"), Rng::new(7, "link"));
    for n in 0..packets {
        link.send(Time::from_micros(u64::from(n) * micros), bytes, n);
    }
    let mut arrived = Vec::new();
    while let Some(at) = link.due() {
        arrived.extend(link.receive(at).map(|parcel| (at, parcel.item)));
    }
    (arrived, link.counts())
}

fn sent(n: u32, micros: u64) -> Time {
    Time::from_micros(u64::from(n) * micros)
}

fn is_in_order(arrived: &[(Time, u32)]) -> bool {
    arrived.is_sorted_by_key(|(_, n)| *n)
}

#[test]
fn a_perfect_link_delivers_all_after_its_delay() {
    let (arrived, _) = carry("delay=25", 1000, 100, 100);
    assert_eq!(arrived.len(), 1000);
    assert!(arrived.iter().all(|&(at, n)| at.since(sent(n, 100)) == Duration::from_millis(25)));
}

#[test]
fn loss_is_within_bounds_alone_and_in_bursts() {
    for spec in ["loss=5", "ge=5:4"] {
        let lost = 4000 - carry(spec, 4000, 100, 100).0.len();
        assert!((120..=300).contains(&lost), "{spec}: {lost} of 4000");
    }
}

#[test]
fn bursts_are_as_long_as_they_are_said_to_be() {
    let (arrived, _) = carry("ge=10:8", 4000, 100, 100);
    let gaps: Vec<u32> = arrived.windows(2).map(|w| w[1].1 - w[0].1 - 1).filter(|gap| *gap > 0).collect();
    let mean = f64::from(gaps.iter().sum::<u32>()) / gaps.len() as f64;
    assert!((5.5..=10.5).contains(&mean), "{mean}");
}

#[test]
fn jitter_keeps_the_order_and_reordering_does_not() {
    let (arrived, _) = carry("delay=10,jitter=30", 2000, 100, 500);
    assert!(is_in_order(&arrived));
    let slowest = arrived.iter().map(|&(at, n)| at.since(sent(n, 500))).max();
    assert!(slowest <= Some(Duration::from_millis(40)), "{slowest:?}");
    let (arrived, _) = carry("delay=10,jitter=30,reorder=2", 2000, 100, 500);
    assert!(!is_in_order(&arrived) && arrived.len() == 2000);
}

#[test]
fn a_rate_delays_up_to_its_queue_and_then_drops() {
    // 1,000 bytes each ms are 8 Mbit/s.
    let (arrived, counts) = carry("rate=4000,queue=100", 2000, 1000, 1000);
    let slowest = arrived.iter().map(|&(at, n)| at.since(sent(n, 1000))).max().expect("some");
    assert!((100..=103).contains(&slowest.as_millis()), "{slowest:?}");
    assert!((900..=990).contains(&counts.dropped), "{counts:?}");
    let apart = arrived[500].0.since(arrived[499].0);
    assert_eq!(apart, Duration::from_millis(2));
    assert!(carry("rate=9000", 2000, 1000, 1000).1.dropped == 0);
}

#[test]
fn a_policer_lets_a_bucket_through_and_then_its_rate_without_delay() {
    let (arrived, _) = carry("police=4000:20", 2000, 1000, 1000);
    assert!(arrived[..20].iter().zip(0..).all(|((_, n), expected)| *n == expected));
    assert!((1000..=1050).contains(&arrived.len()), "{}", arrived.len());
    assert!(arrived.iter().all(|&(at, n)| at == sent(n, 1000)));
}

#[test]
fn the_schedule_changes_a_link_as_time_goes_by() {
    let (arrived, counts) =
        carry("delay=5,at=1:delay=50,down=2-3,at=3.5:loss=100,at=4:loss=0", 500, 100, 10_000);
    let delay =
        |n| arrived.iter().find(|(_, m)| *m == n).map(|(at, _)| at.since(sent(n, 10_000)).as_millis());
    assert_eq!((delay(99), delay(100), delay(199)), (Some(5), Some(50), Some(50)));
    assert_eq!((delay(200), delay(299), delay(300)), (None, None, Some(50)));
    assert_eq!((delay(349), delay(350), delay(400)), (Some(50), None, Some(50)));
    assert_eq!(counts.lost, 150);
}

#[test]
fn a_path_change_loses_what_is_on_its_way_and_begins_anew() {
    let (arrived, counts) = carry("delay=100,at=1:delay=10,path@1", 200, 100, 10_000);
    assert_eq!(counts.lost, 10);
    assert!(is_in_order(&arrived));
    assert_eq!(arrived[90], (Time::from_millis(1010), 100));
}

#[test]
fn copies_and_damage_are_as_frequent_as_said() {
    let (arrived, counts) = carry("dup=10,corrupt=2", 3000, 100, 100);
    assert_eq!(arrived.len() as u64, 3000 + counts.duplicated);
    assert!((220..=380).contains(&counts.duplicated) && (30..=100).contains(&counts.corrupted), "{counts:?}");
    let mut link = Link::new(&"corrupt=100".parse().expect("a network"), Rng::new(7, "link"));
    for n in 0..500 {
        link.send(Time::ZERO, 40, n);
        let damage = link.receive(Time::ZERO).and_then(|parcel| parcel.damage).expect("damaged");
        let mut bytes = [0u8; 40];
        damage.apply(&mut bytes);
        assert!(bytes.iter().map(|b| b.count_ones()).sum::<u32>() <= 3);
    }
}

#[test]
fn what_is_on_its_way_is_bounded() {
    let (arrived, counts) = carry("delay=1000", 10_000, 100, 1);
    assert_eq!(arrived.len(), MAX_IN_FLIGHT);
    assert_eq!(counts.lost, 10_000 - MAX_IN_FLIGHT as u64);
}
