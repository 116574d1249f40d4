//! A test card in place of a camera: colour bars, a square that moves, the picture's number to be read by
//! programs and the time of day to be read by people.

mod font;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kring_codec::Picture;

use crate::consent::{Consent, Kind};
use crate::error::SourceError;
use crate::framecode;
use crate::pace;
use crate::video::{CapturedPicture, VideoFormat, VideoSource};

/// 75 % bars from white to blue, as Y, U, V (ITU-R BT.601).
const BARS: [(u8, u8, u8); 7] = [
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
];

/// The card. The clock shows UTC.
pub struct TestCard {
    format: VideoFormat,
    background: Picture,
    playing: Option<Playing>,
}

/// What lasts from start to stop.
struct Playing {
    start: Instant,
    /// The time of day at the start, since midnight UTC.
    clock: Duration,
    next: u64,
}

impl TestCard {
    /// Makes a card.
    ///
    /// # Errors
    /// [`SourceError::Format`] unless both sides are even, at least 160x90 and at most 8192, and the rate is
    /// 1 to 120 pictures a second.
    pub fn new(width: u32, height: u32, frames_per_second: f32) -> Result<Self, SourceError> {
        let refused = |got| SourceError::Format { expected: "an even size of 160x90 to 8192x8192", got };
        let size = || format!("{width}x{height}");
        if width < 160 || height < 90 {
            return Err(refused(size()));
        }
        let mut background = Picture::new(width, height).map_err(|_| refused(size()))?;
        if !(1.0..=120.0).contains(&frames_per_second) {
            let expected = "1 to 120 pictures a second";
            return Err(SourceError::Format { expected, got: frames_per_second.to_string() });
        }
        bars(&mut background);
        let format = VideoFormat { width, height, frames_per_second };
        Ok(Self { format, background, playing: None })
    }

    /// Draws picture `index`, at `clock` since midnight.
    fn draw(&self, index: u64, clock: Duration, picture: &mut Picture) {
        picture.copy_from(&self.background);
        let (width, height) = (self.format.width as usize, self.format.height as usize);
        let side = height / 6;
        // There and back again, 4 seconds each way.
        let path = (width - side) as u64;
        let per_second = f64::from(self.format.frames_per_second);
        let way = (index as f64 / per_second / 4.0 * path as f64) as u64 % (2 * path);
        let column = way.min(2 * path - way) as usize;
        fill(picture, (column, height / 2 - side / 2), (side, side), (235, 128, 128));
        let clock = text(clock);
        let scale = (width / (clock.len() * font::WIDTH + 12)).max(1);
        let size = (clock.len() * font::WIDTH * scale + 2 * scale, (font::HEIGHT + 3) * scale);
        let corner = ((width - size.0) / 2, height - size.1 - scale);
        fill(picture, corner, size, (16, 128, 128));
        font::write(picture.y_mut(), width, (corner.0 + 2 * scale, corner.1 + 2 * scale), scale, &clock);
        framecode::draw(picture, index);
    }
}

impl VideoSource for TestCard {
    fn kind(&self) -> Option<Kind> {
        None
    }

    fn start(&mut self, _consent: &Consent, at: Instant) -> Result<(), SourceError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ahead = at.saturating_duration_since(Instant::now());
        self.playing = Some(Playing { start: at, clock: now + ahead, next: 0 });
        Ok(())
    }

    fn format(&self) -> VideoFormat {
        self.format
    }

    fn read(&mut self, picture: &mut Picture) -> Result<CapturedPicture, SourceError> {
        let playing = self.playing.as_mut().ok_or(SourceError::NotStarted)?;
        let rate = f64::from(self.format.frames_per_second);
        let after = |index: u64| Duration::from_secs_f64(index as f64 / rate);
        let start = playing.start;
        let index = pace::newest_due(|index| start + after(index), playing.next);
        playing.next = index + 1;
        let clock = playing.clock + after(index);
        self.draw(index, clock, picture);
        let at = start + after(index);
        pace::wait_until(at);
        Ok(CapturedPicture { index, at, ended: false })
    }

    fn stop(&mut self) {
        self.playing = None;
    }
}

fn bars(picture: &mut Picture) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    for (index, &colour) in BARS.iter().enumerate() {
        let edge = |index: usize| (index * width / BARS.len()) & !1;
        fill(picture, (edge(index), 0), (edge(index + 1) - edge(index), height), colour);
    }
}

/// Fills a rectangle; its chroma is rounded to even places.
fn fill(picture: &mut Picture, corner: (usize, usize), size: (usize, usize), colour: (u8, u8, u8)) {
    let width = picture.width() as usize;
    let (y, u, v) = picture.planes_mut();
    for line in y.chunks_exact_mut(width).skip(corner.1).take(size.1) {
        line[corner.0..][..size.0].fill(colour.0);
    }
    for (plane, level) in [(u, colour.1), (v, colour.2)] {
        for line in plane.chunks_exact_mut(width / 2).skip(corner.1 / 2).take(size.1.div_ceil(2)) {
            line.iter_mut().skip(corner.0 / 2).take(size.0.div_ceil(2)).for_each(|pixel| *pixel = level);
        }
    }
}

/// HH:MM:SS.mmm.
fn text(clock: Duration) -> String {
    let seconds = clock.as_secs();
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, clock.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_carries_its_number_at_any_size() {
        for (width, height) in [(160, 90), (640, 360), (642, 1136), (1280, 720)] {
            let card = TestCard::new(width, height, 30.0).unwrap();
            let mut picture = Picture::new(2, 2).unwrap();
            for index in [0, 7, 119, 121, 4097, u64::from(u32::MAX)] {
                card.draw(index, Duration::from_secs(86_399), &mut picture);
                assert_eq!((picture.width(), picture.height()), (width, height));
                assert_eq!(framecode::read(&picture), Some((index % 4096) as u16));
            }
        }
    }

    #[test]
    fn the_clock_is_written_as_time_of_day() {
        assert_eq!(text(Duration::from_millis(86_400_000 + 3_723_045)), "01:02:03.045");
    }

    #[test]
    fn sizes_and_rates_out_of_range_are_refused() {
        for (width, height, rate) in [
            (158, 90, 30.0),
            (160, 88, 30.0),
            (161, 90, 30.0),
            (8194, 90, 30.0),
            (160, 90, 0.0),
            (160, 90, f32::NAN),
        ] {
            assert!(matches!(TestCard::new(width, height, rate), Err(SourceError::Format { .. })));
        }
    }
}
