//! Cameras' pictures into Kring's own: I420 of one size, whatever the camera sends.
//!
//! A camera's data is checked against the size it announced before any of it is used.

use kring_codec::{Picture, PictureError, PixelOrder};
use nokhwa::utils::FrameFormat;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What can be converted, the cheapest first.
pub(super) const FORMATS: [FrameFormat; 6] = [
    FrameFormat::YUYV,
    FrameFormat::NV12,
    FrameFormat::GRAY,
    FrameFormat::RAWRGB,
    FrameFormat::RAWBGR,
    FrameFormat::MJPEG,
];

/// Why a camera's picture is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConvertError {
    #[error(transparent)]
    Size(#[from] PictureError),
    #[error("expected {expected} bytes of a picture, got {got}")]
    Short { expected: usize, got: usize },
    #[error("expected a JPEG picture of {expected}, got {got}")]
    Jpeg { expected: String, got: String },
}

/// Converts a picture of `width` by `height`.
pub(super) fn convert(
    data: &[u8],
    format: FrameFormat,
    width: u32,
    height: u32,
    picture: &mut Picture,
) -> Result<(), ConvertError> {
    picture.reset(width, height)?;
    let pixels = width as usize * height as usize;
    let whole =
        |expected: usize| data.get(..expected).ok_or(ConvertError::Short { expected, got: data.len() });
    match format {
        FrameFormat::YUYV => yuyv(whole(pixels * 2)?, picture),
        FrameFormat::NV12 => {
            let (y, uv) = whole(pixels * 3 / 2)?.split_at(pixels);
            let (to_y, to_u, to_v) = picture.planes_mut();
            to_y.copy_from_slice(y);
            for ((pair, u), v) in uv.chunks_exact(2).zip(to_u).zip(to_v) {
                (*u, *v) = (pair[0], pair[1]);
            }
        }
        FrameFormat::GRAY => {
            let (to_y, to_u, to_v) = picture.planes_mut();
            // From all 256 shades to those of video.
            for (to, &from) in to_y.iter_mut().zip(whole(pixels)?) {
                *to = (16 + u32::from(from) * 219 / 255) as u8;
            }
            to_u.fill(128);
            to_v.fill(128);
        }
        FrameFormat::RAWRGB => rgb(whole(pixels * 3)?, PixelOrder::Rgb, picture)?,
        FrameFormat::RAWBGR => rgb(whole(pixels * 3)?, PixelOrder::Bgr, picture)?,
        FrameFormat::MJPEG => rgb(&jpeg(data, width, height)?, PixelOrder::Rgb, picture)?,
    }
    Ok(())
}

/// Each chroma sample is the mean of two rows'.
fn yuyv(data: &[u8], picture: &mut Picture) {
    let width = picture.width() as usize;
    let (to_y, to_u, to_v) = picture.planes_mut();
    for (to, from) in to_y.iter_mut().zip(data.chunks_exact(2)) {
        *to = from[0];
    }
    let chroma = to_u.chunks_exact_mut(width / 2).zip(to_v.chunks_exact_mut(width / 2));
    for (rows, (to_u, to_v)) in data.chunks_exact(width * 4).zip(chroma) {
        let (upper, lower) = rows.split_at(width * 2);
        let pairs = upper.chunks_exact(4).zip(lower.chunks_exact(4));
        for (((upper, lower), u), v) in pairs.zip(to_u).zip(to_v) {
            *u = upper[1].midpoint(lower[1]);
            *v = upper[3].midpoint(lower[3]);
        }
    }
}

/// Rows without gaps.
fn rgb(data: &[u8], order: PixelOrder, picture: &mut Picture) -> Result<(), ConvertError> {
    let stride = picture.width() as usize * order.bytes();
    picture.read_rgb(data, order, stride).map_err(|e| ConvertError::Short { expected: e.all, got: e.got })
}

