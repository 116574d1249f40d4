//! Rate control alone, in virtual time: several flows share a bottleneck, each with the sender's and receiver's rate
//! control of `kring-core`, model encoders, and TCP beside them. No cryptography, so thousands of seconds take seconds.
//!
//! Guarantee: the same case and seed give the same figures.

pub mod cases;
mod media;
mod tcp;

use crate::link::{Link, Spec};
use crate::rng::Rng;
use kring_core::time::Time;
use media::Endpoint;
use std::collections::BTreeMap;
use std::time::Duration;
use tcp::Tcp;

/// The direction from the first end to the second, and back.
const DIRECTIONS: [&str; 2] = ["there", "back"];

/// Who shares the links.
#[derive(Clone, Debug)]
pub struct Party {
    /// When it begins and ends, in s.
    pub from: u64,
    /// See `from`.
    pub to: u64,
    /// What it is.
    pub kind: Kind,
}

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call with voice and pictures: there, back, or both.
    Call {
        /// From the first end.
        there: bool,
        /// From the second end.
        back: bool,
        /// The most it wants, in kbit/s.
        most: u32,
        /// Whether it has pictures.
        video: bool,
    },
    /// One TCP connection (Cubic) that has always something to send, from the first end.
    Tcp,
}

/// What is to be simulated.
#[derive(Clone, Debug)]
pub struct Case {
    /// The network of each direction.
    pub links: [Spec; 2],
    /// Who uses it.
    pub parties: Vec<Party>,
    /// For how long, in s.
    pub seconds: u64,
}

/// What one party's one direction achieved.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// kbit/s delivered in each second, all headers included.
    pub kbits: Vec<f64>,
    /// Each voice packet: when it was captured, and the one-way time in ms (waiting at the sender included).
    pub voice: Vec<(Time, f64)>,
    /// Each picture that came whole: when it was captured, and until its last packet, in ms.
    pub pictures: Vec<(Time, f64)>,
    /// Packets sent and received.
    pub packets: (u64, u64),
    /// The estimate at each second's end, in kbit/s.
    pub estimates: Vec<f64>,
    /// Pictures encoded.
    pub encoded: u64,
}

impl Figures {
    /// The mean of kbit/s delivered from second `from` to `to`.
    #[must_use]
    pub fn mean_kbits(&self, from: u64, to: u64) -> f64 {
        let part = self.kbits.get(from as usize..(to as usize).min(self.kbits.len())).unwrap_or_default();
        part.iter().sum::<f64>() / part.len().max(1) as f64
    }

    /// The q-quantile (0 to 1) of voice packets' one-way time captured from second `from` to `to`, in ms.
    #[must_use]
    pub fn voice_delay(&self, q: f64, from: f64, to: f64) -> f64 {
        quantile(&self.voice, q, from, to)
    }

    /// The same of whole pictures.
    #[must_use]
    pub fn picture_delay(&self, q: f64, from: f64, to: f64) -> f64 {
        quantile(&self.pictures, q, from, to)
    }

    /// The share of packets that came.
    #[must_use]
    pub fn arrived(&self) -> f64 {
        self.packets.1 as f64 / self.packets.0.max(1) as f64
    }

    fn deliver(&mut self, now: Time, bytes: usize) {
        let second = (now.as_micros() / 1_000_000) as usize;
        if self.kbits.len() <= second {
            self.kbits.resize(second + 1, 0.0);
        }
        self.kbits[second] += bytes as f64 * 8.0 / 1000.0;
    }
}

fn quantile(points: &[(Time, f64)], q: f64, from: f64, to: f64) -> f64 {
    let within = |at: &Time| (from..to).contains(&(at.as_micros() as f64 / 1e6));
    let mut times: Vec<f64> = points.iter().filter(|(at, _)| within(at)).map(|(_, ms)| *ms).collect();
    times.sort_by(f64::total_cmp);
    if times.is_empty() { f64::NAN } else { times[((times.len() - 1) as f64 * q).round() as usize] }
}

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Media(media::Datagram),
    Segment { number: u64 },
    Acknowledge { next: u64, number: u64 },
}

