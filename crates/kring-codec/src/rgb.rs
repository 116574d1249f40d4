//! Red, green and blue, as graphics libraries draw and screens show them, into a [`Picture`] and out of one.
//!
//! By ITU-R BT.601: the 256 shades of a colour become the 220 of video, and back. Rows are converted where they lie, so that a
//! conversion is a picture's one copy.

use crate::Picture;

/// Which byte of a pixel is which colour; 8 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelOrder {
    /// Three bytes: red, green, blue.
    Rgb,
    /// Three bytes: blue, green, red.
    Bgr,
    /// Four bytes: red, green, blue, alpha. Alpha is passed over when it comes, and 255 when it goes.
    Rgba,
    /// Four bytes: blue, green, red, alpha.
    Bgra,
}

/// Rows that cannot be those of a picture of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected rows of at least {row} bytes and {all} bytes in all, got {stride} and {got}")]
pub struct RowsError {
    /// How many bytes a row of the picture has.
    pub row: usize,
    /// How many bytes there have to be, the last row being without a gap.
    pub all: usize,
    /// How many bytes it is from one row to the next.
    pub stride: usize,
    /// How many bytes came.
    pub got: usize,
}

impl PixelOrder {
    /// Bytes a pixel: 3 or 4.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            PixelOrder::Rgb | PixelOrder::Bgr => 3,
            PixelOrder::Rgba | PixelOrder::Bgra => 4,
        }
    }

    /// Converts two rows of a picture, which share their chroma: each sample of that is the mean of four pixels. Only as many pixels as
    /// all have are converted.
    pub fn read_rows(self, from: [&[u8]; 2], y: [&mut [u8]; 2], u: &mut [u8], v: &mut [u8]) {
        match self {
            PixelOrder::Rgb => read::<3, 0>(from, y, u, v),
            PixelOrder::Bgr => read::<3, 2>(from, y, u, v),
            PixelOrder::Rgba => read::<4, 0>(from, y, u, v),
            PixelOrder::Bgra => read::<4, 2>(from, y, u, v),
        }
    }

    /// Converts a row of a picture, whose chroma belongs to two rows. Only as many pixels as all have are converted.
    pub fn write_row(self, y: &[u8], u: &[u8], v: &[u8], to: &mut [u8]) {
        match self {
            PixelOrder::Rgb => write::<3, 0>(y, u, v, to),
            PixelOrder::Bgr => write::<3, 2>(y, u, v, to),
            PixelOrder::Rgba => write::<4, 0>(y, u, v, to),
            PixelOrder::Bgra => write::<4, 2>(y, u, v, to),
        }
    }

    fn check(self, picture: &Picture, stride: usize, got: usize) -> Result<(), RowsError> {
        let row = picture.width() as usize * self.bytes();
        let all = (picture.height() as usize - 1).saturating_mul(stride).saturating_add(row);
        if stride < row || got < all { Err(RowsError { row, all, stride, got }) } else { Ok(()) }
    }
}

impl Picture {
    /// Takes over the pixels of `from`, of this picture's size and `stride` bytes from one row to the next.
    ///
    /// # Errors
    /// [`RowsError`] if there are not as many; the picture is as before then.
    pub fn read_rgb(&mut self, from: &[u8], order: PixelOrder, stride: usize) -> Result<(), RowsError> {
        order.check(self, stride, from.len())?;
        let width = self.width() as usize;
        let (y, u, v) = self.planes_mut();
        let chroma = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
        for ((row, y), (u, v)) in y.chunks_exact_mut(2 * width).enumerate().zip(chroma) {
            let (upper, lower) = y.split_at_mut(width);
            let from = [&from[2 * row * stride..], &from[(2 * row + 1) * stride..]];
            order.read_rows(from, [upper, lower], u, v);
        }
        Ok(())
    }

    /// Writes this picture's pixels to `to`, `stride` bytes from one row to the next; what lies between rows stays.
    ///
    /// # Errors
    /// [`RowsError`] if there is not room for all; nothing is written then.
    pub fn write_rgb(&self, to: &mut [u8], order: PixelOrder, stride: usize) -> Result<(), RowsError> {
        order.check(self, stride, to.len())?;
        let width = self.width() as usize;
        for (row, (y, to)) in self.y().chunks_exact(width).zip(to.chunks_mut(stride)).enumerate() {
            let chroma = row / 2 * (width / 2)..;
            order.write_row(y, &self.u()[chroma.clone()], &self.v()[chroma], to);
        }
        Ok(())
    }
}

