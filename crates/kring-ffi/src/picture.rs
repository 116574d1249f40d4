//! Pictures across the border: borrowed for the length of a call, copied once at most.

use crate::error::Failure;
use crate::sized;
use kring::codec::Picture;

/// Three planes: luma, and blue and red difference halved both ways (also called YUV 4:2:0, YV12 with V before U).
pub const KRING_PIXELS_I420: u32 = 0;
/// Two planes: luma, and both differences halved both ways, taking turns in `u`; `v` is NULL. What most cameras give.
pub const KRING_PIXELS_NV12: u32 = 1;

/// A picture that is read: 8 bits, video range (luma 16 to 235). The pixels are whose function or callback it is given to, and good until that
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
    /// Luma.
    pub y: *const u8,
    /// Blue difference, or both.
    pub u: *const u8,
    /// Red difference.
    pub v: *const u8,
    /// Bytes from one row of luma to the next, at least `width`.
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
        Picture::check_size(self.width, self.height)?;
        let (width, height) = (self.width as usize, self.height as usize);
        let two = match self.pixels {
            KRING_PIXELS_I420 => false,
            KRING_PIXELS_NV12 => true,
            other => return Err(Failure::argument(format!("expected a KRING_PIXELS_ value, got {other}"))),
        };
        let u_width = if two { width } else { width / 2 };
        if self.y_stride < width || self.u_stride < u_width || (!two && self.v_stride < width / 2) {
            return Err(Failure::argument("expected strides of a row at least"));
        }
        if self.y.is_null() || self.u.is_null() || (!two && self.v.is_null()) {
            return Err(Failure::null("the planes of a picture"));
        }
        to.reset(self.width, self.height)?;
        // SAFETY: so many rows of so many bytes are there, as the caller promises.
        unsafe {
            let (y, u, v) = to.planes_mut();
            rows(self.y, self.y_stride, y, width, height);
            if two {
                halves(self.u, self.u_stride, (u, v), width / 2, height / 2);
            } else {
                rows(self.u, self.u_stride, u, width / 2, height / 2);
                rows(self.v, self.v_stride, v, width / 2, height / 2);
            }
        }
        Ok(())
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
}
