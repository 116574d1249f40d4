//! The encoder: keyframes come when asked for and at the start, and the rate holds over a few seconds.

use std::ptr::NonNull;
use std::time::Duration;

use openh264_sys2 as ffi;

use crate::error::EncodeError;
use crate::raw::Picture;
use crate::video::{ContentHint, EncodedVideo, VideoEncoder, VideoSettings};

use super::annexb;

/// Macroblocks of the largest picture, level 5.2.
const MAX_MACROBLOCKS: u32 = 36_864;

/// Encodes to H.264.
pub struct H264Encoder {
    handle: Handle,
    settings: VideoSettings,
    /// A keyframe that was asked for and has not come yet.
    owed: bool,
    /// The next picture's number, and that of the last one that others may refer to.
    next: u32,
    reference: Option<u32>,
    /// Milliseconds of the last picture.
    last: i64,
}

impl H264Encoder {
    /// Makes an encoder.
    ///
    /// # Errors
    /// [`EncodeError::Setting`] when a setting is out of range, [`EncodeError::Codec`] when OpenH264 cannot
    /// be set up.
    pub fn new(settings: &VideoSettings) -> Result<Self, EncodeError> {
        check(settings)?;
        let handle = Handle::new(settings)?;
        Ok(Self { handle, settings: *settings, owed: true, next: 0, reference: None, last: -1 })
    }

