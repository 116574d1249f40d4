//! A call over time as a drawing (SVG): rates above, the pictures' delays below, standstills shaded through both.

use std::fmt::Write;

/// Pictures that stand for longer are frozen, in s.
const FROZEN: f64 = 0.2;
/// What is sent is averaged over so long, in s.
const AVERAGED: f64 = 0.25;
/// The drawing, and where its two plots lie, in pixels.
const SIZE: (f64, f64) = (960.0, 480.0);
const LEFT: f64 = 64.0;
const RIGHT: f64 = 944.0;
const RATES: Plot = Plot { top: 56.0, bottom: 256.0 };
const DELAYS: Plot = Plot { top: 296.0, bottom: 440.0 };

/// What a sender knew at a moment.
pub(crate) struct Known {
    /// In s.
    pub(crate) at: f64,
    /// In kbit/s.
    pub(crate) estimate: f64,
    /// In kbit/s.
    pub(crate) target: f64,
    /// All until then, in kbit.
    pub(crate) sent: f64,
}

/// A picture that was shown.
pub(crate) struct Shown {
    /// When, in s.
    pub(crate) at: f64,
    /// From its capture, in ms.
    pub(crate) took: f64,
}

/// One direction of a call, in the order of time.
#[derive(Default)]
pub(crate) struct Course {
    pub(crate) known: Vec<Known>,
    pub(crate) shown: Vec<Shown>,
}

struct Plot {
    top: f64,
    bottom: f64,
}

/// From values to pixels.
struct Scale {
    end: f64,
    most: f64,
}

impl Scale {
    fn x(&self, at: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (at / self.end).clamp(0.0, 1.0)
    }

    fn y(&self, plot: &Plot, value: f64) -> f64 {
        plot.bottom - (plot.bottom - plot.top) * (value / self.most).clamp(0.0, 1.0)
    }
}

impl Course {
    /// When pictures stood still, from and to.
    fn frozen(&self) -> impl Iterator<Item = (f64, f64)> {
        self.shown.windows(2).map(|pair| (pair[0].at, pair[1].at)).filter(|(from, to)| to - from > FROZEN)
    }

    /// The kbit/s that were sent, as averages.
    fn sent(&self) -> Vec<(f64, f64)> {
        let (mut rates, mut before) = (Vec::new(), &self.known[0]);
        for known in &self.known {
            let span = known.at - before.at;
            if span >= AVERAGED {
                rates.push((before.at + span / 2.0, (known.sent - before.sent) / span));
                before = known;
            }
        }
        rates
    }

    /// The drawing.
    pub(crate) fn svg(&self, title: &str) -> String {
        let end = self.known.iter().map(|known| known.at).fold(1.0, f64::max).ceil();
        let sent = self.sent();
        let rates = self.known.iter().map(|known| known.estimate).chain(sent.iter().map(|(_, rate)| *rate));
        let rates = Scale { end, most: round_up(rates.fold(1.0, f64::max)) };
        let delays =
            Scale { end, most: round_up(self.shown.iter().map(|shown| shown.took).fold(1.0, f64::max)) };
        let (width, height) = SIZE;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
        );
        for (from, to) in self.frozen() {
            let (from, to) = (rates.x(from), rates.x(to));
            let (top, tall) = (RATES.top, DELAYS.bottom - RATES.top);
            line(
                &mut out,
                format_args!(
                    "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{tall}\" fill=\"#f4d9d9\"/>",
                    to - from
                ),
            );
        }
        axes(&mut out, &RATES, &rates, "kbit/s");
        axes(&mut out, &DELAYS, &delays, "ms from a picture's capture to its showing");
        let known = |of: fn(&Known) -> f64| self.known.iter().map(|k| (k.at, of(k))).collect::<Vec<_>>();
        let curves = [
            ("sent", "#9a9a9a", sent),
            ("estimate", "#1f6fb4", known(|k| k.estimate)),
            ("target", "#d97b1c", known(|k| k.target)),
        ];
        for (index, (name, colour, points)) in curves.iter().enumerate() {
            let path: Vec<_> = points
                .iter()
                .map(|(at, rate)| format!("{:.1},{:.1}", rates.x(*at), rates.y(&RATES, *rate)))
                .collect();
            line(
                &mut out,
                format_args!(
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
                    path.join(" ")
                ),
            );
            line(
                &mut out,
                format_args!(
                    "<text x=\"{}\" y=\"44\" fill=\"{colour}\">{name}</text>",
                    LEFT + 80.0 * index as f64
                ),
            );
        }
        line(
            &mut out,
            format_args!(
                "<text x=\"{}\" y=\"44\" fill=\"#b05050\">shaded: no new picture for more than 200 ms</text>",
                LEFT + 240.0
            ),
        );
        for shown in &self.shown {
            let (x, y) = (delays.x(shown.at), delays.y(&DELAYS, shown.took));
            line(&mut out, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.3\" fill=\"#2c7a3f\"/>"));
        }
        out.push_str("</svg>\n");
        out
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

/// The next 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= value)
        .unwrap_or(value)
}

fn axes(out: &mut String, plot: &Plot, scale: &Scale, unit: &str) {
    for part in 0..=4 {
        let value = scale.most * f64::from(part) / 4.0;
        let y = scale.y(plot, value);
        line(
            out,
            format_args!(
                "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e4e4e4\"/>"
            ),
        );
        line(
            out,
            format_args!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
                LEFT - 6.0,
                y + 4.0
            ),
        );
    }
    for second in (0..=scale.end as u32).step_by(5) {
        let (x, y) = (scale.x(second.into()), plot.bottom + 16.0);
        line(out, format_args!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{second} s</text>"));
    }
    line(
        out,
        format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#606060\">{unit}</text>",
            RIGHT,
            plot.top - 6.0
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standstills_are_shaded_and_every_picture_is_a_dot() {
        let known = |n: u32| Known {
            at: f64::from(n) * 0.05,
            estimate: 300.0,
            target: 250.0,
            sent: f64::from(n) * 10.0,
        };
        let shown = |at| Shown { at, took: 80.0 };
        let course = Course {
            known: (0..100).map(known).collect(),
            shown: [1.0, 1.1, 1.25, 2.0, 2.1].map(shown).into(),
        };
        assert_eq!(course.frozen().collect::<Vec<_>>(), [(1.25, 2.0)]);
        assert!(course.sent().iter().all(|(_, rate)| (199.0..201.0).contains(rate)));
        let svg = course.svg("a call");
        let count = |what: &str| svg.matches(what).count();
        assert_eq!((count("<circle"), count("<polyline"), count("#f4d9d9")), (5, 3, 1));
    }

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!([1.0, 3.0, 2100.0, 260.0].map(round_up), [1.0, 5.0, 2500.0, 500.0]);
    }
}
