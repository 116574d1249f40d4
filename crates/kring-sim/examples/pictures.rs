//! How pictures fare over the links of docs/benchmarks.md: whole calls in virtual time, model codecs, the real protocol.
//!
//! ```text
//! cargo run --release -p kring-sim --example pictures [SEEDS] [NAME…]
//! ```
#![allow(clippy::print_stdout)]

use kring_sim::flows::cases::LINKS;
use kring_sim::talk::{Figures, talk};

fn main() {
    let mut args = std::env::args().skip(1).peekable();
    let seeds = args.next_if(|arg| arg.parse::<u64>().is_ok()).map_or(4, |n| n.parse().unwrap_or(4));
    let names: Vec<String> = args.collect();
    println!("| link | a second | frozen s of 28 | ms p50 / p95 | kbit/s | sent ÷ encoded | lost | failed |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, link) in LINKS {
        if !names.is_empty() && !names.iter().any(|n| n == name) {
            continue;
        }
        let figures: Vec<Figures> = (0..seeds).flat_map(|seed| talk(seed, link, 29).1).collect();
        let mean = |of: &dyn Fn(&Figures) -> f64| figures.iter().map(of).sum::<f64>() / figures.len() as f64;
        println!(
            "| {name} | {:.1} | {:.2} | {:.0} / {:.0} | {:.0} | {:.2} | {:.1} | {} |",
            mean(&|f| f.per_second),
            mean(&|f| f.frozen),
            mean(&|f| f.delay(0.5)),
            mean(&|f| f.delay(0.95)),
            mean(&|f| f.kbits),
            mean(&|f| f.cost),
            mean(&|f| f.losses as f64),
            figures.iter().map(|f| f.failures).sum::<usize>(),
        );
    }
}
