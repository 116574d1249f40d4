//! Encodes a Y4M file (640x360-like I420, even size) to an Annex-B stream and tells quality and rate.
//!
//!     y4m_to_h264 IN.y4m OUT.h264 KBIT
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::time::{Duration, Instant};

use kring_codec::{Decoded, H264, Picture, VideoCodec, VideoSettings};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, kilobits] = &arguments[..] else {
        return Err("usage: y4m_to_h264 IN.y4m OUT.h264 KBIT".into());
    };
    let mut input = BufReader::new(File::open(input)?);
    let mut output = BufWriter::new(File::create(output)?);
    let mut settings = header(&mut input)?;
    settings.bits_per_second = kilobits.parse::<u32>()? * 1000;
    let mut encoder = H264.encoder(&settings)?;
    let mut decoder = H264.decoder()?;
    let mut picture = Picture::new(settings.width, settings.height)?;
    let mut shown = picture.clone();
    let mut totals = Totals::default();
    while next(&mut input, &mut picture)? {
        let at = Duration::from_secs_f64(f64::from(totals.pictures) / f64::from(settings.frames_per_second));
        let began = Instant::now();
        let encoded = encoder.encode(&picture, at, false)?;
        totals.encoding += began.elapsed();
        totals.pictures += 1;
        if let Some(encoded) = encoded {
            output.write_all(&encoded.data)?;
            totals.encoded(encoded.data.len(), encoded.keyframe);
            let began = Instant::now();
            let decoded = decoder.decode(&encoded.data, &mut shown)?;
            totals.decoding += began.elapsed();
            if decoded != Decoded::Picture {
                return Err("a packet gave no picture".into());
            }
            totals.quality.push(psnr(picture.y(), shown.y()));
        }
    }
    output.flush()?;
    totals.tell(f64::from(settings.frames_per_second));
    Ok(())
}

#[derive(Default)]
struct Totals {
    pictures: u32,
    bytes: usize,
    largest: usize,
    keyframes: Vec<usize>,
    quality: Vec<f64>,
    encoding: Duration,
    decoding: Duration,
}

impl Totals {
    fn encoded(&mut self, bytes: usize, keyframe: bool) {
        self.bytes += bytes;
        if keyframe {
            self.keyframes.push(bytes);
        } else {
            self.largest = self.largest.max(bytes);
        }
    }

    fn tell(&mut self, frames_per_second: f64) {
        let coded = self.quality.len() as f64;
        let mean = self.quality.iter().sum::<f64>() / coded;
        self.quality.sort_by(f64::total_cmp);
        let seconds = f64::from(self.pictures) / frames_per_second;
        println!(
            "{} pictures, {} skipped, keyframes of {:?} B, largest other {} B",
            self.pictures,
            self.pictures - self.quality.len() as u32,
            self.keyframes,
            self.largest
        );
        println!(
            "{:.0} kbit/s, PSNR-Y mean {mean:.2} dB, 5 % under {:.2} dB, encoding {:.2} ms, decoding {:.2} ms",
            self.bytes as f64 / 125.0 / seconds,
            self.quality[self.quality.len() / 20],
            self.encoding.as_secs_f64() * 1000.0 / f64::from(self.pictures),
            self.decoding.as_secs_f64() * 1000.0 / coded
        );
    }
}

fn header(input: &mut impl BufRead) -> Result<VideoSettings, Box<dyn Error>> {
    let mut line = String::new();
    input.take(1024).read_line(&mut line)?;
    let field = |name: char| line.split_whitespace().skip(1).find_map(|field| field.strip_prefix(name));
    let number = |name: char| field(name).ok_or_else(|| format!("the header lacks {name}"));
    let (over, under) = number('F')?.split_once(':').ok_or("F must be a ratio")?;
    if !line.starts_with("YUV4MPEG2 ")
        || !field('C').is_none_or(|c| {
            c.starts_with("420") && !c.contains('p') || matches!(c, "420jpeg" | "420mpeg2" | "420paldv")
        })
    {
        return Err("expected a Y4M file with 8-bit 4:2:0".into());
    }
    Ok(VideoSettings {
        width: number('W')?.parse()?,
        height: number('H')?.parse()?,
        frames_per_second: over.parse::<f32>()? / under.parse::<f32>()?,
        bits_per_second: 1_000_000,
        ..VideoSettings::default()
    })
}

fn next(input: &mut impl BufRead, picture: &mut Picture) -> Result<bool, Box<dyn Error>> {
    let mut line = Vec::new();
    if input.by_ref().take(1024).read_until(b'\n', &mut line)? == 0 {
        return Ok(false);
    }
    if !line.starts_with(b"FRAME") {
        return Err("expected FRAME".into());
    }
    input.read_exact(picture.as_bytes_mut())?;
    Ok(true)
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let squares: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    10.0 * (255.0f64.powi(2) * a.len() as f64 / squares.max(1) as f64).log10()
}
