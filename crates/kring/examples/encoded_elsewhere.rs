//! A call whose pictures were encoded by something else: an H.264 file goes in as it is, packet by packet.
//!
//!     cargo run -p kring-codec --example y4m_to_h264 -- IN.y4m FILE.h264 800
//!     cargo run -p kring --example encoded_elsewhere -- FILE.h264
//!
//! Both ends are in this program. The calling end brings a codec of its own, whose encoder looks at no picture and hands
//! out the file's next one; the other end decodes what comes. A hardware encoder fits in the same way.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kring::capture::{Consent, SinkError, TestCard, VideoSink};
use kring::codec::{
    DecodeError, EncodeError, EncodedVideo, H264, Picture, VideoCodec, VideoDecoder, VideoEncoder,
    VideoSettings, h264,
};
use kring::{DEFAULT_LIFETIME, Endpoint, Media};

/// H.264 that is there already.
struct Prepared(Arc<Vec<Vec<u8>>>);

impl VideoCodec for Prepared {
    fn name(&self) -> &'static str {
        "h264"
    }

    fn encoder(&self, settings: &VideoSettings) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(Player { units: self.0.clone(), at: 0, number: 0, reference: None, settings: *settings }))
    }

    fn decoder(&self) -> Result<Box<dyn VideoDecoder>, DecodeError> {
        H264.decoder()
    }
}

struct Player {
    units: Arc<Vec<Vec<u8>>>,
    at: usize,
    number: u32,
    /// The last picture that others build on.
    reference: Option<u32>,
    settings: VideoSettings,
}

impl VideoEncoder for Player {
    fn encode(
        &mut self,
        _: &Picture,
        _: Duration,
        keyframe: bool,
    ) -> Result<Option<EncodedVideo>, EncodeError> {
        // The only keyframes that there are. The file begins with one, and begins anew when it is over.
        while keyframe && !h264::is_keyframe(&self.units[self.at]) {
            self.at = (self.at + 1) % self.units.len();
        }
        let data = self.units[self.at].clone();
        let (keyframe, discardable) = (h264::is_keyframe(&data), h264::is_discardable(&data));
        let refers_to = self.reference.filter(|_| !keyframe);
        let number = self.number;
        if !discardable {
            self.reference = Some(number);
        }
        self.number = number.wrapping_add(1);
        self.at = (self.at + 1) % self.units.len();
        let (temporal_layer, spatial_layer) = (u8::from(discardable), 0);
        Ok(Some(EncodedVideo {
            data,
            number,
            refers_to,
            keyframe,
            discardable,
            temporal_layer,
            spatial_layer,
        }))
    }

    /// What is encoded already has the rate that it has.
    fn set_rate(&mut self, bits_per_second: u32, frames_per_second: f32) -> Result<(), EncodeError> {
        self.settings = VideoSettings { bits_per_second, frames_per_second, ..self.settings };
        Ok(())
    }

    fn settings(&self) -> &VideoSettings {
        &self.settings
    }
}

/// Counts what is shown.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl VideoSink for Counter {
    fn show(&mut self, _: &Picture, _: Instant) -> Result<(), SinkError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn stop(&mut self) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: encoded_elsewhere FILE.h264")?;
    let stream = std::fs::read(file)?;
    let units: Vec<Vec<u8>> = h264::access_units(&stream).map(<[u8]>::to_vec).collect();
    let first = units.first().filter(|unit| h264::is_keyframe(unit));
    let first = first.ok_or("expected a stream that begins with a keyframe")?;
    let mut picture = Picture::new(2, 2)?;
    H264.decoder()?.decode(first, &mut picture)?;
    // It gives the beat; its pictures are not looked at.
    let beat = TestCard::new(picture.width(), picture.height(), 30.0)?;

    let callee = Endpoint::builder().bind("127.0.0.1:0".parse()?).build()?;
    let caller = Endpoint::builder().bind("127.0.0.1:0".parse()?).build()?;
    let media = Media::new(Consent::to_nothing())
        .camera(beat)
        .video_codec(Prepared(Arc::new(units)))
        .max_rate(20_000_000);
    let out = caller.dial(&callee.ticket(DEFAULT_LIFETIME)?, media);
    let shown = Counter::default();
    let incoming = callee.incoming().await.ok_or("nobody calls")?;
    let call = incoming.answer(Media::new(Consent::to_nothing()).view(shown.clone()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("{} pictures of 5 s were shown at the other end", shown.0.load(Ordering::Relaxed));
    out.hang_up().await;
    println!("{}", call.ended().await);
    Ok(())
}
