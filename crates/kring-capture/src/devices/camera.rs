//! A camera as a source of pictures, all of the size that was asked for. Black until the camera is open.
//!
//! The camera's driver, which may hang, has a thread of its own; no call here waits for it. Only the newest picture is
//! kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use kring_codec::Picture;
use nokhwa::utils::{ApiBackend, CameraFormat, CameraIndex, RequestedFormat, RequestedFormatType};
use nokhwa::{Buffer, NokhwaError};

use super::convert::{FORMATS, convert, fit};
use super::{Device, DeviceError, Use, choose};
use crate::consent::{Consent, Kind};
use crate::error::SourceError;
use crate::video::{CapturedPicture, VideoFormat, VideoSource};

/// How long a picture is waited for; then the one before is given again.
const PATIENCE: Duration = Duration::from_millis(90);
/// A camera from which nothing came for so long has failed. Some take seconds to begin.
const DEAD: Duration = Duration::from_secs(10);
/// How long closing is waited for; then it goes on by itself.
const CLOSE: Duration = Duration::from_millis(80);
/// So many pictures in a row may be damaged.
const DAMAGED: u32 = 30;

/// All cameras, by number.
pub(super) fn list() -> Result<Vec<Device>, DeviceError> {
    let asked = nokhwa::query(ApiBackend::Auto);
    let system = |error: NokhwaError| DeviceError::System { kind: Use::Camera, cause: error.to_string() };
    let mut devices: Vec<(u32, Device)> = asked
        .map_err(system)?
        .iter()
        .filter_map(|info| {
            let number = info.index().as_index().ok()?;
            Some((number, Device { name: info.human_name(), id: number.to_string(), default: false }))
        })
        .collect();
    devices.sort_by_key(|(number, _)| *number);
    let mut devices: Vec<Device> = devices.into_iter().map(|(_, device)| device).collect();
    if let Some(first) = devices.first_mut() {
        first.default = true;
    }
    Ok(devices)
}

/// One of this machine's cameras.
pub struct Camera {
    number: u32,
    name: String,
    format: VideoFormat,
    running: Option<Running>,
}

/// What lasts from start to stop.
struct Running {
    slot: Arc<Slot>,
    /// Gone when the thread is.
    closed: Receiver<()>,
    index: u64,
    /// When the picture before was captured.
    at: Instant,
    /// When the last picture came.
    alive: Instant,
}

/// Where the newest picture lies.
#[derive(Default)]
struct Slot {
    stop: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    newest: Option<(Picture, Instant)>,
    /// A buffer that can be used again.
    spare: Option<Picture>,
    trouble: Option<String>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Camera {
    /// Finds a camera by its number (which need not be listed), its name or a part of its name that no other has; the
    /// first if none is named. Opens nothing. Its pictures will have the size and rate that is asked for, or a lower
    /// rate: the nearest that the camera has is cut to that shape and scaled.
    ///
    /// # Errors
    /// [`DeviceError`] when there is none, the name fits none or several, or no picture can have that size.
    pub fn find(name: Option<&str>, format: VideoFormat) -> Result<Self, DeviceError> {
        Picture::check_size(format.width, format.height).map_err(DeviceError::Size)?;
        let (number, name) = match name.map(|name| (name, name.parse::<u32>())) {
            // One that the system does not list may work all the same; and a number is never a part of another's name.
            Some((_, Ok(number))) => {
                let id = number.to_string();
                let listed = list().unwrap_or_default().into_iter().find(|device| device.id == id);
                (number, listed.map_or(id, |device| device.name))
            }
            named => {
                let listed = list()?;
                let device = match named {
                    Some((name, _)) => choose(&listed, Use::Camera, name)?,
                    None => listed.first().ok_or(DeviceError::None(Use::Camera))?,
                };
                let number = device.id.parse().map_err(|_| DeviceError::None(Use::Camera))?;
                (number, device.name.clone())
            }
        };
        Ok(Self { number, name, format, running: None })
    }

    /// The camera's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn failed(&self, cause: &str) -> SourceError {
        SourceError::Device { kind: Kind::Camera, cause: format!("{}: {cause}", self.name) }
    }
}

