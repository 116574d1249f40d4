//! The jitter buffer in virtual time, over a small seeded network.

use std::time::Duration;

use kring_core::media::{AudioPacket, JitterBuffer, JitterStats, MAX_HELD_TIME, MAX_PACKETS, Playout};
use kring_core::time::Time;
use proptest::prelude::*;

const FRAME: u64 = 20_000;
/// How far the sender's clock is from the receiver's.
const CLOCKS_APART: u64 = 987_654_321;

/// SplitMix64: enough randomness for a network.
struct Random(u64);

impl Random {
    /// A number below `below`.
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % below.max(1)
    }
}

/// What became of one moment of playout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Played {
    Decoded(u32),
    Concealed { fec: bool },
    Silence,
}

struct Run {
    /// When, in µs, and what.
    played: Vec<(u64, Played)>,
    /// How much was concealed from a moment in ms on, each for itself.
    gaps: Vec<(u64, Duration)>,
    seconds: u64,
    /// When, in ms, and the delay of the packet decoded then, in ms.
    delays: Vec<(u64, f64)>,
    stats: JitterStats,
}

impl Run {
    /// The share of time that is concealed from a moment on.
    fn concealed(&self, from_ms: u64) -> f64 {
        let gaps = self.gaps.iter().filter(|&&(at, _)| at >= from_ms);
        gaps.map(|(_, gap)| gap.as_secs_f64()).sum::<f64>() / (self.seconds as f64 - from_ms as f64 / 1e3)
    }

    /// The longest delay between two moments, in ms.
    fn delay(&self, from_ms: u64, to_ms: u64) -> f64 {
        let within = self.delays.iter().filter(|&&(at, _)| (from_ms..to_ms).contains(&at));
        within.map(|&(_, d)| d).fold(0.0, f64::max)
    }

    fn decoded(&self) -> Vec<u32> {
        let ids = self.played.iter().filter_map(|&(_, p)| match p {
            Played::Decoded(id) => Some(id),
            _ => None,
        });
        ids.collect()
    }
}

