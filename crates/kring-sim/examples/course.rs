//! One call over time, as a JSON object a line: what each end knew and sent, and each picture that was shown.
//!
//! ```text
//! cargo run --release -p kring-sim --example course -- LINK [SEED]      # LINK as in `pictures`, or delay=25,rate=500
//! ```
#![allow(clippy::print_stdout)]

use kring_core::handshake::Role;
use kring_core::time::Time;
use kring_sim::flows::cases::LINKS;
use kring_sim::scenario::of;
use kring_sim::talk::talk;

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| LINKS[0].0.to_owned());
    let seed = args.next().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let link = LINKS.iter().find(|(known, _)| *known == name).map_or(&*name, |(_, link)| link);
    let (outcome, _) = talk(seed, link, 29);
    let ms = |at: Time| at.as_micros() as f64 / 1000.0;
    for who in [Role::Caller, Role::Callee] {
        for s in &outcome.course[of(who)] {
            let (at, estimate, target, video) = (ms(s.at), s.estimate, s.target, s.video);
            println!(
                "{{\"ev\":\"knows\",\"who\":\"{who:?}\",\"ms\":{at},\"estimate\":{estimate},\"target\":{target},\"video\":{video},\"waiting\":{},\"bytes\":{}}}",
                s.waiting, s.bytes
            );
        }
        // What the other end showed of this one's.
        for (captured, took) in &outcome.pictures[of(who.other())] {
            let (at, took) = (ms(*captured), took.as_secs_f64() * 1000.0);
            println!("{{\"ev\":\"picture\",\"who\":\"{who:?}\",\"ms\":{at},\"took\":{took:.1}}}");
        }
    }
}
