//! Pictures in a terminal, in 24-bit colours: two pixels to a character, above the status.
//!
//! Guarantee: the call never waits for the terminal. A thread draws the newest picture [`APART`] after the one before at the
//! earliest, so that not even a slow line is flooded.

use crate::output::Output;
use crate::pixels::{fit, rgb};
use crossterm::terminal;
use kring::capture::{SinkError, VideoSink};
use kring::codec::Picture;
use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The least time between two pictures.
const APART: Duration = Duration::from_millis(120);
/// The most characters across and down: some 60 kB a picture, at worst.
const LARGEST: (u16, u16) = (80, 30);
/// Rows that are left for the status and a line above.
const BELOW: u16 = 11;
/// Bits of a colour that are not told, so that more neighbours are alike.
const DULL: u32 = 0xf8_f8f8;

/// Shows a call's pictures in the terminal.
pub(crate) struct TerminalView {
    newest: Arc<Newest>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Newest {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    picture: Option<Picture>,
    over: bool,
}

impl TerminalView {
    pub(crate) fn new(output: Arc<Output>) -> TerminalView {
        let newest = Arc::new(Newest::default());
        let thread = std::thread::Builder::new().name("kring-terminal".into()).spawn({
            let newest = newest.clone();
            move || newest.draw(&output)
        });
        TerminalView { newest, thread: thread.ok() }
    }
}

impl VideoSink for TerminalView {
    fn show(&mut self, picture: &Picture, _: Instant) -> Result<(), SinkError> {
        let mut state = self.newest.lock();
        match &mut state.picture {
            Some(waiting) => waiting.copy_from(picture),
            none => *none = Some(picture.clone()),
        }
        self.newest.changed.notify_one();
        Ok(())
    }

    fn stop(&mut self) {
        self.newest.lock().over = true;
        self.newest.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for TerminalView {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Newest {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a picture; `None` at the end.
    fn take(&self) -> Option<Picture> {
        let waits = |state: &mut State| state.picture.is_none() && !state.over;
        let mut state = self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        if state.over { None } else { state.picture.take() }
    }

    fn draw(&self, output: &Output) {
        while let Some(picture) = self.take() {
            let (columns, rows) = terminal::size().unwrap_or((80, 24));
            let within =
                (columns.saturating_sub(1).min(LARGEST.0), rows.saturating_sub(BELOW).min(LARGEST.1));
            if within.0 >= 2 && within.1 >= 1 {
                output.picture(blocks(&picture, (within.0.into(), u32::from(within.1) * 2)));
            }
            let goes_on = |state: &mut State| !state.over;
            drop(self.changed.wait_timeout_while(self.lock(), APART, goes_on));
        }
        output.picture(Vec::new());
    }
}

/// Rows of half blocks: the upper pixel in the colour of the character, the lower one in that of its background.
fn blocks(picture: &Picture, within: (u32, u32)) -> Vec<String> {
    let (width, height) = fit((picture.width(), picture.height()), within);
    let Ok(mut scaled) = Picture::new(width, height) else { return Vec::new() };
    picture.scale_into(&mut scaled);
    let width = width as usize;
    let pixel = |x: usize, y: usize| {
        let chroma = y / 2 * (width / 2) + x / 2;
        rgb(scaled.y()[y * width + x], scaled.u()[chroma], scaled.v()[chroma]) & DULL
    };
    let row = |row: usize| {
        let (mut text, mut colours) = (String::new(), None);
        for x in 0..width {
            let next = (pixel(x, 2 * row), pixel(x, 2 * row + 1));
            if colours.replace(next) != Some(next) {
                let [upper, lower] = [next.0, next.1].map(|c| [c >> 16, c >> 8 & 255, c & 255]);
                let ([r, g, b], [red, green, blue]) = (upper, lower);
                // Writing to a string cannot fail.
                let _ = write!(text, "\x1b[38;2;{r};{g};{b};48;2;{red};{green};{blue}m");
            }
            text.push('▀');
        }
        text + "\x1b[0m"
    };
    (0..height as usize / 2).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pixels_are_a_character_and_neighbours_share_their_colours() {
        let mut picture = Picture::new(4, 4).unwrap();
        picture.y_mut()[..4].fill(235);
        let upper = "\x1b[38;2;248;248;248;48;2;0;0;0m▀▀▀▀\x1b[0m";
        assert_eq!(blocks(&picture, (4, 4)), [upper, "\x1b[38;2;0;0;0;48;2;0;0;0m▀▀▀▀\x1b[0m"]);
    }

    #[test]
    fn a_picture_fits_whatever_terminal_there_is() {
        let picture = Picture::new(640, 360).unwrap();
        for (columns, rows) in [(80, 30), (20, 30), (80, 3), (2, 1)] {
            let lines = blocks(&picture, (columns, rows * 2));
            let widest = lines.iter().map(|line| line.chars().filter(|c| *c == '▀').count()).max().unwrap();
            assert!(lines.len() <= rows as usize && widest <= columns as usize, "{columns}x{rows}");
        }
    }

    #[test]
    fn only_the_newest_picture_is_drawn_and_the_thread_ends() {
        let newest = Newest::default();
        let mut view = TerminalView { newest: Arc::new(newest), thread: None };
        let mut picture = Picture::new(2, 2).unwrap();
        for luma in [16, 100, 200] {
            picture.y_mut().fill(luma);
            view.show(&picture, Instant::now()).unwrap();
        }
        assert_eq!(view.newest.take().unwrap().y()[0], 200);
        view.stop();
        assert!(view.newest.take().is_none());
    }
}
