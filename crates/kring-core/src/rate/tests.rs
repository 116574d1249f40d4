use super::*;

/// Sends for `seconds` at the target over a link of `capacity` kbit/s with 25 ms each way; `lies` may change reports.
fn run(capacity: f64, seconds: u64, mut lies: impl FnMut(&mut Feedback)) -> RateControl {
    let mut control = RateControl::new(Time::ZERO, 2_000_000);
    let mut recorder = Recorder::default();
    let (mut number, mut free, mut budget) = (0u64, 0.0f64, 0.0);
    let mut arrivals = std::collections::VecDeque::new();
    for tick in 0..seconds * 4000 {
        let (now, ms) = (Time::from_micros(tick * 250), tick as f64 / 4.0);
        if control.due().is_some_and(|at| at <= now) {
            control.tick(now);
        }
        budget = (budget + f64::from(control.target()) / 4000.0).min(30_000.0);
        let bytes = 1000;
        while budget > 8464.0 && control.is_open(now) || control.padding().is_some() && control.is_open(now) {
            budget -= 8464.0;
            control.sent(now, bytes);
            let start = free.max(ms);
            if start - ms < 300.0 {
                free = start + (bytes as f64 + f64::from(OVERHEAD)) * 8.0 / capacity;
                arrivals.push_back((Time::from_micros(((free + 25.0) * 1000.0) as u64), number));
            }
            number += 1;
        }
        while arrivals.front().is_some_and(|(at, _)| *at <= now) {
            let (at, number) = arrivals.pop_front().unwrap();
            recorder.add(at, number);
        }
        if tick % 200 == 0
            && let Some(report) = recorder.report(now)
        {
            let mut feedback = Feedback::decode(&report).unwrap();
            lies(&mut feedback);
            control.report(now + Duration::from_millis(25), &feedback);
        }
    }
    control
}

#[test]
fn the_estimate_finds_the_capacity_and_the_queue_stays_short() {
    for capacity in [200.0, 500.0, 1500.0] {
        // It goes up and down a little; what counts is where it is on average.
        let ends: Vec<_> = (3..8).map(|n| run(capacity, n * 4, |_| {})).collect();
        let mean = ends.iter().map(|c| f64::from(c.estimate())).sum::<f64>() / ends.len() as f64;
        let share = mean / (capacity * 1000.0);
        assert!((0.7..1.25).contains(&share), "{capacity}: {share}");
        for control in ends {
            assert!(
                control.network().queue < Duration::from_millis(100),
                "{capacity}: {:?}",
                control.network()
            );
        }
    }
}

#[test]
fn a_peer_that_lies_gets_a_rate_within_the_bounds() {
    let lies: [fn(&mut Feedback); 5] = [
        |f| f.fates.iter_mut().for_each(|fate| fate.arrival = Some(0)),
        |f| f.fates.iter_mut().for_each(|fate| fate.arrival = None),
        |f| f.fates.iter_mut().zip(0..).for_each(|(fate, n)| fate.arrival = Some(n * -9_000_000)),
        |f| f.held = Duration::from_secs(60),
        |f| f.fates.iter_mut().for_each(|fate| fate.sequence = fate.sequence.wrapping_mul(7919)),
    ];
    for (n, lie) in lies.into_iter().enumerate() {
        let control = run(700.0, 5, lie);
        assert!((MIN_RATE..=2_500_000.0).contains(&f64::from(control.estimate())), "{n}");
        assert!(control.window() <= 4_000_000, "{n}: {}", control.window());
    }
}