/// A call of `seconds`: `network(packet, its send time in ms)` gives the delay in µs, `None` for lost;
/// `level(packet)` its loudness; the sender's clock runs `ppm` faster than playout's.
fn call(
    seconds: u64,
    ppm: i64,
    level: impl Fn(u32) -> u8,
    mut network: impl FnMut(u32, u64) -> Option<u64>,
) -> Run {
    let mut arrivals = Vec::new();
    for id in 0..(seconds * 1_000_000 / FRAME) as u32 {
        let capture = u64::from(id) * FRAME;
        let sent = (capture as i64 - capture as i64 * ppm / 1_000_000) as u64 + FRAME;
        if let Some(delay) = network(id, sent / 1000) {
            let packet = AudioPacket {
                frame_id: id,
                capture: capture + CLOCKS_APART,
                duration: Duration::from_micros(FRAME),
                payload: id.to_be_bytes().to_vec(),
                level: level(id),
            };
            arrivals.push((sent + delay, packet));
        }
    }
    arrivals.sort_by_key(|&(at, _)| at);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut buffer = JitterBuffer::new();
    let (mut played, mut delays, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    let mut now = 0;
    while now < seconds * 1_000_000 {
        while let Some((at, packet)) = arrivals.next_if(|&(at, _)| at <= now) {
            buffer.push(Time::from_micros(at), packet);
        }
        let (what, duration) = match buffer.pull(Time::from_micros(now)) {
            Playout::Decode(packet) => {
                delays.push((now / 1000, buffer.stats().delay.as_secs_f64() * 1e3));
                let duration = stretched(&mut buffer, &packet);
                (Played::Decoded(packet.frame_id), duration)
            }
            Playout::Conceal { duration, next, .. } => {
                gaps.push((now / 1000, duration));
                (Played::Concealed { fec: next.is_some() }, duration)
            }
            _ => (Played::Silence, Duration::from_millis(5)),
        };
        played.push((now, what));
        now += duration.as_micros() as u64;
        assert!(buffer.len() <= MAX_PACKETS && buffer.held_time() <= MAX_HELD_TIME);
    }
    Run { played, gaps, seconds, delays, stats: buffer.stats() }
}

/// How long a packet lasts that is stretched as the buffer asks, by 10 ms at most as in a voice with that period.
fn stretched(buffer: &mut JitterBuffer, packet: &AudioPacket) -> Duration {
    let pace = buffer.pace();
    let change = pace.change.clamp(-10_000, 10_000);
    if change.abs() < 2_500 || !pace.loud && packet.level < 50 {
        return packet.duration;
    }
    buffer.stretched(change);
    Duration::from_micros((packet.duration.as_micros() as u64).saturating_add_signed(change))
}

fn loud(_: u32) -> u8 {
    20
}

/// One second of talk, one of near silence.
fn talk_and_pauses(id: u32) -> u8 {
    if (id / 50).is_multiple_of(2) { 20 } else { 70 }
}

#[test]
fn a_clean_network_costs_10_to_15_ms_and_nothing_is_concealed() {
    let run = call(60, 0, loud, |_, _| Some(30_000));
    assert!(run.delay(0, 60_000) <= 15.0, "{} ms", run.delay(0, 60_000));
    assert_eq!((run.stats.concealed, run.stats.lost, run.stats.late, run.stats.discarded), (0, 0, 0, 0));
    let ids = run.decoded();
    assert!(ids.len() >= 2990 && ids.windows(2).all(|w| w[1] == w[0] + 1));
}

#[test]
fn five_percent_of_loss_conceals_five_percent_and_adds_no_delay() {
    for seed in 0..8 {
        let mut random = Random(seed);
        let run = call(60, 0, loud, |_, _| (random.draw(100) >= 5).then_some(30_000));
        assert!((0.03..0.07).contains(&run.concealed(0)), "{}", run.concealed(0));
        assert!(run.delay(0, 60_000) <= 15.0);
    }
}

#[test]
fn with_a_frame_of_delay_lost_packets_are_offered_to_in_band_fec() {
    let mut buffer = JitterBuffer::new();
    buffer.set_minimum(Duration::from_millis(30));
    let packet = |id: u32| AudioPacket {
        frame_id: id,
        capture: u64::from(id) * FRAME,
        duration: Duration::from_micros(FRAME),
        payload: vec![id as u8],
        level: 20,
    };
    let at = Time::from_millis;
    buffer.push(at(20), packet(0));
    assert_eq!(buffer.pull(at(45)), Playout::Wait);
    assert_eq!(buffer.pull(at(50)), Playout::Decode(packet(0)));
    buffer.push(at(60), packet(2));
    let fec = Playout::Conceal {
        duration: Duration::from_micros(FRAME),
        next: Some(vec![2]),
        apart: Duration::from_micros(FRAME),
    };
    assert_eq!(buffer.pull(at(70)), fec);
    buffer.push(at(72), packet(1));
    assert_eq!(buffer.pull(at(90)), Playout::Decode(packet(2)), "its copy has been played");
    assert_eq!((buffer.stats().late, buffer.stats().lost), (1, 0));
}

#[test]
fn jitter_of_30_ms_is_learned_and_then_hardly_heard() {
    for seed in 0..8 {
        let mut random = Random(seed);
        let run = call(60, 0, talk_and_pauses, |_, _| Some(30_000 + random.draw(30_000)));
        assert!(run.concealed(3000) < 0.01, "{}", run.concealed(3000));
        assert!(run.delay(5000, 60_000) < 65.0, "{}", run.delay(5000, 60_000));
        assert!(run.stats.jitter > Duration::from_millis(7) && run.stats.jitter < Duration::from_millis(14));
    }
}

#[test]
fn delay_grows_with_jitter_and_comes_back_down() {
    let mut random = Random(1);
    let rough = |ms| (10_000..20_000).contains(&ms);
    let run =
        call(40, 0, talk_and_pauses, |_, ms| Some(30_000 + if rough(ms) { random.draw(100_000) } else { 0 }));
    assert!(run.delay(0, 10_000) <= 15.0);
    assert!(run.delay(15_000, 20_000) > 80.0, "{}", run.delay(15_000, 20_000));
    assert!(run.delay(30_000, 40_000) <= 31.0, "{}", run.delay(30_000, 40_000));
    assert!(run.concealed(24_000) < 0.002);
}

#[test]
fn a_burst_of_late_packets_is_played_not_thrown_away() {
    // For 150 ms nothing arrives, then all of it at once.
    let stall = |ms: u64| if (5000..5150).contains(&ms) { (5150 - ms) * 1000 } else { 0 };
    let run = call(20, 0, talk_and_pauses, |_, ms| Some(30_000 + stall(ms)));
    let ids = run.decoded();
    let first_dropped = ids.windows(2).find(|w| w[1] != w[0] + 1).map_or(u32::MAX, |w| w[0]);
    assert!(first_dropped > 258, "{first_dropped}: all that the stall held back is played");
    assert!((10..=16).contains(&run.stats.concealed), "{}", run.stats.concealed);
    assert!(run.delay(12_000, 20_000) <= 31.0, "{}", run.delay(12_000, 20_000));
}

#[test]
fn clock_drift_of_200_ppm_either_way_is_taken_up_unheard() {
    for ppm in [-200, 200] {
        let run = call(600, ppm, talk_and_pauses, |_, _| Some(30_000));
        assert!(run.delay(0, 600_000) <= 16.0, "{ppm}: {}", run.delay(0, 600_000));
        // The last packets are 120 ms early or late by then.
        assert!(
            run.gaps.iter().all(|(at, _)| *at > 599_000) && run.stats.discarded == 0,
            "{ppm}: {:?}",
            run.stats
        );
    }
}

#[test]
fn after_an_outage_of_a_second_playout_starts_again_at_the_old_delay() {
    let run = call(20, 0, loud, |_, ms| (!(5000..6000).contains(&ms)).then_some(30_000));
    let silence: Vec<_> =
        run.played.iter().filter(|&&(at, p)| at > 1_000_000 && p == Played::Silence).map(|p| p.0).collect();
    assert!(silence[0] >= 5_200_000 && *silence.last().unwrap() < 6_070_000, "{silence:?}");
    assert_eq!(run.stats.concealed, 20, "200 ms of concealment, then silence");
    assert!(run.delay(6000, 20_000) <= 15.0, "{}", run.delay(6000, 20_000));
}

#[test]
fn a_second_of_speech_that_comes_at_once_does_not_delay_the_call() {
    let stall = |ms: u64| if (5000..6000).contains(&ms) { (6000 - ms) * 1000 } else { 0 };
    let run = call(30, 0, loud, |_, ms| Some(30_000 + stall(ms)));
    assert!(run.delay(6000, 30_000) <= 225.0, "{}", run.delay(6000, 30_000));
    assert!(run.delay(14_000, 30_000) <= 75.0, "{}", run.delay(14_000, 30_000));
    assert!(run.delay(25_000, 30_000) <= 31.0, "{}", run.delay(25_000, 30_000));
}

#[test]
fn reordered_packets_are_played_in_order() {
    for seed in 0..8 {
        let mut random = Random(seed);
        // One in ten takes 25 ms longer and is overtaken.
        let run =
            call(60, 0, talk_and_pauses, |_, _| Some(30_000 + if random.draw(10) == 0 { 25_000 } else { 0 }));
        assert!(run.decoded().windows(2).all(|w| w[1] > w[0]));
        assert!(run.concealed(3000) < 0.005, "{}", run.concealed(3000));
        assert!(run.delay(3000, 60_000) < 60.0);
    }
}

#[test]
fn a_pause_of_the_sender_is_no_loss() {
    // Nothing is sent for 300 ms of each second; ids go on without a gap.
    let (mut buffer, mut id) = (JitterBuffer::new(), 0);
    let mut now = 0;
    let mut next_pull = 0;
    while now < 20_000_000 {
        if now % FRAME == 0 && now % 1_000_000 >= 300_000 {
            let packet = AudioPacket {
                frame_id: id,
                capture: now,
                duration: Duration::from_micros(FRAME),
                payload: vec![],
                level: 20,
            };
            buffer.push(Time::from_micros(now + FRAME), packet);
            id += 1;
        }
        if now >= next_pull {
            next_pull = now
                + match buffer.pull(Time::from_micros(now + FRAME)) {
                    Playout::Decode(_) | Playout::Conceal { .. } => FRAME,
                    _ => 5000,
                };
        }
        now += 1000;
    }
    let stats = buffer.stats();
    assert_eq!((stats.lost, stats.late, stats.discarded), (0, 0, 0));
    assert!(stats.delay <= Duration::from_millis(31), "{stats:?}");
}

#[test]
fn duplicates_are_played_once() {
    let mut buffer = JitterBuffer::new();
    let packet = AudioPacket {
        frame_id: 9,
        capture: 0,
        duration: Duration::from_micros(FRAME),
        payload: vec![],
        level: 0,
    };
    for _ in 0..3 {
        buffer.push(Time::ZERO, packet.clone());
    }
    assert_eq!(buffer.pull(Time::from_millis(10)), Playout::Decode(packet.clone()));
    buffer.push(Time::from_millis(11), packet);
    assert_eq!((buffer.stats().received, buffer.stats().duplicate), (1, 3));
    assert!(buffer.is_empty());
}

#[test]
fn a_sender_that_goes_back_to_ids_that_came_before_is_heard_again_within_2_s() {
    let mut buffer = JitterBuffer::new();
    let mut heard = None;
    for n in 0..240 {
        let now = Time::from_micros(n * FRAME + CLOCKS_APART);
        // Less far than is taken for a new beginning at once.
        let (frame_id, back) = if n < 120 { (n as u32, false) } else { (n as u32 - 119, true) };
        let duration = Duration::from_micros(FRAME);
        buffer.push(
            now,
            AudioPacket { frame_id, capture: n * FRAME, duration, payload: vec![1; 40], level: 30 },
        );
        if let Playout::Decode(packet) = buffer.pull(now)
            && back
            && packet.capture >= 120 * FRAME
        {
            heard = heard.or(Some(n - 120));
        }
    }
    assert!(heard.is_some_and(|after| after <= 100), "{heard:?}, {:?}", buffer.stats());
}

#[test]
fn one_lying_capture_time_is_hardly_heard() {
    for lie in [i64::MIN, -60_000_000, -2_500_000, 2_500_000, 60_000_000, i64::MAX] {
        let mut buffer = JitterBuffer::new();
        let (mut decoded, mut now) = (0, 0);
        for id in 0..500 {
            let honest = u64::from(id) * FRAME + CLOCKS_APART;
            let capture = if id == 250 { honest.saturating_add_signed(lie) } else { honest };
            let packet = AudioPacket {
                frame_id: id,
                capture,
                duration: Duration::from_micros(FRAME),
                payload: vec![],
                level: 20,
            };
            buffer.push(Time::from_micros(u64::from(id) * FRAME), packet);
            while now < u64::from(id + 1) * FRAME {
                now += match buffer.pull(Time::from_micros(now)) {
                    Playout::Decode(_) => {
                        decoded += 1;
                        FRAME
                    }
                    Playout::Conceal { .. } => FRAME,
                    _ => 5000,
                };
            }
        }
        assert!(decoded >= 480, "{lie}: {decoded}");
    }
}

/// A push (some with wild ids and capture times) or a pull.
#[derive(Clone, Debug)]
enum Step {
    Push { id: u32, capture: u64, micros: u64, len: usize, level: u8 },
    Pull,
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let id = prop_oneof![5 => 0..300u32, 1 => any::<u32>(), 1 => u32::MAX - 3..=u32::MAX];
    let capture =
        prop_oneof![5 => (0..300u64).prop_map(|n| n * FRAME), 2 => 0..20_000_000u64, 1 => any::<u64>()];
    let micros = prop_oneof![8 => Just(FRAME), 1 => 0..200_000u64, 1 => any::<u64>()];
    let level = any::<u8>();
    let push = (id, capture, micros, prop_oneof![9 => 0..100usize, 1 => 16_000..17_000usize], level)
        .prop_map(|(id, capture, micros, len, level)| Step::Push { id, capture, micros, len, level });
    (prop_oneof![20 => 0..30_000u64, 1 => any::<u64>()], prop_oneof![push, Just(Step::Pull)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_stays_bounded_and_plays_again_within_2_s(
        steps in proptest::collection::vec(step(), 0..400),
        first_id in prop_oneof![0..400u32, any::<u32>()],
        clock in prop_oneof![0..20_000_000u64, any::<u64>()],
    ) {
        let (mut buffer, mut now, mut latest) = (JitterBuffer::new(), 0u64, 0);
        for (micros, step) in steps {
            // Seldom the caller's clock jumps, back as well.
            now = if micros > 30_000 { micros >> 2 } else { now.saturating_add(micros) };
            latest = latest.max(now);
            match step {
                Step::Push { id, capture, micros, len, level } => buffer.push(Time::from_micros(now), AudioPacket {
                    frame_id: id, capture, duration: Duration::from_micros(micros), payload: vec![0; len], level,
                }),
                Step::Pull => {
                    if let Playout::Conceal { duration, .. } = buffer.pull(Time::from_micros(now)) {
                        prop_assert!(!duration.is_zero() && duration < Duration::from_millis(160));
                    }
                }
            }
            prop_assert!(buffer.len() <= MAX_PACKETS && buffer.held_time() <= MAX_HELD_TIME);
        }
        // An honest sender from here on.
        let (start, mut next, mut heard) = (latest, latest, None);
        let (first_id, clock) = (first_id.min(u32::MAX - 200), clock.min(u64::MAX / 2));
        for i in 0..150u32 {
            let sent = start + u64::from(i) * FRAME;
            buffer.push(Time::from_micros(sent), AudioPacket {
                frame_id: first_id + i, capture: clock + u64::from(i) * FRAME,
                duration: Duration::from_micros(FRAME), payload: vec![], level: 20,
            });
            while next < sent + FRAME {
                now = next;
                next += match buffer.pull(Time::from_micros(now)) {
                    Playout::Decode(p) => {
                        if p.frame_id >= first_id && p.frame_id < first_id + 150 && p.capture >= clock {
                            heard = heard.or(Some(now));
                        }
                        p.duration.as_micros() as u64
                    }
                    Playout::Conceal { duration, .. } => duration.as_micros() as u64,
                    _ => 5000,
                };
            }
        }
        prop_assert!(heard.is_some_and(|at| at - start <= 2_000_000), "{heard:?} after {start}");
    }
}