fn read<const BYTES: usize, const RED: usize>(
    from: [&[u8]; 2],
    y: [&mut [u8]; 2],
    u: &mut [u8],
    v: &mut [u8],
) {
    let pixel = |at: &[u8]| [at[RED], at[1], at[2 - RED]].map(i32::from);
    for (y, from) in y.into_iter().zip(from) {
        for (to, from) in y.iter_mut().zip(from.chunks_exact(BYTES)) {
            let [r, g, b] = pixel(from);
            *to = (((66 * r + 129 * g + 25 * b + 128) >> 8) + 16) as u8;
        }
    }
    let squares = from[0].chunks_exact(2 * BYTES).zip(from[1].chunks_exact(2 * BYTES));
    for (((upper, lower), u), v) in squares.zip(u).zip(v) {
        let four = [pixel(upper), pixel(&upper[BYTES..]), pixel(lower), pixel(&lower[BYTES..])];
        let [r, g, b] = [0, 1, 2].map(|c| four.iter().map(|pixel| pixel[c]).sum::<i32>());
        // Sums of four, so two more bits.
        *u = (((-38 * r - 74 * g + 112 * b + 512) >> 10) + 128) as u8;
        *v = (((112 * r - 94 * g - 18 * b + 512) >> 10) + 128) as u8;
    }
}

fn write<const BYTES: usize, const RED: usize>(y: &[u8], u: &[u8], v: &[u8], to: &mut [u8]) {
    let pairs = to.chunks_exact_mut(2 * BYTES).zip(y.chunks_exact(2));
    for ((to, y), (&u, &v)) in pairs.zip(u.iter().zip(v)) {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let (red, green, blue) = (409 * v, -100 * u - 208 * v, 516 * u);
        for (to, &y) in to.chunks_exact_mut(BYTES).zip(y) {
            let y = 298 * (i32::from(y) - 16) + 128;
            let byte = |value: i32| (value >> 8).clamp(0, 255) as u8;
            (to[RED], to[1], to[2 - RED]) = (byte(y + red), byte(y + green), byte(y + blue));
            if BYTES == 4 {
                to[3] = 255;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [PixelOrder; 4] = [PixelOrder::Rgb, PixelOrder::Bgr, PixelOrder::Rgba, PixelOrder::Bgra];
    const RED: [u8; 4] = [255, 0, 0, 255];

    fn pixel(order: PixelOrder, [r, g, b, a]: [u8; 4]) -> Vec<u8> {
        match order {
            PixelOrder::Rgb => vec![r, g, b],
            PixelOrder::Bgr => vec![b, g, r],
            PixelOrder::Rgba => vec![r, g, b, a],
            PixelOrder::Bgra => vec![b, g, r, a],
        }
    }

    #[test]
    fn black_white_and_the_primaries_come_out_as_they_went_in() {
        let colours = [[0, 0, 0, 255], [255, 255, 255, 255], RED, [0, 255, 0, 255], [0, 0, 255, 255]];
        let video = [(16, 128, 128), (235, 128, 128), (81, 90, 240), (145, 54, 34), (41, 240, 110)];
        for order in ALL {
            for (colour, (y, u, v)) in colours.into_iter().zip(video) {
                let from = pixel(order, colour).repeat(8);
                let mut picture = Picture::new(4, 2).expect("a size");
                picture.read_rgb(&from, order, 4 * order.bytes()).expect("all rows");
                let near = |got: u8, expected: u8| got.abs_diff(expected) <= 1;
                assert!(near(picture.y()[7], y) && near(picture.u()[1], u) && near(picture.v()[1], v));
                let mut back = vec![7; from.len()];
                picture.write_rgb(&mut back, order, 4 * order.bytes()).expect("room for all");
                assert!(back.iter().zip(&from).all(|(a, b)| a.abs_diff(*b) <= 3), "{order:?} {colour:?}");
            }
        }
    }

    #[test]
    fn rows_may_have_gaps_and_the_last_has_to_be_whole() {
        let order = PixelOrder::Rgba;
        let mut from = vec![0; 20 + 16];
        for row in [0, 20] {
            from[row..][..16].copy_from_slice(&RED.repeat(4));
        }
        let mut picture = Picture::new(4, 2).expect("a size");
        picture.read_rgb(&from, order, 20).expect("all rows");
        assert!(picture.y().iter().all(|y| y.abs_diff(81) <= 1), "{:?}", picture.y());
        let mut to = vec![9; 36];
        picture.write_rgb(&mut to, order, 20).expect("room for all");
        assert_eq!(to[16..20], [9; 4]);
        assert!(to[20] > 250 && to[21] < 5 && to[35] == 255);
        let missing = RowsError { row: 16, all: 36, stride: 20, got: 35 };
        assert_eq!(picture.read_rgb(&from[1..], order, 20), Err(missing));
        assert_eq!(picture.write_rgb(&mut to[1..], order, 20), Err(missing));
        assert!(picture.read_rgb(&from, order, 15).is_err());
    }

    #[test]
    fn chroma_is_the_mean_of_four_pixels() {
        let from = [RED, [255, 255, 255, 255], [255, 255, 255, 255], [255, 255, 255, 255]].concat();
        let mut picture = Picture::new(2, 2).expect("a size");
        picture.read_rgb(&from, PixelOrder::Rgba, 8).expect("all rows");
        assert_eq!((picture.u()[0], picture.v()[0]), (119, 156));
    }
}
