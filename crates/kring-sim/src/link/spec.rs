//! A network as a line of text.
//!
//! Guarantee: what is printed parses to what it was printed from, so the line in a report replays the network.
//!
//! Terms stand between commas:
//!
//! | term | meaning |
//! |---|---|
//! | `delay=25` | 25 ms one way |
//! | `jitter=10` | each packet takes 0 to 10 ms more; order is kept |
//! | `tau=50` | the jitter is then a normal deviation (of 10 ms) either way that changes over some 50 ms, at most three times as large |
//! | `reorder=2` | 2 % of the packets are held back by another 5 to 30 ms, and later ones pass them |
//! | `loss=5` | 5 % are lost, each by itself |
//! | `ge=5:4` | 5 % are lost in bursts of 4 on average (Gilbert's model) |
//! | `dup=1` | 1 % come twice |
//! | `corrupt=0.5` | 0.5 % come with one to three bits changed |
//! | `rate=500` | 500 kbit/s with a queue in front |
//! | `queue=200` | who would wait more than 200 ms in that queue is dropped (200 unless said) |
//! | `police=300:20` | a policer: 300 kbit/s, a bucket of 20 kB, no queue |
//! | `at=10:rate=300` | from second 10 on, the rate is 300 kbit/s; any of the terms above can be changed |
//! | `down=5-7` | what is sent from second 5 to 7 is lost |
//! | `path@8` | the path changes at second 8: what is on its way is lost, queue and bucket start anew |

use kring_core::time::Time;
use std::fmt;
use std::str::FromStr;

/// A share in millionths.
pub type Ppm = u32;

/// One setting of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// One way, in µs.
    Delay(u64),
    /// The most that is added to it, in µs.
    Jitter(u64),
    /// The time in which jitter changes, in µs; it is normally distributed then.
    Tau(u64),
    /// Held back so that others pass.
    Reorder(Ppm),
    /// Lost one by one.
    Loss(Ppm),
    /// Lost in bursts, and a burst's mean length in thousandths of a packet.
    Bursts(Ppm, u32),
    /// Delivered twice.
    Duplicate(Ppm),
    /// Delivered with bits changed.
    Corrupt(Ppm),
    /// In kbit/s; 0 is no bound.
    Rate(u64),
    /// The longest wait in the queue, in µs.
    Queue(u64),
    /// In kbit/s (0 is no policer), and its bucket in kB.
    Police(u64, u64),
}

/// One term of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// From the start.
    Set(Setting),
    /// From then on.
    At(Time, Setting),
    /// Nothing passes from the first to the second.
    Down(Time, Time),
    /// The path changes.
    Path(Time),
}

/// A network, one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec(pub Vec<Term>);

/// Why a line describes no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{term:?} is no term of a network; expected one like delay=25, ge=5:4, at=10:rate=300, down=5-7 or path@8"
)]
pub struct SpecError {
    term: String,
}

/// Digits behind the point of a percentage.
const PERCENT: usize = 4;
/// Of milliseconds, and of a burst's length.
const MILLIS: usize = 3;
/// Of seconds.
const SECONDS: usize = 6;

impl Spec {
    /// Whether every packet arrives whole, once, in order and after the same time.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.0.iter().all(|term| matches!(term, Term::Set(Setting::Delay(_) | Setting::Duplicate(_))))
    }

    /// The longest that the link itself may hold a packet back, in µs: delay, jitter, queue and reordering.
    #[must_use]
    pub fn slowest(&self) -> u64 {
        let (mut delay, mut jitter, mut queue, mut rated) = (0, 0, super::DEFAULT_QUEUE, false);
        for term in &self.0 {
            match *term {
                Term::Set(Setting::Delay(us)) | Term::At(_, Setting::Delay(us)) => delay = us.max(delay),
                Term::Set(Setting::Jitter(us)) | Term::At(_, Setting::Jitter(us)) => {
                    jitter = (3 * us).max(jitter)
                }
                Term::Set(Setting::Queue(us)) | Term::At(_, Setting::Queue(us)) => queue = us.max(queue),
                Term::Set(Setting::Rate(_)) | Term::At(_, Setting::Rate(_)) => rated = true,
                _ => {}
            }
        }
        delay + jitter + if rated { queue } else { 0 } + super::HELD_BACK
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(line: &str) -> Result<Spec, SpecError> {
        let terms = line.split(',').map(str::trim).filter(|term| !term.is_empty());
        terms
            .map(|term| parse(term).ok_or(SpecError { term: term.into() }))
            .collect::<Result<_, _>>()
            .map(Spec)
    }
}

fn parse(term: &str) -> Option<Term> {
    if let Some(at) = term.strip_prefix("path@") {
        return Some(Term::Path(moment(at)?));
    }
    let (key, value) = term.split_once('=')?;
    Some(match key {
        "down" => {
            let (from, to) = value.split_once('-')?;
            Term::Down(moment(from)?, moment(to)?)
        }
        "at" => {
            let (at, setting) = value.split_once(':')?;
            let (key, value) = setting.split_once('=')?;
            Term::At(moment(at)?, set(key, value)?)
        }
        _ => Term::Set(set(key, value)?),
    })
}

