//! Encodes a Y4M file (8-bit 4:2:0, even size) to an Annex-B stream and tells quality, rate and time.
//!
//!     y4m_to_h264 IN.y4m OUT.h264 KBIT [WIDTHxHEIGHT] [layers=N] [every=N] [content=screen|sign] [loss=N] [sway]
//!
//! `every=N` encodes every Nth picture only, `loss=N` has every Nth picture lost and repaired by reference, `sway`
//! changes the rate every 100 ms by up to 30 % either way. Quality is that of all pictures as they are shown at the full size.
#![allow(clippy::print_stdout, reason = "a program for the command line")]

#[path = "y4m_to_h264/quality.rs"]
mod quality;

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kring_codec::{ContentHint, Decoded, H264, Picture, Recovery, VideoCodec, VideoSettings};
use quality::{psnr, ssim};

/// What the command line asks for beside the files.
struct Options {
    size: Option<(u32, u32)>,
    every: u32,
    loss: Option<u32>,
    sway: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, kilobits, options @ ..] = &arguments[..] else {
        return Err("usage: y4m_to_h264 IN.y4m OUT.h264 KBIT [WIDTHxHEIGHT] [layers=N] [every=N] …".into());
    };
    let mut input = BufReader::new(File::open(input)?);
    let mut output = BufWriter::new(File::create(output)?);
    let mut settings = header(&mut input)?;
    settings.bits_per_second = kilobits.parse::<u32>()? * 1000;
    let options = read(options, &mut settings)?;
    let mut totals = Totals { frames_per_second: settings.frames_per_second.into(), ..Totals::default() };
    let mut picture = Picture::new(settings.width, settings.height)?;
    if let Some((width, height)) = options.size {
        (settings.width, settings.height) = (width, height);
    }
    settings.frames_per_second /= options.every as f32;
    let mut small = Picture::new(settings.width, settings.height)?;
    let (mut shown, mut full) = (small.clone(), picture.clone());
    let mut encoder = H264.encoder(&settings)?;
    let mut decoder = H264.decoder()?;
    let (mut random, mut nominal) = (1u32, settings.bits_per_second);
    while next(&mut input, &mut picture)? {
        let at = Duration::from_secs_f64(f64::from(totals.pictures) / totals.frames_per_second);
        totals.pictures += 1;
        totals.windows.push(0);
        if options.sway && totals.pictures.is_multiple_of(3) {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            nominal = (f64::from(settings.bits_per_second) * (0.7 + 0.6 * f64::from(random >> 16) / 65536.0))
                as u32;
            encoder.set_rate(nominal, settings.frames_per_second)?;
        }
        totals.wanted.push(f64::from(nominal) / 8.0 / totals.frames_per_second);
        if (totals.pictures - 1).is_multiple_of(options.every) {
            picture.scale_into(&mut small);
            let began = busy();
            let encoded = encoder.encode(&small, at, false)?;
            totals.encoding += busy().saturating_sub(began);
            if let Some(encoded) = encoded {
                output.write_all(&encoded.data)?;
                totals.encoded(encoded.data.len(), encoded.keyframe);
                if options.loss.is_some_and(|n| encoded.number % n == n - 1) {
                    if !encoded.discardable
                        && encoder.lost(encoded.number.checked_sub(1)) == Recovery::Keyframe
                    {
                        return Err("a picture could not be repaired without a keyframe".into());
                    }
                } else {
                    let began = busy();
                    let decoded = decoder.decode(&encoded.data, &mut shown)?;
                    totals.decoding += busy().saturating_sub(began);
                    if decoded != Decoded::Picture {
                        return Err("a packet gave no picture".into());
                    }
                    encoder.acknowledged(encoded.number);
                    shown.scale_into(&mut full);
                }
            }
        }
        totals.shown(&picture, &full);
    }
    output.flush()?;
    totals.tell();
    Ok(())
}

fn read(options: &[String], settings: &mut VideoSettings) -> Result<Options, Box<dyn Error>> {
    let mut read = Options { size: None, every: 1, loss: None, sway: false };
    for option in options {
        match option.split_once('=').unwrap_or((option, "")) {
            ("layers", n) => settings.temporal_layers = n.parse()?,
            ("every", n) => read.every = n.parse::<u32>()?.max(1),
            ("loss", n) => read.loss = Some(n.parse::<u32>()?.max(2)),
            ("sway", "") => read.sway = true,
            ("content", "screen") => settings.content = ContentHint::Screen,
            ("content", "sign") => settings.content = ContentHint::Sign,
            (size, "") => {
                let (width, height) = size.split_once('x').ok_or("expected WIDTHxHEIGHT")?;
                read.size = Some((width.parse()?, height.parse()?));
            }
            _ => return Err(format!("{option} is not understood").into()),
        }
    }
    Ok(read)
}

/// For how long this thread has had a processor, where the system tells (Linux); else for how long the program has run.
fn busy() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.as_deref().and_then(|told| told.split_whitespace().next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

#[derive(Default)]
struct Totals {
    frames_per_second: f64,
    pictures: u32,
    coded: u32,
    bytes: usize,
    largest: usize,
    keyframes: Vec<usize>,
    /// Bytes that each picture's time brought, and that it was to bring.
    windows: Vec<usize>,
    wanted: Vec<f64>,
    psnr: Vec<f64>,
    ssim: Vec<f64>,
    encoding: Duration,
    decoding: Duration,
}

impl Totals {
    fn encoded(&mut self, bytes: usize, keyframe: bool) {
        self.bytes += bytes;
        self.coded += 1;
        if let Some(last) = self.windows.last_mut() {
            *last = bytes;
        }
        if keyframe {
            self.keyframes.push(bytes);
        } else {
            self.largest = self.largest.max(bytes);
        }
    }

    fn shown(&mut self, said: &Picture, shown: &Picture) {
        self.psnr.push(psnr(said.y(), shown.y()));
        if self.pictures % 10 == 5 {
            self.ssim.push(ssim(said.y(), shown.y(), said.width() as usize));
        }
    }

    /// The most that any stretch of so many seconds brought, as a part of what it was to bring; the first second is left out.
    fn most(&self, seconds: f64) -> f64 {
        let first = self.frames_per_second as usize;
        let length = (seconds * self.frames_per_second) as usize;
        let came = self.windows.get(first..).unwrap_or_default().windows(length);
        let wanted = self.wanted.get(first..).unwrap_or_default().windows(length);
        came.zip(wanted)
            .map(|(c, w)| c.iter().sum::<usize>() as f64 / w.iter().sum::<f64>())
            .fold(0.0, f64::max)
    }

    fn tell(&mut self) {
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let (psnr, ssim) = (mean(&self.psnr), mean(&self.ssim));
        self.psnr.sort_by(f64::total_cmp);
        let seconds = f64::from(self.pictures) / self.frames_per_second;
        println!(
            "{:.0} kbit/s, PSNR-Y {psnr:.2} dB (5 % under {:.2}), SSIM-Y {ssim:.4}, {} of {} coded, keyframes {:?} B, largest other {} B",
            self.bytes as f64 / 125.0 / seconds,
            self.psnr[self.psnr.len() / 20],
            self.coded,
            self.pictures,
            self.keyframes,
            self.largest
        );
        println!(
            "most in 0.5 s / 1 s: {:.2} / {:.2} of what was asked; encoding {:.2} ms, decoding {:.2} ms a picture",
            self.most(0.5),
            self.most(1.0),
            self.encoding.as_secs_f64() * 1000.0 / f64::from(self.coded),
            self.decoding.as_secs_f64() * 1000.0 / f64::from(self.coded)
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