/// A JPEG picture's pixels, if it is of the announced size.
fn jpeg(data: &[u8], width: u32, height: u32) -> Result<Vec<u8>, ConvertError> {
    let expected = || format!("{width}x{height}");
    let options = DecoderOptions::default()
        .set_max_width(width as usize)
        .set_max_height(height as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    let pixels = decoder
        .decode()
        .map_err(|error| ConvertError::Jpeg { expected: expected(), got: error.to_string() })?;
    match decoder.info() {
        Some(info) if (u32::from(info.width), u32::from(info.height)) == (width, height) => Ok(pixels),
        info => {
            let got = info.map_or("no size".into(), |info| format!("{}x{}", info.width, info.height));
            Err(ConvertError::Jpeg { expected: expected(), got })
        }
    }
}

/// Fills `into` with `picture`: what does not fit its shape is cut off on both sides, the rest scaled. `cut` is room
/// for that.
pub(super) fn fit(picture: &Picture, cut: &mut Picture, into: &mut Picture) -> Result<(), PictureError> {
    let (w, h) = (u64::from(picture.width()), u64::from(picture.height()));
    let (to_w, to_h) = (u64::from(into.width()), u64::from(into.height()));
    let even = |side: u64| (side as u32 / 2 * 2).max(2);
    let (width, height) = if w * to_h > h * to_w {
        (even(h * to_w / to_h), picture.height())
    } else {
        (picture.width(), even(w * to_h / to_w))
    };
    if (width, height) == (picture.width(), picture.height()) {
        picture.scale_into(into);
        return Ok(());
    }
    cut.reset(width, height)?;
    // Even, so that chroma stays where it is.
    let left = (picture.width() - width) as usize / 4 * 2;
    let top = (picture.height() - height) as usize / 4 * 2;
    let (y, u, v) = cut.planes_mut();
    let (from_width, width) = (picture.width() as usize, width as usize);
    rows(picture.y(), from_width, left, top, y, width);
    rows(picture.u(), from_width / 2, left / 2, top / 2, u, width / 2);
    rows(picture.v(), from_width / 2, left / 2, top / 2, v, width / 2);
    cut.scale_into(into);
    Ok(())
}

fn rows(from: &[u8], from_width: usize, left: usize, top: usize, to: &mut [u8], width: usize) {
    for (from, to) in from.chunks_exact(from_width).skip(top).zip(to.chunks_exact_mut(width)) {
        to.copy_from_slice(&from[left..left + width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: u32 = 64;
    const H: u32 = 32;

    /// The left half dark and the right half light, in gray.
    fn luma(x: u32) -> u8 {
        if x < W / 2 { 50 } else { 200 }
    }

    fn check(picture: &Picture, tolerance: u8) {
        assert_eq!((picture.width(), picture.height()), (W, H));
        for (n, &y) in picture.y().iter().enumerate() {
            let expected = luma(n as u32 % W);
            assert!(y.abs_diff(expected) <= tolerance, "{y} at {n}");
        }
        assert!(picture.u().iter().chain(picture.v()).all(|c| c.abs_diff(128) <= tolerance));
    }

    fn converted(data: &[u8], format: FrameFormat) -> Picture {
        let mut picture = Picture::new(2, 2).unwrap();
        convert(data, format, W, H, &mut picture).unwrap();
        picture
    }

    #[test]
    fn every_raw_format_becomes_the_same_picture() {
        let pixels = || (0..W * H).map(|n| n % W);
        let yuyv: Vec<u8> = pixels().flat_map(|x| [luma(x), 128]).collect();
        check(&converted(&yuyv, FrameFormat::YUYV), 0);
        let mut nv12: Vec<u8> = pixels().map(luma).collect();
        nv12.extend(std::iter::repeat_n(128, (W * H / 2) as usize));
        check(&converted(&nv12, FrameFormat::NV12), 0);
        // Of all shades, what is `luma` among those of video.
        let full = |x: u32| ((u32::from(luma(x)) - 16) * 255 / 219) as u8;
        let gray: Vec<u8> = pixels().map(full).collect();
        check(&converted(&gray, FrameFormat::GRAY), 1);
        let rgb: Vec<u8> = pixels().flat_map(|x| [full(x); 3]).collect();
        check(&converted(&rgb, FrameFormat::RAWRGB), 2);
        check(&converted(&rgb, FrameFormat::RAWBGR), 2);
    }

    #[test]
    fn colours_go_where_they_belong() {
        let red: Vec<u8> = (0..W * H).flat_map(|_| [255, 0, 0]).collect();
        let (as_rgb, as_bgr) = (converted(&red, FrameFormat::RAWRGB), converted(&red, FrameFormat::RAWBGR));
        assert!(as_rgb.v()[0] > 230 && as_rgb.u()[0] < 110, "red");
        assert!(as_bgr.u()[0] > 230 && as_bgr.v()[0] < 120, "blue");
        let mut nv12 = vec![81; (W * H) as usize];
        nv12.extend((0..W * H / 4).flat_map(|_| [90, 240]));
        let picture = converted(&nv12, FrameFormat::NV12);
        assert_eq!((picture.u()[5], picture.v()[5]), (90, 240));
    }

    #[test]
    fn what_is_cut_off_or_no_picture_is_refused() {
        let mut picture = Picture::new(2, 2).unwrap();
        for format in FORMATS {
            let error = convert(&[0; 100], format, W, H, &mut picture).unwrap_err().to_string();
            assert!(error.starts_with("expected "), "{format}: {error}");
        }
        assert!(convert(&[0; 100], FrameFormat::YUYV, 3, 3, &mut picture).is_err());
    }

    #[test]
    fn another_shape_is_cut_on_both_sides() {
        let mut picture = Picture::new(W, H).unwrap();
        for (n, y) in picture.y_mut().iter_mut().enumerate() {
            let x = n % W as usize;
            *y = if (16..48).contains(&x) { 180 } else { 20 };
        }
        let (mut cut, mut square) = (Picture::new(2, 2).unwrap(), Picture::new(16, 16).unwrap());
        fit(&picture, &mut cut, &mut square).unwrap();
        assert!(square.y().iter().all(|&y| y == 180), "only the middle is left");
        let mut wide = Picture::new(64, 16).unwrap();
        fit(&picture, &mut cut, &mut wide).unwrap();
        assert_eq!((wide.y()[0], wide.y()[32]), (20, 180));
    }
}
