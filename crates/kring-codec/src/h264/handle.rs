//! The calls used of OpenH264's encoder: the one place where its pointers are followed.

use std::ffi::c_int;
use std::ptr::NonNull;

use openh264_sys2 as ffi;

use super::annexb;
use super::recovery::Tell;
use crate::error::EncodeError;
use crate::raw::Picture;
use crate::video::{ContentHint, VideoSettings};

/// A picture size that an encoder makes, and the rate that it may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits_per_second: u32,
}

/// One picture of one size, as OpenH264 wrote it.
pub(super) struct Written {
    pub(super) data: Vec<u8>,
    pub(super) size: usize,
    pub(super) temporal_layer: u8,
    pub(super) keyframe: bool,
    pub(super) discardable: bool,
}

/// How OpenH264 spends time: less of it where bits are plenty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    Low,
    Medium,
}

/// How many pictures of the base layer pass between two that are kept for the long term.
const MARK_PERIOD: u32 = 8;

/// No picture gets finer than this: 38.2 dB and an SSIM of .947 on a talking head with camera grain, at 0.7 Mbit/s. With 22 it would be
/// 39.7 and .960, for 1.6 times the bits and 1.2 times the processor's time at both ends. Text on a screen may.
const FINEST: i32 = 24;
const FINEST_SCREEN: i32 = 12;

fn failed(operation: &'static str, code: i32) -> EncodeError {
    EncodeError::Codec { codec: "h264", operation, code: code.into() }
}

/// The ceiling that goes with a rate; OpenH264 wants one above it.
fn ceiling(bits_per_second: u32) -> i32 {
    (bits_per_second + bits_per_second / 2) as i32
}

/// Sets `parameters`, which come with OpenH264's defaults.
fn configure(parameters: &mut ffi::SEncParamExt, settings: &VideoSettings, sizes: &[Size], effort: Effort) {
    let screen = settings.content == ContentHint::Screen;
    let largest = sizes.last().copied().unwrap_or(Size { width: 16, height: 16, bits_per_second: 0 });
    parameters.iUsageType = if screen { ffi::SCREEN_CONTENT_REAL_TIME } else { ffi::CAMERA_VIDEO_REAL_TIME };
    parameters.iPicWidth = largest.width as i32;
    parameters.iPicHeight = largest.height as i32;
    parameters.iTargetBitrate = sizes.iter().map(|size| size.bits_per_second as i32).sum();
    parameters.iMaxBitrate = ceiling(parameters.iTargetBitrate as u32);
    // Counts with the pictures' times rather than the nominal rate. At 170 kbit/s it is 0.35 dB better than
    // RC_QUALITY_MODE and skips nothing, where that skips and RC_BITRATE_MODE has keyframes half as large again;
    // at most 1.2 times the rate comes in any half a second, 1.06 times with theirs.
    parameters.iRCMode = ffi::RC_TIMESTAMP_MODE;
    parameters.bEnableFrameSkip = true;
    parameters.fMaxFrameRate = settings.frames_per_second;
    parameters.iComplexityMode = complexity(effort);
    // CABAC instead of CAVLC: 0.95 dB at 170 kbit/s, 0.35 at 850, for a quarter more time to encode and half as much to
    // decode. It needs the main profile; there is no picture out of order all the same.
    parameters.iEntropyCodingModeFlag = 1;
    // A little less deblocking: 0.1 dB and .002 of SSIM at 850 kbit/s, nothing at 170.
    parameters.iLoopFilterAlphaC0Offset = -2;
    parameters.iLoopFilterBetaOffset = -1;
    parameters.iMinQp = if screen { FINEST_SCREEN } else { FINEST };
    parameters.uiIntraPeriod = 0;
    parameters.eSpsPpsIdStrategy = ffi::CONSTANT_ID;
    parameters.iMultipleThreadIdc = 1;
    parameters.iTemporalLayerNum = settings.temporal_layers.into();
    // Pictures to fall back on after a loss; costs no bits until then. OpenH264's screen mode uses them otherwise.
    parameters.bEnableLongTermReference = !screen;
    parameters.iLTRRefNum = if screen { 0 } else { 2 };
    parameters.iLtrMarkPeriod = MARK_PERIOD;
    // Saves about a fifth of the time, but costs 0.3 dB.
    parameters.bEnableBackgroundDetection = false;
    // A keyframe at each cut would burst the rate. For screens OpenH264 insists on it.
    parameters.bEnableSceneChangeDetect = screen;
    parameters.bEnableDenoise = false;
    parameters.iSpatialLayerNum = sizes.len() as i32;
    parameters.bSimulcastAVC = sizes.len() > 1;
    for (layer, size) in parameters.sSpatialLayers.iter_mut().zip(sizes) {
        layer.iVideoWidth = size.width as i32;
        layer.iVideoHeight = size.height as i32;
        layer.fFrameRate = settings.frames_per_second;
        layer.iSpatialBitrate = size.bits_per_second as i32;
        layer.iMaxSpatialBitrate = ceiling(size.bits_per_second);
        layer.uiProfileIdc = ffi::PRO_MAIN;
        // Slices that fit a packet each cost 0.6 dB, and rate control skips every twentieth picture with them.
        layer.sSliceArgument.uiSliceMode = ffi::SM_SINGLE_SLICE;
    }
}

