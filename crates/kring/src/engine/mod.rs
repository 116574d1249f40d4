//! The threads between a call and its devices: one for each of voice out, voice in, pictures out, pictures in.
//!
//! Guarantee: no codec runs on a tokio worker, and pictures never hold up voice. Dropping the [`Engine`] ends every
//! thread within 100 ms, as sources and sinks promise to return by then.

mod device;
mod listen;
mod motion;
mod numbers;
mod show;
mod speak;
mod voice;
mod watch;

use crate::event::Event;
use crate::media::Media;
use crate::peer::Permit;
use crate::shared::Shared;
use kring_codec::{AudioCodec, VideoCodec};
use kring_core::call::IncomingFrame;
use kring_core::media::audio::AudioPlanner;
use kring_core::media::{FrameInfo, MAX_AUDIO_PAYLOAD, MediaKind};
use kring_core::offer::Offer;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// Frames on their way to a thread; more than a second of either kind.
const QUEUE: usize = 256;

/// The most bytes of pictures on their way to their thread; a peer may send larger ones than it can decode in time.
const MAX_PICTURE_BYTES: usize = 4 << 20;

/// A connected call's running media.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    voice: SyncSender<IncomingFrame>,
    pictures: SyncSender<IncomingFrame>,
    threads: Vec<JoinHandle<()>>,
    #[cfg(feature = "simulation")]
    simulated: Option<crate::simulation::Running>,
}

impl Engine {
    /// Starts every source and sink of `media` now. `sent` is what this side offered. It takes a permit, which is to be had only
    /// where nobody's key has changed unaccepted.
    pub(crate) fn start(shared: &Arc<Shared>, media: Media, sent: &Offer, _: Permit) -> Engine {
        let at = Instant::now();
        let (voice, voice_in) = sync_channel(QUEUE);
        let (pictures, pictures_in) = sync_channel(QUEUE);
        let mut engine = Engine {
            shared: shared.clone(),
            voice,
            pictures,
            threads: Vec::new(),
            #[cfg(feature = "simulation")]
            simulated: None,
        };
        #[cfg(feature = "simulation")]
        if let Some(simulated) = media.simulated {
            engine.simulated = Some(crate::simulation::Running::start(shared, simulated.devices));
            return engine;
        }
        let (audio_rate, video_rate) = media.rates();
        let consent = Arc::new(media.consent);
        let codec_of = |kind: MediaKind| {
            sent.tracks.iter().find(|t| t.source.kind() == kind).map(|t| t.codec.clone()).unwrap_or_default()
        };

        let speaker =
            listen::Listen { sink: media.speaker, codecs: media.audio_codecs.clone(), frames: voice_in };
        engine.spawn("kring-listen", move |shared| speaker.run(&shared));
        let view = watch::Watch { sink: media.view, codecs: media.video_codecs.clone(), frames: pictures_in };
        engine.spawn("kring-watch", move |shared| view.run(&shared));
        if let (Some(source), Some(codec)) =
            (media.microphone, named_audio(&media.audio_codecs, &codec_of(MediaKind::Audio)))
        {
            let planner = media
                .frame_duration
                .map_or_else(AudioPlanner::default, |fixed| AudioPlanner::with_duration(fixed.as_duration()));
            let taken = device::Taken { source, consent: consent.clone(), at };
            let speak = speak::Speak { taken, codec, rate: audio_rate, planner };
            engine.spawn("kring-speak", move |shared| device::run(speak, &shared));
        }
        if let (Some(source), Some(codec)) =
            (media.camera, named_video(&media.video_codecs, &codec_of(MediaKind::Video)))
        {
            let taken = device::Taken { source, consent, at };
            let show = show::Show { taken, codec, rate: video_rate, content: media.content };
            engine.spawn("kring-show", move |shared| device::run(show, &shared));
        }
        engine
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce(Arc<Shared>) + Send + 'static) {
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || body(shared));
        match thread {
            Ok(handle) => self.threads.push(handle),
            Err(error) => {
                self.shared.events.push(Event::MediaStopped { what: "thread", why: error.to_string() });
            }
        }
    }

    /// Hands an opened frame to its thread; one that is a second or 4 MiB behind loses it.
    pub(crate) fn take(&self, frame: IncomingFrame) {
        #[cfg(feature = "simulation")]
        if let Some(simulated) = &self.simulated {
            return simulated.take(frame);
        }
        let len = frame.payload.len();
        match frame.info {
            FrameInfo::Audio { .. } if len > MAX_AUDIO_PAYLOAD => {}
            FrameInfo::Audio { .. } => drop(self.voice.try_send(frame)),
            FrameInfo::Video { .. } => {
                let waiting = &self.shared.picture_bytes;
                if waiting.load(Ordering::Relaxed) + len <= MAX_PICTURE_BYTES {
                    waiting.fetch_add(len, Ordering::Relaxed);
                    if self.pictures.try_send(frame).is_err() {
                        waiting.fetch_sub(len, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    /// Ends the threads and waits for them: files are whole, devices closed.
    pub(crate) fn stop(mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn named_audio(codecs: &[Arc<dyn AudioCodec>], name: &str) -> Option<Arc<dyn AudioCodec>> {
    codecs.iter().find(|c| c.name() == name).cloned()
}

fn named_video(codecs: &[Arc<dyn VideoCodec>], name: &str) -> Option<Arc<dyn VideoCodec>> {
    codecs.iter().find(|c| c.name() == name).cloned()
}

/// Says that a source or sink is gone; the call goes on.
fn stopped(shared: &Shared, what: &'static str, why: impl ToString) {
    if !shared.stopped() {
        shared.events.push(Event::MediaStopped { what, why: why.to_string() });
    }
}
