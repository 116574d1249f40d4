//! Rate control over shared links, in virtual time: it converges, recovers, shares, and never starves voice.

use kring_sim::flows::cases::{CALL, call, rfc8867};
use kring_sim::flows::{Case, Figures, Kind, Party, run};

/// Runs a call over `link` with some seeds and looks at each direction.
fn each(link: &str, seconds: u64, seeds: u64, look: impl Fn(&Figures, &str)) {
    let case = call(link, seconds).unwrap();
    for seed in 0..seeds {
        for (figures, direction) in run(&case, seed)[0].iter().zip(["there", "back"]) {
            look(figures, &format!("{link}, seed {seed}, {direction}"));
        }
    }
}

#[test]
fn a_bottleneck_is_used_and_its_queue_stays_short() {
    for rate in [250, 500, 1000] {
        each(&format!("delay=25,rate={rate},queue=300"), 29, 4, |f, what| {
            let used = f.mean_kbits(5, 28) / f64::from(rate);
            assert!((0.75..=1.02).contains(&used), "{what}: {used}");
            let (median, late) = (f.voice_delay(0.5, 3.0, 29.0), f.voice_delay(0.95, 3.0, 29.0));
            assert!(median < 100.0 && late < 170.0, "{what}: voice takes {median} ms, {late} ms at the 95 %");
            assert!(f.arrived() > 0.99, "{what}: {}", f.arrived());
        });
    }
}

#[test]
fn loss_that_is_not_congestion_does_not_cost_the_rate() {
    for loss in [1, 5, 10, 20, 30] {
        each(&format!("delay=50,loss={loss}"), 20, 4, |f, what| {
            let sent = f.mean_kbits(10, 20) / (1.0 - f64::from(loss) / 100.0);
            assert!(sent > 1500.0, "{what}: {sent} kbit/s");
        });
    }
    each("delay=50,ge=5:5", 20, 4, |f, what| {
        let rate = f.mean_kbits(10, 20);
        assert!(rate > 1000.0, "{what}: {rate} kbit/s");
    });
}

#[test]
fn loss_that_is_congestion_does() {
    for link in ["delay=25,rate=500,queue=10", "delay=25,police=500:10"] {
        each(link, 60, 4, |f, what| {
            let from = f.estimates[40..].iter().sum::<f64>() / f.estimates[40..].len() as f64;
            assert!((150.0..=800.0).contains(&from), "{what}: the estimate is {from} kbit/s");
        });
    }
}

#[test]
fn a_drop_of_the_rate_is_survived_and_a_rise_is_found() {
    let back = std::cell::Cell::new(0);
    each("delay=25,rate=2000,queue=300,at=10:rate=300,at=20:rate=2000", 29, 6, |f, what| {
        let after = f.voice_delay(1.0, 11.5, 20.0);
        assert!(after <= 340.0, "{what}: voice takes {after} ms after the drop");
        let settled = f.voice_delay(0.95, 13.0, 20.0);
        assert!(settled <= 240.0, "{what}: {settled} ms");
        let (before, after) = (f.mean_kbits(5, 10), f.mean_kbits(25, 29));
        assert!(after > 0.35 * before, "{what}: {after} kbit/s");
        back.set(back.get() + u32::from(after > 0.8 * before));
    });
    assert!(
        back.get() >= 9,
        "in {} of 12 directions four fifths of the rate were back after 5 s",
        back.get()
    );
}

#[test]
fn jitter_is_not_taken_for_congestion() {
    for link in ["delay=50,jitter=30,tau=50", "delay=50,jitter=30,tau=0,reorder=20"] {
        let case = call(link, 29).unwrap();
        let rates: Vec<f64> =
            (0..6).flat_map(|seed| run(&case, seed)[0].clone()).map(|f| f.mean_kbits(5, 28)).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        assert!(mean > 450.0 && rates.iter().all(|rate| *rate > 150.0), "{link}: {rates:?}");
    }
}

#[test]
fn a_thin_link_carries_a_voice() {
    for rate in [24, 40] {
        each(&format!("delay=25,rate={rate},queue=300"), 29, 4, |f, what| {
            let late = f.voice.iter().filter(|(at, _)| at.as_micros() > 10_000_000).count();
            // A packet each 60 ms.
            assert!(late as f64 > 0.8 * 19.0 / 0.06, "{what}: {late} packets of voice came");
        });
    }
}

#[test]
fn two_calls_share_a_bottleneck() {
    let spec: kring_sim::link::Spec = "delay=25,rate=1500,queue=300".parse().unwrap();
    let party = |from| Party { from, to: 120, kind: CALL };
    let case = Case { links: [spec.clone(), spec], parties: vec![party(0), party(10)], seconds: 120 };
    for seed in 0..8 {
        let figures = run(&case, seed);
        for direction in [0, 1] {
            let [a, b] = [0, 1].map(|who| figures[who][direction].mean_kbits(80, 120));
            let share = a / (a + b);
            assert!((0.4..=0.6).contains(&share), "seed {seed}, {direction}: {a} and {b} kbit/s");
        }
    }
}

#[test]
fn beside_a_tcp_flow_voice_lives_and_so_does_tcp() {
    let spec: kring_sim::link::Spec = "delay=25,rate=1500,queue=300".parse().unwrap();
    let tcp = Party { from: 5, to: 60, kind: Kind::Tcp };
    let case = Case {
        links: [spec.clone(), spec],
        parties: vec![Party { from: 0, to: 60, kind: CALL }, tcp],
        seconds: 60,
    };
    for seed in 0..3 {
        let figures = run(&case, seed);
        let tcp = figures[1][0].mean_kbits(15, 60);
        assert!(tcp > 0.3 * 1500.0, "seed {seed}: TCP gets {tcp} kbit/s");
        let voice = figures[0][0].voice.iter().filter(|(at, _)| at.as_micros() > 15_000_000).count();
        assert!(voice as f64 > 0.8 * 45.0 / 0.06, "seed {seed}: {voice} packets of voice came");
    }
}

#[test]
fn the_cases_of_rfc_8867_hold() {
    for (section, what, case) in rfc8867() {
        let figures = run(&case, 1);
        for (who, [there, back]) in figures.iter().enumerate() {
            for f in [there, back] {
                if f.voice.is_empty() {
                    continue;
                }
                let estimates = f.estimates.iter().all(|e| (20.0..=3200.0).contains(e));
                assert!(estimates && f.arrived() > 0.85, "{section} {what}, {who}: {}", f.arrived());
            }
        }
    }
}
