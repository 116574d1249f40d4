//! What one side brings to a call: its sources, its sinks, and how they are encoded.

use kring_capture::{AudioSink, AudioSource, Consent, Kind, VideoSink, VideoSource};
use kring_codec::{AudioCodec, ContentHint, FrameDuration, VideoCodec};
use kring_core::offer::{Offer, TrackInfo, TrackSource};
use std::sync::Arc;

/// The id of the voice's track.
pub const MICROPHONE: u8 = 0;
/// The id of the camera's track.
pub const CAMERA: u8 = 1;

/// The codecs that every implementation of the protocol receives.
const EVERYONE_RECEIVES: [&str; 2] = ["opus", "h264"];

/// What this side sends in a call and where it plays what comes. Everything is optional: with nothing set, one only
/// listens to nobody.
///
/// A source opens its device only with `consent` that covers it, and only once the call is answered.
///
/// ```
/// use kring::Media;
/// use kring::capture::{Consent, TestCard, Tone};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let media = Media::new(Consent::to_nothing())
///     .name("Anna")
///     .microphone(Tone::new().frequency(600.0))
///     .camera(TestCard::new(640, 360, 30.0)?)
///     .max_rate(1_000_000);
/// # drop(media);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Media {
    pub(crate) consent: Consent,
    pub(crate) name: String,
    pub(crate) microphone: Option<Box<dyn AudioSource>>,
    pub(crate) camera: Option<Box<dyn VideoSource>>,
    pub(crate) speaker: Option<Box<dyn AudioSink>>,
    pub(crate) view: Option<Box<dyn VideoSink>>,
    pub(crate) audio_codecs: Vec<Arc<dyn AudioCodec>>,
    pub(crate) video_codecs: Vec<Arc<dyn VideoCodec>>,
    pub(crate) max_rate: u32,
    pub(crate) frame_duration: Option<FrameDuration>,
    pub(crate) content: ContentHint,
    pub(crate) recording: bool,
    #[cfg(feature = "simulation")]
    pub(crate) simulated: Option<crate::simulation::Simulated>,
}

impl Media {
    /// Begins with nothing but the built-in codecs.
    pub fn new(consent: Consent) -> Media {
        Media {
            consent,
            name: String::new(),
            microphone: None,
            camera: None,
            speaker: None,
            view: None,
            audio_codecs: vec![
                #[cfg(feature = "opus")]
                Arc::new(kring_codec::Opus),
            ],
            video_codecs: vec![
                #[cfg(feature = "h264")]
                Arc::new(kring_codec::H264),
            ],
            max_rate: 2_000_000,
            frame_duration: None,
            content: ContentHint::Camera,
            recording: false,
            #[cfg(feature = "simulation")]
            simulated: None,
        }
    }

    /// How this side wants to be called, at most 64 characters. The other side sees it, and that nobody has checked it.
    pub fn name(mut self, name: impl Into<String>) -> Media {
        self.name = name.into();
        self
    }

    /// Sends this sound.
    pub fn microphone(mut self, source: impl AudioSource + 'static) -> Media {
        self.microphone = Some(Box::new(source));
        self
    }

    /// Sends these pictures.
    pub fn camera(mut self, source: impl VideoSource + 'static) -> Media {
        self.camera = Some(Box::new(source));
        self
    }

    /// Plays the other side's sound here.
    pub fn speaker(mut self, sink: impl AudioSink + 'static) -> Media {
        self.speaker = Some(Box::new(sink));
        self
    }

    /// Shows the other side's pictures here.
    pub fn view(mut self, sink: impl VideoSink + 'static) -> Media {
        self.view = Some(Box::new(sink));
        self
    }

    /// Prefers this codec for sound over those set before.
    pub fn audio_codec(mut self, codec: impl AudioCodec + 'static) -> Media {
        self.audio_codecs.insert(0, Arc::new(codec));
        self
    }