    /// Begins anew with another picture size.
    fn restart(&mut self, width: u32, height: u32) -> Result<(), EncodeError> {
        let settings = VideoSettings { width, height, ..self.settings };
        *self = Self { last: self.last, next: self.next, ..Self::new(&settings)? };
        Ok(())
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(
        &mut self,
        picture: &Picture,
        at: Duration,
        keyframe: bool,
    ) -> Result<Option<EncodedVideo>, EncodeError> {
        if (picture.width(), picture.height()) != (self.settings.width, self.settings.height) {
            self.restart(picture.width(), picture.height())?;
        }
        // OpenH264's rate control counts on time that goes forward.
        self.last = i64::try_from(at.as_millis()).unwrap_or(i64::MAX).max(self.last + 1);
        self.owed |= keyframe;
        if self.owed {
            self.handle.force_keyframe()?;
        }
        let encoded = self.handle.encode(picture, self.last)?;
        let Some(mut encoded) = encoded else { return Ok(None) };
        self.owed &= !encoded.keyframe;
        encoded.number = self.next;
        encoded.refers_to = self.reference.filter(|_| !encoded.keyframe);
        self.next = self.next.wrapping_add(1);
        if !encoded.discardable {
            self.reference = Some(encoded.number);
        }
        Ok(Some(encoded))
    }

    fn set_rate(&mut self, bits_per_second: u32, frames_per_second: f32) -> Result<(), EncodeError> {
        let settings = VideoSettings { bits_per_second, frames_per_second, ..self.settings };
        check(&settings)?;
        self.handle.set_rate(&self.settings, &settings)?;
        self.settings = settings;
        Ok(())
    }

    fn settings(&self) -> &VideoSettings {
        &self.settings
    }
}

fn check(settings: &VideoSettings) -> Result<(), EncodeError> {
    let VideoSettings { width, height, frames_per_second, bits_per_second, .. } = *settings;
    let refuse = |setting, expected, got| Err(EncodeError::Setting { setting, expected, got });
    let side = |side: u32| (16..=4096).contains(&side) && side.is_multiple_of(2);
    let blocks = || width.div_ceil(16) * height.div_ceil(16);
    if !side(width) || !side(height) || blocks() > MAX_MACROBLOCKS {
        return refuse(
            "picture size",
            "even, 16 to 4096 a side, 4096x2304 at most",
            format!("{width}x{height}"),
        );
    }
    if !(1.0..=60.0).contains(&frames_per_second) {
        return refuse("frames per second", "1 to 60", frames_per_second.to_string());
    }
    if !(10_000..=100_000_000).contains(&bits_per_second) {
        return refuse("bits per second", "10,000 to 100,000,000", bits_per_second.to_string());
    }
    Ok(())
}

fn failed(operation: &'static str, code: i32) -> EncodeError {
    EncodeError::Codec { codec: "h264", operation, code: code.into() }
}

/// The ceiling that goes with a rate; OpenH264 wants one above it.
fn ceiling(bits_per_second: u32) -> i32 {
    (bits_per_second + bits_per_second / 2) as i32
}

/// Sets `parameters`, which come with OpenH264's defaults.
fn configure(parameters: &mut ffi::SEncParamExt, settings: &VideoSettings) {
    let screen = settings.content == ContentHint::Screen;
    parameters.iUsageType = if screen { ffi::SCREEN_CONTENT_REAL_TIME } else { ffi::CAMERA_VIDEO_REAL_TIME };
    parameters.iPicWidth = settings.width as i32;
    parameters.iPicHeight = settings.height as i32;
    parameters.iTargetBitrate = settings.bits_per_second as i32;
    parameters.iMaxBitrate = ceiling(settings.bits_per_second);
    // Counts with the pictures' times rather than the nominal rate. On a drawn 360p talking head at 0.3 to 2 Mbit/s
    // it held the rate within 1 % and skipped nothing; RC_BITRATE_MODE skipped up to 7 of 1320 pictures, with
    // first keyframes a third larger at 0.3 and 0.7 Mbit/s.
    parameters.iRCMode = ffi::RC_TIMESTAMP_MODE;
    parameters.bEnableFrameSkip = true;
    parameters.fMaxFrameRate = settings.frames_per_second;
    // MEDIUM and HIGH gain 0.1 dB for a tenth more time.
    parameters.iComplexityMode = ffi::LOW_COMPLEXITY;
    parameters.uiIntraPeriod = 0;
    parameters.eSpsPpsIdStrategy = ffi::CONSTANT_ID;
    parameters.iMultipleThreadIdc = 1;
    // Saves about a fifth of the time, but costs 0.9 dB at 1.7 Mbit/s (0.1 at 0.3).
    parameters.bEnableBackgroundDetection = false;
    // A keyframe at each cut would burst the rate. For screens OpenH264 insists on it.
    parameters.bEnableSceneChangeDetect = screen;
    parameters.bEnableDenoise = false;
    let layer = &mut parameters.sSpatialLayers[0];
    layer.iVideoWidth = parameters.iPicWidth;
    layer.iVideoHeight = parameters.iPicHeight;
    layer.fFrameRate = parameters.fMaxFrameRate;
    layer.iSpatialBitrate = parameters.iTargetBitrate;
    layer.iMaxSpatialBitrate = parameters.iMaxBitrate;
    layer.uiProfileIdc = ffi::PRO_BASELINE;
    layer.sSliceArgument.uiSliceMode = ffi::SM_SINGLE_SLICE;
}

/// What OpenH264 wrote, as one packet; `None` when it left the picture out.
///
/// # Safety
/// `output` was filled by a successful `EncodeFrame` of an encoder that was not used or dropped since.
unsafe fn collect(output: &ffi::SFrameBSInfo) -> Option<EncodedVideo> {
    if matches!(output.eFrameType, ffi::videoFrameTypeSkip | ffi::videoFrameTypeInvalid) {
        return None;
    }
    let mut data = Vec::with_capacity(output.iFrameSizeInBytes.max(0) as usize);
    let mut temporal_layer = 0;
    for layer in output.sLayerInfo.iter().take(output.iLayerNum.max(0) as usize) {
        if i32::from(layer.uiLayerType) == ffi::VIDEO_CODING_LAYER {
            temporal_layer = layer.uiTemporalId;
        }
        if layer.pBsBuf.is_null() || layer.pNalLengthInByte.is_null() || layer.iNalCount <= 0 {
            continue;
        }
        // SAFETY: the encoder keeps `iNalCount` lengths at `pNalLengthInByte` until it is used again, which the
        // caller rules out.
        let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, layer.iNalCount as usize) };
        let length = lengths.iter().map(|&length| length.max(0) as usize).sum();
        // SAFETY: the layer's NAL units lie one after the other at `pBsBuf`, valid for just as long.
        data.extend_from_slice(unsafe { std::slice::from_raw_parts(layer.pBsBuf, length) });
    }
    if data.is_empty() {
        return None;
    }
    let keyframe = annexb::nals(&data).any(|nal| nal.is_idr());
    let discardable = !annexb::nals(&data).any(|nal| nal.is_slice() && nal.is_reference());
    Some(EncodedVideo {
        data,
        number: 0,
        refers_to: None,
        keyframe,
        discardable,
        temporal_layer,
        spatial_layer: 0,
    })
}

/// An OpenH264 encoder that is set up, and the calls used of it.
struct Handle(NonNull<ffi::ISVCEncoder>);

// SAFETY: OpenH264's encoder has no ties to the thread that made it; it may be used from any one thread at
// a time, and `Handle` is neither `Sync` nor cloned.
unsafe impl Send for Handle {}

