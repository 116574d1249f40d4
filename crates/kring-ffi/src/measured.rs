//! Sources and sinks as a call uses them, for the bench that measures what this crate adds. No interface.

use crate::audio_sink::{self, kring_audio_sink};
use crate::audio_source::{self, AudioInput, kring_audio_input, kring_audio_source};
use crate::callback::UserData;
use crate::handle;
use crate::video_source::{self, VideoInput, kring_video_input};
use kring::capture::{AudioSink, AudioSource, VideoSource};

/// The source that `kring_media_microphone_source` makes.
pub fn audio_source(functions: kring_audio_source) -> Option<Box<dyn AudioSource>> {
    let data = UserData::new(functions.user_data, functions.drop_fn);
    audio_source::CallbackSource::new(functions, data).ok().map(|source| Box::new(source) as _)
}

/// The sink that `kring_media_speaker_sink` makes.
pub fn audio_sink(functions: kring_audio_sink) -> Option<Box<dyn AudioSink>> {
    let data = UserData::new(functions.user_data, functions.drop_fn);
    audio_sink::CallbackSink::new(functions, data).ok().map(|sink| Box::new(sink) as _)
}

/// The source that reads what is pushed into an input.
pub fn pushed_audio(input: kring_audio_input) -> Option<Box<dyn AudioSource>> {
    let input = handle::get::<AudioInput>(input).ok()?;
    Some(Box::new(audio_source::PushedSource::new(input)))
}

/// The source that reads what is pushed into an input.
pub fn pushed_video(input: kring_video_input) -> Option<Box<dyn VideoSource>> {
    let input = handle::get::<VideoInput>(input).ok()?;
    Some(Box::new(video_source::PushedSource::new(input)))
}
