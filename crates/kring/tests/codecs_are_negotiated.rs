//! An app's own codec is used where both sides have it; where not, the sender falls back to one that both know.
mod common;
use common::*;
use kring::Event;
use kring::codec::{
    AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, DecodeError, EncodeError, FrameDuration,
};

/// Samples as they are, half as many and in 8 bits: an app's own codec.
struct Own;

impl AudioCodec for Own {
    fn name(&self) -> &'static str {
        "own-8bit"
    }
    fn encoder(&self, settings: &AudioSettings) -> Result<Box<dyn AudioEncoder>, EncodeError> {
        Ok(Box::new(Coder(settings.duration)))
    }
    fn decoder(&self) -> Result<Box<dyn AudioDecoder>, DecodeError> {
        Ok(Box::new(Coder(FrameDuration::Ms20)))
    }
}

struct Coder(FrameDuration);

impl AudioEncoder for Coder {
    fn encode(&mut self, pcm: &[f32], packet: &mut Vec<u8>) -> Result<(), EncodeError> {
        packet.clear();
        packet.extend(pcm.iter().step_by(2).map(|x| (x * 127.0) as i8 as u8));
        Ok(())
    }
    fn set_bitrate(&mut self, _: u32) {}
    fn set_duration(&mut self, duration: FrameDuration) {
        self.0 = duration;
    }
    fn duration(&self) -> FrameDuration {
        self.0
    }
    fn set_expected_loss(&mut self, _: u8) {}
    fn lookahead(&self) -> usize {
        0
    }
}

impl AudioDecoder for Coder {
    fn decode(&mut self, packet: &[u8], pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        pcm.extend(packet.iter().flat_map(|b| [f32::from(*b as i8) / 127.0; 2]));
        Ok(())
    }
    fn conceal(&mut self, samples: usize, pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        pcm.resize(pcm.len() + samples, 0.0);
        Ok(())
    }
    fn recover(&mut self, _: &[u8], _: usize, samples: usize, pcm: &mut Vec<f32>) -> Result<(), DecodeError> {
        self.conceal(samples, pcm)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_own_codec_is_used_when_both_have_it() {
    let (a, b) = (endpoint(), endpoint());
    let ((media_a, ear_a, _), (media_b, ear_b, _)) = (media("Anna", 440.0), media("Ben", 620.0));
    let dialled = a.dial(&ticket(&b), media_a.audio_codec(Own));
    let answered = rings(&b).await.answer(media_b.audio_codec(Own));
    eventually("both are heard", || ear_a.share_of(620.0, 300) > 0.9 && ear_b.share_of(440.0, 300) > 0.9)
        .await;
    assert_eq!(answered.peer_tracks()[0].codec, "own-8bit");
    assert_eq!(dialled.peer_tracks()[0].codec, "own-8bit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_falls_back_when_the_callee_lacks_its_first_codec() {
    let (a, b) = (endpoint(), endpoint());
    let ((media_a, ear_a, _), (media_b, ear_b, _)) = (media("Anna", 440.0), media("Ben", 620.0));
    let dialled = a.dial(&ticket(&b), media_a.audio_codec(Own));
    let incoming = rings(&b).await;
    assert_eq!(incoming.tracks()[0].codec, "own-8bit", "offered before the callee's codecs are known");
    let answered = incoming.answer(media_b);
    event(&answered, |e| matches!(e, Event::PeerTracks(t) if t[0].codec == "opus")).await;
    eventually("both are heard", || ear_a.share_of(620.0, 300) > 0.9 && ear_b.share_of(440.0, 300) > 0.9)
        .await;
    drop(dialled);
}
