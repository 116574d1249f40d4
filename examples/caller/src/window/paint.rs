//! From a picture to a window's pixels: scaled to fit, in its middle, black around it.

use crate::pixels::{fit, rgb};
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

#[cfg(test)]
mod tests {
    use super::*;

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
