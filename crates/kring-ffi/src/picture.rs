//! Pictures across the border: borrowed for the length of a call, copied once at most.

use crate::error::{Failure, KRING_ERROR_BUFFER, guard};
use crate::sized;
use kring::codec::{Picture, PixelOrder};

/// Three planes: luma, and blue and red difference halved both ways (also called YUV 4:2:0, YV12 with V before U).
pub const KRING_PIXELS_I420: u32 = 0;
/// Two planes: luma, and both differences halved both ways, taking turns in `u`; `v` is NULL. What most cameras give.
pub const KRING_PIXELS_NV12: u32 = 1;
/// One plane in `y`: red, green, blue and alpha of each pixel, a byte each; 256 shades, of which video has 220 (ITU-R BT.601). Alpha is passed over,
/// and 255 where the library writes it.
pub const KRING_PIXELS_RGBA: u32 = 2;
/// The same as blue, green, red and alpha.
pub const KRING_PIXELS_BGRA: u32 = 3;

/// A picture that is read: 8 bits, with luma in video range (16 to 235). The pixels are whose function or callback it is given to, and good until that
/// returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_picture {
    /// sizeof(kring_picture).
    pub struct_size: u32,
    /// A KRING_PIXELS_ value; what the library gives out is KRING_PIXELS_I420.
    pub pixels: u32,
    /// Width in pixels, even, 2 to 8192.
    pub width: u32,
    /// Height in pixels, even, 2 to 8192.
    pub height: u32,
    /// Luma, or the pixels of KRING_PIXELS_RGBA and KRING_PIXELS_BGRA.
    pub y: *const u8,
    /// Blue difference, or both; NULL where there is one plane.
    pub u: *const u8,
    /// Red difference.
    pub v: *const u8,
    /// Bytes from one row of `y` to the next: at least `width`, or four times that.
    pub y_stride: usize,
    /// The same of `u`, at least half of that, or all with KRING_PIXELS_NV12.
    pub u_stride: usize,
    /// The same of `v`.
    pub v_stride: usize,
}

sized::versioned!(kring_picture, size_of::<kring_picture>());

/// A picture that is written: KRING_PIXELS_I420, rows without gaps, the library's and good until the callback returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kring_picture_buffer {
    /// sizeof(kring_picture_buffer) of the library.
    pub struct_size: u32,
    /// KRING_PIXELS_I420.
    pub pixels: u32,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Luma, `width` × `height` bytes.
    pub y: *mut u8,
    /// Blue difference, `width` / 2 × `height` / 2 bytes.
    pub u: *mut u8,
    /// Red difference, as much.
    pub v: *mut u8,
}

sized::versioned!(kring_picture_buffer, size_of::<kring_picture_buffer>());

impl kring_picture {
    /// Lends a picture out.
    pub(crate) fn lend(picture: &Picture) -> kring_picture {
        let half = picture.width() as usize / 2;
        kring_picture {
            struct_size: size_of::<kring_picture>() as u32,
            pixels: KRING_PIXELS_I420,
            width: picture.width(),
            height: picture.height(),
            y: picture.y().as_ptr(),
            u: picture.u().as_ptr(),
            v: picture.v().as_ptr(),
            y_stride: picture.width() as usize,
            u_stride: half,
            v_stride: half,
        }
    }

    /// Copies the pixels, once.
    ///
    /// # Safety
    /// The planes are as the header says.
    pub(crate) unsafe fn copy_to(&self, to: &mut Picture) -> Result<(), Failure> {
        self.check()?;
        to.reset(self.width, self.height)?;
        // SAFETY: the caller's promise.
        unsafe { self.copy_planes(to.planes_mut()) };
        Ok(())
    }

    /// How many planes there are, of colours in which order.
    fn layout(&self) -> Result<Layout, Failure> {
        match self.pixels {
            KRING_PIXELS_I420 => Ok(Layout::Three),
            KRING_PIXELS_NV12 => Ok(Layout::Two),
            other => order(other).map(Layout::One),
        }
    }

