//! The decoder: whole pictures or none. What it is given may come from a stranger.

use std::borrow::Cow;
use std::ptr::NonNull;

use openh264_sys2 as ffi;

use crate::error::DecodeError;
use crate::raw::Picture;
use crate::video::{Decoded, VideoDecoder};

use super::references::References;
use super::syntax::{Headers, Slice};
use super::{MAX_ACCESS_UNIT, annexb};

/// Decodes H.264.
pub struct H264Decoder {
    handle: Handle,
    headers: Headers,
    /// The pictures kept that are whole.
    kept: References<()>,
    /// The `frame_num` of the last picture kept; `None` before the first keyframe, and after one that was damaged.
    last: Option<u32>,
    /// Something was missing or damaged since the last keyframe: a picture has to say what it is predicted from.
    gap: bool,
}

impl H264Decoder {
    /// Makes a decoder.
    ///
    /// # Errors
    /// [`DecodeError::Codec`] when OpenH264 cannot be set up, as when memory runs out.
    pub fn new() -> Result<Self, DecodeError> {
        let (headers, kept) = (Headers::default(), References::default());
        Ok(Self { handle: Handle::new()?, headers, kept, last: None, gap: false })
    }

    /// Whether all that a picture is predicted from is there, as far as its first reference tells.
    fn has_references(&mut self, slice: &Slice) -> bool {
        if slice.idr.is_some() {
            return true;
        }
        let Some(last) = self.last else { return false };
        // Section 7.4.3: it counts the pictures that are kept.
        self.gap |= slice.frame_num != last && slice.frame_num != (last + 1) % slice.modulus;
        if !slice.is_predicted {
            return true;
        }
        match slice.refers_to {
            None => !self.gap,
            Some(_) => self.kept.of(slice).is_some(),
        }
    }
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, data: &[u8], picture: &mut Picture) -> Result<Decoded, DecodeError> {
        if data.is_empty() || data.len() > MAX_ACCESS_UNIT {
            return Err(DecodeError::PacketLength { most: MAX_ACCESS_UNIT, got: data.len() });
        }
        let slice = match self.headers.read(data) {
            Ok(slice) => slice,
            // The parameters that it names come with a keyframe.
            Err(_) if self.last.is_none() && !annexb::is_keyframe(data) => {
                return Err(DecodeError::NeedsKeyframe);
            }
            Err(expected) => {
                self.gap = true;
                return Err(DecodeError::Refused { codec: "h264", expected });
            }
        };
        let Some(slice) = slice else { return self.handle.decode(data, picture) };
        if !self.has_references(&slice) {
            return Err(DecodeError::NeedsKeyframe);
        }
        let keyframe = slice.idr.is_some();
        match self.handle.decode(&in_order(data), picture) {
            // Of streams with reordering, OpenH264 hands a picture out only with the next one.
            Ok(decoded) => {
                self.gap &= !keyframe;
                self.kept.remember(&slice, ());
                if slice.is_reference {
                    self.last = Some(slice.frame_num);
                }
                Ok(decoded)
            }
            Err(error) => {
                self.gap = true;
                if keyframe {
                    // What a damaged keyframe left behind must not harm the next one.
                    (self.handle, self.last) = (Handle::new()?, None);
                }
                Err(error)
            }
        }
    }
}

/// The same stream, if it is of the main profile and says that it has no B pictures (`constraint_set5_flag`), as a baseline
/// stream with CABAC. OpenH264 holds each picture of other profiles back until the next, and takes a way through
/// its lists of references for them that loses count of long-term ones: they come out garbled, without an error.
fn in_order(data: &[u8]) -> Cow<'_, [u8]> {
    const MAIN: u8 = 77;
    const BASELINE: u8 = 66;
    const WITHOUT_B: u8 = 0x04;
    let mut data = Cow::Borrowed(data);
    let is_main = |nal: &annexb::Nal<'_>| {
        nal.kind() == annexb::SEQUENCE
            && matches!(nal.bytes(), [_, MAIN, constraints, ..] if constraints & WITHOUT_B != 0)
    };
    let places: Vec<usize> = annexb::nals(&data).filter(is_main).map(|nal| nal.begin() + 1).collect();
    for place in places {
        data.to_mut()[place] = BASELINE;
    }
    data
}

