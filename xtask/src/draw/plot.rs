//! The plot of a call: for each direction what was said, what was heard, and both delays, over one time axis.

use embedded_graphics::text::Alignment;

use super::canvas::{Canvas, Colour};
use crate::measure::direction::{Direction, Track};
use crate::measure::wav::RATE;

const WIDTH: i32 = 1280;
const COLUMN: i32 = WIDTH / 2;
const LEFT: i32 = 64;
const RIGHT: i32 = 20;
const TOP: i32 = 66;
const PANEL: i32 = 150;
const SPACE: i32 = 40;
const HEIGHT: i32 = TOP + 4 * (PANEL + SPACE) + 4;

const INK: Colour = 0x22_22_26;
const FAINT: Colour = 0xdd_dd_e2;
const SAID: Colour = 0x2f_6d_b5;
const HEARD: Colour = 0x1f_8a_5b;
const DELAY: Colour = 0xc0_50_2e;
const SEEN: Colour = 0x7a_3f_a0;

/// The time that is drawn, in epoch seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// One panel: where it lies, and what its left and lower edges stand for.
struct Panel {
    x: i32,
    y: i32,
    width: i32,
    span: Span,
    /// The values at the lower and the upper edge.
    low: f64,
    high: f64,
}

impl Panel {
    fn x_of(&self, t: f64) -> i32 {
        self.x + (f64::from(self.width) * (t - self.span.from) / (self.span.to - self.span.from)) as i32
    }

    fn y_of(&self, value: f64) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        self.y + PANEL - (f64::from(PANEL) * share.clamp(0.0, 1.0)) as i32
    }

    fn holds(&self, t: f64) -> bool {
        (self.span.from..=self.span.to).contains(&t)
    }

    fn frame(&self, canvas: &mut Canvas, title: &str, unit: &str) {
        canvas.text(title, (self.x, self.y - 6), Alignment::Left, INK);
        let values = tick(self.high - self.low, 5.0);
        let mut value = (self.low / values).ceil() * values;
        while value <= self.high && !unit.is_empty() {
            let y = self.y_of(value);
            canvas.line((self.x, y), (self.x + self.width, y), FAINT);
            canvas.text(&format!("{value:.0}{unit}"), (self.x - 5, y + 3), Alignment::Right, INK);
            value += values;
        }
        let seconds = tick(self.span.to - self.span.from, 12.0).max(1.0);
        let mut t = 0.0;
        while t <= self.span.to - self.span.from {
            let x = self.x_of(self.span.from + t);
            canvas.line((x, self.y), (x, self.y + PANEL), FAINT);
            canvas.text(&format!("{t:.0} s"), (x, self.y + PANEL + 12), Alignment::Center, INK);
            t += seconds;
        }
        let (right, bottom) = (self.x + self.width, self.y + PANEL);
        for (a, b) in [((self.x, self.y), (self.x, bottom)), ((self.x, bottom), (right, bottom))] {
            canvas.line(a, b, INK);
        }
    }

    /// The lowest and highest sample of each column of pixels.
    fn wave(&self, canvas: &mut Canvas, track: &Track, c: Colour) {
        let rate = f64::from(RATE);
        let per_pixel = (self.span.to - self.span.from) / f64::from(self.width);
        for column in 0..self.width {
            let t = self.span.from + f64::from(column) * per_pixel;
            let index = |t: f64| ((t - track.start) * rate).max(0.0) as usize;
            let (from, to) = (index(t), index(t + per_pixel).min(track.samples.len()));
            let Some(samples) = track.samples.get(from..to).filter(|s| !s.is_empty()) else { continue };
            let low = samples.iter().copied().fold(f32::MAX, f32::min);
            let high = samples.iter().copied().fold(f32::MIN, f32::max);
            let x = self.x + column;
            canvas.line((x, self.y_of(f64::from(low))), (x, self.y_of(f64::from(high))), c);
        }
    }

    fn dots(&self, canvas: &mut Canvas, points: impl Iterator<Item = (f64, f64)>, size: i32, c: Colour) {
        for (t, value) in points.filter(|p| self.holds(p.0)) {
            canvas.fill((self.x_of(t) - size / 2, self.y_of(value) - size / 2), (size, size), c);
        }
    }
}