/// Calls a method of the C++ object behind a handle; -1 when there is none.
macro_rules! call {
    ($handle:expr, $method:ident $(, $argument:expr)*) => {{
        let object = $handle.0.as_ptr();
        (**object).$method.map_or(-1, |method| method(object $(, $argument)*))
    }};
}

impl Handle {
    fn new(settings: &VideoSettings) -> Result<Self, EncodeError> {
        let mut object = std::ptr::null_mut();
        // SAFETY: `object` is a place for the pointer that is written.
        let code = unsafe { ffi::source::APILoader::WelsCreateSVCEncoder(&mut object) };
        let handle = NonNull::new(object).filter(|_| code == 0).map(Self);
        let handle = handle.ok_or_else(|| failed("creation", code))?;
        handle.option("setup", ffi::ENCODER_OPTION_TRACE_LEVEL, &mut ffi::WELS_LOG_QUIET.clone())?;
        let mut parameters = ffi::SEncParamExt::default();
        // SAFETY: the object is alive and `parameters` is a place for what is written.
        let code = unsafe { call!(handle, GetDefaultParams, &mut parameters) };
        if code != 0 {
            return Err(failed("setup", code));
        }
        configure(&mut parameters, settings);
        // SAFETY: the object is alive and reads `parameters` only during the call.
        match unsafe { call!(handle, InitializeExt, &parameters) } {
            0 => Ok(handle),
            code => Err(failed("setup", code)),
        }
    }

    fn force_keyframe(&self) -> Result<(), EncodeError> {
        // SAFETY: the object is alive.
        match unsafe { call!(self, ForceIntraFrame, true) } {
            0 => Ok(()),
            code => Err(failed("keyframe", code)),
        }
    }

    fn encode(&mut self, picture: &Picture, at: i64) -> Result<Option<EncodedVideo>, EncodeError> {
        let mut output = ffi::SFrameBSInfo::default();
        let (width, height) = (picture.width() as i32, picture.height() as i32);
        let plane = |plane: &[u8]| plane.as_ptr().cast_mut();
        let source = ffi::SSourcePicture {
            iColorFormat: ffi::videoFormatI420,
            iStride: [width, width / 2, width / 2, 0],
            pData: [plane(picture.y()), plane(picture.u()), plane(picture.v()), std::ptr::null_mut()],
            iPicWidth: width,
            iPicHeight: height,
            uiTimeStamp: at,
            ..Default::default()
        };
        // SAFETY: the object is alive; the planes have the lengths that size and strides say and are only
        // read, and only during the call; `output` is a place for what is written.
        match unsafe { call!(self, EncodeFrame, &source, &mut output) } {
            // SAFETY: the encoder filled `output` just now and is not used again before `collect` is done.
            0 => Ok(unsafe { collect(&output) }),
            code => Err(failed("encode", code)),
        }
    }

    fn set_rate(&self, old: &VideoSettings, new: &VideoSettings) -> Result<(), EncodeError> {
        if new.frames_per_second != old.frames_per_second {
            let mut rate = new.frames_per_second;
            self.option("frame rate", ffi::ENCODER_OPTION_FRAME_RATE, &mut rate)?;
        }
        let info = |rate| ffi::SBitrateInfo { iLayer: ffi::SPATIAL_LAYER_0, iBitrate: rate };
        let target = (ffi::ENCODER_OPTION_BITRATE, info(new.bits_per_second as i32));
        let most = (ffi::ENCODER_OPTION_MAX_BITRATE, info(ceiling(new.bits_per_second)));
        // At no moment may the target exceed the ceiling: OpenH264 would refuse.
        let up = new.bits_per_second > old.bits_per_second;
        for (option, mut info) in if up { [most, target] } else { [target, most] } {
            self.option("bit rate", option, &mut info)?;
        }
        Ok(())
    }

    /// Sets an option; `value` is of the type that OpenH264 names for it.
    fn option<T>(
        &self,
        what: &'static str,
        option: ffi::ENCODER_OPTION,
        value: &mut T,
    ) -> Result<(), EncodeError> {
        // SAFETY: the object is alive, reads a value of the option's type, which every caller in this file
        // passes, and keeps no pointer to it.
        match unsafe { call!(self, SetOption, option, std::ptr::from_mut(value).cast()) } {
            0 => Ok(()),
            code => Err(failed(what, code)),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the object is alive and not used after this.
        unsafe {
            let _ = call!(self, Uninitialize);
            ffi::source::APILoader::WelsDestroySVCEncoder(self.0.as_ptr());
        }
    }
}
