//! Answers every call, plays a greeting, and hangs up.
//!
//!     cargo run -p kring-examples --bin answering-bot -- GREETING.wav [ADDRESS:PORT]
//!
//! Prints the ticket by which it can be called; `kring call TICKET` calls it.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use kring::capture::{Consent, WavSource};
use kring::{DEFAULT_LIFETIME, Endpoint, Event, Incoming, Media};
use std::error::Error;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let greeting = arguments.next().ok_or("usage: answering-bot GREETING.wav [ADDRESS:PORT]")?;
    // Better now than in the first call.
    WavSource::open(&greeting)?;
    let mut endpoint = Endpoint::builder();
    if let Some(address) = arguments.next() {
        endpoint = endpoint.bind(address.parse()?);
    }
    let endpoint = endpoint.build()?;
    println!("{}", endpoint.ticket(DEFAULT_LIFETIME)?);
    while let Some(incoming) = endpoint.incoming().await {
        // Each call in a task of its own: others ring meanwhile.
        let source = WavSource::open(&greeting)?;
        tokio::spawn(greet(incoming, source));
    }
    Ok(())
}

async fn greet(incoming: Incoming, greeting: WavSource) {
    println!("{} calls", incoming.peer().fingerprint());
    // A file needs nobody's consent, and the other side's sound is played to nobody.
    let media = Media::new(Consent::to_nothing()).name("Answering bot").microphone(greeting);
    let call = incoming.answer(media);
    while let Some(event) = call.next_event().await {
        match event {
            // The file is over. What of it is still on its way should be heard.
            Event::MediaStopped { what: "microphone", .. } => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                return call.hang_up().await;
            }
            Event::Ended(end) => println!("{end}"),
            _ => {}
        }
    }
}
