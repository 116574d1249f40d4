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
    // The steps of the ladder, in a fraction of the time.
    if from_size == (2 * to_size.0, 2 * to_size.1) {
        halve(from, from_size.0, to);
    } else if to_size == (2 * from_size.0, 2 * from_size.1) {
        double(from, from_size.0, to);
    } else {
        weigh(from, from_size, to, to_size);
    }
}

/// Each output pixel is the mean of four.
fn halve(from: &[u8], width: usize, to: &mut [u8]) {
    for (rows, out) in from.chunks_exact(2 * width).zip(to.chunks_exact_mut(width / 2)) {
        let (upper, lower) = rows.split_at(width);
        for ((pixel, upper), lower) in out.iter_mut().zip(upper.chunks_exact(2)).zip(lower.chunks_exact(2)) {
            let sum = [upper[0], upper[1], lower[0], lower[1]].map(u16::from).iter().sum::<u16>();
            *pixel = ((sum + 2) / 4) as u8;
        }
    }
}

/// Each output pixel lies a quarter of a pixel beside an input pixel, both ways.
fn double(from: &[u8], width: usize, to: &mut [u8]) {
    // Rows scaled across, in quarters.
    let across = |row: &[u8], out: &mut [u16]| {
        let near = |pixel: u8, beside: u8| 3 * u16::from(pixel) + u16::from(beside);
        let last = width - 1;
        out[0] = 4 * u16::from(row[0]);
        out[2 * last + 1] = 4 * u16::from(row[last]);
        for (pair, pixels) in out[1..=2 * last].chunks_exact_mut(2).zip(row.windows(2)) {
            pair[0] = near(pixels[0], pixels[1]);
            pair[1] = near(pixels[1], pixels[0]);
        }
    };
    let mut rows = [(); 3].map(|()| vec![0; 2 * width]);
    let height = from.len() / width;
    let row = |y: usize| &from[y * width..][..width];
    across(row(0), &mut rows[0]);
    across(row(0), &mut rows[1]);
    for (y, pair) in to.chunks_exact_mut(4 * width).enumerate() {
        across(row((y + 1).min(height - 1)), &mut rows[2]);
        let (upper, lower) = pair.split_at_mut(2 * width);
        for (out, near) in [(upper, &rows[0]), (lower, &rows[2])] {
            for ((pixel, &this), &near) in out.iter_mut().zip(&rows[1]).zip(near) {
                *pixel = ((3 * this + near + 8) / 16) as u8;
            }
        }
        rows.rotate_left(1);
    }
}

/// Scales by any ratio.
fn weigh(from: &[u8], from_size: (usize, usize), to: &mut [u8], to_size: (usize, usize)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_and_doubling_are_what_weighing_gives() {
        let mut random = 1u32;
        let mut pixels = |count: usize| -> Vec<u8> {
            let mut next = || {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 24) as u8
            };
            (0..count).map(|_| next()).collect()
        };
        for (small, large) in [((1, 1), (2, 2)), ((5, 3), (10, 6)), ((64, 2), (128, 4))] {
            let area = |size: (usize, usize)| size.0 * size.1;
            for (a, b) in [(small, large), (large, small)] {
                let from = pixels(area(a));
                let (mut quick, mut slow) = (vec![0; area(b)], vec![0; area(b)]);
                plane(&from, a, &mut quick, b);
                weigh(&from, a, &mut slow, b);
                let alike = quick.iter().zip(&slow).all(|(a, b)| a.abs_diff(*b) <= 1);
                assert!(alike, "{a:?} to {b:?}: {quick:?} {slow:?}");
            }
        }
    }
}
