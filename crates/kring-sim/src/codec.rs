//! Model codecs: frames that say what they are and what they need.
//!
//! Guarantee: a frame that opens here is bit for bit one that the encoder of the same key made, and the decoder gives
//! out a picture only if it has decoded all that the picture refers to.

use kring_core::time::Time;
use std::collections::VecDeque;

/// Bytes in front of a frame's filling: sequence, reference, capture time, flags.
pub const HEADER: usize = 17;
const KEYFRAME: u8 = 1;
const DISCARDABLE: u8 = 2;

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Counts what one encoder made.
    pub sequence: u32,
    /// The frame that has to be decoded before; itself if none.
    pub reference: u32,
    /// When it was captured, in the world's time.
    pub captured: Time,
    /// Whether later frames may not refer to it.
    pub discardable: bool,
    /// Whether it refers to nothing.
    pub keyframe: bool,
}

impl Marker {
    /// The frame: the marker and a filling that belongs to it, `len` bytes in all but no less than [`HEADER`].
    #[must_use]
    pub fn write(&self, key: u64, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len.max(HEADER));
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.reference.to_be_bytes());
        out.extend_from_slice(&self.captured.as_micros().to_be_bytes());
        let flag = |set, bit| if set { bit } else { 0 };
        out.push(flag(self.keyframe, KEYFRAME) | flag(self.discardable, DISCARDABLE));
        out.resize(len.max(HEADER), 0);
        // FNV-1a: whatever differs in front, the filling does.
        let mix = |seed: u64, byte: &u8| (seed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let seed = out[..HEADER].iter().fold(key, mix);
        fastrand::Rng::with_seed(seed).fill(&mut out[HEADER..]);
        out
    }

    /// What a frame says, if the encoder of `key` made it.
    #[must_use]
    pub fn read(key: u64, frame: &[u8]) -> Option<Marker> {
        let head: &[u8; HEADER] = frame.first_chunk()?;
        let number = |from: usize| u32::from_be_bytes(head[from..from + 4].try_into().expect("four bytes"));
        let captured = u64::from_be_bytes(head[8..16].try_into().expect("eight bytes"));
        let marker = Marker {
            sequence: number(0),
            reference: number(4),
            captured: Time::from_micros(captured),
            discardable: head[16] & DISCARDABLE != 0,
            keyframe: head[16] & KEYFRAME != 0,
        };
        (marker.write(key, frame.len()) == frame).then_some(marker)
    }
}

/// A voice encoder: packets of one size.
#[derive(Debug)]
pub struct Voice {
    /// What fills its packets.
    pub key: u64,
    /// Of each packet, in bytes.
    pub size: usize,
    next: u32,
}

impl Voice {
    /// One that begins with packet 0.
    #[must_use]
    pub fn new(key: u64, size: usize) -> Voice {
        Voice { key, size, next: 0 }
    }

    /// The next packet.
    pub fn encode(&mut self, captured: Time) -> Vec<u8> {
        let sequence = self.next;
        self.next += 1;
        let marker = Marker { sequence, reference: sequence, captured, discardable: true, keyframe: true };
        marker.write(self.key, self.size)
    }
}

/// A picture encoder: each frame refers to the last one that is not discardable, unless told to go back behind it.
#[derive(Debug)]
pub struct Pictures {
    /// What fills its frames.
    pub key: u64,
    next: u32,
    reference: Option<u32>,
}

impl Pictures {
    /// One whose first frame is a keyframe.
    #[must_use]
    pub fn new(key: u64) -> Pictures {
        Pictures { key, next: 0, reference: None }
    }

    /// The next frame and what it is, `len` bytes long, ten times that if it is a keyframe.
    pub fn encode(
        &mut self,
        captured: Time,
        keyframe: bool,
        discardable: bool,
        len: usize,
    ) -> (Marker, Vec<u8>) {
        let sequence = self.next;
        self.next += 1;
        let reference = self.reference.filter(|_| !keyframe);
        let keyframe = reference.is_none();
        let discardable = discardable && !keyframe;
        let reference = reference.unwrap_or(sequence);
        let marker = Marker { sequence, reference, captured, discardable, keyframe };
        if !discardable {
            self.reference = Some(sequence);
        }
        (marker, marker.write(self.key, if keyframe { len * 10 } else { len }))
    }

    /// What comes next refers to frame `sequence`, which is not discardable; to nothing if it is `None`.
    pub fn go_back(&mut self, sequence: Option<u32>) {
        self.reference = sequence;
    }
}

/// How many frames a decoder keeps.
const REFERENCES: usize = 100;

/// A picture decoder: it keeps what it decoded lately.
#[derive(Debug, Default)]
pub struct Decoder {
    references: VecDeque<u32>,
}

impl Decoder {
    /// Takes a frame; whether it could be decoded.
    #[must_use]
    pub fn decode(&mut self, frame: &Marker) -> bool {
        let decodable = frame.keyframe || self.references.contains(&frame.reference);
        if decodable && !frame.discardable {
            self.references.push_back(frame.sequence);
            if self.references.len() > REFERENCES {
                self.references.pop_front();
            }
        }
        decodable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_frame_does_not_open() {
        let frame = Voice::new(7, 80).encode(Time::from_millis(3));
        assert_eq!(Marker::read(7, &frame).unwrap().captured, Time::from_millis(3));
        assert_eq!(Marker::read(8, &frame), None);
        for at in 0..frame.len() {
            let mut other = frame.clone();
            other[at] ^= 1;
            assert_eq!(Marker::read(7, &other), None, "byte {at}");
        }
    }

    #[test]
    fn a_frame_without_its_reference_is_not_decoded() {
        let mut camera = Pictures::new(1);
        let mut next = |discardable| camera.encode(Time::ZERO, false, discardable, 50).0;
        let (key, base, extra, after) = (next(false), next(false), next(true), next(false));
        let mut decoder = Decoder::default();
        assert!(!decoder.decode(&base));
        assert!(decoder.decode(&key));
        assert!(!decoder.decode(&after));
        assert!(decoder.decode(&base));
        assert!(decoder.decode(&after), "the one left out is discardable");
        assert!(!decoder.decode(&extra));
    }
}