    /// Whether all that has to be there is said to be.
    fn check(&self) -> Result<(), Failure> {
        Picture::check_size(self.width, self.height)?;
        let width = self.width as usize;
        let needed = match self.layout()? {
            Layout::One(order) => [width * order.bytes(), 0, 0],
            Layout::Two => [width, width, 0],
            Layout::Three => [width, width / 2, width / 2],
        };
        let planes = [(self.y, self.y_stride), (self.u, self.u_stride), (self.v, self.v_stride)];
        for ((plane, stride), needed) in planes.into_iter().zip(needed) {
            // The highest picture has to stay within what memory can be.
            if stride < needed || stride > isize::MAX as usize / kring::codec::raw::MAX_SIDE as usize {
                return Err(Failure::argument("expected strides of a row at least"));
            }
            if needed > 0 && plane.is_null() {
                return Err(Failure::null("the planes of a picture"));
            }
        }
        Ok(())
    }

    /// # Safety
    /// [`check`](kring_picture::check) found nothing, the planes are as the header says, and those of `to` are of this size, without gaps.
    unsafe fn copy_planes(&self, (y, u, v): (&mut [u8], &mut [u8], &mut [u8])) {
        let (width, height) = (self.width as usize, self.height as usize);
        // SAFETY: so many rows of so many bytes are there, as the caller promises.
        unsafe {
            match self.layout() {
                Ok(Layout::Three) => {
                    rows(self.y, self.y_stride, y, width, height);
                    rows(self.u, self.u_stride, u, width / 2, height / 2);
                    rows(self.v, self.v_stride, v, width / 2, height / 2);
                }
                Ok(Layout::Two) => {
                    rows(self.y, self.y_stride, y, width, height);
                    halves(self.u, self.u_stride, (u, v), width / 2, height / 2);
                }
                Ok(Layout::One(order)) => colours(self.y, self.y_stride, order, (y, u, v), width),
                Err(_) => {}
            }
        }
    }
}

/// How pixels lie in memory.
enum Layout {
    One(PixelOrder),
    Two,
    Three,
}

fn order(pixels: u32) -> Result<PixelOrder, Failure> {
    match pixels {
        KRING_PIXELS_RGBA => Ok(PixelOrder::Rgba),
        KRING_PIXELS_BGRA => Ok(PixelOrder::Bgra),
        other => {
            Err(Failure::argument(format!("expected a KRING_PIXELS_ value that fits here, got {other}")))
        }
    }
}

/// # Safety
/// `from` points to rows of `width` pixels, `stride` bytes apart, as many as `y` has of `width` bytes.
unsafe fn colours(
    from: *const u8,
    stride: usize,
    order: PixelOrder,
    (y, u, v): (&mut [u8], &mut [u8], &mut [u8]),
    width: usize,
) {
    let chroma = u.chunks_exact_mut(width / 2).zip(v.chunks_exact_mut(width / 2));
    for ((pair, y), (u, v)) in y.chunks_exact_mut(2 * width).enumerate().zip(chroma) {
        let (upper, lower) = y.split_at_mut(width);
        let from = [2 * pair, 2 * pair + 1].map(|row| {
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts(from.add(row * stride), width * order.bytes()) }
        });
        order.read_rows(from, [upper, lower], u, v);
    }
}

/// # Safety
/// `from` points to `height` rows of `width` bytes, `stride` apart.
unsafe fn rows(from: *const u8, stride: usize, to: &mut [u8], width: usize, height: usize) {
    if stride == width {
        // SAFETY: without gaps it is one stretch.
        to.copy_from_slice(unsafe { std::slice::from_raw_parts(from, width * height) });
        return;
    }
    for (row, to) in to.chunks_exact_mut(width).enumerate() {
        // SAFETY: the caller's promise.
        to.copy_from_slice(unsafe { std::slice::from_raw_parts(from.add(row * stride), width) });
    }
}

/// # Safety
/// `from` points to `height` rows of `width` pairs, `stride` apart.
unsafe fn halves(from: *const u8, stride: usize, to: (&mut [u8], &mut [u8]), width: usize, height: usize) {
    let both = to.0.chunks_exact_mut(width).zip(to.1.chunks_exact_mut(width)).take(height);
    for (row, (u, v)) in both.enumerate() {
        // SAFETY: the caller's promise.
        let pairs = unsafe { std::slice::from_raw_parts(from.add(row * stride), 2 * width) };
        for ((pair, u), v) in pairs.chunks_exact(2).zip(u).zip(v) {
            (*u, *v) = (pair[0], pair[1]);
        }
    }
}

