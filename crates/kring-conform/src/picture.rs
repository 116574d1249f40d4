//! A picture of 64 × 48 grey pixels as H.264 in the plainest form that there is: macroblocks of type I_PCM (ITU-T H.264,
//! section 7.3.5), which every decoder reads and which are long enough to need several datagrams.

const MB_WIDTH: u32 = 4;
const MB_HEIGHT: u32 = 3;

/// Width and height in pixels.
pub(crate) const SIZE: (u16, u16) = (16 * MB_WIDTH as u16, 16 * MB_HEIGHT as u16);

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, count: u32, value: u32) {
        for n in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value >> n & 1) as u8;
            *self.bytes.last_mut().expect("pushed above") |= bit << (7 - self.used % 8);
            self.used += 1;
        }
    }

    /// Exp-Golomb (section 9.1).
    fn ue(&mut self, value: u32) {
        let code = value + 1;
        let len = 32 - code.leading_zeros();
        self.put(2 * len - 1, code);
    }

    fn align(&mut self) {
        self.used = self.used.next_multiple_of(8);
    }

    /// The trailing bits, and a NAL unit of it. No three bytes in a row are small, so that nothing needs to be escaped.
    fn nal(mut self, header: u8) -> Vec<u8> {
        self.put(1, 1);
        [&[0, 0, 0, 1, header][..], &self.bytes].concat()
    }
}

/// An IDR picture with its parameter sets, in Annex B. `n` tells one from the next: two in a row must not have the same.
pub(crate) fn keyframe(n: u32) -> Vec<u8> {
    let mut sps = Bits::default();
    // Baseline, constrained, level 1.
    sps.put(24, 0x42_c0_0a);
    // id, frame_num of 4 bits, order of decoding, one reference frame.
    [0, 0, 2, 1].into_iter().for_each(|v| sps.ue(v));
    sps.put(1, 0);
    sps.ue(MB_WIDTH - 1);
    sps.ue(MB_HEIGHT - 1);
    // Frames only, direct 8x8, no cropping, no VUI.
    sps.put(4, 0b1100);

    let mut pps = Bits::default();
    pps.ue(0);
    pps.ue(0);
    pps.put(2, 0);
    [0, 0, 0].into_iter().for_each(|v| pps.ue(v));
    pps.put(3, 0);
    // QP and its offsets: zero.
    [0, 0, 0].into_iter().for_each(|v| pps.ue(v));
    pps.put(3, 0);

    let mut slice = Bits::default();
    // First macroblock, an I slice, the parameter set.
    [0, 7, 0].into_iter().for_each(|v| slice.ue(v));
    slice.put(4, 0);
    slice.ue(n % 2);
    slice.put(2, 0);
    slice.ue(0);
    for _ in 0..MB_WIDTH * MB_HEIGHT {
        slice.ue(25);
        slice.align();
        slice.bytes.extend_from_slice(&[0x80; 256 + 128]);
        slice.used += 8 * (256 + 128);
    }
    [sps.nal(0x67), pps.nal(0x68), slice.nal(0x65)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kring::codec::{Decoded, H264, Picture, VideoCodec as _};

    #[test]
    fn a_decoder_reads_it() {
        let mut decoder = H264.decoder().unwrap();
        let mut picture = Picture::new(2, 2).unwrap();
        for n in 0..3 {
            let bytes = keyframe(n);
            assert!(bytes.len() > 4000);
            assert_eq!(decoder.decode(&bytes, &mut picture).unwrap(), Decoded::Picture);
            assert_eq!((picture.width(), picture.height()), (SIZE.0.into(), SIZE.1.into()));
        }
    }
}
