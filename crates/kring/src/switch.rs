//! Other devices in a call that is under way: a headset that was plugged in, a file after the microphone.
//!
//! Guarantee: of several on their way to the same thread the last one wins; a source opens with the consent that came with it or
//! that the call was begun with, and only once media flows. None outlives its call.

use crate::call::Call;
use crate::media::Media;
use crate::shared::Shared;
use kring_capture::{AudioSink, AudioSource, Consent, VideoSink, VideoSource};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How soon a thread without a device notices another one, or the end of the call.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Why a call does not take another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// What a call sends is agreed on when it begins.
    #[error(
        "this call has no track for a {what}: give its Media one before it is dialled or answered (a muted one, or one that stands in, will do)"
    )]
    NoTrack {
        /// "microphone" or "camera".
        what: &'static str,
    },
}

/// A source with the consent that came with it; without one, the call's holds.
pub(crate) type Chosen<T> = (Box<T>, Option<Arc<Consent>>);

/// What a thread takes up next.
pub(crate) struct Slot<T>(Mutex<Option<T>>);

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot(Mutex::new(None))
    }
}

impl<T> Slot<T> {
    fn put(&self, next: T, shared: &Shared) {
        let before = self.0.lock().expect("nothing panics with this lock held").replace(next);
        // Outside of the lock: it is the app's own.
        drop(before);
        if shared.stopped() {
            drop(self.take());
        }
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().expect("nothing panics with this lock held").take()
    }

    /// Whether there is something to be taken.
    pub(crate) fn waits(&self) -> bool {
        self.0.lock().expect("nothing panics with this lock held").is_some()
    }

    /// Waits for something to be taken; `None` once the call is over.
    pub(crate) fn wait(&self, shared: &Shared, mut meanwhile: impl FnMut()) -> Option<T> {
        while !shared.stopped() {
            if let Some(next) = self.take() {
                return Some(next);
            }
            meanwhile();
            std::thread::sleep(LOOK_UP);
        }
        None
    }
}

/// All that a call's threads may be given.
#[derive(Default)]
pub(crate) struct Switches {
    pub(crate) microphone: Slot<Chosen<dyn AudioSource>>,
    pub(crate) camera: Slot<Chosen<dyn VideoSource>>,
    pub(crate) speaker: Slot<Box<dyn AudioSink>>,
    pub(crate) view: Slot<Box<dyn VideoSink>>,
    sends_sound: AtomicBool,
    sends_pictures: AtomicBool,
}

impl Switches {
    /// Lets go of what nobody will take any more.
    pub(crate) fn clear(&self) {
        drop((self.microphone.take(), self.camera.take(), self.speaker.take(), self.view.take()));
    }

    /// Notes what a call brings with it.
    pub(crate) fn begin_with(&self, media: &Media) {
        self.sends_sound.store(media.microphone.is_some(), Ordering::Relaxed);
        self.sends_pictures.store(media.camera.is_some(), Ordering::Relaxed);
    }
}

impl Call {
    /// Sends what `source` gives from now on, in place of the microphone before, which is closed. Also mends a microphone that
    /// [stopped](crate::Event::MediaStopped). Before the call is answered, `source` is what will be opened then.
    ///
    /// It opens with the call's own [`Consent`](kring_capture::Consent); without leave for its kind, or if it fails,
    /// [`MediaStopped`](crate::Event::MediaStopped) tells so, and the call waits for another one. The one before is closed within
    /// 100 ms.
    ///
    /// # Errors
    /// [`SwitchError::NoTrack`] if the call was begun without a microphone.
    pub fn switch_microphone(&self, source: impl AudioSource + 'static) -> Result<(), SwitchError> {
        self.has(&self.shared.switches.sends_sound, "microphone")?;
        self.shared.switches.microphone.put((Box::new(source), None), &self.shared);
        Ok(())
    }

    /// Sends the pictures of `source` from now on, in place of the camera before, which is closed; otherwise like
    /// [`switch_microphone`](Call::switch_microphone). Pictures may be of another size and rate than those before.
    ///
    /// # Errors
    /// [`SwitchError::NoTrack`] if the call was begun without a camera.
    pub fn switch_camera(&self, source: impl VideoSource + 'static) -> Result<(), SwitchError> {
        self.has(&self.shared.switches.sends_pictures, "camera")?;
        self.shared.switches.camera.put((Box::new(source), None), &self.shared);
        Ok(())
    }

    /// Plays the other side's sound by `sink` from now on, in place of the speaker before, which is closed. Also mends a speaker
    /// that [stopped](crate::Event::MediaStopped).
    pub fn switch_speaker(&self, sink: impl AudioSink + 'static) {
        self.shared.switches.speaker.put(Box::new(sink), &self.shared);
    }

    /// Shows the other side's pictures by `sink` from now on, in place of the view before, which is closed. Also mends a view that
    /// [stopped](crate::Event::MediaStopped).
    pub fn switch_view(&self, sink: impl VideoSink + 'static) {
        self.shared.switches.view.put(Box::new(sink), &self.shared);
    }

    /// Takes over each source and sink that `media` has, in place of the one before. Sources open with the consent of `media`: that of
    /// a person who switches the camera on in the middle of a call, say. What else is set on it means nothing here.
    ///
    /// ```no_run
    /// use kring::capture::{Camera, Consent, Kind, VideoFormat};
    /// use kring::{Call, Media};
    ///
    /// fn camera_on(call: &Call) -> Result<(), Box<dyn std::error::Error>> {
    ///     let camera = Camera::find(None, VideoFormat::new(640, 360, 30.0))?;
    ///     call.switch(Media::new(Consent::to([Kind::Camera])).camera(camera))?;
    ///     call.mute_camera(false);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SwitchError::NoTrack`] if it has a source for a track that the call was begun without; nothing is switched then.
    pub fn switch(&self, media: Media) -> Result<(), SwitchError> {
        let switches = &self.shared.switches;
        if media.microphone.is_some() {
            self.has(&switches.sends_sound, "microphone")?;
        }
        if media.camera.is_some() {
            self.has(&switches.sends_pictures, "camera")?;
        }
        let consent = Arc::new(media.consent);
        if let Some(source) = media.microphone {
            switches.microphone.put((source, Some(consent.clone())), &self.shared);
        }
        if let Some(source) = media.camera {
            switches.camera.put((source, Some(consent)), &self.shared);
        }
        media.speaker.into_iter().for_each(|sink| switches.speaker.put(sink, &self.shared));
        media.view.into_iter().for_each(|sink| switches.view.put(sink, &self.shared));
        Ok(())
    }

    fn has(&self, track: &AtomicBool, what: &'static str) -> Result<(), SwitchError> {
        if track.load(Ordering::Relaxed) { Ok(()) } else { Err(SwitchError::NoTrack { what }) }
    }
}
