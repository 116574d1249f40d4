//! Many seeds on all cores.
//!
//! Guarantee: a seed that fails or panics is named with the command that replays it; the others go on.

use crate::check::{End, Totals};
use crate::facade;
use crate::link::Spec;
use crate::scenario::{Scenario, of};
use crate::trace::Hash;
use crate::world::{self, Outcome};
use kring_core::handshake::Role;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Which seeds.
    pub seeds: Range<u64>,
    /// The network both ways; drawn from the seed if there is none.
    pub link: Option<Spec>,
    /// Over the facade and real QUIC, instead of the core alone.
    pub facade: bool,
    /// How many at once.
    pub jobs: usize,
}

/// A seed that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// What was wrong.
    pub what: Vec<String>,
    /// What to type to see it again.
    pub replay: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} failed; replay it by: {}", self.seed, self.replay)?;
        self.what.iter().try_for_each(|what| writeln!(f, "    {what}"))
    }
}

/// What came of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds run.
    pub seeds: u64,
    /// Those that failed, in order.
    pub failures: Vec<Failure>,
    /// Wall-clock time.
    pub took: Duration,
    /// Virtual time of all calls.
    pub lasted: Duration,
    /// How often it ended so for the caller.
    pub ends: BTreeMap<String, u64>,
    /// Of both sides of all calls.
    pub totals: Totals,
    /// From dialling to ringing: how many calls came so far, and in what time together.
    pub setups: (u64, Duration),
    /// The seeds' hashes, all in one.
    pub hash: u64,
}

impl Sweep {
    /// Runs all seeds. `progress` hears of each thousandth.
    #[must_use]
    pub fn run(&self, progress: impl Fn(u64) + Sync) -> Report {
        let began = Instant::now();
        let (next, report) = (AtomicU64::new(self.seeds.start), Mutex::new(Report::default()));
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if !self.seeds.contains(&seed) {
                            return;
                        }
                        let outcome = self.one(seed);
                        let mut report = report.lock().expect("nothing panics with this lock held");
                        report.add(self, seed, outcome);
                        if report.seeds.is_multiple_of(1000) {
                            progress(report.seeds);
                        }
                    }
                });
            }
        });
        let mut report = report.into_inner().expect("nothing panics with this lock held");
        report.failures.sort_by_key(|failure| failure.seed);
        report.took = began.elapsed();
        report
    }

    fn one(&self, seed: u64) -> Result<Outcome, String> {
        let run = || {
            let scenario = Scenario::new(seed, self.link.as_ref());
            if self.facade { facade::run(&scenario, false) } else { world::run(&scenario, false) }
        };
        catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            format!("it panicked: {}", text.unwrap_or_default())
        })
    }
}

impl Report {
    fn add(&mut self, sweep: &Sweep, seed: u64, outcome: Result<Outcome, String>) {
        self.seeds += 1;
        let what = match outcome {
            Ok(outcome) => {
                self.count(seed, &outcome);
                outcome.failures
            }
            Err(panicked) => vec![panicked],
        };
        if !what.is_empty() {
            let link = sweep.link.as_ref().map(|link| format!(" --link {link}")).unwrap_or_default();
            let facade = if sweep.facade { " --facade" } else { "" };
            let replay = format!("cargo run -p kring-sim --{facade} --seed {seed}{link}");
            self.failures.push(Failure { seed, what, replay });
        }
    }

    fn count(&mut self, seed: u64, outcome: &Outcome) {
        self.lasted += outcome.lasted;
        let Hash(hash) = outcome.hash;
        let hash = u64::from_be_bytes(hash[..8].try_into().expect("8 of 32 bytes"));
        // A sum does not mind the order in which threads come.
        self.hash = self.hash.wrapping_add(hash.wrapping_mul(seed << 1 | 1));
        let end = outcome.ends[of(Role::Caller)].map_or("not over".into(), |end: End| end.to_string());
        *self.ends.entry(end).or_default() += 1;
        for side in outcome.totals {
            self.totals.heard += side.heard;
            self.totals.concealed += side.concealed;
            self.totals.shown += side.shown;
            self.totals.frozen += side.frozen;
            self.totals.early += side.early;
            self.totals.slowest = self.totals.slowest.max(side.slowest);
        }
        if let Some(setup) = outcome.setup {
            self.setups.0 += 1;
            self.setups.1 += setup;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in self.failures.iter().take(20) {
            write!(f, "{failure}")?;
        }
        let (failed, seconds) = (self.failures.len(), self.took.as_secs_f64());
        let talked = self.lasted.as_secs();
        writeln!(f, "{} seeds, {failed} failed, {seconds:.1} s; {talked} s of virtual time", self.seeds)?;
        writeln!(f, "  how it ended for the caller:")?;
        for (end, count) in &self.ends {
            writeln!(f, "    {count:>6}  {end}")?;
        }
        let Totals { heard, concealed, shown, slowest, .. } = self.totals;
        let share = 100.0 * concealed.as_secs_f64() / (heard + concealed).as_secs_f64().max(1e-9);
        let setup = self.setups.1.as_secs_f64() * 1000.0 / self.setups.0.max(1) as f64;
        writeln!(
            f,
            "  heard {:.0} s, of all played {share:.2} % concealed; slowest to the ear {slowest:?}",
            heard.as_secs_f64()
        )?;
        write!(f, "  shown {shown} pictures; dialling to ringing {setup:.0} ms; traces {:016x}", self.hash)
    }
}
