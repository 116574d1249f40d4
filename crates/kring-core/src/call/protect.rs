//! How much redundancy pictures get: parity with each, and how often what was lost is sent again.
//!
//! Guarantee: parity follows from the network's state and from how many parts a picture has, never from what it shows;
//! over some frames it stays within a budget that follows from the loss, but for keyframes.
//!
//! A picture gets the least parity with which the chance that too much of it is lost is below a target. What gets lost is
//! Gilbert's model: a chain of two states, so that bursts of any length are covered; without bursts it is the binomial
//! distribution. The base layer gets the lowest target, for all that follows waits for it; pictures that nothing refers to
//! get the highest; and where the round trip leaves time for sending again, all of them are higher.

use crate::rate::NetworkState;
use std::collections::HashMap;
use std::time::Duration;

/// The chance that a picture of the base layer is not made whole. One that is not holds up some five that come after it, at a
/// round trip of 100 ms: with this, one in sixty comes late.
const TARGET: f64 = 0.0035;
/// The same of a picture that nothing refers to: so much of the loss, within these bounds.
const LOOSE: (f64, f64, f64) = (0.4, 0.01, 0.04);
/// A keyframe's target is so much lower, that of a picture of a higher layer so much higher.
const KEYFRAME: f64 = 0.33;
const LAYER: f64 = 2.0;
/// Where sending again takes no longer than this, targets are so much higher.
const QUICK: (Duration, f64) = (Duration::from_millis(40), 4.0);
/// What of a picture's parts parity may take, on average: a part, and so much of the loss, times the length of bursts.
const BUDGET: (f64, f64) = (0.12, 6.0);
/// The most of it for each part. There is only one part of parity for each (docs/protocol.md); beyond that the parts are sent twice.
const MOST: usize = 2;
/// The longest bursts, in packets, that are planned for.
const LONGEST: f64 = 6.0;
/// Bursts from this length on are worth that parity goes apart from what it protects, and how far.
const APART: (f64, Duration) = (2.0, Duration::from_millis(40));
/// So many packets go in between then, about.
const BETWEEN: i32 = 8;
/// What is sent again is doubled until the chance that it is lost again is below this.
const AGAIN: f64 = 0.02;
/// Losses are remembered for so many packets of pictures; of few packets they are taken for less, and below a part for none.
const MEMORY: f64 = 500.0;
const FEW: f64 = 30.0;
const NOTED: f64 = 0.01;
/// Where packets overtake each other by so much, the last of a picture's parts is late: as much parity as for so much loss stands in.
const OVERTAKEN: (Duration, f64) = (Duration::from_millis(25), 0.03);
/// Less loss than this is none.
const NEGLIGIBLE: f64 = 0.002;
/// Assumed before anything is known.
const UNKNOWN: f64 = 0.02;
/// Where there is loss a picture is cut into so many parts, if they do not get shorter than so many bytes: parity over more
/// parts does the same for less.
const PARTS: (usize, usize) = (7, 400);
/// How fast what redundancy takes is forgotten, a picture.
const FADING: f64 = 0.97;

/// What a picture is to those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    Keyframe,
    Base,
    Layer,
    Discardable,
}

/// Chooses redundancy.
#[derive(Debug)]
pub(super) struct Protection {
    loss: f64,
    burst: f64,
    quick: bool,
    /// Whether the network has shown itself.
    told: bool,
    known: HashMap<(u16, Class), u16>,
    /// What of the budget is left, in parts.
    left: f64,
    /// Bytes of pictures and of what was sent beside them, the older the less.
    sent: (f64, f64),
    /// Packets of pictures whose fate is known, and those of them that were lost, the older the less.
    fates: (f64, f64),
}

impl Default for Protection {
    fn default() -> Protection {
        Protection {
            loss: 0.0,
            burst: 1.0,
            quick: false,
            told: false,
            known: HashMap::new(),
            left: 0.0,
            sent: (0.0, 0.0),
            fates: (0.0, 0.0),
        }
    }
}