fn failed(operation: &'static str, code: impl Into<i64>) -> DecodeError {
    DecodeError::Codec { codec: "h264", operation, code: code.into() }
}

/// An OpenH264 decoder that is set up, and the calls used of it.
struct Handle(NonNull<ffi::ISVCDecoder>);

// SAFETY: OpenH264's decoder, used without threads of its own, has no ties to the thread that made it; it may
// be used from any one thread at a time, and `Handle` is neither `Sync` nor cloned.
unsafe impl Send for Handle {}

impl Handle {
    fn new() -> Result<Self, DecodeError> {
        let mut object = std::ptr::null_mut();
        // SAFETY: `object` is a place for the pointer that is written.
        let code = unsafe { ffi::source::APILoader::WelsCreateDecoder(&mut object) };
        let handle = NonNull::new(object).filter(|_| code == 0).map(Self);
        let handle = handle.ok_or_else(|| failed("creation", code))?;
        let mut quiet = ffi::WELS_LOG_QUIET;
        let mut parameters =
            ffi::SDecodingParam { eEcActiveIdc: ffi::ERROR_CON_DISABLE, ..Default::default() };
        parameters.sVideoProperty.eVideoBsType = ffi::VIDEO_BITSTREAM_AVC;
        // SAFETY: the object is alive; the trace level is an int, as OpenH264 wants it; both values are only read
        // during the calls.
        let code = unsafe {
            let object = handle.0.as_ptr();
            let set = (**object).SetOption.ok_or_else(|| failed("setup", -1))?;
            set(object, ffi::DECODER_OPTION_TRACE_LEVEL, std::ptr::from_mut(&mut quiet).cast());
            let initialize = (**object).Initialize.ok_or_else(|| failed("setup", -1))?;
            initialize(object, &parameters)
        };
        if code == 0 { Ok(handle) } else { Err(failed("setup", code)) }
    }

    /// Decodes one access unit; copies a picture only when nothing at all was wrong.
    fn decode(&mut self, data: &[u8], picture: &mut Picture) -> Result<Decoded, DecodeError> {
        let mut planes = [std::ptr::null_mut(); 3];
        let mut info = ffi::SBufferInfo::default();
        // SAFETY: the object is alive; `data` is only read, and only during the call; `planes` and `info` are
        // places for what is written.
        let state = unsafe {
            let object = self.0.as_ptr();
            let decode = (**object).DecodeFrameNoDelay.ok_or_else(|| failed("decode", -1))?;
            decode(object, data.as_ptr(), data.len() as i32, planes.as_mut_ptr(), &mut info)
        };
        if state != ffi::dsErrorFree {
            return Err(DecodeError::NeedsKeyframe);
        }
        if info.iBufferStatus != 1 || planes.iter().any(|plane| plane.is_null()) {
            return Ok(Decoded::Nothing);
        }
        // SAFETY: the union has this one member, plain numbers.
        let buffer = unsafe { info.UsrData.sSystemBuffer };
        let size = |side: i32| u32::try_from(side).unwrap_or(0);
        picture.reset(size(buffer.iWidth), size(buffer.iHeight))?;
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let (y, u, v) = picture.planes_mut();
        for (plane, from, stride, width, height) in [
            (y, planes[0], buffer.iStride[0], width, height),
            (u, planes[1], buffer.iStride[1], width / 2, height / 2),
            (v, planes[2], buffer.iStride[1], width / 2, height / 2),
        ] {
            let stride = usize::try_from(stride).ok().filter(|&stride| stride >= width);
            let stride = stride.ok_or_else(|| failed("decode", -1))?;
            // SAFETY: the decoder says that a whole picture of this size and stride lies at `from`; it stays
            // there until the decoder is used again, which `&mut self` rules out.
            let from = unsafe { std::slice::from_raw_parts(from, stride * (height - 1) + width) };
            for (to, from) in plane.chunks_exact_mut(width).zip(from.chunks(stride)) {
                to.copy_from_slice(&from[..width]);
            }
        }
        Ok(Decoded::Picture)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the object is alive and not used after this.
        unsafe {
            let object = self.0.as_ptr();
            if let Some(uninitialize) = (**object).Uninitialize {
                uninitialize(object);
            }
            ffi::source::APILoader::WelsDestroyDecoder(object);
        }
    }
}
