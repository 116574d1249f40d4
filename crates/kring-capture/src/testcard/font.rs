//! Digits, colon and point, 4 by 7 pixels, drawn for this card.

/// Pixels from one character to the next, the gap included.
pub(super) const WIDTH: usize = 5;

/// Rows of a character.
pub(super) const HEIGHT: usize = 7;

/// Rows from the top, the leftmost pixel in the highest of four bits.
const DIGITS: [[u8; HEIGHT]; 10] = [
    [0b0110, 0b1001, 0b1001, 0b1001, 0b1001, 0b1001, 0b0110],
    [0b0010, 0b0110, 0b1010, 0b0010, 0b0010, 0b0010, 0b0111],
    [0b0110, 0b1001, 0b0001, 0b0010, 0b0100, 0b1000, 0b1111],
    [0b1110, 0b0001, 0b0001, 0b0110, 0b0001, 0b0001, 0b1110],
    [0b0010, 0b0110, 0b1010, 0b1010, 0b1111, 0b0010, 0b0010],
    [0b1111, 0b1000, 0b1110, 0b0001, 0b0001, 0b1001, 0b0110],
    [0b0110, 0b1000, 0b1000, 0b1110, 0b1001, 0b1001, 0b0110],
    [0b1111, 0b0001, 0b0001, 0b0010, 0b0010, 0b0100, 0b0100],
    [0b0110, 0b1001, 0b1001, 0b0110, 0b1001, 0b1001, 0b0110],
    [0b0110, 0b1001, 0b1001, 0b0111, 0b0001, 0b0001, 0b0110],
];
const COLON: [u8; HEIGHT] = [0, 0b0110, 0b0110, 0, 0b0110, 0b0110, 0];
const POINT: [u8; HEIGHT] = [0, 0, 0, 0, 0, 0b0110, 0b0110];

/// Writes in white with its top left at `corner`, each pixel `scale` pixels large. Other characters stay blank;
/// what lies outside the plane is left out.
pub(super) fn write(plane: &mut [u8], width: usize, corner: (usize, usize), scale: usize, text: &str) {
    for (place, character) in text.bytes().enumerate() {
        let glyph = match character {
            b'0'..=b'9' => DIGITS[usize::from(character - b'0')],
            b':' => COLON,
            b'.' => POINT,
            _ => [0; HEIGHT],
        };
        let left = corner.0 + place * WIDTH * scale;
        for (row, line) in plane.chunks_exact_mut(width).skip(corner.1).take(HEIGHT * scale).enumerate() {
            for column in (0..4 * scale).filter(|column| glyph[row / scale] >> (3 - column / scale) & 1 == 1)
            {
                if let Some(pixel) = line.get_mut(left + column) {
                    *pixel = 235;
                }
            }
        }
    }
}
