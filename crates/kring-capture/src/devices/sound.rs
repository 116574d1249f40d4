//! Sound devices by cpal: listing, finding, and opening them on a thread of their own.
//!
//! Guarantee: whatever a driver or sound server does, starting, using and stopping a device here takes no longer than
//! it promises. A device that hangs is left to its thread.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize,
    SupportedStreamConfigRange,
};
use kring_codec::SAMPLE_RATE;

use super::intake::{self, Heard, Intake};
use super::outlet::{self, Feed, Outlet};
use super::{Device, DeviceError, Use, choose};

/// Callbacks a second that are asked of a microphone: what it brings late is heard late.
const TAKES: u32 = 200;
/// And of a speaker, which needs what it asks for in time for its next callback.
const FILLS: u32 = 100;
/// How long a sound server may take to make a stream.
const MAKE: Duration = Duration::from_secs(5);
/// How long closing is waited for; then it goes on by itself.
const CLOSE: Duration = Duration::from_millis(80);

/// All microphones or speakers.
pub(super) fn list(kind: Use) -> Result<Vec<Device>, DeviceError> {
    let host = cpal::default_host();
    let default = match kind {
        Use::Speaker => host.default_output_device(),
        _ => host.default_input_device(),
    };
    let default = default.and_then(|device| device.id().ok());
    let mut devices = Vec::new();
    for device in all(&host, kind)? {
        let (Ok(id), Ok(about)) = (device.id(), device.description()) else { continue };
        // What a speaker plays is no microphone, though it can be had by its id.
        if kind == Use::Microphone && is_monitor(id.id()) {
            continue;
        }
        let default = default.as_ref() == Some(&id);
        devices.push(Device { name: about.name().to_owned(), id: id.id().to_owned(), default });
    }
    Ok(devices)
}

fn is_monitor(id: &str) -> bool {
    cfg!(target_os = "linux") && id.ends_with(".monitor")
}

fn all(host: &cpal::Host, kind: Use) -> Result<Vec<cpal::Device>, DeviceError> {
    let listed: Result<Vec<_>, cpal::Error> = match kind {
        Use::Speaker => host.output_devices().map(Iterator::collect),
        _ => host.input_devices().map(Iterator::collect),
    };
    listed.map_err(|error| DeviceError::System { kind, cause: error.to_string() })
}

/// Tells whether the device that is meant is there, and gives its name.
pub(super) fn named(kind: Use, wanted: Option<&str>) -> Result<String, DeviceError> {
    let device = find(kind, wanted)?;
    Ok(device.description().map_or_else(|_| kind.to_string(), |about| about.name().to_owned()))
}

/// The device that is meant; the system's own choice when none is named.
fn find(kind: Use, wanted: Option<&str>) -> Result<cpal::Device, DeviceError> {
    let host = cpal::default_host();
    let Some(wanted) = wanted else {
        let default = match kind {
            Use::Speaker => host.default_output_device(),
            _ => host.default_input_device(),
        };
        return default.ok_or(DeviceError::None(kind));
    };
    let devices = all(&host, kind)?;
    let is = |device: &cpal::Device, id: &str| device.id().is_ok_and(|own| own.id() == id);
    if let Some(device) = devices.iter().find(|device| is(device, wanted)) {
        return Ok(device.clone());
    }
    let listed = list(kind)?;
    let id = &choose(&listed, kind, wanted)?.id;
    devices.into_iter().find(|device| is(device, id)).ok_or(DeviceError::None(kind))
}

/// A device that is open, or about to be. Dropping it closes the device.
pub(super) struct Running<T> {
    opened: Receiver<Result<T, String>>,
    /// The thread closes the device when this is gone.
    keep: Option<Sender<()>>,
    /// Gone when the thread is.
    closed: Receiver<()>,
    trouble: Arc<OnceLock<String>>,
}

impl<T> Running<T> {
    /// What the device was opened for, once it is; waits for it, but no longer than told.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub(super) fn opened(&self, wait: Duration) -> Result<Option<T>, String> {
        match self.opened.recv_timeout(wait) {
            Ok(opened) => opened.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("its driver failed".into()),
        }
    }

    /// Why the device is of no use any more.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.get().map(String::as_str)
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        drop(self.keep.take());
        let _ = self.closed.recv_timeout(CLOSE);
    }
}

