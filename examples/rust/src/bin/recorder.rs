//! Calls somebody and records what they say and show.
//!
//!     cargo run -p kring-examples --bin recorder -- TICKET SECONDS OUT.wav [OUT.y4m]
//!
//! The other side is told before the first sample is written. It hears and sees nothing of this one.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use kring::capture::{Consent, VideoFormat, WavSpeaker, Y4mView};
use kring::{Endpoint, Media, Ticket};
use std::error::Error;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ticket, seconds, sound, pictures @ ..] = &arguments[..] else {
        return Err("usage: recorder TICKET SECONDS OUT.wav [OUT.y4m]".into());
    };
    let (ticket, seconds): (Ticket, u64) = (ticket.parse()?, seconds.parse()?);
    let media = Media::new(Consent::to_nothing())
        .name("Recorder")
        .recording(true)
        .speaker(WavSpeaker::create(sound)?);
    let endpoint = Endpoint::builder().build()?;
    let call = endpoint.dial(&ticket, media);
    call.connected().await?;
    println!("recording {}", call.peer_name());
    // Now it is known what the other side sends.
    let camera = call.peer_tracks().into_iter().find_map(|track| Some((track.size?, track.frame_rate_milli)));
    if let (Some(path), Some(((width, height), rate))) = (pictures.first(), camera) {
        let format = VideoFormat::new(width.into(), height.into(), rate as f32 / 1000.0);
        call.switch_view(Y4mView::create(path, &format)?);
    }
    tokio::select! {
        end = call.ended() => println!("{end}"),
        () = tokio::time::sleep(Duration::from_secs(seconds)) => println!("long enough"),
    }
    // Waits until the files are whole.
    call.hang_up().await;
    Ok(())
}
