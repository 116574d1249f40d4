//! The status block: what a person wants to see of a call, in a few lines.

use crate::stats::Rates;
use crate::tap::SILENCE;
use kring::{Code, Stats};
use std::time::Duration;

/// Cells of a level bar.
const CELLS: usize = 20;

/// What the block shows.
pub(crate) struct Status<'a> {
    pub(crate) state: &'a str,
    pub(crate) name: &'a str,
    pub(crate) fingerprint: &'a str,
    pub(crate) code: Option<&'a Code>,
    /// What is known about whose the fingerprint is.
    pub(crate) known: &'a str,
    pub(crate) since: Duration,
    pub(crate) own_level: u8,
    pub(crate) peer_level: u8,
    pub(crate) microphone_muted: bool,
    pub(crate) camera_off: bool,
    pub(crate) peer_muted: bool,
    pub(crate) peer_camera_off: bool,
    pub(crate) peer_records: bool,
    pub(crate) own_recording: bool,
    pub(crate) stats: &'a Stats,
    pub(crate) rates: &'a Rates,
    pub(crate) hint: Option<&'a str>,
}

impl Status<'_> {
    /// The block's lines, without control characters.
    pub(crate) fn lines(&self) -> Vec<String> {
        let seconds = self.since.as_secs();
        let mark = |on: bool, text: &'static str| if on { text } else { "" };
        let rtt = self
            .stats
            .transport
            .current_round_trip_time
            .map_or("? ms".into(), |rtt| format!("{:.0} ms", rtt * 1000.0));
        let Rates { sent_kbit, received_kbit, loss_percent } = self.rates;
        let mut lines = vec![
            format!("{} {:02}:{:02} {}", self.state, seconds / 60, seconds % 60, self.name),
            format!(
                "you   {}{}{}{}",
                bar(self.own_level),
                mark(self.microphone_muted, "  muted"),
                mark(self.camera_off, "  camera off"),
                mark(self.own_recording, "  recording")
            ),
            format!(
                "they  {}{}{}{}",
                bar(self.peer_level),
                mark(self.peer_muted, "  muted"),
                mark(self.peer_camera_off, "  camera off"),
                mark(self.peer_records, "  RECORDING THIS CALL")
            ),
            format!(
                "out {sent_kbit:.0} kbit/s, in {received_kbit:.0} kbit/s, round trip {rtt}, lost {loss_percent:.1} %"
            ),
        ];
        if !self.fingerprint.is_empty() {
            lines.insert(1, format!("fingerprint {} ({})", self.fingerprint, self.known));
        }
        if let Some(code) = self.code {
            let emoji = code.emoji().map(|emoji| emoji.symbol.to_string()).join(" ");
            lines.insert(1, format!("code {code}   {emoji}   read it to each other"));
        }
        lines.extend(self.hint.map(|hint| format!("! {hint}")));
        lines.push(
            "m mute microphone   v camera off   c the code is the same   s safety number   q hang up".into(),
        );
        lines
    }
}

/// A level as a bar: from −60 dBov, an empty one, to overload.
fn bar(level: u8) -> String {
    let full = CELLS - (usize::from(level) * CELLS / 60).min(CELLS);
    let number = if level >= SILENCE { "silent".into() } else { format!("-{level} dB") };
    format!("{}{} {number:>7}", "█".repeat(full), "░".repeat(CELLS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_with_the_level() {
        let full = |level| bar(level).chars().filter(|c| *c == '█').count();
        assert_eq!([0, 30, 60, SILENCE].map(full), [CELLS, CELLS / 2, 0, 0]);
    }
}