fn complexity(effort: Effort) -> ffi::ECOMPLEXITY_MODE {
    match effort {
        Effort::Low => ffi::LOW_COMPLEXITY,
        Effort::Medium => ffi::MEDIUM_COMPLEXITY,
    }
}

/// What OpenH264 wrote, one packet for each size; none of a size that it left out.
///
/// # Safety
/// `output` was filled by a successful `EncodeFrame` of an encoder that was not used or dropped since.
unsafe fn collect(output: &ffi::SFrameBSInfo, sizes: usize) -> Vec<Written> {
    let mut written: Vec<Written> = Vec::new();
    if matches!(output.eFrameType, ffi::videoFrameTypeSkip | ffi::videoFrameTypeInvalid) {
        return written;
    }
    for layer in output.sLayerInfo.iter().take(output.iLayerNum.max(0) as usize) {
        if layer.pBsBuf.is_null() || layer.pNalLengthInByte.is_null() || layer.iNalCount <= 0 {
            continue;
        }
        // SAFETY: the encoder keeps `iNalCount` lengths at `pNalLengthInByte` until it is used again, which the
        // caller rules out.
        let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, layer.iNalCount as usize) };
        let length = lengths.iter().map(|&length| length.max(0) as usize).sum();
        // SAFETY: the layer's NAL units lie one after the other at `pBsBuf`, valid for just as long.
        let data = unsafe { std::slice::from_raw_parts(layer.pBsBuf, length) };
        // Parameters come before the pictures that need them.
        let size = if sizes > 1 { usize::from(layer.uiSpatialId).min(sizes - 1) } else { 0 };
        let at = written.iter().position(|one| one.size == size).unwrap_or_else(|| {
            let data = Vec::with_capacity(output.iFrameSizeInBytes.max(0) as usize);
            written.push(Written { data, size, temporal_layer: 0, keyframe: false, discardable: false });
            written.len() - 1
        });
        written[at].data.extend_from_slice(data);
        if i32::from(layer.uiLayerType) == ffi::VIDEO_CODING_LAYER {
            written[at].temporal_layer = layer.uiTemporalId;
        }
    }
    written.retain(|one| annexb::nals(&one.data).any(|nal| nal.is_slice()));
    for one in &mut written {
        one.keyframe = annexb::is_keyframe(&one.data);
        one.discardable = annexb::is_discardable(&one.data);
    }
    written
}

/// An OpenH264 encoder that is set up.
pub(super) struct Handle {
    object: NonNull<ffi::ISVCEncoder>,
    sizes: usize,
}

// SAFETY: OpenH264's encoder has no ties to the thread that made it; it may be used from any one thread at
// a time, and `Handle` is neither `Sync` nor cloned.
unsafe impl Send for Handle {}

/// Calls a method of the C++ object behind a handle; -1 when there is none.
macro_rules! call {
    ($handle:expr, $method:ident $(, $argument:expr)*) => {{
        let object = $handle.object.as_ptr();
        (**object).$method.map_or(-1, |method| method(object $(, $argument)*))
    }};
}

