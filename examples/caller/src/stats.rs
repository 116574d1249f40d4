//! What a call has counted, per second: for the status block and for `--stats`.

use crate::clock::Clock;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use kring::Stats;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the last second was like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    /// Datagrams without the headers of QUIC, UDP and IP.
    pub(crate) sent_kbit: f64,
    pub(crate) received_kbit: f64,
    /// Datagrams of the other side that did not come, in %.
    pub(crate) loss_percent: f64,
}

/// Turns counters into rates.
#[derive(Default)]
pub(crate) struct Tally {
    last: Option<(Instant, Stats)>,
}

impl Tally {
    /// The rates since the last time this was asked.
    pub(crate) fn rates(&mut self, now: Instant, stats: &Stats) -> Rates {
        let (since, before) = self.last.replace((now, *stats)).unwrap_or((now, Stats::default()));
        let kbit = |after: u64, before: u64| {
            let seconds = now.saturating_duration_since(since).max(Duration::from_millis(1)).as_secs_f64();
            round(after.saturating_sub(before) as f64 * 8.0 / 1000.0 / seconds)
        };
        if since == now {
            return Rates::default();
        }
        let (call, before) = (&stats.transport, &before.transport);
        let came = call.packets_received.saturating_sub(before.packets_received);
        // What comes late takes losses back.
        let lost = call.packets_lost.saturating_sub(before.packets_lost);
        Rates {
            sent_kbit: kbit(call.bytes_sent, before.bytes_sent),
            received_kbit: kbit(call.bytes_received, before.bytes_received),
            loss_percent: percent(lost, came + lost),
        }
    }
}

fn percent(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { round(part as f64 * 100.0 / all as f64) }
}

/// To a hundredth.
fn round(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}

/// A file of statistics.
pub(crate) struct StatsFile {
    path: PathBuf,
    file: Option<File>,
}

impl StatsFile {
    /// Makes the file, in place of one of that name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn create(path: &Path) -> Result<StatsFile, Failure> {
        let file = File::create(path).map_err(|error| {
            let message =
                format!("expected to write {}, got \"{error}\"; choose another --stats file", path.display());
            Failure::new(Exit::Write, message)
        })?;
        Ok(StatsFile { path: path.to_owned(), file: Some(file) })
    }

    /// Writes a line. After the first trouble there is no further one.
    pub(crate) fn write(&mut self, line: &Value, output: &Output) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
            self.file = None;
            output.write_trouble(format_args!(
                "no statistics from here on: expected to write {}, got \"{error}\"",
                self.path.display()
            ));
        }
    }
}

/// The line for a moment without a call.
pub(crate) fn waiting(clock: &Clock) -> Value {
    json!({"t": clock.epoch(Instant::now()), "state": "waiting"})
}

/// The line for a moment of a call.
pub(crate) fn line(clock: &Clock, now: Instant, state: &str, stats: &Stats, rates: &Rates) -> Value {
    let ms = |s: f64| round(s * 1000.0);
    let transport = &stats.transport;
    let peer = stats.remote.map(|peer| {
        json!({
            "loss_percent": percent(peer.packets_lost, peer.packets_received + peer.packets_lost),
            "jitter_ms": ms(peer.jitter),
            "audio_played_ms": ms(peer.total_samples_duration),
            "audio_concealed_ms": ms(peer.concealed_duration),
            "playout_delay_ms": ms(peer.playout_delay),
            "pictures_shown": peer.frames_rendered,
        })
    });
    json!({
        "t": clock.epoch(now),
        "state": state,
        "path": transport.path,
        "rtt_ms": transport.current_round_trip_time.map(ms),
        "sent_kbit": rates.sent_kbit,
        "received_kbit": rates.received_kbit,
        "loss_percent": rates.loss_percent,
        "jitter_ms": ms(transport.jitter),
        "audio_played_ms": stats.audio.total_samples_received / 48,
        "audio_concealed_ms": stats.audio.concealed_samples / 48,
        "pictures_shown": stats.video.frames_rendered,
        "peer": peer,
        "stats": serde_json::to_value(stats).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_time_between() {
        let mut tally = Tally::default();
        let start = Instant::now();
        let mut stats = Stats::default();
        assert_eq!(tally.rates(start, &stats), Rates::default());
        stats.transport.bytes_sent = 125_000;
        stats.transport.packets_received = 75;
        stats.transport.packets_lost = 25;
        let rates = tally.rates(start + Duration::from_secs(2), &stats);
        assert_eq!(rates, Rates { sent_kbit: 500.0, received_kbit: 0.0, loss_percent: 25.0 });
        stats.transport.packets_lost = 20;
        assert_eq!(tally.rates(start + Duration::from_secs(3), &stats).loss_percent, 0.0);
    }
}
