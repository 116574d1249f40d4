//! Raw media: what goes into an encoder and comes out of a decoder.
//!
//! A [`Picture`] always has an even size of 2 to 8192 each way and one allocation that holds its three
//! planes without padding, Y then U then V.

use std::fmt;

/// Samples a second of all sound in Kring. Sound is mono `f32` in `[-1, 1]`.
pub const SAMPLE_RATE: u32 = 48_000;

/// Largest width and height of a [`Picture`], in pixels.
pub const MAX_SIDE: u32 = 8192;

/// A size that a [`Picture`] cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an even width and height of 2 to {MAX_SIDE} pixels, got {width}x{height}: scale or crop first"
)]
pub struct PictureError {
    /// The width that came, in pixels.
    pub width: u32,
    /// The height that came, in pixels.
    pub height: u32,
}

/// An 8-bit picture in I420: full-size luma, chroma halved both ways, video range (16..=235).
///
/// `Debug` shows its size, never its pixels.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Picture {
    /// A black picture.
    ///
    /// # Errors
    /// [`PictureError`] unless both sides are even and 2 to [`MAX_SIDE`] pixels. Nothing is allocated then.
    pub fn new(width: u32, height: u32) -> Result<Self, PictureError> {
        let mut picture = Self { width: 0, height: 0, bytes: Vec::new() };
        picture.reset(width, height)?;
        picture.blacken();
        Ok(picture)
    }

    /// Tells whether a picture may have this size.
    ///
    /// # Errors
    /// [`PictureError`] unless both sides are even and 2 to [`MAX_SIDE`] pixels.
    pub fn check_size(width: u32, height: u32) -> Result<(), PictureError> {
        let fits = |side: u32| (2..=MAX_SIDE).contains(&side) && side.is_multiple_of(2);
        if fits(width) && fits(height) { Ok(()) } else { Err(PictureError { width, height }) }
    }

    /// Gives the picture another size and keeps its buffer where it is large enough. The pixels are
    /// black when the size changed and stay what they were otherwise.
    ///
    /// # Errors
    /// [`PictureError`] as in [`Picture::new`]; the picture is then as before.
    pub fn reset(&mut self, width: u32, height: u32) -> Result<(), PictureError> {
        Self::check_size(width, height)?;
        if (width, height) == (self.width, self.height) {
            return Ok(());
        }
        (self.width, self.height) = (width, height);
        let length = self.luma_length() + 2 * self.chroma_length();
        self.bytes.resize(length, 0);
        self.blacken();
        Ok(())
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Makes every pixel black.
    pub fn blacken(&mut self) {
        let luma = self.luma_length();
        self.bytes[..luma].fill(16);
        self.bytes[luma..].fill(128);
    }

    /// Takes over another picture's size and pixels, in this picture's buffer.
    pub fn copy_from(&mut self, other: &Self) {
        (self.width, self.height) = (other.width, other.height);
        self.bytes.clone_from(&other.bytes);
    }

    /// Luma, `width * height` bytes, rows from the top.
    #[must_use]
    pub fn y(&self) -> &[u8] {
        &self.bytes[..self.luma_length()]
    }

    /// Blue difference, `width / 2 * height / 2` bytes.
    #[must_use]
    pub fn u(&self) -> &[u8] {
        &self.bytes[self.luma_length()..][..self.chroma_length()]
    }

    /// Red difference, `width / 2 * height / 2` bytes.
    #[must_use]
    pub fn v(&self) -> &[u8] {
        &self.bytes[self.luma_length() + self.chroma_length()..]
    }

    /// Luma, to be written.
    pub fn y_mut(&mut self) -> &mut [u8] {
        let luma = self.luma_length();
        &mut self.bytes[..luma]
    }

    /// Blue difference, to be written.
    pub fn u_mut(&mut self) -> &mut [u8] {
        self.planes_mut().1
    }

    /// Red difference, to be written.
    pub fn v_mut(&mut self) -> &mut [u8] {
        self.planes_mut().2
    }

    /// Luma, blue and red difference together, to be written.
    pub fn planes_mut(&mut self) -> (&mut [u8], &mut [u8], &mut [u8]) {
        let (luma, chroma) = (self.luma_length(), self.chroma_length());
        let (y, rest) = self.bytes.split_at_mut(luma);
        let (u, v) = rest.split_at_mut(chroma);
        (y, u, v)
    }

    /// Luma alone; the same as [`y`](Self::y), for callers that measure brightness.
    #[must_use]
    pub fn luma_bytes(&self) -> &[u8] {
        self.y()
    }

    /// All pixels: Y, then U, then V, without padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All pixels, to be written: Y, then U, then V, without padding.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Scales this picture to fill `into`: averages areas when it shrinks, interpolates linearly when
    /// it grows. Does not keep the aspect ratio by itself; `into`'s size decides.
    pub fn scale_into(&self, into: &mut Self) {
        if (self.width, self.height) == (into.width, into.height) {
            into.bytes.copy_from_slice(&self.bytes);
            return;
        }
        let (from, to) = (self.size(), into.size());
        let half = |(width, height): (usize, usize)| (width / 2, height / 2);
        let (y, u, v) = into.planes_mut();
        crate::scale::plane(self.y(), from, y, to);
        crate::scale::plane(self.u(), half(from), u, half(to));
        crate::scale::plane(self.v(), half(from), v, half(to));
    }

    fn size(&self) -> (usize, usize) {
        (self.width as usize, self.height as usize)
    }

    fn luma_length(&self) -> usize {
        self.width as usize * self.height as usize
    }

    fn chroma_length(&self) -> usize {
        self.luma_length() / 4
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_picture_is_black_and_its_planes_fill_one_buffer() {
        let picture = Picture::new(6, 4).unwrap();
        assert_eq!((picture.y().len(), picture.u().len(), picture.v().len()), (24, 6, 6));
        assert_eq!(picture.as_bytes().len(), 36);
        assert!(picture.y().iter().all(|&p| p == 16) && picture.v().iter().all(|&p| p == 128));
    }

    #[test]
    fn odd_empty_and_huge_sizes_are_refused() {
        for (width, height) in [(0, 2), (3, 2), (2, 5), (8194, 2), (2, u32::MAX)] {
            assert_eq!(Picture::new(width, height).err(), Some(PictureError { width, height }));
        }
        assert!(Picture::new(8192, 2).is_ok());
    }

    #[test]
    fn debug_shows_no_pixels() {
        assert_eq!(format!("{:?}", Picture::new(4, 2).unwrap()), "Picture(4x2)");
    }

    #[test]
    fn scaling_keeps_a_flat_picture_flat() {
        let mut picture = Picture::new(640, 360).unwrap();
        picture.y_mut().fill(77);
        picture.u_mut().fill(90);
        for (width, height) in [(320, 180), (642, 362), (1280, 720), (2, 2), (426, 240)] {
            let mut scaled = Picture::new(width, height).unwrap();
            picture.scale_into(&mut scaled);
            assert!(scaled.y().iter().all(|&p| p == 77) && scaled.u().iter().all(|&p| p == 90));
        }
    }

    #[test]
    fn halving_averages_the_four_pixels() {
        let mut picture = Picture::new(4, 4).unwrap();
        picture.y_mut().copy_from_slice(&[0, 20, 100, 100, 40, 60, 100, 100, 1, 1, 9, 9, 1, 1, 9, 9]);
        let mut half = Picture::new(2, 2).unwrap();
        picture.scale_into(&mut half);
        assert_eq!(half.y(), [30, 100, 1, 9]);
    }
}
