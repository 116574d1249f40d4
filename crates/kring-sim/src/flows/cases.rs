//! The cases: the harness's links, and those of RFC 8867 with its rates and times.

use super::{Case, Kind, Party};
use crate::link::{Spec, SpecError};

/// A call both ways with voice and pictures, that wants up to 2,000 kbit/s.
pub const CALL: Kind = Kind::Call { there: true, back: true, most: 2000, video: true };
const ONE_WAY: Kind = Kind::Call { there: true, back: false, most: 2500, video: true };
const BACK: Kind = Kind::Call { there: false, back: true, most: 2500, video: true };

/// One call over the same network both ways.
///
/// # Errors
/// If `link` describes no network.
pub fn call(link: &str, seconds: u64) -> Result<Case, SpecError> {
    let spec: Spec = link.parse()?;
    Ok(Case {
        links: [spec.clone(), spec],
        parties: vec![Party { from: 0, to: seconds, kind: CALL }],
        seconds,
    })
}

/// The links of docs/benchmarks.md.
pub const LINKS: [(&str, &str); 17] = [
    ("clean-20ms", "delay=10"),
    ("rtt50-loss1", "delay=25,loss=1"),
    ("rtt100-loss5", "delay=50,loss=5"),
    ("rtt100-loss10", "delay=50,loss=10"),
    ("rtt100-loss20", "delay=50,loss=20"),
    ("rtt100-loss30", "delay=50,loss=30"),
    ("rtt100-burst5", "delay=50,ge=5:5"),
    ("rtt50-1000k", "delay=25,rate=1000,queue=300"),
    ("rtt50-500k", "delay=25,rate=500,queue=300"),
    ("rtt50-250k", "delay=25,rate=250,queue=300"),
    ("rtt50-2000-300-2000", "delay=25,rate=2000,queue=300,at=10:rate=300,at=20:rate=2000"),
    ("rtt100-jitter30", "delay=50,jitter=30,tau=50"),
    ("rtt100-jitter30-reorder", "delay=50,jitter=30,tau=0,reorder=20"),
    ("thin-40k", "delay=25,queue=300,rate=40"),
    ("thin-24k", "delay=25,queue=300,rate=24"),
    ("shallow", "delay=25,rate=500,queue=10"),
    ("policer", "delay=25,police=500:10"),
];

/// The cases of RFC 8867 that concern a single bottleneck: section, what it is, the case.
///
/// # Panics
/// Never: the networks are constants.
#[must_use]
pub fn rfc8867() -> Vec<(&'static str, &'static str, Case)> {
    let case = |there: &str, back: &str, parties: &[(u64, u64, Kind)], seconds| {
        let links = [there, back].map(|link| link.parse().expect("a network"));
        let parties = parties.iter().map(|&(from, to, kind)| Party { from, to, kind }).collect();
        Case { links, parties, seconds }
    };
    let base = "delay=50,queue=300,rate=";
    let there = "delay=50,queue=300,rate=1000,at=40:rate=2500,at=60:rate=600,at=80:rate=1000";
    let shared =
        "delay=50,queue=300,rate=2000,at=25:rate=1000,at=50:rate=1750,at=75:rate=500,at=100:rate=1000";
    let back = "delay=50,queue=300,rate=2000,at=35:rate=800,at=70:rate=2000";
    vec![
        ("5.1", "variable capacity, one flow", case(there, "delay=50", &[(0, 100, ONE_WAY)], 100)),
        (
            "5.2",
            "variable capacity, two flows",
            case(shared, "delay=50", &[(0, 125, ONE_WAY), (0, 125, ONE_WAY)], 125),
        ),
        ("5.3", "congested feedback link", case(shared, back, &[(0, 100, ONE_WAY), (0, 100, BACK)], 100)),
        (
            "5.4",
            "competing media flows",
            case(
                &format!("{base}3500"),
                "delay=50",
                &[(0, 120, ONE_WAY), (20, 120, ONE_WAY), (40, 120, ONE_WAY)],
                120,
            ),
        ),
        (
            "5.6",
            "beside a long TCP flow",
            case(&format!("{base}2000"), "delay=50", &[(0, 120, ONE_WAY), (5, 120, Kind::Tcp)], 120),
        ),
        (
            "5.8",
            "pause and resume",
            case(
                &format!("{base}3500"),
                "delay=50",
                &[(0, 120, ONE_WAY), (0, 120, ONE_WAY), (0, 40, ONE_WAY), (60, 120, ONE_WAY)],
                120,
            ),
        ),
    ]
}