impl Handle {
    /// Sets up an encoder of up to three sizes, the smallest first; pictures come in the largest.
    pub(super) fn new(settings: &VideoSettings, sizes: &[Size], effort: Effort) -> Result<Self, EncodeError> {
        let mut object = std::ptr::null_mut();
        // SAFETY: `object` is a place for the pointer that is written.
        let code = unsafe { ffi::source::APILoader::WelsCreateSVCEncoder(&mut object) };
        let object = NonNull::new(object).filter(|_| code == 0);
        let object = object.ok_or_else(|| failed("creation", code))?;
        let handle = Self { object, sizes: sizes.len() };
        handle.option("setup", ffi::ENCODER_OPTION_TRACE_LEVEL, &mut ffi::WELS_LOG_QUIET.clone())?;
        let mut parameters = ffi::SEncParamExt::default();
        // SAFETY: the object is alive and `parameters` is a place for what is written.
        let code = unsafe { call!(handle, GetDefaultParams, &mut parameters) };
        if code != 0 {
            return Err(failed("setup", code));
        }
        configure(&mut parameters, settings, sizes, effort);
        // SAFETY: the object is alive and reads `parameters` only during the call.
        match unsafe { call!(handle, InitializeExt, &parameters) } {
            0 => Ok(handle),
            code => Err(failed("setup", code)),
        }
    }

    /// Has the next picture of a size be a keyframe.
    pub(super) fn force_keyframe(&self, size: usize) -> Result<(), EncodeError> {
        type Force = unsafe extern "C" fn(*mut ffi::ISVCEncoder, bool, c_int) -> c_int;
        let object = self.object.as_ptr();
        // SAFETY: the object is alive. The method of the C++ class takes the number of a size as well (`codec_api.h`);
        // its description in C lacks that, so that OpenH264 would find there whatever a register holds.
        let code = unsafe {
            let force = (**object).ForceIntraFrame.ok_or_else(|| failed("keyframe", -1))?;
            let force = std::mem::transmute::<unsafe extern "C" fn(_, _) -> _, Force>(force);
            force(object, true, size as c_int)
        };
        if code == 0 { Ok(()) } else { Err(failed("keyframe", code)) }
    }

    /// Encodes a picture of the largest size, at so many milliseconds.
    pub(super) fn encode(&mut self, picture: &Picture, at: i64) -> Result<Vec<Written>, EncodeError> {
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
            0 => Ok(unsafe { collect(&output, self.sizes) }),
            code => Err(failed("encode", code)),
        }
    }

    pub(super) fn set_frames_per_second(&self, mut rate: f32) -> Result<(), EncodeError> {
        self.option("frame rate", ffi::ENCODER_OPTION_FRAME_RATE, &mut rate)
    }

    /// Changes the rate of a size, in bits a second.
    pub(super) fn set_rate(&self, size: usize, old: u32, new: u32) -> Result<(), EncodeError> {
        let layer = size as ffi::LAYER_NUM;
        let info = |rate| ffi::SBitrateInfo { iLayer: layer, iBitrate: rate };
        let target = (ffi::ENCODER_OPTION_BITRATE, info(new as i32));
        let most = (ffi::ENCODER_OPTION_MAX_BITRATE, info(ceiling(new)));
        // At no moment may the target exceed the ceiling: OpenH264 would refuse.
        for (option, mut info) in if new > old { [most, target] } else { [target, most] } {
            self.option("bit rate", option, &mut info)?;
        }
        Ok(())
    }

    pub(super) fn set_effort(&self, effort: Effort) -> Result<(), EncodeError> {
        self.option("effort", ffi::ENCODER_OPTION_COMPLEXITY, &mut complexity(effort))
    }

    /// Passes on what the peer's decoder has or lacks of a size.
    pub(super) fn tell(&self, size: usize, what: Tell) -> Result<(), EncodeError> {
        let layer = size as i32;
        let marked = |kind, idr, frame_num: u32| ffi::SLTRMarkingFeedback {
            uiFeedbackType: kind,
            uiIDRPicId: idr,
            iLTRFrameNum: frame_num as i32,
            iLayerId: layer,
        };
        let mut feedback = match what {
            Tell::Marked { idr, frame_num } => marked(ffi::LTR_MARKING_SUCCESS as u32, idr, frame_num),
            Tell::NotMarked { idr, frame_num } => marked(ffi::LTR_MARKING_FAILED as u32, idr, frame_num),
            Tell::Recover { idr } => {
                // With -1 it goes back to whatever was confirmed.
                let mut request = ffi::SLTRRecoverRequest {
                    uiFeedbackType: ffi::LTR_RECOVERY_REQUEST as u32,
                    uiIDRPicId: idr,
                    iLastCorrectFrameNum: 0,
                    iCurrentFrameNum: -1,
                    iLayerId: layer,
                };
                return self.option("recovery", ffi::ENCODER_LTR_RECOVERY_REQUEST, &mut request);
            }
        };
        self.option("feedback", ffi::ENCODER_LTR_MARKING_FEEDBACK, &mut feedback)
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
            ffi::source::APILoader::WelsDestroySVCEncoder(self.object.as_ptr());
        }
    }
}
