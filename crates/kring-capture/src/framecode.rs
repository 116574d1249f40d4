//! A picture's number, drawn in the picture so that a program reads it after encoding, loss and scaling.
//!
//! Twenty square blocks across the top: white, black, 12 bits of the number with the highest first, 4 check
//! bits, black, white. A strip that is damaged reads as nothing rather than as another number.

use kring_codec::Picture;

/// Blocks across the picture.
pub const BLOCKS: usize = 20;

/// Numbers are drawn modulo this.
pub const MODULUS: u64 = 4096;

const WHITE: u8 = 235;
const BLACK: u8 = 16;

/// White and black must lie this far apart.
const CONTRAST: f64 = 60.0;

/// Height of the strip in a picture of this size, in rows.
#[must_use]
pub fn rows(width: u32, height: u32) -> u32 {
    (width / BLOCKS as u32).min(height)
}

/// Draws `number` modulo [`MODULUS`] over the top of the picture. Pictures under 160 pixels wide are too small to be
/// read back for sure.
pub fn draw(picture: &mut Picture, number: u64) {
    let width = picture.width() as usize;
    let rows = rows(picture.width(), picture.height()) as usize;
    let blocks = blocks((number % MODULUS) as u16);
    let (y, u, v) = picture.planes_mut();
    for line in y.chunks_exact_mut(width).take(rows) {
        for (index, &white) in blocks.iter().enumerate() {
            line[edge(index, width)..edge(index + 1, width)].fill(if white { WHITE } else { BLACK });
        }
    }
    let chroma = rows.div_ceil(2) * (width / 2);
    u[..chroma].fill(128);
    v[..chroma].fill(128);
}

/// Reads the number, 0 to 4095; `None` when there is no strip, or it is damaged.
#[must_use]
pub fn read(picture: &Picture) -> Option<u16> {
    let levels: [f64; BLOCKS] = std::array::from_fn(|index| level(picture, index));
    let white = (levels[0] + levels[BLOCKS - 1]) / 2.0;
    let black = (levels[1] + levels[BLOCKS - 2]) / 2.0;
    if white - black < CONTRAST {
        return None;
    }
    let seen = levels.map(|level| level > (white + black) / 2.0);
    let number = seen[2..14].iter().fold(0, |number, &bit| number << 1 | u16::from(bit));
    (seen == blocks(number)).then_some(number)
}

/// Which blocks are white for `number`, under 4096.
fn blocks(number: u16) -> [bool; BLOCKS] {
    let bits = u32::from(number) << 4 | u32::from(check(number));
    std::array::from_fn(|index| match index {
        0 | 19 => true,
        1 | 18 => false,
        _ => bits >> (17 - index) & 1 == 1,
    })
}

fn check(number: u16) -> u16 {
    let nibble = |shift: u16| number >> shift & 15;
    (3 * nibble(0) + 5 * nibble(4) + 7 * nibble(8) + 9) & 15
}

fn edge(index: usize, width: usize) -> usize {
    index * width / BLOCKS
}

/// Mean luma of the middle of a block.
fn level(picture: &Picture, index: usize) -> f64 {
    let width = picture.width() as usize;
    let inner = |start: usize, end: usize| {
        let at = |part: f64| start + ((end - start) as f64 * part).round() as usize;
        at(0.3)..at(0.7).max(at(0.3) + 1).min(end.max(start + 1))
    };
    let rows = inner(0, rows(picture.width(), picture.height()) as usize);
    let columns = inner(edge(index, width), edge(index + 1, width));
    let (mut sum, mut count) = (0u64, 0u64);
    for line in picture.y().chunks_exact(width).skip(rows.start).take(rows.len()) {
        for &pixel in line.get(columns.clone()).unwrap_or_default() {
            sum += u64::from(pixel);
            count += 1;
        }
    }
    sum as f64 / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_back_at_every_size() {
        for (width, height) in [(160, 90), (640, 360), (426, 240), (1280, 720)] {
            let mut picture = Picture::new(width, height).unwrap();
            for number in (0..MODULUS).step_by(if width > 500 { 37 } else { 1 }) {
                draw(&mut picture, number + MODULUS);
                assert_eq!(read(&picture), Some(number as u16), "{width}x{height}");
            }
        }
    }

    #[test]
    fn the_strip_survives_scaling() {
        let mut picture = Picture::new(640, 360).unwrap();
        let mut small = Picture::new(214, 120).unwrap();
        for number in 0..200 {
            draw(&mut picture, number * 19);
            picture.scale_into(&mut small);
            assert_eq!(read(&small), Some(number as u16 * 19));
        }
    }

    #[test]
    fn pictures_without_a_strip_read_as_nothing() {
        for (width, height) in [(2, 2), (16, 16), (640, 360)] {
            assert_eq!(read(&Picture::new(width, height).unwrap()), None);
        }
    }

    #[test]
    fn a_flipped_block_reads_as_nothing() {
        for block in 0..BLOCKS {
            let mut picture = Picture::new(640, 360).unwrap();
            draw(&mut picture, 1234);
            for line in picture.y_mut().chunks_exact_mut(640).take(32) {
                line[block * 32..][..32].iter_mut().for_each(|pixel| *pixel = WHITE + BLACK - *pixel);
            }
            assert_eq!(read(&picture), None, "block {block}");
        }
    }
}