impl kring_picture_buffer {
    /// Lends a picture out, to be written.
    pub(crate) fn lend(picture: &mut Picture) -> kring_picture_buffer {
        let (width, height) = (picture.width(), picture.height());
        let (y, u, v) = picture.planes_mut();
        kring_picture_buffer {
            struct_size: size_of::<kring_picture_buffer>() as u32,
            pixels: KRING_PIXELS_I420,
            width,
            height,
            y: y.as_mut_ptr(),
            u: u.as_mut_ptr(),
            v: v.as_mut_ptr(),
        }
    }
}

/// Converts a picture, say one that a kring_video_sink is shown, to KRING_PIXELS_RGBA or KRING_PIXELS_BGRA, as `pixels` says: into `to`, which has room
/// for `capacity` bytes, `stride` bytes from one row to the next (at least four times the width). `picture` is KRING_PIXELS_I420.
///
/// KRING_ERROR_BUFFER if there is not room for all rows; nothing is written then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_picture_to_rgba(
    picture: *const kring_picture,
    pixels: u32,
    to: *mut u8,
    stride: usize,
    capacity: usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let picture = unsafe { sized::read(picture) }?;
        let order = order(pixels)?;
        picture.check()?;
        if !matches!(picture.layout()?, Layout::Three) {
            return Err(Failure::argument(format!("expected KRING_PIXELS_I420, got {}", picture.pixels)));
        }
        if to.is_null() {
            return Err(Failure::null("a buffer"));
        }
        let (width, height) = (picture.width as usize, picture.height as usize);
        let row = width * order.bytes();
        let needed = stride.checked_mul(height - 1).and_then(|rows| rows.checked_add(row));
        if stride < row || needed.is_none_or(|needed| needed > capacity) {
            return Err(Failure::new(
                KRING_ERROR_BUFFER,
                format!(
                    "expected room for {height} rows of {row} bytes, got {capacity} bytes, {stride} apart"
                ),
            ));
        }
        for at in 0..height {
            // SAFETY: so many rows are there on both sides, as the caller promises and as was checked.
            unsafe {
                let plane = |from: *const u8, stride: usize, row: usize, width: usize| {
                    std::slice::from_raw_parts(from.add(row * stride), width)
                };
                let y = plane(picture.y, picture.y_stride, at, width);
                let u = plane(picture.u, picture.u_stride, at / 2, width / 2);
                let v = plane(picture.v, picture.v_stride, at / 2, width / 2);
                order.write_row(y, u, v, std::slice::from_raw_parts_mut(to.add(at * stride), row));
            }
        }
        Ok(())
    })
}