enum Runner {
    Call(Box<[Endpoint; 2]>),
    Tcp(Box<Tcp>),
}

/// Runs a case; gives for each party its figures there and back.
#[must_use]
pub fn run(case: &Case, seed: u64) -> Vec<[Figures; 2]> {
    let mut links: [Link<(usize, Packet)>; 2] =
        [0, 1].map(|d| Link::new(&case.links[d], Rng::new(seed, DIRECTIONS[d])));
    let mut figures = vec![[Figures::default(), Figures::default()]; case.parties.len()];
    let mut runners: BTreeMap<usize, Runner> = BTreeMap::new();
    let end = Time::from_millis(case.seconds * 1000);
    let (mut now, mut second) = (Time::ZERO, 0);
    while now < end {
        for (who, party) in case.parties.iter().enumerate() {
            let alive =
                (Time::from_millis(party.from * 1000)..Time::from_millis(party.to * 1000)).contains(&now);
            if alive && !runners.contains_key(&who) {
                runners.insert(who, start(party, who, seed, now));
            } else if !alive {
                runners.remove(&who);
            }
        }
        for (direction, link) in links.iter_mut().enumerate() {
            while let Some(parcel) = link.receive(now) {
                let (who, packet) = parcel.item;
                let Some(runner) = runners.get_mut(&who) else { continue };
                match (runner, packet) {
                    (Runner::Call(ends), Packet::Media(datagram)) => {
                        ends[1 - direction].arrive(now, &datagram, &mut figures[who][direction]);
                    }
                    (Runner::Tcp(tcp), packet) => tcp.receive(now, &packet, &mut figures[who][direction]),
                    _ => {}
                }
            }
        }
        for (&who, runner) in &mut runners {
            match runner {
                Runner::Call(ends) => {
                    for direction in [0, 1] {
                        ends[1 - direction].catch_up(now, &mut figures[who][direction]);
                    }
                    for (direction, sender) in ends.iter_mut().enumerate() {
                        for datagram in sender.run(now) {
                            figures[who][direction].packets.0 += 1;
                            links[direction].send(now, datagram.wire(), (who, Packet::Media(datagram)));
                        }
                    }
                }
                Runner::Tcp(tcp) => {
                    tcp.run(now, |direction, bytes, packet| links[direction].send(now, bytes, (who, packet)))
                }
            }
        }
        if now.as_micros() / 1_000_000 > second {
            second = now.as_micros() / 1_000_000;
            for (who, runner) in &runners {
                if let Runner::Call(ends) = runner {
                    for direction in [0, 1] {
                        let estimate = f64::from(ends[direction].estimate()) / 1000.0;
                        figures[*who][direction].estimates.resize(second as usize, estimate);
                        figures[*who][direction].encoded = ends[direction].encoded();
                    }
                }
            }
        }
        let due = links.iter().filter_map(Link::due).chain(runners.values().map(|r| match r {
            Runner::Call(ends) => ends[0].due(now).min(ends[1].due(now)),
            Runner::Tcp(tcp) => tcp.due(),
        }));
        let starts = case.parties.iter().map(|p| Time::from_millis(p.from * 1000)).filter(|at| *at > now);
        now = due.chain(starts).min().unwrap_or(end).max(now + Duration::from_micros(1));
    }
    figures
}

fn start(party: &Party, who: usize, seed: u64, now: Time) -> Runner {
    match party.kind {
        Kind::Call { there, back, most, video } => {
            Runner::Call(Box::new([(there, "there"), (back, "back")].map(|(on, name)| {
                Endpoint::new(now, most * 1000, on, video && on, Rng::new(seed, &format!("{who} {name}")))
            })))
        }
        Kind::Tcp => Runner::Tcp(Box::new(Tcp::new(now))),
    }
}
