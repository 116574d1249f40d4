//! Scaling of one plane: averages areas when shrinking, interpolates linearly when growing. Weights of an
//! output pixel always sum to exactly one, so a flat plane stays flat.

/// Weights are in this many parts.
const ONE: u32 = 1 << 12;

/// Which input pixels make an output pixel.
struct Taps {
    first: usize,
    weights: Vec<u32>,
}

/// Scales `from` of `from_size` (width, height) into `to`.
pub(crate) fn plane(from: &[u8], from_size: (usize, usize), to: &mut [u8], to_size: (usize, usize)) {
    let across = taps(from_size.0, to_size.0);
    let down = taps(from_size.1, to_size.1);
    // Rows already scaled across, kept while neighbouring output rows need them.
    let mut rows: Vec<(usize, Vec<u32>)> = Vec::new();
    let mut sums = vec![0u32; to_size.0];
    for (out, tap) in to.chunks_exact_mut(to_size.0).zip(&down) {
        rows.retain(|(index, _)| *index >= tap.first);
        sums.fill(ONE * 16 / 2);
        for (offset, &weight) in tap.weights.iter().enumerate() {
            let index = tap.first + offset;
            let at = rows.iter().position(|(have, _)| *have == index).unwrap_or_else(|| {
                let line = &from[index * from_size.0..][..from_size.0];
                rows.push((index, across_row(line, &across)));
                rows.len() - 1
            });
            for (sum, &value) in sums.iter_mut().zip(&rows[at].1) {
                *sum += value * weight;
            }
        }
        for (pixel, &sum) in out.iter_mut().zip(&sums) {
            *pixel = (sum / (ONE * 16)).min(255) as u8;
        }
    }
}

/// Scales one row; values come out in sixteenths so that two roundings do not add up.
fn across_row(line: &[u8], across: &[Taps]) -> Vec<u32> {
    let value = |tap: &Taps| {
        let pixels = &line[tap.first..][..tap.weights.len()];
        pixels.iter().zip(&tap.weights).map(|(&pixel, &weight)| u32::from(pixel) * weight).sum::<u32>()
    };
    across.iter().map(|tap| value(tap) / (ONE / 16)).collect()
}

/// For each of `to` output pixels, the input pixels (of `from`) it is made of.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let ratio = from as f64 / to as f64;
    (0..to)
        .map(|index| if ratio > 1.0 { area(index, ratio, from) } else { linear(index, ratio, from) })
        .collect()
}

fn area(index: usize, ratio: f64, from: usize) -> Taps {
    let (start, end) = (index as f64 * ratio, (index + 1) as f64 * ratio);
    let first = (start as usize).min(from - 1);
    let last = ((end - 1e-9) as usize).min(from - 1);
    let share = |pixel: usize| (end.min(pixel as f64 + 1.0) - start.max(pixel as f64)).max(0.0) / ratio;
    exact(first, (first..=last).map(share))
}

fn linear(index: usize, ratio: f64, from: usize) -> Taps {
    let centre = ((index as f64 + 0.5) * ratio - 0.5).clamp(0.0, (from - 1) as f64);
    let first = (centre as usize).min(from.saturating_sub(2));
    let part = centre - first as f64;
    exact(first, [1.0 - part, part].into_iter().take(from))
}

/// Rounds the running sum rather than each weight, so that they add up to [`ONE`] however many there are.
fn exact(first: usize, shares: impl Iterator<Item = f64>) -> Taps {
    let (mut sum, mut spent) = (0.0, 0);
    let mut weight = |share: f64| {
        sum += share;
        let upto = ((sum * f64::from(ONE)).round() as u32).min(ONE);
        upto - std::mem::replace(&mut spent, upto)
    };
    let mut weights: Vec<u32> = shares.map(&mut weight).collect();
    if let Some(last) = weights.last_mut() {
        *last += ONE - spent;
    }
    Taps { first, weights }
}