/// Writes a picture of whatever KRING_PIXELS_ to a buffer of the same size, such as the one that a kring_video_source has to fill.
///
/// KRING_ERROR_ARGUMENT if the sizes differ.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kring_picture_fill(
    buffer: *const kring_picture_buffer,
    picture: *const kring_picture,
) -> i32 {
    guard(|| {
        // SAFETY: the caller's promise.
        let (buffer, picture) = unsafe { (sized::read(buffer)?, sized::read(picture)?) };
        picture.check()?;
        if (buffer.width, buffer.height) != (picture.width, picture.height) {
            return Err(Failure::argument(format!(
                "expected a picture of {}x{}, got {}x{}",
                buffer.width, buffer.height, picture.width, picture.height
            )));
        }
        if buffer.pixels != KRING_PIXELS_I420 {
            return Err(Failure::argument(format!("expected KRING_PIXELS_I420, got {}", buffer.pixels)));
        }
        if buffer.y.is_null() || buffer.u.is_null() || buffer.v.is_null() {
            return Err(Failure::null("the planes of a picture"));
        }
        let luma = picture.width as usize * picture.height as usize;
        let plane = |at: *mut u8, length: usize| {
            // SAFETY: the caller's promise: the planes of a buffer have no gaps.
            unsafe { std::slice::from_raw_parts_mut(at, length) }
        };
        let planes = (plane(buffer.y, luma), plane(buffer.u, luma / 4), plane(buffer.v, luma / 4));
        // SAFETY: the caller's promise; it was checked, and the planes are as long as they have to be.
        unsafe { picture.copy_planes(planes) };
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_gaps_and_pairs_come_to_the_same_picture() {
        let (mut y, mut uv, mut u, mut v) = (vec![0; 3 * 6], vec![0; 6], vec![9; 3], vec![9; 3]);
        for row in 0..2 {
            for column in 0..4 {
                y[row * 6 + column] = (row * 4 + column) as u8;
            }
        }
        (u[0], u[1], v[0], v[1]) = (50, 51, 60, 61);
        uv[..4].copy_from_slice(&[50, 60, 51, 61]);
        let mut given = kring_picture {
            struct_size: 0,
            pixels: KRING_PIXELS_I420,
            width: 4,
            height: 2,
            y: y.as_ptr(),
            u: u.as_ptr(),
            v: v.as_ptr(),
            y_stride: 6,
            u_stride: 3,
            v_stride: 3,
        };
        let (mut planar, mut pairs) =
            (Picture::new(2, 2).expect("a size"), Picture::new(2, 2).expect("a size"));
        // SAFETY: the planes are as long as they have to be.
        unsafe { given.copy_to(&mut planar) }.expect("a picture");
        (given.pixels, given.u, given.v, given.u_stride) =
            (KRING_PIXELS_NV12, uv.as_ptr(), std::ptr::null(), 6);
        // SAFETY: as above.
        unsafe { given.copy_to(&mut pairs) }.expect("a picture");
        assert_eq!(planar, pairs);
        assert_eq!(planar.as_bytes(), [0, 1, 2, 3, 4, 5, 6, 7, 50, 51, 60, 61]);
        given.y_stride = 3;
        // SAFETY: it is refused before anything is read.
        assert!(unsafe { given.copy_to(&mut pairs) }.is_err());
    }

    #[test]
    fn colours_go_in_and_come_out() {
        use crate::error::{KRING_ERROR_ARGUMENT, KRING_OK};
        let red = [255, 0, 0, 255].repeat(4 * 2);
        let given = kring_picture {
            struct_size: size_of::<kring_picture>() as u32,
            pixels: KRING_PIXELS_RGBA,
            width: 4,
            height: 2,
            y: red.as_ptr(),
            u: std::ptr::null(),
            v: std::ptr::null(),
            y_stride: 16,
            u_stride: 0,
            v_stride: 0,
        };
        let mut picture = Picture::new(4, 2).expect("a size");
        // SAFETY: the plane is as long as it has to be.
        unsafe { given.copy_to(&mut picture) }.expect("a picture");
        let mut other = Picture::new(4, 2).expect("a size");
        // SAFETY: the same, on both sides.
        assert_eq!(unsafe { kring_picture_fill(&kring_picture_buffer::lend(&mut other), &given) }, KRING_OK);
        assert_eq!(picture, other);
        let mut back = [7; 2 * 20];
        let to = |back: &mut [u8], pixels, stride, capacity| {
            // SAFETY: there is room for as much as is said.
            unsafe {
                kring_picture_to_rgba(
                    &kring_picture::lend(&picture),
                    pixels,
                    back.as_mut_ptr(),
                    stride,
                    capacity,
                )
            }
        };
        assert_eq!(to(&mut back, KRING_PIXELS_RGBA, 20, 35), KRING_ERROR_BUFFER);
        assert_eq!(to(&mut back, KRING_PIXELS_RGBA, 15, 40), KRING_ERROR_BUFFER);
        assert_eq!(to(&mut back, KRING_PIXELS_RGBA, usize::MAX, 40), KRING_ERROR_BUFFER);
        assert_eq!(to(&mut back, KRING_PIXELS_NV12, 20, 40), KRING_ERROR_ARGUMENT);
        assert_eq!(back, [7; 40]);
        assert_eq!(to(&mut back, KRING_PIXELS_RGBA, 20, 36), KRING_OK);
        assert!(
            back[0] > 250 && back[1] < 5 && back[3] == 255 && back[16..20] == [7; 4] && back[36..] == [7; 4]
        );
        assert_eq!(to(&mut back, KRING_PIXELS_BGRA, 16, 32), KRING_OK);
        assert!(back[0] < 5 && back[2] > 250);
    }
}
