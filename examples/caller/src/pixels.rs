//! From a picture's pixels to those of a display.

/// The largest even size of a picture's shape within another, at least 2x2.
pub(crate) fn fit(picture: (u32, u32), within: (u32, u32)) -> (u32, u32) {
    let even = |side: u64| (side as u32 & !1).max(2);
    let (w, h) = (u64::from(picture.0), u64::from(picture.1));
    let (most_w, most_h) = (u64::from(within.0), u64::from(within.1));
    if w * most_h > h * most_w {
        (even(most_w), even(h * most_w / w.max(1)))
    } else {
        (even(w * most_h / h.max(1)), even(most_h))
    }
}

/// BT.601 in video range, as cameras and this project's files have it, in units of 2⁻⁸; as 0RGB.
pub(crate) fn rgb(y: u8, u: u8, v: u8) -> u32 {
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
}
