//! The only place that writes to the terminal: lines of text or JSON, warnings, and below them the block: a picture and the status.
//!
//! Guarantee: control characters that came from others are never written; without a terminal nothing but plain lines is.

use crate::clock::Clock;
use crossterm::{cursor, queue, terminal};
use serde_json::{Map, Value};
use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(crate) struct Output {
    clock: Clock,
    json: bool,
    /// Standard output is a terminal, and people read it.
    terminal: bool,
    raw: AtomicBool,
    /// Something that was to be written to a file was not.
    write_trouble: AtomicBool,
    block: Mutex<Block>,
}

/// What stands below all lines and is drawn over when it changes.
#[derive(Default)]
struct Block {
    picture: Vec<String>,
    status: Vec<String>,
    /// How many rows of it are on the terminal.
    rows: u16,
}

impl Output {
    pub(crate) fn new(clock: Clock, json: bool) -> Output {
        Output {
            clock,
            json,
            terminal: !json && io::stdout().is_terminal(),
            raw: AtomicBool::new(false),
            write_trouble: AtomicBool::new(false),
            block: Mutex::default(),
        }
    }

    /// Whether a status block may be drawn.
    pub(crate) fn terminal(&self) -> bool {
        self.terminal
    }

    /// Whether a person can be asked.
    pub(crate) fn can_ask(&self) -> bool {
        self.terminal && io::stdin().is_terminal()
    }

    /// In raw mode the terminal does not return the carriage by itself.
    pub(crate) fn set_raw(&self, raw: bool) {
        self.raw.store(raw, Ordering::Relaxed);
    }

    /// Tells that something happened, now.
    pub(crate) fn event(&self, ev: &str, fields: Value, text: &str) {
        self.event_at(Instant::now(), ev, fields, text);
    }

    /// Tells that something happened: a line of JSON with `ev`, the time and `fields` (an object or null), or `text`.
    pub(crate) fn event_at(&self, at: Instant, ev: &str, fields: Value, text: &str) {
        if self.json {
            self.line(&line(&self.clock, ev, at, fields).to_string());
        } else {
            self.line(&printable(text));
        }
    }

    /// Writes one line as it is.
    pub(crate) fn line(&self, text: &str) {
        let mut block = self.lock();
        self.erase(&mut block);
        // Nobody reads any more: the call goes on all the same.
        let _ = write!(io::stdout(), "{text}{}", self.end()).and_then(|()| io::stdout().flush());
    }

    /// A sentence for the person, on standard error.
    pub(crate) fn warn(&self, text: impl std::fmt::Display) {
        let mut block = self.lock();
        self.erase(&mut block);
        let _ = write!(io::stderr(), "kring: {}{}", printable(&text.to_string()), self.end());
    }

    /// The same, for what could not be written to a file.
    pub(crate) fn write_trouble(&self, text: impl std::fmt::Display) {
        self.write_trouble.store(true, Ordering::Relaxed);
        self.warn(text);
    }

    pub(crate) fn had_write_trouble(&self) -> bool {
        self.write_trouble.load(Ordering::Relaxed)
    }

    /// Draws the status below all lines, in place of the one before.
    pub(crate) fn status(&self, lines: Vec<String>) {
        let mut block = self.lock();
        if self.terminal && block.status != lines {
            block.status = lines;
            self.draw(&mut block);
        }
    }

    /// Draws the rows of a picture above the status, in place of the one before; none take it away. They are written as they are, and
    /// have to be shorter than the terminal is wide.
    pub(crate) fn picture(&self, rows: Vec<String>) {
        let mut block = self.lock();
        if self.terminal && block.picture != rows {
            block.picture = rows;
            self.draw(&mut block);
        }
    }

    /// Each row over the one before, so that nothing flickers.
    fn draw(&self, block: &mut Block) {
        let width = terminal::size().map_or(80, |(columns, _)| usize::from(columns)).max(20);
        let status = block.status.iter().map(|line| printable(line).chars().take(width - 1).collect());
        let mut out = Vec::new();
        if block.rows > 0 {
            let _ = queue!(out, cursor::MoveToColumn(0), cursor::MoveUp(block.rows));
        }
        for line in block.picture.iter().cloned().chain(status) {
            out.extend_from_slice(line.as_bytes());
            let _ = queue!(out, terminal::Clear(terminal::ClearType::UntilNewLine));
            out.extend_from_slice(self.end().as_bytes());
        }
        let _ = queue!(out, terminal::Clear(terminal::ClearType::FromCursorDown));
        let _ = io::stdout().write_all(&out).and_then(|()| io::stdout().flush());
        block.rows = u16::try_from(block.picture.len() + block.status.len()).unwrap_or(u16::MAX);
    }

    /// Takes the status block away.
    pub(crate) fn clear_status(&self) {
        self.erase(&mut self.lock());
    }

    fn erase(&self, block: &mut Block) {
        if block.rows > 0 {
            let mut out = io::stdout();
            let below = terminal::Clear(terminal::ClearType::FromCursorDown);
            let _ = queue!(out, cursor::MoveToColumn(0), cursor::MoveUp(block.rows), below);
            let _ = out.flush();
        }
        *block = Block::default();
    }

    fn end(&self) -> &'static str {
        if self.raw.load(Ordering::Relaxed) { "\r\n" } else { "\n" }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Block> {
        self.block.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// An object of JSON with `ev`, the time `t`, and `fields` (an object or null).
pub(crate) fn line(clock: &Clock, ev: &str, at: Instant, fields: Value) -> Value {
    let mut all = Map::new();
    all.insert("ev".into(), ev.into());
    all.insert("t".into(), clock.epoch(at).into());
    if let Value::Object(fields) = fields {
        all.extend(fields);
    }
    Value::Object(all)
}

/// What others wrote, without what steers a terminal or turns the direction of writing.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|c| !steers(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("A\u{1b}[2Jnn\u{7}a\u{202e}x\r\n"), "A[2Jnnax");
    }

    #[test]
    fn a_line_says_what_happened_and_when() {
        let clock = Clock::new();
        let line = line(&clock, "ringing", clock.start(), serde_json::json!({"n": 1}));
        assert_eq!(line["ev"], "ringing");
        assert_eq!(line["n"], 1);
        assert!(line["t"].as_f64().unwrap() > 1.7e9);
    }
}