impl Protection {
    /// Counts packets of pictures whose fate has become known, and how many of them were lost.
    pub(super) fn observe(&mut self, judged: u32, lost: u32) {
        let (all, gone) = &mut self.fates;
        let fading = (1.0 - 1.0 / MEMORY).powf(judged.into());
        *all = *all * fading + f64::from(judged);
        *gone = *gone * fading + f64::from(lost);
    }

    /// Takes what is known of the network now.
    ///
    /// Rate control does not count what a full queue may have dropped, for redundancy would only fill it more; but parity comes
    /// out of the pictures' share, so what was really lost counts here.
    pub(super) fn update(&mut self, network: &NetworkState) {
        self.told = true;
        let (all, gone) = self.fates;
        let lost = Some(gone / (all + FEW)).filter(|lost| *lost >= NOTED);
        let late = if network.overtaken >= OVERTAKEN.0 { OVERTAKEN.1 } else { 0.0 };
        let loss = network.loss.max(lost.unwrap_or(0.0)).max(late).clamp(0.0, 0.5);
        let burst = network.burst.clamp(1.0, LONGEST);
        let quick = network.round_trip.is_some_and(|rtt| rtt <= QUICK.0);
        // Small changes change nothing.
        let near = |a: f64, b: f64| (a - b).abs() <= 0.1 * a.max(b);
        if !near(loss, self.loss) || !near(burst, self.burst) || quick != self.quick {
            (self.loss, self.burst, self.quick) = (loss, burst, quick);
            self.known.clear();
        }
    }

    /// The longest that the parts of a picture of `len` bytes are to be.
    pub(super) fn part(&self, len: usize) -> usize {
        if self.expected() < NEGLIGIBLE { usize::MAX } else { len.div_ceil(PARTS.0).max(PARTS.1) }
    }

    /// How many parts of parity a picture of `count` parts gets.
    pub(super) fn parity(&mut self, count: u16, class: Class) -> u16 {
        let loss = self.expected();
        let budget = (20.0 * loss).min(BUDGET.0) + BUDGET.1 * loss * self.burst;
        let most = budget * f64::from(count.max(8)) + 1.0;
        self.left = (self.left + budget * f64::from(count)).min(most);
        let needed = self.needed(count, class);
        let given = match class {
            Class::Keyframe => needed,
            _ => needed.min(self.left.max(0.0) as u16),
        };
        self.left = (self.left - f64::from(given)).max(-most);
        given
    }

    fn expected(&self) -> f64 {
        if self.told { self.loss } else { UNKNOWN }
    }

    fn needed(&mut self, count: u16, class: Class) -> u16 {
        let loss = self.expected();
        if loss < NEGLIGIBLE {
            return 0;
        }
        let target = match class {
            Class::Keyframe => TARGET * KEYFRAME,
            Class::Base => TARGET,
            Class::Layer => TARGET * LAYER,
            Class::Discardable => (LOOSE.0 * loss).clamp(LOOSE.1, LOOSE.2),
        };
        let target = if self.quick { target * QUICK.1 } else { target };
        let (burst, apart) = (self.burst, self.is_apart());
        *self.known.entry((count, class)).or_insert_with(|| least(count, loss, burst, apart, target))
    }

    fn is_apart(&self) -> bool {
        self.burst >= APART.0
    }

    /// How long after a picture its parity is sent, so that one burst does not take both.
    pub(super) fn apart(&self) -> Duration {
        if self.is_apart() { APART.1 } else { Duration::ZERO }
    }

    /// How many packets to send so that `needed` of them come, very likely.
    pub(super) fn again(&self, needed: usize) -> usize {
        let (mut sent, most) = (needed, needed * 3 + 2);
        // The chance that more than sent − needed of them get lost.
        let fails = |sent: usize| {
            let mut lost = vec![1.0];
            (0..sent).for_each(|_| one_more(&mut lost, self.loss));
            lost.iter().skip(sent - needed + 1).sum::<f64>()
        };
        while sent < most && fails(sent) > AGAIN {
            sent += 1;
        }
        sent
    }

