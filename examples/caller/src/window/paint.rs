//! From a picture to a window's pixels: scaled to fit, in its middle, black around it.

use kring::codec::Picture;
use softbuffer::{Context, SoftBufferError, Surface};
use std::num::NonZeroU32;
use std::sync::Arc;
use winit::window::Window;

/// Draws into one window.
pub(super) struct Paint {
    surface: Surface<Arc<Window>, Arc<Window>>,
    scaled: Option<Picture>,
}

impl Paint {
    pub(super) fn new(window: Arc<Window>) -> Result<Paint, SoftBufferError> {
        let context = Context::new(window.clone())?;
        Ok(Paint { surface: Surface::new(&context, window)?, scaled: None })
    }

    /// Draws a picture into a window of that many pixels across and down.
    pub(super) fn draw(&mut self, picture: &Picture, size: (u32, u32)) -> Result<(), SoftBufferError> {
        let (Some(width), Some(height)) = (NonZeroU32::new(size.0), NonZeroU32::new(size.1)) else {
            return Ok(());
        };
        self.surface.resize(width, height)?;
        let mut pixels = self.surface.buffer_mut()?;
        let fitting = fit((picture.width(), picture.height()), size);
        let picture = if fitting == (picture.width(), picture.height()) {
            picture
        } else {
            if self.scaled.as_ref().is_none_or(|scaled| (scaled.width(), scaled.height()) != fitting) {
                self.scaled = Picture::new(fitting.0, fitting.1).ok();
            }
            let Some(scaled) = &mut self.scaled else { return Ok(()) };
            picture.scale_into(scaled);
            scaled
        };
        paint(picture, &mut pixels, (size.0 as usize, size.1 as usize));
        pixels.present()
    }
}

/// The largest even size of a picture's shape within another, at least 2x2.
pub(super) fn fit(picture: (u32, u32), within: (u32, u32)) -> (u32, u32) {
    let even = |side: u64| (side as u32 & !1).max(2);
    let (w, h) = (u64::from(picture.0), u64::from(picture.1));
    let (most_w, most_h) = (u64::from(within.0), u64::from(within.1));
    if w * most_h > h * most_w {
        (even(most_w), even(h * most_w / w.max(1)))
    } else {
        (even(w * most_h / h.max(1)), even(most_h))
    }
}

/// Writes a picture as 0RGB into the middle of `pixels`, which are `size` across and down.
fn paint(picture: &Picture, pixels: &mut [u32], size: (usize, usize)) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (left, top) = (size.0.saturating_sub(width) / 2, size.1.saturating_sub(height) / 2);
    for (row, line) in pixels.chunks_exact_mut(size.0).enumerate() {
        let Some(y) = row.checked_sub(top).filter(|y| *y < height) else {
            line.fill(0);
            continue;
        };
        let luma = &picture.y()[y * width..][..width];
        let chroma = y / 2 * (width / 2)..;
        let (blue, red) = (&picture.u()[chroma.clone()], &picture.v()[chroma]);
        line[..left.min(size.0)].fill(0);
        let inside = &mut line[left..];
        let right = width.min(inside.len());
        inside[right..].fill(0);
        let pairs = inside[..right].chunks_mut(2).zip(luma.chunks(2));
        for ((out, luma), (&blue, &red)) in pairs.zip(blue.iter().zip(red)) {
            for (pixel, &luma) in out.iter_mut().zip(luma) {
                *pixel = rgb(luma, blue, red);
            }
        }
    }
}

/// BT.601 in video range, as cameras and this project's files have it, in units of 2⁻⁸.
fn rgb(y: u8, u: u8, v: u8) -> u32 {
    let (y, u, v) = (298 * (i32::from(y) - 16) + 128, i32::from(u) - 128, i32::from(v) - 128);
    let byte = |value: i32| (value >> 8).clamp(0, 255) as u32;
    byte(y + 409 * v) << 16 | byte(y - 100 * u - 208 * v) << 8 | byte(y + 516 * u)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_white_and_the_primaries_come_out_as_themselves() {
        let colours = [(16, 128, 128), (235, 128, 128), (81, 90, 240), (145, 54, 34), (41, 240, 110)];
        let expected = [0x000000, 0xffffff, 0xff0000, 0x00ff00, 0x0000ff];
        for ((y, u, v), expected) in colours.into_iter().zip(expected) {
            let got = rgb(y, u, v);
            for shift in [0, 8, 16] {
                let (got, expected) = (got >> shift & 255, expected >> shift & 255u32);
                assert!(got.abs_diff(expected) <= 2, "{y} {u} {v}: {got} for {expected}");
            }
        }
    }

    #[test]
    fn a_picture_keeps_its_shape_in_any_window() {
        assert_eq!(fit((640, 360), (1280, 720)), (1280, 720));
        assert_eq!(fit((640, 360), (1000, 1000)), (1000, 562));
        assert_eq!(fit((640, 360), (1000, 90)), (160, 90));
        assert_eq!(fit((1920, 1080), (1280, 720)), (1280, 720));
        assert_eq!(fit((2, 8192), (1, 1)), (2, 2));
        assert_eq!(fit((8192, 2), (0, 0)), (2, 2));
    }

    #[test]
    fn around_the_picture_it_is_black_whatever_was_there() {
        let mut picture = Picture::new(4, 2).unwrap();
        picture.y_mut().fill(235);
        for size in [(6, 4), (4, 2), (5, 3), (2, 2), (3, 1)] {
            let mut pixels = vec![0x123456; size.0 * size.1];
            paint(&picture, &mut pixels, size);
            let white = pixels.iter().filter(|pixel| **pixel == 0xffffff).count();
            let black = pixels.iter().filter(|pixel| **pixel == 0).count();
            assert_eq!((white, black), (size.0.min(4) * size.1.min(2), pixels.len() - white), "{size:?}");
        }
    }
}
