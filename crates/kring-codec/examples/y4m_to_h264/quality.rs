//! How alike two pictures are.

/// Peak signal to noise ratio in dB.
pub(crate) fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let squares: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    10.0 * (255.0f64.powi(2) * a.len() as f64 / squares.max(1) as f64).log10()
}

/// Structural similarity (Wang and others, 2004) with its Gaussian window of sigma 1.5; mean over the picture.
pub(crate) fn ssim(a: &[u8], b: &[u8], width: usize) -> f64 {
    let product = |x: &[u8], y: &[u8]| -> Vec<f32> {
        x.iter().zip(y).map(|(&x, &y)| f32::from(x) * f32::from(y)).collect()
    };
    let plain = |x: &[u8]| -> Vec<f32> { x.iter().map(|&x| f32::from(x)).collect() };
    let [ma, mb, saa, sbb, sab] = [plain(a), plain(b), product(a, a), product(b, b), product(a, b)]
        .map(|values| blurred(&values, width));
    let (c1, c2) = ((0.01f32 * 255.0).powi(2), (0.03f32 * 255.0).powi(2));
    let one = |i: usize| {
        let (mean_a, mean_b) = (ma[i], mb[i]);
        let (va, vb, cab) = (saa[i] - mean_a * mean_a, sbb[i] - mean_b * mean_b, sab[i] - mean_a * mean_b);
        let above = (2.0 * mean_a * mean_b + c1) * (2.0 * cab + c2);
        f64::from(above / ((mean_a * mean_a + mean_b * mean_b + c1) * (va + vb + c2)))
    };
    (0..a.len()).map(one).sum::<f64>() / a.len() as f64
}

fn blurred(values: &[f32], width: usize) -> Vec<f32> {
    const REACH: isize = 5;
    let weights: Vec<f32> = (-REACH..=REACH).map(|x| (-(x * x) as f32 / (2.0 * 1.5 * 1.5)).exp()).collect();
    let sum: f32 = weights.iter().sum();
    let height = values.len() / width;
    // Mirrored at the edges.
    let inside = |at: isize, length: usize| {
        let length = length as isize;
        (if at < 0 {
            -1 - at
        } else if at >= length {
            2 * length - 1 - at
        } else {
            at
        })
        .clamp(0, length - 1) as usize
    };
    let mut across = vec![0.0; values.len()];
    for (row, out) in values.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (x, out) in out.iter_mut().enumerate() {
            let taps = weights.iter().zip(-REACH..);
            *out = taps.map(|(w, offset)| w * row[inside(x as isize + offset, width)]).sum::<f32>() / sum;
        }
    }
    let mut down = vec![0.0; values.len()];
    for (y, out) in down.chunks_exact_mut(width).enumerate() {
        for (&w, offset) in weights.iter().zip(-REACH..) {
            let row = &across[inside(y as isize + offset, height) * width..][..width];
            out.iter_mut().zip(row).for_each(|(out, value)| *out += w / sum * value);
        }
    }
    down
}
