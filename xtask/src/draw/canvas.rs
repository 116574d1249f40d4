//! A picture in memory that embedded-graphics draws on, and the few shapes that a plot is made of.

use std::convert::Infallible;
use std::path::Path;

use embedded_graphics::Pixel;
use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::mono_font::ascii::{FONT_6X10, FONT_9X15_BOLD};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Alignment, Text};

use super::rgb::write_png;

/// A colour as `0xrrggbb`.
pub(crate) type Colour = u32;

/// White when new.
#[derive(Debug)]
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

fn colour(c: Colour) -> Rgb888 {
    Rgb888::new((c >> 16) as u8, (c >> 8) as u8, c as u8)
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![255; 3 * width * height] }
    }

    pub(crate) fn line(&mut self, from: (i32, i32), to: (i32, i32), c: Colour) {
        let style = PrimitiveStyle::with_stroke(colour(c), 1);
        let Ok(()) = Line::new(from.into(), to.into()).into_styled(style).draw(self);
    }

    pub(crate) fn fill(&mut self, at: (i32, i32), size: (i32, i32), c: Colour) {
        let size = Size::new(size.0.max(0) as u32, size.1.max(0) as u32);
        let Ok(()) =
            Rectangle::new(at.into(), size).into_styled(PrimitiveStyle::with_fill(colour(c))).draw(self);
    }

    /// A line of small letters that begins, ends or has its middle at `at`, on its base line.
    pub(crate) fn text(&mut self, text: &str, at: (i32, i32), align: Alignment, c: Colour) {
        self.letters(text, at, align, &FONT_6X10, c);
    }

    /// A line of larger letters, from `at` on.
    pub(crate) fn heading(&mut self, text: &str, at: (i32, i32), c: Colour) {
        self.letters(text, at, Alignment::Left, &FONT_9X15_BOLD, c);
    }

    fn letters(&mut self, text: &str, at: (i32, i32), align: Alignment, font: &MonoFont<'_>, c: Colour) {
        let style = MonoTextStyle::new(font, colour(c));
        let Ok(_end) = Text::with_alignment(text, at.into(), style, align).draw(self);
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), String> {
        write_png(path, self.width, self.height, &self.rgb)
    }

    /// How many pixels have this colour.
    #[cfg(test)]
    pub(crate) fn count(&self, c: Colour) -> usize {
        let c = colour(c);
        self.rgb.chunks(3).filter(|p| **p == [c.r(), c.g(), c.b()]).count()
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, c) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(at.x), usize::try_from(at.y)) else { continue };
            if x < self.width && y < self.height {
                self.rgb[3 * (y * self.width + x)..][..3].copy_from_slice(&[c.r(), c.g(), c.b()]);
            }
        }
        Ok(())
    }
}