/// Begins to open a microphone.
pub(super) fn microphone(wanted: Option<String>) -> Result<Running<Heard>, String> {
    open(Use::Microphone, wanted, |device, trouble| {
        let (config, format) = configure(device.supported_input_configs()?, TAKES)?;
        attempt(config, |config| {
            let (intake, heard) = intake::queue(config.channels, config.sample_rate);
            let stream = match format {
                SampleFormat::F32 => take::<f32>(device, config, intake, trouble),
                SampleFormat::I16 => take::<i16>(device, config, intake, trouble),
                SampleFormat::I32 => take::<i32>(device, config, intake, trouble),
                SampleFormat::I24 => take::<cpal::I24>(device, config, intake, trouble),
                SampleFormat::U16 => take::<u16>(device, config, intake, trouble),
                SampleFormat::F64 => take::<f64>(device, config, intake, trouble),
                SampleFormat::U8 => take::<u8>(device, config, intake, trouble),
                _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
            }?;
            Ok((stream, heard))
        })
    })
}

/// Begins to open a speaker.
pub(super) fn speaker(wanted: Option<String>) -> Result<Running<Feed>, String> {
    open(Use::Speaker, wanted, |device, trouble| {
        let (config, format) = configure(device.supported_output_configs()?, FILLS)?;
        attempt(config, |config| {
            let frames = match config.buffer_size {
                BufferSize::Fixed(frames) => frames,
                BufferSize::Default => config.sample_rate / FILLS,
            };
            let (outlet, feed) = outlet::queue(config.channels, config.sample_rate, frames as usize);
            let stream = match format {
                SampleFormat::F32 => fill::<f32>(device, config, outlet, trouble),
                SampleFormat::I16 => fill::<i16>(device, config, outlet, trouble),
                SampleFormat::I32 => fill::<i32>(device, config, outlet, trouble),
                SampleFormat::I24 => fill::<cpal::I24>(device, config, outlet, trouble),
                SampleFormat::U16 => fill::<u16>(device, config, outlet, trouble),
                SampleFormat::F64 => fill::<f64>(device, config, outlet, trouble),
                SampleFormat::U8 => fill::<u8>(device, config, outlet, trouble),
                _ => Err(cpal::Error::new(ErrorKind::UnsupportedConfig)),
            }?;
            Ok((stream, feed))
        })
    })
}

/// Formats that can be used, the best first.
const FORMATS: [SampleFormat; 7] = [
    SampleFormat::F32,
    SampleFormat::I16,
    SampleFormat::I32,
    SampleFormat::I24,
    SampleFormat::U16,
    SampleFormat::F64,
    SampleFormat::U8,
];

fn open<T: Send + 'static>(
    kind: Use,
    wanted: Option<String>,
    make: impl FnOnce(&cpal::Device, &Arc<OnceLock<String>>) -> Result<(cpal::Stream, T), cpal::Error>
    + Send
    + 'static,
) -> Result<Running<T>, String> {
    let (tell, opened) = channel();
    let (keep, kept) = channel::<()>();
    let (alive, closed) = channel::<()>();
    let trouble = Arc::new(OnceLock::new());
    let shared = trouble.clone();
    let body = move || {
        let _alive = alive;
        let made = find(kind, wanted.as_deref()).map_err(|error| error.to_string()).and_then(|device| {
            // A microphone must not open after the call.
            if matches!(kept.try_recv(), Err(TryRecvError::Disconnected)) {
                return Err("it was stopped".into());
            }
            make(&device, &shared).map_err(|error| error.to_string())
        });
        match made {
            Ok((stream, end)) => {
                if tell.send(Ok(end)).is_ok() {
                    // Nothing is ever sent; it ends when the other side is gone.
                    let _ = kept.recv();
                }
                drop(stream);
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    };
    let thread = std::thread::Builder::new().name(format!("kring-{kind}")).spawn(body);
    thread.map_err(|error| format!("the system gives no thread: {error}"))?;
    Ok(Running { opened, keep: Some(keep), closed, trouble })
}

/// The configuration nearest to what is wanted: 48 kHz, a usual format, few channels, so many callbacks a second.
fn configure(
    ranges: impl Iterator<Item = SupportedStreamConfigRange>,
    callbacks: u32,
) -> Result<(StreamConfig, SampleFormat), cpal::Error> {
    // What the resampler takes; and more channels than these no microphone has.
    let sane = |range: &SupportedStreamConfigRange| {
        range.max_sample_rate() >= 8_000 && range.min_sample_rate() <= 192_000 && range.channels() > 0
    };
    let best = ranges
        .filter(sane)
        .filter_map(|range| {
            let format = FORMATS.iter().position(|&format| format == range.sample_format())?;
            let rate =
                SAMPLE_RATE.clamp(range.min_sample_rate().max(8_000), range.max_sample_rate().min(192_000));
            Some(((rate.abs_diff(SAMPLE_RATE), format, range.channels()), rate, range))
        })
        .min_by_key(|(rank, ..)| *rank);
    let Some((_, rate, range)) = best else {
        return Err(cpal::Error::with_message(
            ErrorKind::UnsupportedConfig,
            "expected integer or float samples at 8 to 192 kHz, the device offers none",
        ));
    };
    let frames = match *range.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => {
            (rate / callbacks).clamp(min.max(1), max.max(1))
        }
        _ => rate / callbacks,
    };
    let buffer_size = BufferSize::Fixed(frames);
    Ok((StreamConfig { channels: range.channels(), sample_rate: rate, buffer_size }, range.sample_format()))
}

/// Makes a stream and starts it; with the device's own buffer if it refuses the one that is asked for.
fn attempt<T>(
    config: StreamConfig,
    make: impl Fn(StreamConfig) -> Result<(cpal::Stream, T), cpal::Error>,
) -> Result<(cpal::Stream, T), cpal::Error> {
    let made = make(config).or_else(|error| match error.kind() {
        ErrorKind::UnsupportedConfig | ErrorKind::InvalidInput | ErrorKind::UnsupportedOperation => {
            make(StreamConfig { buffer_size: BufferSize::Default, ..config })
        }
        _ => Err(error),
    })?;
    made.0.play()?;
    Ok(made)
}

fn take<T: SizedSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut intake: Intake,
    trouble: &Arc<OnceLock<String>>,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let callback = move |data: &[T], info: &cpal::InputCallbackInfo| {
        let times = info.timestamp();
        intake.take(data, Instant::now(), times.callback.saturating_duration_since(times.capture));
    };
    device.build_input_stream(config, callback, on_error(trouble), Some(MAKE))
}

