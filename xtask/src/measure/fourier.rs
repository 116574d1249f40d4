//! The discrete Fourier transform of a power of two of values, for correlations.
//!
//! Own code, and short: the usual crate for it is generic over its numbers, is compiled anew in each crate that
//! uses it, and would make `cargo xtask` take three times as long to build.

use std::f64::consts::TAU;

/// A complex number, real part first.
pub(crate) type Complex = (f64, f64);

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

/// Transforms in place (Cooley and Tukey, radix 2). The length is a power of two.
fn transform(x: &mut [Complex]) {
    let n = x.len();
    debug_assert!(n.is_power_of_two());
    for i in 0..n {
        let j = i.reverse_bits() >> ((usize::BITS - n.trailing_zeros()) % usize::BITS);
        if i < j {
            x.swap(i, j);
        }
    }
    let roots: Vec<Complex> = (0..n / 2)
        .map(|k| {
            let (sin, cos) = (-TAU * k as f64 / n as f64).sin_cos();
            (cos, sin)
        })
        .collect();
    let mut half = 1;
    while half < n {
        for block in x.chunks_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for k in 0..half {
                let turned = times(high[k], roots[k * (n / 2 / half)]);
                let (re, im) = low[k];
                low[k] = (re + turned.0, im + turned.1);
                high[k] = (re - turned.0, im - turned.1);
            }
        }
        half *= 2;
    }
}

/// For each shift `i` from 0: the sum over `k` of `pattern[k] * x[i + k]`, `x` continued by zeros. The result is
/// at least as long as `x`.
pub(crate) fn cross_correlation(pattern: &[f32], x: &[f32]) -> Vec<f64> {
    let size = (x.len() + pattern.len()).next_power_of_two();
    // Both are real: one transform does for both, the pattern as the imaginary part.
    let value = |x: &[f32], i: usize| x.get(i).copied().map_or(0.0, f64::from);
    let mut both: Vec<Complex> = (0..size).map(|i| (value(x, i), value(pattern, i))).collect();
    transform(&mut both);
    let mut product: Vec<Complex> = (0..size)
        .map(|i| {
            let (a, b) = (both[i], both[(size - i) % size]);
            let of_x = ((a.0 + b.0) / 2.0, (a.1 - b.1) / 2.0);
            let of_pattern = ((a.1 + b.1) / 2.0, (b.0 - a.0) / 2.0);
            // The conjugate of X times P: transformed forwards once more, it gives the inverse of X times P's conjugate.
            times((of_x.0, -of_x.1), of_pattern)
        })
        .collect();
    transform(&mut product);
    product.truncate(x.len());
    product.into_iter().map(|v| v.0 / size as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correlation_is_the_sum_of_products() {
        let x: Vec<f32> = (0..37).map(|i| ((i * i * 7 + 3) % 11) as f32 - 5.0).collect();
        let pattern: Vec<f32> = (0..9).map(|i| ((i * 5 + 1) % 7) as f32 - 3.0).collect();
        let fast = cross_correlation(&pattern, &x);
        for (i, fast) in fast.iter().enumerate() {
            let pairs = pattern.iter().zip(&x[i..]);
            let slow: f64 = pairs.map(|(p, x)| f64::from(p * x)).sum();
            assert!((fast - slow).abs() < 1e-9, "{i}: {fast} {slow}");
        }
        assert_eq!(fast.len(), x.len());
    }
}
