//! Which picture of a file a shown picture is, for files whose pictures bear no number: the one it looks most
//! like, among those captured in the seconds before it was shown. If another looks as much like it (nothing
//! moved), the answer is none, not a guess.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::log::{Captured, Shown};
use super::y4m::{Picture, Y4m};

const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// A picture is looked for among those captured in this many seconds before it was shown.
const REACH_S: f64 = 2.0;
/// The second best must differ by this much more than the best.
const CLEARLY: f32 = 1.3;

/// The mean brightness of each of 32 by 18 fields.
type Thumbnail = Vec<f32>;

fn thumbnail(picture: &Picture) -> Thumbnail {
    let (w, h, luma) = (picture.width, picture.height, picture.luma());
    let mut fields = Vec::with_capacity(COLUMNS * ROWS);
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let (x0, x1) = (column * w / COLUMNS, ((column + 1) * w / COLUMNS).max(column * w / COLUMNS + 1));
            let (y0, y1) = (row * h / ROWS, ((row + 1) * h / ROWS).max(row * h / ROWS + 1));
            let lines = (y0..y1.min(h)).map(|y| &luma[y * w + x0..y * w + x1.min(w)]);
            let sum: u32 = lines.flatten().map(|&v| u32::from(v)).sum();
            fields.push(sum as f32 / ((x1 - x0) * (y1 - y0)) as f32);
        }
    }
    fields
}

fn difference(a: &Thumbnail, b: &Thumbnail) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// For each shown picture, in order, the picture of the file that it is.
pub(crate) fn recognise(
    source: &mut Y4m,
    captured: &[Captured],
    received: &mut Y4m,
    shown: &[Shown],
) -> Result<Vec<Option<Captured>>, String> {
    let mut known: HashMap<u64, Thumbnail> = HashMap::new();
    let mut result = Vec::with_capacity(shown.len());
    for picture in shown {
        if picture.i >= received.count || source.count == 0 {
            result.push(None);
            continue;
        }
        let seen = thumbnail(&received.picture(picture.i)?);
        let mut ranked = Vec::new();
        for candidate in captured.iter().filter(|c| c.t <= picture.t && c.t > picture.t - REACH_S) {
            let n = candidate.n % source.count;
            let known = match known.entry(n) {
                Entry::Occupied(e) => e.into_mut(),
                Entry::Vacant(e) => e.insert(thumbnail(&source.picture(n)?)),
            };
            ranked.push((difference(&seen, known), *candidate));
        }
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        result.push(match ranked.as_slice() {
            [only] => Some(only.1),
            [best, second, ..] if second.0 > CLEARLY * best.0 => Some(best.1),
            _ => None,
        });
    }
    Ok(result)
}
