//! libopus's encoder and decoder by its C interface, for what the `opus` crate does not reach: the decoder's complexity
//! (which turns on neural concealment) and deep redundancy (DRED).
//!
//! Guarantee: every pointer given to libopus is live and of the length it is told; what its functions return is
//! checked before it is believed. All `unsafe` of this codec is in this file.

use std::ffi::c_int;
use std::ptr::NonNull;

use opusic_sys as ffi;

use crate::raw::SAMPLE_RATE;

const RATE: i32 = SAMPLE_RATE as i32;

/// The code by which libopus says what is wrong; see `opus_defines.h`.
pub(super) type Code = c_int;

fn checked(code: c_int) -> Result<usize, Code> {
    usize::try_from(code).map_err(|_| code)
}

/// Whether a packet carries in-band FEC for the frame before it.
pub(super) fn has_fec(packet: &[u8]) -> bool {
    let Ok(length) = i32::try_from(packet.len()) else { return false };
    // SAFETY: the packet is as long as libopus is told.
    length > 0 && unsafe { ffi::opus_packet_has_lbrr(packet.as_ptr(), length) } == 1
}

/// A mono encoder for speech.
#[derive(Debug)]
pub(super) struct RawEncoder(NonNull<ffi::OpusEncoder>);

// SAFETY: the state has no tie to a thread, and `&mut` is asked for to use it.
unsafe impl Send for RawEncoder {}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_encoder_create`, and destroyed once.
        unsafe { ffi::opus_encoder_destroy(self.0.as_ptr()) }
    }
}

impl RawEncoder {
    pub(super) fn new() -> Result<RawEncoder, Code> {
        let mut error = 0;
        // SAFETY: `error` is written to; the result is checked.
        let state = unsafe { ffi::opus_encoder_create(RATE, 1, ffi::OPUS_APPLICATION_VOIP, &raw mut error) };
        checked(error)?;
        NonNull::new(state).map(RawEncoder).ok_or(ffi::OPUS_ALLOC_FAIL)
    }

    /// Sets what takes one number: bit rate, complexity and the like.
    pub(super) fn set(&mut self, request: c_int, value: i32) -> Result<(), Code> {
        // SAFETY: all requests that this crate makes here (see the callers) take one `opus_int32`.
        checked(unsafe { ffi::opus_encoder_ctl(self.0.as_ptr(), request, value) }).map(drop)
    }

    pub(super) fn lookahead(&mut self) -> Result<usize, Code> {
        let mut samples: i32 = 0;
        // SAFETY: this request takes a pointer to an `opus_int32`.
        checked(unsafe {
            ffi::opus_encoder_ctl(self.0.as_ptr(), ffi::OPUS_GET_LOOKAHEAD_REQUEST, &raw mut samples)
        })?;
        checked(samples)
    }

    /// Encodes one frame into `packet` and gives its length.
    pub(super) fn encode(&mut self, pcm: &[f32], packet: &mut [u8]) -> Result<usize, Code> {
        let (samples, room) = (i32::try_from(pcm.len()), i32::try_from(packet.len()));
        let (Ok(samples), Ok(room)) = (samples, room) else { return Err(ffi::OPUS_BAD_ARG) };
        // SAFETY: both slices are as long as libopus is told.
        let length = unsafe {
            ffi::opus_encode_float(self.0.as_ptr(), pcm.as_ptr(), samples, packet.as_mut_ptr(), room)
        };
        checked(length)
    }
}

/// A mono decoder.
#[derive(Debug)]
pub(super) struct RawDecoder(NonNull<ffi::OpusDecoder>);

// SAFETY: the state has no tie to a thread, and `&mut` is asked for to use it.
unsafe impl Send for RawDecoder {}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: made by `opus_decoder_create`, and destroyed once.
        unsafe { ffi::opus_decoder_destroy(self.0.as_ptr()) }
    }
}

impl RawDecoder {
    /// One of `complexity` 0 to 10; from 5 on it conceals by a neural model, if libopus was built with it.
    pub(super) fn new(complexity: i32) -> Result<RawDecoder, Code> {
        let mut error = 0;
        // SAFETY: `error` is written to; the result is checked.
        let state = unsafe { ffi::opus_decoder_create(RATE, 1, &raw mut error) };
        checked(error)?;
        let decoder = NonNull::new(state).map(RawDecoder).ok_or(ffi::OPUS_ALLOC_FAIL)?;
        // SAFETY: this request takes one `opus_int32`.
        checked(unsafe {
            ffi::opus_decoder_ctl(decoder.0.as_ptr(), ffi::OPUS_SET_COMPLEXITY_REQUEST, complexity)
        })?;
        Ok(decoder)
    }

    /// Decodes `packet` to at most `pcm.len()` samples and gives how many they are. Without a packet it conceals; with
    /// `before`, what is wanted is the frame before the packet.
    pub(super) fn decode(&mut self, packet: &[u8], before: bool, pcm: &mut [f32]) -> Result<usize, Code> {
        let (length, room) = (i32::try_from(packet.len()), i32::try_from(pcm.len()));
        let (Ok(length), Ok(room)) = (length, room) else { return Err(ffi::OPUS_BAD_ARG) };
        let data = if packet.is_empty() { std::ptr::null() } else { packet.as_ptr() };
        // SAFETY: both slices are as long as libopus is told; no data stands for a lost packet.
        let samples = unsafe {
            ffi::opus_decode_float(self.0.as_ptr(), data, length, pcm.as_mut_ptr(), room, c_int::from(before))
        };
        checked(samples).map(|samples| samples.min(pcm.len()))
    }

    /// Decodes from `redundancy` what was `offset` samples before the packet that it came with.
    #[cfg(feature = "opus-deep")]
    pub(super) fn decode_deep(
        &mut self,
        redundancy: &Redundancy,
        offset: usize,
        pcm: &mut [f32],
    ) -> Result<usize, Code> {
        let (offset, room) = (i32::try_from(offset), i32::try_from(pcm.len()));
        let (Ok(offset), Ok(room)) = (offset, room) else { return Err(ffi::OPUS_BAD_ARG) };
        // SAFETY: `pcm` is as long as libopus is told; the redundancy was parsed, and is only read.
        let samples = unsafe {
            ffi::opus_decoder_dred_decode_float(
                self.0.as_ptr(),
                redundancy.data.as_ptr(),
                offset,
                pcm.as_mut_ptr(),
                room,
            )
        };
        checked(samples).map(|samples| samples.min(pcm.len()))
    }
}

/// The deep redundancy of one packet, and what reads it.
#[cfg(feature = "opus-deep")]
#[derive(Debug)]
pub(super) struct Redundancy {
    reader: NonNull<ffi::OpusDREDDecoder>,
    data: NonNull<ffi::OpusDRED>,
}

// SAFETY: neither state has a tie to a thread, and `&mut` is asked for to change them.
#[cfg(feature = "opus-deep")]
unsafe impl Send for Redundancy {}

#[cfg(feature = "opus-deep")]
impl Drop for Redundancy {
    fn drop(&mut self) {
        // SAFETY: each was made by its own function, and is destroyed once.
        unsafe {
            ffi::opus_dred_free(self.data.as_ptr());
            ffi::opus_dred_decoder_destroy(self.reader.as_ptr());
        }
    }
}

#[cfg(feature = "opus-deep")]
impl Redundancy {
    pub(super) fn new() -> Result<Redundancy, Code> {
        let (mut error, mut second) = (0, 0);
        // SAFETY: the errors are written to; the results are checked.
        let (reader, data) =
            unsafe { (ffi::opus_dred_decoder_create(&raw mut error), ffi::opus_dred_alloc(&raw mut second)) };
        match (NonNull::new(reader), NonNull::new(data)) {
            (Some(reader), Some(data)) => Ok(Redundancy { reader, data }),
            (reader, data) => {
                // SAFETY: what was made is destroyed once.
                unsafe {
                    reader.inspect(|reader| ffi::opus_dred_decoder_destroy(reader.as_ptr()));
                    data.inspect(|data| ffi::opus_dred_free(data.as_ptr()));
                }
                Err(ffi::OPUS_ALLOC_FAIL)
            }
        }
    }

    /// Reads the redundancy in `packet` back to `most` samples before it. Gives how far before the packet it begins
    /// and ends, in samples; `None` if there is none.
    pub(super) fn parse(&mut self, packet: &[u8], most: usize) -> Option<(usize, usize)> {
        let (length, most) = (i32::try_from(packet.len()).ok()?, i32::try_from(most).ok()?);
        let mut end = 0;
        // SAFETY: the packet is as long as libopus is told; `end` is written to.
        let begin = unsafe {
            ffi::opus_dred_parse(
                self.reader.as_ptr(),
                self.data.as_ptr(),
                packet.as_ptr(),
                length,
                most.min(RATE),
                RATE,
                &raw mut end,
                0,
            )
        };
        let (begin, end) = (usize::try_from(begin).ok()?, usize::try_from(end).unwrap_or(0));
        (begin > end).then_some((begin, end))
    }
}