    /// Counts bytes of a picture, and of what is sent beside it.
    pub(super) fn sent(&mut self, picture: usize, beside: usize) {
        let (pictures, extra) = &mut self.sent;
        let fading = if picture > 0 { FADING } else { 1.0 };
        *pictures = *pictures * fading + picture as f64;
        *extra = *extra * fading + beside as f64;
    }

    /// What redundancy takes beside each byte of pictures, lately.
    pub(super) fn overhead(&self) -> f64 {
        let (pictures, extra) = self.sent;
        if pictures > 0.0 { (extra / pictures).min(4.0) } else { 0.0 }
    }
}

/// Adds a packet that gets lost with that chance to the distribution of how many are.
fn one_more(lost: &mut Vec<f64>, loss: f64) {
    lost.push(0.0);
    for n in (0..lost.len()).rev() {
        let before = if n > 0 { lost[n - 1] } else { 0.0 };
        lost[n] = lost[n] * (1.0 - loss) + before * loss;
    }
}

/// The least parity for which a frame of `count` parts lacks more than it has with a chance below `target`; at most [`MOST`] a
/// part. `burst` is how much longer losses last than if each packet were lost by itself.
fn least(count: u16, loss: f64, burst: f64, apart: bool, target: f64) -> u16 {
    let count = usize::from(count);
    // Chances to go from good to bad, and from bad to good.
    let recovers = ((1.0 - loss) / burst).clamp(0.01, 1.0);
    let fails = (loss / (1.0 - loss) * recovers).min(1.0);
    // By how many were lost: the chance of that, with the last one passed and with it lost.
    let mut lost = vec![(0.0, 0.0); (1 + MOST) * count + 1];
    lost[0] = (1.0 - loss, loss);
    let step = |lost: &mut Vec<(f64, f64)>, counts: bool| {
        for n in (0..lost.len()).rev() {
            let (good, bad) = lost[n];
            let good_next = good * (1.0 - fails) + bad * recovers;
            let bad_here = good * fails + bad * (1.0 - recovers);
            if counts {
                lost[n] = (good_next, 0.0);
                if let Some(next) = lost.get_mut(n + 1) {
                    next.1 += bad_here;
                }
            } else {
                lost[n] = (good_next, bad_here);
            }
        }
    };
    (0..count).for_each(|_| step(&mut lost, true));
    if apart {
        (0..BETWEEN).for_each(|_| step(&mut lost, false));
    }
    for parity in 0..=MOST * count {
        let chance: f64 = lost.iter().skip(parity + 1).map(|(good, bad)| good + bad).sum();
        if chance <= target {
            return parity as u16;
        }
        step(&mut lost, true);
    }
    (MOST * count) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(loss: f64, burst: f64, rtt: u64) -> NetworkState {
        let mut network = crate::rate::RateControl::new(crate::time::Time::ZERO, 1_000_000).network();
        (network.loss, network.burst) = (loss, burst);
        network.round_trip = Some(Duration::from_millis(rtt));
        network
    }

    fn protection(loss: f64, burst: f64) -> Protection {
        let mut protection = Protection::default();
        protection.update(&network(loss, burst, 100));
        protection
    }

    /// The chance that more than `parity` of count + parity are lost, each by itself.
    fn binomial(count: usize, parity: usize, loss: f64) -> f64 {
        let mut lost = vec![1.0];
        (0..count + parity).for_each(|_| one_more(&mut lost, loss));
        lost.iter().skip(parity + 1).sum()
    }

    #[test]
    fn without_bursts_it_is_the_binomial_distribution() {
        for (count, loss) in [(1, 0.05), (7, 0.05), (7, 0.2), (24, 0.1), (255, 0.01)] {
            for target in [0.05, 0.01, 0.002] {
                let parity = usize::from(least(count, loss, 1.0, false, target));
                let count = usize::from(count);
                assert!(parity == MOST * count || binomial(count, parity, loss) <= target + 1e-9);
                assert!(parity == 0 || binomial(count, parity - 1, loss) > target - 1e-9, "{count} {parity}");
            }
        }
    }

    #[test]
    fn no_loss_no_parity_but_before_anything_is_known() {
        let mut unknown = Protection::default();
        assert!((1..=3).contains(&unknown.parity(10, Class::Keyframe)));
        let mut none = protection(0.0, 1.0);
        assert_eq!((none.parity(7, Class::Base), none.parity(10, Class::Keyframe)), (0, 0));
    }

    #[test]
    fn what_matters_more_gets_more() {
        let mut p = protection(0.1, 1.0);
        let needed =
            [Class::Keyframe, Class::Base, Class::Layer, Class::Discardable].map(|class| p.needed(7, class));
        assert!(needed.is_sorted_by(|a, b| a >= b) && needed[0] > needed[3], "{needed:?}");
        let far = p.needed(7, Class::Base);
        p.update(&network(0.1, 1.0, 20));
        assert!(p.needed(7, Class::Base) < far, "there is time to send again");
    }

    #[test]
    fn where_parts_overtake_each_other_some_stand_in_for_the_last_one() {
        let mut p = protection(0.0, 1.0);
        let overtaken = |ms| NetworkState { overtaken: Duration::from_millis(ms), ..network(0.0, 1.0, 100) };
        p.update(&overtaken(10));
        assert_eq!(p.parity(7, Class::Base), 0);
        p.update(&overtaken(40));
        assert!((1..=3).contains(&p.parity(7, Class::Base)));
    }

    #[test]
    fn bursts_need_more_and_parity_goes_apart() {
        let (mut single, mut bursts) = (protection(0.05, 1.0), protection(0.05, 5.0));
        assert!(bursts.needed(7, Class::Base) > single.needed(7, Class::Base));
        assert_eq!(single.apart(), Duration::ZERO);
        assert!(bursts.apart() > Duration::ZERO);
    }

    #[test]
    fn parity_stays_within_its_budget() {
        for (loss, most) in [(0.01, 0.18), (0.05, 0.42), (0.1, 0.72), (0.3, 1.92)] {
            for count in [1, 3, 7, 12] {
                let mut p = protection(loss, 1.0);
                let given: u32 = (0..500).map(|_| u32::from(p.parity(count, Class::Base))).sum();
                let share = f64::from(given) / (500.0 * f64::from(count));
                assert!(share <= most + 0.01, "{loss} {count}: {share}");
            }
        }
    }

    #[test]
    fn what_is_sent_again_is_doubled_where_much_gets_lost() {
        assert_eq!(protection(0.01, 1.0).again(1), 1);
        assert_eq!(protection(0.05, 1.0).again(1), 2);
        assert_eq!(protection(0.3, 1.0).again(1), 4);
        assert!(protection(0.5, 1.0).again(5) <= 17);
    }

    #[test]
    fn what_was_really_lost_counts_even_if_rate_control_blames_a_queue() {
        let mut p = protection(0.0, 1.0);
        p.observe(1, 1);
        p.update(&network(0.0, 1.0, 100));
        assert!(p.loss < 0.05, "one packet says little");
        for _ in 0..30 {
            p.observe(20, 2);
        }
        p.update(&network(0.0, 1.0, 100));
        assert!((0.08..0.11).contains(&p.loss), "{}", p.loss);
        (0..150).for_each(|_| p.observe(20, 0));
        p.update(&network(0.0, 1.0, 100));
        assert_eq!(p.loss, 0.0);
    }

    #[test]
    fn what_redundancy_takes_is_followed() {
        let mut p = protection(0.1, 1.0);
        assert_eq!(p.overhead(), 0.0);
        for _ in 0..200 {
            p.sent(1000, 300);
        }
        assert!((p.overhead() - 0.3).abs() < 1e-6);
        for _ in 0..200 {
            p.sent(1000, 0);
        }
        assert!(p.overhead() < 0.01);
    }
}