impl VideoSource for Camera {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Camera)
    }

    fn start(&mut self, consent: &Consent, _at: Instant) -> Result<(), SourceError> {
        self.stop();
        if !consent.covers(Kind::Camera) {
            return Err(SourceError::NoConsent(Kind::Camera));
        }
        let slot = Arc::new(Slot::default());
        let (alive, closed) = channel();
        let driver = Driver { number: self.number, format: self.format, slot: slot.clone(), _alive: alive };
        let thread = std::thread::Builder::new().name("kring-camera".into()).spawn(move || driver.run());
        thread.map_err(|error| self.failed(&format!("the system gives no thread: {error}")))?;
        let now = Instant::now();
        self.running = Some(Running { slot, closed, index: 0, at: now, alive: now });
        Ok(())
    }

    fn format(&self) -> VideoFormat {
        self.format
    }

    fn read(&mut self, picture: &mut Picture) -> Result<CapturedPicture, SourceError> {
        let (width, height) = (self.format.width, self.format.height);
        let running = self.running.as_mut().ok_or(SourceError::NotStarted)?;
        let mut state = running.slot.lock();
        if state.newest.is_none() && state.trouble.is_none() {
            let waited = running.slot.changed.wait_timeout(state, PATIENCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (trouble, newest) = (state.trouble.clone(), state.newest.take());
        let trouble = match (trouble, newest) {
            (Some(trouble), _) => trouble,
            (None, Some((newest, at))) => {
                state.spare = Some(std::mem::replace(picture, newest));
                drop(state);
                running.alive = Instant::now();
                return Ok(running.captured(at));
            }
            (None, None) if running.alive.elapsed() > DEAD => "no picture comes from it".into(),
            (None, None) => match picture.reset(width, height) {
                // Black if it is a new one, else what was given before.
                Ok(()) => {
                    drop(state);
                    return Ok(running.captured(Instant::now()));
                }
                Err(error) => error.to_string(),
            },
        };
        drop(state);
        Err(self.failed(&trouble))
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.slot.stop.store(true, Ordering::Relaxed);
            let _ = running.closed.recv_timeout(CLOSE);
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    fn captured(&mut self, at: Instant) -> CapturedPicture {
        self.index += 1;
        // What comes after a picture that stood in for it may be older.
        self.at = self.at.max(at);
        CapturedPicture { index: self.index - 1, at: self.at, ended: false }
    }
}

/// What the camera's thread has.
struct Driver {
    number: u32,
    format: VideoFormat,
    slot: Arc<Slot>,
    _alive: Sender<()>,
}

impl Driver {
    fn run(self) {
        // Also when a driver panics.
        let ending = Ending(&self);
        let why = self.capture().err();
        if let Some(why) = why {
            ending.0.slot.lock().trouble = Some(why);
        }
    }

    fn capture(&self) -> Result<(), String> {
        let Some(mut camera) = self.open().map_err(|error| error.to_string())? else { return Ok(()) };
        let (mut whole, mut cut, mut fitted) =
            (blank(2, 2)?, blank(2, 2)?, blank(self.format.width, self.format.height)?);
        let mut damaged = 0;
        while !self.stopped() {
            let used = match camera.frame() {
                Ok(buffer) => take(&buffer, &mut whole).and_then(|at| {
                    fit(&whole, &mut cut, &mut fitted).map(|()| at).map_err(|e| e.to_string())
                }),
                Err(error) => Err(error.to_string()),
            };
            match used {
                Ok(at) => {
                    damaged = 0;
                    fitted = self.show(fitted, at)?;
                }
                Err(_) if damaged < DAMAGED => {
                    damaged += 1;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(why) => return Err(why),
            }
        }
        camera.stop_stream().map_err(|error| error.to_string())
    }

    /// Puts a picture in place of the one before; gives back a buffer for the next.
    fn show(&self, picture: Picture, at: Instant) -> Result<Picture, String> {
        let mut state = self.slot.lock();
        let spare = match state.newest.replace((picture, at)) {
            Some((unseen, _)) => Some(unseen),
            None => state.spare.take(),
        };
        drop(state);
        self.slot.changed.notify_one();
        let mut spare = match spare {
            Some(spare) => spare,
            None => blank(2, 2)?,
        };
        spare.reset(self.format.width, self.format.height).map_err(|error| error.to_string())?;
        Ok(spare)
    }

    /// `None` when it was stopped meanwhile: a camera must not light up after the call.
    fn open(&self) -> Result<Option<nokhwa::Camera>, NokhwaError> {
        // Asks for the right to use it, where the system wants that.
        nokhwa::nokhwa_initialize(|_| {});
        let any = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
        let mut camera = nokhwa::Camera::new(CameraIndex::Index(self.number), any)?;
        let formats = camera.compatible_camera_formats().unwrap_or_default();
        if let Some(best) = nearest(&formats, &self.format)
            && best != camera.camera_format()
        {
            let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(best), &FORMATS);
            // What it had before serves as well.
            let _ = camera.set_camera_requset(exact);
        }
        if self.stopped() {
            return Ok(None);
        }
        camera.open_stream()?;
        Ok(Some(camera))
    }

    fn stopped(&self) -> bool {
        self.slot.stop.load(Ordering::Relaxed)
    }
}

/// Tells that the thread has ended, however it did.
struct Ending<'a>(&'a Driver);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.slot.lock().trouble.get_or_insert_with(|| "its driver failed".into());
        self.0.slot.changed.notify_one();
    }
}

