//! One picture in up to three sizes at once, from one encoder: each size is a stream of its own that decodes as plain
//! H.264. What the sizes have in common is done once.

use std::time::Duration;

use super::encoder::{check, effort, put_out};
use super::handle::{Handle, Size};
use super::recovery::{Recovery as Known, Verdict};
use crate::error::EncodeError;
use crate::raw::Picture;
use crate::video::{EncodedVideo, Layer, Recovery, SimulcastEncoder, VideoSettings};

/// Encodes to H.264 in several sizes.
pub struct H264Simulcast {
    handle: Handle,
    settings: VideoSettings,
    streams: Vec<Stream>,
    /// Milliseconds of the last picture.
    last: i64,
}

struct Stream {
    layer: Layer,
    known: Known,
    /// A keyframe that was asked for and has not come yet.
    owed: bool,
    next: u32,
}

impl H264Simulcast {
    /// Makes an encoder of one to three sizes, the smallest first. The last is that of the pictures handed in, and
    /// `settings` has it; its rate is that of the last layer.
    ///
    /// # Errors
    /// [`EncodeError::Setting`] when a setting is out of range, [`EncodeError::Codec`] when OpenH264 cannot be set up.
    pub fn new(settings: &VideoSettings, layers: &[Layer]) -> Result<Self, EncodeError> {
        let refuse = |expected, got| Err(EncodeError::Setting { setting: "layers", expected, got });
        let rising = |pair: &[Layer]| pair[0].width < pair[1].width && pair[0].height < pair[1].height;
        let Some(last) = layers.last().filter(|_| layers.len() <= 3) else {
            return refuse("1 to 3", layers.len().to_string());
        };
        if !layers.windows(2).all(rising) || (last.width, last.height) != (settings.width, settings.height) {
            return refuse("rising up to the size of the pictures", format!("{layers:?}"));
        }
        for layer in layers {
            check(&layer.of(settings))?;
        }
        let sizes: Vec<Size> = layers
            .iter()
            .map(|&Layer { width, height, bits_per_second }| Size { width, height, bits_per_second })
            .collect();
        let handle = Handle::new(settings, &sizes, effort(&last.of(settings)))?;
        let stream = |&layer: &Layer| Stream { layer, known: Known::default(), owed: true, next: 0 };
        let streams = layers.iter().map(stream).collect();
        Ok(Self { handle, settings: last.of(settings), streams, last: -1 })
    }
}

impl SimulcastEncoder for H264Simulcast {
    fn encode(&mut self, picture: &Picture, at: Duration) -> Result<Vec<EncodedVideo>, EncodeError> {
        let size = (picture.width(), picture.height());
        if size != (self.settings.width, self.settings.height) {
            let expected = "of the size that was set";
            return Err(EncodeError::Setting { setting: "picture", expected, got: format!("{size:?}") });
        }
        self.last = i64::try_from(at.as_millis()).unwrap_or(i64::MAX - 2).max(self.last + 1);
        for (size, _) in self.streams.iter().enumerate().filter(|(_, stream)| stream.owed) {
            self.handle.force_keyframe(size)?;
        }
        let mut out = Vec::new();
        for written in self.handle.encode(picture, self.last)? {
            let stream = &mut self.streams[written.size];
            stream.owed &= !written.keyframe;
            match stream.known.wrote(&written.data, stream.next, written.temporal_layer == 0) {
                Verdict::Out { refers_to } => {
                    out.push(put_out(written, stream.next, refers_to));
                    stream.next = stream.next.wrapping_add(1);
                }
                // With the next picture: those of the other sizes are written already.
                Verdict::Withheld => stream.owed |= written.temporal_layer == 0,
            }
        }
        Ok(out)
    }

    fn request_keyframe(&mut self, layer: usize) {
        if let Some(stream) = self.streams.get_mut(layer) {
            stream.owed = true;
        }
    }

    fn set_rate(&mut self, layer: usize, bits_per_second: u32) -> Result<(), EncodeError> {
        let stream = self.streams.get_mut(layer).ok_or_else(|| EncodeError::Setting {
            setting: "layer",
            expected: "one of those that were set",
            got: layer.to_string(),
        })?;
        let changed = Layer { bits_per_second, ..stream.layer };
        check(&changed.of(&self.settings))?;
        self.handle.set_rate(layer, stream.layer.bits_per_second, bits_per_second)?;
        stream.layer = changed;
        Ok(())
    }

    fn acknowledged(&mut self, layer: usize, picture: u32) {
        let Some(stream) = self.streams.get_mut(layer) else { return };
        if let Some(tell) = stream.known.acknowledged(picture) {
            let _ = self.handle.tell(layer, tell);
        }
    }

    fn lost(&mut self, layer: usize, last_good: Option<u32>) -> Recovery {
        let tell = self.streams.get_mut(layer).and_then(|stream| stream.known.lost(last_good));
        match tell.map(|tell| tell.into_iter().try_for_each(|tell| self.handle.tell(layer, tell))) {
            Some(Ok(())) => Recovery::Reference,
            _ => Recovery::Keyframe,
        }
    }
}
