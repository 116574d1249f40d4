//! The number in a picture's top row, so that a picture is known again after any encoder.
//!
//! 20 square blocks across the width: white, black, 12 bits of the number (the highest first), 4 check bits,
//! black, white. media/make.py draws it.

const BLOCKS: usize = 20;

/// The numbers repeat after this many pictures.
pub(crate) const NUMBERS: u64 = 4096;

/// How many rows of a picture of this width the strip takes.
pub(crate) fn rows(width: usize) -> usize {
    width.div_ceil(BLOCKS)
}

/// Weighted, so that exchanged digits show.
fn check(n: u64) -> u64 {
    (3 * (n & 15) + 5 * ((n >> 4) & 15) + 7 * ((n >> 8) & 15) + 9) & 15
}

/// The number in the uppermost `rows(width)` rows of luma; `None` if there is no strip, or a spoilt one.
pub(crate) fn read(luma: &[u8], width: usize) -> Option<u64> {
    let side = width / BLOCKS;
    if side < 4 || luma.len() < width * side {
        return None;
    }
    // Only the middle of a block: its rim is blurred by scaling and coding.
    let middle = |block: usize| {
        let left = block * width / BLOCKS + side / 4;
        let (mut sum, mut count) = (0_u32, 0_u32);
        for row in side / 4..side - side / 4 {
            for x in left..left + side - 2 * (side / 4) {
                sum += u32::from(luma[row * width + x]);
                count += 1;
            }
        }
        sum / count
    };
    let values: Vec<u32> = (0..BLOCKS).map(middle).collect();
    let white = (values[0] + values[19]) / 2;
    let black = (values[1] + values[18]) / 2;
    if white < black + 60 {
        return None;
    }
    let bits = values.iter().fold(0_u64, |bits, &v| bits << 1 | u64::from(v > (white + black) / 2));
    let (number, sum) = (bits >> 6 & 0xfff, bits >> 2 & 0xf);
    (bits >> 18 == 0b10 && bits & 0b11 == 0b01 && sum == check(number)).then_some(number)
}

#[cfg(test)]
pub(crate) fn draw(luma: &mut [u8], width: usize, n: u64) {
    let bits = 0b10 << 18 | (n % NUMBERS) << 6 | check(n) << 2 | 0b01;
    for row in 0..width / BLOCKS {
        for x in 0..width {
            let white = bits >> (BLOCKS - 1 - x * BLOCKS / width) & 1 == 1;
            luma[row * width + x] = if white { 235 } else { 16 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_back() {
        let mut luma = vec![0; 160 * 8];
        for n in 0..NUMBERS {
            draw(&mut luma, 160, n);
            assert_eq!(read(&luma, 160), Some(n));
        }
    }

    #[test]
    fn a_spoilt_strip_gives_no_number() {
        let mut luma = vec![0; 640 * 32];
        assert_eq!(read(&luma, 640), None);
        draw(&mut luma, 640, 77);
        // Block 9, one of the number's bits, turned over.
        for row in luma.chunks_mut(640) {
            row[9 * 32..10 * 32].iter_mut().for_each(|x| *x = 251 - *x);
        }
        assert_eq!(read(&luma, 640), None);
    }
}