fn fill<T: SizedSample + FromSample<f32>>(
    device: &cpal::Device,
    config: StreamConfig,
    mut outlet: Outlet,
    trouble: &Arc<OnceLock<String>>,
) -> Result<cpal::Stream, cpal::Error> {
    let callback = move |data: &mut [T], info: &cpal::OutputCallbackInfo| {
        let times = info.timestamp();
        outlet.fill(data, Instant::now(), times.playback.saturating_duration_since(times.callback));
    };
    device.build_output_stream(config, callback, on_error(trouble), Some(MAKE))
}

/// Keeps the first error after which the device is of no use; the others, of which there may be thousands, pass.
fn on_error(trouble: &Arc<OnceLock<String>>) -> impl FnMut(cpal::Error) + Send + 'static {
    let trouble = trouble.clone();
    move |error| match error.kind() {
        ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged | ErrorKind::DeviceBusy => {}
        _ if trouble.get().is_some() => {}
        _ => {
            let _ = trouble.set(error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(
        channels: u16,
        rates: [u32; 2],
        format: SampleFormat,
        frames: [u32; 2],
    ) -> SupportedStreamConfigRange {
        let buffer = SupportedBufferSize::Range { min: frames[0], max: frames[1] };
        SupportedStreamConfigRange::new(channels, rates[0], rates[1], buffer, format)
    }

    fn configured(ranges: &[SupportedStreamConfigRange]) -> (u16, u32, SampleFormat, BufferSize) {
        let (config, format) = configure(ranges.iter().copied(), 100).unwrap();
        (config.channels, config.sample_rate, format, config.buffer_size)
    }

    #[test]
    fn forty_eight_kilohertz_in_blocks_of_ten_milliseconds_are_preferred() {
        let many = [
            range(2, [44_100, 96_000], SampleFormat::I16, [32, 4096]),
            range(1, [8_000, 48_000], SampleFormat::F32, [32, 4096]),
            range(1, [44_100, 44_100], SampleFormat::F32, [32, 4096]),
        ];
        assert_eq!(configured(&many), (1, 48_000, SampleFormat::F32, BufferSize::Fixed(480)));
    }

    #[test]
    fn what_is_nearest_serves() {
        let only = [range(6, [16_000, 44_100], SampleFormat::U8, [1024, 8192])];
        assert_eq!(configured(&only), (6, 44_100, SampleFormat::U8, BufferSize::Fixed(1024)));
        let fast = [range(2, [96_000, 384_000], SampleFormat::I24, [1, 100])];
        assert_eq!(configured(&fast), (2, 96_000, SampleFormat::I24, BufferSize::Fixed(100)));
    }

    #[test]
    fn a_device_without_a_usable_format_is_refused() {
        let odd = [
            range(1, [400_000, 800_000], SampleFormat::F32, [1, 9]),
            range(1, [48_000; 2], SampleFormat::U64, [1, 9]),
        ];
        assert!(configure(odd.into_iter(), 100).unwrap_err().to_string().contains("8 to 192 kHz"));
    }
}