fn blank(width: u32, height: u32) -> Result<Picture, String> {
    Picture::new(width, height).map_err(|error| error.to_string())
}

/// Converts a picture and tells when it was captured.
fn take(buffer: &Buffer, picture: &mut Picture) -> Result<Instant, String> {
    let now = Instant::now();
    let size = buffer.resolution();
    convert(buffer.buffer(), buffer.source_frame_format(), size.width(), size.height(), picture)
        .map_err(|error| error.to_string())?;
    // By the system's clock, where the driver tells; a time that cannot be is none.
    let age = buffer.capture_timestamp().and_then(|since| {
        let at = SystemTime::UNIX_EPOCH.checked_add(since)?;
        SystemTime::now().duration_since(at).ok()
    });
    let age = age.filter(|age| *age < Duration::from_secs(1)).unwrap_or_default();
    Ok(now.checked_sub(age).unwrap_or(now))
}

/// The format that comes nearest: rather too large than too small, rather quick, rather quick to convert.
fn nearest(formats: &[CameraFormat], wanted: &VideoFormat) -> Option<CameraFormat> {
    let rank = |format: &CameraFormat| {
        let slow = (f64::from(wanted.frames_per_second) - f64::from(format.frame_rate())).max(0.0);
        let too_slow = slow > f64::from(wanted.frames_per_second) / 5.0;
        let lack =
            wanted.width.saturating_sub(format.width()).max(wanted.height.saturating_sub(format.height()));
        let pixels = u64::from(format.width()) * u64::from(format.height());
        let cost = FORMATS.iter().position(|known| *known == format.format());
        (too_slow, lack, (slow * 1000.0) as u64, pixels, format.frame_rate(), cost)
    };
    let usable = |format: &&CameraFormat| {
        FORMATS.contains(&format.format()) && Picture::check_size(format.width(), format.height()).is_ok()
    };
    formats.iter().filter(usable).min_by_key(|format| rank(format)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nokhwa::utils::FrameFormat;

    #[test]
    fn the_nearest_format_is_large_enough_quick_and_cheap() {
        let wanted = VideoFormat { width: 640, height: 360, frames_per_second: 30.0 };
        let format = |w, h, kind, rate| CameraFormat::new_from(w, h, kind, rate);
        let formats = [
            format(320, 180, FrameFormat::YUYV, 30),
            format(1920, 1080, FrameFormat::MJPEG, 30),
            format(640, 480, FrameFormat::MJPEG, 30),
            format(640, 480, FrameFormat::YUYV, 30),
            format(640, 360, FrameFormat::YUYV, 5),
            format(641, 361, FrameFormat::YUYV, 30),
            format(640, 480, FrameFormat::YUYV, 60),
        ];
        assert_eq!(nearest(&formats, &wanted), Some(formats[3]));
        assert_eq!(nearest(&formats[..2], &wanted), Some(formats[1]), "rather too large than too small");
        assert_eq!(nearest(&formats[4..5], &wanted), Some(formats[4]), "the only one serves");
        assert_eq!(nearest(&[], &wanted), None);
    }

    #[test]
    fn no_consent_no_camera() {
        let wanted = VideoFormat { width: 640, height: 360, frames_per_second: 30.0 };
        let mut camera = Camera::find(Some("63"), wanted).unwrap();
        let refused = camera.start(&Consent::to([Kind::Microphone]), Instant::now());
        assert!(matches!(refused, Err(SourceError::NoConsent(Kind::Camera))));
        let mut picture = Picture::new(2, 2).unwrap();
        assert!(matches!(camera.read(&mut picture), Err(SourceError::NotStarted)));
    }

    #[test]
    fn a_camera_that_is_not_there_fails_with_its_name_and_the_reason() {
        let wanted = VideoFormat { width: 640, height: 360, frames_per_second: 30.0 };
        let mut camera = Camera::find(Some("63"), wanted).unwrap();
        camera.start(&Consent::to([Kind::Camera]), Instant::now()).unwrap();
        let mut picture = Picture::new(2, 2).unwrap();
        let mut failed = None;
        for _ in 0..200 {
            match camera.read(&mut picture) {
                Ok(_) => assert_eq!((picture.width(), picture.height()), (640, 360)),
                Err(error) => {
                    failed = Some(error.to_string());
                    break;
                }
            }
        }
        let text = failed.expect("camera 63 is there");
        assert!(text.contains("the camera failed (63: ") && text.contains("plugged in"), "{text}");
    }
}
