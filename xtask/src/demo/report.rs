//! The demo's findings in words.

use crate::measure::direction::{Direction, End};
use crate::measure::log::Safety;
use crate::measure::pictures::{FREEZE_S, GlassToGlass, Known};

/// Prints both directions, then the channel.
pub(crate) fn print(directions: &[Direction], ends: [&End; 2]) {
    for d in directions {
        println!("\nFrom the {} to the {}", d.from, d.to);
        for (what, found) in lines(d) {
            println!("  {what:<16} {found}");
        }
    }
    println!("\nThe channel, as the callers report it");
    let [a, b] = ends.map(|e| e.log.safety.as_ref());
    match (a, b) {
        (None, None) => println!("  neither end reported on it"),
        (Some(x), Some(y)) if x != y => {
            for (end, safety) in [(ends[0], x), (ends[1], y)] {
                println!("  the two ends differ; the {}:", end.name);
                safety_lines(safety).iter().for_each(|l| println!("  {l}"));
            }
        }
        (Some(safety), _) | (_, Some(safety)) => safety_lines(safety).iter().for_each(|l| println!("  {l}")),
    }
}

fn lines(d: &Direction) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        (
            "set-up",
            format!(
                "{}, {}, counted from dialling",
                after("first sound", d.first_sound_ms),
                after("first picture", d.first_picture_ms)
            ),
        ),
        ("mouth to ear", mouth_to_ear(d)),
    ];
    match &d.pictures {
        None => lines.push(("pictures", "none were shown".into())),
        Some(p) => {
            lines.push(("glass to glass", glass_to_glass(p)));
            lines.push(("pictures", shown(p)));
            lines.push(("their quality", quality(p)));
        }
    }
    lines.extend(d.troubles.iter().map(|t| ("trouble", t.clone())));
    lines
}

fn after(what: &str, ms: Option<f64>) -> String {
    ms.map_or_else(|| format!("{what} not reported"), |ms| format!("{what} after {ms:.0} ms"))
}

fn mouth_to_ear(d: &Direction) -> String {
    let s = &d.sound;
    match (s.median_ms(), s.max_ms(), s.alike()) {
        (Some(median), Some(max), Some(alike)) => format!(
            "{median:.0} ms (median; at most {max:.0} ms), correlation {alike:.2}, found in {} of {} stretches of 2 s",
            s.windows.len(),
            s.tried
        ),
        _ if !d.has_sound() => "nothing was heard".into(),
        _ if s.tried == 0 => "could not be measured: no 2 s of sound had time to arrive".into(),
        _ => {
            format!("could not be measured: none of {} stretches of 2 s was found in what was heard", s.tried)
        }
    }
}

fn glass_to_glass(p: &GlassToGlass) -> String {
    let how = match p.known {
        Known::ByNumber => "the number in them",
        Known::ByLikeness => "likeness, for the file's pictures bear no numbers",
    };
    match (p.median_ms(), p.quantile_ms(0.95)) {
        (Some(median), Some(high)) => format!(
            "{median:.0} ms (median; 95 of 100 within {high:.0} ms); {} of {} pictures known again by {how}",
            p.delays.len(),
            p.shown
        ),
        _ => format!("could not be measured: no picture was known again by {how}"),
    }
}

fn shown(p: &GlassToGlass) -> String {
    let freezes = match p.freezes.len() {
        0 => format!("no freeze above {:.0} ms", FREEZE_S * 1000.0),
        n => format!(
            "{n} freeze{} above {:.0} ms, {:.1} s in all",
            if n == 1 { "" } else { "s" },
            FREEZE_S * 1000.0,
            p.freezes.iter().sum::<f64>()
        ),
    };
    let sizes: Vec<_> = p.sizes.iter().map(|(w, h)| format!("{w}x{h}")).collect();
    format!(
        "{} shown, {:.1} a second, {}; {freezes}; longest gap {:.0} ms",
        p.shown,
        p.per_second,
        sizes.join(" and "),
        p.longest_gap_s * 1000.0
    )
}

fn quality(p: &GlassToGlass) -> String {
    match p.psnr_db {
        Some(db) => format!("PSNR {db:.1} dB (brightness, mean of {})", p.compared),
        None => "not compared: the recording's size is not the file's, or no picture was known again".into(),
    }
}

fn safety_lines(s: &Safety) -> Vec<String> {
    vec![
        format!(
            "media            sealed by the one end, opened by the other and by nobody between: {}",
            s.media
        ),
        format!("keys             each end has proven its own to the other: {}", s.noise),
        format!(
            "hop              TLS 1.3 besides, against whoever watches the wire: {}, {}",
            s.tls_group, s.tls_cipher
        ),
        if s.post_quantum {
            "post-quantum     yes: a recording made today stays closed to a later quantum computer".into()
        } else {
            "post-quantum     NO: a later quantum computer may open a recording made today".into()
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::direction::Track;
    use crate::measure::sound::MouthToEar;

    #[test]
    fn what_could_not_be_measured_is_said_to_be_so() {
        let nothing = Direction {
            from: "caller",
            to: "answerer",
            first_sound_ms: None,
            first_picture_ms: None,
            said: Track::default(),
            heard: Track::default(),
            sound: MouthToEar::default(),
            pictures: None,
            troubles: vec!["no file".into()],
        };
        let text = format!("{:?}", lines(&nothing));
        for expected in ["first sound not reported", "nothing was heard", "none were shown", "no file"] {
            assert!(text.contains(expected), "{text}");
        }
        let noise = Direction {
            heard: Track { samples: vec![0.5; 9], start: 0.0 },
            sound: MouthToEar { windows: vec![], tried: 7 },
            ..nothing
        };
        assert!(mouth_to_ear(&noise).contains("could not be measured: none of 7"));
    }
}
