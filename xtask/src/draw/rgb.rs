//! A received picture as a PNG file.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use crate::measure::y4m::Picture;

/// Writes RGB pixels, three bytes each, as a PNG file.
pub(crate) fn write_png(path: &Path, width: usize, height: usize, rgb: &[u8]) -> Result<(), String> {
    let bad = |e: &dyn std::fmt::Display| format!("could not write {}: {e}", path.display());
    let file = File::create(path).map_err(|e| bad(&e))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|e| bad(&e))?;
    writer.write_image_data(rgb).and_then(|()| writer.finish()).map_err(|e| bad(&e))
}

/// Limited-range BT.601 to RGB, in whole numbers scaled by 256.
pub(crate) fn from_i420(picture: &Picture) -> Vec<u8> {
    let (w, h) = (picture.width, picture.height);
    let (half_w, half_h) = (w.div_ceil(2), h.div_ceil(2));
    let (luma, chroma) = picture.data.split_at(w * h);
    let (u, v) = chroma.split_at(half_w * half_h);
    let mut rgb = Vec::with_capacity(3 * w * h);
    for row in 0..h {
        for x in 0..w {
            let y = 298 * (i32::from(luma[row * w + x]) - 16) + 128;
            let c = row / 2 * half_w + x / 2;
            let (u, v) = (i32::from(u[c]) - 128, i32::from(v[c]) - 128);
            for value in [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u] {
                rgb.push((value >> 8).clamp(0, 255) as u8);
            }
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_come_out() {
        let solid = |y, u, v| Picture { width: 2, height: 2, data: vec![y, y, y, y, u, v] };
        assert_eq!(from_i420(&solid(235, 128, 128))[..3], [255, 255, 255]);
        assert_eq!(from_i420(&solid(16, 128, 128))[..3], [0, 0, 0]);
        let red = from_i420(&solid(82, 90, 240));
        assert!(red[0] > 250 && red[1] < 5 && red[2] < 5, "{red:?}");
    }
}