    /// Prefers this codec for pictures over those set before.
    pub fn video_codec(mut self, codec: impl VideoCodec + 'static) -> Media {
        self.video_codecs.insert(0, Arc::new(codec));
        self
    }

    /// The most that sound and pictures together may take, in bit/s, 24,000 to 20,000,000. Default 2,000,000.
    pub fn max_rate(mut self, bits_per_second: u32) -> Media {
        self.max_rate = bits_per_second.clamp(24_000, 20_000_000);
        self
    }

    /// How much sound goes into a packet, come what may: less is quicker, more costs fewer headers. By default it
    /// follows the network: 10 ms on good links, up to 60 ms on thin ones.
    pub fn frame_duration(mut self, duration: FrameDuration) -> Media {
        self.frame_duration = Some(duration);
        self
    }

    /// What the pictures are like.
    pub fn content(mut self, content: ContentHint) -> Media {
        self.content = content;
        self
    }

    /// Says that a sink records, so that the other side is told before the first sample is kept.
    pub fn recording(mut self, on: bool) -> Media {
        self.recording = on;
        self
    }

    /// Sends and plays by model devices, and nothing else.
    #[cfg(feature = "simulation")]
    #[doc(hidden)]
    pub fn simulated(mut self, offer: Offer, devices: impl crate::simulation::Devices) -> Media {
        let devices = Box::new(devices);
        self.simulated = Some(crate::simulation::Simulated { offer, devices });
        self
    }

    /// What voice may take, headers and copies included, and what is left for pictures of 95 % (the rest is for headers).
    pub(crate) fn rates(&self) -> (u32, u32) {
        let audio = if self.camera.is_some() {
            (self.max_rate / 4).clamp(24_000, 400_000)
        } else {
            self.max_rate.min(400_000)
        };
        let video = (u64::from(self.max_rate) * 95 / 100) as u32;
        (audio, video.saturating_sub(audio.min(128_000)).max(30_000))
    }

    /// The offer for a caller of whom nothing is known: with codecs that everyone receives, if those are the preferred ones.
    pub(crate) fn offer_ahead(&self) -> Option<Offer> {
        let everyone = Offer { receive: EVERYONE_RECEIVES.map(str::to_owned).into(), ..Offer::default() };
        let offer = self.offer(Some(&everyone));
        (offer.tracks == self.offer(None).tracks).then_some(offer)
    }

    /// The offer that describes it. Codecs are those that `peer` receives, or the preferred ones if it is not known yet.
    pub(crate) fn offer(&self, peer: Option<&Offer>) -> Offer {
        #[cfg(feature = "simulation")]
        if let Some(simulated) = &self.simulated {
            return simulated.offer.clone();
        }
        let names = |own: Vec<&'static str>| own.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let audio = names(self.audio_codecs.iter().map(|c| c.name()).collect());
        let video = names(self.video_codecs.iter().map(|c| c.name()).collect());
        let choose = |own: &[String]| match peer {
            Some(peer) => peer.choose_codec(own).map(str::to_owned),
            None => own.first().cloned(),
        };
        let mut tracks = Vec::new();
        if let (Some(_), Some(codec)) = (&self.microphone, choose(&audio)) {
            tracks.push(TrackInfo::new(MICROPHONE, TrackSource::Microphone, codec));
        }
        if let (Some(camera), Some(codec)) = (&self.camera, choose(&video)) {
            let format = camera.format();
            let source = match camera.kind() {
                Some(Kind::Screen) => TrackSource::Screen,
                _ => TrackSource::Camera,
            };
            let mut track = TrackInfo::new(CAMERA, source, codec);
            track.size = Some((format.width as u16, format.height as u16));
            track.frame_rate_milli = (format.frames_per_second * 1000.0) as u32;
            tracks.push(track);
        }
        Offer { name: self.name.clone(), receive: [audio, video].concat(), tracks }
    }
}