fn set(key: &str, value: &str) -> Option<Setting> {
    let whole = |text: &str| text.parse().ok().filter(|n: &u64| *n <= 100_000_000);
    let pair = || value.split_once(':');
    Some(match key {
        "delay" => Setting::Delay(decimal(value, MILLIS)?),
        "jitter" => Setting::Jitter(decimal(value, MILLIS)?),
        "queue" => Setting::Queue(decimal(value, MILLIS)?),
        "tau" => Setting::Tau(decimal(value, MILLIS)?),
        "reorder" => Setting::Reorder(share(value)?),
        "loss" => Setting::Loss(share(value)?),
        "dup" => Setting::Duplicate(share(value)?),
        "corrupt" => Setting::Corrupt(share(value)?),
        "rate" => Setting::Rate(whole(value)?),
        "ge" => {
            let (lost, length) = pair()?;
            let length = u32::try_from(decimal(length, MILLIS)?).ok().filter(|n| *n >= 1000)?;
            Setting::Bursts(share(lost).filter(|lost| *lost < 1_000_000)?, length)
        }
        "police" => {
            let (rate, bucket) = pair()?;
            Setting::Police(whole(rate)?, whole(bucket)?)
        }
        _ => return None,
    })
}

fn share(text: &str) -> Option<Ppm> {
    decimal(text, PERCENT).and_then(|n| Ppm::try_from(n).ok()).filter(|n| *n <= 1_000_000)
}

fn moment(text: &str) -> Option<Time> {
    decimal(text, SECONDS).map(Time::from_micros)
}

/// A decimal number times ten to the power of `digits`; at most nine digits before the point.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let fine = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || part.len() > digits || !fine(whole) || !fine(part) {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

/// The reverse of [`decimal`].
struct Decimal(u64, usize);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decimal(number, digits) = *self;
        let unit = 10u64.pow(digits as u32);
        let part = format!("{:0digits$}", number % unit);
        match part.trim_end_matches('0') {
            "" => write!(f, "{}", number / unit),
            part => write!(f, "{}.{part}", number / unit),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |ppm: Ppm| Decimal(ppm.into(), PERCENT);
        match *self {
            Setting::Delay(us) => write!(f, "delay={}", Decimal(us, MILLIS)),
            Setting::Jitter(us) => write!(f, "jitter={}", Decimal(us, MILLIS)),
            Setting::Queue(us) => write!(f, "queue={}", Decimal(us, MILLIS)),
            Setting::Tau(us) => write!(f, "tau={}", Decimal(us, MILLIS)),
            Setting::Reorder(share) => write!(f, "reorder={}", percent(share)),
            Setting::Loss(share) => write!(f, "loss={}", percent(share)),
            Setting::Bursts(share, length) => {
                write!(f, "ge={}:{}", percent(share), Decimal(length.into(), MILLIS))
            }
            Setting::Duplicate(share) => write!(f, "dup={}", percent(share)),
            Setting::Corrupt(share) => write!(f, "corrupt={}", percent(share)),
            Setting::Rate(kbit) => write!(f, "rate={kbit}"),
            Setting::Police(kbit, bucket) => write!(f, "police={kbit}:{bucket}"),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = |at: Time| Decimal(at.as_micros(), SECONDS);
        match *self {
            Term::Set(setting) => write!(f, "{setting}"),
            Term::At(at, setting) => write!(f, "at={}:{setting}", second(at)),
            Term::Down(from, to) => write!(f, "down={}-{}", second(from), second(to)),
            Term::Path(at) => write!(f, "path@{}", second(at)),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, term) in self.0.iter().enumerate() {
            write!(f, "{}{term}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_printed_as_it_was_read() {
        let line = "delay=25,jitter=10,tau=50,reorder=1,loss=5,ge=5:4,dup=1,corrupt=0.5,rate=500,queue=200,\
                    police=300:20,at=10:rate=300,at=2.5:ge=1.25:3.5,down=5-7,path@8";
        let spec: Spec = line.parse().unwrap();
        assert_eq!(spec.to_string(), line);
        assert_eq!(spec.0[7], Term::Set(Setting::Corrupt(5000)));
        assert_eq!(" delay=3 ,, loss=1".parse::<Spec>().unwrap().to_string(), "delay=3,loss=1");
    }

    #[test]
    fn what_is_no_term_is_named() {
        let wrong = [
            "delay", "loss=101", "ge=5", "ge=5:0.5", "rate=-1", "at=3", "down=5", "path@x", "speed=3",
            "loss=5%",
        ];
        for term in wrong {
            let error = format!("delay=1,{term}").parse::<Spec>().unwrap_err();
            assert!(error.to_string().contains(&format!("{term:?}")), "{error}");
        }
    }
}