/// A round distance (1, 2 or 5 times a power of ten) between about `count` marks over `range`.
fn tick(range: f64, count: f64) -> f64 {
    let raw = (range / count).max(1e-6);
    let power = 10_f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|&t| t >= raw).unwrap_or(raw)
}

/// Draws the directions side by side. Times are seconds since `span.from`, when the caller dialled.
pub(crate) fn draw(directions: &[Direction], span: Span) -> Canvas {
    let span = Span { to: span.to.max(span.from + 1.0), ..span };
    let mut canvas = Canvas::new(WIDTH as usize, HEIGHT as usize);
    canvas.heading("A call on one machine, as its two ends recorded it", (LEFT, 24), INK);
    // One scale for both directions, so that they can be compared.
    let most = |values: Vec<f64>| values.into_iter().fold(50.0, f64::max) * 1.15;
    let ears = most(directions.iter().flat_map(|d| d.sound.windows.iter().map(|w| w.delay_ms)).collect());
    let pictures = || directions.iter().filter_map(|d| d.pictures.as_ref());
    let eyes = most(pictures().flat_map(|p| p.delays.iter().map(|d| d.ms)).collect());
    for (column, d) in (0..).zip(directions) {
        let x = column * COLUMN + LEFT;
        let panel = |row: i32, low: f64, high: f64| Panel {
            x,
            y: TOP + row * (PANEL + SPACE),
            width: COLUMN - LEFT - RIGHT,
            span,
            low,
            high,
        };
        canvas.text(
            &format!("{} to {}; seconds since dialling", d.from, d.to),
            (x, 44),
            Alignment::Left,
            INK,
        );
        let (said, heard) = (panel(0, -1.0, 1.0), panel(1, -1.0, 1.0));
        said.frame(&mut canvas, "said", "");
        said.wave(&mut canvas, &d.said, SAID);
        heard.frame(&mut canvas, "heard", "");
        heard.wave(&mut canvas, &d.heard, HEARD);

        let ear = panel(2, 0.0, ears);
        ear.frame(&mut canvas, "mouth to ear, of each two seconds of speech", " ms");
        ear.dots(&mut canvas, d.sound.windows.iter().map(|w| (w.t + 1.0, w.delay_ms)), 7, DELAY);
        let eye = panel(3, 0.0, eyes);
        eye.frame(&mut canvas, "glass to glass, of each picture shown", " ms");
        let delays = d.pictures.iter().flat_map(|p| p.delays.iter().map(|d| (d.t, d.ms)));
        eye.dots(&mut canvas, delays, 3, SEEN);
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::sound::{MouthToEar, Window};

    #[test]
    fn what_was_measured_is_to_be_seen() {
        let wave: Vec<f32> = (0..4 * RATE).map(|i| (i as f32 / 4.0).sin() * 0.5).collect();
        let track = |start| Track { samples: wave.clone(), start };
        let direction = Direction {
            from: "one",
            to: "other",
            first_sound_ms: None,
            first_picture_ms: None,
            said: track(101.0),
            heard: track(101.1),
            sound: MouthToEar { windows: vec![Window { t: 101.0, delay_ms: 100.0, alike: 0.9 }], tried: 1 },
            pictures: None,
            troubles: vec![],
        };
        let canvas = draw(&[direction], Span { from: 100.0, to: 106.0 });
        // Four of six seconds, at half of full loudness.
        let columns = (COLUMN - LEFT - RIGHT) as usize * 4 / 6;
        for c in [SAID, HEARD] {
            let count = canvas.count(c);
            assert!(count.abs_diff(columns * PANEL as usize / 2) < columns * 4, "{count}");
        }
        assert_eq!(canvas.count(DELAY), 49);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(tick(10.0, 12.0), 1.0);
        assert_eq!(tick(60.0, 12.0), 5.0);
        assert_eq!(tick(230.0, 5.0), 50.0);
    }
}
