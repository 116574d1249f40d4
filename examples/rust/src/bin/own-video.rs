//! Sends pictures that this program makes itself: a bright bar that wanders over a dark ground.
//!
//!     cargo run -p kring-examples --bin own-video -- TICKET SECONDS
//!
//! A camera of an app's own, a game or a rendered scene comes into a call in the same way.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use kring::capture::{CapturedPicture, Consent, Kind, SourceError, VideoFormat, VideoSource};
use kring::codec::Picture;
use kring::{Endpoint, Media, Ticket};
use std::error::Error;
use std::time::{Duration, Instant};

const FORMAT: VideoFormat = VideoFormat::new(320, 180, 25.0);
const BAR: usize = 32;

#[derive(Default)]
struct Bar {
    start: Option<Instant>,
    next: u64,
}

impl VideoSource for Bar {
    /// Nobody's room is seen, so nobody has to consent. One's own camera says `Some(Kind::Camera)` here.
    fn kind(&self) -> Option<Kind> {
        None
    }

    fn start(&mut self, _: &Consent, at: Instant) -> Result<(), SourceError> {
        (self.start, self.next) = (Some(at), 0);
        Ok(())
    }

    fn format(&self) -> VideoFormat {
        FORMAT
    }

    fn read(&mut self, picture: &mut Picture) -> Result<CapturedPicture, SourceError> {
        let start = self.start.ok_or(SourceError::NotStarted)?;
        let interval = Duration::from_secs_f32(1.0 / FORMAT.frames_per_second);
        // In real time, and never behind it: who comes late gets the newest.
        self.next = self.next.max((start.elapsed().as_secs_f32() / interval.as_secs_f32()) as u64);
        let at = start + interval * self.next as u32;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        picture.reset(FORMAT.width, FORMAT.height)?;
        picture.blacken();
        let (width, left) = (FORMAT.width as usize, 4 * self.next as usize);
        for row in picture.y_mut().chunks_mut(width) {
            (0..BAR).for_each(|x| row[(left + x) % width] = 220);
        }
        self.next += 1;
        Ok(CapturedPicture::new(self.next - 1, at))
    }

    fn stop(&mut self) {
        self.start = None;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: own-video TICKET SECONDS";
    let mut arguments = std::env::args().skip(1);
    let ticket: Ticket = arguments.next().ok_or(usage)?.parse()?;
    let seconds = arguments.next().ok_or(usage)?.parse()?;
    let endpoint = Endpoint::builder().build()?;
    let call = endpoint.dial(&ticket, Media::new(Consent::to_nothing()).name("A bar").camera(Bar::default()));
    call.connected().await?;
    tokio::select! {
        end = call.ended() => println!("{end}"),
        () = tokio::time::sleep(Duration::from_secs(seconds)) => println!("sent {}", call.stats().video.frames_encoded),
    }
    call.hang_up().await;
    Ok(())
}
