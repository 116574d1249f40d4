//! Figures of rate control in virtual time: `cargo run --release -p kring-sim --example rates [SEEDS] [NAME…]`.
#![allow(clippy::print_stdout)]

use kring_sim::flows::{Case, Figures, cases, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seeds: u64 = arguments.next().map_or(Ok(3), |n| n.parse())?;
    let names: Vec<String> = arguments.collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| name.contains(n.as_str()));
    println!(
        "kbit/s: mean of s 5-28 (and 2-3); one-way ms: voice p50 p95 max, pictures p50 p95; whole pictures a second"
    );
    for (name, link) in cases::LINKS.iter().filter(|(name, _)| wanted(name)) {
        let case = cases::call(link, 29)?;
        for seed in 0..seeds {
            for (figures, direction) in run(&case, seed)[0].iter().zip(["→", "←"]) {
                println!("{}", line(name, seed, direction, figures, 29.0));
                if !names.is_empty() {
                    println!(
                        "    estimates: {}",
                        figures.estimates.iter().map(|k| format!("{k:.0}")).collect::<Vec<_>>().join(" ")
                    );
                }
            }
        }
    }
    for (section, what, case) in cases::rfc8867().iter().filter(|(section, ..)| wanted(section)) {
        println!("\nRFC 8867 {section}: {what}");
        for seed in 0..seeds.min(2) {
            table(case, seed);
        }
    }
    Ok(())
}

fn line(name: &str, seed: u64, direction: &str, f: &Figures, to: f64) -> String {
    let voice = |q| f.voice_delay(q, 1.0, to);
    let fps = f.pictures.iter().filter(|(at, _)| at.as_micros() > 1_000_000).count() as f64 / (to - 1.0);
    format!(
        "{name:24} {seed} {direction} {:5.0} ({:5.0})  {:4.0} {:4.0} {:4.0}  {:4.0} {:4.0}  {fps:4.1}/s  {:5.1} %",
        f.mean_kbits(5, 28),
        f.mean_kbits(2, 3),
        voice(0.5),
        voice(0.95),
        voice(1.0),
        f.picture_delay(0.5, 1.0, to),
        f.picture_delay(0.95, 1.0, to),
        f.arrived() * 100.0,
    )
}

fn table(case: &Case, seed: u64) {
    for (who, [there, back]) in run(case, seed).iter().enumerate() {
        for (figures, direction) in [(there, "→"), (back, "←")] {
            if figures.mean_kbits(0, case.seconds) < 10.0 {
                continue;
            }
            let tens: Vec<String> = (0..case.seconds / 5)
                .map(|n| format!("{:.0}", figures.mean_kbits(n * 5, n * 5 + 5)))
                .collect();
            println!("  seed {seed}, {who} {direction} kbit/s each 5 s: {}", tens.join(" "));
            let voice = |q| figures.voice_delay(q, 0.0, case.seconds as f64);
            println!(
                "      voice one-way p50 {:.0} p95 {:.0} max {:.0} ms",
                voice(0.5),
                voice(0.95),
                voice(1.0)
            );
        }
    }
}
